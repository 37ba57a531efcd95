//! `mkpkg rpm`: what is shown of a package, that its bytes depend on its input alone, and that both formats install the
//! same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::golden::everything;
use crate::sandbox::{Failures, Sandbox};
use crate::snapshot;

/// What replaces the requirement of [`everything`], which is in the grammar of the other format.
const ADD: [&str; 2] = ["--set", "dependencies.add=['(redis or valkey)', 'nginx >= 1.22']"];

#[test]
fn show() {
    let sandbox = everything();
    let package = sandbox.built(sandbox.rpm(&ADD));
    assert!(package.ends_with("acme-1.0-1.noarch.rpm"), "{}", package.display());
    // Recognised by what it holds.
    let other = sandbox.path("project/package.deb");
    fs::rename(&package, &other).expect("the sandbox can be written");
    let shown = sandbox.run(sandbox.mkpkg(&["show", "package.deb"]));
    assert_eq!((shown.code(), shown.stderr.as_str()), (0, ""));
    snapshot::check("show_rpm", &shown.stdout);
}

#[test]
fn dry_run() {
    let sandbox = everything();
    let outcome = sandbox.run(sandbox.rpm(&[&ADD[..], &["--dry-run"]].concat()));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let (head, _) = outcome.stdout.split_once("d0755").expect("directories come after the rest");
    snapshot::check("dry_run_rpm", head);
    assert!(!sandbox.path("out").exists());
}

/// Everything `mkpkg show` tells of the files of a package, by path.
fn files(sandbox: &Sandbox, package: &Path) -> BTreeMap<String, Value> {
    let shown = sandbox.run(sandbox.mkpkg(&["show", "--json", &package.display().to_string()]));
    let json: Value = serde_json::from_str(&shown.stdout).expect("it is JSON");
    let files = json["files"].as_array().expect("files are a list").clone();
    let path = |file: &Value| file["path"].as_str().expect("a file has a path").to_owned();
    files.into_iter().map(|file| (path(&file), file)).collect()
}

#[test]
fn both_formats_install_the_same() {
    // One file has another text and place, and the others are what one of the formats wants beside it.
    const DIFFERENT: [&str; 10] = [
        "/usr/share/doc",
        "/usr/share/doc/acme",
        "/usr/share/doc/acme/changelog.Debian.gz",
        "/usr/share/doc/acme/copyright",
        "/usr/share/licenses",
        "/usr/share/licenses/acme",
        "/usr/share/licenses/acme/copyright",
        "/usr/share/lintian",
        "/usr/share/lintian/overrides",
        "/usr/share/lintian/overrides/acme",
    ];
    let (left, right) = (everything(), everything());
    let deb = files(&left, &left.build(&["--set", "dependencies.add=[]"]));
    let rpm = files(&right, &right.built(right.rpm(&ADD)));
    let paths = deb.keys().chain(rpm.keys());
    let mut different: Vec<_> = paths.filter(|path| deb.get(*path) != rpm.get(*path)).collect();
    different.sort();
    different.dedup();
    assert_eq!(different, DIFFERENT);
}

#[test]
fn bytes_depend_on_the_input_alone() {
    let sandbox = everything();
    let bytes = |args: &[&str], variable: (&str, &str)| {
        let mut command = sandbox.rpm(&[&ADD, args].concat());
        command.env(variable.0, variable.1);
        fs::read(sandbox.built(command)).expect("it was written")
    };
    let reference = bytes(&["--jobs", "1"], ("TZ", "UTC"));
    for (args, variable) in [
        (&["--jobs", "2"][..], ("TZ", "Pacific/Kiritimati")),
        (&["--jobs", "8"], ("LC_ALL", "tr_TR.UTF-8")),
        (&["--no-cache"], ("HOME", "/dev/null")),
    ] {
        assert!(bytes(args, variable) == reference, "{args:?} {variable:?}");
    }
}

#[test]
fn faults() {
    let mut failures = Failures::default();
    let sandbox = everything();
    failures.command("the grammar of the other format", &sandbox, sandbox.rpm(&[]));
    let set = |text: &str| sandbox.rpm(&[&ADD[..], &["--set", text]].concat());
    failures.command("a maintainer of two lines", &sandbox, set("maintainer=\"A\\nB <a@b>\""));
    let mut late = sandbox.rpm(&ADD);
    late.env("SOURCE_DATE_EPOCH", "4294967296");
    failures.command("a time that does not fit", &sandbox, late);
    failures.check("bad_rpm");
}
