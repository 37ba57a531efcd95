//! The flow of each command, spelled once.

pub mod audit;
pub mod build;
pub mod cache;
pub mod check;
pub mod deb;
pub mod deliver;
pub mod diff;
pub mod format;
pub mod import;
pub mod init;
pub mod locked;
pub mod parts;
pub mod previous;
pub mod recipe;
pub mod rpm;
pub mod show;
pub mod stage;
pub mod subject;
pub mod unchanged;
pub mod why;

use anyhow::{Context, Result};

use crate::cli::{self, Cli, Command};
use crate::exec::on_interrupt;
use crate::inside::become_command;
use crate::report::{Talk, print};
use crate::scratch::{Scratch, Sweeper};

/// Runs the command of `cli`.
pub fn run(cli: &Cli, talk: &Talk) -> Result<()> {
    match &cli.command {
        Command::Deb(args) => format::deb(args, talk),
        Command::Rpm(args) => format::rpm(args, talk),
        Command::Build(args) => format::all(args, talk),
        Command::Stage(args) => stage::run(args, talk),
        Command::Check(args) => check::run(args, talk),
        Command::Init(args) => init::run(args, talk),
        Command::Show(args) => show::run(args),
        Command::Audit(args) => audit::run(args, talk),
        Command::Diff(args) => diff::run(args),
        Command::Why(args) => why::run(args, talk),
        Command::Cache(args) => cache::run(args),
        Command::Completions { shell } => print_bytes(cli::completions(*shell)),
        Command::Man => print_bytes(cli::man_page().context("cannot make the man page")?),
        Command::RunInside(args) => become_command(&args.source, &args.prefix, &args.command),
    }
}

/// A directory to work in, removed when the process is interrupted, too.
pub fn scratch() -> Result<Scratch> {
    let sweeper = Sweeper::default();
    let at_interrupt = sweeper.clone();
    on_interrupt(move || at_interrupt.sweep())?;
    Scratch::new(&sweeper)
}

fn print_bytes(bytes: Vec<u8>) -> Result<()> {
    print(&String::from_utf8(bytes).context("generated text is UTF-8")?)
}
