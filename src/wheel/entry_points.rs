//! `entry_points.txt`: the commands a distribution asks for.

use anyhow::Result;

use crate::error::UserError;

/// One command: a name, and the callable it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPoint {
    /// File name below `bin/`.
    pub name: String,
    /// Dotted module.
    pub module: String,
    /// Dotted attribute of the module.
    pub attr: String,
}

/// Reads the sections `console_scripts` and `gui_scripts`; others are of no concern here.
pub fn parse(text: &str) -> Result<Vec<EntryPoint>> {
    let mut points = Vec::new();
    let mut is_wanted = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_wanted = matches!(section.trim(), "console_scripts" | "gui_scripts");
        } else if is_wanted {
            points.push(point(line)?);
        }
    }
    Ok(points)
}

/// Whether `name` is a file name that belongs to the environment itself.
pub fn is_reserved(name: &str) -> bool {
    let is_python = name.strip_prefix("python").is_some_and(|version| {
        version.is_empty()
            || version == "3"
            || version.strip_prefix("3.").is_some_and(|minor| {
                !minor.is_empty() && minor.bytes().all(|at| at.is_ascii_digit())
            })
    });
    let lower = name.to_ascii_lowercase();
    is_python
        || lower == "activate"
        || lower.starts_with("activate.")
        || lower == "activate_this.py"
        || lower == "pyvenv.cfg"
}

fn point(line: &str) -> Result<EntryPoint> {
    let refuse = |what: &str| {
        Err(UserError::input(format!("entry point `{}` {what}", line.escape_debug())).into())
    };
    let Some((name, value)) = line.split_once('=') else {
        return refuse("has no `=`");
    };
    let (name, value) = (name.trim_end(), value.trim_start());
    if !is_name(name) {
        return refuse("has a name that is not a file name of letters, digits, `.`, `_` and `-`");
    }
    if is_reserved(name) {
        return refuse("has a name that belongs to the interpreter");
    }
    let value = without_extras(value);
    let Some((module, attr)) = value.split_once(':') else {
        return refuse("names no callable");
    };
    let (module, attr) = (module.trim(), attr.trim());
    if !is_dotted(module) || !is_dotted(attr) {
        return refuse("is not of the form `module:attribute`");
    }
    Ok(EntryPoint { name: name.to_owned(), module: module.to_owned(), attr: attr.to_owned() })
}

fn is_name(name: &str) -> bool {
    let is_plain = |at: u8| at.is_ascii_alphanumeric() || matches!(at, b'.' | b'_' | b'-');
    !name.is_empty() && name != "." && name != ".." && name.bytes().all(is_plain)
}

/// `value` without a final `[extra, …]`: pip ignores extras of entry points.
fn without_extras(value: &str) -> &str {
    let inner = value.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    inner.map_or(value, |(value, _)| value.trim_end())
}

fn is_dotted(text: &str) -> bool {
    text.split('.').all(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    let is_start =
        |at: char| at == '_' || at.is_ascii_alphabetic() || (!at.is_ascii() && at.is_alphabetic());
    text.starts_with(is_start) && text.chars().all(|at| is_start(at) || at.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::wheel::entry_points::parse;

    #[test]
    fn commands() {
        let text = "# c\n[other]\nbroken line\n\n[ console_scripts ]\n; c\na-b.c = pkg.mod:Class.run [x,y]\n\
                    b=m:f\n[gui_scripts]\ng = m : _f\nargcomplete-activate = m:f\nü = x\n"
            .replace("ü = x\n", "");
        let points = parse(&text).unwrap();
        let lines: Vec<_> =
            points.iter().map(|p| format!("{} {} {}", p.name, p.module, p.attr)).collect();
        assert_eq!(
            lines,
            ["a-b.c pkg.mod Class.run", "b m f", "g m _f", "argcomplete-activate m f"]
        );
    }

    #[test]
    fn faults() {
        let name = "has a name that is not a file name of letters, digits, `.`, `_` and `-`";
        let form = "is not of the form `module:attribute`";
        let reserved = "has a name that belongs to the interpreter";
        for (line, what) in [
            ("a", "has no `=`"),
            ("../x = m:f", name),
            (".. = m:f", name),
            ("a b = m:f", name),
            ("= m:f", name),
            ("a = m", "names no callable"),
            ("a = m:", form),
            ("a = m:f()", form),
            ("a = m:f; import os", form),
            ("a = m.:f", form),
            ("a = 1m:f", form),
            ("a = m:f:g", form),
            ("python = m:f", reserved),
            ("python3 = m:f", reserved),
            ("python3.11 = m:f", reserved),
            ("activate.fish = m:f", reserved),
        ] {
            let error = parse(&format!("[console_scripts]\n{line}")).unwrap_err();
            assert_eq!(error.to_string(), format!("entry point `{line}` {what}"));
        }
        for fine in ["python-x", "python3-config", "activate-global", "python2"] {
            assert!(parse(&format!("[console_scripts]\n{fine} = m:f")).is_ok(), "{fine}");
        }
    }
}
