//! The files of debhelper: what each helper installs, and where (their man pages tell).

use crate::import::draft::Draft;
use crate::import::kinds::{ASKED, LEFT, PLACED, kind};
use crate::import::manuals::manual;
use crate::import::units::UnitFile;
use crate::import::{Found, Package, debhelper, scripts, strangers, units};
use crate::venv::files::place;

/// A file of the folder that belongs to the package: its path there, the name that `--name` would have, its kind.
type Own<'a> = (String, Option<String>, &'static str, &'a Found);

/// Carries all files of a package over.
pub(super) fn carry(of: &Package<'_>, packages: &[&str], draft: &mut Draft) {
    let mut units = Vec::new();
    // Of directories matters whether something is in them, of configuration files whether they are there.
    let is_late = |file: &str| file.ends_with("dirs") || file.ends_with("conffiles");
    let (last, first): (Vec<_>, Vec<_>) =
        of.folder.files.iter().partition(|(file, _)| is_late(file));
    for (file, found) in first.into_iter().chain(last) {
        let Some(rest) = rest_of_name(file, of, packages) else { continue };
        let path = format!("debian/{file}");
        let kind = kind(&rest);
        let unread = kind.as_ref().and_then(|(name, kind)| {
            debhelper::passes_over(of, (file, &rest), (name.as_deref(), kind))
        });
        if let Some(why) = unread {
            strangers::unread(of, file, &why, draft);
            continue;
        }
        if matches!(kind, Some((_, "install"))) {
            units.extend(shipped(of, found));
        }
        match kind {
            Some((name, kind)) if units::is_unit(kind) => {
                units.push(unit(of, &path, (name, kind), found));
            }
            Some((name, kind)) => one(of, (path, name, kind, found), draft),
            None => strangers::file(of, file, found, draft),
        }
    }
    units::carry(of, &units, draft);
    if of.is_first {
        strangers::directories(of, draft);
    }
}

/// What follows the package in the name of a file that is its own; of the first package, all of it.
fn rest_of_name(file: &str, of: &Package<'_>, packages: &[&str]) -> Option<String> {
    let rest = |package: &str| {
        let rest = file.strip_prefix(package)?;
        rest.strip_prefix('.')
            .map(str::to_owned)
            .or_else(|| rest.starts_with('@').then(|| rest.to_owned()))
    };
    let owners = packages.iter().filter(|package| rest(package).is_some());
    match owners.max_by_key(|package| package.len()) {
        Some(owner) => (*owner == of.name).then(|| rest(of.name)).flatten(),
        None => of.is_first.then(|| file.to_owned()),
    }
}

fn unit<'a>(
    of: &Package<'_>,
    path: &str,
    (name, kind): (Option<String>, &str),
    found: &'a Found,
) -> UnitFile<'a> {
    let (stem, is_named) = match name.as_deref() {
        None => (of.name.to_owned(), false),
        Some("@") => (format!("{}@", of.name), false),
        Some(name) => (name.to_owned(), true),
    };
    UnitFile {
        path: path.to_owned(),
        stem,
        is_named,
        kind: kind.to_owned(),
        shipped: None,
        found: Some(found),
    }
}

/// Units that a list puts among those of the system.
fn shipped<'a>(of: &Package<'a>, list: &'a Found) -> Vec<UnitFile<'a>> {
    let mut units = Vec::new();
    for words in lines(&list.text).map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        let (sources, dir) = destination(&words);
        for (path, target, _) in sources.iter().flat_map(|source| matched(of, source, &dir)) {
            let Some((stem, kind)) = units::of_system(&target) else { continue };
            let found = path.strip_prefix("debian/").and_then(|file| of.folder.files.get(file));
            units.push(UnitFile {
                path: path.to_owned(),
                stem: stem.to_owned(),
                is_named: stem.trim_end_matches('@') != of.name,
                kind: kind.to_owned(),
                shipped: Some(target.clone()),
                found,
            });
        }
    }
    units
}

/// Lines of a list that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn one(of: &Package<'_>, (path, name, kind, found): Own<'_>, draft: &mut Draft) {
    let from = format!("`{path}`");
    if let Some((_, dir, mode, role)) = PLACED.iter().find(|(known, ..)| *known == kind) {
        if let Some(todo) = debhelper::leaves_out(of, kind, name.as_deref()) {
            draft.ask(&path, &todo);
        }
        let mut name = name.unwrap_or_else(|| of.name.to_owned());
        if kind.starts_with("cron.") {
            name = cron_name(&path, name, dir, draft);
        }
        let end = if dir.ends_with("s.d/") && dir.starts_with("/usr/lib") { ".conf" } else { "" };
        install(of, (&path, &format!("{dir}{name}{end}")), (mode, role), &from, draft);
        return;
    }
    if scripts::is_script(kind) {
        scripts::carry(of, kind, &path, found, draft);
        return;
    }
    let listed = ASKED.iter().find(|(known, _)| *known == kind);
    if let Some((_, todo)) = listed {
        draft.ask(&path, todo);
        return;
    }
    if let Some((_, why)) = LEFT.iter().find(|(known, _)| *known == kind) {
        draft.drop(&path, why);
        return;
    }
    lists(of, (path, name, kind, found), draft);
}

/// cron passes over files with other signs in their names, so such are replaced (Debian Policy 9.5). debhelper does not.
fn cron_name(path: &str, name: String, dir: &str, draft: &mut Draft) -> String {
    let is_plain = |at: char| at.is_ascii_alphanumeric() || matches!(at, '-' | '_');
    let plain = name.replace(|at| !is_plain(at), "_");
    if plain != name {
        let todo = format!(
            "debhelper installs `{dir}{name}`, which cron passes over: `{dir}{plain}` is run; hosts keep the other \
             file, which does nothing"
        );
        draft.ask(path, &todo);
    }
    plain
}

/// Files with a line for each thing.
fn lists(of: &Package<'_>, (path, _, kind, found): Own<'_>, draft: &mut Draft) {
    let doc = format!("/usr/share/doc/{}", of.name);
    let from = format!("`{path}`");
    match kind {
        "README.Debian" => {
            install(of, (&path, &format!("{doc}/README.Debian")), ("0644", "doc"), &from, draft)
        }
        "NEWS" => {
            install(of, (&path, &format!("{doc}/NEWS.Debian")), ("0644", "doc"), &from, draft)
        }
        "lintian-overrides" => draft.drop(&path, "mkpkg writes those its packages need"),
        _ => {}
    }
    for line in lines(&found.text) {
        let words: Vec<_> = line.split_whitespace().collect();
        let what = format!("{path}: {line}");
        match kind {
            "install" => install_line(of, &words, &what, draft),
            "links" => words.chunks(2).for_each(|pair| link(of, pair, &what, draft)),
            "dirs" => words.iter().for_each(|dir| {
                directory(of, dir, &format!("{path}: {dir}"), draft);
            }),
            "manpages" => words.iter().for_each(|word| manual(of, word, &from, draft)),
            "docs" => copy(of, &words, &doc, ("doc", &what), draft),
            "examples" => copy(of, &words, &format!("{doc}/examples"), ("doc", &what), draft),
            "conffiles" => configuration(line, &what, draft),
            "triggers" => trigger(line, &what, draft),
            _ => {}
        }
    }
}

/// `source … directory` (dh_install(1)).
fn install_line(of: &Package<'_>, words: &[&str], what: &str, draft: &mut Draft) {
    if words.iter().any(|word| *word == "=>" || word.contains("${")) {
        draft.ask(what, "a line for dh-exec: write it as a `[[files]]` table");
        return;
    }
    let (sources, dir) = destination(words);
    copy(of, sources, &dir, ("plain", what), draft);
}

/// The files of a line, and the directory they go to: that of a lone file is its own.
fn destination<'a>(words: &'a [&'a str]) -> (&'a [&'a str], String) {
    match words {
        [source] => {
            let parent = source.rsplit_once('/').map_or("", |(dir, _)| dir);
            let parent = parent.strip_prefix("debian/tmp").unwrap_or(parent);
            (words, format!("/{}", parent.trim_start_matches('/')))
        }
        [sources @ .., dir] => (sources, format!("/{}", dir.trim_matches('/'))),
        [] => (words, "/".to_owned()),
    }
}

/// What a pattern matches, where it goes in a directory, and with which mode.
fn matched<'a>(of: &Package<'a>, source: &str, dir: &str) -> Vec<(&'a str, String, &'static str)> {
    let source = source.trim_start_matches("./").trim_end_matches('/');
    let depth = source.matches('/').count();
    let found = of.folder.project.iter().filter(|(path, _)| matches(source, path));
    let place = |(path, is_executable): (&'a String, &bool)| {
        let below = path.split('/').skip(depth).collect::<Vec<_>>().join("/");
        let target = format!("{}/{below}", dir.trim_end_matches('/'));
        (path.as_str(), target, if *is_executable { "0755" } else { "0644" })
    };
    found.map(place).collect()
}

/// Copies what patterns match into a directory.
fn copy(
    of: &Package<'_>,
    sources: &[&str],
    dir: &str,
    (role, what): (&str, &str),
    draft: &mut Draft,
) {
    for source in sources {
        let found = matched(of, source, dir);
        if found.is_empty() {
            let todo = format!(
                "there is no `{source}`: it is made by the rules, so make it before a build"
            );
            draft.ask(what, &todo);
        }
        for (path, target, mode) in found {
            // Units are services.
            if units::of_system(&target).is_none() {
                install(of, (path, &target), (mode, role), &format!("`{what}`"), draft);
            }
        }
    }
}

/// Whether a path is what `pattern` matches, or below it; `*` and `?` do not match `/`.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    pattern.split('/').all(|pattern| {
        parts.next().is_some_and(|part| part_matches(pattern.as_bytes(), part.as_bytes()))
    })
}

fn part_matches(pattern: &[u8], part: &[u8]) -> bool {
    match (pattern, part) {
        ([b'*', rest @ ..], _) => {
            part_matches(rest, part) || !part.is_empty() && part_matches(pattern, &part[1..])
        }
        ([b'?', rest @ ..], [_, part @ ..]) => part_matches(rest, part),
        ([first, rest @ ..], [other, part @ ..]) => first == other && part_matches(rest, part),
        ([], part) => part.is_empty(),
        (_, []) => false,
    }
}

/// One file at its place, if a package of mkpkg may have it there.
pub(super) fn install(
    of: &Package<'_>,
    (path, target): (&str, &str),
    (mode, role): (&str, &str),
    from: &str,
    draft: &mut Draft,
) {
    let role = if target.starts_with("/etc/") { "config" } else { role };
    match place(target, &of.prefix) {
        Ok(_) => draft.file((&of.source_path(path), target), (mode, role), from),
        Err(_) => draft.ask(
            &format!("{path} -> {target}"),
            "`[[files]]` puts nothing there: choose a place below the prefix, /etc/<name> or /usr/share",
        ),
    }
}

/// `target link` (dh_link(1)): links in /usr/bin to commands of the environment are `bin`.
fn link(of: &Package<'_>, words: &[&str], what: &str, draft: &mut Draft) {
    let [target, link] = words else { return draft.ask(what, "it is no link: see dh_link(1)") };
    let (target, link) = (target.trim_start_matches('/'), link.trim_start_matches('/'));
    let command = target.strip_prefix(&format!("{}/bin/", of.prefix.as_str()));
    let name = link.strip_prefix("usr/bin/").filter(|name| !name.contains('/'));
    match (command, name) {
        (Some(command), Some(name)) if command == name => {
            draft.push("", "bin", name, &format!("`{}`", what.split(':').next().unwrap_or(what)));
        }
        _ => draft.ask(
            what,
            "`bin` links commands of the environment into /usr/bin under their own names, and nothing else: make \
             it an entry point of that name, or link it in `scripts.after-install`",
        ),
    }
}

/// A directory: systemd makes those that hold state (tmpfiles.d(5)).
fn directory(of: &Package<'_>, line: &str, what: &str, draft: &mut Draft) {
    let dir = format!("/{}", line.trim_matches('/'));
    if draft.has_file_below(&dir) {
        draft.carry(what, "has files");
    } else if of.prefix.absolute() == dir || dir.starts_with(&format!("{}/", of.prefix.absolute()))
    {
        draft.drop(what, "directories of the environment are there");
    } else if dir.starts_with("/var/") {
        let name = format!("debian/mkpkg/{}.tmpfiles", of.name);
        let path = format!("{}/mkpkg/{}.tmpfiles", of.folder.path, of.name);
        let text = format!("d {dir} 0755 root root -\n");
        match draft.beside.iter_mut().find(|(known, _)| *known == path) {
            Some((_, known)) => known.push_str(&text),
            None => draft
                .beside
                .push((path, format!("# Made by `mkpkg init`: see tmpfiles.d(5).\n{text}"))),
        }
        let target = format!("/usr/lib/tmpfiles.d/{}-dirs.conf", of.name);
        draft.file(
            (&of.source_path(&name), &target),
            ("0644", "plain"),
            "the directories in /var of `dirs`",
        );
        draft.carry(what, "tmpfiles.d makes it");
    } else {
        draft
            .ask(what, "empty directories are not in a package: put a file there with `[[files]]`");
    }
}

/// A line of `conffiles` (deb-conffiles(5)).
fn configuration(line: &str, what: &str, draft: &mut Draft) {
    if line.starts_with("remove-on-upgrade") {
        draft.ask(
            what,
            "build with `--previous OLD`, and the package removes what that had and it has not",
        );
    } else if draft.configure(line, &format!("`{what}`")) {
        // Said there.
    } else if line.starts_with("/etc/") {
        let todo =
            "every file in /etc is one, but nothing installs this one: name it in `[[files]]`";
        draft.ask(what, todo);
    } else {
        let todo = "a file of the environment cannot be one: have the application read it from /etc, and name it in \
                    `[[files]]` with `role = \"config\"`";
        draft.ask(what, todo);
    }
}

fn trigger(line: &str, what: &str, draft: &mut Draft) {
    if line.contains("python") || line.contains("dh-virtualenv-interpreter-update") {
        draft.drop(
            what,
            "the interpreter is a link and an exact relation: nothing has to follow its updates",
        );
    } else {
        draft.ask(
            what,
            "mkpkg's packages have no triggers: do it in `scripts.after-upgrade`, or let it go",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::import::helpers::matches;

    #[test]
    fn patterns() {
        for (pattern, path, expected) in [
            ("conf/*.ini", "conf/a.ini", true),
            ("conf/*.ini", "conf/a/b.ini", false),
            ("conf", "conf/a/b", true),
            ("con", "conf/a", false),
            ("c?nf/a*", "conf/abc", true),
            ("conf/a", "conf", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
