//! What is known of the distribution releases a package can be made for.

use anyhow::Result;

use crate::error::UserError;

/// One release of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// `distribution:version`, such as `debian:12` or `rhel:9`.
    pub name: &'static str,
    /// Minor versions of the Python it has packages of, such as `3.11`; its `python3` first. Empty where not known.
    pub pythons: &'static [&'static str],
    /// Version of its glibc.
    pub glibc: (u32, u32),
    /// Whether its package manager unpacks zstd members.
    pub reads_zstd: bool,
}

impl Release {
    /// The level of x86-64 every host of it has (x86-64 psABI, "Micro-Architecture Levels"): that of its own packages.
    ///
    /// AlmaLinux 10 has packages for hosts of level 2, too.
    pub fn x86_64_level(&self) -> u8 {
        match self.name {
            "rhel:10" | "rocky:10" | "ol:10" | "centos:10" => 3,
            "rhel:9" | "almalinux:9" | "rocky:9" | "ol:9" | "centos:9" | "almalinux:10"
            | "amzn:2023" | "suse:16.0" => 2,
            _ => 1,
        }
    }

    /// Minor version of the Python it ships as `python3`, or of the next one where that is too old to be packaged for.
    pub fn python(&self) -> Option<&'static str> {
        self.pythons.iter().find(|minor| !TOO_OLD.contains(minor)).copied()
    }
}

const fn release(
    name: &'static str,
    pythons: &'static [&'static str],
    glibc: (u32, u32),
    reads_zstd: bool,
) -> Release {
    Release { name, pythons, glibc, reads_zstd }
}

/// dpkg reads zstd since 1.21.18 (Debian 12); Ubuntu's has since 18.04. rpm reads it since 4.14 where it was built so,
/// which is taken for granted since RHEL 9 only.
const RELEASES: [Release; 31] = [
    release("debian:11", &["3.9"], (2, 31), false),
    release("debian:12", &["3.11"], (2, 36), true),
    release("debian:13", &["3.13"], (2, 41), true),
    release("ubuntu:20.04", &["3.8"], (2, 31), true),
    release("ubuntu:22.04", &["3.10"], (2, 35), true),
    release("ubuntu:24.04", &["3.12"], (2, 39), true),
    release("ubuntu:24.10", &["3.12"], (2, 40), true),
    release("ubuntu:25.04", &["3.13"], (2, 41), true),
    release("ubuntu:25.10", &["3.13"], (2, 42), true),
    release("ubuntu:26.04", &[], (2, 43), true),
    release("rhel:8", EL8, (2, 28), false),
    release("rhel:9", EL9, (2, 34), true),
    release("rhel:10", &["3.12"], (2, 39), true),
    release("almalinux:8", EL8, (2, 28), false),
    release("almalinux:9", EL9, (2, 34), true),
    release("almalinux:10", &["3.12"], (2, 39), true),
    release("rocky:8", EL8, (2, 28), false),
    release("rocky:9", EL9, (2, 34), true),
    release("rocky:10", &["3.12"], (2, 39), true),
    release("ol:8", EL8, (2, 28), false),
    release("ol:9", EL9, (2, 34), true),
    release("ol:10", &["3.12"], (2, 39), true),
    release("centos:9", EL9, (2, 34), true),
    release("centos:10", &["3.12"], (2, 39), true),
    release("fedora:42", &["3.13"], (2, 41), true),
    release("fedora:43", &["3.14"], (2, 42), true),
    release("fedora:44", &[], (2, 43), true),
    release("amzn:2", &["3.7"], (2, 26), false),
    release("amzn:2023", &["3.9", "3.11", "3.12"], (2, 34), true),
    release("suse:15.6", &["3.6", "3.11"], (2, 38), true),
    release("suse:16.0", &["3.13"], (2, 40), true),
];

/// Releases that roll, as they were when their libraries were looked at: nothing is built for them.
const ROLLING: [Release; 4] = [
    release("debian:testing", &[], (2, 42), true),
    release("debian:sid", &[], (2, 42), true),
    release("fedora:rawhide", &[], (2, 44), true),
    release("suse:tumbleweed", &[], (2, 43), true),
];

/// Pythons of these releases that packages cannot be made for.
const TOO_OLD: [&str; 2] = ["3.6", "3.7"];

/// The platform's Python, and those beside it.
const EL8: &[&str] = &["3.6", "3.8", "3.9", "3.11", "3.12"];
const EL9: &[&str] = &["3.9", "3.11", "3.12"];

/// Other names of distributions, those of `/etc/os-release` among them.
const ALIASES: [(&str, &str); 8] = [
    ("el", "rhel"),
    ("rockylinux", "rocky"),
    ("oraclelinux", "ol"),
    ("amazonlinux", "amzn"),
    ("opensuse", "suse"),
    ("opensuse-leap", "suse"),
    ("sles", "suse"),
    ("sled", "suse"),
];
/// Distributions whose minor releases are one release here.
const BY_MAJOR: [&str; 5] = ["rhel", "almalinux", "rocky", "ol", "centos"];

/// The release called `name`.
pub fn find(name: &str) -> Result<Release> {
    let (id, version) = name.split_once(':').unwrap_or((name, ""));
    known(id, version).ok_or_else(|| {
        let known: Vec<_> = RELEASES.iter().map(|release| release.name).collect();
        UserError::usage(format!("the release `{name}` is not known"))
            .hint(format!("use one of {}", known.join(", ")))
            .into()
    })
}

/// The release called exactly `name`, if it is known; it may be one that rolls.
pub fn named(name: &str) -> Option<Release> {
    RELEASES.into_iter().chain(ROLLING).find(|release| release.name == name)
}

/// The release that an `os-release` text (os-release(5)) describes, if it is known.
pub fn of_host(os_release: &str) -> Option<Release> {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches(['"', '\'']))
    };
    known(value("ID")?, value("VERSION_ID")?)
}

fn known(id: &str, version: &str) -> Option<Release> {
    let id = ALIASES.iter().find(|(alias, _)| *alias == id).map_or(id, |(_, name)| name);
    let version = match BY_MAJOR.contains(&id) {
        true => version.split('.').next().unwrap_or(version),
        false => version,
    };
    let name = format!("{id}:{version}");
    RELEASES.into_iter().find(|release| release.name == name)
}

#[cfg(test)]
mod tests {
    use crate::host::release::{RELEASES, ROLLING, find, named, of_host};

    #[test]
    fn lookup() {
        let debian = of_host("NAME=x\nID=debian\nVERSION_ID=\"12\"\n").unwrap();
        assert_eq!((debian.python(), debian.glibc), (Some("3.11"), (2, 36)));
        assert!(of_host("ID=debian\n").is_none());
        assert!(!find("debian:11").unwrap().reads_zstd);
        for name in ["debian:99", "debian", "", "ubuntu:24", "rhel:"] {
            let error = find(name).unwrap_err();
            assert_eq!(error.to_string(), format!("the release `{name}` is not known"));
        }
    }

    #[test]
    fn names_people_and_hosts_use() {
        for (name, expected) in [
            ("el:9", "rhel:9"),
            ("rhel:9.6", "rhel:9"),
            ("rockylinux:8", "rocky:8"),
            ("opensuse:15.6", "suse:15.6"),
            ("sles:15.6", "suse:15.6"),
            ("fedora:43", "fedora:43"),
        ] {
            assert_eq!(find(name).unwrap().name, expected);
        }
        let alma = of_host("ID=\"almalinux\"\nVERSION_ID=\"9.4\"\n").unwrap();
        assert_eq!((alma.name, alma.python()), ("almalinux:9", Some("3.9")));
        assert_eq!(of_host("ID=\"opensuse-leap\"\nVERSION_ID=\"16.0\"").unwrap().name, "suse:16.0");
        for release in RELEASES {
            assert_eq!(find(release.name).unwrap(), release);
        }
        // Nothing can be built for what is another thing tomorrow.
        for release in ROLLING {
            assert_eq!(named(release.name), Some(release));
            assert!(find(release.name).is_err());
        }
    }
}
