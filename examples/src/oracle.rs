//! Ends an example's session and, on request, prints Plimsoll's counts beside those of [`Counted`](crate::Counted).

use crate::counted::Counts;

/// Ends the session. With `PLIMSOLL_EXAMPLE_ORACLE` in the environment it then prints one line of JSON on stdout, after
/// the word `oracle`:
///
/// - `recorded`: what Plimsoll had counted for the program when the session ended, which is what the capture says;
/// - `inner`: what has reached the inner allocator by now;
/// - `program` and `agent`: what Plimsoll has counted by now for the program and for itself. `inner` is their sum.
///
/// All other threads of the program must have ended.
pub fn finish(session: plimsoll::Session) {
    let recorded = plimsoll::stats();
    if let Err(error) = session.finish() {
        eprintln!("{error}");
    }
    if std::env::var_os("PLIMSOLL_EXAMPLE_ORACLE").is_none() {
        return;
    }
    // All is read before anything is printed, since printing allocates.
    let inner = Counts::now();
    let stats = plimsoll::stats();
    let agent = format!(
        r#"{{"allocations": {}, "bytes": {}, "freed_bytes": {}}}"#,
        stats.agent_allocations,
        stats.agent_bytes,
        stats.agent_bytes - stats.agent_live_bytes,
    );
    let [recorded, inner, program] = [of_program(&recorded), inner, of_program(&stats)].map(json);
    println!(r#"oracle {{"recorded": {recorded}, "inner": {inner}, "program": {program}, "agent": {agent}}}"#);
}

fn of_program(stats: &plimsoll::Stats) -> Counts {
    let plimsoll::Stats { allocations, bytes, frees, freed_bytes, .. } = *stats;
    Counts { allocations, bytes, frees, freed_bytes }
}

fn json(counts: Counts) -> String {
    let Counts { allocations, bytes, frees, freed_bytes } = counts;
    format!(r#"{{"allocations": {allocations}, "bytes": {bytes}, "frees": {frees}, "freed_bytes": {freed_bytes}}}"#)
}
