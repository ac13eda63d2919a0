//! Children that hang, crash, miscount and speak: the judge must notice.

use std::hint::black_box;
use std::time::Duration;

use crate::job::{Job, Mode, finish};
use crate::judge::{Expected, run};
use crate::page::Page;
use crate::witness::pass_plimsoll_by;

/// What a child does wrong, and what the judge must say of it.
const FORMS: [(&str, &str); 4] = [
    ("hangs", "HANGS"),
    ("crashes", "ended with signal"),
    ("allocates unseen", "allocations: "),
    ("speaks", "the agent speaks"),
];

pub(crate) fn judge(page: &mut Page) {
    let expected = Expected { longest: Duration::from_secs(2), ..Expected::default() };
    for (form, complaint) in FORMS {
        match run(&Job::new("itself", Mode::Exact).form(form), &expected) {
            Err(said) if said.contains(complaint) => println!("noticed: {said}"),
            Err(said) => page.fail(format!("{form}: the judge says {said}")),
            Ok(_) => page.fail(format!("{form}: the judge did not notice")),
        }
    }
}

pub(crate) fn child(job: &Job) {
    let session = job.start();
    match job.form.as_str() {
        "hangs" => std::thread::sleep(Duration::from_secs(600)),
        "crashes" => std::process::abort(),
        "speaks" => eprintln!("plimsoll: something is wrong"),
        _ => {
            pass_plimsoll_by();
            std::mem::forget(black_box(Box::new(5u64)));
        }
    }
    finish(session, Default::default());
}
