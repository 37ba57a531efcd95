//! Units of `debian/` as services: their names stay, and so do their texts.

use crate::document::Value;
use crate::import::draft::Draft;
use crate::import::options::{Given, call};
use crate::import::rules::overridden;
use crate::import::shell::commands;
use crate::import::{Found, Package};
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
    pub(super) kind: &'a str,
    /// What is in it.
    pub(super) found: &'a Found,
}

/// What debhelper installs, enables and starts units with.
pub(super) const HELPERS: [&str; 4] =
    ["dh_installsystemd", "dh_systemd_enable", "dh_systemd_start", "dh_installinit"];

/// Whether a kind of file is a unit.
pub(super) fn is_unit(kind: &str) -> bool {
    ["service", "socket", "timer", "mount", "path", "target", "slice"].contains(&kind)
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
    for unit in units.iter().filter(|unit| unit.kind == "service") {
        let (key, name) = key(of.name, &unit.stem);
        let from = format!("`{}`", unit.path);
        draft.service(&key, "unit", of.source_path(&unit.path), &from);
        if let Some(name) = name {
            draft.service(&key, "name", name, &from);
        }
    }
    for unit in units.iter().filter(|unit| unit.kind != "service") {
        let partner = units.iter().find(|it| it.kind == "service" && it.stem == unit.stem);
        match (unit.kind, partner) {
            ("socket" | "timer", Some(_)) => activator(of, unit, draft),
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
    let known = named_units(of);
    for unit in units.iter().filter(|unit| unit.is_named && !known.contains(&unit.stem)) {
        let todo = "without `--name` debhelper does not install it; it is installed now: take it out if it is no longer used";
        draft.ask(&unit.path, todo);
    }
    policies(of, draft);
}

/// Names of units that helpers are told to install.
fn named_units(of: &Package<'_>) -> Vec<String> {
    let all = of.folder.recipe.commands();
    let helpers = all.iter().filter(|(_, command)| HELPERS.contains(&command.program()));
    helpers.flat_map(|(_, command)| names(&call(command).options)).collect()
}

/// A socket or timer as directives of its service.
fn activator(of: &Package<'_>, unit: &UnitFile<'_>, draft: &mut Draft) {
    let (key, _) = key(of.name, &unit.stem);
    let own = if unit.kind == "socket" { "Socket" } else { "Timer" };
    let wanted = format!("WantedBy={}s.target", unit.kind);
    let mut directives = toml_table();
    let mut section = String::new();
    for line in lines(&unit.found.text) {
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
    draft.service(&key, unit.kind, Value::Table(directives), &format!("`{}`", unit.path));
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

/// What the helpers are told of starting and restarting (dh_installsystemd(1)).
fn policies(of: &Package<'_>, draft: &mut Draft) {
    for (target, text) in &of.folder.recipe.targets {
        if !overridden(target).is_some_and(|(helper, _)| HELPERS.contains(&helper)) {
            continue;
        }
        for command in commands(text).iter().filter(|it| HELPERS.contains(&it.program())) {
            let call = call(command);
            if !call.is_about(of.name) {
                continue;
            }
            let named = names(&call.options);
            for option in &call.options {
                policy(of, option, &named, draft);
            }
        }
    }
}

/// The values of `--name`.
fn names(options: &[Given]) -> Vec<String> {
    let named = options.iter().filter(|option| option.name == "--name");
    named.filter_map(|option| option.value.clone()).collect()
}

fn policy(of: &Package<'_>, option: &Given, named: &[String], draft: &mut Draft) {
    let key_of = |name: &String| key(of.name, name).0;
    let all = draft.service_keys();
    let keys: Vec<_> = match named {
        [] => all,
        named => named.iter().map(key_of).filter(|key| all.contains(key)).collect(),
    };
    let setting = match option.name.as_str() {
        "--no-enable" => "enable",
        "--no-start" => "start",
        "--no-restart-on-upgrade" | "--no-stop-on-upgrade" | "-r" => "restart-on-upgrade",
        // Stopped before files change and started after, or restarted once they have: both end in new code running.
        "--restart-after-upgrade" | "-R" | "--no-restart-after-upgrade" => return,
        "--name" | "--package" | "--no-package" => return,
        _ => {
            let todo = "see whether the services need it: mkpkg restarts them in an upgrade once all files are there";
            draft.ask(&option.text(), todo);
            return;
        }
    };
    for key in keys {
        draft.service(&key, setting, Value::Boolean(false), &format!("`{}`", option.text()));
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
