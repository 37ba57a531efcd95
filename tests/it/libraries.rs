//! Relations to libraries, from a wheel to the package, with a root file system made for the test.

use mkpkg::host::release;

use crate::elf::user_with_search_path;
use crate::sandbox::{Failures, Outcome, Sandbox};
use crate::wheel::Wheel;

const BASE: &[u8] = include_bytes!("../../fixtures/elf/libbase.so.1");
const USER: &[u8] = include_bytes!("../../fixtures/elf/user.so");

/// A sandbox with `rocket`, whose extension needs `libbase.so.1`, and the root `root` with a package that has it.
pub(crate) fn sandbox(wheel: Wheel) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.wheel(&wheel.file("rocket/engine/user.so", USER));
    sandbox.write("root/usr/lib/libbase.so.1", BASE);
    for (path, text) in [
        ("status", "Package: dpkg\nVersion: 1.21.22\n"),
        ("info/base1.list", "/usr/lib/libbase.so.1\n"),
        (
            "info/base1.symbols",
            "libbase.so.1 base1 #MINVER#\n base_one@BASE_1 1.0\n base_two@BASE_2 1.4\n",
        ),
    ] {
        sandbox.write(&format!("root/var/lib/dpkg/{path}"), text);
    }
    sandbox
}

pub(crate) fn rocket() -> Wheel {
    Wheel::new("rocket", "2.0")
}

/// Lines of the plan that tell relations.
fn relations(sandbox: &Sandbox, args: &[&str]) -> (Vec<String>, Outcome) {
    let args: Vec<_> = [&["--dry-run", "--sysroot", "../root"], args].concat();
    let outcome = sandbox.run(sandbox.deb(&args));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let is_relation = |line: &&str| line.starts_with("needs ") || line.starts_with("recommends ");
    let lines = outcome.stdout.lines().filter(is_relation);
    let others = lines.filter(|line| !line.starts_with("needs python3"));
    (others.map(str::to_owned).collect(), outcome)
}

#[test]
fn a_library_of_the_system_is_needed() {
    let sandbox = sandbox(rocket());
    let reason = "/site-packages/rocket/engine/user.so` needs `libbase.so.1`";
    let (found, outcome) = relations(&sandbox, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("needs base1 (>= 1.4): `/opt/acme/lib/"), "{found:?}");
    assert!(found[0].contains(reason) && found[0].contains("uses `base_two@BASE_2`"), "{found:?}");
    assert!(outcome.warnings().is_empty(), "{:?}", outcome.warnings());

    let (found, _) = relations(&sandbox, &["--set", "dependencies.weak=libbase.*"]);
    assert!(found[0].starts_with("recommends base1 (>= 1.4): "), "{found:?}");
    let rename = "dependencies.rename={ \"libbase.so.1\" = \"other-base\" }";
    let (found, _) = relations(&sandbox, &["--set", rename]);
    assert!(found[0].starts_with("needs other-base: ") && found.len() == 1, "{found:?}");
    let own = "deb.rename={ \"libbase.*\" = \"own-base\" }";
    let (found, _) = relations(&sandbox, &["--set", rename, "--set", own]);
    assert!(found[0].starts_with("needs own-base: ") && found.len() == 1, "{found:?}");
    assert!(found[0].ends_with("; `deb.rename` lists it"), "{found:?}");
    let (found, outcome) = relations(&sandbox, &["--set", "rpm.weak=libbase.so.1"]);
    assert!(found[0].starts_with("needs base1 (>= 1.4): "), "{found:?}");
    assert!(outcome.warnings().is_empty(), "{:?}", outcome.warnings());
    let (found, outcome) = relations(&sandbox, &["--set", "dependencies.ignore=libbase.so.1"]);
    assert_eq!(found, [""; 0]);
    let [warning] = outcome.warnings()[..] else { panic!("{:?}", outcome.warnings()) };
    assert!(warning.ends_with("needs `libbase.so.1`, which is ignored"), "{warning}");
}

#[test]
fn a_relation_of_the_user_that_is_implied_joins_the_derived_one() {
    let (found, _) = relations(&sandbox(rocket()), &["--set", "dependencies.add=base1"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("needs base1 (>= 1.4): "), "{found:?}");
    assert!(found[0].ends_with("; `dependencies.add` asks for it"), "{found:?}");
}

#[test]
fn a_library_of_the_package_is_private() {
    let sandbox = sandbox(rocket().file("rocket/lib/libbase.so.1", BASE));
    assert_eq!(relations(&sandbox, &[]).0, [""; 0]);
}

#[test]
fn a_search_path_out_of_the_package_is_a_warning() {
    for (list, dir) in [
        ("/usr/local/lib", "`/usr/local/lib`"),
        ("/opt/none", "`/opt/none`"),
        ("lib", "the directory a process is started in"),
    ] {
        let sandbox = sandbox(rocket());
        sandbox.wheel(&rocket().file("rocket/user.so", user_with_search_path(list)));
        let (_, outcome) = relations(&sandbox, &[]);
        let [warning] = outcome.warnings()[..] else { panic!("{:?}", outcome.warnings()) };
        let end = format!("looks for libraries in {dir}, outside of `/opt/acme`");
        assert!(warning.ends_with(&end) && warning.contains("of `rocket 2.0`"), "{warning}");
    }
}

/// Names of one machine: for `--arch`, in tags and markers, in Debian; an extension and the library it needs.
type Machine<'a> = ([&'a str; 3], &'a [u8], &'a [u8]);

const MACHINES: [Machine<'static>; 2] = [
    (
        ["aarch64", "aarch64", "arm64"],
        include_bytes!("../../fixtures/elf/arm64.so"),
        include_bytes!("../../fixtures/elf/libbase.arm64.so.1"),
    ),
    (
        ["armhf", "armv7l", "armhf"],
        include_bytes!("../../fixtures/elf/armhf.so"),
        include_bytes!("../../fixtures/elf/libbase.armhf.so.1"),
    ),
];

#[test]
fn a_package_for_another_machine() {
    for ([arch, uname, debian], user, base) in MACHINES {
        let own = format!("Requires-Dist: fuel; platform_machine == '{uname}'\n");
        let requires = format!("{own}Requires-Dist: gone; platform_machine != '{uname}'\n");
        let tag = format!("cp311-cp311-manylinux_2_17_{uname}");
        // The wheel for this machine lies beside it.
        let sandbox = sandbox(rocket().tag("cp311-cp311-manylinux_2_17_x86_64"));
        sandbox.wheel(&rocket().metadata(&requires).tag(&tag).file("rocket/user.so", user));
        sandbox.wheel(&Wheel::new("fuel", "1.0"));
        sandbox.write("root/usr/lib/libbase.so.1", base);
        let (found, outcome) = relations(&sandbox, &["--arch", arch, "--set", "check=['false']"]);
        assert!(found.len() == 1 && found[0].starts_with("needs base1 (>= 1.4): "), "{found:?}");
        let [warning] = outcome.warnings()[..] else { panic!("{:?}", outcome.warnings()) };
        assert!(warning.contains("`check` is skipped"), "{warning}");
        let deb = sandbox.build(&["--arch", arch, "--sysroot", "../root"]);
        let end = format!("out/acme_1.0-1_{debian}.deb");
        assert!(deb.ends_with(&end), "{}", deb.display());
    }
}

#[test]
fn a_package_for_another_machine_cannot_be() {
    let mut failures = Failures::default();
    let sandbox = sandbox(rocket());
    let command = sandbox.mkpkg(&["deb", "--arch", "arm64"]);
    failures.command("without its wheels", &sandbox, command);
    failures.deb("with a trial", &sandbox, &["--arch", "arm64", "--smoke"]);
    failures.deb("a machine nobody knows", &sandbox, &["--arch", "vax"]);
    failures.check("bad_arch");
}

#[test]
fn refusals() {
    let mut failures = Failures::default();
    let args = ["--sysroot", "../root"];
    let missing = sandbox(rocket());
    std::fs::remove_file(missing.path("root/usr/lib/libbase.so.1")).expect("it is there");
    failures.deb("no such library", &missing, &args);
    let unlisted = sandbox(rocket());
    unlisted.write("root/var/lib/dpkg/info/base1.list", "");
    failures.deb("a library without a package", &unlisted, &args);
    let older = sandbox(rocket());
    let position = BASE.windows(7).position(|at| at == b"BASE_2\0").expect("it has the version");
    let mut bytes = BASE.to_vec();
    bytes[position + 5] = b'9';
    older.write("root/usr/lib/libbase.so.1", bytes);
    failures.deb("a library without the version", &older, &args);
    failures.deb("a root without packages", &sandbox(rocket()), &["--sysroot", "../wheels"]);
    let rename = "dependencies.rename={ \"libbase.so.1\" = \"Base 1\" }";
    failures.deb("a package that cannot be", &sandbox(rocket()), &["--set", rename]);
    let file = "deb.ignore=[\"/opt/acme/x.so\"]";
    failures.deb("a file where libraries belong", &sandbox(rocket()), &["--set", file]);
    let odd = sandbox(rocket());
    odd.write(
        "root/var/lib/dpkg/info/base1.symbols",
        "libbase.so.1 base1 #MINVER#\n base_one@BASE_1 not\\ a\\ version!\n",
    );
    failures.deb("a package that says no relation", &odd, &args);
    // To open a pipe waits for its other end.
    let pipe = sandbox(rocket());
    let library = pipe.path("root/usr/lib/libbase.so.1");
    std::fs::remove_file(&library).expect("it is there");
    let made = std::process::Command::new("mkfifo").arg(&library).status();
    assert!(made.expect("coreutils has it").success());
    failures.deb("a pipe that is called like a library", &pipe, &args);
    let mut bytes = include_bytes!("../../fixtures/elf/user.so").to_vec();
    let name = bytes.windows(13).position(|at| at == b"libbase.so.1\0").expect("it needs it");
    bytes[name + 3..name + 7].copy_from_slice(b"\x1b[0\n");
    let escapes = sandbox(rocket().file("rocket/odd.so", &bytes));
    failures.deb("a name that would write to the terminal", &escapes, &args);
    failures.command("the same, for the other format", &escapes, escapes.rpm(&[]));
    bytes[name..name + 12].copy_from_slice(b"-9b38f5e3.so");
    let copied = sandbox(rocket().file("rocket/copied.so", &bytes));
    failures.command("a copy that is not there", &copied, copied.rpm(&[]));
    failures.check("bad_libraries");
}

const TLS: &[u8] = include_bytes!("../../fixtures/elf/tls.so");
const NEWER: &[u8] = include_bytes!("../../fixtures/elf/newer.so");
const RARE: &[u8] = include_bytes!("../../fixtures/elf/rare.so");

/// A sandbox with `rocket`, which has one library, for another release than the host's.
fn foreign(library: &[u8]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.wheel(&rocket().file("rocket/engine.so", library));
    sandbox
}

#[test]
fn a_release_is_known_without_its_packages() {
    for (target, expected) in [
        ("debian:12", ["libc6 (>= 2.34)", "libssl3 (>= 3.0.0)"]),
        ("debian:13", ["libc6 (>= 2.34)", "libssl3t64 (>= 3.0.0)"]),
    ] {
        // On a host of the release its own packages count.
        let host = std::fs::read_to_string("/etc/os-release").expect("Linux has it");
        if release::of_host(&host).is_some_and(|release| release.name == target) {
            continue;
        }
        let sandbox = foreign(TLS);
        let args = ["--dry-run", "--target", target, "--python", "3.11"];
        let outcome = sandbox.run(sandbox.deb(&args));
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
        for relation in expected {
            let line = format!("needs {relation}: ");
            assert!(outcome.stdout.contains(&line), "{target}: {}", outcome.stdout);
        }
        let warnings = outcome.warnings();
        let lacks_python = format!("{target} has Python ");
        let others = warnings.iter().filter(|warning| !warning.contains(&lacks_python));
        assert_eq!(others.count(), 0, "{warnings:?}");
    }
}

#[test]
fn refusals_of_releases() {
    let mut failures = Failures::default();
    let mut check = |case, library, target| {
        failures.deb(case, &foreign(library), &["--target", target, "--python", "3.11"]);
    };
    check("a version the release lacks", NEWER, "debian:11");
    check("a version Ubuntu lacks", NEWER, "ubuntu:22.04");
    check("a library another release has", TLS, "debian:11");
    check("a library that is not known of Ubuntu", TLS, "ubuntu:24.04");
    check("a library nobody has", RARE, "debian:13");
    check("a release that installs other packages", TLS, "fedora:43");
    let sysroot = foreign(TLS);
    for (path, text) in [
        ("var/lib/dpkg/status", ""),
        ("usr/lib/os-release", "ID=debian\nVERSION_ID=\"13\"\n"),
        ("etc/os-release", "ID=debian\nVERSION_ID=\"13\"\n"),
    ] {
        sysroot.write(&format!("root/{path}"), text);
    }
    failures.deb("a package that is not installed", &sysroot, &["--sysroot", "../root"]);
    failures.check("bad_releases");
}
