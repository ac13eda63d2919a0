//! Parsing a large JSON document into a tree and dropping it.

use std::hint::black_box;

use serde_json::Value;

use super::random::mix;
use super::{Job, Outcome, Workload, requests};

pub(super) const JSON: Workload = Workload {
    name: "json",
    unit: "document",
    units: 2,
    recorded_units: 1,
    peers: true,
    tolerance: 0.0,
    about: "20 MB of JSON parsed into a tree of serde_json, which is dropped",
    prepare,
};

/// Elements of a document of 20 MB.
const ELEMENTS: u64 = 172_000;

/// Nodes of the tree.
fn count(value: &Value) -> u64 {
    match value {
        Value::Array(values) => 1 + values.iter().map(count).sum::<u64>(),
        Value::Object(members) => 1 + members.values().map(count).sum::<u64>(),
        _ => 1,
    }
}

fn prepare(documents: u64) -> Job {
    let text = requests::document(ELEMENTS, 4);
    Box::new(move || {
        let checksum = (0..documents).fold(text.len() as u64, |checksum, _| {
            let tree: Value = serde_json::from_str(black_box(&text)).unwrap_or_default();
            mix(checksum, count(&tree))
        });
        Outcome::of(checksum)
    })
}
