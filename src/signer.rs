//! Signatures that GnuPG makes: keys, passphrases and tokens are its business alone.
//!
//! Knows nothing of what is signed.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::error::UserError;
use crate::exec::{command, failure, run};

const PROGRAM: &str = "gpg";
const HINT: &str = "see `gpg --list-secret-keys`, and name a key by its fingerprint";

/// One who can sign with a key.
#[derive(Clone, Debug)]
pub struct Signer {
    /// How the caller names the key.
    key: String,
}

impl Signer {
    /// Sees that GnuPG is there and has the secret part of `key`, or of what stands for it on a token.
    pub fn new(key: &str) -> Result<Self> {
        if key.trim().is_empty() {
            return Err(UserError::usage("the key to sign with has no name").hint(HINT).into());
        }
        let mut gpg = gpg();
        gpg.args(["--list-secret-keys", "--", key]);
        let finished = run(gpg, &|_| {})?;
        if !finished.status.success() {
            let what = format!("finding the key `{}` with {PROGRAM}", key.escape_debug());
            return Err(failure(&what, &finished).hint(HINT).into());
        }
        Ok(Self { key: key.to_owned() })
    }

    /// A detached signature of all that `data` holds from where it stands: one binary OpenPGP packet.
    pub fn sign(&self, data: File) -> Result<Vec<u8>> {
        let mut gpg = gpg();
        // In one word, so that a key cannot be taken for an option.
        gpg.arg(format!("--local-user={}", self.key));
        gpg.args(["--no-armor", "--digest-algo", "SHA256", "--detach-sign", "--output", "-"]);
        gpg.stdin(Stdio::from(data));
        let finished = run(gpg, &|_| {})?;
        if !finished.status.success() {
            let what = format!("signing with the key `{}`", self.key.escape_debug());
            return Err(failure(&what, &finished).hint(HINT).into());
        }
        if finished.stdout.is_empty() {
            return Err(UserError::input(format!("{PROGRAM} made no signature")).into());
        }
        Ok(finished.stdout)
    }
}

fn gpg() -> Command {
    let mut gpg = command(Path::new(PROGRAM));
    gpg.args(["--batch", "--no-verbose", "--no-secmem-warning"]);
    gpg
}
