//! Whether rpmbuild would have written the same package from the same files.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::rpm::{PYTHON, beside};
use crate::tools::verdict;

/// The programs that both judges need.
pub(crate) const PROGRAMS: [&str; 4] = ["rpmbuild", "rpm2cpio", "cpio", "python3"];

/// Every header tag is what rpmbuild writes, but for the differences that `twin.py` lists with their reasons.
pub(crate) fn equals_rpmbuild(rpm: &Path) -> Result<()> {
    compare(rpm, &[])
}

/// What is required of libraries is what `elfdeps` finds in the files, without what the package brings.
pub(crate) fn requires_what_elfdeps_finds(rpm: &Path) -> Result<()> {
    compare(rpm, &["--elf"])
}

fn compare(rpm: &Path, options: &[&str]) -> Result<()> {
    let scratch = tempfile::tempdir_in("/var/tmp")?;
    let mut twin = Command::new(PYTHON);
    twin.arg(beside("twin.py")).args(options).arg(rpm).arg(scratch.path());
    match verdict(&mut twin)? {
        Some(different) => bail!("{}:\n{different}", rpm.display()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, Result, ensure};

    use crate::rpm::sample::{GOOD, Sample};
    use crate::rpm::twin::{PROGRAMS, equals_rpmbuild, requires_what_elfdeps_finds};
    use crate::tools::ready;

    #[test]
    fn rpmbuild_agrees_with_itself_only() -> Result<()> {
        if !ready("rpmbuild_agrees_with_itself_only", &PROGRAMS)? {
            return Ok(());
        }
        let everything = "Epoch: 1
Vendor: Acme
Requires(post): /usr/bin/getent
Requires: a >= 1, b < 2~rc1
Provides: bundled(python3dist(x)) = 1
Recommends: c
Suggests: d
Conflicts: e = 3
Obsoletes: f < 1
OrderWithRequires: systemd";
        for preamble in ["", everything] {
            equals_rpmbuild(&Sample { preamble, ..GOOD }.build()?.rpm)?;
        }
        for (preamble, difference) in [
            ("%global _binary_filedigest_algorithm 1", "FILEDIGESTALGO: missing, rpmbuild has"),
            (
                "Provides: libz.so.1()(64bit)",
                "Provide: libz.so.1()(64bit)  0x0: rpmbuild has it not",
            ),
            ("AutoReqProv: no", "Provide: config(sample) 1-1 0x10000008: only rpmbuild has it"),
        ] {
            let built = Sample { preamble, ..GOOD }.build()?;
            let told = equals_rpmbuild(&built.rpm).err();
            let told = format!("{:#}", told.with_context(|| format!("{preamble}: not seen"))?);
            ensure!(told.contains(difference), "{preamble}: {told}");
        }
        Ok(())
    }

    #[test]
    fn elfdeps_finds_what_is_required() -> Result<()> {
        let name = "elfdeps_finds_what_is_required";
        if !ready(name, &["rpmbuild", "rpm2cpio", "cpio", "python3", "gcc"])? {
            return Ok(());
        }
        let install = "cd %{buildroot}/opt/sample
echo 'int private(void) { return 1; }' | gcc -shared -x c -Wl,-soname,libprivate.so.1 -o libprivate.so.1 -
echo 'int private(void), getpid(void); int public(void) { return private() + getpid(); }' |
    gcc -shared -x c -o public.so - -x none libprivate.so.1 -Wl,-rpath,'$ORIGIN'";
        let libc = "Requires: libc.so.6()(64bit), libc.so.6(GLIBC_2.2.5)(64bit), rtld(GNU_HASH)";
        let less = "Requires: libc.so.6()(64bit), rtld(GNU_HASH)";
        let more = format!("{libc}, libprivate.so.1()(64bit)");
        for (preamble, told) in [
            (libc, ""),
            (less, "not required: libc.so.6(GLIBC_2.2.5)(64bit)"),
            (more.as_str(), "no file needs: libprivate.so.1()(64bit)"),
        ] {
            let built = Sample { preamble, install, ..GOOD }.build()?;
            let found = requires_what_elfdeps_finds(&built.rpm).err();
            let found = found.map(|error| format!("{error:#}")).unwrap_or_default();
            ensure!(found.contains(told) && found.is_empty() == told.is_empty(), "{found}");
        }
        Ok(())
    }
}
