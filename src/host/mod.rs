//! The host a package is built on and the release it is made for.

pub mod abi;
pub mod bytecode;
pub mod interpreter;
pub mod release;
pub mod worker;
