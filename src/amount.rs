//! Amounts, as people read them.

/// A size in bytes: decimal units.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// The bytes that `500M` or `5GB` are; decimal units, as in [`size`].
pub fn parse(text: &str) -> Option<u64> {
    let text = text.strip_suffix(['b', 'B']).unwrap_or(text);
    let (digits, unit) = match text.strip_suffix(|end: char| end.is_ascii_alphabetic()) {
        None => (text, 1),
        Some(digits) => match text.as_bytes().last()?.to_ascii_lowercase() {
            b'k' => (digits, 1_000),
            b'm' => (digits, 1_000_000),
            b'g' => (digits, 1_000_000_000),
            b't' => (digits, 1_000_000_000_000),
            _ => return None,
        },
    };
    let is_plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use crate::amount::{parse, size};

    #[test]
    fn sizes() {
        let texts = [0, 999, 1_500, 2_000_000, 3_210_000_000].map(size);
        assert_eq!(texts, ["0 B", "999 B", "1.5 kB", "2.0 MB", "3.21 GB"]);
    }

    #[test]
    fn typed_sizes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("123", Some(123)),
            ("7B", Some(7)),
            ("500M", Some(500_000_000)),
            ("5G", Some(5_000_000_000)),
            ("5gb", Some(5_000_000_000)),
            ("2k", Some(2_000)),
            ("1T", Some(1_000_000_000_000)),
            ("", None),
            ("G", None),
            ("+1", None),
            ("-1", None),
            ("5GiB", None),
            ("1.5G", None),
            ("99999999999G", None),
        ] {
            assert_eq!(parse(text), bytes, "{text}");
        }
    }
}
