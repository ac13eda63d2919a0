//! Stands for where the agent's tables are: nowhere in particular.

use plimsoll_format::ArenaLayout;

use crate::arena::Arena;

/// See the module's description.
pub(crate) struct Place;

impl Place {
    pub(crate) fn map<T: Default>(&self, _at: impl FnOnce(&ArenaLayout) -> u64, len: usize) -> Option<Arena<T>> {
        Arena::map(len)
    }
}
