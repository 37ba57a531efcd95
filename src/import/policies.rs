//! What the helpers of debhelper do with units: which they install, enable, start and restart (dh_installsystemd(1),
//! dh_systemd_enable(1), dh_systemd_start(1), dh_installinit(1)).

use crate::document::Value;
use crate::import::Package;
use crate::import::control::is_for_all;
use crate::import::debhelper::level;
use crate::import::draft::Draft;
use crate::import::options::{Call, Given};
use crate::import::rules::overridden;

/// What an option keeps a helper from, as the key of a service, and the options that do.
const SETTINGS: [(&str, &[&str]); 3] = [
    ("enable", &["--no-enable"]),
    ("start", &["--no-start"]),
    ("restart-on-upgrade", &["--no-restart-on-upgrade", "--no-stop-on-upgrade", "-r"]),
];

/// A helper, what it decides about units, and whether units it is not told of are left alone by it.
const HELPERS: [(&str, &[&str], bool); 4] = [
    ("dh_installsystemd", &["enable", "start", "restart-on-upgrade"], true),
    ("dh_systemd_enable", &["enable"], true),
    ("dh_systemd_start", &["start", "restart-on-upgrade"], true),
    // Units are started by the others; still, who told it not to meant them.
    ("dh_installinit", &["enable", "start", "restart-on-upgrade"], false),
];

/// Options that say which units, or are about how an upgrade restarts: stopped before files change and started after, or
/// restarted once they have, both end in new code running.
const KNOWN: [&str; 8] = [
    "--name",
    "--package",
    "--no-package",
    "--exclude",
    "--restart-after-upgrade",
    "--no-restart-after-upgrade",
    "-R",
    "--",
];

/// Whether a program is a helper for units.
pub(super) fn is_helper(program: &str) -> bool {
    HELPERS.iter().any(|(helper, ..)| *helper == program)
}

/// Whether a helper installs a unit of `debhelper` that is called `stem` there, with `--name` if it is not called as the
/// package.
pub(super) fn is_installed(of: &Package<'_>, stem: &str, is_named: bool) -> bool {
    // Before level 11 others did it.
    let installers: &[&str] = match level(of) {
        Some(0..=10) => &["dh_installinit", "dh_systemd_enable"],
        Some(11..) | None => &["dh_installsystemd"],
    };
    installers.iter().any(|helper| {
        let is_ours = |call: &Call| match call.values("--name").as_slice() {
            [] => !is_named,
            names => names.contains(&stem),
        };
        !is_named && target_of(of, helper).is_none() || calls(of, helper).iter().any(is_ours)
    })
}

/// The target that stands for a helper.
fn target_of<'a>(of: &'a Package<'_>, helper: &str) -> Option<&'a str> {
    let mut targets = of.folder.recipe.targets.keys();
    targets.find(|target| overridden(target) == Some((helper, true))).map(String::as_str)
}

/// Calls of a helper that are about the package.
fn calls(of: &Package<'_>, helper: &str) -> Vec<Call> {
    let calls = of.folder.recipe.calls_of(helper).into_iter();
    calls.filter(|call| call.is_about(of.name, is_for_all(of.stanza))).collect()
}

/// Says of each service what helpers are told not to do with it.
pub(super) fn carry(of: &Package<'_>, draft: &mut Draft) {
    let services: Vec<_> =
        draft.service_keys().into_iter().map(|key| unit(of, key, draft)).collect();
    for (helper, decides, leaves_alone) in HELPERS {
        let target = target_of(of, helper);
        let mut calls = calls(of, helper);
        if target.is_none() {
            // It runs by itself, and before what stands behind it.
            let is_behind = |call: &Call| overridden_after(&call.target) == Some(helper);
            let at = calls.iter().position(is_behind).unwrap_or(calls.len());
            calls.insert(at, Call::default());
        }
        let target = target.unwrap_or(helper);
        for call in &calls {
            unknown(&services, call, draft);
        }
        for service in &services {
            let about: Vec<_> = calls_about(&calls, service);
            // Templates are passed over (dh_installsystemd).
            if about.is_empty() && (!leaves_alone || service.stem.ends_with('@')) {
                continue;
            }
            for (setting, options) in SETTINGS.iter().filter(|(it, _)| decides.contains(it)) {
                // One call that does it is enough.
                let denials: Vec<_> =
                    about.iter().filter_map(|call| denial(call, options)).collect();
                if denials.len() < about.len() {
                    continue;
                }
                let from = match denials.first() {
                    Some(option) => format!("`{}`", option.text()),
                    None => format!("`{target}`, which does nothing with `{}`", service.unit),
                };
                draft.service(&service.key, setting, Value::Boolean(false), &from);
            }
        }
    }
}

/// The helper that a target comes after.
fn overridden_after(target: &str) -> Option<&str> {
    let (helper, _) = overridden(target)?;
    target.starts_with("execute_after_").then_some(helper)
}

/// The option with which a call does not do something.
fn denial<'a>(call: &'a Call, options: &[&str]) -> Option<&'a Given> {
    call.options.iter().find(|option| options.contains(&option.name.as_str()))
}

/// A service, and the unit that is enabled and started for it.
struct Service {
    key: String,
    stem: String,
    unit: String,
}

/// A socket or a timer is enabled and started in place of its service.
fn unit(of: &Package<'_>, key: String, draft: &Draft) -> Service {
    let value = |name: &str| draft.service_value(&key, name);
    let (plain, at) = key.strip_suffix('@').map_or((key.as_str(), ""), |plain| (plain, "@"));
    let stem = match value("name").and_then(Value::as_str) {
        Some(name) => name.to_owned(),
        None if plain == "main" => format!("{}{at}", of.name),
        None => format!("{}-{key}", of.name),
    };
    let kind = ["socket", "timer"].into_iter().find(|kind| value(kind).is_some());
    let unit = format!("{stem}.{}", kind.unwrap_or("service"));
    Service { key, stem, unit }
}

/// Units that a call names, without the directories they lie in.
fn named(call: &Call) -> impl Iterator<Item = &str> {
    let names = call.options.iter().filter(|option| !option.name.starts_with('-'));
    names.map(|option| option.name.rsplit('/').next().unwrap_or_default())
}

/// The calls that do something with a service. One that names none is about those that are there by then: what a later
/// `--name` installs is not.
fn calls_about<'a>(calls: &'a [Call], service: &Service) -> Vec<&'a Call> {
    let is_named = |call: &Call| call.values("--name").contains(&service.stem.as_str());
    let first = calls.iter().position(is_named).unwrap_or(0);
    let is_listed = |name: &str| name == service.unit || name == service.stem;
    let is_about = |(index, call): &(usize, &Call)| {
        !call.values("--exclude").contains(&service.unit.as_str())
            && match named(call).next() {
                Some(_) => named(call).any(is_listed),
                None if call.values("--name").is_empty() => *index >= first,
                None => is_named(call),
            }
    };
    calls.iter().enumerate().filter(is_about).map(|(_, call)| call).collect()
}

/// Options that are not known, and names of units that are not there.
fn unknown(services: &[Service], call: &Call, draft: &mut Draft) {
    let is_denial = |name: &str| SETTINGS.iter().any(|(_, options)| options.contains(&name));
    for option in call.options.iter().filter(|option| option.name.starts_with('-')) {
        if !option.name.starts_with("-O")
            && !KNOWN.contains(&option.name.as_str())
            && !is_denial(&option.name)
        {
            let todo = "see whether the services need it: mkpkg restarts them in an upgrade once all files are there";
            draft.ask(&option.text(), todo);
        }
    }
    let is_there = |name: &str| {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        services.iter().any(|service| service.stem == stem || service.stem == name)
    };
    for name in named(call).filter(|name| !is_there(name)) {
        draft.ask(name, "helpers are told of this unit, which no service of the package has: see whether it is needed");
    }
}

#[cfg(test)]
mod tests {
    use crate::import::tests::imported;

    const UNITS: &str = "debian/acme.service lib/systemd/system\ndebian/acme-web.service usr/lib/systemd/system\n\
                         debian/acme-web.socket lib/systemd/system\n";

    const SERVICE: &str = "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n";
    const NAMED: [(&str, &str); 2] = [("acme.service", SERVICE), ("acme.web.service", SERVICE)];
    const SHIPPED: [(&str, &str); 4] = [
        ("acme.install", UNITS),
        ("acme.service", SERVICE),
        ("acme-web.service", SERVICE),
        ("acme-web.socket", "[Socket]\nListenStream=1\n[Install]\nWantedBy=sockets.target\n"),
    ];
    const TARGET: &str = "override_dh_installsystemd:\n";

    fn rules(lines: &[&str]) -> String {
        let lines: String = lines.iter().map(|line| format!("\t{line}\n")).collect();
        format!("{TARGET}{lines}")
    }

    /// Settings of the services, in short, with these lines in the override of a helper, and what a human is told.
    fn check(rules: &str, files: &[(&str, &str)], expected: &[&str], asked: &[&str]) {
        let rules = format!("%:\n\tdh $@ --with python-virtualenv\n{rules}");
        let all = [("control", "Source: a\n\nPackage: acme\n\nPackage: tools\n")];
        let project: Vec<_> = files.iter().map(|(name, _)| format!("debian/{name}")).collect();
        let project: Vec<_> = project.iter().map(String::as_str).collect();
        let found = imported(&rules, &[&all, files].concat(), &project).unwrap();
        let draft = &found[0].draft;
        let mut settings = Vec::new();
        for key in draft.service_keys() {
            let is_off = |name: &&&str| draft.service_value(&key, name).is_some();
            let off: Vec<_> =
                ["enable", "start", "restart-on-upgrade"].iter().filter(is_off).copied().collect();
            settings.push(format!("{key}: {}", off.join(" ")).trim_end().to_owned());
        }
        assert_eq!(settings, expected, "{rules}\n{}", found[0].text);
        let human: Vec<_> =
            draft.human.iter().map(|it| format!("{}: {}", it.what, it.text)).collect();
        let of_units: Vec<_> = human
            .iter()
            .filter(|it| ["unit", "install", "see whether"].iter().any(|word| it.contains(word)))
            .collect();
        assert_eq!(of_units.len(), asked.len(), "{rules}\n{of_units:?}");
        for (human, asked) in of_units.iter().zip(asked) {
            assert!(human.contains(asked), "{human}");
        }
    }

    #[test]
    fn what_helpers_do_with_units() {
        let spare = "acme.web.service: without `--name`";
        let usr = "acme-web.service: helpers of debhelper up to";
        check("", &NAMED, &["main:", "web:"], &[spare]);
        check("", &SHIPPED, &["main:", "web:"], &[usr]);
        check(
            &rules(&[
                "dh_installsystemd --no-enable acme.service",
                "dh_installsystemd acme-web.socket",
            ]),
            &SHIPPED,
            &["main: enable", "web:"],
            &[usr],
        );
        check(
            &rules(&["dh_installsystemd", "dh_installsystemd --no-start --name web"]),
            &NAMED,
            &["main:", "web: start"],
            &[],
        );
        check(
            &rules(&["dh_installsystemd --no-start --name web", "dh_installsystemd"]),
            &NAMED,
            &["main:", "web:"],
            &[],
        );
        check(
            &rules(&[
                "dh_installsystemd -ptools --no-start",
                "dh_installsystemd --no-start -r -X acme-web.socket",
            ]),
            &SHIPPED,
            &["main: start restart-on-upgrade", "web: enable start restart-on-upgrade"],
            &[usr],
        );
        let off = ["main: enable start restart-on-upgrade", "web: enable start restart-on-upgrade"];
        check(TARGET, &SHIPPED, &off, &[usr]);
        check(TARGET, &NAMED[..1], &off[..1], &["acme.service: the rules"]);
        // The second is told of what the first installs as well, unless it comes before.
        let default = "override_dh_installinit:\n\tdh_installsystemd --no-start --name web\n";
        check(default, &NAMED, &["main:", "web:"], &[]);
        let behind = default.replace("override_dh_installinit", "execute_after_dh_installsystemd");
        check(&behind, &NAMED, &["main:", "web: start"], &[]);
        // It is about scripts of init, of which there are none.
        check("override_dh_installinit:\n", &NAMED[..1], &["main:"], &[]);
        check(
            "override_dh_installinit:\n\tdh_installinit --no-start\n",
            &NAMED[..1],
            &["main: start"],
            &[],
        );
        check(
            &rules(&["dh_installsystemd --gone gone.service"]),
            &NAMED[..1],
            &off[..1],
            &["gone: see whether the services", "gone.service: helpers are told of this unit"],
        );
    }

    #[test]
    fn units_of_users() {
        let unit = "[Service]\nExecStart=/x\n";
        let files = [("acme.user.service", unit), ("acme@.user.service", unit)];
        check("", &files, &[], &["acme.user.service: it is a unit of users", "acme@.user.service"]);
    }
}
