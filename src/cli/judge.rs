//! Flags of the commands that judge packages.

use std::path::PathBuf;

use clap::Args;

/// What decides whether a package is good.
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// What fails: `error`, `warn`, `info`, `never`, ids of checks, `critical`, `high`, `medium`, `low`, `fixable`.
    ///
    /// May be given several times; default: what the configuration says, else `error`.
    #[arg(long, value_name = "LEVEL|ID", value_delimiter = ',')]
    pub fail_on: Vec<String>,
    /// Release that the package must load on, such as `debian:12`.
    ///
    /// May be given several times.
    #[arg(long, value_name = "RELEASE", value_delimiter = ',')]
    pub target: Vec<String>,
    /// Database of vulnerabilities: a dump in the OSV format, a directory of entries, or what pip-audit found.
    ///
    /// May be given several times.
    #[arg(long, value_name = "DB", env = "OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY")]
    pub vulnerabilities: Vec<PathBuf>,
    /// Days after which a database of vulnerabilities is too old; default: 5.
    #[arg(long, value_name = "DAYS")]
    pub max_db_age: Option<u16>,
    /// The configuration, `mkpkg.toml` or `pyproject.toml`; default: that of the project in this directory.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}
