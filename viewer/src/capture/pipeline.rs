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
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
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
    /// A block, or what else there is; records follow, when it is a block that is read.
    Found(Found<'a, T>, Option<BlockGap>),
    /// Some of its records.
    Records(Vec<Result<T, UnknownRecord>>),
    /// The last of them, and bytes of the block that are done with.
    Last(Vec<Result<T, UnknownRecord>>, usize),
    Failed(LoadError),
}

/// Records that go to the caller at once.
const BATCH: usize = 1 << 10;
/// Decompressed bytes of all blocks on their way: what they are decoded to is a few times as large.
const MAX_ON_THE_WAY: usize = 8 << 20;

/// Takes what a decoder made of a record.
pub(super) type TakeRecord<'t, T> = dyn FnMut(Result<T, UnknownRecord>) + 't;
/// Makes something else of a block's records.
pub(super) type Decode<'d, T> = dyn Fn(RecordIter<'_>, &mut TakeRecord<'_, T>) + Sync + 'd;

/// Makes something else of each record by itself.
pub(super) fn each<T>(decode: impl Fn(Record) -> T + Sync) -> impl Fn(RecordIter<'_>, &mut TakeRecord<'_, T>) + Sync {
    move |records, take| records.for_each(|record| take(record.map(&decode)))
}

/// Counts the bytes on their way: the reader waits for room before it hands on a block, the caller gives it back.
struct OnTheWay {
    /// `None` when nobody takes anything any more.
    bytes: Mutex<Option<usize>>,
    changed: Condvar,
}

impl OnTheWay {
    fn lock(&self) -> MutexGuard<'_, Option<usize>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room. A block that is larger than all of it goes alone.
    fn enter(&self, bytes: usize) {
        let is_full =
            |on_the_way: &mut Option<usize>| on_the_way.is_some_and(|now| now > 0 && now + bytes > MAX_ON_THE_WAY);
        let waited = self.changed.wait_while(self.lock(), is_full);
        if let Some(now) = waited.unwrap_or_else(PoisonError::into_inner).as_mut() {
            *now += bytes;
        }
    }

    fn leave(&self, bytes: usize) {
        if let Some(now) = self.lock().as_mut() {
            *now = now.saturating_sub(bytes);
        }
        self.changed.notify_one();
    }
}

/// Lets the reader go when the caller is through, or has given up.
struct Taker<'w>(&'w OnTheWay);

impl Drop for Taker<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
        self.0.changed.notify_all();
    }
}

/// Bytes of a piece after decompression.
fn raw_bytes(piece: &Piece<'_>) -> usize {
    if let Piece::Block { block, .. } = piece { block.header.raw_bytes as usize } else { 0 }
}

/// Goes through all files and gives `take` everything it meets, records as `decode` made them.
pub(super) fn scan<T: Send>(
    source: &Source<'_>,
    decode: &Decode<'_, T>,
    take: &mut dyn FnMut(Found<'_, T>),
) -> Result<(), LoadError> {
    let on_the_way = OnTheWay { bytes: Mutex::new(Some(0)), changed: Condvar::new() };
    let on_the_way = &on_the_way;
    thread::scope(|scope| {
        let taker = Taker(on_the_way);
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
            let mut give_piece = |piece| {
                on_the_way.enter(raw_bytes(&piece));
                give(Ok(piece))
            };
            if let Err(error) = read(source, &mut give_piece) {
                give(Err(error));
            }
        };
        Builder::new().name("read".into()).spawn_scoped(scope, reader).map_err(LoadError::Thread)?;
        take_all(&made, take, &taker)
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
            Ok(Piece::Segment { number, path }) => Made::Found(Found::Segment { number, path }, None),
            Ok(Piece::Damage(damage)) => Made::Found(Found::Damage(damage), None),
            Ok(Piece::PassedOver { offset, header, fate, gap }) => {
                Made::Found(Found::Block { offset, header, fate }, gap)
            }
            Ok(Piece::Block { block, fate, gap }) => {
                decode_block(&block, fate, gap, decode, &made);
                continue;
            }
            Err(error) => Made::Failed(error),
        };
        let is_found = matches!(result, Made::Found(..));
        if made.send(result).is_err() || (is_found && made.send(Made::Last(Vec::new(), 0)).is_err()) {
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
    made: &SyncSender<Made<'a, T>>,
) {
    let is_read = matches!(fate, BlockFate::Kept | BlockFate::Late);
    let found = is_read.then(|| block.try_records());
    if matches!(found, Some(Err(_))) {
        fate = BlockFate::Unreadable;
    }
    let (offset, header) = (block.offset, block.header);
    // When nobody listens any more the next job ends this thread.
    let _ = made.send(Made::Found(Found::Block { offset, header, fate }, gap));
    let mut records = Vec::new();
    if let Some(Ok(found)) = found {
        decode(found, &mut |record| {
            records.push(record);
            if records.len() >= BATCH {
                let _ = made.send(Made::Records(std::mem::take(&mut records)));
            }
        });
    }
    let _ = made.send(Made::Last(records, header.raw_bytes as usize));
}

fn take_all<T>(
    made: &[Receiver<Made<'_, T>>],
    take: &mut dyn FnMut(Found<'_, T>),
    taker: &Taker<'_>,
) -> Result<(), LoadError> {
    for decoder in made.iter().cycle() {
        loop {
            let (records, done) = match decoder.recv() {
                Ok(Made::Found(found, gap)) => {
                    take(found);
                    if let Some(gap) = gap {
                        take(Found::Gap(gap));
                    }
                    continue;
                }
                Ok(Made::Records(records)) => (records, None),
                Ok(Made::Last(records, bytes)) => (records, Some(bytes)),
                Ok(Made::Failed(error)) => return Err(error),
                // The reader is through, and this would have been the turn of what comes next.
                Err(_) => return Ok(()),
            };
            for record in records {
                take(record.map_or_else(Found::Unknown, Found::Record));
            }
            if let Some(bytes) = done {
                taker.0.leave(bytes);
                break;
            }
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
