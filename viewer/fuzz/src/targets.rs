//! The targets. Each panics where a promise is broken, and does nothing else.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;

use plimsoll_format::control::{Answer, BadFrame, MAGIC, Request, VERSION};
use plimsoll_format::{Block, BlockWriter, Damage, Item, Reader, Record, unpack};

/// Session of the captures made here.
const SESSION: u64 = 7;

fn read(bytes: &[u8], piece: usize) -> (Vec<Block>, Vec<Damage>) {
    let (mut blocks, mut damage) = (Vec::new(), Vec::new());
    let mut reader = Reader::new();
    let mut take = |reader: &mut Reader| {
        while let Some(item) = reader.next_item() {
            match item {
                Item::Block(block) => blocks.push(block),
                Item::Damage(region) => damage.push(region),
            }
        }
    };
    for piece in bytes.chunks(piece.max(1)) {
        reader.feed(piece);
        take(&mut reader);
    }
    reader.end();
    take(&mut reader);
    (blocks, damage)
}

/// A block around any payload, with the CRC that belongs there.
fn block(payload: &[u8], codec: u8, raw_bytes: u32, session: u64, sequence: u64) -> Vec<u8> {
    let mut header = vec![codec, sequence.is_multiple_of(8).into(), 0, 0];
    header.extend((payload.len() as u32).to_le_bytes());
    header.extend(raw_bytes.to_le_bytes());
    header.extend(session.to_le_bytes());
    header.extend(sequence.to_le_bytes());
    header.extend([0; 4]);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header);
    hasher.update(payload);
    [&[0xf5, b'P', b'L', 0xb1][..], &header, &hasher.finalize().to_le_bytes(), payload].concat()
}

/// A file of blocks whose CRCs hold: pieces of `data`, each behind a byte that says what is done to it.
fn blocks_of(mut data: &[u8]) -> Vec<u8> {
    let mut file = plimsoll_format::file_header().to_vec();
    let mut sequence = 0;
    while let Some(([how, low, high], rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (payload, rest) = rest.split_at(length.min(rest.len()));
        data = rest;
        let raw_bytes = if how & 1 == 0 { payload.len() } else { payload.len() * 16 } as u32;
        let session = SESSION + u64::from(how & 0x70 == 0x70);
        // Some come twice, some are missing, some come late.
        match how & 0x0e {
            0x0e => sequence += 2,
            0x0c => sequence = u64::saturating_sub(sequence, 2),
            0x0a => file.extend_from_slice(payload),
            _ => {}
        }
        file.extend(block(payload, how & 1, raw_bytes, session, sequence));
        sequence += 1;
    }
    file
}

/// Blocks are found wherever the bytes are cut, cover no byte twice, and of bytes that were framed none is damaged.
pub fn frames(data: &[u8]) {
    let Some((how, data)) = data.split_first() else { return };
    let file = if how & 1 == 0 { data.to_vec() } else { blocks_of(data) };
    let (blocks, damage) = read(&file, file.len());
    let (in_pieces, same_damage) = read(&file, usize::from(how / 2) + 1);
    let offsets = |blocks: &[Block]| blocks.iter().map(|block| (block.offset, block.header)).collect::<Vec<_>>();
    assert_eq!(offsets(&blocks), offsets(&in_pieces));
    assert_eq!(damage, same_damage);
    let header = if file.starts_with(b"PLIMSOLL") && file.len() >= 16 { 16 } else { 0 };
    let covered: u64 = blocks.iter().map(|block| 40 + u64::from(block.header.payload_bytes)).sum();
    let damaged: u64 = damage.iter().map(|region| region.bytes).sum();
    assert_eq!(header + covered + damaged, file.len() as u64);
    blocks.iter().for_each(|block| drop(block.try_records().map(Iterator::count)));
}

/// Records are bounded by their bytes, and what was decoded is encoded and decoded again to the same.
pub fn records(data: &[u8]) {
    let file = block(data, 0, data.len() as u32, SESSION, 0);
    let (blocks, damage) = read(&file, file.len());
    assert!(blocks.len() == 1 && damage.is_empty());
    let mut writer = BlockWriter::new(SESSION);
    let mut known = Vec::new();
    for record in blocks.iter().flat_map(Block::records).flatten() {
        if let Record::Events(events) = &record {
            let unpacked = unpack(events.state, &events.packed).take_while(Result::is_ok).count();
            assert!(unpacked <= events.packed.len());
        }
        assert!(writer.push(&record), "it came from a block, so it fits one");
        known.push(format!("{record:?}"));
    }
    let mut again = Vec::new();
    writer.finish(&mut again);
    let (blocks, _) = read(&again, again.len());
    let again =
        blocks.iter().flat_map(Block::records).map(|record| format!("{:?}", record.expect("it was encoded here")));
    assert!(known.iter().eq(again.collect::<Vec<_>>().iter()));
}

/// Names are shown without what a terminal or a page would act on, and end.
pub fn names(data: &[u8]) {
    plimsoll_viewer::probe::names(&String::from_utf8_lossy(data));
}

thread_local! {
    /// Where this thread keeps its capture: in memory where the system has such a place.
    static CAPTURE: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

fn capture_path() -> PathBuf {
    CAPTURE.with_borrow_mut(|path| {
        let new = || {
            let shared = PathBuf::from("/dev/shm");
            let folder = if shared.is_dir() { shared } else { std::env::temp_dir() };
            let thread = std::thread::current().id();
            let folder = folder.join(format!("plimsoll-fuzz-{}-{thread:?}", std::process::id()));
            let _ = fs::create_dir_all(&folder);
            folder.join("capture")
        };
        path.get_or_insert_with(new).clone()
    })
}

/// A capture is read, replayed and reported, whatever is in it. Half of them are framed so that their blocks are whole.
pub fn capture(data: &[u8]) {
    let Some((how, data)) = data.split_first() else { return };
    let file = if how & 1 == 0 { data.to_vec() } else { blocks_of(data) };
    let path = capture_path();
    if fs::write(&path, file).is_ok() {
        let _ = plimsoll_viewer::probe::capture(&path);
    }
}

/// A frame around any payload.
fn control_frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    [&MAGIC[..], &VERSION.to_le_bytes(), &[0; 2], &length, payload].concat()
}

/// What one side of the control protocol makes of bytes: the same as of what it would send itself, and of a part of a message
/// nothing but that more is to come.
fn control_message<T: std::fmt::Debug + PartialEq>(
    bytes: &[u8],
    read: fn(&[u8]) -> Result<Option<T>, BadFrame>,
    frame: fn(&T) -> Vec<u8>,
) -> Option<T> {
    let message = read(bytes).ok().flatten()?;
    let again = frame(&message);
    assert!(again.len() <= bytes.len());
    assert_eq!(read(&again).as_ref(), Ok(&Some(message)));
    let parts = (0..again.len()).filter_map(|length| again.get(..length));
    parts.for_each(|part| assert_eq!(read(part), Ok(None)));
    read(&again).ok().flatten()
}

/// Requests and answers of the control protocol are bounded, and come out as they went in; answers are shown as one safe
/// line.
pub fn control(data: &[u8]) {
    let Some((how, data)) = data.split_first() else { return };
    let bytes = if how & 1 == 0 { data.to_vec() } else { control_frame(data) };
    control_message(&bytes, Request::from_frame, Request::to_frame);
    if let Some(answer) = control_message(&bytes, Answer::from_frame, Answer::to_frame) {
        let text = plimsoll_viewer::present::answer_text(&answer);
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}
