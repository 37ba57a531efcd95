//! Relations in Debian's grammar: those an interpreter and an account imply, and the check of those a user writes.
//!
//! Knows nothing of libraries but that there is a C library.

use anyhow::Result;

use crate::error::UserError;
use crate::package::{InterpreterNeed, Machine, PackageName, Relation, RelationKind};
use crate::tree::Tree;

/// Parts of the standard library that Debian ships apart from `python3.X`, the package each is in, and the
/// first 3.X that no longer has it.
const SPLITS: [(&str, &str, u32); 6] = [
    ("_gdbm", "python3-gdbm", u32::MAX),
    ("_tkinter", "python3-tk", u32::MAX),
    ("dbm.gnu", "python3-gdbm", u32::MAX),
    ("distutils", "python3-distutils", 12),
    ("lib2to3", "python3-lib2to3", 13),
    ("tkinter", "python3-tk", u32::MAX),
];

/// What a package needs to have its interpreter; nothing when it brings its own.
pub(super) fn of_interpreter(interpreter: Option<&InterpreterNeed>) -> Vec<Relation> {
    let Some(need) = interpreter else {
        return Vec::new();
    };
    let minor = &need.minor;
    let mut relations = vec![Relation {
        kind: RelationKind::Needs,
        text: format!("python{minor}"),
        because: vec![format!("the application runs on `/usr/bin/python{minor}`")],
        causes: Vec::new(),
    }];
    let number = minor.rsplit('.').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    for (module, importer) in &need.split_modules {
        let split = SPLITS.iter().find(|(name, _, gone)| name == module && number < *gone);
        let Some((_, package, _)) = split else { continue };
        let because = format!("`{importer}` imports `{module}`, which Debian ships apart");
        match relations.iter_mut().find(|relation| relation.text == *package) {
            Some(known) => known.because.push(because),
            None => relations.push(Relation {
                kind: RelationKind::Needs,
                text: (*package).to_owned(),
                because: vec![because],
                causes: Vec::new(),
            }),
        }
    }
    relations.sort_by(|left, right| left.text.cmp(&right.text));
    relations
}

/// What a package needs to make the accounts it has files for in `/usr/lib/sysusers.d`; installing fails without.
///
/// Where systemd does not run, such as in containers, the program stands by itself (Debian Policy 9.2.1).
pub(super) fn of_accounts(tree: &Tree) -> Option<Relation> {
    let is_account_file = |path: &str| {
        path.strip_prefix("usr/lib/sysusers.d/").is_some_and(|name| name.ends_with(".conf"))
    };
    let (path, ..) = tree.files().find(|(path, ..)| is_account_file(path.as_str()))?;
    Some(Relation {
        kind: RelationKind::Needs,
        text: "systemd | systemd-standalone-sysusers | systemd-sysusers".to_owned(),
        because: vec![format!("`systemd-sysusers` makes the account of `{path}`")],
        causes: Vec::new(),
    })
}

/// The C library, which every compiled file needs, where nothing better is known; nothing when there is none.
pub(super) fn of_machine(machine: Option<Machine>) -> Option<Relation> {
    machine.map(|_| Relation {
        kind: RelationKind::Needs,
        text: "libc6".to_owned(),
        because: vec!["the compiled files inside are linked with the C library".to_owned()],
        causes: Vec::new(),
    })
}

/// The name of the field for `kind`.
pub(super) fn field(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::Needs => "Depends",
        RelationKind::Recommends => "Recommends",
        RelationKind::Suggests => "Suggests",
        RelationKind::Conflicts => "Conflicts",
        RelationKind::Replaces => "Replaces",
        RelationKind::Provides => "Provides",
    }
}

/// What the grammar of a field allows beyond a list of packages (Debian Policy 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grammar {
    /// `a | b`, any operator.
    Alternatives,
    /// Any operator.
    Single,
    /// Only `=`.
    Exact,
}

/// The grammar of a relation.
pub(super) fn grammar(kind: RelationKind) -> Grammar {
    match kind {
        RelationKind::Needs | RelationKind::Recommends | RelationKind::Suggests => {
            Grammar::Alternatives
        }
        RelationKind::Conflicts | RelationKind::Replaces => Grammar::Single,
        RelationKind::Provides => Grammar::Exact,
    }
}

/// The grammar of the field `name`; `None` when it holds no relations.
pub(super) fn field_grammar(name: &str) -> Option<Grammar> {
    Some(match name.to_ascii_lowercase().as_str() {
        "depends" | "pre-depends" | "recommends" | "suggests" | "enhances" => Grammar::Alternatives,
        "conflicts" | "breaks" | "replaces" => Grammar::Single,
        "provides" | "built-using" | "static-built-using" => Grammar::Exact,
        _ => return None,
    })
}

/// The normal form of one relation such as `a:any (>= 1.0) | b`; an error says what is wrong with it.
pub(super) fn normal(text: &str, grammar: Grammar) -> Result<String> {
    let fault = |what: &str| {
        UserError::usage(format!("relation `{}` {what}", text.escape_debug()))
            .hint("write it like `libpq5 (>= 15)` or `mta | postfix`, one relation a string")
    };
    let packages: Vec<_> = text.split('|').collect();
    if packages.len() > 1 && grammar != Grammar::Alternatives {
        return Err(fault("has alternatives, which this field does not allow").into());
    }
    let parsed: Result<Vec<String>, String> =
        packages.into_iter().map(|package| normal_package(package.trim(), grammar)).collect();
    Ok(parsed.map_err(|what| fault(&what))?.join(" | "))
}

fn normal_package(text: &str, grammar: Grammar) -> Result<String, String> {
    let (package, constraint) = match text.split_once('(') {
        None => (text, None),
        Some((package, rest)) => {
            let inner = rest.strip_suffix(')').ok_or("has a version without its `)`")?;
            (package.trim_end(), Some(normal_constraint(inner.trim(), grammar)?))
        }
    };
    let (name, architecture) = match package.split_once(':') {
        None => (package, None),
        Some((name, architecture)) => (name, Some(architecture)),
    };
    if PackageName::new(name).is_err() {
        return Err(format!("does not name a package with `{}`", name.escape_debug()));
    }
    let is_letter = |at: char| at.is_ascii_lowercase() || at.is_ascii_digit() || at == '-';
    if architecture.is_some_and(|text| text.is_empty() || !text.chars().all(is_letter)) {
        return Err("has no architecture after its `:`".to_owned());
    }
    Ok(match constraint {
        None => package.to_owned(),
        Some(constraint) => format!("{package} ({constraint})"),
    })
}

fn normal_constraint(text: &str, grammar: Grammar) -> Result<String, String> {
    let split = text.find(|at: char| !matches!(at, '<' | '=' | '>')).unwrap_or(text.len());
    let (operator, version) = text.split_at(split);
    let version = version.trim_start();
    let known = match grammar {
        Grammar::Alternatives | Grammar::Single => &["<<", "<=", "=", ">=", ">>"][..],
        Grammar::Exact => &["="],
    };
    if !known.contains(&operator) {
        return Err(format!("has `{operator}` where one of `{}` belongs", known.join("`, `")));
    }
    if !is_version(version) {
        return Err(format!("has no version in `{}`", version.escape_debug()));
    }
    Ok(format!("{operator} {version}"))
}

/// Whether `text` is a version in the grammar of Debian Policy 5.6.12.
pub(super) fn is_version(text: &str) -> bool {
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    let is_inner = |at: char| at.is_ascii_alphanumeric() || matches!(at, '.' | '+' | '~' | '-');
    !epoch.is_empty()
        && epoch.parse::<i32>().is_ok()
        && epoch.bytes().all(|at| at.is_ascii_digit())
        && rest.starts_with(|at: char| at.is_ascii_digit())
        && rest.chars().all(is_inner)
        && !rest.ends_with('-')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::backend::deb::relations::{Grammar, normal, of_interpreter};
    use crate::error::exit_code;
    use crate::package::InterpreterNeed;

    fn check(grammar: Grammar, text: &str, expected: Option<&str>) {
        match (normal(text, grammar), expected) {
            (Ok(normal), expected) => assert_eq!(Some(normal.as_str()), expected, "{text:?}"),
            (Err(error), None) => assert_eq!(exit_code(&error), 2, "{error:#}"),
            (Err(error), Some(_)) => panic!("{text:?}: {error:#}"),
        }
    }

    #[test]
    fn grammars() {
        for (text, expected) in [
            ("libc6", Some("libc6")),
            ("libc6(>=2.34)", Some("libc6 (>= 2.34)")),
            (" python3:any  ( << 3.12~ ) ", Some("python3:any (<< 3.12~)")),
            ("a1 (= 1:2.0-1)|b1", Some("a1 (= 1:2.0-1) | b1")),
            ("g++", Some("g++")),
            ("", None),
            ("a1,b1", None),
            ("a1 |", None),
            ("A1", None),
            ("a1 (> 1)", None),
            ("a1 (>= )", None),
            ("a1 (>= x1)", None),
            ("a1 (>= 1", None),
            ("a1 (>= 1) x", None),
            ("a1 [amd64]", None),
            ("a1 <!nocheck>", None),
            ("${misc:Depends}", None),
            ("a1:", None),
            ("a1\nb1", None),
            ("a1 (>= 1\n)", Some("a1 (>= 1)")),
        ] {
            check(Grammar::Alternatives, text, expected);
        }
        check(Grammar::Single, "a1 | b1", None);
        check(Grammar::Single, "a1 (<< 2)", Some("a1 (<< 2)"));
        check(Grammar::Exact, "a1 (>= 1)", None);
        check(Grammar::Exact, "a1 (= 1)", Some("a1 (= 1)"));
    }

    fn check_interpreter(minor: &str, modules: &[&str], expected: &[&str]) {
        let importer = |module: &&str| ((*module).to_owned(), "/opt/a/x.py".to_owned());
        let split_modules: BTreeMap<_, _> = modules.iter().map(importer).collect();
        let need = InterpreterNeed { minor: minor.to_owned(), split_modules };
        let relations = of_interpreter(Some(&need));
        let texts: Vec<_> = relations.iter().map(|relation| relation.text.as_str()).collect();
        assert_eq!(texts, expected);
        assert!(relations.iter().all(|relation| !relation.reasons().is_empty()));
    }

    #[test]
    fn interpreters() {
        check_interpreter("3.11", &[], &["python3.11"]);
        check_interpreter("3.11", &["distutils"], &["python3-distutils", "python3.11"]);
        check_interpreter("3.13", &["distutils", "lib2to3", "json"], &["python3.13"]);
        check_interpreter(
            "3.12",
            &["_tkinter", "tkinter", "dbm.gnu", "lib2to3"],
            &["python3-gdbm", "python3-lib2to3", "python3-tk", "python3.12"],
        );
        assert!(of_interpreter(None).is_empty());
    }
}
