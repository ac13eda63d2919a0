//! Packed events: what is packed comes back, and by the contract's own reader too.

use plimsoll_format::{Event, EventKind, MAX_EVENT_BYTES, PackState, unpack};
use proptest::prelude::*;

use crate::plain::{State, unpack_events};
use crate::samples::{alloc, free, pack};
use crate::schema::wide;

/// Events as hooks make them and worse: any address, any jump in time, threads and tags that change between them.
fn any_event() -> impl Strategy<Value = Event> {
    let kind = prop::sample::select(vec![
        EventKind::Alloc,
        EventKind::Free,
        EventKind::ReallocFree,
        EventKind::ReallocAlloc,
        EventKind::ReallocUndo,
    ]);
    let ids = (wide(32), prop_oneof![Just(1), wide(32)], prop_oneof![Just(0), wide(32)]);
    let numbers = (wide(64), wide(64), wide(64), prop_oneof![Just(1), wide(64)]);
    (kind, numbers, ids).prop_map(|(kind, (ticks, address, size_bytes, interval_bytes), (stack, thread, tag))| Event {
        kind,
        ticks,
        address,
        size_bytes: if kind.is_alloc() { size_bytes } else { 0 },
        stack: if kind.is_alloc() { stack as u32 } else { 0 },
        thread: thread as u32,
        tag: tag as u32,
        interval_bytes,
    })
}

fn any_state() -> impl Strategy<Value = PackState> {
    (wide(64), wide(64), wide(64), wide(32), wide(32), wide(32)).prop_map(
        |(ticks, address, interval_bytes, stack, thread, tag)| PackState {
            ticks,
            address,
            interval_bytes,
            stack: stack as u32,
            thread: thread as u32,
            tag: tag as u32,
        },
    )
}

/// Frees do not carry an interval: they come back with the one in force.
fn with_interval_in_force(mut in_force: u64, events: &[Event]) -> Vec<Event> {
    let mut events = events.to_vec();
    for event in &mut events {
        if event.kind.is_alloc() {
            in_force = event.interval_bytes;
        }
        event.interval_bytes = in_force;
    }
    events
}

/// All events behind `state`, and the state after them.
fn unpack_all(state: PackState, packed: &[u8]) -> (Vec<Event>, PackState) {
    let mut events = unpack(state, packed);
    let read = events.by_ref().map(|event| event.expect("what was packed unpacks")).collect();
    (read, events.state())
}

fn plain_state(state: PackState) -> State {
    let PackState { ticks, address, stack, thread, tag, interval_bytes } = state;
    State { ticks, address, stack, thread, tag, interval_bytes }
}

/// Numbers just below and above each length that a varint can have, in each place of an event, are packed in as few
/// bytes as they need.
#[test]
fn numbers_at_the_edges_of_their_lengths_take_as_few_bytes_as_they_need() {
    // Bytes of a varint: its bits in sevens.
    let length = |value: u64| u64::BITS.saturating_sub(value.leading_zeros()).max(1).div_ceil(7) as usize;
    let edges = |most: u32| {
        let edges = (7..=most).step_by(7).flat_map(|bits| [(1 << bits) - 1, 1u64 << bits]);
        std::iter::once(0).chain(edges).collect::<Vec<u64>>()
    };
    let before = PackState { ticks: 1 << 60, address: 1 << 59, stack: 1 << 30, thread: 3, tag: 4, interval_bytes: 1 };
    for kind in [EventKind::Alloc, EventKind::Free] {
        for (ticks, moved) in edges(35).iter().flat_map(|ticks| edges(42).into_iter().map(move |moved| (*ticks, moved)))
        {
            let sizes = if kind.is_alloc() { edges(28) } else { vec![0] };
            for (size_bytes, stack) in sizes.iter().flat_map(|size| sizes.iter().map(move |stack| (*size, *stack))) {
                // An even zigzag number stands for half of it forwards, an odd one for a way back.
                let forwards = |zigzag: u64| (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
                let event = Event {
                    kind,
                    ticks: before.ticks + ticks,
                    address: before.address.wrapping_add_signed(forwards(moved)).rotate_left(4),
                    size_bytes,
                    stack: if kind.is_alloc() { (1u32 << 30).wrapping_add_signed(forwards(stack) as i32) } else { 0 },
                    thread: 3,
                    tag: 4,
                    interval_bytes: 1,
                };
                let (record, _) = pack(before, &[event]);
                let numbers = length(ticks) + length(moved);
                let more = if kind.is_alloc() { length(size_bytes) + length(stack) } else { 0 };
                assert_eq!(record.packed.len(), 1 + numbers + more, "{event:?}");
                assert_eq!(unpack_all(before, &record.packed).0, [event]);
            }
        }
    }
}

proptest! {
    #[test]
    fn events_come_back(state in any_state(), events in prop::collection::vec(any_event(), 0..40)) {
        let (record, after) = pack(state, &events);
        let expected = with_interval_in_force(state.interval_bytes, &events);
        prop_assert_eq!(unpack_all(state, &record.packed), (expected.clone(), after));
        prop_assert_eq!(unpack_events(plain_state(state), &record.packed), (expected, plain_state(after)));
    }

    #[test]
    fn a_split_run_continues_from_the_state(
        events in prop::collection::vec(any_event(), 1..40),
        split in any::<prop::sample::Index>(),
    ) {
        let split = split.index(events.len());
        let (whole, _) = pack(PackState::default(), &events);
        let (front, between) = pack(PackState::default(), &events[..split]);
        let (back, _) = pack(between, &events[split..]);
        // Splitting changes no byte, and the reader's own state joins the parts again.
        prop_assert_eq!([front.packed.clone(), back.packed.clone()].concat(), whole.packed.clone());
        let (mut read, state) = unpack_all(PackState::default(), &front.packed);
        prop_assert_eq!(state, between);
        read.extend(unpack_all(state, &back.packed).0);
        prop_assert_eq!(read, unpack_all(PackState::default(), &whole.packed).0);
    }

    #[test]
    fn hostile_bytes_never_panic(state in any_state(), packed in prop::collection::vec(any::<u8>(), 0..400)) {
        // At least one byte an event, and nothing after the first error.
        let read: Vec<_> = unpack(state, &packed).collect();
        prop_assert!(read.len() <= packed.len());
        prop_assert!(read.iter().rev().skip(1).all(|event| event.is_ok()));
    }

    #[test]
    fn an_event_cut_short_is_an_error_and_those_before_it_hold(
        events in prop::collection::vec(any_event(), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let (record, _) = pack(PackState::default(), &events);
        let whole = unpack_all(PackState::default(), &record.packed).0;
        let cut = &record.packed[..cut.index(record.packed.len())];
        let read: Vec<Event> = unpack(PackState::default(), cut).map_while(Result::ok).collect();
        prop_assert!(read.len() < whole.len());
        prop_assert_eq!(&read[..], &whole[..read.len()]);
    }
}

#[test]
fn without_room_nothing_is_written_and_the_state_stays() {
    let mut state = PackState::default();
    let mut room = [0xaa; MAX_EVENT_BYTES - 1];
    assert_eq!(state.pack(&alloc(5, 0x1000, 64, 1), &mut room), None);
    assert_eq!((state, room), (PackState::default(), [0xaa; MAX_EVENT_BYTES - 1]));
}

#[test]
fn the_largest_event_takes_59_bytes() {
    // Thread and tag: 1 + 5 each; interval: 1 + 10; operation 1; ticks, address and size 10 each; stack, whose
    // difference has 33 bits in zigzag, 5: 6 + 6 + 11 + 1 + 30 + 5 = 59.
    let event = Event {
        kind: EventKind::Alloc,
        ticks: u64::MAX,
        address: 1 << 3, // rotated right by four bits this is 1 << 63
        size_bytes: u64::MAX,
        stack: u32::MAX,
        thread: u32::MAX,
        tag: u32::MAX,
        interval_bytes: u64::MAX,
    };
    let mut room = [0; MAX_EVENT_BYTES];
    assert_eq!(PackState::default().pack(&event, &mut room), Some(59));
}

#[test]
fn ordinary_events_are_small() {
    // In force: thread, tag, interval. An allocation 48 bytes (3 after the rotation) and 20 ticks after the one
    // before, of a stack near by: operation 1 + ticks 1 + address 1 + size 1 + stack 1 = 5 bytes; a free: 3.
    let start = PackState { ticks: 1_000, thread: 1, interval_bytes: 1, stack: 7, ..PackState::default() };
    let (first, state) = pack(start, &[alloc(1_000, 0x7f00_0000_1000, 40, 7)]);
    assert!(first.packed.len() <= 16);
    let (record, _) = pack(state, &[alloc(1_020, 0x7f00_0000_1030, 40, 9), free(1_030, 0x7f00_0000_1000)]);
    assert_eq!(record.packed.len(), 5 + 3);
}

#[test]
fn an_unknown_operation_ends_the_run_and_only_this_run() {
    let (mut record, _) = pack(PackState::default(), &[alloc(1, 0x10, 8, 1), free(2, 0x10)]);
    let known = record.packed.len();
    record.packed.extend([11, 1, 2, 3]);
    record.packed.extend(pack(PackState::default(), &[alloc(1, 0x10, 8, 1)]).0.packed);
    let read: Vec<_> = unpack(record.state, &record.packed).collect();
    assert_eq!(read.len(), 3, "two events, then the error");
    assert!(read[0].is_ok() && read[1].is_ok());
    assert!(read[2].as_ref().is_err_and(|error| error.to_string().contains("unknown event operation 11")));
    assert_eq!(unpack(record.state, &record.packed[..known]).count(), 2);
}
