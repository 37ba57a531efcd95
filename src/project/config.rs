//! The configuration of a project: `mkpkg.toml`, or `[tool.mkpkg]` of `pyproject.toml`, under the settings of the
//! command line and the environment.
//!
//! Shapes and checks only; nothing here looks at the project.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde::Deserialize;

use crate::document::{Table, Value, from_table, from_toml, value};
use crate::error::UserError;
use crate::project::audit::Audit;
use crate::project::services::{Check, Scripts, Service, User};

/// Every setting, as written; `None` where a default depends on the project.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "Configuration of mkpkg"))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    /// Package name; default: the normalised project name.
    pub name: Option<String>,
    /// Upstream version (PEP 440); default: the project's.
    pub version: Option<String>,
    /// Epoch of the package, before its version; default: that of the project's version (PEP 440).
    pub epoch: Option<u32>,
    /// One line on what it is; default: the project's summary.
    pub summary: Option<String>,
    /// Paragraphs on what it is, with empty lines between them.
    pub description: Option<String>,
    /// URL; default: the project's.
    pub homepage: Option<String>,
    /// Directory everything lives under; default: `/opt/<name>`.
    pub prefix: Option<String>,
    /// Whether a version replaces the one before or lies beside it.
    pub layout: LayoutName,
    /// Release of the package within one upstream version.
    pub release: String,
    /// `Name <mail>`.
    pub maintainer: Option<String>,
    /// `X.Y`, or an executable; default: `python3` of the target.
    pub python: Option<String>,
    /// Where the interpreter comes from.
    pub interpreter: InterpreterMode,
    /// Requirements or lock files; default: the lock beside the project, if any.
    pub requirements: Vec<PathBuf>,
    /// Extras of the project to install.
    pub extras: Vec<String>,
    /// Whether the project itself is in the package, or only what it requires.
    pub install_project: bool,
    /// Commands linked into `/usr/bin`; default: the project's own console scripts.
    pub bin: Option<Vec<String>>,
    /// Formats of packages that are made together; `None` for every one the target installs.
    pub formats: Option<Vec<FormatName>>,
    /// Globs of paths below the prefix to leave out.
    pub exclude: Vec<String>,
    /// Whether byte code is shipped.
    pub byte_compile: bool,
    /// Shell commands that must succeed on the finished tree before anything is written.
    pub check: Vec<Check>,
    /// Requirements of the application that may be missing from the lock.
    pub allow_missing: Vec<String>,
    /// Relations to other packages.
    pub dependencies: Dependencies,
    /// Further files to install.
    pub files: Vec<FileRule>,
    /// Services by key, which with the package's name is the name of the unit.
    pub services: BTreeMap<String, Service>,
    /// The account they run as.
    pub user: User,
    /// What runs on a host around installation, upgrade and removal.
    pub scripts: Scripts,
    /// How `mkpkg audit` judges.
    pub audit: Audit,
    /// What only a `.deb` has.
    pub deb: Deb,
    /// What only an `.rpm` has.
    pub rpm: Rpm,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            version: None,
            epoch: None,
            summary: None,
            description: None,
            homepage: None,
            prefix: None,
            layout: LayoutName::Plain,
            release: "1".to_owned(),
            maintainer: None,
            python: None,
            interpreter: InterpreterMode::System,
            requirements: Vec::new(),
            extras: Vec::new(),
            install_project: true,
            bin: None,
            formats: None,
            exclude: Vec::new(),
            byte_compile: true,
            check: Vec::new(),
            allow_missing: Vec::new(),
            dependencies: Dependencies::default(),
            files: Vec::new(),
            services: BTreeMap::new(),
            user: User::default(),
            scripts: Scripts::default(),
            audit: Audit::default(),
            deb: Deb::default(),
            rpm: Rpm::default(),
        }
    }
}

/// Where versions of an application lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LayoutName {
    /// At one place: a version replaces the one before.
    Plain,
    /// Side by side, with a link to the current one.
    Releases,
}

/// Where the interpreter of a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InterpreterMode {
    /// The distribution's, at `/usr/bin/python3.X`.
    System,
}

/// Relations beside the derived ones.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Dependencies {
    /// Packages that are needed, for every format.
    pub add: Vec<String>,
    /// Libraries of the system to forget, by name or pattern.
    pub ignore: Vec<String>,
    /// Libraries the application works without.
    pub weak: Vec<String>,
    /// Libraries with the package that stands for each.
    pub rename: BTreeMap<String, String>,
}

/// A file to install beside the environment.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileRule {
    /// Path in the project.
    pub source: PathBuf,
    /// Absolute path on the host.
    pub target: String,
    /// Octal permission bits as text.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// How package managers treat it.
    #[serde(default)]
    pub role: FileRole,
}

fn default_mode() -> String {
    "0644".to_owned()
}

/// How package managers treat a configured file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FileRole {
    /// As any other.
    #[default]
    Plain,
    /// An administrator's edits are kept.
    Config,
    /// Documentation.
    Doc,
}

/// A format of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FormatName {
    /// That of Debian and Ubuntu.
    Deb,
    /// That of RHEL, Fedora, SUSE and their kin.
    Rpm,
}

/// What only a `.deb` has.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Deb {
    /// Archive section.
    pub section: String,
    /// Archive priority.
    pub priority: String,
    /// Further fields, by name.
    pub fields: BTreeMap<String, String>,
    /// Packages that are needed.
    pub add: Vec<String>,
    /// Packages that are installed along unless declined.
    pub recommends: Vec<String>,
    /// Packages that would be useful.
    pub suggests: Vec<String>,
    /// Packages that cannot be there too.
    pub conflicts: Vec<String>,
    /// Packages whose files are taken over.
    pub replaces: Vec<String>,
    /// Packages this one stands in for.
    pub provides: Vec<String>,
    /// Libraries of the system to forget, by name or pattern.
    pub ignore: Vec<String>,
    /// Libraries the application works without.
    pub weak: Vec<String>,
    /// Libraries with the package that stands for each.
    pub rename: BTreeMap<String, String>,
}

impl Default for Deb {
    fn default() -> Self {
        Self {
            section: "misc".to_owned(),
            priority: "optional".to_owned(),
            fields: BTreeMap::new(),
            add: Vec::new(),
            recommends: Vec::new(),
            suggests: Vec::new(),
            conflicts: Vec::new(),
            replaces: Vec::new(),
            provides: Vec::new(),
            ignore: Vec::new(),
            weak: Vec::new(),
            rename: BTreeMap::new(),
        }
    }
}

/// What only an `.rpm` has.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rpm {
    /// Packages that are needed.
    pub add: Vec<String>,
    /// Packages that are installed along unless declined.
    pub recommends: Vec<String>,
    /// Packages that would be useful.
    pub suggests: Vec<String>,
    /// Packages that cannot be there too.
    pub conflicts: Vec<String>,
    /// Packages this one replaces.
    pub obsoletes: Vec<String>,
    /// Packages this one stands in for.
    pub provides: Vec<String>,
    /// Libraries of the system to forget, by name or pattern.
    pub ignore: Vec<String>,
    /// Libraries the application works without.
    pub weak: Vec<String>,
    /// Libraries with the package that stands for each.
    pub rename: BTreeMap<String, String>,
}

/// Reads the configuration `file` (the text and the name of a file, if there is one), then lays `settings` over
/// it: dotted keys with TOML values or plain text, weakest first.
pub fn load(file: Option<(Table, &str)>, settings: &[(String, String)]) -> Result<Config> {
    let (mut table, name) = file.unwrap_or_default();
    // Once on its own, so that a fault of the file is told apart from one of the command line.
    from_table::<Config>(table.clone(), name)?;
    for (key, text) in settings {
        set(&mut table, key, text)?;
    }
    let config: Config = from_table(table, "the settings of the command line and environment")?;
    check_release(&config.release)?;
    if let Some(check) = config.check.iter().find(|check| !check.on_build && !check.on_install) {
        let message = format!("the check `{}` never runs", check.run);
        return Err(UserError::usage(message)
            .hint("set `on-install = true` with `on-build = false`, or leave the check out")
            .into());
    }
    Ok(config)
}

/// Characters both formats take in a release.
fn check_release(release: &str) -> Result<()> {
    let allowed = |at: char| at.is_ascii_alphanumeric() || ".+~".contains(at);
    if !release.is_empty() && release.chars().all(allowed) {
        return Ok(());
    }
    let message = format!("`{}` is not a valid release of a package", release.escape_debug());
    Err(UserError::usage(message).hint("use letters, digits, `.`, `+` and `~`, such as `1`").into())
}

/// The table `[tool.mkpkg]` or the whole of `mkpkg.toml`.
pub fn parse(text: &str, name: &str) -> Result<Table> {
    from_toml(text, name)
}

fn set(table: &mut Table, key: &str, text: &str) -> Result<()> {
    let mut parts: Vec<_> = key.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut inner = table;
    for part in parts {
        let next = inner.entry(part).or_insert_with(|| Value::Table(Table::new()));
        inner = next.as_table_mut().ok_or_else(|| {
            UserError::usage(format!("`{key}` cannot be set: `{part}` is not a table"))
        })?;
    }
    if last.is_empty() {
        return Err(UserError::usage(format!("`{key}` is not a key of the configuration")).into());
    }
    inner.insert(last.to_owned(), setting(last, text));
    Ok(())
}

/// `release=1` means the text, not the number; lists and booleans are what they look like.
fn setting(key: &str, text: &str) -> Value {
    match value(text) {
        Value::Integer(_) | Value::Float(_) | Value::Datetime(_) => Value::String(text.to_owned()),
        Value::String(text) if is_list(key) => Value::Array(vec![Value::String(text)]),
        other @ (Value::String(_) | Value::Boolean(_) | Value::Array(_) | Value::Table(_)) => other,
    }
}

fn is_list(key: &str) -> bool {
    matches!(
        key,
        "requirements"
            | "extras"
            | "bin"
            | "exclude"
            | "check"
            | "allow-missing"
            | "add"
            | "ignore"
            | "weak"
            | "recommends"
            | "suggests"
            | "conflicts"
            | "replaces"
            | "obsoletes"
            | "provides"
    )
}

/// Permission bits from octal text; setuid, setgid, sticky and write for others are refused.
pub fn mode(text: &str) -> Result<u32> {
    match u32::from_str_radix(text.trim_start_matches("0o"), 8) {
        Ok(mode) if mode & !0o755 == 0 && mode & 0o600 == 0o600 => Ok(mode),
        Ok(_) | Err(_) => Err(UserError::usage(format!("the mode `{text}` is not allowed in a package"))
            .hint("use `0644`, `0755`, `0640` or another mode its owner can read and write and nobody else writes")
            .into()),
    }
}

#[cfg(test)]
mod tests {
    use schemars::generate::SchemaSettings;

    use crate::error::hint;
    use crate::project::config::{Config, load, mode, parse};

    /// docs/config.schema.json is made of the types; `UPDATE_SNAPSHOTS=1` writes it anew.
    #[test]
    fn the_schema_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.schema.json");
        let settings = SchemaSettings::draft2020_12();
        let schema = settings.into_generator().into_root_schema_for::<Config>();
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(written, text, "write it anew with UPDATE_SNAPSHOTS=1");
    }

    fn check(
        text: &str,
        settings: &[(&str, &str)],
    ) -> Result<crate::project::config::Config, String> {
        let settings: Vec<_> =
            settings.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
        let table = parse(text, "mkpkg.toml").map_err(|error| error.to_string())?;
        load(Some((table, "mkpkg.toml")), &settings)
            .map_err(|error| format!("{error} / {}", hint(&error).unwrap_or_default()))
    }

    #[test]
    fn settings_lie_over_the_file() {
        let config = check(
            "release = '1'\nextras = ['a']\n[deb]\nsection = 'web'",
            &[
                ("release", "2"),
                ("extras", "[\"b\", \"c\"]"),
                ("deb.section", "net"),
                ("bin", "[]"),
                ("byte-compile", "false"),
            ],
        )
        .unwrap();
        assert_eq!((config.release.as_str(), config.extras.len()), ("2", 2));
        assert_eq!((config.deb.section.as_str(), config.byte_compile), ("net", false));
        assert_eq!(config.bin, Some(Vec::new()));
        let rpm =
            check("[rpm]\nweak = ['libx.so.*']", &[("rpm.obsoletes", "acme < 2")]).unwrap().rpm;
        assert_eq!(
            (rpm.weak, rpm.obsoletes),
            (["libx.so.*"].map(str::to_owned).into(), ["acme < 2"].map(str::to_owned).into())
        );
        assert_eq!(check("", &[("check", "true x")]).unwrap().check[0].run, "true x");
    }

    #[test]
    fn faults() {
        for (text, settings, message) in [
            (
                "requirments = []",
                &[][..],
                "cannot read `mkpkg.toml`: unknown field `requirments`, expected one of",
            ),
            (
                "",
                &[("deb.sektion", "x")][..],
                "cannot read `the settings of the command line and environment`: unknown field `sektion`",
            ),
            ("check = [{ run = 'x', on-build = false }]", &[], "the check `x` never runs"),
            ("release = '1/2'", &[], "`1/2` is not a valid release of a package"),
            (
                "release = 1",
                &[],
                "cannot read `mkpkg.toml`: invalid type: integer `1`, expected a string",
            ),
            (
                "",
                &[("name.x", "1"), ("name.x.y", "2")],
                "`name.x.y` cannot be set: `x` is not a table",
            ),
        ] {
            let error = check(text, settings).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
        assert!(
            check("requirments = []", &[]).unwrap_err().ends_with("did you mean `requirements`?")
        );
    }

    #[test]
    fn modes() {
        assert_eq!(mode("0640").unwrap(), 0o640);
        for bad in ["4755", "0664", "0777", "x", "0400"] {
            assert!(mode(bad).is_err(), "{bad}");
        }
    }
}
