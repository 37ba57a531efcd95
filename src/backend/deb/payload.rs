//! The payload: `data.tar` and everything that is counted while it is written.
//!
//! Knows which entries a package may hold, and nothing of its control data.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};

use anyhow::{Context, Result};

use crate::backend::deb::tarball::TarWriter;
use crate::codec::{Compression, Compressor};
use crate::digest::{Hasher, hex};
use crate::error::UserError;
use crate::package::PackageMeta;
use crate::tree::{Content, Entry, PkgPath, Role, Tree};

/// What is known of a payload once it is written.
pub(super) struct Payload {
    /// Length of the compressed payload in bytes.
    pub(super) len: u64,
    /// `md5sums`: every file that is no conffile.
    pub(super) md5sums: String,
    /// `conffiles`: what an administrator may edit.
    pub(super) conffiles: String,
    /// KiB as dpkg counts them: files and links by size, everything else one.
    pub(super) installed_size: u64,
}

/// Refuses entries that would harm a host or that dpkg cannot install.
pub(super) fn check(meta: &PackageMeta, tree: &Tree) -> Result<()> {
    for (path, entry) in tree.iter() {
        match entry {
            Entry::Dir { mode } => check_mode(path, *mode)?,
            Entry::File { mode, role, .. } => {
                check_mode(path, *mode)?;
                if is_conffile(path, *role) && path.as_str().ends_with(char::is_whitespace) {
                    let message = format!("the name of `{path}` ends with a blank");
                    return Err(UserError::usage(message).into());
                }
            }
            Entry::Symlink { target } => check_link(meta, tree, path, target)?,
        }
    }
    Ok(())
}

/// Writes the compressed payload to `spool`; memory does not grow with the tree.
pub(super) fn write(
    tree: &Tree,
    compression: Compression,
    threads: usize,
    mtime: u64,
    spool: &mut File,
) -> Result<Payload> {
    let cannot = "cannot write to the spool";
    let compressor = Compressor::new(&mut *spool, compression, threads).context(cannot)?;
    let out = BufWriter::with_capacity(256 << 10, compressor);
    let mut tar = TarWriter::new(out, mtime);
    let (md5sums, conffiles) = (String::new(), String::new());
    let mut payload = Payload { len: 0, md5sums, conffiles, installed_size: 1 };
    tar.dir("./", 0o755).context(cannot)?;
    for (path, entry) in tree.iter() {
        payload.add(&mut tar, path, entry).with_context(|| format!("cannot pack `{path}`"))?;
    }
    let compressor = tar.finish().context(cannot)?.into_inner().map_err(io::Error::from);
    compressor.context(cannot)?.finish().context(cannot)?;
    payload.len = spool.stream_position().context(cannot)?;
    Ok(payload)
}

impl Payload {
    fn add<W: Write>(
        &mut self,
        tar: &mut TarWriter<W>,
        path: &PkgPath,
        entry: &Entry,
    ) -> io::Result<()> {
        match entry {
            Entry::Dir { mode } => {
                self.installed_size += 1;
                tar.dir(&format!("./{}/", path.as_str()), *mode)
            }
            Entry::File { content, mode, role, .. } => {
                self.installed_size += content.len().div_ceil(1024);
                let digest = add_file(tar, path, content, *mode)?;
                if is_conffile(path, *role) {
                    self.conffiles += &format!("{}\n", path.absolute());
                } else {
                    self.md5sums += &format!("{}  {}\n", hex(&digest), path.as_str());
                }
                Ok(())
            }
            Entry::Symlink { target } => {
                self.installed_size += (target.len() as u64).div_ceil(1024);
                tar.symlink(&format!("./{}", path.as_str()), target)
            }
        }
    }
}

/// Adds a file and gives its MD5.
fn add_file<W: Write>(
    tar: &mut TarWriter<W>,
    path: &PkgPath,
    content: &Content,
    mode: u32,
) -> io::Result<Vec<u8>> {
    let mut reader = HashingReader { inner: content.open()?, hasher: Hasher::md5() };
    tar.file(&format!("./{}", path.as_str()), mode, content.len(), &mut reader)?;
    Ok(reader.hasher.finish())
}

struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// Debian Policy 10.7: configuration is in `/etc`, and only there does dpkg look after it.
fn is_conffile(path: &PkgPath, role: Role) -> bool {
    match role {
        Role::Config => path.as_str().starts_with("etc/"),
        Role::Plain | Role::Doc => false,
    }
}

fn check_mode(path: &PkgPath, mode: u32) -> Result<()> {
    if mode & !0o755 == 0 {
        return Ok(());
    }
    let message =
        format!("`{path}` has mode {mode:04o}; set-id, sticky and write for others are refused");
    Err(UserError::input(message).hint("use 0755 or 0644, and systemd to grant privileges").into())
}

/// Refuses links out of the prefix: dpkg writes through a link to a directory, and deletes through it at purge.
///
/// The interpreter is the exception. A link from elsewhere must lead into the prefix or to what the package has.
fn check_link(meta: &PackageMeta, tree: &Tree, path: &PkgPath, target: &str) -> Result<()> {
    let fault = |what: &str| {
        let message = format!("link `{path}` to `{}` {what}", target.escape_debug());
        Err(UserError::input(message).hint("link to a path below the prefix").into())
    };
    let Some(end) = resolve(path, target) else {
        return fault("does not lead to a plain path");
    };
    let is_inside = |path: &PkgPath| *path == meta.prefix || path.below(&meta.prefix).is_some();
    if is_inside(&end) || is_interpreter_link(meta, path, &end) {
        return Ok(());
    }
    if is_inside(path) {
        return fault("leaves the prefix");
    }
    match tree.get(&end) {
        Some(Entry::File { .. } | Entry::Symlink { .. }) => Ok(()),
        Some(Entry::Dir { .. }) => fault("is a link to a directory outside the prefix"),
        None => fault("leads out of the package"),
    }
}

/// `<prefix>/bin/python3.X` to `/usr/bin/python3.X`.
fn is_interpreter_link(meta: &PackageMeta, path: &PkgPath, end: &PkgPath) -> bool {
    let minor = path.below(&meta.prefix).and_then(|inner| inner.strip_prefix("bin/python3."));
    let is_number = |minor: &str| !minor.is_empty() && minor.bytes().all(|at| at.is_ascii_digit());
    minor
        .is_some_and(|minor| is_number(minor) && end.as_str() == format!("usr/bin/python3.{minor}"))
}

/// Where `target` leads from the link at `path`.
///
/// `..` is allowed in front only, where it leaves real directories; after a name it could leave through another
/// link, and nobody could tell where to.
fn resolve(path: &PkgPath, target: &str) -> Option<PkgPath> {
    if let Some(absolute) = target.strip_prefix('/') {
        return PkgPath::new(absolute).ok();
    }
    let mut dir = path.parent();
    let mut rest = target.trim_end_matches('/');
    loop {
        if matches!(rest, "." | "..") {
            return if rest == "." { dir } else { dir?.parent() };
        }
        if let Some(tail) = rest.strip_prefix("../") {
            dir = dir?.parent();
            rest = tail;
        } else if let Some(tail) = rest.strip_prefix("./") {
            rest = tail;
        } else {
            return match dir {
                Some(dir) => dir.join(rest).ok(),
                None => PkgPath::new(rest).ok(),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::deb::payload::check as check_tree;
    use crate::backend::deb::tests::{file, link, meta, path};
    use crate::error::exit_code;
    use crate::tree::{Content, Entry, Role, Tree};

    fn check(entries: &[(&str, Entry)], expected: Option<&str>) {
        let mut tree = Tree::new();
        for (name, entry) in entries {
            tree.insert(path(name), entry.clone()).unwrap();
        }
        match (check_tree(&meta(), &tree), expected) {
            (Ok(()), expected) => assert_eq!(expected, None, "{entries:?}"),
            (Err(error), None) => panic!("{error:#}"),
            (Err(error), Some(part)) => {
                assert!(error.to_string().contains(part), "{error:#}");
                assert!(exit_code(&error) < 4, "{error:#}");
            }
        }
    }

    #[test]
    fn modes() {
        for (mode, is_good) in
            [(0o644, true), (0o755, true), (0o600, true), (0o664, false), (0o646, false)]
        {
            check(&[("opt/x", file("", mode))], (!is_good).then_some("refused"));
        }
        for mode in [0o4755, 0o2755, 0o1755, 0o777] {
            check(&[("opt/x", file("", mode))], Some("refused"));
            check(&[("opt/x", Entry::Dir { mode })], Some("refused"));
        }
    }

    #[test]
    fn links() {
        let out = Some("leaves the prefix");
        for (name, target, expected) in [
            ("opt/acme-web/bin/python3", "python3.11", None),
            ("opt/acme-web/bin/python3.11", "/usr/bin/python3.11", None),
            ("opt/acme-web/bin/python3.11", "/usr/bin/python3.12", out),
            ("opt/acme-web/bin/python3.", "/usr/bin/python3.", out),
            ("opt/acme-web/bin/python", "/usr/bin/python3.11", out),
            ("opt/acme-web/lib64", "lib", None),
            ("opt/acme-web/lib/x", "../..", out),
            ("opt/acme-web/lib/x", "..", None),
            ("opt/acme-web/lib/x", "../../acme-web/y/", None),
            ("opt/acme-web/lib/x", "../../acme-webby", out),
            ("opt/acme-web/lib/x", "y/../../../z", Some("plain path")),
            ("opt/acme-web/lib/x", "../../../../z", Some("plain path")),
            ("opt/acme-web/lib/x", "", Some("plain path")),
            ("opt/acme-web/lib/x", "/", Some("plain path")),
            ("opt/acme-web/lib/x", "a\nb", Some("plain path")),
            ("opt/acme-web/lib/x", "/etc", out),
            ("usr/bin/acme", "/opt/acme-web/bin/acme", None),
            ("usr/bin/acme", "../../opt/acme-web/bin/acme", None),
            ("usr/bin/acme", "/bin/sh", Some("out of the package")),
            ("usr/bin/acme", "y", None),
            ("usr/bin/acme", "/usr/bin", Some("directory outside")),
        ] {
            check(&[("usr/bin/y", file("", 0o755)), (name, link(target))], expected);
        }
    }

    #[test]
    fn conffile_names() {
        let config = |role| Entry::File {
            content: Content::bytes(""),
            mode: 0o644,
            role,
            origin: "mkpkg".into(),
        };
        check(&[("etc/a ", config(Role::Config))], Some("blank"));
        check(&[("etc/a ", config(Role::Plain))], None);
    }
}
