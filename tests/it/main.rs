//! Tests of the product and of the repository that need no network and no tool but Rust's.

mod bad_content;
mod bad_output;
mod bad_project;
mod bad_requirements;
mod bad_wheel;
mod deb;
mod digest;
mod docs;
mod elf;
mod golden;
mod injection;
mod interrupt;
mod kinds;
mod libraries;
mod mutation;
mod previous;
mod properties;
mod rpm;
mod sandbox;
mod services;
mod smoke;
mod snapshot;
mod tidy;
mod wheel;
mod why;
mod zip;
