//! `mkpkg stage`: what another program packs is what `mkpkg deb` would.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::sandbox::{Failures, Sandbox};

const SERVICE: &str = "[services.main]\nexec = 'acme'\n[deb]\nadd = ['redis-server']\n";

#[test]
fn the_tree_the_relations_and_the_scripts() {
    let sandbox = Sandbox::new();
    sandbox.file("mkpkg.toml", SERVICE);
    sandbox.write("acme.substvars", "misc:Depends=debconf\nmkpkg:Depends=old\n");
    sandbox.write("root/usr/share/doc/acme/copyright", "written by hand\n");
    let args = ["-o", "../root", "--relations", "../acme.substvars"];
    let args = [&args[..], &["--scripts", "../scripts", "--set", "name=acme"]].concat();
    for _ in 0..2 {
        let outcome = sandbox.run(sandbox.package("stage", &args));
        assert_eq!(outcome.code(), 0, "{outcome:?}");
        let mode = |path: &str| {
            let metadata = fs::metadata(sandbox.path(path)).expect("it was staged");
            metadata.permissions().mode() & 0o7777
        };
        assert_eq!(mode("root/opt/acme/bin/acme"), 0o755);
        assert_eq!(mode("root/usr/lib/systemd/system/acme.service"), 0o644);
        let read = |path: &str| fs::read_to_string(sandbox.path(path)).expect("it was written");
        assert_eq!(read("root/usr/share/doc/acme/copyright"), "written by hand\n");
        let relations = read("acme.substvars");
        assert!(relations.starts_with("misc:Depends=debconf\nmkpkg:Depends="), "{relations}");
        assert!(relations.contains("redis-server") && !relations.contains("old"), "{relations}");
        assert!(read("scripts/postinst").contains("enable_unit 'acme.service'"));
    }
}

#[test]
fn for_an_rpm() {
    let sandbox = Sandbox::new();
    sandbox.file("mkpkg.toml", "[services.main]\nexec = 'acme'\n[rpm]\nadd = ['redis']\n");
    let args = ["--format", "rpm", "-o", "../root", "--relations", "../relations"];
    let args = [&args[..], &["--scripts", "../scripts", "--files", "../files"]].concat();
    let outcome = sandbox.run(sandbox.package("stage", &args));
    assert_eq!(outcome.code(), 0, "{outcome:?}");
    let read = |path: &str| fs::read_to_string(sandbox.path(path)).expect("it was written");
    let relations = read("relations");
    assert!(relations.contains("Requires: redis\n"), "{relations}");
    assert!(relations.contains("Requires(postun): coreutils\n"), "{relations}");
    let files = read("files");
    assert!(files.contains("%attr(0755,root,root) \"/opt/acme/bin/acme\"\n"), "{files}");
    assert!(files.contains("%attr(-,root,root) \"/usr/bin/acme\"\n"), "{files}");
    assert!(sandbox.path("scripts/posttrans").is_file());
}

/// The command that stands behind `%mkpkg_install`: what a spec file asks for twice in one build would be lost once.
#[test]
fn a_spec_file_asks_once_for_a_package() {
    let sandbox = Sandbox::new();
    let top = sandbox.path("build");
    let ask = |id: &str, args: &[&str]| {
        let mut script = Command::new("sh");
        script.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/rpm/mkpkg-rpm")).args(["request", id]);
        let output = script.arg(&top).args(["acme", "2"]).args(args).output().expect("sh runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let words = ["-D", "my app", "--", "--set", "summary=it's $(id)"];
    assert_eq!(ask("1", &words), (Some(0), String::new()));
    let noted = fs::read_to_string(top.join(".mkpkg/acme/request")).expect("it was written");
    assert_eq!(noted, "1\nacme\n2\nmy app\n--set\nsummary=it's $(id)\n");
    let (status, told) = ask("1", &[]);
    assert_eq!(status, Some(2), "{told}");
    assert!(told.contains("%mkpkg_install is there twice for the package `acme`"), "{told}");
    assert_eq!(ask("1", &["-n", "other"]), (Some(0), String::new()));
    assert_eq!(ask("2", &[]), (Some(0), String::new()), "the build before failed");
    assert_eq!(ask("2", &["-x"]).0, Some(2));
}

#[test]
fn what_cannot_be_staged() {
    let mut failures = Failures::default();
    let sandbox = Sandbox::new();
    sandbox.file("mkpkg.toml", SERVICE);
    sandbox.write("root/lib/systemd/system/acme.service", "[Service]\nExecStart=/bin/true\n");
    let args = ["-o", "../root"];
    failures.command("a unit of both", &sandbox, sandbox.package("stage", &args));
    // Equal or not, both programs would enable, start and stop it; and install a file, of which one is lost.
    let unit = "[Service]\nExecStart=/opt/acme/bin/acme\n";
    let sandbox = Sandbox::new();
    sandbox.file("mkpkg.toml", "name = 'acme'\n[services.main]\nunit = 'packaging/acme.service'\n");
    sandbox.file("packaging/acme.service", unit);
    sandbox.write("root/lib/systemd/system/acme.service", unit);
    failures.command("an equal unit of both", &sandbox, sandbox.package("stage", &args));
    let sandbox = Sandbox::new();
    let file = "[[files]]\nsource = 'acme.conf'\ntarget = '/etc/acme/acme.conf'\n";
    sandbox.file("mkpkg.toml", file);
    sandbox.file("acme.conf", "mine\n");
    sandbox.write("root/etc/acme/acme.conf", "theirs\n");
    failures.command("a file of both", &sandbox, sandbox.package("stage", &args));
    let foreign = [&args[..], &["--foreign", "debian"]].concat();
    for (what, config) in [
        ("a foreign unit", "name = 'acme'\n[services.main]\nunit = 'debian/acme.service'\n"),
        ("a foreign script", "[scripts]\nafter-install = 'debian/mkpkg/acme.postinst'\n"),
        ("a foreign file", "[[files]]\nsource = 'debian/acme.conf'\ntarget = '/etc/acme.conf'\n"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.file("mkpkg.toml", config);
        sandbox.file("debian/acme.service", unit);
        sandbox.file("debian/mkpkg/acme.postinst", "echo twice\n");
        sandbox.file("debian/acme.conf", "mine\n");
        failures.command(what, &sandbox, sandbox.package("stage", &foreign));
        let outcome = sandbox.run(sandbox.package("stage", &args));
        assert_eq!(outcome.code(), 0, "{what}: {outcome:?}");
    }
    let sandbox = Sandbox::new();
    sandbox.file("mkpkg.toml", "layout = 'releases'\n");
    failures.command("two packages", &sandbox, sandbox.package("stage", &args));
    let sandbox = Sandbox::new();
    let args = ["-o", "../root", "--files", "../files"];
    failures.command("a list of files of a .deb", &sandbox, sandbox.package("stage", &args));
    for flag in [&["--dry-run"][..], &["--json"], &["--previous", "../old.deb"]] {
        let args = [&["-o", "../root"], flag].concat();
        failures.command("a flag without a use", &sandbox, sandbox.package("stage", &args));
    }
    failures.check("bad_stage");
}
