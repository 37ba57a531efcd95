//! `shlibs` files: the relation a library implies, whatever is used of it (deb-shlibs(5)).

/// The relations `text` has for `soname`; `None` when it does not know it.
pub(super) fn find(text: &str, soname: &str) -> Option<String> {
    let (name, version) = split(soname)?;
    let mut general = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut rest = line.trim();
        let kind = word(&mut rest);
        let (kind, library) = match kind.strip_suffix(':') {
            Some(kind) => (Some(kind), word(&mut rest)),
            None => (None, kind),
        };
        if (library, word(&mut rest)) != (name, version) {
            continue;
        }
        match kind {
            // One for binary packages beats one for all.
            Some("deb") => return Some(rest.to_owned()),
            Some(_) => {}
            None => {
                general.get_or_insert_with(|| rest.to_owned());
            }
        }
    }
    general
}

/// Name and version of a library, as these files have them; `None` when its name has no version.
pub(super) fn split(soname: &str) -> Option<(&str, &str)> {
    let stable = soname.rmatch_indices(".so.").find_map(|(at, found)| {
        let (name, version) = (&soname[..at], &soname[at + found.len()..]);
        (!name.is_empty() && !version.is_empty()).then_some((name, version))
    });
    stable.or_else(|| {
        let stem = soname.strip_suffix(".so")?;
        stem.rmatch_indices('-').find_map(|(at, _)| {
            let (name, version) = (&stem[..at], &stem[at + 1..]);
            let is_version = version.starts_with(|at: char| at.is_ascii_digit());
            (!name.is_empty() && is_version).then_some((name, version))
        })
    })
}

fn word<'a>(rest: &mut &'a str) -> &'a str {
    let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    *rest = after.trim_start();
    word
}

#[cfg(test)]
mod tests {
    use crate::backend::deb::libraries::shlibs::{find, split};

    #[test]
    fn names() {
        for (soname, expected) in [
            ("libbz2.so.1.0", Some(("libbz2", "1.0"))),
            ("libdb-5.3.so", Some(("libdb", "5.3"))),
            ("libfoo-bar-2a.so", Some(("libfoo-bar", "2a"))),
            ("libfoo.so", None),
            ("libfoo-x1.so", None),
            (".so.1", None),
            ("", None),
        ] {
            assert_eq!(split(soname), expected, "{soname}");
        }
    }

    #[test]
    fn lines() {
        let text = "# libbz2 1.0 wrong\nudeb: libbz2 1.0 libbz2-udeb\nlibbz2\t1.0\tlibbz2-1.0\n\
                    libz 1 a (>= 1), b | c \nlibz 1 late\nlibq 1 general\ndeb: libq 1 special\nlibn 2\n";
        for (soname, expected) in [
            ("libbz2.so.1.0", Some("libbz2-1.0")),
            ("libz.so.1", Some("a (>= 1), b | c")),
            ("libq.so.1", Some("special")),
            ("libn.so.2", Some("")),
            ("libn.so.3", None),
            ("libbz2.so", None),
        ] {
            assert_eq!(find(text, soname).as_deref(), expected, "{soname}");
        }
    }
}
