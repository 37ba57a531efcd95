//! Which versions of symbols the C and C++ libraries of releases define. Names are compared, never numbers: the loader
//! does so, too, and no release defines every number.

use std::collections::{BTreeMap, BTreeSet};

use crate::package::Machine;

const TEXT: &str = include_str!("abi.txt");

/// The versions one release defines on one machine, by family: `GLIBC`, `GLIBCXX`, `CXXABI`, `GCC`, `LIBATOMIC`, `ZLIB`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolVersions(BTreeMap<&'static str, BTreeSet<&'static str>>);

impl SymbolVersions {
    /// Those of `release`, such as `rhel:9`; `None` where they are not known.
    pub fn of(release: &str, machine: Machine) -> Option<Self> {
        let lines = lines(machine).filter(|line| line.releases.contains(&release));
        let families: BTreeMap<_, BTreeSet<_>> =
            lines.map(|line| (line.family, line.versions.collect())).collect();
        (!families.is_empty()).then_some(Self(families))
    }

    /// Whether `version`, such as `GLIBC_2.34`, is among them; `None` for families that are not known.
    pub fn defines(&self, version: &str) -> Option<bool> {
        let (family, version) = version.split_once('_')?;
        let versions = self.0.get(family)?;
        // Every glibc has it, for its own libraries.
        Some(versions.contains(version) || (family, version) == ("GLIBC", "PRIVATE"))
    }
}

/// The releases whose versions are known on `machine`, sorted by name, those of one distribution from old to new.
pub fn releases_of(machine: Machine) -> Vec<&'static str> {
    let names: BTreeSet<_> = lines(machine).flat_map(|line| line.releases).collect();
    let mut names: Vec<_> = names.into_iter().collect();
    let number = |name: &str| {
        let version = name.split(':').nth(1).unwrap_or_default();
        // What rolls is newer than any number.
        version.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect::<Vec<u32>>()
    };
    let distribution = |name: &'static str| name.split(':').next().unwrap_or_default();
    names.sort_by_key(|name| (distribution(name), number(name)));
    names
}

/// The releases that define `version` on `machine`, those of one distribution from old to new.
pub fn releases_with(version: &str, machine: Machine) -> BTreeSet<&'static str> {
    let Some((family, version)) = version.split_once('_') else { return BTreeSet::new() };
    let lines = lines(machine).filter(|line| line.family == family);
    let lines = lines.filter_map(|mut line| line.versions.any(|it| it == version).then_some(line));
    lines.flat_map(|line| line.releases).collect()
}

struct Line {
    family: &'static str,
    releases: Vec<&'static str>,
    versions: std::str::SplitWhitespace<'static>,
}

fn lines(machine: Machine) -> impl Iterator<Item = Line> {
    let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(move |line| {
        let (title, versions) = line.split_once(": ")?;
        let mut words = title.split(' ');
        if Machine::from_uname(words.next()?) != Some(machine) {
            return None;
        }
        let (family, versions) = (words.next()?, versions.split_whitespace());
        Some(Line { family, releases: words.collect(), versions })
    })
}

#[cfg(test)]
mod tests {
    use crate::host::abi::{SymbolVersions, TEXT, releases_with};
    use crate::host::release;
    use crate::package::Machine;

    fn check(release: &str, machine: Machine, version: &str, expected: Option<bool>) {
        let versions = SymbolVersions::of(release, machine).unwrap();
        assert_eq!(versions.defines(version), expected, "{release} {version}");
    }

    #[test]
    fn versions() {
        let machine = Machine::X86_64;
        check("debian:12", machine, "GLIBC_2.36", Some(true));
        check("debian:12", machine, "GLIBC_2.38", Some(false));
        check("debian:13", machine, "GLIBC_2.38", Some(true));
        check("debian:13", machine, "GLIBC_ABI_GNU2_TLS", Some(true));
        check("debian:13", Machine::Aarch64, "GLIBC_ABI_GNU2_TLS", Some(false));
        check("debian:13", machine, "GLIBC_PRIVATE", Some(true));
        // No version between these exists anywhere, and no number stands for one.
        check("debian:13", machine, "GLIBC_2.37", Some(false));
        check("rhel:9", machine, "GLIBC_2.34", Some(true));
        check("rhel:8", machine, "GLIBCXX_3.4.29", Some(false));
        check("fedora:43", Machine::Aarch64, "CXXABI_TM_1", Some(true));
        check("suse:15.6", machine, "ZLIB_1.2.9", Some(true));
        check("debian:12", machine, "OPENSSL_3.0.0", None);
        check("debian:12", machine, "Base", None);
        assert_eq!(SymbolVersions::of("debian:12", Machine::S390x), None);
        assert_eq!(SymbolVersions::of("debian:99", machine), None);
    }

    #[test]
    fn releases_of_a_version() {
        let releases = releases_with("GLIBC_2.36", Machine::X86_64);
        assert!(releases.contains("debian:12") && !releases.contains("debian:11"), "{releases:?}");
        assert!(releases_with("GLIBC_9", Machine::X86_64).is_empty());
    }

    #[test]
    fn every_release_of_the_data_can_be_named() {
        let titles = TEXT.lines().filter(|line| !line.starts_with('#'));
        for name in titles.flat_map(|line| line.split(": ").next().unwrap().split(' ').skip(2)) {
            assert_eq!(release::named(name).unwrap().name, name);
        }
    }
}
