//! Shell text of the project that runs on hosts.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::error::UserError;
use crate::exec::{command, run};
use crate::lifecycle::Moment;
use crate::project::services::Scripts;

/// A script is one argument of a program, and Linux takes 128 KiB for one (MAX_ARG_STRLEN, execve(2)).
const MAX_LEN: usize = 64 << 10;

/// Reads the snippets of the project at `dir`.
pub(super) fn read(scripts: &Scripts, dir: &Path) -> Result<BTreeMap<Moment, String>> {
    let mut snippets = BTreeMap::new();
    for (moment, key, file) in scripts.files() {
        snippets.insert(moment, snippet(file, dir, &format!("scripts.{key}"))?);
    }
    Ok(snippets)
}

fn snippet(file: &Path, dir: &Path, key: &str) -> Result<String> {
    let text = text(file, dir, key)?;
    let fault = |what: &str| {
        UserError::usage(format!("`{}`, which `{key}` names, {what}", file.display()))
            .hint("write POSIX shell, or ship a program with `files` and call it")
    };
    if text.len() > MAX_LEN {
        return Err(fault("is longer than 64 KiB").into());
    }
    let first = text.lines().next().unwrap_or_default();
    let shells = ["#!/bin/sh", "#! /bin/sh", "#!/usr/bin/env sh"];
    let is_shell = |shell: &&str| {
        let rest = first.strip_prefix(*shell);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    if text.contains('\r') || text.starts_with('\u{feff}') {
        return Err(fault("has line ends of Windows, or a byte order mark").into());
    }
    if first.starts_with("#!") && !shells.iter().any(is_shell) {
        return Err(fault(&format!("is for `{}`", &first[2..].trim())).into());
    }
    let mut check = command(Path::new("/bin/sh"));
    check.arg("-n").arg(dir.join(file));
    let finished = run(check, &|_| ())?;
    if finished.status.success() {
        return Ok(text);
    }
    Err(fault("has a fault of syntax that `sh -n` tells").into())
}

/// The text of a file of the project, without NUL.
pub(super) fn text(file: &Path, dir: &Path, key: &str) -> Result<String> {
    let fault = |what: String| {
        UserError::usage(format!("`{key}` names `{}`, which {what}", file.display()))
            .hint("name a file of the project, from its directory")
    };
    let bytes =
        std::fs::read(dir.join(file)).map_err(|error| fault(format!("cannot be read: {error}")))?;
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) | Err(_) => Err(fault("is not text".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::lifecycle::Moment;
    use crate::project::services::Scripts;
    use crate::services::snippets::read;

    fn check(text: &str, expected: Result<(), &str>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.sh"), text).unwrap();
        let scripts = Scripts { after_install: Some(PathBuf::from("x.sh")), ..Scripts::default() };
        match read(&scripts, dir.path()) {
            Ok(snippets) => {
                assert_eq!(expected, Ok(()), "{text}");
                assert_eq!(snippets[&Moment::AfterInstall], text);
            }
            Err(error) => {
                let end = expected.unwrap_err();
                assert!(error.to_string().ends_with(end), "{error}");
            }
        }
    }

    #[test]
    fn snippets_are_posix_shell() {
        check("#!/bin/sh\necho \"it's\"\n", Ok(()));
        check("echo $(", Err("has a fault of syntax that `sh -n` tells"));
        check("#!/usr/bin/python3\n", Err("is for `/usr/bin/python3`"));
        check("a\0b", Err("which is not text"));
        check(&"#\n".repeat(40_000), Err("is longer than 64 KiB"));
    }
}
