//! Where the environment is and what is in it: the options and variables of dh-virtualenv as keys.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::document::Value;
use crate::error::UserError;
use crate::import::control::{Stanza, is_for_all};
use crate::import::draft::Draft;
use crate::import::options::{Call, Given};
use crate::import::pythons::{Asked, asked};
use crate::import::rules::Recipe;
use crate::import::{Folder, Package, has_environment, pip};

/// An environment as its calls describe it.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    /// Where it is.
    pub(super) prefix: String,
    /// Directory of its project, from the one the folder belongs to; empty for that itself.
    pub(super) dir: String,
    /// Its interpreter.
    pub(super) python: Asked,
    /// Options of all calls, with those that `dh` passes on.
    pub(super) options: Call,
    /// The calls.
    pub(super) calls: Vec<Call>,
    /// Calls for other places, and these: what mkpkg does not put into the same package.
    pub(super) others: Vec<(String, Call)>,
    /// Where the options stand.
    pub(super) from: &'static str,
}

impl Environment {
    /// The path of a file of its project, from the one the folder belongs to.
    pub(super) fn path(&self, name: &str) -> String {
        if self.dir.is_empty() { name.to_owned() } else { format!("{}/{name}", self.dir) }
    }
}

/// Where environments are unless something else is said, since dh-virtualenv 1.0.
const ROOT: &str = "/opt/venvs";
/// Where its build system puts them.
const OLD_ROOT: &str = "/usr/share/python";

/// The environment of a package; `None` when it has none.
pub(super) fn of_package(
    folder: &Folder,
    stanza: &Stanza,
    source: &Stanza,
) -> Result<Option<Environment>> {
    if !has_environment(folder, stanza) {
        return Ok(None);
    }
    let recipe = &folder.recipe;
    let name = stanza.get("Package").unwrap_or_default();
    let mut calls: Vec<Call> = Vec::new();
    for call in recipe.calls().into_iter().filter(|call| call.is_about(name, is_for_all(stanza))) {
        let is_same = |it: &Call| (&it.options, &it.variables) == (&call.options, &call.variables);
        if !calls.iter().any(is_same) {
            calls.push(call);
        }
    }
    let mut options = recipe.passed_on();
    let owner = (name, source.get("Source").unwrap_or(name));
    let place = |call: &Call| place(recipe, &together(&options, [call]), owner);
    let prefix = calls.last().map_or_else(|| self::place(recipe, &options, owner), place);
    let (calls, others): (Vec<_>, Vec<_>) =
        calls.into_iter().partition(|call| place(call) == prefix);
    let others = others.into_iter().map(|call| (place(&call), call)).collect();
    // Several calls into one environment add up.
    options = together(&options, &calls);
    if options.values("--install-suffix").last().is_some_and(|suffix| suffix.is_empty()) {
        let message = format!("`--install-suffix` of {name} is empty in the rules");
        return Err(UserError::input(message)
            .hint("if a variable stands there, see where it comes from; `--run-rules` records what it is")
            .into());
    }
    let last = options.values("--python").last().map(|value| asked(value)).transpose()?;
    let dir = options
        .values("--sourcedirectory")
        .last()
        .map_or(Ok(String::new()), |dir| directory(folder, dir))?;
    Ok(Some(Environment {
        prefix,
        dir,
        python: last.unwrap_or(Asked::Default),
        from: if recipe.recorded.is_some() { "the rules as they ran" } else { "`rules`" },
        options,
        calls,
        others,
    }))
}

/// Options of several calls.
fn together<'a>(passed_on: &Call, calls: impl IntoIterator<Item = &'a Call>) -> Call {
    let mut all = passed_on.clone();
    for call in calls {
        all.options.extend(call.options.iter().cloned());
        all.variables.extend(call.variables.iter().cloned());
    }
    all
}

/// Where the environment of a call is.
fn place(recipe: &Recipe, call: &Call, (package, source): (&str, &str)) -> String {
    let variable = |name: &str| {
        let own = call.variables.iter().rev().find(|(known, _)| known == name);
        own.map(|(_, value)| value.as_str())
            .or_else(|| recipe.variables.get(name).map(String::as_str))
            .filter(|value| !value.is_empty())
    };
    let is_buildsystem = recipe.is_buildsystem();
    let root = variable("DH_VIRTUALENV_INSTALL_ROOT");
    let root = root.unwrap_or(if is_buildsystem { OLD_ROOT } else { ROOT });
    let suffix = match is_buildsystem {
        true => variable("DH_VIRTUALENV_INSTALL_SUFFIX").unwrap_or(source),
        false => call.values("--install-suffix").last().copied().unwrap_or(package),
    };
    let parts = root.split('/').chain(suffix.split('/')).filter(|part| !["", "."].contains(part));
    parts.map(|part| format!("/{part}")).collect()
}

/// What stands for the directory of the project in recipes and their shells.
const HERE: [&str; 8] =
    ["$(CURDIR)", "${CURDIR}", "$(PWD)", "${PWD}", "$PWD", "$(pwd)", "`pwd`", "$(shell pwd)"];

/// The directory of `--sourcedirectory` from that of the project, which is nothing.
fn directory(folder: &Folder, given: &str) -> Result<String> {
    let below = HERE.iter().find_map(|here| given.strip_prefix(here)).unwrap_or(given);
    let is_here = below.len() < given.len() && (below.is_empty() || below.starts_with('/'));
    let below = if is_here { below.trim_start_matches('/') } else { given };
    let mut parts: Vec<&str> = Vec::new();
    let mut is_inside = !below.starts_with('/');
    for part in below.split('/').filter(|part| !["", "."].contains(part)) {
        match part {
            ".." => is_inside &= parts.pop().is_some(),
            part => parts.push(part),
        }
    }
    let dir = parts.join("/");
    let has_files = || folder.project.keys().any(|path| path.starts_with(&format!("{dir}/")));
    if is_inside && (dir.is_empty() || has_files()) {
        return Ok(dir);
    }
    let (what, hint) = match (given.contains(['$', '`']), is_inside) {
        (true, _) => ("is not told by the rules", "`--run-rules` runs them and records what it is"),
        (false, true) => ("is no directory of the project", "make it first, if the rules do so"),
        (false, false) => (
            "is not in the project",
            "name a project that it is in: `mkpkg init PROJECT --from-debian DIR`",
        ),
    };
    Err(UserError::usage(format!("`--sourcedirectory={given}` in the rules {what}"))
        .hint(hint)
        .into())
}

/// Writes the keys of an environment.
pub(super) fn carry(of: &Package<'_>, draft: &mut Draft) {
    let environment = of.environment;
    let from = environment.from;
    let place = format!("{from}: the place of the environment, which stays");
    draft.set("", "prefix", environment.prefix.as_str(), &place);
    if let Asked::Exact(minor) = &environment.python {
        draft.set("", "python", minor.as_str(), &format!("`--python` in {from}"));
    }
    for option in &environment.options.options {
        one(of, option, draft);
    }
    let variables = environment.options.variables.iter().map(|(name, value)| (name, value));
    for (name, value) in variables.chain(&of.folder.recipe.variables) {
        variable(of, name, value, draft);
    }
    for text in &of.folder.recipe.specific {
        let todo = "a variable of one target is not looked at: see whether `prefix` or the requirements depend on it";
        draft.ask(text, todo);
    }
    requirements(of, draft);
    several(of, draft);
    script(of, draft);
}

/// One option.
fn one(of: &Package<'_>, option: &Given, draft: &mut Draft) {
    let from = format!("`{}`", option.text());
    let value = option.value.as_deref().unwrap_or_default();
    let (text, env) = (option.text(), &of.environment);
    match option.name.as_str() {
        "--package" | "--no-package" | "--install-suffix" | "--requirements" => {
            draft.carry(&text, "decides what is above");
        }
        "--python" => match &env.python {
            Asked::Exact(_) => {}
            Asked::Default => draft.carry(&text, "the `python3` of the release that is built for"),
            Asked::Unclear => draft.ask(&text, "set `python` to `X.Y` or an executable"),
        },
        "--sourcedirectory" => draft.carry(&text, "the configuration is written there"),
        "--extras" => {
            for extra in value.split(',').map(str::trim).filter(|extra| !extra.is_empty()) {
                draft.push("", "extras", extra, &from);
            }
        }
        "--skip-install" if installs_project(env) => {
            draft.carry(&text, "another call installs the project");
        }
        "--skip-install" => draft.set("", "install-project", Value::Boolean(false), &from),
        "--preinstall" => pip::preinstall(value, &text, draft),
        "--extra-pip-arg" => pip::argument(of, value, draft),
        "--index-url" | "--pypi-url" => pip::index("--index-url", value, &text, draft),
        "--extra-index-url" => pip::index("--extra-index-url", value, &text, draft),
        "--extra-virtualenv-arg" => virtualenv(value, &text, draft),
        "--use-system-packages" => draft.ask(
            &text,
            "an environment of mkpkg does not see the Python packages of the host: lock what it took from there, \
             and take their `python3-…` out of `deb.add`",
        ),
        "--setuptools-test" => draft.ask(
            &text,
            "`setup.py test` is no more since setuptools 72: name the tests in `check`, such as \
             `check = [\"python -m unittest discover -s tests\"]`",
        ),
        "--no-test" => draft.drop(&text, "nothing is tested unless `check` says so"),
        "--upgrade-pip" | "--upgrade-pip-to" | "--pip-tool" => {
            draft.drop(&text, "no pip is put into the environment: that of the build host is used");
        }
        "--setuptools" | "--builtin-venv" => {
            draft.drop(&text, "no program makes the environment: mkpkg lays it out itself");
        }
        "--noscripts" => draft.drop(&text, "no script follows the interpreter, as none has to"),
        "--verbose" => draft.drop(&text, "say `mkpkg -v`"),
        "-a" | "-i" | "--arch" | "--indep" => {
            draft.drop(&text, "the machine a package is for is seen from its files");
        }
        name if name.starts_with("-O") => {
            draft.drop(&text, "dh-virtualenv passes over what `-O` hides from other helpers, too");
        }
        _ => draft.ask(&text, "this is no option dh-virtualenv is known for: see what it did"),
    }
}

fn virtualenv(value: &str, text: &str, draft: &mut Draft) {
    match value {
        "--always-copy" | "--copies" => draft.drop(
            text,
            "the interpreter is a link to the host's exact minor version: a copy would miss its updates",
        ),
        "--no-download" | "--no-setuptools" | "--no-wheel" | "--no-pip" | "--never-download" => {
            draft.drop(text, "neither pip nor setuptools nor wheel is put into the environment");
        }
        _ => draft.ask(text, "nothing is made by virtualenv: see whether this is still needed"),
    }
}

/// A variable that the rules export, or set for a call.
fn variable(of: &Package<'_>, name: &str, value: &str, draft: &mut Draft) {
    let text = format!("{name}={value}");
    match name {
        "DH_VIRTUALENV_INSTALL_ROOT" | "DH_VIRTUALENV_INSTALL_SUFFIX" => {
            draft.carry(&text, "is part of `prefix`");
        }
        "DH_REQUIREMENTS_FILE" => draft.carry(&text, "is in `requirements`"),
        "DH_UPGRADE_PIP" | "DH_UPGRADE_SETUPTOOLS" | "DH_UPGRADE_WHEEL" => {
            let mode = if of.folder.recipe.is_buildsystem() {
                ""
            } else {
                ", nor without its build system"
            };
            draft.drop(&text, &format!("what it upgrades is not put into the environment{mode}"));
        }
        "DH_PIP_EXTRA_ARGS" => {
            for word in value.split_whitespace() {
                pip::argument(of, word, draft);
            }
        }
        "DH_VIRTUALENV_ARGUMENTS" => {
            for word in value.split_whitespace() {
                virtualenv(word, &text, draft);
            }
        }
        "DH_VERBOSE" | "DH_OPTIONS" => draft.drop(&text, "say `mkpkg -v`"),
        name if ["DEB_", "DH_", "PYBUILD_", "DPKG_"]
            .iter()
            .any(|start| name.starts_with(start)) =>
        {
            draft.drop(&text, "is for debhelper and dpkg");
        }
        _ => draft.ask(&text, "export it where you run mkpkg, if builds of wheels need it"),
    }
}

/// Whether a call of several leaves the project in.
fn installs_project(environment: &Environment) -> bool {
    environment.calls.len() > 1
        && environment
            .calls
            .iter()
            .any(|call| call.options.iter().all(|it| it.name != "--skip-install"))
}

/// Several calls make several environments, or one of things that a package of mkpkg has one of.
fn several(of: &Package<'_>, draft: &mut Draft) {
    let environment = of.environment;
    for (place, call) in &environment.others {
        let todo = format!(
            "it makes another environment in this package, `{place}`: nothing of it is here. Make a package of its own \
             for it, with a configuration of its own"
        );
        draft.ask(&call.text(), &todo);
    }
    for (option, todo) in [
        ("--python", "one environment has one interpreter, here that of the last call"),
        (
            "--sourcedirectory",
            "one configuration is of one project, here that of the last call: add the other one to the requirements",
        ),
    ] {
        let given = |call: &Call| call.values(option).last().map(|value| (*value).to_owned());
        let all: BTreeSet<_> = environment.calls.iter().map(given).collect();
        if all.len() > 1 {
            let all: Vec<_> = all
                .into_iter()
                .map(Option::unwrap_or_default)
                .map(|value| format!("{option}={value}"))
                .collect();
            draft.ask(&all.join(", "), todo);
        }
    }
}

/// The requirements files: the option's of each call, or the one dh-virtualenv looks for.
fn requirements(of: &Package<'_>, draft: &mut Draft) {
    let env = of.environment;
    let passed_on = of.folder.recipe.passed_on();
    let of_variable = of.folder.recipe.variables.get("DH_REQUIREMENTS_FILE").cloned();
    let named = |call: &Call| {
        let file = call.values("--requirements").last().map(|file| (*file).to_owned());
        file.or_else(|| passed_on.values("--requirements").last().map(|file| (*file).to_owned()))
            .or_else(|| of_variable.clone())
    };
    let mut files: Vec<_> = env.calls.iter().map(named).collect();
    if files.is_empty() {
        files.push(named(&passed_on));
    }
    for file in files {
        requirements_file(of, file, draft);
    }
}

/// One requirements file, or what stands for it.
fn requirements_file(of: &Package<'_>, named: Option<String>, draft: &mut Draft) {
    let is_named = named.is_some();
    let file = named.unwrap_or_else(|| "requirements.txt".to_owned());
    let is_there = |name: &str| {
        let name = name.trim_start_matches("./");
        of.folder.project.contains_key(&of.environment.path(name))
    };
    let from = if is_named { "its options" } else { "dh-virtualenv's habit" };
    if is_there(&file) {
        draft.push("", "requirements", &file, &format!("{from}: `{file}`"));
        return;
    }
    let lock = ["pylock.toml", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"];
    match lock.iter().find(|name| is_there(name)) {
        Some(lock) if is_named => {
            draft.push("", "requirements", lock, &format!("`{file}`, which is exported from it"));
        }
        Some(lock) => draft.carry(lock, "is honoured, which dh-virtualenv did not do"),
        None if is_named => draft.ask(&file, "it is not there: make it before a build, or lock"),
        None => {}
    }
}

/// A recipe that leaves the call to a script says nothing of its options.
fn script(of: &Package<'_>, draft: &mut Draft) {
    let recipe = &of.folder.recipe;
    if !recipe.calls().is_empty() || recipe.is_buildsystem() {
        return;
    }
    let commands = recipe.commands().into_iter();
    let scripts = commands.filter(|(target, _)| target.ends_with("dh_virtualenv"));
    let scripts: Vec<_> = scripts.map(|(_, command)| command.text()).collect();
    if !scripts.is_empty() {
        draft.ask(
            &scripts.join("; "),
            "it calls `dh_virtualenv` with options that cannot be seen from outside: \
             `mkpkg init --from-debian DIR --run-rules` runs the rules and records them",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::import::tests::imported;

    const CONTROL: (&str, &str) = (
        "control",
        "Source: a\n\nPackage: acme\nArchitecture: any\n\nPackage: tools\nArchitecture: all\n",
    );
    const PROJECT: [&str; 4] =
        ["requirements.txt", "more.txt", "app/setup.py", "app/requirements.txt"];

    /// Imports rules that have these lines.
    fn import(rules: &str) -> anyhow::Result<Vec<crate::import::Imported>> {
        let rules = format!("%:\n\tdh $@ --with python-virtualenv\n{rules}");
        imported(&rules, &[CONTROL], &PROJECT)
    }

    /// What the configuration of the first package has, and a human is told.
    fn check(lines: &[&str], keys: &[&str], asked: &[&str]) {
        let lines: String =
            lines.iter().map(|line| format!("\tdh_virtualenv -pacme {line}\n")).collect();
        let found = import(&format!("override_dh_virtualenv:\n{lines}")).unwrap().remove(0);
        for key in keys {
            assert!(found.text.lines().any(|line| line == *key), "{key}\n{}", found.text);
        }
        let human: Vec<_> =
            found.draft.human.iter().map(|it| format!("{}: {}", it.what, it.text)).collect();
        for asked in asked {
            assert!(human.iter().any(|it| it.contains(asked)), "{asked}\n{human:?}");
        }
        let several = human.iter().filter(|it| it.contains("--"));
        assert_eq!(several.count(), asked.len(), "{human:?}");
    }

    #[test]
    fn several_calls() {
        check(
            &[
                "--install-suffix=x --extras a",
                "--install-suffix=x --requirements more.txt --skip-install",
            ],
            &[
                "prefix = \"/opt/venvs/x\"",
                "extras = [\"a\"]",
                "requirements = [\"requirements.txt\", \"more.txt\"]",
            ],
            &[],
        );
        check(
            &["--install-suffix=y --extras b", "--install-suffix=x"],
            &["prefix = \"/opt/venvs/x\""],
            &[
                "dh_virtualenv --package=acme --install-suffix=y --extras=b: it makes another environment",
            ],
        );
        check(
            &["--python python3.11", "--python python3.12 -D app"],
            &["python = \"3.12\""],
            &[
                "--python=python3.11, --python=python3.12: one",
                "--sourcedirectory=, --sourcedirectory=app: one",
            ],
        );
        check(&["--extras a", "--extras a"], &["extras = [\"a\"]"], &[]);
    }

    #[test]
    fn directories() {
        for (given, expected) in [
            ("./app/", Ok("app")),
            ("$(CURDIR)/app", Ok("app")),
            ("`pwd`//app", Ok("app")),
            ("app/../app", Ok("app")),
            (".", Ok("")),
            ("$(CURDIR)", Ok("")),
            ("../app", Err("is not in the project")),
            ("/srv/app", Err("is not in the project")),
            ("gone", Err("is no directory of the project")),
            ("$(DIR)", Err("is not told by the rules")),
            ("$PWDs/app", Err("is not told by the rules")),
        ] {
            let rules = format!("override_dh_virtualenv:\n\tdh_virtualenv -pacme -D {given}\n");
            let found = import(&rules).map(|found| found[0].dir.clone());
            match expected {
                Ok(dir) => assert_eq!(found.unwrap(), dir, "{given}"),
                Err(why) => assert!(found.unwrap_err().to_string().ends_with(why), "{given}"),
            }
        }
    }

    #[test]
    fn several_packages() {
        let found =
            import("override_dh_virtualenv:\n\tdh_virtualenv --install-suffix x\n").unwrap();
        let asked = |index: usize, text: &str| {
            let human = &found[index].draft.human;
            human.iter().filter(|it| it.text.contains(text)).count()
        };
        let (no_package, same_place) = ("told of no package", "at `/opt/venvs/x`, too");
        assert_eq!((asked(0, no_package), asked(0, same_place)), (0, 1));
        assert_eq!((asked(1, no_package), asked(1, same_place)), (1, 1));
        let parts = "override_dh_virtualenv-arch:\n\tdh_virtualenv --extras a\n\
                     override_dh_virtualenv-indep:\n\tdh_virtualenv --extras b\n";
        let found = import(parts).unwrap();
        let has = |index: usize, text: &str| found[index].text.contains(text);
        assert!(has(0, "extras = [\"a\"]") && has(1, "extras = [\"b\"]"));
    }
}
