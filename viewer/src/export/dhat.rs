//! DHAT's JSON, as Valgrind's `dh_view.html` reads it: lifetimes, each site's own peak, the heap's peak, the end.
//!
//! Its lines stand for places that are each told once. Sites of several threads with one shown stack are several lines, since
//! their own peaks do not add up: the outermost line says which thread it is.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use serde::Serialize;

use crate::present::safe;
use crate::symbolize::Frame;

use super::walk::{Row, Walk};

/// The names are the format's.
#[derive(Serialize)]
struct File {
    #[serde(rename = "dhatFileVersion")]
    version: u32,
    mode: &'static str,
    verb: &'static str,
    /// Lifetimes are recorded, accesses are not.
    bklt: bool,
    bkacc: bool,
    /// Unit of time, a million of them, and below how many a block is short-lived.
    tu: &'static str,
    #[serde(rename = "Mtu")]
    mtu: &'static str,
    tuth: u64,
    cmd: String,
    pid: u32,
    /// Moments of the peak and of the end.
    tg: u64,
    te: u64,
    pps: Vec<Point>,
    ftbl: Vec<String>,
}

#[derive(Serialize)]
struct Point {
    /// Total: bytes, blocks, lifetimes.
    tb: u64,
    tbk: u64,
    tl: u64,
    /// At the site's own peak.
    mb: u64,
    mbk: u64,
    /// At the heap's peak.
    gb: u64,
    gbk: u64,
    /// At the end.
    eb: u64,
    ebk: u64,
    /// Frames, innermost first.
    fs: Vec<usize>,
}

/// Frames by their text. The first one is the tree's root.
struct Frames {
    texts: Vec<String>,
    known: HashMap<String, usize>,
}

impl Frames {
    fn number(&mut self, text: String) -> usize {
        *self.known.entry(text.clone()).or_insert_with(|| {
            self.texts.push(text);
            self.texts.len() - 1
        })
    }
}

/// Writes an exact capture; a sampled one knows neither lifetimes nor each block.
///
/// # Errors
///
/// When it cannot be written.
pub fn dhat(walk: &Walk<'_>, out: impl Write) -> io::Result<()> {
    let mut frames = Frames { texts: vec!["[root]".to_owned()], known: HashMap::new() };
    let mut places: HashSet<Vec<usize>> = HashSet::new();
    let mut pps = Vec::new();
    for row in walk.rows() {
        let mut place: Vec<usize> = row.frames.iter().map(|frame| frames.number(text(frame))).collect();
        place.push(frames.number(owner(walk, &row)));
        let mut more = 2;
        while !places.insert(place.clone()) {
            // Stacks that differ only in frames that are not shown.
            if more > 2 {
                place.pop();
            }
            place.push(frames.number(format!("[another way through frames that are not shown: {more}]")));
            more += 1;
        }
        pps.push(point(&row, place));
    }
    let profile = walk.profile;
    let lossy = if profile.losses.is_empty() { "" } else { "; events were lost, so that figures are bounds" };
    let file = File {
        version: 2,
        mode: "plimsoll",
        verb: "Allocated",
        bklt: true,
        bkacc: false,
        tu: "µs",
        mtu: "s",
        tuth: 500,
        cmd: format!("{} (recorded by Plimsoll: {}{lossy})", safe(&profile.header.program), walk.basis()),
        pid: profile.header.pid,
        tg: walk.heap.peak.recorded_at_ns / 1_000,
        te: walk.heap.moment_ns.max(walk.heap.peak.recorded_at_ns) / 1_000,
        pps,
        ftbl: frames.texts,
    };
    Ok(serde_json::to_writer(out, &file)?)
}

fn point(row: &Row<'_>, fs: Vec<usize>) -> Point {
    let site_peak = row.site.map_or(row.at_peak, |site| site.site_peak);
    Point {
        tb: row.total.bytes,
        tbk: row.total.blocks,
        tl: row.site.and_then(|site| site.lived_ns).unwrap_or(0) / 1_000,
        mb: site_peak.bytes,
        mbk: site_peak.blocks,
        gb: row.at_peak.bytes,
        gbk: row.at_peak.blocks,
        eb: row.live.bytes,
        ebk: row.live.blocks,
        fs,
    }
}

/// `0x1234: function (file:line)`, with the address in the module's file.
fn text(frame: &Frame) -> String {
    let name = frame.name();
    let text = match (frame.is_marker(), frame.place()) {
        (true, _) => name,
        (false, Some(place)) => format!("{:#x}: {name} ({place})", frame.offset),
        (false, None) => format!("{:#x}: {name}", frame.offset),
    };
    safe(&text).into_owned()
}

/// The thread that allocated, with its tag and what stacks are put together by.
fn owner(walk: &Walk<'_>, row: &Row<'_>) -> String {
    let Some(site) = row.site else { return "[no thread]".to_owned() };
    let name = walk.profile.thread_name(site.thread);
    let tag = walk.profile.tag_name(site.tag).map(|tag| format!(", tag {tag}")).unwrap_or_default();
    let root = row.root.map(|root| format!(", {root}")).unwrap_or_default();
    safe(&format!("[thread {name} ({}){tag}{root}]", site.thread.0)).into_owned()
}
