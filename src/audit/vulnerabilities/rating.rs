//! How bad a vulnerability is: the words of databases, and the base score of CVSS 3.

use serde::Serialize;

/// The qualitative scale of CVSS (3.1 specification, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Rating {
    /// Nobody said, or in words that are not known: it may be anything.
    Unknown,
    /// Below 4.0.
    Low,
    /// Below 7.0.
    Medium,
    /// Below 9.0.
    High,
    /// 9.0 and more.
    Critical,
}

impl Rating {
    const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Unknown];

    /// The rating users call `word`.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rating| *rating != Self::Unknown && rating.name() == word)
    }

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// What a database's word means; GitHub's says `MODERATE`.
    pub(super) fn of_word(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "moderate" => Self::Medium,
            word => Self::named(word).unwrap_or(Self::Unknown),
        }
    }

    pub(super) fn of_score(tenths: u32) -> Self {
        match tenths {
            0..40 => Self::Low,
            40..70 => Self::Medium,
            70..90 => Self::High,
            _ => Self::Critical,
        }
    }

    /// The check that finds vulnerabilities of this rating.
    pub fn check(self) -> &'static str {
        match self {
            Self::Critical => "VUL001",
            Self::High => "VUL002",
            Self::Medium => "VUL003",
            Self::Low => "VUL004",
            Self::Unknown => "VUL005",
        }
    }

    /// This rating, those that are worse, and what nobody rated.
    pub(crate) fn or_worse(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |one| *one >= self || *one == Self::Unknown)
    }
}

/// The base score of a vector of CVSS 3.0 or 3.1 in tenths (3.1 specification, section 7.1); `None` for any other text.
pub(super) fn base_score(vector: &str) -> Option<u32> {
    let metrics = vector.strip_prefix("CVSS:3.0/").or_else(|| vector.strip_prefix("CVSS:3.1/"))?;
    let metric =
        |name: &str| metrics.split('/').find_map(|part| part.strip_prefix(name)?.strip_prefix(':'));
    let is_changed = match metric("S")? {
        "U" => false,
        "C" => true,
        _ => return None,
    };
    let weight = |name: &str, values: &[(&str, f64)]| {
        let value = metric(name)?;
        values.iter().find(|(known, _)| *known == value).map(|(_, weight)| *weight)
    };
    let vector = weight("AV", &[("N", 0.85), ("A", 0.62), ("L", 0.55), ("P", 0.2)])?;
    let complexity = weight("AC", &[("L", 0.77), ("H", 0.44)])?;
    let (low, high) = if is_changed { (0.68, 0.5) } else { (0.62, 0.27) };
    let privileges = weight("PR", &[("N", 0.85), ("L", low), ("H", high)])?;
    let interaction = weight("UI", &[("N", 0.85), ("R", 0.62)])?;
    let harm = |name: &str| weight(name, &[("H", 0.56), ("L", 0.22), ("N", 0.0)]);
    let base = 1.0 - (1.0 - harm("C")?) * (1.0 - harm("I")?) * (1.0 - harm("A")?);
    let exploitability = 8.22 * vector * complexity * privileges * interaction;
    let (impact, factor) = if is_changed {
        (7.52 * (base - 0.029) - 3.25 * (base - 0.02).powi(15), 1.08)
    } else {
        (6.42 * base, 1.0)
    };
    if impact <= 0.0 {
        return Some(0);
    }
    Some(round_up((factor * (impact + exploitability)).min(10.0)))
}

/// "The smallest number, specified to 1 decimal place, that is equal to or higher than its input", in tenths; by the
/// integers of appendix A, because floating point is not exact.
fn round_up(score: f64) -> u32 {
    let hundred_thousandths = (score * 100_000.0).round() as u32;
    hundred_thousandths.div_ceil(10_000)
}

#[cfg(test)]
mod tests {
    use crate::audit::vulnerabilities::rating::{Rating, base_score};

    fn check(vector: &str, expected: Option<u32>) {
        assert_eq!(base_score(vector), expected, "{vector}");
    }

    /// Scores of the examples FIRST publishes, and of the corners.
    #[test]
    fn base_scores() {
        check("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Some(98));
        check("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", Some(100));
        check("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", Some(61));
        check("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", Some(31));
        check("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", Some(78));
        check("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", Some(64));
        check("CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:C/C:H/I:H/A:H", Some(91));
        check("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:N", Some(59));
        check("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Some(75));
        check("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", Some(16));
        check("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", Some(0));
        check("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O", Some(98));
    }

    #[test]
    fn other_vectors() {
        for vector in [
            "",
            "CVSS:3.1/AV:N",
            "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            "AV:N/AC:L/Au:N/C:P/I:P/A:P",
        ] {
            check(vector, None);
        }
    }

    #[test]
    fn words() {
        assert_eq!(Rating::of_word("MODERATE"), Rating::Medium);
        assert_eq!(Rating::of_word("Critical"), Rating::Critical);
        assert_eq!(Rating::of_word("unknown"), Rating::Unknown);
        assert_eq!(
            [0, 39, 40, 69, 70, 89, 90, 100].map(|score| Rating::of_score(score).name()),
            ["low", "low", "medium", "medium", "high", "high", "critical", "critical"]
        );
        assert_eq!(Rating::High.or_worse().count(), 3);
    }
}
