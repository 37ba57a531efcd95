//! Packages beyond what the format was made for: more files than 16 bits can count.

use std::fs::File;
use std::process::Command;

use anyhow::{Result, ensure};
use mkpkg::backend::rpm::{Options, write};
use mkpkg::cache::Cache;
use mkpkg::codec::Compression;
use mkpkg::tree::content::Content;
use mkpkg::tree::{Entry, PkgPath, Tree};

use crate::rpm_file::{meta, query, rpm};
use crate::tools::{output, ready};

const FILES: usize = 70_000;

#[test]
fn rpm_takes_more_files_than_sixteen_bits_count() -> Result<()> {
    let name = "rpm_takes_more_files_than_sixteen_bits_count";
    if !ready(name, &["rpm", "rpm2cpio", "cpio", "bsdtar"])? {
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let mut tree = Tree::new();
    for number in 0..FILES {
        let content = Content::bytes(number.to_string());
        let path = PkgPath::new(&format!("opt/acme/{number}"))?;
        tree.insert(path, Entry::file(content, 0o644, &"x".into()))?;
    }
    let package = scratch.path().join("acme.rpm");
    let options = Options { compression: Compression::Zstd(1), threads: 2 };
    let spool = tempfile::tempfile_in(scratch.path())?;
    write(&meta("1.0")?, tree, &options, &Cache::none(), (&mut File::create(&package)?, spool))?;
    let verdict = output(rpm(scratch.path()).arg("-K").arg(&package))?;
    ensure!(verdict.ends_with(": digests OK\n"), "{verdict}");
    let dumped = query(scratch.path(), &package, "--dump")?;
    ensure!(count(&dumped.join("\n")) == FILES, "{} files", dumped.len());
    ensure!(dumped.iter().any(|line| line.starts_with("/opt/acme/69999 5 ")));
    let mut shell = Command::new("sh");
    shell.args(["-ec", "rpm2cpio \"$0\" | cpio -t --quiet"]).arg(&package);
    for list in [output(&mut shell)?, output(Command::new("bsdtar").arg("-tf").arg(&package))?] {
        ensure!(count(&list) == FILES, "{} files", list.lines().count());
    }
    Ok(())
}

/// Files below the prefix in a listing.
fn count(list: &str) -> usize {
    list.lines().filter(|line| line.trim_start_matches(['.', '/']).starts_with("opt/acme/")).count()
}
