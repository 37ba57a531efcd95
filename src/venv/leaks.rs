//! The gate against build paths: no packed byte may name a directory of the machine that built the package.

use std::io::Read;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use memchr::memmem::Finder;

use crate::cache::Cache;
use crate::cache::key::{Key, Kind};
use crate::error::UserError;
use crate::parallel;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};

/// Directories whose names must not appear.
#[derive(Clone, Debug, Default)]
pub struct BuildPaths {
    /// Made for this build and for no other: nothing that was there before can name them.
    pub fresh: Vec<PathBuf>,
    /// Others whose names cannot appear by accident: looked for as they are, like those.
    pub unique: Vec<PathBuf>,
    /// Other directories, such as the project's: looked for as whole paths.
    pub common: Vec<PathBuf>,
}

struct Needle {
    text: String,
    finder: Finder<'static>,
    is_whole: bool,
    is_fresh: bool,
}

/// Fails when a file, a link or a name in `tree` holds one of `paths`; directories that `prefix` is in are fine.
///
/// What an earlier build has looked through for the same paths, and found nothing in, is not read again.
pub fn check(
    tree: &Tree,
    paths: &BuildPaths,
    prefix: &PkgPath,
    (jobs, cache): (usize, &Cache),
) -> Result<()> {
    let needles = needles(paths, &prefix.absolute());
    let longest = needles.iter().map(|needle| needle.text.len()).max().unwrap_or(0);
    if longest == 0 {
        return Ok(());
    }
    let mut absolute = String::new();
    for (path, entry) in tree.iter() {
        absolute.clear();
        absolute.extend(["/", path.as_str()]);
        let target = match entry {
            Entry::Symlink { target } => Some(target.as_str()),
            Entry::Dir { .. } | Entry::File { .. } => None,
        };
        let mut texts = [Some(absolute.as_str()), target].into_iter().flatten();
        if let Some(needle) = texts.find_map(|text| find(&needles, text.as_bytes(), true)) {
            return Err(fault(path, needle));
        }
    }
    let clean = Clean::load(cache, &needles);
    let files: Vec<_> = tree.files().collect();
    let leaks = parallel::filter_map(&files, jobs, |(path, content, _)| {
        if clean.has(content) {
            return Ok(None);
        }
        let needle = scan(content, &needles, longest);
        let needle = needle.with_context(|| format!("cannot read `{path}`"))?;
        Ok(needle.map(|needle| (*path, needle)))
    })?;
    match leaks.first() {
        Some((path, needle)) => Err(fault(path, needle)),
        None => {
            clean.keep(cache, files.iter().map(|(_, content, _)| *content));
            Ok(())
        }
    }
}

/// Contents that hold none of the needles, by their digests. The paths of a project are its own, and so is the entry.
struct Clean {
    key: Key,
    /// Sorted.
    digests: Vec<[u8; 32]>,
}

impl Clean {
    fn load(cache: &Cache, needles: &[Needle]) -> Self {
        let lasting = needles.iter().filter(|needle| !needle.is_fresh);
        let texts = lasting.map(|needle| format!("{} {}", needle.is_whole, needle.text));
        let parts: Vec<_> = iter::once("without build paths 1".to_owned()).chain(texts).collect();
        let key = Key::new(Kind::Facts, &parts);
        let kept = cache.load(&key).unwrap_or_default();
        Self { key, digests: kept.as_chunks().0.to_vec() }
    }

    fn has(&self, content: &Content) -> bool {
        lasting_digest(content).is_some_and(|digest| self.digests.binary_search(&digest).is_ok())
    }

    /// Keeps which contents are clean now; others are of no use to the next build of this project.
    fn keep<'c>(self, cache: &Cache, contents: impl Iterator<Item = &'c Content>) {
        let mut digests: Vec<_> = contents.filter_map(lasting_digest).collect();
        digests.sort_unstable();
        digests.dedup();
        if digests != self.digests {
            cache.keep(&self.key, &mut digests.as_flattened());
        }
    }
}

/// The digest of what is in a file; what is in memory is small, and looked through at once.
fn lasting_digest(content: &Content) -> Option<[u8; 32]> {
    match content {
        Content::Bytes(_) => None,
        Content::Path { .. } | Content::Span { .. } | Content::Late(_) => content.known_sha256(),
    }
}

fn fault(path: &PkgPath, needle: &Needle) -> anyhow::Error {
    UserError::input(format!("`{path}` holds the build path `{}`", needle.text))
        .hint("build it without absolute paths, or leave the file out with `exclude`")
        .into()
}

fn needles(paths: &BuildPaths, prefix: &str) -> Vec<Needle> {
    let fresh = paths.fresh.iter().map(|path| (path, false, true));
    let unique = paths.unique.iter().map(|path| (path, false, false));
    let common = paths.common.iter().map(|path| (path, true, false)).filter(|(path, ..)| {
        // `/src` or `/app` stand in too many files that were never near this machine, and what the prefix
        // lies in stands in every script.
        path.components().count() > 2 && !Path::new(prefix).starts_with(path)
    });
    let make = |(path, is_whole, is_fresh): (&PathBuf, bool, bool)| {
        let text = path.to_str().filter(|text| !text.is_empty())?.to_owned();
        let finder = Finder::new(&text).into_owned();
        Some(Needle { text, finder, is_whole, is_fresh })
    };
    fresh.chain(unique).chain(common).filter_map(make).collect()
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

    use crate::cache::Cache;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};
    use crate::venv::leaks::{BuildPaths, CHUNK, check};

    fn verdict(content: &[u8], paths: &BuildPaths) -> Result<(), String> {
        let mut tree = Tree::new();
        let file = Entry::file(Content::bytes(content), 0o644, &Arc::from("a 1"));
        tree.insert(PkgPath::new("opt/app/f").unwrap(), file).unwrap();
        let prefix = PkgPath::new("opt/app").unwrap();
        check(&tree, paths, &prefix, (2, &Cache::none())).map_err(|error| error.to_string())
    }

    #[test]
    fn leaks() {
        let paths = BuildPaths {
            fresh: vec![PathBuf::from("/tmp/mkpkg-build-Xy1")],
            unique: Vec::new(),
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

    /// A file of one byte after the other that is said to hold `content`, whatever it holds.
    fn vouched(bytes: &[u8], content: &[u8]) -> Content {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        let len = bytes.len() as u64;
        let sha256 = Some(crate::digest::sha256(content));
        Content::Span {
            file: Arc::new(file),
            offset: 0,
            stored_len: len,
            len,
            deflated: false,
            sha256,
        }
    }

    #[test]
    fn what_was_looked_through_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().to_owned());
        let prefix = PkgPath::new("opt/app").unwrap();
        let of = |project: &str, number: u32| BuildPaths {
            fresh: vec![PathBuf::from(format!("/tmp/mkpkg-build-{number}"))],
            unique: Vec::new(),
            common: vec![PathBuf::from(project)],
        };
        let verdict = |content: Content, paths: &BuildPaths| {
            let mut tree = Tree::new();
            let file = Entry::file(content, 0o644, &Arc::from("a 1"));
            tree.insert(PkgPath::new("opt/app/f").unwrap(), file).unwrap();
            check(&tree, paths, &prefix, (1, &cache)).is_ok()
        };
        let leak = b"/home/ci/acme/x";
        assert!(!verdict(vouched(leak, b"one"), &of("/home/ci/acme", 1)));
        assert!(verdict(vouched(b"clean", b"one"), &of("/home/ci/acme", 2)));
        // It cannot be seen that it changed: it is believed to be what was clean, for this project only.
        assert!(verdict(vouched(leak, b"one"), &of("/home/ci/acme", 3)));
        assert!(verdict(vouched(leak, b"one"), &of("/home/ci/other", 3)));
        assert!(!verdict(vouched(b"/home/ci/third", b"one"), &of("/home/ci/third", 3)));
        assert!(!verdict(vouched(leak, b"two"), &of("/home/ci/acme", 4)));
        assert!(!verdict(Content::bytes(leak), &of("/home/ci/acme", 5)));
    }
}
