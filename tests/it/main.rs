//! Tests of the product and of the repository that need no network and no tool but Rust's.

mod docs;
mod tidy;
