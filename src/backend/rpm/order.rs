//! The order of rpm's versions (rpm-version(7), "Comparison").

use std::cmp::Ordering;

/// Which of two versions is later, each with its epoch and release. A missing epoch is zero.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let ((epoch, version, release), other) = (parts(left), parts(right));
    epoch
        .cmp(&other.0)
        .then_with(|| compare_part(version, other.1))
        .then_with(|| compare_part(release, other.2))
}

fn parts(version: &str) -> (u64, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch.parse().unwrap_or(0), version, release)
}

/// What comes next in a version. They are in order: "a tilde sorts lower than anything, even the end", a caret higher
/// than the end and lower than anything else, and numbers are later than words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Tilde,
    End,
    Caret,
    Word(&'a [u8]),
    /// Its length without leading zeros, then its digits.
    Number(usize, &'a [u8]),
}

fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        let (mine, other) = (next(&mut left), next(&mut right));
        let order = mine.cmp(&other);
        if order != Ordering::Equal || mine == Segment::End {
            return order;
        }
    }
}

/// Takes the next segment off the front; what is neither letter nor digit, tilde nor caret only parts them.
fn next<'a>(text: &mut &'a [u8]) -> Segment<'a> {
    let is_part = |at: &u8| at.is_ascii_alphanumeric() || matches!(at, b'~' | b'^');
    let start = text.iter().position(is_part).unwrap_or(text.len());
    let rest = &text[start..];
    let run = |is_in: fn(&u8) -> bool| rest.iter().position(|at| !is_in(at)).unwrap_or(rest.len());
    let (segment, len) = match rest.first() {
        None => (Segment::End, 0),
        Some(b'~') => (Segment::Tilde, 1),
        Some(b'^') => (Segment::Caret, 1),
        Some(digit) if digit.is_ascii_digit() => {
            let len = run(u8::is_ascii_digit);
            let zeros = rest[..len].iter().take_while(|at| **at == b'0').count();
            (Segment::Number(len - zeros, &rest[zeros..len]), len)
        }
        Some(_) => {
            let len = run(u8::is_ascii_alphabetic);
            (Segment::Word(&rest[..len]), len)
        }
    };
    *text = &rest[len..];
    segment
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use crate::backend::rpm::order::compare;

    fn check(left: &str, order: Ordering, right: &str) {
        assert_eq!(compare(left, right), order, "{left} {right}");
        assert_eq!(compare(right, left), order.reverse(), "{right} {left}");
    }

    /// Each of them is what `rpm --eval '%{lua: print(rpm.vercmp("LEFT", "RIGHT"))}'` of rpm 4.18 says.
    #[test]
    fn as_rpm_has_it() {
        for (left, order, right) in [
            ("1.0", Ordering::Equal, "1.0"),
            ("1.0", Ordering::Less, "1.0.0"),
            ("1.0", Ordering::Equal, "1_0"),
            ("1.0", Ordering::Equal, "1..0."),
            ("1.05", Ordering::Equal, "1.5"),
            ("9", Ordering::Less, "10"),
            ("1.0~rc1", Ordering::Less, "1.0"),
            ("1.0~~", Ordering::Less, "1.0~"),
            ("1.0", Ordering::Less, "1.0^git1"),
            ("1.0^git1", Ordering::Less, "1.0.1"),
            ("1.0^", Ordering::Less, "1.0a"),
            ("1.0^a~1", Ordering::Less, "1.0^a"),
            ("1.0a", Ordering::Less, "1.0.1"),
            ("1.0a", Ordering::Less, "1.0b"),
            ("1.0B", Ordering::Less, "1.0a"),
            ("a", Ordering::Less, "ab"),
            ("1a2", Ordering::Equal, "1.a.2"),
            ("99999999999999999999999", Ordering::Less, "100000000000000000000000"),
            ("1.0+local.abc", Ordering::Less, "1.0.post1"),
            ("0:1.0-1", Ordering::Equal, "1.0-1"),
            ("1:1.0-1", Ordering::Greater, "2.0-1"),
            ("1.0-1", Ordering::Less, "1.0-1.el9"),
            ("1.0-9", Ordering::Less, "1.0-10"),
        ] {
            check(left, order, right);
        }
    }
}
