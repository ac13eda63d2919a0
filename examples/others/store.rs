//! Not our code at work: redb, an embedded key-value store, takes 40,000 entries in ten transactions and reads them
//! back. Its pages live in memory.

use std::alloc::System;

use plimsoll_examples::Counted;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("entries");
const TRANSACTIONS: u64 = 10;
const ENTRIES: u64 = 4_000;
const CACHE_BYTES: usize = 16 << 20;

fn fill(database: &Database) -> Result<(), redb::Error> {
    for transaction in 0..TRANSACTIONS {
        let write = database.begin_write()?;
        {
            let mut table = write.open_table(TABLE)?;
            for entry in 0..ENTRIES {
                // Keys in no order, so that pages split everywhere.
                let key = (transaction * ENTRIES + entry).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                table.insert(key, [entry as u8; 200].as_slice())?;
            }
        }
        write.commit()?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = plimsoll::Session::from_env_or_idle();
    let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(InMemoryBackend::new())?;
    fill(&database)?;
    let entries = database.begin_read()?.open_table(TABLE)?.iter()?.count();
    println!("{entries} entries");
    plimsoll_examples::finish(session);
    Ok(())
}
