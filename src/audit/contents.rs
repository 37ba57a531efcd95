//! The one read of every file: whatever asks for its bytes is asked while they are there.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::audit::components::{Clues, clues};
use crate::digest::{Hasher, sha256};
use crate::elf::{self, ElfFacts, ElfFile, ElfReport};
use crate::parallel;
use crate::tree::{Content, PkgPath, Tree};

/// What the bytes of the files tell.
pub(super) struct Contents {
    /// SHA-256 of every file.
    pub(super) digests: BTreeMap<PkgPath, [u8; 32]>,
    /// The compiled files.
    pub(super) elf: ElfReport,
    /// What they tell of components, in their order.
    pub(super) clues: Vec<Clues>,
}

/// What the bytes of one file tell.
struct Told {
    sha256: [u8; 32],
    compiled: Option<(Result<ElfFacts, String>, Clues)>,
}

/// Reads every file once. Compiled files are held whole, as many as there are jobs.
pub(super) fn read(tree: &Tree, jobs: usize) -> Result<Contents> {
    let files: Vec<_> = tree.files().collect();
    let told = parallel::map(&files, jobs, |(path, content, _)| {
        tell(content).with_context(|| format!("cannot read `{path}`"))
    })?;
    let (mut digests, mut elf, mut all) = (BTreeMap::new(), ElfReport::default(), Vec::new());
    for ((path, ..), told) in files.into_iter().zip(told) {
        digests.insert(path.clone(), told.sha256);
        if let Some((facts, clues)) = told.compiled {
            elf.files.push(ElfFile { path: path.clone(), facts });
            all.push(clues);
        }
    }
    Ok(Contents { digests, elf, clues: all })
}

fn tell(content: &Content) -> Result<Told> {
    let Some(bytes) = elf::read(content)? else {
        let (digest, _) = Hasher::sha256().read(&mut content.open()?)?;
        let sha256 = digest.try_into().expect("SHA-256 has 32 bytes");
        return Ok(Told { sha256, compiled: None });
    };
    let compiled = Some((elf::facts(&bytes), clues(&bytes)));
    Ok(Told { sha256: sha256(&bytes), compiled })
}
