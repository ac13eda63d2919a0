//! `dump`: the raw capture, item by item.

use std::io::{BufWriter, Write};

use plimsoll_format::{Record, unpack};
use serde_json::{Value, json};

use crate::capture::Found;
use crate::present::json::to_line;
use crate::present::safe;

use super::args::DumpArgs;
use super::error::CliError;
use super::load::Loaded;

pub(super) fn dump(args: &DumpArgs) -> Result<(), CliError> {
    let loaded = Loaded::open(&args.input.capture)?;
    let mut out = Dump { out: BufWriter::new(anstream::stdout().lock()), json: args.input.json, result: Ok(()) };
    loaded.capture.scan(&mut |found| out.found(&found, args.full))?;
    out.result.and_then(|()| out.out.flush().map_err(CliError::Output))
}

struct Dump<W: Write> {
    out: W,
    json: bool,
    /// The first failure; nothing is written after it.
    result: Result<(), CliError>,
}

impl<W: Write> Dump<W> {
    fn found(&mut self, found: &Found<'_>, full: bool) {
        match found {
            Found::Segment { number, path } => self.line("segment", &format!("{number} {}", path.display())),
            Found::Block { offset, header, fate } => self.line("block", &format!("at {offset}: {header:?}, {fate:?}")),
            Found::Unknown(unknown) => self.line("unknown", &format!("{unknown:?}")),
            Found::Damage(damage) => self.line("damage", &format!("{damage:?}")),
            Found::Gap(gap) => self.line("gap", &format!("{gap:?}")),
            Found::Record(record) => self.record(record, full),
        }
    }

    /// One record on one line; the items of long ones below it, when asked for.
    fn record(&mut self, record: &Record, full: bool) {
        match record {
            Record::Events(events) => {
                let text = format!("Events: {} in {} bytes", events.count, events.packed.len());
                self.line("record", &text);
                let events = unpack(events.state, &events.packed);
                for event in events.take_while(|_| full) {
                    match event {
                        Ok(event) => self.item("event", &event),
                        Err(error) => self.item("damage", &error),
                    }
                }
            }
            Record::StackNodes(nodes) => {
                self.line("record", &format!("StackNodes: {}", nodes.len()));
                nodes.iter().take_while(|_| full).for_each(|node| self.item("node", node));
            }
            Record::LiveBlocks(blocks) => {
                self.line("record", &format!("LiveBlocks: {}", blocks.len()));
                blocks.iter().take_while(|_| full).for_each(|block| self.item("live", block));
            }
            Record::Symbols(symbols) => {
                let text = format!("Symbols: {} addresses of module {}", symbols.addresses.len(), symbols.module);
                self.line("record", &text);
                symbols.addresses.iter().take_while(|_| full).for_each(|address| self.item("symbol", address));
            }
            Record::Thinning(thinning) => {
                let (from, to) = (thinning.from_interval_bytes, thinning.to_interval_bytes);
                let (kept, dropped) = (thinning.kept.len(), thinning.dropped.len());
                let ticks = thinning.ticks;
                self.line("record", &format!("Thinning at {ticks}: {from} to {to}, kept {kept}, dropped {dropped}"));
            }
            record => self.line("record", &format!("{record:?}")),
        }
    }

    fn item(&mut self, kind: &str, item: &impl std::fmt::Debug) {
        self.line(kind, &format!("{item:?}"));
    }

    fn line(&mut self, kind: &str, text: &str) {
        if self.result.is_err() {
            return;
        }
        let line = if self.json {
            let value: Value = json!({ "item": kind, "text": text });
            to_line(&value).map_err(std::io::Error::from)
        } else {
            Ok(format!("{kind:<8} {}\n", safe(text)))
        };
        self.result = line.and_then(|line| self.out.write_all(line.as_bytes())).map_err(CliError::Output);
    }
}
