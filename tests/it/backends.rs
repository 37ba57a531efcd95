//! The project's own wheel, built by its backend in an environment that is kept.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::bad_output::mounting;
use crate::deb::payload;
use crate::sandbox::{Outcome, Sandbox, is_there};
use crate::wheel::Wheel;

/// A backend that puts `acme.py` into a wheel, and into it what it sees of its surroundings.
const FORGE: &str = r#"
import base64, concurrent.futures, hashlib, json, multiprocessing, os, subprocess, sys, zipfile

by = "pip" if "pip" in sys.argv[0] else "hooks"
assert len(sys.argv) == 1 or by == 'pip', sys.argv
print("a backend may say anything")

def get_requires_for_build_wheel(settings=None):
    with open("left-by-a-hook", "w"):
        pass
    if os.path.exists("wants.txt"):
        with open("wants.txt") as file:
            return file.read().split()
    return []

def build_wheel(to, settings=None, metadata=None):
    assert os.path.exists("left-by-a-hook")
    try:
        import anvil
        seen = "anvil"
    except ImportError:
        seen = "nothing"
    if os.path.exists("run.txt"):
        subprocess.run(["forge-version"], check=True)
    if os.path.exists("spawn.txt"):
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
            assert list(pool.map(abs, [-1])) == [1]
    if os.path.exists("second.txt"):
        zipfile.ZipFile(os.path.join(to, "zz-1.0-py3-none-any.whl"), "w").close()
    with open("acme.py") as file:
        text = file.read()
    info = "acme-1.0.dist-info/"
    files = {
        "acme.py": text,
        "acme_saw.txt": f"{by} {seen} {settings} {os.environ['SOURCE_DATE_EPOCH']} {os.getcwd().endswith('/project')}",
        **({"acme-1.0.data/data" + sys.prefix + "/x": ""} if os.path.exists("prefix.txt") else {}),
        info + "METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\nSummary: shop\n",
        info + "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    with zipfile.ZipFile(os.path.join(to, "acme-1.0-py3-none-any.whl"), "w") as wheel:
        for name, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")
            record += f"{name},sha256={digest},{len(content)}\n"
            wheel.writestr(name, content)
        wheel.writestr(info + "RECORD", record + info + "RECORD,,\n")
    return "acme-1.0-py3-none-any.whl"
"#;

const PROJECT: &str = "[project]\nname = 'acme'\nversion = '1.0'\n[build-system]\nrequires = ['forge']\nbuild-backend = 'forge'\n";

/// A project that the distribution `forge` builds, which pip finds among the wheels; `None` without pip.
fn project(test: &str) -> Option<Sandbox> {
    if !is_there(test, "/usr/lib/python3/dist-packages/pip") {
        return None;
    }
    let sandbox = Sandbox::empty();
    sandbox.file("pyproject.toml", PROJECT);
    sandbox.file("acme.py", "A = 1\n");
    // Nothing is left to resolve.
    sandbox.file("pylock.toml", "lock-version = '1.0'\ncreated-by = 'a test'\npackages = []\n");
    // Nothing of the project stands before the library.
    sandbox.file("json.py", "raise SystemExit('not this one')\n");
    let forge = Wheel::new("forge", "1.0").file("forge.py", FORGE);
    let forge = forge.file("forge_version.py", "def main():\n    print(1)\n");
    sandbox.wheel(&forge.command("forge-version = forge_version:main"));
    Some(sandbox)
}

fn mkpkg(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = mkpkg_into(sandbox, "../out");
    command.args(args);
    command
}

fn mkpkg_into(sandbox: &Sandbox, out: &str) -> Command {
    let mut command = sandbox.mkpkg(&["deb", "--installer", "pip", "-o", out]);
    command.args(["--compression", "gzip:1"]);
    command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", sandbox.path("wheels"));
    command
}

/// What the package of a command has of `name`.
fn packed(sandbox: &Sandbox, command: Command, name: &str) -> String {
    let package = sandbox.built(command);
    let path = format!("/opt/acme/lib/python3.11/site-packages/{name}");
    let content = payload(&package)[&path].content.clone();
    fs::remove_file(package).expect("it was made just now");
    String::from_utf8(content).expect("it is text")
}

fn fails(sandbox: &Sandbox, command: Command) -> Outcome {
    let outcome = sandbox.run(command);
    assert_eq!(outcome.code(), 3, "{}", outcome.stderr);
    assert_eq!(sandbox.left("tmp"), [""; 0]);
    outcome
}

/// The only environment in the cache.
fn environment(sandbox: &Sandbox) -> PathBuf {
    let base = sandbox.path("home/.cache/mkpkg/environments");
    let paths = fs::read_dir(base).expect("there is one").flatten().map(|entry| entry.path());
    // A lock may have been left beside it.
    let dirs: Vec<_> = paths.filter(|path| path.is_dir()).collect();
    let [one] = &dirs[..] else { panic!("{dirs:?}") };
    one.clone()
}

#[test]
fn an_environment_is_made_once_and_again_when_it_is_damaged() {
    let Some(sandbox) = project("an_environment_is_made_once_and_again_when_it_is_damaged") else {
        return;
    };
    let mut number = 1;
    let mut changed = |args: &[&str]| {
        number += 1;
        sandbox.file("acme.py", format!("A = {number}\n"));
        mkpkg(&sandbox, args)
    };
    assert_eq!(packed(&sandbox, changed(&[]), "acme.py"), "A = 2\n");
    // No place for one is none the less no reason to fail.
    let base = sandbox.path("home/.cache/mkpkg/environments");
    let aside = base.with_extension("aside");
    fs::rename(&base, &aside).expect("it is there");
    fs::write(&base, "").expect("it is ours");
    assert_eq!(packed(&sandbox, changed(&[]), "acme.py"), "A = 3\n");
    fs::remove_file(&base).and_then(|()| fs::rename(&aside, &base)).expect("it is ours");
    // What an environment is made of can be gone afterwards.
    let forge = sandbox.path("wheels/forge-1.0-py3-none-any.whl");
    let wheel = fs::read(&forge).expect("it was put there");
    fs::remove_file(&forge).expect("it is there");
    assert_eq!(packed(&sandbox, changed(&[]), "acme.py"), "A = 4\n");
    let outcome = fails(&sandbox, changed(&["--no-cache"]));
    let said = "collecting what the build of the project needs failed";
    assert!(outcome.error().contains(said), "{}", outcome.stderr);

    fs::write(&forge, wheel).expect("the sandbox can be written");
    let made = environment(&sandbox);
    let module = made.join("lib/python3.11/site-packages/forge.py");
    let (manifest, more) = (made.join("manifest"), module.with_file_name("more.py"));
    let state = || {
        let read = |path: &Path| fs::read(path).expect("it is there");
        let program = fs::metadata(made.join("bin/forge-version")).expect("it is there");
        let python = fs::read_link(made.join("bin/python")).expect("it is a link");
        (read(&manifest), read(&module), program.mode(), python, more.exists())
    };
    let whole = state();
    let run = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    let damages: [(&str, &dyn Fn()); 7] = [
        ("not executable", &|| run(&made.join("bin/forge-version"), 0o644)),
        ("a pipe", &|| mkfifo(&more, Mode::S_IRUSR | Mode::S_IWUSR).expect("it is ours")),
        ("altered", &|| fs::write(&module, "").expect("it is ours")),
        ("removed", &|| fs::remove_file(&module).expect("it is ours")),
        ("added", &|| fs::write(&more, "").expect("it is ours")),
        ("another interpreter", &|| {
            fs::remove_file(made.join("bin/python")).expect("it is ours");
            symlink("/bin/true", made.join("bin/python")).expect("it is ours");
        }),
        ("killed while it was made", &|| fs::write(&manifest, "").expect("it is ours")),
    ];
    for (case, damage) in damages {
        damage();
        let saw = packed(&sandbox, changed(&[]), "acme_saw.txt");
        assert!(saw.starts_with("hooks "), "{case}: {saw}");
        assert!(state() == whole, "{case}");
    }
}

#[test]
fn a_backend_sees_what_pip_would_show_it() {
    let Some(sandbox) = project("a_backend_sees_what_pip_would_show_it") else { return };
    assert_eq!(
        packed(&sandbox, mkpkg(&sandbox, &[]), "acme_saw.txt"),
        "hooks nothing None 1700000000 True"
    );
    // What it asks for besides comes in, and not into the environments of others.
    sandbox.file("wants.txt", "anvil");
    let outcome = fails(&sandbox, mkpkg(&sandbox, &[]));
    assert!(outcome.error().contains("anvil"), "{}", outcome.stderr);
    sandbox.wheel(&Wheel::new("anvil", "2.0").file("anvil.py", ""));
    assert_eq!(
        packed(&sandbox, mkpkg(&sandbox, &[]), "acme_saw.txt"),
        "hooks anvil None 1700000000 True"
    );
    fs::remove_file(sandbox.path("project/wants.txt")).expect("it is there");
    sandbox.file("acme.py", "A = 2\n");
    assert_eq!(
        packed(&sandbox, mkpkg(&sandbox, &[]), "acme_saw.txt"),
        "hooks nothing None 1700000000 True"
    );
    // Who tells pip how to build gets pip.
    let mut told = mkpkg(&sandbox, &[]);
    told.env("PIP_CONFIG_SETTINGS", "heat=high");
    assert_eq!(
        packed(&sandbox, told, "acme_saw.txt"),
        "pip nothing {'heat': 'high'} 1700000000 True"
    );
}

/// What backends do that is not usual, and who builds then: the first word of what they saw.
#[test]
fn a_backend_may_do_what_it_does_with_pip() {
    let Some(sandbox) = project("a_backend_may_do_what_it_does_with_pip") else { return };
    sandbox.write("constraints.txt", "forge==1.0\n");
    for (file, variable, by) in [
        ("run.txt", "", "hooks"),
        ("spawn.txt", "", "hooks"),
        ("second.txt", "", "hooks"),
        // A path of the environment has no place in a wheel.
        ("prefix.txt", "", "pip"),
        ("none.txt", "PIP_CONSTRAINT", "pip"),
        ("none.txt", "", "hooks"),
    ] {
        sandbox.file(file, "");
        let mut command = mkpkg(&sandbox, &[]);
        if !variable.is_empty() {
            command.env(variable, "../constraints.txt");
        }
        let saw = packed(&sandbox, command, "acme_saw.txt");
        assert_eq!(saw.split(' ').next(), Some(by), "{file} {variable}");
        fs::remove_file(sandbox.path("project").join(file)).expect("it is there");
    }
}

/// Programs of an environment have to be run: where none can be, it is made elsewhere.
#[test]
fn an_environment_is_not_kept_where_no_program_runs() {
    let test = "an_environment_is_not_kept_where_no_program_runs";
    let Some(sandbox) = project(test) else { return };
    sandbox.file("run.txt", "");
    fs::create_dir_all(sandbox.path("home/.cache")).expect("it is ours");
    let mount = "mount -t tmpfs -o mode=700,noexec tmpfs ../home/.cache";
    let script = format!("{mount}; program=$1; shift 6; $program deb -o ../out \"$@\"");
    let Some(mut command) = mounting(test, &sandbox, &script) else { return };
    command.args(["--installer", "pip", "--compression", "gzip:1"]);
    command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", sandbox.path("wheels"));
    let saw = packed(&sandbox, command, "acme_saw.txt");
    assert!(saw.starts_with("hooks "), "{saw}");
}

#[test]
fn a_backend_of_the_project_needs_nothing_installed() {
    let Some(sandbox) = project("a_backend_of_the_project_needs_nothing_installed") else { return };
    let text = PROJECT.replace("['forge']", "[]").replace("'forge'", "'shop:tools.forge'");
    sandbox.file("pyproject.toml", format!("{text}backend-path = ['back']\n"));
    sandbox.file("back/shop.py", "class tools:\n    import forge_of_acme as forge\n");
    sandbox.file("back/forge_of_acme.py", FORGE);
    fs::remove_dir_all(sandbox.path("wheels")).expect("it is there");
    fs::create_dir(sandbox.path("wheels")).expect("the sandbox can be written");
    assert_eq!(packed(&sandbox, mkpkg(&sandbox, &[]), "acme.py"), "A = 1\n");
    // Its faults are told.
    sandbox.file("back/forge_of_acme.py", "raise RuntimeError('cold forge')\n");
    let outcome = fails(&sandbox, mkpkg(&sandbox, &[]));
    let error = outcome.error();
    assert!(error.contains("building the project failed"), "{error}");
    assert!(error.contains("cold forge"), "{error}");
}

#[test]
fn builds_at_once_make_one_environment() {
    let Some(sandbox) = project("builds_at_once_make_one_environment") else { return };
    let outs = ["../one", "../two", "../three"];
    let begun: Vec<_> = outs
        .map(|out| mkpkg_into(&sandbox, out).arg("--quiet").stdout(Stdio::null()).spawn())
        .into();
    for child in begun {
        assert!(child.expect("it starts").wait().expect("it ends").success());
    }
    let [one, two, three] = outs.map(|out| {
        let path = sandbox.path("project").join(out).join("acme_1.0-1_all.deb");
        fs::read(path).expect("it was made")
    });
    assert!(one == two && two == three);
    environment(&sandbox);
    assert_eq!(sandbox.left("tmp"), [""; 0]);
    assert_eq!(
        packed(&sandbox, mkpkg(&sandbox, &[]), "acme_saw.txt").split(' ').next(),
        Some("hooks")
    );
}

/// The backend of a source distribution, which tells that it began and builds once there is a file it waits for.
const ANVIL: &str = r#"
import os, time, zipfile

def build_wheel(to, settings=None, metadata=None):
    open(os.environ["ANVIL_BEGAN"], "w").close()
    while not os.path.exists(os.environ["ANVIL_WAITS"]):
        time.sleep(0.01)
    info = "anvil-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(to, "anvil-1.0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("anvil.py", "")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: anvil\nVersion: 1.0\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")
    return "anvil-1.0-py3-none-any.whl"
"#;

/// pip lives on when mkpkg is killed, and writes into an environment that must not be taken for another build's.
#[test]
fn an_environment_of_a_killed_build_is_left_to_its_pip() {
    let test = "an_environment_of_a_killed_build_is_left_to_its_pip";
    let Some(sandbox) = project(test) else { return };
    sandbox.file("pyproject.toml", PROJECT.replace("['forge']", "['forge', 'anvil']"));
    let build = "[build-system]\nrequires = []\nbuild-backend = 'back'\nbackend-path = ['.']\n";
    sandbox.write("anvil-1.0/pyproject.toml", build);
    sandbox.write("anvil-1.0/back.py", ANVIL);
    sandbox.write("anvil-1.0/PKG-INFO", "Metadata-Version: 2.1\nName: anvil\nVersion: 1.0\n");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(sandbox.path("")).arg("-czf").arg(sandbox.path("wheels/anvil-1.0.tar.gz"));
    assert!(tar.arg("anvil-1.0").status().expect("tar runs").success());
    let command = |waits: &str| {
        let mut command = mkpkg(&sandbox, &["--quiet"]);
        command.env("ANVIL_BEGAN", sandbox.path("began"));
        command.env("ANVIL_WAITS", sandbox.path(waits));
        command
    };
    let mut killed = command("late").spawn().expect("it starts");
    while !sandbox.path("began").exists() {
        assert!(killed.try_wait().expect("it can be asked").is_none());
        thread::sleep(Duration::from_millis(10));
    }
    killed.kill().and_then(|()| killed.wait()).expect("it can be killed");
    let state = || {
        let manifest = fs::metadata(environment(&sandbox).join("manifest")).expect("it is there");
        (manifest.ino(), manifest.len() > 0)
    };
    let begun = state();
    sandbox.write("soon", "");
    let saw = packed(&sandbox, command("soon"), "acme_saw.txt");
    assert!(saw.starts_with("hooks anvil "), "{saw}");
    assert_eq!(state(), begun);
    // Once pip has ended it is made anew.
    sandbox.write("late", "");
    for number in 0.. {
        sandbox.file("acme.py", format!("A = {number} + 1\n"));
        let saw = packed(&sandbox, command("soon"), "acme_saw.txt");
        assert!(saw.starts_with("hooks anvil "), "{saw}");
        if state().1 {
            break;
        }
        assert!(number < 100);
    }
}
