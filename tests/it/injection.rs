//! Text from the outside never ends a field, a line or a script of the package.

use std::process::Command;

use crate::sandbox::{Failures, Sandbox, is_there};
use crate::wheel::Wheel;

/// The application with other METADATA.
fn acme(metadata: &str) -> Wheel {
    Wheel::new("acme", "1.0").metadata(metadata).file("acme.py", "")
}

#[test]
fn control_characters_are_refused() {
    let mut failures = Failures::default();
    for (case, metadata) in [
        ("NUL", "Summary: a\0b\n"),
        ("escape", "Summary: \x1b[2Jfine\n"),
        ("in an address", "Maintainer-email: Ann\x07 <ann@acme.example>\n"),
        ("in a licence", "License: MIT\x08\x08\x08GPL\n"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&acme(metadata));
        failures.deb(case, &sandbox, &[]);
    }
    failures.check("bad_metadata");
}

/// Fields of the package, as dpkg reads them.
fn fields(sandbox: &Sandbox, args: &[&str]) -> Vec<(String, String)> {
    let package = sandbox.build(args);
    let output = Command::new("dpkg-deb").arg("-f").arg(package).output().expect("dpkg-deb runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("control is UTF-8");
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix(' '), line.split_once(": ")) {
            (Some(more), _) => {
                let (_, value) = fields.last_mut().expect("a field comes first");
                *value += &format!("\n{more}");
            }
            (None, Some((name, value))) => fields.push((name.to_owned(), value.to_owned())),
            (None, None) => panic!("no field: {line:?}"),
        }
    }
    fields
}

const FIELDS: [&str; 10] = [
    "Package",
    "Version",
    "Architecture",
    "Maintainer",
    "Installed-Size",
    "Depends",
    "Section",
    "Priority",
    "Homepage",
    "Description",
];

#[test]
fn fields_hold_what_was_written() {
    if !is_there("injection", "/usr/bin/dpkg-deb") {
        return;
    }
    let long = "word ".repeat(60);
    for (case, metadata) in [
        ("folded", "Summary: a\n Depends: evil\n\tPre-Depends: evil\n"),
        ("carriage return", "Summary: a\rDepends: evil\n"),
        ("next line", "Summary: a\u{85}Depends: evil\n"),
        ("vertical tab", "Summary: a\u{b}Depends: evil\n"),
        ("long", &*format!("Summary: {long}Depends: evil\n")),
        ("dots", "Summary: .NET for snakes\n"),
        ("many spaces", "Summary:      a     b\n"),
        ("right to left", "Summary: a \u{202e}b\n"),
        ("line separator", "Summary: a\u{2028}Depends: evil\n"),
        ("variables", "Summary: ${misc:Depends} $(id) `id` %(x)s\n"),
        ("colon", "Summary: Depends: evil\n"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&acme(&format!("{metadata}Home-page: https://acme.example/\n")));
        let fields = fields(&sandbox, &[]);
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, FIELDS, "{case}");
        assert_eq!(fields[5].1, "python3.11", "{case}");
        assert!(fields[9].1.lines().count() >= 2, "{case}: {fields:?}");
    }
}

/// What cannot be a field is left out, not written as it is.
#[test]
fn odd_addresses_and_urls() {
    if !is_there("injection", "/usr/bin/dpkg-deb") {
        return;
    }
    for (metadata, name, expected) in [
        ("Home-page: javascript:alert(1)\n", "Homepage", None),
        ("Home-page: https://acme.example/ x\n", "Homepage", None),
        ("Home-page: https://acme.example/?a=b\n", "Homepage", Some("https://acme.example/?a=b")),
        ("Author: Ann\nAuthor-email: a@b.example\n", "Maintainer", Some("Ann <a@b.example>")),
        (
            "Author-email: Ann <a@b.example>, Bob <b@b.example>\n",
            "Maintainer",
            Some("Ann <a@b.example>"),
        ),
        (
            "Author: Ann <x>\nAuthor-email: nobody\n",
            "Maintainer",
            Some("Unknown maintainer <root@localhost>"),
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&acme(metadata));
        let fields = fields(&sandbox, &[]);
        let found = fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        assert_eq!(found, expected, "{metadata}");
    }
}

/// What a wheel says of itself is shipped and shown; a password in it is an error, masked.
#[test]
fn credentials_in_metadata() {
    for field in ["Home-page: ", "Summary: see ", "Requires-Dist: x @ ", "Project-URL: Home, "] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&acme(&format!("{field}https://u:secret@acme.example/\n")));
        let outcome = sandbox.run(sandbox.deb(&["--set", "allow-missing=x"]));
        assert_eq!(outcome.code(), 2, "{field}: {}", outcome.stderr);
        assert!(!outcome.stderr.contains("secret"), "{}", outcome.stderr);
        assert_eq!(sandbox.left("out"), [""; 0]);
    }
}

/// Whatever a summary is, a package comes of it.
#[test]
fn summaries_of_every_kind() {
    let long = ["e\u{301}".repeat(100), "x".repeat(5000)];
    let mut failed = Vec::new();
    for summary in [
        "",
        "UNKNOWN",
        ".",
        "...",
        "acme",
        "Acme: ",
        "acme is",
        "acme is.",
        "acme: a.",
        "A.",
        "the .",
        ". . .",
        "ACME - \u{130}\u{130}\u{130}\u{130}\u{130}\u{130}\u{130}",
        "acme \u{130}",
        "\u{130}",
        &long[0],
        &long[1],
    ] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&acme(&format!("Summary: {summary}\n")));
        let outcome = sandbox.run(sandbox.deb(&[]));
        if outcome.code() != 0 {
            failed.push(format!("{summary:?}: {}", outcome.code()));
        }
    }
    assert_eq!(failed, [""; 0]);
}

/// Names a shell, a list of files or a manifest could trip over are packed as they are.
#[test]
fn file_names_that_need_quotes() {
    let sandbox = Sandbox::new();
    let mut wheel = acme("");
    for name in [
        "a b", "a'b", "a\"b", "$(id)", "`id`", "-rf", "a,b", "*", "%s", "grüße", "a;b", "~", " x ",
        "#",
    ] {
        wheel = wheel.file(&format!("odd/{name}/{name}.txt"), name);
    }
    sandbox.wheel(&wheel);
    let package = sandbox.build(&[]);
    if is_there("file names", "/usr/bin/dpkg-deb") {
        let output =
            Command::new("dpkg-deb").arg("-c").arg(package).output().expect("dpkg-deb runs");
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout).matches("/odd/").count(), 1 + 2 * 14);
    }
}
