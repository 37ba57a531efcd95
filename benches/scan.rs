//! Times how compiled files are read and relations derived, and nothing else. `benches/scan.py` runs it and compares.
//!
//! usage: scan WHEELS RUNS
//!
//! Prints one line of JSON a run: seconds of each part, and the relations, for this host.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use mkpkg::backend::deb;
use mkpkg::backend::deb::libraries::{Packages, Request};
use mkpkg::cache::Cache;
use mkpkg::elf::{self, ElfReport};
use mkpkg::facts;
use mkpkg::needs::resolve;
use mkpkg::package::{Floor, Machine};
use mkpkg::tree::content::Content;
use mkpkg::tree::{Entry, PkgPath, Tree};
use mkpkg::wheel::install::{Layout, install};

const JOBS: usize = 2;

fn main() -> Result<()> {
    // Cargo adds flags for harnesses; without wheels there is nothing to time, as when all benches are run as tests.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let [wheels, runs] = arguments.as_slice() else { return Ok(()) };
    let wheels = wheels_of(Path::new(wheels))?;
    for _ in 0..runs.parse().context("RUNS is a number")? {
        let line = run(&wheels)?;
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}

/// The tree of all wheels of a directory, their files still in them.
fn wheels_of(dir: &Path) -> Result<Tree> {
    let paths =
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let layout = Layout { prefix: PkgPath::new("opt/bench")?, minor: "3.11".to_owned() };
    let mut tree = Tree::new();
    for wheel in facts::open(&paths, JOBS, &Cache::none())?.0 {
        tree.extend(install(&wheel, &layout, None)?.tree)?;
    }
    Ok(tree)
}

fn run(tree: &Tree) -> Result<serde_json::Value> {
    let mut seconds = BTreeMap::new();
    let report = timed(&mut seconds, "read and scan, from wheels", || elf::scan(tree, JOBS))?;
    let memory = timed(&mut seconds, "inflate", || in_memory(tree, &report))?;
    let report = timed(&mut seconds, "scan, in memory", || elf::scan(&memory, JOBS))?;
    let files = report.files.len();
    let relations = timed(&mut seconds, "relations", || {
        let needs = resolve(&report, tree, &[]);
        let machine = Machine::from_uname(std::env::consts::ARCH);
        let request = Request {
            packages: Packages::Installed(Path::new("/")),
            floor: Floor::Exact,
            machine,
            jobs: 2,
        };
        deb::libraries(&needs, &request)
    })?;
    let relations: Vec<_> = relations.relations.into_iter().map(|relation| relation.text).collect();
    Ok(serde_json::json!({ "files": files, "seconds": seconds, "relations": relations }))
}

fn timed<T>(
    seconds: &mut BTreeMap<&'static str, f64>,
    part: &'static str,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    let result = work();
    seconds.insert(part, start.elapsed().as_secs_f64());
    result
}

/// The ELF files of `tree`, with one thread.
fn in_memory(tree: &Tree, report: &ElfReport) -> Result<Tree> {
    let mut memory = Tree::new();
    for file in &report.files {
        let Some(Entry::File { content, origin, .. }) = tree.get(&file.path) else { continue };
        let content = Content::bytes(content.read()?);
        memory.insert(file.path.clone(), Entry::file(content, 0o644, &Arc::clone(origin)))?;
    }
    Ok(memory)
}
