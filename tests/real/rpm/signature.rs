//! Whether rpm takes the signature of a package that mkpkg had signed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::build::only_entry;
use crate::rpm::readers::{self, RELEASES, debian_accepts_signed};
use crate::tools::{output, ready, repository};

const PROGRAMS: [&str; 3] = ["gpg", "gpgconf", "sq"];

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
        output(mkpkg(dir, &self.fingerprint).env("GNUPGHOME", self.home.path()))?;
        only_entry(dir)
    }

    /// A file with the secret part, as sq reads it.
    fn secret(&self) -> Result<PathBuf> {
        let file = self.home.path().join("secret key.asc");
        let armoured = ["--armor", "--export-secret-keys", &self.fingerprint];
        fs::write(&file, output(self.gpg().args(armoured))?)?;
        Ok(file)
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

/// Builds a fixture into `dir`, which is empty, and signs it.
fn mkpkg(dir: &Path, key: &str) -> Command {
    let project = repository().join("fixtures/projects/hatchling-app");
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    mkpkg.arg("rpm").arg(project).arg("-o").arg(dir).args(["--sign", key]);
    mkpkg
}

/// What `mkpkg show` says of signatures is what rpm says: algorithms and the key.
fn is_shown(rpm: &Path) -> Result<()> {
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    let shown = output(mkpkg.arg("show").arg(rpm))?;
    let line = shown.lines().find_map(|line| line.strip_prefix("Signature: "));
    let told = line.and_then(|line| line.strip_suffix(", not verified")).context("no signature")?;
    let (algorithms, key_id) = told.split_once(", key ID ").context("no key ID")?;
    let query = "%|RSAHEADER?{%{RSAHEADER:pgpsig}}:{%{DSAHEADER:pgpsig}}|";
    let known = output(Command::new("rpm").args(["-qp", "--nosignature", "--qf", query]).arg(rpm))?;
    ensure!(known.starts_with(algorithms) && known.ends_with(key_id), "{known}, not {told}");
    Ok(())
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
        is_shown(&rpm)?;
        let by_sq = scratch.path().join(format!("sq {algorithm}"));
        output(&mut mkpkg(&by_sq, &format!("sq:{}", key.secret()?.display())))?;
        let by_sq = only_entry(&by_sq)?;
        is_shown(&by_sq)?;
        bare.push(signed_part(&fs::read(&by_sq)?)?.to_vec());
        for release in RELEASES {
            debian_accepts_signed(release, &rpm, Some(&public)).context(algorithm)?;
            debian_accepts_signed(release, &by_sq, Some(&public)).context("sq")?;
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
    let is_same = bare.windows(2).all(|pair| pair[0] == pair[1]);
    ensure!(is_same, "a signature changes more than its room");
    Ok(())
}
