//! Projects, configurations, interpreters and settings mkpkg cannot work with.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::sandbox::{Failures, Sandbox};
use crate::wheel::Wheel;

/// A project by its files, and what is wrong with it.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);

/// One refusal for each project; the wheelhouse holds `acme` 1.0.
fn check(snapshot: &str, cases: &[Case]) {
    let mut failures = Failures::default();
    for (case, files, args) in cases {
        let sandbox = Sandbox::empty();
        sandbox.wheel(&Wheel::acme());
        for (path, text) in *files {
            sandbox.file(path, text);
        }
        failures.deb(case, &sandbox, args);
    }
    failures.check(snapshot);
}

const SOUND: &str = "[project]\nname = 'acme'\nversion = '1.0'\n";

#[test]
fn projects() {
    check(
        "bad_project",
        &[
            ("no project", &[("main.py", "")], &[]),
            ("only tools configured", &[("pyproject.toml", "[tool.black]\n")], &[]),
            ("no such directory", &[], &["../gone"]),
            ("a file", &[("acme.py", "")], &["acme.py"]),
            ("malformed TOML", &[("pyproject.toml", "[project\nname = 'acme'\n")], &[]),
            ("TOML of another shape", &[("pyproject.toml", "project = 'acme'\n")], &[]),
            (
                "names disagree",
                &[("pyproject.toml", SOUND), ("setup.cfg", "[metadata]\nname = other\n")],
                &[],
            ),
            (
                "versions disagree",
                &[("pyproject.toml", SOUND), ("setup.cfg", "[metadata]\nversion = 1.1\n")],
                &[],
            ),
            (
                "the wheel is of another version",
                &[("pyproject.toml", "[project]\nname = 'acme'\nversion = '1.1'\n")],
                &[],
            ),
            ("the wheel is missing", &[("pyproject.toml", "[project]\nname = 'other'\n")], &[]),
            ("invalid name", &[("pyproject.toml", "[project]\nname = 'a c/me'\n")], &[]),
            ("name of an escape", &[("pyproject.toml", "[project]\nname = \"\\u001b[2J\"\n")], &[]),
            (
                "invalid version",
                &[("pyproject.toml", "[project]\nname = 'acme'\nversion = '1.0-final-2'\n")],
                &[],
            ),
            (
                "invalid version in the configuration",
                &[("pyproject.toml", SOUND)],
                &["--version", "v one"],
            ),
            ("invalid package name", &[("pyproject.toml", SOUND)], &["--set", "name=Acme_Web"]),
            ("invalid release", &[("pyproject.toml", SOUND)], &["--release", "1-2"]),
            ("release with a path", &[("pyproject.toml", SOUND)], &["--release", "../../x"]),
            ("no wheelhouse", &[("pyproject.toml", SOUND)], &["--wheelhouse", "gone"]),
            ("compression", &[("pyproject.toml", SOUND)], &["--compression", "brotli"]),
            ("compression level", &[("pyproject.toml", SOUND)], &["--compression", "xz:99"]),
            ("release of a distribution", &[("pyproject.toml", SOUND)], &["--target", "debian:7"]),
        ],
    );
}

/// What is wrong with a configuration, and its text.
const CONFIGURATIONS: &[(&str, &str)] = &[
    ("unknown key", "requirments = []"),
    ("unknown key nothing is like", "zzz = 1"),
    ("unknown key of a table", "[deb]\nsektion = 'web'"),
    ("service without a command", "[services.web]\nsandbox = 'strict'"),
    ("service with a command nobody installs", "[services.web]\nexec = 'gunicrn acme'"),
    ("service with a relative path", "[services.web]\nexec = 'bin/acme'"),
    ("service with two lines of a command", "[services.web]\nexec = \"acme\\nUser=root\""),
    (
        "service with two lines of a description",
        "[services.web]\nexec = 'acme'\ndescription = \"a\\nb\"",
    ),
    ("service with a type nobody knows", "[services.web]\nexec = 'acme'\ntype = 'dbus'"),
    ("service with a key that is misspelt", "[services.web]\nexce = 'acme'"),
    ("service with a key that cannot name a unit", "[services.'a/b']\nexec = 'acme'"),
    (
        "service with a directive of two lines",
        "[services.web]\nexec = 'acme'\ndirectives = { Service = { Nice = \"1\\nUser=root\" } }",
    ),
    (
        "service with a section nobody knows",
        "[services.web]\nexec = 'acme'\ndirectives = { Servise = { Nice = 1 } }",
    ),
    (
        "service with a variable that is none",
        "[services.web]\nexec = 'acme'\nenvironment = { 'A B' = 'c' }",
    ),
    (
        "service with a variable of two lines",
        "[services.web]\nexec = 'acme'\nenvironment = { A = \"b\\nc\" }",
    ),
    ("timer that never elapses", "[services.web]\nexec = 'acme'\ntimer = { persistent = true }"),
    ("socket that listens on nothing", "[services.web]\nexec = 'acme'\nsocket = { backlog = 5 }"),
    (
        "template with a timer",
        "[services.'web@']\nexec = 'acme'\ntimer = { on-calendar = 'daily' }",
    ),
    ("unit file that is not there", "[services.web]\nunit = 'packaging/web.service'"),
    ("unit file and a command", "[services.web]\nunit = 'packaging/web.service'\nexec = 'acme'"),
    ("user", "[user]\nname = 'Acme Web'"),
    ("service with a quote that stays open", "[services.web]\nexec = \"acme don't\""),
    ("service with a path that is not there", "[services.web]\nexec = '/opt/acme/bin/acmee'"),
    (
        "service with [Install] beside a timer",
        "[services.web]\nexec = 'acme'\ntimer = { on-calendar = 'daily' }\ndirectives = { Install = { alias = 'x.service' } }",
    ),
    (
        "socket with a service for each connection",
        "[services.web]\nexec = 'acme'\nsocket = { listen-stream = 80, accept = true }",
    ),
    (
        "services of a package called as a directory of hosts",
        "name = 'journal'\n[services.web]\nexec = 'acme'",
    ),
    (
        "services of a package called as a unit of hosts",
        "name = 'rescue'\n[services.main]\nexec = 'acme'",
    ),
    (
        "services that could change their code",
        "prefix = '/var/lib/acme'\n[services.main]\nexec = 'acme'",
    ),
    (
        "services that cannot see their code",
        "prefix = '/home/acme'\n[services.main]\nexec = 'acme'",
    ),
    ("account that hosts have", "[user]\nname = 'shadow'\n[services.main]\nexec = 'acme'"),
    ("group", "[user]\ngroups = ['a:b']\n[services.web]\nexec = 'acme'"),
    ("script that is not there", "[scripts]\nafter-install = 'packaging/after.sh'"),
    ("moment there is no script for", "[scripts]\nafter-purge = 'packaging/after.sh'"),
    ("malformed TOML", "name = "),
    ("number for a text", "release = 1"),
    ("prefix with a space", "prefix = '/opt/ac me'"),
    ("prefix with a quote", "prefix = \"/opt/ac'me\""),
    ("prefix with a newline", "prefix = \"/opt/ac\\nme\""),
    ("prefix with a variable", "prefix = '/opt/$HOME'"),
    ("prefix that is relative", "prefix = 'opt/acme'"),
    ("prefix that is empty", "prefix = ''"),
    ("prefix of the system", "prefix = '/usr/lib'"),
    ("prefix at the top", "prefix = '/opt'"),
    ("prefix that climbs", "prefix = '/opt/../etc'"),
    ("prefix with two slashes", "prefix = '/opt//acme'"),
    ("maintainer without address", "maintainer = 'Ann'"),
    ("maintainer with a field", "maintainer = \"Ann <ann@acme.example>\\nDepends: evil <x@y>\""),
    ("section with a field", "[deb]\nsection = \"web\\nDepends: evil\""),
    ("priority", "[deb]\npriority = 'urgent'"),
    ("raw field with a field", "[deb]\nfields = { X-Acme = \"a\\nDepends: evil\" }"),
    ("raw field with a colon", "[deb]\nfields = { 'X: y' = 'z' }"),
    ("raw field that is set", "[deb]\nfields = { Package = 'evil' }"),
    ("relation with a field", "[dependencies]\nadd = [\"a1\\nDepends: evil\"]"),
    ("relation that is two", "[dependencies]\nadd = ['a1, b1']"),
    ("exclude that is no pattern", "exclude = ['[']"),
    ("bin of a command that is not there", "bin = ['acne']"),
    ("bin with a path", "bin = ['../acme']"),
    (
        "files to a place of the system",
        "[[files]]\nsource = 'mkpkg.toml'\ntarget = '/usr/bin/acme'",
    ),
    (
        "files among byte code",
        "[[files]]\nsource = 'mkpkg.toml'\ntarget = '/opt/acme/lib/__pycache__/x.cpython-311.pyc'",
    ),
    ("files that climb", "[[files]]\nsource = 'mkpkg.toml'\ntarget = '/etc/../usr/bin/acme'"),
    ("files that are not there", "[[files]]\nsource = 'gone'\ntarget = '/etc/acme'"),
    (
        "files with a setuid bit",
        "[[files]]\nsource = 'mkpkg.toml'\ntarget = '/etc/acme.conf'\nmode = '4755'",
    ),
    (
        "files over the interpreter",
        "[[files]]\nsource = 'mkpkg.toml'\ntarget = '/opt/acme/bin/python'",
    ),
];

#[test]
fn configurations() {
    let mut failures = Failures::default();
    for (case, text) in CONFIGURATIONS {
        let sandbox = Sandbox::new();
        sandbox.file("mkpkg.toml", text);
        failures.deb(case, &sandbox, &[]);
    }
    let long = format!("prefix=/opt/{}", "x".repeat(120));
    let settings: [(&str, &[&str]); 5] = [
        ("too long", &["--set", &long]),
        ("unknown", &["--set", "colour=red"]),
        ("of a table that is none", &["--set", "name.x=1"]),
        ("without value", &["--set", "name"]),
        ("of a type", &["--set", "byte-compile=perhaps"]),
    ];
    for (case, args) in settings {
        failures.deb(&format!("setting: {case}"), &Sandbox::new(), args);
    }
    let sandbox = Sandbox::new();
    sandbox.file("mkpkg.toml", "");
    sandbox.file("pyproject.toml", format!("{SOUND}[tool.mkpkg]\nrelease = '2'\n"));
    failures.deb("two configurations", &sandbox, &[]);
    failures.check("bad_configuration");
}

#[test]
fn commands_of_the_system_are_not_taken() {
    let mut failures = Failures::default();
    for name in ["pip", "pip3.11", "ls", "idle", "2to3", "dpkg"] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&Wheel::acme().command(&format!("{name} = acme.cli:main")));
        failures.deb(name, &sandbox, &["--set", &format!("bin=['{name}']")]);
        failures.deb(&format!("{name} by default"), &sandbox, &[]);
    }
    failures.check("bad_bin");
}

/// A program that answers every question with `script`.
fn fake(sandbox: &Sandbox, script: &str) -> String {
    let path = sandbox.write("fake/python", format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    path.display().to_string()
}

#[test]
fn interpreters() {
    let mut failures = Failures::default();
    let scripts = [
        // What Python 2.7 answers to the question for its version.
        ("Python 2", "printf 'too old: 2.7'"),
        ("Python 3.6", "printf 'too old: 3.6'"),
        ("no Python at all", "echo hello"),
        ("one that fails", "echo 'no module named site' >&2; exit 1"),
        ("one that is killed", "kill -9 $$"),
        ("one that answers with another shape", "echo '{\"cache_tag\": 1}'"),
    ];
    for (case, script) in scripts {
        let sandbox = Sandbox::new();
        let python = fake(&sandbox, script);
        failures.deb(case, &sandbox, &["--python", &python]);
    }
    let names: [(&str, &[&str]); 6] = [
        ("minor that is not there", &["--python", "3.4"]),
        ("name that is not there", &["--python", "python9"]),
        ("path that is not there", &["--python", "/nowhere/python3"]),
        ("a directory", &["--python", "/usr/bin"]),
        ("a file that is no program", &["--python", "/etc/os-release"]),
        ("interpreter of another release", &["--target", "debian:11"]),
    ];
    for (case, args) in names {
        failures.deb(case, &Sandbox::new(), args);
    }
    failures.check("bad_interpreter");
}

#[test]
fn time_stamps() {
    let mut failures = Failures::default();
    for value in ["", "now", "-1", "1e9", "1700000000.5", "4294967296", "99999999999999999999"] {
        let sandbox = Sandbox::new();
        let mut command = sandbox.deb(&[]);
        command.env("SOURCE_DATE_EPOCH", value);
        failures.command(&format!("SOURCE_DATE_EPOCH={value}"), &sandbox, command);
    }
    failures.check("bad_time");
}

/// `mkpkg check` promises to find what is wrong before a build does.
#[test]
fn check_finds_faults_of_the_configuration() {
    let mut found = Vec::new();
    for setting in [
        "requirments=x",
        "prefix=relative",
        "name=Acme_Web",
        "maintainer=Ann",
        "release=1-2",
        "exclude=[",
        "bin=pip",
        "dependencies.add=a, b",
        "deb.priority=urgent",
    ] {
        let sandbox = Sandbox::new();
        let command = sandbox.mkpkg(&["check", "--wheelhouse", "../wheels", "--set", setting]);
        let outcome = sandbox.run(command);
        found.extend((outcome.code() == 0).then_some(setting));
    }
    assert_eq!(found, [""; 0]);
}

/// Directories that belong to the system, to links of the system, or to the kernel.
#[test]
fn prefixes_a_package_cannot_have() {
    let prefixes = [
        "/opt/",
        "/usr/",
        "/usr/lib/",
        "/etc/",
        "//",
        "/lib/acme",
        "/bin/acme",
        "/dev/acme",
        "/proc/acme",
        "/run/acme",
    ];
    let built = prefixes.map(|prefix| {
        let sandbox = Sandbox::new();
        sandbox.run(sandbox.deb(&["--set", &format!("prefix={prefix}")])).code() == 0
    });
    let built: Vec<_> =
        prefixes.iter().zip(built).filter(|(_, built)| *built).map(|(prefix, _)| *prefix).collect();
    assert_eq!(built, [""; 0]);
}

/// On Debian 12 these are in `/bin`, so dpkg does not notice when a package has them in `/usr/bin`.
#[test]
fn commands_every_host_has_in_bin() {
    let mut taken = Vec::new();
    for name in [
        "cat",
        "mount",
        "ip",
        "ss",
        "ps",
        "kmod",
        "ping",
        "systemctl",
        "journalctl",
        "udevadm",
        "login",
        "su",
    ] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&Wheel::acme().command(&format!("{name} = acme.cli:main")));
        taken.extend((sandbox.run(sandbox.deb(&[])).code() == 0).then_some(name));
    }
    assert_eq!(taken, [""; 0]);
}
