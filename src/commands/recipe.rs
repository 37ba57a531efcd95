//! Asks make what a recipe does: `make -n`, and, on request, by running it with a stub that records its arguments.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::error::UserError;
use crate::exec::{command, failure, run_alone};
use crate::import::options::{Call, call};
use crate::import::rules::{Makefile, Recipe};
use crate::import::shell;
use crate::project::sources::{copy, list};
use crate::report::Talk;
use crate::scratch::Scratch;

/// Variables of dh-virtualenv, which the rules may set without exporting them in so many words.
const VARIABLES: [&str; 8] = [
    "DH_VIRTUALENV_INSTALL_ROOT",
    "DH_VIRTUALENV_INSTALL_SUFFIX",
    "DH_VIRTUALENV_ARGUMENTS",
    "DH_UPGRADE_PIP",
    "DH_UPGRADE_SETUPTOOLS",
    "DH_UPGRADE_WHEEL",
    "DH_REQUIREMENTS_FILE",
    "DH_PIP_EXTRA_ARGS",
];

/// How long make may take to read rules, and to run what `$(shell …)` in them asks for.
const READ: Duration = Duration::from_secs(60);
/// How long rules may run.
const LIMIT: Duration = Duration::from_secs(1800);

/// What make would run for each target, and what is exported; as it is written where make does not read it.
///
/// Make runs lines that begin with `+` or call `$(MAKE)` even when it is only to print them: it gets a copy of the project,
/// and rules without such lines.
pub fn read(
    (project, folder): (&Path, &str),
    makefile: &Makefile,
    scratch: &Scratch,
    talk: &Talk,
) -> Result<Recipe> {
    let mut recipe = Recipe::default();
    let root = &scratch.dir("read")?.join("project");
    copy(project, &list(project, &[])?, root)?;
    let rules = root.join(folder).join("rules");
    let text = fs::read(&rules).context("cannot read the rules")?;
    fs::remove_file(&rules).context("cannot replace the copied rules")?;
    let text = without_runs(&String::from_utf8_lossy(&text));
    fs::write(&rules, text).context("cannot write the copied rules")?;
    for (target, written) in &makefile.recipes {
        // Asked for a target without a recipe, make takes that of the pattern.
        if written.trim().is_empty() {
            recipe.targets.insert(target.clone(), String::new());
            continue;
        }
        // The pattern of all other targets is asked by a name that no file has.
        let asked = if target == "%" { "mkpkg-import" } else { target };
        let mut make = make(root, folder);
        // A file of that name would stand for what the target makes.
        make.args(["-n", "--no-print-directory"]);
        // Make looks for no pattern of what is phony.
        if !target.contains('%') {
            make.args(["--eval", &format!(".PHONY: {asked}")]);
        }
        make.arg(asked);
        let finished = run_alone(make, READ)?;
        let text = match finished.status.success() {
            true => String::from_utf8_lossy(&finished.stdout).into_owned(),
            false => {
                let said = finished.stderr.lines().next().unwrap_or_default().to_owned();
                talk.warn(format!("make does not read `{target}` of the rules ({said}): it is taken as it is written"));
                written.replace("$$", "$")
            }
        };
        recipe.targets.insert(target.clone(), text);
    }
    for name in makefile.exports.iter().map(String::as_str).chain(VARIABLES) {
        let value = variable(root, folder, name)?;
        if !value.is_empty() {
            recipe.variables.insert(name.to_owned(), value);
        }
    }
    Ok(recipe)
}

/// The text of rules in which no line makes make run anything while it prints.
fn without_runs(text: &str) -> String {
    let mut quiet = String::new();
    for line in text.split_inclusive('\n') {
        let Some(recipe) = line.strip_prefix('\t') else {
            quiet.push_str(line);
            continue;
        };
        let body = recipe.trim_start_matches(['@', '-', '+', ' ', '\t']);
        let marks = recipe[..recipe.len() - body.len()].replace('+', "");
        let body = body.replace("$(MAKE)", "make").replace("${MAKE}", "make");
        quiet.extend(["\t", &marks, &body]);
    }
    quiet
}

fn make(root: &Path, folder: &str) -> Command {
    let mut make = command(Path::new("make"));
    for name in ["MAKEFLAGS", "MAKELEVEL", "MAKEFILES", "DEB_BUILD_OPTIONS", "DEB_BUILD_PROFILES"] {
        make.env_remove(name);
    }
    make.current_dir(root).arg("-f").arg(format!("{folder}/rules"));
    make
}

/// The value a variable has in the rules; nothing where make does not read them.
fn variable(root: &Path, folder: &str, name: &str) -> Result<String> {
    let mut make = make(root, folder);
    make.args(["-n", "--no-print-directory", "--eval"]);
    make.arg(format!("mkpkg-variable: ; $(info $({name}))")).arg("mkpkg-variable");
    let finished = run_alone(make, READ)?;
    let text = String::from_utf8_lossy(&finished.stdout).into_owned();
    let value = text.lines().next().unwrap_or_default().trim().to_owned();
    Ok(if finished.status.success() && !value.starts_with("make") { value } else { String::new() })
}

/// Runs the override in a copy of the project, with a `dh_virtualenv` that writes down how it is called and does
/// nothing.
pub fn record(
    (root, folder): (&Path, &str),
    makefile: &Makefile,
    scratch: &Scratch,
) -> Result<Vec<Call>> {
    let targets =
        ["override_dh_virtualenv", "override_dh_virtualenv-arch", "override_dh_virtualenv-indep"];
    let Some(target) = targets.into_iter().find(|target| makefile.recipes.contains_key(*target))
    else {
        let message = "the rules have no target `override_dh_virtualenv` to run";
        return Err(UserError::usage(message).hint("leave `--run-rules` out").into());
    };
    let (project, bin) = (scratch.dir("project")?, scratch.dir("bin")?);
    copy(root, &list(root, &[])?, &project)?;
    if folder != "debian" {
        symlink(folder, project.join("debian")).context("cannot link the folder as `debian`")?;
    }
    let log = scratch.path().join("calls");
    let stub = bin.join("dh_virtualenv");
    fs::write(&stub, include_str!("record.sh")).context("cannot write the stub")?;
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755))
        .context("cannot write the stub")?;
    let mut make = make(&project, "debian");
    let path = std::iter::once(OsString::from(&bin)).chain(search_path());
    let path = path.collect::<Vec<_>>().join(":".as_ref());
    make.arg(target).env("PATH", path).env("MKPKG_CALLS", &log);
    make.env("MKPKG_VARIABLES", VARIABLES.join(" "));
    let finished = run_alone(make, LIMIT)?;
    let calls = recorded(&fs::read(&log).unwrap_or_default());
    if calls.is_empty() {
        return Err(
            failure(&format!("`{target}` called no `dh_virtualenv`, and"), &finished).into()
        );
    }
    Ok(calls)
}

fn search_path() -> Option<OsString> {
    Some(OsString::from("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"))
}

/// Reads what the stub wrote: items ended by NUL, `=word`, `$NAME=value`, and `.` after each call.
fn recorded(log: &[u8]) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut one = shell::Command { words: vec!["dh_virtualenv".to_owned()], ..Default::default() };
    for item in log.split(|byte| *byte == 0) {
        let item = String::from_utf8_lossy(item);
        if let Some(word) = item.strip_prefix('=') {
            one.words.push(word.to_owned());
        } else if let Some((name, value)) = item.strip_prefix('$').and_then(|it| it.split_once('='))
        {
            one.assignments.push((name.to_owned(), value.to_owned()));
        } else if item == "." {
            calls.push(call(&one));
            one.words.truncate(1);
            one.assignments.clear();
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use crate::commands::recipe::{recorded, without_runs};

    #[test]
    fn lines_that_make_would_run() {
        let text =
            "X = $(MAKE)\na:\n\t@+touch x\n\t$(MAKE) -C docs; ${MAKE} b\n\tcp a+b $$(MAKE)\n";
        let quiet = "X = $(MAKE)\na:\n\t@touch x\n\tmake -C docs; make b\n\tcp a+b $make\n";
        assert_eq!(without_runs(text), quiet);
    }

    #[test]
    fn what_a_stub_writes() {
        let calls = recorded(b"=--python\0=/usr/bin/python3.11\0$A=b c\0.\0=-v\0.\0");
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0].values("--python"), ["/usr/bin/python3.11"]);
        assert_eq!(calls[0].variables, [("A".to_owned(), "b c".to_owned())]);
        assert_eq!(calls[1].options[0].name, "--verbose");
    }
}
