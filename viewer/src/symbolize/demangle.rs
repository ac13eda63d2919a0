//! Readable function names: Rust names without their hash, everything else as it stands, none of them endless.

use std::fmt::{self, Write};

/// Longest name kept, in bytes: nested generics can grow without bound.
const MAX_NAME_BYTES: usize = 2048;

/// The name as people know it.
pub(crate) fn demangle(symbol: &str) -> String {
    let mut name = Capped(String::new());
    let written = match rustc_demangle::try_demangle(symbol) {
        Ok(demangled) => write!(name, "{demangled:#}"),
        Err(_) => name.write_str(symbol),
    };
    if written.is_err() {
        name.0.push('…');
    }
    name.0
}

/// Stops the writer when the name is long enough.
struct Capped(String);

impl Write for Capped {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_NAME_BYTES - self.0.len().min(MAX_NAME_BYTES);
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_go_and_foreign_names_stay() {
        assert_eq!(demangle("_ZN5alloc5alloc5alloc17h0123456789abcdefE"), "alloc::alloc::alloc");
        assert_eq!(demangle("_RNvCsbSkUVZfbOBA_8outsider4main"), "outsider::main");
        assert_eq!(demangle("malloc"), "malloc");
        assert_eq!(demangle(""), "");
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        // 2,048 bytes hold 682 characters of three bytes.
        let name = demangle(&"€".repeat(5000));
        assert_eq!(name.chars().count(), 683);
        assert!(name.ends_with("€…"));
    }
}
