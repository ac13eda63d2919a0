//! Exports in the programs that they are for: Valgrind's viewer and speedscope's web app, in Chromium.

use std::process::Command;

use super::support::{CaptureBuilder, alloc, free};
use super::*;

/// Where Debian's valgrind has its viewer.
const DH_VIEW: &str = "/usr/libexec/valgrind/dh_view.html";

#[test]
fn dhat_and_speedscope_files_open_in_their_programs() {
    if !has_browser() {
        return;
    }
    let required = std::env::var_os("PLIMSOLL_REQUIRE_TOOLS").is_some();
    if !Path::new(DH_VIEW).exists() {
        assert!(!required, "{DH_VIEW} is not there, and PLIMSOLL_REQUIRE_TOOLS asks for it");
        let _ = writeln!(std::io::stderr(), "SKIPPED: valgrind is not installed; the DHAT export was not opened");
        return;
    }
    let folder = TempDir::new().expect("a folder for the exports");
    let mut builder = CaptureBuilder::exact();
    let start = support::START;
    builder.stacks(3);
    // Three blocks of 1,000 bytes and one of 500 stay, one of 4,000 goes: 7,500 in all, 7,500 at the peak, 3,500 at the end.
    let mut events: Vec<_> =
        (0..3).map(|at| alloc(start + 1_000 * (1 + at), 0x1_0000 + at * 4_096, 1_000, 1)).collect();
    events.push(alloc(start + 4_000, 0x2_0000, 500, 2));
    events.push(alloc(start + 5_000, 0x3_0000, 4_000, 3));
    events.push(free(start + 9_000, 0x3_0000));
    builder.events(&events).watermark(start + 10_000).end(start + 10_000);
    let capture = builder.save(folder.path(), "run.plim");
    for (format, name) in [("dhat", "dhat.json"), ("speedscope", "speedscope.json")] {
        let mut export = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        export.arg("export").arg(&capture).args(["--to", format, "-o"]).arg(folder.path().join(name));
        assert!(export.stdout(Stdio::null()).status().expect("plimsoll runs").success(), "{format}");
    }
    let shown = serde_json::json!({
        "total": 7_500, "live": 3_500, "told": "3.42 KiB", "blocks": 4, "peak": 7_500, "leak": "0x1010",
    });
    let address = Address { base: format!("file://{}/", folder.path().display()), token: shown.to_string() };
    drive("exports.mjs", &address, &failure("exports"), |wish| panic!("nobody knows how to {wish}"));
}
