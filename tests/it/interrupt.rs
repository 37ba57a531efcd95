//! Builds that are ended from outside: nothing under the final name, and nothing the next build does not collect.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bad_output::noise;
use crate::sandbox::{Outcome, Sandbox};
use crate::wheel::Wheel;

/// Where a build is when it is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// The interpreter compiles.
    Compiling,
    /// A check of the configuration runs.
    Checking,
    /// The package is being compressed, this long after the last gate.
    Writing(Duration),
}

/// A build that stays at `point` long enough, and the file or word that tells it is there.
fn start(sandbox: &Sandbox, point: Point) -> Child {
    let mark = sandbox.path("mark");
    let mut command = sandbox.deb(&[]);
    command.process_group(0);
    match point {
        Point::Compiling => {
            let script = format!(
                "#!/bin/sh\ncase \"$*\" in *'-s -S -B'*) touch {}; exec sleep 30;; esac\nexec /usr/bin/python3.11 \"$@\"\n",
                mark.display()
            );
            let python = sandbox.write("fake/python", script);
            fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("it is ours");
            command.arg("--python").arg(python);
        }
        Point::Checking => {
            command.arg("--set").arg(format!("check=sleep 30 & touch {}; wait", mark.display()));
        }
        Point::Writing(_) => {
            sandbox.wheel(&Wheel::new("rocket", "2.0").file("rocket.bin", noise(24 << 20)));
            command.args(["--compression", "xz:9", "--jobs", "1"]);
            command.stderr(fs::File::create(sandbox.path("stderr")).expect("the sandbox is ours"));
            return command.stdout(Stdio::piped()).spawn().expect("it can be started");
        }
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started")
}

fn wait_for(sandbox: &Sandbox, point: Point) {
    let is_there = || match point {
        Point::Compiling | Point::Checking => sandbox.path("mark").exists(),
        Point::Writing(_) => {
            fs::read_to_string(sandbox.path("stderr")).is_ok_and(|text| text.contains("checked"))
        }
    };
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(60), "{point:?} was not reached");
        sleep(Duration::from_millis(10));
    }
    if let Point::Writing(after) = point {
        sleep(after);
    }
}

/// What a build says that gets `signal` at `point`.
fn end(sandbox: &Sandbox, point: Point, signal: Signal) -> Outcome {
    let child = start(sandbox, point);
    wait_for(sandbox, point);
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it runs");
    let output = child.wait_with_output().expect("it was started");
    sandbox.outcome(&output)
}

const POINTS: [Point; 4] = [
    Point::Compiling,
    Point::Checking,
    Point::Writing(Duration::ZERO),
    Point::Writing(Duration::from_millis(700)),
];

/// Ends every process that has the sandbox for its home; how many there were.
fn processes(sandbox: &Sandbox) -> Vec<String> {
    let home = format!("TMPDIR={}", sandbox.path("tmp").display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|at| *at == 0).any(|variable| variable == home.as_bytes()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&line).replace('\0', " ").trim_end().to_owned());
            if let Ok(id) = entry.file_name().to_string_lossy().parse() {
                // It may have ended meanwhile.
                let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
            }
        }
    }
    found
}

fn check(signal: Signal) {
    for point in POINTS {
        let sandbox = Sandbox::new();
        let outcome = end(&sandbox, point, signal);
        // Children are told to end, and may need a moment for it.
        sleep(Duration::from_millis(200));
        let left = processes(&sandbox);
        assert_eq!(outcome.status.code(), Some(130), "{point:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
        assert_eq!(outcome.error(), "", "{point:?}");
        assert_eq!(sandbox.left("out"), [""; 0], "{point:?}");
        assert_eq!(sandbox.left("tmp"), [""; 0], "{point:?}");
        assert_eq!(left, [""; 0], "{point:?}");
    }
}

#[test]
fn interrupted() {
    check(Signal::SIGINT);
}

#[test]
fn terminated() {
    check(Signal::SIGTERM);
}

#[test]
fn killed() {
    for point in POINTS {
        let sandbox = Sandbox::new();
        end(&sandbox, point, Signal::SIGKILL);
        // What it left running is another matter: nobody can do anything about a SIGKILL.
        processes(&sandbox);
        assert_eq!(sandbox.left("out"), [""; 0], "{point:?}");
        // The scratch directory goes when the last gate is passed.
        let is_early = matches!(point, Point::Compiling | Point::Checking);
        assert!(!is_early || !sandbox.left("tmp").is_empty(), "{point:?}");
        sandbox.build(&[]);
    }
}

/// What a terminal does at Ctrl-C: every process of the group gets the signal, children first or last.
#[test]
fn interrupted_with_all_its_children() {
    for point in [Point::Compiling, Point::Checking].repeat(5) {
        let sandbox = Sandbox::new();
        let child = start(&sandbox, point);
        wait_for(&sandbox, point);
        kill(Pid::from_raw(-child.id().cast_signed()), Signal::SIGINT).expect("it leads a group");
        let outcome = sandbox.outcome(&child.wait_with_output().expect("it was started"));
        processes(&sandbox);
        assert_eq!(outcome.status.code(), Some(130), "{point:?}: {}", outcome.stderr);
        assert_eq!(outcome.error(), "", "{point:?}");
    }
}

/// A build that is still running keeps its directory when another one starts.
#[test]
fn a_running_build_is_not_collected() {
    let sandbox = Sandbox::new();
    let child = start(&sandbox, Point::Checking);
    wait_for(&sandbox, Point::Checking);
    let before = sandbox.left("tmp");
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    assert_eq!(sandbox.left("tmp"), before);
    processes(&sandbox);
    child.wait_with_output().expect("it was started");
}

/// `mkpkg show` unpacks into a directory of its own, and removes it, too.
#[test]
fn show_interrupted() {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::new("rocket", "2.0").file("rocket.bin", noise(24 << 20)));
    let package = sandbox.build(&["--compression", "gzip:1"]);
    let mut command: Command = sandbox.mkpkg(&["show", &package.display().to_string()]);
    let child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
    let start = Instant::now();
    let has_lock = || sandbox.left("tmp").iter().any(|name| name.ends_with("/lock"));
    while !has_lock() && start.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_millis(1));
    }
    // It may be done already.
    let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT);
    child.wait_with_output().expect("it was started");
    let left: Vec<_> =
        sandbox.left("tmp").iter().filter(|name| name.ends_with("/lock")).cloned().collect();
    assert_eq!(left, [""; 0]);
}

/// Ending a build whose scratch directory takes a while to remove is still an interrupt, not a failure.
#[test]
fn interrupted_with_much_to_remove() {
    let sandbox = Sandbox::new();
    let mut rocket = Wheel::new("rocket", "2.0");
    for number in 0..4000 {
        rocket = rocket.file(&format!("rocket/{number}.txt"), "x");
    }
    sandbox.wheel(&rocket);
    let outcome = end(&sandbox, Point::Checking, Signal::SIGINT);
    processes(&sandbox);
    assert_eq!(outcome.status.code(), Some(130), "{}", outcome.stderr);
    assert_eq!(outcome.error(), "");
    assert_eq!(sandbox.left("tmp"), [""; 0]);
}
