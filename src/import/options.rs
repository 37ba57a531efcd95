//! The options of `dh_virtualenv`, by their long names, wherever they stand.

use crate::import::shell::Command;

/// An option as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its long name with `--`; what is no option of the program stays as it was written.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
}

impl Given {
    /// It as it could be typed.
    pub fn text(&self) -> String {
        match &self.value {
            Some(value) => format!("{}={value}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A call of the program with all that decides what it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Its options.
    pub options: Vec<Given>,
    /// Variables that were set for it alone.
    pub variables: Vec<(String, String)>,
    /// The target it stands in, if that is known.
    pub target: String,
}

impl Call {
    /// Values of an option.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let given = self.options.iter().filter(|option| option.name == name);
        given.filter_map(|option| option.value.as_deref()).collect()
    }

    /// It as it could be typed.
    pub fn text(&self) -> String {
        let set = self.variables.iter().map(|(name, value)| format!("{name}={value}"));
        let options = self.options.iter().map(Given::text);
        set.chain(["dh_virtualenv".to_owned()]).chain(options).collect::<Vec<_>>().join(" ")
    }

    /// Whether it is about a package; one that is for all machines is none of `…-arch`'s (debhelper(7)).
    pub fn is_about(&self, package: &str, is_for_all: bool) -> bool {
        if self.target.ends_with(if is_for_all { "-arch" } else { "-indep" }) {
            return false;
        }
        let named = self.values("--package");
        (named.is_empty() || named.contains(&package))
            && !self.values("--no-package").contains(&package)
    }
}

const WITH_VALUE: [&str; 17] = [
    "--package",
    "--no-package",
    "--python",
    "--index-url",
    "--pypi-url",
    "--extra-index-url",
    "--preinstall",
    "--extras",
    "--requirements",
    "--pip-tool",
    "--upgrade-pip-to",
    "--extra-pip-arg",
    "--extra-virtualenv-arg",
    "--sourcedirectory",
    "--install-suffix",
    "--name",
    "--exclude",
];

const SHORT: [(char, &str); 9] = [
    ('p', "--package"),
    ('N', "--no-package"),
    ('D', "--sourcedirectory"),
    ('v', "--verbose"),
    ('n', "--noscripts"),
    ('S', "--use-system-packages"),
    ('s', "--setuptools"),
    ('X', "--exclude"),
    ('O', "-O"),
];

/// Options of `dh` itself with values, which are not passed on.
const OF_DH: [&str; 6] =
    ["--with", "--without", "--buildsystem", "--builddirectory", "--max-parallel", "--until"];

/// Reads a call of `dh_virtualenv`, or of `dh`, which passes options on.
pub fn call(command: &Command) -> Call {
    let is_dh = command.program() == "dh";
    let mut words = command.words.iter().skip(1).map(String::as_str).peekable();
    let mut options = Vec::new();
    while let Some(word) = words.next() {
        let long = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let takes_value = WITH_VALUE.contains(&long.0) || OF_DH.contains(&long.0);
        let (name, value) = match word.strip_prefix('-') {
            Some(short) if !short.is_empty() && !short.starts_with('-') => short_option(short),
            _ => (long.0.to_owned(), long.1.map(str::to_owned)),
        };
        let wants = WITH_VALUE.contains(&name.as_str()) || takes_value;
        let value = value.or_else(|| wants.then(|| words.next().map(str::to_owned)).flatten());
        let is_ours = !is_dh || word.starts_with('-') && !OF_DH.contains(&name.as_str());
        if is_ours && name != "--" {
            options.push(Given { name, value });
        }
    }
    Call { options, variables: command.assignments.clone(), target: String::new() }
}

/// `-pNAME`, `-v`, `-Oanything`.
fn short_option(short: &str) -> (String, Option<String>) {
    let first = short.chars().next().unwrap_or_default();
    let known = SHORT.iter().find(|(letter, _)| *letter == first);
    let Some((_, name)) = known else { return (format!("-{short}"), None) };
    let rest = &short[first.len_utf8()..];
    if first == 'O' {
        return (format!("-O{rest}"), None);
    }
    ((*name).to_owned(), (!rest.is_empty()).then(|| rest.to_owned()))
}

/// What a `dh` command line says of `option`, such as the add-ons of `--with`.
pub fn of_dh<'a>(command: &'a Command, option: &str) -> Vec<&'a str> {
    let mut values = Vec::new();
    for (index, word) in command.words.iter().enumerate() {
        let value = match word.strip_prefix(option) {
            Some("") => command.words.get(index + 1).map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        values.extend(value.into_iter().flat_map(|value| value.split(',')));
    }
    values
}

#[cfg(test)]
mod tests {
    use crate::import::options::{call, of_dh};
    use crate::import::shell::commands;

    fn check(text: &str, expected: &[&str]) {
        let options: Vec<_> =
            call(&commands(text)[0]).options.iter().map(|option| option.text()).collect();
        assert_eq!(options, expected, "{text}");
    }

    #[test]
    fn spellings() {
        check(
            "dh_virtualenv -pa -N b -D src --python=/p -v --extras a,b -O--x --upgrade-pip",
            &[
                "--package=a",
                "--no-package=b",
                "--sourcedirectory=src",
                "--python=/p",
                "--verbose",
                "--extras=a,b",
                "-O--x",
                "--upgrade-pip",
            ],
        );
        check("dh binary --with a,python-virtualenv --no-test -a", &["--no-test", "-a"]);
        check("dh_virtualenv --extra-pip-arg --no-deps", &["--extra-pip-arg=--no-deps"]);
        let dh = &commands("dh x --with a,b --with=c")[0];
        assert_eq!(of_dh(dh, "--with"), ["a", "b", "c"]);
    }
}
