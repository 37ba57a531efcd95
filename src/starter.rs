//! The configuration a project starts with: every line a comment, so that nothing changes until one is edited.
//!
//! Text only; what was found of the project comes in.

/// What was found of a project.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Name of the package.
    pub name: String,
    /// Version the project's files state.
    pub version: Option<String>,
    /// The lock or requirements beside it.
    pub lock: Option<String>,
    /// `python3` of the host's release, and the release.
    pub python: Option<(String, String)>,
}

/// Where the configuration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// In `mkpkg.toml`, all of it.
    Own,
    /// In `pyproject.toml`, as `[tool.mkpkg]`.
    PyProject,
}

/// The text of a configuration for the project that was found.
pub fn text(found: &Found, home: Home) -> String {
    let (start, table) = match home {
        Home::Own => ("", ""),
        Home::PyProject => ("\n[tool.mkpkg]\n", "tool.mkpkg."),
    };
    let name = &found.name;
    let mut text = format!(
        "{start}# How mkpkg packages this project. Nothing has to be set: a line that is commented out tells what holds,\n\
         # or is an example. `mkpkg check` validates, `mkpkg init --schema` prints all keys for editors.\n\n"
    );
    let mut line = |setting: &str, why: &str| text += &format!("# {setting:<40} # {why}\n");
    line(&format!("name = \"{name}\""), "of the package");
    match &found.version {
        Some(version) => line(&format!("version = \"{version}\""), "the project's"),
        None => line("version = \"1.0\"", "the project's, which is known once it is built"),
    }
    line(&format!("prefix = \"/opt/{name}\""), "everything lives below it");
    line("maintainer = \"Name <mail@example.org>\"", "whom the project's metadata names");
    match &found.python {
        Some((python, release)) => {
            line(&format!("python = \"{python}\""), &format!("the `python3` of {release}"));
        }
        None => line("python = \"3.11\"", "the `python3` of the target"),
    }
    match &found.lock {
        Some(lock) => line(&format!("requirements = [\"{lock}\"]"), "found beside the project"),
        None => line("requirements = [\"requirements.txt\"]", "none was found beside the project"),
    }
    line("extras = []", "of the project");
    line(&format!("bin = [\"{name}\"]"), "commands in /usr/bin; the project's own");
    line(&format!("check = [\"{name} --version\"]"), "must succeed before a package is written");
    text += &format!(
        "\n# [{table}services.main]\n# exec = \"{name} serve\"\n\
         \n# [[{table}files]]\n# source = \"packaging/{name}.toml\"\n# target = \"/etc/{name}/{name}.toml\"\n\
         \n# [{table}deb]\n# section = \"misc\"\n# add = [\"postgresql-client\"]\n\
         \n# [{table}rpm]\n# add = [\"postgresql\"]\n"
    );
    text
}

#[cfg(test)]
mod tests {
    use crate::document::Table;
    use crate::project::config::{Config, load, parse};
    use crate::starter::{Found, Home, text};

    fn config(text: &str, home: Home) -> Config {
        let mut table = parse(text, "it").unwrap();
        if home == Home::PyProject {
            let tool = table.remove("tool").unwrap();
            table = tool.get("mkpkg").and_then(|inner| inner.as_table()).unwrap().clone();
        }
        load(Some((table, "it")), &[]).unwrap()
    }

    #[test]
    fn nothing_is_set_and_every_line_could_be() {
        let found = Found {
            name: "acme".to_owned(),
            version: Some("1.0".to_owned()),
            lock: Some("uv.lock".to_owned()),
            python: Some(("3.13".to_owned(), "debian:13".to_owned())),
        };
        for found in [found, Found { name: "acme".to_owned(), ..Found::default() }] {
            for home in [Home::Own, Home::PyProject] {
                let text = text(&found, home);
                let as_is = config(&text, home);
                assert_eq!(format!("{as_is:?}"), format!("{:?}", Config::default()));
                // The first two lines are for people.
                let lines = text.lines().filter(|line| !line.starts_with("# How mkpkg"));
                let lines = lines.filter(|line| !line.starts_with("# or is"));
                let lines = lines.map(|line| line.strip_prefix("# ").unwrap_or(line));
                let all = config(&lines.collect::<Vec<_>>().join("\n"), home);
                assert_eq!(all.name.as_deref(), Some("acme"));
                assert_eq!(all.version.as_deref(), Some("1.0"));
                assert_eq!(all.services["main"].exec.as_deref(), Some("acme serve"));
                assert_eq!(all.rpm.add, ["postgresql"]);
            }
        }
        assert!(parse(&text(&Found::default(), Home::Own), "it").unwrap() == Table::new());
    }
}
