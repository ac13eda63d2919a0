//! The arena of section 15: put together by hand as it says, and read by the crate.

use plimsoll_format::{
    ARENA_WORDS_AT, ArenaInfo, Event, LossCause, Mode, NoArena, PackState, Reader, Record, Remains, StackNode,
};
use proptest::prelude::*;

use crate::samples::{alloc, free};

const CHUNK_BYTES: usize = 1024;

fn info() -> ArenaInfo {
    ArenaInfo {
        session: 7,
        pid: 42,
        start_time: 1,
        boot_id: "boot".into(),
        pid_namespace: "pid:[1]".into(),
        program: "service".into(),
        capture: b"/captures/run.plim".to_vec(),
        oom_file: String::new(),
        mode: Mode::Exact,
        ring_positions: 4,
        journal_entries: 4,
        chunks: 3,
        chunk_bytes: CHUNK_BYTES as u32,
    }
}

/// An arena with nothing in its tables.
fn empty() -> Vec<u8> {
    let mut bytes = info().header().expect("it fits");
    // 8192 + 4096 (ring) + 4096 (journal) + 4096 (chunks)
    bytes.resize(20_480, 0);
    bytes
}

fn set(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn word(bytes: &mut [u8], number: usize, value: u64) {
    set(bytes, ARENA_WORDS_AT + 8 * number, value);
}

/// Fills a chunk with a thread's events; gives back where each of them ends.
fn chunk(bytes: &mut [u8], number: usize, thread: u32, events: &[Event]) -> Vec<u64> {
    let start = 16_384 + number * CHUNK_BYTES;
    let mut state = PackState { thread, interval_bytes: 1, ..PackState::default() };
    let (mut at, mut ends) = (0, Vec::new());
    for event in events {
        let mut room = [0; 64];
        let length = state.pack(&Event { thread, ..*event }, &mut room).expect("there is room");
        bytes[start + 32 + at..][..length].copy_from_slice(&room[..length]);
        at += length;
        ends.push(at as u64);
    }
    set(bytes, start, at as u64 | (events.len() as u64) << 32);
    set(bytes, start + 8, u64::from(thread));
    ends
}

/// Ticks of the events that an arena gives, in order.
fn ticks(remains: &Remains) -> Vec<u64> {
    let events = remains.events.iter().flat_map(|events| plimsoll_format::unpack(events.state, &events.packed));
    events.map(|event| event.expect("it is whole").ticks).collect()
}

#[test]
fn chunks_give_what_the_capture_lacks() {
    let mut bytes = empty();
    let events = [alloc(10, 0x100, 16, 1), alloc(11, 0x200, 16, 1), free(12, 0x100)];
    let ends = chunk(&mut bytes, 0, 5, &events);
    let start = 16_384;
    let mut check = |epoch: u64, written: u64, (statement, taken): (u64, u64), expected: &[u64]| {
        word(&mut bytes, 0, epoch);
        set(&mut bytes, start + 16, written);
        set(&mut bytes, start + 24, statement << 32 | taken);
        let remains = Remains::of(&bytes).expect("an arena");
        assert_eq!(ticks(&remains), expected, "epoch {epoch}, written {written}, taken {taken} by {statement}");
        assert_eq!((remains.count, remains.threads), (expected.len() as u64, u32::from(!expected.is_empty())));
    };
    check(8, 0, (0, 0), &[10, 11, 12]);
    // Taken, and the statement that says so is in force, or long past.
    check(8, 0, (8, ends[0]), &[11, 12]);
    check(9, 0, (8, ends[1]), &[12]);
    // Taken for a statement that was never made: what was written before counts.
    check(8, ends[0], (9, ends[2]), &[11, 12]);
    check(8, 0, (9, ends[2]), &[10, 11, 12]);
    check(9, 0, (9, ends[2]), &[]);
    // Beyond what is there.
    check(9, 0, (9, 5000), &[]);
}

#[test]
fn chunks_of_a_thread_come_in_its_order_and_have_its_state() {
    let mut bytes = empty();
    chunk(&mut bytes, 0, 5, &[alloc(30, 0x300, 16, 1)]);
    chunk(&mut bytes, 1, 5, &[alloc(10, 0x100, 16, 1), free(20, 0x100)]);
    chunk(&mut bytes, 2, 6, &[alloc(15, 0x500, 16, 1)]);
    let remains = Remains::of(&bytes).expect("an arena");
    assert_eq!(ticks(&remains), [10, 20, 15, 30]);
    assert_eq!((remains.threads, remains.newest_ticks), (2, 30));
}

#[test]
fn the_ring_gives_the_events_from_the_statement_on() {
    let mut bytes = empty();
    // Numbers 5 to 8 of all: positions 1, 2, 3 and 0; number 7 is still being written.
    for (number, turn) in [(5u64, 3), (6, 3), (7, 2), (8, 5)] {
        let position = 8192 + (number as usize % 4) * 56;
        let values = [turn, 100 + number, 0x10 * number, 64, 1, 9 | 3 << 32, 0];
        values.into_iter().enumerate().for_each(|(at, value)| set(&mut bytes, position + 8 * at, value));
    }
    let mut check = |taken: u64, expected: &[u64]| {
        word(&mut bytes, 3, taken);
        assert_eq!(ticks(&Remains::of(&bytes).expect("an arena")), expected, "{taken} taken");
    };
    check(5, &[105, 106, 108]);
    check(6, &[106, 108]);
    check(9, &[]);
}

#[test]
fn statements_nodes_and_losses_are_read() {
    let mut bytes = empty();
    let statements = [(1, 0), (2, 1000), (3, 0), (4, 1), (5, 2000), (6, 0), (7, 77), (8, 1), (9, 3)];
    statements.into_iter().for_each(|(at, value)| word(&mut bytes, at, value));
    // Of LiveTableFull, the fourth cause.
    [(28, 2), (29, 64), (30, 1)].into_iter().for_each(|(at, value)| word(&mut bytes, at, value));
    for (at, id, parent) in [(0, 4u64, 1u64), (1, 1, 0), (2, 0, 1), (3, 3, 3)] {
        set(&mut bytes, 12_288 + 16 * at, 0x1000 + id);
        set(&mut bytes, 12_288 + 16 * at + 8, parent | id << 32);
    }
    let even = Remains::of(&bytes).expect("an arena");
    assert_eq!((even.segment, even.written_bytes, even.last_ticks), (0, 1000, 77));
    assert_eq!((even.oom_kills_before, even.oom_kills_after), (Some(0), Some(2)));
    // The entry that was being written, and the one that is its own caller, are none.
    let node = |id: u32, parent| StackNode { id, parent, address: 0x1000 + u64::from(id) };
    assert_eq!(even.nodes, [node(1, 0), node(4, 1)]);
    let losses: Vec<_> =
        even.losses.iter().map(|loss| (loss.cause, loss.allocations, loss.bytes, loss.frees)).collect();
    assert_eq!(losses, [(LossCause::LiveTableFull, 2, 64, 1)]);
    word(&mut bytes, 0, 1);
    let odd = Remains::of(&bytes).expect("an arena");
    assert_eq!((odd.segment, odd.written_bytes), (1, 2000));
}

#[test]
fn remains_become_a_file_of_the_session() {
    let mut bytes = empty();
    chunk(&mut bytes, 0, 5, &[alloc(10, 0x100, 16, 1)]);
    let remains = Remains::of(&bytes).expect("an arena");
    let mut reader = Reader::new();
    reader.feed(&remains.to_file(90));
    reader.end();
    let mut records = Vec::new();
    while let Some(item) = reader.next_item() {
        let plimsoll_format::Item::Block(block) = item else { panic!("nothing is damaged") };
        assert_eq!((block.header.session, block.header.sequence), (7, 90));
        records.extend(block.records().map(|record| record.expect("known")));
    }
    assert!(matches!(records[..], [Record::Events(_), Record::Watermark { ticks: 10 }]), "{records:?}");
}

#[test]
fn what_is_no_arena_is_refused() {
    let whole = empty();
    assert_eq!(Remains::of(b""), Err(NoArena::NotAnArena));
    assert_eq!(Remains::of(&[0; 9000]), Err(NoArena::NotAnArena), "its process died before it was made");
    let mut newer = whole.clone();
    newer[8] = 2;
    assert_eq!(Remains::of(&newer), Err(NoArena::Version(2)));
    let mut damaged = whole.clone();
    damaged[25] ^= 1;
    assert_eq!(Remains::of(&damaged), Err(NoArena::Damaged));
    let huge = ArenaInfo { chunks: u32::MAX, chunk_bytes: u32::MAX - 7, ..info() };
    assert_eq!(Remains::of(&huge.header().expect("it fits")), Err(NoArena::Damaged));
    // Cut off anywhere behind the header, what is there is read.
    (8192..whole.len()).step_by(37).for_each(|end| assert!(Remains::of(&whole[..end]).is_ok()));
}

proptest! {
    #[test]
    fn hostile_tables_never_panic(tables in prop::collection::vec(any::<u8>(), 0..13_000), at in 7168usize..8192) {
        let mut bytes = empty();
        let end = bytes.len().min(at + tables.len());
        bytes[at..end].copy_from_slice(&tables[..end - at]);
        let remains = Remains::of(&bytes).expect("its header is whole");
        remains.to_file(0);
    }
}
