//! Places a package cannot be written to, and several builds that write to one place.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use crate::digest::sha256;
use crate::sandbox::{Failures, Sandbox, is_there, skip};
use crate::wheel::Wheel;

/// Bytes no compressor makes smaller.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn large() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::new("rocket", "2.0").file("rocket.bin", noise(1 << 20)));
    sandbox
}

#[test]
fn places() {
    let mut failures = Failures::default();
    let sandbox = Sandbox::new();
    sandbox.write("out", "");
    failures.deb("a file", &sandbox, &[]);
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    failures.deb("below a file", &sandbox, &["-o", "../file/out"]);
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("out/acme_1.0-1_all.deb")).expect("the sandbox can be written");
    failures.deb("a directory of the package's name", &sandbox, &[]);
    let sandbox = Sandbox::new();
    symlink("gone", sandbox.path("out")).expect("the name is free");
    failures.deb("a link to nowhere", &sandbox, &[]);
    failures.deb("a file system that takes no files", &Sandbox::new(), &["-o", "/proc/mkpkg"]);
    let sandbox = Sandbox::new();
    let mut command = sandbox.deb(&[]);
    command.env("TMPDIR", sandbox.path("gone"));
    failures.command("no directory for temporary files", &sandbox, command);
    failures.check("bad_output");
}

#[test]
fn no_right_to_write() {
    let mut failures = Failures::default();
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("out")).expect("the sandbox can be written");
    fs::set_permissions(sandbox.path("out"), fs::Permissions::from_mode(0o555))
        .expect("it is ours");
    let mut command = sandbox.deb(&[]);
    if !sandbox.as_nobody("no_right_to_write", &mut command) {
        return;
    }
    failures.command("a directory nobody may write", &sandbox, command);
    failures.check("bad_output_rights");
}

/// A link to a file that is there is replaced, not written through.
#[test]
fn a_link_in_place_of_the_package() {
    let sandbox = Sandbox::new();
    let victim = sandbox.write("victim", "precious");
    fs::create_dir(sandbox.path("out")).expect("the sandbox can be written");
    symlink(&victim, sandbox.path("out/acme_1.0-1_all.deb")).expect("the name is free");
    let package = sandbox.build(&[]);
    assert!(!fs::symlink_metadata(package).expect("it was written").is_symlink());
    assert_eq!(fs::read(victim).expect("it is there"), b"precious");
}

/// Other users can write to the directory for temporary files: what they put there is neither followed nor emptied.
#[test]
fn a_stale_directory_of_somebody_else() {
    let sandbox = Sandbox::new();
    let victim = sandbox.write("victim", "precious");
    fs::create_dir(sandbox.path("tmp/mkpkg-build-evil")).expect("the sandbox can be written");
    symlink(&victim, sandbox.path("tmp/mkpkg-build-evil/lock")).expect("the name is free");
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    assert_eq!(fs::read(victim).expect("it is there"), b"precious");
}

/// `script` in a mount namespace, where it may mount; `None` where that is not allowed.
pub(crate) fn mounting(test: &str, sandbox: &Sandbox, script: &str) -> Option<Command> {
    if !nix::unistd::geteuid().is_root() {
        skip(test, "only root may mount");
        return None;
    }
    let mut command = Command::new("/usr/bin/unshare");
    command.args(["--mount", "--propagation", "private", "/bin/sh", "-euc", script, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_mkpkg"));
    command.args(["deb", "--wheelhouse", "../wheels", "-o", "../out"]);
    sandbox.clean(&mut command);
    Some(command)
}

/// Runs mkpkg, then fails the test when `dir` is not empty.
const RUN_AND_LOOK: &str =
    "code=0; \"$@\" || code=$?; ls -A \"$dir\" | sed 's/^/error: left /' >&2; exit $code";

#[test]
fn disk_full() {
    if !is_there("disk_full", "/usr/bin/unshare") {
        return;
    }
    let mut failures = Failures::default();
    for (case, dir, size) in [
        ("output for nothing", "../out", "4k"),
        ("output for a part", "../out", "512k"),
        ("temporary files", "../tmp", "8k"),
    ] {
        let sandbox = large();
        let code: String = (0..500).map(|at| format!("def f{at}(a, b={at}): return a\n")).collect();
        sandbox.wheel(&Wheel::new("fuel", "1.0").file("fuel.py", code));
        fs::create_dir(sandbox.path("out")).expect("the sandbox can be written");
        let script = format!("dir={dir}; mount -t tmpfs -o size={size} tmpfs $dir; {RUN_AND_LOOK}");
        let Some(command) = mounting("disk_full", &sandbox, &script) else { return };
        failures.command(case, &sandbox, command);
    }
    let sandbox = large();
    fs::create_dir(sandbox.path("out")).expect("the sandbox can be written");
    let script = format!("dir=../out; mount -t tmpfs -o ro tmpfs $dir; {RUN_AND_LOOK}");
    let Some(command) = mounting("disk_full", &sandbox, &script) else { return };
    failures.command("read only", &sandbox, command);
    failures.check("bad_disk");
}

/// A limit on the size of files: an error where the signal is ignored.
#[test]
fn limit_of_file_size() {
    let mut failures = Failures::default();
    for (case, script) in [
        ("signal ignored", "trap '' XFSZ; ulimit -f 64; exec \"$@\""),
        // FIXME: SIGXFSZ ends mkpkg; it should be ignored, so that the write fails with a message.
        ("signal not ignored", "ulimit -f 64; exec \"$@\" 2>/dev/null"),
    ] {
        let sandbox = large();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_mkpkg")]);
        command.args(["deb", "--wheelhouse", "../wheels", "-o", "../out"]);
        sandbox.clean(&mut command);
        let outcome = sandbox.run(command);
        fs::remove_dir_all(sandbox.path("tmp")).expect("the sandbox can be written");
        failures.add(case, &sandbox, &outcome);
        assert_eq!(sandbox.left("out"), [""; 0], "{case}");
    }
    failures.check("bad_limit");
}

#[test]
fn standard_output() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.deb(&[]);
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let outcome = sandbox.run_with_stdout(&mut command, full);
    assert_eq!(outcome.code(), 3);
    let full = "error: cannot write to standard output: No space left on device (os error 28)\n";
    assert_eq!(outcome.error(), full);
    let mut command = sandbox.deb(&[]);
    let (reader, writer) = std::io::pipe().expect("pipes can be made");
    drop(reader);
    let outcome = sandbox.run_with_stdout(&mut command, writer);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
}

#[test]
fn builds_at_once() {
    for count in [2, 8] {
        let sandbox = large();
        let start =
            || sandbox.deb(&["--jobs", "2"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let children: Vec<_> = (0..count).map(|_| start().expect("it can be started")).collect();
        for child in children {
            let outcome = sandbox.outcome(&child.wait_with_output().expect("it was started"));
            assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
        }
        assert_eq!(sandbox.left("out"), ["acme_1.0-1_all.deb"]);
        assert_eq!(sandbox.left("tmp"), [""; 0]);
        let bytes = || fs::read(sandbox.path("out/acme_1.0-1_all.deb")).expect("it was written");
        let together = sha256(&bytes());
        sandbox.build(&[]);
        assert!(together == sha256(&bytes()));
    }
}
