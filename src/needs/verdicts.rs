//! What the user decides about libraries: which rules hold, for whom, and which are idle.

use std::collections::{BTreeMap, BTreeSet};

use crate::needs::{Rules, matches};
use crate::package::users;
use crate::tree::PkgPath;

/// Tables of rules, and what has come of them.
pub(super) struct Verdicts<'r> {
    tables: &'r [Rules<'r>],
    /// Rules that held for a library, with their keys.
    used: BTreeSet<(String, &'r str)>,
    /// Libraries that are ignored, with the files that need them.
    ignored: BTreeMap<String, Vec<PkgPath>>,
}

impl<'r> Verdicts<'r> {
    pub(super) fn new(tables: &'r [Rules<'r>]) -> Self {
        Self { tables, used: BTreeSet::new(), ignored: BTreeMap::new() }
    }

    /// Whether `soname`, which the file at `path` needs, is to be forgotten.
    pub(super) fn ignores(&mut self, soname: &str, path: &PkgPath) -> bool {
        let is_ignored = self.apply("ignore", soname, |table| table.ignore.iter()).is_some();
        if is_ignored {
            self.ignored.entry(soname.to_owned()).or_default().push(path.clone());
        }
        is_ignored
    }

    /// Whether `soname` is optional, the package that stands for it, and the keys that say so.
    pub(super) fn of(&mut self, soname: &str) -> (bool, Option<String>, Vec<String>) {
        let weak = self.apply("weak", soname, |table| table.weak.iter());
        let renamed = self.apply("rename", soname, |table| table.rename.keys());
        let package = renamed.as_ref().map(|(table, rule)| table.rename[*rule].clone());
        let weak_key = weak.as_ref().map(|(table, _)| format!("{}.weak", table.table));
        let rename_key = renamed.map(|(table, _)| format!("{}.rename", table.table));
        (weak.is_some(), package, weak_key.into_iter().chain(rename_key).collect())
    }

    /// The first rule under `key` for `soname`. What other tables say of it is not idle either.
    fn apply<I: Iterator<Item = &'r String>>(
        &mut self,
        key: &str,
        soname: &str,
        rules: impl Fn(&'r Rules<'r>) -> I,
    ) -> Option<(&'r Rules<'r>, &'r String)> {
        let mut first = None;
        for table in self.tables {
            let Some(rule) = rules(table).find(|rule| matches(rule, soname)) else { continue };
            self.used.insert((format!("{}.{key}", table.table), rule.as_str()));
            first = first.or(Some((table, rule)));
        }
        first
    }

    /// What the user should know: libraries that are ignored, and rules that hold for none.
    pub(super) fn warnings(&self) -> Vec<String> {
        let ignored = self.ignored.iter().filter_map(|(soname, paths)| {
            Some(format!("{} `{soname}`, which is ignored", users(paths)?))
        });
        let mut warnings: Vec<_> = ignored.collect();
        for table in self.tables {
            let rename: Vec<_> = table.rename.keys().cloned().collect();
            let lists =
                [("ignore", table.ignore), ("weak", table.weak), ("rename", rename.as_slice())];
            for (key, list) in lists.map(|(key, list)| (format!("{}.{key}", table.table), list)) {
                // What begins with `/` is a file of the package.
                let of_libraries = list.iter().filter(|rule| !rule.starts_with('/'));
                let idle =
                    of_libraries.filter(|rule| !self.used.contains(&(key.clone(), rule.as_str())));
                warnings.extend(idle.map(|rule| {
                    format!("`{key}` lists `{rule}`, which no file needs from the system")
                }));
            }
        }
        warnings
    }
}
