//! TOML and JSON text to typed values, with errors that name the file and the nearest known key.
//!
//! The only module that knows the TOML and JSON crates; shapes live with those who read them.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::UserError;
use crate::inert::is_obeyed;

/// A TOML table whose shape is not known yet.
pub type Table = toml::Table;
/// A TOML value whose shape is not known yet.
pub type Value = toml::Value;

/// Reads TOML; `name` is what errors call the text, such as a file name.
pub fn from_toml<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map_or_else(String::new, |span| place(text, span.start));
        fault(&format!("{name}{place}"), error.message())
    })
}

/// Turns a table into a typed value; `name` is what errors call the table.
pub fn from_table<T: DeserializeOwned>(table: Table, name: &str) -> Result<T> {
    Value::Table(table).try_into().map_err(|error: toml::de::Error| fault(name, error.message()))
}

/// Reads one TOML value as it stands after a `=`; text that is not one is taken as a string.
pub fn value(text: &str) -> Value {
    let document: Result<Table, _> = toml::from_str(&format!("value = {text}"));
    let parsed =
        document.ok().and_then(|mut table| (table.len() == 1).then(|| table.remove("value")));
    parsed.flatten().unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Reads JSON; `name` is what errors call the text.
pub fn from_json<T: DeserializeOwned>(text: &[u8], name: &str) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        fault(&format!("{name}:{}:{}", error.line(), error.column()), &message)
    })
}

/// Writes JSON on one line.
pub fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map(|text| inert_json(&text)).context("cannot write JSON")
}

/// Writes JSON for people: indented, and ended by a line break.
pub fn to_indented_json<T: Serialize>(value: &T) -> Result<String> {
    let text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    Ok(inert_json(&text) + "\n")
}

/// JSON that says the same, with what terminals would obey escaped: it can only stand in strings.
fn inert_json(text: &str) -> String {
    let mut inert = String::with_capacity(text.len());
    for at in text.chars() {
        if at == '\n' || !is_obeyed(at) {
            inert.push(at);
            continue;
        }
        for unit in at.encode_utf16(&mut [0; 2]) {
            let _ = write!(inert, "\\u{unit:04x}");
        }
    }
    inert
}

/// The known name that looks most like `unknown`; `None` when none is more alike than `least`, from 0 to 1.
pub fn nearest<'k>(
    unknown: &str,
    known: impl IntoIterator<Item = &'k str>,
    least: f64,
) -> Option<&'k str> {
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(unknown, known), known))
        .filter(|(likeness, _)| *likeness > least)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, known)| known)
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|at| *at != '\n').count() + 1;
    format!(":{line}:{column}")
}

fn fault(place: &str, message: &str) -> anyhow::Error {
    let error = UserError::usage(format!("cannot read `{place}`: {}", message.trim()));
    match suggestion(message) {
        Some(key) => error.hint(format!("did you mean `{key}`?")).into(),
        None => error.into(),
    }
}

/// The known key nearest to the one serde complains of: "unknown field `a`, expected one of `b`, `c`".
fn suggestion(message: &str) -> Option<&str> {
    let rest =
        message.strip_prefix("unknown field ").or(message.strip_prefix("unknown variant "))?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    nearest(unknown, quoted, 0.7)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::document::{Value, from_json, from_toml, value};
    use crate::error::hint;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the names matter")]
    struct Shape {
        requirements: Vec<String>,
        prefix: Option<String>,
    }

    fn check(text: &str, message: &str, next: Option<&str>) {
        let error = from_toml::<Shape>(text, "mkpkg.toml").unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(hint(&error), next);
    }

    #[test]
    fn errors_name_place_and_suggestion() {
        check(
            "prefix = '/x'\nrequirments = []",
            "cannot read `mkpkg.toml:2:1`: unknown field `requirments`, expected `requirements` or `prefix`",
            Some("did you mean `requirements`?"),
        );
        check(
            "requirements = 1",
            "cannot read `mkpkg.toml:1:16`: invalid type: integer `1`, expected a sequence",
            None,
        );
        let error = from_json::<Shape>(b"{\"zzz\": 1}", "x.json").unwrap_err();
        assert!(error.to_string().starts_with("cannot read `x.json:1:6`: unknown field `zzz`"));
    }

    #[test]
    fn values() {
        assert_eq!(value("true"), Value::Boolean(true));
        assert_eq!(value("[\"a\"]").as_array().unwrap().len(), 1);
        assert_eq!(value("/opt/x"), Value::String("/opt/x".to_owned()));
        assert_eq!(value("1\nb = 2"), Value::String("1\nb = 2".to_owned()));
    }
}
