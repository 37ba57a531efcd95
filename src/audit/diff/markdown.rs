//! A comparison as Markdown (GFM), for a comment on a pull request.
//!
//! Every word of a package stands in a code span or a fenced block whose fence it cannot hold, so that no name in a
//! package can be markup, a link or a mention.

use std::fmt::Write as _;

use crate::amount::size;
use crate::audit::diff::text::{limited, sections, title, verdict};
use crate::audit::diff::{Diff, Way};

/// Most lines of a section; comments have a limited length.
const MAX_LINES: usize = 100;

/// The comment.
pub fn markdown(diff: &Diff) -> String {
    let sign = if diff.fails() { "❌" } else { "✅" };
    let mut text =
        format!("### {sign} {}\n\nVerdict: {}\n\n", code(&title(diff)), code(&verdict(diff)));
    text.push_str(&table(diff));
    for (name, lines) in sections(diff, false) {
        let _ = write!(text, "\n<details><summary>{name}</summary>\n\n");
        text.push_str(&block(&limited(lines.into_iter(), MAX_LINES)));
        text.push_str("\n</details>\n");
    }
    text
}

/// What changed, in numbers.
fn table(diff: &Diff) -> String {
    let way = |way| diff.distributions.iter().filter(|change| change.way == way).count();
    let counts = |added: usize, removed: usize| format!("+{added} −{removed}");
    let mut rows = vec![
        (
            "Distributions",
            format!(
                "{} new, {} up, {} down, {} gone",
                way(Way::New),
                way(Way::Up),
                way(Way::Down),
                way(Way::Gone)
            ),
        ),
        ("Releases", counts(diff.releases_gained.len(), diff.releases_lost.len())),
        ("Findings", counts(diff.findings_new.len(), diff.findings_gone.len())),
        (
            "Vulnerabilities",
            match &diff.vulnerabilities {
                Some(known) => format!(
                    "{}, {} persist",
                    counts(known.introduced.len(), known.fixed.len()),
                    known.persisting.len()
                ),
                None => "not checked".to_owned(),
            },
        ),
        (
            "Files",
            format!(
                "{} ~{}",
                counts(diff.files.added.len(), diff.files.removed.len()),
                diff.files.changed.len()
            ),
        ),
        ("Size", format!("{} → {}", size(diff.size.old), size(diff.size.new))),
    ];
    if !diff.files.types.is_empty() {
        rows.push(("Kinds of files", format!("⚠ {} changed", diff.files.types.len())));
    }
    let rows: String = rows.iter().map(|(name, text)| format!("| {name} | {text} |\n")).collect();
    format!("| | |\n|---|---|\n{rows}")
}

/// A code span: a run of backticks longer than any in `text` (CommonMark 0.31, 6.1).
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let is_padded = text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) || text.is_empty();
    let pad = if is_padded { " " } else { "" };
    format!("{fence}{pad}{}{pad}{fence}", one_line(text))
}

/// A fenced block (CommonMark 0.31, 4.5), coloured as a diff.
fn block(lines: &[String]) -> String {
    let longest = lines.iter().map(|line| longest_run(line)).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let lines: String = lines.iter().map(|line| format!("{}\n", one_line(line))).collect();
    format!("{fence}diff\n{lines}{fence}\n")
}

/// `text` without characters that would end its line, or turn its direction.
fn one_line(text: &str) -> String {
    let is_unseen = |at: char| {
        let turns = matches!(at, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (at.is_control() && at != '\t')
    };
    text.chars()
        .map(|at| if is_unseen(at) { at.escape_debug().to_string() } else { at.to_string() })
        .collect()
}

fn longest_run(text: &str) -> usize {
    text.split(|at| at != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::audit::diff::markdown::{block, code};

    #[test]
    fn names_are_no_markup() {
        for (text, expected) in [
            ("acme 1.0", "`acme 1.0`"),
            ("[x](https://x.example) @all | <b>", "`[x](https://x.example) @all | <b>`"),
            ("a`b", "``a`b``"),
            ("`", "`` ` ``"),
            ("a``", "``` a`` ```"),
            ("a\n# b", "`a\\n# b`"),
            ("a\u{202e}b", "`a\\u{202e}b`"),
            ("", "`  `"),
        ] {
            assert_eq!(code(text), expected);
        }
        let lines = ["+ ```".to_owned(), "a\n````".to_owned()];
        assert_eq!(block(&lines), "`````diff\n+ ```\na\\n````\n`````\n");
    }
}
