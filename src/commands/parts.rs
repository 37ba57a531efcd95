//! The parts list that goes into every package: what is inside, for whoever looks after the host.

use std::sync::Arc;

use anyhow::Result;

use crate::audit::{Inventory, inventory};
use crate::cli::BuildArgs;
use crate::commands::build::{Built, Inputs};
use crate::commands::format::Format;
use crate::package::{PackageMeta, RelationKind};
use crate::report::Talk;
use crate::sbom::cyclonedx::cyclonedx;
use crate::sbom::licence::Licence;
use crate::sbom::{Root, Sbom};
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Role, Tree};
use crate::venv::OWN;

/// What is in the environment that was built.
pub fn listed((built, tree): (&Built, &Tree), args: &BuildArgs, talk: &Talk) -> Result<Inventory> {
    let known = |content: &Content| built.facts.clues(content);
    talk.stage("listed parts", || inventory(tree, &built.elf, args.jobs(), &known))
}

/// The tree with the parts list of its package, unless it has one.
pub fn with_parts(
    format: &dyn Format,
    inputs: &Inputs,
    (built, inventory): (&Built, &Inventory),
    (meta, mut tree): (&PackageMeta, Tree),
    release: Option<&str>,
) -> Result<Tree> {
    let name = &meta.name;
    let path = PkgPath::new(&format!("usr/share/doc/{name}/{name}.cdx.json"))?;
    if tree.get(&path).is_some() {
        return Ok(tree);
    }
    let (version, machine) = format.identity(meta);
    let root = Root::new(format.kind(), (name.as_str(), &version), machine, release);
    let root = Root { licence: Licence::of(&meta.licence), ..root };
    let needs = meta.relations.iter().filter(|one| one.kind == RelationKind::Needs);
    let needs: Vec<_> = needs.map(|one| one.text.clone()).collect();
    // An application beside its releases has no code of its own.
    let nothing = Inventory::default();
    let inventory = if meta.has_code() { inventory } else { &nothing };
    let sbom = Sbom::new(root, Some(inputs.epoch), inventory, &needs, &built.origins);
    let entry = Entry::File {
        content: Content::bytes(cyclonedx(&sbom)?),
        mode: 0o644,
        role: Role::Doc,
        origin: Arc::from(OWN),
        mtime: None,
    };
    tree.insert(path, entry)?;
    Ok(tree)
}
