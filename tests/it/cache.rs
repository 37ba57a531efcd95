//! `mkpkg cache`, and builds whose cache is damaged, closed or not theirs.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Stdio;

use crate::bad_output::mounting;
use crate::deb::payload;
use crate::sandbox::{Outcome, Sandbox};
use crate::wheel::Wheel;

fn cache(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    sandbox.run(sandbox.mkpkg(&[&["cache"], args].concat()))
}

/// A sandbox with a cache of four entries.
fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, len) in [
        ("segments-1/ab/cd", 3000),
        ("facts-1/ab/cd", 500),
        ("wheels/k/manifest", 10),
        ("wheels/k/a.whl", 990),
        ("installers/k/held", 0),
        ("installers/k/uv/x", 7),
        ("pruned", 0),
    ] {
        sandbox.write(&format!("home/.cache/mkpkg/{name}"), vec![0; len]);
    }
    sandbox
}

#[test]
fn it_is_told_where_the_cache_is_and_what_is_in_it() {
    let sandbox = filled();
    assert_eq!(cache(&sandbox, &["dir"]).stdout, "[DIR]/home/.cache/mkpkg\n");
    assert_eq!(cache(&sandbox, &["dir", "--json"]).stdout, "\"[DIR]/home/.cache/mkpkg\"\n");
    let expected = "\
facts-1             1      500 B
installers          1        7 B
segments-1          1     3.0 kB
wheels              1     1.0 kB
total               4     4.5 kB
";
    assert_eq!(cache(&sandbox, &["size"]).stdout, expected);
    let json = cache(&sandbox, &["--json", "size"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["kinds"]["wheels"]["bytes"], 1000);
    assert_eq!(json["total"], serde_json::json!({"entries": 4, "bytes": 4507}));
}

#[test]
fn less_is_left_when_that_is_asked_for() {
    let sandbox = filled();
    let pruned = cache(&sandbox, &["prune"]).stdout;
    assert_eq!(pruned, "removed 0 entries, 0 B; 4 entries, 4.5 kB left\n");
    let aged = sandbox.path("home/.cache/mkpkg/segments-1/ab/cd");
    let aged = fs::File::options().write(true).open(aged).expect("it is there");
    aged.set_modified(std::time::UNIX_EPOCH).expect("it is ours");
    let pruned = cache(&sandbox, &["prune", "--max-age", "30"]).stdout;
    assert_eq!(pruned, "removed 1 entry, 3.0 kB; 3 entries, 1.5 kB left\n");
    let cleaned = cache(&sandbox, &["clean", "--json"]).stdout;
    let cleaned: serde_json::Value = serde_json::from_str(&cleaned).expect("it is JSON");
    assert_eq!(cleaned["removed"], serde_json::json!({"entries": 3, "bytes": 1507}));
    assert_eq!(cleaned["left"], serde_json::json!({"entries": 0, "bytes": 0}));
    for size in ["5GiB", "-1", "much"] {
        assert_eq!(cache(&sandbox, &["prune", &format!("--max-size={size}")]).code(), 2);
    }
}

#[test]
fn a_cache_of_everybody_is_neither_used_nor_pruned() {
    let sandbox = filled();
    let dir = sandbox.path("home/.cache/mkpkg");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("it is ours");
    let outcome = cache(&sandbox, &["clean"]);
    assert_eq!(outcome.code(), 3);
    let expected = "error: the cache `[DIR]/home/.cache/mkpkg` is not used: everybody can write there\n\
                    hint: set `XDG_CACHE_HOME` to a directory of your own\n";
    assert_eq!(outcome.error(), expected);
    assert!(dir.join("wheels/k/a.whl").exists());
    let built = sandbox.run(sandbox.deb(&["-v"]));
    assert_eq!(built.code(), 0, "{}", built.stderr);
    assert!(built.stderr.contains("note: the cache `[DIR]/home/.cache/mkpkg` is not used"));
}

#[test]
fn without_a_home_there_is_no_cache() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.mkpkg(&["cache", "size"]);
    command.env_remove("HOME").env_remove("XDG_CACHE_HOME");
    let outcome = sandbox.run(command);
    assert_eq!(outcome.code(), 2);
    assert!(outcome.error().starts_with("error: there is no cache: "), "{}", outcome.stderr);
    let mut build = sandbox.deb(&[]);
    build.env_remove("HOME").env_remove("XDG_CACHE_HOME");
    assert_eq!(sandbox.run(build).code(), 0);
}

/// A project of three distributions, with files that are no Python and that import what is split off.
fn application() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::new("rocket", "2.0").file("rocket.py", "import tkinter\nX = 'one'\n"));
    sandbox.wheel(
        &Wheel::new("sled", "1.0").file("sled.py", "a, b = 'x', 'x' * 9\n").file("bad.py", "def"),
    );
    sandbox
}

/// All files of the cache that hold what was kept.
fn entries(sandbox: &Sandbox) -> Vec<PathBuf> {
    let (mut found, mut pending) = (Vec::new(), vec![sandbox.path("home/.cache/mkpkg")]);
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).expect("it is a directory").flatten() {
            let path = entry.path();
            if path.is_dir() { pending.push(path) } else { found.push(path) }
        }
    }
    found.retain(|path| !path.ends_with("pruned"));
    found
}

/// The bytes of a package that is built anew, and what was said meanwhile, times aside.
fn built(sandbox: &Sandbox, args: &[&str]) -> (Vec<u8>, Vec<String>) {
    built_as("deb", sandbox, args)
}

fn built_as(format: &str, sandbox: &Sandbox, args: &[&str]) -> (Vec<u8>, Vec<String>) {
    let _ = fs::remove_dir_all(sandbox.path("out"));
    let outcome = sandbox.run(sandbox.package(format, args));
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let path = outcome
        .stdout
        .trim_end()
        .replace("[DIR]", sandbox.path("").to_str().expect("UTF-8").trim_end_matches('/'));
    let said = outcome.stderr.lines().filter(|line| line.starts_with("warning:"));
    let said = said.map(str::to_owned).collect();
    let package = sandbox.path("project").join(path);
    (fs::read(package).expect("it was written"), said)
}

#[test]
fn packages_are_the_same_whatever_the_cache_has() {
    let sandbox = application();
    let cold = built(&sandbox, &["--no-cache"]);
    assert!(!sandbox.path("home/.cache/mkpkg").exists());
    assert!(cold.1.iter().any(|line| line.contains("bad.py` is not valid Python")), "{:?}", cold.1);
    assert_eq!(built(&sandbox, &[]), cold);
    assert!(entries(&sandbox).iter().any(|path| path.display().to_string().contains("/bytecode-")));
    assert_eq!(built(&sandbox, &["--jobs", "1"]), cold);
    // Whatever one entry lost, or one bit of it.
    for at in 0..entries(&sandbox).len() {
        let path = entries(&sandbox).swap_remove(at);
        let mut bytes = fs::read(&path).expect("it is there");
        match at % 3 {
            0 => bytes.truncate(bytes.len() / 2),
            1 => bytes.clear(),
            _ => *bytes.last_mut().expect("it has a header") ^= 1,
        }
        fs::write(path, bytes).expect("it is ours");
        assert!(built(&sandbox, &[]) == cold, "{at}");
    }
    // All of the byte code is gone, and what became of it is known.
    for path in entries(&sandbox) {
        if path.metadata().expect("it is there").len() > 1 {
            fs::remove_file(path).expect("it is ours");
            assert!(built(&sandbox, &[]) == cold);
        }
    }
    // Another prefix and another wheel are other byte code.
    let other = built(&sandbox, &["--set", "prefix=/opt/other"]);
    assert!(
        other == built(&sandbox, &["--set", "prefix=/opt/other", "--no-cache"]) && other != cold
    );
    sandbox.wheel(&Wheel::new("rocket", "2.0").file("rocket.py", "X = 'two'\n"));
    let changed = built(&sandbox, &[]);
    assert!(changed == built(&sandbox, &["--no-cache"]) && changed != cold);
}

/// Bytes that no compressor makes shorter.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut step = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| step()).collect()
}

/// A large file that begins as compiled ones do.
fn library(seed: u64) -> Vec<u8> {
    [vec![0; 64], noise(8 << 20, seed)].concat()
}

/// Bytes of all packed segments that are kept.
fn packed(sandbox: &Sandbox) -> u64 {
    let is_segment = |path: &PathBuf| path.display().to_string().contains("/segments-");
    let len = |path: &PathBuf| path.metadata().expect("it is there").len();
    entries(sandbox).iter().filter(|path| is_segment(path)).map(len).sum()
}

/// The content of a large file is packed once for all packages it is in, and what stands around it for each.
#[test]
fn large_contents_are_shared() {
    let sandbox = application();
    let files = [
        ("r/a.bin", library(1)),
        ("r/b.bin", library(2)),
        // Cannot begin a piece.
        ("r/c.bin", noise(8 << 20, 3)),
        ("r/d.bin", library(1)),
        ("r/e.txt", b"between\n".to_vec()),
    ];
    let add = |wheel: Wheel, (path, content): &(&str, Vec<u8>)| wheel.file(path, content);
    sandbox.wheel(&files.iter().fold(Wheel::new("rocket", "2.0"), add));
    sandbox.wheel(&Wheel::acme().file("acme/own.bin", library(4)));
    let args = ["--compression", "zstd:1"];
    let cold = ["deb", "rpm"].map(|format| {
        built_as(format, &sandbox, &[&args[..], &["--no-cache", "--jobs", "1"]].concat())
    });
    assert!(built_as("deb", &sandbox, &args) == cold[0]);
    // Three contents and the one that stays with its neighbours.
    let mut before = packed(&sandbox);
    assert!((32 << 20..33 << 20).contains(&before), "{before}");
    let mut more = || packed(&sandbox) - std::mem::replace(&mut before, packed(&sandbox));
    assert!(built_as("rpm", &sandbox, &args) == cold[1]);
    let (one, rest) = (8 << 20..9 << 20, 0..1 << 20);
    assert!(one.contains(&more()));
    // Everything has another path.
    built_as("rpm", &sandbox, &[&args[..], &["--set", "prefix=/opt/other"]].concat());
    assert!(one.contains(&more()));
    // A new commit: files of the application have its time.
    fs::remove_dir_all(sandbox.path("out")).expect("it is there");
    let mut later = sandbox.package("rpm", &args);
    later.env("SOURCE_DATE_EPOCH", "1700000060");
    sandbox.built(later);
    assert!(rest.contains(&more()));
    fs::remove_dir_all(sandbox.path("out")).expect("it is there");
    let package = sandbox.build(&["--compression", "gzip:1"]);
    let payload = payload(&package);
    for (path, content) in files {
        let path = format!("/opt/acme/lib/python3.11/site-packages/{path}");
        assert!(payload[&path].content == content, "{path}");
    }
}

/// Large entries are verified while they are copied into a package, which begins anew without those that are not whole.
#[test]
fn damage_is_found_while_it_is_copied() {
    let sandbox = application();
    sandbox.wheel(&Wheel::new("rocket", "2.0").file("a.bin", library(1)));
    sandbox.wheel(&Wheel::acme().file("acme/b.bin", noise(2 << 20, 2)));
    let args = ["--compression", "zstd:1"];
    for format in ["deb", "rpm"] {
        let cold = built_as(format, &sandbox, &[&args[..], &["--no-cache"]].concat());
        assert!(built_as(format, &sandbox, &args) == cold);
        let is_large = |path: &PathBuf| path.metadata().is_ok_and(|file| file.len() > 1 << 20);
        let mut large = entries(&sandbox);
        large.retain(|path| is_large(path) && path.display().to_string().contains("/segments-"));
        assert!(large.len() > 1, "{large:?}");
        let whole: Vec<_> = large.iter().map(|path| fs::read(path).expect("it is there")).collect();
        let damage = |change: &dyn Fn(&mut Vec<u8>)| {
            for (path, bytes) in large.iter().zip(&whole) {
                let mut bytes = bytes.clone();
                change(&mut bytes);
                fs::write(path, bytes).expect("it is ours");
            }
            assert!(built_as(format, &sandbox, &args) == cold, "{format}");
            let now: Vec<_> = large.iter().map(|path| fs::read(path).expect("made anew")).collect();
            assert!(now == whole, "{format}");
        };
        damage(&|bytes| *bytes.last_mut().expect("it has some") ^= 1);
        damage(&|bytes| bytes[1 << 19] ^= 0x80);
        damage(&|bytes| bytes.truncate(1 << 19));
        damage(&|bytes| bytes.push(0));
        for path in &large {
            fs::remove_file(path).expect("it is ours");
        }
    }
}

/// Of an application's own files those near the one that changed are compiled again.
#[test]
fn a_change_costs_its_surroundings() {
    let sandbox = application();
    let own = |changed: &str| {
        let names: Vec<_> = (0..100).map(|number| format!("acme/module{number}.py")).collect();
        let add = |wheel: Wheel, name: &String| {
            wheel.file(name, if name.contains("50") { changed } else { "X = 1\n" })
        };
        sandbox.wheel(&names.iter().fold(Wheel::acme(), add));
    };
    own("X = 2\n");
    built(&sandbox, &[]);
    let is_code = |path: &PathBuf| path.display().to_string().contains("/bytecode-");
    let code = || entries(&sandbox).into_iter().filter(is_code).count();
    let before = code();
    own("X = 'changed'\n");
    let warm = built(&sandbox, &[]);
    // What became of the sources of one group, and their byte code.
    assert_eq!((before > 12, code() - before), (true, 2));
    assert!(warm == built(&sandbox, &["--no-cache"]));
}

/// What lies there is written again only if it is not the package, or another user's to change.
#[test]
fn a_package_that_is_there_stays() {
    let sandbox = application();
    let whole = built(&sandbox, &[]).0;
    let path = fs::read_dir(sandbox.path("out")).expect("it is there").flatten().next();
    let path = path.expect("one was built").path();
    let is_kept = |args: &[&str]| {
        let before = path.metadata().expect("it is there").ino();
        let outcome = sandbox.run(sandbox.deb(args));
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("\nsha256 "), "{}", outcome.stderr);
        path.metadata().expect("it is there").ino() == before
    };
    let is_whole = || fs::read(&path).expect("it is there") == whole;
    assert!(is_kept(&[]) && is_kept(&["--jobs", "1"]) && is_whole());
    assert!(!is_kept(&["--no-cache"]) && is_whole());
    let mut damaged = whole.clone();
    *damaged.last_mut().expect("it is not empty") ^= 1;
    fs::write(&path, &damaged).expect("it is ours");
    assert!(!is_kept(&[]) && is_whole());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("it is ours");
    assert!(!is_kept(&[]) && is_whole());
    // Other fields, another compression, another time, other wheels.
    for args in [["--set", "deb.priority=extra"], ["--compression", "gzip:1"]] {
        assert!(!is_kept(&args) && !is_whole(), "{args:?}");
        assert!(!is_kept(&[]) && is_whole(), "{args:?}");
    }
    sandbox.wheel(&Wheel::new("rocket", "2.0").file("rocket.py", "X = 'two'\n"));
    assert!(!is_kept(&[]) && !is_whole());
    // A link is none of ours.
    let aside = sandbox.path("aside");
    fs::rename(&path, &aside).expect("it is ours");
    std::os::unix::fs::symlink(&aside, &path).expect("it is ours");
    assert!(!is_kept(&[]) && path.symlink_metadata().expect("it is there").is_file());
}

#[test]
fn a_cache_that_cannot_be_written_is_read() {
    let sandbox = application();
    sandbox.wheel(&Wheel::new("rocket", "2.0").file("a.bin", noise(2 << 20, 1)));
    let cold = built(&sandbox, &[]);
    let names = entries(&sandbox);
    let mut command = sandbox.deb(&["-v"]);
    if !sandbox.as_nobody("a_cache_that_cannot_be_written_is_read", &mut command) {
        return;
    }
    // Nor can be removed what turns out to be damaged.
    let is_segment = |path: &&PathBuf| path.display().to_string().contains("/segments-");
    let large = names
        .iter()
        .filter(is_segment)
        .max_by_key(|path| path.metadata().map_or(0, |file| file.len()));
    let large = large.expect("a segment was kept");
    let mut bytes = fs::read(large).expect("it is there");
    *bytes.last_mut().expect("it has some") ^= 1;
    fs::write(large, bytes).expect("it is ours");
    for path in &names {
        // What root has put there, and nobody may change.
        for path in path.ancestors().take_while(|path| *path != sandbox.path("home/.cache")) {
            chown(path, Some(0), Some(0)).expect("root may");
            let mode = if path.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root may");
        }
    }
    fs::create_dir_all(sandbox.path("out")).expect("it is ours");
    fs::set_permissions(sandbox.path("out"), fs::Permissions::from_mode(0o777))
        .expect("it is ours");
    let outcome = sandbox.run(command);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let package = fs::read_dir(sandbox.path("out")).expect("it is there").flatten().next();
    assert!(fs::read(package.expect("one was built").path()).expect("it is there") == cold.0);
}

#[test]
fn builds_that_run_at_once_share_it() {
    let sandbox = application();
    let cold = built(&sandbox, &["--no-cache"]);
    let builds: Vec<_> = (0..4)
        .map(|number| {
            let out = format!("../out-{number}");
            let mut command = sandbox.deb(&["-o", &out]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            (out, command.spawn().expect("it can be started"))
        })
        .collect();
    for (out, mut build) in builds {
        assert!(build.wait().expect("it ends").success());
        let dir = sandbox.path("project").join(out);
        let package = fs::read_dir(dir).expect("it is there").flatten().next();
        assert!(fs::read(package.expect("one was built").path()).expect("it is there") == cold.0);
    }
}

/// As much as fits is kept; the package is whole anyway.
#[test]
fn a_cache_on_a_full_disk() {
    let sandbox = application();
    let cold = built(&sandbox, &["--no-cache"]);
    fs::create_dir_all(sandbox.path("home/.cache")).expect("it is ours");
    for size in ["4k", "32k", "100k"] {
        let mount = format!("mount -t tmpfs -o mode=700,size={size} tmpfs ../home/.cache");
        let script = format!("{mount}; \"$@\" -v; find ../home/.cache -name '.part-*' -size +0");
        let Some(mut command) = mounting("a_cache_on_a_full_disk", &sandbox, &script) else {
            return;
        };
        fs::remove_dir_all(sandbox.path("out")).expect("it is there");
        let outcome = sandbox.outcome(&command.output().expect("it can be started"));
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
        let full = outcome.stderr.contains("note: cannot keep ")
            || outcome.stderr.contains("is not used: ");
        assert!(full || size != "4k", "{size}: {}", outcome.stderr);
        assert_eq!(outcome.stdout.lines().count(), 1, "{}", outcome.stdout);
        let package = fs::read_dir(sandbox.path("out")).expect("it is there").flatten().next();
        assert!(fs::read(package.expect("one was built").path()).expect("it is there") == cold.0);
    }
}
