//! What a package says about itself, in words both formats share, and a package that was read back.
//!
//! Values only; backends turn them into fields and headers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::error::UserError;
use crate::lifecycle::{Lifecycle, Part};
use crate::pep::Version;
use crate::tree::{PkgPath, Tree};

/// A package name both formats accept (Debian Policy 5.6.7): `[a-z0-9][a-z0-9+.-]+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageName(String);

impl PackageName {
    /// Checks `name`.
    pub fn new(name: &str) -> Result<Self> {
        let first = |at: char| at.is_ascii_lowercase() || at.is_ascii_digit();
        let rest = |at: char| first(at) || matches!(at, '+' | '.' | '-');
        if name.len() < 2 || !name.starts_with(first) || !name.chars().all(rest) {
            let message = format!("`{}` is not a valid package name", name.escape_debug());
            return Err(UserError::usage(message)
                .hint(
                    "use two or more of a-z, 0-9, `+`, `.`, `-`, and begin with a letter or digit",
                )
                .into());
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The processor a package's code is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of `uname -m`")]
pub enum Machine {
    X86_64,
    Aarch64,
    Armv7l,
    I686,
    Ppc64le,
    S390x,
    Riscv64,
    Loongarch64,
}

impl Machine {
    /// Every machine packages are made for.
    pub const ALL: [Self; 8] = [
        Self::X86_64,
        Self::Aarch64,
        Self::Armv7l,
        Self::I686,
        Self::Ppc64le,
        Self::S390x,
        Self::Riscv64,
        Self::Loongarch64,
    ];

    /// What `uname -m` calls it, as tags of wheels and environment markers do.
    pub fn uname(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Armv7l => "armv7l",
            Self::I686 => "i686",
            Self::Ppc64le => "ppc64le",
            Self::S390x => "s390x",
            Self::Riscv64 => "riscv64",
            Self::Loongarch64 => "loongarch64",
        }
    }

    /// The machine `uname -m` calls `name`; rpm's `armv7hl` is one of them.
    pub fn from_uname(name: &str) -> Option<Self> {
        Some(match name {
            "x86_64" => Self::X86_64,
            "aarch64" => Self::Aarch64,
            "armv7l" | "armv8l" | "armv7hl" => Self::Armv7l,
            "i386" | "i586" | "i686" => Self::I686,
            "ppc64le" => Self::Ppc64le,
            "s390x" => Self::S390x,
            "riscv64" => Self::Riscv64,
            "loongarch64" => Self::Loongarch64,
            _ => return None,
        })
    }
}

/// What one package asks of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelationKind {
    /// It must be there.
    Needs,
    /// It is there unless an administrator says otherwise.
    Recommends,
    /// It would be useful.
    Suggests,
    /// It must not be there.
    Conflicts,
    /// Its files are taken over.
    Replaces,
    /// This package answers for it.
    Provides,
}

impl RelationKind {
    /// What a package does to the other one, as in `acme needs libc6`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Needs => "needs",
            Self::Recommends => "recommends",
            Self::Suggests => "suggests",
            Self::Conflicts => "conflicts with",
            Self::Replaces => "replaces",
            Self::Provides => "provides",
        }
    }
}

/// How exact the versions of relations to libraries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// As the distribution's own tool has them.
    Exact,
    /// The least that will do for code linked elsewhere.
    Portable,
}

/// One relation, in the grammar of the format it is for, with the reasons it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// What is asked.
    pub kind: RelationKind,
    /// Such as `python3.11` or `libc6 (>= 2.34)`.
    pub text: String,
    /// Reasons that no file of the package gives, sentences for people.
    pub because: Vec<String>,
    /// Uses of libraries that ask for it, those that ask for most first; one for each file, library and version.
    pub causes: Vec<Cause>,
}

/// A use of a library by a file of the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The file.
    pub file: PkgPath,
    /// Who brought it, such as `numpy 2.4.6`.
    pub origin: Arc<str>,
    /// The library.
    pub soname: String,
    /// The version of the library's symbols that is used, such as `GLIBC_2.34`.
    pub version: Option<String>,
    /// The symbol of that version that asks for most.
    pub symbol: Option<String>,
    /// The relation this use makes by itself, in the grammar of the format.
    pub asks: String,
    /// Whether symbol and version decide what is asked; else the library as a whole does.
    pub is_decided_by_symbol: bool,
}

impl Cause {
    /// The symbol with its version, or what there is of them.
    pub fn used(&self) -> Option<String> {
        match (&self.symbol, &self.version) {
            (Some(symbol), Some(version)) => Some(format!("{symbol}@{version}")),
            (one, None) | (None, one) => one.clone(),
        }
    }
}

impl Relation {
    /// Takes over the reasons of `weaker`, which says nothing that this one does not say; each sentence stays once.
    pub fn absorb(&mut self, weaker: Self) {
        for reason in weaker.because {
            if !self.because.contains(&reason) {
                self.because.push(reason);
            }
        }
        self.causes.extend(weaker.causes);
    }

    /// Why it is declared: sentences for people, at least one.
    pub fn reasons(&self) -> Vec<String> {
        let (mut files, mut sonames) = (BTreeSet::new(), BTreeSet::new());
        for cause in &self.causes {
            files.insert(&cause.file);
            sonames.insert(format!("`{}`", cause.soname));
        }
        let sonames = sonames.into_iter().collect::<Vec<_>>().join(", ");
        let users = users(files).map(|users| format!("{users} {sonames}"));
        let first = self.causes.first().filter(|cause| cause.is_decided_by_symbol);
        let decisive =
            first.and_then(|cause| Some(format!("`{}` uses `{}`", cause.file, cause.used()?)));
        users.into_iter().chain(decisive).chain(self.because.iter().cloned()).collect()
    }
}

/// The distribution `origin` names, such as `numpy 2.4.6`: what no distribution brought has a single word there.
pub fn distribution(origin: &str) -> Option<&str> {
    Some(origin).filter(|origin| origin.contains(' '))
}

/// A file, and the distribution that brought it, for messages.
pub fn who(path: &PkgPath, origin: &str) -> String {
    match distribution(origin) {
        Some(distribution) => format!("`{path}` of `{distribution}`"),
        None => format!("`{path}`"),
    }
}

/// The beginning of a sentence about what `files` need, such as `/a` and 2 more files need; `None` without files.
pub fn users<'a>(files: impl IntoIterator<Item = &'a PkgPath>) -> Option<String> {
    let mut files = files.into_iter();
    let first = files.next()?;
    Some(match files.count() {
        0 => format!("`{first}` needs"),
        1 => format!("`{first}` and 1 more file need"),
        others => format!("`{first}` and {others} more files need"),
    })
}

/// The interpreter a package runs on: CPython `3.minor`, found on the host at `/usr/bin/python3.minor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterpreterNeed {
    /// `X.Y`.
    pub minor: String,
    /// Parts of the standard library that distributions split off and the application imports, such as
    /// `distutils`, each with the file that imports it.
    pub split_modules: BTreeMap<String, String>,
}

/// A Python distribution inside the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundled {
    /// Name as its metadata writes it.
    pub name: String,
    /// Version as its metadata writes it.
    pub version: String,
    /// Licence expression or text of its metadata; empty when it names none.
    pub licence: String,
    /// Authors as its metadata names them; empty when it names none.
    pub author: String,
    /// Homepage; empty when it names none.
    pub homepage: String,
    /// Licence files inside the package.
    pub licence_files: Vec<PkgPath>,
}

/// Everything a backend needs to know beyond the tree. Complete when made; no stage changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageMeta {
    /// Package name.
    pub name: PackageName,
    /// Upstream version.
    pub version: Version,
    /// Release of the package within that version, such as `1`.
    pub release: String,
    /// Machine of the code inside; `None` when any will do.
    pub machine: Option<Machine>,
    /// One line, without control characters.
    pub summary: String,
    /// Paragraphs, each without line breaks; may be empty.
    pub description: Vec<String>,
    /// SPDX expression or free text, one line.
    pub licence: String,
    /// URL.
    pub homepage: Option<String>,
    /// `Name <mail>`.
    pub maintainer: String,
    /// Directory everything lives under.
    pub prefix: PkgPath,
    /// Every time stamp in the package: seconds since 1970 (SOURCE_DATE_EPOCH).
    pub epoch: u64,
    /// Declared relations, sorted.
    pub relations: Vec<Relation>,
    /// What is inside, the application first, the rest sorted by name.
    pub bundled: Vec<Bundled>,
    /// What happens on a host beside laying out files.
    pub lifecycle: Lifecycle,
}

impl PackageMeta {
    /// Directory of the code this package has or leads to.
    pub fn code(&self) -> &PkgPath {
        self.lifecycle.alternative.as_ref().map_or(&self.prefix, |alternative| &alternative.dir)
    }

    /// The uppermost directory that belongs to the application alone.
    pub fn home(&self) -> PkgPath {
        let link = self.lifecycle.alternative.as_ref().map(|alternative| &alternative.link);
        link.and_then(PkgPath::parent).unwrap_or_else(|| self.prefix.clone())
    }

    /// Whether it has the environment, and not only a link to it.
    pub fn has_code(&self) -> bool {
        let part = self.lifecycle.alternative.as_ref().map(|alternative| alternative.part);
        match part {
            Some(Part::Selects) => false,
            Some(Part::Offers { .. }) | None => true,
        }
    }

    /// What a changelog says of this version.
    pub fn change(&self) -> String {
        match self.bundled.len() {
            0 => format!("Version {}, packed by mkpkg.", self.version),
            count => format!(
                "Version {} and its {count} Python distributions, packed by mkpkg.",
                self.version
            ),
        }
    }

    /// What stands for a description where the project has none.
    pub fn fallback_description(&self) -> String {
        format!(
            "Python application with its own set of {} Python distributions, kept apart from those of the system in {}.",
            self.bundled.len(),
            self.prefix
        )
    }
}

/// A package read from a file: what it says, in the order it says it, and what it holds.
#[derive(Debug)]
pub struct Package {
    /// Fields or header tags in the format's own names and order.
    pub fields: Vec<(String, String)>,
    /// Maintainer scripts and other control members, by name.
    pub scripts: BTreeMap<String, String>,
    /// How the payload is compressed.
    pub compression: String,
    /// What it installs.
    pub tree: Tree,
    /// Whose entries are not root's alone.
    pub owners: BTreeMap<PkgPath, Ownership>,
}

/// Whose an entry of a package is, and what a process gets that runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// Name of the user, or its number where there is no name.
    pub user: String,
    /// The same of the group.
    pub group: String,
    /// Capabilities (capabilities(7)), as the format writes them; empty for none.
    pub capabilities: String,
}

impl Ownership {
    /// `None` for what both formats have for nearly everything: root's, without capabilities.
    pub fn new(user: String, group: String, capabilities: String) -> Option<Self> {
        let is_usual = user == "root" && group == "root" && capabilities.is_empty();
        (!is_usual).then_some(Self { user, group, capabilities })
    }
}

/// User and group, then the capabilities where there are some.
impl fmt::Display for Ownership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, group, capabilities } = self;
        write!(f, "{user}:{group}")?;
        if capabilities.is_empty() { Ok(()) } else { write!(f, " {capabilities}") }
    }
}

#[cfg(test)]
mod tests {
    use crate::package::{Cause, PackageName, Relation, RelationKind, who};
    use crate::tree::PkgPath;

    #[test]
    fn reasons() {
        let cause = |file: &str, soname: &str, symbol: Option<&str>| Cause {
            file: PkgPath::new(file).unwrap(),
            origin: "demo 1".into(),
            soname: soname.to_owned(),
            version: Some("V_2".to_owned()),
            symbol: symbol.map(str::to_owned),
            asks: "lib1 (>= 2)".to_owned(),
            is_decided_by_symbol: symbol.is_some(),
        };
        let check = |causes: Vec<Cause>, expected: &[&str]| {
            let because = vec!["it is asked for".to_owned()];
            let text = "lib1 (>= 2)".to_owned();
            let relation = Relation { kind: RelationKind::Needs, text, because, causes };
            assert_eq!(relation.reasons(), expected);
        };
        check(Vec::new(), &["it is asked for"]);
        check(vec![cause("b", "l.so", None)], &["`/b` needs `l.so`", "it is asked for"]);
        check(
            vec![cause("b", "l.so", Some("f")), cause("a", "k.so", None), cause("b", "k.so", None)],
            &["`/a` and 1 more file need `k.so`, `l.so`", "`/b` uses `f@V_2`", "it is asked for"],
        );
    }

    #[test]
    fn only_distributions_are_named() {
        let path = PkgPath::new("opt/x.so").unwrap();
        assert_eq!(who(&path, "numpy 2.4.6"), "`/opt/x.so` of `numpy 2.4.6`");
        assert_eq!(who(&path, "mkpkg"), "`/opt/x.so`");
    }

    #[test]
    fn names() {
        for good in ["acme-web", "a1", "g++-12", "0ad"] {
            assert_eq!(PackageName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a", "Acme", "-a", "a b", "a_b", "a\n", "ä1"] {
            assert!(PackageName::new(bad).is_err(), "{bad:?}");
        }
    }
}
