//! `--previous`: what an upgrade from a package has to prepare, and which packages are none to upgrade from.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::sandbox::{Failures, Sandbox};

/// A prefix where another package of the same name, with the usual prefix, has a link.
const INNER: &str = "prefix=/opt/acme/bin/python";

/// A package of an earlier version with these files and settings, moved to `old/NAME` of the sandbox.
fn previous(sandbox: &Sandbox, format: &str, files: &[&str], set: &[&str]) -> String {
    configure(sandbox, files);
    let set = set.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>();
    let package =
        sandbox.built(sandbox.package(format, &[&["--set", "release=0"], &set[..]].concat()));
    configure(sandbox, &[]);
    let name = package.file_name().and_then(|name| name.to_str()).expect("it has a name");
    keep(sandbox, &package, name)
}

fn keep(sandbox: &Sandbox, package: &Path, name: &str) -> String {
    let kept = sandbox.path("old").join(name);
    fs::create_dir_all(sandbox.path("old")).expect("the sandbox can be written");
    fs::rename(package, kept).expect("the sandbox can be written");
    format!("../old/{name}")
}

fn configure(sandbox: &Sandbox, files: &[&str]) {
    sandbox.file("any", "any\n");
    let table = |target: &&str| format!("[[files]]\nsource = 'any'\ntarget = '{target}'\n");
    sandbox.file("mkpkg.toml", files.iter().map(table).collect::<String>());
}

/// What `-v` tells of the changes.
fn told(sandbox: &Sandbox, command: Command) -> Vec<String> {
    let outcome = sandbox.run(command);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let words = ["is a link now", "is a directory now", "any more", "is no more"];
    let lines = outcome.stderr.lines().map(|line| line.trim_start_matches("note: "));
    lines.filter(|line| words.iter().any(|word| line.ends_with(word))).map(str::to_owned).collect()
}

#[test]
fn changes_are_found_in_both_formats() {
    let files = ["/etc/acme/gone", "/usr/lib/systemd/system/acme-old.service"];
    for format in ["deb", "rpm"] {
        let sandbox = Sandbox::new();
        let old = previous(&sandbox, format, &files, &[INNER]);
        let new = sandbox.package(format, &["-v", "--previous", &old]);
        let expected = [
            "`/opt/acme/bin/python` was a directory and is a link now",
            "`/etc/acme/gone` is no configuration file any more",
            "the unit `acme-old.service` is no more",
        ];
        assert_eq!(told(&sandbox, new), expected, "{format}");
    }
}

#[test]
fn links_that_are_directories_now() {
    for format in ["deb", "rpm"] {
        let sandbox = Sandbox::new();
        let old = previous(&sandbox, format, &[], &[]);
        let new = sandbox.package(format, &["-v", "--set", INNER, "--previous", &old]);
        let expected = ["`/opt/acme/bin/python` was a link and is a directory now"];
        assert_eq!(told(&sandbox, new), expected, "{format}");
    }
}

#[test]
fn scripts_do_what_is_prepared() {
    let files = ["/etc/acme/gone", "/usr/lib/systemd/system/acme-old.service"];
    for (format, words) in [
        (
            "deb",
            &[
                "dpkg-maintscript-helper 'dir_to_symlink' '/opt/acme/bin/python' 'python3.11' '1.0-1~' -- \"$@\"",
                "dpkg-maintscript-helper 'rm_conffile' '/etc/acme/gone' '1.0-1~' -- \"$@\"",
                "'acme-old.service'",
            ][..],
        ),
        ("rpm", &["\"/opt/acme/bin/python\"", "'acme-old.service'"]),
    ] {
        let sandbox = Sandbox::new();
        let old = previous(&sandbox, format, &files, &[INNER]);
        let new = sandbox.built(sandbox.package(format, &["--previous", &old]));
        let shown = sandbox.run(sandbox.mkpkg(&["show", &new.display().to_string()]));
        for word in words {
            assert!(shown.stdout.contains(word), "{format} {word}\n{}", shown.stdout);
        }
    }
}

#[test]
fn each_format_has_its_own() {
    let sandbox = Sandbox::new();
    let deb = previous(&sandbox, "deb", &["/etc/acme/deb"], &[]);
    let rpm = previous(&sandbox, "rpm", &["/etc/acme/rpm"], &[]);
    let args = ["-v", "--previous", &rpm, "--previous", &deb];
    let expected =
        ["deb", "rpm"].map(|name| format!("`/etc/acme/{name}` is no configuration file any more"));
    assert_eq!(told(&sandbox, sandbox.package("build", &args)), expected);
    assert_eq!(told(&sandbox, sandbox.package("build", &args[..3])), expected[1..]);
    assert_eq!(told(&sandbox, sandbox.deb(&["-v"])), [""; 0]);
    let checked = sandbox.run(sandbox.mkpkg(&["check", "--previous", &deb]));
    assert_eq!(checked.code(), 0, "{}", checked.stderr);
}

#[test]
fn faults() {
    let mut failures = Failures::default();
    let sandbox = Sandbox::new();
    let deb = previous(&sandbox, "deb", &[], &[]);
    let rpm = previous(&sandbox, "rpm", &[], &[]);
    let since = |old: &str| ["--previous".to_owned(), old.to_owned()];
    let mut case = |case: &str, format: &str, args: &[[String; 2]]| {
        let args: Vec<_> = args.iter().flatten().map(String::as_str).collect();
        failures.command(case, &sandbox, sandbox.package(format, &args));
    };
    case("nothing", "deb", &[since("gone.deb")]);
    case("a directory", "deb", &[since(".")]);
    case("no package", "deb", &[since("pyproject.toml")]);
    case("another format", "deb", &[since(&rpm)]);
    case("one format twice", "build", &[since(&deb), since(&rpm), since(&deb)]);
    let set = |text: &str| ["--set".to_owned(), text.to_owned()];
    case("another name", "deb", &[set("name=other"), since(&deb)]);
    case("another name, .rpm", "rpm", &[set("name=other"), since(&rpm)]);
    case("the same version", "deb", &[set("release=0"), since(&deb)]);
    case("a later version, .rpm", "rpm", &[set("version=0.9"), since(&rpm)]);
    let config = previous(&sandbox, "deb", &["/etc/acme/x/y"], &[]);
    configure(&sandbox, &["/etc/acme/x"]);
    case("configuration in a directory", "deb", &[since(&config)]);
    configure(&sandbox, &["/usr/share/acme/x"]);
    let dir = previous(&sandbox, "rpm", &["/usr/share/acme/x/y"], &[]);
    configure(&sandbox, &["/usr/share/acme/x"]);
    case("a directory is a file", "rpm", &[since(&dir)]);
    failures.check("bad_previous");
}
