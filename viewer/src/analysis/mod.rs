//! Answers to questions about a capture: pure functions of the [`Profile`](crate::model::Profile) and the
//! [`Heap`](crate::replay::Heap). Every surface reads the same ones.

mod check;
mod diff;
mod histogram;
mod last_moments;
mod leaks;
mod lints;
mod rss;
mod summary;
#[cfg(test)]
mod tests;
mod timeline;
pub mod verdict;

pub use check::{Check, Doubt, Evidence, Figure, Found, Gate, Limits, Status, Whole, check};
pub use diff::{Change, Changes, Difference, FALSE_ALARMS, changes};
pub use histogram::{Bucket, By, histogram};
pub use last_moments::{LastMoments, last_moments};
pub use leaks::{Leak, leaks};
pub use lints::{Lint, Pattern, lints};
pub use rss::{Basis, Cause, Part, RssSplit, rss};
pub(crate) use summary::live_bytes;
pub use summary::{PeakMeasure, Summary, TotalsMeasure, Unattributed, summary};
pub(crate) use timeline::rate;
pub use timeline::{Point, TIMELINE_POINTS, TimelinePoint, Timelines, timeline, timelines};
