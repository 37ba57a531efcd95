//! The account that services run as, and the file that creates it (sysusers.d(5)).

use std::collections::BTreeMap;

use anyhow::Result;

use crate::error::UserError;
use crate::lifecycle::Account;
use crate::package::PackageName;
use crate::project::services::User;
use crate::services::command_line::plain;
use crate::services::reserved;
use crate::templates::render;
use crate::tree::PkgPath;

/// Name of the account that is there anyway.
const ROOT: &str = "root";

/// The account of the package `name`, whose summary is `summary`; `None` when its services run as root.
pub(super) fn account(user: &User, name: &PackageName, summary: &str) -> Result<Option<Account>> {
    let account = user.name.as_deref().unwrap_or(name.as_str());
    for group in &user.groups {
        check(group, "user.groups")?;
    }
    if account == ROOT {
        return Ok(None);
    }
    check(account, "user.name")?;
    reserved::account(account)?;
    plain(summary, "the summary of the project")?;
    // `:` ends a field of /etc/passwd, and `"` the text in sysusers.d; systemd-sysusers takes ASCII and UTF-8 alike.
    let description = summary.replace([':', '"', '\\', '%'], " ");
    let home = PkgPath::new(&format!("/var/lib/{name}"))?;
    Ok(Some(Account { name: account.to_owned(), description, home, groups: user.groups.clone() }))
}

/// What both shadow-utils and systemd take ("User/Group Name Syntax", strict mode), within 31 characters.
fn check(name: &str, key: &str) -> Result<()> {
    let is_plain = |at: char| at.is_ascii_lowercase() || at.is_ascii_digit() || "_-".contains(at);
    let first = |at: char| at.is_ascii_lowercase() || at == '_';
    if name.starts_with(first) && name.chars().all(is_plain) && name.len() <= 31 {
        return Ok(());
    }
    let message = format!("{name:?} cannot name an account or a group");
    Err(UserError::usage(message)
        .hint(format!("set `{key}`: a letter or `_`, then a-z, 0-9, `_` and `-`, at most 31"))
        .into())
}

/// The text of the file in sysusers.d.
pub(super) fn sysusers(account: &Account, name: &PackageName) -> Result<String> {
    let home = account.home.absolute();
    let values = BTreeMap::from([
        ("package", name.as_str()),
        ("name", &account.name),
        ("description", &account.description),
        ("home", &home),
    ]);
    render("sysusers.hbs", include_str!("../../templates/sysusers.hbs"), &values)
}

#[cfg(test)]
mod tests {
    use crate::package::PackageName;
    use crate::project::services::User;
    use crate::services::account::{account, sysusers};

    fn check(name: Option<&str>, package: &str, expected: Result<Option<&str>, &str>) {
        let user = User { name: name.map(str::to_owned), groups: Vec::new() };
        let package = PackageName::new(package).unwrap();
        let found = account(&user, &package, "A \"b\": 5% c\\");
        let found = found.map(|found| found.map(|account| account.name));
        let found = found.map_err(|error| error.to_string());
        assert_eq!(found, expected.map(|name| name.map(str::to_owned)).map_err(str::to_owned));
    }

    #[test]
    fn names() {
        check(
            None,
            "acme-web",
            Err("`the summary of the project` ends in a backslash: \"A \\\"b\\\": 5% c\\\\\""),
        );
        check(Some("root"), "acme-web", Ok(None));
        check(Some("Acme"), "acme-web", Err("\"Acme\" cannot name an account or a group"));
        check(None, "0ad", Err("\"0ad\" cannot name an account or a group"));
        check(
            Some("a\nu root"),
            "acme-web",
            Err("\"a\\nu root\" cannot name an account or a group"),
        );
    }

    #[test]
    fn file() {
        let package = PackageName::new("acme-web").unwrap();
        let account = account(&User::default(), &package, "A \"b\": 5%").unwrap().unwrap();
        let text = sysusers(&account, &package).unwrap();
        assert!(text.ends_with("\nu acme-web - \"A  b   5 \" /var/lib/acme-web\n"), "{text}");
    }
}
