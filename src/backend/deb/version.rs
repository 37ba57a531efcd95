//! PEP 440 versions as Debian versions, in the same order.
//!
//! Knows nothing of where a version comes from.

use crate::backend::upstream::spell;
use crate::package::PackageMeta;
use crate::pep::{Version, VersionParts};

/// The whole version: epoch, upstream version and revision.
///
/// `1.0` and `1.0.0` are one version to PEP 440 and two to dpkg, so the digits stay as they are written: a
/// project that keeps to one style is ordered right.
pub(super) fn full(meta: &PackageMeta) -> String {
    let parts = meta.version.parts();
    let epoch = if parts.epoch == 0 { String::new() } else { format!("{}:", parts.epoch) };
    epoch + &without_epoch(meta)
}

/// The version as file names hold it.
pub(super) fn without_epoch(meta: &PackageMeta) -> String {
    spelled(&meta.version, &meta.release)
}

/// A version and a release, without the epoch.
pub(super) fn spelled(version: &Version, release: &str) -> String {
    let upstream = upstream(&version.parts());
    if release.is_empty() { upstream } else { format!("{upstream}-{release}") }
}

/// dpkg sorts `~` before the end of a version, `+` after the end and before `.`: pre-releases take the first,
/// post-releases and local versions the second. A local version comes before every post-release, hence its `0.`.
/// Within local versions dpkg's own order holds: it has `+1` before `+abc`, and `+abc9` before `+abc10`, where PEP
/// 440 has the opposite.
fn upstream(parts: &VersionParts) -> String {
    spell(parts, "+post", "+0.")
}

#[cfg(test)]
mod tests {
    use crate::backend::deb::tests::meta;
    use crate::backend::deb::version::{full, upstream, without_epoch};
    use crate::pep::Version;

    fn check(version: &str, expected: &str) {
        let version: Version = version.parse().unwrap();
        assert_eq!(upstream(&version.parts()), expected, "{version}");
    }

    #[test]
    fn every_kind_of_version() {
        for (version, expected) in [
            ("1.0.dev1", "1.0~~dev1"),
            ("1.0a1.dev1", "1.0~a1~dev1"),
            ("1.0a1", "1.0~a1"),
            ("1.0b2", "1.0~b2"),
            ("1.0rc1.dev2", "1.0~rc1~dev2"),
            ("1.0-rc.1", "1.0~rc1"),
            ("1.0rc1.post2", "1.0~rc1+post2"),
            ("1.0rc1.post2.dev3", "1.0~rc1+post2~dev3"),
            ("1", "1"),
            ("1.0", "1.0"),
            ("1.0.0", "1.0.0"),
            ("v1.2.3", "1.2.3"),
            ("1.0+abc.1", "1.0+0.abc.1"),
            ("1.0+Ubuntu-1", "1.0+0.ubuntu.1"),
            ("1.0.post1.dev1", "1.0+post1~dev1"),
            ("1.0.post1", "1.0+post1"),
            ("1.0.post1+abc", "1.0+post1+0.abc"),
            ("1.0.dev1+g12", "1.0~~dev1+0.g12"),
            ("2024.10.1", "2024.10.1"),
        ] {
            check(version, expected);
        }
    }

    #[test]
    fn epoch_and_revision() {
        let mut meta = meta();
        meta.version = "2!1.0.post1".parse().unwrap();
        assert_eq!(full(&meta), "2:1.0+post1-1");
        assert_eq!(without_epoch(&meta), "1.0+post1-1");
        meta.release = String::new();
        assert_eq!(full(&meta), "2:1.0+post1");
    }
}
