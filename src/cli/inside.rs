//! Arguments of the command by which mkpkg runs others in a mount namespace.

use std::path::PathBuf;

use clap::Args;

/// Arguments of the hidden command that runs others in a mount namespace.
#[derive(Debug, Args)]
pub struct InsideArgs {
    /// Directory that is shown at PREFIX.
    pub source: PathBuf,
    /// Where it is shown.
    pub prefix: PathBuf,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    pub command: Vec<std::ffi::OsString>,
}
