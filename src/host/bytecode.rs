//! Byte code for the sources of a package, from the interpreter it is made for or from the cache.
//!
//! Reproducible: a file's byte code depends on its content, its final path, and the files compiled before it
//! in the same process (`marshal` shares references between them). So the files of each group, such as a distribution, are
//! cut into batches by their order alone, and every batch begins in a process that has compiled nothing. What the sources
//! of a group become thus depends on them, their paths and the interpreter, and is kept by a digest of these.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::cache::key::{Key, Kind};
use crate::digest::{base64url, from_base64url, sha256};
use crate::document::{from_json, to_json};
use crate::host::interpreter::Interpreter;
use crate::host::worker::{PROGRAM, Reply, Source, Workers};
use crate::late::{Late, LateSpan};
use crate::parallel;
use crate::tree::PkgPath;
use crate::tree::content::Content;

/// Files that one process compiles. Part of the output's definition: changing it changes byte code.
const BATCH: usize = 64;

/// Byte code of one source.
#[derive(Clone, Debug)]
pub struct Pyc {
    /// Where it belongs: `__pycache__/<module>.<cache tag>.pyc` beside the source.
    pub path: PkgPath,
    /// Path of its source.
    pub source: PkgPath,
    /// The byte code, in the spool.
    pub content: Content,
    /// SHA-256 of the byte code.
    pub sha256: [u8; 32],
}

/// What compiling gave.
#[derive(Debug, Default)]
pub struct Compiled {
    /// Byte code, sorted by the path of its source.
    pub pycs: Vec<Pyc>,
    /// Sources that are not valid Python, each with the reason.
    pub warnings: Vec<String>,
    /// Modules that distributions split off the standard library, and the files that import them at once.
    pub imports: BTreeMap<String, Vec<PkgPath>>,
}

/// What compiles, and how.
#[derive(Clone, Copy, Debug)]
pub struct Compiler<'a> {
    /// The interpreter the package is made for.
    pub interpreter: &'a Interpreter,
    /// Processes of it.
    pub workers: &'a Workers<'a>,
    /// How many of them work at a time.
    pub jobs: usize,
    /// What earlier builds compiled.
    pub cache: &'a Cache,
}

/// What became of one source.
#[derive(Debug)]
enum Outcome {
    Code { content: Content, sha256: [u8; 32], imports: Vec<String> },
    Invalid(String),
}

/// The same as it is kept, without the byte code.
#[derive(Deserialize, Serialize)]
enum Kept {
    /// Length of the byte code, its SHA-256 as RECORD writes it, and imported modules.
    Code(u64, String, Vec<String>),
    Invalid(String),
}

/// The sources of one group, and what became of them if that is known.
struct Unit<'a> {
    sources: &'a [Source<'a>],
    keys: Keys,
    outcomes: Option<Vec<Outcome>>,
}

/// Where the outcomes of a group are kept, and where its byte code, one after the other.
#[derive(Clone, Copy)]
struct Keys {
    outcomes: Key,
    code: Key,
}

impl Compiler<'_> {
    /// Compiles the sources of each group, which must be sorted by path; byte code goes to `spool`.
    pub fn compile(&self, groups: &[&[Source<'_>]], spool: File) -> Result<Compiled> {
        let spool = Arc::new(Spool { file: Arc::new(spool), end: AtomicU64::new(0) });
        let known = parallel::map(groups, self.jobs, |sources| {
            let keys = keys(self.interpreter, sources)?;
            let outcomes = self.kept(sources, &keys, &spool);
            Ok((keys, outcomes))
        })?;
        let units = groups.iter().zip(known);
        let units = units.map(|(sources, (keys, outcomes))| Unit { sources, keys, outcomes });
        let mut units: Vec<_> = units.collect();
        self.compile_missing(&mut units, &spool)?;
        let outcomes = units.into_iter().flat_map(|unit| {
            let paths = unit.sources.iter().map(|(path, _)| *path);
            paths.zip(unit.outcomes.into_iter().flatten())
        });
        let mut outcomes: Vec<_> = outcomes.collect();
        outcomes.sort_by_key(|(path, _)| *path);
        Ok(self.joined(outcomes))
    }

    /// Compiles what was not kept, and keeps it.
    fn compile_missing(&self, units: &mut [Unit<'_>], spool: &Arc<Spool>) -> Result<()> {
        let is_missing = |unit: &&mut Unit<'_>| unit.outcomes.is_none();
        let mut missing: Vec<_> = units.iter_mut().filter(is_missing).collect();
        if missing.is_empty() {
            return Ok(());
        }
        // Of several builds that miss the same one compiles it, and the others wait and find it. One lock for all, because
        // who waits must hold none.
        let all: Vec<_> = missing.iter().map(|unit| unit.keys.outcomes.digest()).collect();
        let lock = self.cache.lock(&Key::new(Kind::ByteCode, &all));
        if lock.is_some() {
            for unit in &mut missing {
                unit.outcomes = self.kept(unit.sources, &unit.keys, spool);
            }
            missing.retain(|unit| unit.outcomes.is_none());
        }
        let batches = missing.iter().enumerate().flat_map(|(number, unit)| {
            unit.sources.chunks(BATCH).map(move |batch| (number, batch))
        });
        let batches: Vec<_> = batches.collect();
        let compiled = parallel::map(&batches, self.jobs, |(_, batch)| {
            let mut outcomes = Vec::with_capacity(batch.len());
            self.workers.compile(batch, |reply| {
                outcomes.push(spool.outcome(reply)?);
                Ok(())
            })?;
            Ok(outcomes)
        })?;
        let mut all: Vec<Vec<_>> = missing.iter().map(|_| Vec::new()).collect();
        for ((number, _), outcomes) in batches.into_iter().zip(compiled) {
            all[number].extend(outcomes);
        }
        let made: Vec<_> = missing.iter().map(|unit| unit.keys).zip(all).collect();
        parallel::map(&made, self.jobs, |(keys, outcomes)| keep(self.cache, keys, outcomes))?;
        for (unit, (_, outcomes)) in missing.into_iter().zip(made) {
            unit.outcomes = Some(outcomes);
        }
        Ok(())
    }

    /// What an earlier build made of these sources. The byte code itself is read when it is asked for.
    fn kept(
        &self,
        sources: &[Source<'_>],
        keys: &Keys,
        spool: &Arc<Spool>,
    ) -> Option<Vec<Outcome>> {
        let kept: Vec<Kept> = from_json(&self.cache.load(&keys.outcomes)?, "outcomes").ok()?;
        // Without it, all of it would be compiled while somebody waits for a first file.
        if !self.cache.touch(&keys.code) {
            return None;
        }
        let owned = |(path, content): &Source<'_>| ((*path).clone(), (*content).clone());
        let part = Part {
            interpreter: self.interpreter.clone(),
            sources: sources.iter().map(owned).collect(),
            cache: self.cache.clone(),
            key: keys.code,
            lens: kept.iter().map(Kept::len).collect(),
            spool: Arc::clone(spool),
        };
        let late = Arc::new(Late::new(Arc::clone(&spool.file), move || part.fill()));
        let mut offset = 0;
        let outcomes = kept.into_iter().map(|kept| {
            let (start, len) = (offset, kept.len());
            offset += len;
            match kept {
                Kept::Code(_, digest, imports) => {
                    let sha256 = from_base64url(&digest)?.try_into().ok()?;
                    let part = Arc::clone(&late);
                    let content = Content::Late(LateSpan { part, offset: start, len, sha256 });
                    Some(Outcome::Code { content, sha256, imports })
                }
                Kept::Invalid(reason) => Some(Outcome::Invalid(reason)),
            }
        });
        let outcomes: Vec<_> = outcomes.collect::<Option<_>>()?;
        (outcomes.len() == sources.len()).then_some(outcomes)
    }

    fn joined(&self, outcomes: Vec<(&PkgPath, Outcome)>) -> Compiled {
        let mut whole = Compiled::default();
        for (source, outcome) in outcomes {
            match outcome {
                Outcome::Code { content, sha256, imports } => {
                    match pyc_path(source, &self.interpreter.cache_tag) {
                        Ok(path) => {
                            whole.pycs.push(Pyc { path, source: source.clone(), content, sha256 });
                        }
                        Err(error) => {
                            whole.warnings.push(format!("`{source}` gets no byte code: {error}"));
                        }
                    }
                    for module in imports {
                        whole.imports.entry(module).or_default().push(source.clone());
                    }
                }
                Outcome::Invalid(reason) => whole.warnings.push(format!(
                    "`{source}` is not valid Python and gets no byte code: {reason}"
                )),
            }
        }
        whole
    }
}

impl Kept {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Code { content, sha256, imports } => {
                Self::Code(content.len(), base64url(sha256), imports.clone())
            }
            Outcome::Invalid(reason) => Self::Invalid(reason.clone()),
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::Code(len, ..) => *len,
            Self::Invalid(_) => 0,
        }
    }
}

/// The keys of everything that decides what `sources` become.
fn keys(interpreter: &Interpreter, sources: &[Source<'_>]) -> Result<Keys> {
    let Interpreter { sha256, version, build, cache_tag, .. } = interpreter;
    let batch = BATCH.to_string();
    let common = [PROGRAM, &batch, sha256, version, build, cache_tag];
    let mut parts: Vec<_> = common.map(|part| part.as_bytes().to_vec()).into();
    for (path, content) in sources {
        let digest = content.sha256().with_context(|| format!("cannot read `{path}`"))?;
        parts.extend([path.as_str().as_bytes().to_vec(), digest.to_vec()]);
    }
    let code = Key::new(Kind::ByteCode, &parts);
    parts.push(b"outcomes".to_vec());
    Ok(Keys { outcomes: Key::new(Kind::ByteCode, &parts), code })
}

/// Keeps what became of a group. The outcomes come last: who finds them expects the byte code.
fn keep(cache: &Cache, keys: &Keys, outcomes: &[Outcome]) -> Result<()> {
    cache.keep(&keys.code, &mut Joined { outcomes: outcomes.iter(), now: None });
    let kept: Vec<_> = outcomes.iter().map(Kept::of).collect();
    cache.keep(&keys.outcomes, &mut to_json(&kept)?.as_bytes());
    Ok(())
}

/// The byte code of many sources, one after the other.
struct Joined<'a> {
    outcomes: std::slice::Iter<'a, Outcome>,
    now: Option<Box<dyn Read + 'a>>,
}

impl Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(now) = &mut self.now {
                match now.read(buffer)? {
                    0 => self.now = None,
                    count => return Ok(count),
                }
            }
            match self.outcomes.next() {
                Some(Outcome::Code { content, .. }) => self.now = Some(content.open()?),
                Some(Outcome::Invalid(_)) => {}
                None => return Ok(0),
            }
        }
    }
}

/// Byte code that was compiled by an earlier build, and how to get it.
struct Part {
    interpreter: Interpreter,
    sources: Vec<(PkgPath, Content)>,
    cache: Cache,
    key: Key,
    lens: Vec<u64>,
    spool: Arc<Spool>,
}

impl Part {
    /// Puts all of it into the spool and tells where. What is damaged is compiled again: it is a function of the sources.
    fn fill(self) -> Result<u64> {
        let len = self.lens.iter().sum();
        let start = self.spool.reserve(len);
        if self.cache.copy(&self.key, &mut At { file: &self.spool.file, at: start }) == Some(len) {
            return Ok(start);
        }
        let start = self.spool.reserve(len);
        let mut out = At { file: &self.spool.file, at: start };
        let sources: Vec<_> = self.sources.iter().map(|(path, content)| (path, content)).collect();
        let workers = Workers::new(&self.interpreter);
        let mut lens = self.lens.iter();
        for batch in sources.chunks(BATCH) {
            workers.compile(batch, |reply| {
                let bytes = reply.code();
                ensure!(lens.next() == Some(&(bytes.len() as u64)), "byte code is not what it was");
                Ok(out.write_all(bytes)?)
            })?;
        }
        workers.end()?;
        let whole = Content::Span {
            file: Arc::clone(&self.spool.file),
            offset: start,
            stored_len: len,
            len,
            deflated: false,
            sha256: None,
        };
        self.cache.keep(&self.key, &mut whole.open()?);
        Ok(start)
    }
}

/// A file that several threads append to.
struct Spool {
    file: Arc<File>,
    end: AtomicU64,
}

impl Spool {
    /// Where `len` bytes have a place that nobody else has.
    fn reserve(&self, len: u64) -> u64 {
        self.end.fetch_add(len, Ordering::Relaxed)
    }

    /// A reply whose byte code is in the spool.
    fn outcome(&self, reply: Reply) -> Result<Outcome> {
        let (pyc, imports) = match reply {
            Reply::Code { pyc, imports } => (pyc, imports),
            Reply::Invalid(reason) => return Ok(Outcome::Invalid(reason)),
        };
        let len = pyc.len() as u64;
        let (offset, sha256) = (self.reserve(len), sha256(&pyc));
        At { file: &self.file, at: offset }.write_all(&pyc)?;
        let content = Content::Span {
            file: Arc::clone(&self.file),
            offset,
            stored_len: len,
            len,
            deflated: false,
            sha256: Some(sha256),
        };
        Ok(Outcome::Code { content, sha256, imports })
    }
}

/// A place in a file to write to.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Write for At<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let what = "cannot write byte code to a temporary file";
        let fault = |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"));
        self.file.write_all_at(bytes, self.at).map_err(fault)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where byte code of `source` belongs (PEP 3147).
fn pyc_path(source: &PkgPath, cache_tag: &str) -> Result<PkgPath> {
    let name = source.file_name();
    let module = name.strip_suffix(".py").unwrap_or(name);
    let file = format!("__pycache__/{module}.{cache_tag}.pyc");
    match source.parent() {
        Some(dir) => dir.join(&file),
        None => PkgPath::new(&file),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::thread;
    use std::time::Duration;

    use crate::cache::Cache;
    use crate::cache::key::{Key, Kind};
    use crate::host::bytecode::{Compiled, Compiler, Outcome, keep, keys};
    use crate::host::interpreter::find;
    use crate::host::worker::Workers;
    use crate::tree::PkgPath;
    use crate::tree::content::Content;

    #[test]
    fn who_waits_for_another_build_takes_what_it_compiled() {
        const PYTHON: &str = "/usr/bin/python3.11";
        if !Path::new(PYTHON).is_file() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("cache"));
        let interpreter = find(Some(PYTHON), None, &cache).unwrap();
        let (path, content) = (PkgPath::new("opt/a/x.py").unwrap(), Content::bytes("x = 1\n"));
        let sources = [(&path, &content)];
        let compile = || -> Compiled {
            let workers = Workers::new(&interpreter);
            let compiler =
                Compiler { interpreter: &interpreter, workers: &workers, jobs: 1, cache: &cache };
            compiler.compile(&[&sources], tempfile::tempfile().unwrap()).unwrap()
        };
        let keys = keys(&interpreter, &sources).unwrap();
        let lock = cache.lock(&Key::new(Kind::ByteCode, &[keys.outcomes.digest()]));
        assert!(lock.is_some());
        let compiled = thread::scope(|scope| {
            let waiting = scope.spawn(compile);
            thread::sleep(Duration::from_millis(300));
            assert!(!waiting.is_finished());
            keep(&cache, &keys, &[Outcome::Invalid("said by another".to_owned())]).unwrap();
            drop(lock);
            waiting.join().unwrap()
        });
        assert!(compiled.warnings[0].ends_with("said by another"), "{:?}", compiled.warnings);
    }
}
