//! Signatures that GnuPG or Sequoia's `sq` make: keys, passphrases and tokens are their business alone.
//!
//! Knows nothing of what is signed, and never opens a key.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::error::UserError;
use crate::exec::{Finished, command, failure, run};

/// One who can sign with a key.
#[derive(Clone, Debug)]
pub struct Signer {
    /// How its program names the key.
    key: String,
    program: Program,
}

/// Who has the key.
#[derive(Clone, Debug)]
enum Program {
    /// GnuPG.
    Gpg,
    /// Sequoia, with the options that its version has.
    Sq(Vec<String>),
}

impl Signer {
    /// Sees that the program is there and has the secret part of `key`, or of what stands for it on a token.
    ///
    /// `sq:` in front of a key says whose it is; without, it is GnuPG's.
    pub fn new(key: &str) -> Result<Self> {
        let (key, is_of_sq) = match key.strip_prefix("sq:") {
            Some(key) => (key, true),
            None => (key, false),
        };
        let program = if is_of_sq { Program::Sq(Vec::new()) } else { Program::Gpg };
        let hint = program.hint();
        if key.trim().is_empty() {
            return Err(UserError::usage("the key to sign with has no name").hint(hint).into());
        }
        let program = match program {
            Program::Gpg => find_in_gpg(key).map(|()| Program::Gpg),
            Program::Sq(_) => find_in_sq(key).map(Program::Sq),
        };
        Ok(Self { key: key.to_owned(), program: program? })
    }

    /// A detached signature of all that `data` holds from where it stands: one binary OpenPGP packet.
    pub fn sign(&self, data: File) -> Result<Vec<u8>> {
        let mut command = match &self.program {
            Program::Gpg => {
                let mut gpg = gpg();
                // In one word, so that a key cannot be taken for an option.
                gpg.arg(format!("--local-user={}", self.key));
                gpg.args(["--no-armor", "--digest-algo", "SHA256", "--detach-sign"]);
                gpg.args(["--output", "-"]);
                gpg
            }
            Program::Sq(options) => {
                let mut sq = sq();
                sq.arg("sign").args(options);
                sq
            }
        };
        command.stdin(Stdio::from(data));
        let finished = run(command, &|_| {})?;
        let name = self.program.name();
        if !finished.status.success() {
            let what = format!("signing with the key `{}` of {name}", self.key.escape_debug());
            return Err(failure(&what, &finished).hint(self.program.hint_to_unlock()).into());
        }
        if finished.stdout.is_empty() {
            return Err(UserError::input(format!("{name} made no signature")).into());
        }
        Ok(finished.stdout)
    }
}

impl Program {
    fn name(&self) -> &'static str {
        match self {
            Self::Gpg => "gpg",
            Self::Sq(_) => "sq",
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Gpg => "see `gpg --list-secret-keys`, and name a key by its fingerprint",
            Self::Sq(_) => {
                "name the file of a secret key, or the fingerprint of one that `sq key list` shows"
            }
        }
    }

    /// What to do about a key that is there and does not sign: mostly its passphrase cannot be asked for.
    fn hint_to_unlock(&self) -> &'static str {
        match self {
            Self::Gpg => {
                "on a terminal, `export GPG_TTY=$(tty)`; elsewhere, gpg's agent must have the passphrase"
            }
            Self::Sq(_) => {
                "name the file of a secret key; sq asks for a passphrase on a terminal only"
            }
        }
    }

    fn not_found(&self, key: &str, finished: &Finished) -> anyhow::Error {
        let what = format!("finding the key `{}` with {}", key.escape_debug(), self.name());
        failure(&what, finished).hint(self.hint()).into()
    }
}

fn find_in_gpg(key: &str) -> Result<()> {
    let mut gpg = gpg();
    gpg.args(["--list-secret-keys", "--", key]);
    let finished = run(gpg, &|_| {})?;
    if finished.status.success() { Ok(()) } else { Err(Program::Gpg.not_found(key, &finished)) }
}

/// The options that make sq sign with `key`.
fn find_in_sq(key: &str) -> Result<Vec<String>> {
    let mut help = sq();
    help.args(["sign", "--help"]);
    let help = run(help, &|_| {})?;
    let options = sq_options(&String::from_utf8_lossy(&help.stdout), key)?;
    if !is_fingerprint(key) {
        if Path::new(key).is_file() {
            return Ok(options);
        }
        let message = format!("there is no file `{}` with a key", key.escape_debug());
        return Err(UserError::input(message).hint(Program::Sq(options).hint()).into());
    }
    let mut list = sq();
    list.args(["key", "list"]).arg(format!("--cert={key}"));
    let finished = run(list, &|_| {})?;
    if finished.status.success() {
        return Ok(options);
    }
    Err(Program::Sq(options).not_found(key, &finished))
}

/// Whether `key` is one of sq's store: what is anything else is a file.
fn is_fingerprint(key: &str) -> bool {
    matches!(key.len(), 16 | 40 | 64) && key.bytes().all(|at| at.is_ascii_hexdigit())
}

/// The options of `sq sign`, whose names changed on the way to 1.0: its help tells which ones it has.
fn sq_options(help: &str, key: &str) -> Result<Vec<String>> {
    let has = |option: &str| help.split_whitespace().any(|word| word == option);
    let signer = match (is_fingerprint(key), has("--signer-file")) {
        (true, _) if has("--signer") => "--signer",
        (true, _) => {
            let message = format!("this sq keeps no keys, so it has none called `{key}`");
            return Err(UserError::input(message)
                .hint("name the file of the key, or install sq 1.0 or newer")
                .into());
        }
        (false, true) => "--signer-file",
        (false, false) => "--signer-key",
    };
    let detached = if has("--signature-file") { "--signature-file=-" } else { "--detached" };
    Ok(vec!["--binary".to_owned(), detached.to_owned(), format!("{signer}={key}")])
}

fn gpg() -> Command {
    let mut gpg = command(Path::new("gpg"));
    gpg.args(["--batch", "--no-verbose", "--no-secmem-warning"]);
    gpg
}

fn sq() -> Command {
    command(Path::new("sq"))
}

#[cfg(test)]
mod tests {
    use crate::signer::sq_options;

    const OLD: &str = "        --detached\n        --signer-key <KEY>\n";
    const NEW: &str =
        "  --signature-file <SIG>\n  --signer <FINGERPRINT|KEYID>\n  --signer-file <PATH>\n";
    const KEY: &str = "598D7AB7A1459C2BAD8C8A7B1D1BB95CDD553ADA";

    fn check(help: &str, key: &str, expected: Option<&str>) {
        let options = sq_options(help, key).ok().map(|options| options.join(" "));
        assert_eq!(options.as_deref(), expected);
    }

    #[test]
    fn options_of_old_and_new_sq() {
        check(OLD, "-a b", Some("--binary --detached --signer-key=-a b"));
        check(OLD, KEY, None);
        check(NEW, "a.pgp", Some("--binary --signature-file=- --signer-file=a.pgp"));
        let by_name = format!("--binary --signature-file=- --signer={KEY}");
        check(NEW, KEY, Some(&by_name));
    }
}
