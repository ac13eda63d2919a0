//! The executables and shared libraries that were mapped, and when.

use plimsoll_format::Module;

use super::ids::ModuleId;

/// A module with the time it was mapped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleInfo {
    /// As in the capture.
    pub module: Module,
    /// When its absence was noticed; `None` while it stayed.
    pub unloaded_ticks: Option<u64>,
}

/// All modules of a capture.
#[derive(Debug, Clone, Default)]
pub struct Modules {
    /// Sorted by id.
    modules: Vec<ModuleInfo>,
}

impl Modules {
    /// Adds a module; one that is defined already stays as it is.
    pub(crate) fn insert(&mut self, module: Module) {
        if let Err(at) = self.position(ModuleId(module.id)) {
            self.modules.insert(at, ModuleInfo { module, unloaded_ticks: None });
        }
    }

    /// Notes that a module has gone.
    pub(crate) fn unload(&mut self, id: ModuleId, ticks: u64) {
        if let Ok(at) = self.position(id)
            && let Some(info) = self.modules.get_mut(at)
        {
            info.unloaded_ticks.get_or_insert(ticks);
        }
    }

    fn position(&self, id: ModuleId) -> Result<usize, usize> {
        self.modules.binary_search_by_key(&id.0, |info| info.module.id)
    }

    /// The module with this id.
    pub fn get(&self, id: ModuleId) -> Option<&ModuleInfo> {
        self.position(id).ok().and_then(|at| self.modules.get(at))
    }

    /// The module that holds `address` in memory at a moment: of those whose range holds it, the latest that was
    /// noticed by then and not gone yet. A module is noticed a moment after it is mapped, and its absence after it went;
    /// when none fits the time, the one noticed next is taken, then the one that went last.
    pub fn find(&self, address: u64, ticks: u64) -> Option<&ModuleInfo> {
        let holds = |info: &&ModuleInfo| (info.module.start..info.module.end).contains(&address);
        let holders = || self.modules.iter().filter(holds);
        let mapped = |info: &&ModuleInfo| {
            info.module.ticks <= ticks && info.unloaded_ticks.is_none_or(|unloaded| ticks < unloaded)
        };
        let next = || holders().filter(|info| info.module.ticks > ticks).min_by_key(|info| info.module.ticks);
        let last = || holders().max_by_key(|info| info.unloaded_ticks);
        holders().filter(mapped).max_by_key(|info| info.module.ticks).or_else(next).or_else(last)
    }

    /// All modules, by id.
    pub fn iter(&self) -> std::slice::Iter<'_, ModuleInfo> {
        self.modules.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(id: u32, ticks: u64, start: u64) -> Module {
        Module { id, ticks, bias: start, start, end: start + 100, path: String::new(), build_id: Vec::new() }
    }

    #[test]
    fn an_address_belongs_to_the_module_of_its_time() {
        let mut modules = Modules::default();
        modules.insert(module(2, 500, 1_000));
        modules.insert(module(1, 100, 1_000));
        modules.insert(Module { path: "a copy".into(), ..module(1, 100, 9_000) });
        modules.unload(ModuleId(1), 400);
        let found = |address, ticks| modules.find(address, ticks).map(|info| info.module.id);
        assert_eq!(found(1_000, 200), Some(1));
        assert_eq!(found(1_099, 600), Some(2));
        assert_eq!(found(1_100, 600), None);
        // Between the two nothing was mapped there as far as is known: the next one had been mapped before it was noticed.
        assert_eq!(found(1_050, 450), Some(2));
        assert_eq!(found(1_050, 50), Some(1));
        assert_eq!(found(9_000, 200), None);
    }
}
