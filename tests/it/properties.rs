//! What is true of every package: its bytes depend on its input alone, and it says the truth of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::deb::{Entry, payload};
use crate::digest::{base64url, sha256};
use crate::sandbox::{Sandbox, is_there};
use crate::wheel::Wheel;

/// Two distributions with enough modules for several batches of byte code.
fn many_modules() -> Sandbox {
    let sandbox = Sandbox::new();
    let mut acme = Wheel::acme().metadata("Requires-Dist: rocket\n");
    let mut rocket = Wheel::new("rocket", "2.0");
    for number in 0..150 {
        let source = format!(
            "'''{number}'''\nNAMES = {{'a', 'b', {number}}}\ndef f{number}(a, *b): return b\n"
        );
        acme = acme.file(&format!("acme/m{number}.py"), &source);
        rocket = rocket.file(&format!("rocket/m{number}.py"), &source);
    }
    sandbox.wheel(&acme.file("acme/data, \"quoted\" and spaced.txt", "x"));
    sandbox.wheel(&rocket.file("rocket-2.0.data/scripts/fire", "#!python3 -u\n"));
    sandbox
}

#[test]
fn bytes_depend_on_the_input_alone() {
    let sandbox = many_modules();
    let reference = fs::read(sandbox.build(&["--jobs", "1"])).expect("it was written");
    let check = |what: &str, command: Command| {
        let bytes = fs::read(sandbox.built(command)).expect("it was written");
        assert!(bytes == reference, "{what} changes the package");
    };
    for jobs in ["2", "8"] {
        check(jobs, sandbox.deb(&["--jobs", jobs]));
    }
    for (name, value) in [
        ("TZ", "Pacific/Kiritimati"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LANG", "C"),
        ("HOME", "/dev/null"),
        ("PYTHONHASHSEED", "7"),
        ("PYTHONPATH", "/dev/null"),
        ("PYTHONOPTIMIZE", "2"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONPYCACHEPREFIX", "/dev/null"),
        ("PYTHONNODEBUGRANGES", "1"),
    ] {
        let mut command = sandbox.deb(&[]);
        command.env(name, value);
        check(name, command);
    }
    fs::create_dir_all(sandbox.path("elsewhere/deep")).expect("the sandbox can be written");
    let mut command = sandbox.deb(&[]);
    command.env("TMPDIR", sandbox.path("elsewhere/deep"));
    check("TMPDIR", command);
    let project = sandbox.path("project").display().to_string();
    let mut command = sandbox.mkpkg(&["deb", &project, "--wheelhouse", "wheels", "-o", "out"]);
    command.current_dir(sandbox.path(""));
    check("the working directory", command);
    for mask in ["000", "077"] {
        let words = ["deb", "--wheelhouse", "../wheels", "-o", "../out"];
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("umask {mask}; exec \"$@\""), "sh"]);
        shell.arg(env!("CARGO_BIN_EXE_mkpkg")).args(words);
        sandbox.clean(&mut shell);
        check(&format!("umask {mask}"), shell);
    }
}

/// Another directory with the same project, of another user where that can be tried.
#[test]
fn bytes_do_not_depend_on_place_and_time_of_files() {
    let (one, other) = (many_modules(), many_modules());
    let reference = fs::read(one.build(&[])).expect("it was written");
    let old = fs::File::options().append(true).open(other.path("project/pyproject.toml"));
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    old.and_then(|file| file.set_modified(time)).expect("the file is ours");
    let mut command = other.deb(&[]);
    if !other.as_nobody("bytes of another user", &mut command) {
        command = other.deb(&[]);
    }
    assert!(fs::read(other.built(command)).expect("it was written") == reference);
}

#[test]
fn source_date_epoch_changes_times_only() {
    let sandbox = many_modules();
    let mut payloads = ["1700000000", "0", "4294967295"].map(|epoch| {
        let mut command = sandbox.deb(&["--compression", "gzip:1"]);
        command.env("SOURCE_DATE_EPOCH", epoch);
        let payload = payload(&sandbox.built(command));
        let latest = payload.values().map(|entry| entry.mtime).max();
        assert_eq!(latest.map(|time| time.to_string()).as_deref(), Some(epoch));
        payload
    });
    for payload in &mut payloads {
        payload.values_mut().for_each(|entry| entry.mtime = 0);
        // These two name the date.
        payload.retain(|path, _| !path.starts_with("/usr/share/doc/acme/"));
    }
    assert!(payloads[0] == payloads[1] && payloads[1] == payloads[2]);
}

#[test]
fn owners_modes_and_parents() {
    let sandbox = many_modules();
    let payload = payload(&sandbox.build(&["--compression", "gzip:1"]));
    let root = (0, 0, "root".to_owned(), "root".to_owned());
    for (path, entry) in &payload {
        assert_eq!(entry.owner, root, "{path}");
        let is_link = entry.kind.is_symlink();
        assert!(is_link || [0o755, 0o644].contains(&entry.mode), "{path}: {:o}", entry.mode);
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        assert!(payload.contains_key(parent), "{path} has no parent");
    }
}

/// Fields of one line of RECORD.
fn fields(line: &str) -> (String, String, String) {
    let (path, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\",").expect("quotes are closed"),
        None => line.split_once(',').expect("there are three fields"),
    };
    let (hash, len) = rest.split_once(',').expect("there are three fields");
    (path.replace("\"\"", "\""), hash.to_owned(), len.to_owned())
}

const SITE: &str = "/opt/acme/lib/python3.11/site-packages";

/// Lines of RECORD files that are not true, and files of site-packages no RECORD lists.
fn lies(payload: &BTreeMap<String, Entry>) -> Vec<String> {
    let (mut lies, mut listed) = (Vec::new(), BTreeSet::new());
    for (record, entry) in payload.iter().filter(|(path, _)| path.ends_with(".dist-info/RECORD")) {
        let text = String::from_utf8(entry.content.clone()).expect("RECORD is UTF-8");
        for (path, hash, len) in text.lines().map(fields) {
            let path = match path.strip_prefix("../../../") {
                Some(path) => format!("/opt/acme/{path}"),
                None => format!("{SITE}/{path}"),
            };
            let truth = payload.get(&path).map(|entry| {
                let hash = format!("sha256={}", base64url(&sha256(&entry.content)));
                (hash, entry.content.len().to_string())
            });
            if path != *record && truth != Some((hash, len)) {
                lies.push(format!("{}: {path}", &record[SITE.len() + 1..]));
            }
            listed.insert(path);
        }
    }
    let files = payload.iter().filter(|(_, entry)| entry.kind.is_file()).map(|(path, _)| path);
    let is_unlisted = |path: &&String| path.starts_with(SITE) && !listed.contains(*path);
    lies.extend(files.filter(is_unlisted).map(|path| format!("unlisted: {path}")));
    lies
}

#[test]
fn records_are_true() {
    let sandbox = many_modules();
    assert_eq!(lies(&payload(&sandbox.build(&["--compression", "gzip:1"]))), [""; 0]);
    let lean = ["--compression", "gzip:1", "--set", "exclude=['**/m1*.py', 'bin/fire']"];
    assert_eq!(lies(&payload(&sandbox.build(&lean))), [""; 0]);
    let plain = ["--compression", "gzip:1", "--set", "byte-compile=false"];
    assert_eq!(lies(&payload(&sandbox.build(&plain))), [""; 0]);
}

/// Wheels may bring byte code of their own; ours takes its place, and RECORD knows.
#[test]
fn records_are_true_where_a_wheel_brings_byte_code() {
    let sandbox = Sandbox::new();
    sandbox.wheel(&Wheel::acme().file("acme/__pycache__/cli.cpython-311.pyc", "stale"));
    assert_eq!(lies(&payload(&sandbox.build(&["--compression", "gzip:1"]))), [""; 0]);
}

/// The same from the wheel of another distribution.
#[test]
fn records_are_true_where_another_wheel_brings_byte_code() {
    let sandbox = Sandbox::new();
    let stale = "acme/__pycache__/cli.cpython-311.pyc";
    sandbox.wheel(&Wheel::new("rocket", "2.0").file(stale, "stale"));
    assert_eq!(lies(&payload(&sandbox.build(&["--compression", "gzip:1"]))), [""; 0]);
}

/// What has no source, or was optimised, is nothing that mkpkg makes, and its scriptlets clear such files.
#[test]
fn byte_code_that_was_brought_is_left_out() {
    let sandbox = Sandbox::new();
    let brought = ["gone.cpython-311.pyc", "cli.cpython-311.opt-1.pyc", "cli.pyc.1403"];
    let path = |name: &str| format!("acme/my__pycache__/x/__pycache__/{name}");
    let wheel = Wheel::acme().file("acme/my__pycache__/x.pyc", "data");
    sandbox.wheel(&brought.iter().fold(wheel, |wheel, name| wheel.file(&path(name), "old")));
    let payload = payload(&sandbox.build(&["--compression", "gzip:1"]));
    assert_eq!(lies(&payload), [""; 0]);
    let has = |name: &str| payload.keys().any(|path| path.ends_with(name));
    assert!(!brought.iter().any(|name| has(name)) && has("/my__pycache__/x.pyc"));
}

#[test]
fn byte_code_is_for_its_final_place() {
    if !is_there("byte code", "/usr/bin/python3.11") {
        return;
    }
    let sandbox = many_modules();
    let payload = payload(&sandbox.build(&["--compression", "gzip:1"]));
    let pycs: Vec<_> = payload.iter().filter(|(path, _)| path.ends_with(".pyc")).collect();
    let sources = payload.keys().filter(|path| path.ends_with(".py")).count();
    assert_eq!((pycs.len(), sources), (302, 302));
    let mut lines = Vec::new();
    for (number, (path, entry)) in pycs.iter().enumerate() {
        assert_eq!(entry.content[4..8], [1, 0, 0, 0], "{path} is not unchecked-hash");
        let file = sandbox.write(&format!("pyc/{number}"), &entry.content);
        let source = path.replace("/__pycache__", "").replace(".cpython-311.pyc", ".py");
        let text = sandbox.write(&format!("py/{number}"), &payload[&source].content);
        lines.push(format!("{} {} {source}", file.display(), text.display()));
    }
    let list = sandbox.write("pycs", lines.join("\n"));
    let script = "import _imp, importlib.util, marshal, sys\n\
        for line in open(sys.argv[1]):\n    \
            pyc, text, source = line.split()\n    \
            data = open(pyc, 'rb').read()\n    \
            assert data[:4] == importlib.util.MAGIC_NUMBER, pyc\n    \
            assert data[8:16] == importlib.util.source_hash(open(text, 'rb').read()), source\n    \
            code = marshal.loads(data[16:])\n    \
            assert code.co_filename == source, code.co_filename\n";
    let mut python = Command::new("/usr/bin/python3.11");
    python.args(["-I", "-c", script]).arg(list);
    let output = python.output().expect("it is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The release of a package, as the name of its file tells it.
fn release(sandbox: &Sandbox, args: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = sandbox.deb(&[args, &["-o", "../named"]].concat());
    command.envs(environment.iter().copied());
    let outcome = sandbox.run(command);
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr);
    let name = outcome.stdout.trim().strip_prefix("../named/acme_1.0-").map(str::to_owned);
    name.expect("stdout is the path").trim_end_matches("_all.deb").to_owned()
}

#[test]
fn flags_precede_the_environment_and_that_the_file() {
    let sandbox = Sandbox::new();
    assert_eq!(release(&sandbox, &[], &[]), "1");
    sandbox.file("mkpkg.toml", "release = 'file'\n");
    assert_eq!(release(&sandbox, &[], &[]), "file");
    let environment = [("MKPKG_RELEASE", "env")];
    assert_eq!(release(&sandbox, &[], &environment), "env");
    assert_eq!(release(&sandbox, &["--release", "flag"], &environment), "flag");
    assert_eq!(release(&sandbox, &["--set", "release=set"], &environment), "set");
    assert_eq!(release(&sandbox, &["--set", "release=1.10"], &[]), "1.10");
}

/// Switches in the environment are what people write: `1` and `true`, `0`, `false` and nothing.
#[test]
fn switches_in_the_environment() {
    let sandbox = Sandbox::new();
    let mut wrong = Vec::new();
    for (value, is_on) in
        [("1", true), ("true", true), ("yes", true), ("0", false), ("false", false), ("", false)]
    {
        let mut command = sandbox.deb(&[]);
        command.env("MKPKG_LOCKED", value);
        let outcome = sandbox.run(command);
        let is_locked = outcome.error().starts_with("error: `--locked` needs a lock");
        wrong.extend(
            (outcome.code() != 2 * i32::from(is_on) || is_locked != is_on).then_some(value),
        );
    }
    assert_eq!(wrong, [""; 0]);
}
