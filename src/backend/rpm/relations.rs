//! Relations in rpm's grammar: those an interpreter implies, and the check of those a user writes.
//!
//! The grammar is that of rpmbuild (`parseReqs`, `rpmrichParse`), a little stricter: what rpm takes for an odd name, such
//! as `libfoo>=2`, is refused.

use anyhow::Result;

use crate::backend::rpm::relations::Operator::{And, Else, If, Or, Unless, With, Without};
use crate::error::UserError;
use crate::package::{InterpreterNeed, Relation, RelationKind};

/// What a package needs to have its interpreter; nothing when it brings its own.
pub(super) fn of_interpreter(
    interpreter: Option<&InterpreterNeed>,
    is_main: bool,
) -> Vec<Relation> {
    let Some(need) = interpreter else {
        return Vec::new();
    };
    let minor = &need.minor;
    let because = || vec![format!("the application runs on `/usr/bin/python{minor}`")];
    let needs =
        |text| Relation { kind: RelationKind::Needs, text, because: because(), causes: Vec::new() };
    let mut relations = vec![needs(format!("/usr/bin/python{minor}"))];
    // Interpreters beside the distribution's own do not provide it.
    relations.extend(is_main.then(|| needs(format!("python(abi) = {minor}"))));
    let tkinter = need
        .split_modules
        .iter()
        .filter(|(module, _)| matches!(module.as_str(), "tkinter" | "_tkinter"));
    let because: Vec<_> = tkinter
        .map(|(module, importer)| {
            format!("`{importer}` imports `{module}`, which is shipped apart")
        })
        .collect();
    if !because.is_empty() {
        // Not every distribution calls it so; none can then be told to have it.
        let text = format!("python{minor}-tkinter");
        relations.push(Relation {
            kind: RelationKind::Recommends,
            text,
            because,
            causes: Vec::new(),
        });
    }
    relations
}

/// The normal form of one relation such as `libpq >= 15` or `(mta or postfix)`; an error says what is wrong with it.
pub(super) fn normal(text: &str, kind: RelationKind) -> Result<String> {
    let fault = |what: String| {
        UserError::usage(format!("relation `{}` {what}", text.escape_debug()))
            .hint(debian(text).unwrap_or_else(|| {
                "write it like `libpq >= 15` or `(mta or postfix)`, one relation a string"
                    .to_owned()
            }))
            .into()
    };
    parse(text, kind).map_err(fault)
}

/// What a text that is in Debian's grammar would be in rpm's.
fn debian(text: &str) -> Option<String> {
    let package = |text: &str| {
        let (name, version) = match text.split_once('(') {
            None => (text, String::new()),
            Some((name, rest)) => {
                (name, rest.trim_end().strip_suffix(')')?.replace("<<", "<").replace(">>", ">"))
            }
        };
        let split = version.find(|at| !matches!(at, '<' | '=' | '>')).unwrap_or(version.len());
        let (operator, version) = version.split_at(split);
        Some([name.trim(), operator, version.trim()].join(" ").trim_end().to_owned())
    };
    let packages: Option<Vec<_>> = text.split('|').map(package).collect();
    let rpm = match packages?.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join(" or ")),
    };
    let is_rpm = rpm != text && parse(&rpm, RelationKind::Needs).is_ok();
    is_rpm.then(|| {
        format!(
            "rpm writes it `{rpm}`; what one format needs alone belongs in `rpm.add` or `deb.add`"
        )
    })
}

fn parse(text: &str, kind: RelationKind) -> Result<String, String> {
    let mut tokens = tokens(text)?;
    let (normal, context) = match tokens.first() {
        Some(Token::Open) => match kind {
            RelationKind::Provides | RelationKind::Replaces => {
                return Err(
                    "has a condition, which this kind of relation does not allow".to_owned()
                );
            }
            RelationKind::Needs
            | RelationKind::Recommends
            | RelationKind::Suggests
            | RelationKind::Conflicts => {
                tokens.reverse();
                rich(&mut tokens)?
            }
        },
        Some(Token::Word(_) | Token::Close) | None => {
            tokens.reverse();
            (simple(&mut tokens, kind)?, Context::default())
        }
    };
    if !tokens.is_empty() {
        return Err("has more behind it".to_owned());
    }
    // A conflict holds where any of its packages is there, everything else where all are.
    context.check(if kind == RelationKind::Conflicts { Or } else { And })?;
    Ok(normal)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Word(String),
}

/// Words, and the parentheses between them. Parentheses inside of a word belong to it: `perl(Foo)`.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '(' => {
                tokens.push(Token::Open);
                1
            }
            ')' => {
                tokens.push(Token::Close);
                1
            }
            _ => {
                let len = word(rest);
                tokens.push(Token::Word(rest[..len].to_owned()));
                len
            }
        };
        rest = rest[len..].trim_start();
    }
    match text.chars().find(|at| *at != ' ' && !at.is_ascii_graphic() || *at == ',') {
        Some(',') => Err("has a `,`".to_owned()),
        Some(odd) => Err(format!("has the character `{}`", odd.escape_debug())),
        None => Ok(tokens),
    }
}

/// The length of the word a text begins with.
fn word(text: &str) -> usize {
    let mut depth = 0_u32;
    for (at, character) in text.char_indices() {
        match character {
            ' ' => return at,
            '(' => depth += 1,
            ')' if depth == 0 => return at,
            ')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// A name, and a version if one follows. `tokens` are in reverse.
fn simple(tokens: &mut Vec<Token>, kind: RelationKind) -> Result<String, String> {
    let name = match tokens.pop() {
        Some(Token::Word(name)) => name,
        Some(Token::Open | Token::Close) | None => return Err("names nothing".to_owned()),
    };
    check_name(&name, kind)?;
    let operator = match tokens.last() {
        Some(Token::Word(word)) if word.starts_with(['<', '=', '>']) => word.clone(),
        Some(Token::Word(_) | Token::Open | Token::Close) | None => return Ok(name),
    };
    tokens.pop();
    let known = match kind {
        RelationKind::Provides => &["="][..],
        RelationKind::Needs
        | RelationKind::Recommends
        | RelationKind::Suggests
        | RelationKind::Conflicts
        | RelationKind::Replaces => &["<", "<=", "=", ">=", ">"],
    };
    if !known.contains(&operator.as_str()) {
        return Err(format!("has `{operator}` where one of `{}` belongs", known.join("`, `")));
    }
    if name.starts_with('/') {
        return Err("asks for a version of a file".to_owned());
    }
    match tokens.pop() {
        Some(Token::Word(version)) if is_version(&version) => {
            Ok(format!("{name} {operator} {version}"))
        }
        Some(Token::Word(other)) => Err(format!("has no version in `{}`", other.escape_debug())),
        Some(Token::Open | Token::Close) | None => Err("has no version".to_owned()),
    }
}

fn check_name(name: &str, kind: RelationKind) -> Result<(), String> {
    let starts = |at: char| at.is_ascii_alphanumeric() || matches!(at, '_' | '/');
    let opened = name.matches('(').count();
    let is_whole = opened == name.matches(')').count() && !name.contains("(=");
    let is_plain = |at: char| at.is_ascii_alphanumeric() || "-._+".contains(at);
    // rpm takes these for part of a name; a space was forgotten, or they are another format's.
    let has_stray = name
        .contains(['<', '>', '|', ';', '"', '\'', '`', '$', '\\', '[', ']', '{', '}'])
        || opened == 0 && name.contains('=');
    let is_package = kind != RelationKind::Replaces || name.chars().all(is_plain);
    if name.starts_with(starts) && is_whole && !has_stray && is_package {
        return Ok(());
    }
    Err(format!("does not name a package with `{}`", name.escape_debug()))
}

/// Whether `text` is `epoch:version-release` in rpm's characters; epoch and release may be missing.
pub(super) fn is_version(text: &str) -> bool {
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    let (version, release) = rest.split_once('-').unwrap_or((rest, "1"));
    let is_part = |part: &str| {
        let is_inner =
            |at: char| at.is_ascii_alphanumeric() || matches!(at, '.' | '_' | '+' | '~' | '^');
        !part.is_empty() && part.chars().all(is_inner)
    };
    epoch.bytes().all(|at| at.is_ascii_digit())
        && epoch.parse::<u32>().is_ok()
        && is_part(version)
        && is_part(release)
}

/// An operator of a condition in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    And,
    Or,
    If,
    Unless,
    Else,
    With,
    Without,
}

const OPERATORS: [(&str, Operator); 7] = [
    ("and", And),
    ("or", Or),
    ("if", If),
    ("unless", Unless),
    ("else", Else),
    ("with", With),
    ("without", Without),
];

fn operator(tokens: &mut Vec<Token>) -> Result<(&'static str, Operator), String> {
    let word = match tokens.pop() {
        Some(Token::Word(word)) => word,
        Some(Token::Open | Token::Close) | None => return Err("lacks an operator".to_owned()),
    };
    let found = OPERATORS.into_iter().find(|(name, _)| *name == word);
    found.ok_or_else(|| {
        let names = OPERATORS.map(|(name, _)| name).join("`, `");
        format!("has `{word}` where one of `{names}` belongs")
    })
}

/// What the conditions inside forbid around them.
#[derive(Clone, Copy, Debug, Default)]
struct Context {
    has_if: bool,
    has_unless: bool,
    /// More than names, `with`, `without` and `or`.
    is_free: bool,
}

impl Context {
    /// Refuses what rpm refuses: `if` says nothing inside of `or`, `unless` nothing inside of `and`.
    fn check(self, around: Operator) -> Result<(), String> {
        match around {
            With | Without if self.is_free => {
                Err("has a condition inside of `with` or `without`".to_owned())
            }
            And | If if self.has_unless => {
                Err("has `unless` where `or` would say it, too".to_owned())
            }
            Or | Unless if self.has_if => Err("has `if` where `and` would say it, too".to_owned()),
            And | Or | If | Unless | Else | With | Without => Ok(()),
        }
    }
}

/// Most parentheses of one relation that are not part of a name.
const MAX_OPEN: usize = 32;

/// A condition. `tokens` are in reverse and begin with its `(`.
fn rich(tokens: &mut Vec<Token>) -> Result<(String, Context), String> {
    if tokens.iter().filter(|token| **token == Token::Open).count() > MAX_OPEN {
        return Err("has too many parentheses".to_owned());
    }
    tokens.pop();
    let (mut text, mut context) = ("(".to_owned(), Context::default());
    let mut chain: Vec<Operator> = Vec::new();
    loop {
        let operand = if tokens.last() == Some(&Token::Open) {
            let (operand, mut inner) = rich(tokens)?;
            if matches!(chain.last(), Some(If | Unless)) {
                (inner.has_if, inner.has_unless) = (false, false);
            }
            context.has_if |= inner.has_if;
            context.has_unless |= inner.has_unless;
            context.is_free |= inner.is_free;
            operand
        } else {
            simple(tokens, RelationKind::Needs)?
        };
        text += &operand;
        if tokens.last() == Some(&Token::Close) {
            tokens.pop();
            break;
        }
        let (name, operator) = operator(tokens)?;
        check_chain(&chain, operator)?;
        chain.push(operator);
        text += &format!(" {name} ");
    }
    if let (Some(first), Some(last)) = (chain.first(), chain.last()) {
        context.check(*first)?;
        context.has_if |= *first == If;
        context.has_unless |= *first == Unless;
        if matches!(last, And | Or) {
            (context.has_if, context.has_unless) = (false, false);
        }
        context.is_free |= !matches!(last, With | Without | Or);
    }
    Ok((text + ")", context))
}

/// `and`, `or` and `with` may be repeated; `if` and `unless` take one `else`.
fn check_chain(chain: &[Operator], next: Operator) -> Result<(), String> {
    let is_sound = match chain {
        [] => next != Else,
        [If | Unless] => next == Else,
        [first @ (And | Or | With), ..] => *first == next,
        [Else | Without, ..] | [If | Unless, _, ..] => false,
    };
    if is_sound { Ok(()) } else { Err("mixes operators that need parentheses".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::backend::rpm::relations::{normal, of_interpreter};
    use crate::error::{exit_code, hint};
    use crate::package::{InterpreterNeed, RelationKind};

    fn check(kind: RelationKind, text: &str, expected: Option<&str>) {
        match (normal(text, kind), expected) {
            (Ok(normal), expected) => assert_eq!(Some(normal.as_str()), expected, "{text:?}"),
            (Err(error), None) => assert_eq!(exit_code(&error), 2, "{error:#}"),
            (Err(error), Some(_)) => panic!("{text:?}: {error:#}"),
        }
    }

    #[test]
    fn names_and_versions() {
        for (text, expected) in [
            ("libpq", Some("libpq")),
            ("  libpq  >=   15 ", Some("libpq >= 15")),
            ("acme = 2:1.0~rc1-1.el9", Some("acme = 2:1.0~rc1-1.el9")),
            ("libc.so.6(GLIBC_2.34)(64bit)", Some("libc.so.6(GLIBC_2.34)(64bit)")),
            ("perl(Foo::Bar) >= 1", Some("perl(Foo::Bar) >= 1")),
            ("font(:lang=de)", Some("font(:lang=de)")),
            ("/usr/bin/python3.11", Some("/usr/bin/python3.11")),
            ("_x", Some("_x")),
            ("", None),
            ("a b", None),
            ("a,b", None),
            ("a >=", None),
            ("a >= )", None),
            ("a => 1", None),
            ("a >= 1 b", None),
            ("a >= 1-2-3", None),
            ("a >= x:1", None),
            ("a >= 1:", None),
            ("a >= 1\n2", None),
            ("/usr/bin/x = 1", None),
            ("a>=1", None),
            ("a=1", None),
            (".a", None),
            ("-a", None),
            ("a(", None),
            ("${x}", None),
            ("gr\u{fc}n", None),
            ("%{name}", None),
        ] {
            check(RelationKind::Needs, text, expected);
        }
        check(RelationKind::Provides, "acme = 1", Some("acme = 1"));
        check(RelationKind::Provides, "acme(x)", Some("acme(x)"));
        check(RelationKind::Provides, "acme >= 1", None);
        check(RelationKind::Provides, "(a or b)", None);
        check(RelationKind::Replaces, "acme < 1", Some("acme < 1"));
        check(RelationKind::Replaces, "acme(x)", None);
        check(RelationKind::Replaces, "/usr/bin/x", None);
    }

    #[test]
    fn conditions() {
        for (text, expected) in [
            ("(a or b)", Some("(a or b)")),
            ("( a  or b >= 1 )", Some("(a or b >= 1)")),
            ("(a(x) and (b or c))", Some("(a(x) and (b or c))")),
            ("(a and b and c)", Some("(a and b and c)")),
            ("(a if b else c)", Some("(a if b else c)")),
            ("(a if (b or c))", Some("(a if (b or c))")),
            ("(a with a < 2)", Some("(a with a < 2)")),
            ("(a >= 1 without a = 1.5)", Some("(a >= 1 without a = 1.5)")),
            ("(a and b) or c", None),
            ("(a and b or c)", None),
            ("(a else b)", None),
            ("(a if b if c)", None),
            ("(a if b else c else d)", None),
            ("(a xor b)", None),
            ("(a or )", None),
            ("(a or", None),
            ("(a b)", None),
            ("()", None),
            (")", None),
            ("((a and b) with c)", None),
            ("((a if b) or c)", None),
            ("(a unless b)", None),
        ] {
            check(RelationKind::Needs, text, expected);
        }
        check(RelationKind::Conflicts, "(a unless b)", Some("(a unless b)"));
        check(RelationKind::Conflicts, "(a if b)", None);
        check(RelationKind::Needs, &"(".repeat(100_000), None);
    }

    #[test]
    fn the_grammar_of_the_other_format_is_translated() {
        for (text, expected) in [
            ("libc6 (>= 2.34)", "rpm writes it `libc6 >= 2.34`"),
            ("libc6(<<2.34)", "rpm writes it `libc6 < 2.34`"),
            ("mta | postfix (>= 3)", "rpm writes it `(mta or postfix >= 3)`"),
            ("a, b", "write it like `libpq >= 15`"),
        ] {
            let error = normal(text, RelationKind::Needs).unwrap_err();
            assert!(hint(&error).unwrap().starts_with(expected), "{:?}", hint(&error));
        }
    }

    #[test]
    fn interpreters() {
        let modules = ["_tkinter", "distutils"].map(|name| (name.to_owned(), "/o/x.py".to_owned()));
        let minor = "3.11".to_owned();
        let need = InterpreterNeed { minor, split_modules: BTreeMap::from(modules) };
        for (is_main, expected) in [
            (true, &["/usr/bin/python3.11", "python(abi) = 3.11", "python3.11-tkinter"][..]),
            (false, &["/usr/bin/python3.11", "python3.11-tkinter"]),
        ] {
            let relations = of_interpreter(Some(&need), is_main);
            let texts: Vec<_> = relations.iter().map(|relation| relation.text.as_str()).collect();
            assert_eq!(texts, expected);
            for relation in &relations {
                assert!(!relation.because.is_empty());
                check(relation.kind, &relation.text, Some(&relation.text));
            }
        }
        assert!(of_interpreter(None, true).is_empty());
    }
}
