//! A directory of this host as a tree: an unpacked root, or an environment where it is.
//!
//! Follows no link, stays on one file system, and opens no content but to see whether it can be read.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, FileType, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::audit::Aside;
use crate::audit::finding::Finding;
use crate::error::UserError;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};

/// More than any root file system has.
const ENTRY_LIMIT: usize = 4_000_000;

/// Largest file that is read.
const MAX_FILE: u64 = 8 << 30;
/// Bytes that no disk holds: a file may have any number of them, and reading them takes as long as if it did.
const MAX_HOLES: u64 = 4 << 30;

/// What a directory holds.
#[derive(Debug)]
pub struct Directory {
    /// Everything a package could hold.
    pub tree: Tree,
    /// What is wrong with the rest.
    pub aside: Aside,
    /// Whether it is an environment (PEP 405): the paths of the tree are those of the host then.
    pub is_environment: bool,
}

/// Reads `dir`. The paths of an environment are told where they are, because it works nowhere else; any other directory
/// is taken for the root.
pub fn read(dir: &Path) -> Result<Directory> {
    let fault = || format!("cannot read `{}`", dir.display());
    let dir = dir.canonicalize().with_context(fault)?;
    let metadata = dir.metadata().with_context(fault)?;
    let is_environment = dir.join("pyvenv.cfg").is_file();
    let base = if is_environment { dir.to_str().unwrap_or_default() } else { "" };
    let mut walk = Walk {
        base: base.trim_end_matches('/').to_owned(),
        device: metadata.dev(),
        origin: Arc::from(""),
        pending: vec![(dir, String::new())],
        tree: Tree::new(),
        aside: Aside::default(),
        holes: 0,
    };
    while let Some((path, below)) = walk.pending.pop() {
        match fs::read_dir(&path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
            Ok(entries) => {
                let names: BTreeSet<_> = entries.into_iter().map(|one| one.file_name()).collect();
                names.into_iter().try_for_each(|name| walk.add(&path, &below, name))?;
            }
            // Nothing at all can be said of the whole.
            Err(error) if below.is_empty() => return Err(error).with_context(fault),
            Err(error) => walk.unread(&below, &error),
        }
    }
    Ok(Directory { tree: walk.tree, aside: walk.aside, is_environment })
}

/// A directory on its way into a tree.
struct Walk {
    /// What stands before every path of the tree.
    base: String,
    /// The file system the directory is on.
    device: u64,
    origin: Arc<str>,
    /// Directories still to be read, and where they are below the first one.
    pending: Vec<(PathBuf, String)>,
    tree: Tree,
    aside: Aside,
    /// Bytes of files so far that no disk holds.
    holes: u64,
}

impl Walk {
    fn add(&mut self, dir: &Path, below: &str, name: OsString) -> Result<()> {
        if self.tree.len() >= ENTRY_LIMIT {
            let message = format!("it has more than {ENTRY_LIMIT} entries");
            return Err(UserError::input(message).into());
        }
        let host = dir.join(&name);
        let shown = format!("{below}/{}", name.to_string_lossy());
        let path = match PkgPath::new(&format!("{}{shown}", self.base)) {
            Ok(path) if name.to_str().is_some() => path,
            Ok(_) => {
                self.odd(&shown, "its name is not UTF-8");
                return Ok(());
            }
            Err(error) => {
                self.odd(&shown, &error.to_string());
                return Ok(());
            }
        };
        match host.symlink_metadata().and_then(|data| self.entry(&host, &shown, &path, &data)) {
            Ok(Some(entry)) => self.tree.insert(path, entry),
            Ok(None) => Ok(()),
            Err(error) => {
                self.unread(&shown, &error);
                Ok(())
            }
        }
    }

    /// What is at `host`; `None` when a finding says it.
    fn entry(
        &mut self,
        host: &Path,
        shown: &str,
        path: &PkgPath,
        metadata: &Metadata,
    ) -> std::io::Result<Option<Entry>> {
        let (kind, mode) = (metadata.file_type(), metadata.mode() & 0o7777);
        if kind.is_dir() {
            if metadata.dev() == self.device {
                self.pending.push((host.to_owned(), shown.to_owned()));
            } else {
                let what = format!("`{path}` is another file system, which is not looked at");
                self.aside.inconclusive.push(what);
            }
            return Ok(Some(Entry::Dir { mode }));
        }
        if kind.is_symlink() {
            let target = fs::read_link(host)?.into_os_string().into_string();
            if target.is_err() {
                self.odd(shown, "its target is not UTF-8");
            }
            return Ok(target.ok().map(|target| Entry::Symlink { target }));
        }
        if kind.is_file() {
            // Whether it can be read is told here, and not by whoever needs its content.
            File::open(host)?;
            if let Some(what) = self.excess(metadata) {
                self.aside.inconclusive.push(format!("`{path}` is not read: {what}"));
                return Ok(None);
            }
            let content =
                Content::Path { path: host.to_owned(), len: metadata.len(), sha256: None };
            return Ok(Some(Entry::file(content, mode, &self.origin)));
        }
        let message = format!("it is {}", special(kind));
        self.aside.findings.push(Finding::new("FS007", path.absolute(), message));
        Ok(None)
    }

    /// Why a file would take too long.
    fn excess(&mut self, metadata: &Metadata) -> Option<String> {
        if metadata.len() > MAX_FILE {
            return Some(format!("it is larger than {} GiB", MAX_FILE >> 30));
        }
        // stat(2): "Number of 512B blocks allocated".
        let holes = metadata.len().saturating_sub(metadata.blocks().saturating_mul(512));
        if self.holes + holes > MAX_HOLES {
            return Some(format!("sparse files have more than {} GiB of holes", MAX_HOLES >> 30));
        }
        self.holes += holes;
        None
    }

    fn place(&self, shown: &str) -> String {
        format!("{}{shown}", self.base).escape_debug().to_string()
    }

    fn odd(&mut self, shown: &str, what: &str) {
        self.aside.findings.push(Finding::new("FS005", self.place(shown), what.to_owned()));
    }

    fn unread(&mut self, shown: &str, error: &std::io::Error) {
        let place = self.place(shown);
        self.aside.inconclusive.push(format!("`{place}` cannot be read: {error}"));
    }
}

fn special(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use crate::audit::directory::read;

    #[test]
    fn what_a_directory_holds() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("b/c")).unwrap();
        fs::write(at("b/c/file"), "text").unwrap();
        fs::write(dir.path().join(OsStr::from_bytes(b"b/\xff")), "").unwrap();
        fs::write(at("a\nb"), "").unwrap();
        symlink("..", at("b/up")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let found = read(dir.path()).unwrap();
        let paths: Vec<_> = found.tree.iter().map(|(path, _)| path.absolute()).collect();
        assert_eq!(paths, ["/b", "/b/c", "/b/c/file", "/b/up"]);
        assert!(!found.is_environment);
        let told = found.aside.findings.iter();
        let mut told: Vec<_> =
            told.map(|one| format!("{} {}: {}", one.id, one.place, one.message)).collect();
        told.sort();
        assert_eq!(
            told,
            [
                "FS005 /a\\nb: path \"/a\\nb\" in a package holds a control character",
                "FS005 /b/\u{fffd}: its name is not UTF-8",
                "FS007 /socket: it is a socket",
            ]
        );
        assert_eq!(found.aside.inconclusive, [""; 0]);
    }

    #[test]
    fn files_that_no_disk_holds() {
        let dir = tempfile::tempdir().unwrap();
        for (name, gib) in [("a", 50), ("b", 3), ("c", 3), ("d", 0)] {
            fs::File::create(dir.path().join(name)).unwrap().set_len(gib << 30).unwrap();
        }
        let found = read(dir.path()).unwrap();
        let paths: Vec<_> = found.tree.iter().map(|(path, _)| path.absolute()).collect();
        assert_eq!(paths, ["/b", "/d"]);
        assert_eq!(
            found.aside.inconclusive,
            [
                "`/a` is not read: it is larger than 8 GiB",
                "`/c` is not read: sparse files have more than 4 GiB of holes",
            ]
        );
    }

    #[test]
    fn an_environment_is_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pyvenv.cfg"), "").unwrap();
        let found = read(dir.path()).unwrap();
        let whole = dir.path().canonicalize().unwrap().join("pyvenv.cfg");
        assert!(found.is_environment);
        assert!(found.tree.files().any(|(path, ..)| path.absolute() == whole.to_str().unwrap()));
        assert!(read(&dir.path().join("gone")).is_err());
    }
}
