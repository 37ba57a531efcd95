//! Unit files that a project brings: read far enough to refuse what systemd would not load (systemd.syntax(7)).

use anyhow::Result;

use crate::document::nearest;
use crate::error::UserError;
use crate::services::command_line::Commands;
use crate::services::{Context, directives};
use crate::systemd::{Line, lines};

/// What matters of the unit file of a service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnitFile {
    /// Whether it can be enabled.
    pub(super) has_install: bool,
}

/// Sections of a service; others are read by no systemd, but for those that begin with `X-`.
const SECTIONS: [&str; 3] = ["Unit", "Service", "Install"];

impl UnitFile {
    /// Reads the `text` that `key` of the configuration names.
    pub(super) fn read(
        text: &str,
        key: &str,
        context: &Context<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let (mut section, mut has_command, mut has_install) = (None, false, false);
        for Line { number, text } in lines(text) {
            let fault = |what: &str| {
                UserError::usage(format!("line {number} of the file that `{key}` names {what}"))
                    .hint("see systemd.syntax(7); `systemd-analyze verify FILE` tells more")
            };
            if let Some(name) = text.strip_prefix('[') {
                let Some(name) = name.strip_suffix(']') else {
                    return Err(fault("opens a section and does not close it").into());
                };
                if !SECTIONS.contains(&name) && !name.starts_with("X-") {
                    let message = format!("opens `[{name}]`, which no service has");
                    return Err(fault(&message).into());
                }
                has_install |= name == "Install";
                section = Some(name.to_owned());
                continue;
            }
            let Some(section) = &section else {
                return Err(fault("stands in no section").into());
            };
            let Some((name, value)) = text.split_once('=') else {
                return Err(fault("has no `=`").into());
            };
            let (name, value) = (name.trim_end(), value.trim_start());
            if let Some(hint) = unknown(section, name) {
                warnings.push(format!(
                    "line {number} of the file that `{key}` names: systemd has no `{name}` in `[{section}]`{hint}"
                ));
            }
            if section == "Service" && name.starts_with("Exec") {
                has_command |= matches!(name, "ExecStart" | "ExecStop") && !value.is_empty();
                if let Some(command) = missing(value, context) {
                    let message = format!("runs `{command}`, which the package does not have");
                    return Err(fault(&message).into());
                }
            }
        }
        if has_command {
            return Ok(Self { has_install });
        }
        Err(UserError::usage(format!("the file that `{key}` names starts nothing"))
            .hint("name a unit file of a service: `[Service]` with `ExecStart=`")
            .into())
    }
}

/// What to say of a directive systemd does not know, empty if nothing is like it; `None` when it knows it.
fn unknown(section: &str, name: &str) -> Option<String> {
    let is_foreign = section.starts_with("X-") || name.starts_with("X-");
    if is_foreign || directives::known(section).any(|known| known == name) {
        return None;
    }
    let hint = nearest(name, directives::known(section), 0.9);
    Some(hint.map_or_else(String::new, |hint| format!(": did you mean `{hint}`?")))
}

/// The program of a command line, if it should be in the environment and is not.
fn missing(value: &str, context: &Context<'_>) -> Option<String> {
    let Commands::Known(known) = context.commands else { return None };
    // systemd.service(5), "Special executable prefixes".
    let program = value.trim_start_matches(['-', '@', ':', '+', '!', '|']);
    let program = program.split_whitespace().next()?.trim_matches(['"', '\'']);
    let name = program.strip_prefix(&format!("{}/bin/", context.prefix.absolute()))?;
    (!known.contains(&name)).then(|| program.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::package::PackageName;
    use crate::services::Context;
    use crate::services::command_line::Commands;
    use crate::services::unit_file::UnitFile;
    use crate::tree::PkgPath;

    fn check(text: &str, expected: Result<(bool, &[&str]), &str>) {
        let name = PackageName::new("acme").unwrap();
        let prefix = PkgPath::new("/opt/acme").unwrap();
        let context = Context {
            name: &name,
            prefix: &prefix,
            summary: "",
            homepage: None,
            account: None,
            groups: &[],
            environment_file: &prefix,
            is_runtime_dir_shared: false,
            commands: Commands::Known(&["gunicorn"]),
        };
        let mut warnings = Vec::new();
        let found = UnitFile::read(text, "services.web.unit", &context, &mut warnings);
        let found = found.map(|read| read.has_install).map_err(|error| error.to_string());
        match expected {
            Ok((has_install, expected)) => {
                assert_eq!(found, Ok(has_install), "{text}");
                assert_eq!(warnings, expected, "{text}");
            }
            Err(expected) => {
                let error = found.unwrap_err();
                let error = error.replace(" of the file that `services.web.unit` names", "");
                assert_eq!(error, expected, "{text}");
            }
        }
    }

    #[test]
    fn what_systemd_loads() {
        check("[Unit]\n\n[Service]\nExecStart=/opt/acme/bin/gunicorn x\n", Ok((false, &[])));
        check(
            "# a\n[Service]\n ; b\nExecStart = -/bin/sh \\\n # c\n  -c 'x=y [z'\n[Install]\nWantedBy=x",
            Ok((true, &[])),
        );
        check("[Service]\nExecStart=/bin/x\nX-Mine=1\n[X-Mine]\nany=1", Ok((false, &[])));
        let told = "line 3 of the file that `services.web.unit` names: systemd has no `Exec` in `[Service]`";
        check("[Service]\nExecStart=/bin/x\nExec=1", Ok((false, &[told])));
    }

    #[test]
    fn what_it_does_not() {
        check("ExecStart=/bin/x", Err("line 1 stands in no section"));
        check("[Service\nExecStart=/bin/x", Err("line 1 opens a section and does not close it"));
        check("[Servise]", Err("line 1 opens `[Servise]`, which no service has"));
        check("[Service]\nExecStart", Err("line 2 has no `=`"));
        check(
            "[Service]\nExecStart=-/opt/acme/bin/gunicrn",
            Err("line 2 runs `/opt/acme/bin/gunicrn`, which the package does not have"),
        );
        for empty in
            ["", "[Service]\n", "[Service]\nExecStartPre=/bin/x", "[Unit]\nExecStart=/bin/x"]
        {
            check(empty, Err("the file that `services.web.unit` names starts nothing"));
        }
    }
}
