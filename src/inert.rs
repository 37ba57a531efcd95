//! Text of unknown origin, with what a terminal or a browser would obey written out.

/// Longest text of a package that is shown in one place, in characters.
const MAX: usize = 1000;

/// The text without control characters, nor those of Unicode that turn the rest of a line around or hide in it, so that it
/// reads as something else; and cut where it gets too long to be read.
pub fn inert(text: &str) -> String {
    let mut inert = String::new();
    for (number, at) in text.chars().enumerate() {
        if number == MAX {
            inert.push('…');
            break;
        }
        push(&mut inert, at);
    }
    inert
}

/// The same of several lines, with tabs, and as long as it is.
pub fn inert_lines(text: &str) -> String {
    let mut inert = String::with_capacity(text.len());
    for at in text.chars() {
        match at {
            '\n' | '\t' => inert.push(at),
            at => push(&mut inert, at),
        }
    }
    inert
}

fn push(inert: &mut String, at: char) {
    match is_obeyed(at) {
        true => inert.extend(at.escape_unicode()),
        false => inert.push(at),
    }
}

/// Whether a terminal or a browser would obey a character rather than show it.
pub fn is_obeyed(at: char) -> bool {
    at.is_control() || is_format(at)
}

/// The characters without a shape that direct the shape of others (Unicode, category Cf, and the separators of lines).
fn is_format(at: char) -> bool {
    matches!(
        at,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use crate::inert::{MAX, inert, inert_lines};

    #[test]
    fn texts_are_inert() {
        for (text, expected) in [
            ("a\u{1b}[31m\u{202e}b\n", "a\\u{1b}[31m\\u{202e}b\\u{a}"),
            ("\u{9b}x\u{200b}\r", "\\u{9b}x\\u{200b}\\u{d}"),
            ("ä 漢 `x`", "ä 漢 `x`"),
        ] {
            assert_eq!(inert(text), expected);
        }
        assert_eq!(inert_lines("a\tb\n\u{9b}\u{202e}\r\n"), "a\tb\n\\u{9b}\\u{202e}\\u{d}\n");
        assert_eq!(inert(&"ä".repeat(MAX + 1)).chars().count(), MAX + 1);
    }
}
