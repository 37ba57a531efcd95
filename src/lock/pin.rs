//! One distribution to install: where it comes from, and how an installer is told.
//!
//! Every text that can reach a requirements file is validated here, so no field can smuggle in a second line.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use crate::digest::Hasher;
use crate::error::UserError;
use crate::pep::{Version, normalize_name};
use crate::redact::redact;

/// Suffixes of files an installer unpacks; any other local path is a directory.
const ARCHIVES: [&str; 7] = [".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar"];

/// One distribution to install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Normalised name; `None` when only the content at a path or URL tells it.
    pub name: Option<String>,
    /// The version when exactly one is meant; for paths and URLs, what their file name says.
    pub version: Option<Version>,
    /// Where it comes from.
    pub source: Source,
    /// Normalised extras.
    pub extras: Vec<String>,
    /// `sha256:<hex>` (or `sha384`, `sha512`) of every acceptable file, sorted; empty when unknown.
    pub hashes: Vec<String>,
    /// Options of this requirement alone, such as `--config-settings editable=false`.
    pub options: Vec<String>,
    /// The index the lock got it from, when it says so.
    pub index: Option<String>,
}

/// Where a distribution comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An index, under version specifiers such as `==1.0`; empty for any version.
    Index(String),
    /// A URL, as written: an archive, or a repository such as `git+https://…@commit`.
    Url(String),
    /// A wheel, sdist or directory on this host; relative ones are below the project.
    Path(PathBuf),
}

impl Pin {
    /// A distribution of one version from an index.
    pub fn exact(name: &str, version: &str) -> Result<Self> {
        let version: Version = version.parse()?;
        let source = Source::Index(format!("=={version}"));
        Ok(Self { version: Some(version), ..Self::bare(Some(name), source)? })
    }

    /// A distribution from an index, under `specifiers` that need not name one version.
    pub fn index(name: &str, specifiers: &str, version: Option<Version>) -> Result<Self> {
        Ok(Self { version, ..Self::bare(Some(name), Source::Index(specifiers.to_owned()))? })
    }

    /// A distribution at a URL. A hash in the fragment, `#sha256=…`, becomes one of its hashes.
    pub fn url(name: Option<&str>, url: &str) -> Result<Self> {
        if !is_plain(url)
            || !(url.contains("://") || url.starts_with("file:") || url.contains("${"))
        {
            let message = format!("`{}` is not a URL", url.escape_debug());
            return Err(UserError::usage(message).into());
        }
        let (place, fragment) = url.split_once('#').unwrap_or((url, ""));
        let (hashes, keep): (Vec<_>, Vec<_>) =
            fragment.split('&').filter(|part| !part.is_empty()).partition(|part| is_hash(part));
        let egg = keep.iter().find_map(|part| part.strip_prefix("egg="));
        let egg = egg.map(|egg| egg.split('[').next().unwrap_or(egg));
        let file = place.split('?').next().unwrap_or(place).rsplit('/').next().unwrap_or_default();
        let (found, version) = split_file_name(&file.replace("%2B", "+").replace("%2b", "+"));
        let name = name.or(egg).map(str::to_owned).or(found);
        let url = match keep.is_empty() {
            true => place.to_owned(),
            false => format!("{place}#{}", keep.join("&")),
        };
        let pin = Self { version, ..Self::bare(name.as_deref(), Source::Url(url))? };
        pin.hashed(hashes.iter().map(|hash| hash.replacen('=', ":", 1)))
    }

    /// A distribution on this host; `path` is normalised by its text alone.
    pub fn path(name: Option<&str>, path: &Path) -> Result<Self> {
        let path = normalize_path(path);
        let text = path.to_str().filter(|text| is_plain(text));
        if text.is_none_or(|text| text.contains([';', '#', '[', ']', '\\'])) {
            let message = format!("cannot install from `{}`", path.display());
            return Err(UserError::usage(message)
                .hint("move it to a path without spaces, brackets and `;#\\`")
                .into());
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let (found, version) = split_file_name(&file);
        let name = name.map(str::to_owned).or(found);
        Ok(Self { version, ..Self::bare(name.as_deref(), Source::Path(path.clone()))? })
    }

    /// The same distribution with these hashes, `algorithm:hex`; weak algorithms are dropped.
    pub fn hashed<T: AsRef<str>>(mut self, hashes: impl IntoIterator<Item = T>) -> Result<Self> {
        for hash in hashes {
            let hash = hash.as_ref().to_ascii_lowercase();
            let (algorithm, hex) = hash.split_once(':').unwrap_or(("", &hash));
            let digits = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            let Some(hasher) = Hasher::strong(algorithm) else {
                if digits && !hex.is_empty() && is_word(algorithm) {
                    continue;
                }
                return Err(bad_hash(&self, &hash));
            };
            if !digits || hex.len() != 2 * hasher.finish().len() {
                return Err(bad_hash(&self, &hash));
            }
            self.hashes.push(hash);
        }
        self.hashes.sort_unstable();
        self.hashes.dedup();
        Ok(self)
    }

    /// Whether it can become another without a change of the lock: it is on this host, and has no hash.
    pub fn is_open(&self) -> bool {
        let is_here = match &self.source {
            Source::Path(_) => true,
            Source::Url(url) => url.starts_with("file:"),
            Source::Index(_) => false,
        };
        is_here && self.hashes.is_empty()
    }

    /// Whether it is a directory on this host, whose content no lock can hash.
    pub fn is_directory(&self) -> bool {
        match &self.source {
            Source::Path(path) => !is_archive(&path.to_string_lossy()),
            Source::Index(_) | Source::Url(_) => false,
        }
    }

    /// Whether only one content can be meant: one version, an archive, a directory, or a repository at a commit.
    pub fn is_exact(&self) -> bool {
        match &self.source {
            Source::Index(_) => self.version.is_some(),
            Source::Path(_) => true,
            Source::Url(url) => {
                let place = url.split('#').next().unwrap_or(url);
                let commit = place.rsplit_once('@').map(|(_, commit)| commit);
                let commit = commit.is_some_and(|commit| {
                    commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
                });
                !is_repository(url) || commit
            }
        }
    }

    /// Whether an installer looks for it in the index it asks anyway.
    pub(crate) fn needs_default_index(&self) -> bool {
        matches!(self.source, Source::Index(_)) && self.index.as_deref().is_none_or(is_default)
    }

    /// The line of a requirements file that asks for it; it holds credentials when the URL does.
    pub fn line(&self, with_extras: bool) -> String {
        let mut line = self.subject(with_extras);
        for option in &self.options {
            line.push(' ');
            line.push_str(option);
        }
        for hash in &self.hashes {
            line.push_str(" --hash=");
            line.push_str(hash);
        }
        line
    }

    fn subject(&self, with_extras: bool) -> String {
        let extras = match with_extras && !self.extras.is_empty() {
            true => format!("[{}]", self.extras.join(",")),
            false => String::new(),
        };
        match (&self.source, &self.name) {
            (Source::Index(specifiers), name) => {
                format!("{}{extras}{specifiers}", name.as_deref().unwrap_or_default())
            }
            (Source::Url(url), Some(name)) => format!("{name}{extras} @ {url}"),
            (Source::Url(url), None) => format!("{url}{extras}"),
            (Source::Path(path), _) if path.is_absolute() => format!("{}{extras}", path.display()),
            (Source::Path(path), _) => format!("./{}{extras}", path.display()),
        }
    }

    fn bare(name: Option<&str>, source: Source) -> Result<Self> {
        Ok(Self {
            name: name.map(normalize_name).transpose()?,
            version: None,
            source,
            extras: Vec::new(),
            hashes: Vec::new(),
            options: Vec::new(),
            index: None,
        })
    }
}

/// What errors and notes call it; free of credentials.
impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.subject(true)))
    }
}

/// Whether a URL names a repository rather than an archive.
pub fn is_repository(url: &str) -> bool {
    ["git+", "hg+", "svn+", "bzr+"].iter().any(|scheme| url.starts_with(scheme))
}

/// Whether a path or URL ends as archives do.
pub fn is_archive(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    ARCHIVES.iter().any(|suffix| path.ends_with(suffix))
}

/// A path without `.` and with `..` taken back where the text allows it; empty for the project itself.
pub fn normalize_path(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(normal.components().next_back(), Some(Component::Normal(_))) =>
            {
                normal.pop();
            }
            Component::ParentDir
            | Component::Normal(_)
            | Component::RootDir
            | Component::Prefix(_) => normal.push(component),
        }
    }
    normal
}

/// Whether a text can stand in a requirements file as one word.
pub fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|at| at.is_whitespace() || at.is_control())
}

/// Whether an index is the one installers ask anyway, through whatever mirror is configured.
pub(crate) fn is_default(index: &str) -> bool {
    // The public index is `pypi` under a top-level domain, and was once `pypi` of Python's own.
    let host = index.split("://").nth(1).and_then(|rest| rest.split('/').next());
    let labels: Vec<_> = host.unwrap_or_default().split('.').collect();
    matches!(labels[..], ["pypi", _] | ["pypi", "python", _])
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_hash(part: &str) -> bool {
    part.split_once('=').is_some_and(|(name, _)| Hasher::strong(name).is_some())
}

/// Name and version that the file name of a wheel or sdist tells.
fn split_file_name(file: &str) -> (Option<String>, Option<Version>) {
    let lower = file.to_ascii_lowercase();
    let Some(suffix) = ARCHIVES.iter().find(|suffix| lower.ends_with(*suffix)) else {
        return (None, None);
    };
    let stem = &file[..file.len() - suffix.len()];
    let parts = match *suffix {
        ".whl" => {
            let mut parts = stem.split('-');
            parts.next().zip(parts.next())
        }
        _ => stem.rsplit_once('-'),
    };
    let Some((name, version)) = parts else { return (None, None) };
    match version.parse() {
        Ok(version) if normalize_name(name).is_ok() => (Some(name.to_owned()), Some(version)),
        Ok(_) | Err(_) => (None, None),
    }
}

fn bad_hash(pin: &Pin, hash: &str) -> anyhow::Error {
    let shown: String = hash.chars().take(80).collect();
    let message = format!("`{}` is not a hash of {pin}", shown.escape_debug());
    UserError::usage(message).hint("write it as `sha256:` and 64 hexadecimal digits").into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::lock::pin::{Pin, normalize_path};

    fn check(pin: &Pin, line: &str, version: Option<&str>, exact: bool) {
        assert_eq!(pin.line(true), line);
        assert_eq!(pin.version.as_ref().map(ToString::to_string).as_deref(), version);
        assert_eq!(pin.is_exact(), exact, "{line}");
    }

    #[test]
    fn sources() {
        check(&Pin::exact("A_b", "1.0").unwrap(), "a-b==1.0", Some("1.0"), true);
        check(&Pin::index("a", ">=1", None).unwrap(), "a>=1", None, false);
        let wheel = Pin::url(None, "https://x/A-1.0%2Bcpu-py3-none-any.whl#egg=b").unwrap();
        check(&wheel, "b @ https://x/A-1.0%2Bcpu-py3-none-any.whl#egg=b", Some("1.0+cpu"), true);
        let repository = Pin::url(Some("a"), "git+https://x/a@main").unwrap();
        check(&repository, "a @ git+https://x/a@main", None, false);
        let commit = format!("git+https://x/a@{}#subdirectory=b", "0a".repeat(20));
        check(&Pin::url(Some("a"), &commit).unwrap(), &format!("a @ {commit}"), None, true);
        let hash = "0".repeat(64);
        let fragment = Pin::url(None, &format!("https://x/a-1.zip#sha256={hash}")).unwrap();
        check(&fragment, &format!("a @ https://x/a-1.zip --hash=sha256:{hash}"), Some("1"), true);
        check(
            &Pin::path(None, Path::new("./w/../b/a-1.tar.gz")).unwrap(),
            "./b/a-1.tar.gz",
            Some("1"),
            true,
        );
        check(&Pin::path(Some("x"), Path::new("-q")).unwrap(), "./-q", None, true);
        assert!(Pin::path(None, Path::new("b")).unwrap().is_directory());
        let (wheel, hash) =
            (Path::new("b-1-py3-none-any.whl"), [format!("sha256:{}", "0".repeat(64))]);
        let open = Pin::path(None, wheel).unwrap();
        assert!(open.is_open() && !open.hashed(hash).unwrap().is_open());
        assert!(Pin::url(None, "file:///b-1-py3-none-any.whl").unwrap().is_open());
        assert!(!Pin::exact("b", "1").unwrap().is_open());
    }

    #[test]
    fn nothing_smuggles_a_line() {
        assert!(Pin::exact("a\n-e .", "1").is_err());
        assert!(Pin::exact("a", "1\n-e .").is_err());
        assert!(Pin::url(Some("a"), "https://x/\n-e .").is_err());
        assert!(Pin::url(Some("a"), "-e").is_err());
        assert!(Pin::path(None, Path::new("a\nb")).is_err());
        for hash in ["", "sha256:", "sha256:0", "sha256:zz", "00", "a b:00", "sha256:ä"] {
            assert!(Pin::exact("a", "1").unwrap().hashed([hash]).is_err(), "{hash}");
        }
        let weak = Pin::exact("a", "1").unwrap().hashed(["md5:d41d8cd98f00b204e9800998ecf8427e"]);
        assert!(weak.unwrap().hashes.is_empty());
    }

    #[test]
    fn paths() {
        for (path, normal) in
            [("a/./b", "a/b"), ("../a", "../a"), ("a/../..", ".."), (".", ""), ("/a/..", "/")]
        {
            assert_eq!(normalize_path(Path::new(path)), Path::new(normal), "{path}");
        }
    }
}
