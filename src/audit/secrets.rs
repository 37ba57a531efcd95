//! Secrets in files that everybody who has the package can read. What is found is never told, only where.

use std::collections::BTreeSet;

use memchr::memmem::Finder;

use crate::audit::finding::{Finding, Severity};
use crate::redact::holds_credentials;
use crate::tree::PkgPath;

/// A token: how it begins, what it is, how many characters follow.
struct Token {
    start: &'static str,
    what: &'static str,
    len: usize,
}

const fn token(start: &'static str, what: &'static str, len: usize) -> Token {
    Token { start, what, len }
}

/// Tokens that say themselves what they are, as those who give them out document them.
const TOKENS: [Token; 9] = [
    token("AKIA", "an access key of AWS", 16),
    token("ghp_", "a token of GitHub", 36),
    token("gho_", "a token of GitHub", 36),
    token("ghu_", "a token of GitHub", 36),
    token("ghs_", "a token of GitHub", 36),
    token("ghr_", "a token of GitHub", 36),
    token("github_pat_", "a token of GitHub", 82),
    token("glpat-", "a token of GitLab", 20),
    token("pypi-AgEIcHlwaS5vcmc", "a token of PyPI", 50),
];
/// The boundary of RFC 7468; what kind of key it is stands before `PRIVATE`.
const BOUNDARY: &str = "-----BEGIN ";
/// Names of directories with what is there to be seen.
const SHOWN: [&str; 9] =
    ["test", "tests", "testing", "testdata", "selftest", "example", "examples", "doc", "docs"];

/// What finds secrets; one is made for all files.
#[derive(Debug)]
pub(super) struct Secrets {
    tokens: Vec<Finder<'static>>,
    keys: Finder<'static>,
}

impl Secrets {
    pub(super) fn new() -> Self {
        let tokens = TOKENS.iter().map(|token| Finder::new(token.start)).collect();
        Self { tokens, keys: Finder::new(BOUNDARY) }
    }

    /// Findings of the file at `path`, which holds `bytes`; one of each kind.
    pub(super) fn of(&self, path: &PkgPath, bytes: &[u8]) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Some(what) = by_name(path.file_name(), bytes) {
            found.push((1, what));
        }
        found.extend(
            self.keys
                .find_iter(bytes)
                .find(|at| is_key(bytes, *at))
                .map(|at| (line(bytes, at), "a private key")),
        );
        for (finder, token) in self.tokens.iter().zip(&TOKENS) {
            let mut places = finder.find_iter(bytes);
            let place = places.find(|at| is_token(bytes, *at, token));
            found.extend(place.map(|at| (line(bytes, at), token.what)));
        }
        let parts = path.as_str().to_ascii_lowercase();
        let is_shown = parts.split('/').any(|part| SHOWN.contains(&part));
        let is_shown = is_shown || path.file_name().starts_with("test_");
        let severity = if is_shown { Severity::Info } else { Severity::Error };
        let finding = |(line, what)| {
            Finding::new("SEC001", path.absolute(), format!("line {line} holds {what}"))
                .at(severity)
        };
        found.into_iter().map(finding).collect()
    }
}

/// What a file of this name is there to hold, and does.
fn by_name(name: &str, bytes: &[u8]) -> Option<&'static str> {
    let text = || String::from_utf8_lossy(bytes);
    match name {
        ".netrc" | ".pypirc" if text().contains("password") => Some("a password"),
        ".git-credentials" if holds_credentials(&text()) => Some("a password"),
        "pip.conf" | "uv.toml" if holds_credentials(&text()) => Some("a password of an index"),
        ".env" if text().lines().any(is_secret_variable) => Some("a secret in a variable"),
        _ => None,
    }
}

/// Whether a line gives a variable a value that its name says is one.
fn is_secret_variable(line: &str) -> bool {
    let Some((name, value)) = line.split_once('=') else { return false };
    let name = name.trim().trim_start_matches("export ").to_ascii_uppercase();
    let is_named = ["SECRET", "PASSWORD", "TOKEN", "API_KEY"].iter().any(|it| name.ends_with(it));
    let value = value.trim().trim_matches(['"', '\'']);
    is_named && value.len() >= 8 && !value.starts_with(['$', '<'])
}

/// Whether a private key begins at `at`, with as much base64 as the shortest keys have.
///
/// Lines may end as strings of JSON and of programs write it (`\\n`), or not at all.
fn is_key(bytes: &[u8], at: usize) -> bool {
    /// 256 bits; RFC 7468, section 2 wants lines of 64 characters. A line of headers may come first.
    const LINE: usize = 44;
    const LABEL: &str = "PRIVATE KEY-----";
    let rest = &bytes[at + BOUNDARY.len()..];
    let rest = String::from_utf8_lossy(&rest[..rest.len().min(400)]).into_owned();
    let Some((kind, body)) = rest.split_once(LABEL) else { return false };
    let is_label = kind.chars().all(|at| at.is_ascii_uppercase() || at == ' ');
    let is_base64 = |at: char| at.is_ascii_alphanumeric() || matches!(at, '+' | '/' | '=');
    let body = body.replace("\\n", "\n").replace("\\r", "\r");
    let mut runs = body.split(|at| !is_base64(at));
    // A line of one letter or few stands for a key in examples.
    is_label && runs.any(|run| run.len() >= LINE && run.bytes().collect::<BTreeSet<_>>().len() > 10)
}

/// Whether the token that begins at `at` is as long as it has to be, stands by itself and is no example.
fn is_token(bytes: &[u8], at: usize, token: &Token) -> bool {
    let is_part = |at: &u8| at.is_ascii_alphanumeric() || matches!(at, b'_' | b'-');
    let before = at.checked_sub(1).map(|at| bytes[at]);
    let rest = &bytes[at + token.start.len()..];
    let len = rest.iter().take(token.len + 200).take_while(|at| is_part(at)).count();
    let body = &rest[..len];
    let is_long = if token.len == 50 { len >= 50 } else { len == token.len };
    let kinds: BTreeSet<_> = body.iter().collect();
    is_long
        && !before.is_some_and(|at| is_part(&at))
        && !body.ends_with(b"EXAMPLE")
        && kinds.len() > 5
}

fn line(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|at| **at == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use crate::audit::secrets::Secrets;
    use crate::tree::PkgPath;

    fn check(name: &str, text: &str, expected: &[&str]) {
        let path = PkgPath::new(name).unwrap();
        let found = Secrets::new().of(&path, text.as_bytes());
        let told: Vec<_> =
            found.iter().map(|one| format!("{} {}", one.severity.name(), one.message)).collect();
        assert_eq!(told, expected, "{name}: {text}");
    }

    #[test]
    fn keys() {
        let key = |kind: &str| {
            let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
            format!("x\n-----BEGIN {kind}-----\n{line}\n-----END {kind}-----\n")
        };
        let told = ["error line 2 holds a private key"];
        check("opt/a/server.key", &key("RSA PRIVATE KEY"), &told);
        check("opt/a/server.key", &key("PRIVATE KEY"), &told);
        check("opt/a/server.pem", &key("CERTIFICATE"), &[]);
        check("opt/a/test_x.py", &key("PRIVATE KEY"), &["info line 2 holds a private key"]);
        check("opt/a/SelfTest/x.py", &key("PRIVATE KEY"), &["info line 2 holds a private key"]);
        check("opt/a/tests/server.key", &key("PRIVATE KEY"), &["info line 2 holds a private key"]);
        let short = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/4QguwBdyRrkLJlIGAfpPT4=";
        let boundary = ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"];
        let written =
            |between: &str| format!("\"{}{between}{short}{between}{}\"", boundary[0], boundary[1]);
        let told = ["error line 1 holds a private key"];
        for between in ["\n", "\\n", "\\r\\n", "", " ", "\\n\" +\n  \""] {
            check("opt/a/service.json", &written(between), &told);
        }
        check("opt/a/x", &written("\n").replace(short, &"x".repeat(64)), &[]);
        check("opt/a/x", &written("\n").replace(short, "MC4CAQAwBQYDK2Vw"), &[]);
        check("opt/a/pem.py", "START = '-----BEGIN PRIVATE KEY-----'\nEND = ''\n", &[]);
    }

    #[test]
    fn tokens() {
        let body = "Zq81mVx0Lr27TbKcYw5NsEdHfUg93JpAaQoI";
        check("opt/a/x", &format!("a = 'ghp_{body}'"), &["error line 1 holds a token of GitHub"]);
        check("opt/a/x", &format!("a = 'xghp_{body}'"), &[]);
        check("opt/a/x", &format!("a = 'ghp_{}'", "x".repeat(36)), &[]);
        check("opt/a/x", "ghp_short", &[]);
        let aws = |end: &str| format!("\n\nkey=AKIA{end}");
        check("opt/a/x", &aws("Q3EGRTXYZAB7CD2F"), &["error line 3 holds an access key of AWS"]);
        check("opt/a/x", &aws("IOSFODNN7EXAMPLE"), &[]);
    }

    #[test]
    fn names() {
        check("opt/a/.netrc", "machine x login y password z", &["error line 1 holds a password"]);
        check(
            "opt/a/.env",
            "DEBUG=1\nDB_PASSWORD=hunter2hunter2\n",
            &["error line 1 holds a secret in a variable"],
        );
        check("opt/a/.env", "DEBUG=1\nDB_PASSWORD=${X_PASSWORD}\n", &[]);
        check(
            "opt/a/pip.conf",
            "[global]\nindex-url = https://u:p@x.example/simple\n",
            &["error line 1 holds a password of an index"],
        );
        check("opt/a/pip.conf", "[global]\nindex-url = https://x.example/simple\n", &[]);
    }
}
