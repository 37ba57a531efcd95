//! Version constraints as Poetry writes them: those of PEP 440, and `^`, `~`, `*` and `||` besides.

use anyhow::Result;

use crate::error::UserError;
use crate::pep::{Version, satisfies};

/// Whether `version` meets a constraint such as `^1.2 || >=3,<4`.
pub(crate) fn allows(constraint: &str, version: &Version) -> Result<bool> {
    for alternative in constraint.split('|').filter(|part| !part.is_empty()) {
        let mut all = true;
        for part in parts(alternative) {
            all &= satisfies(version, &specifiers(&part)?)?;
        }
        if all {
            return Ok(true);
        }
    }
    Ok(constraint.is_empty())
}

/// The parts that must all hold, parted by commas or spaces; a space may also stand behind an operator.
fn parts(alternative: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let words = alternative.split([',', ' ', '\t', '\n', '(', ')']).filter(|word| !word.is_empty());
    for word in words {
        match parts.last_mut() {
            Some(last) if last.ends_with(['<', '>', '=', '~', '^']) => last.push_str(word),
            Some(_) | None => parts.push(word.to_owned()),
        }
    }
    parts
}

/// One part in the words of PEP 440.
fn specifiers(part: &str) -> Result<String> {
    let part = part.trim();
    if part.is_empty() || part == "*" {
        return Ok(String::new());
    }
    if let Some(version) = part.strip_prefix('^') {
        let release = release(version)?;
        let significant = release.iter().position(|number| *number != 0);
        return Ok(below(
            version,
            &release,
            significant.unwrap_or(release.len().saturating_sub(1)),
        ));
    }
    if let Some(version) = part.strip_prefix('~').filter(|version| !version.starts_with('=')) {
        let release = release(version)?;
        return Ok(below(version, &release, usize::from(release.len() > 1)));
    }
    let is_single_equals = part.starts_with('=') && !part.starts_with("==");
    Ok(match part.starts_with(|at: char| at.is_ascii_alphanumeric()) {
        true => format!("=={part}"),
        false if is_single_equals => format!("={part}"),
        false => part.to_owned(),
    })
}

fn release(version: &str) -> Result<Vec<u64>> {
    let parsed: Version = version.parse().map_err(|_| {
        UserError::input(format!("`{}` is not a version constraint", version.escape_debug()))
    })?;
    Ok(parsed.parts().release)
}

/// From `version` on, below the next `release` that differs at `position`.
fn below(version: &str, release: &[u64], position: usize) -> String {
    let mut next: Vec<_> = release.iter().take(position + 1).copied().collect();
    if let Some(last) = next.last_mut() {
        *last = last.saturating_add(1);
    }
    let next: Vec<_> = next.iter().map(ToString::to_string).collect();
    format!(">={version},<{}", next.join("."))
}

#[cfg(test)]
mod tests {
    use crate::lock::constraint::allows;

    fn check(constraint: &str, yes: &str, no: &str) {
        for (versions, expected) in [(yes, true), (no, false)] {
            for version in versions.split_whitespace() {
                let allowed = allows(constraint, &version.parse().unwrap()).unwrap();
                assert_eq!(allowed, expected, "{constraint} {version}");
            }
        }
    }

    #[test]
    fn constraints() {
        check("", "1 2.0rc1", "");
        check("*", "1 2", "");
        check("^1.2.3", "1.2.3 1.9", "1.2.2 2.0 2.0rc1");
        check("^0.2.3", "0.2.3 0.2.9", "0.3 0.2.2");
        check("^0.0.3", "0.0.3", "0.0.4");
        check("^0.0", "0.0.9", "0.1");
        check("^0", "0.9", "1");
        check("~1.2.3", "1.2.3 1.2.9", "1.3");
        check("~1.2", "1.2 1.2.9", "1.3");
        check("~1", "1 1.9", "2");
        check("~=1.2", "1.2 1.9", "2");
        check("1.2", "1.2 1.2.0", "1.2.1");
        check("=1.2", "1.2", "1.3");
        check("3.*", "3.1", "4");
        check(">= 3.8, < 4", "3.8 3.99", "4 3.7");
        check(">=3.8 <3.10 !=3.9.1", "3.9 3.8", "3.9.1 3.10");
        check("^2.7 || ^3.9", "2.7 3.9", "3.8 4");
        check("(>=1.0)", "1", "0.9");
        check("^18446744073709551615", "", "1");
        for bad in ["^", "^x", ">=", "~", "1.0.0.x.y", "ä", "^1.*"] {
            assert!(allows(bad, &"1".parse().unwrap()).is_err(), "{bad}");
        }
    }
}
