//! Keeps credentials out of what is shown or stored.

use anyhow::Error;

use crate::error::{Kind, UserError};

/// What stands in place of `user:password`.
const MASK: &str = "****";

/// Masks the user and password of every URL in a text.
pub fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        rest = after;
        if let Some(end) = userinfo(rest) {
            clean.push_str(MASK);
            rest = &rest[end..];
        }
        if let Some((start, end)) = query(rest) {
            clean.push_str(&rest[..start]);
            clean.push_str(MASK);
            rest = &rest[end..];
        }
    }
    clean.push_str(rest);
    clean
}

/// Whether a URL in `text` holds a password, or a token where a user would stand.
pub fn holds_credentials(text: &str) -> bool {
    text.match_indices("://").any(|(at, separator)| {
        let rest = &text[at + separator.len()..];
        let is_web = text[..at].ends_with("http") || text[..at].ends_with("https");
        userinfo(rest).is_some_and(|end| is_web || rest[..end].contains(':'))
    })
}

/// Where the query of a URL is in what follows `://`, without its `?`: it may hold a token.
fn query(text: &str) -> Option<(usize, usize)> {
    let token = word(text);
    let start = token.find('?')? + 1;
    let end = token[start..].find('#').map_or(token.len(), |at| start + at);
    (token[start..end].contains('=')).then_some((start, end))
}

/// What stands before the next blank or quote.
fn word(text: &str) -> &str {
    let ends = |at: char| at.is_whitespace() || matches!(at, '"' | '\'' | '`' | '<' | '>');
    &text[..text.find(ends).unwrap_or(text.len())]
}

/// Length of the userinfo at the start of what follows `://`; the `@` is not part of it.
fn userinfo(text: &str) -> Option<usize> {
    let token = word(text);
    let authority = &token[..token.find(['/', '?', '#']).unwrap_or(token.len())];
    if let Some(at) = authority.rfind('@') {
        return Some(at);
    }
    // A password with a raw `/`, `?` or `#` ends the authority too early; a port is digits only.
    let (_, port) = authority.rsplit_once(':')?;
    if port.is_empty() || port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    token.rfind('@')
}

/// The same error, its message and hint free of credentials and begun with `place` unless that is empty.
pub fn located(place: &str, error: &Error) -> Error {
    let (kind, message, hint) = match error.downcast_ref::<UserError>() {
        Some(user) => (user.kind, user.message.clone(), user.hint.clone()),
        None => (Kind::Input, format!("{error:#}"), None),
    };
    let message = redact(&message);
    let message = if place.is_empty() { message } else { format!("{place}: {message}") };
    UserError { kind, message, hint: hint.as_deref().map(redact) }.into()
}

#[cfg(test)]
mod tests {
    use crate::redact::{holds_credentials, redact};

    fn check(text: &str, expected: &str) {
        assert_eq!(redact(text), expected);
    }

    #[test]
    fn userinfo_is_masked() {
        check("no URL: a@b", "no URL: a@b");
        check("https://u:p@x.example/simple", "https://****@x.example/simple");
        check("a @ git+https://tok@x/a@v1 b", "a @ git+https://****@x/a@v1 b");
        check("`ftp://u:p@ss@x/` and \"http://v:q@y\"", "`ftp://****@x/` and \"http://****@y\"");
        check("https://u:p/q#r@x.example/s", "https://****@x.example/s");
        check("https://${USER}:${PASS}@x/s", "https://****@x/s");
        check("https://x.example:8080/a@1.0", "https://x.example:8080/a@1.0");
        check("https://x.example/a@1.0", "https://x.example/a@1.0");
        check("https://[::1]:80/ä@1", "https://[::1]:80/ä@1");
        check("`https://x/a.whl?token=abc&b=c#egg=a` d?e=f", "`https://x/a.whl?****#egg=a` d?e=f");
        check("https://x/what? yes", "https://x/what? yes");
    }

    #[test]
    fn credentials_are_found() {
        for (text, expected) in [
            ("see https://u:p@x/", true),
            ("a @ git+https://token@x/a", true),
            ("git+ssh://git@x/a", false),
            ("redis://u:p@x", true),
            ("https://x/@y", false),
            ("no URL", false),
        ] {
            assert_eq!(holds_credentials(text), expected, "{text}");
        }
    }
}
