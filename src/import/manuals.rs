//! Manual pages, by the names that dh_installman(1) goes by.

use crate::import::Package;
use crate::import::draft::Draft;
use crate::import::helpers::{install, matches};

/// A manual page, by the section at the end of its name and the language before that.
pub(super) fn manual(of: &Package<'_>, source: &str, from: &str, draft: &mut Draft) {
    let found: Vec<_> = of.folder.project.keys().filter(|path| matches(source, path)).collect();
    if found.is_empty() {
        draft.ask(source, "this manual page is made by the rules: make it before a build, then list it in `files`");
    }
    for path in found {
        let name = path.rsplit('/').next().unwrap_or_default();
        let plain = name.strip_suffix(".gz").unwrap_or(name);
        let Some((stem, section)) = plain.rsplit_once('.') else { continue };
        let language = stem.rsplit_once('.').map(|(_, language)| language);
        let language = language.filter(|it| is_language(it));
        let (dir, name) = match language {
            Some(language) => {
                (format!("{language}/"), name.replacen(&format!(".{language}."), ".", 1))
            }
            None => (String::new(), name.to_owned()),
        };
        let digit = section.chars().next().unwrap_or('1');
        let target = format!("/usr/share/man/{dir}man{digit}/{name}");
        install(of, (path, &target), ("0644", "plain"), from, draft);
    }
}

/// Whether part of the name of a manual page is its language, such as `de` or `pt_BR` (dh_installman(1)).
fn is_language(part: &str) -> bool {
    let (language, country) = part.split_once('_').unwrap_or((part, "XX"));
    let is_code = |text: &str, is_case: fn(&char) -> bool| {
        text.len() == 2 && text.chars().all(|at| is_case(&at))
    };
    is_code(language, char::is_ascii_lowercase) && is_code(country, char::is_ascii_uppercase)
}
