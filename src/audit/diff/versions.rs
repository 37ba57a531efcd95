//! What has a name and a version, before and now, and which way it goes.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::audit::diff::{Change, Way};
use crate::pep::{Version, normalize_name};

/// Versions by name; of a name with several, all of them.
pub(super) type Versions = BTreeMap<String, String>;

pub(super) fn joined(pairs: impl Iterator<Item = (String, String)>) -> Versions {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, version) in pairs {
        all.entry(name).or_default().insert(version);
    }
    let join = |versions: BTreeSet<String>| versions.into_iter().collect::<Vec<_>>().join(", ");
    all.into_iter().map(|(name, versions)| (name, join(versions))).collect()
}

pub(super) fn changes(
    old: &Versions,
    new: &Versions,
    way: impl Fn(&str, &str) -> Way,
) -> Vec<Change> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let change = |name: &String| {
        let (was, is) = (old.get(name), new.get(name));
        let way = match (was, is) {
            (Some(was), Some(is)) if was == is => return None,
            (Some(was), Some(is)) => way(was, is),
            (None, _) => Way::New,
            (Some(_), None) => Way::Gone,
        };
        Some(Change { name: name.clone(), old: was.cloned(), new: is.cloned(), way })
    };
    names.into_iter().filter_map(change).collect()
}

/// What two spellings of a name have in common (PEP 503): distributions change theirs, as `Pillow` did.
pub(super) fn normal(name: &str) -> String {
    normalize_name(name).unwrap_or_else(|_| name.to_lowercase())
}

/// By PEP 440 where both are versions of it; else, as those of native components often are not (`1.1.1w`), by the
/// numbers they begin with.
pub(super) fn of_versions(was: &str, is: &str) -> Way {
    let order = match (was.parse::<Version>(), is.parse::<Version>()) {
        (Ok(was), Ok(is)) => is.cmp(&was),
        (Ok(_) | Err(_), _) => numbers(is).cmp(&numbers(was)),
    };
    match order {
        Ordering::Greater => Way::Up,
        Ordering::Less => Way::Down,
        Ordering::Equal => Way::Other,
    }
}

/// The numbers between dots that a version begins with.
fn numbers(version: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    for part in version.split('.') {
        let digits = part.trim_end_matches(|at: char| !at.is_ascii_digit());
        match digits.parse() {
            Ok(number) => numbers.push(number),
            Err(_) => break,
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::audit::diff::Way;
    use crate::audit::diff::versions::{changes, of_versions};

    fn check(old: &str, new: &str, expected: &[(&str, Way)]) {
        let versions = |text: &str| -> BTreeMap<_, _> {
            let pairs = text.split_whitespace().filter_map(|word| word.split_once('='));
            pairs.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
        };
        let found = changes(&versions(old), &versions(new), of_versions);
        let found: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.way)).collect();
        assert_eq!(found, expected, "{old} / {new}");
    }

    #[test]
    fn ways() {
        check("a=1 b=1", "a=1 b=1", &[]);
        check("a=1.9 b=2", "a=1.10 c=1", &[("a", Way::Up), ("b", Way::Gone), ("c", Way::New)]);
        check("a=2 b=1.1.1w", "a=2rc1 b=3.0", &[("a", Way::Down), ("b", Way::Up)]);
        check("a=1.1.1w b=3.0", "a=1.1.1v b=1.1.1w", &[("a", Way::Other), ("b", Way::Down)]);
        check("a=1.0", "a=1", &[("a", Way::Other)]);
    }
}
