//! Rust source with what is no code blanked out, so that a search finds uses and not mentions.

/// What stays beside code; comments never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing: what stands in strings is blanked too.
    Code,
    /// What stands in strings.
    Strings,
}

/// What a piece of source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Code,
    Comment,
    Literal,
}

/// `text` with blanks in place of comments, and of the content of literals unless they are kept.
pub(crate) fn strip(text: &str, keep: Keep) -> String {
    let mut stripped = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some((piece, len)) = first_piece(rest, before) {
        let (taken, after) = rest.split_at(len);
        if piece == Piece::Code || (piece == Piece::Literal && keep == Keep::Strings) {
            stripped.push_str(taken);
        } else {
            stripped.extend(taken.chars().map(|at| if at == '\n' { '\n' } else { ' ' }));
        }
        before = taken.chars().next_back().unwrap_or(' ');
        rest = after;
    }
    stripped
}

/// The part of `text` before its tests: before the first `#[cfg(test)]` that opens a module.
pub(crate) fn before_tests(text: &str) -> &str {
    let mut opening = text.match_indices("#[cfg(test)]\nmod ").filter(|(at, start)| {
        let name = &text[at + start.len()..];
        name.lines().next().is_some_and(|line| line.trim_end().ends_with('{'))
    });
    opening.next().map_or(text, |(at, _)| &text[..at])
}

/// Whether `at` can be part of an identifier.
pub(crate) fn is_word(at: char) -> bool {
    at.is_alphanumeric() || at == '_'
}

/// The rest of `text` after each place where `word` stands by itself, with the character before it.
pub(crate) fn places<'t>(text: &'t str, word: &str) -> impl Iterator<Item = (char, &'t str)> {
    text.match_indices(word).filter_map(move |(at, found)| {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        let after = &text[at + found.len()..];
        let is_start = !found.starts_with(is_word) || !is_word(before);
        let is_end = !found.ends_with(is_word) || !after.starts_with(is_word);
        (is_start && is_end).then_some((before, after))
    })
}

/// What `text` begins with and how long that is in bytes; `None` at the end.
fn first_piece(text: &str, before: char) -> Option<(Piece, usize)> {
    let first = text.chars().next()?;
    if text.starts_with("//") {
        return Some((Piece::Comment, text.find('\n').unwrap_or(text.len())));
    }
    if text.starts_with("/*") {
        return Some((Piece::Comment, block_comment(text)));
    }
    let literal = if is_word(before) { quoted(text) } else { raw(text).or_else(|| quoted(text)) };
    Some(match literal.or_else(|| character(text)) {
        Some(len) => (Piece::Literal, len),
        None => (Piece::Code, first.len_utf8()),
    })
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of `r"…"` or `br##"…"##` at the start of `text`.
fn raw(text: &str) -> Option<usize> {
    let start = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let inner = start.trim_start_matches('#');
    let hashes = start.len() - inner.len();
    let body = inner.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let at = body.find(&end)?;
    Some(text.len() - body.len() + at + end.len())
}

fn quoted(text: &str) -> Option<usize> {
    let body = text.strip_prefix('"')?;
    let mut is_escaped = false;
    for (at, character) in body.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(at + 2),
            _ => {}
        }
    }
    Some(text.len())
}

/// Length of `'x'` or `'\n'` at the start of `text`; a lifetime is neither.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    let first = body.chars().next()?;
    let rest = &body[first.len_utf8()..];
    if first == '\\' {
        let escaped = rest.chars().next()?.len_utf8();
        let end = rest[escaped..].find('\'')?;
        return Some(1 + 1 + escaped + end + 1);
    }
    rest.starts_with('\'').then(|| 1 + first.len_utf8() + 1)
}

#[test]
fn only_code_stays() {
    let check = |text: &str, code: &str, strings: &str| {
        assert_eq!(strip(text, Keep::Code), code, "{text}");
        assert_eq!(strip(text, Keep::Strings), strings, "{text}");
    };
    check("a // b", "a     ", "a     ");
    check("a /* /* b */ c */ d", "a                 d", "a                 d");
    check(r#"f("x\"y", 'z')"#, r#"f(      ,    )"#, r#"f("x\"y", 'z')"#);
    check("r#\"a\"b\"# c", "         c", "r#\"a\"b\"# c");
    check("var\"x\"", "var   ", "var\"x\"");
    check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
    check(r"b'\'' b'\\' '\u{1b}' c", r"b     b              c", r"b'\'' b'\\' '\u{1b}' c");
    check("\"// no\" x", "        x", "\"// no\" x");
}

#[test]
fn tests_are_cut_off_and_their_helpers_are_not() {
    assert_eq!(
        before_tests("a\n#[cfg(test)]\nmod testing;\nb\n"),
        "a\n#[cfg(test)]\nmod testing;\nb\n"
    );
    assert_eq!(before_tests("a\n#[cfg(test)]\nmod tests {\nb\n}\n"), "a\n");
}

#[test]
fn words_are_found_by_themselves() {
    let found = |text, word| places(text, word).map(|(_, after)| after).collect::<Vec<_>>();
    assert_eq!(found("env::var(x) env::var_os(y)", "env::var"), ["(x) env::var_os(y)"]);
    assert_eq!(found("Pre-Depends: IsDepends", "Depends"), [": IsDepends"]);
    assert_eq!(found("Requires-Dist Requires: x", "Requires:"), [" x"]);
}
