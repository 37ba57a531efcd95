//! Lines for a terminal: wrapped between words to its width, and coloured where it has colours.
//!
//! Every text goes through here and loses what a terminal would obey.

use crate::inert::inert;

/// What the lines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Characters in a line.
    pub width: usize,
    /// Whether there are colours.
    pub is_coloured: bool,
}

/// How a text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    /// As the terminal has it.
    Plain,
    /// More than the rest.
    Strong,
    /// Less than the rest.
    Dim,
    /// It is well.
    Good,
    /// It may not be.
    Doubtful,
    /// It is not.
    Bad,
}

/// A blank at which no line ends.
pub(super) const JOINED: char = '\u{a0}';

/// Text in the making.
#[derive(Debug)]
pub(super) struct Screen {
    look: Look,
    text: String,
}

impl Screen {
    pub(super) fn new(look: Look) -> Self {
        Self { look, text: String::new() }
    }

    /// The whole text.
    pub(super) fn text(self) -> String {
        self.text
    }

    /// A heading, after an empty line.
    pub(super) fn heading(&mut self, title: &str, more: &str) {
        self.text.push('\n');
        self.put(0, 2, &[(Paint::Strong, title), (Paint::Dim, more)]);
    }

    /// Parts with a blank between them, at `indent`; what does not fit goes on at `hang` in the next line.
    ///
    /// A word that is longer than a line, such as a path, stays whole: it can be copied.
    pub(super) fn put(&mut self, indent: usize, hang: usize, parts: &[(Paint, &str)]) {
        let mut column = indent;
        let mut is_first = true;
        self.text.push_str(&" ".repeat(indent));
        for (paint, part) in parts.iter().filter(|(_, part)| !part.is_empty()) {
            for word in inert(part).split(' ') {
                let len = word.chars().count();
                if !is_first && len > 0 && column + 1 + len > self.look.width {
                    self.text.truncate(self.text.trim_end_matches(' ').len());
                    self.text.push('\n');
                    self.text.push_str(&" ".repeat(hang));
                    column = hang;
                } else if !is_first {
                    self.text.push(' ');
                    column += 1;
                }
                self.paint(*paint, &word.replace(JOINED, " "));
                column += len;
                is_first = false;
            }
        }
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    fn paint(&mut self, paint: Paint, word: &str) {
        let code = match paint {
            Paint::Plain => "",
            Paint::Strong => "1",
            Paint::Dim => "2",
            Paint::Good => "32",
            Paint::Doubtful => "33",
            Paint::Bad => "1;31",
        };
        if self.look.is_coloured && !code.is_empty() && !word.is_empty() {
            self.text.push_str(&format!("\u{1b}[{code}m{word}\u{1b}[0m"));
        } else {
            self.text.push_str(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::audit::screen::{Look, Paint, Screen};

    fn check(width: usize, is_coloured: bool, parts: &[(Paint, &str)], expected: &str) {
        let mut screen = Screen::new(Look { width, is_coloured });
        screen.put(2, 4, parts);
        assert_eq!(screen.text(), expected);
    }

    #[test]
    fn lines() {
        check(80, false, &[(Paint::Bad, "a"), (Paint::Plain, ""), (Paint::Plain, "b")], "  a b\n");
        check(9, false, &[(Paint::Plain, "abc def ghi jkl")], "  abc def\n    ghi\n    jkl\n");
        check(9, false, &[(Paint::Plain, "ab   cdefghijkl m")], "  ab\n    cdefghijkl\n    m\n");
        check(80, false, &[(Paint::Plain, "ab   c")], "  ab   c\n");
        check(80, true, &[(Paint::Bad, "a"), (Paint::Plain, "b")], "  \u{1b}[1;31ma\u{1b}[0m b\n");
        check(80, true, &[(Paint::Plain, "\u{1b}[2Jx\r\n")], "  \\u{1b}[2Jx\\u{d}\\u{a}\n");
        check(8, false, &[(Paint::Plain, "a\u{a0}b c\u{a0}d")], "  a b\n    c d\n");
        check(80, false, &[], "\n");
    }
}
