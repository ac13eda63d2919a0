//! Packing 2: the bytes of packing 1, sorted into columns by what they are. Made for compression: an encoder finds more
//! in equal things that stand together (churn: 3.4 bytes an event instead of 4.7).
//!
//! Sorting moves bytes and changes none, so it is undone byte for byte. Blocks hand out packing 1 only.

use crate::event::{fields, is_event};

/// Its number.
pub(crate) const PACKING: u8 = 2;
/// Number of columns.
pub(crate) const COLUMNS: usize = 5;
/// Bytes of the longest number.
const MAX_NUMBER_BYTES: usize = 10;

/// What a column holds. Operations come with the values of those that are no events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Operations,
    Ticks,
    Addresses,
    Sizes,
    Stacks,
}

/// Events sorted into columns.
#[derive(Debug)]
pub(crate) struct Sorted {
    /// As packing 2 has it: the lengths of all columns but the last, then the columns.
    pub(crate) packed: Vec<u8>,
    /// Length of each column.
    pub(crate) lengths: [usize; COLUMNS],
}

/// Room for the columns, kept: an agent sorts again and again, in the memory of the program's allocator.
#[derive(Debug, Default)]
pub(crate) struct Sorter([Vec<u8>; COLUMNS]);

impl Sorter {
    /// Sorts `count` packed events of packing 1; `None` when they are not as written, and better left alone.
    pub(crate) fn sort(&mut self, packed: &[u8], count: u32) -> Option<Sorted> {
        self.0.iter_mut().for_each(Vec::clear);
        deal(packed, &mut self.0).filter(|events| *events == count)?;
        let lengths = self.0.each_ref().map(Vec::len);
        let mut sorted = Vec::with_capacity(lengths.iter().sum::<usize>() + COLUMNS * MAX_NUMBER_BYTES);
        lengths.iter().take(COLUMNS - 1).for_each(|length| put_number(*length as u64, &mut sorted));
        self.0.iter().for_each(|column| sorted.extend_from_slice(column));
        Some(Sorted { packed: sorted, lengths })
    }
}

/// Deals packed events out to the columns; how many they were.
fn deal(mut packed: &[u8], columns: &mut [Vec<u8>; COLUMNS]) -> Option<u32> {
    let mut events = 0u32;
    while let Some((operation, rest)) = packed.split_first() {
        packed = rest;
        columns.get_mut(Column::Operations as usize)?.push(*operation);
        for column in fields(*operation)? {
            let number = take_number(&mut packed)?;
            columns.get_mut(*column as usize)?.extend_from_slice(number);
        }
        events = events.checked_add(u32::from(is_event(*operation)))?;
    }
    Some(events)
}

/// The packing 1 that `packed` was sorted from; `None` when it does not hold `count` whole events. Takes as much memory
/// as `packed`, whatever it claims.
pub(crate) fn unsort(mut packed: &[u8], count: u32) -> Option<Vec<u8>> {
    let mut lengths = [0; COLUMNS];
    for length in lengths.iter_mut().take(COLUMNS - 1) {
        *length = number(take_number(&mut packed)?)?;
    }
    let mut columns: [&[u8]; COLUMNS] = [&[]; COLUMNS];
    for (column, length) in columns.iter_mut().zip(lengths).take(COLUMNS - 1) {
        (*column, packed) = packed.split_at_checked(length)?;
    }
    *columns.last_mut()? = packed;
    let mut events = 0u32;
    let mut rows = Vec::with_capacity(columns.iter().map(|column| column.len()).sum());
    let operations = Column::Operations as usize;
    while let Some((operation, rest)) = columns.get(operations)?.split_first() {
        *columns.get_mut(operations)? = rest;
        rows.push(*operation);
        for column in fields(*operation)? {
            rows.extend_from_slice(take_number(columns.get_mut(*column as usize)?)?);
        }
        events = events.checked_add(u32::from(is_event(*operation)))?;
    }
    (events == count && columns.iter().all(|column| column.is_empty())).then_some(rows)
}

/// The bytes of a LEB128 number at the front of `bytes`.
fn take_number<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let last = bytes.iter().position(|byte| *byte < 0x80)?;
    let (number, rest) = bytes.split_at_checked(last + 1)?;
    *bytes = rest;
    Some(number)
}

fn put_number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A length; none that is longer than a block's could be.
fn number(bytes: &[u8]) -> Option<usize> {
    let value = bytes
        .iter()
        .rev()
        .try_fold(0usize, |value, byte| value.checked_mul(128).map(|value| value | usize::from(byte & 0x7f)))?;
    (value <= crate::block::MAX_BLOCK_BYTES).then_some(value)
}
