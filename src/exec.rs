//! Runs other programs: a clean environment in, captured and masked output back.
//!
//! Also keeps the list of children, so that an interrupt ends them with us.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::UserError;
use crate::redact::redact;

static CHILDREN: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// A command without the variables of the caller that change what Python does.
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in ["PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONOPTIMIZE", "PYTHONHASHSEED"] {
        command.env_remove(name);
    }
    command.env_remove("__PYVENV_LAUNCHER__").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, as written.
    pub stdout: Vec<u8>,
    /// Standard error, masked, invalid UTF-8 replaced.
    pub stderr: String,
}

/// Runs `command` to its end; `listen` hears every masked line of standard error as it comes.
pub fn run(mut command: Command, listen: &dyn Fn(&str)) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command)?;
    let stdout = child.0.stdout.take().expect("stdout was piped above");
    let stderr = child.0.stderr.take().expect("stderr was piped above");
    let reader = drain(Box::new(stdout));
    let mut talk = String::new();
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line.with_context(|| format!("cannot read what `{program}` says"))?;
        let line = redact(String::from_utf8_lossy(&line).trim_end());
        listen(&line);
        talk.push_str(&line);
        talk.push('\n');
    }
    let stdout = reader.join().expect("the reader does not panic")?;
    let status = child.wait().with_context(|| format!("cannot wait for `{program}`"))?;
    Ok(Finished { status, stdout, stderr: talk })
}

/// Runs `command` in a process group of its own, and ends what it started when it ends itself, or when it takes
/// longer than `limit`.
pub fn run_alone(mut command: Command, limit: Duration) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut command)?;
    let group = Pid::from_raw(-child.0.id().cast_signed());
    let stdout = child.0.stdout.take().expect("stdout was piped above");
    let stderr = child.0.stderr.take().expect("stderr was piped above");
    let readers = [drain(Box::new(stdout)), drain(Box::new(stderr))];
    let start = Instant::now();
    let fault = || format!("cannot wait for `{program}`");
    while child.0.try_wait().with_context(fault)?.is_none() && start.elapsed() < limit {
        thread::sleep(Duration::from_millis(5));
    }
    let is_late = child.0.try_wait().with_context(fault)?.is_none();
    if is_late {
        // It may have ended just now.
        let _ = kill(group, Signal::SIGKILL);
    }
    let status = child.wait().with_context(fault)?;
    // Usually nobody is left; who is holds the pipes open.
    let _ = kill(group, Signal::SIGKILL);
    let [stdout, stderr] = readers.map(|reader| reader.join().expect("the reader does not panic"));
    let mut stderr = redact(&String::from_utf8_lossy(&stderr?));
    if is_late {
        stderr.push_str(&format!("it did not end within {} s\n", limit.as_secs()));
    }
    Ok(Finished { status, stdout: stdout?, stderr })
}

fn drain(mut pipe: Box<dyn Read + Send>) -> thread::JoinHandle<std::io::Result<Vec<u8>>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes)
    })
}

/// The error for a program that failed: its name, how it ended, and the last lines it said.
pub fn failure(what: &str, finished: &Finished) -> UserError {
    let stdout = String::from_utf8_lossy(&finished.stdout);
    let said: Vec<_> = finished.stderr.lines().chain(stdout.lines()).collect();
    let said: Vec<_> = said.into_iter().filter(|line| !line.trim().is_empty()).collect();
    let tail = said[said.len().saturating_sub(20)..].join("\n    ");
    let said = if tail.is_empty() { String::new() } else { format!(":\n    {}", redact(&tail)) };
    UserError::input(format!("{what} failed ({}){said}", finished.status))
}

/// Starts `command`; the child ends with us when we are interrupted.
pub fn spawn(command: &mut Command) -> Result<Running> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command.spawn().map_err(|error| {
        UserError::input(format!("cannot run `{program}`: {error}"))
            .hint(format!("install `{program}`, or see that it is executable"))
    })?;
    children().push(child.id().cast_signed());
    Ok(Running(child))
}

/// A child process that is killed when dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// The process, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> std::io::Result<ExitStatus> {
        let status = self.0.wait();
        self.forget();
        status.inspect(note_interrupt)
    }

    fn forget(&self) {
        let id = self.0.id().cast_signed();
        children().retain(|child| *child != id);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // The child may have ended in between; there is nothing left to kill then.
            let _ = self.0.kill();
        }
        let _ = self.wait();
    }
}

/// Whether a child was ended by a signal that is meant for us, too.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn note_interrupt(status: &ExitStatus) {
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].map(|signal| signal as i32);
    if status.signal().is_some_and(|signal| signals.contains(&signal)) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
}

/// Gives our own interrupt the time to end the process, when a child has already ended by the same signal: a
/// terminal interrupts all at once, and a child's end is not the failure it looks like.
pub fn yield_to_interrupt() {
    if INTERRUPTED.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(500));
    }
}

/// Calls `clean_up` and ends the process with 128 + 2 when it is interrupted or terminated.
#[expect(clippy::exit, reason = "a signal handler has no caller to return to")]
pub fn on_interrupt(clean_up: impl Fn() + Send + 'static) -> Result<()> {
    ctrlc::set_handler(move || {
        // Held to the end: who waits for a child then waits for us, and calls no interrupt a failure.
        let children = children();
        for child in children.iter() {
            // It may be gone already, and leads a group of its own only when it runs what we do not know.
            let _ = kill(Pid::from_raw(-*child), Signal::SIGTERM);
            for process in with_descendants(*child) {
                let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
            }
        }
        clean_up();
        std::process::exit(130);
    })
    .context("cannot handle interrupts")
}

/// A process and all that it started, as far as their parents still run.
fn with_descendants(process: i32) -> Vec<i32> {
    let mut found = vec![process];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        at += 1;
        let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let list = list.unwrap_or_default();
        found.extend(list.split_whitespace().filter_map(|id| id.parse::<i32>().ok()));
    }
    found
}

fn children() -> MutexGuard<'static, Vec<i32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}
