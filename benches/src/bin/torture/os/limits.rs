//! What a process may have: file sizes, file systems, turns on the processor.

use std::fs::File;
use std::os::fd::AsRawFd;

/// Files of this process may grow to this and no further; `None` takes the limit away.
pub(crate) fn limit_file_size(bytes: Option<u64>) {
    let limit = libc::rlimit { rlim_cur: bytes.unwrap_or(libc::RLIM_INFINITY), rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit outlives the call, which only reads it.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0, "the limit is refused");
}

/// Takes the calling process, which has one thread only, into mounts of its own; as its own root, unless it is root.
pub(crate) fn private_mounts() -> Result<(), String> {
    // SAFETY: these take numbers and paths, and change nothing in memory.
    unsafe {
        let (uid, gid) = (libc::getuid(), libc::getgid());
        let spaces = libc::CLONE_NEWNS | if uid == 0 { 0 } else { libc::CLONE_NEWUSER };
        if libc::unshare(spaces) != 0 {
            return Err(format!("no mounts of its own: {}", std::io::Error::last_os_error()));
        }
        if uid != 0 {
            let write =
                |path: &str, text: String| std::fs::write(path, text).map_err(|error| format!("{path}: {error}"));
            write("/proc/self/setgroups", "deny".into())?;
            write("/proc/self/uid_map", format!("0 {uid} 1"))?;
            write("/proc/self/gid_map", format!("0 {gid} 1"))?;
        }
        let (none, root) = (std::ptr::null(), c"/".as_ptr());
        match libc::mount(none, root, none, libc::MS_REC | libc::MS_PRIVATE, none.cast()) {
            0 => Ok(()),
            _ => Err(format!("its mounts cannot be made private: {}", std::io::Error::last_os_error())),
        }
    }
}

/// Freezes or thaws the file system of `folder`: whoever writes to it then waits.
pub(crate) fn freeze(folder: &File, freezes: bool) -> std::io::Result<()> {
    const FIFREEZE: libc::c_ulong = 0xC004_5877;
    const FITHAW: libc::c_ulong = 0xC004_5878;
    // SAFETY: both requests take no memory of ours.
    match unsafe { libc::ioctl(folder.as_raw_fd(), if freezes { FIFREEZE } else { FITHAW }, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Gives all threads whose name begins so no turn while anybody else wants one; how many there are.
pub(crate) fn starve_threads(name: &str) -> u32 {
    let mut starved = 0;
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let is_named = std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.starts_with(name));
        if let Some(id) = task.file_name().to_str().and_then(|id| id.parse::<libc::pid_t>().ok()).filter(|_| is_named) {
            let parameters = libc::sched_param { sched_priority: 0 };
            // SAFETY: the parameters outlive the call, which only reads them.
            let set = unsafe { libc::sched_setscheduler(id, libc::SCHED_IDLE, &raw const parameters) };
            starved += u32::from(set == 0);
        }
    }
    starved
}
