//! The gate against build paths: no packed byte may name a directory of the machine that built the package.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use memchr::memmem::Finder;

use crate::error::UserError;
use crate::parallel;
use crate::tree::{Content, Entry, PkgPath, Tree};

/// Directories whose names must not appear.
#[derive(Clone, Debug, Default)]
pub struct BuildPaths {
    /// Made for this build alone, so their names cannot appear by accident: looked for as they are.
    pub unique: Vec<PathBuf>,
    /// Other directories, such as the project's: looked for as whole paths.
    pub common: Vec<PathBuf>,
}

struct Needle {
    text: String,
    finder: Finder<'static>,
    is_whole: bool,
}

/// Fails when a file, a link or a name in `tree` holds one of `paths`; directories that `prefix` is in are fine.
pub fn check(tree: &Tree, paths: &BuildPaths, prefix: &PkgPath, jobs: usize) -> Result<()> {
    let needles = needles(paths, &prefix.absolute());
    let longest = needles.iter().map(|needle| needle.text.len()).max().unwrap_or(0);
    if longest == 0 {
        return Ok(());
    }
    for (path, entry) in tree.iter() {
        let target = match entry {
            Entry::Symlink { target } => target.as_str(),
            Entry::Dir { .. } | Entry::File { .. } => "",
        };
        let texts = [path.absolute(), target.to_owned()];
        if let Some(needle) = texts.iter().find_map(|text| find(&needles, text.as_bytes(), true)) {
            return Err(fault(path, needle));
        }
    }
    let files: Vec<_> = tree.files().collect();
    let leaks = parallel::filter_map(&files, jobs, |(path, content, _)| {
        let needle = scan(content, &needles, longest);
        let needle = needle.with_context(|| format!("cannot read `{path}`"))?;
        Ok(needle.map(|needle| (*path, needle)))
    })?;
    match leaks.first() {
        Some((path, needle)) => Err(fault(path, needle)),
        None => Ok(()),
    }
}

fn fault(path: &PkgPath, needle: &Needle) -> anyhow::Error {
    UserError::input(format!("`{path}` holds the build path `{}`", needle.text))
        .hint("build it without absolute paths, or leave the file out with `exclude`")
        .into()
}

fn needles(paths: &BuildPaths, prefix: &str) -> Vec<Needle> {
    let unique = paths.unique.iter().map(|path| (path, false));
    let common = paths.common.iter().map(|path| (path, true)).filter(|(path, _)| {
        // `/src` or `/app` stand in too many files that were never near this machine, and what the prefix
        // lies in stands in every script.
        path.components().count() > 2 && !Path::new(prefix).starts_with(path)
    });
    let texts =
        unique.chain(common).filter_map(|(path, is_whole)| Some((path.to_str()?, is_whole)));
    let texts = texts.filter(|(text, _)| !text.is_empty());
    let make = |(text, is_whole): (&str, bool)| Needle {
        text: text.to_owned(),
        finder: Finder::new(text).into_owned(),
        is_whole,
    };
    texts.map(make).collect()
}

const CHUNK: usize = 256 * 1024;

/// The first needle in `content`, which is read in chunks that overlap by one needle and its neighbour.
fn scan<'n>(
    content: &Content,
    needles: &'n [Needle],
    longest: usize,
) -> std::io::Result<Option<&'n Needle>> {
    let mut reader = content.open()?;
    let mut buffer = Vec::with_capacity(CHUNK + longest + 1);
    loop {
        let count = reader.by_ref().take(CHUNK as u64).read_to_end(&mut buffer)?;
        let is_end = count < CHUNK;
        if let Some(needle) = find(needles, &buffer, is_end) {
            return Ok(Some(needle));
        }
        if is_end {
            return Ok(None);
        }
        let keep = buffer.len().min(longest + 1);
        buffer.drain(..buffer.len() - keep);
    }
}

fn find<'n>(needles: &'n [Needle], bytes: &[u8], is_end: bool) -> Option<&'n Needle> {
    let is_hit = |needle: &&Needle| {
        needle.finder.find_iter(bytes).any(|at| {
            let next = bytes.get(at + needle.text.len());
            let before = at.checked_sub(1).map(|at| bytes[at]);
            // At the end of a chunk the neighbour is not known yet; the next chunk holds the needle again.
            let ends = next.map_or(is_end, |next| !is_name(*next));
            !needle.is_whole || ends && !before.is_some_and(is_name)
        })
    };
    needles.iter().find(is_hit)
}

/// Whether a byte continues the name of a file.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use crate::tree::{Content, Entry, PkgPath, Tree};
    use crate::venv::leaks::{BuildPaths, CHUNK, check};

    fn verdict(content: &[u8], paths: &BuildPaths) -> Result<(), String> {
        let mut tree = Tree::new();
        let file = Entry::file(Content::bytes(content), 0o644, &Arc::from("a 1"));
        tree.insert(PkgPath::new("opt/app/f").unwrap(), file).unwrap();
        let prefix = PkgPath::new("opt/app").unwrap();
        check(&tree, paths, &prefix, 2).map_err(|error| error.to_string())
    }

    #[test]
    fn leaks() {
        let paths = BuildPaths {
            unique: vec![PathBuf::from("/tmp/mkpkg-build-Xy1")],
            common: vec![
                PathBuf::from("/home/ci/acme"),
                PathBuf::from("/src"),
                PathBuf::from("/opt"),
            ],
        };
        let mut far = vec![b'x'; CHUNK - 5];
        far.extend(b" /home/ci/acme/setup.py");
        for (content, leak) in [
            (&b"nothing"[..], None),
            (b"a /tmp/mkpkg-build-Xy1b", Some("/tmp/mkpkg-build-Xy1")),
            (b"/home/ci/acme", Some("/home/ci/acme")),
            (b"\0/home/ci/acme/x\0", Some("/home/ci/acme")),
            (b"/home/ci/acme-two /srv/home/ci/acme", None),
            (b"/src /opt/app", None),
            (&far, Some("/home/ci/acme")),
        ] {
            let expected = leak
                .map_or(Ok(()), |path| Err(format!("`/opt/app/f` holds the build path `{path}`")));
            assert_eq!(
                verdict(content, &paths),
                expected,
                "{:?}",
                String::from_utf8_lossy(content)
            );
        }
    }
}
