//! The one time stamp of a package: SOURCE_DATE_EPOCH, else the last commit, else the newest source.

use std::path::Path;

use anyhow::Result;

use crate::error::UserError;
use crate::project::repository::last_commit;
use crate::project::sources::{SourceFile, newest};

/// Latest time both formats can hold: an unsigned 32-bit number of seconds.
const MAX: u64 = u32::MAX as u64;

/// Earliest time a zip, and so a wheel that is built, can hold: 1980-01-01.
const ZIP_MIN: u64 = 315_532_800;

/// Seconds since 1970, from the value of `SOURCE_DATE_EPOCH` when there is one.
pub fn of_project(dir: &Path, files: &[SourceFile], variable: Option<&str>) -> Result<u64> {
    match variable {
        Some(text) => parse(text),
        None => {
            let found = last_commit(dir).or_else(|| newest(files)).unwrap_or(ZIP_MIN);
            Ok(found.clamp(ZIP_MIN, MAX))
        }
    }
}

/// Seconds since 1970 from the value of `SOURCE_DATE_EPOCH`.
pub fn parse(text: &str) -> Result<u64> {
    let digits = text.bytes().all(|at| at.is_ascii_digit());
    match text.parse() {
        Ok(epoch) if epoch <= MAX && digits => Ok(epoch),
        Ok(_) | Err(_) => Err(UserError::usage(format!(
            "SOURCE_DATE_EPOCH is {text:?}, not a number of seconds since 1970"
        ))
        .hint("unset it, or set it to `$(git log -1 --format=%ct)`")
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use crate::project::epoch::parse;

    #[test]
    fn garbage_is_refused() {
        assert_eq!(parse("0").unwrap(), 0);
        assert_eq!(parse("1700000000").unwrap(), 1_700_000_000);
        for bad in ["", "-1", "+5", "1e9", "4294967296", "now"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
