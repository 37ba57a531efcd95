//! Paths of the machine a package was built on, in what is installed from it.
//!
//! Where a path is used it has to be right: an error. Elsewhere it only tells of that machine, and only names that no
//! other machine has are told.

use memchr::memmem::Finder;

use crate::audit::finding::{Finding, Severity};
use crate::document::{Table, from_json};
use crate::needs::paths::{hazard, script_program};
use crate::tree::{PkgPath, Tree};

/// Directories of pip, of Fedora's and conda-forge's builders, of hosted runners, and of cargo in a container.
const UNIQUE: [&str; 6] = [
    "/tmp/pip-",
    "/builddir/build/",
    "/home/conda/feedstock_root/",
    "/home/runner/work/",
    "/__w/",
    "/root/.cargo/registry/",
];

/// What leads to the machine of a build; one is made for all files.
#[derive(Debug)]
pub(super) struct Leaks(Vec<(&'static str, Finder<'static>)>);

impl Leaks {
    pub(super) fn new() -> Self {
        Self(UNIQUE.into_iter().map(|text| (text, Finder::new(text))).collect())
    }

    /// Findings of the file at `path` of `tree`, which holds `bytes`.
    pub(super) fn of(&self, tree: &Tree, path: &PkgPath, bytes: &[u8]) -> Vec<Finding> {
        let found = |message| Finding::new("LEAK001", path.absolute(), message);
        if let Some(message) = used(tree, path, bytes) {
            return vec![found(message)];
        }
        let first = self.0.iter().find(|(_, finder)| finder.find(bytes).is_some());
        first
            .map(|(text, _)| found(format!("it holds a path below `{text}`")).at(Severity::Info))
            .into_iter()
            .collect()
    }
}

/// A path of a build where it is used.
fn used(tree: &Tree, path: &PkgPath, bytes: &[u8]) -> Option<String> {
    if let Some(program) = script_program(bytes) {
        let is_there = PkgPath::new(program).is_ok_and(|path| tree.get(&path).is_some());
        let why = hazard(program).filter(|_| !is_there)?;
        return Some(format!("it is run by `{program}`, below {why}"));
    }
    let name = path.file_name();
    if name == "direct_url.json" {
        let url = from_json::<Table>(bytes, name).ok()?.get("url")?.as_str()?.to_owned();
        return url.starts_with("file:").then(|| format!("it was installed from `{url}`"));
    }
    let home = match name {
        "pyvenv.cfg" => path.parent()?,
        "activate" | "activate.csh" | "activate.fish" => path.parent()?.parent()?,
        _ => return None,
    };
    let (home, text) = (home.absolute(), String::from_utf8_lossy(bytes));
    // An environment in somebody's home works there.
    if hazard(&home).is_some() {
        return None;
    }
    let paths = text.lines().filter_map(|line| match name {
        "pyvenv.cfg" => configured(line),
        _ => activated(line),
    });
    let wrong = paths.filter(|path| path.starts_with('/') && **path != home);
    let mut wrong = wrong.filter(|path| name != "pyvenv.cfg" || hazard(path).is_some());
    wrong.next().map(|path| format!("it names `{path}`"))
}

/// The path in a line of `pyvenv.cfg`: where the interpreter is, and what the environment was made as.
fn configured(line: &str) -> Option<&str> {
    let (key, value) = line.split_once('=')?;
    match key.trim() {
        "home" | "executable" | "base-executable" | "base-prefix" => Some(value.trim()),
        "command" => value.split_whitespace().next_back(),
        _ => None,
    }
}

/// The path that a line of `activate` sets `VIRTUAL_ENV` to.
fn activated(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches("set -gx ").trim_start_matches("setenv ");
    let value = line.strip_prefix("VIRTUAL_ENV")?.strip_prefix(['=', ' '])?;
    Some(value.trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use crate::audit::leaks::Leaks;
    use crate::tree::{Entry, PkgPath, Tree};

    fn check(name: &str, text: &str, expected: Option<&str>) {
        let mut tree = Tree::new();
        let path = |text: &str| PkgPath::new(text).unwrap();
        tree.insert(path("home/me/v/bin/python"), Entry::Dir { mode: 0o755 }).unwrap();
        let found = Leaks::new().of(&tree, &path(name), text.as_bytes());
        let told: Vec<_> =
            found.iter().map(|one| format!("{} {}", one.severity.name(), one.message)).collect();
        assert_eq!(told.first().map(String::as_str), expected, "{name}: {text}");
    }

    #[test]
    fn paths_that_are_used() {
        check("opt/a/bin/x", "#!/opt/a/bin/python\n", None);
        check("opt/a/bin/x", "#!/usr/bin/env python\n", None);
        check(
            "opt/a/bin/x",
            "#!/build/a-1/bin/python -I\n",
            Some(
                "error it is run by `/build/a-1/bin/python`, below a directory of a machine that builds packages",
            ),
        );
        check("home/me/v/bin/x", "#!/home/me/v/bin/python\n", None);
        let url = |url: &str| format!("{{\"url\": \"{url}\", \"dir_info\": {{}}}}");
        check(
            "opt/a/a-1.dist-info/direct_url.json",
            &url("file:///src/a"),
            Some("error it was installed from `file:///src/a`"),
        );
        check("opt/a/a-1.dist-info/direct_url.json", &url("https://x.example/a.whl"), None);
        let config = |home: &str, dir: &str| {
            format!("home = {home}\ncommand = {home}/python -m venv {dir}\n")
        };
        check("opt/a/pyvenv.cfg", &config("/usr/bin", "/opt/a"), None);
        check(
            "opt/a/pyvenv.cfg",
            &config("/usr/bin", "/tmp/x/opt/a"),
            Some("error it names `/tmp/x/opt/a`"),
        );
        check(
            "opt/a/pyvenv.cfg",
            &config("/root/.pyenv/bin", "/opt/a"),
            Some("error it names `/root/.pyenv/bin`"),
        );
        check("home/me/v/pyvenv.cfg", &config("/root/.pyenv/bin", "/home/me/v"), None);
        check("opt/a/bin/activate", "VIRTUAL_ENV=\"/opt/a\"\n", None);
        check("opt/a/bin/activate", "    VIRTUAL_ENV='/srv/b'\n", Some("error it names `/srv/b`"));
        check(
            "opt/a/bin/activate.fish",
            "set -gx VIRTUAL_ENV '/srv/b'\n",
            Some("error it names `/srv/b`"),
        );
        check("opt/a/bin/activate", "VIRTUAL_ENV=$(cd .. && pwd)\n", None);
    }

    #[test]
    fn paths_that_tell() {
        check(
            "opt/a/x.pyc",
            "\0/tmp/pip-install-x/a.py",
            Some("info it holds a path below `/tmp/pip-`"),
        );
        check("opt/a/x.py", "open('/home/user/x')", None);
    }
}
