//! Wheel file names: `name-version[-build]-python-abi-platform.whl` (PEP 427).

use std::fmt;
use std::str::FromStr;

use anyhow::Result;

use crate::error::UserError;
use crate::pep::{Version, normalize_name};
use crate::wheel::tags::Tag;

/// What the name of a wheel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WheelName {
    /// Normalised name of the distribution.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Build tag: a number and what follows it. A wheel with one wins over an equal wheel without.
    pub build: Option<(u64, String)>,
    /// Every tag of the compressed set, in the order it is written.
    pub tags: Vec<Tag>,
}

impl FromStr for WheelName {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let fault = || {
            UserError::input(format!("`{}` is not a wheel file name", text.escape_debug()))
                .hint("rename it to `name-version-python-abi-platform.whl`, as PEP 427 has it")
        };
        let parts: Vec<_> = text.strip_suffix(".whl").ok_or_else(fault)?.split('-').collect();
        let (name, version, build, tags) = match parts[..] {
            [name, version, python, abi, platform] => {
                (name, version, None, [python, abi, platform])
            }
            [name, version, build, python, abi, platform] => {
                (name, version, Some(build), [python, abi, platform])
            }
            _ => return Err(fault().into()),
        };
        let is_plain = |set: &str| set.split('.').all(is_tag_part);
        if !tags.into_iter().all(is_plain) {
            return Err(fault().into());
        }
        Ok(Self {
            name: normalize_name(name).map_err(|_| fault())?,
            version: parse_version(version).ok_or_else(fault)?,
            build: build.map(|build| parse_build(build).ok_or_else(fault)).transpose()?,
            tags: expand(tags),
        })
    }
}

impl WheelName {
    /// Whether `stem` is `name-version` of this wheel, however either is escaped.
    ///
    /// Old tools kept `-` and `.` in the name and wrote versions as they came; pip compares normal forms too.
    pub fn has_stem(&self, stem: &str) -> bool {
        stem.match_indices('-').any(|(at, _)| {
            normalize_name(&stem[..at]).is_ok_and(|name| name == self.name)
                && parse_version(&stem[at + 1..]).is_some_and(|version| version == self.version)
        })
    }

    /// Whether it is one for any machine and any build of the interpreter.
    ///
    /// PEP 427: a wheel that fits in several ways has all their tags, so one such tag is enough.
    pub fn is_universal(&self) -> bool {
        self.tags.iter().any(|tag| tag.abi == "none" && tag.platform == "any")
    }
}

impl fmt::Display for WheelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// A version in a file name, where `_` may stand for `-`.
fn parse_version(text: &str) -> Option<Version> {
    text.parse().or_else(|_| text.replace('_', "-").parse()).ok()
}

/// PEP 427: the build number "must start with a digit".
fn parse_build(text: &str) -> Option<(u64, String)> {
    let end = text.find(|at: char| !at.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].to_owned()))
}

fn is_tag_part(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|at| at.is_ascii_alphanumeric() || at == b'_')
}

/// PEP 425: "for x in pytag.split('.'): for y in abitag.split('.'): for z in platformtag.split('.')".
fn expand([pythons, abis, platforms]: [&str; 3]) -> Vec<Tag> {
    let mut tags = Vec::new();
    for python in pythons.split('.') {
        for abi in abis.split('.') {
            for platform in platforms.split('.') {
                tags.push(Tag::new(python, abi, platform));
            }
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use crate::wheel::filename::WheelName;

    fn check(text: &str, expected: Option<(&str, &str, usize)>) {
        let parsed = text.parse::<WheelName>();
        match (parsed, expected) {
            (Ok(wheel), Some((label, build, tags))) => {
                assert_eq!(wheel.to_string(), label, "{text}");
                let found = wheel.build.map(|(number, rest)| format!("{number}{rest}"));
                assert_eq!(found.unwrap_or_default(), build, "{text}");
                assert_eq!(wheel.tags.len(), tags, "{text}");
            }
            (Err(error), None) => {
                let message = format!("`{}` is not a wheel file name", text.escape_debug());
                assert_eq!(error.to_string(), message);
            }
            (parsed, expected) => panic!("{text}: {parsed:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn file_names() {
        check("six-1.16.0-py2.py3-none-any.whl", Some(("six 1.16.0", "", 2)));
        check(
            "Zope.Interface-5-1b-cp311-cp311-linux_x86_64.whl",
            Some(("zope-interface 5", "1b", 1)),
        );
        check("t-2.0+cu_118-py2.py3-none.abi3-a.b.c.whl", Some(("t 2.0+cu.118", "", 12)));
        for bad in [
            "",
            "six.whl",
            "six-1.16.0-none-any.whl",
            "six-1.16.0-py3-none-any.zip",
            "six-1.16.0-b1-py3-none-any.whl",
            "six-1-1-1-py3-none-any.whl",
            "six-x.y-py3-none-any.whl",
            "six-1-py3..py2-none-any.whl",
            "six-1-py3-none-a/b.whl",
            "-1-py3-none-any.whl",
            "s\nx-1-py3-none-any.whl",
            "six-1-99999999999999999999-py3-none-any.whl",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn stems() {
        let wheel: WheelName = "zope_interface-5.0-py3-none-any.whl".parse().unwrap();
        for (stem, expected) in [
            ("zope_interface-5.0", true),
            ("zope.interface-5", true),
            ("Zope-Interface-5.0.0", true),
            ("zope_interface-5.1", false),
            ("zope-5.0", false),
            ("zope_interface", false),
            ("-", false),
        ] {
            assert_eq!(wheel.has_stem(stem), expected, "{stem}");
        }
    }
}
