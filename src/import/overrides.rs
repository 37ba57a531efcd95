//! What the rules do beside calling helpers: options of helpers that matter, and commands of their own.

use crate::import::Package;
use crate::import::draft::Draft;
use crate::import::options::of_dh;
use crate::import::rules::overridden;
use crate::import::shell::{Command, commands};

/// Helpers mkpkg has no need of, because wheels stay what they are.
const SCANNED: [&str; 5] =
    ["dh_strip", "dh_dwz", "dh_shlibdeps", "dh_makeshlibs", "dh_strip_nondeterminism"];

/// Targets that sequences of make and debhelper have.
const SEQUENCES: [&str; 9] = [
    "%",
    "build",
    "build-arch",
    "build-indep",
    "binary",
    "binary-arch",
    "binary-indep",
    "install",
    "clean",
];

/// Libraries that a distribution on PyPI links and can do without, when it is said to.
const LINKED: [(&str, &str); 3] =
    [("psycopg2", "libpq.so.5"), ("MySQLdb", "libmariadb.so.3"), ("ldap", "libldap-2.5.so.0")];

/// Carries over what the rules do.
pub(super) fn carry(of: &Package<'_>, draft: &mut Draft) {
    for command in of.folder.recipe.sequences() {
        for add_on in of_dh(&command, "--with") {
            add_on_of(add_on, draft);
        }
        for system in of_dh(&command, "--buildsystem") {
            draft.drop(
                &format!("--buildsystem={system}"),
                "the wheel is built by the project's own backend",
            );
        }
    }
    for (target, text) in &of.folder.recipe.targets {
        let commands = commands(text);
        match overridden(target) {
            Some((helper, _)) if SCANNED.contains(&helper) => {
                commands.iter().for_each(|command| scanned(command, target, draft));
                if commands.is_empty() {
                    draft.drop(
                        target,
                        "wheels are packed as they are, and every library is looked up",
                    );
                }
            }
            Some((helper, replaces)) => {
                commands.iter().for_each(|command| step(of, command, (helper, target), draft));
                if commands.is_empty() && replaces {
                    draft.drop(target, "mkpkg has no such step");
                }
            }
            None if SEQUENCES.contains(&target.as_str()) || target.starts_with('.') => {
                commands.iter().for_each(|command| sequence(command, target, draft));
            }
            None => {
                draft.drop(target, "a target of the rules that debhelper does not run by itself")
            }
        }
    }
}

/// A command of a target that dpkg-buildpackage calls: debhelper's sequence, or something beside it.
fn sequence(command: &Command, target: &str, draft: &mut Draft) {
    let what = format!("{target}: {}", command.text());
    match command.program() {
        "dh" | "dh_virtualenv" | "" => {}
        "dh_builddeb" => compression(command, draft),
        "dh_gencontrol" if command.words.len() > 1 => draft.ask(&what, GIVES_VARIABLES),
        program if INSTALLING.contains(&program) && names_files(command) => {
            draft.ask(&what, INSTALLS);
        }
        program if program.starts_with("dh_") => draft.drop(&what, "mkpkg has no such step, or does it by itself"),
        _ if target == "clean" => draft.drop(&what, "a build leaves nothing behind"),
        _ => draft.ask(&what, "see whether the package still needs it; what it makes belongs into the project's wheel or `[[files]]`"),
    }
}

fn add_on_of(add_on: &str, draft: &mut Draft) {
    let what = format!("--with {add_on}");
    match add_on {
        "python-virtualenv" => draft.carry(&what, "all of this"),
        "systemd" | "sysuser" | "installsysusers" => draft.carry(&what, "`services`, `user`"),
        "python2" | "python3" | "autoreconf" | "sphinxdoc" | "strip-nondeterminism" | "dwz" => {
            draft.drop(&what, "mkpkg has no such step");
        }
        _ => draft.ask(&what, "what this add-on did is not known here: see dh(1)"),
    }
}

/// A command of an override that is about compiled files.
fn scanned(command: &Command, target: &str, draft: &mut Draft) {
    let text = command.text();
    if command.program() == "dpkg-shlibdeps"
        && command.words.iter().any(|word| word.contains("dRecommends"))
    {
        let known = LINKED.iter().find(|(name, _)| text.contains(name));
        match known {
            Some((_, library)) => draft.push("dependencies", "weak", library, &format!("`{text}`")),
            None => draft.ask(&text, "list the libraries of these files in `dependencies.weak`: `mkpkg why . FILE` tells them"),
        }
        return;
    }
    if !command.program().starts_with("dh_") {
        draft.ask(&format!("{target}: {text}"), "see whether the package still needs it");
        return;
    }
    let what = format!("{target}: {text}");
    match command.words.iter().any(|word| word.starts_with("-X") || word.starts_with("--exclude")) {
        true => draft.drop(
            &what,
            "resolved by the scan: no file of a wheel is changed, and every library of each is looked up",
        ),
        false => draft.drop(&what, "mkpkg has no such step"),
    }
}

/// Helpers whose arguments are files to install, or how (debhelper(7)).
const INSTALLING: [&str; 12] = [
    "dh_install",
    "dh_installcron",
    "dh_installdirs",
    "dh_installdocs",
    "dh_installexamples",
    "dh_installlogrotate",
    "dh_installman",
    "dh_installsysusers",
    "dh_installtmpfiles",
    "dh_installudev",
    "dh_link",
    "dh_ucf",
];

/// What a human does about them.
const INSTALLS: &str =
    "what it installs beside the lists in `debian` belongs into `[[files]]`, `bin` or `services`";
/// The same about options of dpkg-gencontrol.
const GIVES_VARIABLES: &str =
    "variables of relations: write what they come to into the lists of `[deb]`";

/// Whether a helper has arguments that are no options.
fn names_files(command: &Command) -> bool {
    command.words.iter().skip(1).any(|word| !word.starts_with('-'))
}

/// A command of an override, or before or after a helper.
fn step(of: &Package<'_>, command: &Command, (helper, target): (&str, &str), draft: &mut Draft) {
    let text = command.text();
    let program = command.program();
    match program {
        "dh_virtualenv" | "dh_installsystemd" | "dh_systemd_enable" | "dh_systemd_start"
        | "dh_installinit" => return,
        "dh_builddeb" => return compression(command, draft),
        "dh_gencontrol" if command.words.len() > 1 => {
            return draft.ask(&text, GIVES_VARIABLES);
        }
        program if INSTALLING.contains(&program) && command.words.len() > 1 => {
            return draft.ask(&format!("{target}: {text}"), INSTALLS);
        }
        program if program.starts_with("dh_") => {
            return draft.drop(&text, "mkpkg has no such step, or does it by itself");
        }
        "" => return draft.drop(&text, "a variable of the shell"),
        "." if text.ends_with("/activate") => {
            return draft
                .drop(&text, "there is no environment to activate while a package is built");
        }
        "echo" | "cd" | "set" | "export" | "mkdir" | "true" | ":" | "date"
            if !text.contains("debian/") =>
        {
            return draft.drop(&text, "belongs to the commands around it");
        }
        _ => {}
    }
    if program == "rm" && removes(of, command, draft) {
        return;
    }
    let recipe = &of.folder.recipe;
    let is_script = helper == "dh_virtualenv" && of.folder.project.contains_key(script(command));
    let hides_call = is_script && recipe.calls().is_empty();
    if is_script && recipe.recorded.is_some() {
        let todo = "how it calls `dh_virtualenv` is carried over: see what it does beside that";
        draft.ask(&format!("{target}: {text}"), todo);
    } else if !hides_call && !is_of_another(of, &text) {
        draft.ask(&format!("{target}: {text}"), advice(&text, program));
    }
}

/// The path of the program in the project, if it lies there.
fn script(command: &Command) -> &str {
    command.words.first().map_or("", |word| word.trim_start_matches("./"))
}

/// Whether a command is about files of another package only.
fn is_of_another(of: &Package<'_>, text: &str) -> bool {
    let names = |name: &str| text.contains(&format!("debian/{name}/"));
    !names(of.name) && of.names.iter().any(|name| names(name))
}

/// `-Zxz`, `-z9` behind `--`.
fn compression(command: &Command, draft: &mut Draft) {
    let method = command.words.iter().find_map(|word| word.strip_prefix("-Z"));
    let level = command.words.iter().find_map(|word| word.strip_prefix("-z"));
    match method {
        Some(method @ ("xz" | "gzip" | "zstd")) => {
            let level = level.map_or_else(String::new, |level| format!(":{level}"));
            draft.flags.push(format!("--compression {method}{level}"));
            draft.carry(&command.text(), "`--compression` on the command line");
        }
        Some(_) | None => {
            draft.drop(&command.text(), "`--compression` decides how a package is packed")
        }
    }
}

/// Files of the environment that are removed from it are left out; whether all words were such.
fn removes(of: &Package<'_>, command: &Command, draft: &mut Draft) -> bool {
    let paths: Vec<_> =
        command.words.iter().skip(1).filter(|word| !word.starts_with('-')).collect();
    let place = format!("{}/", of.prefix.as_str());
    let below = |path: &str| {
        let rest = path.split_once(&place).filter(|(before, _)| before.contains("debian/"))?.1;
        Some(rest.trim_end_matches('/').to_owned())
    };
    let below: Option<Vec<_>> = paths.iter().map(|path| below(path)).collect();
    let Some(below) = below.filter(|below| !below.is_empty()) else { return false };
    for path in below {
        let name = path.rsplit('/').next().unwrap_or_default();
        let what = format!("rm {path}");
        if path.contains(".dist-info") {
            draft.drop(
                &what,
                "what is installed stays known: the parts list and audits are made of it",
            );
        } else if ["pip", "setuptools", "wheel", "pkg_resources", "activate"]
            .iter()
            .any(|it| name.starts_with(it))
        {
            draft.drop(&what, "it is not put into the environment in the first place");
        } else {
            draft.push("", "exclude", &path, &format!("`{what}`"));
            draft.push("", "exclude", &format!("{path}/**"), &format!("`{what}`"));
        }
    }
    true
}

/// What to do instead of a command.
fn advice(text: &str, program: &str) -> &'static str {
    match program {
        "rm" | "find" => "name what it removes in `exclude`; metadata (`*.dist-info`) has to stay",
        "patch" | "sed" | "quilt" => {
            "wheels are packed as they are: patch the source, and lock the fork that is built of it"
        }
        "npm" | "yarn" | "nodeenv" | "make" | "gulp" | "webpack" => {
            "run it before mkpkg, so that what it makes is in the project's wheel, or name that in `[[files]]`"
        }
        "cp" | "install" | "mv" | "ln" => {
            "name the file in `[[files]]`, or make it part of a wheel"
        }
        "chmod" | "chown" => "modes are set by mkpkg, and owners by systemd or a snippet",
        "poetry" | "pipenv" | "uv" | "pdm" => {
            "the lock is read as it is: nothing has to be exported"
        }
        _ if text.contains("triggers") => {
            "mkpkg's packages have no triggers, and need none for the interpreter"
        }
        _ if text.contains("pip uninstall") => "leave it out of the lock, or name it in `exclude`",
        _ if text.contains("pip") && text.contains("install") => "add it to the requirements",
        _ if text.contains("-m") || text.contains("test") => {
            "make it a `check`, if it tries the environment"
        }
        _ => {
            "see whether the package still needs it; what changes files of the environment has no place"
        }
    }
}
