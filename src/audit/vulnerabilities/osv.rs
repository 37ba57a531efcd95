//! Entries of databases in the OSV format, and whether one is about a version of a Python distribution
//! (OSV schema, "Evaluation").

use std::cmp::Ordering;

use anyhow::Result;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use crate::audit::vulnerabilities::rating::{Rating, base_score};
use crate::document::from_json;
use crate::pep::{Version, normalize_name};

/// The ecosystem Python distributions are in.
const ECOSYSTEM: &str = "PyPI";

/// One entry; what does not matter here is passed over.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    /// Its id.
    pub(super) id: String,
    /// When it was last changed (RFC 3339).
    #[serde(default)]
    pub(super) modified: String,
    /// When it was taken back.
    #[serde(default)]
    withdrawn: Option<String>,
    /// Other ids of the same vulnerability.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) aliases: Vec<String>,
    /// One line.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) summary: String,
    #[serde(default, deserialize_with = "or_default")]
    severity: Vec<Severity>,
    #[serde(default, deserialize_with = "or_default")]
    affected: Vec<Affected>,
    #[serde(default, deserialize_with = "or_default")]
    database_specific: Specific,
}

#[derive(Debug, Deserialize)]
struct Severity {
    #[serde(default)]
    score: String,
}

#[derive(Debug, Default, Deserialize)]
struct Specific {
    #[serde(default)]
    severity: Option<Loose>,
}

/// What databases put where others have a word.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Loose {
    Word(String),
    Other(IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Affected {
    #[serde(default, deserialize_with = "or_default")]
    package: Package,
    #[serde(default, deserialize_with = "or_default")]
    versions: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    ranges: Vec<Range>,
    #[serde(default, deserialize_with = "or_default")]
    severity: Vec<Severity>,
}

#[derive(Debug, Default, Deserialize)]
struct Package {
    #[serde(default)]
    ecosystem: String,
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
struct Range {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    events: Vec<Event>,
}

/// One of the four is there.
#[derive(Debug, Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
    limit: Option<String>,
}

/// Some exporters write `null` for what is empty.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What is installed: its version as written, and as PEP 440 reads it, if it does.
#[derive(Debug)]
pub(super) struct Installed<'v> {
    text: &'v str,
    version: Option<Version>,
}

impl<'v> Installed<'v> {
    pub(super) fn new(text: &'v str) -> Self {
        Self { text, version: text.parse().ok() }
    }

    /// Whether ranges can be asked about it.
    pub(super) fn is_ordered(&self) -> bool {
        self.version.is_some()
    }

    /// The first of `versions` that is later.
    pub(super) fn first_after(&self, versions: impl Iterator<Item = Version>) -> Option<Version> {
        versions.filter(|version| self.cmp(version) == Some(Ordering::Less)).min()
    }

    /// How it is to `other`. A local version such as `2.1+cpu` is a build of 2.1, unless `other` is local, too.
    fn cmp(&self, other: &Version) -> Option<Ordering> {
        let version = self.version.as_ref()?;
        if other.parts().local.is_some() {
            return Some(version.cmp(other));
        }
        Some(version.public().cmp(other))
    }

    fn is(&self, other: &str) -> bool {
        let version = other.parse().ok();
        self.text == other || version.is_some_and(|it| self.cmp(&it) == Some(Ordering::Equal))
    }
}

/// What an entry says of an installed version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// The first later version without it.
    pub(super) fixed: Option<Version>,
    /// How bad it is.
    pub(super) rating: Rating,
    /// The base score in tenths, with its vector.
    pub(super) score: Option<(u32, String)>,
}

impl Entry {
    /// Reads an entry; `name` is what errors call it.
    pub(super) fn parse(text: &[u8], name: &str) -> Result<Self> {
        from_json(text, name)
    }

    /// Whether it still holds.
    pub(super) fn is_withdrawn(&self) -> bool {
        self.withdrawn.is_some()
    }

    /// Normalised names of the Python distributions it is about.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.affected.iter().filter_map(Affected::name)
    }

    /// What it says of the distribution `name`, normalised, in the version `installed`; `None` when it does not have it.
    pub(super) fn hit(&self, name: &str, installed: &Installed<'_>) -> Option<Hit> {
        let mut hits = self.affected.iter().filter(|affected| {
            affected.name().as_deref() == Some(name) && affected.includes(installed)
        });
        let affected = hits.next()?;
        let vectors = self.severity.iter().chain(&affected.severity).map(|one| &one.score);
        let scores = vectors.filter_map(|text| Some((base_score(text)?, text.clone())));
        let score = scores.max();
        let word = match &self.database_specific.severity {
            Some(Loose::Word(word)) => Rating::of_word(word),
            Some(Loose::Other(_)) | None => Rating::Unknown,
        };
        let rating = score.as_ref().map_or(word, |(tenths, _)| Rating::of_score(*tenths));
        let fixed = std::iter::once(affected).chain(hits).filter_map(|one| one.fixed(installed));
        Some(Hit { fixed: fixed.max(), rating, score })
    }
}

impl Affected {
    fn name(&self) -> Option<String> {
        let Package { ecosystem, name } = &self.package;
        (ecosystem == ECOSYSTEM).then(|| normalize_name(name).ok()).flatten()
    }

    /// "IsVulnerable": the version is listed, or in a range.
    fn includes(&self, installed: &Installed<'_>) -> bool {
        self.versions.iter().any(|version| installed.is(version))
            || self.ranges().any(|range| range.includes(installed) == Some(true))
    }

    fn ranges(&self) -> impl Iterator<Item = &Range> {
        self.ranges.iter().filter(|range| range.kind != "GIT")
    }

    /// The first version after `installed` that fixes it, in a range that has `installed` or one above.
    fn fixed(&self, installed: &Installed<'_>) -> Option<Version> {
        let events = self.ranges().flat_map(|range| &range.events);
        let versions = events.filter_map(|event| event.fixed.as_ref()?.parse::<Version>().ok());
        installed.first_after(versions)
    }
}

/// What a version does to those from it on, in the order of events at one version: the range `introduced 1`, `fixed 1`
/// is empty, and `introduced 1`, `last_affected 1` has 1 alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Introduced,
    Fixed,
    LastAffected,
}

impl Range {
    /// "IncludedInRanges" with "BeforeLimits"; `None` when the version has no order.
    fn includes(&self, installed: &Installed<'_>) -> Option<bool> {
        let mut limits = self.events.iter().filter_map(|event| event.limit.as_deref()).peekable();
        let has_limits = limits.peek().is_some();
        let mut is_before = |limit: &str| {
            let version = limit.parse::<Version>().ok();
            limit == "*" || version.is_some_and(|it| installed.cmp(&it) == Some(Ordering::Less))
        };
        if has_limits && !limits.any(&mut is_before) {
            return Some(false);
        }
        let mut turns: Vec<(Option<Version>, Turn)> =
            self.events.iter().filter_map(Event::turn).collect();
        turns.sort();
        let mut includes = false;
        for (version, turn) in turns {
            let order = match &version {
                Some(version) => installed.cmp(version)?,
                None => Ordering::Greater,
            };
            match turn {
                Turn::Introduced if order.is_ge() => includes = true,
                Turn::Fixed if order.is_ge() => includes = false,
                Turn::LastAffected if order.is_gt() => includes = false,
                Turn::Introduced | Turn::Fixed | Turn::LastAffected => {}
            }
        }
        Some(includes)
    }
}

impl Event {
    /// The turn with its version, `None` for the beginning of all versions; what is no version is no event.
    fn turn(&self) -> Option<(Option<Version>, Turn)> {
        let (text, turn) = match (&self.introduced, &self.fixed, &self.last_affected) {
            (Some(text), ..) if text == "0" => return Some((None, Turn::Introduced)),
            (Some(text), ..) => (text, Turn::Introduced),
            (None, Some(text), _) => (text, Turn::Fixed),
            (None, None, Some(text)) => (text, Turn::LastAffected),
            (None, None, None) => return None,
        };
        Some((Some(text.parse().ok()?), turn))
    }
}

#[cfg(test)]
mod tests {
    use crate::audit::vulnerabilities::osv::{Entry, Installed};
    use crate::audit::vulnerabilities::rating::Rating;

    /// Whether each of `versions` is affected: `1.0` is, `!1.0` is not. `affected` is what stands beside the package.
    fn check(affected: &str, versions: &str) {
        let text = format!(
            r#"{{"id": "X-1", "affected": [{{"package": {{"ecosystem": "PyPI", "name": "My.App"}}, {affected}}}]}}"#
        );
        let entry = Entry::parse(text.as_bytes(), "x").unwrap();
        for word in versions.split(' ') {
            let (version, expected) = match word.strip_prefix('!') {
                Some(version) => (version, false),
                None => (word, true),
            };
            let found = entry.hit("my-app", &Installed::new(version)).is_some();
            assert_eq!(found, expected, "{affected}: {version}");
        }
    }

    fn check_events(events: &str, versions: &str) {
        check(&format!(r#""ranges": [{{"type": "ECOSYSTEM", "events": [{events}]}}]"#), versions);
    }

    #[test]
    fn ranges() {
        check_events(r#"{"introduced": "0"}"#, "0.dev0 1 99!0");
        check_events(r#"{"introduced": "0"}, {"fixed": "1.2"}"#, "1.1.9 1.2rc1 !1.2 !1.2.post1");
        check_events(
            r#"{"fixed": "2"}, {"introduced": "1"}"#,
            "!0.9 !1.0rc1 1 1.0 1.0.0 1.10 !2 !2.0",
        );
        check_events(
            r#"{"introduced": "1"}, {"fixed": "1.5"}, {"introduced": "2"}, {"fixed": "2.5"}"#,
            "1.4 !1.5 !1.9 2.0 2.4 !2.5",
        );
        check_events(r#"{"introduced": "1"}, {"last_affected": "1.3"}"#, "1 1.3 1.3.0 !1.3.1 !1.4");
        check_events(r#"{"introduced": "1"}, {"last_affected": "1"}"#, "!0.9 1 !1.1");
        check_events(r#"{"last_affected": "1"}, {"introduced": "1"}"#, "1 !1.1");
        check_events(r#"{"introduced": "1"}, {"fixed": "1"}"#, "!0.9 !1 !1.1");
        check_events(r#"{"introduced": "0"}, {"limit": "2"}"#, "1 1.9 !2 !3");
        check_events(r#"{"introduced": "0"}, {"limit": "2"}, {"limit": "3"}"#, "1 2.5 !3");
        check_events(r#"{"introduced": "0"}, {"limit": "*"}"#, "1 99");
        check_events(r#"{"introduced": "0"}, {"fixed": "1.10"}"#, "1.9 !1.10 !1.11");
    }

    #[test]
    fn versions() {
        check(r#""versions": ["1.0", "not one"], "ranges": null"#, "1.0 1.0.0 1 !1.0.1 !1.0rc1");
        check(r#""versions": ["2004d", "1.0-special"]"#, "2004d 1.0-special !2004e");
        check(
            r#""versions": ["3"], "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1"}, {"fixed": "2"}]}]"#,
            "1.5 3 !2 !2.5",
        );
        check(r#""ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]"#, "!1.0");
        check(r#""ranges": []"#, "!1.0");
        // Without an order nothing is known of ranges; who asks is told by `is_ordered`.
        check_events(r#"{"introduced": "1"}"#, "!2004d");
        assert!(!Installed::new("2004d").is_ordered());
    }

    #[test]
    fn local_versions() {
        check_events(r#"{"introduced": "2"}, {"fixed": "2.1"}"#, "2.0+cpu 2.0.1+cu121 !2.1+cpu");
        check_events(
            r#"{"introduced": "0"}, {"fixed": "2.1+fix1"}"#,
            "2.1 2.1+a !2.1+fix1 !2.1+fix2",
        );
        check(r#""versions": ["2.1"]"#, "2.1+cpu 2.1 !2.2+cpu");
    }

    fn parse(more: &str) -> Entry {
        let text = format!(
            r#"{{"id": "X-1", "modified": "2026-01-02T03:04:05Z", {more}
            "affected": [
                {{"package": {{"ecosystem": "npm", "name": "a"}}, "versions": ["1"]}},
                {{"package": {{"ecosystem": "PyPI", "name": "A"}}, "ranges": [{{"type": "ECOSYSTEM",
                  "events": [{{"introduced": "0"}}, {{"fixed": "1.5"}}, {{"introduced": "2"}}, {{"fixed": "2.5"}}]}}]}}]}}"#
        );
        Entry::parse(text.as_bytes(), "x").unwrap()
    }

    #[test]
    fn severities_and_fixes() {
        let hit = |more: &str, version: &str| {
            let hit = parse(more).hit("a", &Installed::new(version)).unwrap();
            (hit.rating, hit.score.map(|(score, _)| score), hit.fixed.unwrap().to_string())
        };
        let fixed = |text: &str| text.to_owned();
        assert_eq!(hit("", "1"), (Rating::Unknown, None, fixed("1.5")));
        assert_eq!(hit("", "2.1").2, "2.5");
        assert_eq!(
            hit(r#""database_specific": {"severity": "MODERATE", "x": [1]},"#, "1").0,
            Rating::Medium
        );
        assert_eq!(hit(r#""database_specific": {"severity": [1]},"#, "1").0, Rating::Unknown);
        let vectors = r#""severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
            "database_specific": {"severity": "LOW"},"#;
        assert_eq!(hit(vectors, "1"), (Rating::Critical, Some(98), fixed("1.5")));
        let newer = r#""severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}],
            "database_specific": {"severity": "HIGH"},"#;
        assert_eq!(hit(newer, "1"), (Rating::High, None, fixed("1.5")));
    }

    #[test]
    fn names_and_withdrawal() {
        let entry = parse(r#""withdrawn": "2026-01-03T00:00:00Z","#);
        assert!(entry.is_withdrawn() && !parse("").is_withdrawn());
        assert_eq!(entry.names().collect::<Vec<_>>(), ["a"]);
        assert!(Entry::parse(b"[]", "x.json").is_err());
    }
}
