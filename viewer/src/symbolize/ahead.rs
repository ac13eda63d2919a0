//! Looks up many addresses at once, on several threads.
//!
//! An opened binary belongs to one thread: what it has read of the debug information is kept as it is met. So each thread
//! opens the binary for itself, and gets neighbouring addresses, which share that information.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use foldhash::fast::RandomState;

use crate::model::{self, ModuleId, StackId};

use super::frame::SourceFrame;
use super::image::Image;
use super::{Symbolizer, frame};

/// Addresses that are worth opening a binary for once more: that takes as long as a few hundred look-ups.
const WORTH_A_THREAD: usize = 1_024;
/// Threads at most: each holds the binary's tables.
const MAX_THREADS: usize = 8;

impl Symbolizer<'_> {
    /// Looks up all addresses of these stacks as of their moments, so that asking for them is quick.
    pub fn prepare(&mut self, stacks: impl Iterator<Item = (StackId, u64)>) {
        for (module, addresses) in self.unknown_addresses(stacks) {
            let Some(info) = self.profile.modules.get(ModuleId(module)) else { continue };
            if addresses.len() < 2 * WORTH_A_THREAD {
                continue;
            }
            let loaded = self.loaded(&info.module);
            let Some(path) = loaded.path.clone() else { continue };
            let name = Arc::clone(&loaded.name);
            let bias = info.module.bias;
            for (address, found) in look_up(&path, &addresses, bias) {
                if !found.is_empty() {
                    let frames = frame::from_source(found, &name, address, address.wrapping_sub(bias));
                    self.known.frames.insert((module, address), frames.into());
                }
            }
        }
    }

    /// Addresses by module that are neither known nor named by the capture, in order.
    fn unknown_addresses(&self, stacks: impl Iterator<Item = (StackId, u64)>) -> BTreeMap<u32, Vec<u64>> {
        let mut seen: HashSet<StackId, RandomState> = HashSet::default();
        let mut addresses: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (stack, ticks) in stacks {
            let mut next = stack;
            // Stacks share their outer calls: those of a call that was seen have been seen too.
            while next != StackId(0) && seen.insert(next) {
                let Some((parent, call)) = self.profile.stacks.node(next) else { break };
                next = parent;
                let model::Frame::Address(address) = call else { continue };
                let Some(info) = self.profile.modules.find(address, ticks) else { continue };
                let id = info.module.id;
                if !self.known.frames.contains_key(&(id, address)) && !self.is_packed(ModuleId(id), address) {
                    addresses.entry(id).or_default().push(address);
                }
            }
        }
        for list in addresses.values_mut() {
            list.sort_unstable();
            list.dedup();
        }
        addresses
    }
}

/// The frames of these addresses, which lie in one module. What a thread cannot do is left to be asked for one by one.
fn look_up(path: &Path, addresses: &[u64], bias: u64) -> Vec<(u64, Vec<SourceFrame>)> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = (addresses.len() / WORTH_A_THREAD).clamp(1, processors.min(MAX_THREADS));
    let parts = addresses.chunks(addresses.len().div_ceil(threads).max(1));
    thread::scope(|scope| {
        let part = |part: &[u64]| {
            let part = part.to_vec();
            thread::Builder::new().name("symbols".into()).spawn_scoped(scope, move || look_up_part(path, &part, bias))
        };
        let started: Vec<_> = parts.map_while(|addresses| part(addresses).ok()).collect();
        started.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    })
}

fn look_up_part(path: &Path, addresses: &[u64], bias: u64) -> Vec<(u64, Vec<SourceFrame>)> {
    let Ok(image) = Image::open(path) else { return Vec::new() };
    let frames = |address: u64| image.frames(address.wrapping_sub(bias).wrapping_sub(1));
    addresses.iter().map(|address| (*address, frames(*address))).collect()
}
