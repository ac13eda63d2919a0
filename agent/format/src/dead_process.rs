//! What files of the system say of the process that made an arena: whether it is dead, and whether it was killed for want of
//! memory. Callers read the files; what stands in them is said here, for the agent that saves arenas and the viewer that reads
//! them alike.

use std::path::{Path, PathBuf};

use crate::arena::{ARENA_WORDS_AT, ArenaInfo, arena_word};

/// When a process started, in the system's ticks since its boot: field 22 of its `/proc/PID/stat`. `None` when it is dead
/// and only waits to be asked for its status.
pub fn start_time_in(stat: &[u8]) -> Option<u64> {
    // The name, in parentheses, may hold anything.
    let after = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(stat.get(after + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    fields.nth(18).filter(|_| !is_dead)?.parse().ok()
}

/// The file of a cgroup that counts kills for want of memory, if an arena's `oom_file` is one: arenas are hostile.
pub fn oom_file(path: &str) -> Option<&Path> {
    (path.starts_with("/sys/fs/cgroup/") && !path.contains("..")).then(|| Path::new(path))
}

/// Kills for want of memory that such a file counts.
pub fn oom_kills_in(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Where the arena of a capture is saved: `run.plim.arena`.
pub fn arena_beside(capture: &Path) -> PathBuf {
    let mut name = capture.as_os_str().to_owned();
    name.push(".arena");
    PathBuf::from(name)
}

impl ArenaInfo {
    /// Whether its process is dead for certain, as seen by a process of this boot and namespace of process ids;
    /// `start_time_of` is asked when the process with the number that it had started, if there is one.
    pub fn is_dead(&self, boot_id: &str, pid_namespace: &str, start_time_of: impl FnOnce(u32) -> Option<u64>) -> bool {
        // Numbers of another namespace mean nothing here.
        self.boot_id != boot_id
            || (self.pid_namespace == pid_namespace && start_time_of(self.pid) != Some(self.start_time))
    }
}

/// States in an arena's bytes how many kills for want of memory its cgroup has counted by now, unless that was stated before.
/// Whether there have been any since the process began; `None` when that is not known.
pub fn state_oom_kills(arena: &mut [u8], now: Option<u64>) -> Option<bool> {
    let word = |at: usize| ARENA_WORDS_AT + at * 8..ARENA_WORDS_AT + at * 8 + 8;
    let read = |arena: &[u8], at: usize| {
        let word = arena.get(word(at)).and_then(|word| word.first_chunk())?;
        u64::from_le_bytes(*word).checked_sub(1)
    };
    let before = read(arena, arena_word::OOM_KILLS_BEFORE);
    let after = match read(arena, arena_word::OOM_KILLS_AFTER) {
        Some(stated) => stated,
        None => {
            arena.get_mut(word(arena_word::OOM_KILLS_AFTER))?.copy_from_slice(&now?.saturating_add(1).to_le_bytes());
            now?
        }
    };
    before.map(|before| after > before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name_and_of_no_dead_process() {
        let stat =
            |state: &str| format!("7 (a ) S 1 (b)) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21\n");
        assert_eq!(start_time_in(stat("S").as_bytes()), Some(4711));
        assert_eq!(start_time_in(stat("Z").as_bytes()), None);
        assert_eq!(start_time_in(b"7 (a) S 1"), None);
    }

    #[test]
    fn only_files_of_cgroups_are_asked() {
        assert!(oom_file("/sys/fs/cgroup/a/memory.events").is_some());
        assert!(oom_file("/sys/fs/cgroup/../../etc/shadow").is_none());
        assert!(oom_file("/etc/shadow").is_none());
        assert_eq!(oom_kills_in("oom 9\noom_kill 3\noom_kill_disable 0\n"), Some(3));
    }

    #[test]
    fn kills_are_stated_once() {
        let mut arena = vec![0; ARENA_WORDS_AT + 8 * 16];
        assert_eq!(state_oom_kills(&mut arena, None), None);
        arena[ARENA_WORDS_AT + 8 * arena_word::OOM_KILLS_BEFORE] = 3;
        assert_eq!(state_oom_kills(&mut arena, Some(3)), Some(true));
        assert_eq!(arena[ARENA_WORDS_AT + 8 * arena_word::OOM_KILLS_AFTER], 4);
        assert_eq!(state_oom_kills(&mut arena, Some(2)), Some(true), "what was stated first holds");
        assert_eq!(state_oom_kills(&mut [0; 9], Some(1)), None);
    }
}
