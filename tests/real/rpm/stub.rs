//! What dnf and zypper make of a package on stub distributions: whether they take it, and its whole life there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use sha2::{Digest, Sha256};

use crate::build::hexadecimal;
use crate::rpm::{PYTHON, beside};
use crate::tools::{cache, namespaced, output, verdict};

/// The distributions there are stubs of.
pub(crate) const FLAVOURS: [&str; 5] = ["el8", "el9", "el10", "fedora", "suse"];

/// The programs that [`resolve`] and [`lives`] need.
pub(crate) const PROGRAMS: [&str; 7] =
    ["unshare", "rpm", "rpmbuild", "createrepo_c", "busybox", "dnf", "zypper"];

/// Whether a distribution would install a package: why not, if not.
pub(crate) fn resolve(flavour: &str, rpm: &Path) -> Result<Option<String>> {
    verdict(stub(flavour)?.arg("resolve").arg(rpm))
}

/// Installs, reinstalls, upgrades, downgrades and removes a package; an error says what was wrong with it.
pub(crate) fn lives(flavour: &str, rpm: &Path, newer: Option<&Path>) -> Result<()> {
    match verdict(stub(flavour)?.arg("live").arg(rpm).args(newer))? {
        Some(faults) => bail!("{faults}"),
        None => Ok(()),
    }
}

fn stub(flavour: &str) -> Result<Command> {
    let mut script = namespaced(beside("stub.sh"));
    script.arg(flavour).arg(repository(flavour)?);
    Ok(script)
}

/// The repository of a distribution, made once for what it is made from.
fn repository(flavour: &str) -> Result<PathBuf> {
    let mut hasher = Sha256::new();
    for source in [beside("stub.py"), beside("distributions.toml"), "/bin/busybox".into()] {
        hasher.update(std::fs::read(source)?);
    }
    let stubs = cache("stubs")?;
    let dir = stubs.join(format!("{flavour}-{}", &hexadecimal(&hasher.finalize())[..16]));
    if !dir.is_dir() {
        let part = tempfile::tempdir_in(&stubs)?;
        output(Command::new(PYTHON).arg(beside("stub.py")).arg(flavour).arg(part.path()))?;
        // Another test may have been faster.
        let part = part.keep();
        if std::fs::rename(&part, &dir).is_err() {
            std::fs::remove_dir_all(&part)?;
        }
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, Result, ensure};

    use crate::rpm::sample::{GOOD, Sample};
    use crate::rpm::stub::{FLAVOURS, PROGRAMS, lives, resolve};
    use crate::tools::ready;

    #[test]
    fn stubs_take_what_they_provide_and_say_what_they_lack() -> Result<()> {
        if !ready("stubs_take_what_they_provide_and_say_what_they_lack", &PROGRAMS)? {
            return Ok(());
        }
        for (requires, takers) in [
            ("/usr/bin/sh", "el8 el9 fedora suse"),
            ("libc.so.6(GLIBC_2.34)(64bit)", "el9 fedora suse"),
            ("libc.so.6(GLIBC_2.38)(64bit)", "fedora suse"),
            ("libstdc++.so.6(GLIBCXX_3.4.26)(64bit)", "el9 fedora suse"),
            ("libssl.so.1.1(OPENSSL_1_1_0)(64bit)", "el8"),
            ("libpq.so.5()(64bit)", "el8 el9 fedora suse"),
            ("libnowhere.so.1()(64bit)", ""),
        ] {
            let preamble = format!("Requires: {requires}");
            let built = Sample { preamble: &preamble, ..GOOD }.build()?;
            for flavour in FLAVOURS {
                let refused = resolve(flavour, &built.rpm)?;
                // Enterprise Linux 10 has no Python 3.11.
                let lacks = if flavour == "el10" { "/usr/bin/python3.11" } else { requires };
                let want = format!("nothing provides {lacks} needed by");
                let told = match &refused {
                    None => takers.split(' ').any(|taker| taker == flavour),
                    Some(reason) => {
                        !takers.split(' ').any(|taker| taker == flavour) && reason.contains(&want)
                    }
                };
                ensure!(told, "{requires} on {flavour}: {refused:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_life_without_faults_and_what_is_one() -> Result<()> {
        if !ready("a_life_without_faults_and_what_is_one", &PROGRAMS)? {
            return Ok(());
        }
        let good = GOOD.build()?;
        let newer = Sample { version: "2", ..GOOD }.build()?;
        lives("el9", &good.rpm, Some(&newer.rpm))?;
        lives("suse", &good.rpm, Some(&newer.rpm))?;
        for (flavour, post, fault) in [
            (
                "el8",
                "touch /opt/sample/left",
                "remove: left behind\n    /opt/sample\n    /opt/sample/left",
            ),
            ("suse", "mkdir -p /var/lib/sample", "remove: left behind\n    /var/lib/sample"),
            ("el9", "echo a:x:1:1::/: >>/etc/passwd", "remove: files of others changed"),
            ("suse", "echo 2 >/opt/sample/version", "install: rpm -V\n    S.5...."),
            ("el9", "echo done", "rpm -i is not silent\n    done"),
            ("suse", "exit 1", "rpm -i is not silent\n    warning: %post(sample-1-1.x86_64)"),
            ("el8", "nosuchcommand; true", "install: scriptlets complain"),
            ("suse", "nosuchcommand; true", "install: scriptlets complain"),
        ] {
            let built = Sample { post, ..GOOD }.build()?;
            let told = lives(flavour, &built.rpm, None).err();
            let told = told.with_context(|| format!("{post} on {flavour}: not seen"))?;
            let told = format!("{told:#}");
            ensure!(told.contains(fault), "{post} on {flavour}: {told}");
        }
        Ok(())
    }
}
