//! PEP 440 versions in signs both formats order alike.
//!
//! Knows neither format's order of post-releases and local versions: its backend has the words for them.

use crate::pep::VersionParts;

/// `parts` in one word, with `post` before the number of a post-release and `local` before a local version.
///
/// Both formats sort `~` before the end of a version. A development release comes before every pre-release of the
/// same version, hence its two `~` when it has nothing else to lean on.
pub(super) fn spell(parts: &VersionParts, post: &str, local: &str) -> String {
    let numbers: Vec<_> = parts.release.iter().map(ToString::to_string).collect();
    let mut text = numbers.join(".");
    if let Some((kind, number)) = parts.pre {
        text += &format!("~{kind}{number}");
    }
    if let Some(number) = parts.post {
        text += &format!("{post}{number}");
    }
    if let Some(number) = parts.dev {
        let is_final = parts.pre.is_none() && parts.post.is_none();
        text += if is_final { "~~dev" } else { "~dev" };
        text += &number.to_string();
    }
    if let Some(word) = &parts.local {
        text += &format!("{local}{word}");
    }
    text
}
