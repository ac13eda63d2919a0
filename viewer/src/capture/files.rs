//! Finds the files of a capture: the one that was named and the segments beside it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use plimsoll_format::{FILE_HEADER_BYTES, FILE_MAGIC, Header, Item, Reader, Record, VERSION, parse_file_header};

use crate::model::SegmentInfo;

use super::error::LoadError;

/// Bytes read at once.
pub(super) const READ_BYTES: usize = 1 << 20;
/// A file without the file magic and without a block in its first bytes is no capture, however long it is.
const SEARCH_BYTES: u64 = 16 << 20;

/// An open segment.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) path: PathBuf,
    input: Input,
    /// Its number in the session.
    pub(crate) number: u32,
    /// Length when it was opened: no pass reads further.
    pub(crate) bytes: u64,
    /// Events in blocks from this offset on are read elsewhere.
    pub(super) events_until: Option<u64>,
    /// Where it says that its process's arena is.
    pub(super) arena: Option<PathBuf>,
}

/// Where a segment's bytes are.
#[derive(Debug)]
enum Input {
    File(File),
    Bytes(Vec<u8>),
}

/// The files of one session, in order.
pub(super) struct FoundFiles {
    pub(super) files: Vec<SegmentFile>,
    pub(super) session: u64,
    /// Name of the first one, whether it is there or not.
    pub(super) base: PathBuf,
    pub(super) warnings: Vec<String>,
}

impl SegmentFile {
    pub(super) fn info(&self) -> SegmentInfo {
        SegmentInfo { path: self.path.clone(), number: self.number, bytes: self.bytes }
    }

    /// The file's bytes from the start, up to the length it had when it was opened.
    pub(super) fn bytes_from_start(&self) -> Result<impl Read + '_, LoadError> {
        self.bytes_from(0)
    }

    /// A segment that is no file of its own.
    pub(super) fn of_bytes(path: PathBuf, number: u32, bytes: Vec<u8>) -> SegmentFile {
        let length = bytes.len() as u64;
        SegmentFile { path, input: Input::Bytes(bytes), number, bytes: length, events_until: None, arena: None }
    }

    /// The file's bytes from an offset on. All readers of a file share its place: one at a time.
    pub(super) fn bytes_from(&self, offset: u64) -> Result<Box<dyn Read + '_>, LoadError> {
        match &self.input {
            Input::File(file) => {
                let mut file = file;
                file.seek(SeekFrom::Start(offset)).map_err(|source| self.read_error(source))?;
                Ok(Box::new(file.take(self.bytes.saturating_sub(offset))))
            }
            Input::Bytes(bytes) => Ok(Box::new(bytes.get(offset as usize..).unwrap_or_default())),
        }
    }

    pub(super) fn read_error(&self, source: io::Error) -> LoadError {
        LoadError::Read { path: self.path.clone(), source }
    }
}

/// Finds all segments of the capture that `path` belongs to.
pub(super) fn find(path: &Path) -> Result<FoundFiles, LoadError> {
    let (base, suffix) = split_name(path);
    let named = match open_file(path) {
        Ok((file, bytes)) => {
            let (segment, session) = identify(path, file, bytes)?;
            // A name that happens to end in a number is its own base.
            let base = if suffix.is_some_and(|suffix| suffix == segment.number) { base } else { path.to_owned() };
            Some((segment, session, base))
        }
        Err(LoadError::Missing { .. }) => None,
        Err(error) => return Err(error),
    };
    let wanted = named.as_ref().map(|(_, session, _)| *session);
    let base = named.as_ref().map_or(path, |(_, _, base)| base);
    let base = base.to_owned();
    let (mut siblings, warnings) = siblings(&base, path, wanted);
    let session = wanted.or_else(|| siblings.iter().max_by_key(|(segment, _)| segment.number).map(|found| found.1));
    let Some(session) = session else { return Err(LoadError::Missing { path: path.to_owned() }) };
    siblings.retain(|sibling| sibling.1 == session);
    let mut files: Vec<SegmentFile> = siblings.into_iter().map(|sibling| sibling.0).collect();
    files.extend(named.map(|named| named.0));
    files.sort_by_key(|segment| segment.number);
    files.dedup_by_key(|segment| segment.number);
    Ok(FoundFiles { files, session, base, warnings })
}

/// The files that a capture consists of for now.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Name of the first one, whether it is there or not.
    pub(crate) base: PathBuf,
    /// The session that they are of.
    pub(crate) session: u64,
    /// Their numbers and names, in order.
    pub(crate) files: Vec<(u32, PathBuf)>,
}

/// Finds the files of the capture that `path` belongs to, and closes them again.
pub(crate) fn parts(path: &Path) -> Result<Parts, LoadError> {
    let FoundFiles { files, session, base, .. } = find(path)?;
    Ok(Parts { base, session, files: files.into_iter().map(|file| (file.number, file.path)).collect() })
}

/// Where segment `number` of a capture is, when it is there.
pub(crate) fn segment_path(base: &Path, number: u32) -> PathBuf {
    let mut name = base.as_os_str().to_owned();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    PathBuf::from(name)
}

/// `NAME.7` as (`NAME`, 7); any other name stays whole.
fn split_name(path: &Path) -> (PathBuf, Option<u32>) {
    let number = path.extension().and_then(|extension| extension.to_str()).and_then(|text| text.parse().ok());
    match number {
        Some(number) => (path.with_extension(""), Some(number)),
        None => (path.to_owned(), None),
    }
}

/// The readable captures among `base` and `base.N`, but for the one already open. When a session is `wanted`, files
/// of others are told as warnings.
fn siblings(base: &Path, named: &Path, wanted: Option<u64>) -> (Vec<(SegmentFile, u64)>, Vec<String>) {
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    for path in sibling_paths(base) {
        if path.file_name() == named.file_name() {
            continue;
        }
        let segment = open_file(&path).and_then(|(file, bytes)| identify(&path, file, bytes));
        match segment {
            Ok((_, session)) if wanted.is_some_and(|wanted| wanted != session) => {
                warnings.push(format!("{} was left out: it belongs to another session", path.display()));
            }
            Ok(segment) => found.push(segment),
            Err(error) => warnings.push(format!("a segment was left out: {error}")),
        }
    }
    (found, warnings)
}

/// `base` and every `base.N` beside it, in order of N.
fn sibling_paths(base: &Path) -> Vec<PathBuf> {
    let folder = base.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = base.file_name() else { return Vec::new() };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut numbers: Vec<u32> = entries.flatten().filter_map(|entry| segment_number(name, entry.file_name())).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let numbered = numbers.into_iter().map(|number| {
        let mut name = name.to_owned();
        name.push(format!(".{number}"));
        base.with_file_name(name)
    });
    let first = base.is_file().then(|| base.to_owned());
    first.into_iter().chain(numbered).collect()
}

fn segment_number(base: &std::ffi::OsStr, name: OsString) -> Option<u32> {
    let rest = name.as_encoded_bytes().strip_prefix(base.as_encoded_bytes())?.strip_prefix(b".")?;
    let text = std::str::from_utf8(rest).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok()).flatten()
}

/// Opens a regular file. What it is is asked before it is opened: opening a pipe would wait for its other end.
fn open_file(path: &Path) -> Result<(File, u64), LoadError> {
    let refused = |source: io::Error| match source.kind() {
        ErrorKind::NotFound => LoadError::Missing { path: path.to_owned() },
        _ => LoadError::Read { path: path.to_owned(), source },
    };
    let metadata = fs::metadata(path).map_err(refused)?;
    if metadata.is_dir() {
        return Err(LoadError::Directory { path: path.to_owned() });
    }
    if !metadata.is_file() {
        return Err(LoadError::NotRegular { path: path.to_owned() });
    }
    let file = File::open(path).map_err(refused)?;
    let bytes = file.metadata().map_err(refused)?.len();
    if bytes == 0 {
        return Err(LoadError::Empty { path: path.to_owned() });
    }
    Ok((file, bytes))
}

/// Which session and segment a file belongs to: its first block's, by the first header record of that session.
fn identify(path: &Path, file: File, bytes: u64) -> Result<(SegmentFile, u64), LoadError> {
    let mut segment = SegmentFile {
        path: path.to_owned(),
        input: Input::File(file),
        number: 0,
        bytes,
        events_until: None,
        arena: None,
    };
    let (session, header, arena) = first_header(&segment)?;
    // Without one the file's name would be a guess too: the first segment is the likeliest to be alone.
    segment.number = header.map_or(0, |header| header.segment);
    segment.arena = arena;
    Ok((segment, session))
}

/// The session of the first block, its header record, `None` when that is lost, and the path of the arena that the same
/// block tells.
fn first_header(segment: &SegmentFile) -> Result<(u64, Option<Header>, Option<PathBuf>), LoadError> {
    let path = || segment.path.clone();
    let mut input = segment.bytes_from_start()?;
    let mut start = Vec::with_capacity(FILE_HEADER_BYTES);
    let prefix = (&mut input).take(FILE_HEADER_BYTES as u64).read_to_end(&mut start);
    prefix.map_err(|source| segment.read_error(source))?;
    if let Some(found) = parse_file_header(&start).filter(|found| *found > VERSION) {
        return Err(LoadError::NewerVersion { path: path(), found, supported: VERSION });
    }
    let has_magic = start.starts_with(&FILE_MAGIC);
    let mut reader = Reader::new();
    reader.feed(&start);
    let mut session = None;
    let mut buffer = vec![0; READ_BYTES];
    let mut read = start.len() as u64;
    loop {
        while let Some(item) = reader.next_item() {
            let Item::Block(block) = item else { continue };
            if *session.get_or_insert(block.header.session) != block.header.session {
                continue;
            }
            let (mut header, mut arena) = (None, None);
            for record in block.records().flatten() {
                match record {
                    Record::Header(found) if header.is_none() => header = Some(found),
                    Record::Arena(place) if !place.path.is_empty() => arena = Some(PathBuf::from(place.path)),
                    _ => {}
                }
            }
            if let Some(header) = header {
                return Ok((block.header.session, Some(header), arena));
            }
        }
        let searched = read >= SEARCH_BYTES && !has_magic && session.is_none();
        let count = if searched { 0 } else { read_some(&mut input, &mut buffer, segment)? };
        match buffer.get(..count) {
            Some(filled) if count > 0 => reader.feed(filled),
            _ if reader.pending_bytes() > 0 && !searched => reader.end(),
            _ if has_magic && session.is_none() => {
                return Err(LoadError::NoHeader { path: path(), bytes: segment.bytes });
            }
            _ => {
                let session = session.ok_or_else(|| LoadError::NotACapture { path: path() })?;
                return Ok((session, None, None));
            }
        }
        read += count as u64;
    }
}

/// Fills `buffer` from `input`; 0 at the end.
pub(super) fn read_some(input: &mut impl Read, buffer: &mut [u8], file: &SegmentFile) -> Result<usize, LoadError> {
    loop {
        match input.read(buffer) {
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(file.read_error(error)),
        }
    }
}
