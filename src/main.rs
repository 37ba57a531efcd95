//! Runs mkpkg and owns its exit code.

fn main() {}
