//! Units of `debian/` as services: their names stay, and so do their texts.

use crate::document::Value;
use crate::import::draft::Draft;
use crate::import::{Found, Package, policies};
use crate::systemd::lines;

/// A file of the folder that is a unit.
#[derive(Clone, Debug)]
pub(super) struct UnitFile<'a> {
    /// Its path, as `debian/…`.
    pub(super) path: String,
    /// Its name on a host, without its end.
    pub(super) stem: String,
    /// Whether that is not the name of the package.
    pub(super) is_named: bool,
    /// `service`, `socket`, …
    pub(super) kind: String,
    /// Whether a list of `install` puts it among the units of the system, and where, instead of a helper for units.
    pub(super) shipped: Option<String>,
    /// What is in it, if it lies in the folder.
    pub(super) found: Option<&'a Found>,
}

/// Whether a kind of file is a unit.
pub(super) fn is_unit(kind: &str) -> bool {
    ["service", "socket", "timer", "mount", "path", "target", "slice"].contains(&kind)
}

/// The name of a unit without its end, and its kind, if a path is that of one of the system.
pub(super) fn of_system(path: &str) -> Option<(&str, &str)> {
    let mut name = None;
    for dir in ["/lib/systemd/system/", "/usr/lib/systemd/system/"] {
        name = name.or_else(|| path.strip_prefix(dir));
    }
    let (stem, kind) = name.filter(|name| !name.contains('/'))?.rsplit_once('.')?;
    is_unit(kind).then_some((stem, kind))
}

/// The key of a unit in the configuration, and its own name where that does not follow from the key.
fn key(package: &str, stem: &str) -> (String, Option<String>) {
    let (plain, at) = stem.strip_suffix('@').map_or((stem, ""), |plain| (plain, "@"));
    if plain == package {
        return (format!("main{at}"), None);
    }
    match plain.strip_prefix(package).and_then(|rest| rest.strip_prefix('-')) {
        Some(rest) if !rest.is_empty() => (format!("{rest}{at}"), None),
        Some(_) | None => (stem.to_owned(), Some(stem.to_owned())),
    }
}

/// Carries the units of a package over.
pub(super) fn carry(of: &Package<'_>, units: &[UnitFile<'_>], draft: &mut Draft) {
    let is_installed = |unit: &UnitFile<'_>| policies::is_installed(of, &unit.stem, unit.is_named);
    // A helper for units comes after lists of `install`, and writes over what is there.
    let is_hidden = |unit: &UnitFile<'_>| {
        units.iter().any(|rival| {
            let is_same = (&rival.stem, &rival.kind) == (&unit.stem, &unit.kind);
            is_same
                && match (&unit.shipped, &rival.shipped) {
                    (Some(_), None) => is_installed(rival),
                    (None, Some(_)) => !is_installed(unit),
                    (Some(_), Some(_)) | (None, None) => false,
                }
        })
    };
    let units: Vec<_> = units.iter().filter(|unit| !is_hidden(unit)).collect();
    for unit in &units {
        if let Some(todo) = doubt(unit, is_installed(unit)) {
            draft.ask(&unit.path, todo);
        }
    }
    for unit in units.iter().filter(|unit| unit.kind == "service") {
        let (key, name) = key(of.name, &unit.stem);
        let from = format!("`{}`", unit.path);
        draft.service(&key, "unit", of.source_path(&unit.path), &from);
        if let Some(name) = name {
            draft.service(&key, "name", name, &from);
        }
    }
    for unit in units.iter().filter(|unit| unit.kind != "service") {
        let has_service = units.iter().any(|it| it.kind == "service" && it.stem == unit.stem);
        match (unit.kind.as_str(), unit.found) {
            ("socket" | "timer", Some(found)) if has_service => activator(of, unit, found, draft),
            _ => {
                let target = format!("/usr/lib/systemd/system/{}.{}", unit.stem, unit.kind);
                let from = format!("`{}`", unit.path);
                draft.file((&of.source_path(&unit.path), &target), ("0644", "plain"), &from);
                draft.ask(
                    &unit.path,
                    "it is installed, but neither enabled nor started: mkpkg does that for services, and for the \
                     socket or timer of the same name",
                );
            }
        }
    }
    policies::carry(of, draft);
}

/// What is not sure about a unit.
fn doubt(unit: &UnitFile<'_>, is_installed: bool) -> Option<&'static str> {
    match &unit.shipped {
        None if is_installed => None,
        None if unit.is_named => Some(
            "without `--name` debhelper does not install it; it is installed now: take it out if it is no longer used",
        ),
        None => Some(
            "the rules leave out the helper that installs this unit; it is installed now: take it out if it is no \
             longer used",
        ),
        Some(path) if path.starts_with("/usr/") => Some(
            "helpers of debhelper up to Debian 12 neither enable nor start units in /usr/lib; it is now: set `enable` \
             and `start` to `false` if that is not meant",
        ),
        Some(_) => None,
    }
}

/// A socket or timer as directives of its service.
fn activator(of: &Package<'_>, unit: &UnitFile<'_>, found: &Found, draft: &mut Draft) {
    let (key, _) = key(of.name, &unit.stem);
    let own = if unit.kind == "socket" { "Socket" } else { "Timer" };
    let wanted = format!("WantedBy={}s.target", unit.kind);
    let mut directives = toml_table();
    let mut section = String::new();
    for line in lines(&found.text) {
        if let Some(name) = line.text.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
            continue;
        }
        let (name, value) = line.text.split_once('=').unwrap_or((&line.text, ""));
        let (name, value) = (name.trim(), value.trim());
        if section == own {
            add(&mut directives, name, value);
        } else if name != "Description" && format!("{name}={value}") != wanted {
            let todo = format!("it is not carried over: see that `services.{key}` works without");
            draft.ask(&format!("{}: [{section}] {name}={value}", unit.path), &todo);
        }
    }
    draft.service(&key, &unit.kind, Value::Table(directives), &format!("`{}`", unit.path));
}

fn toml_table() -> crate::document::Table {
    crate::document::Table::new()
}

/// A directive that is there already has several values.
fn add(directives: &mut crate::document::Table, name: &str, value: &str) {
    let value = Value::String(value.to_owned());
    match directives.get_mut(name) {
        None => {
            directives.insert(name.to_owned(), value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(one) => *one = Value::Array(vec![one.clone(), value]),
    }
}

#[cfg(test)]
mod tests {
    use crate::import::units::key;

    #[test]
    fn names_of_units() {
        for (stem, expected, own) in [
            ("acme", "main", None),
            ("acme-web", "web", None),
            ("acme-worker@", "worker@", None),
            ("acme@", "main@", None),
            ("acmed", "acmed", Some("acmed")),
            ("other@", "other@", Some("other@")),
        ] {
            let (key, name) = key("acme", stem);
            assert_eq!((key.as_str(), name.as_deref()), (expected, own));
        }
    }
}
