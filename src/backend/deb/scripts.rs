//! Maintainer scripts: fixed text around tokens that were checked.
//!
//! The only script needed is `prerm`. Whatever is known of services comes from elsewhere.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::error::UserError;
use crate::package::PackageMeta;

/// Python writes byte code beside its sources, dpkg does not know of it, and would leave the directories behind.
/// After `prerm` it is too late: dpkg removes directories before it calls `postrm`.
const PRERM: &str = r#"#!/bin/sh
set -e

package='@package@'
prefix='@prefix@'

# Deletes byte code that Python wrote below the prefix and the package does not own, then __pycache__ directories
# that are empty. Every path of the package is listed twice, so what is listed once is not of the package.
remove_stray_byte_code() (
    LC_ALL=C
    export LC_ALL
    cd "${DPKG_ROOT:-}/"
    [ -d "$prefix" ] && [ ! -h "$prefix" ] || return 0
    owned=$(dpkg-query -L "$package") || return 0
    {
        printf '%s\n' "$owned" "$owned"
        find "$prefix" -xdev -type f ! -path '*[[:cntrl:]]*' \
            \( -path '*/__pycache__/*.pyc' -o -path '*/__pycache__/*.pyc.[0-9]*' \) -printf '/%p\n'
    } | sort | uniq -u | sed -n "s,^/$prefix/,$prefix/,p" | xargs -r -d '\n' rm -f --
    find "$prefix" -xdev -depth -type d -name __pycache__ -empty -delete
)

case "${1:-}" in
    remove|upgrade)
        remove_stray_byte_code
        ;;
    *)
        ;;
esac

exit 0
"#;

/// The scripts of a package by name.
pub(super) fn scripts(meta: &PackageMeta) -> Result<BTreeMap<&'static str, String>> {
    let prefix = meta.prefix.as_str();
    // Every one of these is itself to a shell in quotes, to sed and to find; a `-` in front cannot occur
    // because a path begins with a letter, a digit or one of `._`.
    let is_plain =
        |at: char| at.is_ascii_alphanumeric() || matches!(at, '.' | '_' | '+' | '-' | '/');
    if !prefix.chars().all(is_plain) || prefix.starts_with(['-', '+']) {
        let message = format!("prefix `{}` cannot be used in a script", meta.prefix);
        return Err(UserError::usage(message)
            .hint("use letters, digits and `._+-/` in `prefix`")
            .into());
    }
    let prerm = PRERM.replace("@package@", meta.name.as_str()).replace("@prefix@", prefix);
    Ok(BTreeMap::from([("prerm", prerm)]))
}

#[cfg(test)]
mod tests {
    use crate::backend::deb::scripts::scripts;
    use crate::backend::deb::tests::meta;
    use crate::error::exit_code;
    use crate::tree::PkgPath;

    fn check(prefix: &str, is_good: bool) {
        let mut meta = meta();
        meta.prefix = PkgPath::new(prefix).unwrap();
        match scripts(&meta) {
            Ok(scripts) => {
                assert!(is_good, "{prefix}");
                let prerm = &scripts["prerm"];
                assert!(prerm.contains(&format!("prefix='{}'\n", prefix.trim_start_matches('/'))));
                assert!(prerm.contains("package='acme-web'\n") && !prerm.contains('@'));
            }
            Err(error) => assert!(!is_good && exit_code(&error) == 2, "{error:#}"),
        }
    }

    #[test]
    fn prefixes_are_plain_tokens() {
        check("/opt/acme-web", true);
        check("/opt/a+b_c.d/e", true);
        for bad in [
            "/opt/a'b",
            "/opt/a b",
            "/opt/$(x)",
            "/opt/a,b",
            "/-opt",
            "/opt/a%p",
            "/opt/*",
            "/opt/ä",
        ] {
            check(bad, false);
        }
    }
}
