//! `mkpkg why`, of a project and of its package, with a root file system made for the test.

use crate::libraries::{rocket, sandbox};
use crate::sandbox::{Failures, Sandbox};
use crate::snapshot;

const ROOT: [&str; 2] = ["--sysroot", "../root"];

/// What is told of `name`; of the project `.` or of a package.
fn told(sandbox: &Sandbox, package: &str, name: &str, args: &[&str]) -> String {
    let mut command = sandbox.mkpkg(&["why", package, name]);
    command.args(ROOT).args(args);
    let outcome = sandbox.run(command);
    assert_eq!(outcome.code(), 0, "{name}: {}", outcome.stderr);
    outcome.stdout
}

#[test]
fn project_and_package_give_the_same_answers() {
    let sandbox = sandbox(rocket());
    let package = sandbox.build(&ROOT).display().to_string();
    let project = ["--wheelhouse", "../wheels"];
    let mut text = String::new();
    for name in [
        "base1",
        "base1 (>= 1.0)",
        "libbase.so.1",
        "BASE_2",
        "base_one@BASE_1",
        "rocket",
        "user.so",
        "acme",
        "python3.11",
    ] {
        let answer = told(&sandbox, &package, name, &["--all"]);
        assert_eq!(told(&sandbox, ".", name, &[&project[..], &["--all"]].concat()), answer);
        text.push_str(&format!("$ mkpkg why PACKAGE '{name}' --all\n{answer}\n"));
    }
    text.push_str(&told(&sandbox, &package, "base1", &[]));
    text.push_str(&told(&sandbox, &package, "base1", &["--json"]));
    snapshot::check("why", &text);
    assert_eq!(sandbox.left("tmp"), [""; 0]);
}

#[test]
fn what_a_package_declares_otherwise_is_said() {
    let sandbox = sandbox(rocket());
    let add = "dependencies.add=[\"redis\", \"base1 (>= 3)\"]";
    let package = sandbox.build(&[&ROOT[..], &["--set", add]].concat()).display().to_string();
    let lines = |name: &str| -> Vec<String> {
        told(&sandbox, &package, name, &[]).lines().map(str::to_owned).collect()
    };
    let reason = "because no file asks for it here: the configuration of the build did, or it is for another `--target`";
    assert_eq!(lines("redis")[2], reason);
    assert_eq!(lines("base1")[2], "because its files alone ask for less here");
    sandbox.write(
        "root/var/lib/dpkg/info/base1.symbols",
        "libbase.so.1 base1 #MINVER#\n base_one@BASE_1 1.0\n base_two@BASE_2 4\n",
    );
    let found = lines("base1");
    assert_eq!(found[0], "needs base1 (>= 4), for 1 file of 1 distribution");
    assert_eq!(found[1], "because `Depends` lists `base1 (>= 3)`");
    assert_eq!(found[2], "because its files ask for more here than the package declares");
    std::fs::remove_file(sandbox.path("root/usr/lib/libbase.so.1")).expect("it is there");
    let text = told(&sandbox, &package, "libbase.so.1", &[]);
    assert!(
        text.contains("\n    -> libbase.so.1 -> BASE_2 -> no package that is known here\n"),
        "{text}"
    );
    let weak = [
        "--wheelhouse",
        "../wheels",
        "--set",
        "dependencies.rename={ \"libbase.so.1\" = \"other\" }",
    ];
    let text = told(&sandbox, ".", "other", &weak);
    assert!(text.contains("because `dependencies.rename` lists it\n"), "{text}");
}

#[test]
fn an_rpm_tells_the_same_as_its_project() {
    let sandbox = sandbox(rocket());
    let package = sandbox.built(sandbox.rpm(&[])).display().to_string();
    let project = ["--wheelhouse", "../wheels", "--set", "formats=[\"rpm\"]", "--all"];
    for name in ["libbase.so.1", "BASE_2", "rocket", "/usr/bin/python3.11"] {
        let answer = told(&sandbox, &package, name, &["--all"]);
        assert_eq!(told(&sandbox, ".", name, &project), answer, "{name}");
    }
    let text = told(&sandbox, &package, "BASE_2", &[]);
    assert!(text.contains("-> libbase.so.1(BASE_2)(64bit)\n"), "{text}");
    let text = told(&sandbox, &package, "coreutils", &[]);
    assert!(text.contains("because `Requires(postun)` lists `coreutils`"), "{text}");
}

#[test]
fn refusals() {
    let mut failures = Failures::default();
    let sandbox = sandbox(rocket());
    let package = sandbox.build(&ROOT).display().to_string();
    let rpm = sandbox.write("x.rpm", b"\xed\xab\xee\xdb and more").display().to_string();
    let text = sandbox.write("x.txt", "no package").display().to_string();
    for (case, package, name) in [
        ("what is not needed", package.as_str(), "postgres"),
        ("what is misspelt", &package, "libbase.so"),
        ("a package that is not there", "gone.deb", "base1"),
        ("a damaged .rpm", &rpm, "base1"),
        ("no package", &text, "base1"),
    ] {
        let mut command = sandbox.mkpkg(&["why", package, name]);
        command.args(ROOT);
        failures.command(case, &sandbox, command);
    }
    failures.check("bad_why");
}
