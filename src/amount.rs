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

#[cfg(test)]
mod tests {
    use crate::amount::size;

    #[test]
    fn sizes() {
        let texts = [0, 999, 1_500, 2_000_000, 3_210_000_000].map(size);
        assert_eq!(texts, ["0 B", "999 B", "1.5 kB", "2.0 MB", "3.21 GB"]);
    }
}
