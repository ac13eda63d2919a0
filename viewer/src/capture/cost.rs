//! What a record costs to keep: an upper bound of its memory, tables half empty and texts included.

use plimsoll_format::Record;

/// Longest text kept, in bytes; what is shown is shorter still.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// Kinds of mappings, and large ones, that are kept of one reading; agents write nine and eight.
const MAX_MAPPINGS: usize = 64;

/// A place in a hash map or a tree, beside what is in it.
const ENTRY: usize = 64;
/// A stack node: it is in two maps, which double when they are full.
const NODE: usize = 128;

/// Cuts what no program has so long, before it waits for its turn; then the bytes that keeping the record takes: 0 for what
/// is kept in a series of bounded length, or not at all.
pub(super) fn cut(record: &mut Record) -> usize {
    match record {
        Record::Module(module) => {
            clip(&mut module.path);
            shorten(&mut module.build_id, MAX_TEXT_BYTES);
            4 * ENTRY + module.path.len() + module.build_id.len()
        }
        Record::Thread(thread) => 3 * ENTRY + clip(&mut thread.name),
        Record::ThreadEnd { .. } | Record::ThreadTotals { .. } => 3 * ENTRY,
        Record::StackNodes(nodes) => NODE * nodes.len(),
        Record::Tag { name, .. } => ENTRY + clip(name),
        Record::Marker { name, .. } => ENTRY + clip(name),
        Record::Phase { .. } => ENTRY / 2,
        Record::Allocator(reading) => 4 * ENTRY + clip(&mut reading.allocator),
        Record::Mappings(mappings) => {
            shorten(&mut mappings.parts, MAX_MAPPINGS);
            shorten(&mut mappings.largest, MAX_MAPPINGS);
            let large = mappings.largest.iter_mut().map(|mapping| ENTRY + clip(&mut mapping.name));
            large.sum::<usize>() + ENTRY * (4 + mappings.parts.len())
        }
        // Kept as they are, and once more in the tables of the symbolizer.
        Record::Symbols(symbols) => {
            let strings = symbols.strings.iter_mut().map(|string| ENTRY + 2 * clip(string));
            let addresses = symbols.addresses.iter().map(|address| 3 * ENTRY + 24 * address.frames.len());
            strings.sum::<usize>() + addresses.sum::<usize>()
        }
        _ => 0,
    }
}

/// Cuts a list, and gives back the room that it had.
fn shorten<T>(list: &mut Vec<T>, length: usize) {
    if list.len() > length {
        list.truncate(length);
        list.shrink_to_fit();
    }
}

/// Cuts a text; its length.
fn clip(text: &mut String) -> usize {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        text.shrink_to_fit();
    }
    text.len()
}
