//! Limit and usage of the memory cgroup, version 1 or 2.
//!
//! What counts against the limit is usage minus `inactive_file`: the kernel gives the page cache back first.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll_format::{Cgroup, oom_file, oom_kills_in};

/// Where this process's cgroup keeps its numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CgroupFiles {
    version: u8,
    usage: PathBuf,
    stat: PathBuf,
    inactive_file: &'static str,
    /// Counts kills for want of memory.
    oom: PathBuf,
    /// Limits of the cgroup and its ancestors.
    limits: Vec<PathBuf>,
}

/// Values from here on mean "no limit" (version 1 writes the largest page-aligned number).
const UNLIMITED: u64 = 1 << 60;

impl CgroupFiles {
    /// Looks the cgroup up in `/proc/self` below `root` ("/", or a fixture).
    pub(super) fn find(root: &Path) -> Option<CgroupFiles> {
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
        let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
        // A machine with both hierarchies keeps memory in version 1.
        let version_1 = find_path(&groups, |controllers| controllers.split(',').any(|name| name == "memory"));
        if let Some(path) = version_1 {
            let (mount, mount_root) =
                find_mount(&mounts, |kind, options| kind == "cgroup" && options.contains("memory"))?;
            return Some(CgroupFiles::at(1, root, &mount, &mount_root, path));
        }
        let path = find_path(&groups, str::is_empty)?;
        let (mount, mount_root) = find_mount(&mounts, |kind, _| kind == "cgroup2")?;
        Some(CgroupFiles::at(2, root, &mount, &mount_root, path))
    }

    fn at(version: u8, root: &Path, mount: &str, mount_root: &str, path: &str) -> CgroupFiles {
        let (usage, limit, inactive_file, oom) = match version {
            1 => ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file", "memory.oom_control"),
            _ => ("memory.current", "memory.max", "inactive_file", "memory.events"),
        };
        let top = root.join(mount.trim_start_matches('/'));
        // Inside a container the mount shows a part of the hierarchy: its root is cut off the path.
        let below = path.strip_prefix(mount_root.trim_end_matches('/')).unwrap_or(path).trim_start_matches('/');
        let own = top.join(below);
        let own = if own.join(usage).exists() { own } else { top.clone() };
        let ancestors = own.ancestors().take_while(|directory| directory.starts_with(&top));
        CgroupFiles {
            version,
            usage: own.join(usage),
            stat: own.join("memory.stat"),
            inactive_file,
            oom: own.join(oom),
            limits: ancestors.map(|directory| directory.join(limit)).collect(),
        }
    }

    /// The file that counts kills for want of memory.
    pub(super) fn oom_file(&self) -> &Path {
        &self.oom
    }

    /// The numbers now; `None` when the cgroup has none (the root of version 2).
    pub(super) fn read(&mut self) -> Option<Cgroup> {
        let usage_bytes = read_number(&self.usage)?;
        let limits = self.limits.iter().filter_map(|path| read_number(path));
        let stat = fs::read_to_string(&self.stat).unwrap_or_default();
        let inactive = stat.lines().find_map(|line| line.strip_prefix(self.inactive_file)?.strip_prefix(' '));
        Some(Cgroup {
            version: self.version,
            limit_bytes: limits.filter(|limit| *limit < UNLIMITED).min(),
            usage_bytes,
            inactive_file_bytes: inactive.and_then(|value| value.trim().parse().ok()).unwrap_or(0),
        })
    }
}

/// Kills for want of memory that a file of a cgroup counts; `None` for any other file.
pub(crate) fn oom_kills_of(path: &str) -> Option<u64> {
    oom_kills_in(&fs::read_to_string(oom_file(path)?).ok()?)
}

/// "max" and anything else that is no number give `None`.
fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The path of the hierarchy whose controllers `wanted` accepts, from lines like `4:memory:/a/b`.
fn find_path(groups: &str, wanted: impl Fn(&str) -> bool) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        wanted(controllers).then(|| fields.next()).flatten()
    })
}

/// Mount point and root of the first mount that `wanted` accepts by type and options, from lines like
/// `36 35 0:30 /root /mount rw - type source options`.
fn find_mount(mounts: &str, wanted: impl Fn(&str, &str) -> bool) -> Option<(String, String)> {
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (kind, options) = (kind.next()?, kind.nth(1)?);
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        wanted(kind, options).then(|| (point.to_owned(), root.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a tree of files and reads the cgroup from it.
    fn check(files: &[(&str, &str)], expected: Option<Cgroup>) {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, text).expect("a file");
        }
        assert_eq!(CgroupFiles::find(root.path()).and_then(|mut files| files.read()), expected);
    }

    const V2_MOUNT: (&str, &str) =
        ("proc/self/mountinfo", "24 1 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");

    #[test]
    fn version_2_takes_the_lowest_limit_on_the_way_up() {
        let files = [
            ("proc/self/cgroup", "0::/system.slice/app.service\n"),
            V2_MOUNT,
            ("sys/fs/cgroup/system.slice/app.service/memory.current", "5000\n"),
            ("sys/fs/cgroup/system.slice/app.service/memory.max", "max\n"),
            ("sys/fs/cgroup/system.slice/app.service/memory.stat", "anon 1\ninactive_file 700\nactive_file 3\n"),
            ("sys/fs/cgroup/system.slice/memory.max", "9000\n"),
        ];
        let expected = Cgroup { version: 2, limit_bytes: Some(9000), usage_bytes: 5000, inactive_file_bytes: 700 };
        check(&files, Some(expected));
    }

    #[test]
    fn version_2_in_a_container_sees_its_own_root() {
        let files = [
            ("proc/self/cgroup", "0::/docker/abc\n"),
            ("proc/self/mountinfo", "24 1 0:22 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"),
            ("sys/fs/cgroup/memory.current", "10\n"),
            ("sys/fs/cgroup/memory.max", "20\n"),
            ("sys/fs/cgroup/memory.stat", ""),
        ];
        check(&files, Some(Cgroup { version: 2, limit_bytes: Some(20), usage_bytes: 10, inactive_file_bytes: 0 }));
    }

    #[test]
    fn version_1_beside_an_empty_version_2() {
        let files = [
            ("proc/self/cgroup", "4:memory:/job\n1:cpu:/\n0::/\n"),
            (
                "proc/self/mountinfo",
                "30 1 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                 31 1 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
            ),
            ("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "77\n"),
            ("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 30\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        check(&files, Some(Cgroup { version: 1, limit_bytes: None, usage_bytes: 77, inactive_file_bytes: 30 }));
    }

    #[test]
    fn no_cgroup_is_none() {
        check(&[], None);
        check(&[("proc/self/cgroup", "0::/\n"), V2_MOUNT], None);
    }
}
