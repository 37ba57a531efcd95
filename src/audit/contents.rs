//! The one read of every file: whatever asks for its bytes is asked while they are there.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::audit::components::{Clues, Known, clues};
use crate::audit::finding::Finding;
use crate::audit::leaks::Leaks;
use crate::audit::secrets::Secrets;
use crate::digest::{Hasher, sha256};
use crate::elf::{self, ElfFacts, ElfFile, ElfReport};
use crate::parallel;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};

/// What the bytes of the files tell.
pub(super) struct Contents {
    /// SHA-256 of every file.
    pub(super) digests: BTreeMap<PkgPath, [u8; 32]>,
    /// The compiled files.
    pub(super) elf: ElfReport,
    /// What they tell of components, in their order.
    pub(super) clues: Vec<Clues>,
    /// What files give away.
    pub(super) findings: Vec<Finding>,
}

/// Larger files are data, and not searched.
const MAX_SEARCHED: u64 = 16 << 20;
/// How much of a file is looked at to tell whether it is text.
const PEEK: usize = 1024;

/// What searches files; one is made for all of them.
struct Searches {
    leaks: Leaks,
    secrets: Secrets,
}

/// What the bytes of one file tell.
struct Told {
    sha256: [u8; 32],
    compiled: Option<(Result<ElfFacts, String>, Clues)>,
    findings: Vec<Finding>,
}

/// Reads every file once. Compiled files are held whole, as many as there are jobs.
pub(super) fn read(tree: &Tree, jobs: usize) -> Result<Contents> {
    let files: Vec<_> = tree.files().collect();
    let searches = Searches { leaks: Leaks::new(), secrets: Secrets::new() };
    let told = parallel::map(&files, jobs, |(path, content, _)| {
        tell(&searches, tree, path, content).with_context(|| format!("cannot read `{path}`"))
    })?;
    let (mut digests, mut elf, mut all) = (BTreeMap::new(), ElfReport::default(), Vec::new());
    let mut findings = Vec::new();
    for ((path, ..), told) in files.into_iter().zip(told) {
        digests.insert(path.clone(), told.sha256);
        findings.extend(told.findings);
        if let Some((facts, clues)) = told.compiled {
            elf.files.push(ElfFile { path: path.clone(), facts });
            all.push(clues);
        }
    }
    Ok(Contents { digests, elf, clues: all, findings })
}

/// What the compiled files of `elf` tell of components, in their order.
pub(super) fn clues_of(
    tree: &Tree,
    elf: &ElfReport,
    jobs: usize,
    known: Known<'_>,
) -> Result<Vec<Clues>> {
    parallel::map(&elf.files, jobs, |file| {
        let Some(Entry::File { content, .. }) = tree.get(&file.path) else { return Ok(clues(&[])) };
        if let Some(known) = known(content) {
            return Ok(known);
        }
        let bytes = content.read().with_context(|| format!("cannot read `{}`", file.path))?;
        Ok(clues(&bytes))
    })
}

fn tell(searches: &Searches, tree: &Tree, path: &PkgPath, content: &Content) -> Result<Told> {
    let is_searched = content.len() <= MAX_SEARCHED;
    let Some(bytes) = elf::read(content)? else {
        if is_searched {
            let bytes = content.read()?;
            let mut findings = searches.leaks.of(tree, path, &bytes);
            if !bytes[..bytes.len().min(PEEK)].contains(&0) {
                findings.extend(searches.secrets.of(path, &bytes));
            }
            return Ok(Told { sha256: sha256(&bytes), compiled: None, findings });
        }
        let (digest, _) = Hasher::sha256().read(&mut content.open()?)?;
        let sha256 = digest.try_into().expect("SHA-256 has 32 bytes");
        return Ok(Told { sha256, compiled: None, findings: Vec::new() });
    };
    let compiled = Some((elf::facts(&bytes), clues(&bytes)));
    let searched = elf::data(&bytes).into_iter().filter(|_| is_searched);
    let mut leaks = searched.flat_map(|part| searches.leaks.of(tree, path, part));
    let findings = leaks.next().into_iter().collect();
    Ok(Told { sha256: sha256(&bytes), compiled, findings })
}
