//! What has to be known of libraries, whoever knows it.

use std::rc::Rc;

use crate::backend::deb::libraries::symbols::Object;
use crate::elf::Abi;

/// Knows libraries and the packages that have them.
pub(super) trait Source {
    /// The libraries called `soname` of that ABI, in the order they are looked for. `dirs` are looked through first.
    fn find(&mut self, soname: &str, dirs: &[String], abi: Abi) -> Vec<Candidate>;

    /// What the symbols files of `package` say of `soname`.
    fn symbols(&mut self, package: &str, soname: &str) -> Option<Rc<Object>>;

    /// The relations shlibs files have for `soname`, those of `package` among them.
    fn shlibs(&mut self, package: Option<&str>, soname: &str) -> Option<String>;

    /// The version of dpkg that comes with them.
    fn dpkg(&self) -> Option<String>;

    /// What people call this source.
    fn name(&self) -> String;

    /// What to do about `soname`, which was not found: in the imperative.
    fn advice(&self, soname: &str) -> String;

    /// What the user should know of the answers that were given.
    fn remarks(&self) -> Vec<String>;
}

/// A library that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// What people call it.
    pub(super) label: String,
    /// Names of the packages that own it.
    pub(super) owners: Vec<String>,
    /// Whether it has a name of its own (`DT_SONAME`).
    pub(super) is_named: bool,
    /// Whether more is known of it than its name and its package.
    pub(super) is_known: bool,
    /// The versions it offers.
    pub(super) versions: Rc<Vec<String>>,
}
