//! What mkpkg says: progress and warnings on stderr, data on stdout.
//!
//! The only module that prints, and the only one that knows the progress-bar crate.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use terminal_size::{Width, terminal_size_of};

use crate::error::hint;
use crate::inert::inert_lines;
use crate::usage::so_far;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Stages, warnings and a summary.
    Normal,
    /// Notes and what other programs say, too.
    Verbose,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    fn is_used(self, is_terminal: bool) -> bool {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match self {
            Self::Auto => is_terminal && !plain,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The voice of one run.
#[derive(Debug)]
pub struct Talk {
    color: Color,
    verbosity: Verbosity,
    is_coloured: bool,
    is_terminal: bool,
    warnings: RefCell<Vec<String>>,
    timings: RefCell<Vec<Timing>>,
    start: Instant,
}

/// How long a stage took.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Name of the stage.
    pub stage: &'static str,
    /// Wall-clock time.
    pub duration: Duration,
    /// Time on processors, with that of programs that were run.
    pub processors: Duration,
}

impl Talk {
    /// A voice for stderr as it is.
    pub fn new(verbosity: Verbosity, color: Color) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self {
            color,
            verbosity,
            is_coloured: color.is_used(is_terminal),
            is_terminal,
            warnings: RefCell::new(Vec::new()),
            timings: RefCell::new(Vec::new()),
            start: Instant::now(),
        }
    }

    /// Whether data on stdout may have colours.
    pub fn colours_data(&self) -> bool {
        self.color.is_used(io::stdout().is_terminal())
    }

    /// Runs `work` as a named stage: shows that it runs, and keeps how long it took.
    pub fn stage<T>(&self, stage: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (start, used) = (Instant::now(), so_far());
        let bar = self.bar(stage);
        let result = work();
        let duration = start.elapsed();
        let processors = so_far().processors.saturating_sub(used.processors);
        bar.finish_and_clear();
        if result.is_ok() && self.verbosity >= Verbosity::Normal {
            let time = format!("{:.1} s", duration.as_secs_f64());
            line(&format!("{:>10}  {stage}", self.paint("2", &time)));
        }
        self.time(Timing { stage, duration, processors });
        result
    }

    /// Adds to the time of a stage, which may come once for each package.
    fn time(&self, timing: Timing) {
        let mut timings = self.timings.borrow_mut();
        match timings.iter_mut().find(|known| known.stage == timing.stage) {
            Some(known) => {
                known.duration += timing.duration;
                known.processors += timing.processors;
            }
            None => timings.push(timing),
        }
    }

    fn bar(&self, stage: &'static str) -> ProgressBar {
        if !self.is_terminal || self.verbosity == Verbosity::Quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new_spinner().with_message(stage);
        bar.set_style(ProgressStyle::default_spinner());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// Something the user should act on; shown now and again in the summary's count.
    pub fn warn(&self, message: impl Into<String>) {
        let message = message.into();
        if self.verbosity >= Verbosity::Normal {
            line(&format!("{} {}", self.paint("1;33", "warning:"), inert_lines(&message)));
        }
        self.warnings.borrow_mut().push(message);
    }

    /// A fact that explains a decision; shown when asked for.
    pub fn note(&self, message: &str) {
        if self.verbosity >= Verbosity::Verbose {
            line(&format!("{} {message}", self.paint("36", "note:")));
        }
    }

    /// A line of the summary.
    pub fn say(&self, message: &str) {
        if self.verbosity >= Verbosity::Normal {
            line(message);
        }
    }

    /// Warnings so far.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    /// Stages so far, those of the same name together.
    pub fn timings(&self) -> Vec<Timing> {
        self.timings.borrow().clone()
    }

    /// Wall-clock time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The error that ended the run, and its hint.
    pub fn fail(&self, error: &anyhow::Error) {
        let text = inert_lines(&format!("{error:#}"));
        line(&format!("{} {text}", self.paint("1;31", "error:")));
        if let Some(hint) = hint(error) {
            line(&format!("{} {}", self.paint("1;36", "hint:"), inert_lines(hint)));
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn line(text: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// How many characters fit into a line of data: those of the terminal, if it is printed to one, else `COLUMNS`, else 80.
pub fn width(is_printed: bool) -> usize {
    const NARROW: usize = 40;
    let terminal =
        terminal_size_of(io::stdout()).filter(|_| is_printed && io::stdout().is_terminal());
    let terminal = terminal.map(|(Width(width), _)| usize::from(width));
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.or_else(told).unwrap_or(80).max(NARROW)
}

/// Writes data to stdout; a reader that has gone away is no error.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
