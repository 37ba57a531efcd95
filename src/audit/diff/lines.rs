//! Which lines of a text differ, as `diff -u` tells it.

use serde::Serialize;

/// Lines around a change that are told.
const CONTEXT: usize = 3;
/// Most lines of a text that are compared one by one.
const MAX_LINES: usize = 2000;

/// A text that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TextChange {
    /// What it is.
    pub kind: TextKind,
    /// A path, or the name of a script.
    pub name: String,
    /// The lines, with ` `, `-` and `+` in front, in hunks that begin with `@@`.
    pub lines: Vec<String>,
}

/// What a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TextKind {
    /// The package manager runs it, or reads it.
    Script,
    /// systemd does.
    Unit,
    /// An administrator may edit it.
    Configuration,
}

impl TextKind {
    /// Whether hosts act by it, whatever an administrator wants.
    pub(super) fn is_run(self) -> bool {
        match self {
            Self::Script | Self::Unit => true,
            Self::Configuration => false,
        }
    }
}

/// One line, and which text has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'t> {
    Both(&'t str),
    Old(&'t str),
    New(&'t str),
}

/// The hunks that make `new` of `old`; nothing when they are equal.
pub(super) fn hunks(old: &str, new: &str) -> Vec<String> {
    if old == new {
        return Vec::new();
    }
    let (was, is): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    if was.len().max(is.len()) > MAX_LINES {
        return vec![format!("@@ {} lines, now {}", was.len(), is.len())];
    }
    let lines = align(&was, &is);
    let is_near = |at: usize| {
        let around = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(lines.len());
        lines[around].iter().any(|line| !matches!(line, Line::Both(_)))
    };
    let (mut told, mut is_open, mut number) = (Vec::new(), false, 1);
    for (at, line) in lines.iter().enumerate() {
        if is_near(at) {
            if !is_open {
                told.push(format!("@@ line {number}"));
            }
            told.push(match line {
                Line::Both(text) => format!(" {text}"),
                Line::Old(text) => format!("-{text}"),
                Line::New(text) => format!("+{text}"),
            });
            is_open = true;
        } else {
            is_open = false;
        }
        number += usize::from(!matches!(line, Line::New(_)));
    }
    if told.is_empty() {
        told.push("@@ the end of the last line".to_owned());
    }
    told
}

/// Both texts in one, by a longest common subsequence of their lines.
fn align<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Line<'t>> {
    let start = old.iter().zip(new).take_while(|(was, is)| was == is).count();
    let (was, is) = (&old[start..], &new[start..]);
    let end = was.iter().rev().zip(is.iter().rev()).take_while(|(was, is)| was == is).count();
    let (was, tail) = was.split_at(was.len() - end);
    let is = &is[..is.len() - end];
    // lens[i][j] is the length of that of was[i..] and is[j..].
    let mut lens = vec![vec![0_u16; is.len() + 1]; was.len() + 1];
    for i in (0..was.len()).rev() {
        for j in (0..is.len()).rev() {
            lens[i][j] = match was[i] == is[j] {
                true => lens[i + 1][j + 1] + 1,
                false => lens[i + 1][j].max(lens[i][j + 1]),
            };
        }
    }
    let mut lines: Vec<_> = old[..start].iter().map(|text| Line::Both(text)).collect();
    let (mut i, mut j) = (0, 0);
    while i < was.len() || j < is.len() {
        if i < was.len() && j < is.len() && was[i] == is[j] {
            lines.push(Line::Both(was[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == is.len() || i < was.len() && lens[i + 1][j] >= lens[i][j + 1] {
            lines.push(Line::Old(was[i]));
            i += 1;
        } else {
            lines.push(Line::New(is[j]));
            j += 1;
        }
    }
    lines.extend(tail.iter().map(|text| Line::Both(text)));
    lines
}

#[cfg(test)]
mod tests {
    use crate::audit::diff::lines::hunks;

    fn check(old: &str, new: &str, expected: &[&str]) {
        assert_eq!(hunks(old, new), expected, "{old:?} {new:?}");
    }

    #[test]
    fn differences() {
        check("a\n", "a\n", &[]);
        check("", "a\nb\n", &["@@ line 1", "+a", "+b"]);
        check("a\n", "", &["@@ line 1", "-a"]);
        check("a\nb\nc\n", "a\nx\nc\n", &["@@ line 1", " a", "-b", "+x", " c"]);
        check("a\nb\na\n", "b\na\nb\n", &["@@ line 1", "-a", " b", " a", "+b"]);
        check("a", "a\n", &["@@ the end of the last line"]);
    }

    #[test]
    fn what_is_far_is_left_out() {
        let text = |first: &str, last: &str| {
            let between: String = (2..20).map(|number| format!("{number}\n")).collect();
            format!("{first}\n{between}{last}\n")
        };
        let expected = [
            "@@ line 1",
            "-a",
            "+b",
            " 2",
            " 3",
            " 4",
            "@@ line 17",
            " 17",
            " 18",
            " 19",
            "-c",
            "+d",
        ];
        check(&text("a", "c"), &text("b", "d"), &expected);
        let long = "x\n".repeat(2001);
        check(&long, "", &["@@ 2001 lines, now 0"]);
    }
}
