//! Relations in rpm's grammar: the one an interpreter implies.
//!
//! Knows nothing of libraries.

use crate::package::{InterpreterNeed, Relation, RelationKind};

/// What a package needs to have its interpreter; nothing when it brings its own.
///
/// The file, not a package: distributions call the package that has it by many names.
pub(super) fn of_interpreter(interpreter: Option<&InterpreterNeed>) -> Vec<Relation> {
    let path = interpreter.map(|need| format!("/usr/bin/python{}", need.minor));
    let relation = |path: String| {
        let because = vec![format!("the application runs on `{path}`")];
        Relation { kind: RelationKind::Needs, text: path, because }
    };
    path.map(relation).into_iter().collect()
}
