//! The gate against commands that cannot start: the module of every entry point must be in the tree.

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
    let site = layout.site_packages()?;
    for wheel in wheels {
        let mut points = wheel.entry_points.iter();
        let is_missing = |point: &&EntryPoint| {
            let top = point.module.split('.').next().unwrap_or_default();
            !has_module(tree, &site, &point.module)
                && !interpreter.stdlib.iter().any(|name| name == top)
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

/// Whether there is a module of a dotted name: a source, an extension, or a directory as a namespace package (PEP 420).
fn has_module(tree: &Tree, site: &PkgPath, name: &str) -> bool {
    let path = format!("{site}/{}", name.replace('.', "/"));
    let path = path.trim_start_matches('/');
    let is_it = |(at, entry): (&PkgPath, &Entry)| match (at.as_str().strip_prefix(path), entry) {
        (Some(""), Entry::Dir { .. }) => true,
        (Some(end), Entry::File { .. }) => {
            end.starts_with('.')
                && !end.contains('/')
                && [".py", ".so", ".pyc"].iter().any(|it| end.ends_with(it))
        }
        (_, Entry::Dir { .. } | Entry::File { .. } | Entry::Symlink { .. }) => false,
    };
    tree.beginning_with(path).any(is_it)
}
