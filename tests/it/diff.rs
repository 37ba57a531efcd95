//! `mkpkg diff`: two versions of a package, in both formats of packages and all of its own.

use std::fs;

use crate::sandbox::{Failures, Outcome, Sandbox};
use crate::snapshot;
use crate::wheel::Wheel;

/// The first version: `acme` 1.0 with `rocket` 2.0 and `slate` 1.0, a service, and configuration.
fn first(sandbox: &Sandbox) {
    sandbox.file("pyproject.toml", "[project]\nname = 'acme'\nversion = '1.0'\n");
    sandbox.file(
        "mkpkg.toml",
        "[deb]\nadd = ['redis-server (>= 5)', 'old-tool']\n\
         [rpm]\nadd = ['redis >= 5', 'old-tool']\n\
         [services.web]\nexec = 'acme --serve'\n\
         [[files]]\nsource = 'acme.toml'\ntarget = '/etc/acme/acme.toml'\nrole = 'config'\n",
    );
    sandbox.file("acme.toml", "debug = false\nport = 80\n");
    let metadata = "License-Expression: MIT\nRequires-Dist: rocket\n";
    let acme = |version| Wheel::new("acme", version).metadata(metadata).command("acme = acme:main");
    sandbox.wheel(
        &acme("1.0")
            .file("acme/__init__.py", "def main():\n    print('beep')\n")
            .file("acme/old.py", "")
            .file("acme/data/board.txt", "board\n"),
    );
    let rocket = Wheel::new("rocket", "2.0").metadata("License: BSD\n");
    sandbox.wheel(&rocket.file("rocket.py", "fuse = 1\n"));
    sandbox.wheel(&Wheel::new("slate", "1.0").metadata("License: BSD\n").file("slate.py", ""));
}

/// The second: `rocket` is 2.0.2, `slate` is gone, `hammer` is new and bad.
fn second(sandbox: &Sandbox) {
    fs::remove_dir_all(sandbox.path("wheels")).expect("it was made");
    sandbox.file("pyproject.toml", "[project]\nname = 'acme'\nversion = '1.1'\n");
    sandbox.file(
        "mkpkg.toml",
        "[deb]\nadd = ['redis-server (>= 6)', 'new-tool | other']\n\
         [rpm]\nadd = ['redis >= 6', '(new-tool or other)']\n\
         [services.web]\nexec = 'acme --serve --fast'\n\
         [[files]]\nsource = 'acme.toml'\ntarget = '/etc/acme/acme.toml'\nrole = 'config'\n",
    );
    sandbox.file("acme.toml", "debug = false\nport = 8080\n");
    let metadata = "License-Expression: MIT\nRequires-Dist: rocket\nRequires-Dist: hammer\n";
    let acme = Wheel::new("acme", "1.1").metadata(metadata).command("acme = acme:main");
    sandbox.wheel(
        &acme
            .file("acme/__init__.py", "def main():\n    print('bop')\n")
            .file("acme/data/board.txt", "board\n"),
    );
    let rocket = Wheel::new("rocket", "2.0.2").metadata("License: BSD\n");
    sandbox.wheel(&rocket.file("rocket.py", "fuse = 1\n"));
    sandbox.wheel(
        &Wheel::new("hammer", "0.1").file("hammer.py", "").file("hammer.pth", "import hammer\n"),
    );
}

/// Two packages, `old` and `new` of the sandbox, with the database of `fixtures/vulnerabilities` beside.
fn packages(format: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    for (name, version) in [("old", first as fn(&Sandbox)), ("new", second)] {
        version(&sandbox);
        let package = sandbox.built(sandbox.package(format, &["-q"]));
        fs::rename(package, sandbox.path(name)).expect("the sandbox can be written");
    }
    sandbox.file("mkpkg.toml", "");
    sandbox
}

fn database() -> String {
    format!("{}/fixtures/vulnerabilities", env!("CARGO_MANIFEST_DIR"))
}

fn diff(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    sandbox.run(sandbox.mkpkg(&[&["diff", "../old", "../new"], args].concat()))
}

/// Without what changes with every byte of a package, or with where the repository is.
fn steady(text: &str) -> String {
    let mut text = text.replace(&database(), "DB");
    while let Some(at) = text.find("\"sha256\":\"") {
        text.replace_range(at..at + "\"sha256\":\"\",".len() + 64, "");
    }
    text
}

#[test]
fn every_format() {
    for format in ["deb", "rpm"] {
        let sandbox = packages(format);
        for (name, args) in [
            ("text", &["--all"][..]),
            ("json", &["--format", "json"]),
            ("markdown", &["--format", "markdown"]),
        ] {
            let db = database();
            let found = diff(&sandbox, &[args, &["--vulnerabilities", &db]].concat());
            let error = "error: the comparison failed: VUL002, VUL005\n";
            assert_eq!((found.code(), found.stderr.as_str()), (1, error), "{name}");
            let mut text = steady(&found.stdout);
            if name == "json" {
                let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
                text = serde_json::to_string_pretty(&json).expect("it was JSON") + "\n";
            }
            snapshot::check(&format!("diff_{format}_{name}"), &text);
            let again = diff(&sandbox, &[args, &["--vulnerabilities", &db]].concat());
            assert_eq!(again.stdout, found.stdout);
        }
    }
}

#[test]
fn gates() {
    let sandbox = packages("deb");
    let check = |args: &[&str], expected: &str| {
        let found = diff(&sandbox, args);
        let failed = found.error().trim_end().trim_start_matches("error: the comparison failed: ");
        assert_eq!(failed, expected, "{args:?}");
        assert_eq!(found.code(), i32::from(!expected.is_empty()), "{args:?}");
    };
    check(&[], "");
    check(&["--fail-on", "never"], "");
    check(&["--fail-on", "warn"], "PY005, PY007");
    check(&["--fail-on", "relation-added,script-changed"], "relation-added, script-changed");
    check(&["--fail-on", "release-lost,type-change,downgrade"], "");
    // The same the other way round.
    let back =
        sandbox.run(sandbox.mkpkg(&["diff", "../new", "../old", "--fail-on", "downgrade,warn"]));
    assert_eq!(back.error(), "error: the comparison failed: downgrade\n");
    let same = sandbox.run(sandbox.mkpkg(&["diff", "../new", "../new", "--fail-on", "info"]));
    assert_eq!((same.code(), same.stderr.as_str()), (0, ""));
    let expected = "acme 1.1-1 -> 1.1-1\nverdict: passed\n\nVulnerabilities\n  \
                    not checked: no database was given\n";
    assert_eq!(same.stdout, expected);
    // Vulnerabilities that are still there fail, too, unless they are accepted.
    let db = database();
    check(&["--vulnerabilities", &db], "VUL002, VUL005");
    sandbox.file(
        "mkpkg.toml",
        "[[audit.ignore]]\nid = 'MKPKG-2026-0007'\nreason = 'known'\nuntil = '2024-01-01'\n",
    );
    check(&["--vulnerabilities", &db], "VUL002");
}

/// What an upgrade makes of a directory that becomes a link depends on whether the scripts prepare it.
#[test]
fn kinds_of_files() {
    let sandbox = Sandbox::new();
    let inner = "prefix=/opt/acme/bin/python";
    let old = sandbox.built(sandbox.deb(&["-q", "--set", "release=0", "--set", inner]));
    fs::rename(old, sandbox.path("old")).expect("the sandbox can be written");
    for (flags, upgrade) in [
        (&[][..], "an upgrade keeps the directory or fails: build with `--previous`"),
        (&["--previous", "../old"], "its scripts prepare it"),
    ] {
        let new = sandbox.built(sandbox.deb(&[&["-q"], flags].concat()));
        fs::rename(new, sandbox.path("new")).expect("the sandbox can be written");
        let found = diff(&sandbox, &["--fail-on", "type-change"]);
        assert_eq!(found.error(), "error: the comparison failed: type-change\n");
        let line = format!("! /opt/acme/bin/python directory -> link: {upgrade}\n");
        assert!(found.stdout.contains(&line), "{}", found.stdout);
    }
}

#[test]
fn between_formats() {
    let (deb, rpm) = (packages("deb"), packages("rpm"));
    let other = rpm.path("new").display().to_string();
    let found = deb.run(deb.mkpkg(&["diff", "../old", &other]));
    assert_eq!(found.code(), 0, "{}", found.stderr);
    assert!(found.stdout.starts_with("acme 1.0-1 (deb) -> acme 1.1-1 (rpm)\n"), "{}", found.stdout);
}

#[test]
fn wheels_and_directories() {
    let sandbox = Sandbox::empty();
    for (version, text) in [("1.0", "x = 1\n"), ("1.1", "x = 2\n")] {
        sandbox.wheel(&Wheel::new("acme", version).file("acme.py", text));
        sandbox.write(&format!("root-{version}/opt/acme.py"), text);
    }
    let diff = |old: &str, new: &str| {
        let found = sandbox.run(sandbox.mkpkg(&["diff", old, new]));
        assert_eq!(found.code(), 0, "{}", found.stderr);
        found.stdout
    };
    let wheels = diff("../wheels/acme-1.0-py3-none-any.whl", "../wheels/acme-1.1-py3-none-any.whl");
    assert!(wheels.starts_with("acme 1.0 -> 1.1\n"), "{wheels}");
    assert!(wheels.contains("\n  acme: 4 added, 4 removed, 1 changed\n"), "{wheels}");
    let directories = diff("../root-1.0", "../root-1.1");
    let title = "[DIR]/root-1.0 (directory) -> [DIR]/root-1.1 (directory)\n";
    assert!(directories.starts_with(title), "{directories}");
    assert!(directories.contains("\n  ~ /opt/acme.py\n"), "{directories}");
}

/// A distribution that spells its name in another way is the same one; its licence is another, that is told.
#[test]
fn names_and_licences() {
    let sandbox = Sandbox::empty();
    let rows =
        [("Pic_Ture", "10.0", "Lib_Tiff", "MIT"), ("pic_ture", "9.0", "lib-tiff", "BSD-2-Clause")];
    for (name, version, part, licence) in rows {
        let wheel = Wheel::new(name, version).metadata(&format!("License-Expression: {licence}\n"));
        let list = wheel.info("sboms/x.cdx.json");
        let parts = format!(
            r#"{{"bomFormat":"CycloneDX","components":[{{"name":"{part}","version":"{version}"}}]}}"#
        );
        sandbox.wheel(&wheel.file("pic_ture.py", "").file(&list, parts));
    }
    let [old, new] =
        rows.map(|(name, version, ..)| format!("../wheels/{name}-{version}-py3-none-any.whl"));
    let found = sandbox.run(sandbox.mkpkg(&["diff", &old, &new, "--fail-on", "downgrade"]));
    assert_eq!(found.error(), "error: the comparison failed: downgrade\n");
    for expected in [
        "\nPython distributions\n  v pic-ture 10.0 -> 9.0\n",
        "\nNative components\n  v lib-tiff in pic-ture 10.0 -> 9.0\n",
        "\n  pic-ture: 5 added, 5 removed, 0 changed\n",
        "\nLicences\n  ~ pic-ture MIT -> BSD-2-Clause\n",
    ] {
        assert!(found.stdout.contains(expected), "{expected}{}", found.stdout);
    }
}

/// What packages say of themselves beside relations, in the words of their formats; relations once, as such.
#[test]
fn fields() {
    for (format, expected) in [
        (
            "deb",
            "\nRelations\n  ~ provides shop (= 1) -> provides shop (= 2)\n\nFields\n  \
             ~ Maintainer Ann <ann@acme.example> -> Bob <bob@acme.example>\n\n",
        ),
        (
            "rpm",
            "\nRelations\n  ~ provides shop = 1 -> provides shop = 2\n\nFields\n  \
             ~ License MIT -> BSD-2-Clause\n  \
             ~ Packager Ann <ann@acme.example> -> Bob <bob@acme.example>\n\n",
        ),
    ] {
        let sandbox = Sandbox::empty();
        for (name, version, who, licence) in [
            ("old", 1, "Ann <ann@acme.example>", "MIT"),
            ("new", 2, "Bob <bob@acme.example>", "BSD-2-Clause"),
        ] {
            let project = format!("[project]\nname = 'acme'\nversion = '1.{version}'\n");
            sandbox.file("pyproject.toml", project);
            let provides = format!(
                "maintainer = '{who}'\n[deb]\nprovides = ['shop (= {version})']\n\
                 [rpm]\nprovides = ['shop = {version}']\n"
            );
            sandbox.file("mkpkg.toml", provides);
            let acme = Wheel::new("acme", &format!("1.{version}"));
            let licence = format!("License-Expression: {licence}\n");
            let wheel = sandbox.wheel(&acme.metadata(&licence).file("acme.py", ""));
            let package = sandbox.built(sandbox.package(format, &["-q"]));
            fs::rename(package, sandbox.path(name)).expect("the sandbox can be written");
            fs::remove_file(wheel).expect("it was made");
        }
        let found = diff(&sandbox, &[]);
        assert!(found.stdout.contains(expected), "{expected}{}{}", found.stdout, found.stderr);
    }
}

#[test]
fn faults() {
    let sandbox = packages("deb");
    let mut failures = Failures::default();
    let mut case = |name: &str, args: &[&str]| {
        failures.command(name, &sandbox, sandbox.mkpkg(&[&["diff"], args].concat()));
    };
    case("no old package", &["gone", "../new"]);
    case("no new package", &["../old", "pyproject.toml"]);
    case("unknown word", &["../old", "../new", "--fail-on", "release-lots"]);
    case("stale database", &["../old", "../new", "--vulnerabilities", "gone"]);
    failures.check("bad_diff");
}
