//! Shell text as far as its commands and their words go (POSIX, Shell Command Language 2.2 and 2.9). Nothing is
//! expanded: what a shell would replace stays as it is written.

/// A simple command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// `NAME=value` in front of it.
    pub assignments: Vec<(String, String)>,
    /// Its name and its arguments, without quotes.
    pub words: Vec<String>,
}

impl Command {
    /// The name of the program, without a directory.
    pub fn program(&self) -> &str {
        let word = self.words.first().map_or("", String::as_str);
        word.rsplit('/').next().unwrap_or_default()
    }

    /// It as a line of text.
    pub fn text(&self) -> String {
        let set = self.assignments.iter().map(|(name, value)| format!("{name}={value}"));
        set.chain(self.words.iter().cloned()).collect::<Vec<_>>().join(" ")
    }
}

/// Words that stand before a command and are none.
const RESERVED: [&str; 12] =
    ["if", "then", "else", "elif", "fi", "do", "done", "while", "!", "{", "}", "("];

/// The simple commands of `text`, in order.
pub fn commands(text: &str) -> Vec<Command> {
    let mut reader = Reader::default();
    let mut rest = text;
    while let Some(at) = rest.chars().next() {
        let taken = reader.take(at, rest);
        rest = &rest[taken..];
    }
    reader.end_command();
    reader.commands
}

#[derive(Default)]
struct Reader {
    commands: Vec<Command>,
    words: Vec<String>,
    word: Option<String>,
}

impl Reader {
    /// Reads what `rest` begins with, and returns how many bytes that is.
    fn take(&mut self, at: char, rest: &str) -> usize {
        let word = || rest[at.len_utf8()..].chars().next();
        match at {
            '\\' => {
                let next = word();
                if let Some(next) = next.filter(|next| *next != '\n') {
                    self.push(&next.to_string());
                }
                1 + next.map_or(0, char::len_utf8)
            }
            '\'' | '"' => self.quoted(at, &rest[1..]) + 1,
            '$' | '`' => self.substitution(rest),
            '#' if self.word.is_none() => rest.find('\n').unwrap_or(rest.len()),
            '\n' | ';' | '&' | '|' => {
                self.end_command();
                1
            }
            at if at.is_whitespace() => {
                self.end_word();
                at.len_utf8()
            }
            at => {
                self.push(&at.to_string());
                at.len_utf8()
            }
        }
    }

    fn push(&mut self, text: &str) {
        self.word.get_or_insert_default().push_str(text);
    }

    /// The rest of a quoted text with its closing quote.
    fn quoted(&mut self, quote: char, rest: &str) -> usize {
        self.push("");
        let mut escaped = false;
        for (index, at) in rest.char_indices() {
            if escaped {
                self.push(&at.to_string());
                escaped = false;
            } else if at == '\\' && quote == '"' {
                escaped = true;
            } else if at == quote {
                return index + 1;
            } else {
                self.push(&at.to_string());
            }
        }
        rest.len()
    }

    /// `$(…)`, `${…}` and `` `…` `` are one part of a word, blanks included.
    fn substitution(&mut self, rest: &str) -> usize {
        let (open, close) = match rest.as_bytes() {
            [b'`', ..] => {
                let end = rest[1..].find('`').map_or(rest.len(), |end| end + 2);
                self.push(&rest[..end]);
                return end;
            }
            [b'$', b'(', ..] => ('(', ')'),
            [b'$', b'{', ..] => ('{', '}'),
            _ => {
                self.push("$");
                return 1;
            }
        };
        let mut depth = 0_u32;
        for (index, at) in rest.char_indices() {
            depth += u32::from(at == open);
            if at == close {
                depth -= 1;
                if depth == 0 {
                    self.push(&rest[..=index]);
                    return index + 1;
                }
            }
        }
        self.push(rest);
        rest.len()
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        let mut words = std::mem::take(&mut self.words).into_iter().peekable();
        while words.next_if(|word| RESERVED.contains(&word.as_str())).is_some() {}
        let mut command = Command::default();
        while let Some(word) = words.next_if(|word| is_assignment(word)) {
            let (name, value) = word.split_once('=').unwrap_or_default();
            command.assignments.push((name.to_owned(), value.to_owned()));
        }
        command.words = words.collect();
        if !command.words.is_empty() || !command.assignments.is_empty() {
            self.commands.push(command);
        }
    }
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else { return false };
    let is_name = |at: char| at.is_ascii_alphanumeric() || at == '_';
    !name.is_empty()
        && name.chars().all(is_name)
        && !name.starts_with(|at: char| at.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use crate::import::shell::commands;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = commands(text).iter().map(|command| command.words.join("|")).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words() {
        check("a 'b c' \"d \\\" e\" f\\ g \\\n h # i", &["a|b c|d \" e|f g|h"]);
        check(
            "a --x=$(readlink -e /b) ${c d} `e f` $g",
            &["a|--x=$(readlink -e /b)|${c d}|`e f`|$g"],
        );
        check("if a; then b && c || d; fi; e|f\n\ng", &["a", "b", "c", "d", "e", "f", "g"]);
        check("a ''", &["a|"]);
    }

    #[test]
    fn assignments() {
        let found = commands("A=1 B='x y' c D=2");
        assert_eq!(found[0].text(), "A=1 B=x y c D=2");
        assert_eq!((found[0].assignments.len(), found[0].program()), (2, "c"));
    }
}
