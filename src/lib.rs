//! Turns a Python application into a native OS package.
//!
//! ARCHITECTURE.md lists the layers; `tests/it/tidy.rs` enforces them.

pub mod amount;
pub mod app;
pub mod artifact;
pub mod audit;
pub mod backend;
pub mod cache;
pub mod changes;
pub mod cli;
pub mod codec;
pub mod commands;
pub mod date;
pub mod digest;
pub mod document;
pub mod elf;
pub mod error;
pub mod exec;
pub mod host;
pub mod import;
pub mod inert;
pub mod inside;
pub mod lifecycle;
pub mod lock;
pub mod needs;
pub mod package;
pub mod parallel;
pub mod pep;
pub mod project;
pub mod redact;
pub mod releases;
pub mod report;
pub mod sbom;
pub mod scratch;
pub mod segments;
pub mod services;
pub mod signer;
pub mod starter;
pub mod summary;
pub mod systemd;
pub mod templates;
pub mod tree;
pub mod venv;
pub mod wheel;
pub mod wheelhouse;
pub mod why;
