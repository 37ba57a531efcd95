//! What an audit says of wheels of PyPI is so: by upstream, by auditwheel, and by the loader of three releases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mkpkg::host::abi::SymbolVersions;
use mkpkg::package::Machine;
use serde::Deserialize;

use crate::pypi::{PYTHON, program, wheels};
use crate::tools::{cache, namespaced, output, ready, repository, rootfs};

const AUDITWHEEL: &str = "auditwheel==6.8.2";

/// The part of a report that is looked at.
#[derive(Deserialize)]
struct Report {
    subject: Subject,
    loads_on: Vec<Loads>,
    components: Vec<Component>,
    elf: Vec<Elf>,
}

#[derive(Deserialize)]
struct Subject {
    name: String,
}

#[derive(Deserialize)]
struct Loads {
    release: String,
    machine: String,
    culprits: Vec<Culprit>,
}

#[derive(Deserialize)]
struct Culprit {
    missing: String,
    files: usize,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    version: String,
    path: String,
    evidence: String,
}

#[derive(Deserialize)]
struct Elf {
    path: String,
}

fn audit(what: &Path) -> Result<Report> {
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    mkpkg.args(["audit", "--json", "--fail-on", "never"]).arg(what);
    let printed = output(&mut mkpkg)?;
    serde_json::from_str(&printed).with_context(|| what.display().to_string())
}

/// The wheels in a directory, sorted.
fn listed(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
    let mut all = entries.collect::<Result<Vec<_>>>()?;
    all.sort();
    Ok(all)
}

/// The wheels whose libraries are known by hand.
fn known_wheels() -> Result<PathBuf> {
    wheels(&repository().join("tests/real/components/wheels.txt"))
}

/// One row of `components/truth.tsv`.
struct Row {
    file: String,
    name: String,
    version: String,
}

/// What is known by hand, by the distribution's name as it is in names of files.
fn truth() -> Result<BTreeMap<String, Vec<Row>>> {
    let text = fs::read_to_string(repository().join("tests/real/components/truth.tsv"))?;
    let mut all: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<_> = line.split('\t').collect();
        let [wheel, file, name, version, _] = fields[..] else { anyhow::bail!("{line}") };
        let [file, name, version] = [file, name, version].map(str::to_owned);
        all.entry(wheel.to_owned()).or_default().push(Row { file, name, version });
    }
    Ok(all)
}

/// Lists of packages have the release behind the version, as in `1.0.9-3.el8`.
fn is_version(told: &str, known: &str) -> bool {
    told == known || told.strip_prefix(known).is_some_and(|rest| rest.starts_with('-'))
}

#[test]
fn native_components_are_what_they_are() -> Result<()> {
    if !ready("native_components_are_what_they_are", &["python3.11"])? {
        return Ok(());
    }
    let truth = truth()?;
    let (mut grafted, mut identified, mut wrong) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for wheel in listed(&known_wheels()?)? {
        let name = wheel.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.split('-').next().unwrap_or_default();
        let rows = truth.get(name).with_context(|| name.to_owned())?;
        let report = audit(&wheel)?;
        let inside =
            |path: &str| path.split_once("/site-packages/").map(|(_, file)| file.to_owned());
        let compiled: BTreeSet<_> = report.elf.iter().filter_map(|elf| inside(&elf.path)).collect();
        grafted.extend(compiled.iter().filter(|file| file.contains(".libs/")).cloned());
        for Component { name, version, path, evidence } in &report.components {
            // What lists say of more than one file is the wheel's own word.
            let Some(file) = inside(path).filter(|file| compiled.contains(file)) else { continue };
            let own: Vec<_> = rows.iter().filter(|row| row.file == file).collect();
            match own.iter().find(|row| is_version(version, &row.version)) {
                Some(row) if row.name == *name || evidence == "sbom" => {
                    // Whose library it is comes first, what is linked into it after that.
                    if own.first().is_some_and(|first| first.name == row.name) {
                        identified.insert(file);
                    }
                }
                Some(_) | None => wrong.push(format!("{file}: {name} {version} by {evidence}")),
            }
        }
    }
    ensure!(wrong.is_empty(), "not so:\n{}", wrong.join("\n"));
    let identified = identified.iter().filter(|file| grafted.contains(*file)).count();
    let (goal, all) = (70, grafted.len());
    ensure!(all > 150 && identified * 100 >= all * goal, "{identified} of {all} are known");
    Ok(())
}

/// The part of what auditwheel says that is looked at.
#[derive(Deserialize)]
struct Judged {
    sym_tag: String,
    versioned_symbols: BTreeMap<String, Vec<String>>,
}

#[test]
fn releases_agree_with_auditwheel() -> Result<()> {
    if !ready("releases_agree_with_auditwheel", &["python3.11"])? {
        return Ok(());
    }
    let auditwheel = program("auditwheel", AUDITWHEEL)?;
    let yardstick = repository().join("fixtures/projects/yardstick/requirements.txt");
    let more = repository().join("tests/real/components/more.txt");
    let (mut judged_wheels, mut faults) = (BTreeSet::new(), Vec::new());
    let dirs = [known_wheels()?, wheels(&yardstick)?, wheels(&more)?];
    let all = dirs.iter().map(|dir| listed(dir)).collect::<Result<Vec<_>>>()?;
    for wheel in all.concat() {
        let name = wheel.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        // auditwheel takes minutes for the largest.
        let is_small = fs::metadata(&wheel)?.len() < 20_000_000;
        if name.ends_with("-any.whl") || !is_small || !judged_wheels.insert(name.clone()) {
            continue;
        }
        let judged = judged(&auditwheel, &wheel, &name)?;
        let report = audit(&wheel)?;
        ensure!(report.loads_on.len() == 33, "{name}: {} releases", report.loads_on.len());
        for Loads { release, machine, culprits } in &report.loads_on {
            ensure!(machine == "x86_64", "{name}: {machine}");
            faults.extend(
                disagreement(&judged, release, culprits).map(|why| format!("{name} {why}")),
            );
        }
    }
    ensure!(judged_wheels.len() >= 40, "{} wheels", judged_wheels.len());
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// What auditwheel says of a wheel, which has a hash in a lock: it takes two seconds, and says the same every time.
fn judged(auditwheel: &Path, wheel: &Path, name: &str) -> Result<Judged> {
    let kept = cache("judged")?.join(format!("{AUDITWHEEL}-{name}.json"));
    if !kept.is_file() {
        let told = output(Command::new(auditwheel).args(["show", "--json"]).arg(wheel))?;
        let part = kept.with_extension("part");
        fs::write(&part, told)?;
        fs::rename(part, &kept)?;
    }
    Ok(serde_json::from_str(&fs::read_to_string(kept)?)?)
}

/// What is told of a release against the tag auditwheel gives, and against the versions it found.
fn disagreement(judged: &Judged, release: &str, culprits: &[Culprit]) -> Option<String> {
    let known = mkpkg::host::release::named(release)?;
    let mut tag = judged.sym_tag.split('_').skip(1).map_while(|part| part.parse::<u32>().ok());
    let promised = (tag.next()?, tag.next()?);
    let versions: BTreeSet<_> = culprits.iter().map(|culprit| culprit.missing.as_str()).collect();
    if known.glibc >= promised && !versions.is_empty() {
        return Some(format!("is {} and does not load on {release}: {versions:?}", judged.sym_tag));
    }
    let offered = SymbolVersions::of(release, Machine::X86_64)?;
    let used = judged.versioned_symbols.values().flatten().map(String::as_str);
    let lacking: BTreeSet<_> = used.filter(|one| offered.defines(one) == Some(false)).collect();
    (lacking != versions).then(|| format!("lacks {lacking:?} on {release}, not {versions:?}"))
}

/// Wheels that are unpacked for the loader, and one that needs a newer glibc than Debian 11 has.
const LOADED: [&str; 9] = [
    "cryptography",
    "h5py",
    "lxml",
    "numpy",
    "pillow",
    "psycopg2_binary",
    "pyproj",
    "rasterio",
    "shiboken6",
];

#[test]
fn releases_agree_with_their_loaders() -> Result<()> {
    let programs = ["unshare", "mmdebstrap", "python3.11"];
    if !ready("releases_agree_with_their_loaders", &programs)? {
        return Ok(());
    }
    let scratch = tempfile::tempdir_in("/var/tmp")?;
    let more = wheels(&repository().join("tests/real/components/more.txt"))?;
    let known = [listed(&known_wheels()?)?, listed(&more)?].concat();
    let mut packages = vec![fixtures(scratch.path())?];
    for name in LOADED {
        let is_it = |wheel: &&PathBuf| {
            let file = wheel.file_name().and_then(|file| file.to_str());
            file.is_some_and(|file| file.split('-').next() == Some(name))
        };
        let wheel = known.iter().find(is_it).with_context(|| name.to_owned())?;
        let dir = scratch.path().join(name);
        let unpacked = dir.join("opt").join(name);
        output(Command::new(PYTHON).args(["-m", "zipfile", "-e"]).arg(wheel).arg(unpacked))?;
        packages.push(dir);
    }
    let reports = packages.iter().map(|dir| audit(dir)).collect::<Result<Vec<_>>>()?;
    let mut refused = 0;
    for (code_name, release) in
        [("bullseye", "debian:11"), ("bookworm", "debian:12"), ("trixie", "debian:13")]
    {
        let mut script = namespaced(repository().join("tests/real/ldd.sh"));
        let printed = output(script.arg(rootfs(code_name)?).args(&packages))?;
        for (dir, report) in packages.iter().zip(&reports) {
            let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let said = said(&printed, name);
            let loads = report
                .loads_on
                .iter()
                .find(|one| one.release == release && one.machine == "x86_64");
            let loads = loads.with_context(|| format!("{} {release}", report.subject.name))?;
            let told: BTreeMap<_, _> =
                loads.culprits.iter().map(|one| (one.missing.clone(), one.files)).collect();
            refused += usize::from(!told.is_empty());
            ensure!(said == told, "{name} on {release}: ldd says {said:?}, the audit {told:?}");
        }
    }
    ensure!((3..30).contains(&refused), "{refused} refusals");
    Ok(())
}

/// How many files of a package lack a version, by version.
fn said(printed: &str, package: &str) -> BTreeMap<String, usize> {
    let mut files: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for line in printed.lines() {
        // PACKAGE <tab> ldd's: FILE: LIBRARY: version `X' not found (required by FILE)
        let Some((_, rest)) = line.split_once('\t').filter(|(of, _)| *of == package) else {
            continue;
        };
        let version = rest.split_once("version `").and_then(|(_, rest)| rest.split_once('\''));
        let file = rest.split_once("(required by ").map(|(_, file)| file.trim_end_matches(')'));
        if let (Some((version, _)), Some(file)) = (version, file) {
            files.entry(version.to_owned()).or_default().insert(file);
        }
    }
    files.into_iter().map(|(version, files)| (version, files.len())).collect()
}

/// The x86-64 files of the ELF fixtures that are linked with the C library, as a package.
fn fixtures(scratch: &Path) -> Result<PathBuf> {
    let dir = scratch.join("fixtures");
    fs::create_dir_all(dir.join("opt/fixtures"))?;
    for name in ["newer.so", "rare.so"] {
        let from = repository().join("fixtures/elf").join(name);
        fs::copy(&from, dir.join("opt/fixtures").join(name))?;
    }
    Ok(dir)
}
