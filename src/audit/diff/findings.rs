//! Which findings and vulnerabilities of two packages are the same.

use std::collections::BTreeSet;

use crate::audit::Report;
use crate::audit::diff::Vulnerabilities;
use crate::audit::diff::versions::normal;
use crate::audit::finding::Finding;
use crate::needs::grafted::parts;

/// What tells a finding from others of its check, in both packages: versions change with every upgrade.
fn place(report: &Report, finding: &Finding) -> String {
    let of = report.distributions.iter();
    let mut named = of.filter(|one| finding.place == format!("{} {}", one.name, one.version));
    named.next().map_or_else(|| unversioned(&finding.place), |one| normal(&one.name))
}

/// A path without the version of Python, and the name of a library without its own and without the digest that
/// auditwheel puts into it: `python3/x.libs/libssl.so`.
fn unversioned(path: &str) -> String {
    let part = |part: &str| {
        if part.strip_prefix("python3.").is_some_and(|minor| minor.parse::<u8>().is_ok()) {
            return "python3".to_owned();
        }
        match part.split_once(".so") {
            Some((name, rest)) if rest.is_empty() || rest.starts_with('.') => {
                format!("{}.so", parts(part).map_or(name, |(own, ..)| own))
            }
            Some(_) | None => part.to_owned(),
        }
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Findings that are no vulnerabilities, and are about the package, not about waivers.
fn plain(report: &Report) -> impl Iterator<Item = &Finding> {
    let is_plain =
        |finding: &&Finding| finding.advisory.is_none() && !finding.id.starts_with("WVR");
    report.findings.iter().filter(is_plain)
}

pub(super) fn findings(old: &Report, new: &Report) -> (Vec<Finding>, Vec<Finding>) {
    let keys = |report| -> BTreeSet<_> {
        plain(report).map(|finding| (finding.id, place(report, finding))).collect()
    };
    let (was, is) = (keys(old), keys(new));
    let only = |report, others: &BTreeSet<_>| {
        plain(report).filter(|it| !others.contains(&(it.id, place(report, it)))).cloned().collect()
    };
    (only(new, &was), only(old, &is))
}

/// Vulnerabilities of both, paired by component and any id they share.
pub(super) fn vulnerabilities(old: &Report, new: &Report) -> Option<Vulnerabilities> {
    let asked = new.vulnerabilities.as_ref()?;
    let of = |report: &Report| -> Vec<Finding> {
        report.findings.iter().filter(|finding| finding.advisory.is_some()).cloned().collect()
    };
    let is_same = |one: &Finding, other: &Finding| match (&one.advisory, &other.advisory) {
        (Some(one), Some(other)) => {
            let mut ids = std::iter::once(&other.id).chain(&other.aliases);
            normal(&one.component) == normal(&other.component) && ids.any(|id| one.is_called(id))
        }
        (None, _) | (_, None) => false,
    };
    let (was, is) = (of(old), of(new));
    let fixed = was.iter().filter(|before| !is.iter().any(|now| is_same(now, before)));
    let fixed = fixed.cloned().collect();
    let (persisting, introduced) =
        is.into_iter().partition(|now| was.iter().any(|before| is_same(now, before)));
    Some(Vulnerabilities { databases: asked.databases.clone(), introduced, fixed, persisting })
}

#[cfg(test)]
mod tests {
    use crate::audit::diff::findings::unversioned;

    #[test]
    fn places() {
        for (path, expected) in [
            (
                "/opt/a/lib/python3.11/x.libs/libssl-81ffa89e.so.3",
                "/opt/a/lib/python3/x.libs/libssl.so",
            ),
            ("/opt/a/lib/libpq.so.5.17", "/opt/a/lib/libpq.so"),
            (
                "/opt/a/_x.cpython-311-x86_64-linux-gnu.so",
                "/opt/a/_x.cpython-311-x86_64-linux-gnu.so",
            ),
            ("/opt/a/x.sock", "/opt/a/x.sock"),
        ] {
            assert_eq!(unversioned(path), expected);
        }
    }
}
