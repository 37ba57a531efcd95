//! Files of an environment that no wheel brings: the links to the interpreter, its configuration, and what the
//! project's configuration adds.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::app::App;
use crate::error::UserError;
use crate::host::interpreter::Interpreter;
use crate::needs::paths::{hazard, script_program};
use crate::project::Project;
use crate::project::config::{FileRole, FileRule, mode};
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Role, Tree};
use crate::venv::{OWN, is_byte_code};
use crate::wheel::install::Layout;

/// Where the interpreter of a distribution is. Never `python3`: extensions do not survive a change of minor.
const SYSTEM_BIN: &str = "/usr/bin";

/// Places below which the configuration may put files, beside the prefix.
const ALLOWED: [&str; 6] = [
    "etc",
    "usr/share",
    "usr/lib/systemd/system",
    "usr/lib/systemd/system-preset",
    "usr/lib/sysusers.d",
    "usr/lib/tmpfiles.d",
];

/// `bin/python` -> `python3.X` -> the distribution's interpreter, and `pyvenv.cfg` (PEP 405).
pub fn environment(layout: &Layout, interpreter: &Interpreter) -> Result<Tree> {
    let mut tree = Tree::new();
    let exact = format!("python{}", layout.minor);
    for (name, target) in [
        (exact.as_str(), format!("{SYSTEM_BIN}/{exact}")),
        ("python3", exact.clone()),
        ("python", exact.clone()),
    ] {
        tree.insert(layout.bin()?.join(name)?, Entry::Symlink { target })?;
    }
    let version = &interpreter.version;
    let text =
        format!("home = {SYSTEM_BIN}\ninclude-system-site-packages = false\nversion = {version}\n");
    let own = Arc::from(OWN);
    tree.insert(layout.prefix.join("pyvenv.cfg")?, Entry::file(Content::bytes(text), 0o644, &own))?;
    Ok(tree)
}

/// The files of `[[files]]`.
pub fn configured(rules: &[FileRule], project: &Project, app: &App) -> Result<Tree> {
    let mut tree = Tree::new();
    for rule in rules {
        let (path, entry) = configured_file(rule, project, app)?;
        tree.insert(path, entry)?;
    }
    Ok(tree)
}

/// Directories in `/etc` that decide who may do what on a host, or what it runs.
const GUARDED: [&str; 9] =
    ["sudoers.d", "pam.d", "security", "ssh", "ssl", "apt", "dpkg", "ld.so.conf.d", "modprobe.d"];

/// Whether a path below `/etc` is not one an application called `name` may have.
fn is_of_system(below_etc: &str, name: &str) -> bool {
    match below_etc.split_once('/') {
        Some((dir, _)) => GUARDED.contains(&dir),
        None => !below_etc
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-'])),
    }
}

/// Refuses a script whose `#!` line names a program of the machine it was made on, such as that of an environment there.
fn runs_on_hosts(rule: &FileRule, bytes: &[u8], app: &App) -> Result<()> {
    let Some(program) = script_program(bytes) else { return Ok(()) };
    if Path::new(program).starts_with(app.prefix.absolute()) {
        return Ok(());
    }
    let Some(why) = hazard(program) else { return Ok(()) };
    let (source, prefix) = (rule.source.display(), &app.prefix);
    Err(UserError::input(format!(
        "`files` names `{source}`, which is run by `{}`, below {why}",
        program.escape_debug()
    ))
    .hint(format!("let its first line be `#!{prefix}/bin/python`, or a program of the system"))
    .into())
}

/// The place of a file that the configuration puts at `target`, for an application at `home`.
pub fn place(target: &str, home: &PkgPath) -> Result<PkgPath> {
    let path = PkgPath::new(target)
        .map_err(|error| UserError::usage(format!("`files` cannot use its target: {error}")))?;
    let is_below = |dir: &str| PkgPath::new(dir).is_ok_and(|dir| path.below(&dir).is_some());
    if !target.starts_with('/') || path.below(home).is_none() && !ALLOWED.into_iter().any(is_below)
    {
        let places: Vec<_> = ALLOWED.iter().map(|dir| format!("/{dir}")).collect();
        return Err(UserError::usage(format!("`files` puts `{target}` where a package may not"))
            .hint(format!("use a path below {home}, {}", places.join(", ")))
            .into());
    }
    if path.below(home).is_some() && is_byte_code(&path) {
        let message = format!("`files` puts `{target}` among the byte code, which mkpkg makes");
        return Err(UserError::usage(message).hint("leave it out").into());
    }
    // What lies right in `/etc` and has no package, such as `/etc/passwd`, dpkg would replace without a word.
    if path.as_str().strip_prefix("etc/").is_some_and(|rest| is_of_system(rest, home.file_name())) {
        return Err(UserError::usage(format!(
            "`files` puts `{target}` among the files of the system"
        ))
        .hint(format!("use a path below `/etc/{}`", home.file_name()))
        .into());
    }
    Ok(path)
}

fn configured_file(rule: &FileRule, project: &Project, app: &App) -> Result<(PkgPath, Entry)> {
    let home = app.home();
    let path = place(&rule.target, home)?;
    if app.slot.as_ref().is_some_and(|slot| slot.has(&path)) {
        let message = format!("`files` puts `{}` among the releases", rule.target);
        return Err(UserError::usage(message)
            .hint(format!("use another path below {home}, or make it a file of the wheel"))
            .into());
    }
    let source = project.dir.join(&rule.source);
    let metadata = source.metadata().map_err(|error| {
        UserError::usage(format!(
            "`files` names `{}`, which cannot be read: {error}",
            rule.source.display()
        ))
    })?;
    if !metadata.is_file() {
        let message = format!("`files` names `{}`, which is not a file", rule.source.display());
        return Err(UserError::usage(message).hint("list each file by itself").into());
    }
    let bytes =
        std::fs::read(&source).with_context(|| format!("cannot read `{}`", source.display()))?;
    runs_on_hosts(rule, &bytes, app)?;
    let role = match rule.role {
        // Debian Policy 10.7: every file in `/etc` is configuration.
        FileRole::Plain if path.as_str().starts_with("etc/") => Role::Config,
        FileRole::Plain => Role::Plain,
        FileRole::Config => Role::Config,
        FileRole::Doc => Role::Doc,
    };
    let entry = Entry::File {
        content: Content::bytes(bytes),
        mode: mode(&rule.mode)?,
        role,
        origin: Arc::from(OWN),
        mtime: None,
    };
    Ok((path, entry))
}
