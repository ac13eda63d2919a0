//! The work of a request: parse a JSON document, fill a map with it, serialize the map.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::random::{Random, mix};

/// Elements in the body of a request, so that one request makes about 1,000 allocations.
const ELEMENTS: u64 = 57;

/// A JSON array of `elements` objects with strings, numbers and a nested list.
pub(super) fn document(elements: u64, seed: u64) -> String {
    let mut random = Random::new(seed);
    let mut text = String::from("[");
    for element in 0..elements {
        let (number, other) = (random.next(), random.next());
        let comma = if element == 0 { "" } else { "," };
        let written = write!(
            text,
            r#"{comma}{{"id":"{element:06}-{:08x}","name":"user {} \"{:x}\"","amount":{}.{:02},"active":{},"tags":["{:x}","{:x}",{}]}}"#,
            number as u32,
            number % 997,
            number >> 40,
            other % 100_000,
            other % 100,
            other & 1 == 0,
            other >> 50,
            other >> 44,
            other % 7,
        );
        debug_assert!(written.is_ok(), "a string can always be written to");
    }
    text.push(']');
    text
}

/// The body of a request.
pub(super) fn body() -> String {
    document(ELEMENTS, 3)
}

/// The answer to a request.
pub(super) fn answer(body: &str) -> String {
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for element in parsed.as_array().into_iter().flatten() {
        let text = |key: &str| element.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let tags = element.get("tags").and_then(Value::as_array).into_iter().flatten();
        names.entry(text("name")).or_default().extend(tags.map(ToString::to_string).chain([text("id")]));
    }
    serde_json::to_string(&names).unwrap_or_default()
}

/// Checksum of an answer.
pub(super) fn checksum(answer: &str) -> u64 {
    let words = answer.as_bytes().chunks(8);
    words.fold(answer.len() as u64, |sum, word| word.iter().fold(sum, |sum, byte| mix(sum, u64::from(*byte))))
}
