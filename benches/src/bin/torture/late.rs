//! Allocations where there is nothing to stand on: before `main`, in destructors of threads, after `main`.

use std::cell::RefCell;
use std::hint::black_box;

use crate::job::{Job, RECORDED, finish, tell_now};
use crate::judge::{End, Expected};
use crate::os::{self, Thread};
use crate::page::Page;

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn judge(_: &Arguments, page: &mut Page) {
    for mode in RECORDED {
        for (form, end) in [("thread-locals", End::Exit(0)), ("keys", End::Exit(0)), ("atexit", End::Exit(4))] {
            let job = Job::new("late", mode).form(form).count(1000);
            let Some(ended) = page.run(&job, &Expected { end, ..Expected::default() }) else { continue };
            let before = ended.capture.as_ref().map_or(0, |capture| capture.profile.header.before.bytes);
            page.line(&ended, &format!("{} threads; {before} bytes allocated before the session", job.count));
            // One block of 4,321 bytes and a hundred of up to 99 come before `main`.
            if before < 4321 + 4950 {
                page.fail("what was allocated before main is not counted".to_owned());
            }
        }
    }
}

fn allocate() {
    (1..20usize).for_each(|size| drop(black_box(vec![1u8; size * 10])));
}

/// Allocates when its thread ends, and holds blocks until then.
struct Last(Vec<Vec<u8>>);

impl Drop for Last {
    fn drop(&mut self) {
        allocate();
        self.0.push(black_box(vec![1; 100]));
        // Others may be gone by now, or come up only now.
        let _ = OTHER.try_with(|other| other.borrow_mut().push(black_box(vec![2; 50])));
    }
}

thread_local! {
    static LAST: RefCell<Last> = const { RefCell::new(Last(Vec::new())) };
    static OTHER: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn child(job: &Job) {
    let session = job.start();
    match job.form.as_str() {
        "atexit" => {
            extern "C" fn at_exit() {
                allocate();
                tell_now(Default::default());
            }
            // Later than the agent's own handler, so it runs before that; one that tells would not end the session.
            os::late_for_exit(at_exit);
            allocate();
            std::mem::forget(session);
            std::process::exit(4);
        }
        form => {
            let with_keys = form == "keys";
            for _ in 0..job.count / 8 {
                let start = |_| {
                    Thread::spawn(128 << 10, move || {
                        if with_keys {
                            os::in_key_destructor(3, allocate);
                        }
                        LAST.with(|last| last.borrow_mut().0.push(black_box(vec![3; 200])));
                        allocate();
                    })
                };
                let threads: Vec<Thread> = (0..8).map(start).collect();
                threads.into_iter().for_each(Thread::join);
            }
            finish(session, Default::default());
        }
    }
}
