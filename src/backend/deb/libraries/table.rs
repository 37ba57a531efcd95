//! The libraries of releases, as tables that `scripts/releases.py` made know them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::LazyLock;

use crate::backend::deb::architecture;
use crate::backend::deb::libraries::shlibs;
use crate::backend::deb::libraries::source::{Candidate, Source};
use crate::backend::deb::libraries::symbols::{self, Object};
use crate::elf::Abi;
use crate::host::abi::SymbolVersions;
use crate::host::release::Release;
use crate::package::Machine;

const TEXTS: [(&str, &str); 3] = [
    ("debian:11", include_str!("table/debian-11.txt")),
    ("debian:12", include_str!("table/debian-12.txt")),
    ("debian:13", include_str!("table/debian-13.txt")),
];

/// Packages that Ubuntu makes of the same sources under the same names, with the versions of the same symbols.
const SHARED: [&str; 5] = ["libatomic1", "libc6", "libgcc-s1", "libstdc++6", "zlib1g"];

/// One release for one machine.
#[derive(Debug)]
pub(super) struct Table {
    release: Release,
    machine: Machine,
    /// The package that has each library.
    owners: BTreeMap<&'static str, &'static str>,
    /// Sections, by package.
    symbols: BTreeMap<&'static str, &'static str>,
    shlibs: BTreeMap<&'static str, &'static str>,
    dpkg: Option<&'static str>,
    /// What the release defines, where the table is that of another.
    defined: Option<SymbolVersions>,
    /// Sections that were read, by package.
    objects: BTreeMap<String, BTreeMap<String, Rc<Object>>>,
    /// Packages of whose versions nothing is known.
    bare: BTreeSet<String>,
}

/// Whether there is a table for packages of `release`.
pub(super) fn knows(release: &Release, machine: Machine) -> bool {
    text(release, machine).is_some()
}

/// The libraries of each release that has a table, on any machine.
static NAMES: LazyLock<BTreeMap<&str, BTreeSet<&str>>> =
    LazyLock::new(|| TEXTS.iter().map(|(release, text)| (*release, names(text))).collect());

fn names(text: &'static str) -> BTreeSet<&'static str> {
    let sections = text.split("\n[").filter(|section| section.starts_with("names "));
    let lines = sections.flat_map(|section| section.lines().skip(1));
    lines.flat_map(|line| line.split(' ').skip(1)).collect()
}

/// Whether any release that has a table has `soname`, on any machine.
pub(super) fn has_library(soname: &str) -> bool {
    NAMES.values().any(|names| names.contains(soname))
}

/// Whether `release` has no `soname`: it has a table without, and another release has one with it. What no table has may
/// be a library nothing is linked with.
pub(super) fn lacks(release: &str, soname: &str) -> bool {
    NAMES.get(release).is_some_and(|names| !names.contains(soname)) && has_library(soname)
}

/// The table for `release`, and the versions that count beside it.
fn text(release: &Release, machine: Machine) -> Option<(&'static str, Option<SymbolVersions>)> {
    header(machine)?;
    if let Some((_, text)) = TEXTS.iter().find(|(name, _)| *name == release.name) {
        return Some((text, None));
    }
    let (_, newest) = TEXTS.last().filter(|_| release.name.starts_with("ubuntu:"))?;
    Some((newest, Some(SymbolVersions::of(release.name, machine)?)))
}

/// Class, byte order and number (ELF's) of the machines that tables have sections for.
fn header(machine: Machine) -> Option<(u8, u8, u16)> {
    match machine {
        Machine::X86_64 => Some((2, 1, 62)),
        Machine::Aarch64 => Some((2, 1, 183)),
        Machine::Armv7l => Some((1, 1, 40)),
        Machine::I686
        | Machine::Ppc64le
        | Machine::S390x
        | Machine::Riscv64
        | Machine::Loongarch64 => None,
    }
}

impl Table {
    pub(super) fn open(release: Release, machine: Machine) -> Option<Self> {
        let (text, defined) = text(&release, machine)?;
        let mut table = Self {
            release,
            machine,
            owners: BTreeMap::new(),
            symbols: BTreeMap::new(),
            shlibs: BTreeMap::new(),
            dpkg: None,
            defined,
            objects: BTreeMap::new(),
            bare: BTreeSet::new(),
        };
        let mut sections = text.split("\n[");
        let head = sections.next()?;
        table.dpkg = head.lines().find_map(|line| line.strip_prefix("dpkg "));
        for section in sections {
            table.add(section, architecture(Some(machine)));
        }
        Some(table)
    }

    /// Takes a section, from its title on, if it is for `architecture`.
    fn add(&mut self, section: &'static str, architecture: &str) {
        let Some((title, text)) = section.split_once("]\n") else { return };
        let words: Vec<_> = title.split(' ').collect();
        if !words.contains(&architecture) {
            return;
        }
        match words[..] {
            ["names", ..] => {
                for line in text.lines() {
                    let mut words = line.split(' ');
                    let Some(package) = words.next() else { continue };
                    self.owners.extend(words.map(|soname| (soname, package)));
                }
            }
            ["symbols", package, ..] => {
                self.symbols.insert(package, text);
            }
            ["shlibs", package, ..] => {
                self.shlibs.insert(package, text);
            }
            _ => {}
        }
    }

    /// The package that has `soname`.
    pub(super) fn owner(&self, soname: &str) -> Option<&'static str> {
        let owner = self.owners.get(soname).copied();
        owner.filter(|owner| self.defined.is_none() || SHARED.contains(owner))
    }

    /// The versions `package` gives `soname`; none where they are not known.
    fn versions(&mut self, package: &str, soname: &str) -> Vec<String> {
        let mut versions =
            self.symbols(package, soname).map(|object| object.versions()).unwrap_or_default();
        if let Some(defined) = &self.defined {
            versions.retain(|version| defined.defines(version) != Some(false));
        }
        versions
    }

    fn is_for(&self, abi: Abi) -> bool {
        header(self.machine) == Some((abi.class, abi.data, abi.machine))
    }
}

impl Source for Table {
    fn find(&mut self, soname: &str, _: &[String], abi: Abi) -> Vec<Candidate> {
        let Some(package) = self.owner(soname).filter(|_| self.is_for(abi)) else {
            return Vec::new();
        };
        vec![Candidate {
            label: format!("`{package}` of {}", self.release.name),
            owners: vec![package.to_owned()],
            is_named: true,
            is_known: self.symbols.contains_key(package),
            versions: Rc::new(self.versions(package, soname)),
        }]
    }

    fn symbols(&mut self, package: &str, soname: &str) -> Option<Rc<Object>> {
        let text = self.symbols.get(package)?;
        let objects = self.objects.entry(package.to_owned()).or_insert_with(|| {
            let mut objects = BTreeMap::new();
            symbols::read(&long(text), &mut |_| None, &mut objects);
            objects.into_iter().map(|(soname, object)| (soname, Rc::new(object))).collect()
        });
        objects.get(soname).map(Rc::clone)
    }

    fn shlibs(&mut self, package: Option<&str>, soname: &str) -> Option<String> {
        let package = package?;
        let told = self.shlibs.get(package).and_then(|text| shlibs::find(text, soname));
        told.or_else(|| {
            self.bare.insert(package.to_owned());
            Some(package.to_owned())
        })
    }

    fn dpkg(&self) -> Option<String> {
        self.dpkg.map(str::to_owned)
    }

    fn name(&self) -> String {
        match self.defined {
            None => self.release.name.to_owned(),
            Some(_) => format!("what is known of {}", self.release.name),
        }
    }

    fn advice(&self, soname: &str) -> String {
        let has_it = |name: &'static str| {
            let table = Self::open(Release { name, ..self.release }, self.machine);
            table.is_some_and(|table| table.owner(soname).is_some())
        };
        let others = TEXTS.iter().map(|(name, _)| *name).filter(|_| self.defined.is_none());
        let others = others.filter(|name| *name != self.release.name && has_it(name));
        let others: Vec<_> = others.map(|name| format!("build for {name}, ")).collect();
        let name = self.release.name;
        format!("{}name a root file system of {name} that has it with `--sysroot`", others.concat())
    }

    fn remarks(&self) -> Vec<String> {
        let bare: Vec<_> = self.bare.iter().map(|package| format!("`{package}`")).collect();
        let name = self.release.name;
        let remark = format!(
            "which versions of {} have what is needed is not known, and none is asked for: a root file system of {name} \
             tells (`--sysroot`)",
            bare.join(", ")
        );
        (!bare.is_empty()).then_some(remark).into_iter().collect()
    }
}

/// A section as a symbols file has it: lines that give a version to many symbols become one for each.
fn long(text: &str) -> String {
    let mut whole = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let group = line.strip_prefix(' ').and_then(|line| line.split_once(": "));
        let Some((version, names)) = group else {
            whole.extend([line, "\n"]);
            continue;
        };
        for name in names.split(' ') {
            let base = if name.contains('@') { "" } else { "@Base" };
            whole.extend([" ", name, base, " ", version, "\n"]);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::backend::deb::libraries::source::Source;
    use crate::backend::deb::libraries::table::{TEXTS, Table, has_library, knows, lacks, long};
    use crate::elf::Abi;
    use crate::host::release::find;
    use crate::package::Machine;

    const AMD64: Abi = Abi { class: 2, data: 1, machine: 62, flags: 0 };
    const MACHINES: [Machine; 3] = [Machine::X86_64, Machine::Aarch64, Machine::Armv7l];

    fn table(release: &str, machine: Machine) -> Table {
        Table::open(find(release).unwrap(), machine).unwrap()
    }

    /// The package of a library, the least version of it, and what a symbol or version asks for.
    fn check(release: &str, soname: &str, (name, version): (&str, &str), expected: (&str, &str)) {
        let mut table = table(release, Machine::X86_64);
        let [candidate] = &table.find(soname, &[], AMD64)[..] else { panic!("no {soname}") };
        let object = table.symbols(&candidate.owners[0], soname).unwrap();
        let line = object.symbol(name, version).or_else(|| object.node(name, version)).unwrap();
        assert_eq!((candidate.owners[0].as_str(), line.minimal.as_str()), expected, "{soname}");
    }

    #[test]
    fn libraries_that_come_and_go() {
        assert!(lacks("debian:13", "libicuuc.so.72") && !lacks("debian:12", "libicuuc.so.72"));
        assert!(lacks("debian:12", "libicuuc.so.76") && !lacks("debian:13", "libicuuc.so.76"));
        assert!(!lacks("debian:13", "libnobody.so.1") && !lacks("rhel:9", "libicuuc.so.72"));
    }

    #[test]
    fn names_of_any_release() {
        assert!(has_library("libssl.so.1.1") && has_library("libssl.so.3"));
        assert!(!has_library("libssl.so") && !has_library("libssl3t64"));
    }

    #[test]
    fn symbols_and_versions() {
        let node = |version| (version, version);
        check("debian:11", "libssl.so.1.1", node("OPENSSL_1_1_1"), ("libssl1.1", "1.1.1"));
        check("debian:12", "libssl.so.3", ("SSL_new", "OPENSSL_3.0.0"), ("libssl3", "3.0.0"));
        check("debian:13", "libssl.so.3", ("SSL_new", "OPENSSL_3.0.0"), ("libssl3t64", "3.0.0"));
        check("debian:12", "libc.so.6", ("memcpy", "GLIBC_2.14"), ("libc6", "2.14"));
        check("debian:12", "libc.so.6", ("sysconf", "GLIBC_2.2.5"), ("libc6", "2.34"));
        check("debian:11", "libc.so.6", ("sysconf", "GLIBC_2.2.5"), ("libc6", "2.2.5"));
        check("debian:13", "libstdc++.so.6", node("GLIBCXX_3.4.23"), ("libstdc++6", "10.2"));
        check("debian:12", "libz.so.1", node("ZLIB_1.2.12"), ("zlib1g", "1:1.2.13.dfsg"));
        check("debian:13", "libc.so.6", node("GLIBC_ABI_GNU2_TLS"), ("libc6", "2.41-12+deb13u2"));
        check("ubuntu:22.04", "libc.so.6", ("memcpy", "GLIBC_2.14"), ("libc6", "2.14"));
    }

    #[test]
    fn libraries_without_symbols() {
        let check = |release, soname, expected| {
            let mut table = table(release, Machine::X86_64);
            let owner = table.owner(soname).unwrap();
            assert!(table.symbols(owner, soname).is_none());
            assert_eq!(table.shlibs(Some(owner), soname).as_deref(), Some(expected), "{soname}");
            table.remarks().len()
        };
        assert_eq!(check("debian:12", "libbz2.so.1.0", "libbz2-1.0"), 0);
        assert_eq!(check("debian:12", "libzstd.so.1", "libzstd1 (>= 1.5.2)"), 0);
        assert_eq!(check("debian:13", "libblas.so.3", "libblas3 | libblas.so.3"), 0);
        // Not among those whose symbols are known.
        assert_eq!(check("debian:13", "libQt5Core.so.5", "libqt5core5t64"), 1);
    }

    #[test]
    fn what_a_release_has_not() {
        for (release, soname) in [
            ("debian:12", "libssl.so.1.1"),
            ("debian:11", "libssl.so.3"),
            ("debian:13", "libstranger.so.9"),
            ("ubuntu:24.04", "libssl.so.3"),
        ] {
            let mut table = table(release, Machine::X86_64);
            assert_eq!(table.find(soname, &[], AMD64), [], "{release} {soname}");
        }
        let advice = table("debian:12", Machine::X86_64).advice("libssl.so.1.1");
        assert!(advice.starts_with("build for debian:11, name a root file system of"), "{advice}");
        let mut arm = table("debian:12", Machine::Aarch64);
        assert_eq!(arm.find("libc.so.6", &[], AMD64), []);
        assert!(!arm.find("libc.so.6", &[], Abi { machine: 183, ..AMD64 }).is_empty());
        for (release, machine, expected) in [
            ("debian:12", Machine::Armv7l, true),
            ("debian:12", Machine::S390x, false),
            ("ubuntu:24.04", Machine::Aarch64, true),
            ("ubuntu:24.04", Machine::Armv7l, false),
            ("ubuntu:25.04", Machine::X86_64, false),
            ("fedora:43", Machine::X86_64, false),
        ] {
            assert_eq!(knows(&find(release).unwrap(), machine), expected, "{release}");
        }
    }

    #[test]
    fn versions_that_are_offered() {
        let offers = |release, soname| {
            let mut table = table(release, Machine::X86_64);
            let candidate = table.find(soname, &[], AMD64).remove(0);
            candidate.versions.iter().cloned().collect::<BTreeSet<_>>()
        };
        let twelve = offers("debian:12", "libc.so.6");
        assert!(twelve.contains("GLIBC_2.36") && !twelve.contains("GLIBC_2.38"), "{twelve:?}");
        assert!(twelve.contains("GLIBC_PRIVATE") && twelve.contains("GLIBC_ABI_DT_RELR"));
        let ubuntu = offers("ubuntu:22.04", "libc.so.6");
        assert!(ubuntu.contains("GLIBC_2.35") && !ubuntu.contains("GLIBC_2.36"), "{ubuntu:?}");
        assert!(offers("debian:12", "libssl.so.3").contains("OPENSSL_3.0.0"));
        // What has no versions has none here, too.
        assert!(offers("debian:12", "libbz2.so.1.0").is_empty());
    }

    #[test]
    fn every_section_is_read() {
        for (release, _) in TEXTS {
            for machine in MACHINES {
                let mut table = table(release, machine);
                assert!(table.dpkg().is_some() && table.owners.len() > 5_000, "{release}");
                let packages: BTreeSet<_> = table.owners.values().copied().collect();
                for package in table.symbols.keys().chain(table.shlibs.keys()) {
                    assert!(packages.contains(package), "{release} {package}");
                }
                for (soname, package) in table.owners.clone() {
                    if let Some(object) = table.symbols(package, soname) {
                        assert!(!object.templates.is_empty(), "{release} {soname}");
                    }
                }
            }
        }
    }

    #[test]
    fn groups_become_lines() {
        assert_eq!(
            long("libx.so.1 libx1 #MINVER#\n *@X_1 1.0\n 1:2.0: a b@X_2\n 0 1: c@X_1\n"),
            "libx.so.1 libx1 #MINVER#\n *@X_1 1.0\n a@Base 1:2.0\n b@X_2 1:2.0\n c@X_1 0 1\n"
        );
    }
}
