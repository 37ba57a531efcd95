//! What `mkpkg cache` is told.

use clap::{Args, Subcommand};

use crate::amount;
use crate::cli::EXIT_CODES;

/// Flags of `mkpkg cache`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CacheArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub action: CacheAction,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What can be done with the cache.
#[derive(Debug, Subcommand)]
pub enum CacheAction {
    /// Print where it is.
    Dir,
    /// Print what is in it, and how much that is.
    Size,
    /// Remove everything that no build is using.
    Clean,
    /// Remove what was not used for longest; builds do so by themselves.
    Prune {
        /// What may stay in all, such as 500M or 5G.
        #[arg(long, value_name = "SIZE", default_value = "10G", value_parser = bytes)]
        max_size: u64,
        /// Remove what was not used for this many days in any case.
        #[arg(long, value_name = "DAYS")]
        max_age: Option<u32>,
    },
}

fn bytes(text: &str) -> Result<u64, String> {
    amount::parse(text).ok_or_else(|| "write it as a number of bytes, or as 500M or 5G".to_owned())
}
