//! What pip is told by its variables and files, as far as others than pip have to know.

use std::path::{Path, PathBuf};

/// What pip is told.
#[derive(Debug)]
pub struct Settings {
    /// Names without `PIP_`, in lower case with dashes, and values.
    variables: Vec<(String, String)>,
    /// Texts of its files.
    files: Vec<String>,
}

/// What decides where distributions come from and how pip talks, but not how it builds them or where it puts them.
const HARMLESS: [&str; 30] = [
    "break-system-packages",
    "cache-dir",
    "cert",
    "client-cert",
    "config-file",
    "default-timeout",
    "disable-pip-version-check",
    "exists-action",
    "extra-index-url",
    "find-links",
    "index-url",
    "keyring-provider",
    "log",
    "no-binary",
    "no-cache-dir",
    "no-color",
    "no-index",
    "no-input",
    "no-python-version-warning",
    "no-warn-script-location",
    "only-binary",
    "pre",
    "prefer-binary",
    "progress-bar",
    "proxy",
    "quiet",
    "retries",
    "root-user-action",
    "timeout",
    "trusted-host",
];

/// Sections of its files that count for `pip install` and `pip wheel`.
const SECTIONS: [&str; 3] = ["global", "install", "wheel"];

impl Settings {
    /// Those for an interpreter at `executable`, from the places pip's documentation names ("Configuration files").
    pub fn load(executable: &Path) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = variable("HOME").map(PathBuf::from).unwrap_or_default();
        let user = variable("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
        let shared = variable("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".into());
        let mut dirs: Vec<_> = std::env::split_paths(&shared).map(|dir| dir.join("pip")).collect();
        dirs.extend([PathBuf::from("/etc"), home.join(".pip"), user.join("pip")]);
        dirs.extend(executable.ancestors().nth(2).map(Path::to_owned));
        let named = variable("PIP_CONFIG_FILE").map(PathBuf::from);
        let files = dirs.into_iter().map(|dir| dir.join("pip.conf")).chain(named);
        let files = files.filter_map(|file| std::fs::read_to_string(file).ok()).collect();
        let mut variables: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.to_str()?.strip_prefix("PIP_")?;
                Some((normalized(name), value.to_string_lossy().into_owned()))
            })
            .collect();
        variables.sort();
        Self { variables, files }
    }

    /// Whether they say where to look for distributions.
    pub fn name_an_index(&self) -> bool {
        let names = ["index-url", "extra-index-url", "no-index", "find-links", "config-file"];
        self.variables.iter().any(|(name, _)| names.contains(&name.as_str()))
            || self.in_files().any(|(name, _)| names.contains(&name.as_str()))
    }

    /// Whether pip has to do what they say by itself: they say more than where distributions come from.
    pub fn are_for_pip_alone(&self) -> bool {
        let is_absolute = |word: &str| word.starts_with('/') || word.contains("://");
        let is_harmless = |(name, value): (String, String)| {
            HARMLESS.contains(&name.as_str())
                // What is found there depends on the current directory.
                && (name != "find-links" || value.split_whitespace().all(is_absolute))
        };
        !self.variables.iter().cloned().chain(self.in_files()).all(is_harmless)
    }

    /// All of them, for keys.
    pub fn text(&self) -> String {
        format!("{:?}", (&self.variables, &self.files))
    }

    /// Names and values in files; lines that go on are values by themselves.
    fn in_files(&self) -> impl Iterator<Item = (String, String)> {
        self.files.iter().flat_map(|text| {
            let (mut section, mut last) = (String::new(), String::new());
            text.lines().filter_map(move |line| {
                let is_more = line.starts_with(char::is_whitespace);
                let line = line.trim();
                if line.is_empty() || line.starts_with(['#', ';']) {
                    return None;
                }
                if let Some(name) = line.strip_prefix('[') {
                    section = name.trim_end_matches(']').to_owned();
                    return None;
                }
                let value = match line.split_once(['=', ':']) {
                    Some((name, value)) if !is_more => {
                        last = normalized(name.trim());
                        value.trim()
                    }
                    Some(_) | None => line,
                };
                SECTIONS.contains(&section.as_str()).then(|| (last.clone(), value.to_owned()))
            })
        })
    }
}

/// A name as pip compares it: it may be written as the option is.
fn normalized(name: &str) -> String {
    let name = name.to_lowercase().replace('_', "-");
    name.strip_prefix("--").unwrap_or(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use crate::wheelhouse::settings::{Settings, normalized};

    fn settings(variables: &[(&str, &str)], file: &str) -> Settings {
        let variables =
            variables.iter().map(|(name, value)| (normalized(name), (*value).to_owned()));
        Settings { variables: variables.collect(), files: vec![file.to_owned()] }
    }

    #[test]
    fn who_has_to_build() {
        for (variables, file, is_for_pip, names_index) in [
            (&[][..], "", false, false),
            (&[("INDEX_URL", "x")], "# [global]\n\n[list]\nformat = json\n", false, true),
            (&[("FIND_LINKS", "/a https://b")], "[global]\ntimeout: 9\n", false, true),
            (&[("FIND_LINKS", "/a wheels")], "", true, true),
            (&[("NO_BUILD_ISOLATION", "0")], "", true, false),
            (&[("CONSTRAINT", "c.txt")], "", true, false),
            (&[], "[wheel]\nno_build_isolation = false\n", true, false),
            (&[], "[install]\nPrefix=/x\n", true, false),
            (&[], "[global]\n--index-url = x\n", false, true),
            (&[], "[global]\nfind-links =\n  /a\n  https://b\n", false, true),
            (&[], "[global]\nfind-links =\n  /a\n  b\n", true, true),
            (&[], "[global]\nsomething-new = 1\n", true, false),
        ] {
            let settings = settings(variables, file);
            assert_eq!(settings.are_for_pip_alone(), is_for_pip, "{variables:?} {file}");
            assert_eq!(settings.name_an_index(), names_index, "{variables:?} {file}");
        }
    }
}
