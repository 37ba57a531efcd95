//! `layout = "releases"`: one build makes the package of a release and that of the application.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::sandbox::{Failures, Sandbox};
use crate::wheel::Wheel;

/// An application with a service, two commands, and files of its own.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("any", "any\n");
    let files = ["/etc/acme/acme.toml", "/opt/acme/logo.svg"];
    let files = files.map(|at| format!("[[files]]\nsource = 'any'\ntarget = '{at}'\n")).concat();
    sandbox.file(
        "mkpkg.toml",
        format!(
            "layout = 'releases'\ncheck = [{{ run = 'true', on-install = true }}]\n\
             [dependencies]\nadd = ['redis']\n[deb]\nconflicts = ['acme-old']\n\
             [rpm]\nobsoletes = ['acme-old']\n\
             [services.main]\nexec = 'acme serve'\nenvironment-file = true\n{files}"
        ),
    );
    sandbox.wheel(&Wheel::acme());
    sandbox
}

/// What `mkpkg show --json` tells of a package.
fn shown(sandbox: &Sandbox, package: &str) -> Value {
    let outcome = sandbox.run(sandbox.mkpkg(&["show", "--json", &format!("../out/{package}")]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).expect("it is JSON")
}

/// Paths of a package with the targets of links, but for directories and what lies in `/usr/share`.
fn paths(package: &Value) -> BTreeMap<&str, &str> {
    let files = package["files"].as_array().expect("files are a list").iter();
    let files = files.filter(|file| file["kind"] != "dir");
    files
        .map(|file| {
            let text = |key: &str| file[key].as_str().unwrap_or_default();
            (text("path"), text("target"))
        })
        .filter(|(path, _)| !path.starts_with("/usr/share/"))
        .collect()
}

fn field<'v>(package: &'v Value, name: &str) -> &'v str {
    let fields = package["fields"].as_array().expect("fields are a list").iter();
    let found = fields.filter(|field| field[0] == name).find_map(|field| field[1].as_str());
    found.unwrap_or_default()
}

const DEBS: [&str; 2] = ["acme-1.0_1.0-1_all.deb", "acme_1.0-1_all.deb"];
const RPMS: [&str; 2] = ["acme-1.0-1.0-1.noarch.rpm", "acme-1.0-1.noarch.rpm"];

#[test]
fn one_build_makes_two_packages_of_each_format() {
    let sandbox = project();
    let outcome = sandbox.run(sandbox.package("build", &[]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let printed: Vec<_> =
        outcome.stdout.lines().filter_map(|line| line.rsplit('/').next()).collect();
    assert_eq!(printed, [DEBS, RPMS].concat());
    for (format, [release, application]) in [("deb", DEBS), ("rpm", RPMS)] {
        let (release, application) = (shown(&sandbox, release), shown(&sandbox, application));
        let (code, rest) = (paths(&release), paths(&application));
        assert!(code.keys().all(|path| path.starts_with("/opt/acme/releases/1.0/")), "{code:?}");
        assert_eq!(code["/opt/acme/releases/1.0/bin/python3.11"], "/usr/bin/python3.11");
        assert!(code.contains_key("/opt/acme/releases/1.0/bin/acme"), "{code:?}");
        assert_eq!(rest["/usr/bin/acme"], "/opt/acme/current/bin/acme");
        let environment = if format == "deb" { "/etc/default/acme" } else { "/etc/sysconfig/acme" };
        for path in [
            "/etc/acme/acme.toml",
            "/opt/acme/logo.svg",
            "/usr/lib/sysusers.d/acme.conf",
            "/usr/lib/systemd/system/acme.service",
            environment,
        ] {
            assert!(rest.contains_key(path), "{format} {path}: {rest:?}");
        }
        assert!(!rest.keys().any(|path| path.contains("/releases/")), "{rest:?}");
    }
}

#[test]
fn the_application_needs_its_release_and_the_release_all_else() {
    let sandbox = project();
    let outcome = sandbox.run(sandbox.package("build", &["--set", "version=1!1.0"]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let [release, application] =
        ["acme-1-1.0_1.0-1_all.deb", "acme_1.0-1_all.deb"].map(|name| shown(&sandbox, name));
    assert_eq!(field(&release, "Depends"), "python3.11, redis");
    assert_eq!(field(&release, "Conflicts"), "");
    let accounts = "systemd | systemd-standalone-sysusers | systemd-sysusers";
    let needs = field(&application, "Depends");
    assert_eq!(needs, format!("acme-1-1.0 (= 1:1.0-1), {accounts}"));
    assert_eq!(field(&application, "Conflicts"), "acme-old");
    let scripts = |package: &Value| {
        let scripts = package["scripts"].as_object().expect("scripts are a table");
        scripts.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert!(scripts(&release).contains("postinst preinst prerm"), "{}", scripts(&release));
    assert!(scripts(&application).contains("postinst postrm prerm"), "{}", scripts(&application));

    let (release, application) = ("acme-1-1.0-1.0-1.noarch.rpm", "acme-1.0-1.noarch.rpm");
    let [release, application] = [release, application].map(|name| {
        let shown = sandbox.run(sandbox.mkpkg(&["show", &format!("../out/{name}")]));
        shown.stdout
    });
    let has = |text: &str, words: &[&str], is_there: bool| {
        for word in words {
            assert_eq!(text.contains(word), is_there, "{word}: {text}");
        }
    };
    has(&release, &["/usr/bin/python3.11", "redis", "bundled(python3dist(acme))"], true);
    has(&release, &["acme-old", "systemctl"], false);
    has(&application, &["acme-1-1.0 = 1:1.0-1", "acme-old"], true);
    has(&application, &["/usr/bin/python3.11", "redis", "bundled("], false);
}

#[test]
fn bytes_depend_on_the_input_alone() {
    let build = || {
        let sandbox = project();
        let outcome = sandbox.run(sandbox.package("build", &[]));
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
        let read = |name: &str| fs::read(sandbox.path("out").join(name)).expect("it was written");
        [DEBS, RPMS].concat().into_iter().map(read).collect::<Vec<_>>()
    };
    assert!(build() == build(), "two builds differ");
}

#[test]
fn what_is_said_without_writing() {
    let sandbox = project();
    let plan = sandbox.run(sandbox.deb(&["--dry-run"]));
    let lines = plan.stdout.lines().filter_map(|line| line.strip_prefix("package: "));
    assert_eq!(lines.collect::<Vec<_>>(), DEBS, "{}", plan.stderr);
    let json = sandbox.run(sandbox.deb(&["--dry-run", "--json"]));
    let names = json.stdout.lines().map(|line| {
        let value: Value = serde_json::from_str(line).expect("a line is JSON");
        value["name"].as_str().map(str::to_owned)
    });
    assert_eq!(names.collect::<Vec<_>>(), [Some("acme-1.0".to_owned()), Some("acme".to_owned())]);
    assert!(!sandbox.path("out").exists());
    for (name, expected) in [
        ("acme-1.0", "it is the release this package makes the current one"),
        ("python3.11", "the application runs on `/usr/bin/python3.11`"),
    ] {
        let args = ["why", ".", name, "--wheelhouse", "../wheels"];
        let answer = sandbox.run(sandbox.mkpkg(&args));
        assert!(answer.stdout.contains(expected), "{}{}", answer.stdout, answer.stderr);
    }
    assert_eq!(sandbox.run(sandbox.mkpkg(&["check"])).code(), 0);
}

#[test]
fn the_application_follows_a_package_of_any_layout() {
    for format in ["deb", "rpm"] {
        for layout in ["layout=plain", "layout=releases"] {
            let sandbox = project();
            let name = if format == "deb" { "acme_1.0-0_all.deb" } else { "acme-1.0-0.noarch.rpm" };
            let old =
                sandbox.run(sandbox.package(format, &["--set", "release=0", "--set", layout]));
            assert_eq!(old.code(), 0, "{}", old.stderr);
            let new = sandbox.package(format, &["--previous", &format!("../out/{name}")]);
            let new = sandbox.run(new);
            assert_eq!(new.code(), 0, "{}", new.stderr);
        }
    }
}

#[test]
fn faults() {
    let mut failures = Failures::default();
    let long = format!("prefix=/opt/{}", "x".repeat(90));
    for (case, set) in [
        ("layout nobody knows", "layout=slots"),
        ("prefix that leaves no room for a version", long.as_str()),
        ("file in a release", "files=[{ source = 'any', target = '/opt/acme/releases/1.0/any' }]"),
        (
            "file in the current release",
            "files=[{ source = 'any', target = '/opt/acme/current/any' }]",
        ),
    ] {
        let sandbox = project();
        failures.deb(case, &sandbox, &["--set", set]);
    }
    let sandbox = project();
    let plain = Path::new("../out").join(DEBS[0]);
    assert_eq!(sandbox.run(sandbox.deb(&["--set", "release=0"])).code(), 0);
    let release = plain.display().to_string().replace("1.0-1_", "1.0-0_");
    failures.deb("a release to upgrade from", &sandbox, &["--previous", &release]);
    failures.check("bad_layout");
}
