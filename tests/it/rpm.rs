//! `mkpkg rpm`: what is shown of a package, that its bytes depend on its input alone, and that both formats install the
//! same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::golden::everything;
use crate::sandbox::{Failures, Sandbox};
use crate::snapshot;
use crate::wheel::Wheel;

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
    // One file has another text and place, one names its package, and the others are what one of the formats wants.
    const DIFFERENT: [&str; 9] = [
        "/usr/share/doc/acme/acme.cdx.json",
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

/// A wheel says of itself that it is for one machine, whatever is in it; byte code is for all.
#[test]
fn a_package_is_for_any_machine_if_all_that_is_in_it_is() {
    for (tag, ends) in [
        ("py3-none-any", ["_all.deb", ".noarch.rpm"]),
        ("cp311-none-any", ["_all.deb", ".noarch.rpm"]),
        ("py3-none-any.linux_x86_64", ["_all.deb", ".noarch.rpm"]),
        ("cp311-cp311-linux_x86_64", ["_amd64.deb", ".x86_64.rpm"]),
        ("cp36-abi3-manylinux2014_x86_64", ["_amd64.deb", ".x86_64.rpm"]),
        ("py3-none-manylinux2014_x86_64", ["_amd64.deb", ".x86_64.rpm"]),
    ] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&Wheel::acme().metadata("Requires-Dist: rocket\n"));
        sandbox.wheel(&Wheel::new("rocket", "2.0").tag(tag));
        let outcome = sandbox.run(sandbox.package("build", &["-v"]));
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
        let told = format!("the package is for x86_64 alone, as `rocket-2.0-{tag}.whl` is");
        assert_eq!(outcome.stderr.contains(&told), ends[0] == "_amd64.deb", "{}", outcome.stderr);
        for (line, end) in outcome.stdout.lines().zip(ends) {
            assert!(line.ends_with(end), "{tag}: {line}");
        }
    }
}

#[test]
fn build_makes_both_formats_from_one_tree() {
    let bare = ["--set", "dependencies.add=[]"];
    let sandbox = everything();
    let outcome = sandbox.run(sandbox.package("build", &bare));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let names = ["acme_1.0-1_all.deb", "acme-1.0-1.noarch.rpm"];
    let printed: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(printed, names.map(|name| format!("../out/{name}")));
    let alone = everything();
    for (format, name) in ["deb", "rpm"].into_iter().zip(names) {
        let outcome = alone.run(alone.package(format, &bare));
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
        let read =
            |sandbox: &Sandbox| fs::read(sandbox.path("out").join(name)).expect("it is there");
        assert!(read(&sandbox) == read(&alone), "{name}");
    }
}

#[test]
fn build_makes_what_is_configured_or_what_the_target_installs() {
    let made = |args: &[&str]| {
        let sandbox = everything();
        let outcome = sandbox.run(sandbox.package("build", args));
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
        sandbox.left("out")
    };
    let bare = ["--set", "dependencies.add=[]"];
    let deb = ["acme_1.0-1_all.deb"];
    assert_eq!(made(&[&bare[..], &["--set", "formats=[\"deb\"]"]].concat()), deb);
    assert_eq!(made(&[&bare[..], &["--target", "debian:12"]].concat()), deb);
    assert_eq!(
        made(&[&bare[..], &["--target", "rhel:9", "--python", "3.11"]].concat()),
        ["acme-1.0-1.noarch.rpm"]
    );
}

/// A stand-in for GnuPG: mkpkg finds it first and runs it as it would the real one.
fn signing(sandbox: &Sandbox, gpg: &str) -> Command {
    signing_with(sandbox, "gpg", "-Acme", gpg)
}

/// The same for the program of that name, and a key.
fn signing_with(sandbox: &Sandbox, program: &str, key: &str, script: &str) -> Command {
    let program = sandbox.write(&format!("bin/{program}"), format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = sandbox.rpm(&[&ADD[..], &[&format!("--sign={key}")]].concat());
    command.env("PATH", format!("{}:/usr/bin:/bin", sandbox.path("bin").display()));
    command
}

/// A packet that looks like an RSA signature, and what was asked for.
const SIGNS: &str = r#"echo "$*" >>"$HOME/asked"
case $* in *--detach*) cat >"$HOME/header"; printf '\210\004\004\000\001\010' ;; esac"#;

#[test]
fn a_signature_changes_no_length() {
    let sandbox = everything();
    let bare = fs::read(sandbox.built(sandbox.rpm(&ADD))).expect("it was written");
    let signed = fs::read(sandbox.built(signing(&sandbox, SIGNS))).expect("it was written");
    assert_eq!(signed.len(), bare.len());
    assert!(signed != bare);
    let header = fs::read(sandbox.path("home/header")).expect("it was asked for a signature");
    assert!(bare.windows(header.len()).any(|part| part == header));
    let asked = fs::read_to_string(sandbox.path("home/asked")).expect("it was asked");
    let asked: Vec<_> = asked.lines().collect();
    let quiet = "--batch --no-verbose --no-secmem-warning";
    let how = "--no-armor --digest-algo SHA256 --detach-sign --output -";
    let expected = [
        format!("{quiet} --list-secret-keys -- -Acme"),
        format!("{quiet} --local-user=-Acme {how}"),
    ];
    assert_eq!(asked, expected);
}

#[test]
fn sq_signs_with_a_file() {
    let sandbox = everything();
    sandbox.write("project/acme key.pgp", "mkpkg does not read it");
    let command = signing_with(&sandbox, "sq", "sq:acme key.pgp", SIGNS);
    let signed = sandbox.built(command);
    let asked = fs::read_to_string(sandbox.path("home/asked")).expect("it was asked");
    let asked: Vec<_> = asked.lines().collect();
    assert_eq!(asked, ["sign --help", "sign --binary --detached --signer-key=acme key.pgp"]);
    let shown = sandbox.run(sandbox.mkpkg(&["show", &signed.display().to_string()]));
    let line = shown.stdout.lines().find(|line| line.starts_with("Signature"));
    assert_eq!(line, Some("Signature: RSA/SHA256, not verified"));
}

#[test]
fn signing_faults() {
    let mut failures = Failures::default();
    let sandbox = everything();
    let refuses = "echo 'gpg: error reading key: No secret key' >&2; exit 2";
    failures.command("no such key", &sandbox, signing(&sandbox, refuses));
    let refuses =
        "case $* in *--detach*) echo 'gpg: signing failed: No pinentry' >&2; exit 2; esac";
    failures.command("no passphrase", &sandbox, signing(&sandbox, refuses));
    failures.command("no signature", &sandbox, signing(&sandbox, "exit 0"));
    failures.command("something else", &sandbox, signing(&sandbox, "echo Hello"));
    let sq = |key: &str, script: &str| signing_with(&sandbox, "sq", key, script);
    failures.command("no such file of a key", &sandbox, sq("sq:acme.pgp", SIGNS));
    let fingerprint = "sq:598D7AB7A1459C2BAD8C8A7B1D1BB95CDD553ADA";
    failures.command("an sq that keeps no keys", &sandbox, sq(fingerprint, SIGNS));
    let refuses = "case $2 in --help) echo '--signer --signer-file --signature-file' ;;
*) echo 'Error: it was not found' >&2; exit 1 ;; esac";
    failures.command("a key that sq has not", &sandbox, sq(fingerprint, refuses));
    sandbox.write("project/acme.pgp", "no key");
    failures.command("a file that is no key", &sandbox, sq("sq:acme.pgp", refuses));
    failures.command("a key without a name", &sandbox, {
        let mut command = sandbox.rpm(&ADD);
        command.env("MKPKG_SIGN", "");
        command
    });
    failures.check("bad_signing");
}
