//! Errors a user can act on, and the exit code each failure ends with.
//!
//! Everything else is an `anyhow::Error` with context. Nothing here prints.

use std::fmt;

/// What kind of failure this is; each kind has one documented exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The answer is no: a gate or comparison failed, or what was asked for is not there.
    Negative,
    /// Usage, configuration or the project is wrong.
    Usage,
    /// Input is unreadable or hostile, output cannot be written, or a program that was run failed.
    Input,
    /// A needed library, symbol version or interpreter could not be resolved.
    Unresolved,
    /// A database is missing, unreadable or too old.
    Stale,
}

impl Kind {
    /// Exit code of the process, as `mkpkg --help` lists it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Negative => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Unresolved => 4,
            Self::Stale => 5,
        }
    }
}

/// Exit code of a failure that mkpkg itself is to blame for.
pub const BUG: u8 = 70;

/// A failure the user can fix, with the next step when there is exactly one.
#[derive(Debug)]
pub struct UserError {
    /// Decides the exit code.
    pub kind: Kind,
    /// What, where and why: a lower-case sentence without a full stop.
    pub message: String,
    /// What to do next, in the imperative.
    pub hint: Option<String>,
}

impl UserError {
    /// An error of kind [`Kind::Negative`].
    pub fn negative(message: impl Into<String>) -> Self {
        Self { kind: Kind::Negative, message: message.into(), hint: None }
    }

    /// An error of kind [`Kind::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into(), hint: None }
    }

    /// An error of kind [`Kind::Input`].
    pub fn input(message: impl Into<String>) -> Self {
        Self { kind: Kind::Input, message: message.into(), hint: None }
    }

    /// An error of kind [`Kind::Unresolved`].
    pub fn unresolved(message: impl Into<String>) -> Self {
        Self { kind: Kind::Unresolved, message: message.into(), hint: None }
    }

    /// An error of kind [`Kind::Stale`].
    pub fn stale(message: impl Into<String>) -> Self {
        Self { kind: Kind::Stale, message: message.into(), hint: None }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for UserError {}

/// Exit code for an error: that of the innermost [`UserError`], 3 for a failed read or write, else [`BUG`].
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(user) = error.downcast_ref::<UserError>() {
        return user.kind.exit_code();
    }
    if error.chain().any(|cause| cause.is::<std::io::Error>()) {
        return Kind::Input.exit_code();
    }
    BUG
}

/// The hint of an error, when it has one.
pub fn hint(error: &anyhow::Error) -> Option<&str> {
    error.downcast_ref::<UserError>()?.hint.as_deref()
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use crate::error::{BUG, UserError, exit_code, hint};

    fn check(error: &anyhow::Error, code: u8, next: Option<&str>) {
        assert_eq!(exit_code(error), code, "{error:#}");
        assert_eq!(hint(error), next);
    }

    #[test]
    fn kinds_survive_context() {
        let usage = Err::<(), _>(UserError::usage("bad name").hint("set `name`"));
        check(&usage.context("cannot load `x`").unwrap_err(), 2, Some("set `name`"));
        check(&UserError::negative("not needed").into(), 1, None);
        check(&UserError::input("truncated").into(), 3, None);
        check(&UserError::unresolved("no interpreter").into(), 4, None);
        check(&UserError::stale("a year old").into(), 5, None);
        let io = Err::<(), _>(std::io::Error::other("full")).context("cannot write `y`");
        check(&io.unwrap_err(), 3, None);
        check(&anyhow!("impossible"), BUG, None);
    }
}
