//! lintian has nothing to say that `lintian.allow` does not expect.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::build::package;
use crate::tools::{output, ready, repository};

/// A tag that may show, on lines that hold a text.
pub(crate) struct Allowed {
    tag: String,
    text: String,
}

impl Allowed {
    pub(crate) fn covers(&self, tag: &str, line: &str) -> bool {
        self.tag == tag && line.contains(&self.text)
    }
}

#[test]
fn lintian_is_quiet() -> Result<()> {
    if !ready("lintian_is_quiet", &["lintian"])? {
        return Ok(());
    }
    for project in [
        "acme-notes",
        "acme-web",
        "bare-requirements",
        "maturin-app",
        "namespace-app",
        "poetry-app",
    ] {
        let project = repository().join("fixtures/projects").join(project);
        let deb = package(&project, &[])?;
        let unexpected = unexpected(&deb)?;
        ensure!(unexpected.is_empty(), "{}:\n{}", deb.display(), unexpected.join("\n"));
    }
    Ok(())
}

/// The rules of a list: a tag, the text its line must hold, and why after a `#`.
pub(crate) fn allowed(text: &str) -> Vec<Allowed> {
    let rules = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    rules
        .filter(|rule| !rule.is_empty())
        .map(|rule| {
            let (tag, text) = rule.split_once(' ').unwrap_or((rule, ""));
            Allowed { tag: tag.to_owned(), text: text.trim().to_owned() }
        })
        .collect()
}

/// The lines with tags that nobody expects.
pub(crate) fn unexpected(deb: &Path) -> Result<Vec<String>> {
    let allowed = allowed(&std::fs::read_to_string(repository().join("tests/real/lintian.allow"))?);
    let mut lintian = Command::new("lintian");
    lintian.args(["--allow-root", "--no-cfg", "--tag-display-limit", "0", "--fail-on", "none"]);
    let printed = output(lintian.arg(deb).env("LC_ALL", "C.UTF-8"))?;
    let is_expected = |line: &str| {
        let tag = line.split(' ').nth(2).unwrap_or_default();
        allowed.iter().any(|rule| rule.covers(tag, line))
    };
    let tags = printed.lines().filter(|line| !line.starts_with("N: "));
    Ok(tags.filter(|line| !is_expected(line)).map(str::to_owned).collect())
}
