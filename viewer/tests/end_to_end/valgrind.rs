//! Against a checker: valgrind finds no invalid access in a program that the agent records, and counts the same
//! allocations.

use crate::expected;
use crate::programs::{self, Mode, OF_C_CODE, Run};
use crate::tools;

/// The number right behind `words` in valgrind's summary, as in `total heap usage: 12,569 allocs`.
fn number(summary: &str, words: &str) -> u64 {
    let digits = summary.split(words).nth(1).and_then(|rest| rest.split(' ').next());
    let number = digits.and_then(|digits| digits.replace(',', "").parse().ok());
    number.unwrap_or_else(|| panic!("no number behind \"{words}\" in {summary}"))
}

#[test]
fn valgrind_finds_no_error_and_counts_the_same() {
    if !tools::has_tool("valgrind") {
        return;
    }
    let pages = expected::of("leaking_cache");
    let pages = pages.iter().find(|row| row.function == "remember_page" && row.number == "live_bytes");
    let pages = pages.expect("the table says what the pages hold").value;
    for mode in [Mode::Exact, Mode::Sampled { interval_bytes: 64 << 10, seed: 1 }] {
        // An invalid access makes valgrind exit with 9, which fails the run.
        let under = ["valgrind", "--error-exitcode=9"];
        let output = programs::run("leaking_cache", &Run { mode, under: &under, ..Run::default() });
        let oracle = output.oracle.as_ref().expect("the program counts below Plimsoll");
        let inner = oracle["inner"]["allocations"].as_u64().expect("a count");
        let all = number(&output.stderr, "total heap usage: ");
        assert!((inner..inner + OF_C_CODE).contains(&all), "{mode:?}: valgrind {all}, the allocator {inner}");
        // The pages hang on a table that the program forgets; a word somewhere that looks like an address of one makes it
        // "possibly" lost.
        let lost = number(&output.stderr, "indirectly lost: ") + number(&output.stderr, "possibly lost: ");
        assert_eq!(lost, pages, "{}", output.stderr);
    }
}
