//! The gate against commands that cannot start: the module of every entry point must be in the tree.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::error::UserError;
use crate::host::interpreter::Interpreter;
use crate::tree::{Entry, PkgPath, Tree};
use crate::wheel::Wheel;
use crate::wheel::entry_points::EntryPoint;
use crate::wheel::install::Layout;

/// Fails at the first entry point of `wheels` whose module `tree` does not hold.
pub fn check(
    tree: &Tree,
    wheels: &[Wheel],
    interpreter: &Interpreter,
    layout: &Layout,
) -> Result<()> {
    let modules = modules(tree, &layout.site_packages()?);
    for wheel in wheels {
        let mut points = wheel.entry_points.iter();
        let is_missing = |point: &&EntryPoint| {
            let top = point.module.split('.').next().unwrap_or_default();
            !modules.contains(&point.module) && !interpreter.stdlib.iter().any(|name| name == top)
        };
        if let Some(point) = points.find(is_missing) {
            let message = format!(
                "the command `{}` of `{} {}` starts the module `{}`, which is not in the package",
                point.name, wheel.metadata.name, wheel.metadata.version, point.module
            );
            return Err(UserError::input(message)
                .hint("see that the wheel holds it, and that `exclude` does not drop it")
                .into());
        }
    }
    Ok(())
}

/// Dotted names of everything importable: sources, extensions, and directories as namespace packages (PEP 420).
fn modules(tree: &Tree, site: &PkgPath) -> BTreeSet<String> {
    let names = tree.iter().filter_map(|(path, entry)| {
        let below = path.below(site)?;
        match entry {
            Entry::Dir { .. } => Some(below.replace('/', ".")),
            Entry::Symlink { .. } => None,
            Entry::File { .. } => {
                let (dir, name) = below.rsplit_once('/').unwrap_or(("", below));
                let is_module =
                    name.ends_with(".py") || name.ends_with(".so") || name.ends_with(".pyc");
                let stem = name.split('.').next().filter(|_| is_module)?;
                let dir = dir.replace('/', ".");
                Some(if dir.is_empty() { stem.to_owned() } else { format!("{dir}.{stem}") })
            }
        }
    });
    names.collect()
}
