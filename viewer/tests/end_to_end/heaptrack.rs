//! Against another profiler: heaptrack watches the same program in the same run, and both must agree.

use std::path::Path;
use std::process::Command;

use crate::expected;
use crate::programs::{self, Mode, OF_C_CODE, Run};
use crate::reports::{Estimate, Report};
use crate::tools;

/// Sum of a kind of cost over the stacks with `function` in them, or over all.
fn cost(data: &Path, kind: &str, function: Option<&str>) -> u64 {
    let stacks = data.with_extension(kind);
    let printed = Command::new("heaptrack_print")
        .arg("-f")
        .arg(data)
        .args(["--flamegraph-cost-type", kind, "--disable-builtin-suppressions", "-F"])
        .arg(&stacks)
        .output()
        .expect("heaptrack_print runs");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let stacks = std::fs::read_to_string(&stacks).expect("heaptrack_print writes the stacks");
    let through = stacks.lines().filter(|line| function.is_none_or(|function| line.contains(function)));
    through.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[test]
fn heaptrack_agrees_on_what_rust_allocates_and_leaks() {
    if !tools::has_tool("heaptrack") {
        return;
    }
    for (program, function) in [("leaking_cache", "remember_page"), ("growth_by_push", "collect_samples")] {
        let folder = tempfile::tempdir().expect("a folder for heaptrack's data");
        let data = folder.path().join("data");
        let under = ["heaptrack", "-o", data.to_str().expect("a plain path")];
        let run = Run { mode: Mode::Exact, under: &under, ..Run::default() };
        let output = programs::run(program, &run);
        let data = data.with_extension("zst");
        let report = Report::of(&output.capture);

        let live = report.sum(function, "live_bytes");
        assert_eq!(Estimate::exact(cost(&data, "leaked", Some(function))), live, "leaked bytes of {program}");
        let calls = report.sum(function, "total_allocations");
        assert_eq!(Estimate::exact(cost(&data, "allocations", Some(function))), calls, "allocations of {program}");
        assert!(expected::of(program).iter().any(|row| row.function == function), "the table names {function}");

        let oracle = output.oracle.expect("the program counts below Plimsoll");
        let inner = oracle["inner"]["allocations"].as_u64().expect("a count");
        let all = cost(&data, "allocations", None);
        assert!((inner..inner + OF_C_CODE).contains(&all), "{program}: heaptrack {all}, the allocator {inner}");
    }
}
