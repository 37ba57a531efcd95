//! `mkpkg audit --vulnerabilities`, and what `[tool.mkpkg.audit]` decides.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::golden::everything;
use crate::sandbox::{Failures, Outcome, Sandbox};
use crate::snapshot;
use crate::zip::{Part, Zip};

/// The entries of `fixtures/vulnerabilities`, by name, sorted; the newest that counts is of 2023-11-12.
fn entries() -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/vulnerabilities");
    let (mut entries, mut pending) = (Vec::new(), vec![root]);
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).expect("the fixture is there").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                pending.push(path);
            } else if name.ends_with(".json") {
                entries.push((name, fs::read(path).expect("the fixture is there")));
            }
        }
    }
    entries.sort();
    assert_eq!(entries.len(), 8);
    entries
}

/// A package with `acme` 1.0 and `rocket` 2.0, and the database as a directory `osv` and as `all.zip`.
fn sandbox() -> Sandbox {
    let sandbox = everything();
    sandbox.build(&["-q"]);
    let mut zip = Zip::default();
    for (name, bytes) in entries() {
        sandbox.write(&format!("osv/{name}"), &bytes);
        zip.parts.push(Part::new(name.as_bytes(), &bytes));
    }
    sandbox.write("all.zip", zip.bytes());
    sandbox.file("mkpkg.toml", "");
    sandbox
}

fn command(sandbox: &Sandbox, args: &[&str]) -> Command {
    let package = sandbox.path("out/acme_1.0-1_all.deb").display().to_string();
    sandbox.mkpkg(&[&["audit", &package], args].concat())
}

fn audit(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    sandbox.run(command(sandbox, args))
}

/// The sections about findings and vulnerabilities.
fn sections(text: &str) -> String {
    let is_told =
        |part: &&str| ["Findings", "Vulnerabilities"].iter().any(|it| part.starts_with(it));
    text.split("\n\n").filter(is_told).map(|part| format!("{part}\n\n")).collect()
}

#[test]
fn the_same_from_every_form() {
    let sandbox = sandbox();
    let found = audit(&sandbox, &["--vulnerabilities", "../osv"]);
    let error = "error: the audit failed: VUL001, VUL005\n";
    assert_eq!((found.code(), found.stderr.as_str()), (1, error));
    snapshot::check("vulnerabilities", &sections(&found.stdout));
    let zip = fs::read(sandbox.path("all.zip")).expect("it was written");
    sandbox.write("cache/osv-scanner/PyPI/all.zip", zip);
    for form in ["../all.zip", "../cache", "../cache/osv-scanner"] {
        let other = audit(&sandbox, &["--vulnerabilities", form]);
        assert_eq!(other.stdout.replace(form, "../osv"), found.stdout, "{form}");
    }
    let mut by_variable = command(&sandbox, &[]);
    by_variable.env("OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY", "../cache");
    let found = sandbox.run(by_variable);
    assert!(found.stdout.contains("../cache, of 2023-11-12, 2 days old, 7 entries"));
    let both = audit(&sandbox, &["--vulnerabilities", "../osv", "--vulnerabilities", "../all.zip"]);
    assert_eq!(sections(&both.stdout).matches("VUL001").count(), 1, "{}", both.stdout);
}

#[test]
fn databases_from_the_future() {
    let sandbox = sandbox();
    sandbox.file(
        "future.json",
        r#"{"id": "X-2026-1", "modified": "9999-01-01T00:00:00Z", "affected": [
            {"package": {"ecosystem": "PyPI", "name": "other"}, "versions": ["1"]}]}"#,
    );
    let args = ["--vulnerabilities", "future.json", "--fail-on", "never"];
    let mut by_clock = command(&sandbox, &args);
    by_clock.env_remove("SOURCE_DATE_EPOCH");
    let found = sandbox.run(by_clock);
    assert_eq!(found.code(), 5, "{}", found.stderr);
    let what = "the database of vulnerabilities `future.json` is of 9999-01-01, and today is ";
    assert!(found.stderr.contains(what), "{}", found.stderr);
    let found = audit(&sandbox, &args);
    assert_eq!(found.code(), 0, "{}", found.stderr);
    assert!(found.stdout.contains("future.json, of 9999-01-01, 0 days old, 1 entry"));
}

#[test]
fn pip_audit_found_nothing_because_it_looked_at_nothing() {
    let sandbox = sandbox();
    sandbox.file("found.json", r#"{"dependencies": [], "fixes": []}"#);
    let found = audit(&sandbox, &["--vulnerabilities", "found.json"]);
    assert_eq!(found.code(), 5, "{}", found.stderr);
    assert!(found.stderr.contains("pip-audit looked at no distribution"), "{}", found.stderr);
}

#[test]
fn what_pip_audit_found() {
    let sandbox = sandbox();
    sandbox.file(
        "found.json",
        r#"{"dependencies": [
            {"name": "Rocket", "version": "2.0", "vulns": [
                {"id": "PYSEC-2026-1", "fix_versions": ["2.0.2", "1.9.9"], "aliases": ["CVE-2026-90001"],
                 "description": "Loud.\nVery."}]},
            {"name": "acme", "skip_reason": "not found"}], "fixes": []}"#,
    );
    let found = audit(&sandbox, &["--vulnerabilities", "found.json", "--fail-on", "high"]);
    assert_eq!(found.code(), 1, "{}", found.stderr);
    for line in [
        "rocket 2.0: PYSEC-2026-1 (CVE-2026-90001), fixed in 2.0.2: Loud.",
        "found.json, of unknown age, 2 entries",
        "not checked: acme 1.0: no database has it",
    ] {
        assert!(found.stdout.contains(line), "{line}\n{}", found.stdout);
    }
    // A database that has acme makes up for that, and entries about one vulnerability are one.
    let args = ["--vulnerabilities", "found.json", "--vulnerabilities", "../osv", "--json"];
    let found = audit(&sandbox, &args);
    let json: serde_json::Value = serde_json::from_str(&found.stdout).expect("it is JSON");
    assert_eq!(json["vulnerabilities"]["checked"], 2);
    let worst = &json["findings"][0];
    assert_eq!(worst["id"], "VUL001");
    assert_eq!(worst["advisory"]["id"], "MKPKG-2026-0001");
    assert_eq!(worst["advisory"]["score"], "9.8");
    let aliases = ["CVE-2026-90001", "MKPKG-2026-0002", "PYSEC-2026-1"];
    assert_eq!(worst["advisory"]["aliases"], serde_json::json!(aliases));
}

#[test]
fn gates() {
    let sandbox = sandbox();
    let check = |words: &str, expected: &str| {
        let found = audit(&sandbox, &["--vulnerabilities", "../osv", "--fail-on", words]);
        let error = found.error().trim_end();
        assert_eq!(error.trim_start_matches("error: the audit failed: "), expected, "{words}");
        assert!(found.stdout.contains("VUL003"), "{}", found.stdout);
    };
    check("never", "");
    check("critical", "VUL001, VUL005");
    check("medium", "VUL001, VUL003, VUL005");
    check("fixable", "VUL001");
    check("VUL003", "VUL003");
    let silent = audit(&sandbox, &[]);
    assert_eq!(silent.code(), 0);
    assert!(silent.stdout.contains("not checked: no database was given"), "{}", silent.stdout);
}

#[test]
fn the_configuration_decides() {
    let sandbox = sandbox();
    let waiver = |id: &str, until: &str| {
        format!(
            "[[audit.ignore]]\nid = '{id}'\nplace = 'rocket *'\nreason = 'unlit'\nuntil = '{until}'\n"
        )
    };
    let text = format!(
        "[audit]\ndatabase = ['../osv']\nfail-on = ['medium']\n\
         severity = {{ VUL005 = 'off', PY007 = 'error' }}\n{}{}",
        waiver("CVE-2026-90001", "2023-11-14"),
        waiver("VUL003", "2023-11-13"),
    );
    let own = sandbox.file("mkpkg.toml", &text);
    let found = audit(&sandbox, &[]);
    assert_eq!(found.error(), "error: the audit failed: VUL003\n");
    snapshot::check("audit_configured", &sections(&found.stdout));
    assert!(found.stdout.contains("\njudged by mkpkg.toml\n"), "{}", found.stdout);
    assert_eq!(audit(&sandbox, &["--fail-on", "critical"]).code(), 0);
    let json = audit(&sandbox, &["--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let gates = json["gates"].as_array().expect("there are gates");
    let gate = gates.iter().find(|gate| gate["id"] == "VUL001").expect("it is there");
    let expected = serde_json::json!({
        "id": "VUL001", "severity": "error", "count": 1, "waived": 1, "outcome": "passed"
    });
    assert_eq!(gate, &expected);
    // Elsewhere the file has to be named; its databases are relative to it.
    let kept = sandbox.write("elsewhere/mkpkg.toml", fs::read(own).expect("it was written"));
    sandbox.file("mkpkg.toml", "");
    assert!(audit(&sandbox, &[]).stdout.contains("no database was given"));
    let found = audit(&sandbox, &["--config", &kept.display().to_string()]);
    assert_eq!(found.error(), "error: the audit failed: VUL003\n");
    let table = text.replace("[audit", "[tool.mkpkg.audit");
    let kept = sandbox.write("elsewhere/pyproject.toml", table);
    let found = audit(&sandbox, &["--config", &kept.display().to_string()]);
    assert_eq!(found.error(), "error: the audit failed: VUL003\n");
}

#[test]
fn faults() {
    let sandbox = sandbox();
    let mut failures = Failures::default();
    let mut case = |name: &str, args: &[&str]| {
        failures.command(name, &sandbox, command(&sandbox, args));
    };
    case("missing", &["--vulnerabilities", "gone.zip"]);
    case("empty directory", &["--vulnerabilities", "../home"]);
    sandbox.write("project/none.zip", Zip::default().bytes());
    case("empty archive", &["--vulnerabilities", "none.zip"]);
    let npm = entries().remove(5).1;
    sandbox.write("project/npm/x.json", npm);
    case("nothing of Python", &["--vulnerabilities", "npm"]);
    let zip = fs::read(sandbox.path("all.zip")).expect("it was written");
    sandbox.write("project/half.zip", &zip[..zip.len() / 2]);
    case("half an archive", &["--vulnerabilities", "half.zip"]);
    let mut damaged = zip;
    damaged[200] ^= 1;
    sandbox.write("project/damaged.zip", damaged);
    case("damaged entry", &["--vulnerabilities", "damaged.zip"]);
    sandbox.file("list.json", "[]");
    case("other JSON", &["--vulnerabilities", "list.json"]);
    case("too old", &["--vulnerabilities", "../osv", "--max-db-age", "1"]);
    let acme = r#"{"dependencies": [{"name": "acme", "version": "1.0", "vulns": []}]}"#;
    sandbox.file("found.json", acme);
    case("without a date", &["--vulnerabilities", "found.json", "--max-db-age", "9"]);
    case("one of two", &["--vulnerabilities", "../osv", "--vulnerabilities", "gone"]);
    case("no configuration", &["--config", "gone.toml"]);
    sandbox.file("bad.toml", "[audit]\nfail-on = ['hihg']\n");
    case("unknown word", &["--config", "bad.toml"]);
    sandbox.file("bad.toml", "[audit.severity]\nLIB02 = 'off'\n");
    case("unknown check", &["--config", "bad.toml"]);
    sandbox.file("bad.toml", "[audit.severity]\nELF003 = 'of'\n");
    case("unknown level", &["--config", "bad.toml"]);
    sandbox.file("bad.toml", "[[audit.ignore]]\nid = 'ELF003'\nuntil = '2027-01-01'\n");
    case("waiver without a reason", &["--config", "bad.toml"]);
    sandbox.file("bad.toml", "[[audit.ignore]]\nid = 'ELF003'\nreason = 'r'\n");
    case("waiver without an end", &["--config", "bad.toml"]);
    failures.check("bad_vulnerabilities");
    // A waiver nobody can mean is found before a build.
    sandbox.file("mkpkg.toml", "[audit.severity]\nLIB02 = 'off'\n");
    let found = sandbox.run(sandbox.mkpkg(&["check", "--wheelhouse", "../wheels"]));
    assert_eq!(found.code(), 2, "{}", found.stderr);
}
