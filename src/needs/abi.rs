//! Versions of symbols that a release does not define.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::error::UserError;
use crate::host::abi::{SymbolVersions, releases_with};
use crate::host::release::{Release, find};
use crate::needs::Needs;
use crate::package::Machine;

/// Refuses `needs` that the C and C++ libraries of `release` cannot meet. What is not known of them passes.
pub fn check(needs: &Needs, release: &Release, machine: Machine) -> Result<()> {
    let Some(offered) = SymbolVersions::of(release.name, machine) else { return Ok(()) };
    for file in &needs.files {
        for library in file.libraries.iter().filter(|library| library.renamed.is_none()) {
            let must = library.versions.iter().filter(|(_, is_weak)| !is_weak);
            let mut must = must.map(|(version, _)| version);
            if let Some(version) = must.find(|version| offered.defines(version) == Some(false)) {
                let message = format!(
                    "{} needs the version `{version}` of `{}`, which {} does not have",
                    file.who(),
                    library.soname,
                    release.name
                );
                let others = others(version, release, machine);
                return Err(UserError::unresolved(message)
                    .hint(format!("get a wheel for older systems{others}"))
                    .into());
            }
        }
    }
    Ok(())
}

/// Libraries of PEP 600's list that come with glibc, gcc's libraries and zlib.
const BASIC: [&str; 12] = [
    "libanl.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libmvec.so.1",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    "libutil.so.1",
    "libz.so.1",
];

/// Whether every system with glibc and a Python has `soname`; [`check`] looks at its versions.
pub fn is_basic(soname: &str) -> bool {
    soname.starts_with("ld-linux") || BASIC.contains(&soname)
}

/// The libraries that nothing is known of, for a message; `None` when there are none.
pub fn unknown(needs: &Needs) -> Option<String> {
    let libraries = needs.files.iter().flat_map(|file| &file.libraries);
    let libraries =
        libraries.filter(|library| library.renamed.is_none() && library.spare.is_none());
    let sonames = libraries.map(|library| library.soname.as_str());
    // [`check`] looks at this library of gcc, too, but not every system has it.
    let is_known = |soname: &str| is_basic(soname) || soname == "libatomic.so.1";
    let sonames: BTreeSet<_> = sonames.filter(|soname| !is_known(soname)).collect();
    let sonames: Vec<_> = sonames.into_iter().map(|soname| format!("`{soname}`")).collect();
    (!sonames.is_empty()).then(|| sonames.join(", "))
}

/// The other releases of the distribution that define `version`.
fn others(version: &str, release: &Release, machine: Machine) -> String {
    let distribution = release.name.split(':').next();
    let others = releases_with(version, machine).into_iter();
    let is_other = |name: &&str| name.split(':').next() == distribution && find(name).is_ok();
    let others: Vec<_> = others.filter(is_other).collect();
    match others.is_empty() {
        true => String::new(),
        false => format!(", or build for {}", others.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::elf::Abi;
    use crate::error::{exit_code, hint};
    use crate::host::release::find;
    use crate::needs::abi::{check, unknown};
    use crate::needs::{FileNeeds, Library, Needs};
    use crate::package::Machine;
    use crate::tree::PkgPath;

    fn needs(versions: &[(&str, bool)]) -> Needs {
        let versions = versions.iter().map(|(name, is_weak)| ((*name).to_owned(), *is_weak));
        let library = Library {
            soname: "libc.so.6".to_owned(),
            versions: versions.collect(),
            spare: None,
            is_optional: false,
            renamed: None,
            rules: Vec::new(),
        };
        let file = FileNeeds {
            path: PkgPath::new("opt/a/x.so").unwrap(),
            origin: Arc::from("rocket 2.0"),
            abi: Abi { class: 2, data: 1, machine: 62, flags: 0 },
            dirs: Vec::new(),
            is_inert: false,
            libraries: vec![library],
            symbols: Vec::new(),
        };
        Needs { files: vec![file], ..Needs::default() }
    }

    #[test]
    fn libraries_that_nothing_is_known_of() {
        let mut needs = needs(&[]);
        assert_eq!(unknown(&needs), None);
        let template = needs.files[0].libraries[0].clone();
        for soname in
            ["libssl.so.3", "ld-linux-x86-64.so.2", "libpq.so.5", "libatomic.so.1", "libssl.so.3"]
        {
            let library = Library { soname: soname.to_owned(), ..template.clone() };
            needs.files[0].libraries.push(library);
        }
        assert_eq!(unknown(&needs).as_deref(), Some("`libpq.so.5`, `libssl.so.3`"));
    }

    #[test]
    fn versions_a_release_lacks() {
        let new = needs(&[("GLIBC_2.34", false), ("GLIBC_2.38", false)]);
        for (release, expected) in [
            ("debian:12", "or build for debian:13"),
            ("ubuntu:22.04", "or build for ubuntu:24.04 or ubuntu:25.10 or ubuntu:26.04"),
            ("rhel:9", "or build for rhel:10"),
            ("amzn:2023", "get a wheel for older systems"),
        ] {
            let error = check(&new, &find(release).unwrap(), Machine::X86_64).unwrap_err();
            assert_eq!(exit_code(&error), 4);
            assert_eq!(
                error.to_string(),
                format!(
                    "`/opt/a/x.so` of `rocket 2.0` needs the version `GLIBC_2.38` of `libc.so.6`, which {release} \
                     does not have"
                )
            );
            assert!(hint(&error).unwrap().contains(expected), "{error:?}");
        }
        for release in ["debian:13", "fedora:43", "suse:15.6", "ubuntu:24.10"] {
            check(&new, &find(release).unwrap(), Machine::X86_64).unwrap();
        }
        let fine = needs(&[("GLIBC_2.99", true), ("OTHER_1", false), ("GLIBC_2.17", false)]);
        check(&fine, &find("rhel:8").unwrap(), Machine::X86_64).unwrap();
        check(&new, &find("rhel:8").unwrap(), Machine::S390x).unwrap();
    }
}
