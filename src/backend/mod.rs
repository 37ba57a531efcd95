//! Package formats: each backend turns a package into one file of its format, and reads one back.
//!
//! Backends are twins with the same file and function names. They hold no policy and print nothing.

mod contents;
pub mod deb;
mod hooks;
pub mod rpm;
mod upstream;
