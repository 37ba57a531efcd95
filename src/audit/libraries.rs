//! Libraries that files need and nobody has, or has by accident.

use std::collections::BTreeSet;

use crate::audit::finding::{Finding, Severity};
use crate::audit::{ElfRow, Report, SystemLibrary};
use crate::needs::abi::is_basic;
use crate::needs::grafted::is_grafted;
use crate::needs::paths::is_system;
use crate::needs::{Library, Needs};

/// Whether it is a library of glibc or gcc, all of whose symbols have versions: a file that names none uses none.
fn is_versioned(soname: &str) -> bool {
    is_basic(soname) && soname != "libz.so.1" && !soname.starts_with("ld-linux")
}

/// Findings of everything that is needed from outside.
pub(super) fn findings(needs: &Needs) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, soname) in &needs.inherited {
        let message = format!("it finds `{soname}` through the DT_RPATH of what loads it alone");
        findings.push(Finding::new("ELF002", path.absolute(), message));
    }
    for file in &needs.files {
        for library in &file.libraries {
            findings.extend(
                of_library(library)
                    .map(|(id, message)| Finding::new(id, file.path.absolute(), message)),
            );
        }
    }
    findings
}

fn of_library(library: &Library) -> Option<(&'static str, String)> {
    let soname = &library.soname;
    if let Some(spare) = library.spare.as_ref().filter(|_| !is_basic(soname)) {
        let message =
            format!("it needs `{soname}`, and finds `{spare}` only if that is loaded before");
        return Some(("ELF002", message));
    }
    if is_grafted(soname) {
        let message = format!("it needs `{soname}`, a name that tools give copies in a wheel");
        return Some(("ELF001", message));
    }
    if soname.starts_with('/') && !is_system(soname) {
        return Some(("ELF001", format!("it needs the file `{soname}`")));
    }
    if library.versions.is_empty() && is_versioned(soname) {
        return Some(("ELF016", format!("it needs `{soname}`, and uses no symbol of it")));
    }
    None
}

/// Libraries that no release `is_known` to have: the relations of the package, or its user, have to bring them.
pub fn unknown(report: &Report, is_known: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let names = |row: &ElfRow| [row.soname.clone(), row.path.rsplit('/').next().map(str::to_owned)];
    let inside: BTreeSet<_> = report.elf.iter().flat_map(names).flatten().collect();
    let missing = |soname: &str| is_grafted(soname) || soname.starts_with('/');
    let unknown = report.system.iter().filter(|library| {
        let soname = library.soname.as_str();
        !(is_basic(soname) || missing(soname) || is_known(soname) || inside.contains(soname))
    });
    let finding = |library: &SystemLibrary| {
        let message = format!("it needs `{}`, which no known release has", library.soname);
        Finding::new("ELF001", library.example.clone(), message).at(Severity::Info)
    };
    unknown.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use crate::audit::libraries::of_library;
    use crate::needs::Library;
    use crate::tree::PkgPath;

    fn check(soname: &str, version: Option<&str>, spare: Option<&str>, expected: Option<&str>) {
        let library = Library {
            soname: soname.to_owned(),
            versions: version.map(|name| (name.to_owned(), false)).into_iter().collect(),
            spare: spare.map(|path| PkgPath::new(path).unwrap()),
            is_optional: false,
            renamed: None,
            rules: Vec::new(),
        };
        assert_eq!(of_library(&library).map(|(id, _)| id), expected, "{soname}");
    }

    #[test]
    fn libraries() {
        check("libssl.so.3", None, None, None);
        check("libc.so.6", Some("GLIBC_2.34"), None, None);
        check("libm.so.6", None, None, Some("ELF016"));
        check("libz.so.1", None, None, None);
        check("libpq-9b38f5e3.so.5.17", None, None, Some("ELF001"));
        check("/build/x/libx.so", None, None, Some("ELF001"));
        check("/usr/lib/libx.so", None, None, None);
        check("libcudart.so.12", None, Some("opt/a/libcudart.so.12"), Some("ELF002"));
        check("libz.so.1", None, Some("opt/a/libz.so.1"), None);
    }
}
