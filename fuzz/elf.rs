//! ELF files: whatever the bytes are, reading them ends, and without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mkpkg::elf::{abi, definitions, facts};

fuzz_target!(|bytes: &[u8]| {
    let _ = (facts(bytes), definitions(bytes), abi(bytes));
});
