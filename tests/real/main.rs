//! Real tools judge real packages: apt, dpkg, debsums, lintian, pip and uv on Debian root file systems.
//!
//! What is missing here skips a test with a printed reason; with `MKPKG_REAL=1` it fails it.

mod apps;
mod build;
mod equal;
mod fixtures;
mod index;
mod libraries;
mod lifecycle;
mod lint;
mod releases;
mod reproducible;
mod tools;
