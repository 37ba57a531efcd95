//! What debhelper installs of a recipe's files, by its level of compatibility (debhelper(7)), add-ons and `--name`.

use crate::import::kinds::PLACED;
use crate::import::options::{call, of_dh};
use crate::import::units::is_unit;
use crate::import::{Package, policies};

/// Kinds of files, and the helper that installs them.
const HELPERS: [(&str, &str); 16] = [
    ("install", "dh_install"),
    ("links", "dh_link"),
    ("dirs", "dh_installdirs"),
    ("manpages", "dh_installman"),
    ("docs", "dh_installdocs"),
    ("examples", "dh_installexamples"),
    ("NEWS", "dh_installchangelogs"),
    ("logrotate", "dh_installlogrotate"),
    ("cron.d", "dh_installcron"),
    ("cron.hourly", "dh_installcron"),
    ("cron.daily", "dh_installcron"),
    ("cron.weekly", "dh_installcron"),
    ("cron.monthly", "dh_installcron"),
    ("default", "dh_installinit"),
    ("tmpfiles", "dh_installtmpfiles"),
    ("sysusers", "dh_installsysusers"),
];

/// Kinds that are installed since a level only, or before it by an add-on.
const SINCE: [(&str, Option<u32>, &[&str]); 3] = [
    ("tmpfiles", Some(13), &[]),
    ("sysusers", Some(14), &["installsysusers", "sysuser"]),
    ("bash-completion", None, &["bash-completion"]),
];

/// Says why debhelper does not read a file for a package, if it does not (`pkgfile` of Dh_Lib). What follows the package
/// in the file's name is `rest`: of a bare file, which may belong to the first package, all of it.
pub(super) fn passes_over(
    of: &Package<'_>,
    (file, rest): (&str, &str),
    (name, kind): (Option<&str>, &str),
) -> Option<String> {
    let own = format!("{}.{rest}", of.name);
    let is_bare = file == rest;
    if is_bare && of.folder.files.contains_key(&own) {
        return Some(format!("debhelper reads `debian/{own}`, which names the package, instead"));
    }
    // What names the package and is installed under a name of its own is left to `leaves_out`, and to units.
    let may_be_meant = !is_bare && (is_unit(kind) || PLACED.iter().any(|(it, ..)| *it == kind));
    if let Some(name) =
        name.filter(|name| *name != "@" && !may_be_meant && !is_named(of, kind, name))
    {
        return Some(match is_bare {
            true => format!(
                "`control` has no package `{name}`, and debhelper reads it for `{}` with `--name={name}` only",
                of.name
            ),
            false => format!("debhelper reads it with `--name={name}` only"),
        });
    }
    let newer = file.strip_suffix("tmpfile").map(|start| format!("{start}tmpfiles"));
    let newer = newer.filter(|newer| of.folder.files.contains_key(newer));
    newer.map(|newer| format!("debhelper reads `debian/{newer}` instead"))
}

/// Says why debhelper does not install a file of a kind, with the name that `--name` would have, if it does not.
pub(super) fn leaves_out(of: &Package<'_>, kind: &str, name: Option<&str>) -> Option<String> {
    let end =
        "debhelper does not install it; it is installed now: take it out if it is no longer used";
    if let Some(name) = name
        && !is_named(of, kind, name)
    {
        return Some(format!("without `--name` {end}"));
    }
    let (_, since, add_ons) = SINCE.iter().find(|(known, ..)| *known == kind)?;
    let sequences = of.folder.recipe.sequences();
    let mut asked = sequences.iter().flat_map(|command| of_dh(command, "--with"));
    let is_recent = since.is_some_and(|since| level(of).is_none_or(|level| level >= since));
    if is_recent || asked.any(|add_on| add_ons.contains(&add_on)) || is_called(of, kind) {
        return None;
    }
    Some(match since {
        Some(since) => format!("before its level {since} {end}"),
        None => format!("without its add-on {end}"),
    })
}

fn helper(kind: &str) -> Option<&'static str> {
    if kind.starts_with("user.") {
        return Some("dh_installsystemduser");
    }
    HELPERS.iter().find(|(known, _)| *known == kind).map(|(_, helper)| *helper)
}

fn is_named(of: &Package<'_>, kind: &str, name: &str) -> bool {
    let commands = of.folder.recipe.commands();
    let is_helper = |program: &str| match is_unit(kind) {
        true => policies::is_helper(program),
        false => Some(program) == helper(kind),
    };
    let mut helpers = commands.iter().filter(|(_, it)| is_helper(it.program()));
    helpers.any(|(_, command)| call(command).values("--name").contains(&name))
}

fn is_called(of: &Package<'_>, kind: &str) -> bool {
    of.folder.recipe.commands().iter().any(|(_, it)| Some(it.program()) == helper(kind))
}

/// The level of compatibility, in `compat` or in the build relations.
pub(super) fn level(of: &Package<'_>) -> Option<u32> {
    let file = of.folder.files.get("compat").map(|found| found.text.trim().to_owned());
    let relations = of.source.get("Build-Depends").unwrap_or_default();
    let relation = relations.split(',').find_map(|it| it.trim().strip_prefix("debhelper-compat"));
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    file.or_else(|| relation.map(digits))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::import::rules::Recipe;
    use crate::import::tests::imported;
    use crate::import::{Folder, Found, import};

    const FILES: [(&str, &str); 16] = [
        ("control", "Source: a\n\nPackage: acme\n\nPackage: acme-web\n"),
        ("postinst", "#!/bin/sh\nbare\n"),
        ("acme.postinst", "#!/bin/sh\nacme\n"),
        ("acme-web.postinst", "#!/bin/sh\nweb\n"),
        ("prerm", "#!/bin/sh\nbare\n"),
        ("acme-web.prerm", "#!/bin/sh\nweb\n"),
        ("install", "conf/bare etc/acme\n"),
        ("acme.install", "conf/own etc/acme\ndebian/shipped.install etc/acme\n"),
        ("old.install", "conf/old etc/acme\n"),
        ("old.service", "[Service]\n"),
        ("old.cron.d", "x\n"),
        ("acme.x.dirs", "/var/lib/x\n"),
        ("shipped.install", "conf/shipped etc/acme\n"),
        ("named.links", "opt/venvs/acme/bin/named usr/bin/named\n"),
        ("acme.tmpfile", "old\n"),
        ("acme.tmpfiles", "new\n"),
    ];

    #[test]
    fn which_file_is_read() {
        let rules =
            "%:\n\tdh $@ --with python-virtualenv\noverride_dh_link:\n\tdh_link --name=named\n";
        let project = ["conf/bare", "conf/own", "conf/old", "debian/shipped.install"];
        let found = imported(rules, &FILES, &project).unwrap();
        let [acme, web] = found.as_slice() else { panic!("{found:?}") };
        let beside = |of: &crate::import::Imported| of.draft.beside.clone();
        let script = |of: &[(String, String)], end: &str| {
            let mut found = of.iter().filter(|(path, _)| path.ends_with(end));
            let last = found.next().map(|(_, text)| text.lines().last().unwrap_or("").to_owned());
            assert!(found.next().is_none(), "{end}");
            last
        };
        assert_eq!(script(&beside(acme), ".postinst").as_deref(), Some("acme"));
        assert_eq!(script(&beside(acme), ".prerm").as_deref(), Some("bare"));
        assert_eq!(script(&beside(web), ".postinst").as_deref(), Some("web"));
        assert_eq!(script(&beside(web), ".prerm").as_deref(), Some("web"));
        let dropped: Vec<_> = acme.draft.dropped.iter().map(|it| it.what.as_str()).collect();
        for ignored in [
            "postinst",
            "install",
            "old.install",
            "old.service",
            "old.cron.d",
            "acme.x.dirs",
            "acme.tmpfile",
        ] {
            assert!(
                dropped.contains(&format!("debian/{ignored}").as_str()),
                "{ignored} {dropped:?}"
            );
        }
        for (text, is_there) in [
            ("conf/own", true),
            ("source = \"debian/shipped.install\"", true),
            ("bin = [\"named\"]", true),
            ("debian/acme.tmpfiles", true),
            ("conf/bare", false),
            ("conf/old", false),
            ("conf/shipped", false),
            ("services", false),
            ("cron", false),
        ] {
            let keys: Vec<_> = acme.text.lines().filter(|line| !line.starts_with('#')).collect();
            assert_eq!(keys.join("\n").contains(text), is_there, "{text} {}", acme.text);
        }
    }

    /// Whether the report has the file for a human, with this reason.
    fn check(rules: &str, (file, reason): (&str, Option<&str>), compat: &str) {
        let control = format!(
            "Source: a\nBuild-Depends: x, {compat}, y\n\nPackage: acme\nArchitecture: all\n"
        );
        let found = |text: &str| Found::new(text.into(), false);
        let mut recipe = Recipe::default();
        for (target, text) in rules.lines().filter_map(|line| line.split_once(": ")) {
            recipe.targets.insert(target.to_owned(), format!("{text}\n"));
        }
        let files = [("control", control.as_str()), (file, "x\n")];
        let folder = Folder {
            path: "debian".to_owned(),
            files: BTreeMap::from(files.map(|(name, text)| (name.to_owned(), found(text)))),
            recipe,
            ..Folder::default()
        };
        let imported = import(&folder).unwrap();
        let path = format!("debian/{file}");
        let asked = imported[0].draft.human.iter().find(|remark| remark.what == path);
        let text = asked.map(|remark| remark.text.as_str());
        match reason {
            Some(reason) => {
                assert!(text.is_some_and(|text| text.contains(reason)), "{file}: {text:?}");
            }
            None => assert_eq!(text, None, "{file}"),
        }
    }

    #[test]
    fn what_debhelper_does_not_install() {
        let dh = "%: dh build --with python-virtualenv";
        let (old, new) = ("debhelper-compat (= 12)", "debhelper-compat (= 14)");
        check(dh, ("acme.tmpfiles", Some("before its level 13")), old);
        check(dh, ("acme.tmpfiles", None), new);
        check(dh, ("acme.sysusers", Some("before its level 14")), old);
        check(&format!("{dh} --with installsysusers"), ("acme.sysusers", None), old);
        check(dh, ("acme.bash-completion", Some("without its add-on")), new);
        check(&format!("{dh},bash-completion"), ("acme.bash-completion", None), new);
        check(dh, ("acme.web.default", Some("without `--name`")), new);
        let named = format!("{dh}\noverride_dh_installinit: dh_installinit --name=web");
        check(&named, ("acme.web.default", None), new);
        check(dh, ("acme.web.logrotate", Some("without `--name`")), new);
        check(dh, ("acme.default", None), new);
        check(dh, ("acme.web.job.cron.d", Some("without `--name`")), new);
    }
}
