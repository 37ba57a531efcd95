//! Real tools judge real packages: apt, dpkg, debsums, lintian, systemd, pip and uv on Debian root file systems; rpm, dnf,
//! zypper and rpmlint on stubs of other distributions.
//!
//! What is missing here skips a test with a printed reason; with `MKPKG_REAL=1` it fails it.

mod apps;
mod audit;
mod build;
mod debhelper;
mod diff;
mod elfdeps;
mod equal;
mod fixtures;
mod foreign;
mod index;
mod libraries;
mod lifecycle;
mod lint;
mod loads;
mod migrate;
mod native;
mod own;
mod previous;
mod pypi;
mod releases;
mod report;
mod reproducible;
mod rpm;
mod rpm_file;
mod services;
mod shlibdeps;
mod streams;
mod tools;
mod values;
mod vulnerabilities;
