//! The flow of each command, spelled once.

pub mod build;
pub mod check;
pub mod deb;
pub mod show;

use anyhow::{Context, Result};

use crate::cli::{self, Cli, Command};
use crate::inside::become_command;
use crate::report::{Talk, print};

/// Runs the command of `cli`.
pub fn run(cli: &Cli, talk: &Talk) -> Result<()> {
    match &cli.command {
        Command::Deb(args) => deb::run(args, talk),
        Command::Check(args) => check::run(args, talk),
        Command::Show(args) => show::run(args),
        Command::Completions { shell } => print_bytes(cli::completions(*shell)),
        Command::Man => print_bytes(cli::man_page().context("cannot make the man page")?),
        Command::RunInside(args) => become_command(&args.source, &args.prefix, &args.command),
    }
}

fn print_bytes(bytes: Vec<u8>) -> Result<()> {
    print(&String::from_utf8(bytes).context("generated text is UTF-8")?)
}
