//! A root file system that packages are installed in: links in it stay in it, wherever it lies on the host.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::elf::{self, Abi};
use crate::needs::matches;

/// A root file system. Its paths are absolute and seen from inside.
#[derive(Debug)]
pub(super) struct Root {
    dir: PathBuf,
}

/// A library in a root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The path it was found at.
    pub(super) path: String,
    /// Where links on that path lead to.
    pub(super) real: String,
}

/// Links a path may go through before it is taken for a loop.
const MAX_LINKS: usize = 40;
/// What is searched beside the directories of `ld.so.conf`, before and after them.
const DEFAULTS: [&[&str]; 2] =
    [&["/lib", "/usr/lib"], &["/lib32", "/usr/lib32", "/lib64", "/usr/lib64"]];

impl Root {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where it is on the host.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a path of the root is on the host; no link on it may be followed any more.
    pub(super) fn on_host(&self, path: &str) -> PathBuf {
        self.dir.join(path.trim_start_matches('/'))
    }

    /// `path` with every link followed; `None` when nothing is there.
    pub(super) fn real(&self, path: &str) -> Option<String> {
        let mut done: Vec<String> = Vec::new();
        let mut left: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(part) = left.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(part),
            }
            let here = self.on_host(&done.join("/"));
            if !fs::symlink_metadata(&here).ok()?.file_type().is_symlink() {
                continue;
            }
            links += 1;
            let target = fs::read_link(&here).ok()?.into_os_string().into_string().ok()?;
            if links > MAX_LINKS {
                return None;
            }
            done.pop();
            if target.starts_with('/') {
                done.clear();
            }
            left.extend(target.split('/').rev().map(str::to_owned));
        }
        Some(format!("/{}", done.join("/")))
    }

    /// The bytes of the file at `path`, through links.
    pub(super) fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.file(&self.real(path)?)?).ok()
    }

    /// Where a path without links is on the host, when it is a file: to open a pipe would wait for its other end.
    fn file(&self, real: &str) -> Option<PathBuf> {
        let file = self.on_host(real);
        fs::symlink_metadata(&file).ok()?.is_file().then_some(file)
    }

    /// The text of the file at `path`, through links.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        Some(String::from_utf8_lossy(&self.read(path)?).into_owned())
    }

    /// Names in the directory at `path`, sorted.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        self.real(path).map_or_else(Vec::new, |dir| self.names_in(&dir))
    }

    /// Names in the directory at a path without links, sorted.
    fn names_in(&self, real: &str) -> Vec<String> {
        let entries = fs::read_dir(self.on_host(real)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// All files in the directory at `path` whose names end with `suffix`: what comes before it, and the path. Sorted.
    pub(super) fn list(&self, path: &str, suffix: &str) -> Vec<(String, String)> {
        // There may be thousands: links on the way to the directory are followed once.
        let Some(dir) = self.real(path) else { return Vec::new() };
        let names = self.names_in(&dir).into_iter();
        let listed =
            |name: String| Some((name.strip_suffix(suffix)?.to_owned(), format!("{dir}/{name}")));
        names.filter_map(listed).collect()
    }

    /// The bytes of a file that [`Self::list`] lists.
    pub(super) fn listed(&self, path: &str) -> Option<Vec<u8>> {
        match self.file(path) {
            Some(file) => fs::read(file).ok(),
            None => self.read(path),
        }
    }

    /// The directories libraries are looked for in, in dpkg's order.
    pub(super) fn library_dirs(&self) -> Vec<String> {
        let mut dirs: Vec<String> = DEFAULTS[0].iter().map(|dir| (*dir).to_owned()).collect();
        self.read_conf("/etc/ld.so.conf", &mut Vec::new(), &mut dirs);
        dirs.extend(DEFAULTS[1].iter().map(|dir| (*dir).to_owned()));
        dirs
    }

    /// ldconfig(8): one directory a line, and `include` with patterns.
    fn read_conf(&self, path: &str, seen: &mut Vec<String>, dirs: &mut Vec<String>) {
        if seen.iter().any(|other| other == path) {
            return;
        }
        seen.push(path.to_owned());
        for line in self.text(path).unwrap_or_default().lines() {
            let line = line.trim().trim_end_matches('/');
            if let Some(pattern) =
                line.strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t']))
            {
                let (dir, pattern) =
                    pattern.trim().rsplit_once('/').unwrap_or(("", pattern.trim()));
                let dir = if dir.starts_with('/') { dir.to_owned() } else { format!("/etc/{dir}") };
                let names = self.names(&dir);
                for name in names.iter().filter(|name| matches(pattern, name)) {
                    self.read_conf(&format!("{}/{name}", dir.trim_end_matches('/')), seen, dirs);
                }
            } else if line.starts_with('/') && !dirs.iter().any(|dir| dir == line) {
                dirs.push(line.to_owned());
            }
        }
    }

    /// Every library called `soname` in `dirs` with the right ABI, in order.
    pub(super) fn find(&self, soname: &str, dirs: &[&str], abi: Abi) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        let paths: Vec<_> = match soname.starts_with('/') {
            true => vec![soname.to_owned()],
            false => dirs.iter().map(|dir| format!("{dir}/{soname}")).collect(),
        };
        let mut abis: BTreeMap<String, Option<Abi>> = BTreeMap::new();
        for path in paths {
            let Some(real) = self.real(&path) else { continue };
            let known = abis.entry(real.clone()).or_insert_with(|| self.abi(&real));
            if *known == Some(abi) && found.iter().all(|other| other.path != path) {
                found.push(Found { path, real });
            }
        }
        found
    }

    fn abi(&self, real: &str) -> Option<Abi> {
        let mut head = [0; 64];
        File::open(self.file(real)?).ok()?.read_exact(&mut head).ok()?;
        elf::abi(&head)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use crate::backend::deb::libraries::root::Root;

    #[test]
    fn links_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["usr/lib/x", "etc/ld.so.conf.d"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        for (name, text) in [
            ("usr/lib/x/real", "here"),
            ("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\ninclude ld.so.conf\n/opt/a/ \n"),
            ("etc/ld.so.conf.d/b.conf", "# no\n/usr/lib/x\n/usr/lib\n"),
            ("etc/ld.so.conf.d/a.conf.old", "/never\n"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        for (name, target) in [
            ("lib", "usr/lib"),
            ("usr/lib/absolute", "/lib/x/real"),
            ("usr/lib/up", "../../../../lib/x/real"),
            ("usr/lib/loop", "loop"),
        ] {
            symlink(target, dir.path().join(name)).unwrap();
        }
        let root = Root::new(dir.path());
        for (path, real) in [
            ("/lib/absolute", Some("/usr/lib/x/real")),
            ("/usr/lib/up", Some("/usr/lib/x/real")),
            ("/lib/loop", None),
            ("/lib/none", None),
        ] {
            assert_eq!(root.real(path).as_deref(), real, "{path}");
        }
        assert_eq!(root.text("/lib/absolute").as_deref(), Some("here"));
        let dirs = root.library_dirs();
        assert_eq!(dirs[..4], ["/lib", "/usr/lib", "/usr/lib/x", "/opt/a"]);
    }
}
