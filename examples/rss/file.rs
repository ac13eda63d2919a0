//! A mapped file, read as a whole: 128 MiB beside the program's executable (a file in /tmp may live in memory).
//!
//! What `plimsoll rss` must say: `files`, 128 MiB of `rss_file.<pid>.data`.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

const MIB: usize = 1 << 20;
const FILE_MIB: usize = 128;

fn write_file(path: &Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    (0..FILE_MIB).try_for_each(|part| file.write_all(&vec![part as u8; MIB]))
}

#[inline(never)]
fn map_file(path: &Path) -> std::io::Result<&'static [u8]> {
    let file = File::open(path)?;
    let bytes = FILE_MIB * MIB;
    // SAFETY: a private read-only mapping at an address of the kernel's choice; nobody else writes to the file, and it is
    // never unmapped.
    unsafe {
        let start = libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_PRIVATE, file.as_raw_fd(), 0);
        if start == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        Ok(std::slice::from_raw_parts(start.cast::<u8>(), bytes))
    }
}

fn main() -> std::io::Result<()> {
    let session = plimsoll::Session::from_env_or_idle();
    let path = std::env::current_exe()?.with_extension(format!("{}.data", std::process::id()));
    write_file(&path)?;
    let data = map_file(&path)?;
    let sum: usize = data.iter().step_by(4096).map(|byte| usize::from(*byte)).sum();
    println!("checksum {}", black_box(sum));
    session.finish().expect("the capture is written");
    std::fs::remove_file(&path)
}
