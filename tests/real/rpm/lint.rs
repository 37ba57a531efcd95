//! rpmlint has nothing to say that `docs/rpmlintrc` and `rpmlint.allow` do not expect.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::lint::allowed;
use crate::rpm::beside;
use crate::tools::repository;

/// The programs that [`unexpected`] needs.
pub(crate) const PROGRAMS: [&str; 1] = ["rpmlint"];

/// The lines with tags that nobody expects.
pub(crate) fn unexpected(rpm: &Path) -> Result<Vec<String>> {
    let allowed = allowed(&std::fs::read_to_string(beside("rpmlint.allow"))?);
    let mut rpmlint = Command::new("rpmlint");
    rpmlint.arg("--rpmlintrc").arg(repository().join("docs/rpmlintrc")).arg(rpm);
    // Its exit status says whether there are errors, not whether it ran.
    let output = rpmlint.env("LC_ALL", "C.UTF-8").output().context("cannot run `rpmlint`")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        printed.contains(" specfiles checked"),
        "rpmlint failed: {printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let is_unexpected = |line: &&str| {
        let mut words = line.split(' ').skip(1);
        let is_tag = matches!(words.next(), Some("E:" | "W:"));
        let tag = words.next().unwrap_or_default();
        is_tag && !allowed.iter().any(|rule| rule.covers(tag, line))
    };
    Ok(printed.lines().filter(is_unexpected).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use anyhow::{Result, ensure};

    use crate::build::packaged;
    use crate::rpm::lint::{PROGRAMS, unexpected};
    use crate::rpm::sample::{self, GOOD, Sample};
    use crate::tools::{ready, repository};

    #[test]
    fn rpmlint_is_quiet_about_services() -> Result<()> {
        if !ready("rpmlint_is_quiet_about_services", &PROGRAMS)? {
            return Ok(());
        }
        let rpm = packaged("rpm", &repository().join("fixtures/projects/acme-notes"), &[])?;
        let found = unexpected(&rpm)?;
        ensure!(found.is_empty(), "{}", found.join("\n"));
        Ok(())
    }

    #[test]
    fn rpmlint_names_what_is_not_allowed() -> Result<()> {
        let name = "rpmlint_names_what_is_not_allowed";
        if !ready(name, &PROGRAMS)? || !ready(name, &sample::PROGRAMS)? {
            return Ok(());
        }
        // Without this rpmlint would miss executables.
        let preamble = "BuildArch: noarch";
        let found = unexpected(&Sample { preamble, ..GOOD }.build()?.rpm)?;
        ensure!(found.is_empty(), "{}", found.join("\n"));
        let install = "chmod 666 %{buildroot}/opt/sample/version";
        let found = unexpected(&Sample { preamble, install, ..GOOD }.build()?.rpm)?;
        ensure!(found.len() == 1 && found[0].contains("world-writable"), "{found:?}");
        Ok(())
    }
}
