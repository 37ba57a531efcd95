//! Writes a finished file whole or not at all.
//!
//! The file has no name until it is complete and on disk, so a build that fails or is killed leaves nothing.

use std::fs::{self, File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use anyhow::{Context, Result};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::linkat;

use crate::digest::Hasher;
use crate::error::UserError;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// Makes `dir` if needed and sees that files can be made there, before the work starts.
pub fn prepare(dir: &Path) -> Result<()> {
    let attempt = fs::create_dir_all(dir).and_then(|()| tempfile::tempfile_in(dir).map(drop));
    attempt.map_err(|error| {
        UserError::input(format!("cannot write into the directory `{}`: {error}", dir.display()))
            .hint("name another with `--output`")
            .into()
    })
}

/// Writes `dir/name` with what `fill` puts into an empty file; its errors say themselves what failed.
pub fn write(
    dir: &Path,
    name: &str,
    fill: impl FnOnce(&mut Draft<'_>) -> Result<()>,
) -> Result<Artifact> {
    let path = dir.join(name);
    if path.is_dir() {
        let message =
            format!("`{}` is a directory and cannot be replaced by a package", path.display());
        return Err(UserError::usage(message)
            .hint("remove it, or name another place with `--output`")
            .into());
    }
    let fault = || format!("cannot write `{}`", path.display());
    let mut file = tempfile::tempfile_in(dir).with_context(fault)?;
    let (sha256, size) = thread::scope(|scope| {
        let (written, pieces) = mpsc::sync_channel(AHEAD);
        let (done, spare) = mpsc::channel();
        let hashed = scope.spawn(|| hash_behind(pieces, done));
        let mut draft = Draft { file: &file, written: Some(written), spare };
        fill(&mut draft)?;
        let is_hashed = draft.written.take().is_some();
        file.set_permissions(Permissions::from_mode(0o644)).with_context(fault)?;
        file.sync_all().with_context(fault)?;
        let behind = hashed.join().expect("hashing does not panic");
        if is_hashed { Ok(behind) } else { hash(&file).with_context(fault) }
    })?;
    publish(&mut file, dir, &path).with_context(fault)?;
    let sha256 = sha256.try_into().expect("SHA-256 has 32 bytes");
    Ok(Artifact { path, size, sha256 })
}

/// How many pieces that were written may wait to be hashed.
const AHEAD: usize = 8;

/// A file that is being written, and hashed meanwhile.
pub struct Draft<'f> {
    file: &'f File,
    /// Is given a copy of each piece; `None` once the file was amended.
    written: Option<SyncSender<Vec<u8>>>,
    /// Memory of pieces that were hashed.
    spare: Receiver<Vec<u8>>,
}

impl Draft<'_> {
    /// The file, for what changes bytes that were written; it is hashed once it is complete, then.
    pub fn amend(&mut self) -> &File {
        self.written = None;
        self.file
    }
}

impl Write for Draft<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        if let Some(written) = &self.written {
            let mut piece = self.spare.try_recv().unwrap_or_default();
            piece.clear();
            piece.extend_from_slice(&bytes[..count]);
            written.send(piece).expect("who hashes ends last");
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// SHA-256 and length of all pieces, whose memory is given back.
fn hash_behind(pieces: Receiver<Vec<u8>>, done: Sender<Vec<u8>>) -> (Vec<u8>, u64) {
    let (mut hasher, mut len) = (Hasher::sha256(), 0);
    for piece in pieces {
        hasher.update(&piece);
        len += piece.len() as u64;
        // Nobody writes any more.
        let _ = done.send(piece);
    }
    (hasher.finish(), len)
}

/// SHA-256 and length of `file`.
fn hash(mut file: &File) -> io::Result<(Vec<u8>, u64)> {
    file.rewind()?;
    Hasher::sha256().read(&mut file)
}

/// A file without a name beside the output, for what is put together first.
pub fn spool(dir: &Path) -> Result<File> {
    tempfile::tempfile_in(dir).with_context(|| format!("cannot make a file in `{}`", dir.display()))
}

/// Gives the nameless `file` the name `path`, replacing what has it.
fn publish(file: &mut File, dir: &Path, path: &Path) -> Result<()> {
    // A private directory beside the target gives the file a name nobody else uses, for the moment until rename.
    let moment = tempfile::Builder::new().prefix(".mkpkg-").tempdir_in(dir)?;
    let named = moment.path().join("package");
    let open_file = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if linkat(AT_FDCWD, &open_file, AT_FDCWD, &named, AtFlags::AT_SYMLINK_FOLLOW).is_err() {
        // A file system without nameless files, or no /proc.
        file.seek(SeekFrom::Start(0))?;
        let mut copy = File::create(&named)?;
        std::io::copy(file, &mut copy)?;
        copy.set_permissions(Permissions::from_mode(0o644))?;
        copy.sync_all()?;
    }
    fs::rename(&named, path)?;
    moment.close()?;
    File::open(dir)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{FileExt, PermissionsExt};

    use anyhow::bail;

    use crate::artifact::{prepare, write};
    use crate::digest::sha256;

    #[test]
    fn whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let names = || {
            fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect::<Vec<_>>()
        };
        let failed = write(dir.path(), "a.deb", |file| {
            file.write_all(b"half")?;
            bail!("no more")
        });
        assert!(failed.is_err());
        assert!(names().is_empty());
        for text in ["one", "two"] {
            let artifact =
                write(dir.path(), "a.deb", |file| Ok(file.write_all(text.as_bytes())?)).unwrap();
            assert_eq!(
                (fs::read_to_string(&artifact.path).unwrap().as_str(), artifact.size),
                (text, 3)
            );
        }
        assert_eq!(names(), ["a.deb"]);
        let mode = fs::metadata(dir.path().join("a.deb")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o644);
    }

    #[test]
    fn bytes_are_hashed_as_they_end_up() {
        let dir = tempfile::tempdir().unwrap();
        let long = vec![7; 3 << 20];
        let artifact = write(dir.path(), "a.deb", |draft| {
            draft.write_all(b"begun")?;
            Ok(draft.write_all(&long)?)
        });
        let expected = [b"begun", &long[..]].concat();
        assert_eq!(artifact.unwrap().sha256, sha256(&expected));
        let amended = write(dir.path(), "a.rpm", |draft| {
            draft.write_all(b"unsigned")?;
            draft.amend().write_all_at(b"__", 0)?;
            Ok(draft.write_all(b"!")?)
        });
        let amended = amended.unwrap();
        assert_eq!((amended.sha256, amended.size), (sha256(b"__signed!"), 9));
        assert_eq!(fs::read(&amended.path).unwrap(), b"__signed!");
    }

    #[test]
    fn bad_places() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a.deb")).unwrap();
        let error = write(dir.path(), "a.deb", |_| Ok(())).unwrap_err();
        assert!(error.to_string().ends_with("is a directory and cannot be replaced by a package"));
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(prepare(&dir.path().join("file")).is_err());
    }
}
