//! The process that compiles Python sources, and how it is talked to.

use std::io::{Read, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::error::UserError;
use crate::exec::{Running, command, spawn};
use crate::host::interpreter::Interpreter;
use crate::tree::PkgPath;
use crate::tree::content::Content;

/// What runs in the interpreter. Part of the output's definition: changing it can change byte code.
pub const PROGRAM: &str = include_str!("bytecode.py");

/// A source to compile: its path inside the package, and its content.
pub type Source<'a> = (&'a PkgPath, &'a Content);

/// What compiling one source gave.
#[derive(Debug)]
pub enum Reply {
    /// Byte code, and modules that distributions split off the standard library and that are imported at once.
    Code {
        /// The content of a `.pyc` file.
        pyc: Vec<u8>,
        /// Names of modules.
        imports: Vec<String>,
    },
    /// It is not valid Python, and why.
    Invalid(String),
}

impl Reply {
    /// The byte code, as far as there is any.
    pub fn code(&self) -> &[u8] {
        match self {
            Self::Code { pyc, .. } => pyc,
            Self::Invalid(_) => &[],
        }
    }
}

/// Interpreters that wait for work; no more are started than work at once.
#[derive(Debug)]
pub struct Workers<'a> {
    interpreter: &'a Interpreter,
    idle: Mutex<Vec<Worker>>,
}

impl<'a> Workers<'a> {
    /// None yet.
    pub fn new(interpreter: &'a Interpreter) -> Self {
        Self { interpreter, idle: Mutex::new(Vec::new()) }
    }

    /// One that starts while other things are done. If it does not, whoever needs it is told why.
    pub fn ahead(interpreter: &'a Interpreter) -> Self {
        let worker = Worker::start(interpreter).ok();
        Self { interpreter, idle: Mutex::new(worker.into_iter().collect()) }
    }

    /// Compiles `batch` in a process that has compiled nothing before; `take` gets each reply as it comes.
    pub fn compile(
        &self,
        batch: &[Source<'_>],
        mut take: impl FnMut(Reply) -> Result<()>,
    ) -> Result<()> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = idle.map_or_else(|| Worker::start(self.interpreter), Ok)?;
        let fault = |path: &PkgPath, error: anyhow::Error| {
            let python = self.interpreter.executable.display();
            UserError::input(format!("`{python}` ended while it compiled `{path}`: {error:#}"))
        };
        for (at, (path, content)) in batch.iter().enumerate() {
            let mut source = Vec::new();
            let read = content.open_vouched().and_then(|mut file| file.read_to_end(&mut source));
            read.with_context(|| format!("cannot read `{path}`"))?;
            let begun = if at == 0 { worker.send(BEGIN) } else { Ok(()) };
            let reply = begun.and_then(|()| worker.ask(path, &source));
            take(reply.map_err(|error| fault(path, error))?)?;
        }
        if let Some((path, _)) = batch.last() {
            worker.send(END).map_err(|error| fault(path, error))?;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        Ok(())
    }

    /// Waits for the end of all.
    pub fn end(self) -> Result<()> {
        let idle = self.idle.into_inner().unwrap_or_else(PoisonError::into_inner);
        idle.into_iter().try_for_each(Worker::end)
    }
}

/// Begins a batch.
const BEGIN: &[u8] = b"B";
/// A source without a name and without content: ends a batch.
const END: &[u8] = &[0; 8];

#[derive(Debug)]
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
        command.args(["-s", "-S", "-B", "-c", PROGRAM]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = spawn(&mut command)?;
        let stdin = process.child().stdin.take();
        let stdout = process.child().stdout.take().expect("stdout was piped above");
        Ok(Self { process, stdin, stdout })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stdin.as_mut().context("the pipe is closed")?.write_all(bytes)?)
    }

    fn ask(&mut self, path: &PkgPath, source: &[u8]) -> Result<Reply> {
        let name = path.absolute();
        let mut request = Vec::with_capacity(8 + name.len() + source.len());
        request.extend(u32::try_from(name.len())?.to_le_bytes());
        request.extend(u32::try_from(source.len())?.to_le_bytes());
        request.extend(name.as_bytes());
        request.extend(source);
        self.send(&request)?;
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
