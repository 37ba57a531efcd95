//! `mkpkg cache`, and builds whose cache is damaged, closed or not theirs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::sandbox::{Outcome, Sandbox};

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
