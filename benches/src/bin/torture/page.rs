//! What is printed: a line for each child, its figures, and what failed.

use std::process::ExitCode;

use crate::job::Job;
use crate::judge::{Ended, Expected, run};

/// Lines printed so far, in short: whether something failed.
#[derive(Debug, Default)]
pub(crate) struct Page {
    runs: u32,
    failures: Vec<String>,
    skipped: Vec<String>,
}

impl Page {
    /// Runs a job and judges it; what failed is noted, and gives nothing.
    pub(crate) fn run(&mut self, job: &Job, expected: &Expected) -> Option<Ended> {
        self.runs += 1;
        match run(job, expected) {
            Ok(ended) => Some(ended),
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// Prints a run with its figures.
    pub(crate) fn line(&self, ended: &Ended, figures: &str) {
        let Job { work, form, mode, .. } = &ended.job;
        println!("{work:16} {form:18} {mode:8} {:7.2} s  {figures}", ended.took.as_secs_f64());
    }

    /// Prints what explains the line before.
    pub(crate) fn note(&self, text: &str) {
        println!("{:16} {text}", "");
    }

    /// Prints a figure that must not be above a bound.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, bound: f64) {
        if value.is_nan() || value > bound {
            self.fail(format!("{what}: {value}, more than {bound}"));
        }
    }

    /// Notes what failed.
    pub(crate) fn fail(&mut self, error: String) {
        println!("FAILED {error}");
        self.failures.push(error);
    }

    /// Says aloud that something could not be tried here.
    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        println!("SKIPPED {what}: {why}");
        self.skipped.push(what.to_owned());
    }

    /// The last line, and the exit code.
    pub(crate) fn end(self) -> ExitCode {
        println!("{} runs, {} failures, {} skipped", self.runs, self.failures.len(), self.skipped.len());
        if self.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
    }
}
