//! Wheels that are damaged, hostile or made for something else: each is refused by name, and nothing is written.

use std::fs;

use crate::sandbox::{Failures, Sandbox};
use crate::wheel::{Wheel, record_line};
use crate::zip::{Part, Zip, extra};

/// What is wrong with an archive that was sound.
type Lie = (&'static str, fn(&mut Zip));

const INIT: &str = "acme/__init__.py";
const CLI: &str = "acme/cli.py";

/// One refusal for each way to change the archive of a sound wheel.
fn check(snapshot: &str, lies: &[Lie]) {
    let mut failures = Failures::default();
    for (case, lie) in lies {
        let sandbox = Sandbox::new();
        let mut zip = Wheel::acme().zip();
        lie(&mut zip);
        sandbox.write("wheels/acme-1.0-py3-none-any.whl", zip.bytes());
        failures.deb(case, &sandbox, &[]);
    }
    failures.check(snapshot);
}

#[test]
fn structure() {
    check(
        "bad_wheel_structure",
        &[
            ("encrypted", |zip| zip.part(CLI).both(|header| header.flags |= 1)),
            ("data descriptor", |zip| zip.part(CLI).both(|header| header.flags |= 8)),
            ("unknown flag", |zip| zip.part(CLI).both(|header| header.flags |= 1 << 13)),
            ("method bzip2", |zip| zip.part(CLI).both(|header| header.method = 12)),
            ("trailing data", |zip| zip.trail = b"#!/bin/sh\n".to_vec()),
            ("leading data", |zip| zip.lead = b"#!/bin/sh\n".to_vec()),
            ("archive comment", |zip| zip.comment = b"hello".to_vec()),
            ("member comment", |zip| zip.part(CLI).comment = b"hello".to_vec()),
            ("hidden bytes between members", |zip| zip.part(CLI).gap = b"gap".to_vec()),
            ("overlapping members", |zip| {
                let stored = zip.part(CLI).stored.len() as i64;
                zip.part("acme-1.0.dist-info/entry_points.txt").offset_by = -stored;
            }),
            ("two end records", |zip| {
                let mut inner = zip.clone();
                inner.parts.truncate(1);
                let mut bytes = zip.bytes();
                bytes.extend(inner.bytes());
                *zip = Zip { lead: bytes, ..Zip::default() };
            }),
            ("end record counts one more", |zip| zip.end_by[0] = 1),
            ("end record counts one less", |zip| zip.end_by[0] = -1),
            ("end record with another offset", |zip| zip.end_by[2] = -2),
            ("part of several disks", |zip| zip.disk = 1),
            ("local name differs", |zip| zip.part(CLI).local.name = b"acme/CLI.py".to_vec()),
            ("local size differs", |zip| zip.part(CLI).local.len += 1),
            ("local method differs", |zip| zip.part(CLI).local.method = 0),
            ("local checksum differs", |zip| zip.part(CLI).local.crc32 ^= 1),
            ("wrong checksum", |zip| zip.part(CLI).both(|header| header.crc32 ^= 1)),
            ("inflates to more than listed", |zip| zip.part(CLI).both(|header| header.len -= 1)),
            ("inflates to less than listed", |zip| zip.part(CLI).both(|header| header.len += 1)),
            ("broken deflate stream", |zip| zip.part(CLI).stored[0] = 0xff),
            ("duplicate extra field", |zip| {
                let field = extra(1, &[]);
                zip.part(CLI).both(|header| header.extra = [field.clone(), field.clone()].concat());
            }),
            ("another name as Unicode path", |zip| {
                zip.part(CLI).both(|header| header.extra = extra(0x7075, b"\x01\0\0\0\0evil.py"));
            }),
            ("zip64 end record of another size", |zip| (zip.zip64, zip.end64_by) = (true, 8)),
            ("zip64 sizes cut short", |zip| {
                zip.part(CLI).widen();
                zip.part(CLI).both(|header| header.extra = extra(1, &[0; 8]));
            }),
            ("zip64 sizes that are not needed", |zip| {
                zip.part(CLI).both(|header| header.extra = extra(1, &[0; 16]));
            }),
        ],
    );
}

#[test]
fn names() {
    fn rename(zip: &mut Zip, name: &[u8]) {
        let flags = if name.is_ascii() { 0 } else { 1 << 11 };
        zip.part(CLI).both(|header| (header.name, header.flags) = (name.to_vec(), flags));
    }
    check(
        "bad_wheel_names",
        &[
            ("traversal", |zip| rename(zip, b"../evil.py")),
            ("traversal inside", |zip| rename(zip, b"acme/../../evil.py")),
            ("traversal at the end", |zip| rename(zip, b"acme/..")),
            ("absolute", |zip| rename(zip, b"/etc/passwd")),
            ("drive", |zip| rename(zip, b"C:evil.py")),
            ("backslash", |zip| rename(zip, b"..\\evil.py")),
            ("NUL", |zip| rename(zip, b"acme/a\0.py")),
            ("newline", |zip| rename(zip, b"acme/a\nb.py")),
            ("escape", |zip| rename(zip, b"acme/\x1b[2J.py")),
            ("dot", |zip| rename(zip, b"acme/./a.py")),
            ("two slashes", |zip| rename(zip, b"acme//a.py")),
            ("empty", |zip| rename(zip, b"")),
            ("not UTF-8", |zip| rename(zip, b"acme/\xff.py")),
            ("not marked as UTF-8", |zip| {
                zip.part(CLI).both(|header| header.name = "acme/ü.py".into());
            }),
            ("component of 247 bytes", |zip| {
                rename(zip, &[b"acme/".to_vec(), vec![b'x'; 247]].concat())
            }),
            ("the same name twice", |zip| {
                let twin = zip.part(CLI).clone();
                zip.parts.push(twin);
            }),
            ("a file and a directory of one name", |zip| {
                zip.parts.push(Part::new(b"acme/cli.py/", b""))
            }),
            ("a file that is a directory of another", |zip| {
                let record = record_line("acme/cli.py/x", b"");
                append_record(zip, &record);
                zip.parts.push(Part::new(b"acme/cli.py/x", b""));
            }),
            ("symbolic link", |zip| zip.part(CLI).mode = 0o120_777),
            ("device", |zip| zip.part(CLI).mode = 0o060_600),
            ("directory with content", |zip| {
                zip.parts.push(Part::new(b"dir/", b"content"));
            }),
        ],
    );
}

/// Adds text to RECORD.
fn append_record(zip: &mut Zip, text: &str) {
    change_record(zip, |record| record + text);
}

/// Replaces RECORD, the last member, by what `change` makes of it.
fn change_record(zip: &mut Zip, change: impl FnOnce(String) -> String) {
    let old = zip.parts.pop().expect("there is a RECORD");
    let text = String::from_utf8(old.content()).expect("RECORD is text");
    zip.parts.push(Part::new(&old.local.name, change(text).as_bytes()));
}

#[test]
fn record() {
    let hash = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0";
    assert_eq!(record_line("x", b""), format!("x,{hash}\n"));
    check(
        "bad_wheel_record",
        &[
            ("wrong hash", |zip| change_record(zip, |text| text.replace(",sha256=4", ",sha256=5"))),
            ("wrong size", |zip| {
                change_record(zip, |text| text.replacen("uFU,0\n", "uFU,1\n", 1));
            }),
            ("listed and missing", |zip| append_record(zip, &record_line("acme/gone.py", b""))),
            ("there and not listed", |zip| {
                let line = record_line(INIT, b"");
                change_record(zip, |text| text.replace(&line, ""));
            }),
            ("no hash", |zip| {
                let line = record_line(INIT, b"");
                change_record(zip, |text| text.replace(&line, "acme/__init__.py,,\n"));
            }),
            ("weak hash", |zip| change_record(zip, |text| text.replacen("sha256=", "md5=", 1))),
            ("listed twice", |zip| append_record(zip, &record_line(INIT, b""))),
            ("line of two fields", |zip| append_record(zip, "acme,x\n")),
            ("open quote", |zip| append_record(zip, "\"acme,,\n")),
            ("path out of the wheel", |zip| append_record(zip, "../../evil,,\n")),
            ("no RECORD", |zip| drop(zip.parts.pop())),
        ],
    );
}

#[test]
fn self_description() {
    let mut failures = Failures::default();
    let acme = Wheel::acme;
    let metadata = acme().info("METADATA");
    for (case, wheel) in [
        ("no METADATA at all", Zip { parts: vec![Part::new(b"x.py", b"")], ..Zip::default() }),
        ("two dist-info directories", acme().file("other-1.0.dist-info/METADATA", "").zip()),
        ("dist-info of another name", {
            let mut zip = Wheel::new("other", "1.0").zip();
            zip.parts.push(Part::new(b"acme.py", b""));
            zip
        }),
        ("METADATA of another version", acme().file(&metadata, "Name: acme\nVersion: 2.0\n").zip()),
        ("METADATA without a version", acme().file(&metadata, "Name: acme\n").zip()),
        ("METADATA that is not UTF-8", acme().file(&metadata, b"Name: \xff\n").zip()),
        ("Wheel-Version 2", acme().file(&acme().info("WHEEL"), "Wheel-Version: 2.0\n").zip()),
        ("unknown scheme", acme().file("acme-1.0.data/etc/passwd", "").zip()),
        ("data below the interpreter", acme().file("acme-1.0.data/data/bin/python3", "").zip()),
        (
            "script with the interpreter's name",
            acme().file("acme-1.0.data/scripts/python", "").zip(),
        ),
        ("own pyvenv.cfg", acme().file("acme-1.0.data/data/pyvenv.cfg", "home = /\n").zip()),
        ("command with a path", acme().command("../../evil = acme.cli:main").zip()),
        ("command called python3", acme().command("python3 = acme.cli:main").zip()),
        ("command that runs code", acme().command("acme = acme.cli:main();x").zip()),
        ("command without callable", acme().command("acme = acme.cli").zip()),
        ("command with a newline", acme().command("acme\u{b}x = acme.cli:main").zip()),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("wheels/acme-1.0-py3-none-any.whl", wheel.bytes());
        failures.deb(case, &sandbox, &[]);
    }
    failures.check("bad_wheel_self_description");
}

#[test]
fn files_that_are_no_wheels() {
    let mut failures = Failures::default();
    let sound = Wheel::acme().bytes();
    for (case, bytes) in [
        ("no byte", &[][..]),
        ("text", b"<html>404</html>"),
        ("cut in the middle", &sound[..sound.len() / 2]),
        ("cut by one byte", &sound[..sound.len() - 1]),
        ("cut to the end record", &sound[sound.len() - 22..]),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("wheels/acme-1.0-py3-none-any.whl", bytes);
        failures.deb(case, &sandbox, &[]);
    }
    for (case, name) in [
        ("name of four parts", "acme-1.0-none-any.whl"),
        ("name with a space", "acme-1.0-py3-none-a b.whl"),
        ("name with a version that is none", "acme-one-py3-none-any.whl"),
        ("name with an escape", "ac\u{1b}me-1.0-py3-none-any.whl"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(&format!("wheels/{name}"), &sound);
        failures.deb(case, &sandbox, &[]);
    }
    let sandbox = Sandbox::new();
    let wheel = sandbox.path("wheels/acme-1.0-py3-none-any.whl");
    fs::remove_file(&wheel).expect("the wheel was written");
    fs::create_dir(&wheel).expect("the name is free");
    failures.deb("a directory", &sandbox, &[]);
    failures.check("bad_wheel_files");
}

#[test]
fn bombs() {
    let mut failures = Failures::default();
    let lies: [Lie; 2] = [
        ("packed 2000 to 1", |zip| {
            let content = vec![0; 32 << 20];
            append_record(zip, &record_line("acme/zero", &content));
            let mut part = Part::new(b"acme/zero", &content);
            // Deflate reaches 1030 to 1 at best, so only a lie goes further.
            part.both(|header| header.len = 2000 * header.stored_len);
            zip.parts.push(part);
        }),
        ("promises 12 GiB", |zip| {
            let part = zip.part(CLI);
            part.stored = vec![0; 13 << 20];
            let sizes = [12_u64 << 30, part.stored.len() as u64];
            part.both(|header| {
                header.extra = extra(1, &sizes.map(u64::to_le_bytes).concat());
                (header.len, header.stored_len) = (u32::MAX, u32::MAX);
            });
        }),
    ];
    for (case, lie) in lies {
        let sandbox = Sandbox::new();
        let mut zip = Wheel::acme().zip();
        lie(&mut zip);
        sandbox.write("wheels/acme-1.0-py3-none-any.whl", zip.bytes());
        failures.deb(case, &sandbox, &[]);
    }
    failures.check("bad_wheel_bombs");
}

/// The message names the wheel, and does not hold all of a name that is too long.
#[test]
fn a_path_of_5000_bytes() {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::acme().file(&format!("{}x", "dir/".repeat(1250)), ""));
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 3);
    let error = outcome.error();
    assert!(
        error.starts_with("error: `acme-1.0-py3-none-any.whl` cannot be packaged: path"),
        "{error}"
    );
    // FIXME: the name should be cut.
    assert!(error.len() > 5000);
}

#[test]
fn sound_zip64_is_accepted() {
    let sandbox = Sandbox::new();
    let mut zip = Wheel::acme().zip();
    zip.zip64 = true;
    zip.part(CLI).widen();
    sandbox.write("wheels/acme-1.0-py3-none-any.whl", zip.bytes());
    sandbox.build(&[]);
}

#[test]
fn wheels_for_another_target() {
    let mut failures = Failures::default();
    for tag in [
        "cp39-cp39-manylinux_2_17_x86_64",
        "cp312-cp312-manylinux_2_17_x86_64",
        "cp311-cp311-manylinux_2_17_aarch64",
        "cp311-cp311-musllinux_1_1_x86_64",
        "cp311-cp311-manylinux_2_99_x86_64",
        "cp311-cp311-win_amd64",
        "cp311-cp311-macosx_11_0_arm64",
        "cp312-abi3-manylinux_2_17_x86_64",
        "pp310-pypy310_pp73-manylinux_2_17_x86_64",
        "py2-none-any",
    ] {
        let sandbox = Sandbox::new();
        fs::remove_file(sandbox.path("wheels/acme-1.0-py3-none-any.whl")).expect("it was written");
        sandbox.wheel(&Wheel::acme().tag(tag));
        failures.deb(tag, &sandbox, &[]);
    }
    for tag in ["cp36-abi3-manylinux2014_x86_64", "cp311-none-linux_x86_64", "py2.py3-none-any"] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&Wheel::acme().tag(tag));
        sandbox.build(&[]);
    }
    failures.check("bad_wheel_targets");
}

/// Opening a pipe waits for a writer; nobody waits for that.
#[test]
fn a_pipe_among_the_wheels() {
    let sandbox = Sandbox::new();
    let pipe = sandbox.path("wheels/rocket-2.0-py3-none-any.whl");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("the name is free");
    let mut command = std::process::Command::new("/usr/bin/timeout");
    command.args(["3", env!("CARGO_BIN_EXE_mkpkg"), "deb", "--wheelhouse", "../wheels"]);
    sandbox.clean(&mut command);
    assert_eq!(sandbox.run(command).code(), 3);
}
