//! Directives of units that the configuration writes itself: their names, and that they stay what they are.

use anyhow::Result;
use serde::Serialize;

use crate::document::nearest;
use crate::error::UserError;
use crate::project::services::Directives;
use crate::services::command_line::plain;

/// A line of a unit file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Directive {
    /// Name in systemd's own case.
    pub(super) key: String,
    /// The rest of the line.
    pub(super) value: String,
}

/// Every directive of `[Unit]`, `[Service]`, `[Socket]`, `[Timer]` and `[Install]` that systemd 257 knows, one
/// `Section.Name` a line (`systemd --dump-configuration-items`; systemd.directives(7)).
const KNOWN: &str = include_str!("directives.txt");

/// The lines of `section`; `key` is what errors call the table. A name that is not known is a warning: systemd goes on
/// without it, and a newer one may have it.
pub(super) fn lines(
    section: &str,
    directives: &Directives,
    key: &str,
    warnings: &mut Vec<String>,
) -> Result<Vec<Directive>> {
    let mut lines = Vec::new();
    for (written, values) in directives {
        let name = name(section, written, key)?;
        if !known(section).any(|known| known == name) {
            let hint = nearest(&name, known(section), 0.9);
            let hint = hint.map_or_else(String::new, |hint| format!(": did you mean `{hint}`?"));
            warnings.push(format!(
                "systemd has no directive `{name}` in `[{section}]` (`{key}.{written}`){hint}"
            ));
        }
        for value in &values.0 {
            plain(value, &format!("{key}.{written}"))?;
            lines.push(Directive { key: name.clone(), value: value.trim().to_owned() });
        }
    }
    Ok(lines)
}

pub(super) fn known(section: &str) -> impl Iterator<Item = &'static str> {
    KNOWN.lines().filter_map(move |line| line.strip_prefix(section)?.strip_prefix('.'))
}

/// The name in systemd's case: `on-calendar` is `OnCalendar`, `bind-ipv6-only` is `BindIPv6Only`.
fn name(section: &str, written: &str, key: &str) -> Result<String> {
    let is_plain = |at: char| at.is_ascii_alphanumeric() || at == '-';
    if !written.starts_with(|at: char| at.is_ascii_alphabetic()) || !written.chars().all(is_plain) {
        let message = format!("`{key}` has {written:?}, which is not the name of a directive");
        return Err(UserError::usage(message).hint("see systemd.directives(7)").into());
    }
    let same = |known: &&str| known.eq_ignore_ascii_case(&written.replace('-', ""));
    // X-… are those of other programs, which systemd passes over.
    Ok(known(section).find(same).unwrap_or(written).to_owned())
}

#[cfg(test)]
mod tests {
    use crate::project::services::{Directives, Lines};
    use crate::services::directives::lines;

    fn check(section: &str, written: &str, value: &str, expected: Result<&str, &str>) {
        let mut warnings = Vec::new();
        let values = Lines(vec![value.to_owned()]);
        let directives = Directives::from([(written.to_owned(), values)]);
        let found = lines(section, &directives, "services.web.x", &mut warnings);
        let found = match (found, warnings.pop()) {
            (Ok(lines), None) => Ok(format!("{}={}", lines[0].key, lines[0].value)),
            (Ok(_), Some(warning)) => Err(warning),
            (Err(error), _) => Err(error.to_string()),
        };
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn names_and_values() {
        check("Timer", "on-calendar", "daily", Ok("OnCalendar=daily"));
        check("Timer", "OnCalendar", "daily", Ok("OnCalendar=daily"));
        check("Socket", "bind-ipv6-only", "both", Ok("BindIPv6Only=both"));
        check("Socket", "listen-fifo", "/run/x", Ok("ListenFIFO=/run/x"));
        check("Service", "LimitNOFILE", "%i", Ok("LimitNOFILE=%i"));
        check("Unit", "after", "redis.service", Ok("After=redis.service"));
        check(
            "Service",
            "MemoryHihg",
            "1G",
            Err(
                "systemd has no directive `MemoryHihg` in `[Service]` (`services.web.x.MemoryHihg`): did you mean `MemoryHigh`?",
            ),
        );
        check(
            "Service",
            "User=root\nX",
            "1",
            Err("`services.web.x` has \"User=root\\nX\", which is not the name of a directive"),
        );
        check(
            "Service",
            "User",
            "a\nUser=root",
            Err("`services.web.x.User` holds a control character: \"a\\nUser=root\""),
        );
    }
}
