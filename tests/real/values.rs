//! Runs `values.sh`: whatever stands in a configuration arrives in a process as it was written, and nothing of it is run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::services::{PACKAGES, PROGRAMS};
use crate::tools::{cache, namespaced, output, ready, repository, root};

/// Characters that mean something to a shell, to systemd, to a template or to none of them.
const ALPHABET: &str = "aZ09 _-.,:;/\\'\"`$%&|<>(){}[]*?~!#=@^+\u{e4}\u{20ac}\u{1f40d}";
const SERVICES: usize = 4;
const VARIABLES: usize = 25;

/// Texts that look random and are the same in every run.
struct Texts(u64);

impl Texts {
    fn next(&mut self) -> String {
        let alphabet: Vec<char> = ALPHABET.chars().collect();
        let mut below = |limit: usize| {
            // Knuth, MMIX.
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap_or(0) % limit
        };
        let len = below(12);
        (0..len).map(|_| alphabet[below(alphabet.len())]).collect()
    }
}

/// What a process got: its arguments, and its environment.
struct Got {
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
}

const DUMP: &str = "\
import json, os, sys

def main():
    with open('/var/lib/acme-values/' + sys.argv[1] + '.json', 'w') as file:
        print(json.dumps([sys.argv[2:], dict(os.environ)]), file=file)
";

const METADATA: &str = "\
[build-system]
requires = ['setuptools']
build-backend = 'setuptools.build_meta'
[project]
name = 'acme-values'
version = '1.0'
description = 'Writes down what it gets'
scripts = { dump = 'acme_values:main' }
[tool.setuptools]
py-modules = ['acme_values']
";

/// How an administrator may write variables, and the value of each (systemd.exec(5), `EnvironmentFile=`).
const WRITTEN: [(&str, &str); 14] = [
    ("PLAIN=a b  c ", "a b  c"),
    ("  INDENTED = x", "x"),
    ("EMPTY=", ""),
    ("SINGLE='it is \"$HOME\" `id` \\n #'", "it is \"$HOME\" `id` \\n #"),
    ("DOUBLE=\"it's \\\"$HOME\\\" \\\\ \\` \\$(id)\"", "it's \"$HOME\" \\ ` $(id)"),
    ("KEPT=\"\\n \\x\"", "\\n \\x"),
    ("BARE=\\$x\\\\y\\ z", "$x\\y z"),
    ("DOLLAR=$HOME $(touch /srv/x) `touch /srv/x`", "$HOME $(touch /srv/x) `touch /srv/x`"),
    ("HASH=a#b # c", "a#b # c"),
    ("EQUALS=a=b==c", "a=b==c"),
    ("UMLAUT=\u{e4}\u{20ac}", "\u{e4}\u{20ac}"),
    ("SEMICOLON=a;b ; touch /srv/x", "a;b ; touch /srv/x"),
    ("PERCENT=%n 5%", "%n 5%"),
    ("QUOTE=it is'nt", "it is'nt"),
];

#[test]
fn values_arrive_as_they_are_written() -> Result<()> {
    if !ready("values_arrive_as_they_are_written", &PROGRAMS)? {
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let project = scratch.path().join("project");
    fs::create_dir(&project)?;
    fs::write(project.join("pyproject.toml"), METADATA)?;
    fs::write(project.join("acme_values.py"), DUMP)?;
    let mut texts = Texts(20_261_121);
    let services: Vec<Vec<String>> =
        (0..SERVICES).map(|_| (0..=VARIABLES).map(|_| texts.next()).collect()).collect();
    fs::write(project.join("mkpkg.toml"), configuration(&services)?)?;
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    mkpkg.arg("deb").arg(&project).args(["--target", "debian:12"]);
    let deb = output(mkpkg.arg("-o").arg(scratch.path().join("dist")))?;
    let variables = scratch.path().join("variables");
    let odd = "# a comment\n; another\n\nnothing\nexport X=1\n1D=x\n";
    let lines: Vec<_> = WRITTEN.iter().map(|(line, _)| *line).collect();
    fs::write(&variables, format!("{odd}{}", lines.join("\n")))?;
    let mut script = namespaced(repository().join("tests/real/values.sh"));
    script.arg(root("bookworm", &PACKAGES)?).arg(deb.trim_end()).arg(cache("archives")?);
    let told = output(script.arg(&variables))?;
    let lines: Vec<_> = told.lines().collect();
    let told: BTreeMap<_, _> = lines.chunks(2).filter_map(|pair| pair.split_first()).collect();

    for (number, service) in services.iter().enumerate() {
        let got = got(&told, &format!("s{number}"))?;
        ensure!(got.arguments == ["a b", "%", "$HOME", "it's \"x\""], "{:?}", got.arguments);
        for (at, text) in service.iter().skip(1).enumerate() {
            let found = got.environment.get(&format!("V{at}"));
            ensure!(found == Some(text), "V{at} of s{number} is {found:?}, not {text:?}");
        }
        let unit = format!("acme-values-s{number}.service");
        let description = told.get(&unit.as_str()).and_then(|rest| rest.first());
        let written = described(&service[0]);
        ensure!(description == Some(&written), "{unit}: {description:?}, not {written:?}");
    }
    let (check, service) = (got(&told, "check")?, got(&told, "s0")?);
    for (line, value) in WRITTEN {
        let name = line.split('=').next().unwrap_or_default().trim();
        for (who, got) in [("systemd", &service), ("the check", &check)] {
            let found = got.environment.get(name).map(String::as_str);
            ensure!(found == Some(value), "{who} has {found:?} of `{line}`, not {value:?}");
        }
    }
    for name in ["X", "1D", "nothing"] {
        ensure!(!check.environment.contains_key(name), "the check has {name}");
    }
    Ok(())
}

/// Services that write down what they get; the first text of each is its description.
fn configuration(services: &[Vec<String>]) -> Result<String> {
    let mut text =
        "check = [{ run = \"[ ! -d /var/lib/acme-values ] || dump check\", on-install = true }]\n"
            .to_owned();
    for (number, service) in services.iter().enumerate() {
        write!(
            text,
            "[services.s{number}]\nexec = '''dump s{number} \"a b\" %% $$HOME \"it's \\\"x\\\"\"'''\n"
        )?;
        text.push_str("type = 'oneshot'\nenvironment-file = true\nsandbox = 'strict'\n");
        writeln!(text, "description = {}", Value::from(described(&service[0])))?;
        writeln!(text, "[services.s{number}.environment]")?;
        for (at, value) in service.iter().skip(1).enumerate() {
            writeln!(text, "V{at} = {}", Value::from(value.as_str()))?;
        }
    }
    Ok(text)
}

/// A description, which systemd takes without blanks around it, and which may not be empty or end in a backslash.
fn described(text: &str) -> &str {
    let text = text.trim_matches([' ', '\\']);
    if text.is_empty() { "x" } else { text }
}

fn got(told: &BTreeMap<&&str, &[&str]>, name: &str) -> Result<Got> {
    let text = told.get(&name).and_then(|rest| rest.first());
    let text = text.with_context(|| format!("`{name}` wrote nothing: {told:?}"))?;
    let (arguments, environment) = serde_json::from_str(text)?;
    Ok(Got { arguments, environment })
}
