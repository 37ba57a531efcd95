//! `debian/control`: stanzas of fields (deb822(5)), and the relations in them.

use anyhow::Result;

use crate::error::UserError;

/// Fields in the order they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stanza(pub Vec<(String, String)>);

impl Stanza {
    /// The value of a field, whatever the case of its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Whether a binary package is the same for all machines.
pub fn is_for_all(stanza: &Stanza) -> bool {
    stanza.get("Architecture") == Some("all")
}

/// Reads the stanzas: the first is of the source, every other of a binary package.
pub fn parse(text: &str) -> Result<Vec<Stanza>> {
    let mut stanzas = vec![Stanza::default()];
    for (index, line) in text.lines().enumerate() {
        let stanza = stanzas.last_mut().expect("there is one from the start");
        if line.starts_with('#') {
            continue;
        }
        if let Some(at) = line.chars().find(|at| at.is_control() && *at != '\t') {
            return Err(fault(index + 1, &format!("holds the control character {at:?}")).into());
        }
        if line.trim().is_empty() {
            stanzas.push(Stanza::default());
        } else if line.starts_with([' ', '\t']) {
            let Some((_, value)) = stanza.0.last_mut() else {
                return Err(fault(index + 1, "continues no field").into());
            };
            value.push('\n');
            value.push_str(line.trim_end());
        } else if let Some((name, value)) = line.split_once(':') {
            stanza.0.push((name.trim().to_owned(), value.trim().to_owned()));
        } else {
            return Err(fault(index + 1, "is no field").into());
        }
    }
    stanzas.retain(|stanza| !stanza.0.is_empty());
    Ok(stanzas)
}

fn fault(line: usize, what: &str) -> UserError {
    UserError::usage(format!("line {line} of the recipe's `control` {what}"))
        .hint("see deb-src-control(5)")
}

/// The relations of a field, each with its alternatives, without restrictions to machines and build profiles; and
/// whether there were any.
pub fn relations(field: &str) -> Vec<(String, bool)> {
    let parts = field.split(',').map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let parts = parts.filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (mut text, mut depth, mut restricted) = (String::new(), 0_u32, false);
            for at in part.chars() {
                match at {
                    '[' => (depth, restricted) = (depth + 1, true),
                    ']' => depth = depth.saturating_sub(1),
                    at if depth == 0 => text.push(at),
                    _ => {}
                }
            }
            let text = text.split(" <").next().unwrap_or_default();
            (text.split_whitespace().collect::<Vec<_>>().join(" "), restricted)
        })
        .collect()
}

/// The synopsis of a description, and its paragraphs (Debian Policy 5.6.13).
pub fn description(value: &str) -> (String, String) {
    let mut lines = value.lines();
    let synopsis = lines.next().unwrap_or_default().trim().to_owned();
    let lines = lines.map(|line| match line.trim() {
        "." => "",
        line => line,
    });
    (synopsis, lines.collect::<Vec<_>>().join("\n").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use crate::import::control::{description, parse, relations};

    #[test]
    fn stanzas() {
        let text =
            "Source: a\nBuild-Depends: b,\n c\n# no\n\nPackage: a\nDescription: x\n y\n .\n z\n";
        let [source, package] = parse(text).unwrap().try_into().unwrap();
        assert_eq!(source.get("build-depends"), Some("b,\n c"));
        assert_eq!(
            description(package.get("Description").unwrap()),
            ("x".to_owned(), "y\n\nz".to_owned())
        );
        for (text, expected) in [
            (" x", "continues no field"),
            ("x", "is no field"),
            ("a: \x1b[1m", "holds the control character '\\u{1b}'"),
        ] {
            assert!(parse(text).unwrap_err().to_string().ends_with(expected));
        }
    }

    #[test]
    fn lists_of_relations() {
        let found = relations("a (>= 1), b | c [amd64],\n ${misc:Depends}, d <!nocheck>,");
        let expected =
            [("a (>= 1)", false), ("b | c", true), ("${misc:Depends}", false), ("d", false)];
        assert_eq!(found, expected.map(|(text, is)| (text.to_owned(), is)));
    }
}
