//! What the bytes of wheels tell: found out in the one read that verifies them, and kept by the digest of the wheel.
//!
//! It is a function of the wheel and of this very program, whose digest is therefore part of the key.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::audit::components::{Clues, clues};
use crate::cache::Cache;
use crate::cache::digests::{of_program, sha256};
use crate::cache::key::{Key, Kind};
use crate::digest::{base64url, from_base64url};
use crate::document::{from_json, to_json};
use crate::elf::{self, ElfFacts};
use crate::parallel;
use crate::tree::content::Content;
use crate::wheel::Wheel;

/// What is known of the compiled files of wheels, by their SHA-256. Other files of these wheels are not compiled.
#[derive(Debug, Default)]
pub struct Facts(BTreeMap<[u8; 32], Compiled>);

/// What a compiled file tells.
#[derive(Debug, Deserialize, Serialize)]
struct Compiled {
    facts: Result<ElfFacts, String>,
    clues: Clues,
}

/// Opens `paths` and verifies every member against its RECORD, `jobs` wheels at a time, the largest first. A wheel that
/// was verified before is not read again.
pub fn open(paths: &[PathBuf], jobs: usize, cache: &Cache) -> Result<(Vec<Wheel>, Facts)> {
    let program = of_program(cache);
    let mut paths: Vec<_> = paths.iter().collect();
    paths.sort_by_cached_key(|path| Reverse(path.metadata().map_or(0, |wheel| wheel.len())));
    let opened = parallel::map(&paths, jobs, |path| {
        let wheel = Wheel::open(path)?;
        let Some(program) = program else { return Ok((look(&wheel)?, wheel)) };
        let digest = sha256(cache, wheel.file());
        let digest = digest.with_context(|| format!("cannot read `{}`", wheel.file_name()))?;
        let key = Key::new(Kind::Facts, &[program, digest]);
        let _lock = match cache.found_or_locked(&key, || parse(&cache.load(&key)?)) {
            Ok(facts) => return Ok((facts, wheel)),
            Err(lock) => lock,
        };
        let facts = look(&wheel)?;
        cache.keep(&key, &mut write(&facts)?.as_bytes());
        Ok((facts, wheel))
    })?;
    let mut whole = Facts::default();
    let mut wheels = Vec::with_capacity(opened.len());
    for (facts, wheel) in opened {
        whole.0.extend(facts.0);
        wheels.push(wheel);
    }
    wheels.sort_by(|left, right| left.name.name.cmp(&right.name.name));
    Ok((wheels, whole))
}

impl Facts {
    /// What is known of `content`: nothing, that it is not ELF, or its facts.
    pub fn elf(&self, content: &Content) -> Option<Option<Result<ElfFacts, String>>> {
        Some(self.0.get(&vouched(content)?).map(|compiled| compiled.facts.clone()))
    }

    /// What `content` tells of components, if it is known.
    pub fn clues(&self, content: &Content) -> Option<Clues> {
        self.0.get(&vouched(content)?).map(|compiled| compiled.clues.clone())
    }
}

/// The digest of what came out of a wheel, or out of the compiler of byte code, which is never ELF.
fn vouched(content: &Content) -> Option<[u8; 32]> {
    match content {
        Content::Span { sha256, .. } => *sha256,
        Content::Late(span) => Some(span.sha256),
        Content::Bytes(_) | Content::Path { .. } => None,
    }
}

/// Verifies a wheel and looks at its compiled files.
fn look(wheel: &Wheel) -> Result<Facts> {
    let mut facts = Facts::default();
    wheel.verify(elf::MAGIC, &mut |sha256, bytes| {
        facts.0.insert(sha256, Compiled { facts: elf::facts(bytes), clues: clues(bytes) });
    })?;
    Ok(facts)
}

fn parse(kept: &[u8]) -> Option<Facts> {
    let kept: BTreeMap<String, Compiled> = from_json(kept, "kept facts").ok()?;
    let by_digest = |(digest, compiled): (String, Compiled)| {
        Some((from_base64url(&digest)?.try_into().ok()?, compiled))
    };
    kept.into_iter().map(by_digest).collect::<Option<_>>().map(Facts)
}

fn write(facts: &Facts) -> Result<String> {
    let named = facts.0.iter().map(|(digest, compiled)| (base64url(digest), compiled));
    to_json(&named.collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::cache::Cache;
    use crate::cache::digests::{of_program, sha256_of};
    use crate::cache::key::{Key, Kind};
    use crate::elf::{scan, scan_unknown};
    use crate::facts::{Facts, open, parse, write};
    use crate::tree::{PkgPath, Tree};
    use crate::wheel::Wheel;
    use crate::wheel::fixture::{Part, wheel, write as put};
    use crate::wheel::install::{Layout, install};

    const NAME: &str = "demo-1.0-py3-none-any.whl";

    fn tree(wheel: &Wheel) -> Tree {
        let prefix = PkgPath::new("opt/app").unwrap();
        install(wheel, &Layout { prefix, minor: "3.11".to_owned() }, None).unwrap().tree
    }

    /// What the wheel in `dir` tells, and its files.
    fn told(dir: &Path, cache: &Cache) -> (Facts, Tree) {
        let (wheels, facts) = open(&[dir.join(NAME)], 2, cache).unwrap();
        (facts, tree(&wheels[0]))
    }

    #[test]
    fn what_is_kept_is_what_was_found() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = vec![("demo.py".to_owned(), b"x".to_vec())];
        files.push(("demo/broken.so".to_owned(), b"\x7fELFbroken".to_vec()));
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/elf");
        for entry in fs::read_dir(fixtures).unwrap().flatten().filter(|at| at.path().is_file()) {
            let name = format!("demo/{}", entry.file_name().to_string_lossy());
            files.push((name, fs::read(entry.path()).unwrap()));
        }
        let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), &text[..])).collect();
        put(dir.path(), NAME, &wheel("demo", "1.0", &files).bytes());
        let cache = Cache::open(dir.path().join("cache"));
        let (found, tree) = told(dir.path(), &cache);
        let (kept, _) = told(dir.path(), &cache);
        let parsed = parse(write(&found).unwrap().as_bytes()).unwrap();
        let read = scan(&tree, 2).unwrap();
        assert!(read.files.len() > 3);
        for facts in [found, kept, parsed] {
            let known = scan_unknown(&tree, 2, &|content| facts.elf(content)).unwrap();
            assert_eq!(known, read);
            assert_eq!(facts.0.values().filter(|one| one.facts.is_err()).count(), 1);
        }
        assert!(cache.trouble().is_none());
    }

    #[test]
    fn who_waits_for_another_build_takes_what_it_saw() {
        let dir = tempfile::tempdir().unwrap();
        let files: [(&str, &[u8]); 1] = [("demo.so", b"\x7fELFbroken")];
        put(dir.path(), NAME, &wheel("demo", "1.0", &files).bytes());
        let cache = Cache::open(dir.path().join("cache"));
        let program = of_program(&cache).unwrap();
        let digest = sha256_of(&cache, &dir.path().join(NAME)).unwrap();
        let key = Key::new(Kind::Facts, &[program, digest]);
        let lock = cache.lock(&key);
        assert!(lock.is_some());
        let seen = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| told(dir.path(), &cache).0);
            std::thread::sleep(std::time::Duration::from_millis(200));
            assert!(!waiting.is_finished());
            cache.keep(&key, &mut &b"{}"[..]);
            drop(lock);
            waiting.join().unwrap()
        });
        assert!(seen.0.is_empty());
    }

    #[test]
    fn a_verified_wheel_vouches_for_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("cache"));
        let sound = wheel("demo", "1.0", &[("demo.py", b"text")]);
        put(dir.path(), NAME, &sound.bytes());
        told(dir.path(), &cache);
        let mut damaged = sound.clone();
        damaged.parts[0] = Part::stored("demo.py", b"next");
        put(dir.path(), NAME, &damaged.bytes());
        let error = open(&[dir.path().join(NAME)], 1, &cache).unwrap_err().to_string();
        assert!(error.ends_with("does not match its sha256 in RECORD"), "{error}");
    }
}
