//! Captures whose every name tries to be markup, a script, a link, a template or an object's prototype in the page that
//! shows it. Each would set `window.__x`.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use plimsoll_format::{Event, Header, Mode, Module, ProcessMemory, Record, StackNode, SystemMemory, Thread, Tick};

use super::Running;
use super::support::{CaptureBuilder, START, alloc, header, on};

const SECOND: u64 = 1_000_000_000;
/// Captures whose programs and files have hostile names, beside the one with many.
const CAPTURES: usize = 20;

/// What a name may try.
const PAYLOADS: [&str; 20] = [
    "<script>window.__x=1</script>",
    "<img src=x onerror=window.__x=1>",
    "<svg onload=window.__x=1>",
    "<iframe srcdoc='<script>parent.__x=1</script>'>",
    "<a href=javascript:window.__x=1>__x</a>",
    "<b onmouseover=window.__x=1>__x</b>",
    "<style>*{background:url(//evil.example/__x)}</style>",
    "<object data=data:text/html,<script>parent.__x=1</script>>",
    "<base href=//evil.example/__x>",
    "<meta http-equiv=refresh content='0;url=javascript:window.__x=1'>",
    "javascript:window.__x=1",
    "data:text/html,<script>window.__x=1</script>",
    "${window.__x=1}",
    "{{constructor.constructor('window.__x=1')()}}",
    "%{x}<extra onclick=window.__x=1>__x</extra>",
    "$\\href{javascript:window.__x=1}{__x}$",
    "&lt;img src=x onerror=window.__x=1&gt;",
    "]]><script>window.__x=1</script><![CDATA[",
    "<title><img src=x onerror=window.__x=1></title>",
    "<details open ontoggle=window.__x=1>__x",
];

/// What may stand around it, so that it gets out of what it is in.
const ROUND: [(&str, &str); 10] = [
    ("", ""),
    ("\">", "<\""),
    ("'>", "<'"),
    ("-->", "<!--"),
    ("</script>", "<script>"),
    ("</title></textarea>", "<textarea>"),
    ("</text></svg>", "<svg><text>"),
    ("__proto__.", ".__x"),
    ("\u{202e}\u{200b}", "\u{2028}"),
    ("\n\r\t\0", "\x1b]8;;javascript:window.__x=1\x07"),
];

/// 200 names, all different.
pub(crate) fn names() -> Vec<String> {
    let around = |payload: &'static str| ROUND.iter().map(move |(before, after)| format!("{before}{payload}{after}"));
    PAYLOADS.into_iter().flat_map(around).collect()
}

/// Saves captures with these names into a folder: as programs, files, markers, threads, tags and modules.
pub(crate) fn save_captures(folder: &Path) {
    let names = names();
    many_names(&names).save(folder, "many.plim");
    for (number, name) in names.iter().step_by(names.len() / CAPTURES).enumerate() {
        let mut builder = capture(name, number as u64 + 2);
        builder.stacks(1).events(&[alloc(START + SECOND, 0x10_0000, 4096, 1)]);
        builder.record(reading(START + 2 * SECOND)).watermark(START + 3 * SECOND).end(START + 3 * SECOND);
        builder.save(folder, &format!("{}.plim", name.replace(['/', '\0'], "|")));
    }
}

/// A process that does not link the agent, whose program and command have such names; it ends by itself too. The system keeps
/// 15 bytes of a program's name.
pub(crate) fn start_process(folder: &Path) -> Running {
    let program = folder.join("<b onload=__x>");
    std::fs::copy("/bin/sleep", &program).expect("sleep can be copied");
    let mut command = Command::new(program);
    command.arg0("<img src=x onerror=window.__x=1>").arg("120").stdin(Stdio::null());
    Running(command.spawn().expect("sleep starts"))
}

fn capture(program: &str, session: u64) -> CaptureBuilder {
    CaptureBuilder::with_header(Header { program: program.into(), session, ..header(Mode::Exact, 1) })
}

fn reading(ticks: u64) -> Record {
    let process = ProcessMemory { rss_bytes: 64 << 20, anon_bytes: 64 << 20, ..ProcessMemory::default() };
    let (system, cgroup) = (SystemMemory::default(), None);
    Record::Tick(Tick { ticks, process, cgroup, system, process_cpu_ns: 0, agent: Default::default() })
}

/// One capture with all names, each for a thread, a tag, a module with a call from it, and a marker.
fn many_names(names: &[String]) -> CaptureBuilder {
    let mut builder = capture("many names <b>__x</b>", 1);
    let mut ticks = START;
    for (number, name) in names.iter().enumerate() {
        let id = number as u32 + 1;
        let start = u64::from(id) << 20;
        let path = format!("/tmp/{}", name.replace('/', "|"));
        let module =
            Module { id, ticks: START, bias: start, start, end: start + (1 << 20), path, build_id: Vec::new() };
        builder.record(Record::Module(module));
        builder.record(Record::Thread(Thread { id, os_id: id, ticks: START, name: name.clone() }));
        builder.record(Record::Tag { id, name: name.clone() });
        builder.record(Record::StackNodes(vec![StackNode { id, parent: 0, address: start + 64 }]));
        builder.block();
    }
    builder.record(reading(START + 1));
    for round in 0..20 {
        for (number, name) in names.iter().enumerate() {
            let id = number as u32 + 1;
            ticks += SECOND / 100;
            let address = 0x1000_0000 + (round * names.len() as u64 + u64::from(id)) * 0x1000;
            let event = on(id, alloc(ticks, address, 1024, id));
            builder.events(&[Event { tag: id, ..event }]);
            if round == 10 {
                builder.record(Record::Marker { ticks, name: name.clone() });
            }
        }
        builder.record(reading(ticks)).watermark(ticks).block();
    }
    builder.end(ticks + 1);
    builder
}
