//! Golden captures: what version 1 wrote stays readable, and today's writer still writes it.
//!
//! `PLIMSOLL_REWRITE_CAPTURES=1` writes the files anew; see `captures/README.md` for when that is right.

use std::path::PathBuf;

use plimsoll_format::{Item, Reader, parse_file_header};

use crate::samples::{self, Capture};

fn path(capture: &Capture) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "captures", capture.name].iter().collect()
}

#[test]
fn todays_writer_writes_the_golden_bytes() {
    for capture in samples::all() {
        let path = path(&capture);
        if std::env::var_os("PLIMSOLL_REWRITE_CAPTURES").is_some() {
            std::fs::write(&path, capture.bytes()).expect("the golden file is written");
        }
        let golden = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Which bytes stand for the same content is the compressor's business, from one release of zstd to the next.
        assert!(
            capture.compressed || golden == capture.bytes(),
            "{} is no longer what the writer writes",
            capture.name
        );
    }
}

#[test]
fn golden_captures_read_as_the_records_they_were_made_of() {
    for capture in samples::all() {
        let golden = std::fs::read(path(&capture)).expect("the golden file is there");
        assert_eq!(parse_file_header(&golden), Some(1));
        let mut reader = Reader::new();
        reader.feed(&golden);
        reader.end();
        for (number, expected) in capture.blocks.iter().enumerate() {
            let Some(Item::Block(block)) = reader.next_item() else { panic!("block {number} of {}", capture.name) };
            assert_eq!(block.header.session, samples::SESSION);
            assert_eq!(block.header.sequence, capture.first_sequence + number as u64);
            assert_eq!(block.header.keyframe, expected.keyframe);
            let records: Result<Vec<_>, _> = block.records().collect();
            assert_eq!(records.as_ref(), Ok(&expected.records), "block {number} of {}", capture.name);
        }
        assert!(reader.next_item().is_none());
    }
}
