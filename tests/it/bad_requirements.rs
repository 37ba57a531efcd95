//! Locks and requirements that cannot be met from the wheelhouse.

use crate::digest::{hex, sha256, sha512};
use crate::sandbox::{Failures, Sandbox};
use crate::wheel::Wheel;

/// A line of a requirements file with the true hash of `wheel`.
fn pin(wheel: &Wheel, requirement: &str) -> String {
    format!("{requirement} --hash=sha256:{}\n", hex(&sha256(&wheel.bytes())))
}

fn rocket() -> Wheel {
    Wheel::new("rocket", "2.0").file("rocket.py", "")
}

/// A project that requires `rocket`, whose wheel is there too.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::acme().metadata("Requires-Dist: rocket>=1\n"));
    sandbox.wheel(&rocket());
    sandbox
}

#[test]
fn locks() {
    let zeros = "0".repeat(64);
    let good = pin(&rocket(), "rocket==2.0");
    let mut failures = Failures::default();
    let cases: [(&str, Option<String>, &[&str]); 17] = [
        ("no lock", None, &["--locked"]),
        ("no hashes", Some("rocket==2.0\n".to_owned()), &["--locked"]),
        ("some hashes", Some(format!("{good}other==1\nthird==1\n")), &["--locked"]),
        ("hashes but no version", Some(pin(&rocket(), "rocket>=2")), &["--locked"]),
        (
            "weak hash",
            Some("rocket==2.0 --hash=md5:0123456789abcdef0123456789abcdef\n".into()),
            &[],
        ),
        ("another hash", Some(format!("rocket==2.0 --hash=sha256:{zeros}\n")), &[]),
        ("hash cut short", Some("rocket==2.0 --hash=sha256:00\n".into()), &[]),
        ("another version", Some("rocket==3.0\n".into()), &[]),
        ("another distribution", Some("missile==1.0\n".into()), &[]),
        ("pinned twice", Some("rocket==2.0\nrocket==2.1\n".into()), &[]),
        ("editable", Some("-e ./lib\n".into()), &[]),
        ("editable repository", Some("-e git+https://u:secret@x.example/a#egg=a\n".into()), &[]),
        ("unknown option", Some("--frobnicate\n".into()), &[]),
        ("no requirement", Some("rocket=2.0\n".into()), &[]),
        ("includes itself", Some("-r requirements.txt\n".into()), &[]),
        ("includes what is not there", Some("-r gone.txt\n".into()), &[]),
        ("escape", Some("rocket==2.0\u{1b}[2J\n".into()), &[]),
    ];
    for (case, text, args) in cases {
        let sandbox = project();
        if let Some(text) = text {
            sandbox.file("requirements.txt", text);
        }
        failures.deb(case, &sandbox, args);
    }
    let sandbox = project();
    sandbox.file("requirements.txt", b"rocket==2.0 # \xff\n");
    failures.deb("not UTF-8", &sandbox, &[]);
    failures.deb("file that is not there", &sandbox, &["--requirements", "gone.txt"]);
    failures.check("bad_locks");
}

/// Every way a `pylock.toml` can be wrong on the way to a wheel.
#[test]
fn pylock() {
    let zeros = "0".repeat(64);
    let lock = |head: &str, package: &str| {
        format!("{head}\ncreated-by = 'hand'\n[[packages]]\nname = 'rocket'\n{package}\n")
    };
    let wheel = |hash: &str| {
        let name = "rocket-2.0-py3-none-any.whl";
        lock(
            "lock-version = '1.0'",
            &format!("version = '2.0'\nwheels = [{{ url = 'https://x.example/{name}', {hash} }}]"),
        )
    };
    let mut failures = Failures::default();
    for (case, text) in [
        ("lock-version 2", lock("lock-version = '2.0'", "version = '2.0'")),
        (
            "another Python",
            lock("lock-version = '1.0'\nrequires-python = '>=3.12'", "version = '2.0'"),
        ),
        ("another hash", wheel(&format!("hashes = {{ sha256 = '{zeros}' }}"))),
        ("no TOML", "lock-version = ".to_owned()),
    ] {
        let sandbox = project();
        sandbox.file("pylock.toml", text);
        failures.deb(case, &sandbox, &[]);
    }
    let sandbox = project();
    sandbox.file("pylock.toml", wheel("hashes = {}"));
    failures.deb("no hash", &sandbox, &["--locked"]);
    failures.check("bad_pylock");
}

#[test]
fn wheels_that_are_missing() {
    let mut failures = Failures::default();
    for (case, lines) in [
        ("one", "Requires-Dist: gone>=1\n"),
        ("three", "Requires-Dist: gone\nRequires-Dist: lost\nRequires-Dist: away\n"),
        ("one under a marker that holds", "Requires-Dist: gone; python_version >= '3.8'\n"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&Wheel::acme().metadata(lines));
        failures.deb(case, &sandbox, &[]);
    }
    let sandbox = Sandbox::new();
    sandbox.wheel(
        &Wheel::acme().metadata("Provides-Extra: fast\nRequires-Dist: gone; extra == 'fast'\n"),
    );
    failures.deb("one of an extra", &sandbox, &["--extra", "fast"]);
    let sandbox = project();
    sandbox.wheel(&Wheel::new("rocket", "2.1").file("rocket.py", ""));
    failures.deb("two versions of one", &sandbox, &[]);
    failures.check("bad_missing");
}

#[test]
fn what_can_be_met() {
    let sandbox = project();
    sandbox.file("requirements.txt", pin(&rocket(), "rocket==2.0"));
    sandbox.build(&["--locked"]);
    for lines in [
        "Requires-Dist: gone; python_version < '3'\n",
        "Requires-Dist: gone; extra == 'fast'\n",
        "Requires-Dist: this is no requirement\n",
    ] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&Wheel::acme().metadata(lines));
        sandbox.build(&[]);
    }
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::acme().metadata("Requires-Dist: gone\n"));
    sandbox.build(&["--set", "allow-missing=gone"]);
}

/// A version another wheel does not want is told, not refused: locks may override.
#[test]
fn another_version_is_warned_of() {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::acme().metadata("Requires-Dist: rocket<2\n"));
    sandbox.wheel(&rocket());
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 0);
    assert_eq!(
        outcome.warnings(),
        ["warning: `acme 1.0` requires `rocket<2`, the package has 2.0"]
    );
}

/// The hash of the only algorithm a lock has must count, whichever it is.
#[test]
fn a_sha512_that_does_not_match_is_refused() {
    let sandbox = project();
    let lock = |hash: &str| format!("rocket==2.0 --hash=sha512:{hash}\n");
    sandbox.file("requirements.txt", lock(&"0".repeat(128)));
    let outcome = sandbox.run(sandbox.deb(&["--locked"]));
    assert_eq!(outcome.code(), 3, "{}", outcome.stderr);
    sandbox.file("requirements.txt", lock(&hex(&sha512(&rocket().bytes()))));
    sandbox.build(&["--locked"]);
}

/// What a requirement asks for through an extra of another distribution is needed, too.
#[test]
fn an_extra_of_a_requirement_is_followed() {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::acme().metadata("Requires-Dist: rocket[fast]\n"));
    sandbox
        .wheel(&rocket().metadata("Provides-Extra: fast\nRequires-Dist: gone; extra == 'fast'\n"));
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 3, "{}", outcome.stderr);
}

/// pip and uv refuse such a wheel; so must we when neither runs.
#[test]
fn a_wheel_for_another_python_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::acme().metadata("Requires-Python: >=3.12\n"));
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 4, "{}", outcome.stderr);
}

/// `pip wheel -r requirements.txt -w wheels` makes a wheelhouse that holds more than the file lists.
#[test]
fn requirements_that_are_not_locked_do_not_drop_wheels() {
    let sandbox = Sandbox::empty();
    sandbox.file("requirements.txt", "rocket\n");
    sandbox.wheel(&rocket().metadata("Requires-Dist: fuel\n"));
    sandbox.wheel(&Wheel::new("fuel", "1.0").file("fuel.py", ""));
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
}

/// A repository has no file name to tell what it is; it must not be left out without a word.
#[test]
fn a_requirement_without_a_name_is_not_forgotten() {
    let sandbox = Sandbox::empty();
    sandbox.file(
        "requirements.txt",
        "git+https://x.example/rocket@0123456789012345678901234567890123456789\n",
    );
    sandbox.file("app.py", "");
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 2, "{}", outcome.stderr);
}
