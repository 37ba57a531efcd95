//! What a recipe tells pip: arguments, indexes, and what is installed before all else.

use crate::document::Value;
use crate::import::Package;
use crate::import::draft::Draft;

/// Options that pip no longer has; recipes that pass them work with no pip of today.
const DEAD: [&str; 9] = [
    "--no-use-wheel",
    "--use-wheel",
    "--use-mirrors",
    "--mirrors",
    "--download-cache",
    "--allow-external",
    "--allow-all-external",
    "--allow-unverified",
    "--process-dependency-links",
];

/// An argument for pip.
pub(super) fn argument(of: &Package<'_>, argument: &str, draft: &mut Draft) {
    let text = format!("--extra-pip-arg={argument}");
    let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
    match name {
        "--no-cache-dir"
        | "--progress-bar"
        | "--quiet"
        | "-q"
        | "-v"
        | "--verbose"
        | "--disable-pip-version-check"
        | "--no-color"
        | "--no-input"
        | "off" => {
            draft.drop(&text, "decides nothing about the package");
        }
        "--no-compile" => {
            draft.set("", "byte-compile", Value::Boolean(false), &format!("`{text}`"))
        }
        "--compile" => draft.drop(&text, "byte code is shipped anyway"),
        "--no-deps" => {
            draft.drop(&text, "a complete lock is installed as it is; another one is resolved")
        }
        "--require-hashes" => {
            draft.flags.push("--locked".to_owned());
            draft.carry(&text, "`--locked` on the command line");
        }
        "--no-index" => draft.drop(&text, "`--wheelhouse` uses no index; without it, `--offline`"),
        "--find-links" | "-f" if value.contains("://") || value.is_empty() => {
            index("--find-links", value, &text, draft);
        }
        "--find-links" | "-f" => {
            draft.flags.push(format!("--wheelhouse {}", of.source_path(value)));
            draft.ask(
                &text,
                "`--wheelhouse` takes all wheels from there: see that the project's own is among them \
                 (`pip wheel --no-deps -w DIR .`), and no sdists",
            );
        }
        "--index-url" | "-i" => index("--index-url", value, &text, draft),
        "--extra-index-url" => index("--extra-index-url", value, &text, draft),
        "--no-binary" | "--only-binary" | "--pre" | "--prefer-binary" | "--trusted-host" => draft
            .ask(
                &text,
                &format!("put the line `{name} {value}` at the top of the requirements file"),
            ),
        "--constraint" | "-c" => {
            draft.ask(
                &text,
                &format!("put the line `-c {value}` at the top of the requirements file"),
            );
        }
        "--requirement" | "-r" => draft.push("", "requirements", value, &format!("`{text}`")),
        name if DEAD.contains(&name) => {
            draft.drop(&text, "pip has had no such option for years");
        }
        _ => draft.ask(&text, "pip and uv read their own variables and files: set it there"),
    }
}

/// An index, which is the business of pip's configuration.
pub(super) fn index(option: &str, url: &str, text: &str, draft: &mut Draft) {
    let variable = option.trim_start_matches('-').replace('-', "_").to_uppercase();
    draft.ask(
        text,
        &format!(
            "put the line `{option} {url}` at the top of the requirements file, or export \
             `PIP_{variable}={url}` where you run mkpkg; a lock may name it, too"
        ),
    );
}

/// What is installed first, and stays in the environment.
pub(super) fn preinstall(value: &str, text: &str, draft: &mut Draft) {
    let of_file =
        ["--requirement=", "--requirement", "-r"].iter().find_map(|it| value.strip_prefix(it));
    if let Some(file) = of_file {
        draft.push("", "requirements", file.trim(), &format!("`{text}`"));
        return;
    }
    let name = value.split(['=', '<', '>', '!', '~', ' ', '[']).next().unwrap_or_default();
    if ["pip", "setuptools", "wheel", "distribute", "setuptools-scm"].contains(&name) {
        let why = "builds of wheels get what their `build-system.requires` names; the package does not need it";
        draft.drop(text, why);
        return;
    }
    draft.ask(
        text,
        &format!(
            "it stays in the environment there: add `{value}` to the requirements if the application needs it; \
             if only builds need it, name it in `build-system.requires`"
        ),
    );
}
