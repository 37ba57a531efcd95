//! Compiles Python sources to byte code with the interpreter the package is made for.
//!
//! Reproducible: a file's byte code depends on its content, its final path, and the files compiled before it
//! in the same process (`marshal` shares references between them). So the files are cut into batches by
//! their order alone, and every batch gets a fresh interpreter, however many run at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};

use crate::digest::sha256;
use crate::error::UserError;
use crate::exec::{Running, command, spawn};
use crate::host::interpreter::Interpreter;
use crate::parallel;
use crate::tree::{Content, PkgPath};

/// Files a fresh interpreter compiles. Part of the output's definition: changing it changes byte code.
const BATCH: usize = 64;

const WORKER: &str = include_str!("bytecode.py");

/// A source to compile: its path inside the package, and its content.
pub type Source<'a> = (&'a PkgPath, &'a Content);

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

/// Compiles `sources`, which must be sorted by path, with `jobs` interpreters at a time; byte code goes to `spool`.
pub fn compile(
    interpreter: &Interpreter,
    sources: &[Source<'_>],
    jobs: usize,
    spool: File,
) -> Result<Compiled> {
    let batches: Vec<_> = sources.chunks(BATCH).collect();
    let spool = Spool { file: Arc::new(spool), end: AtomicU64::new(0) };
    let compiled =
        parallel::map(&batches, jobs, |batch| compile_batch(interpreter, batch, &spool))?;
    let mut whole = Compiled::default();
    for compiled in compiled {
        whole.pycs.extend(compiled.pycs);
        whole.warnings.extend(compiled.warnings);
        for (module, files) in compiled.imports {
            whole.imports.entry(module).or_default().extend(files);
        }
    }
    Ok(whole)
}

/// A file that several threads append to.
struct Spool {
    file: Arc<File>,
    end: AtomicU64,
}

impl Spool {
    /// Appends `bytes`, whose digest is `sha256`.
    fn append(&self, bytes: &[u8], sha256: [u8; 32]) -> Result<Content> {
        let len = bytes.len() as u64;
        let offset = self.end.fetch_add(len, Ordering::Relaxed);
        self.file
            .write_all_at(bytes, offset)
            .context("cannot write byte code to a temporary file")?;
        let file = Arc::clone(&self.file);
        Ok(Content::Span {
            file,
            offset,
            stored_len: len,
            len,
            deflated: false,
            sha256: Some(sha256),
        })
    }
}

fn compile_batch(
    interpreter: &Interpreter,
    batch: &[Source<'_>],
    spool: &Spool,
) -> Result<Compiled> {
    let mut worker = Worker::start(interpreter)?;
    let mut compiled = Compiled::default();
    for (path, content) in batch {
        let source = content.read().with_context(|| format!("cannot read `{path}`"))?;
        let reply = worker.ask(path, &source).map_err(|error| {
            let python = interpreter.executable.display();
            UserError::input(format!("`{python}` ended while it compiled `{path}`: {error:#}"))
        })?;
        match reply {
            Reply::Code { pyc, imports } => {
                match pyc_path(path, &interpreter.cache_tag) {
                    Ok(at) => compiled.pycs.push(keep(at, path, &pyc, spool)?),
                    Err(error) => {
                        compiled.warnings.push(format!("`{path}` gets no byte code: {error}"))
                    }
                }
                for module in imports {
                    compiled.imports.entry(module).or_default().push((*path).clone());
                }
            }
            Reply::Invalid(reason) => {
                compiled
                    .warnings
                    .push(format!("`{path}` is not valid Python and gets no byte code: {reason}"));
            }
        }
    }
    worker.end()?;
    Ok(compiled)
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

fn keep(path: PkgPath, source: &PkgPath, pyc: &[u8], spool: &Spool) -> Result<Pyc> {
    let sha256 = sha256(pyc);
    Ok(Pyc { path, source: source.clone(), content: spool.append(pyc, sha256)?, sha256 })
}

enum Reply {
    Code { pyc: Vec<u8>, imports: Vec<String> },
    Invalid(String),
}

struct Worker {
    process: Running,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
}

impl Worker {
    /// Starts the interpreter with an empty environment. `-I` and `-E` would make it ignore the hash seed, on
    /// which byte code of Python 3.9 and 3.10 depends.
    fn start(interpreter: &Interpreter) -> Result<Self> {
        let mut command = command(&interpreter.executable);
        command.env_clear().env("PYTHONHASHSEED", "0").env("LC_ALL", "C.UTF-8").current_dir("/");
        command.args(["-s", "-S", "-B", "-c", WORKER]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = spawn(&mut command)?;
        let stdin = process.child().stdin.take();
        let stdout = process.child().stdout.take().expect("stdout was piped above");
        Ok(Self { process, stdin, stdout })
    }

    fn ask(&mut self, path: &PkgPath, source: &[u8]) -> Result<Reply> {
        let name = path.absolute();
        let mut request = Vec::with_capacity(8 + name.len() + source.len());
        request.extend(u32::try_from(name.len())?.to_le_bytes());
        request.extend(u32::try_from(source.len())?.to_le_bytes());
        request.extend(name.as_bytes());
        request.extend(source);
        self.stdin.as_mut().context("the pipe is closed")?.write_all(&request)?;
        let mut header = [0; 9];
        self.stdout.read_exact(&mut header)?;
        let len = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let body = self.receive(len(1))?;
        let modules = String::from_utf8(self.receive(len(5))?)?;
        match header[0] {
            b'C' => {
                let names = modules.split(',').filter(|name| !name.is_empty());
                Ok(Reply::Code { pyc: body, imports: names.map(str::to_owned).collect() })
            }
            b'E' => Ok(Reply::Invalid(String::from_utf8_lossy(&body).into_owned())),
            other => bail!("answer of kind {other}"),
        }
    }

    fn receive(&mut self, len: u32) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len as usize];
        self.stdout.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn end(mut self) -> Result<()> {
        self.stdin = None;
        self.process.wait().context("cannot wait for the interpreter")?;
        Ok(())
    }
}
