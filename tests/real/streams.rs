//! Streams that are joined of many pieces, judged by the programs that unpack packages: every byte has to come out, because
//! dpkg stops at what it takes for the end without a word.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mkpkg::codec::Compression;
use mkpkg::codec::piece::{PieceWriter, head, pack, tail};
use mkpkg::digest::{hex, sha256};

use crate::tools::{namespaced, output, ready, root};

/// What is in the members of an archive, of which each is a piece.
struct Members(Vec<Vec<u8>>);

/// Bytes that look random; those of a kind of text repeat what was there before.
fn content(seed: usize, len: usize, is_text: bool) -> Vec<u8> {
    let mut random = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 64);
    while bytes.len() < len {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if is_text && bytes.len() > 100 {
            let at = random as usize % (bytes.len() - 64);
            bytes.extend_from_within(at..at + 3 + (random >> 40) as usize % 60);
        }
        bytes.push((random >> 32) as u8);
    }
    bytes.truncate(len);
    bytes
}

fn cases() -> Vec<(&'static str, Members)> {
    let many = |count: usize, len: &dyn Fn(usize) -> usize| {
        Members((0..count).map(|at| content(at, len(at), at % 3 != 0)).collect())
    };
    vec![
        ("one piece", many(1, &|_| 300_000)),
        ("36 pieces", many(36, &|at| at * 17_000)),
        ("5,000 pieces", many(5000, &|at| at % 1300)),
        (
            "pieces larger than a window, and empty ones",
            many(3, &|at| [9_500_000, 0, 12_000_000][at]),
        ),
    ]
}

/// `data.tar` of the members, each packed on its own; and the sum of every file as `sha256sum` writes it.
fn data_tar(members: &Members, compression: Compression) -> Result<(Vec<u8>, String)> {
    let mut stream = head(compression).to_vec();
    let (mut all, mut sums) = (Vec::new(), String::new());
    let last = members.0.len() - 1;
    for (at, content) in members.0.iter().enumerate() {
        let mut piece = tar::Builder::new(Vec::new());
        if at == 0 {
            for dir in ["./", "./opt/", "./opt/streams/"] {
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                header.set_size(0);
                header.as_old_mut().name[..dir.len()].copy_from_slice(dir.as_bytes());
                header.set_cksum();
                piece.append(&header, &[][..])?;
            }
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        piece.append_data(&mut header, format!("opt/streams/{at:04}"), &content[..])?;
        sums += &format!("{}  opt/streams/{at:04}\n", hex(&sha256(content)));
        let mut bytes = piece.into_inner()?;
        if at < last {
            bytes.truncate(bytes.len() - 1024);
        }
        let mut writer = PieceWriter::new(stream, compression, at % 3, bytes.len() as u64)?;
        writer.write_all(&bytes)?;
        let (out, seams) = writer.finish()?;
        stream = out;
        all.push(seams);
    }
    stream.extend(tail(compression, all.iter()));
    Ok((stream, sums))
}

fn deb(data: &[u8], suffix: &str, path: &Path) -> Result<()> {
    let control = "Package: streams\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.example>\nDescription: streams\n";
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(control.len() as u64);
    tar.append_data(&mut header, "control", control.as_bytes())?;
    let control = pack(&tar.into_inner()?, Compression::Gzip(9))?;
    let mut ar = ar::Builder::new(File::create(path)?);
    let data_name = format!("data.tar.{suffix}");
    for (name, bytes) in
        [("debian-binary", &b"2.0\n"[..]), ("control.tar.gz", &control), (&data_name, data)]
    {
        ar.append(&ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64), bytes)?;
    }
    Ok(())
}

/// Whether a command, given a stream, unpacks the archive in it to these files.
fn unpacks(command: &mut Command, dir: &Path, sums: &str) -> Result<()> {
    fs::create_dir_all(dir)?;
    let sums_file = dir.join("sums");
    fs::write(&sums_file, sums)?;
    output(command.current_dir(dir)).with_context(|| format!("{command:?}"))?;
    output(Command::new("sha256sum").args(["--quiet", "--strict", "-c", "sums"]).current_dir(dir))
        .with_context(|| format!("{command:?}"))?;
    fs::remove_dir_all(dir)?;
    Ok(())
}

#[test]
fn joined_streams_are_unpacked_whole() -> Result<()> {
    let programs = [
        "zstd",
        "xz",
        "gzip",
        "tar",
        "bsdtar",
        "dpkg-deb",
        "apt-ftparchive",
        "unshare",
        "mmdebstrap",
    ];
    if !ready("joined_streams_are_unpacked_whole", &programs)? {
        return Ok(());
    }
    let scratch = tempfile::tempdir_in("/var/tmp")?;
    let compressions = [
        (Compression::Zstd(3), "zst", "zstd"),
        (Compression::Xz(1), "xz", "xz"),
        (Compression::Gzip(1), "gz", "gzip"),
    ];
    for (case, members) in cases() {
        for (compression, suffix, program) in compressions {
            let (data, sums) = data_tar(&members, compression)?;
            let file = scratch.path().join(format!("data.tar.{suffix}"));
            fs::write(&file, &data)?;
            output(Command::new(program).arg("-t").arg(&file)).context(case)?;
            let package = scratch.path().join("streams.deb");
            deb(&data, suffix, &package)?;
            let dir = scratch.path().join("out");
            for tar in ["tar", "bsdtar"] {
                unpacks(Command::new(tar).arg("-xf").arg(&file), &dir, &sums).context(case)?;
            }
            unpacks(Command::new("dpkg-deb").arg("-x").arg(&package).arg("."), &dir, &sums)
                .context(case)?;
            is_read_by_archives(&package, members.0.len(), scratch.path()).context(case)?;
            unpacks(Command::new(PYTHON).args(["-c", PYTHON_DEBIAN]).arg(&package), &dir, &sums)
                .context(case)?;
            if case == "36 pieces" {
                on_releases(&package, suffix, &sums, scratch.path())?;
            }
            if suffix == "xz" {
                let list = Command::new("xz").args(["--robot", "--list"]).arg(&file).output()?;
                let list = String::from_utf8_lossy(&list.stdout).into_owned();
                ensure!(
                    list.contains(&format!("file\t1\t{}\t", blocks(&members))),
                    "{case}: {list}"
                );
            }
        }
    }
    Ok(())
}

/// Where python-debian is installed.
const PYTHON: &str = "/usr/bin/python3";
/// Writes all files of a package into this directory.
const PYTHON_DEBIAN: &str = "
import os, sys
from debian.debfile import DebFile
archive = DebFile(sys.argv[1]).data.tgz()
for member in archive:
    if member.isfile():
        os.makedirs(os.path.dirname(member.name), exist_ok=True)
        open(member.name, 'wb').write(archive.extractfile(member).read())
";

/// apt-ftparchive finds the package, and every file in it.
fn is_read_by_archives(package: &Path, files: usize, scratch: &Path) -> Result<()> {
    let dir = scratch.join("archive");
    fs::create_dir_all(&dir)?;
    fs::copy(package, dir.join("streams_1_all.deb"))?;
    let ask = |what: &str| output(Command::new("apt-ftparchive").arg(what).arg(&dir));
    ensure!(ask("packages")?.contains("\nVersion: 1\n"), "apt-ftparchive does not find it");
    let listed = ask("contents")?.lines().filter(|line| line.starts_with("opt/streams/")).count();
    ensure!(listed == files, "apt-ftparchive lists {listed} files of {files}");
    fs::remove_dir_all(dir)?;
    Ok(())
}

/// Every piece is a block of 32 MiB at most.
fn blocks(members: &Members) -> usize {
    members.0.len()
}

/// dpkg of each release unpacks the package, where it knows the compression.
fn on_releases(package: &Path, suffix: &str, sums: &str, scratch: &Path) -> Result<()> {
    fs::write(scratch.join("sums"), sums)?;
    // Of sid the root that judges packages of rpm, too.
    let releases: [(_, &[&str]); 4] =
        [("bullseye", &[]), ("bookworm", &[]), ("trixie", &[]), ("sid", &["rpm"])];
    for (release, packages) in releases {
        if release == "bullseye" && suffix == "zst" {
            continue;
        }
        let script = "mount --bind \"$2\" \"$1/mnt\" && chroot \"$1\" sh -ec '
            rm -rf /mnt/out && dpkg-deb -x /mnt/streams.deb /mnt/out
            cd /mnt/out && sha256sum --quiet --strict -c /mnt/sums && rm -rf /mnt/out'";
        let mut command = namespaced("sh");
        command.args(["-ec", script, "sh"]).arg(root(release, packages)?).arg(scratch);
        output(&mut command).with_context(|| format!("{} on {release}", package.display()))?;
    }
    Ok(())
}
