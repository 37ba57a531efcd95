//! Command lines of units: the first word is looked up in the environment, the rest is systemd's.

use anyhow::Result;

use crate::document::nearest;
use crate::error::UserError;
use crate::tree::PkgPath;

/// What is in the environment's `bin`.
#[derive(Clone, Copy, Debug)]
pub enum Commands<'a> {
    /// These.
    Known(&'a [&'a str]),
    /// It is too early to say.
    Unknown,
}

/// The command line with the path of its program; `key` is what errors call it.
///
/// The program may not begin with what systemd takes for a flag (systemd.service(5), "Special executable prefixes"),
/// and has neither blanks nor quotes, so that it is what a reader takes it for.
pub(super) fn resolve(
    text: &str,
    key: &str,
    prefix: &PkgPath,
    commands: Commands<'_>,
) -> Result<String> {
    plain(text, key)?;
    let text = text.trim();
    let (program, rest) = match text.find(char::is_whitespace) {
        Some(end) => text.split_at(end),
        None => (text, ""),
    };
    let is_plain = |at: char| at.is_alphanumeric() || "/._+-".contains(at);
    if program.is_empty() || program.starts_with(['-', '+']) || !program.chars().all(is_plain) {
        return Err(UserError::usage(format!("`{key}` begins with `{program}`, which is no plain command"))
            .hint("begin with a command of the environment or an absolute path; systemd's prefixes can be set with `directives`")
            .into());
    }
    unknown_specifier(text, key)?;
    quoted(text, key)?;
    let bin = format!("{}/bin/", prefix.absolute());
    if program.starts_with('/') {
        return match (program.strip_prefix(&bin), commands) {
            (Some(name), Commands::Known(known)) if !known.contains(&name) => {
                Err(missing(name, key, prefix, known))
            }
            (Some(_) | None, Commands::Known(_) | Commands::Unknown) => Ok(text.to_owned()),
        };
    }
    if program.contains('/') {
        return Err(UserError::usage(format!("`{key}` names `{program}`, a relative path"))
            .hint("begin with a command of the environment or an absolute path")
            .into());
    }
    if let Commands::Known(known) = commands
        && !known.contains(&program)
    {
        return Err(missing(program, key, prefix, known));
    }
    Ok(format!("{bin}{program}{rest}"))
}

fn missing(program: &str, key: &str, prefix: &PkgPath, known: &[&str]) -> anyhow::Error {
    let bin = prefix.absolute();
    let error = UserError::usage(format!("`{key}` names `{program}`, which is not in `{bin}/bin`"));
    let hint = match nearest(program, known.iter().copied(), 0.8) {
        Some(nearest) => format!("did you mean `{nearest}`? Programs of the host need their absolute path"),
        None => "name a command of the application or of what it requires; programs of the host need their absolute path".to_owned(),
    };
    error.hint(hint).into()
}

/// Refuses what systemd cannot take apart into words: it would not load the unit (systemd.syntax(7), "Quoting").
fn quoted(text: &str, key: &str) -> Result<()> {
    let fault = |what: &str| {
        let message = format!("`{key}` {what}, which systemd cannot take apart: {text:?}");
        UserError::usage(message).hint("see \"Quoting\" in systemd.syntax(7)")
    };
    let (mut open, mut is_new, mut chars) = (None, true, text.chars());
    while let Some(at) = chars.next() {
        match (at, open) {
            ('\\', _) => {
                let escaped = chars.next();
                if !escaped.is_some_and(|next| "abfnrtv\\\"'sxuU01234567".contains(next)) {
                    return Err(fault("has an escape sequence that is not known").into());
                }
            }
            ('"' | '\'', None) => open = Some(at),
            ('"' | '\'', Some(quote)) if at == quote => open = None,
            (';', None)
                if is_new && chars.as_str().chars().next().is_none_or(char::is_whitespace) =>
            {
                return Err(fault("has a `;`, and so two commands").into());
            }
            _ => {}
        }
        is_new = at.is_whitespace() && open.is_none();
    }
    if open.is_some() { Err(fault("has a quote that is not closed").into()) } else { Ok(()) }
}

/// Refuses text that would not stay on its line of a unit file.
pub(super) fn plain(text: &str, key: &str) -> Result<()> {
    let fault = if text.chars().any(char::is_control) {
        "holds a control character"
    } else if text.ends_with('\\') {
        // systemd.syntax(7): such a line goes on in the next.
        "ends in a backslash"
    } else {
        return Ok(());
    };
    let message = format!("`{key}` {fault}: {text:?}");
    Err(UserError::usage(message).hint("write it on one line").into())
}

/// Specifiers of units; those that some supported systemd lacks (`%d`, `%q`) it passes on as they are (systemd.unit(5), "Specifiers").
const SPECIFIERS: &str = "%abBCdEfgGhHiIjJlLmMnNopPqsStTuUvVwW";

fn unknown_specifier(text: &str, key: &str) -> Result<()> {
    let mut chars = text.chars();
    while let Some(at) = chars.next() {
        if at != '%' {
            continue;
        }
        let next = chars.next();
        if !next.is_some_and(|next| SPECIFIERS.contains(next)) {
            let next = next.map_or_else(String::new, String::from);
            let message = format!("`{key}` has `%{next}`, which systemd does not know");
            return Err(UserError::usage(message).hint("write `%%` for a percent sign").into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::error::hint;
    use crate::services::command_line::{Commands, resolve};
    use crate::tree::PkgPath;

    fn check(text: &str, expected: Result<&str, &str>) {
        let prefix = PkgPath::new("/opt/acme").unwrap();
        let known = Commands::Known(&["gunicorn", "python"]);
        match (resolve(text, "services.web.exec", &prefix, known), expected) {
            (Ok(found), expected) => assert_eq!(Ok(found.as_str()), expected),
            (Err(error), Err(expected)) => {
                let error = format!("{error} / {}", hint(&error).unwrap_or_default());
                assert!(error.contains(expected), "{error}");
            }
            (Err(error), Ok(_)) => panic!("{text}: {error}"),
        }
    }

    #[test]
    fn what_systemd_cannot_take_apart() {
        for good in [
            "gunicorn 'a b' \"c'd\" e\\sf\\x20",
            "gunicorn a;b",
            "gunicorn it\\'s",
            "gunicorn a'b c'd",
        ] {
            check(good, Ok(&format!("/opt/acme/bin/{good}")));
        }
        check("gunicorn 'x", Err("has a quote that is not closed"));
        check("gunicorn don't", Err("has a quote that is not closed"));
        check("gunicorn \"a\\\"", Err("has a quote that is not closed"));
        check("gunicorn \\q", Err("has an escape sequence that is not known"));
        check("gunicorn a ; /bin/true", Err("has a `;`, and so two commands"));
        check("/opt/acme/bin/gunicrn x", Err("did you mean `gunicorn`?"));
    }

    #[test]
    fn programs_are_of_the_environment_or_absolute() {
        check(
            "gunicorn acme.wsgi --bind '%t/x' $PORT",
            Ok("/opt/acme/bin/gunicorn acme.wsgi --bind '%t/x' $PORT"),
        );
        check(" python -m  acme 100%% ", Ok("/opt/acme/bin/python -m  acme 100%%"));
        check("/usr/bin/env x", Ok("/usr/bin/env x"));
        check("gunicron x", Err("did you mean `gunicorn`?"));
        check("bash -c x", Err("programs of the host need their absolute path"));
        check("bin/gunicorn", Err("a relative path"));
        for bad in [
            "",
            "-gunicorn",
            "+/bin/sh",
            "!x",
            "@x y",
            ":x",
            "|x",
            "$PROGRAM",
            "%i",
            "'a b'",
            "\"x\"",
            "a;b",
        ] {
            check(bad, Err("which is no plain command"));
        }
        check("gunicorn %z", Err("has `%z`, which systemd does not know"));
        check("gunicorn 5%", Err("has `%`"));
        check("gunicorn\nExecStartPre=/bin/sh", Err("holds a control character"));
        check("gunicorn \\", Err("ends in a backslash"));
    }
}
