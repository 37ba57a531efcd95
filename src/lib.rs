//! Turns a Python application into a native OS package.
//!
//! ARCHITECTURE.md lists the layers; `tests/it/tidy.rs` enforces them.

pub mod backend;
pub mod codec;
pub mod digest;
pub mod document;
pub mod elf;
pub mod error;
pub mod exec;
pub mod host;
pub mod lock;
pub mod package;
pub mod pep;
pub mod project;
pub mod scratch;
pub mod tree;
pub mod wheel;
