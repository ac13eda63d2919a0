//! Programs whose resident set is not their heap: `plimsoll rss` finds the part that each of them is made of, and how
//! large it is.

use serde_json::Value;

use crate::programs::{self, Mode, Run};
use crate::reports::plimsoll;

const MB: u64 = 1_000_000;
const MIB: u64 = 1 << 20;

/// Program, class of its verdict, words that its sentence must have, and the bytes that the part must have: at least and
/// at most.
const PROGRAMS: [(&str, &str, &str, u64, u64); 7] = [
    // Three quarters of 200,000 blocks of 1,008 bytes; the pages that survivors share with their lists may differ.
    ("rss_fragmentation", "pinned-pages", "glibc cannot give back", 140 * MB, 160 * MB),
    // 8 × 383 blocks of 64 KiB are 191.5 MiB.
    ("rss_arenas", "arenas", "glibc keeps, most of it in the arenas of threads", 180 * MIB, 200 * MIB),
    ("rss_mmap", "anonymous", "no allocator speaks for", 190 * MIB, 195 * MIB),
    // The file, the program and its libraries.
    ("rss_file", "files", "128 MiB of them of ", 128 * MIB, 140 * MIB),
    // 120,000 blocks of 1,008 bytes are 121 MB; C's own few come on top.
    ("rss_c_leak", "c-heap", "C code holds", 119 * MB, 123 * MB),
    // Some may have been given back meanwhile; beyond 192 MiB lies what jemalloc rounds 64 KiB and its caches up to.
    ("rss_jemalloc", "dirty-pages", "jemalloc has not given back yet", 100 * MIB, 220 * MIB),
    // 200,000 blocks of 1,024 bytes less one in 64 are 201.6 MB; mimalloc's own tables come on top.
    ("rss_mimalloc", "retention", "mimalloc keeps", 201 * MB, 204 * MB),
];

fn check(mode: Mode) {
    let mut complaints = Vec::new();
    for (program, class, words, least, most) in PROGRAMS {
        // A transparent huge page that is touched anywhere is resident as a whole: how many mimalloc's threads touch
        // a corner of is chance (8 to 20 MB were seen).
        let output = programs::run(program, &Run { mode, under: &["env", "MIMALLOC_ALLOW_THP=0"], ..Run::default() });
        let json = plimsoll(&["rss", output.capture.to_str().expect("a plain path"), "--json"]);
        let json: Value = serde_json::from_str(&json).expect("--json prints JSON");
        let (split, verdict) = (&json["rss"], &json["rss"]["verdict"]);
        let parts = split["parts"].as_array().expect("parts");
        let bytes = |part: &Value| part["bytes"]["value"].as_u64().expect("bytes");
        let found = parts.iter().find(|part| part["part"] == verdict["part"]).map_or(0, bytes);
        let sentence = verdict["sentence"].as_str().unwrap_or("");
        if verdict["class"] != class || !sentence.contains(words) || !(least..=most).contains(&found) {
            complaints.push(format!("{program}: {found} bytes of {verdict}\n{split}"));
        }
        let rss = split["rss_bytes"]["value"].as_i64().expect("bytes");
        let sum: i64 = parts.iter().map(|part| bytes(part) as i64).sum();
        let remainder = split["remainder_bytes"].as_i64().expect("bytes");
        if rss != sum + remainder || remainder.unsigned_abs() > MIB {
            complaints.push(format!("{program}: the parts make {sum}, RSS is {rss}, the remainder {remainder}"));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn each_resident_set_gets_the_right_sentence_in_sampled_mode() {
    check(Mode::Sampled { interval_bytes: 512 << 10, seed: 1 });
}

#[test]
fn each_resident_set_gets_the_right_sentence_in_exact_mode() {
    check(Mode::Exact);
}
