//! Compatibility tags (PEP 425, 600): which wheels an interpreter takes, and which it likes best.

use std::fmt;
use std::str::FromStr;

use anyhow::Result;

use crate::error::UserError;
use crate::wheel::filename::WheelName;

/// One tag, such as `cp311-cp311-manylinux_2_17_x86_64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Such as `cp311` or `py3`.
    pub python: String,
    /// Such as `cp311`, `abi3` or `none`.
    pub abi: String,
    /// Such as `manylinux_2_17_x86_64` or `any`.
    pub platform: String,
}

impl Tag {
    /// The tag of these three parts; tags are compared in lower case.
    pub fn new(python: &str, abi: &str, platform: &str) -> Self {
        Self {
            python: python.to_ascii_lowercase(),
            abi: abi.to_ascii_lowercase(),
            platform: platform.to_ascii_lowercase(),
        }
    }
}

impl FromStr for Tag {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split('-').collect();
        match parts[..] {
            [python, abi, platform] if parts.iter().all(|part| !part.is_empty()) => {
                Ok(Self::new(python, abi, platform))
            }
            _ => {
                let message = format!("`{}` is not a compatibility tag", text.escape_debug());
                Err(UserError::input(message).into())
            }
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.python, self.abi, self.platform)
    }
}

/// Rank of the best tag of `wheel` among `supported`, which begins with the best; `None` when none fits.
pub fn fits(wheel: &WheelName, supported: &[Tag]) -> Option<usize> {
    supported.iter().position(|tag| wheel.tags.contains(tag))
}

/// Every tag CPython `3.minor` takes on a glibc Linux, in the order pip prefers them.
///
/// `machine` is what `uname -m` says, `glibc` the version on the target.
pub fn supported(minor: u32, machine: &str, glibc: (u32, u32)) -> Vec<Tag> {
    let platforms = platforms(machine, glibc);
    let own = format!("cp3{minor}");
    let mut tags = Vec::new();
    let mut add = |python: &str, abi: &str| {
        tags.extend(platforms.iter().map(|platform| Tag::new(python, abi, platform)));
    };
    for abi in [own.as_str(), "abi3", "none"] {
        add(&own, abi);
    }
    for older in (2..minor).rev() {
        add(&format!("cp3{older}"), "abi3");
    }
    let generic = generic_pythons(minor);
    generic.iter().for_each(|python| add(python, "none"));
    let pythons = std::iter::once(&own).chain(&generic);
    tags.extend(pythons.map(|python| Tag::new(python, "none", "any")));
    tags
}

/// `py311`, `py3`, `py310`, and so on down to `py30`.
fn generic_pythons(minor: u32) -> Vec<String> {
    let older = (0..minor).rev().map(|older| format!("py3{older}"));
    [format!("py3{minor}"), "py3".to_owned()].into_iter().chain(older).collect()
}

/// PEP 600: every `manylinux_2_X` up to the glibc of the target, with the older aliases, then `linux`.
fn platforms(machine: &str, (major, minor): (u32, u32)) -> Vec<String> {
    let oldest = if matches!(machine, "x86_64" | "i686") { 5 } else { 17 };
    let newest = if major == 2 { minor } else { 0 };
    let mut platforms = Vec::new();
    for level in (oldest..=newest).rev() {
        platforms.push(format!("manylinux_2_{level}_{machine}"));
        let alias = match level {
            17 => "manylinux2014",
            12 => "manylinux2010",
            5 => "manylinux1",
            _ => continue,
        };
        platforms.push(format!("{alias}_{machine}"));
    }
    platforms.push(format!("linux_{machine}"));
    platforms
}

#[cfg(test)]
mod tests {
    use crate::wheel::tags::{Tag, fits, supported};

    fn check(minor: u32, machine: &str, glibc: (u32, u32), count: usize, expected: &str) {
        let tags: Vec<_> = supported(minor, machine, glibc).iter().map(Tag::to_string).collect();
        assert_eq!(tags.len(), count);
        let picked: Vec<_> = expected
            .split_whitespace()
            .map(|expected| tags.iter().position(|tag| tag == expected))
            .collect();
        assert!(picked.is_sorted() && picked.iter().all(Option::is_some), "{picked:?}");
    }

    #[test]
    fn order_is_that_of_pip() {
        check(
            3,
            "aarch64",
            (2, 18),
            4 * (3 + 1 + 5) + 6,
            "cp33-cp33-manylinux_2_18_aarch64 cp33-cp33-manylinux_2_17_aarch64
             cp33-cp33-manylinux2014_aarch64 cp33-cp33-linux_aarch64 cp33-abi3-manylinux_2_18_aarch64
             cp33-none-linux_aarch64 cp32-abi3-linux_aarch64 py33-none-linux_aarch64
             py3-none-linux_aarch64 py32-none-linux_aarch64 py30-none-linux_aarch64 cp33-none-any
             py33-none-any py3-none-any py32-none-any py30-none-any",
        );
        // As many as pip 23.2.1 lists for CPython 3.11 on a glibc of 2.36.
        check(11, "x86_64", (2, 36), 914, "cp311-cp311-manylinux1_x86_64 cp32-abi3-linux_x86_64");
    }

    #[test]
    fn ranks() {
        let supported = supported(11, "x86_64", (2, 17));
        for (name, expected) in [
            ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", Some(0)),
            ("a-1-cp311-cp311-manylinux_2_28_x86_64.whl", None),
            ("a-1-cp312-cp312-manylinux2014_x86_64.whl", None),
            ("a-1-py2.py3-none-any.whl", Some(supported.len() - 12)),
            ("a-1-CP311-none-ANY.whl", Some(supported.len() - 14)),
        ] {
            assert_eq!(fits(&name.parse().unwrap(), &supported), expected, "{name}");
        }
        for bad in ["", "py3-none", "py3--any", "a-b-c-d"] {
            assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
        }
    }
}
