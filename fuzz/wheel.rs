//! Wheels: the zip reader, RECORD, METADATA and entry points, and where the files go.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mkpkg::tree::PkgPath;
use mkpkg::wheel::Wheel;
use mkpkg::wheel::install::{Layout, install};

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("the directory for temporary files can be written");
    let path = dir.path().join("rocket-2.0-py3-none-any.whl");
    std::fs::write(&path, bytes).expect("the directory for temporary files can be written");
    let prefix = PkgPath::new("opt/acme").expect("it is a path");
    let layout = Layout { prefix, minor: "3.11".to_owned() };
    if let Ok(wheel) = Wheel::open(&path) {
        let _ = (wheel.verify(b"\x7fELF", &mut |_, _| ()), install(&wheel, &layout, None));
    }
});
