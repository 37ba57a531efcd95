//! Whether rpm takes the signature of a package that mkpkg had signed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::build::only_entry;
use crate::rpm::readers::{self, RELEASES, debian_accepts_signed};
use crate::tools::{output, ready, repository};

const PROGRAMS: [&str; 2] = ["gpg", "gpgconf"];

/// A throw-away key in a home of its own, which GnuPG's agent leaves at the end.
struct Key {
    home: tempfile::TempDir,
    fingerprint: String,
}

impl Key {
    fn new(algorithm: &str) -> Result<Self> {
        // Short: the agent's socket is in it.
        let home = tempfile::tempdir()?;
        let mut key = Self { home, fingerprint: String::new() };
        let mut make = key.gpg();
        make.args(["--passphrase", "", "--quick-generate-key", "Acme Ops <ops@acme.example>"]);
        output(make.args([algorithm, "sign", "never"]))?;
        let listed = output(key.gpg().args(["--with-colons", "--list-secret-keys"]))?;
        let line = listed.lines().find(|line| line.starts_with("fpr:"));
        let fingerprint = line.and_then(|line| line.split(':').nth(9));
        key.fingerprint = fingerprint.context("gpg made no key")?.to_owned();
        Ok(key)
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", self.home.path()).arg("--batch");
        gpg
    }

    /// A file with the public part.
    fn public(&self) -> Result<PathBuf> {
        let file = self.home.path().join("public.asc");
        fs::write(&file, output(self.gpg().args(["--armor", "--export", &self.fingerprint]))?)?;
        Ok(file)
    }

    /// The package of a fixture in `dir`, which is empty, signed.
    fn signed(&self, dir: &Path) -> Result<PathBuf> {
        let project = repository().join("fixtures/projects/hatchling-app");
        let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
        mkpkg.arg("rpm").arg(project).arg("-o").arg(dir).args(["--sign", &self.fingerprint]);
        output(mkpkg.env("GNUPGHOME", self.home.path()))?;
        only_entry(dir)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        let mut end = Command::new("gpgconf");
        end.env("GNUPGHOME", self.home.path()).args(["--kill", "all"]);
        // It ends by itself when its home is gone, a little later.
        let _ = end.output();
    }
}

/// All of a package but the header with the signature: the next one begins as that did.
fn signed_part(package: &[u8]) -> Result<&[u8]> {
    const MAGIC: &[u8] = &[0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
    let starts = package.windows(8).enumerate().filter(|(_, part)| *part == MAGIC);
    let (second, _) = starts.take(2).last().context("there are two headers")?;
    Ok(&package[second..])
}

#[test]
fn rpm_takes_our_signatures() -> Result<()> {
    let name = "rpm_takes_our_signatures";
    if !ready(name, &PROGRAMS)? || !ready(name, &readers::PROGRAMS)? {
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let mut bare = Vec::new();
    for algorithm in ["rsa2048", "rsa4096", "ed25519"] {
        let key = Key::new(algorithm)?;
        let rpm = key.signed(&scratch.path().join(algorithm))?;
        let public = key.public()?;
        for release in RELEASES {
            debian_accepts_signed(release, &rpm, Some(&public)).context(algorithm)?;
            let told = debian_accepts_signed(release, &rpm, None).err();
            let told = format!("{:#}", told.context("accepted without the key")?);
            ensure!(told.contains("rpm -K failed"), "{release}: {told}");
        }
        // A byte that is signed.
        let mut bytes = fs::read(&rpm)?;
        bare.push(signed_part(&bytes)?.to_vec());
        let at = bytes.windows(12).position(|part| part == b"reproducible");
        bytes[at.context("the build host is in the header")?] = b'R';
        let forged = scratch.path().join("forged.rpm");
        fs::write(&forged, bytes)?;
        let told = debian_accepts_signed("bookworm", &forged, Some(&public)).err();
        ensure!(told.is_some(), "{algorithm}: a forged header is accepted");
    }
    ensure!(bare[0] == bare[1] && bare[1] == bare[2], "a signature changes more than its room");
    Ok(())
}
