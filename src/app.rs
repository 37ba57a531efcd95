//! What the application is called and says of itself: the configuration first, then its wheel, then its files.

use anyhow::Result;

use crate::error::UserError;
use crate::package::PackageName;
use crate::pep::{Version, normalize_name};
use crate::project::Project;
use crate::project::config::LayoutName;
use crate::project::prefix::{MAX_PREFIX, prefix};
use crate::project::static_metadata::{same_name, same_version};
use crate::releases::Slot;
use crate::tree::PkgPath;
use crate::wheel::Wheel;
use crate::wheel::metadata::Metadata;

/// The application a package is made of.
#[derive(Clone, Debug)]
pub struct App {
    /// Name of the package.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
    /// Directory of its environment.
    pub prefix: PkgPath,
    /// Its place among releases that lie side by side; `None` where a version replaces the one before.
    pub slot: Option<Slot>,
    /// One line.
    pub summary: String,
    /// Paragraphs.
    pub description: Vec<String>,
    /// SPDX expression or free text.
    pub licence: String,
    /// URL.
    pub homepage: Option<String>,
    /// `Name <mail>`.
    pub maintainer: String,
    /// Normalised name of the distribution that is the application; `None` for bare code.
    pub distribution: Option<String>,
    /// What had to be made up, for the user to set.
    pub warnings: Vec<String>,
}

impl App {
    /// The directory of the application: that of its environment, or the one that has all releases.
    pub fn home(&self) -> &PkgPath {
        self.slot.as_ref().map_or(&self.prefix, |slot| &slot.home)
    }

    /// The path by which units and links name its environment: the directory, or the link to the current release.
    pub fn entrance(&self) -> &PkgPath {
        self.slot.as_ref().map_or(&self.prefix, |slot| &slot.current)
    }
}

/// Stands where nobody said who maintains a package.
const NOBODY: &str = "Unknown maintainer <root@localhost>";

/// Longest summary in characters; lintian and rpmlint call a longer one a fault.
const MAX_SUMMARY: usize = 79;

/// Works out what the application of `project` is, from its configuration, its files, and the `wheels`.
///
/// `own` is the distribution that was built of the project. Requirements without a project can be an application,
/// too: that of the same name.
pub fn identify(project: &Project, wheels: &[Wheel], own: Option<&str>) -> Result<App> {
    let named = project.stated.name.as_deref().or(project.config.name.as_deref());
    let dir_name = project.dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let named = named.map(str::to_owned).or(dir_name).unwrap_or_default();
    let own = own.map(str::to_owned).or_else(|| normalize_name(&named).ok());
    let wheel = wheels.iter().find(|wheel| Some(&wheel.name.name) == own.as_ref());
    let metadata = wheel.map(|wheel| &wheel.metadata);
    agree(project, metadata)?;
    let mut warnings = Vec::new();
    let name = package_name(project, metadata, &named)?;
    let home = prefix(project.config.prefix.as_deref(), &name)?;
    let version = with_epoch(version(project, metadata, &mut warnings)?, project.config.epoch)?;
    let slot = match project.config.layout {
        LayoutName::Plain => None,
        LayoutName::Releases => Some(slot(&name, &home, &version)?),
    };
    let maintainer = maintainer(project, metadata, &mut warnings)?;
    let (summary, description) = match &project.config.summary {
        Some(summary) => (one_line("summary", summary)?, Vec::new()),
        None => describe(&name, metadata),
    };
    let description = project.config.description.as_deref().map_or(description, paragraphs);
    let homepage = match &project.config.homepage {
        Some(url) if is_web(url) => Some(url.clone()),
        Some(url) => return Err(no_address(url).into()),
        None => metadata.and_then(homepage),
    };
    Ok(App {
        name,
        version,
        prefix: slot.as_ref().map_or(home, |slot| slot.dir.clone()),
        slot,
        summary,
        description,
        licence: metadata.map(licence).unwrap_or_default(),
        homepage,
        maintainer,
        distribution: wheel.map(|wheel| wheel.name.name.clone()),
        warnings,
    })
}

/// The place of a release, whose directory no `#!` line may be too short for.
fn slot(name: &PackageName, home: &PkgPath, version: &Version) -> Result<Slot> {
    let slot = Slot::new(name, home, version)?;
    if slot.dir.absolute().len() <= MAX_PREFIX {
        return Ok(slot);
    }
    let message =
        format!("the directory `{}` of the release is too long for a `#!` line", slot.dir);
    Err(UserError::usage(message)
        .hint(format!("set a shorter `prefix`: all of it may have {MAX_PREFIX} bytes"))
        .into())
}

/// A wheel that says something else than the files of its project is of another project.
fn agree(project: &Project, metadata: Option<&Metadata>) -> Result<()> {
    let Some(metadata) = metadata else { return Ok(()) };
    let stated = &project.stated;
    let pairs = [
        ("name", &stated.name, &metadata.name, same_name as fn(&str, &str) -> bool),
        ("version", &stated.version, &metadata.version, same_version),
    ];
    for (what, stated, built, same) in pairs {
        if let Some(stated) = stated.as_ref().filter(|stated| !same(stated, built)) {
            let message = format!(
                "the project's files say its {what} is `{stated}`, its wheel says `{built}`"
            );
            return Err(UserError::usage(message)
                .hint("build the wheel of this project again, or correct the files")
                .into());
        }
    }
    Ok(())
}

fn package_name(
    project: &Project,
    metadata: Option<&Metadata>,
    named: &str,
) -> Result<PackageName> {
    if let Some(name) = &project.config.name {
        return PackageName::new(name);
    }
    let name = metadata.map_or(named, |metadata| &metadata.name);
    match normalize_name(name).and_then(|name| PackageName::new(&name)) {
        Ok(name) => Ok(name),
        Err(_) if metadata.is_none() && project.stated.name.is_none() => {
            let message =
                format!("the directory name `{}` cannot name a package", named.escape_debug());
            Err(UserError::usage(message)
                .hint("set `name` in the configuration, or `--set name=NAME`")
                .into())
        }
        Err(error) => Err(error),
    }
}

fn version(
    project: &Project,
    metadata: Option<&Metadata>,
    warnings: &mut Vec<String>,
) -> Result<Version> {
    let known = project.config.version.as_ref().or(metadata.map(|metadata| &metadata.version));
    if let Some(version) = known.or(project.stated.version.as_ref()) {
        return version.parse();
    }
    warnings.push("the version is not known and `0` is used: set it with `--version`".to_owned());
    "0".parse()
}

/// The same version after `epoch`, if one is configured.
fn with_epoch(version: Version, epoch: Option<u32>) -> Result<Version> {
    let Some(epoch) = epoch else { return Ok(version) };
    let text = version.to_string();
    let rest = text.split_once('!').map_or(text.as_str(), |(_, rest)| rest);
    format!("{epoch}!{rest}").parse()
}

fn one_line(key: &str, text: &str) -> Result<String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        let message = format!("`{key}` is {text:?}, which is not one line of text");
        return Err(UserError::usage(message).hint("longer text belongs in `description`").into());
    }
    Ok(text.trim().to_owned())
}

fn paragraphs(text: &str) -> Vec<String> {
    let parts = text.split("\n\n").map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

fn no_address(url: &str) -> UserError {
    UserError::usage(format!("`homepage` is {url:?}, which is not the address of a page"))
        .hint("write it as `https://acme.example`")
}

fn maintainer(
    project: &Project,
    metadata: Option<&Metadata>,
    warnings: &mut Vec<String>,
) -> Result<String> {
    if let Some(maintainer) = &project.config.maintainer {
        let is_address =
            maintainer.contains('<') && maintainer.ends_with('>') && maintainer.contains('@');
        if !is_address || maintainer.chars().any(char::is_control) {
            return Err(UserError::usage(format!(
                "the maintainer {maintainer:?} is not an address"
            ))
            .hint("write it as `Name <mail@example>`")
            .into());
        }
        return Ok(maintainer.clone());
    }
    let found = metadata.and_then(|metadata| {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        person(&text(&metadata.maintainer), &text(&metadata.maintainer_email))
            .or_else(|| person(&text(&metadata.author), &text(&metadata.author_email)))
    });
    Ok(found.unwrap_or_else(|| {
        warnings.push(format!(
            "nobody is named as maintainer and `{NOBODY}` is used: set `maintainer`"
        ));
        NOBODY.to_owned()
    }))
}

/// `Name <mail>` from a name field and a mail field of core metadata, which may hold several of either.
fn person(names: &str, mails: &str) -> Option<String> {
    let first_mail = mails.split(',').map(str::trim).find(|mail| mail.contains('@'))?;
    let (name, mail) = match first_mail.split_once('<') {
        Some((name, mail)) => (name.trim(), mail.trim_end_matches('>').trim()),
        None => ("", first_mail),
    };
    let own_name = names.split(',').next().unwrap_or_default().trim();
    let name = if name.is_empty() { own_name } else { name };
    let name = name.trim_matches('"');
    let name = if name.is_empty() { mail.split('@').next()? } else { name };
    let is_plain = |text: &str| !text.contains(['<', '>', '\n', ',']) && !text.is_empty();
    (is_plain(name) && is_plain(mail) && !mail.contains(' ')).then(|| format!("{name} <{mail}>"))
}

/// A summary that fits one line, and paragraphs with all of it.
fn describe(name: &PackageName, metadata: Option<&Metadata>) -> (String, Vec<String>) {
    let full = metadata.and_then(|metadata| metadata.summary.as_deref()).map(str::trim);
    let full = full.filter(|text| !text.is_empty());
    let full = full.filter(|text| *text != "UNKNOWN").unwrap_or("Python application");
    let mut summary = without_article(full.trim_end_matches('.')).to_owned();
    // Linters call it a fault when a summary begins with the name everybody sees beside it.
    if let Some((start, rest)) = summary.split_at_checked(name.as_str().len())
        && start.eq_ignore_ascii_case(name.as_str())
        && !rest.starts_with(char::is_alphanumeric)
    {
        let rest = rest.trim_start_matches([' ', ':', '-', ',', '–', '—']);
        let rest = rest.strip_prefix("is ").unwrap_or(rest).trim();
        summary = without_article(rest).to_owned();
    }
    if summary.is_empty() {
        summary = "Python application".to_owned();
    }
    let mut description = Vec::new();
    if summary.chars().count() > MAX_SUMMARY {
        let cut: String = summary.chars().take(MAX_SUMMARY - 3).collect();
        let cut = cut.rsplit_once(' ').map_or(cut.as_str(), |(whole, _)| whole).to_owned();
        description.push(format!("{}.", full.trim_end_matches('.')));
        summary = format!("{}...", cut.trim_end_matches([',', ';', ':']));
    }
    (summary, description)
}

/// A synopsis should begin without an article (Debian Developer's Reference 6.2.2).
fn without_article(text: &str) -> &str {
    let starts = ["A ", "An ", "The ", "a ", "an ", "the "];
    starts.iter().find_map(|start| text.strip_prefix(start)).unwrap_or(text)
}

/// What metadata says of the licence, shortest exact statement first; empty when it says nothing.
pub fn licence(metadata: &Metadata) -> String {
    if let Some(expression) = metadata.license_expression.as_ref().filter(|text| !text.is_empty()) {
        return expression.clone();
    }
    let free = metadata.license.as_deref().unwrap_or_default().trim();
    if !free.is_empty() && free != "UNKNOWN" && free.len() <= 80 {
        return free.to_owned();
    }
    let classifiers = metadata.classifiers.iter().filter_map(|text| {
        let name = text.strip_prefix("License ::")?.rsplit("::").next()?;
        Some(name.trim().to_owned())
    });
    classifiers.collect::<Vec<_>>().join(" or ")
}

/// The homepage metadata names; `None` when it names none that is a web address.
pub fn homepage(metadata: &Metadata) -> Option<String> {
    let labelled = metadata.project_urls.iter().filter_map(|text| text.split_once(','));
    let labelled: Vec<_> =
        labelled.map(|(label, url)| (label.trim().to_lowercase(), url.trim())).collect();
    let find = |name: &str| labelled.iter().find(|(label, _)| label == name).map(|(_, url)| *url);
    let direct = metadata.home_page.as_deref().filter(|url| !url.is_empty());
    let url = direct.or_else(|| {
        ["homepage", "home", "home page", "source", "repository", "source code"]
            .into_iter()
            .find_map(find)
    })?;
    is_web(url).then(|| url.to_owned())
}

fn is_web(url: &str) -> bool {
    let is_odd = |at: char| at.is_whitespace() || at.is_control() || at == '@';
    (url.starts_with("https://") || url.starts_with("http://")) && !url.contains(is_odd)
}

#[cfg(test)]
mod tests {
    use crate::app::{paragraphs, person, with_epoch};
    use crate::pep::Version;

    #[test]
    fn epochs() {
        for (version, epoch, expected) in
            [("1.0", None, "1.0"), ("1.0", Some(2), "2!1.0"), ("3!1.0rc1", Some(2), "2!1.0rc1")]
        {
            let version = with_epoch(version.parse::<Version>().unwrap(), epoch).unwrap();
            assert_eq!(version.to_string(), expected);
        }
    }

    #[test]
    fn paragraphs_are_parted_by_empty_lines() {
        assert_eq!(paragraphs("a\nb\n\n\nc\n"), ["a\nb", "c"]);
    }

    #[test]
    fn people() {
        for (names, mails, expected) in [
            ("", "Acme Ops <ops@acme.example>", Some("Acme Ops <ops@acme.example>")),
            ("Ann, Bob", "ann@x.example", Some("Ann <ann@x.example>")),
            ("", "ann@x.example, bob@x.example", Some("ann <ann@x.example>")),
            ("", "\"Ann B\" <ann@x.example>", Some("Ann B <ann@x.example>")),
            ("Ann", "", None),
            ("Ann", "not an address", None),
        ] {
            assert_eq!(person(names, mails).as_deref(), expected, "{names:?} {mails:?}");
        }
    }
}
