//! What debhelper installs of a recipe's files, by its level of compatibility (debhelper(7)), add-ons and `--name`.

use crate::import::Package;
use crate::import::options::{call, of_dh};

/// Kinds of files, and the helper that installs them.
const HELPERS: [(&str, &str); 9] = [
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
    HELPERS.iter().find(|(known, _)| *known == kind).map(|(_, helper)| *helper)
}

fn is_named(of: &Package<'_>, kind: &str, name: &str) -> bool {
    let commands = of.folder.recipe.commands();
    let mut helpers = commands.iter().filter(|(_, it)| Some(it.program()) == helper(kind));
    helpers.any(|(_, command)| call(command).values("--name").contains(&name))
}

fn is_called(of: &Package<'_>, kind: &str) -> bool {
    of.folder.recipe.commands().iter().any(|(_, it)| Some(it.program()) == helper(kind))
}

/// The level of compatibility, in `compat` or in the build relations.
fn level(of: &Package<'_>) -> Option<u32> {
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
    use crate::import::{Folder, Found, import};

    /// Whether the report has the file for a human, with this reason.
    fn check(rules: &str, (file, reason): (&str, Option<&str>), compat: &str) {
        let control = format!(
            "Source: a\nBuild-Depends: x, {compat}, y\n\nPackage: acme\nArchitecture: all\n"
        );
        let found = |text: &str| Found { text: text.to_owned(), is_executable: false };
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
