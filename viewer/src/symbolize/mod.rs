//! Turns return addresses into functions, files and lines: the [`Symbolizer`] asks the symbols packed into the capture
//! first, then the binaries, and names nothing that it is not sure of.
//!
//! A binary is used when its build id equals the one in the capture; else there are addresses and a warning. Every
//! frame is a return address, so the instruction before it is looked up. Each address is looked up once; many are looked up
//! ahead, on several threads.

mod ahead;
mod demangle;
mod die_names;
mod finder;
mod frame;
mod image;
mod names;
mod packed;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use foldhash::fast::RandomState;
use plimsoll_format::Module;

use crate::model::{self, ModuleId, ModuleInfo, Profile, StackId};

pub(crate) use demangle::demangle;
use die_names::DieNames;
use finder::Finder;
pub use frame::Frame;
use image::Image;
use names::Known;
pub use names::Names;
use packed::Packed;

/// Said when stacks were cut.
const TOO_MANY_FRAMES: &str =
    "the outer frames of some stacks are left out: their stacks are deeper than a capture of this size may bring";

/// Looks up the frames of a capture's stacks; see the [module](self).
#[derive(Debug)]
pub struct Symbolizer<'p> {
    profile: &'p Profile,
    finder: Finder,
    packed: Packed,
    images: HashMap<u32, Loaded, RandomState>,
    known: Known,
    /// For names with their generic arguments: by module, once asked for.
    die_names: HashMap<u32, Option<DieNames>, RandomState>,
    warnings: BTreeSet<String>,
    /// Frames that stacks may have before they are cut: each of many stacks may be as deep as the file is long.
    frames_left: usize,
}

/// Frames of a stack that are shown when a capture has used up its frames.
const LEAST_FRAMES: usize = 8;

/// What is known of a module.
#[derive(Debug)]
struct Loaded {
    /// File name of the module.
    name: Arc<str>,
    /// The file with its symbols, `None` when none was found.
    path: Option<PathBuf>,
    /// What was opened there; `None` also when that failed.
    image: Option<Image>,
    /// Another look may find better: nothing was found, or there is a warning.
    is_doubtful: bool,
}

impl<'p> Symbolizer<'p> {
    /// A symbolizer for `profile` that also looks for binaries and debug files in `directories`.
    pub fn new(profile: &'p Profile, directories: &[PathBuf]) -> Symbolizer<'p> {
        Symbolizer {
            profile,
            finder: Finder::new(directories),
            packed: Packed::new(&profile.symbols),
            images: HashMap::default(),
            known: Known::default(),
            die_names: HashMap::default(),
            warnings: BTreeSet::new(),
            frames_left: profile.limits().frames,
        }
    }

    /// The same, that knows what an earlier one has [kept](Symbolizer::keep_names).
    pub fn with_names(profile: &'p Profile, directories: &[PathBuf], names: &Names) -> Symbolizer<'p> {
        Symbolizer { known: names.of(profile), ..Symbolizer::new(profile, directories) }
    }

    /// Keeps for later what this one has found and is sure of.
    pub fn keep_names(self, names: &Names) {
        let (mut known, images) = (self.known, self.images);
        known.frames.retain(|(module, _), _| !images.get(module).is_some_and(|loaded| loaded.is_doubtful));
        names.keep(self.profile, known);
    }

    /// A symbolizer that opens no file: it names what the capture itself names.
    pub(crate) fn without_files(profile: &'p Profile) -> Symbolizer<'p> {
        Symbolizer { finder: Finder::none(), ..Symbolizer::new(profile, &[]) }
    }

    /// All frames of a stack, innermost first, as of `ticks` (modules come and go).
    pub fn stack(&mut self, stack: StackId, ticks: u64) -> Vec<Frame> {
        let profile = self.profile;
        let mut frames = Vec::new();
        for call in profile.stacks.frames(stack) {
            if self.frames_left == 0 && frames.len() >= LEAST_FRAMES {
                self.warnings.insert(TOO_MANY_FRAMES.to_owned());
                frames.push(Frame::marker("[outer frames left out]"));
                break;
            }
            let before = frames.len();
            match call {
                model::Frame::Address(address) => frames.extend(self.address(address, ticks).iter().cloned()),
                model::Frame::Truncated => frames.push(Frame::marker("[outer frames cut off]")),
                model::Frame::Broken => frames.push(Frame::marker("[outer frames not unwound]")),
                model::Frame::Unknown => frames.push(Frame::marker("[outer frames lost]")),
            }
            self.frames_left = self.frames_left.saturating_sub(frames.len() - before);
        }
        if frames.is_empty() {
            frames.push(Frame::marker("[unknown stack]"));
        }
        frames
    }

    /// The frames of one return address, innermost first; all but the last were inlined. Never empty.
    pub fn address(&mut self, address: u64, ticks: u64) -> Arc<[Frame]> {
        match self.profile.modules.find(address, ticks) {
            Some(info) => self.address_in(info, address),
            None => Arc::new([Frame::unknown(address, None, address)]),
        }
    }

    /// The same for an address that is known to lie in a module.
    pub fn address_in(&mut self, info: &ModuleInfo, address: u64) -> Arc<[Frame]> {
        let key = (info.module.id, address);
        if let Some(frames) = self.known.frames.get(&key) {
            return Arc::clone(frames);
        }
        let frames: Arc<[Frame]> = self.look_up(info, address).into();
        self.known.frames.insert(key, Arc::clone(&frames));
        frames
    }

    /// The short names of the frames of one return address with their generic arguments, as in `push<u32, alloc::alloc::Global>`, in the
    /// order of [`Symbolizer::address`]; empty where nothing is known, as of names that the capture itself holds.
    pub fn short_names(&mut self, address: u64, ticks: u64) -> Arc<[Option<Arc<str>>]> {
        let Some(info) = self.profile.modules.find(address, ticks) else { return Arc::default() };
        let key = (info.module.id, address);
        if let Some(names) = self.known.short_names.get(&key) {
            return Arc::clone(names);
        }
        let Some(path) = self.loaded(&info.module).path.clone() else { return Arc::default() };
        let names = self.die_names.entry(info.module.id).or_insert_with(|| DieNames::open(&path));
        let offset = address.wrapping_sub(info.module.bias).wrapping_sub(1);
        let found: Arc<[_]> = names.as_ref().map(|names| names.at(offset)).unwrap_or_default().into();
        self.known.short_names.insert(key, Arc::clone(&found));
        found
    }

    /// Whether the capture itself names an address.
    pub fn is_packed(&self, module: ModuleId, address: u64) -> bool {
        self.packed.frames(module, address).is_some()
    }

    /// What a reader should know about missing or doubtful symbols, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.iter().cloned().collect()
    }

    fn look_up(&mut self, info: &ModuleInfo, address: u64) -> Vec<Frame> {
        let module = &info.module;
        let offset = address.wrapping_sub(module.bias);
        if let Some(frames) = self.packed.frames(ModuleId(module.id), address) {
            let name: Arc<str> = module_name(module).into();
            return frame::from_source(frames, &name, address, offset);
        }
        let loaded = self.loaded(module);
        let found = loaded.image.as_ref().map(|image| image.frames(offset.wrapping_sub(1))).unwrap_or_default();
        if found.is_empty() {
            return vec![Frame::unknown(address, Some(&loaded.name), offset)];
        }
        frame::from_source(found, &loaded.name, address, offset)
    }

    /// A module's symbols, opened when they are first asked for.
    fn loaded(&mut self, module: &Module) -> &Loaded {
        let (finder, warnings) = (&self.finder, &mut self.warnings);
        self.images.entry(module.id).or_insert_with(|| load(finder, module, warnings))
    }
}

fn load(finder: &Finder, module: &Module, warnings: &mut BTreeSet<String>) -> Loaded {
    let found = finder.find(module);
    let has_warning = found.warning.is_some();
    warnings.extend(found.warning);
    let image = found.path.as_ref().and_then(|path| match Image::open(path) {
        Ok(image) => Some(image),
        Err(error) => {
            warnings.insert(format!("no symbols for {}: {}: {error}", module.path, path.display()));
            None
        }
    });
    let is_doubtful = has_warning || image.is_none();
    Loaded { name: module_name(module).into(), path: found.path.filter(|_| image.is_some()), image, is_doubtful }
}

/// File name of a module for display.
fn module_name(module: &Module) -> String {
    let name = module.path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() { format!("module {}", module.id) } else { name.to_owned() }
}
