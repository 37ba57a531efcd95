//! The grammar of member names: relative, normal, printable, one spelling for every reader.

/// The name as text; the error says what is wrong with it. A directory keeps its final `/`.
pub(super) fn check(bytes: &[u8], is_utf8: bool) -> Result<&str, &'static str> {
    // Without the flag a name is code page 437, which agrees with UTF-8 in ASCII only (APPNOTE appendix D).
    if !is_utf8 && !bytes.is_ascii() {
        return Err("has a name that is not marked as UTF-8");
    }
    let name = std::str::from_utf8(bytes).map_err(|_| "has a name that is not UTF-8")?;
    fault(name).map_or(Ok(name), Err)
}

fn fault(name: &str) -> Option<&'static str> {
    let path = name.strip_suffix('/').unwrap_or(name);
    if name.is_empty() {
        Some("has no name")
    } else if name.contains('\0') {
        Some("has a NUL in its name")
    } else if name.chars().any(char::is_control) {
        Some("has a control character in its name")
    } else if name.contains('\\') {
        Some("has a backslash in its name")
    } else if name.starts_with('/') {
        Some("has an absolute name")
    } else if name.as_bytes()[0].is_ascii_alphabetic() && name.as_bytes().get(1) == Some(&b':') {
        Some("has a drive letter in its name")
    } else {
        path.split('/').find_map(|component| match component {
            "" => Some("has an empty component in its name"),
            "." => Some("has a `.` component in its name"),
            ".." => Some("has a `..` component in its name"),
            _ => None,
        })
    }
}
