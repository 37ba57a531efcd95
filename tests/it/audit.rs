//! The report of an audit, and what makes it fail.

use mkpkg::audit::finding::CATALOGUE;

use crate::golden::everything;
use crate::sandbox::{Outcome, Sandbox};
use crate::snapshot;
use crate::wheel::Wheel;

fn audit(sandbox: &Sandbox, format: &str, args: &[&str]) -> Outcome {
    let package = sandbox.built(sandbox.package(format, &["-q"])).display().to_string();
    sandbox.run(sandbox.mkpkg(&[&["audit", &package], args].concat()))
}

/// Digests change with every byte of the package.
fn steady(text: &str) -> String {
    let line = |line: &str| match line.split_once("sha256 ") {
        Some((before, _)) => format!("{before}sha256 X\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn reports() {
    for (sandbox, format) in [(everything(), "deb"), (Sandbox::new(), "rpm")] {
        let found = audit(&sandbox, format, &["--all"]);
        assert_eq!((found.code(), found.stderr.as_str()), (0, ""));
        snapshot::check(&format!("audit_{format}"), &steady(&found.stdout));
    }
}

#[test]
fn json() {
    let found = audit(&everything(), "deb", &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&found.stdout).expect("it is JSON");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["subject"]["name"], "acme");
    assert_eq!(json["distributions"][0]["name"], "acme");
    assert!(json["loads_on"].as_array().is_some_and(|all| all.len() > 40), "{json}");
}

/// A project with an executable that is no ELF file but begins as one.
fn damaged() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("mkpkg.toml", "[dependencies]\nignore = ['/opt/acme/**']\n");
    sandbox.wheel(
        &Wheel::acme().file("acme/damaged.so", b"\x7fELF\x02\x01\x01 and no more".as_slice()),
    );
    sandbox
}

#[test]
fn what_fails() {
    let sandbox = damaged();
    let check = |args: &[&str], code: i32, error: &str| {
        let package = sandbox.path("out/acme_1.0-1_amd64.deb").display().to_string();
        let found = sandbox.run(sandbox.mkpkg(&[&["audit", &package], args].concat()));
        assert_eq!((found.code(), found.error().trim_end()), (code, error), "{args:?}");
        let is_told = found.stdout.contains("ELF017");
        assert_eq!(is_told, code != 2, "{}", found.stdout);
    };
    sandbox.build(&["-q"]);
    check(&[], 1, "error: the audit failed: ELF017");
    check(&["--fail-on", "never"], 0, "");
    check(&["--fail-on", "ELF010,FS001"], 0, "");
    check(&["--fail-on", "never,ELF017"], 1, "error: the audit failed: ELF017");
    check(
        &["--fail-on", "ELF01"],
        2,
        "error: `--fail-on` does not know `ELF01`\nhint: did you mean `ELF019`?",
    );
}

#[test]
fn every_check_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.md");
    let document = std::fs::read_to_string(path).expect("docs/audit.md is there");
    let rows: Vec<_> = document.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |check: &mkpkg::audit::finding::Check| {
        format!("| `{}` | {} | {} |", check.id, check.severity.name(), check.title)
    };
    assert_eq!(rows, CATALOGUE.iter().map(row).collect::<Vec<_>>());
}
