//! The gate against ELF files the loader of the target would refuse.

use anyhow::Result;

use crate::elf::{ElfFacts, ElfKind, ElfReport};
use crate::error::UserError;
use crate::package::Machine;

/// Fails at the first file that cannot be loaded on `target`; otherwise returns the machine of the package.
///
/// `None` when nothing in it is made for any machine.
pub fn check(report: &ElfReport, target: Option<Machine>) -> Result<Option<Machine>> {
    let mut machine = None;
    for file in &report.files {
        let fault = match &file.facts {
            Err(reason) => Some(reason.clone()),
            Ok(facts) => fault(facts, target).or_else(|| no_library(file.path.file_name(), facts)),
        };
        if let Some(fault) = fault {
            return Err(UserError::input(format!("`{}` cannot be loaded: {fault}", file.path))
                .hint("get another wheel of it, or leave the file out with `exclude`")
                .into());
        }
        machine = machine.or(target);
    }
    Ok(machine)
}

/// An extension is loaded by its name; an object file of that name cannot be.
fn no_library(name: &str, facts: &ElfFacts) -> Option<String> {
    (facts.kind == ElfKind::Other && name.ends_with(".so"))
        .then(|| "it is no shared library".to_owned())
}

fn fault(facts: &ElfFacts, target: Option<Machine>) -> Option<String> {
    match facts.kind {
        ElfKind::Other => None,
        ElfKind::Loadable if facts.machine != target || target.is_none() => {
            let name = |machine: Option<Machine>| {
                machine
                    .map_or_else(|| "another machine".to_owned(), |machine| format!("{machine:?}"))
            };
            Some(format!("it is for {}, the package is for {}", name(facts.machine), name(target)))
        }
        ElfKind::Loadable => facts.load_faults.first().cloned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::elf::{Abi, Dynamic, ElfFacts, ElfFile, ElfKind, ElfReport};
    use crate::package::Machine;
    use crate::tree::PkgPath;
    use crate::venv::loadable;

    fn check(kind: ElfKind, machine: Machine, faults: &[&str]) -> Result<Option<Machine>, String> {
        let load_faults = faults.iter().map(|fault| (*fault).to_owned()).collect();
        let facts = Ok(ElfFacts {
            kind,
            abi: Abi { class: 2, data: 1, machine: 62, flags: 0 },
            machine: Some(machine),
            load_faults,
            interpreter: None,
            has_executable_stack: None,
            is_movable: true,
            dynamic: Dynamic::default(),
            troubles: Vec::new(),
        });
        let name = if kind == ElfKind::Other { "x.o" } else { "x.so" };
        let files = vec![ElfFile { path: PkgPath::new(name).unwrap(), facts }];
        loadable::check(&ElfReport { files }, Some(Machine::X86_64))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn verdicts() {
        assert_eq!(check(ElfKind::Loadable, Machine::X86_64, &[]), Ok(Some(Machine::X86_64)));
        assert_eq!(check(ElfKind::Other, Machine::Aarch64, &[]), Ok(Some(Machine::X86_64)));
        assert_eq!(
            check(ElfKind::Loadable, Machine::Aarch64, &[]),
            Err("`/x.so` cannot be loaded: it is for Aarch64, the package is for X86_64".to_owned())
        );
        assert_eq!(
            check(ElfKind::Loadable, Machine::X86_64, &["segment 0 is askew"]),
            Err("`/x.so` cannot be loaded: segment 0 is askew".to_owned())
        );
        assert_eq!(loadable::check(&ElfReport::default(), None).unwrap(), None);
    }
}
