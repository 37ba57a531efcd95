//! dpkg's database in a root file system: who owns a file, and what owners say of their libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::backend::deb::libraries::root::Root;
use crate::backend::deb::libraries::shlibs;
use crate::backend::deb::libraries::symbols::{self, Object};
use crate::parallel;

const INFO: &str = "/var/lib/dpkg/info";
/// Exists wherever dpkg installs.
pub(super) const STATUS: &str = "/var/lib/dpkg/status";

/// The database, as far as it was asked for.
#[derive(Debug)]
pub(super) struct Database<'r> {
    root: &'r Root,
    /// Debian's name of the architecture the package is for.
    architecture: &'static str,
    /// Names of the packages that own each file.
    owners: BTreeMap<String, Vec<String>>,
    /// Parsed symbols files, by path.
    symbols: BTreeMap<String, BTreeMap<String, Rc<Object>>>,
    texts: BTreeMap<String, Option<String>>,
}

impl<'r> Database<'r> {
    /// Looks up the owners of `paths` with `jobs` threads; `None` when the root has no database.
    pub(super) fn open(
        root: &'r Root,
        architecture: &'static str,
        paths: &BTreeSet<String>,
        jobs: usize,
    ) -> Option<Self> {
        root.real(STATUS)?;
        let diversions = root.text("/var/lib/dpkg/diversions").unwrap_or_default();
        let diversions = diversions_of(&diversions, paths);
        let wanted: BTreeSet<_> = paths.iter().map(String::as_str).collect();
        let wanted: BTreeSet<_> =
            wanted.into_iter().chain(diversions.iter().map(|(from, ..)| *from)).collect();
        let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let lines = Lines::new(wanted);
        let lists = root.list(INFO, ".list");
        let found = parallel::map(&lists, jobs, |(_, path)| {
            let mut list = root.listed(path).unwrap_or_default();
            list.push(b'\n');
            Ok(lines.of(&list).collect::<Vec<_>>())
        });
        for ((package, _), lines) in lists.iter().zip(found.expect("nothing fails")) {
            for line in lines {
                owners.entry(line.to_owned()).or_default().push(package.clone());
            }
        }
        for (from, to, by) in diversions {
            let all = owners.remove(from).unwrap_or_default();
            let is_own = |owner: &String| owner.split(':').next() == Some(by);
            let (own, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_own);
            let at_from = if own.is_empty() { others.clone() } else { own };
            owners.insert(from.to_owned(), at_from);
            owners.insert(to.to_owned(), others);
        }
        let (symbols, texts) = (BTreeMap::new(), BTreeMap::new());
        Some(Self { root, architecture, owners, symbols, texts })
    }

    /// The packages that own the first of `paths` anybody owns.
    pub(super) fn owners(&self, paths: &[String]) -> &[String] {
        let mut known = paths.iter().filter_map(|path| self.owners.get(path));
        let known = known.find(|owners| !owners.is_empty());
        known.map_or(&[], Vec::as_slice)
    }

    /// What the symbols files of `package` say of `soname`. An administrator's come first.
    pub(super) fn symbols(&mut self, package: &str, soname: &str) -> Option<Rc<Object>> {
        let name = package.split(':').next().unwrap_or(package);
        let mut paths = Vec::new();
        for name in [package, name] {
            paths.push(format!("/etc/dpkg/symbols/{name}.symbols.{}", self.architecture));
            paths.push(format!("/etc/dpkg/symbols/{name}.symbols"));
        }
        paths.push(format!("{INFO}/{package}.symbols"));
        paths.into_iter().find_map(|path| self.objects(&path).get(soname).map(Rc::clone))
    }

    fn objects(&mut self, path: &str) -> &BTreeMap<String, Rc<Object>> {
        let root = self.root;
        self.symbols.entry(path.to_owned()).or_insert_with(|| {
            let mut objects = BTreeMap::new();
            let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
            let mut included = BTreeSet::new();
            let mut include = |name: &str| {
                let path = format!("{dir}/{name}");
                included.insert(path.clone()).then(|| root.text(&path))?
            };
            if let Some(text) = root.text(path) {
                symbols::read(&text, &mut include, &mut objects);
            }
            objects.into_iter().map(|(soname, object)| (soname, Rc::new(object))).collect()
        })
    }

    /// The relations shlibs files have for `soname` of `package`: overrides, its own, defaults.
    pub(super) fn shlibs(&mut self, package: Option<&str>, soname: &str) -> Option<String> {
        let own = package.map(|package| format!("{INFO}/{package}.shlibs"));
        let paths = [Some("/etc/dpkg/shlibs.override".to_owned()), own];
        let paths = paths.into_iter().chain([Some("/etc/dpkg/shlibs.default".to_owned())]);
        let root = self.root;
        paths.flatten().find_map(|path| {
            let text = self.texts.entry(path.clone()).or_insert_with(|| root.text(&path));
            shlibs::find(text.as_deref()?, soname)
        })
    }
}

/// Lines to be found in lists, which have some hundred thousand of them together.
struct Lines<'t> {
    wanted: Vec<&'t str>,
    /// Finds them with the end of their line.
    search: AhoCorasick,
}

impl<'t> Lines<'t> {
    fn new(wanted: BTreeSet<&'t str>) -> Self {
        let ends = wanted.iter().map(|line| format!("{line}\n"));
        // Of one that ends as another does, the longer one begins earlier.
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(ends);
        let search = search.expect("paths of libraries are few enough");
        Self { wanted: wanted.into_iter().collect(), search }
    }

    /// Those of `list`, each of whose lines has an end.
    fn of<'a>(&'a self, list: &'a [u8]) -> impl Iterator<Item = &'t str> + 'a {
        let is_whole = |start: usize| start == 0 || list[start - 1] == b'\n';
        let whole = self.search.find_iter(list).filter(move |found| is_whole(found.start()));
        whole.map(|found| self.wanted[found.pattern().as_usize()])
    }
}

/// The diversions that touch `paths`. The list has three lines for each: where the file would be, where it is, and the
/// package that is not diverted. A file that was diverted still belongs to those who were.
fn diversions_of<'t>(text: &'t str, paths: &BTreeSet<String>) -> Vec<(&'t str, &'t str, &'t str)> {
    let lines: Vec<_> = text.lines().collect();
    let all = lines.chunks_exact(3).map(|lines| (lines[0], lines[1], lines[2]));
    all.filter(|(from, to, _)| paths.contains(*from) || paths.contains(*to)).collect()
}
