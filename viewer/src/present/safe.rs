//! The one place where names from a capture are made fit to be printed: they come from another process, and may hold
//! escape sequences that drive a terminal, or marks that turn text around.

use std::borrow::Cow;
use std::io;

use serde_json::ser::Formatter;

/// Longest text printed of one name, in characters.
const MAX_CHARS: usize = 2048;

/// `text` with control characters, line breaks and direction marks written as `\u{…}`.
pub fn safe(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_CHARS && !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len().min(MAX_CHARS * 2));
    for (at, character) in text.chars().enumerate() {
        if at == MAX_CHARS {
            escaped.push('…');
            break;
        }
        if is_hostile(character) {
            escaped.extend(character.escape_unicode());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Whether nothing in a text that was put together for people acts on a terminal or turns it around; line breaks may.
pub(crate) fn is_safe(text: &str) -> bool {
    !text.chars().any(|character| is_hostile(character) && character != '\n')
}

/// Whether a terminal may act on a character or show text in another order because of it.
fn is_hostile(character: char) -> bool {
    matches!(character,
        // C0, DEL and C1.
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Direction marks, embeddings, overrides, isolates.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Invisible characters and line separators.
        | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}' | '\u{2060}' | '\u{feff}'
        // Tags, which spell text that nobody sees.
        | '\u{e0000}'..='\u{e007f}')
}

/// Writes JSON whose texts are as safe: the same characters by their numbers, which every reader turns back.
pub(crate) struct SafeJson;

impl Formatter for SafeJson {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, character)) = rest.char_indices().find(|(_, character)| is_hostile(*character)) {
            let (before, after) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = after.get(character.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[test]
    fn control_characters_are_spelled_out() {
        assert_eq!(safe("Vec<é, 漢>::push"), "Vec<é, 漢>::push");
        assert_eq!(safe("a\x1b[31mb\n\x7f\u{9b}c\u{202e}"), r"a\u{1b}[31mb\u{a}\u{7f}\u{9b}c\u{202e}");
    }

    #[test]
    fn endless_names_end() {
        assert_eq!(safe(&"x".repeat(5000)).chars().count(), 2049);
    }

    #[test]
    fn json_says_the_same_with_numbers() {
        let text = "a\x1b\u{9b}\u{202e}\u{e0041}é\"\n";
        let mut bytes = Vec::new();
        text.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, SafeJson)).unwrap();
        let written = String::from_utf8(bytes).unwrap();
        assert!(!written.chars().any(is_hostile), "{written}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }
}
