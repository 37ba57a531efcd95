//! Versions of native components in texts.

/// The first version in `text`: numbers with dots between, and what is written on to them, as in `1.1.1w`, `2.23.1.dev0`
/// or `1.11.1_DEV`.
pub(super) fn in_text(text: &str) -> Option<String> {
    let is_end = |at: char| !at.is_ascii_alphanumeric() && at != '.' && at != '_';
    text.split(is_end).find_map(|word| {
        let word = word.strip_prefix('v').unwrap_or(word).trim_end_matches('.');
        let numbers = word.find(|at: char| !at.is_ascii_digit() && at != '.').unwrap_or(word.len());
        let numbers = word[..numbers].trim_end_matches('.');
        let is_version = numbers.contains('.') && numbers.split('.').all(|part| !part.is_empty());
        is_version.then(|| word.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use crate::audit::components::version::in_text;

    #[test]
    fn texts() {
        let check = |text, expected: Option<&str>| assert_eq!(in_text(text).as_deref(), expected);
        check("1.0.6, 6-Sept-2010", Some("1.0.6"));
        check("3.12.1-CAPI-1.18.1", Some("3.12.1"));
        check("v4.1.0", Some("4.1.0"));
        check("keyutils-1.5.10", Some("1.5.10"));
        check("1.11.1_DEV", Some("1.11.1_DEV"));
        check("2.23.1.dev0", Some("2.23.1.dev0"));
        check("FFmpeg version 8.1.2.", Some("8.1.2"));
        check("3.100", Some("3.100"));
        check("in 2010, 3 of 4...", None);
        check("..", None);
        check("", None);
    }
}
