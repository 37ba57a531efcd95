//! The RPM package format: what a package asks of others, in its grammar. Knows nothing of wheels.

pub mod elfdeps;
pub mod libraries;
mod relations;
mod simplify;

use anyhow::Result;

use crate::backend::rpm::libraries::Derived;
use crate::needs::Needs;
use crate::package::{InterpreterNeed, Relation, RelationKind};

/// What a package needs to have its interpreter; nothing when it brings its own.
///
/// `is_main` says whether it is the one the target calls `python3`: no other provides `python(abi)`.
pub fn relations(interpreter: Option<&InterpreterNeed>, is_main: bool) -> Vec<Relation> {
    relations::of_interpreter(interpreter, is_main)
}

/// What a package needs to have the libraries of `needs`.
pub fn libraries(needs: &Needs) -> Result<Derived> {
    libraries::derive(needs)
}

/// Relations in rpm's order, those that others say too merged into them.
pub fn simplify(relations: Vec<Relation>) -> Vec<Relation> {
    simplify::simplify(relations)
}

/// A relation a user wrote, such as `libpq >= 15` or `(mta or postfix)`, in normal form.
pub fn relation(kind: RelationKind, text: &str, because: &str) -> Result<Relation> {
    let text = relations::normal(text, kind)?;
    Ok(Relation { kind, text, because: vec![because.to_owned()], causes: Vec::new() })
}
