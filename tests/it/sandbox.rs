//! A project, a wheelhouse and everything else mkpkg may touch, in one directory of its own.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::lchown;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use crate::snapshot;
use crate::wheel::Wheel;

/// Time stamp of every package, unless a test says otherwise: 2023-11-14T22:13:20Z.
pub(crate) const EPOCH: &str = "1700000000";

/// The directories `project`, `wheels`, `out`, `tmp` and `home` of one test.
#[derive(Debug)]
pub(crate) struct Sandbox {
    root: TempDir,
}

/// What mkpkg said and how it ended, with the directory of the sandbox written as `[DIR]`.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The exit code; the process was not killed.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{}: {}", self.status, self.stderr))
    }

    /// Everything from the line `error:` on.
    pub(crate) fn error(&self) -> &str {
        let at = self.stderr.find("error: ").unwrap_or(self.stderr.len());
        &self.stderr[at..]
    }

    /// Lines of stderr that warn.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("warning: ")).collect()
    }
}

impl Sandbox {
    /// A sandbox without project and wheels.
    pub(crate) fn empty() -> Self {
        let root = tempfile::Builder::new().prefix("mkpkg-it-").tempdir();
        let root = root.expect("the directory for temporary files can be written");
        for dir in ["project", "wheels", "tmp", "home"] {
            fs::create_dir(root.path().join(dir)).expect("a new directory can be written");
        }
        Self { root }
    }

    /// A sandbox with a sound project `acme` 1.0 and its wheel.
    pub(crate) fn new() -> Self {
        let sandbox = Self::empty();
        sandbox.file("pyproject.toml", "[project]\nname = 'acme'\nversion = '1.0'\n");
        sandbox.wheel(&Wheel::acme());
        sandbox
    }

    /// A path in the sandbox, without links.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.path().canonicalize().expect("the sandbox is there").join(relative)
    }

    /// Writes a file of the project.
    pub(crate) fn file(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.write(&format!("project/{relative}"), content)
    }

    /// Writes a file anywhere in the sandbox.
    pub(crate) fn write(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("the sandbox can be written");
        }
        fs::write(&path, content).expect("the sandbox can be written");
        path
    }

    /// Puts a wheel into the wheelhouse.
    pub(crate) fn wheel(&self, wheel: &Wheel) -> PathBuf {
        self.write(&format!("wheels/{}", wheel.file_name()), wheel.bytes())
    }

    /// mkpkg in the project's directory, with an environment of nothing but the sandbox.
    pub(crate) fn mkpkg(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
        self.clean(&mut command);
        command.args(args);
        command
    }

    /// `mkpkg deb` from the wheelhouse into `out`.
    pub(crate) fn deb(&self, args: &[&str]) -> Command {
        self.package("deb", args)
    }

    /// `mkpkg rpm` from the wheelhouse into `out`.
    pub(crate) fn rpm(&self, args: &[&str]) -> Command {
        self.package("rpm", args)
    }

    /// A command that builds, from the wheelhouse into `out`.
    pub(crate) fn package(&self, format: &str, args: &[&str]) -> Command {
        let mut command = self.mkpkg(&[format]);
        for [flag, value] in [["--wheelhouse", "../wheels"], ["-o", "../out"]] {
            if !args.contains(&flag) {
                command.args([flag, value]);
            }
        }
        command.args(args);
        command
    }

    /// Gives `command` the sandbox for its environment.
    pub(crate) fn clean(&self, command: &mut Command) {
        command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(self.path("project"));
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        command.env("XDG_CACHE_HOME", self.path("home/.cache"));
        command.env("SOURCE_DATE_EPOCH", EPOCH).stdin(Stdio::null());
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, mut command: Command) -> Outcome {
        let output = command.output().expect("the program can be started");
        self.outcome(&output)
    }

    /// Runs a command that writes to `stdout`.
    pub(crate) fn run_with_stdout(
        &self,
        command: &mut Command,
        stdout: impl Into<Stdio>,
    ) -> Outcome {
        let child = command.stdout(stdout).stderr(Stdio::piped()).spawn();
        let output = child.and_then(Child::wait_with_output).expect("the program can be started");
        self.outcome(&output)
    }

    /// Lets `command` run as a user who owns all of the sandbox but `out`; says why when that is not possible.
    pub(crate) fn as_nobody(&self, test: &str, command: &mut Command) -> bool {
        const NOBODY: u32 = 65534;
        if !nix::unistd::geteuid().is_root() {
            skip(test, "only root can become somebody else");
            return false;
        }
        let out = self.path("out");
        let mut pending = vec![self.path("")];
        while let Some(path) = pending.pop() {
            lchown(&path, Some(NOBODY), Some(NOBODY)).expect("root may");
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            pending.extend(entries.map(|entry| entry.path()).filter(|path| *path != out));
        }
        command.uid(NOBODY).gid(NOBODY);
        let mut attempt = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
        attempt.arg("--version").stdout(Stdio::null()).uid(NOBODY).gid(NOBODY);
        let may = attempt.status().is_ok_and(|status| status.success());
        if !may {
            skip(test, "nobody may not run the binary where it is");
        }
        may
    }

    /// What a finished command said.
    pub(crate) fn outcome(&self, output: &std::process::Output) -> Outcome {
        let clean = |bytes: &[u8]| self.clean_text(&String::from_utf8_lossy(bytes));
        let (stdout, stderr) = (clean(&output.stdout), clean(&output.stderr));
        Outcome { status: output.status, stdout, stderr }
    }

    /// `text` with the sandbox's directory as `[DIR]`.
    pub(crate) fn clean_text(&self, text: &str) -> String {
        let root = self.path("").display().to_string();
        text.replace(root.trim_end_matches('/'), "[DIR]")
    }

    /// Builds a package that must come out, and returns its path.
    pub(crate) fn build(&self, args: &[&str]) -> PathBuf {
        self.built(self.deb(args))
    }

    /// The package a command makes; it is the only file it leaves.
    pub(crate) fn built(&self, command: Command) -> PathBuf {
        let outcome = self.run(command);
        assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
        assert_eq!(self.left("tmp"), [""; 0]);
        let [name] = &self.left("out")[..] else { panic!("{:?}", self.left("out")) };
        self.path("out").join(name)
    }

    /// Names below a directory of the sandbox, at any depth, sorted; none when it is not there.
    pub(crate) fn left(&self, dir: &str) -> Vec<String> {
        let base = self.path(dir);
        let mut names = Vec::new();
        let mut pending = vec![base.clone()];
        while let Some(dir) = pending.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                let name = path.strip_prefix(&base).expect("it was found below");
                names.push(name.display().to_string());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    pending.push(path);
                }
            }
        }
        names.sort();
        names
    }
}

/// Failures as text: one paragraph a case, to be compared with a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Failures(String);

impl Failures {
    /// Runs `mkpkg deb` with `args`; it must fail and leave nothing.
    pub(crate) fn deb(&mut self, case: &str, sandbox: &Sandbox, args: &[&str]) {
        self.command(case, sandbox, sandbox.deb(args));
    }

    /// Runs a command that must fail and leave nothing in its output and among temporary files.
    pub(crate) fn command(&mut self, case: &str, sandbox: &Sandbox, command: Command) {
        let before = sandbox.left("out");
        let outcome = sandbox.run(command);
        self.add(case, sandbox, &outcome);
        assert_eq!(sandbox.left("out"), before, "{case}: left in the output");
    }

    /// Adds what a failed command said.
    pub(crate) fn add(&mut self, case: &str, sandbox: &Sandbox, outcome: &Outcome) {
        let end = match outcome.status.code() {
            Some(0) => panic!("{case}: it was let through\n{}", outcome.stderr),
            Some(code) => format!("exit {code}"),
            None => format!("signal {:?}", outcome.status.signal()),
        };
        writeln!(self.0, "# {case}\n{end}\n{}", outcome.error()).expect("memory takes everything");
        assert_eq!(outcome.stdout, "", "{case}: stdout");
        assert_eq!(sandbox.left("tmp"), [""; 0], "{case}: left among temporary files");
    }

    /// Compares with the snapshot `name`.
    pub(crate) fn check(self, name: &str) {
        snapshot::check(name, &self.0);
    }
}

/// Whether `path` is what a test may use; says why not.
pub(crate) fn is_there(test: &str, path: &str) -> bool {
    let found = Path::new(path).exists();
    if !found {
        skip(test, &format!("there is no `{path}`"));
    }
    found
}

/// Says that a test did nothing, past the harness, which keeps the output of passing tests to itself.
pub(crate) fn skip(test: &str, reason: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}
