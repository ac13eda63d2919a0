//! The control protocol: what `plimsoll ctl` and the dashboard ask of a running program, and what it answers.
//!
//! One connection carries one request and one answer. Each is a frame: [`MAGIC`], the version (`u16`), two zero bytes,
//! the payload's length (`u32`), all little-endian, and the payload, a bincode [`Request`] or [`Answer`]. The twelve bytes of
//! the header never change, so that both sides can say which version the other speaks. New kinds of requests and answers
//! go to the end, new fields to the end of their structure; what an older side could misread is a new [`VERSION`].
//!
//! Both sides take the other for hostile: lengths are compared before anything is reserved.

use bincode::{Decode, Encode};

use crate::record::{Mode, Phase};
use crate::wire;

/// First bytes of every frame.
pub const MAGIC: [u8; 4] = *b"PLMc";
/// Version of the protocol spoken here.
pub const VERSION: u16 = 1;
/// Bytes before the payload.
pub const HEADER_BYTES: usize = 12;
/// Longest payload of a request.
pub const MAX_REQUEST_BYTES: usize = 8 << 10;
/// Longest payload of an answer.
pub const MAX_ANSWER_BYTES: usize = 32 << 10;
/// Longest name of a marker or a snapshot, in bytes.
pub const MAX_NAME_BYTES: usize = 1024;
/// Longest path of a capture, in bytes.
pub const MAX_PATH_BYTES: usize = 4096;

/// What is asked of a program.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// What it records, and where.
    Status,
    /// Record into a new capture.
    Start(StartOptions),
    /// End the capture that is being recorded.
    Stop,
    /// Stop recording allocations; frees of recorded blocks go on.
    Pause,
    /// Go on recording allocations.
    Resume,
    /// Another mean number of bytes between samples.
    Interval {
        /// The new interval in bytes.
        bytes: u64,
    },
    /// Name this moment in the capture.
    Mark {
        /// The name.
        name: String,
    },
    /// Name this moment, and write everything that is known at it.
    Snapshot {
        /// The name; without one, `snapshot-N`.
        name: Option<String>,
    },
    /// Write what has been recorded so far.
    Flush,
    /// Give memory that the allocator holds without use back to the system.
    Purge,
}

/// How to record; what is not said is as the program was set up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct StartOptions {
    /// A file that does not exist yet, or a directory, which gets a new one. An absolute path.
    pub output: Option<String>,
    /// Whether to sample or to record everything.
    pub mode: Option<Mode>,
    /// Mean bytes between samples.
    pub interval_bytes: Option<u64>,
}

/// What a program answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// To [`Request::Status`], and to what changes it: start, pause, resume, interval.
    Status(Status),
    /// The capture that was ended.
    Stopped(Stopped),
    /// To mark, snapshot and flush: the capture that it went to.
    Written(Written),
    /// To [`Request::Purge`].
    Purged(Purged),
    /// Nothing was done, for this reason: one line.
    Refused(String),
}

/// What a program does at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Status {
    /// Its process as it sees itself; in a container that is another number than outside.
    pub pid: u32,
    /// File name of the program.
    pub program: String,
    /// Version of its agent.
    pub agent_version: String,
    /// What is being recorded, `None` while it is idle.
    pub recording: Option<Recording>,
    /// Sessions since it began.
    pub sessions: u32,
    /// Bytes that it has allocated and not freed.
    pub live_bytes: u64,
    /// Its resident memory.
    pub rss_bytes: u64,
}

/// A capture that is being recorded.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Recording {
    /// First file of the capture.
    pub path: String,
    /// Whether it samples.
    pub mode: Mode,
    /// Recording or paused.
    pub phase: Phase,
    /// Mean bytes between samples now; 1 in exact mode.
    pub interval_bytes: u64,
}

/// A capture that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Stopped {
    /// First file of the capture.
    pub path: String,
    /// Bytes of all its files.
    pub written_bytes: u64,
    /// Allocations, frees and steps of reallocations recorded.
    pub events: u64,
    /// Allocations that could not be recorded.
    pub lost_allocations: u64,
    /// Frees that could not be recorded.
    pub lost_frees: u64,
}

/// Something has gone into a capture.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Written {
    /// First file of the capture.
    pub path: String,
    /// The moment's name in the capture, for `--at`; empty for a flush.
    pub name: String,
}

/// What giving memory back did.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Purged {
    /// Allocators that were asked, such as `glibc`.
    pub allocators: Vec<String>,
    /// Resident memory before.
    pub rss_before_bytes: u64,
    /// Resident memory after. May be larger: the program goes on meanwhile.
    pub rss_after_bytes: u64,
    /// How long it took.
    pub took_ns: u64,
}

impl Purged {
    /// Resident memory that went back.
    pub fn given_back_bytes(&self) -> u64 {
        self.rss_before_bytes.saturating_sub(self.rss_after_bytes)
    }
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadFrame {
    /// They do not begin as one.
    Magic,
    /// Another version's, which is this one.
    Version(u16),
    /// Longer than a message may be.
    TooLong(u64),
    /// The payload cannot be read; for a request perhaps one that a later program knows.
    Payload(String),
}

impl std::fmt::Display for BadFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadFrame::Magic => f.write_str("not a message of plimsoll's control protocol"),
            BadFrame::Version(other) => write!(f, "version {other} of the control protocol, where {VERSION} is spoken"),
            BadFrame::TooLong(bytes) => write!(f, "a message of {bytes} bytes, more than are allowed"),
            BadFrame::Payload(why) => write!(f, "a message that cannot be read: {why}"),
        }
    }
}

impl std::error::Error for BadFrame {}

impl Request {
    /// The whole frame.
    pub fn to_frame(&self) -> Vec<u8> {
        frame(self)
    }

    /// The request at the front of `bytes`; `None` while some of it has not come yet.
    ///
    /// # Errors
    /// It is no request.
    pub fn from_frame(bytes: &[u8]) -> Result<Option<Request>, BadFrame> {
        message::<Request, MAX_REQUEST_BYTES>(bytes)
    }
}

impl Answer {
    /// The whole frame.
    pub fn to_frame(&self) -> Vec<u8> {
        frame(self)
    }

    /// The answer at the front of `bytes`; `None` while some of it has not come yet.
    ///
    /// # Errors
    /// It is no answer.
    pub fn from_frame(bytes: &[u8]) -> Result<Option<Answer>, BadFrame> {
        message::<Answer, MAX_ANSWER_BYTES>(bytes)
    }
}

fn frame<T: Encode>(message: &T) -> Vec<u8> {
    let mut payload = Vec::new();
    wire::encode(message, &mut payload);
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
    frame.extend(MAGIC);
    frame.extend(VERSION.to_le_bytes());
    frame.extend([0; 2]);
    frame.extend((payload.len() as u32).to_le_bytes());
    frame.extend(payload);
    frame
}

fn message<T: Decode<()>, const MOST: usize>(bytes: &[u8]) -> Result<Option<T>, BadFrame> {
    let begun = bytes.len().min(MAGIC.len());
    if bytes.get(..begun) != MAGIC.get(..begun) {
        return Err(BadFrame::Magic);
    }
    let Some((&[_, _, _, _, v0, v1, _, _, l0, l1, l2, l3], rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    match u16::from_le_bytes([v0, v1]) {
        VERSION => {}
        other => return Err(BadFrame::Version(other)),
    }
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > MOST {
        return Err(BadFrame::TooLong(length as u64));
    }
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    wire::decode_small::<T, MOST>(payload).map(Some).map_err(|error| BadFrame::Payload(error.to_string()))
}
