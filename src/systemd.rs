//! The syntax that unit files and other files of systemd share (systemd.syntax(7)).

/// A line of a file as systemd joins it, with the number of its first part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// Without white space around it.
    pub text: String,
}

/// Lines without comments; one that ends in a backslash goes on in the next that is no comment.
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<Line> = None;
    for (index, part) in text.lines().enumerate() {
        let part = part.trim();
        if part.starts_with(['#', ';']) {
            continue;
        }
        let (part, goes_on) = match part.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (part, false),
        };
        let mut line = open.take().unwrap_or(Line { number: index + 1, text: String::new() });
        line.text.push_str(part);
        if goes_on {
            line.text.push(' ');
            open = Some(line);
        } else if !line.text.is_empty() {
            lines.push(line);
        }
    }
    lines.extend(open);
    lines
}

#[cfg(test)]
mod tests {
    use crate::systemd::lines;

    #[test]
    fn parts_are_joined() {
        let text = "[A]\n# x\n\nb = c \\\n ; no\n  d\ne=f\\";
        let found: Vec<_> = lines(text).into_iter().map(|one| (one.number, one.text)).collect();
        let expected = [(1, "[A]"), (4, "b = c  d"), (7, "e=f ")];
        assert_eq!(found, expected.map(|(number, text)| (number, text.to_owned())));
    }
}
