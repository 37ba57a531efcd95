//! Where the environment is and what is in it: the options and variables of dh-virtualenv as keys.

use anyhow::Result;

use crate::document::Value;
use crate::import::control::Stanza;
use crate::import::draft::Draft;
use crate::import::options::{Call, Given};
use crate::import::pythons::{Asked, asked};
use crate::import::{Folder, Package, has_environment, pip};

/// An environment as its calls describe it.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    /// Where it is.
    pub(super) prefix: String,
    /// Directory of its project, from the one the folder belongs to; `.` for that itself.
    pub(super) dir: String,
    /// Its interpreter.
    pub(super) python: Asked,
    /// Options of all calls.
    pub(super) options: Call,
    /// Where the options stand.
    pub(super) from: &'static str,
}

/// Where environments are unless something else is said, since dh-virtualenv 1.0.
const ROOT: &str = "/opt/venvs";
/// Where its build system puts them.
const OLD_ROOT: &str = "/usr/share/python";

/// The environment of a package; `None` when it has none.
pub(super) fn of_package(
    folder: &Folder,
    name: &str,
    source: &Stanza,
) -> Result<Option<Environment>> {
    if !has_environment(folder, name) {
        return Ok(None);
    }
    let recipe = &folder.recipe;
    let mut options = recipe.passed_on();
    // Several calls into one environment add up.
    for call in recipe.calls().into_iter().filter(|call| call.is_about(name)) {
        options.options.extend(call.options);
        options.variables.extend(call.variables);
    }
    let variable = |name: &str| {
        let own = options.variables.iter().rev().find(|(known, _)| known == name);
        own.map(|(_, value)| value.as_str())
            .or_else(|| recipe.variables.get(name).map(String::as_str))
            .filter(|value| !value.is_empty())
    };
    let is_buildsystem = recipe.is_buildsystem();
    let root = variable("DH_VIRTUALENV_INSTALL_ROOT");
    let root = root.unwrap_or(if is_buildsystem { OLD_ROOT } else { ROOT });
    let suffix = options.values("--install-suffix").last().copied();
    let suffix = match is_buildsystem {
        true => {
            let of_variable = variable("DH_VIRTUALENV_INSTALL_SUFFIX");
            of_variable.unwrap_or_else(|| source.get("Source").unwrap_or(name))
        }
        false => suffix.unwrap_or(name),
    };
    let last = options.values("--python").last().map(|value| asked(value)).transpose()?;
    let dir = options.values("--sourcedirectory").last().map_or(".", |dir| *dir).to_owned();
    Ok(Some(Environment {
        prefix: format!("{}/{}", root.trim_end_matches('/'), suffix.trim_matches('/')),
        dir,
        python: last.unwrap_or(Asked::Default),
        from: if recipe.recorded.is_some() { "the rules as they ran" } else { "`rules`" },
        options,
    }))
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
    requirements(of, draft);
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
        "--skip-install" => draft.set("", "install-project", Value::Boolean(false), &from),
        "--preinstall" => pip::preinstall(value, &text, draft),
        "--extra-pip-arg" => pip::argument(value, draft),
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
                pip::argument(word, draft);
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

/// The requirements files: the option's, or the one dh-virtualenv looks for.
fn requirements(of: &Package<'_>, draft: &mut Draft) {
    let env = of.environment;
    let named = env.options.values("--requirements").last().map(|file| (*file).to_owned());
    let of_variable = of.folder.recipe.variables.get("DH_REQUIREMENTS_FILE").cloned();
    let file = named.clone().or(of_variable);
    let is_named = file.is_some();
    let file = file.unwrap_or_else(|| "requirements.txt".to_owned());
    let below = format!("{}/{file}", env.dir.trim_end_matches('/'));
    let below = below.trim_start_matches("./");
    let from = if is_named { "its options" } else { "dh-virtualenv's habit" };
    if of.folder.project.contains_key(below) {
        draft.push("", "requirements", &file, &format!("{from}: `{file}`"));
        return;
    }
    let beside = |name: &&str| {
        let path = format!("{}/{name}", env.dir.trim_end_matches('/'));
        of.folder.project.contains_key(path.trim_start_matches("./"))
    };
    let lock = ["pylock.toml", "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock"];
    match lock.iter().find(|name| beside(name)) {
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
