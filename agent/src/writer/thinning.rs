//! Thinning: when too many samples are live, the interval doubles and each is kept with the ratio of its probabilities.

use std::sync::atomic::Ordering;

use plimsoll_format::{Record, Thinning};

use super::Writer;
use crate::live_table::Fate;
use crate::sampler::{Random, keep_probability};
use crate::{clock, slot, sys};

impl Writer {
    /// Doubles the interval and keeps each live sample with the ratio of its probabilities.
    pub(super) fn thin(&mut self) {
        let recorder = self.recorder;
        let from = recorder.intervals.now();
        // Without a step left samples are so far apart that none comes any more.
        let Some(step) = recorder.intervals.double() else { return };
        let to = recorder.intervals.now();
        let mut random = Random::new(recorder.seed ^ clock::now());
        let (kept, dropped) = recorder.live.thin(step, |sample| {
            let own = recorder.intervals.of(sample.step);
            if own > to {
                // Of a time when samples were farther apart: it stands for more already.
                Fate::Stays
            } else if random.uniform() <= keep_probability(sample.size, own, to) {
                Fate::Raised
            } else {
                Fate::Dropped
            }
        });
        for (address, _) in &dropped {
            crate::filter::remove(*address as usize);
        }
        // Events sent before stand before the thinning in the file.
        self.take_ring();
        self.push(&Record::Thinning(Thinning {
            ticks: clock::now(),
            from_interval_bytes: from,
            to_interval_bytes: to,
            kept,
            dropped: dropped.iter().map(|(address, _)| *address).collect(),
        }));
        self.thinned_out.extend(dropped.iter().map(|(_, id)| *id));
        sys::barrier_on_all_threads();
        self.thinned_before = slot::all().filter(|slot| slot.busy.load(Ordering::Acquire)).collect();
    }

    /// Makes the entries of thinned samples available once every hook of that time has been seen to return.
    pub(super) fn give_back_thinned(&mut self) {
        self.thinned_before.retain(|slot| slot.busy.load(Ordering::Acquire));
        if self.thinned_before.is_empty() {
            for id in std::mem::take(&mut self.thinned_out) {
                self.recorder.live.give_back(id);
            }
        }
    }
}
