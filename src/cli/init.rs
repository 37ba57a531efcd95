//! Flags of `mkpkg init`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::EXIT_CODES;

/// Flags of `mkpkg init`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct InitArgs {
    /// Directory of the project; default: this one, or the one that `debian` of --from-debian lies in.
    pub project: Option<PathBuf>,
    /// Write the table `[tool.mkpkg]` at the end of `pyproject.toml`, not the file `mkpkg.toml`.
    #[arg(long, conflicts_with = "from_debian")]
    pub pyproject: bool,
    /// Import the package that dh-virtualenv makes with the `debian` directory DIR.
    ///
    /// `make -n` tells what its rules would run; nothing of it is run but what make itself runs to read them.
    #[arg(long, value_name = "DIR")]
    pub from_debian: Option<PathBuf>,
    /// Run the rules in a copy of the project, to learn how a script calls `dh_virtualenv`.
    #[arg(long, requires = "from_debian")]
    pub run_rules: bool,
    /// Print the JSON schema of the configuration; write nothing.
    #[arg(long, exclusive = true)]
    pub schema: bool,
}
