//! What is known of the distribution releases a package can be made for.

use anyhow::Result;

use crate::error::UserError;

/// One release of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// `id:version` as `/etc/os-release` writes both, such as `debian:12`.
    pub name: &'static str,
    /// Minor version of the Python it ships as `python3`, such as `3.11`.
    pub python: &'static str,
    /// Version of its glibc.
    pub glibc: (u32, u32),
    /// Whether its package manager unpacks zstd members.
    pub reads_zstd: bool,
}

const fn release(
    name: &'static str,
    python: &'static str,
    glibc: (u32, u32),
    reads_zstd: bool,
) -> Release {
    Release { name, python, glibc, reads_zstd }
}

/// dpkg reads zstd since 1.21.18 (Debian 12); Ubuntu's has since 18.04.
const RELEASES: [Release; 8] = [
    release("debian:11", "3.9", (2, 31), false),
    release("debian:12", "3.11", (2, 36), true),
    release("debian:13", "3.13", (2, 41), true),
    release("ubuntu:20.04", "3.8", (2, 31), true),
    release("ubuntu:22.04", "3.10", (2, 35), true),
    release("ubuntu:24.04", "3.12", (2, 39), true),
    release("ubuntu:24.10", "3.12", (2, 40), true),
    release("ubuntu:25.04", "3.13", (2, 41), true),
];

/// The release called `name`.
pub fn find(name: &str) -> Result<Release> {
    RELEASES.into_iter().find(|release| release.name == name).ok_or_else(|| {
        let known: Vec<_> = RELEASES.iter().map(|release| release.name).collect();
        UserError::usage(format!("the release `{name}` is not known"))
            .hint(format!("use one of {}", known.join(", ")))
            .into()
    })
}

/// The release that an `os-release` text (os-release(5)) describes, if it is known.
pub fn of_host(os_release: &str) -> Option<Release> {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches(['"', '\'']))
    };
    let name = format!("{}:{}", value("ID")?, value("VERSION_ID")?);
    RELEASES.into_iter().find(|release| release.name == name)
}

#[cfg(test)]
mod tests {
    use crate::host::release::{find, of_host};

    #[test]
    fn lookup() {
        let debian = of_host("NAME=x\nID=debian\nVERSION_ID=\"12\"\n").unwrap();
        assert_eq!((debian.python, debian.glibc), ("3.11", (2, 36)));
        assert!(of_host("ID=debian\n").is_none());
        assert!(!find("debian:11").unwrap().reads_zstd);
        let error = find("debian:99").unwrap_err();
        assert_eq!(error.to_string(), "the release `debian:99` is not known");
    }
}
