//! The order of Debian versions (deb-version(7), "Sorting algorithm").

use std::cmp::Ordering;

/// Which of two versions is later. Missing epochs and revisions are zero.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let ((epoch, upstream, revision), other) = (parts(left), parts(right));
    epoch
        .cmp(&other.0)
        .then_with(|| compare_part(upstream, other.1))
        .then_with(|| compare_part(revision, other.2))
}

fn parts(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch.parse().unwrap_or(0), upstream, revision)
}

fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let (words, numbers) = (take(&mut left, false), take(&mut right, false));
        let count = words.len().max(numbers.len());
        for at in 0..count {
            let order = weight(words.get(at)).cmp(&weight(numbers.get(at)));
            if order != Ordering::Equal {
                return order;
            }
        }
        let (digits, others) = (take(&mut left, true), take(&mut right, true));
        let order = digits.len().cmp(&others.len()).then_with(|| digits.cmp(others));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Takes the digits, or what is not digits, off the front; digits without leading zeros.
fn take<'a>(text: &mut &'a [u8], is_number: bool) -> &'a [u8] {
    let end = text.iter().position(|byte| byte.is_ascii_digit() != is_number);
    let (mut taken, rest) = text.split_at(end.unwrap_or(text.len()));
    *text = rest;
    while let ([b'0', others @ ..], true) = (taken, is_number) {
        taken = others;
    }
    taken
}

/// A tilde before the end, the end before letters, letters before the rest.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use crate::backend::deb::order::compare;

    #[test]
    fn versions() {
        for (left, order, right) in [
            ("1.0", Ordering::Equal, "1.0-0"),
            ("0:1.0", Ordering::Equal, "1.00"),
            ("1.0~rc1", Ordering::Less, "1.0"),
            ("1.0~~", Ordering::Less, "1.0~"),
            ("1.0", Ordering::Less, "1.0+b1"),
            ("1.0a", Ordering::Less, "1.0+"),
            ("2.9", Ordering::Less, "2.34"),
            ("1:1.0", Ordering::Greater, "2.0"),
            ("1.0-1", Ordering::Less, "1.0-1+deb12u1"),
            ("1-2-3", Ordering::Greater, "1-1-9"),
            ("3.3~20180313", Ordering::Less, "3.3"),
            ("5.1.1alpha+20110809", Ordering::Less, "5.1.1beta"),
            ("", Ordering::Equal, "0"),
        ] {
            assert_eq!(compare(left, right), order, "{left} {right}");
            assert_eq!(compare(right, left), order.reverse(), "{right} {left}");
        }
    }
}
