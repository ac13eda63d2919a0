//! A second, plain reader of blocks and packed events, written from `FORMAT.md` alone. It reads only captures that
//! are whole; what to do with damage is the crate's business.

use std::io::Read;

use plimsoll_format::{Event, EventKind};

use crate::schema::{Schema, Value, unzigzag, varint};

/// One block as section 4 describes it.
pub(crate) struct PlainBlock {
    pub(crate) keyframe: bool,
    pub(crate) session: u64,
    pub(crate) sequence: u64,
    pub(crate) records: Vec<Value>,
}

/// Reads a whole capture; panics on anything that is not as written.
pub(crate) fn read_capture(file: &[u8]) -> Vec<PlainBlock> {
    let schema = Schema::of_format_md();
    assert_eq!(&file[..8], b"PLIMSOLL");
    assert_eq!(number(&file[8..10]), 1, "version");
    assert_eq!(number(&file[10..12]), 0, "reserved");
    assert_eq!(number(&file[12..16]), u64::from(crc32(&file[..12])), "CRC of the file header");
    let mut rest = &file[16..];
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let stored = number(&rest[8..12]) as usize;
        let (block, after) = rest.split_at(40 + stored);
        blocks.push(read_block(&schema, block));
        rest = after;
    }
    blocks
}

fn read_block(schema: &Schema, block: &[u8]) -> PlainBlock {
    let (header, stored) = block.split_at(40);
    assert_eq!(header[..4], [0xf5, 0x50, 0x4c, 0xb1], "magic");
    assert_eq!((header[5] & !1, number(&header[6..8]), number(&header[32..36])), (0, 0, 0));
    let checked = [&header[4..36], stored].concat();
    assert_eq!(number(&header[36..40]), u64::from(crc32(&checked)), "CRC of the block");
    let content = decompress(header[4], stored);
    assert_eq!(number(&header[12..16]), content.len() as u64, "bytes after decompression");
    let mut payload = content.as_slice();
    let mut records = Vec::new();
    while !payload.is_empty() {
        let length = varint(&mut payload).expect("a record's length") as usize;
        let (mut body, after) = payload.split_at(length);
        let mut record = schema.decode("Record", &mut body).expect("a record");
        if header[4] == 1 {
            // The writer sorts what it compresses.
            unsort(&mut record);
        }
        records.push(record);
        assert!(body.is_empty(), "fields that the contract does not list");
        payload = after;
    }
    PlainBlock {
        keyframe: header[5] == 1,
        session: number(&header[16..24]),
        sequence: number(&header[24..32]),
        records,
    }
}

/// Puts events of packing 2 into packing 1, by section 6.
fn unsort(record: &mut Value) {
    let Value::Variant(7, _, Some(events)) = record else { return };
    let Value::Struct(_, fields) = &mut **events else { panic!("Events is a struct") };
    let [(_, packing), _, (_, count), (_, packed)] = &mut fields[..] else { panic!("Events has four fields") };
    if *packing != Value::Byte(2) {
        return;
    }
    let Value::List(list) = packed else { panic!("packed is a list") };
    let bytes: Vec<u8> = list.iter().map(|byte| if let Value::Byte(byte) = byte { *byte } else { 0 }).collect();
    let mut rest = &bytes[..];
    let lengths: Vec<usize> = (0..4).map(|_| leb128(&mut rest) as usize).collect();
    let mut columns: Vec<&[u8]> = Vec::new();
    for length in lengths {
        let (column, after) = rest.split_at(length);
        columns.push(column);
        rest = after;
    }
    columns.push(rest);
    let (mut rows, mut events) = (Vec::new(), 0);
    while let Some((operation, after)) = columns[0].split_first() {
        columns[0] = after;
        rows.push(*operation);
        let numbers: &[usize] = match operation {
            0 | 3 => &[1, 2, 3, 4],
            1 | 2 | 4 => &[1, 2],
            _ => &[0],
        };
        for column in numbers {
            let before = columns[*column];
            leb128(&mut columns[*column]);
            rows.extend_from_slice(&before[..before.len() - columns[*column].len()]);
        }
        events += u64::from(*operation < 8);
    }
    assert!(*count == Value::Unsigned(events) && columns.iter().all(|column| column.is_empty()));
    (*packing, *packed) = (Value::Byte(1), Value::List(rows.into_iter().map(Value::Byte).collect()));
}

/// The content of a payload, by a decoder that shares no code with the one of the crate.
fn decompress(codec: u8, stored: &[u8]) -> Vec<u8> {
    match codec {
        0 => stored.to_vec(),
        1 => {
            let mut content = Vec::new();
            let mut rest = stored;
            while !rest.is_empty() {
                let mut frame = ruzstd::decoding::StreamingDecoder::new(&mut rest).expect("a zstd frame");
                frame.read_to_end(&mut content).expect("its content");
            }
            content
        }
        other => panic!("codec {other}"),
    }
}

/// The state of section 6.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) ticks: u64,
    pub(crate) address: u64,
    pub(crate) stack: u32,
    pub(crate) thread: u32,
    pub(crate) tag: u32,
    pub(crate) interval_bytes: u64,
}

/// Unpacks events by section 6; panics on bytes that are not as written.
pub(crate) fn unpack_events(mut state: State, mut packed: &[u8]) -> (Vec<Event>, State) {
    let mut events = Vec::new();
    while let Some((operation, rest)) = packed.split_first() {
        packed = rest;
        let kind = match operation {
            0 => EventKind::Alloc,
            1 => EventKind::Free,
            2 => EventKind::ReallocFree,
            3 => EventKind::ReallocAlloc,
            4 => EventKind::ReallocUndo,
            8 => {
                state.tag = leb128(&mut packed) as u32;
                continue;
            }
            9 => {
                state.thread = leb128(&mut packed) as u32;
                continue;
            }
            10 => {
                state.interval_bytes = leb128(&mut packed);
                continue;
            }
            other => panic!("operation {other}"),
        };
        state.ticks = state.ticks.wrapping_add(leb128(&mut packed));
        state.address = state.address.wrapping_add_signed(unzigzag(leb128(&mut packed)));
        let mut size_bytes = 0;
        let mut stack = 0;
        if matches!(operation, 0 | 3) {
            size_bytes = leb128(&mut packed);
            stack = (i64::from(state.stack) + unzigzag(leb128(&mut packed))) as u32;
            state.stack = stack;
        }
        events.push(Event {
            kind,
            ticks: state.ticks,
            address: state.address.rotate_left(4),
            size_bytes,
            stack,
            thread: state.thread,
            tag: state.tag,
            interval_bytes: state.interval_bytes,
        });
    }
    (events, state)
}

fn leb128(input: &mut &[u8]) -> u64 {
    let length = 1 + input.iter().take_while(|byte| **byte >= 0x80).count();
    let (number, rest) = input.split_at(length);
    *input = rest;
    number.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// CRC-32 as section 2 names it, one bit at a time.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
