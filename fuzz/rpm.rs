//! Packages of the other format: headers, the list of files, cpio.
#![no_main]

use std::io::{Seek, Write};

use libfuzzer_sys::fuzz_target;
use mkpkg::backend::rpm::read;

fuzz_target!(|bytes: &[u8]| {
    let room = || tempfile::tempfile().expect("the directory for temporary files can be written");
    let mut input = room();
    input.write_all(bytes).and_then(|()| input.rewind()).expect("a temporary file takes bytes");
    let _ = read(input, room());
});
