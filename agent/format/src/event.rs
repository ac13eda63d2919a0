//! Packed allocation events: differences to the event before, as LEB128 varints, behind one operation byte.
//!
//! Packing happens inside allocator hooks, so it never allocates and never panics.

use bincode::{Decode, Encode};

use crate::columns::Column;
use crate::wire::DecodeError;

/// Room that [`PackState::pack`] asks for: no event with its state changes takes more.
pub const MAX_EVENT_BYTES: usize = 64;

/// What happened to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A block was allocated.
    Alloc,
    /// A block is about to go back.
    Free,
    /// A reallocation begins: its old block is about to go back, unless a [`EventKind::ReallocUndo`] follows.
    ReallocFree,
    /// A reallocation succeeded: its new block.
    ReallocAlloc,
    /// A reallocation failed: the old block lives on.
    ReallocUndo,
}

/// One allocation event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When, in ticks of the capture's clock.
    pub ticks: u64,
    /// Address of the block.
    pub address: u64,
    /// Requested size in bytes; 0 in frees, whose size is that of their allocation.
    pub size_bytes: u64,
    /// Stack of an allocation; 0 in frees.
    pub stack: u32,
    /// Thread on which it happened.
    pub thread: u32,
    /// Tag that was set on the thread, 0 for none.
    pub tag: u32,
    /// Sampling interval that chose an allocation; 1 in exact mode.
    pub interval_bytes: u64,
}

/// What the next event's differences refer to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct PackState {
    /// Ticks of the event before.
    pub ticks: u64,
    /// Address of the event before, rotated right by four bits.
    pub address: u64,
    /// Stack of the allocation before.
    pub stack: u32,
    /// Thread in force.
    pub thread: u32,
    /// Tag in force.
    pub tag: u32,
    /// Interval in force.
    pub interval_bytes: u64,
}

const ALLOC: u8 = 0;
const FREE: u8 = 1;
const REALLOC_FREE: u8 = 2;
const REALLOC_ALLOC: u8 = 3;
const REALLOC_UNDO: u8 = 4;
const SET_TAG: u8 = 8;
const SET_THREAD: u8 = 9;
const SET_INTERVAL: u8 = 10;

impl EventKind {
    /// Whether the event brings a new block.
    pub fn is_alloc(self) -> bool {
        matches!(self, EventKind::Alloc | EventKind::ReallocAlloc)
    }

    /// The kind of this number, in the order above from 0 on.
    pub fn from_number(number: u64) -> Option<EventKind> {
        u8::try_from(number).ok().and_then(EventKind::from_op)
    }

    fn op(self) -> u8 {
        match self {
            EventKind::Alloc => ALLOC,
            EventKind::Free => FREE,
            EventKind::ReallocFree => REALLOC_FREE,
            EventKind::ReallocAlloc => REALLOC_ALLOC,
            EventKind::ReallocUndo => REALLOC_UNDO,
        }
    }

    fn from_op(op: u8) -> Option<EventKind> {
        Some(match op {
            ALLOC => EventKind::Alloc,
            FREE => EventKind::Free,
            REALLOC_FREE => EventKind::ReallocFree,
            REALLOC_ALLOC => EventKind::ReallocAlloc,
            REALLOC_UNDO => EventKind::ReallocUndo,
            _ => return None,
        })
    }
}

/// In which columns the numbers behind an operation go; `None` for one that is not known.
pub(crate) fn fields(operation: u8) -> Option<&'static [Column]> {
    Some(match operation {
        ALLOC | REALLOC_ALLOC => &[Column::Ticks, Column::Addresses, Column::Sizes, Column::Stacks],
        FREE | REALLOC_FREE | REALLOC_UNDO => &[Column::Ticks, Column::Addresses],
        SET_TAG | SET_THREAD | SET_INTERVAL => &[Column::Operations],
        _ => return None,
    })
}

/// Whether an operation is an event, rather than a change of state.
pub(crate) fn is_event(operation: u8) -> bool {
    EventKind::from_op(operation).is_some()
}

impl PackState {
    /// What the first event of a thread's chunk in exact mode refers to.
    pub fn of_thread(thread: u32) -> PackState {
        PackState { thread, interval_bytes: 1, ..PackState::default() }
    }

    /// Appends `event` to the front of `out` and returns the bytes written, or `None` when `out` is shorter than
    /// [`MAX_EVENT_BYTES`] (nothing is written and the state is unchanged then).
    ///
    /// Never allocates, never panics.
    #[inline]
    pub fn pack(&mut self, event: &Event, out: &mut [u8]) -> Option<usize> {
        let out = out.first_chunk_mut::<MAX_EVENT_BYTES>()?;
        let &Event { kind, ticks, address, size_bytes, stack, thread, tag, interval_bytes } = event;
        let packed = match kind.is_alloc() {
            _ if thread != self.thread => None,
            true if interval_bytes != self.interval_bytes => None,
            true => self.pack_usual_alloc(kind, (ticks, address, tag), (size_bytes, stack), out),
            false => self.pack_usual_free(kind, (ticks, address, tag), out),
        };
        packed.or_else(|| Some(self.pack_any(event, out)))
    }

    /// Packs an allocation by the thread and with the interval in force, when its numbers are of the usual size: two
    /// bytes at most for each but the address, four for that. `None`, with nothing changed, when they are not.
    ///
    /// For hooks: bytes are put together in registers, without a branch on their number, since a mispredicted one costs
    /// more than all of it.
    #[inline(always)]
    pub fn pack_usual_alloc(
        &mut self,
        kind: EventKind,
        (ticks, address, tag): (u64, u64, u32),
        (size_bytes, stack): (u64, u32),
        out: &mut [u8; MAX_EVENT_BYTES],
    ) -> Option<usize> {
        let stack_moved = zigzag(i64::from(stack) - i64::from(self.stack));
        if (size_bytes | stack_moved) >= 1 << 14 {
            return None;
        }
        let length = self.pack_usual_free(kind, (ticks, address, tag), out)?;
        self.stack = stack;
        let (size, size_length) = short_varint(size_bytes);
        let (stack, stack_length) = short_varint(stack_moved);
        let tail = (size | stack << (8 * size_length)) as u32;
        // The part before is seven bytes at most.
        *out.get_mut(length & 7..)?.first_chunk_mut::<4>()? = tail.to_le_bytes();
        Some(length + (size_length + stack_length) as usize)
    }

    /// As [`PackState::pack_usual_alloc`] for what has neither size nor stack.
    #[inline(always)]
    pub fn pack_usual_free(
        &mut self,
        kind: EventKind,
        (ticks, address, tag): (u64, u64, u32),
        out: &mut [u8; MAX_EVENT_BYTES],
    ) -> Option<usize> {
        let later = ticks.wrapping_sub(self.ticks);
        let address = address.rotate_right(4);
        let moved = zigzag(address.wrapping_sub(self.address) as i64);
        if later >= 1 << 14 || moved >= 1 << 28 || tag != self.tag {
            return None;
        }
        (self.ticks, self.address) = (ticks, address);
        let (later, later_length) = short_varint(later);
        let (moved, moved_length) = medium_varint(moved);
        let packed = u64::from(kind.op()) | later << 8 | moved << (8 + 8 * later_length);
        *out.first_chunk_mut::<8>()? = packed.to_le_bytes();
        Some((1 + later_length + moved_length) as usize)
    }

    #[cold]
    fn pack_any(&mut self, event: &Event, out: &mut [u8; MAX_EVENT_BYTES]) -> usize {
        let mut cursor = Cursor { out, at: 0 };
        if event.thread != self.thread {
            cursor.op(SET_THREAD);
            cursor.varint(u64::from(event.thread));
            self.thread = event.thread;
        }
        if event.tag != self.tag {
            cursor.op(SET_TAG);
            cursor.varint(u64::from(event.tag));
            self.tag = event.tag;
        }
        let is_alloc = event.kind.is_alloc();
        if is_alloc && event.interval_bytes != self.interval_bytes {
            cursor.op(SET_INTERVAL);
            cursor.varint(event.interval_bytes);
            self.interval_bytes = event.interval_bytes;
        }
        cursor.op(event.kind.op());
        cursor.varint(event.ticks.wrapping_sub(self.ticks));
        self.ticks = event.ticks;
        let address = event.address.rotate_right(4);
        cursor.varint(zigzag(address.wrapping_sub(self.address) as i64));
        self.address = address;
        if is_alloc {
            cursor.varint(event.size_bytes);
            cursor.varint(zigzag(i64::from(event.stack) - i64::from(self.stack)));
            self.stack = event.stack;
        }
        cursor.at
    }
}

/// The varint of a value below 2^14 and its length in bytes.
#[inline(always)]
fn short_varint(value: u64) -> (u64, u64) {
    let more = u64::from(value >= 0x80);
    (value & 0x7f | (value & 0x3f80) << 1 | more << 7, 1 + more)
}

/// The varint of a value below 2^28 and its length in bytes.
#[inline(always)]
fn medium_varint(value: u64) -> (u64, u64) {
    let spread = value & 0x3fff | (value & 0x0fff_c000) << 2;
    let spread = spread & 0x007f_007f | (spread & 0x3f80_3f80) << 1;
    // A seventh of the highest bit's position, for positions up to 55.
    let more = u64::from(((value | 1).ilog2() * 37) >> 8);
    (spread | 0x0080_8080 & !(u64::MAX << (8 * more)), 1 + more)
}

/// Writes into a fixed array. The index is limited: the worst case (3 state changes of 6, 6 and 11 bytes, an operation
/// byte and varints of 10, 10, 10 and 5 bytes) is 59 bytes, so the limit never acts; it keeps panics out of the hook.
struct Cursor<'a> {
    out: &'a mut [u8; MAX_EVENT_BYTES],
    at: usize,
}

impl Cursor<'_> {
    fn op(&mut self, byte: u8) {
        self.out[self.at & (MAX_EVENT_BYTES - 1)] = byte;
        self.at += 1;
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.op(value as u8 | 0x80);
            value >>= 7;
        }
        self.op(value as u8);
    }
}

/// The number at the front of eight bytes, and its length; `None` when it is longer. Lengths vary from number to number,
/// so that a loop over bytes would be guessed wrong by the processor most of the time: this has no branches.
#[inline]
fn read_near_varint(bytes: [u8; 8]) -> Option<(u64, usize)> {
    let word = u64::from_le_bytes(bytes);
    // The first byte without its top bit ends the number.
    let ends = !word & 0x8080_8080_8080_8080;
    if ends == 0 {
        return None;
    }
    let word = word & (ends ^ (ends - 1)) & 0x7f7f_7f7f_7f7f_7f7f;
    // Sevens of bits move together: bytes to pairs, pairs to fours, fours to one.
    let pairs = (word & 0x007f_007f_007f_007f) | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    let value = (fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4;
    Some((value, ends.trailing_zeros() as usize / 8 + 1))
}

#[inline(always)]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads packed events, starting from `state`.
pub fn unpack(state: PackState, packed: &[u8]) -> EventIter<'_> {
    EventIter { state, rest: packed }
}

/// Iterates over packed events; made by [`unpack`]. After an error it ends.
#[derive(Debug)]
pub struct EventIter<'a> {
    state: PackState,
    rest: &'a [u8],
}

impl EventIter<'_> {
    /// The state after the events read so far: what the next part of the same stream starts from.
    pub fn state(&self) -> PackState {
        self.state
    }

    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, DecodeError> {
        if let Some((value, bytes)) = self.rest.first_chunk().and_then(|near| read_near_varint(*near))
            && let Some(rest) = self.rest.get(bytes..)
        {
            self.rest = rest;
            return Ok(value);
        }
        self.any_varint()
    }

    /// A number of any length, or near the end.
    fn any_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte().ok_or_else(|| DecodeError("an event ends in its middle".into()))?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError("a number is longer than 64 bits".into()))
    }

    fn id(&mut self) -> Result<u32, DecodeError> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| DecodeError(format!("id {value} is out of range").into()))
    }

    #[inline]
    fn event(&mut self, kind: EventKind) -> Result<Event, DecodeError> {
        self.state.ticks = self.state.ticks.wrapping_add(self.varint()?);
        let difference = unzigzag(self.varint()?) as u64;
        self.state.address = self.state.address.wrapping_add(difference);
        let mut event = Event {
            kind,
            ticks: self.state.ticks,
            address: self.state.address.rotate_left(4),
            size_bytes: 0,
            stack: 0,
            thread: self.state.thread,
            tag: self.state.tag,
            interval_bytes: self.state.interval_bytes,
        };
        if kind.is_alloc() {
            event.size_bytes = self.varint()?;
            let stack = i64::from(self.state.stack).checked_add(unzigzag(self.varint()?));
            let stack = stack.and_then(|stack| u32::try_from(stack).ok());
            event.stack = stack.ok_or_else(|| DecodeError("a stack id is out of range".into()))?;
            self.state.stack = event.stack;
        }
        Ok(event)
    }

    #[inline]
    fn read(&mut self) -> Result<Option<Event>, DecodeError> {
        while let Some(op) = self.byte() {
            match op {
                SET_TAG => self.state.tag = self.id()?,
                SET_THREAD => self.state.thread = self.id()?,
                SET_INTERVAL => self.state.interval_bytes = self.varint()?,
                op => match EventKind::from_op(op) {
                    Some(kind) => return self.event(kind).map(Some),
                    None => return Err(DecodeError(format!("unknown event operation {op}").into())),
                },
            }
        }
        Ok(None)
    }
}

impl Iterator for EventIter<'_> {
    type Item = Result<Event, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let result = self.read();
        if result.is_err() {
            self.rest = &[];
        }
        result.transpose()
    }
}
