//! Maintainer scripts (Debian Policy 6): which parts of which template a package needs, and with which values.
//!
//! What happens when is what debhelper's scripts do, said in the templates. Knows nothing of where units come from.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::backend::deb::version;
use crate::backend::hooks::{Hooks, hooks};
use crate::error::UserError;
use crate::lifecycle::{Activation, Changes, Lifecycle, Moment, OnUpgrade, Unit};
use crate::package::PackageMeta;
use crate::templates::render;
use crate::tree::PkgPath;

const PREINST: &str = include_str!("../../../templates/deb/preinst.hbs");
const POSTINST: &str = include_str!("../../../templates/deb/postinst.hbs");
/// Python writes byte code beside its sources, dpkg does not know of it, and would leave the directories behind.
/// After `prerm` it is too late: dpkg removes directories before it calls `postrm`. In an upgrade `prerm` is that of the
/// version before, which may be of dh-virtualenv and do nothing: then `preinst` does it.
const PRERM: &str = include_str!("../../../templates/deb/prerm.hbs");
const POSTRM: &str = include_str!("../../../templates/deb/postrm.hbs");

/// The values of all templates. Lists of units keep the order in which they are started.
#[derive(Serialize)]
struct Values {
    hooks: Hooks,
    package: String,
    /// Directory of the package, without the `/` in front.
    prefix: String,
    /// Whether the package has code, beside which there may be byte code that it does not have.
    has_code: bool,
    /// Whether the script has a snippet.
    has_snippets: bool,
    sysusers: Vec<String>,
    tmpfiles: Vec<String>,
    /// Whether there is an account or a directory to make.
    is_prepared: bool,
    units: Units,
    /// Whether systemd has to know of anything.
    is_live: bool,
    /// Whether `postinst` asks which units run.
    has_running: bool,
    /// Whether a removal is more than an upgrade to `prerm`.
    is_more: bool,
    state_dirs: Vec<String>,
    /// Arguments of dpkg-maintscript-helper(1), but for those of the script.
    moves: Vec<Vec<String>>,
}

/// Names of units by what is done to them.
#[derive(Default, Serialize)]
struct Units {
    /// Every one of them.
    all: Vec<String>,
    /// A fresh installation enables them.
    enabled: Vec<String>,
    /// They have an `[Install]` section and are for the administrator to enable.
    disabled: Vec<String>,
    /// A fresh installation starts them.
    started: Vec<String>,
    /// Those of them that an upgrade only starts.
    kept: Vec<String>,
    /// Those of them that an upgrade restarts.
    restarted: Vec<String>,
    /// An upgrade restarts them if they run.
    retried: Vec<String>,
    /// All that is no template, which a removal stops.
    stopped: Vec<String>,
    /// Those that leave a stamp of when they elapsed (systemd.timer(5), `Persistent=`).
    timers: Vec<String>,
    /// Patterns of the instances of templates.
    instances: Vec<String>,
    /// Those of them that an upgrade restarts if they run.
    restarted_instances: Vec<String>,
}

/// The scripts of a package by name; only those that have something to do.
pub(super) fn scripts(meta: &PackageMeta) -> Result<BTreeMap<&'static str, String>> {
    check(meta)?;
    let lifecycle = &meta.lifecycle;
    let has = |moments: &[Moment]| moments.iter().any(|at| lifecycle.snippets.contains_key(at));
    let changes = &lifecycle.changes;
    let has_moves =
        *changes != Changes { dropped_units: changes.dropped_units.clone(), ..Changes::default() };
    let has_units = !lifecycle.units.is_empty();
    let has_sockets = lifecycle.units.iter().any(|unit| unit.name.ends_with(".socket"));
    let is_configured = has_units
        || !lifecycle.sysusers.is_empty()
        || !lifecycle.tmpfiles.is_empty()
        || !lifecycle.checks.is_empty()
        || !changes.dropped_units.is_empty();
    let wanted = [
        (
            "preinst",
            PREINST,
            &[Moment::BeforeInstall, Moment::BeforeUpgrade][..],
            has_moves || has_sockets || meta.has_code(),
        ),
        (
            "postinst",
            POSTINST,
            &[Moment::AfterInstall, Moment::AfterUpgrade],
            has_moves || is_configured || lifecycle.alternative.is_some(),
        ),
        ("prerm", PRERM, &[Moment::BeforeRemove], has_units || meta.has_code()),
        (
            "postrm",
            POSTRM,
            &[Moment::AfterRemove],
            has_moves || has_units || !lifecycle.state_dirs.is_empty(),
        ),
    ];
    let mut scripts = BTreeMap::new();
    for (name, template, moments, is_needed) in wanted {
        if is_needed || has(moments) {
            let text = render(name, template, &values(meta, has(moments)))?;
            scripts.insert(name, text);
        }
    }
    Ok(scripts)
}

/// Refuses what would mean something else in a script than it does in the package.
fn check(meta: &PackageMeta) -> Result<()> {
    let prefix = meta.prefix.as_str();
    // Every one of these is itself to a shell in quotes, to sed and to find; a `-` in front cannot occur
    // because a path begins with a letter, a digit or one of `._`.
    let is_plain =
        |at: char| at.is_ascii_alphanumeric() || matches!(at, '.' | '_' | '+' | '-' | '/');
    if !prefix.chars().all(is_plain) || prefix.starts_with(['-', '+']) {
        let message = format!("prefix `{}` cannot be used in a script", meta.prefix);
        return Err(UserError::usage(message)
            .hint("use letters, digits and `._+-/` in `prefix`")
            .into());
    }
    let Lifecycle { sysusers, tmpfiles, units, checks, snippets, state_dirs, changes, .. } =
        &meta.lifecycle;
    for text in checks.iter().chain(snippets.values()) {
        if text.contains('\0') {
            let message = "a NUL character cannot stand in a script";
            return Err(UserError::usage(message).hint("see `check` and `scripts`").into());
        }
    }
    // The rest was checked where it was made. Here it becomes a pattern, an argument, or is deleted by root.
    let is_name = |at: char| at.is_ascii_alphanumeric() || ":_.-@\\".contains(at);
    let units = units.iter().map(|unit| &unit.name).chain(&changes.dropped_units);
    for name in units.chain(sysusers).chain(tmpfiles) {
        let is_good = !name.starts_with('-') && name.chars().all(is_name);
        ensure!(is_good, "`{}` is no file name of systemd's", name.escape_debug());
    }
    for dir in state_dirs {
        let homes = ["var/lib/", "var/cache/", "var/log/", "run/"];
        let is_good = homes.iter().any(|home| dir.as_str().starts_with(home));
        ensure!(is_good, "`{dir}` is no directory of a service");
    }
    Ok(())
}

fn values(meta: &PackageMeta, has_snippets: bool) -> Values {
    let lifecycle = &meta.lifecycle;
    let units = units(&lifecycle.units);
    let dropped = &lifecycle.changes.dropped_units;
    let is_live = !units.all.is_empty() || !dropped.is_empty();
    let hooks = hooks(meta, "deb", version::full(meta), "dpkg --configure");
    Values {
        package: meta.name.to_string(),
        prefix: meta.prefix.as_str().to_owned(),
        has_snippets,
        sysusers: lifecycle.sysusers.clone(),
        tmpfiles: lifecycle.tmpfiles.clone(),
        is_prepared: !lifecycle.sysusers.is_empty() || !lifecycle.tmpfiles.is_empty(),
        is_live,
        has_running: !dropped.is_empty() || !units.restarted_instances.is_empty(),
        is_more: !units.all.is_empty() || has_snippets || hooks.offers.is_some(),
        has_code: meta.has_code(),
        state_dirs: lifecycle.state_dirs.iter().map(PkgPath::absolute).collect(),
        moves: moves(&lifecycle.changes, &format!("{}~", version::full(meta))),
        units,
        hooks,
    }
}

fn units(units: &[Unit]) -> Units {
    let mut sorted = Units::default();
    for unit in units {
        let name = || unit.name.clone();
        sorted.all.push(name());
        if unit.name.ends_with(".timer") {
            sorted.timers.push(name());
        }
        match unit.instances() {
            Some(instances) => {
                sorted.instances.push(instances.clone());
                match unit.on_upgrade {
                    OnUpgrade::Restart => sorted.restarted_instances.push(instances),
                    OnUpgrade::Keep => {}
                }
                continue;
            }
            None => sorted.stopped.push(name()),
        }
        let is_started = match unit.activation {
            Activation::Boot { enable, start } => {
                let list = if enable { &mut sorted.enabled } else { &mut sorted.disabled };
                list.push(name());
                start
            }
            Activation::Unit | Activation::Instance => false,
        };
        if is_started {
            sorted.started.push(name());
        }
        match unit.on_upgrade {
            OnUpgrade::Restart if is_started => sorted.restarted.push(name()),
            OnUpgrade::Restart => sorted.retried.push(name()),
            OnUpgrade::Keep if is_started => sorted.kept.push(name()),
            OnUpgrade::Keep => {}
        }
    }
    sorted
}

/// Calls of dpkg-maintscript-helper(1): `prior` is the version up to which a package had what changed.
fn moves(changes: &Changes, prior: &str) -> Vec<Vec<String>> {
    let call = |name: &str, path: &PkgPath, target: Option<&str>| {
        let path = path.absolute();
        let words = [Some(name), Some(&path), target, Some(prior)];
        words.into_iter().flatten().map(str::to_owned).collect()
    };
    let links = changes.dir_to_link.iter().map(|(path, to)| call("dir_to_symlink", path, Some(to)));
    let dirs =
        changes.link_to_dir.iter().map(|(path, was)| call("symlink_to_dir", path, Some(was)));
    let configs = changes.dropped_configs.iter().map(|path| call("rm_conffile", path, None));
    links.chain(dirs).chain(configs).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::process::Command;

    use crate::backend::deb::scripts::scripts;
    use crate::backend::deb::tests::meta;
    use crate::error::exit_code;
    use crate::lifecycle::{
        Account, Activation, Alternative, Changes, Lifecycle, Moment, OnUpgrade, Part, Unit,
    };
    use crate::package::PackageMeta;
    use crate::tree::PkgPath;

    const BOOT: Activation = Activation::Boot { enable: true, start: true };

    fn path(text: &str) -> PkgPath {
        PkgPath::new(text).unwrap()
    }

    fn unit(name: &str, activation: Activation, on_upgrade: OnUpgrade) -> Unit {
        Unit { name: name.to_owned(), activation, on_upgrade }
    }

    fn with(lifecycle: Lifecycle) -> PackageMeta {
        PackageMeta { lifecycle, ..meta() }
    }

    /// A socket with its service, a timer with its own, two plain services, a template.
    fn units() -> Vec<Unit> {
        vec![
            unit("acme-web.socket", BOOT, OnUpgrade::Keep),
            unit("acme-web-beat.timer", BOOT, OnUpgrade::Restart),
            unit("acme-web.service", Activation::Unit, OnUpgrade::Restart),
            unit("acme-web-beat.service", Activation::Unit, OnUpgrade::Keep),
            unit("acme-web-feed.service", BOOT, OnUpgrade::Restart),
            unit(
                "acme-web-off.service",
                Activation::Boot { enable: false, start: false },
                OnUpgrade::Restart,
            ),
            unit("acme-web-worker@.service", Activation::Instance, OnUpgrade::Restart),
        ]
    }

    /// Lines of a script that hold one of `words`, without their indentation, in their order.
    fn check(lifecycle: Lifecycle, script: &str, words: &[&str], expected: &[&str]) {
        let scripts = scripts(&with(lifecycle)).unwrap();
        let lines = scripts[script].lines().map(str::trim);
        let found: Vec<_> =
            lines.filter(|line| words.iter().any(|word| line.contains(word))).collect();
        assert_eq!(found, expected, "{}", scripts[script]);
    }

    fn check_prefix(prefix: &str, is_good: bool) {
        let mut meta = meta();
        meta.prefix = path(prefix);
        match scripts(&meta) {
            Ok(scripts) => {
                assert!(is_good, "{prefix}");
                let prerm = &scripts["prerm"];
                let call = format!("remove_stray_byte_code '{}'\n", prefix.trim_start_matches('/'));
                assert!(prerm.contains(&call));
                assert!(prerm.contains("package='acme-web'\n"));
                assert_eq!(scripts.into_keys().collect::<Vec<_>>(), ["preinst", "prerm"]);
            }
            Err(error) => assert!(!is_good && exit_code(&error) == 2, "{error:#}"),
        }
    }

    #[test]
    fn prefixes_are_plain_tokens() {
        check_prefix("/opt/acme-web", true);
        check_prefix("/opt/a+b_c.d/e", true);
        for bad in [
            "/opt/a'b",
            "/opt/a b",
            "/opt/$(x)",
            "/opt/a,b",
            "/-opt",
            "/opt/a%p",
            "/opt/*",
            "/opt/ä",
        ] {
            check_prefix(bad, false);
        }
    }

    #[test]
    fn units_are_enabled_then_started() {
        let expected = [
            "enable_unit 'acme-web.socket'",
            "enable_unit 'acme-web-beat.timer'",
            "enable_unit 'acme-web-feed.service'",
            "keep_unit 'acme-web-off.service'",
            "systemctl --system daemon-reload >/dev/null || true",
            "deb-systemd-invoke start 'acme-web.socket' >/dev/null || true",
            "deb-systemd-invoke restart 'acme-web-beat.timer' 'acme-web-feed.service' >/dev/null || true",
            "deb-systemd-invoke try-restart 'acme-web.service' 'acme-web-off.service' >/dev/null || true",
            "running 'acme-web-worker@*.service' | xargs -r -d '\\n' deb-systemd-invoke restart >/dev/null || true",
            "deb-systemd-invoke start 'acme-web.socket' 'acme-web-beat.timer' 'acme-web-feed.service' >/dev/null || true",
        ];
        let words = ["_unit '", "daemon-reload", "deb-systemd-invoke start", "restart"];
        check(Lifecycle { units: units(), ..Lifecycle::default() }, "postinst", &words, &expected);
    }

    #[test]
    fn only_a_removal_stops() {
        let expected = [
            "deb-systemd-invoke stop 'acme-web.socket' 'acme-web-beat.timer' 'acme-web.service' \
             'acme-web-beat.service' 'acme-web-feed.service' 'acme-web-off.service' >/dev/null || true",
            "running 'acme-web-worker@*.service' | xargs -r -d '\\n' deb-systemd-invoke stop >/dev/null || true",
            "remove)",
            "stop_units",
            "remove_stray_byte_code 'opt/acme-web'",
            "upgrade)",
            "remove_stray_byte_code 'opt/acme-web'",
        ];
        let snippets = BTreeMap::from([(Moment::BeforeRemove, "bye".to_owned())]);
        let lifecycle = Lifecycle { units: units(), snippets, ..Lifecycle::default() };
        let words = [
            "stop '",
            "invoke stop",
            "stop_units",
            "remove)",
            "upgrade)",
            "run_snippet b",
            "remove_stray",
        ];
        let scripts = scripts(&with(lifecycle.clone())).unwrap();
        let lines = scripts["prerm"]
            .lines()
            .map(str::trim)
            .filter(|line| !line.ends_with('{') && !line.ends_with('('));
        let found: Vec<_> =
            lines.filter(|line| words.iter().any(|word| line.contains(word))).collect();
        assert_eq!(found, expected);
        let ran = "        ran=$(running 'acme-web.socket' ";
        let failed = "run_snippet before-remove remove '' 'bye' || {\n";
        assert!(
            scripts["prerm"].contains(ran) && scripts["prerm"].contains(failed),
            "{}",
            scripts["prerm"]
        );
    }

    #[test]
    fn accounts_come_first_and_checks_before_units() {
        let account = Account {
            name: "acme".to_owned(),
            description: String::new(),
            home: path("var/lib/acme-web"),
            groups: Vec::new(),
        };
        let both = [(Moment::AfterInstall, "one"), (Moment::AfterUpgrade, "two")];
        let lifecycle = Lifecycle {
            account: Some(account),
            sysusers: vec!["acme-web.conf".to_owned()],
            tmpfiles: vec!["acme-web.conf".to_owned()],
            units: units(),
            checks: vec!["acme-admin check".to_owned()],
            snippets: both.map(|(at, text)| (at, text.to_owned())).into(),
            changes: Changes {
                dropped_units: vec!["old@.service".to_owned()],
                ..Changes::default()
            },
            ..Lifecycle::default()
        };
        let expected = [
            "configure)",
            "prepare",
            "run_snippet after-install install '' 'one'",
            "run_snippet after-upgrade upgrade \"$2\" 'two'",
            "run_checks",
            "drop_unit 'old@.service' 'old@*.service'",
            "start_units \"${2:+upgrade}\"",
            "abort-upgrade | abort-remove | abort-deconfigure)",
            "prepare",
            "start_units \"$1\"",
        ];
        let scripts = scripts(&with(lifecycle)).unwrap();
        let (_, case) = scripts["postinst"].split_once("\ncase \"${1:-}\"").unwrap();
        let words = ["configure)", "prepare", "run_", "drop_unit", "start_units"];
        let found: Vec<_> = case
            .lines()
            .map(str::trim)
            .filter(|line| words.iter().any(|word| line.contains(word)))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn changes_are_left_to_dpkg() {
        let changes = Changes {
            dir_to_link: BTreeMap::from([(path("opt/acme-web/a b"), "c'd".to_owned())]),
            link_to_dir: BTreeMap::from([(path("opt/acme-web/l"), "../x".to_owned())]),
            dropped_configs: vec![path("etc/acme-web/old.toml")],
            dropped_units: Vec::new(),
        };
        let expected = [
            r#"dpkg-maintscript-helper 'dir_to_symlink' '/opt/acme-web/a b' 'c'\''d' '1.4.2-1~' -- "$@""#,
            r#"dpkg-maintscript-helper 'symlink_to_dir' '/opt/acme-web/l' '../x' '1.4.2-1~' -- "$@""#,
            r#"dpkg-maintscript-helper 'rm_conffile' '/etc/acme-web/old.toml' '1.4.2-1~' -- "$@""#,
        ];
        for script in ["preinst", "postinst", "postrm"] {
            let lifecycle = Lifecycle { changes: changes.clone(), ..Lifecycle::default() };
            check(lifecycle, script, &["maintscript"], &expected);
        }
    }

    /// What the release 1.4.2 of `acme-web` does, and what the application does.
    fn alternative(part: Part) -> PackageMeta {
        let (link, dir) = (path("opt/acme-web/current"), path("opt/acme-web/releases/1.4.2"));
        let alternative = Alternative {
            name: "acme-web-release".to_owned(),
            application: "acme-web".to_owned(),
            link,
            dir: dir.clone(),
            part,
        };
        let prefix = match part {
            Part::Offers { .. } => dir,
            Part::Selects => path("opt/acme-web"),
        };
        let lifecycle = Lifecycle {
            checks: vec!["true".to_owned()],
            alternative: Some(alternative),
            ..Lifecycle::default()
        };
        PackageMeta { prefix, ..with(lifecycle) }
    }

    /// What a script calls update-alternatives with, below a root in which 1.4.1 is current, and all else it prints.
    fn calls(part: Part, script: &str, arguments: &[&str]) -> String {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/alternatives")).unwrap();
        fs::create_dir_all(root.path().join("opt/acme-web/releases/1.4.1")).unwrap();
        let link = root.path().join("etc/alternatives/acme-web-release");
        std::os::unix::fs::symlink("/opt/acme-web/releases/1.4.1", link).unwrap();
        let scripts = scripts(&alternative(part)).unwrap();
        let shown = "alternatives() { echo \"$*\"; }\nalias update-alternatives=alternatives\n";
        run(root.path(), &format!("{shown}{}", scripts[script]), arguments)
    }

    #[test]
    fn a_release_is_offered_and_never_switched_to() {
        let part = Part::Offers { priority: 7 };
        let offer = "--quiet --set acme-web-release /opt/acme-web/releases/1.4.1\n--quiet --install \
                     /opt/acme-web/current acme-web-release /opt/acme-web/releases/1.4.2 7\n";
        let path = "PATH='/opt/acme-web/releases/1.4.2/bin:/usr/local/sbin:";
        for part in [part, Part::Selects] {
            assert!(scripts(&alternative(part)).unwrap()["postinst"].contains(path));
        }
        for arguments in [&["configure", ""][..], &["configure", "1.4.1-1"]] {
            assert_eq!(calls(part, "postinst", arguments), offer);
            let selected = "--quiet --set acme-web-release /opt/acme-web/releases/1.4.2\n";
            let found = calls(Part::Selects, "postinst", arguments);
            assert_eq!(found, selected);
        }
        for arguments in [["abort-upgrade", "1.4.3-1"], ["abort-remove", ""]] {
            assert_eq!(calls(part, "postinst", &arguments), offer);
            assert_eq!(calls(Part::Selects, "postinst", &arguments), "");
        }
        assert_eq!(calls(part, "prerm", &["upgrade", "1.4.3-1"]), "");
        let gone = "--quiet --remove acme-web-release /opt/acme-web/releases/1.4.2\n";
        assert_eq!(calls(part, "prerm", &["remove"]), gone);
        let application = scripts(&alternative(Part::Selects)).unwrap();
        assert_eq!(application.into_keys().collect::<Vec<_>>(), ["postinst"]);
    }

    /// The version before lies elsewhere, a directory of it was moved, and its scripts clear nothing.
    #[test]
    fn what_is_beside_an_environment_goes_with_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path();
        let moved = "srv/old/lib/__pycache__";
        for path in ["opt/venvs", moved, "srv/old/lib/gone/__pycache__", "srv/old/bin"] {
            fs::create_dir_all(dir.join(path)).unwrap();
        }
        std::os::unix::fs::symlink("../../srv/old", dir.join("opt/venvs/old")).unwrap();
        let kept = ["lib/__pycache__/own.pyc", "lib/notes.txt", "lib/settings.pyc", "bin/python3"];
        let gone = [
            "lib/__pycache__/a.pyc",
            "lib/gone/__pycache__/b.pyc.123",
            "bin/python3,orig",
            "bin/python3.11,orig",
        ];
        for file in kept.iter().chain(&gone) {
            fs::write(dir.join("srv/old").join(file), "").unwrap();
        }
        let owned = "/opt\\n/opt/venvs/old/pyvenv.cfg\\n/opt/venvs/old/lib/__pycache__/own.pyc";
        let shown = format!("query() {{ printf '{owned}\\n'; }}\nalias dpkg-query=query\n");
        let scripts = scripts(&meta()).unwrap();
        run(dir, &format!("{shown}{}", scripts["preinst"]), &["install"]);
        assert!(dir.join("srv/old/bin/python3,orig").exists());
        run(dir, &format!("{shown}{}", scripts["preinst"]), &["upgrade", "1.0"]);
        for file in kept {
            assert!(dir.join("srv/old").join(file).exists(), "{file}");
        }
        for file in gone.iter().chain(&["lib/gone/__pycache__"]) {
            assert!(!dir.join("srv/old").join(file).exists(), "{file}");
        }
    }

    #[test]
    fn there_is_no_script_without_work() {
        let names = |lifecycle| scripts(&with(lifecycle)).unwrap().into_keys().collect::<Vec<_>>();
        let snippet = |at| Lifecycle {
            snippets: BTreeMap::from([(at, "x".to_owned())]),
            ..Lifecycle::default()
        };
        assert_eq!(names(snippet(Moment::BeforeRemove)), ["preinst", "prerm"]);
        assert_eq!(names(snippet(Moment::AfterRemove)), ["postrm", "preinst", "prerm"]);
        let checks = vec!["true".to_owned()];
        let found = names(Lifecycle { checks, ..Lifecycle::default() });
        assert_eq!(found, ["postinst", "preinst", "prerm"]);
        let all = names(Lifecycle { units: units(), ..Lifecycle::default() });
        assert_eq!(all, ["postinst", "postrm", "preinst", "prerm"]);
    }

    #[test]
    fn what_cannot_stand_in_a_script_is_refused() {
        let check = |lifecycle: Lifecycle, status: u8, expected: &str| {
            let error = scripts(&with(lifecycle)).unwrap_err();
            assert_eq!((exit_code(&error), format!("{error:#}").as_str()), (status, expected));
        };
        let none = Lifecycle::default;
        let checks = vec!["a\0b".to_owned()];
        check(Lifecycle { checks, ..none() }, 2, "a NUL character cannot stand in a script");
        let units = vec![unit("a b.service", BOOT, OnUpgrade::Keep)];
        check(Lifecycle { units, ..none() }, 70, "`a b.service` is no file name of systemd's");
        let sysusers = vec!["--root=x".to_owned()];
        check(Lifecycle { sysusers, ..none() }, 70, "`--root=x` is no file name of systemd's");
        let state_dirs = vec![path("var/lib")];
        check(Lifecycle { state_dirs, ..none() }, 70, "`/var/lib` is no directory of a service");
    }

    /// Runs a script below the root `dir`; all it printed.
    fn run(dir: &std::path::Path, script: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("exec 2>&1\n{script}"), "script"]).args(arguments);
        let output = command.env("DPKG_ROOT", dir).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}: {printed}", output.status);
        printed
    }

    const HOSTILE: [&str; 8] = [
        "it's",
        "$(touch x)",
        "`touch x`",
        "a\\ b\"c",
        "; touch x #",
        "two\nlines",
        "{{x}} %s ä",
        "*?[a]~",
    ];

    #[test]
    fn text_stays_text() {
        for text in HOSTILE {
            let quoted = format!("printf '<%s>' '{}'", text.replace('\'', r"'\''"));
            let lifecycle = Lifecycle {
                checks: vec![quoted.clone()],
                snippets: BTreeMap::from([(Moment::AfterInstall, quoted.clone())]),
                environment_file: Some(path(&format!("nonexistent/{}", text.replace('\n', " ")))),
                ..Lifecycle::default()
            };
            let scripts = scripts(&with(lifecycle)).unwrap();
            let root = tempfile::tempdir().unwrap();
            let printed = run(root.path(), &scripts["postinst"], &["configure", ""]);
            // Checks do not run for another root.
            assert_eq!(printed, format!("<{text}>"));
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_purge_deletes_what_services_wrote() {
        let root = tempfile::tempdir().unwrap();
        let lib = root.path().join("var/lib");
        let names = ["plain dir", "$(touch x)'", "-rf", "gone", "dynamic", "moved"];
        for dir in ["plain dir/sub", "$(touch x)'", "-rf", "other", "private/dynamic", "data"] {
            fs::create_dir_all(lib.join(dir)).unwrap();
            fs::write(lib.join(dir).join("file"), "x").unwrap();
        }
        std::os::unix::fs::symlink("../other", lib.join("plain dir/link")).unwrap();
        std::os::unix::fs::symlink("private/dynamic", lib.join("dynamic")).unwrap();
        std::os::unix::fs::symlink("data", lib.join("moved")).unwrap();
        let state_dirs = names.map(|name| path(&format!("var/lib/{name}"))).into();
        let scripts = scripts(&with(Lifecycle { state_dirs, ..Lifecycle::default() })).unwrap();
        for action in ["remove", "upgrade", "abort-install", "disappear"] {
            assert_eq!(run(root.path(), &scripts["postrm"], &[action]), "");
            assert_eq!(fs::read_dir(&lib).unwrap().count(), 8, "{action}");
        }
        for _ in 0..2 {
            assert_eq!(run(root.path(), &scripts["postrm"], &["purge"]), "");
            let mut left: Vec<_> =
                fs::read_dir(&lib).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            left.sort();
            assert_eq!(left, ["data", "other"]);
            assert!(lib.join("data/file").exists() && lib.join("other/file").exists());
        }
    }
}
