//! Values that scripts of both formats need, those of their shared parts among them: `templates/snippets.hbs` and
//! `templates/checks.hbs`.
//!
//! Knows no format; a backend says what is its own.

use serde::Serialize;

use std::collections::BTreeMap;

use crate::lifecycle::{Alternative, Moment, Part, pattern};
use crate::package::PackageMeta;

/// What the functions of both parts are made from; a script that uses them has these at the top of its values.
#[derive(Debug, Serialize)]
pub(super) struct Hooks {
    /// Name of the package.
    pub(super) name: String,
    /// Directory of its code.
    pub(super) prefix: String,
    /// Its version, as the format has it.
    pub(super) version: String,
    /// `deb` or `rpm`.
    pub(super) format: &'static str,
    /// The account of the services; empty when they run as root.
    pub(super) user: String,
    /// Further groups of that account.
    pub(super) groups: Vec<String>,
    /// `PATH` of a check: the commands of the package come first.
    pub(super) path: String,
    /// The file with the variables of services; empty when there is none.
    pub(super) environment_file: String,
    /// The checks.
    pub(super) checks: Vec<String>,
    /// The command that tries again what a failed check ended.
    pub(super) retry: String,
    /// The snippets.
    pub(super) snippets: Snippets,
    /// Sockets, each with the service it starts.
    pub(super) sockets: Vec<[String; 2]>,
    /// Units that are no more, each with the pattern of what may run of it.
    pub(super) dropped: Vec<[String; 2]>,
    /// The release that is offered.
    pub(super) offers: Option<Choice>,
    /// The release that is made the current one.
    pub(super) selects: Option<Choice>,
}

/// Texts of snippets; empty where there is none.
#[derive(Debug, Default, Serialize)]
pub(super) struct Snippets {
    before_install: String,
    after_install: String,
    before_upgrade: String,
    after_upgrade: String,
    before_remove: String,
    after_remove: String,
}

impl Snippets {
    fn new(snippets: &BTreeMap<Moment, String>) -> Self {
        let text = |moment| snippets.get(&moment).cloned().unwrap_or_default();
        Self {
            before_install: text(Moment::BeforeInstall),
            after_install: text(Moment::AfterInstall),
            before_upgrade: text(Moment::BeforeUpgrade),
            after_upgrade: text(Moment::AfterUpgrade),
            before_remove: text(Moment::BeforeRemove),
            after_remove: text(Moment::AfterRemove),
        }
    }
}

/// Arguments of update-alternatives(1), which Debian's program, in SUSE too, and that of Red Hat's chkconfig take alike.
#[derive(Debug, Serialize)]
pub(super) struct Choice {
    name: String,
    application: String,
    link: String,
    dir: String,
    priority: u64,
}

/// The values for a package whose version is `version` in the format called `format`.
pub(super) fn hooks(
    meta: &PackageMeta,
    format: &'static str,
    version: String,
    retry: &str,
) -> Hooks {
    let lifecycle = &meta.lifecycle;
    let prefix = meta.code().absolute();
    let dropped = &lifecycle.changes.dropped_units;
    let account = lifecycle.account.as_ref();
    let (offers, selects) = lifecycle.alternative.as_ref().map(choices).unwrap_or_default();
    Hooks {
        name: meta.name.to_string(),
        version,
        format,
        user: account.map(|account| account.name.clone()).unwrap_or_default(),
        groups: account.map(|account| account.groups.clone()).unwrap_or_default(),
        path: format!("{prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        environment_file: lifecycle
            .environment_file
            .as_ref()
            .map(|path| path.absolute())
            .unwrap_or_default(),
        checks: lifecycle.checks.clone(),
        retry: format!("{retry} {}", meta.name),
        prefix,
        snippets: Snippets::new(&lifecycle.snippets),
        sockets: lifecycle.units.iter().filter_map(|unit| socket(&unit.name)).collect(),
        dropped: dropped.iter().map(|name| [name.clone(), pattern(name)]).collect(),
        offers,
        selects,
    }
}

/// A socket, and the service it starts; `None` for any other unit.
fn socket(name: &str) -> Option<[String; 2]> {
    let stem = name.strip_suffix(".socket")?;
    Some([name.to_owned(), format!("{stem}.service")])
}

/// What is offered, and what is selected.
fn choices(alternative: &Alternative) -> (Option<Choice>, Option<Choice>) {
    let Alternative { name, application, link, dir, part } = alternative;
    let choice = |priority| {
        let (link, dir) = (link.absolute(), dir.absolute());
        let (name, application) = (name.clone(), application.clone());
        Some(Choice { name, application, link, dir, priority })
    };
    match *part {
        Part::Offers { priority } => (choice(priority), None),
        Part::Selects => (None, choice(0)),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use crate::backend::hooks::{Hooks, Snippets};
    use crate::templates::{render, shell_word};

    fn values() -> Hooks {
        Hooks {
            name: "acme-web".to_owned(),
            prefix: "/opt/acme-web".to_owned(),
            version: "1.4.2-1".to_owned(),
            format: "deb",
            user: String::new(),
            groups: Vec::new(),
            path: "/opt/acme-web/bin:/usr/bin:/bin".to_owned(),
            environment_file: String::new(),
            checks: Vec::new(),
            retry: "dpkg --configure acme-web".to_owned(),
            snippets: Snippets::default(),
            sockets: Vec::new(),
            dropped: Vec::new(),
            offers: None,
            selects: None,
        }
    }

    /// Runs a script made of a part and `rest`; its exit status, and all it printed.
    fn run(template: &str, values: &Hooks, rest: &str) -> (i32, String) {
        let script = render("test", template, values).unwrap() + rest;
        let shell = ["-ec", &format!("exec 2>&1\n{script}"), "test", "", "it's $(id) \\"];
        let output = Command::new("/bin/sh").args(shell).env("OUTER", "x").output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }

    fn check_snippet(text: &str, status: i32, expected: &str) {
        let call = format!("run_snippet after-upgrade upgrade \"$2\" {}\n", shell_word(text));
        let result = run("{{> snippets}}\n", &values(), &call);
        assert_eq!(result, (status, expected.to_owned()), "{text}");
    }

    #[test]
    fn snippets() {
        check_snippet(
            "echo \"$0 $MKPKG_NAME $MKPKG_PREFIX $MKPKG_VERSION $MKPKG_FORMAT <$MKPKG_USER>\"; pwd",
            0,
            "after-upgrade acme-web /opt/acme-web 1.4.2-1 deb <>\n/\n",
        );
        check_snippet("echo $MKPKG_ACTION \"$MKPKG_OLD_VERSION\"", 0, "upgrade it's $(id) \\\n");
        check_snippet("# It's\n\necho \"{{a}}\" '$1'\n", 0, "{{a}} $1\n");
        check_snippet("false; echo", 1, "acme-web: after-upgrade failed with status 1\n");
        check_snippet("exit 7", 7, "acme-web: after-upgrade failed with status 7\n");
    }

    fn check_variables(text: &str, expected: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{text}\n")).unwrap();
        let environment_file = file.path().to_str().unwrap().to_owned();
        let (status, found) =
            run("{{> checks}}\n", &Hooks { environment_file, ..values() }, "variables\n");
        assert_eq!((status, found.as_str()), (0, expected), "{text}");
    }

    /// systemd.exec(5), `EnvironmentFile=`.
    #[test]
    fn environment_files() {
        for (line, expected) in [
            ("A=1", "A=1\n"),
            ("  A = 1 b  \r", "A=1 b\n"),
            ("A=", "A=\n"),
            ("A=a=b", "A=a=b\n"),
            ("# A=1\n ; B=2\n\nnothing\nexport C=3\n1D=4", ""),
            ("A=\"x y\" ", "A=x y\n"),
            ("A=' \"$(id)\\n '", "A= \"$(id)\\n \n"),
            (r#"A="\"q\" \$x \\ \n `id`""#, "A=\"q\" $x \\ \\n `id`\n"),
            (r"A=\$x\\y\ z", "A=$x\\y z\n"),
            ("A=$(id) `id` $x \u{e4} it's", "A=$(id) `id` $x \u{e4} it's\n"),
        ] {
            check_variables(line, expected);
        }
        let missing = Hooks { environment_file: "/nonexistent/file".to_owned(), ..values() };
        assert_eq!(run("{{> checks}}\n", &missing, "variables\n"), (0, String::new()));
    }

    #[test]
    fn checks() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "PATH=/nowhere\nA='it''s $(id)'\n B=b c").unwrap();
        let environment_file = file.path().to_str().unwrap().to_owned();
        let check = |checks: &[&str], status: i32, expected: &str| {
            let checks = checks.iter().map(|text| (*text).to_owned()).collect();
            let values = Hooks { environment_file: environment_file.clone(), checks, ..values() };
            let result = run("{{> checks}}\n", &values, "run_checks || exit 3\n");
            assert_eq!(result, (status, expected.to_owned()));
        };
        check(
            &["echo \"$B <$OUTER> $PATH $PYTHONDONTWRITEBYTECODE\"; pwd"],
            0,
            "b c <> /nowhere 1\n/\n",
        );
        check(
            &["true", "exit 4; \"it's\"", "echo not reached"],
            3,
            "acme-web: a check failed with status 4: exit 4; \"it's\"\nacme-web: no service was \
             started or restarted; mend the cause, then run: dpkg --configure acme-web\n",
        );
    }
}
