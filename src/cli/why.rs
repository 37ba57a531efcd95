//! What `mkpkg why` is asked.

use clap::Args;

use crate::cli::{BuildArgs, EXIT_CODES};

/// Flags of `mkpkg why`: those that build, for a project, and what is asked.
#[derive(Debug, Args)]
#[command(
    after_help = EXIT_CODES,
    mut_arg("project", |arg| {
        let help = "A package, or the directory of a project; of a package only --sysroot, --floor and --jobs are used";
        arg.index(1).value_name("PACKAGE").default_value(None::<&str>).required(true).help(help)
    }),
    mut_arg("output", |arg| arg.hide(true)),
    mut_arg("compression", |arg| arg.hide(true)),
    mut_arg("previous", |arg| arg.hide(true)),
    mut_arg("dry_run", |arg| arg.hide(true))
)]
pub struct WhyArgs {
    /// The package or project, and how it is built.
    #[command(flatten)]
    pub build: BuildArgs,
    /// Another package, a library, a symbol version, a distribution or a file.
    #[arg(index = 2)]
    pub name: String,
    /// Show every chain, not only those that decide.
    #[arg(long)]
    pub all: bool,
}
