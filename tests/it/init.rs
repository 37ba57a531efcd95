//! `mkpkg init`: the configuration a project starts with, and those made of `debian` directories.

use std::fs;
use std::path::Path;

use crate::sandbox::{Failures, Sandbox, is_there};
use crate::snapshot;

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

/// A folder, but for its rules.
fn describe(sandbox: &Sandbox, folder: &str) {
    let control = "Source: a\n\nPackage: acme\nDescription: a\n";
    sandbox.file(&format!("{folder}/control"), control);
    let changelog = "acme (1.0-1) unstable; urgency=low\n";
    sandbox.file(&format!("{folder}/changelog"), changelog);
}

/// A project of `fixtures/debian` in a sandbox of its own.
fn recipe(name: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/debian").join(name);
    let mut pending = vec![base.clone()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).expect("the fixture is there") {
            let path = entry.expect("the fixture is there").path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let below = path.strip_prefix(&base).expect("it was found below");
            let to = sandbox.path("project").join(below);
            fs::create_dir_all(to.parent().expect("it is below")).expect("the sandbox is ours");
            // Modes come along.
            fs::copy(&path, &to).expect("the sandbox is ours");
        }
    }
    sandbox
}

/// What an import says and writes.
fn imported(sandbox: &Sandbox, before: &[String], args: &[&str]) -> String {
    let outcome = sandbox.run(sandbox.mkpkg(&[&["init", "--from-debian"], args].concat()));
    let mut text = format!("exit {}\n{}{}", outcome.code(), outcome.stdout, outcome.stderr);
    for file in sandbox.left("project").iter().filter(|file| !before.contains(file)) {
        let path = sandbox.path("project").join(file);
        if path.is_file() {
            let written = fs::read_to_string(&path).expect("it was written");
            text += &format!("\n==> {file}\n{written}");
        }
    }
    assert_eq!(sandbox.left("tmp"), [""; 0]);
    text
}

#[test]
fn packages_of_dh_virtualenv() {
    if !is_there("packages_of_dh_virtualenv", "/usr/bin/make") {
        return;
    }
    for name in [
        "jupyterhub-like",
        "mold-like",
        "paasta-like",
        "sentry-like",
        "sentry-like-python2",
        "st2-like",
        "synapse-like",
        "wlanpi-like",
    ] {
        let sandbox = recipe(name);
        let before = sandbox.left("project");
        let text = imported(&sandbox, &before, &["debian"]);
        snapshot::check(&format!("import_{}", name.replace('-', "_")), &text);
        // Nothing is written over, and what was refused left nothing.
        let again = sandbox.run(sandbox.mkpkg(&["init", "--from-debian", "debian"]));
        assert_eq!(again.code(), 2, "{name}");
        if name == "sentry-like-python2" {
            assert_eq!(sandbox.left("project"), before);
        }
    }
}

#[test]
fn rules_are_run_when_asked() {
    if !is_there("rules_are_run_when_asked", "/usr/bin/make") {
        return;
    }
    let sandbox = recipe("synapse-like");
    let before = sandbox.left("project");
    let text = imported(&sandbox, &before, &["debian", "--run-rules"]);
    for line in [
        "exit 0",
        "prefix = \"/opt/venvs/hall-server\"",
        "extras = [\"all\", \"systemd\", \"test\"]",
        "requirements = [\"poetry.lock\"]",
        "# TODO(mkpkg): `--preinstall=lxml`: it stays in the environment there: add `lxml` to the requirements if the",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    // They ran in a copy.
    let new: Vec<_> =
        sandbox.left("project").into_iter().filter(|file| !before.contains(file)).collect();
    assert_eq!(new, ["debian/mkpkg", "debian/mkpkg/hall-server-py3.preinst", "mkpkg.toml"]);
}

#[test]
fn folders_that_are_no_recipe() {
    if !is_there("folders_that_are_no_recipe", "/usr/bin/make") {
        return;
    }
    let mut failures = Failures::default();
    let mut check = |case: &str, files: &[(&str, &str)], args: &[&str]| {
        let sandbox = Sandbox::empty();
        for (path, text) in files {
            sandbox.file(path, text);
        }
        let args = [&["init", "--from-debian", "debian"], args].concat();
        failures.command(case, &sandbox, sandbox.mkpkg(&args));
    };
    let control = ("debian/control", "Source: a\n\nPackage: acme\nArchitecture: all\n");
    let rules = |text| ("debian/rules", text);
    let plain = rules("%:\n\tdh $@\n");
    let ours = "%:\n\tdh $@ --with python-virtualenv\n";
    check("no folder", &[], &[]);
    check("no rules", &[control], &[]);
    check("no control", &[rules(ours)], &[]);
    check("another tool's", &[control, plain], &[]);
    check("a broken control", &[("debian/control", "x\n"), rules(ours)], &[]);
    let coloured = "Source: a\n\nPackage: acme\nDescription: a\n \x1b[1m\n";
    check("a control character", &[("debian/control", coloured), rules(ours)], &[]);
    let elsewhere = "%:\n\tdh $@ --with python-virtualenv --sourcedirectory=../other\n";
    check("a project elsewhere", &[control, rules(elsewhere)], &[]);
    check("a folder elsewhere", &[control, rules(ours)], &["../home"]);
    check("nothing to run", &[control, rules(ours)], &["--run-rules"]);
    let pypy = "%:\n\tdh $@ --with python-virtualenv --python pypy\n";
    check("pypy", &[control, rules(pypy)], &[]);
    let library = ("debian/control", "Source: a\n\nPackage: python3-acme\n");
    check("a module", &[library, rules(ours)], &[]);
    failures.check("bad_import");
}

/// Make runs lines with `+` and `$(MAKE)` even with `-n`, and makes files that are included; a file of a target's name hides
/// it; a link is what it leads to.
#[test]
fn reading_rules_runs_none_of_them() {
    if !is_there("reading_rules_runs_none_of_them", "/usr/bin/make") {
        return;
    }
    let sandbox = Sandbox::empty();
    let ran = sandbox.path("home/ran");
    let rules = format!(
        "RAN = {}\nCOUNT := $(shell echo read >> $(RAN).shell)\ninclude debian/more.mk\n-include made.mk\n\
         made.mk:\n\ttouch $(RAN)\n%:\n\tdh $@ --with python-virtualenv\n\
         build: SHELL := /bin/sh\nbuild: before\n\t+touch $(RAN)\n\t$(MAKE) -C docs; touch $(RAN)\n\
         \tnpm run \\\n\t  $(MAKE)\nbefore:\n\t+touch $(RAN)\n\
         override_dh_install: ; +touch $(RAN); dh_install conf/acme.conf etc/acme\n",
        ran.display()
    );
    let more = "export DH_VIRTUALENV_INSTALL_ROOT = /srv/envs\nDH_VIRTUALENV_INSTALL_SUFFIX = unseen\n\
                override_dh_virtualenv:\n\tdh_virtualenv --extras $(shell echo pg)\n";
    sandbox.file("debian/rules", &rules);
    sandbox.file("debian/more.mk", more);
    sandbox.file(
        "debian/control",
        "Source: acme\nMaintainer: A <a@b.example>\n\nPackage: acme\nDescription: a\n",
    );
    sandbox.file("debian/changelog", "acme (1.0-1) unstable; urgency=low\n");
    sandbox.file("build/x", "");
    sandbox.file("systemd/acme.service", "[Service]\nExecStart=/opt/venvs/acme/bin/acme\n");
    std::os::unix::fs::symlink(
        "../systemd/acme.service",
        sandbox.path("project/debian/acme.service"),
    )
    .expect("it is ours");
    let outcome = sandbox.run(sandbox.mkpkg(&["init", "--from-debian", "debian"]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    assert!(!ran.exists(), "{}", outcome.stderr);
    let read = fs::read_to_string(sandbox.path("home/ran.shell")).expect("make read the rules");
    assert_eq!(read.lines().count(), 2, "once to see what there is, once for all targets");
    let text = fs::read_to_string(sandbox.path("project/mkpkg.toml")).expect("it was written");
    for part in ["acme.service", "prefix = \"/srv/envs/acme\"", "extras = [\"pg\"]"] {
        assert!(text.contains(part), "{part} {text}");
    }
    // It is not exported, so no helper sees it.
    assert!(!outcome.stderr.contains("unseen"), "{}", outcome.stderr);
    for line in [
        "for you  override_dh_install: dh_install conf",
        "for you  build: npm run make",
        "carried over  debian/more.mk: is of the rules",
    ] {
        assert!(outcome.stderr.contains(line), "{line} {}", outcome.stderr);
    }
}

#[test]
fn rules_that_make_does_not_read() {
    if !is_there("rules_that_make_does_not_read", "/usr/bin/make") {
        return;
    }
    for (rules, warning) in [
        ("include gone.mk\n", "make does not read the rules ("),
        (
            "override_dh_strip: gone/x\n\tdh_strip -X$(PWD)\ngone/%: ; @$(error no)\n",
            "make does not read `override_dh_strip` of",
        ),
    ] {
        let sandbox = Sandbox::empty();
        describe(&sandbox, "debian");
        let text = format!(
            "%:\n\tdh $@ --with python-virtualenv\noverride_dh_virtualenv:\n\tdh_virtualenv --extras pg\n{rules}"
        );
        sandbox.file("debian/rules", &text);
        let outcome = sandbox.run(sandbox.mkpkg(&["init", "--from-debian", "debian"]));
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(warning), "{}", outcome.stderr);
        let text = fs::read_to_string(sandbox.path("project/mkpkg.toml")).expect("it was written");
        assert!(text.contains("extras = [\"pg\"]"), "{text}");
    }
}

/// What `$(shell …)` asks is asked of the shell that the rules name; lists have several things in a line.
#[test]
fn rules_have_a_shell_and_lists_have_lines() {
    if !is_there("rules_have_a_shell_and_lists_have_lines", "/usr/bin/make") {
        return;
    }
    let sandbox = Sandbox::empty();
    describe(&sandbox, "debian");
    sandbox.file("debian/acme.dirs", "var/lib/acme var/log/acme\n");
    sandbox.file("debian/acme.links", "srv/app/bin/a usr/bin/a srv/app/bin/b usr/bin/b\n");
    sandbox.file("debian/acme.manpages", "man/e.1.gz man/a.pt_BR.1\n");
    sandbox.file("man/e.1.gz", "");
    sandbox.file("man/a.pt_BR.1", "");
    let rules = |suffix: &str| {
        format!(
            "SHELL := /bin/bash\nexport DH_VIRTUALENV_INSTALL_ROOT = $(shell x=(/opt /srv); echo $${{x[1]}})\n\
             %:\n\tdh $@ --with python-virtualenv\noverride_dh_virtualenv:\n\t\
             dh_virtualenv --install-suffix={suffix}\nbinary-arch:\n\tdh_link srv/x usr/bin/x\n\tdh_fixperms -i\n"
        )
    };
    sandbox.file("debian/rules", rules("$(GONE)"));
    let outcome = sandbox.run(sandbox.mkpkg(&["init", "--from-debian", "debian"]));
    assert_eq!(outcome.code(), 3, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("`--install-suffix` of acme is empty"), "{}", outcome.stderr);
    assert!(!sandbox.path("project/mkpkg.toml").exists());
    sandbox.file("debian/rules", rules("app"));
    let outcome = sandbox.run(sandbox.mkpkg(&["init", "--from-debian", "debian"]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let text = fs::read_to_string(sandbox.path("project/mkpkg.toml")).expect("it was written");
    assert!(text.contains("prefix = \"/srv/app\"\n"), "{text}");
    assert!(text.contains("bin = [\"a\", \"b\"]"), "{text}");
    for line in
        ["man/man1/e.1.gz\"", "man/pt_BR/man1/a.1\"", "binary-arch: dh_link srv/x usr/bin/x"]
    {
        assert!(text.contains(line), "{line} {text}");
    }
    let tmpfiles = fs::read_to_string(sandbox.path("project/debian/mkpkg/acme.tmpfiles"));
    let tmpfiles = tmpfiles.expect("it was written");
    for dir in ["lib", "log"] {
        assert!(tmpfiles.contains(&format!("\nd /var/{dir}/acme 0755 ")), "{tmpfiles}");
    }
}

/// What was written is named as its user would, wherever the folder and the user are.
#[test]
fn paths_as_they_are_shown() {
    if !is_there("paths_as_they_are_shown", "/usr/bin/make") {
        return;
    }
    for (folder, from, args, shown) in [
        ("debian", ".", &["debian"][..], "mkpkg.toml"),
        ("debian", ".", &["./debian/"], "./mkpkg.toml"),
        ("debian", "debian", &["."], "./../mkpkg.toml"),
        ("x/debian", ".", &["x/debian"], "x/mkpkg.toml"),
        ("x/y/deb", ".", &["x/y/deb"], "mkpkg.toml"),
        ("x/y/deb", ".", &["x/y/deb", "x"], "x/mkpkg.toml"),
    ] {
        let sandbox = Sandbox::empty();
        describe(&sandbox, folder);
        let rules = "%:\n\tdh $@ --with python-virtualenv\n";
        sandbox.file(&format!("{folder}/rules"), rules);
        let mut command = sandbox.mkpkg(&[&["init", "--from-debian"], args].concat());
        command.current_dir(sandbox.path("project").join(from));
        let outcome = sandbox.run(command);
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
        assert_eq!(outcome.stdout, format!("{shown}\n"));
        assert!(sandbox.path("project").join(from).join(shown).is_file(), "{shown}");
    }
}

/// A folder of another name is what the rules call `debian`, and temporary files may lie anywhere.
#[test]
fn a_folder_of_another_name() {
    if !is_there("a_folder_of_another_name", "/usr/bin/make") {
        return;
    }
    let sandbox = Sandbox::empty();
    describe(&sandbox, "packaging");
    sandbox
        .file("packaging/rules", "include debian/more.mk\n%:\n\tdh $@ --with python-virtualenv\n");
    sandbox.file("packaging/more.mk", "override_dh_virtualenv:\n\tdh_virtualenv --extras pg\n");
    let mut command = sandbox.mkpkg(&["init", ".", "--from-debian", "packaging"]);
    fs::create_dir(sandbox.path("home/a b")).expect("the sandbox is ours");
    command.env("TMPDIR", sandbox.path("home/a b"));
    let outcome = sandbox.run(command);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    for line in ["in extras: pg", "carried over  debian/more.mk: is of the rules"] {
        assert!(outcome.stderr.contains(line), "{line} {}", outcome.stderr);
    }
}

/// The version that counts is that of the project which is packaged.
#[test]
fn a_project_below() {
    if !is_there("a_project_below", "/usr/bin/make") {
        return;
    }
    let sandbox = Sandbox::empty();
    describe(&sandbox, "debian");
    let rules = "%:\n\tdh $@ --with python-virtualenv --sourcedirectory=$(CURDIR)/app/ -O--x\n\
                 override_dh_virtualenv: export DH_VIRTUALENV_INSTALL_ROOT = /srv\n\
                 override_dh_virtualenv: $(STAMP)\n\
                 \tdh_virtualenv --extra-pip-arg=--find-links=wheels\n\
                 STAMP = stamp\n$(STAMP):\n\ttouch $@\n";
    sandbox.file("debian/rules", rules);
    sandbox.file("pyproject.toml", "[project]\nname = 'other'\nversion = '0.1'\n");
    sandbox.file("app/pyproject.toml", "[project]\nname = 'acme'\nversion = '2.0'\n");
    let outcome = sandbox.run(sandbox.mkpkg(&["init", "--from-debian", "debian"]));
    assert_eq!((outcome.code(), outcome.stdout.as_str()), (0, "app/mkpkg.toml\n"), "{outcome:?}");
    for line in [
        "1.0-1: the project's own version is no older",
        "left out  -O--x: dh-virtualenv passes",
        "for you  override_dh_virtualenv: export DH_VIRTUALENV_INSTALL_ROOT = /srv: a variable",
    ] {
        assert!(outcome.stderr.contains(line), "{line} {}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    let text = fs::read_to_string(sandbox.path("project/app/mkpkg.toml")).expect("it was written");
    assert!(text.contains("mkpkg deb --wheelhouse ../wheels ."), "{text}");
}

/// What cannot be written is told, and nothing is.
#[test]
fn imports_are_whole_or_absent() {
    if !is_there("imports_are_whole_or_absent", "/usr/bin/make") {
        return;
    }
    let mut failures = Failures::default();
    for (case, blocking) in
        [("a file", "debian/mkpkg"), ("a directory", "debian/mkpkg/acme.prerm/x")]
    {
        let sandbox = Sandbox::empty();
        describe(&sandbox, "debian");
        sandbox.file("debian/rules", "%:\n\tdh $@ --with python-virtualenv\n");
        for script in ["preinst", "prerm"] {
            sandbox.file(&format!("debian/{script}"), "#!/bin/sh\ntrue\n");
        }
        sandbox.file(blocking, "");
        let before = sandbox.left("project");
        failures.command(case, &sandbox, sandbox.mkpkg(&["init", "--from-debian", "debian"]));
        assert_eq!(sandbox.left("project"), before, "{case}");
    }
    failures.check("bad_import_output");
}

/// Files of another encoding, and configuration files beyond /etc.
#[test]
fn what_is_no_text() {
    if !is_there("what_is_no_text", "/usr/bin/make") {
        return;
    }
    let sandbox = Sandbox::empty();
    let bytes = |path: &str, text: &[u8]| {
        sandbox.file(path, "");
        fs::write(sandbox.path("project").join(path), text).expect("it is ours");
    };
    bytes(
        "debian/control",
        b"Source: a\nMaintainer: J\xf6rg <a@b.example>\n\nPackage: acme\nDescription: a\n",
    );
    sandbox.file("debian/changelog", "acme (1.0) unstable; urgency=low\n");
    sandbox.file("debian/rules", "%:\n\tdh $@ --with python-virtualenv\n");
    bytes("debian/postrm", b"#!/bin/sh\ncase $1 in upgrade) echo gr\xfcn ;; esac\n");
    sandbox.file("acme.ini", "");
    sandbox.file("debian/install", "acme.ini usr/share/acme\n");
    sandbox
        .file("debian/conffiles", "/usr/share/acme/acme.ini\n/opt/venvs/acme/x\n/etc/acme/gone\n");
    let outcome = sandbox.run(sandbox.mkpkg(&["init", "--from-debian", "debian"]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let text = fs::read_to_string(sandbox.path("project/mkpkg.toml")).expect("it was written");
    for part in [
        "maintainer = \"Jörg <a@b.example>\"",
        "target = \"/usr/share/acme/acme.ini\"\nrole = \"config\"",
    ] {
        assert!(text.contains(part), "{part} {text}");
    }
    let script = fs::read_to_string(sandbox.path("project/debian/mkpkg/acme.postrm"))
        .expect("it was written");
    assert!(script.contains("grün"), "{script}");
    for line in [
        "debian/control: it is not UTF-8",
        "debian/postrm: it is not UTF-8",
        "debian/postrm: what it does at `upgrade` never runs",
        "debian/conffiles: /opt/venvs/acme/x: a file of the environment",
        "debian/conffiles: /etc/acme/gone: every file in /etc is one, but nothing",
    ] {
        assert!(outcome.stderr.contains(&format!("for you  {line}")), "{line} {}", outcome.stderr);
    }
}
