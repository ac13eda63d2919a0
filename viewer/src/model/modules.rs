//! The executables and shared libraries that were mapped, and when.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use plimsoll_format::Module;

use super::ids::ModuleId;
use super::places::Places;

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
    /// By id.
    modules: BTreeMap<u32, ModuleInfo>,
    /// Made when an address is first looked up.
    places: OnceLock<Places>,
}

impl Modules {
    /// Adds a module; one that is defined already stays as it is.
    pub(crate) fn insert(&mut self, module: Module) {
        self.places = OnceLock::new();
        self.modules.entry(module.id).or_insert(ModuleInfo { module, unloaded_ticks: None });
    }

    /// Notes that a module has gone.
    pub(crate) fn unload(&mut self, id: ModuleId, ticks: u64) {
        self.places = OnceLock::new();
        if let Some(info) = self.modules.get_mut(&id.0) {
            info.unloaded_ticks.get_or_insert(ticks);
        }
    }

    /// The module with this id.
    pub fn get(&self, id: ModuleId) -> Option<&ModuleInfo> {
        self.modules.get(&id.0)
    }

    /// The module that holds `address` in memory at a moment: of those whose range holds it, the latest that was
    /// noticed by then and not gone yet. A module is noticed a moment after it is mapped, and its absence after it went;
    /// when none fits the time, the one noticed next is taken, then the one that went last.
    pub fn find(&self, address: u64, ticks: u64) -> Option<&ModuleInfo> {
        let places = self.places.get_or_init(|| Places::of(&self.modules));
        self.modules.get(&places.find(address, ticks)?)
    }

    /// All modules, by id.
    pub fn iter(&self) -> impl Iterator<Item = &ModuleInfo> {
        self.modules.values()
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
