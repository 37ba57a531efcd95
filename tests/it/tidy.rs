//! The rules of ARCHITECTURE.md and CONTRIBUTING.md that no compiler checks.
//!
//! The tables are read from ARCHITECTURE.md, so that the document is what is enforced. Every checker takes text and
//! gives violations; at the end each is tried on violations planted for it.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::tidy::source::{Keep, before_tests, is_word, places, strip};

/// Violations that are still there, by how they begin. The list only shrinks: one that is gone must go here, too.
const ALLOWED: [&str; 0] = [];

/// Longest file, tests aside.
const MAX_LINES: usize = 400;
/// Most direct dependencies.
const MAX_DEPENDENCIES: usize = 29;
/// Words of one package format, which stay in its backend.
const FORMAT_WORDS: [&str; 10] = [
    "Depends",
    "Requires:",
    "Installed-Size",
    "conffiles",
    "md5sums",
    "debian-binary",
    "postinst",
    "prerm",
    "postrm",
    "%post",
];

/// A source file, by its path in the repository.
struct Source {
    path: String,
    text: String,
}

/// Lines `names: places` of a fenced block, as pairs of one name and its places.
type Table = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_code_keeps_the_rules() -> Result<()> {
    let document = read("ARCHITECTURE.md")?;
    let layers = layers(&document)?;
    let (crates, only) = (table(&document, "crates")?, table(&document, "only")?);
    let dependencies = dependencies(&read("Cargo.toml")?)?;
    let product = sources("src")?;
    let tests = sources("tests")?;
    let mut violations = complete_layers(&layers, &product);
    violations.extend(complete_crates(&crates, &dependencies));
    violations.extend(code_map(&document, &product));
    for source in &product {
        violations.extend(sideways(&layers, source));
        violations.extend(strangers(&crates, source));
        violations.extend(elsewhere(&only, source));
        violations.extend(format_words(source));
        violations.extend(length(source));
    }
    for source in product.iter().chain(&tests) {
        violations.extend(shape(source));
    }
    let is_allowed = |text: &String| ALLOWED.iter().any(|allowed| text.starts_with(allowed));
    let gone =
        ALLOWED.iter().filter(|allowed| !violations.iter().any(|it| it.starts_with(**allowed)));
    let gone = gone.map(|allowed| format!("no longer violated, take it off the list: {allowed}"));
    let found: Vec<_> =
        violations.iter().filter(|it| !is_allowed(it)).cloned().chain(gone).collect();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
    Ok(())
}

fn read(path: &str) -> Result<String> {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(whole).with_context(|| format!("cannot read `{path}`"))
}

/// The Rust files below `dir`, sorted by path.
fn sources(dir: &str) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&dir))? {
            let entry = entry?;
            let path = format!("{dir}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                pending.push(path);
            } else if path.ends_with(".rs") {
                found.push(Source { text: read(&path)?, path });
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(found)
}

/// The lines of the fenced block that is called `name`.
fn fenced<'d>(document: &'d str, name: &str) -> Result<Vec<&'d str>> {
    let opening = format!("```{name}");
    let lines = document.lines().skip_while(|line| *line != opening).skip(1);
    let lines: Vec<_> = lines.take_while(|line| *line != "```").collect();
    ensure!(!lines.is_empty(), "there is no block `{opening}`");
    Ok(lines)
}

/// The layer table, lowest layer first.
fn layers(document: &str) -> Result<Vec<BTreeSet<String>>> {
    let lines = fenced(document, "layers")?;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    Ok(lines.into_iter().rev().map(words).collect())
}

fn table(document: &str, name: &str) -> Result<Table> {
    let mut table = Table::new();
    for line in fenced(document, name)? {
        let (names, places) =
            line.rsplit_once(": ").with_context(|| format!("no `: ` in {line}"))?;
        let places: BTreeSet<_> = places.split_whitespace().map(str::to_owned).collect();
        table.extend(names.split_whitespace().map(|name| (name.to_owned(), places.clone())));
    }
    Ok(table)
}

/// Names of the direct dependencies in `Cargo.toml`.
fn dependencies(manifest: &str) -> Result<BTreeSet<String>> {
    let manifest: toml::Table = toml::from_str(manifest)?;
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables.iter().filter_map(|name| manifest.get(*name)?.as_table());
    Ok(tables.flat_map(|table| table.keys().cloned()).collect())
}

/// The module a file defines, with `/` between its parts: `venv/leaks`; empty for the root.
fn module(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    if path == "lib" { "" } else { path.strip_suffix("/mod").unwrap_or(path) }
}

fn top(module: &str) -> &str {
    module.split('/').next().unwrap_or(module)
}

/// Whether `module` is one of `places` or below one.
fn is_in(module: &str, places: &BTreeSet<String>) -> bool {
    places.iter().any(|place| {
        let rest = module.strip_prefix(place.as_str());
        place == "anywhere" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The modules that `code` names behind `root::`.
fn uses(code: &str, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, after) in places(code, root) {
        let Some(path) = after.strip_prefix("::") else { continue };
        let first = |path: &str| path.split(|at| !is_word(at)).next().map(str::to_owned);
        match path.strip_prefix('{') {
            None => found.extend(first(path)),
            Some(group) => found.extend(members(group).into_iter().filter_map(first)),
        }
    }
    found
}

/// The parts of a `{…}` group whose `{` is taken off already.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start) = (0_u32, 0);
    let mut parts = Vec::new();
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                parts.push(group[start..at].trim());
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    parts
}

/// A module may use modules of lower layers only.
fn sideways(layers: &[BTreeSet<String>], source: &Source) -> Vec<String> {
    let own = top(module(&source.path));
    let rank = |module: &str| layers.iter().position(|layer| layer.contains(module));
    let root = if own == "main" { "mkpkg" } else { "crate" };
    let used = uses(&strip(&source.text, Keep::Code), root);
    let is_fault = |used: &&String| *used != own && !own.is_empty() && rank(used) >= rank(own);
    let faults = used.iter().filter(is_fault);
    faults.map(|used| format!("{}: `{own}` may not use `{used}`", source.path)).collect()
}

/// Every top-level module is on the table, and nothing else.
fn complete_layers(layers: &[BTreeSet<String>], product: &[Source]) -> Vec<String> {
    let there: BTreeSet<_> = product.iter().map(|source| top(module(&source.path))).collect();
    let listed: Vec<_> = layers.iter().flatten().map(String::as_str).collect();
    let missing = there.iter().filter(|name| !name.is_empty() && !listed.contains(name));
    let missing = missing.map(|name| format!("`{name}` is on no layer of ARCHITECTURE.md"));
    let stray = listed.iter().filter(|name| !there.contains(**name));
    let stray = stray.map(|name| format!("`{name}` is on a layer and not in src/"));
    let twice =
        listed.iter().filter(|name| listed.iter().filter(|other| other == name).count() > 1);
    let twice = twice.map(|name| format!("`{name}` is on two layers"));
    missing.chain(stray).chain(twice).collect()
}

/// How a crate is named in code: `md-5` is `md5`, `clap_mangen` and `clap-mangen` are one.
fn crate_key(name: &str) -> String {
    name.replace(['-', '_'], "")
}

/// Third-party crates are used where the table says.
fn strangers(crates: &Table, source: &Source) -> Vec<String> {
    let code = strip(before_tests(&source.text), Keep::Code);
    let mut violations = Vec::new();
    for (name, allowed) in crates.iter().filter(|(_, places)| !is_in(module(&source.path), places))
    {
        let spellings = BTreeSet::from([name.replace('-', "_"), crate_key(name)]);
        let is_root =
            |(before, after): (char, &str)| !matches!(before, ':' | '.') && after.starts_with("::");
        if spellings.iter().any(|spelling| places(&code, spelling).any(is_root)) {
            let allowed: Vec<_> = allowed.iter().map(String::as_str).collect();
            let allowed = allowed.join(", ");
            violations.push(format!("{}: `{name}` may be used in {allowed} only", source.path));
        }
    }
    violations
}

/// Every dependency is on the table, nothing else is, and there are not too many.
fn complete_crates(crates: &Table, dependencies: &BTreeSet<String>) -> Vec<String> {
    let mut violations = Vec::new();
    if dependencies.len() > MAX_DEPENDENCIES {
        let count = dependencies.len();
        violations
            .push(format!("Cargo.toml: {count} direct dependencies, at most {MAX_DEPENDENCIES}"));
    }
    let missing = dependencies.iter().filter(|name| !crates.contains_key(*name));
    violations.extend(missing.map(|name| format!("`{name}` has no module in ARCHITECTURE.md")));
    let stray = crates.keys().filter(|name| !dependencies.contains(*name));
    violations.extend(stray.map(|name| format!("`{name}` has a module and is no dependency")));
    violations
}

/// What one module does for all is done nowhere else.
fn elsewhere(only: &Table, source: &Source) -> Vec<String> {
    let code = strip(before_tests(&source.text), Keep::Code);
    let others = only.iter().filter(|(_, places)| !is_in(module(&source.path), places));
    let found = others.filter(|(word, _)| places(&code, word).next().is_some());
    found.map(|(word, _)| format!("{}: `{word}` has no place here", source.path)).collect()
}

/// Words of a format appear in its backend only.
fn format_words(source: &Source) -> Vec<String> {
    // `import` reads the recipes of another tool of that format.
    if ["backend", "import"].contains(&top(module(&source.path))) {
        return Vec::new();
    }
    let code = strip(before_tests(&source.text), Keep::Strings);
    let found = FORMAT_WORDS.iter().filter(|word| places(&code, word).next().is_some());
    found.map(|word| format!("{}: `{word}` is a word of a package format", source.path)).collect()
}

fn length(source: &Source) -> Vec<String> {
    let lines = before_tests(&source.text).lines().count();
    let is_long = lines > MAX_LINES;
    let text = format!("{}: more than {MAX_LINES} lines before its tests: {lines}", source.path);
    is_long.then_some(text).into_iter().collect()
}

/// A file says what it is for, and every name in it says where it is from.
fn shape(source: &Source) -> Vec<String> {
    let Source { path, text } = source;
    let code = strip(text, Keep::Code);
    let mut violations = Vec::new();
    if !text.starts_with("//! ") {
        violations.push(format!("{path}: does not begin with `//!`"));
    }
    for (word, what) in [
        ("::*", "imports everything"),
        ("super::", "names a module by where it is from here"),
        ("pub use", "gives a name a second home"),
        ("pub(crate) use", "gives a name a second home"),
    ] {
        if places(&code, word).next().is_some() {
            violations.push(format!("{path}: `{word}` {what}"));
        }
    }
    violations
}

/// Files and directories that ARCHITECTURE.md names are there.
fn code_map(document: &str, product: &[Source]) -> Vec<String> {
    let is_path = |text: &&str| text.ends_with(".rs") || text.ends_with('/') && text.len() > 1;
    let quoted = document.split('`').skip(1).step_by(2).filter(is_path);
    let is_there = |path: &str| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        product.iter().any(|source| source.path.starts_with(&format!("src/{path}")))
            || root.exists()
    };
    let missing = quoted.filter(|path| !path.contains(char::is_whitespace) && !is_there(path));
    missing.map(|path| format!("ARCHITECTURE.md: there is no `{path}`")).collect()
}

const PLANTED: &str = "
```layers
main
top
left right
low
```
```crates
anyhow: anywhere
md-5: low
zstd: left/codec
```
```only
io::stdout: left
HashMap: nowhere
```
";

/// What the checkers of single files say of one, without the path in front.
fn said(path: &str, text: &str) -> Result<Vec<String>> {
    let source = Source { path: path.to_owned(), text: text.to_owned() };
    let mut violations = sideways(&layers(PLANTED)?, &source);
    violations.extend(strangers(&table(PLANTED, "crates")?, &source));
    violations.extend(elsewhere(&table(PLANTED, "only")?, &source));
    violations.extend(format_words(&source));
    violations.extend(length(&source));
    violations.extend(shape(&source));
    let start = format!("{path}: ");
    Ok(violations.iter().map(|text| text.replacen(&start, "", 1)).collect())
}

#[test]
fn planted_violations_are_found() -> Result<()> {
    for (path, text, expected) in [
        ("src/left.rs", "use crate::low::X; use crate::left::Y; use anyhow::Result;", &[][..]),
        ("src/left.rs", "use crate::right::X;", &["`left` may not use `right`"]),
        ("src/low/mod.rs", "fn f() { crate::top::f() }", &["`low` may not use `top`"]),
        ("src/left.rs", "use crate::{low::{a, top}, right};", &["`left` may not use `right`"]),
        ("src/left.rs", "use crate::lost;", &[]),
        ("src/main.rs", "use mkpkg::top::run;", &[]),
        ("src/low.rs", "/// Not [`crate::top`].\nfn f() { g(\"crate::top\") }", &[]),
        ("src/low.rs", "use md5::Md5;", &[]),
        ("src/top.rs", "use md5::Md5;", &["`md-5` may be used in low only"]),
        ("src/left/codec.rs", "use zstd::stream;", &[]),
        ("src/left/codecs.rs", "fn f() { zstd::f() }", &["`zstd` may be used in left/codec only"]),
        ("src/top.rs", "use crate::low::zstd; fn f() { low::zstd::f() }", &[]),
        ("src/top.rs", "#[cfg(test)]\nmod tests {\nuse zstd::X;\n}\n", &[]),
        ("src/left/a.rs", "io::stdout()", &[]),
        ("src/top.rs", "io::stdout()", &["`io::stdout` has no place here"]),
        ("src/left.rs", "HashMap::new()", &["`HashMap` has no place here"]),
        ("src/top.rs", "f(\"Depends\")", &["`Depends` is a word of a package format"]),
        ("src/top.rs", "f(\"Requires-Dist\") // Requires: no", &[]),
        (
            "src/top.rs",
            "use super::low; pub(super) fn f() {}",
            &["`super::` names a module by where it is from here"],
        ),
        ("src/top.rs", "use std::io::*;", &["`::*` imports everything"]),
        ("src/top.rs", "pub use crate::low::X;", &["`pub use` gives a name a second home"]),
    ] {
        assert_eq!(said(path, &format!("//! Doc.\n{text}"))?, expected, "{path} {text}");
    }
    assert_eq!(said("src/top.rs", "fn f() {}")?, ["does not begin with `//!`"]);
    let long = format!("//! Doc.\n{}", "x\n".repeat(MAX_LINES));
    assert_eq!(said("src/top.rs", &long)?, ["more than 400 lines before its tests: 401"]);
    let tested = format!("//! Doc.\n#[cfg(test)]\nmod tests {{\n{}", "x\n".repeat(MAX_LINES));
    assert_eq!(said("src/top.rs", &tested)?, [""; 0]);
    Ok(())
}

#[test]
fn planted_gaps_of_the_tables_are_found() -> Result<()> {
    let file = |path: &str| Source { path: path.to_owned(), text: String::new() };
    let product = ["main", "lib", "top/mod", "left", "low", "new"];
    let product = product.map(|name| file(&format!("src/{name}.rs")));
    let expected =
        ["`new` is on no layer of ARCHITECTURE.md", "`right` is on a layer and not in src/"];
    assert_eq!(complete_layers(&layers(PLANTED)?, &product), expected);
    let found =
        dependencies("[dependencies]\nanyhow = '1'\nmd-5 = '1'\n[dev-dependencies]\nx = '1'")?;
    let expected =
        ["`x` has no module in ARCHITECTURE.md", "`zstd` has a module and is no dependency"];
    assert_eq!(complete_crates(&table(PLANTED, "crates")?, &found), expected);
    let many = (0..30).map(|number| number.to_string()).collect();
    let first = complete_crates(&Table::new(), &many).remove(0);
    assert_eq!(first, "Cargo.toml: 30 direct dependencies, at most 29");
    let map = code_map("`left.rs`, `top/` and `gone/` but `a / b/`", &product);
    assert_eq!(map, ["ARCHITECTURE.md: there is no `gone/`"]);
    assert!(layers("no table").is_err());
    Ok(())
}
