//! Packages that are read and audited: ar, tar, and all that is looked into once they are unpacked.
#![no_main]

use std::io::{Seek, Write};

use libfuzzer_sys::fuzz_target;
use mkpkg::audit::{Subject, audit};
use mkpkg::backend::deb::read;
use mkpkg::wheel::installed::with_distributions;

fuzz_target!(|bytes: &[u8]| {
    let room = || tempfile::tempfile().expect("the directory for temporary files can be written");
    let mut input = room();
    input.write_all(bytes).and_then(|()| input.rewind()).expect("a temporary file takes bytes");
    let subject = Subject { kind: "deb", ..Subject::default() };
    if let Ok(package) = read(input, room()) {
        let (tree, _) = with_distributions(package.tree);
        let _ = audit(subject, tree, package.scripts, 1);
    }
});
