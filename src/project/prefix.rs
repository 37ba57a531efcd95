//! The directory a package has for itself: which may be one.

use anyhow::Result;

use crate::error::UserError;
use crate::package::PackageName;
use crate::tree::PkgPath;

/// Longest prefix in bytes: with `/bin/python3.NN` it still fits the 127 bytes of a `#!` line on old kernels.
pub const MAX_PREFIX: usize = 100;

/// Directories that belong to the system; a prefix must lie deeper.
const SYSTEM_DIRS: [&str; 15] = [
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib/python3",
    "usr/lib64",
    "usr/libexec",
    "usr/share",
    "usr/share/python",
    "usr/share/python3",
    "usr/local",
    "usr/include",
    "etc/systemd",
    "var/lib",
    "var/log",
    "var/cache",
];

/// Top directories of the kernel, of a running system, and those that are links into `/usr`.
const FOREIGN_TOPS: [&str; 12] =
    ["bin", "boot", "dev", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "tmp"];

/// Whether an absolute path lies deep enough, and where packages may have directories.
fn is_free(path: &str) -> bool {
    let mut parts = path.trim_start_matches('/').split('/');
    let is_foreign = parts.next().is_none_or(|top| FOREIGN_TOPS.contains(&top));
    !is_foreign && parts.next().is_some() && !SYSTEM_DIRS.contains(&path.trim_matches('/'))
}

/// The prefix of a package: `text`, or `/opt/<name>`.
pub fn prefix(text: Option<&str>, name: &PackageName) -> Result<PkgPath> {
    let text = text.map_or_else(|| format!("/opt/{name}"), str::to_owned);
    let allowed = |at: char| at.is_ascii_alphanumeric() || "/._+-".contains(at);
    let fault = if !text.starts_with('/') {
        "is not an absolute path"
    } else if !text.chars().all(allowed) {
        "holds a character that a `#!` line or a shell would not take literally"
    } else if text.len() > MAX_PREFIX {
        "is too long for a `#!` line"
    } else if !is_free(text.trim_end_matches('/')) {
        "is not a directory a package can have for itself"
    } else if let Ok(path) = PkgPath::new(text.trim_end_matches('/')) {
        return Ok(path);
    } else {
        "is not a plain path"
    };
    Err(UserError::usage(format!("the prefix {text:?} {fault}"))
        .hint(format!(
            "use letters, digits and `._+-`, at most {MAX_PREFIX} bytes, such as `/opt/{name}`"
        ))
        .into())
}

#[cfg(test)]
mod tests {
    use crate::package::PackageName;
    use crate::project::prefix::prefix;

    #[test]
    fn prefixes() {
        let name = PackageName::new("acme-web").unwrap();
        assert_eq!(prefix(None, &name).unwrap().absolute(), "/opt/acme-web");
        assert_eq!(prefix(Some("/opt/venvs/x/"), &name).unwrap().absolute(), "/opt/venvs/x");
        // Where packages of dh-virtualenv are, before and since its 1.0, and where some chose to be.
        for old in ["/usr/share/python/x", "/opt/stackstorm/st2", "/usr/lib/x"] {
            assert_eq!(prefix(Some(old), &name).unwrap().absolute(), old);
        }
        let long = format!("/opt/{}", "x".repeat(96));
        for bad in [
            "opt/x",
            "/opt",
            "/opt/",
            "/lib/x",
            "/usr/bin",
            "/usr/bin/",
            "/usr/share/python",
            "/usr/lib/python3",
            "/opt/a b",
            "/opt/a'b",
            "/opt/../etc",
            "/",
            "",
            &long,
        ] {
            assert!(prefix(Some(bad), &name).is_err(), "{bad}");
        }
    }
}
