//! The gate against credentials: what a wheel says of itself is shipped, and shown to everybody.

use anyhow::Result;

use crate::error::UserError;
use crate::redact::{holds_credentials, redact};
use crate::wheel::Wheel;
use crate::wheel::metadata::Metadata;

/// Fails when the metadata of the `own` distribution holds a URL with credentials; returns a warning for each other
/// wheel that does.
pub fn check(wheels: &[Wheel], own: Option<&str>) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for wheel in wheels {
        let Some((field, text)) = find(&wheel.metadata) else { continue };
        let who = format!("`{} {}`", wheel.metadata.name, wheel.metadata.version);
        let what = format!("`{field}` of {who} holds credentials: `{}`", redact(text));
        if own == Some(wheel.name.name.as_str()) {
            return Err(UserError::usage(what)
                .hint("take them out of the project's metadata; installers find them in netrc or the environment")
                .into());
        }
        warnings.push(what);
    }
    Ok(warnings)
}

/// The first field with credentials. The description is left out: it shows examples more often than secrets.
fn find(metadata: &Metadata) -> Option<(&'static str, &str)> {
    let single = [
        ("Summary", &metadata.summary),
        ("Home-page", &metadata.home_page),
        ("License", &metadata.license),
    ];
    let single = single.into_iter().filter_map(|(field, text)| Some((field, text.as_deref()?)));
    let lists =
        [("Requires-Dist", &metadata.requires_dist), ("Project-URL", &metadata.project_urls)];
    let lists = lists
        .into_iter()
        .flat_map(|(field, texts)| texts.iter().map(move |text| (field, text.as_str())));
    single.chain(lists).find(|(_, text)| holds_credentials(text))
}

#[cfg(test)]
mod tests {
    use crate::venv::credentials::find;
    use crate::wheel::metadata::Metadata;

    #[test]
    fn fields() {
        let parse = |more: &str| Metadata::parse(&format!("Name: a\nVersion: 1\n{more}")).unwrap();
        assert_eq!(find(&parse("Summary: at https://x/\n\nhttps://u:p@x/\n")), None);
        let metadata = parse("Requires-Dist: b @ https://u:p@x/b.whl\n");
        assert_eq!(find(&metadata).unwrap().0, "Requires-Dist");
    }
}
