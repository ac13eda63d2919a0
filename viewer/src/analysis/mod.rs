//! Answers to questions about a capture: pure functions of the [`Profile`](crate::model::Profile) and the
//! [`Heap`](crate::replay::Heap). Every surface reads the same ones.

mod histogram;
mod leaks;
mod summary;
#[cfg(test)]
mod tests;
mod timeline;
pub mod verdict;

pub use histogram::{Bucket, By, histogram};
pub use leaks::{Leak, leaks};
pub use summary::{PeakMeasure, Summary, TotalsMeasure, Unattributed, summary};
pub use timeline::{TimelinePoint, timeline};
