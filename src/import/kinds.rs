//! The kinds of files in `debian/` by their names, and what becomes of each.

/// Kinds of files with a place of their own: directory, mode, role. The file is called as the package, or as `--name`
/// says.
pub(super) const PLACED: [(&str, &str, &str, &str); 12] = [
    ("logrotate", "/etc/logrotate.d/", "0644", "config"),
    ("cron.d", "/etc/cron.d/", "0644", "config"),
    ("cron.hourly", "/etc/cron.hourly/", "0755", "config"),
    ("cron.daily", "/etc/cron.daily/", "0755", "config"),
    ("cron.weekly", "/etc/cron.weekly/", "0755", "config"),
    ("cron.monthly", "/etc/cron.monthly/", "0755", "config"),
    ("default", "/etc/default/", "0644", "config"),
    ("tmpfile", "/usr/lib/tmpfiles.d/", "0644", "plain"),
    ("tmpfiles", "/usr/lib/tmpfiles.d/", "0644", "plain"),
    ("sysusers", "/usr/lib/sysusers.d/", "0644", "plain"),
    ("bash-completion", "/usr/share/bash-completion/completions/", "0644", "plain"),
    ("metainfo", "/usr/share/metainfo/", "0644", "plain"),
];

/// Kinds that are lists or have a meaning of their own.
pub(super) const READ: [&str; 22] = [
    "install",
    "links",
    "dirs",
    "manpages",
    "docs",
    "examples",
    "conffiles",
    "triggers",
    "preinst",
    "postinst",
    "prerm",
    "postrm",
    "service",
    "socket",
    "timer",
    "mount",
    "path",
    "target",
    "slice",
    "README.Debian",
    "NEWS",
    "lintian-overrides",
];

/// Kinds that stay behind, and what to do about them.
pub(super) const ASKED: [(&str, &str); 15] = [
    (
        "config",
        "debconf is not supported: ship a configuration file with `[[files]]`, or ask in the application",
    ),
    (
        "templates",
        "debconf is not supported: its questions are not asked any more; `echo PURGE | debconf-communicate PACKAGE` in \
         `scripts.after-upgrade` has it forget the answers",
    ),
    ("init", "no init script is installed: write a unit, `[services.main]`, if there is none"),
    (
        "maintscript",
        "build with `--previous OLD`, which prepares for what changed since that package",
    ),
    ("substvars", "write what the variables stand for into the lists of `[deb]`"),
    ("pam", "`[[files]]` does not write below /etc/pam.d: let the administrator do it"),
    (
        "udev",
        "`[[files]]` does not write rules of udev: ship them below /usr/share and tell in a snippet",
    ),
    (
        "alternatives",
        "call `update-alternatives` in `scripts.after-install` and `scripts.before-remove`",
    ),
    ("user.service", OF_USERS),
    ("user.socket", OF_USERS),
    ("user.timer", OF_USERS),
    ("user.path", OF_USERS),
    ("user.target", OF_USERS),
    ("ucf", "make it a file with `role = \"config\"`"),
    ("doc-base", "it is not registered: ship the document with `role = \"doc\"`"),
];

const OF_USERS: &str = "it is a unit of users' own systemd, for which `[[files]]` has no place: ship it below /usr/share, \
                        and link and enable it (`systemctl --global`) in `scripts.after-install`";

/// Kinds nothing is lost with.
pub(super) const LEFT: [(&str, &str); 10] = [
    ("copyright", "made of the licences of all that is inside"),
    ("changelog", "made of the version and its time; the folder's stays for its readers"),
    ("upstart", "no supported release has upstart"),
    ("shlibs", "private libraries are not published"),
    ("symbols", "private libraries are not published"),
    ("apport", "belongs to one distribution's desktop"),
    ("py3dist-overrides", "what is inside needs no package of Python modules"),
    ("pydist-overrides", "what is inside needs no package of Python modules"),
    ("clean", "a build leaves nothing behind"),
    ("not-installed", "nothing is installed unasked"),
];

/// Files of the folder that are read elsewhere, or are made by debhelper.
pub(super) const COMMON: [&str; 6] =
    ["control", "rules", "changelog", "files", "copyright", "debhelper-build-stamp"];

/// Files and directories that the source package has for itself.
pub(super) const OF_SOURCE: [&str; 7] =
    ["compat", "watch", "gbp.conf", "source", "tests", "upstream", "salsa-ci.yml"];

/// The kind of a file, and the name before it.
pub(super) fn kind(rest: &str) -> Option<(Option<String>, &'static str)> {
    let placed = PLACED.iter().map(|(kind, ..)| *kind);
    let others = ASKED.iter().chain(&LEFT).map(|(kind, _)| *kind);
    let all = placed.chain(others).chain(READ);
    let found = all.filter_map(|kind| {
        let name = rest.strip_suffix(kind)?;
        let name = match name.strip_suffix('.') {
            None if name.is_empty() => None,
            None => return None,
            Some(name) => Some(name.to_owned()),
        };
        Some((name, kind))
    });
    found.max_by_key(|(_, kind)| kind.len())
}

#[cfg(test)]
mod tests {
    use crate::import::kinds::kind;

    #[test]
    fn kinds_of_files() {
        for (rest, expected) in [
            ("install", Some((None, "install"))),
            ("cron.d", Some((None, "cron.d"))),
            ("web.service", Some((Some("web"), "service"))),
            ("@.service", Some((Some("@"), "service"))),
            ("user.service", Some((None, "user.service"))),
            ("README.Debian", Some((None, "README.Debian"))),
            ("reinstall", None),
            ("notes", None),
        ] {
            let found = kind(rest);
            let found = found.as_ref().map(|(name, kind)| (name.as_deref(), *kind));
            assert_eq!(found, expected, "{rest}");
        }
    }
}
