//! `debian/rules`: its targets, what it exports, and the commands that make prints for them.

use std::collections::BTreeMap;

use crate::import::options::{Call, call, of_dh};
use crate::import::shell::{Command, commands};

/// A makefile as far as its text tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Makefile {
    /// Recipes by target, as they are written.
    pub recipes: BTreeMap<String, String>,
    /// Names of variables that it exports.
    pub exports: Vec<String>,
    /// Variables for helpers that one target has for itself, with that target.
    pub specific: Vec<String>,
}

impl Makefile {
    /// Adds another file that make reads as well.
    pub fn add(&mut self, other: Self) {
        for (target, text) in other.recipes {
            self.recipes.entry(target).or_default().push_str(&text);
        }
        self.exports.extend(other.exports);
        self.specific.extend(other.specific);
    }
}

/// Directives between which a recipe goes on (GNU make, Conditional Parts of Makefiles).
const CONDITIONS: [&str; 6] = ["ifeq", "ifneq", "ifdef", "ifndef", "else", "endif"];

/// Reads targets, recipes and exports; nothing is expanded.
pub fn read(text: &str) -> Makefile {
    let mut makefile = Makefile::default();
    let mut targets: Vec<String> = Vec::new();
    let mut goes_on = false;
    let mut is_definition = false;
    let prefix = text.lines().find_map(|line| line.strip_prefix(".RECIPEPREFIX")?.split_once('='));
    let prefix = prefix.and_then(|(_, value)| value.trim().chars().next()).unwrap_or('\t');
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !is_definition && (line.starts_with(prefix) || goes_on && !targets.is_empty()) {
            for target in &targets {
                let recipe = makefile.recipes.entry(target.clone()).or_default();
                let line = line.strip_prefix(prefix).unwrap_or(line).trim_start_matches('\t');
                recipe.push_str(line.trim_start_matches(['@', '-', '+']));
                recipe.push('\n');
            }
            goes_on = line.ends_with('\\');
            continue;
        }
        let mut line = line.to_owned();
        while line.ends_with('\\') {
            line.pop();
            line.push_str(lines.next().unwrap_or_default());
        }
        let line = line.split('#').next().unwrap_or_default().trim();
        let first = line.split([' ', '\t', '(']).next().unwrap_or_default();
        is_definition = first == "define" || is_definition && first != "endef";
        if is_definition || CONDITIONS.contains(&first) {
            continue;
        }
        if let Some(rest) = line.strip_prefix("export ") {
            let names = rest.split(['=', ':', '?', '+']).next().unwrap_or_default();
            makefile.exports.extend(names.split_whitespace().map(str::to_owned));
        } else if let Some((names, rest)) = line.split_once(':')
            && !names.contains('=')
            && !rest.starts_with('=')
        {
            if is_for_helpers(rest) {
                makefile.specific.push(line.to_owned());
            }
            targets = names.split_whitespace().map(str::to_owned).collect();
            // A recipe may begin behind the prerequisites.
            let inline = rest.split_once(';').map(|(_, recipe)| format!("{}\n", recipe.trim()));
            for target in &targets {
                let recipe = makefile.recipes.entry(target.clone()).or_default();
                recipe.push_str(inline.as_deref().unwrap_or_default());
            }
        } else if !line.is_empty() {
            targets.clear();
        }
    }
    makefile
}

/// Whether what follows a target sets a variable of a helper for it (GNU make, Target-specific Variable Values).
fn is_for_helpers(rest: &str) -> bool {
    let rest = rest.split(';').next().unwrap_or_default().trim_start();
    let rest = rest.strip_prefix("export ").unwrap_or(rest).trim_start();
    rest.starts_with("DH_") && rest.contains('=')
}

/// What the rules run.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// The lines make would run, by target; that of `%` is any.
    pub targets: BTreeMap<String, String>,
    /// Exported variables with their values.
    pub variables: BTreeMap<String, String>,
    /// The makefiles of the project; those of the folder are called `debian/…`.
    pub makefiles: Vec<String>,
    /// Variables for helpers that one target has for itself, as they are written.
    pub specific: Vec<String>,
    /// Calls that were recorded when the rules ran; `None` when they did not.
    pub recorded: Option<Vec<Call>>,
}

/// The name of an override without its parts: `dh_strip` of `execute_before_dh_strip-arch` (debhelper(7)).
pub fn overridden(target: &str) -> Option<(&str, bool)> {
    let (rest, replaces) = match target.strip_prefix("override_") {
        Some(rest) => (rest, true),
        None => {
            let rest = target.strip_prefix("execute_before_");
            (rest.or_else(|| target.strip_prefix("execute_after_"))?, false)
        }
    };
    let rest = rest.strip_suffix("-arch").or_else(|| rest.strip_suffix("-indep")).unwrap_or(rest);
    rest.starts_with("dh_").then_some((rest, replaces))
}

impl Recipe {
    /// The commands of all targets, each with its target.
    pub fn commands(&self) -> Vec<(&str, Command)> {
        let all = self.targets.iter().flat_map(|(target, text)| {
            commands(text).into_iter().map(move |command| (target.as_str(), command))
        });
        all.collect()
    }

    /// Calls of `dh`.
    pub fn sequences(&self) -> Vec<Command> {
        let all = self.commands().into_iter().map(|(_, command)| command);
        all.filter(|command| command.program() == "dh").collect()
    }

    /// Whether the add-on of dh-virtualenv is there, or its build system.
    pub fn uses_dh_virtualenv(&self) -> bool {
        let is_asked = |command: &Command| {
            of_dh(command, "--with").contains(&"python-virtualenv") || uses_buildsystem(command)
        };
        self.sequences().iter().any(is_asked) || !self.calls().is_empty()
    }

    /// Calls of a program as they are written.
    pub fn calls_of(&self, program: &str) -> Vec<Call> {
        let all = self.commands().into_iter();
        let ours = all.filter(|(_, command)| command.program() == program);
        let one = |(target, command): (&str, Command)| Call {
            target: target.to_owned(),
            ..call(&command)
        };
        ours.map(one).collect()
    }

    /// Calls of `dh_virtualenv` that are seen: those recorded, or those written.
    pub fn calls(&self) -> Vec<Call> {
        self.recorded.clone().unwrap_or_else(|| self.calls_of("dh_virtualenv"))
    }

    /// Options on the line of `dh`, which passes them on to all helpers.
    pub fn passed_on(&self) -> Call {
        let mut all = Call::default();
        for command in self.sequences() {
            let one = call(&command);
            all.options.extend(
                one.options.into_iter().filter(|it| !all.options.contains(it)).collect::<Vec<_>>(),
            );
        }
        all
    }

    /// Whether the project is built by the build system of that name (`dh_virtualenv --buildsystem` mode).
    pub fn is_buildsystem(&self) -> bool {
        self.sequences().iter().any(uses_buildsystem)
    }
}

fn uses_buildsystem(command: &Command) -> bool {
    of_dh(command, "--buildsystem").contains(&"dh_virtualenv")
}

#[cfg(test)]
mod tests {
    use crate::import::rules::{Recipe, overridden, read};

    #[test]
    fn makefiles() {
        let text = "#!/usr/bin/make -f\nexport A := 1\nexport B C\nX=1\n%:\n\tdh $@ --with a\n\na b:\n\t@x \\\n  y\n\n.PHONY: a\nZ:=2\n";
        let makefile = read(text);
        assert_eq!(makefile.exports, ["A", "B", "C"]);
        assert_eq!(makefile.recipes["%"], "dh $@ --with a\n");
        assert_eq!(makefile.recipes["a"], makefile.recipes["b"]);
        assert_eq!(makefile.recipes["a"], "x \\\n  y\n");
        assert!(!makefile.recipes.contains_key("Z"));
        let inline = read("override_dh_virtualenv: ; dh_virtualenv --extras pg\n");
        assert_eq!(inline.recipes["override_dh_virtualenv"], "dh_virtualenv --extras pg\n");
    }

    #[test]
    fn parts_of_makefiles() {
        for (text, target, expected) in [
            ("a:\nifeq (,$(filter x,$(Y)))\n\tb\nelse\n\tc\nendif\n", "a", "b\nc\n"),
            (".RECIPEPREFIX := >\na:\n> b\n", "a", " b\n"),
            ("a: b \\\n  c\n\td\n", "a", "d\n"),
            ("X = a \\\n b: c\na:\n\td\n", "a", "d\n"),
            ("a:\n\tb\ndefine x\nc: d\n\te\nendef\n", "a", "b\n"),
        ] {
            let found = read(text).recipes;
            assert_eq!(found.get(target).map(String::as_str), Some(expected), "{text}");
            assert_eq!(found.len(), 1, "{text}");
        }
    }

    #[test]
    fn variables_of_targets() {
        let text = "a: export DH_X = 1\nb: DH_Y := 2\nc: d\ne: ; DH_Z=1 f\ng: CFLAGS = -O\n";
        assert_eq!(read(text).specific, ["a: export DH_X = 1", "b: DH_Y := 2"]);
    }

    #[test]
    fn overrides() {
        assert_eq!(overridden("override_dh_strip-arch"), Some(("dh_strip", true)));
        assert_eq!(overridden("execute_after_dh_virtualenv"), Some(("dh_virtualenv", false)));
        assert_eq!(overridden("build"), None);
    }

    #[test]
    fn where_options_stand() {
        let mut recipe = Recipe::default();
        assert!(!recipe.uses_dh_virtualenv());
        let line = "dh binary --with=python-virtualenv,systemd --no-test\n";
        recipe.targets.insert("%".to_owned(), line.to_owned());
        assert!(recipe.uses_dh_virtualenv() && recipe.calls().is_empty());
        assert_eq!(recipe.passed_on().options[0].name, "--no-test");
        let line = "cd x && A=1 dh_virtualenv --python p\n";
        recipe.targets.insert("override_dh_virtualenv".to_owned(), line.to_owned());
        assert_eq!(recipe.calls()[0].values("--python"), ["p"]);
        assert_eq!(recipe.calls()[0].variables[0].0, "A");
    }
}
