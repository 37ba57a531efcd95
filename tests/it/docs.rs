//! The documentation says what the program does: keys, flags, variables, exit codes, examples, links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mkpkg::project::config::{self, Config};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("cannot read `{path}`"))
}

/// What the program prints when it is run with `arguments`.
fn help(arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_mkpkg")).args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// README.md and the other documents, with their paths.
fn documents() -> Result<Vec<(PathBuf, String)>> {
    let mut paths = Vec::new();
    for dir in [root().to_owned(), root().join("docs")] {
        for entry in fs::read_dir(dir)? {
            paths.push(entry?.path());
        }
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "md"));
    paths.sort();
    let whole = |path: PathBuf| Ok((path.clone(), fs::read_to_string(path)?));
    paths.into_iter().map(whole).collect()
}

/// The TOML examples of a document.
fn examples(document: &str) -> Vec<&str> {
    let blocks = document.split("```toml\n").skip(1);
    blocks.filter_map(|block| block.split("```").next()).collect()
}

/// What stands in backticks at the start of the rows of a document's tables.
fn rows(document: &str) -> BTreeSet<&str> {
    let cells = document.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

/// Fields of every struct in Rust source, with their types.
fn structs(source: &str) -> BTreeMap<&str, Vec<(&str, &str)>> {
    let mut structs: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    let (mut current, mut renamed) = (None, None);
    for line in source.lines() {
        if let Some(name) = line.strip_prefix("pub struct ") {
            current = name.split(' ').next();
        } else if line == "}" {
            current = None;
        } else if let Some(name) = line.strip_prefix("    #[serde(rename = \"") {
            renamed = name.split('"').next();
        } else if let (Some(name), Some(field)) = (current, line.strip_prefix("    pub ")) {
            let field = field.trim_end_matches(',').split_once(": ");
            let field = field.map(|(field, kind)| (renamed.take().unwrap_or(field), kind));
            structs.entry(name).or_default().extend(field);
        }
    }
    structs
}

/// The keys of a configuration struct, those of tables in it with the table's key in front.
fn keys(structs: &BTreeMap<&str, Vec<(&str, &str)>>, of: &str, prefix: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (field, kind) in structs.get(of).into_iter().flatten() {
        let key = format!("{prefix}{}", field.replace('_', "-"));
        let inner = kind.trim_start_matches("Vec<").trim_end_matches('>');
        if structs.contains_key(inner) {
            found.extend(keys(structs, inner, &format!("{key}.")));
        } else {
            found.insert(key);
        }
    }
    found
}

/// The texts in a constant array of Rust source.
fn constant<'s>(source: &'s str, name: &str) -> Result<Vec<&'s str>> {
    let start = source.find(&format!("const {name}: ")).with_context(|| format!("no {name}"))?;
    let array = source[start..].split(';').nth(1).unwrap_or_default();
    let texts: Vec<_> = array.split('"').skip(1).step_by(2).collect();
    ensure!(!texts.is_empty(), "{name} is empty");
    Ok(texts)
}

#[test]
fn every_key_is_documented_and_nothing_else_is() -> Result<()> {
    let (source, services) = (read("src/project/config.rs")?, read("src/project/services.rs")?);
    let mut shapes = structs(&source);
    shapes.extend(structs(&services));
    let audit = read("src/project/audit.rs")?;
    shapes.extend(structs(&audit));
    // A check is a text, too, and what a service has is described beside it.
    shapes.remove("Check");
    let of_service = keys(&shapes, "Service", "");
    shapes.remove("Service");
    let keys = keys(&shapes, "Config", "");
    assert!(keys.contains("deb.section") && keys.contains("files.mode"), "{keys:?}");
    assert!(keys.contains("scripts.after-install") && of_service.contains("exec"), "{keys:?}");
    let (readme, reference) = (read("README.md")?, read("docs/config.md")?);
    let section = reference.split("\n## ").find(|section| section.starts_with("Keys"));
    let described: BTreeSet<_> = rows(section.unwrap_or_default()).into_iter().collect();
    assert_eq!(described, keys.iter().map(String::as_str).collect());
    let missing: Vec<_> = keys.iter().filter(|key| !rows(&readme).contains(key.as_str())).collect();
    assert!(missing.is_empty(), "not in README.md: {missing:?}");
    let contract = read("docs/services.md")?;
    let section = contract.split("\n## ").find(|section| section.starts_with("Units"));
    let described: BTreeSet<_> = rows(section.unwrap_or_default()).into_iter().collect();
    let of_service: BTreeSet<_> = of_service.iter().map(String::as_str).collect();
    assert_eq!(
        described.difference(&["services.KEY"].into()).copied().collect::<BTreeSet<_>>(),
        of_service
    );
    Ok(())
}

#[test]
fn every_flag_and_variable_is_documented_and_no_other() -> Result<()> {
    // It has every flag of the others that build, and one of its own.
    let help = help(&["rpm", "--help"])?;
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let word =
        |line: &str| line.split([' ', ',']).find(|word| word.starts_with("--")).map(str::to_owned);
    let flags = lines.filter_map(|line| Some(word(line)?.trim_end_matches("...").to_owned()));
    let flags: BTreeSet<_> = flags.collect();
    assert!(flags.contains("--output") && flags.len() > 15, "{flags:?}");
    let flags: BTreeSet<_> = flags.iter().map(String::as_str).collect();
    let readme = read("README.md")?;
    let first_words = rows(&readme).into_iter().filter_map(|cell| cell.split(' ').next());
    let described: BTreeSet<_> = first_words.filter(|word| word.starts_with("--")).collect();
    assert_eq!(described, flags);
    let variables = help.split("[env: ").skip(1).filter_map(|rest| rest.split('=').next());
    let reference = read("docs/config.md")?;
    for variable in variables {
        assert!(reference.contains(&format!("`{variable}`")), "docs/config.md: {variable}");
    }
    Ok(())
}

#[test]
fn every_exit_code_is_documented() -> Result<()> {
    let help = help(&["--help"])?;
    let codes = help.split("Exit codes:").nth(1).unwrap_or_default().lines();
    let codes: Vec<_> = codes.filter_map(|line| line.trim().split_once("  ")).collect();
    assert!(codes.len() > 5, "{codes:?}");
    let readme = read("README.md")?;
    for (code, meaning) in codes {
        let row = format!("| {code} | {}", meaning.trim());
        assert!(readme.contains(&row), "README.md has no row `{row}`");
    }
    Ok(())
}

#[test]
fn every_lock_and_release_is_documented() -> Result<()> {
    let (locks, reference) = (read("docs/locks.md")?, read("docs/config.md")?);
    for name in constant(&read("src/lock/mod.rs")?, "NAMES")? {
        assert!(locks.contains(&format!("`{name}`")), "docs/locks.md: {name}");
    }
    // Nothing can be built for releases that roll.
    let releases = read("src/host/release.rs")?;
    let (before, rolling) = releases.split_once("const ROLLING").unwrap_or((&releases, ""));
    let fixed = [before, rolling.split_once("];").unwrap_or_default().1].concat();
    for release in fixed.split("    release(\"").skip(1) {
        let name = release.split('"').next().unwrap_or_default();
        assert!(reference.contains(&format!("`{name}`")), "docs/config.md: {name}");
    }
    Ok(())
}

/// The configuration an example holds: under `[tool.mkpkg]`, or all of it.
fn configuration(example: &str) -> Result<Config> {
    let mut table = config::parse(example, "the example")?;
    if let Some(tool) = table.remove("tool") {
        let tool = tool.get("mkpkg").and_then(|inner| inner.as_table()).cloned();
        table = tool.context("the example has no [tool.mkpkg]")?;
    }
    config::load(Some((table, "the example")), &[])
}

#[test]
fn examples_are_accepted_and_the_defaults_are_the_defaults() -> Result<()> {
    let mut count = 0;
    for (path, document) in documents()? {
        for example in examples(&document) {
            let config = configuration(example);
            let config = config.with_context(|| format!("{}:\n{example}", path.display()))?;
            count += 1;
            if example.starts_with("# defaults\n") {
                assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
                count += 100;
            }
        }
    }
    assert!(count > 101, "an example or the defaults are missing");
    Ok(())
}

#[test]
fn links_lead_somewhere() -> Result<()> {
    for (path, document) in documents()? {
        let targets = document.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let file = target.split('#').next().unwrap_or(target);
            let at = path.parent().context("a document is in a directory")?.join(file);
            assert!(at.exists(), "{}: there is no `{target}`", path.display());
        }
    }
    Ok(())
}
