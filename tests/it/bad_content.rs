//! Wheels that are sound by themselves and make no package: collisions, build paths, ELF files, commands.

use crate::elf::{Elf, user_with_executable_stack, user_with_search_path};
use crate::sandbox::{Failures, Sandbox};
use crate::wheel::Wheel;

/// One refusal for each set of wheels beside `acme`.
fn check(snapshot: &str, cases: Vec<(&str, Vec<Wheel>)>) {
    let mut failures = Failures::default();
    for (case, wheels) in cases {
        let sandbox = Sandbox::new();
        for wheel in &wheels {
            sandbox.wheel(wheel);
        }
        failures.deb(case, &sandbox, &[]);
    }
    failures.check(snapshot);
}

fn rocket() -> Wheel {
    Wheel::new("rocket", "2.0")
}

fn fuel() -> Wheel {
    Wheel::new("fuel", "1.0")
}

#[test]
fn collisions() {
    check(
        "bad_collisions",
        vec![
            (
                "one file, two contents",
                vec![rocket().file("shared.py", "a = 1\n"), fuel().file("shared.py", "a = 2\n")],
            ),
            (
                "one command of two distributions",
                vec![rocket().command("fire = rocket:x"), fuel().command("fire = fuel:y")],
            ),
            (
                "a command and a script",
                vec![
                    rocket().file("rocket.py", "").command("fire = rocket:x"),
                    fuel().file("fuel-1.0.data/scripts/fire", "#!/bin/sh\n"),
                ],
            ),
            (
                "one command twice in a distribution",
                vec![rocket().file("rocket.py", "").command("fire = rocket:x\nfire = rocket:y")],
            ),
            (
                "a file where another has a directory",
                vec![rocket().file("shared/a.py", ""), fuel().file("shared", "")],
            ),
            (
                "a directory where another has a file",
                vec![rocket().file("shared", ""), fuel().file("shared/a.py", "")],
            ),
            (
                "the RECORD of another",
                vec![
                    rocket().file("rocket-2.0.data/purelib/fuel-1.0.dist-info/RECORD", "x,,\n"),
                    fuel(),
                ],
            ),
            (
                "a directory for the interpreter",
                vec![rocket().file("rocket-2.0.data/data/bin/python/x", "")],
            ),
        ],
    );
}

#[test]
fn one_file_of_one_content_is_no_collision() {
    let sandbox = Sandbox::new();
    sandbox.wheel(&rocket().file("shared/__init__.py", "a = 1\n"));
    sandbox.wheel(&fuel().file("shared/__init__.py", "a = 1\n"));
    sandbox.build(&[]);
}

#[test]
fn commands_that_cannot_start() {
    check(
        "bad_commands",
        vec![
            ("module that is missing", vec![Wheel::acme().command("acme = acme.gone:main")]),
            ("package that is missing", vec![Wheel::acme().command("acme = gone:main")]),
            ("of another distribution", vec![rocket().command("fire = rocket.cli:main")]),
        ],
    );
    let mut failures = Failures::default();
    failures.deb("module that is excluded", &Sandbox::new(), &["--set", "exclude=**/cli.py"]);
    failures.check("bad_commands_excluded");
}

#[test]
fn names_dpkg_cannot_unpack() {
    let name = format!("acme/{}", "x".repeat(247));
    check("bad_names", vec![("component of 247 bytes", vec![rocket().file(&name, "")])]);
    let sandbox = Sandbox::new();
    sandbox.wheel(&rocket().file(&format!("acme/{}", "x".repeat(246)), ""));
    sandbox.build(&[]);
}

/// A source whose byte code would have too long a name has none, as with Python itself.
#[test]
fn a_module_with_a_long_name_needs_no_byte_code() {
    let sandbox = Sandbox::new();
    sandbox.wheel(&rocket().file(&format!("{}.py", "x".repeat(240)), ""));
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
}

#[test]
fn elf_files_the_loader_refuses() {
    let so = |elf: &[u8]| vec![rocket().file("rocket/_native.so", elf)];
    let sound = Elf::SOUND.bytes();
    let with = |at: usize, byte: u8| {
        let mut bytes = Elf::SOUND.bytes();
        bytes[at] = byte;
        bytes
    };
    check(
        "bad_elf",
        vec![
            ("misaligned segment", so(&Elf { load: [0x10, 0x2000, 0x1000], ..Elf::SOUND }.bytes())),
            ("alignment of three", so(&Elf { load: [0, 0, 3], ..Elf::SOUND }.bytes())),
            (
                "segment after the end",
                so(&Elf { load: [0x1000, 0x1000, 0x1000], ..Elf::SOUND }.bytes()),
            ),
            ("for AArch64", so(&Elf { machine: 183, ..Elf::SOUND }.bytes())),
            ("for no known machine", so(&Elf { machine: 0xfeed, ..Elf::SOUND }.bytes())),
            ("for ARM, of 32 bits", so(include_bytes!("../../fixtures/elf/armhf.so"))),
            ("for musl", so(include_bytes!("../../fixtures/elf/musl.so"))),
            (
                "a program for musl",
                vec![rocket().file("rocket/fire", include_bytes!("../../fixtures/elf/musl"))],
            ),
            ("of 32 bits", so(&with(4, 1))),
            ("of no class", so(&with(4, 9))),
            ("only the magic number", so(&sound[..4])),
            ("cut in the header", so(&sound[..40])),
            ("cut in the program header", so(&sound[..80])),
            ("without program headers", so(&with(56, 0))),
            ("program headers far away", so(&with(35, 0x7f))),
            ("nothing said of its stack", so(&sound)),
        ],
    );
    let sandbox = Sandbox::new();
    let whole = include_bytes!("../../fixtures/elf/libbase.so.1").as_slice();
    sandbox.wheel(
        &rocket().file("rocket/_native.so", whole).file("rocket/not_elf.so", "GROUP ( x )\n"),
    );
    let package = sandbox.build(&[]);
    assert!(package.display().to_string().ends_with("acme_1.0-1_amd64.deb"), "{package:?}");
}

/// An object file, or what has another type for other reasons, is not loaded; called `.so` it was meant to be.
#[test]
fn an_elf_file_of_another_type() {
    let sandbox = Sandbox::new();
    let mut elf = Elf::SOUND.bytes();
    elf[16] = 1;
    sandbox.wheel(&rocket().file("rocket/_native.so", elf));
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 3, "{}", outcome.stderr);
}

/// ld.so compares offset and address modulo its own page size, whatever the file says of alignment.
#[test]
fn a_segment_must_be_aligned_to_a_page() {
    let sandbox = Sandbox::new();
    let elf = Elf { load: [0x10, 0x2020, 0x10], ..Elf::SOUND };
    sandbox.wheel(&rocket().file("rocket/_native.so", elf.bytes()));
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 3, "{}", outcome.stderr);
}

#[test]
fn search_paths_of_a_build_machine() {
    let so = |list| vec![rocket().file("rocket/_native.so", user_with_search_path(list))];
    check(
        "bad_search_paths",
        vec![
            ("a home", so("/home/ci/lib")),
            ("where everybody writes", so("$ORIGIN:/tmp/l")),
            ("a directory of this host", so("/var/lib")),
            ("a build daemon's", so("/build/x-1")),
        ],
    );
}

#[test]
fn scripts_of_a_build_machine() {
    let sandbox = Sandbox::new();
    sandbox.file(
        "mkpkg.toml",
        "[[files]]\nsource = 'run'\ntarget = '/opt/acme/bin/run'\nmode = '755'\n",
    );
    sandbox.file("run", "#!/home/runner/work/acme/venv/bin/python -I\nprint(1)\n");
    let outcome = sandbox.run(sandbox.deb(&[]));
    let said = "`files` names `run`, which is run by `/home/runner/work/acme/venv/bin/python`, below somebody's home";
    assert_eq!(outcome.code(), 3, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    for program in ["/opt/acme/bin/python", "/usr/bin/env python3"] {
        sandbox.file("run", format!("#!{program}\nprint(1)\n"));
        assert_eq!(sandbox.run(sandbox.deb(&["--dry-run"])).code(), 0, "{program}");
    }
}

#[test]
fn stacks_that_can_be_executed() {
    let wheel = rocket().file("rocket/_native.so", user_with_executable_stack());
    check("bad_stack", vec![("of an extension", vec![wheel.clone()])]);
    let sandbox = Sandbox::new();
    sandbox.wheel(&wheel);
    sandbox.file("mkpkg.toml", "[dependencies]\nignore = ['/opt/acme/**', '*.so']\n");
    let outcome = sandbox.run(sandbox.deb(&["--dry-run"]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
}

/// What is no ELF file, or needs nothing, does not keep a package from being made.
#[test]
fn files_that_only_look_like_libraries() {
    let sandbox = Sandbox::new();
    sandbox.wheel(
        &rocket()
            .file("rocket/libscript.so", "INPUT ( libreal.so.1 )\n")
            .file("rocket/empty.so", "")
            .file("rocket/static", include_bytes!("../../fixtures/elf/static"))
            .file("rocket/static-pie", include_bytes!("../../fixtures/elf/static-pie")),
    );
    let outcome = sandbox.run(sandbox.deb(&["--dry-run"]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let [warning] = outcome.warnings()[..] else { panic!("{:?}", outcome.warnings()) };
    assert!(warning.ends_with("/rocket/empty.so` of `rocket 2.0` is empty and cannot be loaded"));
}

#[test]
fn foreign_files_that_nothing_loads() {
    let sandbox = Sandbox::new();
    sandbox.wheel(&rocket().file("rocket/attach.so", include_bytes!("../../fixtures/elf/old.so")));
    let outcome = sandbox.run(sandbox.deb(&["--dry-run"]));
    assert_eq!(outcome.code(), 4, "{}", outcome.stderr);
    let ignore = "dependencies.ignore=/opt/acme/*/attach.so";
    let outcome = sandbox.run(sandbox.deb(&["--dry-run", "--set", ignore]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let [warning] = outcome.warnings()[..] else { panic!("{:?}", outcome.warnings()) };
    assert!(warning.contains("/rocket/attach.so` is ignored"), "{warning}");
    let idle = "dependencies.ignore=['/opt/acme/*/attach.so', '/opt/acme/gone.so']";
    let outcome = sandbox.run(sandbox.deb(&["--dry-run", "--set", idle]));
    assert!(outcome.stderr.contains("lists `/opt/acme/gone.so`"), "{}", outcome.stderr);
}

#[test]
fn build_paths() {
    let mut failures = Failures::default();
    type Make = fn(&str) -> Vec<u8>;
    let cases: [(&str, &str, Make); 5] = [
        ("in a text", "rocket.cfg", |path| format!("root = {path}/src\n").into_bytes()),
        ("in a source", "rocket.py", |path| format!("ROOT = '{path}'\n").into_bytes()),
        ("in a binary", "rocket.bin", |path| format!("\0{path}\0").into_bytes()),
        ("in a script", "rocket-2.0.data/scripts/fire", |path| {
            format!("#!{path}/.venv/bin/perl\n").into_bytes()
        }),
        ("across the chunks a file is read in", "rocket.dat", |path| {
            [&vec![b' '; (256 << 10) - 9], path.as_bytes(), b" "].concat()
        }),
    ];
    for (case, path, make) in cases {
        let sandbox = Sandbox::new();
        let project = sandbox.path("project").display().to_string();
        sandbox.wheel(&rocket().file(path, make(&project)));
        failures.deb(case, &sandbox, &[]);
    }
    failures.check("bad_build_paths");
    let sandbox = Sandbox::new();
    let project = sandbox.path("project").display().to_string();
    sandbox.wheel(&rocket().file("rocket.cfg", format!("root = {project}-of-another\n")));
    sandbox.wheel(&fuel().file("fuel.cfg", format!("root = {project}\n")));
    sandbox.build(&["--set", "exclude=**/fuel.cfg"]);
}

/// Python 2 code in a wheel is data: it gets no byte code, and a warning.
#[test]
fn sources_that_are_no_python() {
    let sandbox = Sandbox::new();
    let deep = format!("x = {}1{}\n", "(".repeat(5000), ")".repeat(5000));
    sandbox.wheel(
        &rocket()
            .file("rocket/old.py", "print 'boom'\n")
            .file("rocket/nul.py", b"a = 1\0\n")
            .file("rocket/latin.py", b"name = '\xff'\n")
            .file("rocket/coding.py", "# coding: klingon\n")
            .file("rocket/deep.py", &deep)
            .file("rocket/deep_distutils.py", format!("import distutils\n{deep}")),
    );
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let names: Vec<_> = outcome.warnings().iter().map(|line| line.split('`').nth(1)).collect();
    let site = "/opt/acme/lib/python3.11/site-packages/rocket";
    let expected = ["coding", "deep", "deep_distutils", "latin", "nul", "old"]
        .map(|name| format!("{site}/{name}.py"));
    assert_eq!(names, expected.each_ref().map(|name| Some(name.as_str())));
}

/// The links to the interpreter and `pyvenv.cfg` are not files of the project; without them nothing starts.
#[test]
fn the_environment_cannot_be_excluded() {
    for (pattern, code) in [("bin/python*", 0), ("pyvenv.cfg", 0), ("**", 2)] {
        let sandbox = Sandbox::new();
        sandbox.wheel(&Wheel::new("acme", "1.0").file("acme.py", ""));
        let flags = ["--dry-run", "--set", &format!("exclude={pattern}")];
        let outcome = sandbox.run(sandbox.deb(&flags));
        assert_eq!(outcome.code(), code, "{pattern}: {}", outcome.stderr);
        let is_whole =
            ["/bin/python3.11 ->", "/pyvenv.cfg"].map(|end| outcome.stdout.contains(end));
        assert_eq!(is_whole, [code == 0; 2], "{pattern}: {}", outcome.stdout);
    }
}

/// A wheel speaks for one distribution; metadata of another would be believed by everything that asks for it.
#[test]
fn a_second_distribution_in_a_wheel() {
    let sandbox = Sandbox::new();
    let metadata = "Metadata-Version: 2.1\nName: evil\nVersion: 9\n";
    sandbox.wheel(&rocket().file("rocket-2.0.data/purelib/evil-9.dist-info/METADATA", metadata));
    let outcome = sandbox.run(sandbox.deb(&[]));
    assert_eq!(outcome.code(), 3, "{}", outcome.stderr);
}
