//! Names that tools give libraries they copy into wheels: no system has a library of such a name.

use anyhow::Result;

use crate::error::UserError;
use crate::needs::{Library, Needs};

/// The name of a copy in its parts, where it has those of one: `libpq`, `9b38f5e3` and `.5.17` of
/// `libpq-9b38f5e3.so.5.17`.
pub fn parts(name: &str) -> Option<(&str, &str, &str)> {
    const DIGITS: usize = 8;
    let (stem, version) = name.split_once(".so")?;
    let (own, hash) = stem.rsplit_once('-')?;
    let is_hash = hash.len() == DIGITS && hash.bytes().all(|at| at.is_ascii_hexdigit());
    is_hash.then_some((own, hash, version))
}

/// Whether auditwheel made the name: eight digits of a hash stand before the suffix, as in `libpq-9b38f5e3.so.5.17`.
pub fn is_grafted(soname: &str) -> bool {
    let is_digit = |at: u8| matches!(at, b'0'..=b'9' | b'a'..=b'f');
    // Dates have eight digits, too.
    parts(soname).is_some_and(|(_, hash, _)| {
        hash.bytes().all(is_digit) && hash.bytes().any(|at| at.is_ascii_alphabetic())
    })
}

/// Refuses `needs` of a copy that is not in the package.
pub fn check(needs: &Needs) -> Result<()> {
    for file in &needs.files {
        let must = |library: &&Library| {
            !library.is_optional && library.renamed.is_none() && library.spare.is_none()
        };
        let mut sonames = file.libraries.iter().filter(must).map(|library| &library.soname);
        if let Some(soname) = sonames.find(|soname| is_grafted(soname)) {
            let message = format!(
                "{} needs the library `{soname}`, a copy in a wheel by its name, which is not in the package",
                file.who()
            );
            return Err(UserError::unresolved(message)
                .hint("get another wheel of it, or list the library in `dependencies.ignore`")
                .into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::needs::grafted::is_grafted;

    #[test]
    fn names() {
        for copy in
            ["libpq-9b38f5e3.so.5.17", "libgfortran-040039e1.so.5.0.0", "libssl-81ffa89e.so"]
        {
            assert!(is_grafted(copy), "{copy}");
        }
        for other in
            ["libpq.so.5", "libfoo-20240101.so.1", "libbfd-2.40-system.so", "libabsl-deadbeef1.so"]
        {
            assert!(!is_grafted(other), "{other}");
        }
    }
}
