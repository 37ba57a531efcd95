//! Why a package needs what it needs: the chains of reasons for a name a person has in hand.
//!
//! Pure: relations and a tree in, answers and their text out. Knows no package format.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use crate::document::{nearest, to_json};
use crate::package::{Cause, Relation, RelationKind, distribution};
use crate::pep::normalize_name;
use crate::tree::{Entry, PkgPath, Tree};

/// What is known of a package.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Its relations.
    pub relations: &'a [Relation],
    /// Uses of libraries of which no package is known.
    pub loose: &'a [Cause],
    /// What it holds.
    pub tree: &'a Tree,
}

/// What a name can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Another package.
    Relation,
    /// A library of the system.
    Library,
    /// A symbol, or a version of symbols.
    Symbol,
    /// A Python distribution inside.
    Distribution,
    /// A file or directory inside.
    File,
}

/// What is known of one thing a name stands for.
#[derive(Debug)]
pub struct Answer<'a> {
    /// What it is.
    pub subject: Subject,
    /// Its whole name.
    pub name: String,
    /// The relations it has to do with, and why.
    pub found: Vec<Found<'a>>,
}

/// A relation, and the uses of libraries that connect it with what was asked.
#[derive(Debug)]
pub struct Found<'a> {
    /// The relation; `None` where no package is known.
    pub relation: Option<&'a Relation>,
    /// The one that decides first, then the others, the shortest chain first.
    pub causes: Vec<&'a Cause>,
}

/// How alike names must be to be taken for each other; many begin with `lib`.
const LIKENESS: f64 = 0.88;
/// Longest line of a chain, where its steps allow.
const WIDTH: usize = 80;

/// Everything `name` may stand for; nothing when the package neither has nor needs it.
pub fn answers<'a>(case: &Case<'a>, name: &str) -> Vec<Answer<'a>> {
    let mut answers = relations(case, name);
    let sonames = |cause: &Cause| is_library(&cause.soname, name).then(|| cause.soname.clone());
    answers.extend(by_cause(case, Subject::Library, sonames));
    let symbols = |cause: &Cause| {
        let names = [cause.version.clone(), cause.symbol.clone(), cause.used()];
        names.into_iter().flatten().find(|known| known == name)
    };
    answers.extend(by_cause(case, Subject::Symbol, symbols));
    for origin in distributions(case.tree).into_iter().filter(|known| is_distribution(known, name))
    {
        let found = found(case, |cause| &*cause.origin == origin);
        answers.push(Answer { subject: Subject::Distribution, name: origin.to_owned(), found });
    }
    answers.extend(files(case, name));
    answers
}

/// The name in `case` that looks most like `name`.
pub fn similar(case: &Case<'_>, name: &str) -> Option<String> {
    let relations = case.relations.iter().flat_map(|relation| packages(&relation.text));
    let causes = case.relations.iter().flat_map(|relation| &relation.causes).chain(case.loose);
    let causes = causes.flat_map(|cause| {
        [Some(cause.soname.as_str()), cause.version.as_deref(), cause.symbol.as_deref()]
    });
    let distributions = distributions(case.tree);
    let distributions =
        distributions.iter().filter_map(|origin| Some(origin.rsplit_once(' ')?.0)).collect();
    let known: [Vec<&str>; 3] = [relations.collect(), causes.flatten().collect(), distributions];
    nearest(name, known.into_iter().flatten(), LIKENESS).map(str::to_owned)
}

fn relations<'a>(case: &Case<'a>, name: &str) -> Vec<Answer<'a>> {
    let asked: Vec<_> = packages(name).collect();
    let is_called = |relation: &&Relation| {
        relation.text == name || packages(&relation.text).any(|package| asked.contains(&package))
    };
    let answer = |relation: &'a Relation| Answer {
        subject: Subject::Relation,
        name: relation.text.clone(),
        found: vec![Found { relation: Some(relation), causes: shortest(&relation.causes) }],
    };
    case.relations.iter().filter(is_called).map(answer).collect()
}

/// The names of the packages in a relation such as `a:any (>= 1) | b`.
fn packages(text: &str) -> impl Iterator<Item = &str> {
    let is_end = |at: char| at.is_whitespace() || matches!(at, ':' | '<' | '=' | '>');
    text.split('|').filter_map(move |one| {
        let end = one.trim().split(is_end).next()?;
        // A parenthesis may be part of a name, but not its end.
        Some(end.trim_end_matches('(')).filter(|name| !name.is_empty())
    })
}

fn is_library(soname: &str, name: &str) -> bool {
    soname == name || soname.rsplit('/').next() == Some(name)
}

/// One answer for each name that `name` gives a cause.
fn by_cause<'a>(
    case: &Case<'a>,
    subject: Subject,
    name: impl Fn(&Cause) -> Option<String>,
) -> Vec<Answer<'a>> {
    let causes = case.relations.iter().flat_map(|relation| &relation.causes).chain(case.loose);
    let names: BTreeSet<_> = causes.filter_map(&name).collect();
    let answer = |one: String| Answer {
        found: found(case, |cause| name(cause).as_ref() == Some(&one)),
        subject,
        name: one,
    };
    names.into_iter().map(answer).collect()
}

/// The relations with a cause that `is_meant`, and these causes.
fn found<'a>(case: &Case<'a>, is_meant: impl Fn(&Cause) -> bool) -> Vec<Found<'a>> {
    let of = |relation, causes: &'a [Cause]| Found {
        relation,
        causes: shortest(causes.iter().filter(|cause| is_meant(cause))),
    };
    let known = case.relations.iter().map(|relation| of(Some(relation), &relation.causes));
    let all = known.chain([of(None, case.loose)]);
    all.filter(|found| !found.causes.is_empty()).collect()
}

/// The first of `causes`, which decides; then the others by the length of their chains.
fn shortest<'a>(causes: impl IntoIterator<Item = &'a Cause>) -> Vec<&'a Cause> {
    let mut causes: Vec<_> = causes.into_iter().collect();
    if let Some((_, others)) = causes.split_first_mut() {
        others.sort_by_key(|cause| chain(None, cause).len());
    }
    causes
}

/// What brought files, by name and version.
fn distributions(tree: &Tree) -> BTreeSet<&str> {
    let origins = tree.iter().filter_map(|(_, entry)| match entry {
        Entry::File { origin, .. } => Some(&**origin),
        Entry::Dir { .. } | Entry::Symlink { .. } => None,
    });
    origins.filter_map(distribution).collect()
}

/// Whether `name` is the distribution `origin`: its name, with its version or without.
fn is_distribution(origin: &str, name: &str) -> bool {
    let normal = |name: &str| normalize_name(name).ok();
    let Some((known, version)) = origin.rsplit_once(' ') else { return false };
    let (name, asked) = name.split_once("==").or(name.split_once(' ')).unwrap_or((name, version));
    asked == version && normal(name).is_some_and(|name| normal(known) == Some(name))
}

/// Files and directories of that path; files whose path ends so: those that need something, else the first.
fn files<'a>(case: &Case<'a>, name: &str) -> Vec<Answer<'a>> {
    let relative = name.trim_matches('/');
    if relative.is_empty() {
        return Vec::new();
    }
    let of = |path: &PkgPath| Answer {
        subject: Subject::File,
        name: path.absolute(),
        found: found(case, |cause| cause.file == *path || cause.file.below(path).is_some()),
    };
    if let Ok(path) = PkgPath::new(relative)
        && case.tree.get(&path).is_some()
    {
        return vec![of(&path)];
    }
    let end = format!("/{relative}");
    let all = case.tree.files().map(|(path, ..)| path);
    let all: Vec<_> = all.filter(|path| path.as_str().ends_with(&end)).map(of).collect();
    let (mut some, none): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| !it.found.is_empty());
    if some.is_empty() {
        some.extend(none.into_iter().next());
    }
    some
}

/// From the distribution to the relation, step by step.
fn chain(relation: Option<&Relation>, cause: &Cause) -> Vec<String> {
    let mut steps = Vec::new();
    steps.extend(distribution(&cause.origin).map(str::to_owned));
    steps.extend([cause.file.absolute(), cause.soname.clone()]);
    steps.extend(cause.used());
    steps.push(match relation.map(|relation| relation.kind) {
        None => "no package that is known here".to_owned(),
        Some(RelationKind::Needs) => cause.asks.clone(),
        Some(kind) => format!("{} {}", kind.verb(), cause.asks),
    });
    steps
}

/// The answers for people: chains that decide, or `all`.
pub fn text(answers: &[Answer<'_>], all: bool) -> String {
    let texts: Vec<_> = answers.iter().map(|answer| answer_text(answer, all)).collect();
    texts.join("\n")
}

fn answer_text(answer: &Answer<'_>, all: bool) -> String {
    let mut text = head(answer);
    let mut hidden = 0;
    for found in &answer.found {
        let shown =
            if all { &found.causes[..] } else { &found.causes[..found.causes.len().min(1)] };
        hidden += found.causes.len() - shown.len();
        for cause in shown {
            text.push('\n');
            wrap(&mut text, &chain(found.relation, cause));
        }
    }
    // Writing to a string cannot fail.
    let _ = match hidden {
        0 => Ok(()),
        1 => writeln!(text, "\n1 more chain: see it with `--all`"),
        count => writeln!(text, "\n{count} more chains: see them with `--all`"),
    };
    text
}

/// The sentences above the chains.
fn head(answer: &Answer<'_>) -> String {
    let causes = || answer.found.iter().flat_map(|found| found.causes.iter().copied());
    let files: BTreeSet<_> = causes().map(|cause| &cause.file).collect();
    let origins: BTreeSet<_> = causes().filter_map(|cause| distribution(&cause.origin)).collect();
    let users = match origins.len() {
        0 => count(files.len(), "file"),
        origins => format!("{} of {}", count(files.len(), "file"), count(origins, "distribution")),
    };
    let name = &answer.name;
    match answer.subject {
        Subject::Relation => {
            let mut text = String::new();
            for relation in answer.found.iter().filter_map(|found| found.relation) {
                let verb = relation.kind.verb();
                let _ = match files.is_empty() {
                    true => writeln!(text, "{verb} {name}"),
                    false => writeln!(text, "{verb} {name}, for {users}"),
                };
                relation.because.iter().for_each(|reason| {
                    let _ = writeln!(text, "because {reason}");
                });
            }
            text
        }
        Subject::Library => format!("{name} is a library of the system, for {users}\n"),
        Subject::Symbol => format!("{name} is a symbol or version of the system, for {users}\n"),
        Subject::Distribution | Subject::File if answer.found.is_empty() => {
            format!("{name} is inside, and needs nothing of the system\n")
        }
        Subject::Distribution | Subject::File => {
            format!("{name} is inside, and needs {}\n", count(answer.found.len(), "package"))
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// Appends `steps` with arrows between, and a new line before a step that does not fit.
fn wrap(text: &mut String, steps: &[String]) {
    let mut width = 0;
    for (index, step) in steps.iter().enumerate() {
        let (arrow, len) = (if index == 0 { "" } else { " -> " }, step.chars().count());
        if index > 0 && width + arrow.len() + len > WIDTH {
            text.push_str("\n    -> ");
            width = 7 + len;
        } else {
            text.push_str(arrow);
            width += arrow.len() + len;
        }
        text.push_str(step);
    }
    text.push('\n');
}

#[derive(Serialize)]
struct JsonAnswer<'a> {
    subject: &'static str,
    name: &'a str,
    relations: Vec<JsonFound<'a>>,
}

#[derive(Serialize)]
struct JsonFound<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    because: &'a [String],
    chains: Vec<BTreeMap<&'static str, String>>,
    more: usize,
}

/// The answers as one line of JSON, with the same chains.
pub fn json(answers: &[Answer<'_>], all: bool) -> Result<String> {
    let answers: Vec<_> = answers.iter().map(|answer| json_answer(answer, all)).collect();
    Ok(format!("{}\n", to_json(&answers)?))
}

fn json_answer<'a>(answer: &'a Answer<'_>, all: bool) -> JsonAnswer<'a> {
    let subject = match answer.subject {
        Subject::Relation => "relation",
        Subject::Library => "library",
        Subject::Symbol => "symbol",
        Subject::Distribution => "distribution",
        Subject::File => "file",
    };
    let relations = answer.found.iter().map(|found| json_found(found, all)).collect();
    JsonAnswer { subject, name: &answer.name, relations }
}

fn json_found<'a>(found: &'a Found<'_>, all: bool) -> JsonFound<'a> {
    let shown = if all { found.causes.len() } else { found.causes.len().min(1) };
    JsonFound {
        kind: found.relation.map(|relation| relation.kind.verb()),
        text: found.relation.map(|relation| relation.text.as_str()),
        because: found.relation.map_or(&[], |relation| &relation.because),
        chains: found.causes[..shown].iter().map(|cause| json_chain(cause)).collect(),
        more: found.causes.len() - shown,
    }
}

fn json_chain(cause: &Cause) -> BTreeMap<&'static str, String> {
    let steps = [
        ("distribution", distribution(&cause.origin).map(str::to_owned)),
        ("file", Some(cause.file.absolute())),
        ("library", Some(cause.soname.clone())),
        ("symbol", cause.symbol.clone()),
        ("version", cause.version.clone()),
        ("asks", Some(cause.asks.clone()).filter(|asks| !asks.is_empty())),
    ];
    steps.into_iter().filter_map(|(step, value)| Some((step, value?))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::package::{Cause, Relation, RelationKind};
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};
    use crate::why::{Case, answers, json, similar, text};

    /// `origin file soname version symbol asks`, `-` for none, `_` for a blank.
    fn cause(line: &str) -> Cause {
        let words: Vec<_> = line.split(' ').map(|word| word.replace('_', " ")).collect();
        let word = |at: usize| Some(words[at].clone()).filter(|word| word != "-");
        Cause {
            origin: Arc::from(words[0].as_str()),
            file: PkgPath::new(&words[1]).unwrap(),
            soname: words[2].clone(),
            version: word(3),
            symbol: word(4),
            asks: word(5).unwrap_or_default(),
            is_decided_by_symbol: true,
        }
    }

    fn relation(kind: RelationKind, text: &str, because: &[&str], causes: &[&str]) -> Relation {
        Relation {
            kind,
            text: text.to_owned(),
            because: because.iter().map(|reason| (*reason).to_owned()).collect(),
            causes: causes.iter().map(|line| cause(line)).collect(),
        }
    }

    fn relations() -> Vec<Relation> {
        vec![
            relation(
                RelationKind::Needs,
                "libc6 (>= 2.34)",
                &["`dependencies.add` asks for it"],
                &[
                    "Psy.co_2 opt/psy.so libc.so.6 V2.34 open libc6_(>=_2.34)",
                    "numpy_1 opt/num.so libm.so.6 V2.4 sin libc6_(>=_2.4)",
                    "numpy_1 opt/num.so libm.so.6 - - libc6",
                ],
            ),
            relation(
                RelationKind::Recommends,
                "libpq5",
                &[],
                &["Psy.co_2 opt/psy.so libpq.so.5 - PQopen libpq5"],
            ),
            relation(RelationKind::Needs, "mta:any | postfix (>= 3)", &["it is so"], &[]),
        ]
    }

    fn tree() -> Tree {
        let mut tree = Tree::new();
        for (path, origin) in
            [("psy.so", "Psy.co 2"), ("num.so", "numpy 1"), ("six.py", "six 3"), ("a.sh", "mkpkg")]
        {
            let entry = Entry::file(Content::bytes(""), 0o644, &Arc::from(origin));
            tree.insert(PkgPath::new(&format!("opt/{path}")).unwrap(), entry).unwrap();
        }
        tree
    }

    fn check(name: &str, all: bool, expected: &[&str]) {
        let (relations, tree) = (relations(), tree());
        let loose = [cause("mkpkg opt/a.sh libgone.so.1 - - -")];
        let case = Case { relations: &relations, loose: &loose, tree: &tree };
        let text = text(&answers(&case, name), all);
        assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{name}");
    }

    const LIBC: [&str; 4] = [
        "needs libc6 (>= 2.34), for 2 files of 2 distributions",
        "because `dependencies.add` asks for it",
        "",
        "Psy.co 2 -> /opt/psy.so -> libc.so.6 -> open@V2.34 -> libc6 (>= 2.34)",
    ];

    #[test]
    fn packages() {
        for name in ["libc6", "libc6 (>= 2.34)", "libc6(>=2)", "libc6:amd64"] {
            check(
                name,
                false,
                &[&LIBC[..], &["", "2 more chains: see them with `--all`"]].concat(),
            );
        }
        for name in ["mta", "postfix", "mta:any | postfix (>= 3)"] {
            check(name, false, &["needs mta:any | postfix (>= 3)", "because it is so"]);
        }
        check("libc", false, &[]);
    }

    #[test]
    fn after_the_chain_that_decides_the_shortest_comes_first() {
        let others = [
            "",
            "numpy 1 -> /opt/num.so -> libm.so.6 -> libc6",
            "",
            "numpy 1 -> /opt/num.so -> libm.so.6 -> sin@V2.4 -> libc6 (>= 2.4)",
        ];
        check("libc6", true, &[&LIBC[..], &others].concat());
    }

    #[test]
    fn libraries_and_symbols() {
        let chain = "Psy.co 2 -> /opt/psy.so -> libpq.so.5 -> PQopen -> recommends libpq5";
        let is_library = "libpq.so.5 is a library of the system, for 1 file of 1 distribution";
        check("libpq.so.5", false, &[is_library, "", chain]);
        check(
            "PQopen",
            false,
            &[
                "PQopen is a symbol or version of the system, for 1 file of 1 distribution",
                "",
                chain,
            ],
        );
        for name in ["V2.34", "open", "open@V2.34"] {
            let head = format!(
                "{name} is a symbol or version of the system, for 1 file of 1 distribution"
            );
            check(name, false, &[&head, "", LIBC[3]]);
        }
        let chain = "/opt/a.sh -> libgone.so.1 -> no package that is known here";
        let is_library = "libgone.so.1 is a library of the system, for 1 file";
        check("libgone.so.1", false, &[is_library, "", chain]);
    }

    #[test]
    fn distributions_and_files() {
        let chains = [
            "",
            LIBC[3],
            "",
            "Psy.co 2 -> /opt/psy.so -> libpq.so.5 -> PQopen -> recommends libpq5",
        ];
        for name in ["psy_co", "PSY.CO==2", "psy-co 2"] {
            check(
                name,
                true,
                &[&["Psy.co 2 is inside, and needs 2 packages"], &chains[..]].concat(),
            );
        }
        for name in ["psy.so", "/opt/psy.so", "opt/psy.so"] {
            let head = ["/opt/psy.so is inside, and needs 2 packages"];
            check(name, true, &[&head, &chains[..]].concat());
        }
        check("six", false, &["six 3 is inside, and needs nothing of the system"]);
        check("six.py", false, &["/opt/six.py is inside, and needs nothing of the system"]);
        for name in ["psy-co 3", "sy.so", "mkpkg", "", "/"] {
            check(name, false, &[]);
        }
    }

    #[test]
    fn long_chains_are_wrapped() {
        let file = "opt/app/lib/python3.11/site-packages/some/where/far/below/extension.so";
        let causes = [&*format!("numpy_1 {file} libfoo.so.1 FOO1 foo libfoo1")];
        let relations = [relation(RelationKind::Needs, "libfoo1", &[], &causes)];
        let case = Case { relations: &relations, loose: &[], tree: &Tree::new() };
        let text = text(&answers(&case, "FOO1"), false);
        let chain = text.split("\n\n").nth(1).unwrap();
        let expected =
            format!("numpy 1\n    -> /{file}\n    -> libfoo.so.1 -> foo@FOO1 -> libfoo1\n");
        assert_eq!(chain, expected);
    }

    #[test]
    fn similar_names() {
        let (relations, tree) = (relations(), tree());
        let case = Case { relations: &relations, loose: &[], tree: &tree };
        for (name, expected) in [
            ("libpq", Some("libpq5")),
            ("nunpy", Some("numpy")),
            ("libm.so.7", Some("libm.so.6")),
            ("postgres", None),
        ] {
            assert_eq!(similar(&case, name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn as_json() {
        let (relations, tree) = (relations(), tree());
        let case = Case { relations: &relations, loose: &[], tree: &tree };
        let text = json(&answers(&case, "libm.so.6"), false).unwrap();
        let expected = r#"[{"subject":"library","name":"libm.so.6","relations":[{"kind":"needs","#;
        assert!(text.starts_with(expected), "{text}");
        let chain = r#""chains":[{"asks":"libc6 (>= 2.4)","distribution":"numpy 1","#;
        assert!(text.contains(chain) && text.ends_with("\"more\":1}]}]\n"), "{text}");
    }
}
