//! Reads packages without any of mkpkg's code.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

/// One entry of the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: EntryType,
    pub(crate) mode: u32,
    pub(crate) mtime: u64,
    pub(crate) owner: (u64, u64, String, String),
    /// Target of a link.
    pub(crate) target: Option<String>,
    pub(crate) content: Vec<u8>,
}

/// The payload of a package that was built with `--compression gzip`, by absolute path.
pub(crate) fn payload(package: &Path) -> BTreeMap<String, Entry> {
    let mut ar = ar::Archive::new(File::open(package).expect("the package is there"));
    while let Some(member) = ar.next_entry() {
        let member = member.expect("the package is an ar archive");
        if member.header().identifier() == b"data.tar.gz" {
            return entries(member);
        }
    }
    panic!("`{}` has no `data.tar.gz`", package.display());
}

fn entries(stream: impl Read) -> BTreeMap<String, Entry> {
    let mut archive = Archive::new(MultiGzDecoder::new(stream));
    let mut entries = BTreeMap::new();
    for entry in archive.entries().expect("the payload is a tar archive") {
        let mut entry = entry.expect("the payload is a tar archive");
        let header = entry.header().clone();
        let text = |path: &Path| path.to_str().expect("names are UTF-8").to_owned();
        let path = text(&entry.path().expect("an entry has a name"));
        let target = entry.link_name().expect("a target is readable").map(|at| text(&at));
        let name = |name: Option<&str>| name.unwrap_or_default().to_owned();
        let owner = (
            header.uid().expect("numbers are octal"),
            header.gid().expect("numbers are octal"),
            name(header.username().expect("names are UTF-8")),
            name(header.groupname().expect("names are UTF-8")),
        );
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content is as long as its header says");
        let path = path.trim_start_matches('.').trim_end_matches('/').to_owned();
        let (mode, mtime) = (header.mode(), header.mtime());
        let entry = Entry {
            kind: header.entry_type(),
            mode: mode.expect("numbers are octal"),
            mtime: mtime.expect("numbers are octal"),
            owner,
            target,
            content,
        };
        assert!(entries.insert(path.clone(), entry).is_none(), "`{path}` is there twice");
    }
    entries
}
