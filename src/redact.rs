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
    }
    clean.push_str(rest);
    clean
}

/// Length of the userinfo at the start of what follows `://`; the `@` is not part of it.
fn userinfo(text: &str) -> Option<usize> {
    let word = |at: char| at.is_whitespace() || matches!(at, '"' | '\'' | '`' | '<' | '>');
    let token = &text[..text.find(word).unwrap_or(text.len())];
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
    use crate::redact::redact;

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
    }
}
