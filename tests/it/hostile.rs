//! Packages made to harm whoever reads them: each ends soon, in little memory, and with a message or a report.

use std::process::Command;

use mkpkg::audit::{Subject, audit};
use mkpkg::backend::deb;
use mkpkg::error::exit_code;
use mkpkg::wheel::installed::with_distributions;

use crate::sandbox::{Outcome, Sandbox};
use crate::wheel::Wheel;

/// What the process may have of address space, in KiB; and of time, in seconds.
const LIMITS: (u32, u32) = (1_500_000, 100);
const SITE: &str = "./opt/a/lib/python3.11/site-packages";

/// `mkpkg audit` of `name` in the sandbox, within the limits.
fn attempt(sandbox: &Sandbox, name: &str) -> Outcome {
    let mut command = Command::new("/bin/sh");
    sandbox.clean(&mut command);
    let (memory, time) = LIMITS;
    let script = format!("ulimit -v {memory}; exec timeout {time} \"$0\" audit --jobs 2 \"$1\"");
    let file = sandbox.path(name);
    command.args(["-c", &script, env!("CARGO_BIN_EXE_mkpkg")]).arg(file);
    sandbox.run(command)
}

/// A tar member: its header, which may lie about `len`, and its content.
fn member(name: &str, len: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if name.len() > 100 {
        let long = [name.as_bytes(), &[0]].concat();
        bytes.extend(header(b"././@LongLink", b'L', long.len() as u64));
        bytes.extend(padded(&long));
    }
    bytes.extend(header(&name.as_bytes()[..name.len().min(100)], b'0', len));
    bytes.extend(padded(content));
    bytes
}

fn header(name: &[u8], kind: u8, len: u64) -> [u8; 512] {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_size(len);
    header.set_cksum();
    *header.as_bytes()
}

fn padded(content: &[u8]) -> Vec<u8> {
    let mut bytes = content.to_vec();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    member(name, content.as_ref().len() as u64, content.as_ref())
}

/// A .deb whose payload has these members.
fn package(members: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let tar = |members: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut tar = zstd::Encoder::new(Vec::new(), 1).expect("memory takes everything");
        for bytes in members.chain([vec![0; 1024]]) {
            std::io::Write::write_all(&mut tar, &bytes).expect("memory takes everything");
        }
        tar.finish().expect("memory takes everything")
    };
    let control = file("./control", "Package: a\nVersion: 1\nArchitecture: amd64\n");
    archive(&tar(&mut [control].into_iter()), &tar(&mut members.into_iter()))
}

fn archive(control: &[u8], data: &[u8]) -> Vec<u8> {
    let mut ar = ar::Builder::new(Vec::new());
    for (name, content) in
        [("debian-binary", &b"2.0\n"[..]), ("control.tar.zst", control), ("data.tar.zst", data)]
    {
        let header = ar::Header::new(name.as_bytes().to_vec(), content.len() as u64);
        ar.append(&header, content).expect("memory takes everything");
    }
    ar.into_inner().expect("memory takes everything")
}

fn check(case: &str, bytes: &[u8], code: i32, part: &str) {
    let sandbox = Sandbox::empty();
    sandbox.write("hostile.deb", bytes);
    let outcome = attempt(&sandbox, "hostile.deb");
    assert_eq!(outcome.code(), code, "{case}: {}", outcome.stderr);
    let said = outcome.stdout + &outcome.stderr;
    assert!(said.contains(part), "{case}: {said}");
    let is_plain = |at: char| !at.is_control() || matches!(at, '\n' | '\t');
    assert!(said.chars().all(is_plain), "{case}: {said:?}");
    assert_eq!(sandbox.left("tmp"), [""; 0], "{case}");
}

#[test]
fn names() {
    let deep = |index: usize| format!("./opt/{index}/{}x", "a/".repeat(1980));
    let check = |case: &str, members: Vec<Vec<u8>>, part: &str| {
        check(case, &package(members), 3, part);
    };
    check("traversal", vec![file("./../../etc/passwd", "x")], "has the component `..`");
    check("absolute", vec![file("/etc/passwd", "x")], "is absolute");
    check("control characters", vec![file("./a\x1b[31m", "x")], "holds a control character");
    check("a long path", vec![file(&"./a".repeat(2000), "x")], "is longer than 4095 bytes");
    check("deep", (0..70).map(|index| file(&deep(index), "")).collect(), "more than 256 MiB");
}

#[test]
fn sizes() {
    let bomb = |name: &str, len: usize| file(name, vec![0; len]);
    let more = "holds more than a package of this size can hold";
    check("a lie", &package([member("./a", 5 << 30, b"x")]), 3, more);
    check("cut short", &package([member("./a", 1 << 20, b"x")]), 3, "cut short");
    let control = zstd::encode_all(&bomb("./md5sums", 80 << 20)[..], 1).expect("memory suffices");
    check("a bomb of control", &archive(&control, b""), 3, more);
    check("a bomb", &package([bomb("./a", 100 << 20)]), 0, "verdict: passed");
    let metadata = format!("{SITE}/x-1.dist-info/METADATA");
    check("a large METADATA", &package([bomb(&metadata, 70 << 20)]), 0, "verdict: passed");
}

#[test]
fn texts() {
    let info = |name: &str| format!("{SITE}/x-1.dist-info/{name}");
    let metadata = |more: &str| file(&info("METADATA"), format!("Name: x\nVersion: 1\n{more}"));
    let nested = [b"{\"components\":".to_vec(), vec![b'['; 1 << 20]].concat();
    let members = [
        metadata("License: \x1b]0;x\x07\n"),
        file(&info("sboms/x.cdx.json"), &nested),
        file(&info("direct_url.json"), &nested),
        file(&info("RECORD"), "\0,,\n\x1b[31m.py,,\n../../../../../../../etc/passwd,,\n"),
        file(&format!("{SITE}/x.pth"), "import \x1b[31m\n"),
    ];
    check("control characters", &package(members), 0, "Not known");
    let record: String = (0..50_000).map(|index| format!("{index}.py,sha256=x,1\n")).collect();
    check("a long RECORD", &package([metadata(""), file(&info("RECORD"), record)]), 0, "passed");
    let needs = |index| format!("Requires-Dist: d; os_name == '{index}' or extra == 'e{index}'\n");
    let members =
        [metadata(&(0..5000).map(needs).collect::<String>()), file("./opt/a/pyvenv.cfg", "")];
    check("many requirements", &package(members), 0, "passed");
}

/// Links in circles, many environments and many entries take time that grows with their number alone.
#[test]
fn numbers() {
    let link = |index: usize| {
        let mut bytes = header(format!("./l{index}").as_bytes(), b'2', 0);
        let mut header = tar::Header::from_byte_slice(&bytes).clone();
        header.set_link_name(format!("l{}", (index + 1) % 2000)).expect("it is short");
        header.set_cksum();
        bytes.copy_from_slice(header.as_bytes());
        bytes.to_vec()
    };
    check("circles", &package((0..2000).map(link)), 0, "FS010");
    let environments = (0..3000).map(|index| file(&format!("./opt/{index}/pyvenv.cfg"), ""));
    check("environments", &package(environments), 0, "passed");
    let entries = (0..20_000).map(|index| file(&format!("./opt/a/{index}"), ""));
    check("entries", &package(entries), 0, "passed");
}

/// A library that needs as many others as it has room for, and looks for them in as many directories.
fn greedy() -> Vec<u8> {
    let names: Vec<_> = (0..20_000).map(|index| format!("{index}.so\0")).collect();
    let path = (0..20_000).map(|index| format!("/opt/a/{index}:")).collect::<String>() + "\0";
    let (mut strings, mut entries) = (vec![0], Vec::new());
    for name in &names {
        entries.push([1, strings.len() as u64]);
        strings.extend(name.as_bytes());
    }
    entries.push([29, strings.len() as u64]);
    strings.extend(path.as_bytes());
    let start = 64 + 2 * 56;
    let len = (entries.len() as u64 + 3) * 16;
    entries.extend([[5, start + len], [10, strings.len() as u64], [0, 0]]);
    let whole = start + len + strings.len() as u64;
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([3, 0, 62, 0, 1, 0, 0, 0]);
    bytes.extend([0, 64, 0].map(u64::to_le_bytes).concat());
    bytes.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
    for (kind, offset, size) in [(1_u64, 0, whole), (2, start, len)] {
        // PF_R alone, so that type and flags are one number.
        let fields = [kind | 4 << 32, offset, offset, offset, size, size, 0x1000];
        bytes.extend(fields.map(u64::to_le_bytes).concat());
    }
    bytes.extend(entries.concat().iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend(strings);
    bytes
}

#[test]
fn libraries() {
    let library = file("./opt/a/x.so", greedy());
    check("a greedy library", &package([library]), 1, "it needs more than 1024 libraries");
}

#[test]
fn wheels() {
    let sandbox = Sandbox::empty();
    let check = |wheel: &Wheel, code: i32, part: &str| {
        let name = format!("wheels/{}", wheel.file_name());
        sandbox.wheel(wheel);
        let outcome = attempt(&sandbox, &name);
        assert_eq!(outcome.code(), code, "{}", outcome.stderr);
        let said = outcome.stdout + &outcome.stderr;
        assert!(said.contains(part), "{part}: {said}");
    };
    check(&Wheel::new("a", "1").file("../x", ""), 3, "../x");
    check(
        &Wheel::new("b", "1").file("b-1.dist-info/METADATA", vec![b'x'; 130 << 20]),
        3,
        "packed more than 1000 to 1",
    );
    check(&Wheel::new("c", "1").file("c/bomb", vec![0; 200 << 20]), 3, "c/bomb");
}

#[test]
fn damaged_packages() {
    let sandbox = Sandbox::new();
    let package = sandbox.built(sandbox.rpm(&["-q"]));
    let whole = std::fs::read(package).expect("it was built");
    for at in [50, 104, 110, 200, 1000, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes.truncate(at);
        sandbox.write("cut.rpm", &bytes);
        assert_eq!(attempt(&sandbox, "cut.rpm").code(), 3, "{at}");
        let mut bytes = whole.clone();
        bytes[at..(at + 8).min(whole.len())].fill(0xff);
        sandbox.write("bad.rpm", &bytes);
        let outcome = attempt(&sandbox, "bad.rpm");
        let code = outcome.code();
        // Nothing is said in the lead, nor in the room the signature keeps for later.
        assert!(code == 3 || [50, 1000].contains(&at), "{at}: {code} {}", outcome.stderr);
    }
}

/// A sequence of numbers that looks random and is the same in every run (xorshift).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// What is inside may be damaged in any way, as long as it can be taken out.
#[test]
fn damaged_contents() {
    let info = |name: &str| format!("{SITE}/x-1.dist-info/{name}");
    let metadata =
        "Name: x\nVersion: 1\nLicense: MIT\nRequires-Dist: y[z]>=1; python_version < '4'\n";
    let contents: [(String, &[u8]); 8] = [
        (info("METADATA"), metadata.as_bytes()),
        (info("RECORD"), b"x.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\nx.so,,\n"),
        (info("sboms/x.json"), br#"{"components": [{"name": "openssl", "version": "3"}]}"#),
        (info("direct_url.json"), br#"{"url": "file:///x", "dir_info": {"editable": true}}"#),
        ("./opt/a/pyvenv.cfg".to_owned(), b"home = /usr/bin\nversion = 3.11.2\n"),
        (format!("{SITE}/x.pth"), b"import x\n/opt/x\n"),
        ("./usr/lib/systemd/system/x.service".to_owned(), b"[Service]\nExecStart=/x %i $(y)\n"),
        (format!("{SITE}/x.so"), include_bytes!("../../fixtures/elf/user.so")),
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..1000 {
        let (mut members, victim) = (Vec::new(), next(&mut state) as usize % contents.len());
        for (index, (name, content)) in contents.iter().enumerate() {
            let mut content = content.to_vec();
            for _ in 0..if index == victim { 1 + next(&mut state) % 6 } else { 0 } {
                let at = next(&mut state) as usize % content.len();
                content[at] = next(&mut state) as u8;
            }
            members.push(file(name, content));
        }
        let bytes = package(members);
        let room = || tempfile::tempfile().expect("the directory for temporary files is there");
        let mut input = room();
        std::io::Write::write_all(&mut input, &bytes).expect("a file takes bytes");
        let subject = Subject { name: "x".to_owned(), kind: "deb", ..Subject::default() };
        let read = deb::read(input, room()).and_then(|package| {
            let (tree, _) = with_distributions(package.tree);
            audit(subject, tree, package.scripts.into_iter().collect(), 1)
        });
        if let Err(error) = read {
            assert_eq!(exit_code(&error), 3, "{error:#}");
        }
    }
}
