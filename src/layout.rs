//! Writes a tree below a directory that stands for `/`, for a program that packs what lies there.
//!
//! Owners are whoever runs it: that program makes them root's. What lies there is replaced, but for what the caller keeps.

use std::fs::{self, DirBuilder, File, FileTimes, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};

/// Writes `tree` below `dir`; files without a time of their own, or of a later one, are of `epoch`. Where something lies
/// at a path that `keeps` says yes to, it stays.
pub fn write(tree: &Tree, dir: &Path, epoch: u64, keeps: &impl Fn(&PkgPath) -> bool) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    for (path, entry) in tree.iter() {
        let at = dir.join(path.as_str());
        let fault = || format!("cannot write `{}`", at.display());
        let is_there = at.symlink_metadata().is_ok();
        match entry {
            Entry::Dir { mode } if !is_there => make_dir(&at, *mode).with_context(fault)?,
            Entry::Dir { .. } => {}
            Entry::File { .. } | Entry::Symlink { .. } if is_there && keeps(path) => {}
            Entry::Symlink { target } => {
                clear(&at, is_there).and_then(|()| symlink(target, &at)).with_context(fault)?;
            }
            Entry::File { content, mode, mtime, .. } => {
                let made = Duration::from_secs(mtime.unwrap_or(epoch).min(epoch));
                clear(&at, is_there)
                    .and_then(|()| make_file(&at, content, *mode, made))
                    .with_context(fault)?;
            }
        }
    }
    Ok(())
}

fn clear(at: &Path, is_there: bool) -> io::Result<()> {
    if is_there { fs::remove_file(at) } else { Ok(()) }
}

/// The mode is set once more, as the caller's umask took something away.
fn make_dir(at: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(at)?;
    fs::set_permissions(at, Permissions::from_mode(mode))
}

fn make_file(at: &Path, content: &Content, mode: u32, made: Duration) -> io::Result<()> {
    let mut file = File::create_new(at)?;
    io::copy(&mut content.open()?, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + made))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::sync::Arc;

    use crate::layout::write;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    fn path(text: &str) -> PkgPath {
        PkgPath::new(text).unwrap()
    }

    #[test]
    fn what_is_there_is_replaced_unless_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::new();
        let origin = Arc::from("acme 1.0");
        let file = |text: &str, mode| Entry::file(Content::bytes(text), mode, &origin);
        tree.insert(path("opt/acme/run"), file("new", 0o755).made_at(Some(1_000))).unwrap();
        tree.insert(path("opt/acme/late"), file("new", 0o644).made_at(Some(3_000))).unwrap();
        tree.insert(path("opt/acme/kept"), file("new", 0o644)).unwrap();
        tree.insert(path("var/lib/acme"), Entry::Dir { mode: 0o1777 }).unwrap();
        let link = || Entry::Symlink { target: "/opt/acme/run".to_owned() };
        tree.insert(path("usr/bin/acme"), link()).unwrap();
        let keeps = |path: &PkgPath| path.file_name() == "kept";
        let at = |path: &str| dir.path().join(path);
        for round in 0..2 {
            write(&tree, dir.path(), 2_000, &keeps).unwrap();
            let run = fs::metadata(at("opt/acme/run")).unwrap();
            assert_eq!((run.permissions().mode() & 0o7777, run.mtime()), (0o755, 1_000));
            assert_eq!(fs::read_to_string(at("opt/acme/run")).unwrap(), "new");
            assert_eq!(fs::metadata(at("opt/acme/late")).unwrap().mtime(), 2_000);
            let kept = fs::read_to_string(at("opt/acme/kept")).unwrap();
            assert_eq!(kept, if round == 0 { "new" } else { "old" });
            let state = fs::metadata(at("var/lib/acme")).unwrap();
            assert_eq!(state.permissions().mode() & 0o7777, 0o1777);
            assert_eq!(fs::read_link(at("usr/bin/acme")).unwrap().to_str(), Some("/opt/acme/run"));
            fs::write(at("opt/acme/run"), "old").unwrap();
            fs::write(at("opt/acme/kept"), "old").unwrap();
        }
    }
}
