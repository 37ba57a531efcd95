//! Licence expressions of SPDX: whether a text is one, and its normal form.

/// Identifiers of the SPDX licence list, then those of its exceptions, each sorted without regard to case.
const LIST: &str = include_str!("licences.txt");
/// The line between the two.
const EXCEPTIONS: &str = "# exceptions";

/// What a part says of its licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Licence {
    /// A licence expression (SPDX 2.3, annex D) of listed licences, in its normal form.
    Expression(String),
    /// Another text.
    Name(String),
    /// Nothing.
    Unstated,
}

impl Licence {
    /// What `text` is.
    pub fn of(text: &str) -> Self {
        match (expression(text), text.trim()) {
            (Some(expression), _) => Self::Expression(expression),
            (None, "") => Self::Unstated,
            (None, name) => Self::Name(name.to_owned()),
        }
    }
}

/// What may come next in an expression.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A licence or `(`.
    Licence,
    /// `WITH`, an operator or `)`.
    With,
    /// The exception behind `WITH`.
    Exception,
    /// An operator or `)`.
    Operator,
}

/// The expression `text` is, with identifiers as the list spells them; `None` when it is none.
///
/// References to licences that are not listed (`LicenseRef-…`) mean nothing without a document that has them.
fn expression(text: &str) -> Option<String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let (mut words, mut depth, mut next) = (Vec::new(), 0_usize, Next::Licence);
    for word in spaced.split_whitespace() {
        let (written, then) = match (next, word.to_ascii_uppercase().as_str()) {
            (Next::Licence, "(") => {
                depth += 1;
                ("(".to_owned(), Next::Licence)
            }
            (Next::With | Next::Operator, ")") => {
                depth = depth.checked_sub(1)?;
                (")".to_owned(), Next::Operator)
            }
            (Next::With, "WITH") => ("WITH".to_owned(), Next::Exception),
            (Next::With | Next::Operator, operator @ ("AND" | "OR")) => {
                (operator.to_owned(), Next::Licence)
            }
            (Next::Licence, _) => (licence(word)?, Next::With),
            (Next::Exception, _) => (listed(word, false)?.to_owned(), Next::Operator),
            (Next::With | Next::Operator, _) => return None,
        };
        words.push(written);
        next = then;
    }
    let is_whole = depth == 0 && matches!(next, Next::With | Next::Operator);
    is_whole.then(|| words.join(" ").replace("( ", "(").replace(" )", ")"))
}

/// A licence, or a later version of it: `GPL-2.0+`.
fn licence(word: &str) -> Option<String> {
    if let Some(id) = listed(word, true) {
        return Some(id.to_owned());
    }
    listed(word.strip_suffix('+')?, true).map(|id| format!("{id}+"))
}

fn listed(word: &str, is_licence: bool) -> Option<&'static str> {
    let (licences, exceptions) = LIST.split_once(EXCEPTIONS)?;
    let mut list = if is_licence { licences } else { exceptions }.lines();
    list.find(|id| !id.is_empty() && id.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use crate::sbom::licence::Licence;

    #[test]
    fn expressions() {
        for (text, expected) in [
            ("MIT", "MIT"),
            ("mit or apache-2.0", "MIT OR Apache-2.0"),
            (
                "(GPL-2.0-only AND MIT) OR ( BSD-3-Clause )",
                "(GPL-2.0-only AND MIT) OR (BSD-3-Clause)",
            ),
            ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
            ("EPL-2.0+", "EPL-2.0+"),
        ] {
            assert_eq!(Licence::of(text), Licence::Expression(expected.to_owned()));
        }
    }

    #[test]
    fn other_texts() {
        for text in [
            "BSD",
            "MIT License",
            "MIT OR",
            "(MIT",
            "MIT)",
            "MIT WITH MIT",
            "MIT MIT",
            "OR",
            "()",
            "LicenseRef-mine",
            "# exceptions",
            "LLVM-exception",
            "MIT, BSD",
            "<script>",
        ] {
            assert_eq!(Licence::of(text), Licence::Name(text.to_owned()), "{text}");
        }
        assert_eq!(Licence::of(" "), Licence::Unstated);
        let deep = "(".repeat(100_000) + "MIT";
        assert_eq!(Licence::of(&deep), Licence::Name(deep.clone()));
    }
}
