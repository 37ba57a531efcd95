//! Core metadata (PEP 566, 639, 643): the headers of METADATA and WHEEL files, and what packages are told.

use anyhow::Result;

use crate::error::UserError;

/// What old tools wrote into fields they had no value for.
const UNKNOWN: &str = "UNKNOWN";

/// What a distribution says about itself. Fields are one line each, as written but for folded white space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the core metadata specification")]
pub struct Metadata {
    pub name: String,
    pub version: String,
    pub summary: Option<String>,
    pub home_page: Option<String>,
    /// `label, URL`.
    pub project_urls: Vec<String>,
    pub author: Option<String>,
    pub author_email: Option<String>,
    pub maintainer: Option<String>,
    pub maintainer_email: Option<String>,
    pub license: Option<String>,
    pub license_expression: Option<String>,
    /// Paths below `licenses/` of the dist-info directory, or below the directory itself in old wheels.
    pub license_files: Vec<String>,
    pub classifiers: Vec<String>,
    pub requires_python: Option<String>,
    pub requires_dist: Vec<String>,
    pub provides_extra: Vec<String>,
    /// Text of any number of lines, in the markup of its author; may hold any character.
    pub description: String,
}

impl Metadata {
    /// Reads the text of a METADATA file.
    pub fn parse(text: &str) -> Result<Self> {
        let headers = Headers::parse(text);
        let required = |name: &str| {
            headers
                .one(name)?
                .ok_or_else(|| UserError::input(format!("METADATA has no `{name}`")).into())
        };
        let name: Result<String> = required("Name");
        let version: Result<String> = required("Version");
        Ok(Self {
            name: name?,
            version: version?,
            summary: headers.one("Summary")?,
            home_page: headers.one("Home-page")?,
            project_urls: headers.all("Project-URL")?,
            author: headers.one("Author")?,
            author_email: headers.one("Author-email")?,
            maintainer: headers.one("Maintainer")?,
            maintainer_email: headers.one("Maintainer-email")?,
            license: headers.one("License")?,
            license_expression: headers.one("License-Expression")?,
            license_files: headers.all("License-File")?,
            classifiers: headers.all("Classifier")?,
            requires_python: headers.one("Requires-Python")?,
            requires_dist: headers.all("Requires-Dist")?,
            provides_extra: headers.all("Provides-Extra")?,
            description: headers.description(),
        })
    }
}

/// Headers and body of a file in the manner of RFC 822.
#[derive(Debug)]
pub(super) struct Headers<'a> {
    /// Names, and values with the lines they were folded into.
    fields: Vec<(&'a str, Vec<&'a str>)>,
    body: &'a str,
}

impl<'a> Headers<'a> {
    /// Headers end at an empty line, or at the first that cannot be one, as in Python's `email`.
    pub(super) fn parse(text: &'a str) -> Self {
        let mut fields: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (line, after) = split_line(rest);
            if line.is_empty() {
                return Self { fields, body: after };
            }
            match (field(line), fields.last_mut()) {
                (None, Some((_, lines))) if line.starts_with([' ', '\t']) => lines.push(line),
                (Some((name, value)), _) => fields.push((name, vec![value])),
                (None, _) => break,
            }
            rest = after;
        }
        Self { fields, body: rest }
    }

    /// The first value of the header `name` on one line; `None` when it is absent, empty or unknown.
    pub(super) fn one(&self, name: &str) -> Result<Option<String>> {
        Ok(self.all(name)?.into_iter().next().filter(|value| value != UNKNOWN))
    }

    /// Every value of the header `name` that is not empty, each on one line.
    pub(super) fn all(&self, name: &str) -> Result<Vec<String>> {
        let values = self.lines(name).map(|lines| fold(name, lines));
        let values: Vec<String> = values.collect::<Result<_>>()?;
        Ok(values.into_iter().filter(|value| !value.is_empty()).collect())
    }

    /// The body, or the `Description` header of old wheels without the margin of its lines.
    fn description(&self) -> String {
        let Some(lines) = self.lines("Description").next() else {
            return self.body.to_owned();
        };
        let text = lines.iter().map(|line| without_margin(line)).collect::<Vec<_>>().join("\n");
        if text.trim() == UNKNOWN { self.body.to_owned() } else { text.trim_start().to_owned() }
    }

    fn lines<'s>(&'s self, name: &str) -> impl Iterator<Item = &'s [&'a str]> {
        self.fields
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, lines)| lines.as_slice())
    }
}

/// A line of a `Description` header without the margin setuptools or the specification gives it.
fn without_margin(line: &str) -> &str {
    let margins = ["        ", "       |"];
    margins.iter().find_map(|margin| line.strip_prefix(margin)).unwrap_or(line)
}

/// The first line of `text` without its end, and the rest.
fn split_line(text: &str) -> (&str, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (line.strip_suffix('\r').unwrap_or(line), rest)
}

/// RFC 822 3.1.2: the name is "printable ASCII characters […] except colon".
fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let is_name = !name.is_empty() && name.bytes().all(|at| at.is_ascii_graphic());
    is_name.then_some((name, value))
}

/// The lines of a value as one, with single spaces.
fn fold(name: &str, lines: &[&str]) -> Result<String> {
    let words: Vec<_> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
    let value = words.join(" ");
    if value.chars().any(char::is_control) {
        let message = format!("`{name}` of METADATA holds a control character");
        return Err(UserError::input(message).into());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use crate::wheel::metadata::Metadata;

    const TEXT: &str = "\
Metadata-Version: 2.1\r
Name: Demo
Version: 1.0
Summary:  A\tdemo
   of folding
Requires-Dist: a (>=1)
Requires-Dist: b; extra == \"x\"
Provides-Extra: x
Author-Email: Ä <a@b>
Home-page:
Author: UNKNOWN
License: MIT

# Demo

Author: not a header
";

    #[test]
    fn fields() {
        let metadata = Metadata::parse(TEXT).unwrap();
        assert_eq!(metadata.name, "Demo");
        assert_eq!(metadata.summary.as_deref(), Some("A demo of folding"));
        assert_eq!(metadata.requires_dist, ["a (>=1)", "b; extra == \"x\""]);
        assert_eq!(metadata.author_email.as_deref(), Some("Ä <a@b>"));
        assert_eq!((metadata.home_page, metadata.author), (None, None));
        assert_eq!(metadata.description, "# Demo\n\nAuthor: not a header\n");
    }

    #[test]
    fn description_as_a_header() {
        let text =
            "Name: a\nVersion: 1\nDescription: One\n        \n        Two\n          Three\n";
        assert_eq!(Metadata::parse(text).unwrap().description, "One\n\nTwo\n  Three");
        let text = "Name: a\nVersion: 1\nDescription: UNKNOWN\n\nBody";
        assert_eq!(Metadata::parse(text).unwrap().description, "Body");
    }

    #[test]
    fn faults() {
        for (text, message) in [
            ("", "METADATA has no `Name`"),
            ("Name: a\n\nVersion: 1\n", "METADATA has no `Version`"),
            ("Name: a\nnot a header\nVersion: 1\n", "METADATA has no `Version`"),
            (" Name: a\n", "METADATA has no `Name`"),
            (
                "Name: a\nVersion: 1\nSummary: a\0b\n",
                "`Summary` of METADATA holds a control character",
            ),
            (
                "Name: a\nVersion: 1\nClassifier: \u{1b}[1m\n",
                "`Classifier` of METADATA holds a control character",
            ),
        ] {
            assert_eq!(Metadata::parse(text).unwrap_err().to_string(), message);
        }
    }
}
