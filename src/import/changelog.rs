//! The newest entry of `debian/changelog` (deb-changelog(5)).

/// A version in its parts (deb-version(7)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebianVersion {
    /// All of it.
    pub text: String,
    /// Before the `:`.
    pub epoch: Option<u32>,
    /// Between them.
    pub upstream: String,
    /// After the last `-`.
    pub revision: Option<String>,
}

impl DebianVersion {
    /// Splits a version.
    pub fn new(text: &str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().ok(), rest),
            None => (None, text),
        };
        let (upstream, revision) = match rest.rsplit_once('-') {
            Some((upstream, revision)) => (upstream, Some(revision.to_owned())),
            None => (rest, None),
        };
        Self { text: text.to_owned(), epoch, upstream: upstream.to_owned(), revision }
    }
}

/// The version of the newest entry; `None` when there is no entry.
pub fn latest(text: &str) -> Option<DebianVersion> {
    let first = text.lines().find(|line| !line.trim().is_empty())?;
    let (_, rest) = first.split_once('(')?;
    let (version, _) = rest.split_once(')')?;
    Some(DebianVersion::new(version.trim()))
}

#[cfg(test)]
mod tests {
    use crate::import::changelog::latest;

    #[test]
    fn versions() {
        for (text, expected) in [
            ("\na (2:1.4-rc-3) x; urgency=low\n\n  * y\n", Some((Some(2), "1.4-rc", Some("3")))),
            ("a (1.98.0) x; urgency=low\n", Some((None, "1.98.0", None))),
            ("nothing", None),
        ] {
            let found = latest(text);
            let found = found.as_ref().map(|version| {
                (version.epoch, version.upstream.as_str(), version.revision.as_deref())
            });
            assert_eq!(found, expected);
        }
    }
}
