//! Which interpreter a recipe is for, and the refusal of those mkpkg makes no packages for.

use anyhow::Result;

use crate::error::UserError;
use crate::import::control::{Stanza, relations};
use crate::import::{Folder, Package};

/// The oldest minor version of Python 3 that packages are made for.
const OLDEST: u32 = 8;

/// What `--python` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `X.Y`.
    Exact(String),
    /// `python3`, whatever that is.
    Default,
    /// What only a human can tell.
    Unclear,
}

/// Reads the value of `--python`.
pub(super) fn asked(value: &str) -> Result<Asked> {
    // `$(readlink -e /usr/bin/python3)` means that interpreter.
    let word = value.trim_end_matches([')', '`', '"']);
    let name = word.rsplit(['/', ' ']).next().unwrap_or_default();
    if name.contains("pypy") || name.contains("jython") || name.contains("ironpython") {
        return Err(refusal(&format!("`--python={value}` in the rules")).into());
    }
    let Some(version) = name.strip_prefix("python") else { return Ok(Asked::Unclear) };
    if version == "3" {
        return Ok(Asked::Default);
    }
    let mut parts = version.splitn(2, '.');
    let major = parts.next().unwrap_or_default();
    let minor = parts.next().and_then(|minor| minor.parse::<u32>().ok());
    match (major, minor) {
        ("2", _) => Err(refusal(&format!("`--python={value}` in the rules")).into()),
        ("3", Some(minor)) if minor < OLDEST => {
            Err(refusal(&format!("`--python={value}` in the rules")).into())
        }
        ("3", Some(_)) => Ok(Asked::Exact(version.to_owned())),
        _ => Ok(Asked::Unclear),
    }
}

fn refusal(what: &str) -> UserError {
    let message = format!("{what}: mkpkg makes packages for CPython 3.{OLDEST} and newer only");
    UserError::usage(message)
        .hint("port the application first; until then it needs the tools it is built with today")
}

/// Refuses a recipe that names no interpreter, where all else says that it is for Python 2.
pub(super) fn refuse_old(folder: &Folder, source: &Stanza) -> Result<()> {
    let calls = folder.recipe.calls();
    let passed_on = folder.recipe.passed_on();
    let all = calls.iter().chain([&passed_on]);
    let values: Vec<_> = all.flat_map(|call| call.values("--python")).collect();
    for value in &values {
        asked(value)?;
    }
    let needed = relations(source.get("Build-Depends").unwrap_or_default());
    let is_old = |name: &str| {
        name.starts_with("python2") || ["python", "python-dev", "python-all"].contains(&name)
    };
    let name = |text: &str| text.split([' ', ':']).next().unwrap_or_default().to_owned();
    let is_new = needed.iter().any(|(text, _)| name(text).starts_with("python3"));
    let old = needed.iter().find(|(text, _)| is_old(&name(text)));
    match old {
        Some((text, _)) if !is_new && values.is_empty() => {
            Err(refusal(&format!("`Build-Depends: {text}`, and no other Python")).into())
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether a relation is to the interpreter, which every package of mkpkg has.
pub(super) fn is_interpreter(relation: &str, of: &Package<'_>) -> bool {
    let name = relation.split([' ', ':']).next().unwrap_or_default();
    let exact = match &of.environment.python {
        Asked::Exact(minor) => format!("python{minor}"),
        Asked::Default | Asked::Unclear => "python3".to_owned(),
    };
    ["python3", "python3-minimal"].contains(&name) || name == exact
}

#[cfg(test)]
mod tests {
    use crate::import::pythons::{Asked, asked};

    #[test]
    fn interpreters() {
        let exact = |minor: &str| Some(Asked::Exact(minor.to_owned()));
        for (value, expected) in [
            ("/usr/bin/python3.11", exact("3.11")),
            ("python3.8", exact("3.8")),
            ("python3", Some(Asked::Default)),
            ("$(readlink -e /usr/bin/python3)", Some(Asked::Default)),
            ("/opt/x/bin/snake", Some(Asked::Unclear)),
            ("python", Some(Asked::Unclear)),
            ("python3.7", None),
            ("/usr/bin/python2.7", None),
            ("pypy", None),
            ("/usr/bin/pypy3", None),
        ] {
            assert_eq!(asked(value).ok(), expected, "{value}");
        }
    }
}
