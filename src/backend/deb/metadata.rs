//! The `control` file: which fields, in which order, and that no value can break out of its field.
//!
//! Knows nothing of files; sizes and relations are handed in.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::backend::deb::relations;
use crate::backend::deb::simplify::by_package;
use crate::backend::deb::{Options, architecture, version};
use crate::error::UserError;
use crate::package::PackageMeta;

/// The order dpkg writes fields in; others follow.
const ORDER: [&str; 29] = [
    "Package",
    "Package-Type",
    "Source",
    "Version",
    "Architecture",
    "Essential",
    "Protected",
    "Origin",
    "Bugs",
    "Maintainer",
    "Installed-Size",
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Suggests",
    "Enhances",
    "Conflicts",
    "Breaks",
    "Replaces",
    "Provides",
    "Built-Using",
    "Static-Built-Using",
    "Section",
    "Priority",
    "Multi-Arch",
    "Homepage",
    "Description",
    "Tag",
    "Task",
];
const PRIORITIES: [&str; 5] = ["required", "important", "standard", "optional", "extra"];
/// Columns of the long description.
const WIDTH: usize = 78;

/// The text of `control`; `installed_size` is in KiB.
pub(super) fn control(
    meta: &PackageMeta,
    options: &Options,
    installed_size: u64,
) -> Result<String> {
    let mut fields = own_fields(meta, options, installed_size)?;
    add_raw_fields(&mut fields, options)?;
    fields.sort_by_key(|(name, _)| {
        ORDER.iter().position(|known| known.eq_ignore_ascii_case(name)).unwrap_or(ORDER.len())
    });
    let mut text = String::new();
    for (name, value) in fields {
        check_value(&name, &value)?;
        text += &format!("{name}: {value}\n");
        if name == "Description" {
            text += &long_description(meta);
        }
    }
    Ok(text)
}

/// The fields made from `meta`, but for the long description.
fn own_fields(
    meta: &PackageMeta,
    options: &Options,
    installed_size: u64,
) -> Result<Vec<(String, String)>> {
    let version = version(meta);
    if !relations::is_version(&version) || meta.release.contains('-') {
        let message = format!("`{}` is not a valid version", version.escape_debug());
        return Err(UserError::usage(message)
            .hint("use letters, digits, `.`, `+` and `~` in `release`")
            .into());
    }
    if !PRIORITIES.contains(&options.priority.as_str()) {
        let message = format!("priority `{}` is not known", options.priority.escape_debug());
        let hint = format!("use one of `{}`", PRIORITIES.join("`, `"));
        return Err(UserError::usage(message).hint(hint).into());
    }
    if options.section.contains(char::is_whitespace) {
        let message = format!("section `{}` is not one word", options.section.escape_debug());
        return Err(UserError::usage(message).into());
    }
    let mut fields = vec![
        ("Package".to_owned(), meta.name.to_string()),
        ("Version".to_owned(), version),
        ("Architecture".to_owned(), architecture(meta.machine).to_owned()),
        ("Maintainer".to_owned(), meta.maintainer.trim().to_owned()),
        ("Installed-Size".to_owned(), installed_size.to_string()),
        ("Section".to_owned(), options.section.clone()),
        ("Priority".to_owned(), options.priority.clone()),
    ];
    fields.extend(relation_fields(meta)?);
    if let Some(homepage) = &meta.homepage {
        fields.push(("Homepage".to_owned(), homepage.trim().to_owned()));
    }
    fields.push(("Description".to_owned(), meta.summary.trim().to_owned()));
    Ok(fields)
}

pub(super) fn relation_fields(meta: &PackageMeta) -> Result<Vec<(String, String)>> {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut relations = meta.relations.clone();
    relations.sort_by(by_package);
    let mut seen = BTreeSet::new();
    for relation in relations {
        let name = relations::field(relation.kind);
        let text = relations::normal(&relation.text, relations::grammar(relation.kind))?;
        if !seen.insert((name, text.clone())) {
            continue;
        }
        match fields.last_mut() {
            Some((last, value)) if last == name => *value += &format!(", {text}"),
            Some(_) | None => fields.push((name.to_owned(), text)),
        }
    }
    Ok(fields)
}

fn add_raw_fields(fields: &mut Vec<(String, String)>, options: &Options) -> Result<()> {
    for (name, value) in &options.fields {
        let is_letter = |at: char| at.is_ascii_alphanumeric() || at == '-';
        if !name.starts_with(|at: char| at.is_ascii_alphabetic()) || !name.chars().all(is_letter) {
            let message = format!("`{}` is not the name of a field", name.escape_debug());
            return Err(UserError::usage(message).hint("use letters, digits and `-`").into());
        }
        if fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            let message = format!("field `{name}` is set already");
            return Err(UserError::usage(message)
                .hint("use the configuration key for it instead of a raw field")
                .into());
        }
        let value = match relations::field_grammar(name) {
            None => value.trim().to_owned(),
            Some(grammar) => {
                let each = |text: &str| relations::normal(text, grammar);
                value.split(',').map(each).collect::<Result<Vec<_>>>()?.join(", ")
            }
        };
        fields.push((name.clone(), value));
    }
    Ok(())
}

/// Refuses what would end a field early or leave it empty: dpkg takes any line that follows for a field.
fn check_value(name: &str, value: &str) -> Result<()> {
    if value.chars().any(char::is_control) {
        let message = format!("field `{name}` holds a control character: `{value:?}`");
        return Err(UserError::usage(message).hint("write it on one line").into());
    }
    if value.is_empty() {
        return Err(UserError::usage(format!("field `{name}` has no value")).into());
    }
    Ok(())
}

/// The lines after the synopsis: each begins with a space, and one with a single `.` parts paragraphs.
fn long_description(meta: &PackageMeta) -> String {
    let mut paragraphs: Vec<_> = meta.description.iter().map(|text| fold(text)).collect();
    paragraphs.retain(|lines| !lines.is_empty());
    if paragraphs.is_empty() {
        paragraphs.push(fold(&meta.fallback_description()));
    }
    paragraphs.join(" .\n")
}

/// A paragraph in lines that begin with a space.
///
/// A line that begins with ` .` has a meaning of its own, so a word that begins with a dot gets two spaces.
fn fold(paragraph: &str) -> String {
    let mut text = String::new();
    let mut line = String::new();
    let words = paragraph.split(|at: char| at.is_whitespace() || at.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text += &format!(" {line}\n");
            line.clear();
        }
        if !line.is_empty() || word.starts_with('.') {
            line.push(' ');
        }
        line += word;
    }
    if !line.is_empty() {
        text += &format!(" {line}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::backend::deb::metadata::control;
    use crate::backend::deb::tests::{meta, options};
    use crate::error::exit_code;
    use crate::package::{PackageMeta, Relation, RelationKind};

    #[test]
    fn all_fields_in_order() {
        let mut options = options();
        options.fields.insert("Bugs".to_owned(), "mailto:ops@acme.example".to_owned());
        options.fields.insert("breaks".to_owned(), "acme(<<1),b1".to_owned());
        options.fields.insert("X-Team".to_owned(), "ops".to_owned());
        let text = control(&meta(), &options, 42).unwrap();
        let expected = "\
Package: acme-web
Version: 1.4.2-1
Architecture: amd64
Bugs: mailto:ops@acme.example
Maintainer: Acme Ops <ops@acme.example>
Installed-Size: 42
Depends: libc6 (>= 2.34), python3.11
Recommends: redis-server | valkey
breaks: acme (<< 1), b1
Section: web
Priority: optional
Homepage: https://acme.example
Description: the Acme web shop
 Sells everything a coyote may need, and a good deal of what it does not need
 but wants.
 .
  .NET is not involved.
X-Team: ops
";
        assert_eq!(text, expected);
    }

    fn check(change: impl Fn(&mut PackageMeta), part: &str) {
        let mut meta = meta();
        change(&mut meta);
        let error = control(&meta, &options(), 1).unwrap_err();
        assert_eq!(exit_code(&error), 2);
        assert!(error.to_string().contains(part), "{error:#}");
    }

    #[test]
    fn nothing_breaks_out_of_its_field() {
        check(|meta| meta.summary = "a\nDepends: evil".to_owned(), "field `Description` holds");
        check(|meta| meta.maintainer = "a\r\nX: y".to_owned(), "field `Maintainer` holds");
        check(|meta| meta.homepage = Some("x\0y".to_owned()), "field `Homepage` holds");
        check(|meta| meta.release = "1\nX: y".to_owned(), "is not a valid version");
        check(|meta| meta.release = "1-2".to_owned(), "is not a valid version");
        check(|meta| meta.summary = " ".to_owned(), "field `Description` has no value");
        let relation = |text: &str| Relation {
            kind: RelationKind::Needs,
            text: text.to_owned(),
            because: vec![String::new()],
            causes: Vec::new(),
        };
        check(|meta| meta.relations = vec![relation("a1\nX: y")], "relation `a1\\nX: y`");
        for name in ["Depends", "version", "a b", "", "-x", "#x", "a\nb"] {
            let mut options = options();
            options.fields.insert(name.to_owned(), "x1".to_owned());
            assert_eq!(exit_code(&control(&meta(), &options, 1).unwrap_err()), 2, "{name:?}");
        }
    }

    #[test]
    fn long_description_cannot_end_early() {
        let mut meta = meta();
        meta.description = vec!["a\n\nDepends: evil".to_owned(), String::new(), ".".to_owned()];
        let text = control(&meta, &options(), 1).unwrap();
        assert!(text.ends_with("\n a Depends: evil\n .\n  .\n"), "{text}");
        meta.description.clear();
        let text = control(&meta, &options(), 1).unwrap();
        assert!(text.contains("\n Python application with its own set of 2"), "{text}");
    }
}
