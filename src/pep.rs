//! The grammars of PEPs 440, 503 and 508: versions, names, requirements and markers.
//!
//! The only module that knows the crate which implements them.

use std::convert::Infallible;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::Result;
use pep508_rs::pep440_rs::{self, VersionSpecifiers};
use pep508_rs::{
    ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, MarkerTree, Pep508Url, VersionOrUrl,
};
use serde::Deserialize;

use crate::error::UserError;

/// The normalised form of a distribution or extra name (PEP 503): lower case, runs of `-_.` become `-`.
///
/// Errors when `name` is not a valid name (PEP 508: ASCII letters, digits, `.`, `-`, `_`, alphanumeric at both
/// ends).
pub fn normalize_name(name: &str) -> Result<String> {
    let edge = |at: Option<char>| at.is_some_and(|at| at.is_ascii_alphanumeric());
    let inner = |at: char| at.is_ascii_alphanumeric() || matches!(at, '.' | '-' | '_');
    if !edge(name.chars().next()) || !edge(name.chars().last()) || !name.chars().all(inner) {
        let message = format!("`{}` is not a valid distribution name", name.escape_debug());
        return Err(UserError::usage(message)
            .hint(
                "use ASCII letters, digits, `.`, `-` and `_`; begin and end with a letter or digit",
            )
            .into());
    }
    let mut normal = String::with_capacity(name.len());
    for at in name.chars() {
        match at {
            '.' | '-' | '_' if normal.ends_with('-') => {}
            '.' | '-' | '_' => normal.push('-'),
            _ => normal.push(at.to_ascii_lowercase()),
        }
    }
    Ok(normal)
}

/// A version (PEP 440), ordered as pip orders it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pep440_rs::Version);

/// The parts of a [`Version`] a package format maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionParts {
    /// `N!`, 0 when absent.
    pub epoch: u64,
    /// The release numbers as written, trailing zeros included.
    pub release: Vec<u64>,
    /// `("a" | "b" | "rc", number)`.
    pub pre: Option<(&'static str, u64)>,
    /// `.postN`.
    pub post: Option<u64>,
    /// `.devN`.
    pub dev: Option<u64>,
    /// What follows `+`, normalised, without the `+`.
    pub local: Option<String>,
}

impl Version {
    /// The version without its local part (PEP 440, "Local version identifiers").
    pub fn public(&self) -> Self {
        Self(self.0.clone().without_local())
    }

    /// The parts of this version.
    pub fn parts(&self) -> VersionParts {
        let local: Vec<_> = self.0.local().iter().map(ToString::to_string).collect();
        VersionParts {
            epoch: self.0.epoch(),
            release: self.0.release().to_vec(),
            pre: self.0.pre().map(|pre| {
                let kind = match pre.kind {
                    pep440_rs::PrereleaseKind::Alpha => "a",
                    pep440_rs::PrereleaseKind::Beta => "b",
                    pep440_rs::PrereleaseKind::Rc => "rc",
                };
                (kind, pre.number)
            }),
            post: self.0.post(),
            dev: self.0.dev(),
            local: (!local.is_empty()).then(|| local.join(".")),
        }
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        pep440_rs::Version::from_str(text).map(Self).map_err(|_| {
            UserError::usage(format!("`{}` is not a valid version", text.escape_debug()))
                .hint("write it as PEP 440 asks, such as `1.4.2`, `2.0rc1` or `1.0.post1`")
                .into()
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether `version` satisfies `specifiers` such as `>=3.9,<4`; pre-releases count.
pub fn satisfies(version: &Version, specifiers: &str) -> Result<bool> {
    let specifiers = VersionSpecifiers::from_str(specifiers).map_err(|error| {
        UserError::input(format!("`{specifiers}` is not a version specifier: {error}"))
    })?;
    Ok(specifiers.contains(&version.0))
}

/// Answers of an interpreter to every marker variable of PEP 508.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are those of PEP 508")]
pub struct Environment {
    pub implementation_name: String,
    pub implementation_version: String,
    pub os_name: String,
    pub platform_machine: String,
    pub platform_python_implementation: String,
    pub platform_release: String,
    pub platform_system: String,
    pub platform_version: String,
    pub python_full_version: String,
    pub python_version: String,
    pub sys_platform: String,
}

impl Environment {
    /// Whether `marker` holds here with `extras` asked for; an empty marker always does.
    pub fn evaluate(&self, marker: &str, extras: &[String]) -> Result<bool> {
        if marker.trim().is_empty() {
            return Ok(true);
        }
        let fault = |error: &dyn fmt::Display| {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default().to_owned();
            let message = format!("`{marker}` is not an environment marker: {first}");
            anyhow::Error::from(UserError::input(message))
        };
        if !is_shallow(marker) {
            return Err(fault(&"its parentheses are nested too deeply"));
        }
        if !marker.is_ascii() {
            return Err(fault(&NOT_ASCII));
        }
        let tree = MarkerTree::parse_str::<PlainUrl>(marker).map_err(|error| fault(&error))?;
        let extras: Vec<_> = extras
            .iter()
            .map(|extra| ExtraName::from_str(extra).map_err(|error| fault(&error)))
            .collect::<Result<_, _>>()?;
        Ok(tree.evaluate(&self.as_marker_environment()?, &extras))
    }

    fn as_marker_environment(&self) -> Result<MarkerEnvironment> {
        // A distribution's kernel version need not be one of PEP 440; the crate parses only these.
        let full = self.python_full_version.trim_end_matches('+');
        let environment = MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
            implementation_name: &self.implementation_name,
            implementation_version: self.implementation_version.trim_end_matches('+'),
            os_name: &self.os_name,
            platform_machine: &self.platform_machine,
            platform_python_implementation: &self.platform_python_implementation,
            platform_release: &self.platform_release,
            platform_system: &self.platform_system,
            platform_version: &self.platform_version,
            python_full_version: full,
            python_version: &self.python_version,
            sys_platform: &self.sys_platform,
        })?;
        Ok(environment)
    }
}

/// A URL as it is written. The crate's own type replaces `${NAME}` by the value of the variable, and that may be
/// a secret.
#[derive(Debug)]
struct PlainUrl(String);

impl fmt::Display for PlainUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pep508Url for PlainUrl {
    type Err = Infallible;

    fn parse_url(url: &str, _working_dir: Option<&Path>) -> Result<Self, Self::Err> {
        Ok(Self(url.to_owned()))
    }
}

/// Whether parentheses are nested no deeper than the crate's recursive parser can take.
fn is_shallow(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().all(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= 64
    })
}

/// The grammar of PEP 508 has ASCII alone, and the crate takes other characters for as many bytes as characters.
const NOT_ASCII: &str = "it holds other characters than ASCII";

/// One requirement (PEP 508).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Normalised name.
    pub name: String,
    /// Normalised extras.
    pub extras: Vec<String>,
    /// Version specifiers such as `==1.0`, empty for any.
    pub specifiers: String,
    /// The URL of a direct reference (`name @ url`), as written.
    pub url: Option<String>,
    /// The marker's text, empty for none.
    pub marker: String,
}

impl FromStr for Requirement {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let fault = |error: &dyn fmt::Display| {
            let error = error.to_string();
            let first = error.lines().next().unwrap_or_default();
            UserError::input(format!("`{}` is not a requirement: {first}", text.escape_debug()))
        };
        if !is_shallow(text) {
            return Err(fault(&"its parentheses are nested too deeply").into());
        }
        if !text.is_ascii() {
            return Err(fault(&NOT_ASCII).into());
        }
        let parsed = pep508_rs::Requirement::<PlainUrl>::from_str(text);
        let parsed = parsed.map_err(|error| fault(&error))?;
        let (specifiers, url) = match &parsed.version_or_url {
            None => (String::new(), None),
            Some(VersionOrUrl::VersionSpecifier(specifiers)) => (specifiers.to_string(), None),
            Some(VersionOrUrl::Url(url)) => (String::new(), Some(url.to_string())),
        };
        Ok(Self {
            name: parsed.name.to_string(),
            extras: parsed.extras.iter().map(ToString::to_string).collect(),
            specifiers,
            url,
            marker: parsed.marker.try_to_string().unwrap_or_default(),
        })
    }
}

impl Requirement {
    /// The version of a requirement such as `name==1.0`, when it names exactly one.
    pub fn pin(&self) -> Option<Version> {
        let exact = self.specifiers.strip_prefix("==")?;
        exact.trim_start_matches('=').parse().ok()
    }
}

/// CPython 3.11.2 on Debian 12, amd64, as tests have it.
#[cfg(test)]
pub(crate) fn environment() -> Environment {
    let text = |text: &str| text.to_owned();
    Environment {
        implementation_name: text("cpython"),
        implementation_version: text("3.11.2"),
        os_name: text("posix"),
        platform_machine: text("x86_64"),
        platform_python_implementation: text("CPython"),
        platform_release: text("6.1.0-18-amd64"),
        platform_system: text("Linux"),
        platform_version: text("#1 SMP"),
        python_full_version: text("3.11.2+"),
        python_version: text("3.11"),
        sys_platform: text("linux"),
    }
}

#[cfg(test)]
mod tests {
    use crate::pep::{Requirement, Version, environment, normalize_name, satisfies};

    #[test]
    fn markers() {
        for (marker, extras, expected) in [
            ("", &[][..], true),
            ("python_version < '3.9'", &[], false),
            ("python_full_version >= '3.11.2'", &[], true),
            ("sys_platform == 'win32' or os_name == 'posix'", &[], true),
            ("extra == 'postgres'", &[], false),
            ("extra == 'postgres'", &["postgres"], true),
        ] {
            let extras: Vec<_> = extras.iter().map(|extra: &&str| (*extra).to_owned()).collect();
            assert_eq!(environment().evaluate(marker, &extras).unwrap(), expected, "{marker}");
        }
        assert!(environment().evaluate("python_version <", &[]).is_err());
    }

    #[test]
    fn names() {
        assert_eq!(normalize_name("Zope.Interface__x").unwrap(), "zope-interface-x");
        for bad in ["", "-a", "a-", "a b", "../x", "a\nb", "ä"] {
            assert!(normalize_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn requirements() {
        let pinned: Requirement =
            "Django[argon2]==5.1.0 ; python_version >= '3.10'".parse().unwrap();
        assert_eq!((pinned.name.as_str(), pinned.extras.len()), ("django", 1));
        assert_eq!(pinned.pin().unwrap().to_string(), "5.1.0");
        assert_eq!("a>=1,<2".parse::<Requirement>().unwrap().pin(), None);
        assert_eq!("a==1.*".parse::<Requirement>().unwrap().pin(), None);
        assert!("a===".parse::<Requirement>().is_err());
        let direct: Requirement =
            "a @ https://${HOME}@x.example/a.whl ; os_name == 'posix'".parse().unwrap();
        assert_eq!(direct.url.as_deref(), Some("https://${HOME}@x.example/a.whl"));
        assert!(
            format!("a ; {}os_name == 'x'", "(".repeat(100_000)).parse::<Requirement>().is_err()
        );
        let odd = "y[z]>=1; python_version < '4'\u{fffd}";
        assert!(odd.parse::<Requirement>().is_err());
        assert!(environment().evaluate("python_version < '4'\u{fffd}", &[]).is_err());
        assert!("1.0.post1.dev2+abc.1".parse::<Version>().is_ok());
        assert!(satisfies(&"3.11.2".parse().unwrap(), ">=3.9,<3.12").unwrap());
    }
}
