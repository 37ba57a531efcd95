//! Units, accounts, scripts: what a package with services has, word for word, in both formats.

use std::fs::File;

use mkpkg::backend::{deb, rpm};
use mkpkg::package::Package;
use mkpkg::tree::{Entry, Role};

use crate::sandbox::Sandbox;
use crate::snapshot;
use crate::wheel::Wheel;

/// Every key of a service, and every kind of unit.
const CONFIGURATION: &str = r#"
check = [{ run = "true", on-install = true }]

[services.main]
exec = "acme serve --bind '%t/acme/web.sock' $OPTIONS"
exec-start-pre = ["acme migrate", "/bin/true"]
exec-reload = "/bin/kill -HUP $MAINPID"
type = "notify"
description = "50% of \"Acme\" – it's $HOME"
environment = { GREETING = "it's 5% \\ $HOME \"x\"", EMPTY = "" }
environment-file = true
socket = { listen-stream = ["/run/acme.sock", 8080] }
directives = { Unit = { after = "redis.service" }, Service = { MemoryHigh = "1G", Environment = "" } }

[services.plain]
exec = "acme plain"
sandbox = "off"
enable = false
restart-on-upgrade = false
directives = { Install = { alias = "acme-alias.service" } }

[services.beat]
exec = "acme beat"
type = "oneshot"
sandbox = "strict"
timer = { on-calendar = "hourly", persistent = true }

[services."worker@"]
exec = "acme work %i"

[services.own]
unit = "packaging/own.service"
timer = { on-calendar = "daily" }

[user]
name = "acme-web"
groups = ["redis"]

[scripts]
after-install = "packaging/after-install.sh"
before-remove = "packaging/before-remove.sh"

[[files]]
source = "packaging/logrotate"
target = "/etc/logrotate.d/acme"
role = "config"

[[files]]
source = "packaging/cron"
target = "/etc/cron.d/acme"
role = "config"

[[files]]
source = "packaging/acme.1.gz"
target = "/usr/share/man/man1/acme.1.gz"

[[files]]
source = "packaging/completion"
target = "/usr/share/bash-completion/completions/acme"

[[files]]
source = "packaging/tmpfiles"
target = "/usr/lib/tmpfiles.d/acme.conf"
"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::empty();
    sandbox.file("pyproject.toml", "[project]\nname = 'acme'\nversion = '1.0'\n");
    sandbox.wheel(&Wheel::acme());
    sandbox.file("mkpkg.toml", CONFIGURATION);
    for (name, text) in [
        (
            "own.service",
            "[Service]\nExecStart=/opt/acme/bin/acme own\n[Install]\nWantedBy=multi-user.target\n",
        ),
        ("after-install.sh", "# it's\nacme \"$MKPKG_ACTION\"\n"),
        ("before-remove.sh", "#!/bin/sh\ncat <<'EOF'\n{{x}} $(y)\nEOF\n"),
        ("logrotate", "/var/log/acme/*.log {}\n"),
        ("cron", "@daily root true\n"),
        ("acme.1.gz", ".TH ACME 1\n"),
        ("completion", "complete -W serve acme\n"),
        ("tmpfiles", "d /run/acme-more\n"),
    ] {
        sandbox.file(&format!("packaging/{name}"), text);
    }
    sandbox
}

fn open(sandbox: &Sandbox, format: &str) -> Package {
    let path = sandbox.built(sandbox.package(format, &["-q"]));
    let file = File::open(path).expect("it was built");
    let spool = tempfile::tempfile().expect("temporary files can be made");
    let package = if format == "deb" { deb::read(file, spool) } else { rpm::read(file, spool) };
    package.expect("it can be read")
}

/// Everything but the environment and documentation: files with their text, then scripts.
fn told(package: &Package) -> String {
    let mut told = String::new();
    for (path, entry) in package.tree.iter() {
        let name = path.as_str();
        if name.starts_with("opt/")
            || ["share/doc/", "share/licenses/", "share/lintian/"]
                .iter()
                .any(|part| name.contains(part))
        {
            continue;
        }
        let Entry::File { content, mode, role, .. } = entry else { continue };
        let role = if *role == Role::Config { ", configuration" } else { "" };
        let text = content.read().expect("it can be read");
        let text = String::from_utf8_lossy(&text);
        told.push_str(&format!("==== /{name} {mode:04o}{role}\n{text}\n"));
    }
    for (name, text) in package.scripts.iter().filter(|(name, _)| *name != "md5sums") {
        told.push_str(&format!("==== {name}\n{text}\n"));
    }
    told
}

fn check(format: &str) {
    let sandbox = sandbox();
    let package = open(&sandbox, format);
    snapshot::check(&format!("services_{format}"), &told(&package));
}

#[test]
fn of_a_deb() {
    check("deb");
}

#[test]
fn of_an_rpm() {
    check("rpm");
}

/// What a project of code alone gets: nothing of all this.
#[test]
fn of_nothing() {
    let sandbox = Sandbox::new();
    let package = open(&sandbox, "deb");
    assert_eq!(package.scripts.keys().collect::<Vec<_>>(), ["md5sums", "preinst", "prerm"]);
    let outside = package.tree.files().filter(|(path, ..)| !path.as_str().starts_with("opt/"));
    let outside: Vec<_> = outside.map(|(path, ..)| path.as_str().to_owned()).collect();
    assert!(outside.iter().all(|path| path.starts_with("usr/share/")), "{outside:?}");
}
