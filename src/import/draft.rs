//! A configuration as it is put together: values with where they are from, and what could not be one.
//!
//! Writes TOML with a comment for each value. Knows nothing of what is read.

use std::collections::BTreeMap;

use crate::document::Value;
use crate::redact::redact;

/// What people search for to find what is theirs to do.
pub const MARK: &str = "TODO(mkpkg)";

/// What became of something in the recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What it is, as the recipe has it.
    pub what: String,
    /// What became of it, or what to do.
    pub text: String,
}

/// A value and where it is from.
#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    from: Vec<String>,
}

/// Keys of one table.
type Keys = BTreeMap<String, Entry>;

/// A configuration as it is put together.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Tables by their names; that of the top is nameless.
    tables: BTreeMap<String, Keys>,
    files: Vec<(Keys, String)>,
    services: BTreeMap<String, (Keys, String)>,
    /// What is in the configuration.
    pub carried: Vec<Remark>,
    /// What is not, and why.
    pub dropped: Vec<Remark>,
    /// What needs a human.
    pub human: Vec<Remark>,
    /// Words that belong on the command line of a build.
    pub flags: Vec<String>,
    /// Files to write beside the configuration: paths from the project, and their text.
    pub beside: Vec<(String, String)>,
}

/// The order of keys at the top; others follow by name.
const ORDER: [&str; 16] = [
    "name",
    "version",
    "epoch",
    "release",
    "summary",
    "description",
    "homepage",
    "maintainer",
    "prefix",
    "python",
    "formats",
    "requirements",
    "extras",
    "install-project",
    "bin",
    "exclude",
];

impl Draft {
    /// Sets a key of a table, the nameless one being the top.
    pub fn set(&mut self, table: &str, key: &str, value: impl Into<Value>, from: &str) {
        let value = value.into();
        self.carry(from, &format!("{}{key} = {}", dotted(table), shown(&value)));
        let entry = Entry { value, from: vec![from.to_owned()] };
        self.tables.entry(table.to_owned()).or_default().insert(key.to_owned(), entry);
    }

    /// Adds to a list, once.
    pub fn push(&mut self, table: &str, key: &str, value: &str, from: &str) {
        self.carry(from, &format!("in {}{key}: {value}", dotted(table)));
        let keys = self.tables.entry(table.to_owned()).or_default();
        let empty = || Entry { value: Value::Array(Vec::new()), from: Vec::new() };
        let entry = keys.entry(key.to_owned()).or_insert_with(empty);
        let value = Value::String(value.to_owned());
        if let Value::Array(values) = &mut entry.value
            && !values.contains(&value)
        {
            values.push(value);
        }
        if !entry.from.iter().any(|known| known == from) {
            entry.from.push(from.to_owned());
        }
    }

    /// Whether a key is set.
    pub fn has(&self, table: &str, key: &str) -> bool {
        self.tables.get(table).is_some_and(|keys| keys.contains_key(key))
    }

    /// Adds a file to install: where it is and goes to, and how.
    pub fn file(&mut self, (source, target): (&str, &str), (mode, role): (&str, &str), from: &str) {
        self.carry(from, &format!("files: {target}"));
        let mut keys = Keys::new();
        let fields = [("source", source, ""), ("target", target, ""), ("mode", mode, "0644")];
        for (key, value, default) in fields.into_iter().chain([("role", role, "plain")]) {
            if value != default {
                let value = Value::String(value.to_owned());
                keys.insert(key.to_owned(), Entry { value, from: Vec::new() });
            }
        }
        let is_same = |(known, _): &(Keys, String)| {
            known.get("target").is_some_and(|known| known.value.as_str() == Some(target))
        };
        if !self.files.iter().any(is_same) {
            self.files.push((keys, from.to_owned()));
        }
    }

    /// Whether a file goes somewhere below `dir`.
    pub fn has_file_below(&self, dir: &str) -> bool {
        let target = |keys: &Keys| keys.get("target").map(|entry| entry.value.clone());
        let is_below = |target: Value| {
            target.as_str().is_some_and(|target| target.starts_with(&format!("{dir}/")))
        };
        self.files.iter().filter_map(|(keys, _)| target(keys)).any(is_below)
    }

    /// Makes a file that goes to `target` one of configuration; whether there is one.
    pub fn configure(&mut self, target: &str, from: &str) -> bool {
        let is_it =
            |keys: &Keys| keys.get("target").is_some_and(|it| it.value.as_str() == Some(target));
        let Some((keys, _)) = self.files.iter_mut().find(|(keys, _)| is_it(keys)) else {
            return false;
        };
        let value = Value::String("config".to_owned());
        keys.insert("role".to_owned(), Entry { value, from: Vec::new() });
        self.carry(from, &format!("files: {target}: role = \"config\""));
        true
    }

    /// Sets a key of a service.
    pub fn service(&mut self, service: &str, key: &str, value: impl Into<Value>, from: &str) {
        let value = value.into();
        self.carry(from, &format!("services.{service}.{key} = {}", shown(&value)));
        let (keys, known) = self.services.entry(service.to_owned()).or_default();
        keys.insert(key.to_owned(), Entry { value, from: vec![from.to_owned()] });
        if !known.contains(from) {
            *known = format!("{known}{}{from}", if known.is_empty() { "" } else { ", " });
        }
    }

    /// Services by their keys.
    pub fn service_keys(&self) -> Vec<String> {
        self.services.keys().cloned().collect()
    }

    /// The value of a key of a service.
    pub fn service_value(&self, service: &str, key: &str) -> Option<&Value> {
        let (keys, _) = self.services.get(service)?;
        keys.get(key).map(|entry| &entry.value)
    }

    /// Something is in the package without being in the configuration, or has become something there.
    pub fn carry(&mut self, what: &str, text: &str) {
        push(&mut self.carried, what, text);
    }

    /// Something is left out on purpose.
    pub fn drop(&mut self, what: &str, why: &str) {
        push(&mut self.dropped, what, why);
    }

    /// Something is left to a human.
    pub fn ask(&mut self, what: &str, todo: &str) {
        push(&mut self.human, what, todo);
    }

    /// The text of the configuration.
    pub fn text(&self, start: &str) -> String {
        let mut text = String::from(start);
        for Remark { what, text: todo } in &self.human {
            text += &comment(&format!("{MARK}: `{what}`: {todo}"));
        }
        if !self.human.is_empty() {
            text.push('\n');
        }
        let empty = Keys::new();
        text += &keys(self.tables.get("").unwrap_or(&empty));
        for (key, (fields, from)) in &self.services {
            text +=
                &format!("\n{}[services.{}]\n", comment(&format!("from {from}")), toml_key(key));
            text += &plain(fields);
        }
        for (name, fields) in self.tables.iter().filter(|(name, _)| !name.is_empty()) {
            text += &format!("\n[{name}]\n{}", keys(fields));
        }
        for (fields, from) in &self.files {
            text += &format!("\n{}[[files]]\n{}", comment(&format!("from {from}")), plain(fields));
        }
        if !self.dropped.is_empty() {
            text += "\n# Left out, and why:\n";
        }
        for Remark { what, text: why } in &self.dropped {
            text += &comment(&format!("`{what}`: {why}"));
        }
        text
    }
}

fn push(remarks: &mut Vec<Remark>, what: &str, text: &str) {
    let one_line = |text: &str| redact(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    let remark = Remark { what: one_line(what), text: one_line(text) };
    if !remarks.contains(&remark) {
        remarks.push(remark);
    }
}

fn dotted(table: &str) -> String {
    if table.is_empty() { String::new() } else { format!("{table}.") }
}

/// A value in a few words.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A comment in lines of at most 118 characters.
fn comment(text: &str) -> String {
    const WIDTH: usize = 116;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one from the start");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("  {word}"));
        } else {
            let space = if line.is_empty() { "" } else { " " };
            line.push_str(&format!("{space}{word}"));
        }
    }
    lines.iter().map(|line| format!("# {line}\n")).collect()
}

/// Keys with where they are from.
fn keys(keys: &Keys) -> String {
    let place = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(ORDER.len());
    let mut sorted: Vec<_> = keys.iter().collect();
    sorted.sort_by_key(|(key, _)| (place(key), key.as_str()));
    let one = |(key, entry): (&String, &Entry)| {
        let from = comment(&format!("from {}", entry.from.join(", ")));
        format!("{from}{}", assignment(key, &entry.value))
    };
    sorted.into_iter().map(one).collect()
}

fn plain(keys: &Keys) -> String {
    let place = |key: &str| ["source", "target", "name", "unit"].iter().position(|it| *it == key);
    let mut sorted: Vec<_> = keys.iter().collect();
    sorted.sort_by_key(|(key, _)| (place(key).unwrap_or(9), key.as_str()));
    sorted.into_iter().map(|(key, entry)| assignment(key, &entry.value)).collect()
}

fn assignment(key: &str, value: &Value) -> String {
    let key = toml_key(key);
    let values = value.as_array().filter(|values| values.len() > 3);
    match values {
        Some(values) => {
            let lines: String = values.iter().map(|value| format!("    {value},\n")).collect();
            format!("{key} = [\n{lines}]\n")
        }
        None => format!("{key} = {value}\n"),
    }
}

fn toml_key(key: &str) -> String {
    let is_bare = |at: char| at.is_ascii_alphanumeric() || "_-".contains(at);
    if !key.is_empty() && key.chars().all(is_bare) {
        return key.to_owned();
    }
    Value::String(key.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use crate::import::draft::Draft;
    use crate::project::config::{load, parse};

    #[test]
    fn what_is_written_is_read() {
        let mut draft = Draft::default();
        draft.set("", "name", "acme", "`control`");
        draft.set("", "description", "a \"b\"\n\nc \\ d", "`control`");
        for value in ["a", "b", "a", "c", "d"] {
            draft.push("deb", "add", value, "`control`");
        }
        draft.file(("x y", "/etc/acme/x"), ("0755", "config"), "`acme.install`");
        draft.service("worker@", "unit", "w", "`acme@.service`");
        draft.ask("--index-url=https://me:secret@x/", &"word ".repeat(60));
        let text = draft.text("# Start.\n\n");
        let config = load(Some((parse(&text, "it").unwrap(), "it")), &[]).unwrap();
        assert_eq!(config.description.as_deref(), Some("a \"b\"\n\nc \\ d"));
        assert_eq!(config.deb.add, ["a", "b", "c", "d"]);
        assert_eq!(config.files[0].source.to_str(), Some("x y"));
        assert!(config.services.contains_key("worker@"));
        assert!(!text.contains("secret") && text.lines().all(|line| line.len() < 120), "{text}");
        assert!(text.starts_with("# Start.\n\n# TODO(mkpkg): `--index-url=https://****@x/`: word"));
    }
}
