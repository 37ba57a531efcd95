//! The payload: `data.tar` and everything that is counted while it is written.
//!
//! Knows which entries a package may hold, and nothing of its control data.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use anyhow::{Context, Result};

use crate::backend::deb::tarball::TarWriter;
use crate::codec::{Compression, Compressor};
use crate::digest::{Hasher, HashingReader, hex};
use crate::error::UserError;
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

/// Refuses names dpkg cannot list among the configuration files.
pub(super) fn check(tree: &Tree) -> Result<()> {
    for (path, entry) in tree.iter() {
        if let Entry::File { role, .. } = entry
            && is_conffile(path, *role)
            && path.as_str().ends_with(char::is_whitespace)
        {
            let message = format!("the name of `{path}` ends with a blank");
            return Err(UserError::usage(message).into());
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
    let mut reader = HashingReader::new(content.open()?, Hasher::md5());
    tar.file(&format!("./{}", path.as_str()), mode, content.len(), &mut reader)?;
    Ok(reader.finish())
}

/// Debian Policy 10.7: configuration is in `/etc`, and only there does dpkg look after it.
fn is_conffile(path: &PkgPath, role: Role) -> bool {
    match role {
        Role::Config => path.as_str().starts_with("etc/"),
        Role::Plain | Role::Doc => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::deb::payload::check as check_tree;
    use crate::backend::deb::tests::path;
    use crate::error::exit_code;
    use crate::tree::{Content, Entry, Role, Tree};

    fn check(entries: &[(&str, Entry)], expected: Option<&str>) {
        let mut tree = Tree::new();
        for (name, entry) in entries {
            tree.insert(path(name), entry.clone()).unwrap();
        }
        match (check_tree(&tree), expected) {
            (Ok(()), expected) => assert_eq!(expected, None, "{entries:?}"),
            (Err(error), None) => panic!("{error:#}"),
            (Err(error), Some(part)) => {
                assert!(error.to_string().contains(part), "{error:#}");
                assert!(exit_code(&error) < 4, "{error:#}");
            }
        }
    }

    #[test]
    fn conffile_names() {
        let config = |role| Entry::File {
            content: Content::bytes(""),
            mode: 0o644,
            role,
            origin: "mkpkg".into(),
            mtime: None,
        };
        check(&[("etc/a ", config(Role::Config))], Some("blank"));
        check(&[("etc/a ", config(Role::Plain))], None);
    }
}
