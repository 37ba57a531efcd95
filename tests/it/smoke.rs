//! `--smoke` and `check`: what does not start is not packaged.

use crate::sandbox::{Failures, Sandbox};
use crate::wheel::Wheel;

#[test]
fn what_fails_is_not_written() {
    let mut failures = Failures::default();
    let cli = |source: &str| {
        Wheel::new("acme", "1.0")
            .file("acme/__init__.py", "")
            .file("acme/cli.py", source)
            .command("acme = acme.cli:main")
    };
    for (case, wheel) in [
        ("import that is missing", cli("import gone\n")),
        ("attribute that is missing", cli("")),
        ("exception", cli("1 / 0\n")),
        ("exit", cli("import sys; sys.exit('not today')\n")),
        ("silent exit", cli("import sys; sys.exit(0)\n")),
        ("death", cli("import os; os.abort()\n")),
        ("syntax", cli("print 'x'\n")),
        ("module beside the command", cli("def main(): pass\n").file("broken.py", "import gone\n")),
    ] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&wheel);
        failures.deb(case, &sandbox, &["--smoke"]);
    }
    for (case, check) in [
        ("check that fails", "echo out; echo err >&2; exit 7"),
        ("check that is no command", "no-such-command"),
        ("second of two", "true', 'false"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.file("mkpkg.toml", format!("check = ['{check}']\n"));
        failures.deb(case, &sandbox, &[]);
    }
    failures.check("bad_smoke");
}

#[test]
fn what_works_is_written() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "mkpkg.toml",
        "check = ['acme | grep -q beep', \
         'python -c \"import acme, sys; assert sys.prefix == \\\"/opt/acme\\\", sys.prefix\"']\n",
    );
    sandbox.build(&["--smoke"]);
}

/// The tree is at its final place, and nothing of a check gets into the package or stays on the host.
#[test]
fn a_check_leaves_no_trace() {
    let sandbox = Sandbox::new();
    let plain = std::fs::read(sandbox.build(&[])).expect("it was written");
    sandbox
        .file("mkpkg.toml", "check = ['touch /opt/acme/trace && python -c \"import acme.cli\"']\n");
    let checked = std::fs::read(sandbox.build(&[])).expect("it was written");
    assert!(plain == checked, "a check changed the package");
    assert!(!std::path::Path::new("/opt/acme").exists());
}

/// Bare code is the application, too: importing it must work.
#[test]
fn bare_code_is_tried() {
    let sandbox = Sandbox::empty();
    sandbox.file("requirements.txt", "");
    sandbox.file("app.py", "import gone\n");
    let outcome = sandbox.run(sandbox.deb(&["--smoke"]));
    assert_eq!(outcome.code(), 3, "{}", outcome.stderr);
}

/// A wheel that is not the application's is not tried: it may need what this host has not.
#[test]
fn other_distributions_are_not_imported() {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::new("rocket", "2.0").file("rocket.py", "import gone\n"));
    sandbox.build(&["--smoke"]);
}

/// A prefix below a directory this host does not have can still be tried.
#[test]
fn a_prefix_of_a_new_top_directory() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(sandbox.deb(&["--smoke", "--set", "prefix=/mkpkg-it/acme"]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
}
