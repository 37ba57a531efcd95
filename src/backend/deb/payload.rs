//! The payload: `data.tar` and everything that is said of the files in it.
//!
//! Knows which entries a package may hold, and nothing of its control data.

use std::fs::File;
use std::io::{self, Write};

use anyhow::Result;

use crate::backend::deb::tarball::{END, TarWriter};
use crate::digest::{MD5, hex};
use crate::error::UserError;
use crate::segments::examined::{Algorithm, Examined};
use crate::segments::item::{Item, items};
use crate::segments::{self, Archive, Means};
use crate::tree::{Entry, PkgPath, Role, Tree};

/// What is known of a payload once it is written.
pub(super) struct Payload {
    /// The compressed archive.
    pub(super) packed: segments::Payload,
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

/// Packs the payload of a package made at `epoch` into `spool`.
pub(super) fn write(tree: &Tree, epoch: u64, means: &Means<'_>, spool: File) -> Result<Payload> {
    let items = items(tree, epoch, |_, _| true);
    let packed = segments::write(&DataTar { epoch }, &items, means, spool)?;
    let (md5sums, conffiles) = (String::new(), String::new());
    let mut payload = Payload { packed, md5sums, conffiles, installed_size: 1 };
    let digests = std::mem::take(&mut payload.packed.facts);
    for (_, entry) in tree.iter() {
        payload.installed_size += match entry {
            Entry::Dir { .. } => 1,
            Entry::Symlink { target } => (target.len() as u64).div_ceil(1024),
            Entry::File { content, .. } => content.len().div_ceil(1024),
        };
    }
    let files = tree.iter().filter_map(|(path, entry)| match entry {
        Entry::File { role, .. } => Some((path, is_conffile(path, *role))),
        Entry::Dir { .. } | Entry::Symlink { .. } => None,
    });
    for ((path, is_conffile), digest) in files.zip(digests.chunks(MD5)) {
        if is_conffile {
            payload.conffiles += &format!("{}\n", path.absolute());
        } else {
            payload.md5sums.extend([&hex(digest), "  ", path.as_str(), "\n"]);
        }
    }
    Ok(payload)
}

/// How `data.tar` is written.
struct DataTar {
    /// Time stamp of the root directory.
    epoch: u64,
}

impl Archive for DataTar {
    fn name(&self) -> &'static str {
        "tar 1"
    }

    fn start(&self) -> Vec<u8> {
        let mut tar = TarWriter::new(Vec::new(), self.epoch);
        tar.dir("./", 0o755).expect("writing to memory cannot fail");
        tar.into_inner()
    }

    fn end(&self) -> Vec<u8> {
        END.to_vec()
    }

    fn open(&self, item: &Item<'_>, out: &mut dyn Write) -> io::Result<()> {
        let mut tar = TarWriter::new(out, item.mtime);
        let path = item.path.as_str();
        match item.entry {
            Entry::Dir { mode } => tar.dir(&format!("./{path}/"), *mode),
            Entry::Symlink { target } => tar.symlink(&format!("./{path}"), target),
            Entry::File { content, mode, .. } => {
                tar.open_file(&format!("./{path}"), *mode, content.len())
            }
        }
    }

    fn close(&self, len: u64, out: &mut dyn Write) -> io::Result<()> {
        TarWriter::new(out, self.epoch).close_file(len)
    }

    fn decides(&self, _: &Item<'_>) -> Option<u32> {
        None
    }

    fn algorithm(&self) -> Algorithm {
        Algorithm::Md5
    }

    fn fact(&self, content: Examined) -> Vec<u8> {
        content.digest
    }
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
    use crate::tree::content::Content;
    use crate::tree::{Entry, Role, Tree};

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
