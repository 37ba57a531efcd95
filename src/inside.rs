//! Shows a directory at another path to one command, in a mount namespace of its own; the host sees nothing of it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};

/// Becomes `command`, which sees `source` at `prefix`; returns only when that fails.
///
/// Must run in a process without other threads: the kernel refuses a user namespace otherwise.
pub fn become_command(source: &Path, prefix: &Path, command: &[OsString]) -> Result<()> {
    enter_namespace().context("cannot make a mount namespace")?;
    show(source, prefix)
        .with_context(|| format!("cannot show a directory at `{}`", prefix.display()))?;
    let (program, arguments) = command.split_first().context("there is no command")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run `{}`", program.to_string_lossy()))
}

/// As root a mount namespace is enough; anybody else needs a user namespace for it.
fn enter_namespace() -> Result<()> {
    let (user, group) = (Uid::current(), Gid::current());
    match unshare(CloneFlags::CLONE_NEWNS) {
        Err(Errno::EPERM) => {
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
            fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
        }
        other => other?,
    }
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    Ok(())
}

fn show(source: &Path, prefix: &Path) -> Result<()> {
    let source = File::open(source)?;
    if !prefix.is_dir() {
        let existing = prefix.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
        if existing == Path::new("/") {
            bail!("nothing above it exists");
        }
        cover(existing)?;
        fs::create_dir_all(prefix)?;
    }
    bind(&open_path(&source), prefix)
}

/// Puts an empty file system over `dir`, and in it everything that is in `dir` now.
fn cover(dir: &Path) -> Result<()> {
    let below = File::open(dir)?;
    mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))?;
    for entry in fs::read_dir(open_path(&below))? {
        let entry = entry?;
        let at = dir.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &at)?;
        } else if kind.is_dir() {
            fs::create_dir(&at)?;
            bind(&entry.path(), &at)?;
        } else {
            File::create(&at)?;
            bind(&entry.path(), &at)?;
        }
    }
    Ok(())
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
    Ok(())
}

/// A path that leads to an open directory even when something else was mounted over it.
fn open_path(dir: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()))
}
