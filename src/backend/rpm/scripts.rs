//! Scriptlets: fixed text with values quoted in it, what each of them calls, and when it does what.
//!
//! Text that rpm runs as it stands: macros of a spec file mean nothing here. The same for every distribution, so that
//! one package serves all: `systemctl` itself does what helpers of some distributions do (`systemd-update-helper`, the
//! macros `%systemd_post` and so on), and nothing is left to file triggers, which run after %posttrans.
//!
//! In an upgrade rpm runs %pretrans, %pre, %post of the new package, %preun, %postun of the old one, and %posttrans of
//! the new one at last. Only then is everything of the new version there and nothing of the old, and only that
//! scriptlet is the new package's: services are restarted there, never by the old %postun.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use crate::backend::hooks::{Hooks, hooks};
use crate::backend::rpm::dependency::{Dependency, INTERPRETER};
use crate::backend::rpm::phase::Phase;
use crate::backend::rpm::version;
use crate::error::UserError;
use crate::lifecycle::{Account, Activation, Lifecycle, Moment, OnUpgrade, Part, Unit};
use crate::package::PackageMeta;
use crate::templates::render;
use crate::tree::PkgPath;

const SHELL: &str = "/bin/sh";
/// rpm's own Lua, which is there before any program is.
const LUA: &str = "<lua>";

/// Where packages keep what one scriptlet leaves for another (Fedora's packaging guidelines, "Scriptlets", "Saving state
/// between scriptlets").
const STATE: &str = "/var/lib/rpm-state";

const PRETRANS: &str = include_str!("../../../templates/rpm/pretrans.hbs");
const PRE: &str = include_str!("../../../templates/rpm/pre.hbs");
const POST: &str = concat!(
    include_str!("../../../templates/rpm/start.hbs"),
    include_str!("../../../templates/rpm/post.hbs")
);
const PREUN: &str = include_str!("../../../templates/rpm/preun.hbs");
/// Python writes byte code beside its sources and rpm does not know of it. When rpm calls this, the files of the
/// package are gone and so are its directories, but for those that hold such byte code. `$1` is how many versions of
/// the package stay. An asking of rpm's own database is not possible here: it is locked.
const POSTUN: &str = include_str!("../../../templates/rpm/postun.hbs");
const POSTTRANS: &str = concat!(
    include_str!("../../../templates/rpm/start.hbs"),
    include_str!("../../../templates/rpm/posttrans.hbs")
);

/// A script, and when rpm runs it.
#[derive(Debug)]
pub(super) struct Scriptlet {
    pub(super) phase: Phase,
    pub(super) program: &'static str,
    pub(super) text: String,
    /// What it calls beside the shell.
    calls: Vec<&'static str>,
}

impl Scriptlet {
    /// What must be there when it runs. systemd is not among it: where it is missing, there is nothing to do.
    pub(super) fn needs(&self) -> Vec<Dependency> {
        if self.program == LUA {
            return vec![Dependency::feature("BuiltinLuaScripts", "4.2.2-1")];
        }
        let at = |name: &&str| Dependency::during(&[self.phase], name);
        let shell = Dependency::during(&[self.phase], SHELL);
        let shell = Dependency { flags: INTERPRETER | shell.flags, ..shell };
        [shell].into_iter().chain(self.calls.iter().map(at)).collect()
    }
}

/// What must be there first if it is there at all: systemd, which containers do not have.
pub(super) fn order(scriptlets: &[Scriptlet]) -> BTreeSet<Dependency> {
    let phases: Vec<_> = scriptlets.iter().filter(|one| one.text.contains("systemctl")).collect();
    let phases: Vec<_> = phases.iter().map(|one| one.phase).collect();
    let is_used = !phases.is_empty();
    is_used.then(|| Dependency::during(&phases, "systemd")).into_iter().collect()
}

/// The scripts of a package: the one that runs after removal, and what its lifecycle asks for.
pub(super) fn scriptlets(meta: &PackageMeta) -> Result<Vec<Scriptlet>> {
    let values = Values::new(meta)?;
    let lifecycle = &meta.lifecycle;
    let has = |moment| lifecycle.snippets.contains_key(&moment);
    let is_deferred = values.is_deferred;
    let moves =
        !lifecycle.changes.dir_to_link.is_empty() || !lifecycle.changes.link_to_dir.is_empty();
    let before = has(Moment::BeforeInstall) || has(Moment::BeforeUpgrade);
    let offers = values.hooks.offers.is_some();
    let after = has(Moment::AfterRemove);
    [
        (moves, Phase::Pretrans, PRETRANS),
        (lifecycle.account.is_some() || is_deferred || before, Phase::Pre, PRE),
        (is_deferred || offers || has(Moment::AfterInstall), Phase::Post, POST),
        (!lifecycle.units.is_empty() || offers || has(Moment::BeforeRemove), Phase::Preun, PREUN),
        (is_deferred || after || values.has_code, Phase::Postun, POSTUN),
        (is_deferred || values.has_code, Phase::Posttrans, POSTTRANS),
    ]
    .into_iter()
    .filter(|(is_wanted, ..)| *is_wanted)
    .map(|(_, phase, template)| scriptlet(phase, template, &values))
    .collect()
}

fn scriptlet(phase: Phase, template: &str, values: &Values) -> Result<Scriptlet> {
    // rpmbuild stores scripts without the end of their last line.
    let text = render(phase.name(), template, values)?.trim_end().to_owned();
    let program = if phase == Phase::Pretrans { LUA } else { SHELL };
    Ok(Scriptlet { phase, program, text, calls: calls(phase, values) })
}

/// What a script calls, by what releases of every distribution have it under.
fn calls(phase: Phase, values: &Values) -> Vec<&'static str> {
    let core = values.is_deferred.then_some("coreutils");
    let has_checks = !values.hooks.checks.is_empty();
    let opens = !values.hooks.sockets.is_empty();
    let reads = has_checks && !values.hooks.environment_file.is_empty();
    let find = values.has_code.then_some("/usr/bin/find");
    let runuser = (has_checks && !values.hooks.user.is_empty()).then_some("util-linux");
    let offers = values.hooks.offers.is_some();
    let alternatives = "/usr/sbin/update-alternatives";
    let led = (offers || values.hooks.selects.is_some()).then_some(alternatives);
    match phase {
        Phase::Pretrans => Vec::new(),
        Phase::Pre => {
            let account = ["/usr/bin/getent", "/usr/sbin/groupadd", "/usr/sbin/useradd"];
            let account = values.account.iter().flat_map(|_| account);
            account.chain(core).chain(opens.then_some("sed")).collect()
        }
        Phase::Post => {
            let core = core.or(offers.then_some("coreutils"));
            let sed = reads.then_some("sed");
            core.into_iter().chain(sed).chain(runuser).chain(led).collect()
        }
        Phase::Posttrans => {
            let sed = (reads || opens).then_some("sed");
            let led = led.filter(|_| values.hooks.selects.is_some());
            find.into_iter().chain(["coreutils"]).chain(sed).chain(runuser).chain(led).collect()
        }
        Phase::Preun => offers.then_some(alternatives).into_iter().collect(),
        Phase::Postun => find.into_iter().chain(["coreutils"]).collect(),
    }
}

/// What the templates are filled with.
#[derive(Serialize)]
struct Values {
    #[serde(flatten)]
    hooks: Hooks,
    /// The directory the application is in, and the prefix there.
    top: String,
    directory: String,
    /// Whether the package has code, beside which there may be byte code that it does not have.
    has_code: bool,
    account: Option<AccountValues>,
    /// Where this package keeps what one scriptlet leaves for another.
    state: String,
    /// Whether there is something to do once an upgrade is complete.
    is_deferred: bool,
    tmpfiles: Vec<String>,
    /// All units; those the boot sets going; those that a fresh install enables, and starts; those an upgrade restarts.
    units: Vec<String>,
    boot: Vec<String>,
    enabled: Vec<String>,
    started: Vec<String>,
    restarted: Vec<String>,
    /// Names that running units may have: sockets and timers, then services; a template stands for its instances.
    running: Vec<String>,
    dir_to_link: Vec<String>,
    link_to_dir: Vec<Link>,
}

#[derive(Serialize)]
struct AccountValues {
    name: String,
    description: String,
    home: String,
}

#[derive(Serialize)]
struct Link {
    path: String,
    target: String,
}

impl Values {
    fn new(meta: &PackageMeta) -> Result<Self> {
        let (top, directory) = split_prefix(meta)?;
        let lifecycle = &meta.lifecycle;
        let names = |is_one: fn(&Unit) -> bool| -> Vec<String> {
            let units = lifecycle.units.iter().filter(|unit| is_one(unit));
            units.map(|unit| unit.name.clone()).collect()
        };
        let restarted = lifecycle.units.iter().filter(|unit| unit.on_upgrade == OnUpgrade::Restart);
        Ok(Self {
            hooks: hooks(meta, "rpm", version::full(meta), "dnf reinstall"),
            top,
            directory,
            has_code: meta.has_code(),
            account: lifecycle.account.as_ref().map(AccountValues::new),
            state: format!("{STATE}/{}", meta.name),
            is_deferred: is_deferred(lifecycle),
            tmpfiles: lifecycle.tmpfiles.clone(),
            units: names(|_| true),
            boot: names(|unit| matches!(unit.activation, Activation::Boot { .. })),
            enabled: names(|unit| matches!(unit.activation, Activation::Boot { enable: true, .. })),
            started: names(|unit| matches!(unit.activation, Activation::Boot { start: true, .. })),
            restarted: restarted.map(running).collect(),
            running: lifecycle.units.iter().map(running).collect(),
            dir_to_link: lifecycle.changes.dir_to_link.keys().map(PkgPath::absolute).collect(),
            link_to_dir: lifecycle.changes.link_to_dir.iter().map(Link::new).collect(),
        })
    }
}

impl AccountValues {
    fn new(account: &Account) -> Self {
        let Account { name, description, home, .. } = account;
        let (name, description) = (name.clone(), description.clone());
        Self { name, description, home: home.absolute() }
    }
}

impl Link {
    fn new((path, target): (&PkgPath, &String)) -> Self {
        Self { path: path.absolute(), target: target.clone() }
    }
}

fn running(unit: &Unit) -> String {
    unit.instances().unwrap_or_else(|| unit.name.clone())
}

fn is_deferred(lifecycle: &Lifecycle) -> bool {
    !(lifecycle.units.is_empty()
        && lifecycle.tmpfiles.is_empty()
        && lifecycle.checks.is_empty()
        && lifecycle.changes.dropped_units.is_empty())
        || lifecycle.snippets.contains_key(&Moment::AfterUpgrade)
        || lifecycle.alternative.as_ref().is_some_and(|it| it.part == Part::Selects)
}

/// The directory the application is in, and the prefix as seen from there.
fn split_prefix(meta: &PackageMeta) -> Result<(String, String)> {
    let (prefix, home) = (&meta.prefix, meta.home());
    // Every one of these is itself to a shell in quotes and to find; `-` in front cannot be taken for an option.
    let is_plain =
        |at: char| at.is_ascii_alphanumeric() || matches!(at, '.' | '_' | '+' | '-' | '/');
    let (top, name) = home.as_str().rsplit_once('/').unwrap_or_default();
    if !prefix.as_str().chars().all(is_plain) || name.is_empty() || name.starts_with('-') {
        let message = format!("prefix `{prefix}` cannot be used in a script");
        return Err(UserError::usage(message)
            .hint("use letters, digits and `._+-/` in `prefix`")
            .into());
    }
    let inner = prefix.as_str().get(top.len() + 1..).unwrap_or(name);
    Ok((format!("/{top}"), inner.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use anyhow::Result;

    use crate::backend::rpm::phase::Phase;
    use crate::backend::rpm::scripts::{order, scriptlets};
    use crate::backend::rpm::tests::{meta, path};
    use crate::error::exit_code;
    use crate::lifecycle::{
        Account, Activation, Alternative, Changes, Lifecycle, Moment, OnUpgrade, Part, Unit,
    };
    use crate::package::PackageMeta;
    use crate::templates::{lua_string, shell_word};
    use crate::tree::PkgPath;

    /// The scripts of a package that has nothing but code: after a removal, and after a transaction.
    fn of_code(meta: &PackageMeta) -> Result<[String; 2]> {
        let all = scriptlets(meta)?;
        let [postun, posttrans] = &all[..] else { panic!("other scripts: {all:?}") };
        assert_eq!([postun.phase, posttrans.phase], [Phase::Postun, Phase::Posttrans]);
        Ok([postun.text.clone(), posttrans.text.clone()])
    }

    fn check(prefix: &str, is_good: bool) {
        let mut meta = meta();
        meta.prefix = PkgPath::new(prefix).unwrap();
        match of_code(&meta) {
            Ok(scripts) => {
                assert!(is_good, "{prefix}");
                let (top, name) = prefix.rsplit_once('/').unwrap();
                for script in scripts {
                    let start = format!("top='{top}'\nprefix='{name}'\n");
                    assert!(script.starts_with(&start), "{script}");
                    assert!(!script.contains('@'));
                }
            }
            Err(error) => assert!(!is_good && exit_code(&error) == 2, "{error:#}"),
        }
    }

    #[test]
    fn prefixes_are_plain_tokens() {
        check("/opt/acme-web", true);
        check("/opt/a+b_c.d/e", true);
        for bad in ["/opt/a'b", "/opt/a b", "/opt/$(x)", "/opt/a%p", "/opt/*", "/opt/ä", "/opt/-x"]
        {
            check(bad, false);
        }
    }

    /// What is left of these files below the prefix once the script of a phase ran with `$1` = `stay`.
    fn run(files: &[&str], (phase, stay): (Phase, &str)) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let mut meta = meta();
        let prefix = dir.path().canonicalize().unwrap().join("opt/acme");
        meta.prefix = PkgPath::new(prefix.to_str().unwrap()).unwrap();
        fs::create_dir_all(&prefix).unwrap();
        for file in files {
            let path = prefix.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let [postun, posttrans] = of_code(&meta).unwrap();
        let script = if phase == Phase::Postun { postun } else { posttrans };
        let output = Command::new("/bin/sh").args(["-c", &script, "sh", stay]).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        assert!(dir.path().join("opt").is_dir() || stay == "1", "the directory above is not ours");
        listing(&prefix)
    }

    fn listing(dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut pending = vec![dir.to_owned()];
        while let Some(next) = pending.pop() {
            for entry in fs::read_dir(&next).into_iter().flatten() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned());
                pending.push(path);
            }
        }
        found.retain(|path| !dir.join(path).is_dir());
        found.sort();
        if found.is_empty() && dir.is_dir() { vec!["empty".to_owned()] } else { found }
    }

    #[test]
    fn byte_code_that_nobody_owns_goes() {
        let left = ["a/x.py", "a/__pycache__/x.cpython-311.pyc"];
        let stray = [
            "a/__pycache__/x.cpython-311.opt-1.pyc",
            "a/__pycache__/x.cpython-311.pyc.1403",
            "b/c/__pycache__/gone.cpython-311.pyc",
        ];
        let both = [&left[..], &stray].concat();
        for after in [(Phase::Postun, "1"), (Phase::Posttrans, "1")] {
            assert_eq!(run(&both, after), ["a/__pycache__/x.cpython-311.pyc", "a/x.py"]);
        }
        let removal = (Phase::Postun, "0");
        assert_eq!(run(&stray, removal), [""; 0], "the prefix is gone, too");
        assert_eq!(run(&both, removal), ["a/x.py"], "what is no byte code stays");
        assert_eq!(run(&["log/today"], removal), ["log/today"]);
    }

    fn unit(name: &str, activation: Activation, on_upgrade: OnUpgrade) -> Unit {
        Unit { name: name.to_owned(), activation, on_upgrade }
    }

    /// A package with one of everything; every text that a user writes is `text`.
    fn full(text: &str) -> PackageMeta {
        let boot = |enable, start| Activation::Boot { enable, start };
        let every = [
            Moment::BeforeInstall,
            Moment::AfterInstall,
            Moment::BeforeUpgrade,
            Moment::AfterUpgrade,
            Moment::BeforeRemove,
            Moment::AfterRemove,
        ];
        let lifecycle = Lifecycle {
            account: Some(Account {
                name: "acme".to_owned(),
                description: text.to_owned(),
                home: path("var/lib/acme-web"),
                groups: Vec::new(),
            }),
            sysusers: vec!["acme-web.conf".to_owned()],
            tmpfiles: vec!["acme-web.conf".to_owned()],
            units: vec![
                unit("acme-web.socket", boot(true, true), OnUpgrade::Keep),
                unit("acme-web-beat.timer", boot(true, false), OnUpgrade::Keep),
                unit("acme-web.service", Activation::Unit, OnUpgrade::Restart),
                unit("acme-web-idle.service", boot(false, true), OnUpgrade::Keep),
                unit("acme-web-worker@.service", Activation::Instance, OnUpgrade::Restart),
            ],
            environment_file: Some(path("etc/sysconfig/acme-web")),
            checks: vec![text.to_owned()],
            snippets: every.into_iter().map(|moment| (moment, text.to_owned())).collect(),
            state_dirs: vec![path("var/lib/acme-web")],
            alternative: None,
            changes: Changes {
                dir_to_link: [(path("opt/acme-web/data"), text.to_owned())].into(),
                link_to_dir: [(path("opt/acme-web/media"), text.to_owned())].into(),
                dropped_configs: Vec::new(),
                dropped_units: vec!["acme-web-old@.service".to_owned()],
            },
        };
        PackageMeta { lifecycle, ..meta() }
    }

    fn texts(meta: &PackageMeta) -> BTreeMap<&'static str, String> {
        let all = scriptlets(meta).unwrap();
        all.into_iter().map(|one| (one.phase.name(), one.text)).collect()
    }

    /// The lines of a script that hold all of `words`.
    fn lines<'t>(text: &'t str, words: &[&str]) -> Vec<&'t str> {
        let has = |line: &&str| words.iter().all(|word| line.contains(word));
        text.lines().filter(has).map(str::trim).collect()
    }

    #[test]
    fn each_unit_is_treated_as_it_asks() {
        let all = texts(&full("true"));
        let each = |script: &str, words: &[&str]| lines(&all[script], words).join("\n");
        assert_eq!(
            each("pre", &["for unit in"]),
            "for unit in 'acme-web.socket' 'acme-web-beat.timer' 'acme-web-idle.service'; do"
        );
        let new = "for unit in 'acme-web.socket' 'acme-web-beat.timer' 'acme-web-idle.service'; do\n    if [ \"$count\"";
        assert!(all["post"].contains(new), "{}", all["post"]);
        assert_eq!(
            each("posttrans", &["for unit in"]),
            "for unit in 'acme-web.socket' 'acme-web-beat.timer'; do\n\
             for unit in 'acme-web.socket' 'acme-web-idle.service'; do"
        );
        assert_eq!(
            each("posttrans", &["renew_socket '"]),
            "renew_socket 'acme-web.socket' 'acme-web.service'"
        );
        assert_eq!(
            each("posttrans", &["try-restart"]),
            "systemctl try-restart 'acme-web.service' 'acme-web-worker@*.service' || :"
        );
        assert_eq!(
            each("posttrans", &["drop "]),
            "drop 'acme-web-old@.service' 'acme-web-old@*.service'"
        );
        let running = "'acme-web.socket' 'acme-web-beat.timer' 'acme-web.service' \
                       'acme-web-idle.service' 'acme-web-worker@*.service'";
        assert_eq!(
            each("preun", &["stop"]),
            format!("systemctl stop {running} >/dev/null 2>&1 || :")
        );
        assert_eq!(
            each("preun", &["--no-reload", "disable"]),
            format!(
                "systemctl --no-reload disable {} >/dev/null 2>&1 || :",
                running.replace("@*", "@")
            )
        );
        for script in ["pre", "post", "postun"] {
            assert_eq!(lines(&all[script], &["systemctl", "restart"]), [""; 0], "{script}");
        }
        for script in ["post", "posttrans", "postun"] {
            assert_eq!(lines(&all[script], &["systemctl stop '"]), [""; 0], "{script}");
        }
    }

    #[test]
    fn the_order_of_an_upgrade() {
        let text = &texts(&full("true"))["posttrans"];
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what:?} in\n{text}"));
        let steps = [
            "[ -e \"$state/upgrade\" ] || exit 0\n",
            "    systemctl daemon-reload || :\n    systemd-tmpfiles --create 'acme-web.conf' || :\n",
            "run_snippet after-upgrade upgrade '' 'true' || exit 1\n",
            "run_checks || exit 1\n",
            "drop 'acme-web-old@.service'",
            "\nenable_new\n",
            "    renew_socket 'acme-web.socket'",
            "    systemctl try-restart",
            "\nstart_new\n",
            "rm -rf -- \"$state\"\n",
        ];
        assert!(steps.map(at).is_sorted(), "{:?}", steps.map(at));
    }

    #[test]
    fn only_what_is_needed_is_there() {
        let names = |meta: &PackageMeta| texts(meta).into_keys().collect::<Vec<_>>();
        assert_eq!(names(&meta()), ["posttrans", "postun"]);
        assert_eq!(
            names(&full("true")),
            ["post", "posttrans", "postun", "pre", "pretrans", "preun"]
        );
        let mut meta = meta();
        meta.lifecycle.account = full("x").lifecycle.account;
        assert_eq!(names(&meta), ["posttrans", "postun", "pre"]);
        assert!(!texts(&meta)["pre"].contains("state"));
        meta.lifecycle = Lifecycle { checks: vec!["true".to_owned()], ..Lifecycle::default() };
        assert_eq!(names(&meta), ["post", "posttrans", "postun", "pre"]);
        let all = texts(&meta);
        assert!(all.values().all(|text| !text.contains("systemctl")), "{all:?}");
    }

    #[test]
    fn what_scripts_call_is_required() {
        let all = scriptlets(&full("true")).unwrap();
        let needs = |phase: Phase| {
            let script = all.iter().find(|one| one.phase == phase).unwrap();
            script.needs().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(needs(Phase::Pretrans), "rpmlib(BuiltinLuaScripts) <= 4.2.2-1");
        let account = "/usr/bin/getent /usr/sbin/groupadd /usr/sbin/useradd";
        assert_eq!(needs(Phase::Pre), format!("/bin/sh {account} coreutils sed"));
        assert_eq!(needs(Phase::Post), "/bin/sh coreutils sed util-linux");
        assert_eq!(needs(Phase::Preun), "/bin/sh");
        assert_eq!(needs(Phase::Postun), "/bin/sh /usr/bin/find coreutils");
        assert_eq!(needs(Phase::Posttrans), "/bin/sh /usr/bin/find coreutils sed util-linux");
        let times: Vec<_> = order(&all).iter().map(|one| format!("{one}{}", one.times())).collect();
        assert_eq!(times, ["systemd(post,preun,postun,posttrans)"]);
        assert!(order(&scriptlets(&meta()).unwrap()).is_empty());
    }

    /// A release, or the application that selects it.
    fn alternative(part: Part) -> PackageMeta {
        let dir = path("opt/acme-web/releases/1.4.2");
        let prefix = match part {
            Part::Offers { .. } => dir.clone(),
            Part::Selects => path("opt/acme-web"),
        };
        let link = path("opt/acme-web/current");
        let alternative = Some(Alternative {
            name: "acme-web-release".to_owned(),
            application: "acme-web".to_owned(),
            link,
            dir,
            part,
        });
        PackageMeta {
            prefix,
            lifecycle: Lifecycle { alternative, ..Lifecycle::default() },
            ..meta()
        }
    }

    #[test]
    fn releases_are_offered_and_selected() {
        let found = |part| {
            let mut calls = Vec::new();
            for one in scriptlets(&alternative(part)).unwrap() {
                let at =
                    one.text.lines().filter_map(|line| line.split_once("update-alternatives "));
                calls.extend(at.map(|(_, call)| format!("{} {call}", one.phase.name())));
                let program = "/usr/sbin/update-alternatives";
                let is_needed = one.needs().iter().any(|need| need.to_string() == program);
                assert_eq!(is_needed, one.text.contains("update-alternatives"), "{}", one.text);
            }
            calls
        };
        assert_eq!(
            found(Part::Offers { priority: 7 }),
            [
                "post --set 'acme-web-release' \"$taken\" >/dev/null || :",
                "post --install '/opt/acme-web/current' 'acme-web-release' '/opt/acme-web/releases/1.4.2' 7 >/dev/null || exit 1",
                "preun --config %s\\n' \\",
                "preun --remove 'acme-web-release' '/opt/acme-web/releases/1.4.2' >/dev/null || :",
            ]
        );
        assert_eq!(
            found(Part::Selects),
            ["post", "posttrans"].map(|phase| format!(
                "{phase} --set 'acme-web-release' '/opt/acme-web/releases/1.4.2' >/dev/null || exit 1"
            ))
        );
        let all = texts(&alternative(Part::Offers { priority: 7 }));
        assert!(all["postun"].starts_with("top='/opt'\nprefix='acme-web/releases/1.4.2'\n"));
        let all = texts(&alternative(Part::Selects));
        assert!(!all["postun"].contains("find"), "{}", all["postun"]);
    }

    /// Whatever a user writes is one word of the script, and nothing of it is run but by the shell it is for.
    #[test]
    fn texts_stay_words() {
        for text in [
            "it's",
            "'; touch /nonexistent/x; '",
            "$(exit 9) `exit 9` ${x",
            "a\nEOF\n\"\\\n",
            "%{name} {{name}} \u{e4} \\n",
            "*",
            "]] --",
        ] {
            for (name, script) in texts(&full(text)) {
                if name == "pretrans" {
                    assert!(script.contains(&lua_string(text)), "{script}");
                    continue;
                }
                let output = Command::new("/bin/sh").args(["-n", "-c", &script]).output().unwrap();
                assert!(output.status.success(), "{name} {text:?}: {output:?}\n{script}");
                assert!(script.contains(&shell_word(text)), "{name} {text:?}: {script}");
            }
        }
    }
}
