//! Processes by name or number, whether they link the agent or not, and the machine: what `sysinfo` says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, UpdateKind};

use super::level::{Level, Levels, Limit, LimitOf};
use super::picture::{Process, Sum, System};
use super::series::{Sample, Series, Values};
use super::strip::{STRIP_BARS, Strip};

/// Processes that are followed at most.
const MAX_PROCESSES: usize = 256;
/// Pictures in which a process that has gone is still shown.
const SHOWN_AFTER: u32 = 60;
/// New processes are looked for in every so many pictures: all of the machine are asked for their names.
const SEARCH_EVERY: u64 = 3;
/// The name of this program's processes.
const OWN_NAME: &str = "plimsoll";
/// Characters kept of a command line.
const MAX_COMMAND: usize = 4 << 10;

/// The machine and the processes that are followed.
#[derive(Debug)]
pub(super) struct Processes {
    patterns: Vec<String>,
    levels: Levels,
    given_limit: Option<u64>,
    machine: Option<sysinfo::System>,
    begin: Instant,
    turn: u64,
    matched: BTreeSet<u32>,
    known: BTreeMap<u32, Known>,
    system_series: Arc<Series>,
    sum_series: Arc<Series>,
}

/// A process that was seen.
#[derive(Debug)]
struct Known {
    /// When it started: another process may get its number.
    start: u64,
    /// CPU time and moment of the last reading.
    cpu: Option<(u64, u64)>,
    /// Pictures since it has gone.
    gone_for: u32,
    series: Arc<Series>,
    shown: Process,
}

impl Processes {
    pub(super) fn new(patterns: &[String], levels: Levels, given_limit: Option<u64>) -> Processes {
        Processes {
            patterns: patterns.to_vec(),
            levels,
            given_limit,
            machine: sysinfo::System::new().ok(),
            begin: Instant::now(),
            turn: 0,
            matched: BTreeSet::new(),
            known: BTreeMap::new(),
            system_series: Arc::default(),
            sum_series: Arc::default(),
        }
    }

    /// Looks at the machine, the processes that were asked for, and those of running captures, given with their ids.
    pub(super) fn look(&mut self, recording: &BTreeMap<u32, String>) -> (System, Vec<Arc<Process>>, Sum) {
        let at_ns = u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.search();
        self.turn += 1;
        let system = self.system(at_ns);
        let wanted: BTreeSet<u32> = self.matched.iter().chain(recording.keys()).copied().take(MAX_PROCESSES).collect();
        self.refresh(&wanted);
        for pid in &wanted {
            self.read(*pid, at_ns, recording.get(pid), system.total_bytes);
        }
        self.forget(&wanted);
        let mut shown: Vec<Arc<Process>> = self.known.values().map(|known| Arc::new(known.shown.clone())).collect();
        shown.extend(self.missing().into_iter().map(Arc::new));
        let sum = self.sum(&shown, at_ns, system.total_bytes);
        (system, shown, sum)
    }

    /// Finds the processes that match.
    fn search(&mut self) {
        let numbers = self.patterns.iter().filter_map(|pattern| pattern.parse::<u32>().ok());
        let mut matched: BTreeSet<u32> = numbers.collect();
        let names: Vec<&String> = self.patterns.iter().filter(|pattern| pattern.parse::<u32>().is_err()).collect();
        let is_turn = self.turn.is_multiple_of(SEARCH_EVERY);
        if let Some(machine) = self.machine.as_mut().filter(|_| !names.is_empty() && is_turn) {
            let kind = ProcessRefreshKind::nothing().without_tasks().with_cmd(UpdateKind::OnlyIfNotSet);
            machine.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
            let own = line_of(machine, std::process::id());
            let is_wanted = |process: &sysinfo::Process| {
                let (pid, name) = (process.pid().as_u32(), process.name().to_string_lossy());
                // Their command lines have the pattern for our sake.
                let asks = own.contains(&pid) || name == OWN_NAME;
                let command = if asks { String::new() } else { command(process) };
                pid != std::process::id()
                    && process.thread_kind().is_none()
                    && names.iter().any(|wanted| name.contains(*wanted) || command.contains(*wanted))
            };
            let found = machine.processes().values().filter(|process| is_wanted(process));
            matched.extend(found.map(|process| process.pid().as_u32()));
            self.matched = matched;
        } else if names.is_empty() {
            self.matched = matched;
        }
    }

    fn refresh(&mut self, wanted: &BTreeSet<u32>) {
        let pids: Vec<Pid> = wanted.iter().map(|pid| Pid::from_u32(*pid)).collect();
        let kind =
            ProcessRefreshKind::nothing().without_tasks().with_memory().with_cpu().with_cmd(UpdateKind::OnlyIfNotSet);
        if let Some(machine) = &mut self.machine {
            machine.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
        }
    }

    fn system(&mut self, at_ns: u64) -> System {
        let Some(machine) = &mut self.machine else { return System::default() };
        machine.refresh_memory();
        let load = sysinfo::System::load_average().map(|load| [load.one, load.five, load.fifteen]);
        let mut system = System {
            total_bytes: machine.total_memory(),
            available_bytes: machine.available_memory(),
            swap_total_bytes: machine.total_swap(),
            swap_free_bytes: machine.free_swap(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            load: load.unwrap_or_default(),
            ..System::default()
        };
        let limit = Limit { bytes: system.total_bytes, used_bytes: system.used_bytes(), of: LimitOf::System };
        system.level = (system.total_bytes > 0).then(|| self.levels.of(&limit));
        add(&mut self.system_series, at_ns, &limit, None);
        system.strip = strip(&self.system_series, system.level);
        system.series = self.system_series.clone();
        system
    }

    /// Reads one process, or notes that it has gone.
    fn read(&mut self, pid: u32, at_ns: u64, capture: Option<&String>, total_bytes: u64) {
        let process = self.machine.as_ref().and_then(|machine| machine.process(Pid::from_u32(pid)));
        let Some(process) = process else { return };
        let start = process.start_time();
        if self.known.get(&pid).is_some_and(|known| known.start != start) {
            self.known.remove(&pid);
        }
        let known = self.known.entry(pid).or_insert_with(|| Known {
            start,
            cpu: None,
            gone_for: 0,
            series: Arc::default(),
            shown: nameless(pid, &pid.to_string()),
        });
        known.gone_for = 0;
        let memory = memory(process);
        let cpu_ms = process.accumulated_cpu_time();
        let before = known.cpu.replace((cpu_ms, at_ns)).filter(|before| before.1 < at_ns);
        let cpu_percent = before.map(|(ms, ns)| cpu_ms.saturating_sub(ms) as f64 * 1e6 / (at_ns - ns) as f64 * 100.0);
        let limit = memory.as_ref().ok().and_then(|rss| limit(process, *rss, self.given_limit, total_bytes));
        let level = limit.as_ref().map(|limit| self.levels.of(limit));
        if let (Ok(rss), Some(limit)) = (&memory, &limit) {
            add(&mut known.series, at_ns, &Limit { used_bytes: *rss, ..*limit }, cpu_percent);
        }
        known.shown = Process {
            pid,
            name: process.name().to_string_lossy().into_owned(),
            command: command(process),
            memory,
            cpu_percent,
            has_gone: false,
            limit,
            level,
            strip: strip(&known.series, level),
            series: known.series.clone(),
            asked_for: self.matched.contains(&pid),
            capture: capture.cloned(),
        };
    }

    /// Marks processes that have gone, and drops them after a while.
    fn forget(&mut self, wanted: &BTreeSet<u32>) {
        let machine = self.machine.as_ref();
        self.known.retain(|pid, known| {
            let is_there =
                wanted.contains(pid) && machine.is_some_and(|machine| machine.process(Pid::from_u32(*pid)).is_some());
            if !is_there {
                known.gone_for += 1;
                known.shown.has_gone = true;
                known.shown.memory = Err("the process has gone".to_owned());
                known.shown.cpu_percent = None;
            }
            known.gone_for < SHOWN_AFTER
        });
    }

    /// What was asked for by number and is not there.
    fn missing(&self) -> Vec<Process> {
        let numbers = self.patterns.iter().filter_map(|pattern| Some((pattern, pattern.parse::<u32>().ok()?)));
        let missing = numbers.filter(|(_, pid)| !self.known.contains_key(pid));
        missing.map(|(pattern, pid)| nameless(pid, pattern)).collect()
    }

    fn sum(&mut self, shown: &[Arc<Process>], at_ns: u64, total_bytes: u64) -> Sum {
        let read = || shown.iter().filter_map(|process| process.memory.as_ref().ok());
        let rss_bytes = read().copied().fold(0, u64::saturating_add);
        let cpu_percent = shown.iter().filter_map(|process| process.cpu_percent).sum();
        let limit = match self.given_limit {
            Some(bytes) => Limit { bytes, used_bytes: rss_bytes, of: LimitOf::Given },
            None => Limit { bytes: total_bytes, used_bytes: rss_bytes, of: LimitOf::System },
        };
        let level = (limit.bytes > 0 && read().count() > 0).then(|| self.levels.of(&limit));
        if read().count() > 0 {
            add(&mut self.sum_series, at_ns, &limit, Some(cpu_percent));
        }
        Sum {
            processes: read().count(),
            unreadable: shown.iter().filter(|process| process.memory.is_err() && !process.has_gone).count(),
            rss_bytes,
            cpu_percent,
            level,
            strip: strip(&self.sum_series, level),
            series: self.sum_series.clone(),
        }
    }
}

fn add(series: &mut Arc<Series>, at_ns: u64, limit: &Limit, cpu_percent: Option<f64>) {
    let values = Values {
        rss_bytes: Some(limit.used_bytes),
        used_bytes: Some(limit.used_bytes),
        limit_bytes: Some(limit.bytes),
        cpu_permille: cpu_percent.map(|percent| (percent * 10.0) as u64),
        ..Values::default()
    };
    Arc::make_mut(series).push(Sample { at_ns, values });
}

fn strip(series: &Series, level: Option<Level>) -> Strip {
    let number = |values: &Values| values.rss_bytes;
    Strip::new(series.last(STRIP_BARS, number), series.most(number), level)
}

/// A process, its parent, and so on.
fn line_of(machine: &sysinfo::System, pid: u32) -> BTreeSet<u32> {
    let mut line = BTreeSet::new();
    let mut next = Some(Pid::from_u32(pid));
    while let Some(pid) = next.filter(|pid| line.insert(pid.as_u32())) {
        next = machine.process(pid).and_then(sysinfo::Process::parent);
    }
    line
}

/// A process that was asked for by number and is not there.
fn nameless(pid: u32, name: &str) -> Process {
    Process {
        pid,
        name: name.to_owned(),
        command: String::new(),
        memory: Err("there is no such process".to_owned()),
        cpu_percent: None,
        has_gone: false,
        limit: None,
        level: None,
        strip: Strip::new([], 0, None),
        series: Arc::default(),
        asked_for: true,
        capture: None,
    }
}

fn command(process: &sysinfo::Process) -> String {
    let words: Vec<_> = process.cmd().iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ").chars().take(MAX_COMMAND).collect()
}

/// The resident set. `sysinfo` gives 0 for what it cannot read, which no process of ours holds: why is asked then.
fn memory(process: &sysinfo::Process) -> Result<u64, String> {
    match process.memory() {
        0 if process.status() == ProcessStatus::Zombie => Err("it has ended, and nobody has asked how".to_owned()),
        0 => match std::fs::read_to_string(format!("/proc/{}/statm", process.pid())) {
            Ok(_) => Err("it has no memory of its own".to_owned()),
            Err(error) => Err(error.to_string()),
        },
        bytes => Ok(bytes),
    }
}

/// The limit that was given, else the cgroup's, else all memory of the machine.
fn limit(process: &sysinfo::Process, rss: u64, given: Option<u64>, total_bytes: u64) -> Option<Limit> {
    if let Some(bytes) = given {
        return Some(Limit { bytes, used_bytes: rss, of: LimitOf::Given });
    }
    let cgroup = process.cgroup_limits().filter(|limits| limits.total_memory > 0 && limits.total_memory < total_bytes);
    let cgroup = cgroup.map(|limits| Limit {
        bytes: limits.total_memory,
        used_bytes: limits.total_memory.saturating_sub(limits.free_memory),
        of: LimitOf::Cgroup,
    });
    cgroup.or((total_bytes > 0).then_some(Limit { bytes: total_bytes, used_bytes: rss, of: LimitOf::System }))
}
