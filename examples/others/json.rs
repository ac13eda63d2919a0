//! Not our code at work: serde_json reads a document of about 9 MB into its tree of values and writes it again.

use std::alloc::System;

use plimsoll_examples::Counted;
use serde_json::Value;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

const ROWS: usize = 60_000;

/// A list of orders, each with texts, numbers and a list of its own.
fn document() -> String {
    let row = |number: usize| {
        format!(
            r#"{{"id": {number}, "customer": "customer {}", "paid": {}, "total": {}.5, "items": [{{"name": "item {}"}}, {{"name": "item {}"}}], "note": null}}"#,
            number % 997,
            number.is_multiple_of(2),
            number * 3,
            number % 31,
            number % 17,
        )
    };
    let rows: Vec<String> = (0..ROWS).map(row).collect();
    format!("[{}]", rows.join(",\n"))
}

fn main() -> Result<(), serde_json::Error> {
    let session = plimsoll::Session::from_env_or_idle();
    let text = document();
    let orders: Value = serde_json::from_str(&text)?;
    let again = serde_json::to_string(&orders)?;
    println!(
        "{} bytes read, {} orders, {} bytes written",
        text.len(),
        orders.as_array().map_or(0, Vec::len),
        again.len()
    );
    plimsoll_examples::finish(session);
    Ok(())
}
