//! What is shown of a package, and what a build says, word for word.

use crate::sandbox::{Outcome, Sandbox};
use crate::snapshot;
use crate::wheel::Wheel;

/// A project with one of everything a wheel can bring.
pub(crate) fn everything() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file(
        "mkpkg.toml",
        "[[files]]\nsource = 'acme.toml'\ntarget = '/etc/acme/acme.toml'\nrole = 'config'\n\
         [dependencies]\nadd = ['redis-server | valkey']\n[deb]\nrecommends = ['nginx']\n",
    );
    sandbox.file("acme.toml", "debug = false\n");
    let acme = Wheel::acme()
        .metadata(
            "Author: Wile E.\nLicense-Expression: MIT\nLicense-File: LICENSE\n\
             Project-URL: Homepage, https://acme.example\nRequires-Dist: rocket\n",
        )
        .file("acme-1.0.data/scripts/acme-admin", "#!python\nprint('admin')\n")
        .file("acme-1.0.data/scripts/acme-shell", "#!/bin/sh\necho shell\n")
        .file("acme-1.0.data/data/share/acme/board.txt", "board\n")
        .file("acme-1.0.data/headers/acme.h", "#define ACME 1\n")
        .file("acme-1.0.data/purelib/acme/extra.py", "x = 1\n")
        .file("acme/templates/index.html", "<p>\n")
        .file("acme.pth", "import acme\n");
    let licence = acme.info("licenses/LICENSE");
    sandbox.wheel(&acme.file(&licence, "Be good.\n"));
    let rocket = Wheel::new("rocket", "2.0").metadata("License: BSD\nAuthor: Ann\n");
    sandbox.wheel(
        &rocket
            .file("rocket.py", "import distutils\n")
            .file_of_mode("rocket-tool", "#!/bin/sh\n", 0o100_777)
            .file("rocket-2.0.dist-info/direct_url.json", "{}")
            .command("fire = rocket:main"),
    );
    sandbox
}

#[test]
fn show() {
    let sandbox = everything();
    let package = sandbox.build(&[]);
    let name = package.display().to_string();
    let shown = sandbox.run(sandbox.mkpkg(&["show", &name]));
    assert_eq!((shown.code(), shown.stderr.as_str()), (0, ""));
    snapshot::check("show", &shown.stdout);
    let shown = sandbox.run(sandbox.mkpkg(&["show", "--json", &name]));
    assert_eq!((shown.code(), shown.stderr.as_str()), (0, ""));
    let json: serde_json::Value = serde_json::from_str(&shown.stdout).expect("it is JSON");
    let text = serde_json::to_string_pretty(&json).expect("it was JSON before");
    snapshot::check("show_json", &(text + "\n"));
}

/// Seconds differ from run to run, sizes and digests with every byte of the package.
fn steady(text: &str) -> String {
    let mut steady = String::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [time, "s", ..] if time.parse::<f64>().is_ok() => {
                steady.push_str(&format!("N s  {}", words[2..].join(" ")));
            }
            ["time:", ..] => {
                let is_time = |word: &&str| word.parse::<f64>().is_err();
                let words: Vec<_> = words.into_iter().filter(is_time).collect();
                steady.push_str(&words.join(" "));
            }
            ["sha256", _] => steady.push_str("sha256 X"),
            [path, _, "B" | "kB"] => steady.push_str(&format!("{path}  N")),
            _ => steady.push_str(line),
        }
        steady.push('\n');
    }
    steady
}

fn run(args: &[&str]) -> Outcome {
    let sandbox = everything();
    sandbox.run(sandbox.deb(args))
}

#[test]
fn talk() {
    let outcome = run(&[]);
    assert_eq!(outcome.stdout, "../out/acme_1.0-1_all.deb\n");
    snapshot::check("talk", &steady(&outcome.stderr));
    let verbose = run(&["-v"]);
    assert_eq!(verbose.stdout, outcome.stdout);
    snapshot::check("talk_verbose", &steady(&verbose.stderr));
    let quiet = run(&["-q"]);
    assert_eq!((quiet.stdout, quiet.stderr), (outcome.stdout, String::new()));
}

#[test]
fn json() {
    let outcome = run(&["--json"]);
    let mut json: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("it is JSON");
    for kind in ["seconds", "processor_seconds"] {
        let seconds = json[kind].as_object_mut().expect("seconds are by stage");
        seconds.values_mut().for_each(|value| *value = 0.into());
    }
    for number in ["size", "total_seconds", "peak_memory"] {
        assert!(json[number].as_f64().is_some_and(|number| number > 0.0), "{number}");
        json[number] = 0.into();
    }
    json["sha256"] = "X".into();
    let text = serde_json::to_string_pretty(&json).expect("it was JSON before");
    snapshot::check("json", &(text + "\n"));
}

/// Every stage is told once, whatever the number of packages, and nothing is left out.
#[test]
fn timings() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(sandbox.package("build", &["--timings"]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let rows = outcome.stderr.lines().filter_map(|line| line.split_once(" processors  "));
    let second = |row: &str| row.split_whitespace().next().and_then(|first| first.parse().ok());
    let rows: Vec<(f64, &str)> =
        rows.map(|(row, stage)| (second(row).expect("it is a number"), stage)).collect();
    let stages: Vec<_> = rows.iter().map(|(_, stage)| *stage).collect();
    let (last, stages) = stages.split_last().expect("there are stages");
    assert_eq!((stages.last(), *last), (Some(&"between them"), "in all"));
    assert_eq!(stages.iter().filter(|stage| **stage == "written").count(), 1);
    let (all, parts) = rows.split_last().expect("there are stages");
    let sum: f64 = parts.iter().map(|(seconds, _)| seconds).sum();
    assert!((all.0 - sum).abs() < 0.02, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("\npeak memory "), "{}", outcome.stderr);
}

#[test]
fn dry_run() {
    let sandbox = everything();
    let outcome = sandbox.run(sandbox.deb(&["--dry-run"]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    snapshot::check("dry_run", &outcome.stdout);
    assert!(!sandbox.path("out").exists());
    assert_eq!(sandbox.left("tmp"), [""; 0]);
}

#[test]
fn dry_run_as_json() {
    let outcome = run(&["--dry-run", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("it is JSON");
    assert!(json["relations"].is_array() && json.get("path").is_none(), "{}", outcome.stdout);
}

#[test]
fn help() {
    let sandbox = Sandbox::empty();
    for (name, args) in [("help", &["--help"][..]), ("help_deb", &["deb", "--help"])] {
        let outcome = sandbox.run(sandbox.mkpkg(args));
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (0, ""));
        snapshot::check(name, &outcome.stdout);
    }
}

/// `mkpkg show` of what is no package says what it is not.
#[test]
fn show_of_other_things() {
    let mut failures = crate::sandbox::Failures::default();
    let sandbox = Sandbox::new();
    let package = std::fs::read(sandbox.build(&[])).expect("it was written");
    let half = package.len() / 2;
    for (case, bytes) in [
        ("no byte", &[][..]),
        ("text", b"hello\n"),
        ("ar archive of nothing", b"!<arch>\n"),
        ("half a package", &package[..half]),
        ("package without its last byte", &package[..package.len() - 2]),
    ] {
        let path = sandbox.write("project/x.deb", bytes);
        let command = sandbox.mkpkg(&["show", &path.display().to_string()]);
        failures.command(case, &sandbox, command);
    }
    failures.command("nothing", &sandbox, sandbox.mkpkg(&["show", "gone.deb"]));
    failures.command("a directory", &sandbox, sandbox.mkpkg(&["show", "."]));
    failures.check("bad_show");
}
