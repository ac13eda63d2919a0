//! `pack`: appends the symbols of all addresses to a capture, as blocks that go on where its own end.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use plimsoll_format::{BlockWriter, Record, SymbolizedAddress, SymbolizedFrame, Symbols};
use tempfile::NamedTempFile;

use crate::capture::{Capture, Found};
use crate::model::{self, EndKind, ModuleId, ModuleInfo};
use crate::present::{safe, units};
use crate::symbolize::{Frame, Symbolizer};

use super::args::PackArgs;
use super::error::CliError;
use super::load::Loaded;
use super::output::print;

/// Blocks are ended at about this size: they stand alone, and damage to one loses no more than it.
const BLOCK_BYTES: usize = 256 << 10;
/// Addresses tried in one record; a record that does not fit a block is halved.
const RECORD_ADDRESSES: usize = 1024;

/// Addresses of one module with their frames.
type Named = (ModuleId, Vec<(u64, Vec<Frame>)>);

pub(super) fn pack(args: &PackArgs) -> Result<(), CliError> {
    let loaded = Loaded::open(&args.capture)?;
    let capture = &loaded.capture;
    let (source, target) = paths(args, capture)?;
    let mut symbolizer = Symbolizer::new(&capture.profile, &args.symbols.directories);
    let named = name_addresses(capture, &mut symbolizer);
    let addresses: usize = named.iter().map(|(_, addresses)| addresses.len()).sum();
    let mut text: String =
        symbolizer.warnings().iter().map(|warning| format!("warning: {}\n", safe(warning))).collect();
    if addresses == 0 && args.output.is_none() {
        text.push_str(&format!("{}: no new names to pack, left as it is\n", safe(&source.to_string_lossy())));
        return print(&text);
    }
    let blocks = blocks(capture, &named)?;
    write(&source, &target, args.output.is_some(), &blocks)?;
    text.push_str(&format!(
        "{}: packed the names of {} addresses ({})\n",
        safe(&target.to_string_lossy()),
        units::count(addresses as u64),
        units::bytes(blocks.len() as u64)
    ));
    print(&text)
}

/// The file to copy and the file to make. Names go into the last segment.
fn paths(args: &PackArgs, capture: &Capture) -> Result<(PathBuf, PathBuf), CliError> {
    let refused = |reason: &str| CliError::Refused(format!("cannot pack {}: {reason}", args.capture.display()));
    let paths = capture.paths();
    let source = paths.last().cloned().unwrap_or_else(|| args.capture.clone());
    match &args.output {
        Some(_) if paths.len() > 1 => Err(refused("it has several segments, and -o names one file; pack it in place")),
        Some(output) => Ok((source, output.clone())),
        None if capture.profile.end.kind == EndKind::Running => {
            Err(refused("it is still being written; wait for its end, or pack a copy with -o"))
        }
        None => Ok((source.clone(), source)),
    }
}

/// Looks up every address of every stack, in each module that was ever mapped there. Those packed before are left out.
fn name_addresses(capture: &Capture, symbolizer: &mut Symbolizer<'_>) -> Vec<Named> {
    let profile = &capture.profile;
    let mut addresses: Vec<u64> = profile
        .stacks
        .ids()
        .filter_map(|id| match profile.stacks.node(id)?.1 {
            model::Frame::Address(address) => Some(address),
            _ => None,
        })
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    let named = |info: &ModuleInfo| {
        let id = ModuleId(info.module.id);
        let inside = addresses.iter().filter(|address| (info.module.start..info.module.end).contains(address));
        let mut found = Vec::new();
        for address in inside.copied() {
            if symbolizer.is_packed(id, address) {
                continue;
            }
            let frames = symbolizer.address_in(info, address);
            if frames.iter().any(|frame| frame.function.is_some()) {
                found.push((address, frames.to_vec()));
            }
        }
        (id, found)
    };
    profile.modules.iter().map(named).collect()
}

/// The blocks to append.
fn blocks(capture: &Capture, named: &[Named]) -> Result<Vec<u8>, CliError> {
    let session = capture.profile.header.session;
    let mut next = 0;
    capture.scan(&mut |found| {
        if let Found::Block { header, .. } = found
            && header.session == session
        {
            next = next.max(header.sequence.saturating_add(1));
        }
    })?;
    let mut writer = BlockWriter::new(session);
    writer.set_next_sequence(next);
    let mut bytes = Vec::new();
    for (module, addresses) in named {
        for part in addresses.chunks(RECORD_ADDRESSES) {
            push(&mut writer, &mut bytes, *module, part);
        }
    }
    writer.finish(&mut bytes);
    Ok(bytes)
}

fn push(writer: &mut BlockWriter, bytes: &mut Vec<u8>, module: ModuleId, addresses: &[(u64, Vec<Frame>)]) {
    if writer.pending_bytes() > BLOCK_BYTES {
        writer.finish(bytes);
    }
    if writer.push(&Record::Symbols(symbols(module, addresses))) {
        return;
    }
    writer.finish(bytes);
    // One address alone always fits: names are capped, and so are the frames at one address.
    if addresses.len() > 1 {
        let (first, second) = addresses.split_at(addresses.len() / 2);
        push(writer, bytes, module, first);
        push(writer, bytes, module, second);
    }
}

fn symbols(module: ModuleId, addresses: &[(u64, Vec<Frame>)]) -> Symbols {
    let mut strings = Vec::new();
    let mut positions: HashMap<String, u32> = HashMap::new();
    let mut position = |text: Option<&str>| {
        let Some(text) = text else { return u32::MAX };
        *positions.entry(text.to_owned()).or_insert_with(|| {
            strings.push(text.to_owned());
            u32::try_from(strings.len() - 1).unwrap_or(u32::MAX)
        })
    };
    let mut symbolized = Vec::with_capacity(addresses.len());
    for (address, frames) in addresses {
        let frame = |frame: &Frame| SymbolizedFrame {
            function: position(frame.function.as_deref()),
            file: position(frame.file.as_deref()),
            line: frame.line.unwrap_or(0),
        };
        symbolized.push(SymbolizedAddress { address: *address, frames: frames.iter().map(frame).collect() });
    }
    Symbols { module: module.0, strings, addresses: symbolized }
}

/// Copies `source`, appends the blocks, and puts the result in place at once. Only a file that is packed in place is
/// replaced.
fn write(source: &Path, target: &Path, is_new: bool, blocks: &[u8]) -> Result<(), CliError> {
    let failed = |source: io::Error| CliError::Write { path: target.to_owned(), source };
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = NamedTempFile::new_in(folder).map_err(failed)?;
    let mut original = File::open(source).map_err(failed)?;
    io::copy(&mut original, &mut file).map_err(failed)?;
    file.write_all(blocks).map_err(failed)?;
    let permissions = original.metadata().map_err(failed)?.permissions();
    fs::set_permissions(file.path(), permissions).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let placed = if is_new { file.persist_noclobber(target) } else { file.persist(target) };
    placed.map(drop).map_err(|error| failed(error.error))
}
