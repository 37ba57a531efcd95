//! Judges of an .rpm, each tried here on packages that rpmbuild makes, good ones and such as it must refuse.

mod applications;
mod limits;
pub(crate) mod lint;
mod macros;
mod readers;
mod sample;
mod scripts;
mod signature;
mod stub;
mod twin;

use std::path::PathBuf;

use crate::tools::repository;

/// The distribution's interpreter: its modules `rpm` and `tomllib` are needed.
const PYTHON: &str = "/usr/bin/python3";

/// A file beside this one.
fn beside(name: &str) -> PathBuf {
    repository().join("tests/real/rpm").join(name)
}
