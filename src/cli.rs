//! The command line: what can be typed, and what it sets.
//!
//! The only module that knows clap. Nothing here looks at the project.

pub mod cache;
pub mod diff;
pub mod format;
pub mod init;
pub mod inside;
pub mod judge;
pub mod stage;
pub mod why;

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::cli::cache::CacheArgs;
use crate::cli::diff::DiffArgs;
use crate::cli::format::ReportFormat;
use crate::cli::init::InitArgs;
use crate::cli::inside::InsideArgs;
use crate::cli::judge::JudgeArgs;
use crate::cli::stage::StageArgs;
use crate::cli::why::WhyArgs;
use crate::codec::Compression;
use crate::package::Floor;
use crate::report::{Color, Verbosity};
use crate::wheelhouse::installer::Choice;

/// Shown at the end of every help text and in the man page.
const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  a gate or comparison failed, or `why` was asked about what is not there
   2  usage, configuration or the project is wrong
   3  input unreadable or hostile, output not writable, or a program that was run failed
   4  a needed library, symbol version or interpreter could not be resolved
   5  a database or network input is missing or stale
  70  a bug in mkpkg
 130  interrupted";

/// Turn a Python application into a native OS package that sysadmins trust.
#[derive(Debug, Parser)]
#[command(name = "mkpkg", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// Say more: notes, and what other programs say.
    #[arg(short, long, global = true, conflicts_with = "quiet", action = ArgAction::Count)]
    verbose: u8,
    /// Say nothing but errors.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, env = "MKPKG_COLOR")]
    color: When,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build a .deb.
    Deb(BuildArgs),
    /// Build an .rpm.
    Rpm(RpmArgs),
    /// Build every format of the configuration, by default both, from one tree.
    Build(RpmArgs),
    /// Build, and write the tree into a directory for debhelper or rpmbuild to pack.
    Stage(StageArgs),
    /// Show a .deb or .rpm as stable text: metadata, relations, scripts, files.
    Show(ShowArgs),
    /// Audit a package: where it loads, what is unsafe, what is inside.
    Audit(AuditArgs),
    /// Compare two packages: what an upgrade changes, breaks and fixes.
    Diff(DiffArgs),
    /// Tell why a package needs what it needs: the chain from a distribution to a relation.
    Why(WhyArgs),
    /// Write a starting configuration, or that of a package dh-virtualenv makes.
    Init(InitArgs),
    /// Validate configuration and inputs; build nothing.
    Check(BuildArgs),
    /// Look after what builds keep for later ones.
    Cache(CacheArgs),
    /// Print a completion script.
    Completions {
        /// The shell it is for.
        shell: clap_complete::Shell,
    },
    /// Print the man page.
    Man,
    /// Run a command in a private view of the file system (used by mkpkg itself).
    #[command(hide = true, name = "run-inside")]
    RunInside(InsideArgs),
}

/// When colour is used.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Which program resolves and builds wheels.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum InstallerName {
    /// uv where it is installed, else pip.
    Auto,
    /// pip only.
    Pip,
    /// uv, with pip for what uv cannot do.
    Uv,
}

/// Where the interpreter comes from.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum InterpreterName {
    /// The distribution's.
    System,
}

/// How exact the versions of relations to libraries are.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FloorName {
    /// As the distribution's own tool has them.
    Exact,
    /// The least that will do for code linked elsewhere.
    Portable,
}

/// Flags of the commands that build.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct BuildArgs {
    /// Directory of the project.
    #[arg(default_value = ".")]
    pub project: PathBuf,
    /// Read the configuration in FILE, not that of the project; its paths are relative to the project all the same.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory for the package.
    #[arg(short, long, value_name = "DIR", default_value = "dist", env = "MKPKG_OUTPUT")]
    pub output: PathBuf,
    /// Interpreter the package is for: X.Y, or an executable.
    #[arg(long, value_name = "EXE", env = "MKPKG_PYTHON")]
    python: Option<String>,
    /// Where the interpreter comes from.
    #[arg(long, value_enum, env = "MKPKG_INTERPRETER")]
    interpreter: Option<InterpreterName>,
    /// Requirements or lock file; may be given several times.
    #[arg(long, value_name = "FILE", env = "MKPKG_REQUIREMENTS")]
    requirements: Vec<PathBuf>,
    /// Extra of the project to install; may be given several times.
    #[arg(long = "extra", value_name = "NAME")]
    extras: Vec<String>,
    /// Install from exactly the wheels in DIR, without network, pip and uv.
    #[arg(long, value_name = "DIR", env = "MKPKG_WHEELHOUSE")]
    pub wheelhouse: Option<PathBuf>,
    /// Use no network.
    #[arg(long, env = "MKPKG_OFFLINE", value_parser = FalseyValueParser::new())]
    pub offline: bool,
    /// Refuse to resolve; every requirement must be locked with a hash.
    #[arg(long, env = "MKPKG_LOCKED", value_parser = FalseyValueParser::new())]
    pub locked: bool,
    /// Program that resolves and builds wheels.
    #[arg(long, value_enum, default_value_t = InstallerName::Auto, env = "MKPKG_INSTALLER")]
    installer: InstallerName,
    /// Release the package is for, such as debian:12; default: the host's.
    #[arg(long, value_name = "RELEASE", env = "MKPKG_TARGET")]
    pub target: Option<String>,
    /// Machine the package is for, such as arm64 or aarch64; default: this one. Another needs --wheelhouse.
    #[arg(long, value_name = "ARCH", env = "MKPKG_ARCH")]
    pub arch: Option<String>,
    /// Root file system with the libraries and packages to relate to; default: the host for its own release.
    #[arg(long, value_name = "DIR", env = "MKPKG_SYSROOT")]
    pub sysroot: Option<PathBuf>,
    /// How exact the versions of relations to libraries are.
    #[arg(long, value_enum, default_value_t = FloorName::Portable, env = "MKPKG_FLOOR")]
    floor: FloorName,
    /// Compression: auto, zstd[:N], xz[:N] or gzip[:N].
    #[arg(long, value_name = "METHOD", default_value = "auto", env = "MKPKG_COMPRESSION")]
    pub compression: String,
    /// Version of the application, when the project does not say or says another.
    #[arg(long, value_name = "V", env = "MKPKG_VERSION")]
    version: Option<String>,
    /// Release of the package.
    #[arg(long, value_name = "R", env = "MKPKG_RELEASE")]
    release: Option<String>,
    /// Package of an earlier version: an upgrade from it is prepared. May be given once for each format that is built.
    #[arg(long, value_name = "OLD")]
    pub previous: Vec<PathBuf>,
    /// Set a key of the configuration; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
    /// Import every module and command of the project before anything is written.
    #[arg(long, env = "MKPKG_SMOKE", value_parser = FalseyValueParser::new())]
    pub smoke: bool,
    /// How much to do at once; default: the number of processors.
    #[arg(long, value_name = "N", env = "MKPKG_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Neither read nor write the cache.
    #[arg(long, env = "MKPKG_NO_CACHE", value_parser = FalseyValueParser::new())]
    pub no_cache: bool,
    /// Print what would be built; write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Say at the end where the time went.
    #[arg(long)]
    pub timings: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `mkpkg rpm`: those that build, and what only an .rpm can have.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct RpmArgs {
    /// How it is built.
    #[command(flatten)]
    pub build: BuildArgs,
    /// Sign with this key of GnuPG, best named by its fingerprint; `sq:KEY` is one of Sequoia: a file, or a fingerprint.
    #[arg(long, value_name = "KEY", env = "MKPKG_SIGN")]
    pub sign: Option<String>,
}

/// Flags of `mkpkg show`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ShowArgs {
    /// The package.
    pub package: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `mkpkg audit`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct AuditArgs {
    /// A .deb, an .rpm or a wheel, whoever made it; an environment, or a directory that is taken for a root.
    #[arg(required_unless_present = "schema")]
    pub package: Option<PathBuf>,
    /// Print the JSON schema of what `--format json` writes, and audit nothing.
    #[arg(long, conflicts_with = "package")]
    schema: bool,
    /// What decides.
    #[command(flatten)]
    pub judge: JudgeArgs,
    /// Fail when something could not be read.
    #[arg(long)]
    pub strict: bool,
    /// Tell every finding and every compiled file.
    #[arg(long)]
    pub all: bool,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    format: ReportFormat,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write the report into FILE, whole or not at all; default: standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How much to do at once; default: the number of processors.
    #[arg(long, value_name = "N", env = "MKPKG_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

impl AuditArgs {
    /// How the report is written.
    pub fn format(&self) -> ReportFormat {
        if self.json { ReportFormat::Json } else { self.format }
    }

    /// How much to do at once.
    pub fn jobs(&self) -> usize {
        jobs(self.jobs)
    }
}

impl Cli {
    /// Reads the arguments of the process; ends it when they are wrong, or ask for help.
    pub fn from_arguments() -> Self {
        Self::parse()
    }

    /// How much to say.
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 1..) => Verbosity::Verbose,
            (false, 0) => Verbosity::Normal,
        }
    }

    /// When to use colour.
    pub fn color(&self) -> Color {
        match self.color {
            When::Auto => Color::Auto,
            When::Always => Color::Always,
            When::Never => Color::Never,
        }
    }
}

impl BuildArgs {
    /// Which installer to use.
    pub fn installer(&self) -> Choice {
        match self.installer {
            InstallerName::Auto => Choice::Auto,
            InstallerName::Pip => Choice::Pip,
            InstallerName::Uv => Choice::Uv,
        }
    }

    /// How exact the versions of relations to libraries are.
    pub fn floor(&self) -> Floor {
        match self.floor {
            FloorName::Exact => Floor::Exact,
            FloorName::Portable => Floor::Portable,
        }
    }

    /// How much to do at once.
    pub fn jobs(&self) -> usize {
        jobs(self.jobs)
    }

    /// The compression asked for; `None` for `auto`.
    pub fn compression(&self) -> anyhow::Result<Option<Compression>> {
        if self.compression == "auto" { Ok(None) } else { Ok(Some(self.compression.parse()?)) }
    }

    /// Keys of the configuration that flags and the environment set, weakest first.
    pub fn settings(&self, environment: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
        let mut settings = Vec::new();
        for key in
            ["name", "prefix", "maintainer", "extras", "bin", "exclude", "byte-compile", "check"]
        {
            let variable = format!("MKPKG_{}", key.to_uppercase().replace('-', "_"));
            settings.extend(environment(&variable).map(|value| (key.to_owned(), value)));
        }
        let mut set = |key: &str, value: Option<String>| {
            settings.extend(value.map(|value| (key.to_owned(), value)));
        };
        set("python", self.python.clone());
        set("interpreter", self.interpreter.map(|InterpreterName::System| "system".to_owned()));
        set("version", self.version.clone());
        set("release", self.release.clone());
        // Paths typed are relative to where they were typed, those of the configuration to the project.
        let absolute = |file: &PathBuf| std::path::absolute(file).unwrap_or_else(|_| file.clone());
        let files: Vec<_> =
            self.requirements.iter().map(|file| absolute(file).display().to_string()).collect();
        set("requirements", (!files.is_empty()).then(|| format!("{files:?}")));
        set("extras", (!self.extras.is_empty()).then(|| format!("{:?}", self.extras)));
        settings.extend(self.set.iter().cloned());
        settings
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// The completion script for `shell`.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mkpkg", &mut script);
    script
}

/// The man page mkpkg(1), roff.
pub fn man_page() -> std::io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let command = Cli::command();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        clap_mangen::Man::new(sub.clone())
            .title(format!("mkpkg-{}", sub.get_name()))
            .render(&mut page)?;
    }
    Ok(page)
}

fn jobs(asked: Option<u16>) -> usize {
    match asked {
        Some(jobs) => usize::from(jobs),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::cli::{Cli, Command};

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_lie_over_the_environment_and_set_over_flags() {
        let cli = Cli::parse_from([
            "mkpkg",
            "deb",
            "--extra",
            "a",
            "--release",
            "2",
            "--set",
            "release=3",
        ]);
        let Command::Deb(args) = cli.command else { panic!("not deb") };
        let settings =
            args.settings(&|name| (name == "MKPKG_EXTRAS").then(|| "[\"e\"]".to_owned()));
        let texts: Vec<_> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(texts, ["extras=[\"e\"]", "release=2", "extras=[\"a\"]", "release=3"]);
    }
}
