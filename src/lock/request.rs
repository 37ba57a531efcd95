//! What a reader of one lock file is asked, and the errors and answers all readers share.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result};

use crate::error::UserError;
use crate::lock::pin::{Pin, is_default, is_plain, normalize_path};
use crate::lock::{Kind, Lock, Roots};
use crate::pep::{Environment, Version, satisfies};
use crate::redact::{located, redact};

/// What a reader of one lock file is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// What errors call the file.
    pub(crate) file: &'a str,
    /// Where relative paths of the file start, itself relative to the project when below it.
    pub(crate) base: &'a Path,
    pub(crate) roots: &'a Roots,
    pub(crate) environment: &'a Environment,
    /// The text of the `pyproject.toml` beside the lock, for formats that do not repeat what the project asks for.
    pub(crate) pyproject: Option<&'a str>,
}

impl Request<'_> {
    /// An error about the file.
    pub(crate) fn fault(&self, message: &str) -> Error {
        self.user_error(message).into()
    }

    /// An error about the file with a next step.
    pub(crate) fn fault_hint(&self, message: &str, hint: &str) -> Error {
        self.user_error(message).hint(hint).into()
    }

    fn user_error(&self, message: &str) -> UserError {
        UserError::usage(format!("cannot use `{}`: {}", self.file, redact(message)))
    }

    /// Names the file in an error from a grammar.
    pub(crate) fn locate(&self, error: &Error) -> Error {
        located(&format!("cannot use `{}`", self.file), error)
    }

    /// Whether a marker holds for the target with `extras` asked for.
    pub(crate) fn applies(&self, marker: &str, extras: &[String]) -> Result<bool> {
        self.environment.evaluate(marker, extras).map_err(|error| self.locate(&error))
    }

    /// The version of the target interpreter.
    pub(crate) fn python(&self) -> Result<Version> {
        self.environment.python_full_version.trim_end_matches('+').parse()
    }

    /// Refuses a lock made for other interpreters than the target's.
    pub(crate) fn check_python(&self, specifiers: &str) -> Result<()> {
        let python = self.python()?;
        if satisfies(&python, specifiers).map_err(|error| self.locate(&error))? {
            return Ok(());
        }
        Err(self.wrong_python(specifiers, &python))
    }

    /// The error for a lock made for other interpreters.
    pub(crate) fn wrong_python(&self, wanted: &str, python: &Version) -> Error {
        self.fault_hint(
            &format!("it is for Python `{wanted}`, the target is Python {python}"),
            "choose another interpreter with `--python`, or lock for this one",
        )
    }

    /// Refuses an extra the project does not have.
    pub(crate) fn check_extras(&self, known: &[&str]) -> Result<()> {
        match self.roots.extras.iter().find(|extra| !known.contains(&extra.as_str())) {
            None => Ok(()),
            Some(extra) if known.is_empty() => {
                Err(self.fault(&format!("it has no extra `{extra}`, nor any other")))
            }
            Some(extra) => Err(self.fault_hint(
                &format!("it has no extra `{extra}`"),
                &format!("choose from: {}, or lock again", known.join(", ")),
            )),
        }
    }

    /// A path of the file as the project sees it; empty for the project itself.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        normalize_path(&self.base.join(path))
    }

    /// A distribution at a path of the file; `None` for the project itself.
    pub(crate) fn local(&self, name: Option<&str>, path: &str) -> Result<Option<Pin>> {
        let path = self.path(path);
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        Pin::path(name, &path).map(Some).map_err(|error| self.locate(&error))
    }

    /// A repository at a commit, tag or branch; `url` may begin with `git+`.
    pub(crate) fn git(
        &self,
        name: &str,
        url: &str,
        at: &str,
        subdirectory: Option<&str>,
    ) -> Result<Pin> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"._/+-".contains(&byte);
        if at.is_empty() || at.starts_with('-') || !at.bytes().all(word) {
            let message = format!("`{}` of `{name}` is not a commit", at.escape_debug());
            return Err(self.fault(&message));
        }
        let url = url.strip_prefix("git+").unwrap_or(url);
        // `git@host:path` is no URL; pip and uv take the form with `ssh://`.
        let url = match (url.contains("://"), url.split_once(':')) {
            (false, Some((host, path))) if host.contains('@') => format!("ssh://{host}/{path}"),
            _ => url.to_owned(),
        };
        let part = subdirectory.map_or_else(String::new, |dir| format!("#subdirectory={dir}"));
        Pin::url(Some(name), &format!("git+{url}@{at}{part}")).map_err(|error| self.locate(&error))
    }

    /// What a lock-file format found, with the options that lead an installer to the indexes of the pins.
    pub(crate) fn lock(&self, kind: Kind, pins: Vec<Pin>) -> Result<Lock> {
        let mut indexes = Vec::new();
        for index in pins.iter().filter_map(|pin| pin.index.as_deref()) {
            if !indexes.contains(&index) {
                indexes.push(index);
            }
        }
        let only = !pins.iter().any(|pin| pin.needs_default_index());
        let options = indexes.iter().filter(|index| !is_default(index));
        let options = options.enumerate().map(|(position, index)| match only && position == 0 {
            true => format!("--index-url {index}"),
            false => format!("--extra-index-url {index}"),
        });
        let options = options.collect();
        Ok(Lock { options, ..Lock::new(kind, pins) })
    }

    /// Checks the address of an index a lock names.
    pub(crate) fn index(&self, url: &str) -> Result<String> {
        match is_plain(url) {
            true => Ok(url.to_owned()),
            false => Err(self.fault(&format!("`{}` is not an index", url.escape_debug()))),
        }
    }
}
