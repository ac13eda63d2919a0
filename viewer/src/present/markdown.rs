//! Text for the page of a pull request.

use super::safe::safe;

/// Text that Markdown and HTML make nothing of: what could begin a mark is written by its number, since a backslash is no
/// help in a table's cell nor against HTML, and neither is a pair of backticks against a name with one. `@` and `#` would
/// call people and issues, a colon and `www.` would link.
pub(super) fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in safe(text).chars() {
        if character.is_alphanumeric() || matches!(character, ' ' | '.' | ',' | '-' | '/' | '(' | ')' | '…') {
            escaped.push(character);
        } else {
            escaped.push_str(&format!("&#{};", u32::from(character)));
        }
    }
    escaped.replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_marks() {
        assert_eq!(plain("a|b`c<img>"), "a&#124;b&#96;c&#60;img&#62;");
        assert_eq!(plain("[x](http://y) @you #1 *b* _i_ ~s~"), {
            "&#91;x&#93;(http&#58;//y) &#64;you &#35;1 &#42;b&#42; &#95;i&#95; &#126;s&#126;"
        });
        assert_eq!(plain("www.example.org\n# x"), "www&#46;example.org&#92;u&#123;a&#125;&#35; x");
        assert_eq!(plain("Vec, push (é) 漢"), "Vec, push (é) 漢");
    }
}
