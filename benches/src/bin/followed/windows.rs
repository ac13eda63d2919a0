//! Windows of the measurement, and what their differences say.

use std::thread;
use std::time::Duration;

use plimsoll_benches::switched::Switched;
use plimsoll_benches::workload::steady::Steady;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::readings::cpu_ns;

/// One stretch of time.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Window {
    /// Whether the allocator went through Plimsoll.
    pub(crate) with: bool,
    pub(crate) requests: u64,
    /// CPU time of all threads but the load's and the agent's.
    pub(crate) service_ns: u64,
    /// CPU time of the agent's threads.
    pub(crate) agent_ns: u64,
    /// Allocations, where Plimsoll counted.
    pub(crate) allocations: u64,
}

impl Window {
    pub(crate) fn measure(load: &Steady, length: Duration, with: bool) -> Window {
        Switched::through_plimsoll(with);
        load.second_way(with);
        let (answers, allocations, cpu) = (load.answers(), plimsoll::stats().allocations, cpu_ns());
        thread::sleep(length);
        let after = cpu_ns();
        Window {
            with,
            requests: load.answers() - answers,
            service_ns: after.service.saturating_sub(cpu.service),
            agent_ns: after.agent.saturating_sub(cpu.agent),
            allocations: plimsoll::stats().allocations - allocations,
        }
    }

    /// CPU time a request in nanoseconds: of the service, and of the agent beside it.
    fn a_request(&self) -> (f64, f64) {
        let requests = self.requests.max(1) as f64;
        (self.service_ns as f64 / requests, self.agent_ns as f64 / requests)
    }
}

/// Two windows, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) with: Window,
    pub(crate) without: Window,
}

impl Pair {
    /// What the service and the agent took more for a request than the service alone, in nanoseconds.
    fn lost_ns(&self) -> f64 {
        let (service, agent) = self.with.a_request();
        service + agent - self.without.a_request().0
    }
}

/// What was lost, in percent of the service's CPU time without Plimsoll.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    pub(crate) mean: f64,
    /// Ends of the 95 % interval of the mean, by Student's t over the pairs.
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// What of the mean the agent's own threads took.
    pub(crate) threads: f64,
    /// CPU time of a request without Plimsoll.
    pub(crate) without_us: f64,
    pub(crate) pairs_per_cpu_second: f64,
}

impl Loss {
    pub(crate) fn of(pairs: &[Pair]) -> Loss {
        let count = pairs.len() as f64;
        let sum = |of: fn(&Pair) -> u64| pairs.iter().map(of).sum::<u64>() as f64;
        let without_ns = sum(|pair| pair.without.service_ns) / sum(|pair| pair.without.requests);
        let percent = |ns: f64| 100.0 * ns / without_ns;
        let losses: Vec<f64> = pairs.iter().map(|pair| percent(pair.lost_ns())).collect();
        let mean = losses.iter().sum::<f64>() / count;
        let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / (count - 1.0);
        // Two pairs at least are asked for, so there is a distribution.
        let quantile = StudentsT::new(0.0, 1.0, count - 1.0).map_or(f64::INFINITY, |t| t.inverse_cdf(0.975));
        let half = quantile * (variance / count).sqrt();
        Loss {
            mean,
            lower: mean - half,
            upper: mean + half,
            threads: percent(sum(|pair| pair.with.agent_ns) / sum(|pair| pair.with.requests)),
            without_us: without_ns / 1e3,
            pairs_per_cpu_second: sum(|pair| pair.with.allocations) / (sum(|pair| pair.with.service_ns) / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(with: bool, service_ns: u64, agent_ns: u64) -> Window {
        Window { with, requests: 10, service_ns, agent_ns, allocations: 40 }
    }

    fn pair(with_ns: u64, agent_ns: u64, without_ns: u64) -> Pair {
        // The agent's time beside a window without Plimsoll is nobody's loss.
        Pair { with: window(true, with_ns, agent_ns), without: window(false, without_ns, 999) }
    }

    #[test]
    fn the_loss_is_what_service_and_agent_take_more_than_the_service_alone() {
        let loss = Loss::of(&[pair(1_010, 5, 1_000), pair(990, 5, 1_000), pair(1_030, 5, 1_000)]);
        assert!((loss.mean - 1.5).abs() < 1e-9 && (loss.threads - 0.5).abs() < 1e-9, "{loss:?}");
        // The losses 1.5, −0.5 and 3.5 have the standard deviation 2; t is 4.303 for two degrees of freedom.
        assert!((loss.upper - (1.5 + 4.303 * 2.0 / 3f64.sqrt())).abs() < 1e-2, "{loss:?}");
        assert!((loss.upper + loss.lower - 3.0).abs() < 1e-9, "{loss:?}");
        assert!((loss.without_us - 0.1).abs() < 1e-9, "{loss:?}");
        // 120 allocations in 3,030 ns.
        assert!((loss.pairs_per_cpu_second - 120.0 / 3.03e-6).abs() < 1.0, "{loss:?}");
    }
}
