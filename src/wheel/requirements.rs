//! What distributions require of each other, as pip's `check` command sees it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::pep::{Environment, Requirement, Version, satisfies};
use crate::wheel::metadata::Metadata;

/// A distribution among others.
#[derive(Clone, Copy, Debug)]
pub struct Distribution<'a> {
    /// Its normalised name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a Version,
    /// What it says of itself.
    pub metadata: &'a Metadata,
}

/// A requirement that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Place of the distribution that has it.
    pub of: usize,
    /// What it requires.
    pub requirement: Requirement,
    /// The version that is there instead; `None` when there is none.
    pub found: Option<Version>,
}

/// Extras by the normalised name of their distribution.
pub type Extras = BTreeMap<String, BTreeSet<String>>;

/// What `distributions` require that is not among them, in their order, when somebody asked for the extras `asked`.
pub fn unmet(
    distributions: &[Distribution<'_>],
    asked: Extras,
    environment: &Environment,
) -> Result<Vec<Unmet>> {
    let places = distributions.iter().enumerate().map(|(place, one)| (one.name, place));
    let places: BTreeMap<_, _> = places.collect();
    let all: Vec<_> = distributions.iter().map(|one| requirements(one.metadata)).collect();
    let extras = extras(&places, &all, asked, environment)?;
    let mut unmet = Vec::new();
    for (of, (one, requirements)) in distributions.iter().zip(&all).enumerate() {
        for requirement in needed(requirements, extras.get(one.name), environment)? {
            let found = places.get(requirement.name.as_str());
            let found = found.map(|place| distributions[*place].version);
            let specifiers = &requirement.specifiers;
            let is_met = match found {
                Some(version) => specifiers.is_empty() || satisfies(version, specifiers)?,
                None => false,
            };
            if !is_met {
                let requirement = requirement.clone();
                unmet.push(Unmet { of, requirement, found: found.cloned() });
            }
        }
    }
    Ok(unmet)
}

/// Old metadata holds requirements no standard knows; installers ignore them, too.
fn requirements(metadata: &Metadata) -> Vec<Requirement> {
    metadata.requires_dist.iter().filter_map(|text| text.parse().ok()).collect()
}

/// The extras somebody asks of each distribution: those `asked` for, and those they ask of each other.
fn extras(
    places: &BTreeMap<&str, usize>,
    all: &[Vec<Requirement>],
    asked: Extras,
    environment: &Environment,
) -> Result<Extras> {
    let mut extras = asked;
    let mut pending: BTreeSet<&str> = places.keys().copied().collect();
    while let Some(name) = pending.pop_first() {
        for need in needed(&all[places[name]], extras.get(name), environment)? {
            let known = extras.entry(need.name.clone()).or_default();
            let before = known.len();
            known.extend(need.extras.iter().cloned());
            if known.len() > before
                && let Some((name, _)) = places.get_key_value(need.name.as_str())
            {
                pending.insert(name);
            }
        }
    }
    Ok(extras)
}

/// The requirements whose markers hold.
fn needed<'r>(
    requirements: &'r [Requirement],
    extras: Option<&BTreeSet<String>>,
    environment: &Environment,
) -> Result<Vec<&'r Requirement>> {
    let extras: Vec<_> = extras.into_iter().flatten().cloned().collect();
    let mut needed = Vec::new();
    for requirement in requirements {
        if environment.evaluate(&requirement.marker, &extras)? {
            needed.push(requirement);
        }
    }
    Ok(needed)
}

#[cfg(test)]
mod tests {
    use crate::pep::{Version, environment};
    use crate::wheel::metadata::Metadata;
    use crate::wheel::requirements::{Distribution, Extras, unmet};

    /// Distributions `name version: requirement, requirement`, and `name requirement` of each that is not met.
    fn check(lines: &[&str], extras: &[(&str, &str)], expected: &[&str]) {
        let all: Vec<_> = lines
            .iter()
            .map(|line| {
                let (title, needs) = line.split_once(':').unwrap();
                let (name, version) = title.split_once(' ').unwrap();
                let needs = needs.split(',').map(|text| text.trim().to_owned());
                let requires_dist = needs.filter(|text| !text.is_empty()).collect();
                let version: Version = version.parse().unwrap();
                (name, version, Metadata { requires_dist, ..Metadata::default() })
            })
            .collect();
        let all: Vec<_> = all
            .iter()
            .map(|(name, version, metadata)| Distribution { name, version, metadata })
            .collect();
        let mut asked = Extras::new();
        for (name, extra) in extras {
            asked.entry((*name).to_owned()).or_default().insert((*extra).to_owned());
        }
        let found = unmet(&all, asked, &environment()).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|one| {
                let found = one.found.as_ref().map(|version| format!(" not {version}"));
                let (name, need) = (all[one.of].name, &one.requirement);
                format!("{name} {}{}{}", need.name, need.specifiers, found.unwrap_or_default())
            })
            .collect();
        assert_eq!(told, expected, "{lines:?}");
    }

    #[test]
    fn requirements() {
        check(&["a 1: b>=2", "b 2:"], &[], &[]);
        check(&["a 1: b>=2, c", "b 1:"], &[], &["a b>=2 not 1", "a c"]);
        check(&["a 1: b; python_version < '3', not a requirement!"], &[], &[]);
        let extra = &["a 1: b[x]", "b 1: c; extra == 'x', d; extra == 'y'"];
        check(extra, &[], &["b c"]);
        check(extra, &[("b", "y")], &["b c", "b d"]);
        // What asks for an extra may itself be asked for by an extra, of a later one.
        check(&["a 1: b; extra == 'x'", "c 1: a[x]"], &[], &["a b"]);
    }
}
