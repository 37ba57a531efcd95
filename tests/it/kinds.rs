//! Kinds of projects, from the wheelhouse.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::deb::{Entry, payload};
use crate::sandbox::{Failures, Sandbox};
use crate::wheel::Wheel;

fn build(sandbox: &Sandbox, args: &[&str]) -> (String, BTreeMap<String, Entry>) {
    let package = sandbox.build(&[&["--compression", "gzip:1"], args].concat());
    let name = package.file_name().expect("it has a name").to_string_lossy().into_owned();
    (name, payload(&package))
}

#[test]
fn buildable() {
    for (case, files) in [
        ("static", &[("pyproject.toml", "[project]\nname = 'acme'\nversion = '1.0'\n")][..]),
        ("dynamic", &[("pyproject.toml", "[project]\nname = 'acme'\ndynamic = ['version']\n")]),
        (
            "poetry",
            &[("pyproject.toml", "[build-system]\nrequires = []\n[tool.poetry]\nname = 'acme'\n")],
        ),
        ("setup.cfg", &[("setup.cfg", "[metadata]\nname = acme\nversion = attr: acme.V\n")]),
        ("setup.py", &[("setup.py", "setup(name='acme')\nraise SystemExit('not run')\n")]),
        (
            "setup.py and setup.cfg",
            &[
                ("setup.py", "setup(name=\"acme\")"),
                ("setup.cfg", "[bdist_wheel]\nuniversal = 1\n"),
            ],
        ),
        (
            "both",
            &[
                ("pyproject.toml", "[build-system]\nrequires = []\n"),
                ("setup.py", "setup(name = 'acme')"),
            ],
        ),
    ] {
        let sandbox = Sandbox::empty();
        sandbox.wheel(&Wheel::acme().metadata("Requires-Dist: rocket\n"));
        sandbox.wheel(&Wheel::new("rocket", "2.0").file("rocket.py", ""));
        for (path, text) in files {
            sandbox.file(path, text);
        }
        let (name, payload) = build(&sandbox, &[]);
        assert_eq!(name, "acme_1.0-1_all.deb", "{case}");
        let link = &payload["/usr/bin/acme"].target;
        assert_eq!(link.as_deref(), Some("/opt/acme/bin/acme"), "{case}");
        assert!(payload.contains_key("/opt/acme/lib/python3.11/site-packages/rocket.py"), "{case}");
    }
}

/// Code beside its requirements, with templates, tests and what must not be shipped.
fn bare() -> Sandbox {
    let sandbox = Sandbox::empty();
    sandbox.wheel(&Wheel::new("rocket", "2.0").file("rocket.py", ""));
    for (path, text) in [
        ("requirements.txt", "rocket==2.0\n"),
        ("mkpkg.toml", "name = 'board'\nversion = '3.1'\nmaintainer = 'Ann <ann@acme.example>'\n"),
        ("board/__init__.py", ""),
        ("board/app.py", "import rocket\n"),
        ("board/templates/index.html", "<p>\n"),
        ("manage.py", "#!/usr/bin/env python3\n"),
        (".env", "SECRET=1\n"),
        (".git/config", "[remote]\n"),
        ("venv/pyvenv.cfg", "home = /usr\n"),
        ("venv/lib/x.py", ""),
        ("board/__pycache__/app.cpython-311.pyc", "stale"),
    ] {
        sandbox.file(path, text);
    }
    sandbox
}

#[test]
fn bare_requirements_and_code() {
    let (name, payload) = build(&bare(), &[]);
    assert_eq!(name, "board_3.1-1_all.deb");
    let code: Vec<_> = payload
        .iter()
        .filter(|(path, entry)| path.starts_with("/opt/board/app/") && entry.kind.is_file())
        .map(|(path, _)| path.strip_prefix("/opt/board/app/").unwrap_or_default())
        .collect();
    let expected = [
        "__pycache__/manage.cpython-311.pyc",
        "board/__init__.py",
        "board/__pycache__/__init__.cpython-311.pyc",
        "board/__pycache__/app.cpython-311.pyc",
        "board/app.py",
        "board/templates/index.html",
        "manage.py",
    ];
    assert_eq!(code, expected);
    let pth = &payload["/opt/board/lib/python3.11/site-packages/board.pth"];
    assert_eq!(pth.content, b"/opt/board/app\n");
}

/// A wheelhouse and an output directory inside the project are not part of it.
#[test]
fn bare_code_does_not_hold_wheels_and_packages() {
    let sandbox = bare();
    let rocket = Wheel::new("rocket", "2.0").file("rocket.py", "");
    sandbox.file(&format!("wheels/{}", rocket.file_name()), rocket.bytes());
    for _ in 0..2 {
        let command = sandbox.mkpkg(&[
            "deb",
            "--wheelhouse",
            "wheels",
            "-o",
            "packages",
            "--compression",
            "gzip:1",
        ]);
        let outcome = sandbox.run(command);
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    }
    let payload = payload(&sandbox.path("project/packages/board_3.1-1_all.deb"));
    let strays: Vec<_> =
        payload.keys().filter(|path| path.ends_with(".whl") || path.ends_with(".deb")).collect();
    assert_eq!(strays, [""; 0]);
}

#[test]
fn bare_code_that_cannot_be_packed() {
    let mut failures = Failures::default();
    let links: [(&str, &str); 4] = [
        ("link out of the project", "../../etc/passwd"),
        ("link to the host", "/etc/passwd"),
        ("link that climbs in the middle", "board/../../../../etc/passwd"),
        ("link to its own directory's parent", ".."),
    ];
    for (case, target) in links {
        let sandbox = bare();
        symlink(target, sandbox.path("project/link")).expect("the name is free");
        failures.deb(case, &sandbox, &[]);
    }
    use std::os::unix::ffi::OsStrExt;
    let sandbox = bare();
    let name = std::ffi::OsStr::from_bytes(b"board/caf\xe9.py");
    std::fs::write(sandbox.path("project").join(name), "").expect("file systems take any byte");
    failures.deb("name that is not UTF-8", &sandbox, &[]);
    for (case, name) in [
        ("name with a newline", "board/a\nb.py".to_owned()),
        ("name of 247 bytes", format!("board/{}", "x".repeat(247))),
    ] {
        let sandbox = bare();
        sandbox.file(&name, "");
        failures.deb(case, &sandbox, &[]);
    }
    failures.check("bad_bare");
}

/// Links inside the project stay links.
#[test]
fn bare_code_with_a_link() {
    let sandbox = bare();
    symlink("board/templates", sandbox.path("project/templates")).expect("the name is free");
    let (_, payload) = build(&sandbox, &[]);
    assert_eq!(payload["/opt/board/app/templates"].target.as_deref(), Some("board/templates"));
}

/// A project whose directory has the name of a distribution it uses is still not that distribution.
#[test]
fn bare_code_in_a_directory_named_like_a_requirement() {
    let sandbox = bare();
    sandbox.write("rocket/requirements.txt", "rocket==2.0\n");
    sandbox.write("rocket/main.py", "");
    let rocket = sandbox.path("rocket").display().to_string();
    let outcome = sandbox.run(sandbox.deb(&[&rocket, "--version", "9"]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    assert!(Path::new(&sandbox.path("out/rocket_9-1_all.deb")).is_file(), "{}", outcome.stdout);
}
