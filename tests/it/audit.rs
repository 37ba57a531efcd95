//! The report of an audit, and what makes it fail.

use std::fs::File;
use std::path::Path;

use mkpkg::audit::finding::CATALOGUE;
use mkpkg::backend::{deb, rpm};
use mkpkg::tree::{Entry, PkgPath};

use crate::golden::everything;
use crate::sandbox::{Outcome, Sandbox};
use crate::snapshot;
use crate::wheel::{Wheel, record_line};

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

/// A project with a wheel that lists its parts, and a lock with a password.
fn parts() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::acme().metadata("Requires-Dist: rocket\n"));
    sandbox.file("requirements.txt", "rocket @ https://user:secret@x.example/rocket-2.0.zip\n");
    let list = r#"{"components": [{"name": "rocket", "version": "2.0", "purl": "pkg:pypi/rocket@2.0"},
        {"name": "fuel", "version": "9", "purl": "pkg:generic/fuel@9"}]}"#;
    let rocket = Wheel::new("rocket", "2.0").metadata("License-Expression: mit or bsd-2-clause\n");
    sandbox.wheel(&rocket.file("rocket-2.0.dist-info/sboms/x.cdx.json", list));
    sandbox
}

#[test]
fn parts_lists() {
    for format in ["cyclonedx", "spdx"] {
        let found = audit(&parts(), "deb", &["--format", format]);
        assert_eq!((found.code(), found.stderr.as_str()), (0, ""));
        snapshot::check(&format!("audit_{format}"), &without_digests(&found.stdout));
    }
    for format in ["deb", "rpm"] {
        let sandbox = parts();
        let shipped = shipped(&sandbox.built(sandbox.package(format, &["-q"])));
        assert!(!shipped.contains("secret"), "{shipped}");
        snapshot::check(&format!("parts_{format}"), &without_digests(&shipped));
    }
}

#[test]
fn sarif() {
    let sandbox = damaged();
    let found = audit(&sandbox, "deb", &["--format", "sarif"]);
    assert_eq!(found.code(), 1);
    let mut log: serde_json::Value = serde_json::from_str(&found.stdout).expect("it is JSON");
    let rules = log["runs"][0]["tool"]["driver"]["rules"].take();
    assert_eq!(rules.as_array().map(Vec::len), Some(CATALOGUE.len()));
    // Its number grows with the catalogue.
    for result in log["runs"][0]["results"].as_array_mut().expect("results are a list") {
        let index = result["ruleIndex"].take().as_u64().expect("it is a number");
        assert_eq!(rules[index as usize]["id"], result["ruleId"]);
    }
    let text = serde_json::to_string_pretty(&log).expect("it was JSON before");
    snapshot::check("audit_sarif", &(text + "\n"));
}

/// The page of a package whose texts would end what they stand in.
#[test]
fn html() {
    const OWN: &str = "<script>owned=1</script>";
    let sandbox = Sandbox::new();
    let acme = Wheel::acme().metadata(&format!("License: {OWN}\nAuthor: {OWN}\n"));
    sandbox.wheel(
        &acme
            .file(&format!("acme/{}.py", OWN.replace('/', "&")), "x = 1\n")
            .file("acme/'`<svg onload=owned=1>.pth", format!("import os # {OWN}\n")),
    );
    let page = audit(&sandbox, "deb", &["--format", "html"]).stdout;
    assert!(page.contains("&lt;script&gt;owned&#x3D;1&lt;/script&gt;"), "the licence is not told");
    assert!(!page.contains("<script>owned") && !page.contains("<svg onload"), "{page}");
    // One element of each kind, which is ours; nothing is fetched.
    for (tag, count) in [("<script", 1), ("</script", 1), ("<style", 1), ("</style", 1), ("<h1", 1)]
    {
        assert_eq!(page.matches(tag).count(), count, "{tag}");
    }
    for what in [" src=", "url(", "@import", "http:", "https:", "<link", "<iframe", " onclick"] {
        assert!(!page.contains(what), "{what}");
    }
    assert!(page.contains("default-src 'none'"));
}

/// The gates decide alike whatever is written, and wherever.
#[test]
fn files() {
    let sandbox = damaged();
    let printed = audit(&sandbox, "deb", &["--format", "sarif"]);
    let package = sandbox.path("out/acme_1.0-1_amd64.deb").display().to_string();
    for (file, code) in [("report.sarif", 1), ("new/report.sarif", 1), (".", 2), ("..", 2)] {
        let args = ["audit", &package, "--format", "sarif", "-o", file];
        let found = sandbox.run(sandbox.mkpkg(&args));
        assert_eq!((found.code(), found.stdout.as_str()), (code, ""), "{}", found.stderr);
        if code == 1 {
            let written = sandbox.path(&format!("project/{file}"));
            let written = std::fs::read_to_string(written).expect("it was written");
            assert_eq!(written, printed.stdout);
        }
    }
}

/// The parts list in a package.
fn shipped(package: &Path) -> String {
    let file = || File::open(package).expect("it was written");
    let spool = tempfile::tempfile().expect("a file can be made");
    let read = if deb::recognises(&file()) { deb::read } else { rpm::read };
    let package = read(file(), spool).expect("it is a package");
    let path = PkgPath::new("usr/share/doc/acme/acme.cdx.json").expect("it is a path");
    let Some(Entry::File { content, .. }) = package.tree.get(&path) else { panic!("it has none") };
    String::from_utf8(content.read().expect("it can be read")).expect("it is UTF-8")
}

/// Digests of wheels and packages, and the numbers made of them, change with the compiler of a test.
fn without_digests(text: &str) -> String {
    let line = |line: &str| {
        let changes = ["\"content\"", "\"checksumValue\"", "urn:uuid:"];
        match line.split_once(": ") {
            Some((key, _)) if changes.iter().any(|what| line.contains(what)) => {
                format!("{key}: X\n")
            }
            Some(_) | None => format!("{line}\n"),
        }
    };
    text.lines().map(line).collect()
}

/// What a terminal gets: lines that fit, colours where they are wanted, and nothing of the package that it obeys.
#[test]
fn text() {
    let sandbox = Sandbox::new();
    let code = "import os # \u{1b}[2J\u{202e}evil\u{9b}31m\n";
    sandbox.wheel(&Wheel::acme().file("acme.pth", code));
    let package = sandbox.build(&["-q"]).display().to_string();
    let run = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = sandbox.mkpkg(&[&["audit", &package], args].concat());
        command.envs(variables.iter().copied());
        sandbox.run(command).stdout
    };
    let plain = run(&[], &[]);
    let is_inert = |at: char| at == '\n' || !at.is_control() && at != '\u{202e}';
    assert!(plain.chars().all(is_inert) && plain.contains("\\u{1b}[2J\\u{202e}evil"), "{plain:?}");
    for (width, columns) in [(80, ""), (60, "60"), (100, "100"), (40, "7")] {
        let text = run(&[], &[("COLUMNS", columns)]);
        // Paths and digests are words, and stay whole.
        let is_long = |line: &&str| line.chars().count() > width && line.trim().contains(' ');
        let long: Vec<_> = text.lines().filter(is_long).collect();
        assert!(long.is_empty(), "{width}: {long:?}");
    }
    assert_eq!(run(&["--color", "auto"], &[]), plain);
    let coloured = run(&["--color", "always"], &[("NO_COLOR", "1")]);
    assert!(coloured.contains("\u{1b}[32mpassed\u{1b}[0m"), "{coloured:?}");
    let mut bare = coloured;
    for code in ["0", "1", "2", "32", "33", "1;31"] {
        bare = bare.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(bare, plain);
}

/// The bytes of a report depend on the package alone.
#[test]
fn bytes_depend_on_the_package_alone() {
    let sandbox = parts();
    let package = sandbox.build(&["-q"]).display().to_string();
    for format in ["text", "json", "html", "sarif", "cyclonedx", "spdx"] {
        let run = |jobs: &str, dir: &str, variables: &[(&str, &str)]| {
            let args = ["audit", &package, "--format", format, "--jobs", jobs];
            let mut command = sandbox.mkpkg(&args);
            command.current_dir(sandbox.path(dir)).envs(variables.iter().copied());
            let found = sandbox.run(command);
            assert_eq!((found.code(), found.stderr.as_str()), (0, ""));
            found.stdout
        };
        let reference = run("1", "project", &[("TZ", "UTC"), ("LC_ALL", "C")]);
        let again = run("4", "home", &[("TZ", "Asia/Kathmandu"), ("LC_ALL", "de_DE.UTF-8")]);
        assert_eq!(reference, again, "{format}");
        assert!(!reference.is_empty());
    }
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
    // A package that is compared with none has no changes to fail by.
    check(&["--fail-on", "downgrade"], 1, "error: the audit failed: ELF017");
    check(&["--fail-on", "never,ELF017"], 1, "error: the audit failed: ELF017");
    check(
        &["--fail-on", "erorr"],
        2,
        "error: `--fail-on` does not know `erorr`\nhint: did you mean `error`?",
    );
}

#[test]
fn wheels_for_other_systems() {
    let sandbox = Sandbox::empty();
    let path = sandbox.wheel(&Wheel::acme().tag("cp311-cp311-win_amd64")).display().to_string();
    let found = sandbox.run(sandbox.mkpkg(&["audit", &path]));
    let error = "this wheel is for `win_amd64`: nothing of it loads on Linux";
    assert!(found.code() == 3 && found.stderr.contains(error), "{}", found.stderr);
}

/// The error of what could not be read.
const STRICT: &str = "error: not all of the package could be read\nhint: the report of `mkpkg audit` lists what, at its end";

#[test]
fn releases_it_must_load_on() {
    let sandbox = Sandbox::new();
    let newer = include_bytes!("../../fixtures/elf/newer.so").as_slice();
    let wheel = Wheel::acme().tag("cp311-cp311-linux_x86_64").file("acme/newer.so", newer);
    let path = sandbox.wheel(&wheel).display().to_string();
    let check = |args: &[&str], code: i32, error: &str, told: &str| {
        let found = sandbox.run(sandbox.mkpkg(&[&["audit", &path], args].concat()));
        assert_eq!((found.code(), found.error().trim_end()), (code, error), "{args:?}");
        assert!(found.stdout.split_whitespace().collect::<Vec<_>>().join(" ").contains(told));
    };
    let failed = "error: the audit failed: ELF012";
    check(&[], 0, "", "verdict: passed");
    check(&["--target", "debian:13"], 0, "", "verdict: passed");
    let why = "newer.so: debian:12 has no GLIBC_2.38, which it needs for `";
    check(&["--target", "debian:13,debian:12"], 1, failed, why);
    sandbox.file("mkpkg.toml", "[audit]\ntarget = ['el:9']\n");
    check(&[], 1, failed, "newer.so: rhel:9 has no GLIBC_2.38");
    check(&["--target", "ubuntu:24.10", "--strict"], 4, STRICT, "whether it loads on ubuntu:24.10");
    let unknown = sandbox.run(sandbox.mkpkg(&["audit", &path, "--target", "debian:99"]));
    assert_eq!(unknown.code(), 2, "{}", unknown.stderr);
}

/// Audits what is at `path` of the sandbox, as JSON.
fn told(sandbox: &Sandbox, path: &str) -> serde_json::Value {
    let found = sandbox.run(sandbox.mkpkg(&["audit", path, "--json", "--fail-on", "never"]));
    assert_eq!((found.code(), found.stderr.as_str()), (0, ""));
    serde_json::from_str(&found.stdout).expect("it is JSON")
}

#[test]
fn wheels() {
    let sandbox = Sandbox::empty();
    let wheel = Wheel::acme()
        .metadata("Requires-Dist: rocket>=2\n")
        .file("acme-1.0.data/data/share/acme/x", "x")
        .file("acme-1.0.data/scripts/acme-tool", "#!python\n");
    let path = sandbox.wheel(&wheel).display().to_string();
    let json = told(&sandbox, &path);
    assert_eq!(json["subject"]["kind"], "wheel");
    assert_eq!(json["subject"]["version"], "1.0");
    assert_eq!(json["subject"]["relations"][0], "rocket>=2");
    let distribution = &json["distributions"][0];
    assert_eq!(distribution["path"], "/opt/acme/lib/python3/site-packages/acme-1.0.dist-info");
    let counts = ["files", "modified", "missing"].map(|key| distribution[key].as_u64());
    assert_eq!(counts, [Some(10), Some(0), Some(0)], "{distribution}");
    // What cannot be taken apart ends the audit.
    let damaged = sandbox.write("x/acme-1.0-py3-none-any.whl", &wheel.bytes()[..100]);
    let found = sandbox.run(sandbox.mkpkg(&["audit", &damaged.display().to_string()]));
    assert_eq!(found.code(), 3, "{}", found.stderr);
}

#[test]
fn the_schema() {
    let sandbox = Sandbox::empty();
    let found = sandbox.run(sandbox.mkpkg(&["audit", "--schema"]));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.schema.json");
    let text = std::fs::read_to_string(path).expect("it is checked in");
    assert_eq!((found.code(), found.stdout), (0, text));
    assert_eq!(sandbox.run(sandbox.mkpkg(&["audit"])).code(), 2);
}

/// What is not as RECORD lists it is a finding, whichever hash it has, and wherever the file would go.
#[test]
fn wheels_that_are_not_what_they_say() {
    let sandbox = Sandbox::empty();
    let told_of = |wheel: Wheel| {
        let path = sandbox.wheel(&wheel).display().to_string();
        let outcome = sandbox.run(sandbox.mkpkg(&["audit", "--json", &path]));
        assert_eq!(outcome.code(), 1, "{}", outcome.stderr);
        let json: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("it is JSON");
        let found = json["findings"].as_array().into_iter().flatten();
        let found = found.filter(|one| one["id"] == "PY003" && one["severity"] == "error");
        found.map(|one| format!("{}: {}", one["place"], one["message"])).collect::<Vec<_>>()
    };
    let listed = |lines: &str| {
        let [metadata, format] =
            ["METADATA", "WHEEL"].map(|file| format!("acme-1.0.dist-info/{file}"));
        let texts = ["Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n", "Wheel-Version: 1.0\n"];
        let described = record_line(&metadata, texts[0].as_bytes());
        let described = described + &record_line(&format, texts[1].as_bytes());
        let record = described + lines + "acme-1.0.dist-info/RECORD,,\n";
        let wheel = Wheel::new("acme", "1.0").file("a.py", "a").file("b.py", "b");
        let wheel = wheel.file(&metadata, texts[0]).file(&format, texts[1]);
        wheel.file("acme-1.0.dist-info/RECORD", record)
    };
    let (a, b) = (record_line("a.py", b"a"), record_line("b.py", b"b"));
    let of = |what: &str| format!("\"acme 1.0\": \"{what}\"");
    assert_eq!(told_of(listed(&a)), [of("`b.py` is not listed in RECORD")]);
    let gone = record_line("gone.py", b"");
    let missing = of("`gone.py` is listed in RECORD and missing");
    assert_eq!(told_of(listed(&(a.clone() + &b + &gone))), [missing]);
    let long = record_line("b.py", b"b").replace(",1", ",2");
    assert_eq!(
        told_of(listed(&(a.clone() + &long))),
        [of("`b.py` is of size 1, and RECORD says 2")]
    );
    let other = record_line("b.py", b"c");
    let installed = "/opt/acme/lib/python3/site-packages/b.py";
    let unlike = format!("\"{installed}\": \"it is not what acme 1.0 lists\"");
    assert_eq!(told_of(listed(&(a.clone() + &other))), [unlike]);
    let strong = of("`b.py` does not match its sha512 in RECORD");
    assert_eq!(told_of(listed(&(a.clone() + "b.py,sha512=AAAA,1\n"))), [strong]);
    let torn = of("`acme-1.0.dist-info/RECORD` has a line of other than three fields");
    assert_eq!(told_of(listed(&(a + &b + "x\n"))), [torn]);
}

#[test]
fn directories() {
    let sandbox = Sandbox::empty();
    let site = "root/opt/a/lib/python3.11/site-packages";
    sandbox.write(&format!("{site}/a-1.dist-info/METADATA"), "Name: a\nVersion: 1\n");
    sandbox.write(&format!("{site}/a-1.dist-info/RECORD"), "a.py,sha256=AAAA,1\n");
    sandbox.write(&format!("{site}/a.py"), "x");
    let json = told(&sandbox, "../root");
    assert_eq!(json["subject"]["kind"], "directory");
    assert_eq!(json["subject"]["sha256"], serde_json::Value::Null);
    let place = |json: &serde_json::Value| {
        let findings = json["findings"].as_array().cloned().unwrap_or_default();
        let of_record = findings.iter().find(|one| one["id"] == "PY003");
        of_record.map(|one| sandbox.clean_text(one["place"].as_str().unwrap_or_default()))
    };
    assert_eq!(place(&json).as_deref(), Some("/opt/a/lib/python3.11/site-packages/a.py"));
    sandbox.write("root/opt/a/pyvenv.cfg", "home = /usr/bin\n");
    let json = told(&sandbox, "../root/opt/a");
    assert_eq!(json["subject"]["kind"], "environment");
    let name = json["subject"]["name"].as_str().unwrap_or_default();
    assert_eq!(sandbox.clean_text(name), "[DIR]/root/opt/a");
    assert_eq!(place(&json).as_deref(), Some("[DIR]/root/opt/a/lib/python3.11/site-packages/a.py"));
}

/// A file only its owner may read, and somebody else who audits.
#[test]
fn what_cannot_be_read() {
    let sandbox = Sandbox::empty();
    let secret = sandbox.write("root/secret", "x");
    let check = |name: &str, args: &[&str], code: i32, part: &str| {
        let mut command = sandbox.mkpkg(&[&["audit", name], args].concat());
        if !sandbox.as_nobody("what_cannot_be_read", &mut command) {
            return;
        }
        std::os::unix::fs::chown(&secret, Some(0), Some(0)).expect("root may");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret, mode).expect("root may");
        let found = sandbox.run(command);
        assert_eq!(found.code(), code, "{} {}", found.stdout, found.stderr);
        assert!((found.stdout + &found.stderr).contains(part), "{part}");
    };
    check("../root", &[], 0, "`/secret` cannot be read: Permission denied");
    check("../root", &["--strict"], 4, "not all of the package could be read");
    check("../gone", &[], 3, "error: cannot open `../gone`");
    check("/dev/null", &[], 3, "error: `/dev/null` is neither a file nor a directory");
    check("../root/secret", &[], 3, "error: cannot open `../root/secret`");
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
