//! Turns a Python application into a native OS package.
//!
//! ARCHITECTURE.md lists the layers; `tests/it/tidy.rs` enforces them.

pub mod backend;
pub mod codec;
pub mod digest;
pub mod document;
pub mod error;
pub mod package;
pub mod pep;
pub mod tree;
