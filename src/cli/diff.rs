//! Flags of `mkpkg diff`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::judge::JudgeArgs;
use crate::cli::{EXIT_CODES, jobs};

/// Flags of `mkpkg diff`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, mut_arg("fail_on", |arg| {
    let help = "What fails: the words of `mkpkg audit`, of what is new; `downgrade`, `release-lost`, `relation-added`, \
                `script-changed`, `type-change`";
    arg.help(help).long_help(help)
}))]
pub struct DiffArgs {
    /// The package before.
    pub old: PathBuf,
    /// The package now.
    pub new: PathBuf,
    /// What decides.
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// How the comparison is written.
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub format: DiffFormat,
    /// Fail when something could not be read.
    #[arg(long)]
    pub strict: bool,
    /// Tell every file and every line.
    #[arg(long)]
    pub all: bool,
    /// How much to do at once; default: the number of processors.
    #[arg(long, value_name = "N", env = "MKPKG_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

impl DiffArgs {
    /// How much to do at once.
    pub fn jobs(&self) -> usize {
        jobs(self.jobs)
    }
}

/// How a comparison is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// To be read on a terminal.
    Text,
    /// For programs.
    Json,
    /// For a comment on a pull request.
    Markdown,
}
