//! Launchers for entry points, and the first line of scripts a wheel brings.

use std::io::{self, Read};

use crate::tree::content::Content;
use crate::wheel::entry_points::EntryPoint;

/// Longest first line Linux before 5.1 runs, its end included.
const MAX_SHEBANG: usize = 127;
/// How much of a script is looked at before it is taken for one.
const PEEK: u64 = 256;

/// The launcher of an entry point, run by the interpreter at the absolute path `python`.
pub(super) fn launcher(point: &EntryPoint, python: &str) -> String {
    let EntryPoint { module, attr, .. } = point;
    let first = attr.split('.').next().unwrap_or(attr);
    let shebang = shebang(python);
    format!(
        "{shebang}# -*- coding: utf-8 -*-\n\
         import sys\n\
         from {module} import {first}\n\
         if __name__ == \"__main__\":\n    sys.exit({attr}())\n"
    )
}

/// `content` with `python` in place of the interpreter it names; `None` when it is to stay as it is.
///
/// The whole line is replaced, options included, as pip does. pip touches `#!python` only; scripts of other
/// Pythons would run outside the environment they were installed into.
pub(super) fn rewrite(content: &Content, python: &str) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    content.open()?.take(PEEK).read_to_end(&mut head)?;
    if !names_python(first_line(&head)) {
        return Ok(None);
    }
    let old = content.read()?;
    let rest = old.iter().position(|at| *at == b'\n').map_or(&[][..], |end| &old[end + 1..]);
    Ok(Some([shebang(python).as_bytes(), rest].concat()))
}

/// The lines that make the kernel run the rest with `python`.
///
/// Beyond the kernel's limit `/bin/sh` runs the second line, which Python reads as a string.
fn shebang(python: &str) -> String {
    let line = format!("#!{python}\n");
    if line.len() <= MAX_SHEBANG {
        return line;
    }
    format!("#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''\n")
}

fn first_line(bytes: &[u8]) -> &[u8] {
    bytes.split(|at| *at == b'\n').next().unwrap_or_default()
}

/// Whether a first line asks for Python: by the name wheels use, through `env`, or by a path.
fn names_python(line: &[u8]) -> bool {
    let Some(command) = line.strip_prefix(b"#!") else {
        return false;
    };
    let command = String::from_utf8_lossy(command);
    let mut words = command.split_whitespace().filter(|word| *word != "-S");
    let Some(program) = words.next() else {
        return false;
    };
    match program.rsplit_once('/') {
        None => program.starts_with("python"),
        Some((_, "env")) => words.next().is_some_and(is_python),
        Some((_, name)) => is_python(name),
    }
}

/// `python`, `pythonw`, `python3` or `python3.11`, but not `python-config`.
fn is_python(name: &str) -> bool {
    name.strip_prefix("python").is_some_and(|rest| {
        let version = rest.strip_prefix('w').unwrap_or(rest);
        version.bytes().all(|at| at.is_ascii_digit() || at == b'.')
    })
}

#[cfg(test)]
mod tests {
    use crate::tree::content::Content;
    use crate::wheel::entry_points::parse;
    use crate::wheel::scripts::{launcher, rewrite};

    const PYTHON: &str = "/opt/app/bin/python3.11";

    fn check(script: &[u8], expected: Option<&str>) {
        let new = rewrite(&Content::bytes(script), PYTHON).unwrap();
        let new = new.map(|new| String::from_utf8_lossy(&new).into_owned());
        assert_eq!(new.as_deref(), expected, "{:?}", String::from_utf8_lossy(script));
    }

    #[test]
    fn scripts_of_a_python() {
        let expected = Some("#!/opt/app/bin/python3.11\nimport x\r\n");
        for line in [
            "#!python",
            "#!pythonw -E",
            "#!python\r",
            "#!/usr/bin/python3",
            "#! /usr/bin/python3.9 -sE",
            "#!/usr/bin/env python",
            "#!/usr/bin/env -S python3 -u",
        ] {
            check(format!("{line}\nimport x\r\n").as_bytes(), expected);
        }
        check(b"#!python", Some("#!/opt/app/bin/python3.11\n"));
    }

    #[test]
    fn scripts_of_others() {
        for script in [
            &b"#!/bin/sh\npython\n"[..],
            b"#!/usr/bin/env bash\n",
            b"#!/usr/bin/python3-config\n",
            b"#!/usr/bin/env\n",
            b"\x7fELF\x02\x01\x01#!python\n",
            b"#!",
            b"",
        ] {
            check(script, None);
        }
    }

    #[test]
    fn launchers() {
        let point = &parse("[console_scripts]\nrun = demo.cli:App.main").unwrap()[0];
        assert_eq!(
            launcher(point, PYTHON),
            "#!/opt/app/bin/python3.11\n# -*- coding: utf-8 -*-\nimport sys\nfrom demo.cli import App\n\
             if __name__ == \"__main__\":\n    sys.exit(App.main())\n"
        );
        let long = format!("/opt/{}/bin/python3.11", "x".repeat(120));
        let expected =
            format!("#!/bin/sh\n'''exec' '{long}' \"$0\" \"$@\"\n' '''\n# -*- coding: utf-8 -*-\n");
        assert!(launcher(point, &long).starts_with(&expected));
    }
}
