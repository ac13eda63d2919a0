//! Not our code at work: syn, the parser behind most procedural macros, reads 0.7 MB of Rust source into its tree.

use std::alloc::System;

use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

/// How often this file's own source is repeated, each time in a module of its own.
const COPIES: usize = 1_000;

fn source() -> String {
    let own = include_str!("parser.rs");
    // Module docs cannot stand inside a module's braces behind other items; the code below them can.
    let code = own.split_once("const COPIES").map_or(own, |(_, code)| code);
    (0..COPIES).map(|copy| format!("mod copy_{copy} {{ const COPIES{code} }}\n")).collect()
}

fn main() -> Result<(), syn::Error> {
    let session = plimsoll::Session::from_env_or_idle();
    let source = source();
    let file = syn::parse_file(&source)?;
    println!("{} bytes, {} modules", source.len(), file.items.len());
    plimsoll_examples::finish(session);
    Ok(())
}
