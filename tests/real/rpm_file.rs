//! rpm and others read our .rpm files as mkpkg does, install them, find nothing changed, and leave nothing behind.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mkpkg::backend::rpm::{self, Options};
use mkpkg::cache::Cache;
use mkpkg::codec::Compression;
use mkpkg::lifecycle::Lifecycle;
use mkpkg::package::{PackageMeta, PackageName};
use mkpkg::tree::content::Content;
use mkpkg::tree::{Entry, PkgPath, Tree};
use serde_json::Value;

use crate::build::only_entry;
use crate::tools::{namespaced, output, ready, repository, rootfs};

/// The package of a fixture in `dir`, which is empty.
fn package(project: &str, dir: &Path, options: &[&str]) -> Result<PathBuf> {
    let project = repository().join("fixtures/projects").join(project);
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    output(mkpkg.arg("rpm").arg(project).arg("-o").arg(dir).args(options))?;
    only_entry(dir)
}

/// `rpm` with a database nobody else has.
pub(crate) fn rpm(home: &Path) -> Command {
    let mut rpm = Command::new("rpm");
    rpm.arg("--dbpath").arg(home.join("db")).env("HOME", home).env("LC_ALL", "C.UTF-8");
    rpm
}

pub(crate) fn query(home: &Path, package: &Path, what: &str) -> Result<Vec<String>> {
    let printed = output(rpm(home).args(["-qp", what]).arg(package))?;
    Ok(printed.lines().map(str::to_owned).collect())
}

fn shown(package: &Path) -> Result<Value> {
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    Ok(serde_json::from_str(&output(mkpkg.args(["show", "--json"]).arg(package))?)?)
}

/// Values of the fields whose names begin with `name`, sorted.
fn fields(shown: &Value, name: &str) -> Vec<String> {
    let fields = shown["fields"].as_array().into_iter().flatten();
    let pairs = fields.filter_map(|field| Some((field[0].as_str()?, field[1].as_str()?)));
    let mut values: Vec<_> =
        pairs.filter(|(key, _)| key.starts_with(name)).map(|(_, value)| value.to_owned()).collect();
    values.sort();
    values
}

#[test]
fn rpm_reads_what_we_read() -> Result<()> {
    if !ready("rpm_reads_what_we_read", &["rpm", "rpm2cpio", "cpio", "bsdtar"])? {
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let home = scratch.path();
    for (project, compression) in
        [("acme-web", "zstd:3"), ("hatchling-app", "xz:0"), ("flit-app", "gzip:1")]
    {
        let package = package(project, &home.join(project), &["--compression", compression])?;
        rpm_agrees(home, &package).context(compression)?;
    }
    Ok(())
}

/// rpm, cpio and libarchive say of a package what we say: digests, relations, scripts, and every fact of every file.
pub(crate) fn rpm_agrees(home: &Path, package: &Path) -> Result<()> {
    let shown = shown(package)?;
    let verdict = output(rpm(home).arg("-Kv").arg(package))?;
    let digests = ["Header SHA256", "Header SHA1", "Payload SHA256"];
    let good = |name: &&str| verdict.contains(&format!("{name} digest: OK"));
    ensure!(digests.iter().all(good) && !verdict.contains("BAD"), "{verdict}");
    for (option, name) in [("--requires", "Requires"), ("--provides", "Provides")] {
        let mut known = query(home, package, option)?;
        known.sort();
        ensure!(known == fields(&shown, name), "{option}: {known:#?}");
    }
    let scripts = query(home, package, "--scripts")?.join("\n");
    let script = shown["scripts"]["postun"].as_str().context("there is a script")?;
    let body = script.trim_start_matches("#!/bin/sh\n").trim_end();
    ensure!(scripts.contains("postuninstall scriptlet (using /bin/sh)"), "{scripts}");
    ensure!(scripts.contains(body), "{scripts}");
    let dumped = dumped(&query(home, package, "--dump")?)?;
    compare_files(&dumped, &shown)?;
    let mut bsdtar = Command::new("bsdtar");
    bsdtar.env("LC_ALL", "C.UTF-8");
    let mut lists = vec![output(bsdtar.arg("-tf").arg(package))?];
    let mut shell = Command::new("sh");
    shell.args(["-ec", "rpm2cpio \"$0\" | cpio -t --quiet"]).arg(package);
    lists.push(output(&mut shell)?);
    for list in lists {
        let mut names: Vec<_> = list.lines().map(|name| name.trim_start_matches('.')).collect();
        names.sort_unstable();
        ensure!(names == dumped.keys().collect::<Vec<_>>(), "{names:#?}");
    }
    Ok(())
}

/// Lines of `rpm -qp --dump` by path: path size mtime digest mode owner group isconfig isdoc rdev symlink.
fn dumped(lines: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
    let mut files = BTreeMap::new();
    for line in lines {
        // From the right: a path may hold blanks.
        let mut words: Vec<_> = line.rsplitn(11, ' ').map(str::to_owned).collect();
        words.reverse();
        files.insert(words.first().context("an empty line")?.clone(), words);
    }
    Ok(files)
}

fn compare_files(dumped: &BTreeMap<String, Vec<String>>, shown: &Value) -> Result<()> {
    let mut count = 0;
    for file in shown["files"].as_array().into_iter().flatten() {
        let text = |key: &str| file[key].as_str().unwrap_or_default();
        let (path, kind) = (text("path"), text("kind"));
        let Some(words) = dumped.get(path) else {
            // Directories of the system are in no list; files cannot be installed without them.
            ensure!(kind == "dir", "`{path}` is not listed");
            continue;
        };
        count += 1;
        let mode = u32::from_str_radix(&words[4], 8)? & 0o7777;
        ensure!(format!("{mode:04o}") == text("mode"), "{words:?} {file}");
        ensure!(words[5..7] == ["root", "root"], "{words:?}");
        ensure!((words[7] == "1") == (kind == "config"), "{words:?} {file}");
        if kind == "link" {
            ensure!(words[10] == text("target"), "{words:?} {file}");
        } else if kind != "dir" {
            ensure!(words[3] == text("sha256"), "{words:?} {file}");
            ensure!(Some(words[1].parse()?) == file["size"].as_u64(), "{words:?} {file}");
        }
    }
    ensure!(count == dumped.len(), "{count} of {} files are shown", dumped.len());
    Ok(())
}

#[test]
fn rpm_installs_and_leaves_nothing() -> Result<()> {
    if !ready("rpm_installs_and_leaves_nothing", &["rpm", "unshare", "mmdebstrap"])? {
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let old = package("hatchling-app", &scratch.path().join("old"), &[])?;
    let new = package("hatchling-app", &scratch.path().join("new"), &["--release", "2"])?;
    let mut script = namespaced(repository().join("tests/real/rpm_file.sh"));
    output(script.arg(rootfs("bookworm")?).arg(old).arg(new).arg("/opt/hatchling-app")).map(drop)
}

/// Versions as PEP 440 orders them, earliest first; every pair of them is asked.
const VERSIONS: [&str; 27] = [
    "1.0.dev1",
    "1.0.dev1+g12",
    "1.0.dev2",
    "1.0.dev10",
    "1.0a1.dev1",
    "1.0a1",
    "1.0a2",
    "1.0a10",
    "1.0b1.dev3",
    "1.0b1",
    "1.0rc1.dev1",
    "1.0rc1",
    "1.0rc1+local",
    "1.0rc1.post1.dev2",
    "1.0rc1.post1",
    "1.0rc2",
    "1.0",
    "1.0+abc",
    "1.0+5",
    "1.0+5.1",
    "1.0.post1.dev1",
    "1.0.post1",
    "1.0.post1+abc",
    "1.0.post2",
    "1.0.1",
    "1.10",
    "1!0.1",
];

#[test]
fn rpm_orders_versions_as_pip_does() -> Result<()> {
    if !ready("rpm_orders_versions_as_pip_does", &["rpm"])? {
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let mut asked = Vec::new();
    for (at, left) in VERSIONS.iter().enumerate() {
        for right in &VERSIONS[at + 1..] {
            let order = left.parse::<mkpkg::pep::Version>()?.cmp(&right.parse()?);
            ensure!(order == Ordering::Less, "{left} {right}");
            asked.push((version(left)?, version(right)?));
        }
    }
    ensure!(asked.len() > 300, "{} pairs", asked.len());
    let line = |(left, right): &(String, String)| format!("a[#a+1]=rpm.vercmp('{left}','{right}')");
    let script: Vec<_> = asked.iter().map(line).collect();
    let lua = format!("%{{lua:local a={{}} {} print(table.concat(a,' '))}}", script.join(" "));
    let answers = output(rpm(scratch.path()).args(["--eval", &lua]))?;
    let answers: Vec<_> = answers.split_whitespace().collect();
    ensure!(answers.len() == asked.len(), "{} answers", answers.len());
    let wrong: Vec<_> = asked.iter().zip(answers).filter(|(_, answer)| *answer != "-1").collect();
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

/// The version rpm sees.
fn version(version: &str) -> Result<String> {
    Ok(rpm::version(&meta(version)?))
}

pub(crate) fn meta(version: &str) -> Result<PackageMeta> {
    Ok(PackageMeta {
        name: PackageName::new("acme")?,
        version: version.parse()?,
        release: "1".to_owned(),
        machine: None,
        summary: "shop".to_owned(),
        description: Vec::new(),
        licence: String::new(),
        homepage: None,
        maintainer: "Ann <ann@acme.example>".to_owned(),
        prefix: PkgPath::new("opt/acme")?,
        epoch: 0,
        relations: Vec::new(),
        bundled: Vec::new(),
        lifecycle: Lifecycle::default(),
    })
}

/// The format has 32 bits for the size of a file; rpm has another form for those that are longer.
#[test]
fn files_of_more_than_four_gibibytes() -> Result<()> {
    if !ready("files_of_more_than_four_gibibytes", &["rpm", "unshare"])? {
        return Ok(());
    }
    let scratch = tempfile::tempdir_in("/var/tmp")?;
    let hole = scratch.path().join("hole");
    fs::File::create(&hole)?.set_len(LEN)?;
    let mut tree = Tree::new();
    let content = Content::Path { path: hole, len: LEN, sha256: None };
    tree.insert(PkgPath::new("opt/acme/large")?, Entry::file(content, 0o644, &"x".into()))?;
    let small = Entry::file(Content::bytes("x"), 0o644, &"x".into());
    tree.insert(PkgPath::new("opt/acme/small")?, small)?;
    let package = scratch.path().join("acme.rpm");
    let mut out = fs::File::create(&package)?;
    let spool = tempfile::tempfile_in(scratch.path())?;
    let options = Options { compression: Compression::Zstd(1), threads: 2 };
    rpm::write(&meta("1.0")?, tree, &options, &Cache::none(), (&mut out, spool))?;
    let home = scratch.path();
    let verdict = output(rpm(home).arg("-K").arg(&package))?;
    ensure!(verdict.ends_with(": digests OK\n"), "{verdict}");
    ensure!(query(home, &package, "--requires")?.contains(&LARGE_FILES.to_owned()));
    let dumped = dumped(&query(home, &package, "--dump")?)?;
    ensure!(dumped["/opt/acme/large"][1] == LEN.to_string(), "{dumped:?}");
    ensure!(dumped["/opt/acme/small"][1] == "1", "{dumped:?}");
    // rpm unpacks it, and finds what the header says.
    let installed = home.join("root");
    for (option, what) in [("--install", package.as_path()), ("--verify", Path::new("acme"))] {
        let mut rpm = Command::new("rpm");
        rpm.arg("--root").arg(&installed).env("HOME", home);
        rpm.args([option, "--force-debian", "--nodeps", "--noscripts"]).arg(what);
        let said = output(&mut rpm)?;
        ensure!(said.is_empty(), "{said}");
    }
    ensure!(fs::metadata(installed.join("opt/acme/large"))?.len() == LEN);
    Ok(())
}

/// One byte more than fits, all of them zero.
const LEN: u64 = (4 << 30) + 1;
const LARGE_FILES: &str = "rpmlib(LargeFiles) <= 4.12.0-1";

/// What rpmbuild writes is read, with every compression this rpm can write, hard links and ghosts included.
#[test]
fn packages_of_rpmbuild_are_read() -> Result<()> {
    if !ready("packages_of_rpmbuild_are_read", &["rpmbuild", "rpm2cpio", "cpio"])? {
        return Ok(());
    }
    let scratch = tempfile::tempdir()?;
    let spec = scratch.path().join("tiny.spec");
    fs::write(&spec, SPEC)?;
    for (payload, compression) in [
        ("w9.gzdio", "gzip"),
        ("w2.xzdio", "xz"),
        ("w3.zstdio", "zstd"),
        ("w2.lzdio", "lzma"),
        ("w9.bzdio", "bzip2"),
        ("w.ufdio", "none"),
    ] {
        let top = scratch.path().join(compression);
        let mut rpmbuild = Command::new("rpmbuild");
        rpmbuild.arg("-bb").arg("--quiet").env("HOME", scratch.path());
        rpmbuild.arg("--define").arg(format!("_topdir {}", top.display()));
        rpmbuild.arg("--define").arg(format!("_binary_payload {payload}")).arg(&spec);
        output(&mut rpmbuild)?;
        let package = only_entry(&top.join("RPMS/noarch"))?;
        let shown = shown(&package)?;
        ensure!(shown["compression"] == compression, "{shown}");
        let mut dumped = dumped(&query(scratch.path(), &package, "--dump")?)?;
        dumped.remove("/opt/tiny/ghost").context("rpm lists the ghost")?;
        compare_files(&dumped, &shown)?;
        compare_archive(&package, &shown).context(compression)?;
        for (option, name) in [("--requires", "Requires"), ("--provides", "Provides")] {
            let mut known = query(scratch.path(), &package, option)?;
            known.sort();
            ensure!(known == fields(&shown, name), "{compression}: {option}: {known:#?}");
        }
    }
    Ok(())
}

/// cpio lists the files that are shown, with the same types, modes, sizes and targets.
fn compare_archive(package: &Path, shown: &Value) -> Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-ec", "rpm2cpio \"$0\" | cpio -tv --quiet"]).arg(package).env("LC_ALL", "C");
    let mut listed: Vec<_> = output(&mut shell)?.lines().filter_map(line_of_cpio).collect();
    listed.sort();
    let mut expected = Vec::new();
    for file in shown["files"].as_array().into_iter().flatten() {
        let text = |key: &str| file[key].as_str().unwrap_or_default();
        let kind = match text("kind") {
            "dir" => "d",
            "link" => "l",
            _ => "-",
        };
        let bits = u32::from_str_radix(text("mode"), 8)?;
        let bit = |(at, letter)| if bits >> (8 - at) & 1 == 1 { letter } else { '-' };
        let mode: String = "rwxrwxrwx".chars().enumerate().map(bit).collect();
        let size = file["size"].as_u64().unwrap_or(text("target").len() as u64).to_string();
        expected.push([format!("{kind}{mode}"), size, text("path").into(), text("target").into()]);
    }
    // In a set of hard links only the last has content.
    let is_same = |one: &[String; 4], other: &[String; 4]| {
        one[0] == other[0] && one[2..] == other[2..] && (one[1] == other[1] || one[1] == "0")
    };
    for line in &listed {
        ensure!(expected.iter().any(|file| is_same(line, file)), "{line:?}");
    }
    // Directories of the system are in no archive.
    expected.retain(|file| !file[0].starts_with('d'));
    let files = listed.iter().filter(|line| !line[0].starts_with('d')).count();
    ensure!(files == expected.len(), "{listed:#?}");
    Ok(())
}

/// Type and mode, size, path and target of a line of `cpio -tv`, such as
/// `lrwxrwxrwx   1 root     root            3 Jan  1  2026 ./opt/tiny/link -> one`.
fn line_of_cpio(line: &str) -> Option<[String; 4]> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (_, name) = line.split_once(" .")?;
    let (path, target) = name.split_once(" -> ").unwrap_or((name, ""));
    let [mode, size] = [words.first()?, words.get(4)?].map(|word| (*word).to_owned());
    Some([mode, size, path.to_owned(), target.to_owned()])
}

const SPEC: &str = "
Name: tiny
Version: 1.0~rc1
Release: 1
Epoch: 3
Summary: tiny
License: MIT
BuildArch: noarch
Requires(pre): coreutils
Recommends: nginx >= 1
%description
tiny
%install
mkdir -p %{buildroot}/opt/tiny %{buildroot}/etc
echo one > %{buildroot}/opt/tiny/one
ln %{buildroot}/opt/tiny/one %{buildroot}/opt/tiny/two
ln -s one %{buildroot}/opt/tiny/link
echo empty > %{buildroot}/opt/tiny/ghost
: > %{buildroot}/opt/tiny/empty
echo x > %{buildroot}/etc/tiny.conf
%preun
echo bye
%files
%dir /opt/tiny
/opt/tiny/one
/opt/tiny/two
/opt/tiny/link
/opt/tiny/empty
%ghost /opt/tiny/ghost
%config(noreplace) /etc/tiny.conf
";
