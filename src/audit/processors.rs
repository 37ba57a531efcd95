//! Whether the hosts a package is for have the processors its files need.

use crate::audit::ElfRow;
use crate::audit::finding::{Finding, Severity};
use crate::host::release::{Release, named};

/// Files that need more than the least level of x86-64 that hosts of `targets` have; of any host, where there are none.
///
/// glibc refuses to load such a file where the processor has less ("CPU ISA level is lower than required").
pub fn findings(files: &[ElfRow], targets: &[&str]) -> Vec<Finding> {
    let releases = targets.iter().filter_map(|name| named(name));
    let least = releases.min_by_key(Release::x86_64_level);
    let baseline = least.map_or(1, |release| release.x86_64_level());
    let needy = files.iter().filter_map(|file| Some((file, file.x86_64_level?)));
    let needy = needy.filter(|(_, level)| *level > baseline);
    let finding = |(file, level): (&ElfRow, u8)| {
        let message = format!("it is for x86-64-v{level}");
        match least {
            Some(Release { name, .. }) => {
                let message = format!("{message}, and hosts of {name} may have v{baseline}");
                Finding::new("ELF014", file.path.clone(), message).at(Severity::Error)
            }
            None => Finding::new("ELF014", file.path.clone(), message),
        }
    };
    needy.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use crate::audit::ElfRow;
    use crate::audit::processors::findings;

    #[test]
    fn levels() {
        let check = |level, targets: &[&str], expected: Option<&str>| {
            let file = ElfRow {
                path: "/x".to_owned(),
                distribution: String::new(),
                soname: None,
                search_path: None,
                inside: Vec::new(),
                outside: Vec::new(),
                build_id: None,
                x86_64_level: level,
            };
            let told = findings(&[file], targets);
            let told = told.first().map(|one| format!("{} {}", one.severity.name(), one.message));
            assert_eq!(told.as_deref(), expected, "{level:?} {targets:?}");
        };
        check(None, &["debian:12"], None);
        check(Some(1), &["debian:12"], None);
        check(Some(2), &[], Some("warn it is for x86-64-v2"));
        check(Some(2), &["rhel:9", "rhel:10"], None);
        let text = "error it is for x86-64-v3, and hosts of rhel:9 may have v2";
        check(Some(3), &["rhel:9", "rhel:10"], Some(text));
        let text = "error it is for x86-64-v2, and hosts of debian:12 may have v1";
        check(Some(2), &["rhel:9", "debian:12"], Some(text));
    }
}
