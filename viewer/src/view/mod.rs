//! What of a heap is looked at, and how it is put together: trimmed stacks, filters, groups, moments.

mod at;
mod crate_name;
mod filter;
mod group;
mod pair;
mod suppress;
mod trim;
mod type_name;

pub use at::{Asked, At, AtError};
pub use crate_name::{crate_of, is_library};
pub use filter::Filter;
pub use group::{Group, GroupBy, Grouping, ViewOptions};
pub(crate) use group::{root_of, shown_frames};
pub use pair::{Pair, pair_captures, pair_moments};
pub use suppress::{Rule, RuleError, Suppressed, Suppressions, rule_for};
pub use trim::trim;
