//! Flags of `mkpkg init`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::EXIT_CODES;

/// Flags of `mkpkg init`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct InitArgs {
    /// Directory of the project.
    #[arg(default_value = ".")]
    pub project: PathBuf,
    /// Write the table `[tool.mkpkg]` at the end of `pyproject.toml`, not the file `mkpkg.toml`.
    #[arg(long)]
    pub pyproject: bool,
    /// Print the JSON schema of the configuration; write nothing.
    #[arg(long, exclusive = true)]
    pub schema: bool,
}
