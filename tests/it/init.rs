//! `mkpkg init`: the configuration a project starts with.

use std::fs;

use crate::sandbox::{Failures, Sandbox};

#[test]
fn a_configuration_to_start_with() {
    let sandbox = Sandbox::new();
    sandbox.file("uv.lock", "version = 1\n");
    let outcome = sandbox.run(sandbox.mkpkg(&["init"]));
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (0, "mkpkg.toml\n"), "{outcome:?}");
    let text = fs::read_to_string(sandbox.path("project/mkpkg.toml")).expect("it was written");
    for line in ["# name = \"acme\" ", "# version = \"1.0\" ", "# requirements = [\"uv.lock\"] "] {
        assert!(text.contains(line), "{text}");
    }
    // It changes nothing.
    fs::remove_file(sandbox.path("project/uv.lock")).expect("it was written above");
    sandbox.build(&["--compression", "gzip:1"]);
}

#[test]
fn in_pyproject() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(sandbox.mkpkg(&["init", "--pyproject", "../project"]));
    assert_eq!(outcome.stdout, "../project/pyproject.toml\n", "{}", outcome.stderr);
    let text = fs::read_to_string(sandbox.path("project/pyproject.toml")).expect("it is there");
    let start = "[project]\nname = 'acme'\nversion = '1.0'\n\n[tool.mkpkg]\n# How";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(sandbox.left("project"), ["pyproject.toml"]);
    sandbox.build(&["--compression", "gzip:1"]);
}

#[test]
fn the_schema_is_printed() {
    let sandbox = Sandbox::empty();
    let outcome = sandbox.run(sandbox.mkpkg(&["init", "--schema"]));
    assert_eq!(outcome.stdout, include_str!("../../docs/config.schema.json"));
}

#[test]
fn nothing_is_overwritten() {
    let mut failures = Failures::default();
    let mut check = |case: &str, files: &[(&str, &str)], args: &[&str]| {
        let sandbox = Sandbox::empty();
        for (path, text) in files {
            sandbox.file(path, text);
        }
        let before = sandbox.left("project");
        failures.command(case, &sandbox, sandbox.mkpkg(&[&["init"], args].concat()));
        assert_eq!(sandbox.left("project"), before, "{case}");
    };
    let project = ("pyproject.toml", "[project]\nname = 'acme'\nversion = '1.0'\n");
    let configured = ("pyproject.toml", "[project]\nname = 'acme'\n[tool.mkpkg]\nrelease = '2'\n");
    check("mkpkg.toml is there", &[project, ("mkpkg.toml", "")], &[]);
    check("and with the other home", &[project, ("mkpkg.toml", "")], &["--pyproject"]);
    check("pyproject.toml has the table", &[configured], &[]);
    check("no pyproject.toml", &[("requirements.txt", "")], &["--pyproject"]);
    check("no project", &[], &[]);
    check("no directory", &[], &["gone"]);
    failures.check("bad_init");
}
