//! Goes through a capture on several threads: one reads, some decode block by block, the caller's takes what they made of
//! it, in the file's order.
//!
//! ```text
//! reader: bytes, CRCs, which blocks count ──> decoder 1, 2, … : records ──> the caller
//! ```
//!
//! Blocks go to the decoders in turn and are taken from them in turn, so that their order needs no sorting. All queues
//! are short: memory does not depend on the capture's length, and a slow end makes the others wait.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Builder};

use plimsoll_format::{Block, Record, RecordIter, UnknownRecord};

use super::error::LoadError;
use super::scan::{BlockFate, Found, Piece, Source, read};
use crate::model::BlockGap;

/// Pieces that wait before and after each decoder.
const QUEUE: usize = 4;
/// Decoders at most: a replay is not faster than a few of them.
const MAX_DECODERS: usize = 4;

/// What the reader hands on.
type Job<'a> = Result<Piece<'a>, LoadError>;

/// What a decoder made of it.
enum Made<'a, T> {
    /// A block, or what else there is, and what comes with it.
    Found(Found<'a, T>, Option<BlockGap>, Vec<Result<T, UnknownRecord>>),
    Failed(LoadError),
}

/// Records of one block, as something else.
pub(super) type Records<T> = Vec<Result<T, UnknownRecord>>;
/// Makes something else of a block's records.
pub(super) type Decode<'d, T> = dyn Fn(RecordIter<'_>) -> Records<T> + Sync + 'd;

/// Makes something else of each record by itself.
pub(super) fn each<T>(decode: impl Fn(Record) -> T + Sync) -> impl Fn(RecordIter<'_>) -> Records<T> + Sync {
    move |records| records.map(|record| record.map(&decode)).collect()
}

/// Goes through all files and gives `take` everything it meets, records as `decode` made them.
pub(super) fn scan<T: Send>(
    source: &Source<'_>,
    decode: &Decode<'_, T>,
    take: &mut dyn FnMut(Found<'_, T>),
) -> Result<(), LoadError> {
    thread::scope(|scope| {
        let (mut jobs, mut made) = (Vec::new(), Vec::new());
        for number in 0..decoders() {
            let (to_decoder, from_reader) = sync_channel::<Job<'_>>(QUEUE);
            let (to_caller, from_decoder) = sync_channel::<Made<'_, T>>(QUEUE);
            let name = format!("decode {number}");
            let decoder = Builder::new().name(name).spawn_scoped(scope, || decode_all(from_reader, to_caller, decode));
            decoder.map_err(LoadError::Thread)?;
            jobs.push(to_decoder);
            made.push(from_decoder);
        }
        let reader = move || {
            let mut turn = jobs.iter().cycle();
            // A queue that is closed has lost its reader: the caller has given up.
            let mut give = |job| turn.next().is_some_and(|decoder| decoder.send(job).is_ok());
            if let Err(error) = read(source, &mut |piece| give(Ok(piece))) {
                give(Err(error));
            }
        };
        Builder::new().name("read".into()).spawn_scoped(scope, reader).map_err(LoadError::Thread)?;
        take_all(&made, take)
    })
}

fn decoders() -> usize {
    // The reader and the caller keep about one processor busy.
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    processors.saturating_sub(1).clamp(1, MAX_DECODERS)
}

fn decode_all<'a, T>(jobs: Receiver<Job<'a>>, made: SyncSender<Made<'a, T>>, decode: &Decode<'_, T>) {
    for job in jobs {
        let result = match job {
            Ok(Piece::Segment { number, path }) => Made::Found(Found::Segment { number, path }, None, Vec::new()),
            Ok(Piece::Damage(damage)) => Made::Found(Found::Damage(damage), None, Vec::new()),
            Ok(Piece::PassedOver { offset, header, fate, gap }) => {
                Made::Found(Found::Block { offset, header, fate }, gap, Vec::new())
            }
            Ok(Piece::Block { block, fate, gap, without_events: false }) => decode_block(&block, fate, gap, decode),
            Ok(Piece::Block { block, fate, gap, .. }) => {
                decode_block(&block, fate, gap, &|records| decode(records.without_events()))
            }
            Err(error) => Made::Failed(error),
        };
        if made.send(result).is_err() {
            return;
        }
    }
}

/// A kept block that does not decompress is unreadable.
fn decode_block<'a, T>(
    block: &Block,
    mut fate: BlockFate,
    gap: Option<BlockGap>,
    decode: &Decode<'_, T>,
) -> Made<'a, T> {
    let mut records = Vec::new();
    if matches!(fate, BlockFate::Kept | BlockFate::Late) {
        match block.try_records() {
            Ok(found) => records = decode(found),
            Err(_) => fate = BlockFate::Unreadable,
        }
    }
    Made::Found(Found::Block { offset: block.offset, header: block.header, fate }, gap, records)
}

fn take_all<T>(made: &[Receiver<Made<'_, T>>], take: &mut dyn FnMut(Found<'_, T>)) -> Result<(), LoadError> {
    for decoder in made.iter().cycle() {
        match decoder.recv() {
            Ok(Made::Found(found, gap, records)) => {
                take(found);
                if let Some(gap) = gap {
                    take(Found::Gap(gap));
                }
                for record in records {
                    take(record.map_or_else(Found::Unknown, Found::Record));
                }
            }
            Ok(Made::Failed(error)) => return Err(error),
            // The reader is through, and this would have been the turn of what comes next.
            Err(_) => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use plimsoll_format::Record;

    use super::each;
    use crate::capture::{Found, LoadOptions, open};
    use crate::testing::CaptureBuilder;

    #[test]
    fn blocks_come_in_the_order_of_the_file() {
        let mut builder = CaptureBuilder::exact();
        for ticks in 0..500 {
            builder.record(Record::Watermark { ticks }).record(Record::Marker { ticks, name: "m".into() }).block();
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let capture = open(builder.save(folder.path(), "a.plim"), &LoadOptions::default()).expect("it is a capture");
        let (mut blocks, mut moments) = (Vec::new(), Vec::new());
        // Decoding takes longer for some than for others.
        let decode = |record: Record| match record {
            Record::Watermark { ticks } => {
                (0..ticks % 7).for_each(|_| std::thread::yield_now());
                Some(ticks)
            }
            _ => None,
        };
        let take = &mut |found: Found<'_, Option<u64>>| match found {
            // Each block is told before its records.
            Found::Block { header, .. } => blocks.push((header.sequence, moments.len())),
            Found::Record(Some(ticks)) => moments.push(ticks),
            _ => {}
        };
        capture.scan_as(&|_, _| true, &each(decode), take).expect("the file is still there");
        assert!(moments.into_iter().eq(0..500));
        assert!(blocks.into_iter().eq((0..500).map(|at| (at, at as usize))));
    }
}
