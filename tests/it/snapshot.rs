//! Expected texts in files; `UPDATE_SNAPSHOTS=1` writes them anew.

use std::env;
use std::fs;
use std::path::Path;

/// Compares `text` with the snapshot `name`; a difference fails the test and shows both sides of it.
pub(crate) fn check(name: &str, text: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots");
    let path = dir.join(format!("{name}.txt"));
    if env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        fs::write(&path, text).expect("the repository can be written");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let difference = difference(&expected, text);
    assert!(
        difference.is_empty(),
        "`{}` differs; review, and run again with UPDATE_SNAPSHOTS=1\n{difference}",
        path.display()
    );
}

/// The lines only one of two texts has, with the line before each; empty when the texts are equal.
fn difference(expected: &str, found: &str) -> String {
    let (left, right): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    let only = |sign: char, these: &[&str], those: &[&str]| -> String {
        let is_new = |(at, line): &(usize, &&str)| !those.contains(line) && (*at < these.len());
        let show = |(at, line): (usize, &&str)| format!("{:>5} {sign} {line}\n", at + 1);
        these.iter().enumerate().filter(is_new).map(show).collect()
    };
    let lines = only('-', &left, &right) + &only('+', &right, &left);
    match lines.is_empty() && expected != found {
        true => "the same lines in another order or number\n".to_owned(),
        false => lines,
    }
}

#[test]
fn differences() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), "");
    assert_eq!(difference("a\nb\n", "a\nc\n"), "    2 - b\n    2 + c\n");
    assert_eq!(difference("a\nb\n", "b\na\n"), "the same lines in another order or number\n");
}
