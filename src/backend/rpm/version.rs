//! PEP 440 versions as rpm versions, in the same order.
//!
//! Knows nothing of where a version comes from.

use crate::backend::upstream::spell;
use crate::package::PackageMeta;
use crate::pep::{Version, VersionParts};

/// Epoch, version and release in one, as relations hold them.
pub(super) fn full(meta: &PackageMeta) -> String {
    format!("{}-{}", with_epoch(&meta.version), meta.release)
}

/// Epoch and version, as relations to any release of a version hold them.
pub(super) fn with_epoch(version: &Version) -> String {
    let parts = version.parts();
    let epoch = if parts.epoch == 0 { String::new() } else { format!("{}:", parts.epoch) };
    epoch + &upstream(&parts)
}

/// The version by itself.
///
/// `1.0` and `1.0.0` are one version to PEP 440 and two to rpm, so the digits stay as they are written: a project
/// that keeps to one style is ordered right.
///
/// rpm sorts `~` before the end of a version; every other sign only parts words from numbers, of which any number is
/// later than any word and words are in the order of the alphabet. A local version comes before every post-release,
/// and so does the word `local` before the word `post`. Within local versions rpm has `abc9` before `abc10`, where
/// PEP 440 has the opposite.
pub(super) fn upstream(parts: &VersionParts) -> String {
    spell(parts, ".post", "+local.")
}

#[cfg(test)]
mod tests {
    use crate::backend::rpm::tests::meta;
    use crate::backend::rpm::version::{full, upstream, with_epoch};
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
            ("1.0rc1.post2", "1.0~rc1.post2"),
            ("1.0rc1.post2.dev3", "1.0~rc1.post2~dev3"),
            ("1", "1"),
            ("1.0.0", "1.0.0"),
            ("v1.2.3", "1.2.3"),
            ("1.0+abc.1", "1.0+local.abc.1"),
            ("1.0+Ubuntu-1", "1.0+local.ubuntu.1"),
            ("1.0.post1.dev1", "1.0.post1~dev1"),
            ("1.0.post1", "1.0.post1"),
            ("1.0.post1+abc", "1.0.post1+local.abc"),
            ("1.0.dev1+g12", "1.0~~dev1+local.g12"),
            ("2024.10.1", "2024.10.1"),
        ] {
            check(version, expected);
        }
    }

    #[test]
    fn epoch_and_release() {
        let mut meta = meta();
        meta.version = "2!1.0.post1".parse().unwrap();
        assert_eq!(full(&meta), "2:1.0.post1-1");
        assert_eq!(with_epoch(&meta.version), "2:1.0.post1");
    }
}
