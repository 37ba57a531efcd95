//! Flags of `mkpkg stage`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::{BuildArgs, EXIT_CODES};

/// Flags of `mkpkg stage`: those that build, but for those of the file that is not written, and what is written instead.
#[derive(Debug, Args)]
#[command(
    after_help = EXIT_CODES,
    mut_arg("output", |arg| {
        let help = "Directory that stands for `/` while another program packs what is in it";
        arg.long("destdir").env(None::<&str>).default_value(None::<&str>).required(true).help(help)
    }),
    mut_arg("compression", |arg| arg.hide(true)),
    mut_arg("previous", |arg| arg.hide(true)),
    mut_arg("dry_run", |arg| arg.hide(true)),
    mut_arg("json", |arg| arg.hide(true))
)]
pub struct StageArgs {
    /// How it is built, and where it is written.
    #[command(flatten)]
    pub build: BuildArgs,
    /// Format of the package that is made of it.
    #[arg(long, value_enum, default_value_t = StageFormat::Deb)]
    pub format: StageFormat,
    /// Write the relations into FILE: variables of deb-substvars(5), in which what else is there stays; for an .rpm
    /// one `Tag: value` a line, and all of them, those of its scripts, accounts and parts, too.
    #[arg(long, value_name = "FILE")]
    pub relations: Option<PathBuf>,
    /// Write the list of files into FILE, for `%files -f` of a spec file; for an .rpm only.
    #[arg(long, value_name = "FILE")]
    pub files: Option<PathBuf>,
    /// Write the scripts of the package into DIR, by their names in the format.
    #[arg(long, value_name = "DIR")]
    pub scripts: Option<PathBuf>,
    /// Refuse units, scripts and files of the configuration that lie in DIR: the other program has its own use for what is
    /// there, as debhelper has for `debian`.
    #[arg(long, value_name = "DIR")]
    pub foreign: Option<PathBuf>,
}

/// Which packages are made of what is staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StageFormat {
    /// A .deb.
    Deb,
    /// An .rpm.
    Rpm,
}
