//! Lines of requirements files: joined, free of comments, split into words and options.
//!
//! What the options mean is for the reader.

use anyhow::{Error, Result};

use crate::error::UserError;
use crate::redact::redact;

/// What an option asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Another requirements file.
    File,
    /// A constraints file.
    Constraints,
    /// A source directory, installed in place.
    Editable,
    /// A switch of the installer.
    Switch,
    /// A setting of the installer with a value.
    Setting,
    /// Where archives lie: a URL, or a path relative to the file.
    Links,
    /// A hash of the requirement before it.
    Hash,
    /// A setting of the requirement before it, with a value.
    Local,
}

/// Every option: short name, long name, what it asks for. Aliases stand after the name we write.
const OPTIONS: [(&str, &str, Ask); 21] = [
    ("-r", "--requirement", Ask::File),
    ("-c", "--constraint", Ask::Constraints),
    ("-e", "--editable", Ask::Editable),
    ("-i", "--index-url", Ask::Setting),
    ("", "--extra-index-url", Ask::Setting),
    ("", "--no-index", Ask::Switch),
    ("-f", "--find-links", Ask::Links),
    ("", "--no-binary", Ask::Setting),
    ("", "--only-binary", Ask::Setting),
    ("", "--prefer-binary", Ask::Switch),
    ("", "--pre", Ask::Switch),
    ("", "--trusted-host", Ask::Setting),
    ("", "--require-hashes", Ask::Switch),
    ("", "--use-feature", Ask::Setting),
    ("", "--hash", Ask::Hash),
    ("-C", "--config-settings", Ask::Local),
    ("", "--config-setting", Ask::Local),
    ("", "--global-option", Ask::Local),
    ("", "--requirements", Ask::File),
    ("", "--constraints", Ask::Constraints),
    ("", "--pypi-url", Ask::Setting),
];

/// Lines without comments, each with its number; a `\` at the end joins the next one.
pub(crate) fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut joined: Option<(usize, String)> = None;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let (number, mut whole) = joined.take().unwrap_or((index + 1, String::new()));
        let is_comment = line.trim_start().starts_with('#');
        match line.strip_suffix('\\').filter(|_| !is_comment) {
            Some(part) => {
                whole.push_str(part);
                joined = Some((number, whole));
            }
            None => {
                // A comment ends what it interrupts, as with pip.
                whole.push_str(if is_comment { " " } else { "" });
                whole.push_str(line);
                lines.push((number, whole));
            }
        }
    }
    lines.extend(joined);
    let lines = lines.into_iter().map(|(number, line)| (number, without_comment(&line).to_owned()));
    lines.filter(|(_, line)| !line.is_empty()).collect()
}

/// A line without its comment, which begins with a `#` at the start or after a space.
fn without_comment(line: &str) -> &str {
    let hashes = line.match_indices('#').map(|(at, _)| at);
    let comment = hashes
        .into_iter()
        .find(|at| line[..*at].chars().next_back().is_none_or(char::is_whitespace));
    line[..comment.unwrap_or(line.len())].trim()
}

/// The requirement and the options behind it: the first word with a `-` in front begins them.
pub(crate) fn split_options(line: &str) -> (&str, &str) {
    let spaces = line.char_indices().filter(|(_, at)| at.is_whitespace());
    let mut starts = spaces.map(|(at, space)| at + space.len_utf8());
    let options = starts.find(|at| line[*at..].starts_with('-')).unwrap_or(line.len());
    (line[..options].trim_end(), &line[options..])
}

/// Words as a shell splits them.
pub(crate) fn split(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(at) = chars.next() {
        match (at, quote) {
            (_, Some(open)) if at == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(at);
                word.get_or_insert_default();
            }
            ('\\', None | Some('"')) => {
                let next = chars.next().ok_or_else(|| usage("a `\\` stands before nothing", ""))?;
                word.get_or_insert_default().push(next);
            }
            _ if at.is_whitespace() && quote.is_none() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(at),
        }
    }
    if quote.is_some() {
        return Err(usage("a quotation mark is not closed", ""));
    }
    words.extend(word);
    Ok(words)
}

/// A word that [`split`] takes for one.
pub(crate) fn quote(word: &str) -> String {
    if !word.is_empty() && !word.contains(|at: char| at.is_whitespace() || "\"'\\#".contains(at)) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The options in a list of words, each under its long name.
pub(crate) fn parse(words: &[String]) -> Result<Vec<(&'static str, Ask, String)>> {
    let mut options = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, given) = match word.split_once('=').filter(|_| word.starts_with("--")) {
            Some((name, value)) => (name, Some(value.to_owned())),
            // A short option may carry its value: `-rbase.txt`.
            None if !word.starts_with("--") && word.is_char_boundary(2) && word.len() > 2 => {
                (&word[..2], Some(word[2..].trim_start_matches('=').to_owned()))
            }
            None => (word.as_str(), None),
        };
        let known = OPTIONS
            .iter()
            .find(|(short, long, _)| name == *long || (name == *short && !short.is_empty()));
        let Some((_, long, option)) = known else {
            let message = format!("unknown option `{}`", redact(name).escape_debug());
            return Err(usage(
                &message,
                "remove it, or give it to the installer by its environment",
            ));
        };
        let value = match (option, given) {
            (Ask::Switch, None) => String::new(),
            (Ask::Switch, Some(_)) => return Err(usage(&format!("`{long}` takes no value"), "")),
            (_, Some(value)) => value,
            (_, None) => words.next().cloned().unwrap_or_default(),
        };
        if *option != Ask::Switch && value.is_empty() {
            return Err(usage(&format!("`{long}` needs a value"), ""));
        }
        let long = match *long {
            "--pypi-url" => "--index-url",
            "--config-setting" => "--config-settings",
            _ => long,
        };
        options.push((long, *option, value));
    }
    Ok(options)
}

/// An error about a line, with a next step unless that is empty.
pub(crate) fn usage(message: &str, hint: &str) -> Error {
    let error = UserError::usage(message);
    if hint.is_empty() { error.into() } else { error.hint(hint).into() }
}

#[cfg(test)]
mod tests {
    use crate::lock::line::{logical_lines, parse, quote, split, split_options};

    fn check(text: &str, lines: &[(usize, &str)]) {
        let found = logical_lines(text);
        let found: Vec<_> = found.iter().map(|(number, line)| (*number, line.as_str())).collect();
        assert_eq!(found, lines, "{text:?}");
    }

    #[test]
    fn lines() {
        check("a # b\n#c\n\nd#e", &[(1, "a"), (4, "d#e")]);
        check("a \\\n b\\\nc\nd", &[(1, "a  bc"), (4, "d")]);
        check("a \\\n# b \\\nc", &[(1, "a"), (3, "c")]);
        check("a\\", &[(1, "a")]);
        check("\u{feff}a\r\nb \\\r\nc", &[(1, "a"), (2, "b c")]);
    }

    #[test]
    fn words() {
        assert_eq!(split_options("a-b ; x  --c -d"), ("a-b ; x", "--c -d"));
        for words in [&["a b", "c\"d", "e\\f", "", "'", "#"][..], &["a=b", "${C}"]] {
            let line: Vec<_> = words.iter().map(|word| quote(word)).collect();
            assert_eq!(split(&line.join(" ")).unwrap(), words);
        }
        let options = parse(&split("-rx --pre -i 'a b' --hash=c").unwrap()).unwrap();
        let options: Vec<_> =
            options.iter().map(|(name, _, value)| format!("{name} {value}")).collect();
        assert_eq!(options, ["--requirement x", "--pre ", "--index-url a b", "--hash c"]);
    }
}
