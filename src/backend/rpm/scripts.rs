//! Scriptlets: fixed text around tokens that were checked.
//!
//! The only one needed runs after removal. Whatever is known of services comes from elsewhere.

use anyhow::Result;

use crate::backend::rpm::dependency::{AFTER_REMOVAL, Dependency, INTERPRETER};
use crate::error::UserError;
use crate::package::PackageMeta;

const SHELL: &str = "/bin/sh";

/// Python writes byte code beside its sources and rpm does not know of it. When rpm calls this, the files of the
/// package are gone and so are its directories, but for those that hold such byte code. `$1` is how many versions of
/// the package stay. An asking of rpm's own database is not possible here: it is locked.
const POSTUN: &str = r#"top='@top@'
prefix='@prefix@'

# Every file that is left below the prefix was not the package's. When another version of it stays, what the other one
# may own is kept: byte code that has a source and was not optimised.
remove_byte_code() {
    find "$prefix" -xdev -type f -path '*/__pycache__/*.pyc*' | while IFS= read -r file; do
        name=${file##*/}
        source=${file%/__pycache__/*}/${name%%.cpython-*}.py
        case $name in
            *.pyc.[0-9]*|*.opt-[12].pyc) rm -f -- "$file" ;;
            *.pyc) [ "$1" -gt 0 ] && [ -e "$source" ] || rm -f -- "$file" ;;
        esac
    done
}

# Directories that are empty now, and those above them that become so.
remove_empty_directories() {
    find "$prefix" -xdev -depth -type d -name __pycache__ | while IFS= read -r dir; do
        rmdir -p -- "$dir" 2>/dev/null
    done
}

if cd "$top" 2>/dev/null && [ -d "$prefix" ] && [ ! -h "$prefix" ]; then
    remove_byte_code "$1"
    remove_empty_directories
fi
exit 0
"#;

/// The script that runs after removal.
pub(super) fn after_removal(meta: &PackageMeta) -> Result<String> {
    let prefix = meta.prefix.as_str();
    // Every one of these is itself to a shell in quotes and to find; `-` in front cannot be taken for an option.
    let is_plain =
        |at: char| at.is_ascii_alphanumeric() || matches!(at, '.' | '_' | '+' | '-' | '/');
    let (top, name) = prefix.rsplit_once('/').unwrap_or_default();
    if !prefix.chars().all(is_plain) || name.is_empty() || name.starts_with('-') {
        let message = format!("prefix `{}` cannot be used in a script", meta.prefix);
        return Err(UserError::usage(message)
            .hint("use letters, digits and `._+-/` in `prefix`")
            .into());
    }
    // rpmbuild stores scripts without the end of their last line.
    Ok(POSTUN.trim_end().replace("@top@", &format!("/{top}")).replace("@prefix@", name))
}

/// The program that runs it.
pub(super) fn interpreter() -> String {
    SHELL.to_owned()
}

/// What it calls.
pub(super) fn needs() -> Vec<Dependency> {
    let shell = Dependency { flags: INTERPRETER | AFTER_REMOVAL, ..Dependency::any(SHELL) };
    let programs = ["/usr/bin/find", "coreutils"].map(Dependency::any);
    let programs = programs.map(|need| Dependency { flags: AFTER_REMOVAL, ..need });
    [shell].into_iter().chain(programs).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use crate::backend::rpm::scripts::after_removal;
    use crate::backend::rpm::tests::meta;
    use crate::error::exit_code;
    use crate::tree::PkgPath;

    fn check(prefix: &str, is_good: bool) {
        let mut meta = meta();
        meta.prefix = PkgPath::new(prefix).unwrap();
        match after_removal(&meta) {
            Ok(script) => {
                assert!(is_good, "{prefix}");
                let (top, name) = prefix.rsplit_once('/').unwrap();
                assert!(script.starts_with(&format!("top='{top}'\nprefix='{name}'\n")), "{script}");
                assert!(!script.contains('@'));
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

    /// What is left of these files below the prefix once the script ran with `$1` = `stay`.
    fn run(files: &[&str], stay: &str) -> Vec<String> {
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
        let script = after_removal(&meta).unwrap();
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
        assert_eq!(run(&both, "1"), ["a/__pycache__/x.cpython-311.pyc", "a/x.py"]);
        assert_eq!(run(&stray, "0"), [""; 0], "the prefix is gone, too");
        assert_eq!(run(&both, "0"), ["a/x.py"], "what is no byte code stays");
        assert_eq!(run(&["log/today"], "0"), ["log/today"]);
    }
}
