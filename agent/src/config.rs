//! What a session is asked to do: from the environment, or through the builder.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use plimsoll_format::Mode;

use crate::error::Kind;

/// Mean bytes between samples when nothing else is said: 512 KiB, as in jemalloc and Go.
pub(crate) const DEFAULT_INTERVAL: u64 = 512 << 10;
/// Largest accepted interval.
pub(crate) const MAX_INTERVAL: u64 = 1 << 40;
/// Bound on a sampled capture when nothing else is said.
pub(crate) const DEFAULT_SAMPLED_MAX_BYTES: u64 = 1 << 30;
/// Smallest bound accepted: a few segments that can each hold their opening.
pub(crate) const LEAST_MAX_BYTES: u64 = 256 << 10;
const DEFAULT_TICK: Duration = Duration::from_secs(1);

/// How stacks are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unwinder {
    /// Tries the others at start and takes the best: framehop or frame pointers, whichever gets to the thread's root,
    /// else backtrace. The capture says which it was.
    #[default]
    Auto,
    /// By unwind tables, without locks or allocation. Works in ordinary release builds; about 10 ns a frame.
    Framehop,
    /// By frame pointers; about 1 ns a frame. Needs `-C force-frame-pointers=yes` for whole stacks.
    FramePointer,
    /// By the system's unwinder through the `backtrace` crate; about 100 ns a frame.
    Backtrace,
}

impl fmt::Display for Unwinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unwinder::Auto => "auto",
            Unwinder::Framehop => "framehop",
            Unwinder::FramePointer => "frame-pointer",
            Unwinder::Backtrace => "backtrace",
        })
    }
}

/// How the capture is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all. The default without the crate's feature `zstd`.
    None,
    /// With zstd at level 1, on the writer thread. Needs the crate's feature `zstd`, and is the default with it.
    Zstd,
}

impl Default for Compression {
    fn default() -> Compression {
        if cfg!(feature = "zstd") { Compression::Zstd } else { Compression::None }
    }
}

impl Compression {
    /// Whether this build can do it.
    pub(crate) fn is_built_in(self) -> bool {
        self == Compression::None || cfg!(feature = "zstd")
    }
}

/// Where events are kept on their way to the capture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KeepIn {
    /// In shared memory that outlives the process, so that a kill loses nothing: a file in `$XDG_RUNTIME_DIR/plimsoll` or
    /// `/dev/shm/plimsoll-<user>`, 0.3 MiB sampled and 11 MiB exact, which is removed at the end.
    #[default]
    SharedMemory,
    /// In a file in this directory, which may be on a disk: hooks wait for it then when the system writes it back.
    Directory(PathBuf),
    /// In the process's own memory: a kill loses up to a tick.
    Off,
}

/// What to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recording {
    Sampled { interval: u64 },
    Exact,
}

impl Recording {
    pub(crate) fn mode(self) -> Mode {
        match self {
            Recording::Sampled { .. } => Mode::Sampled,
            Recording::Exact => Mode::Exact,
        }
    }
}

/// Everything a session needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Whether to record at once; a session that listens can be asked for it later.
    pub(crate) records: bool,
    /// Whether to listen for control.
    pub(crate) control: bool,
    pub(crate) output: Option<PathBuf>,
    pub(crate) recording: Recording,
    pub(crate) unwinder: Unwinder,
    pub(crate) tick: Duration,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) compression: Compression,
    pub(crate) keep_in: KeepIn,
    pub(crate) seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            records: false,
            control: false,
            output: None,
            recording: Recording::Sampled { interval: DEFAULT_INTERVAL },
            unwinder: Unwinder::Auto,
            tick: DEFAULT_TICK,
            max_bytes: None,
            compression: Compression::default(),
            keep_in: KeepIn::default(),
            seed: None,
        }
    }
}

impl Config {
    /// Reads the `PLIMSOLL_*` variables. They may ask for nothing: neither to record nor to listen.
    pub(crate) fn from_env() -> Result<Config, Kind> {
        if crate::sys::is_privileged() {
            return Ok(Config::default());
        }
        Config::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(get: impl Fn(&str) -> Option<std::ffi::OsString>) -> Result<Config, Kind> {
        let text = |name: &'static str| get(name).map(|value| value.to_string_lossy().into_owned());
        let interval = parse(text("PLIMSOLL_INTERVAL"), "PLIMSOLL_INTERVAL", INTERVALS, |value| {
            parse_size(value).filter(|interval| (1..=MAX_INTERVAL).contains(interval))
        })?;
        let interval = interval.unwrap_or(DEFAULT_INTERVAL);
        let recording = parse(text("PLIMSOLL_MODE"), "PLIMSOLL_MODE", "sampled, exact, off", |value| match value {
            "sampled" => Some(Some(Recording::Sampled { interval })),
            "exact" => Some(Some(Recording::Exact)),
            "off" => Some(None),
            _ => None,
        })?;
        let max_bytes = parse(text("PLIMSOLL_MAX_BYTES"), "PLIMSOLL_MAX_BYTES", SIZES, |value| {
            parse_size(value).filter(|bytes| *bytes >= LEAST_MAX_BYTES)
        })?;
        let unwinder = parse(text("PLIMSOLL_UNWINDER"), "PLIMSOLL_UNWINDER", UNWINDERS, |value| {
            let all = [Unwinder::Auto, Unwinder::Framehop, Unwinder::FramePointer, Unwinder::Backtrace];
            all.into_iter().find(|unwinder| unwinder.to_string() == value)
        })?;
        let compression = parse(text("PLIMSOLL_COMPRESS"), "PLIMSOLL_COMPRESS", COMPRESSIONS, |value| {
            let named = [("zstd", Compression::Zstd), ("none", Compression::None)];
            named.into_iter().find(|(name, it)| *name == value && it.is_built_in()).map(|(_, it)| it)
        })?;
        let keep_in = parse(text("PLIMSOLL_ARENA"), "PLIMSOLL_ARENA", ARENAS, |value| match value {
            "shared" => Some(KeepIn::SharedMemory),
            "off" => Some(KeepIn::Off),
            path => path.starts_with('/').then(|| KeepIn::Directory(path.into())),
        })?;
        let seed = parse(text("PLIMSOLL_SEED"), "PLIMSOLL_SEED", "a whole number", |value| u64::from_str(value).ok())?;
        let control = parse(text("PLIMSOLL_CONTROL"), "PLIMSOLL_CONTROL", "1, 0", |value| match value {
            "1" => Some(true),
            "0" | "" => Some(false),
            _ => None,
        })?;
        let default = Recording::Sampled { interval };
        let recording = recording.unwrap_or(Some(default));
        let output = get("PLIMSOLL_OUTPUT").filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(Config {
            records: output.is_some() && recording.is_some(),
            control: control.unwrap_or(false),
            output,
            recording: recording.unwrap_or(default),
            unwinder: unwinder.unwrap_or_default(),
            max_bytes,
            compression: compression.unwrap_or_default(),
            keep_in: keep_in.unwrap_or_default(),
            seed,
            ..Config::default()
        })
    }

    /// The bound on all segments together: as asked, else 1 GiB for a sampled capture and none for an exact one.
    pub(crate) fn bound(&self) -> Option<u64> {
        self.max_bytes.or(match self.recording {
            Recording::Sampled { .. } => Some(DEFAULT_SAMPLED_MAX_BYTES),
            Recording::Exact => None,
        })
    }
}

const INTERVALS: &str = "a size from 1 to 1TiB, such as 512KiB";
const SIZES: &str = "a size of at least 256KiB, such as 1GiB";
const ARENAS: &str = "shared, off, or the path of a directory";
const UNWINDERS: &str = "auto, framehop, frame-pointer, backtrace";
const COMPRESSIONS: &str = if cfg!(feature = "zstd") {
    "zstd, none"
} else {
    "none, and zstd after enabling the feature \"zstd\" of the crate plimsoll"
};

fn parse<T>(
    value: Option<String>,
    name: &'static str,
    allowed: &'static str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Kind> {
    let Some(value) = value else { return Ok(None) };
    match read(value.trim()) {
        Some(read) => Ok(Some(read)),
        None => Err(Kind::BadVariable { name, value, allowed }),
    }
}

/// Reads `512KiB`, `64k`, `1MiB`, `1G` or plain bytes; all units are powers of 1024.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    u64::from_str(number).ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Config::from_variables(get).map_err(|kind| crate::Error(kind).to_string())
    }

    #[test]
    fn sizes() {
        let cases = [("1", Some(1)), ("64KiB", Some(65_536)), ("2 mib", Some(2 << 20)), ("1G", Some(1 << 30))];
        let bad = [("", None), ("KiB", None), ("-1", None), ("1.5M", None), ("20000000TiB", None), ("1x", None)];
        for (text, expected) in cases.into_iter().chain(bad) {
            assert_eq!(parse_size(text), expected, "{text:?}");
        }
    }

    #[test]
    fn no_output_or_mode_off_is_idle() {
        let records = |variables: &[(&str, &str)]| read(variables).expect("valid").records;
        assert!(!records(&[]) && !records(&[("PLIMSOLL_OUTPUT", "")]));
        assert!(!records(&[("PLIMSOLL_OUTPUT", "x"), ("PLIMSOLL_MODE", "off")]));
        assert!(records(&[("PLIMSOLL_OUTPUT", "x")]));
    }

    #[test]
    fn control_is_asked_for_apart_from_recording() {
        let asked = |variables: &[(&str, &str)]| read(variables).map(|config| (config.records, config.control));
        assert_eq!(asked(&[("PLIMSOLL_CONTROL", "1")]), Ok((false, true)));
        assert_eq!(asked(&[("PLIMSOLL_CONTROL", "0"), ("PLIMSOLL_OUTPUT", "x")]), Ok((true, false)));
        let off = [("PLIMSOLL_CONTROL", "1"), ("PLIMSOLL_OUTPUT", "x"), ("PLIMSOLL_MODE", "off")];
        assert_eq!(asked(&off), Ok((false, true)));
        let error = asked(&[("PLIMSOLL_CONTROL", "yes")]).expect_err("not a number");
        assert_eq!(error, "PLIMSOLL_CONTROL=\"yes\" is not valid; allowed: 1, 0");
    }

    #[test]
    fn modes_and_bounds() {
        let config = read(&[("PLIMSOLL_OUTPUT", "x"), ("PLIMSOLL_INTERVAL", "64KiB")]).expect("valid");
        assert_eq!(config.recording, Recording::Sampled { interval: 65_536 });
        assert_eq!(config.bound(), Some(1 << 30));
        let config = read(&[("PLIMSOLL_OUTPUT", "x"), ("PLIMSOLL_MODE", "exact")]).expect("valid");
        assert_eq!((config.recording, config.bound()), (Recording::Exact, None));
    }

    #[test]
    fn errors_name_the_variable_the_value_and_what_is_allowed() {
        let error = read(&[("PLIMSOLL_OUTPUT", "x"), ("PLIMSOLL_MODE", "exat")]).expect_err("bad mode");
        assert_eq!(error, "PLIMSOLL_MODE=\"exat\" is not valid; allowed: sampled, exact, off");
        let names = [
            "PLIMSOLL_INTERVAL",
            "PLIMSOLL_MAX_BYTES",
            "PLIMSOLL_UNWINDER",
            "PLIMSOLL_COMPRESS",
            "PLIMSOLL_ARENA",
            "PLIMSOLL_SEED",
        ];
        for name in names {
            assert!(read(&[(name, "banana")]).expect_err("bad value").contains(name));
        }
        assert!(read(&[("PLIMSOLL_INTERVAL", "0")]).is_err());
    }

    #[test]
    fn compression_is_on_where_it_is_built_in() {
        let asked = |value: Option<&str>| {
            let mut variables = vec![("PLIMSOLL_OUTPUT", "x")];
            variables.extend(value.map(|value| ("PLIMSOLL_COMPRESS", value)));
            read(&variables).map(|config| config.compression)
        };
        assert_eq!(asked(Some("none")), Ok(Compression::None));
        if cfg!(feature = "zstd") {
            assert_eq!((asked(None), asked(Some("zstd"))), (Ok(Compression::Zstd), Ok(Compression::Zstd)));
            assert_eq!(
                asked(Some("lz4")).expect_err("unknown"),
                "PLIMSOLL_COMPRESS=\"lz4\" is not valid; allowed: zstd, none"
            );
        } else {
            assert_eq!(asked(None), Ok(Compression::None));
            let error = asked(Some("zstd")).expect_err("not built in");
            assert!(error.starts_with("PLIMSOLL_COMPRESS=\"zstd\" is not valid"), "{error}");
            assert!(error.contains("enabling the feature \"zstd\" of the crate plimsoll"), "{error}");
        }
    }
}
