//! Asks make what a recipe does: `make -n`, and, on request, by running it with a stub that records its arguments.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::error::UserError;
use crate::exec::{Finished, command, failure, run_alone};
use crate::import::options::{Call, call};
use crate::import::rules::{self, Makefile, Recipe, overridden};
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
/// It reads a copy of the project, and files that the rules include.
pub fn read(
    (project, folder): (&Path, &str),
    written: &str,
    scratch: &Scratch,
    talk: &Talk,
) -> Result<Recipe> {
    let reader = Reader::new((project, folder), written, scratch)?;
    let Some(survey) = reader.survey(talk)? else {
        let makefile = rules::read(written);
        let unread = |(target, text): (String, String)| (target, text.replace("$$", "$"));
        let targets = makefile.recipes.into_iter().map(unread).collect();
        return Ok(Recipe { targets, ..Recipe::default() });
    };
    let mut makefile = Makefile::default();
    let mut makefiles = Vec::new();
    for path in &survey.makefiles {
        // Those of the host, such as dpkg's, have no targets of the package.
        if path.starts_with('/') {
            continue;
        }
        let text = fs::read(reader.root.join(path));
        let text = text.with_context(|| format!("cannot read the copied `{path}`"))?;
        makefile.add(rules::read(&String::from_utf8_lossy(&text)));
        let below = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        makefiles.push(below.map_or_else(|| path.clone(), |below| format!("debian/{below}")));
    }
    let mut variables = survey.environment;
    variables.retain(|name, value| {
        let is_asked = makefile.exports.contains(name) || VARIABLES.contains(&name.as_str());
        is_asked && !value.is_empty()
    });
    let targets = reader.targets(&makefile, talk)?;
    Ok(Recipe { targets, variables, makefiles, specific: makefile.specific, recorded: None })
}

/// A copy of the project in which make reads rules and runs nothing of them.
struct Reader<'a> {
    root: PathBuf,
    folder: &'a str,
    environment: PathBuf,
    /// What the rules have as their shell, for what `$(shell …)` asks.
    shell: Option<&'a str>,
}

/// What is known before any target is asked for.
struct Survey {
    /// Paths of the rules and of all that they include.
    makefiles: Vec<String>,
    /// The variables that recipes get.
    environment: BTreeMap<String, String>,
}

impl<'a> Reader<'a> {
    fn new(
        (project, folder): (&Path, &'a str),
        written: &'a str,
        scratch: &Scratch,
    ) -> Result<Self> {
        let dir = scratch.dir("read")?.canonicalize().context("cannot find the copied project")?;
        let root = dir.join("project");
        copy(project, &list(project, &[])?, &root)?;
        executable(&dir, "shell", include_str!("quiet.sh"))?;
        // Rules name the folder so, whatever it is called here.
        let is_linked = folder != "debian" && symlink(folder, root.join("debian")).is_ok();
        let folder = if is_linked { "debian" } else { folder };
        let environment = dir.join("environment");
        Ok(Self { environment, root, folder, shell: shell_of(written) })
    }

    /// Asks for goals, with further rules, so that no line of a recipe is run: not with `+`, nor with `$(MAKE)`, nor to make
    /// a file that is included (GNU make, Instead of Execution; How Makefiles Are Remade). Such lines end with `status`.
    fn ask(
        &self,
        known: &[&str],
        goals: &[String],
        (rules, status): (&str, &str),
    ) -> Result<Finished> {
        // Blanks in a path would end it.
        let shell = "../shell";
        let mut text =
            format!("%: override SHELL := {shell}\n%: override .SHELLFLAGS := -c\n{rules}\n");
        // A target may have a shell of its own.
        for target in known.iter().filter(|target| !target.contains('%')) {
            text += &format!("{target}: override SHELL := {shell}\n");
        }
        let mut make = make(&self.root, self.folder);
        make.env("MKPKG_ENVIRONMENT", &self.environment).env("MKPKG_STATUS", status);
        make.env("MKPKG_SHELL", self.shell.unwrap_or("/bin/sh"));
        make.args(["-n", "-s", "--no-print-directory", "--eval", &text]).args(goals);
        run_alone(make, READ)
    }

    /// Which files there are and what is exported, unless make cannot read the rules.
    fn survey(&self, talk: &Talk) -> Result<Option<Survey>> {
        let goal = "mkpkg-survey";
        let rule = format!("{goal}: ; +@$(info {goal} $(MAKEFILE_LIST))mkpkg-environment");
        let finished = self.ask(&[], &[goal.to_owned()], (&rule, "1"))?;
        let text = String::from_utf8_lossy(&finished.stdout);
        let listed = text.lines().find_map(|line| line.strip_prefix(goal));
        let Some(listed) = listed.filter(|_| finished.status.success()) else {
            talk.warn(format!(
                "make does not read the rules ({}): they are taken as they are written, without what they include",
                reason(&finished)
            ));
            return Ok(None);
        };
        let environment = fs::read(&self.environment).unwrap_or_default();
        let variable = |item: &[u8]| {
            let item = self.below(&String::from_utf8_lossy(item));
            item.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        Ok(Some(Survey {
            makefiles: listed.split_whitespace().map(str::to_owned).collect(),
            environment: environment.split(|byte| *byte == 0).filter_map(variable).collect(),
        }))
    }

    /// What make would run for each target; for all at once, so that what several need stands in one of them.
    fn targets(&self, makefile: &Makefile, talk: &Talk) -> Result<BTreeMap<String, String>> {
        // Asked for a target without a recipe, or by a variable, make takes that of the pattern. What a variable names is
        // printed for the targets that need it.
        let (asked, empty): (Vec<_>, Vec<_>) = makefile
            .recipes
            .iter()
            .partition(|(target, written)| !written.trim().is_empty() && !target.contains('$'));
        let mut asked: Vec<_> = asked.into_iter().map(|(target, _)| target.as_str()).collect();
        asked.sort_by_key(|target| overridden(target).is_none());
        let mut targets: BTreeMap<_, _> =
            empty.into_iter().map(|(target, _)| (target.clone(), String::new())).collect();
        let all = self.ask_for(&asked)?;
        for (index, target) in asked.iter().enumerate() {
            let text = match &all {
                Ok(texts) => texts.get(index).cloned().unwrap_or_default(),
                Err(_) => match self.ask_for(&[target])? {
                    Ok(texts) => texts.concat(),
                    Err(said) => {
                        talk.warn(format!(
                            "make does not read `{target}` of the rules ({said}): it is taken as it is written"
                        ));
                        makefile.recipes[*target].replace("$$", "$")
                    }
                },
            };
            let is_empty = is_of_pattern(target, &text);
            targets.insert((*target).to_owned(), if is_empty { String::new() } else { text });
        }
        Ok(targets)
    }

    /// What make prints for each of some targets, or why it does not.
    fn ask_for(&self, targets: &[&str]) -> Result<Result<Vec<String>, String>> {
        const MARK: &str = "mkpkg-target";
        let mut goals = Vec::new();
        let mut marks = String::new();
        for (index, target) in targets.iter().enumerate() {
            marks += &format!("{MARK}-{index} ");
            // The pattern of all other targets is asked by a name that no file has.
            let goal = if *target == "%" { "mkpkg-import" } else { target };
            goals.extend([format!("{MARK}-{index}"), goal.to_owned()]);
        }
        // A file of that name would stand for what the target makes; of what is phony make looks for no pattern.
        let phony: Vec<_> =
            targets.iter().copied().filter(|target| !target.contains('%')).collect();
        let rules = format!("{marks}: ; {MARK}\n.PHONY: {marks} {}", phony.join(" "));
        let rules = if targets.is_empty() { String::new() } else { rules };
        let finished = self.ask(targets, &goals, (&rules, "0"))?;
        if !finished.status.success() {
            return Ok(Err(reason(&finished)));
        }
        let mut texts: Vec<String> = Vec::new();
        for line in self.below(&String::from_utf8_lossy(&finished.stdout)).lines() {
            match texts.last_mut() {
                _ if line == MARK => texts.push(String::new()),
                Some(text) => *text += &format!("{line}\n"),
                // What make says while it reads.
                None => {}
            }
        }
        Ok(Ok(texts))
    }

    /// Paths from the project, where make names its copy.
    fn below(&self, text: &str) -> String {
        from_here(text, &self.root)
    }
}

/// Text with paths from the project, where it names a copy of it.
fn from_here(text: &str, copy: &Path) -> String {
    let copy = copy.display().to_string();
    text.replace(&format!("{copy}/"), "").replace(&copy, ".")
}

/// What make complains of, before what programs do that it runs.
fn reason(finished: &Finished) -> String {
    let mut lines = finished.stderr.lines();
    let own = lines.clone().find(|line| line.contains("***"));
    own.or_else(|| lines.next()).unwrap_or_default().to_owned()
}

/// Whether an override has no lines of its own under these conditions, so that the pattern of all targets answers.
fn is_of_pattern(target: &str, text: &str) -> bool {
    let commands = shell::commands(text);
    let [only] = commands.as_slice() else { return false };
    overridden(target).is_some()
        && only.program() == "dh"
        && only.words.get(1).is_some_and(|word| word == target)
}

/// Writes a script that others run.
fn executable(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    let fault = || format!("cannot write `{}`", path.display());
    fs::write(&path, text).with_context(fault)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).with_context(fault)?;
    Ok(path)
}

fn make(root: &Path, folder: &str) -> Command {
    let mut make = command(Path::new("make"));
    for name in ["MAKEFLAGS", "MAKELEVEL", "MAKEFILES", "DEB_BUILD_OPTIONS", "DEB_BUILD_PROFILES"] {
        make.env_remove(name);
    }
    make.current_dir(root).arg("-f").arg(format!("{folder}/rules"));
    make
}

/// The shell that rules name for all of them, the last of several.
fn shell_of(written: &str) -> Option<&str> {
    written.lines().rev().find_map(|line| {
        let words = ["export ", "override "];
        let bare = words.iter().fold(line, |line, word| line.trim_start_matches(word).trim_start());
        let value = bare.strip_prefix("SHELL")?.trim_start().trim_start_matches([':', '?']);
        let value = value.strip_prefix('=')?.trim();
        Path::new(value).is_absolute().then_some(value)
    })
}

/// Runs the override in a copy of the project, with a `dh_virtualenv` that writes down how it is called and does
/// nothing.
pub fn record(
    (root, folder): (&Path, &str),
    recipe: &Recipe,
    scratch: &Scratch,
) -> Result<Vec<Call>> {
    let targets =
        ["override_dh_virtualenv", "override_dh_virtualenv-arch", "override_dh_virtualenv-indep"];
    let Some(target) = targets.into_iter().find(|target| recipe.targets.contains_key(*target))
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
    executable(&bin, "dh_virtualenv", include_str!("record.sh"))?;
    let mut make = make(&project, "debian");
    let path = std::iter::once(OsString::from(&bin)).chain(search_path());
    let path = path.collect::<Vec<_>>().join(":".as_ref());
    make.arg(target).env("PATH", path).env("MKPKG_CALLS", &log);
    make.env("MKPKG_VARIABLES", VARIABLES.join(" "));
    let finished = run_alone(make, LIMIT)?;
    let project = project.canonicalize().context("cannot find the copied project")?;
    let calls = recorded(&from_here(
        &String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()),
        &project,
    ));
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
fn recorded(log: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut one = shell::Command { words: vec!["dh_virtualenv".to_owned()], ..Default::default() };
    for item in log.split('\0') {
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
    use std::path::Path;

    use crate::commands::recipe::{from_here, is_of_pattern, recorded};

    #[test]
    fn what_the_pattern_answers() {
        for (target, text, expected) in [
            ("override_dh_auto_test", "dh override_dh_auto_test --with python-virtualenv\n", true),
            ("override_dh_auto_test", "pytest\n", false),
            ("override_dh_auto_test", "dh other\n", false),
            ("build", "dh build\n", false),
        ] {
            assert_eq!(is_of_pattern(target, text), expected, "{target} {text}");
        }
    }

    #[test]
    fn paths_of_the_copy() {
        let found = from_here("a /x/project/app /x/project;", Path::new("/x/project"));
        assert_eq!(found, "a app .;");
    }

    #[test]
    fn what_a_stub_writes() {
        let calls = recorded("=--python\0=/usr/bin/python3.11\0$A=b c\0.\0=-v\0.\0");
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0].values("--python"), ["/usr/bin/python3.11"]);
        assert_eq!(calls[0].variables, [("A".to_owned(), "b c".to_owned())]);
        assert_eq!(calls[1].options[0].name, "--verbose");
    }
}
