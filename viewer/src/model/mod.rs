//! What a capture says, in types: ids, measures with their error, the clock, stacks, modules, and the [`Profile`]
//! that holds them. Nothing here reads files or replays events.

mod clock;
#[cfg(test)]
mod coverage_test;
mod gamma;
mod ids;
mod limits;
mod measure;
mod modules;
mod places;
mod profile;
mod spread;
mod stacks;
mod tally;
#[cfg(test)]
mod tally_test;

pub use clock::SessionClock;
pub(crate) use clock::Stretch;
pub use ids::{ModuleId, StackId, TagId, ThreadId};
pub(crate) use limits::{Budget, Limits};
pub use measure::Measure;
pub use modules::{ModuleInfo, Modules};
pub use profile::{
    BlockGap, EndKind, EndState, Footprint, MissingTime, PhaseChange, Profile, Recovered, SegmentInfo, ThreadInfo,
    Unread, Unwinding,
};
pub use spread::{SizeClass, Spread};
pub use stacks::{Frame, FrameIter, StackTable};
pub use tally::{LossBound, Tally, Weight};
