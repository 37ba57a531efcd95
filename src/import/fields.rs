//! The fields of `debian/control` and the version of `debian/changelog` as keys.

use std::cmp::Ordering;

use anyhow::Result;

use crate::backend::deb;
use crate::document::Value;
use crate::import::changelog::DebianVersion;
use crate::import::control::{description, relations};
use crate::import::draft::Draft;
use crate::import::{Package, pythons};
use crate::pep::Version;

/// Relations, with the list of `[deb]` each belongs in.
const RELATIONS: [(&str, &str); 6] = [
    ("Depends", "add"),
    ("Recommends", "recommends"),
    ("Suggests", "suggests"),
    ("Conflicts", "conflicts"),
    ("Replaces", "replaces"),
    ("Provides", "provides"),
];

/// Relations without a list.
const FURTHER: [&str; 3] = ["Pre-Depends", "Breaks", "Enhances"];

/// Fields that describe the source package, or what mkpkg finds out itself.
const DERIVED: [&str; 16] = [
    "Source",
    "Package",
    "Package-Type",
    "Architecture",
    "Build-Depends",
    "Build-Depends-Indep",
    "Build-Depends-Arch",
    "Build-Conflicts",
    "Standards-Version",
    "Rules-Requires-Root",
    "Build-Profiles",
    "Uploaders",
    "X-Python3-Version",
    "X-Python-Version",
    "Testsuite",
    "Vcs-Git",
];

/// Writes the keys of the fields.
pub(super) fn carry(
    of: &Package<'_>,
    changelog: Option<&DebianVersion>,
    draft: &mut Draft,
) -> Result<()> {
    let get = |field: &str| of.stanza.get(field).or_else(|| of.source.get(field));
    draft.set("", "name", of.name, "`control`");
    for (field, table, key) in [
        ("Maintainer", "", "maintainer"),
        ("Homepage", "", "homepage"),
        ("Section", "deb", "section"),
        ("Priority", "deb", "priority"),
    ] {
        if let Some(value) = get(field) {
            draft.set(table, key, value, &format!("`control`: {field}"));
        }
    }
    if let Some(text) = get("Description") {
        let (summary, text) = description(text);
        draft.set("", "summary", summary, "`control`: Description");
        if !text.trim().is_empty() {
            draft.set("", "description", text, "`control`: Description");
        }
    }
    for (field, list) in RELATIONS {
        list_relations(
            of,
            field,
            |text, draft| {
                draft.push("deb", list, text, &format!("`control`: {field}"));
            },
            draft,
        );
    }
    for field in FURTHER {
        let mut kept = Vec::new();
        list_relations(of, field, |text, _| kept.push(text.to_owned()), draft);
        if !kept.is_empty() {
            draft.set("deb.fields", field, kept.join(", "), &format!("`control`: {field}"));
        }
    }
    others(of, draft);
    match changelog {
        Some(version) => self::version(of, version, draft)?,
        None => {
            draft.ask("changelog", "it has no entry: set `version` where the project says none")
        }
    }
    Ok(())
}

/// Each relation of a field, but for those that mkpkg makes itself.
fn list_relations(
    of: &Package<'_>,
    field: &str,
    mut keep: impl FnMut(&str, &mut Draft),
    draft: &mut Draft,
) {
    for (relation, is_restricted) in relations(of.stanza.get(field).unwrap_or_default()) {
        let what = format!("{field}: {relation}");
        if ["${shlibs:", "${misc:", "${python3:", "${python:"]
            .iter()
            .any(|it| relation.starts_with(it))
        {
            draft.drop(&what, "relations to libraries and to the interpreter are derived");
        } else if relation.contains("${") {
            draft.ask(
                &what,
                "its value is made by the rules: write what it comes to into the list of `[deb]`",
            );
        } else if field == "Depends" && pythons::is_interpreter(&relation, of) {
            draft.drop(&what, "the exact minor version of the interpreter is declared by mkpkg");
        } else {
            if is_restricted {
                draft.ask(&what, "it was for some machines only, and is now declared for all");
            }
            keep(&relation, draft);
        }
    }
}

fn others(of: &Package<'_>, draft: &mut Draft) {
    let known = ["Maintainer", "Homepage", "Section", "Priority", "Description"];
    let is_known = |name: &str| {
        let list = RELATIONS.iter().map(|(field, _)| field).chain(&FURTHER).chain(&known);
        list.into_iter().any(|field| field.eq_ignore_ascii_case(name))
    };
    let is_derived = |name: &str| {
        DERIVED.iter().any(|field| field.eq_ignore_ascii_case(name)) || name.starts_with("Vcs-")
    };
    let of_source = of.source.0.iter().map(|(name, value)| (name, value, true));
    let of_package = of.stanza.0.iter().map(|(name, value)| (name, value, false));
    let mut passed = Vec::new();
    for (name, value, is_source) in of_source.chain(of_package).filter(|it| !is_known(it.0)) {
        if is_derived(name) || is_source {
            passed.push(name.as_str());
        } else if value.contains("${") {
            draft.ask(&format!("{name}: {value}"), "write what it comes to into `deb.fields`");
        } else {
            let name = ["XB-", "XBS-"].iter().find_map(|it| name.strip_prefix(it)).unwrap_or(name);
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            draft.set("deb.fields", name, value, "`control`");
        }
    }
    let why = "mkpkg makes no source package, and finds out the machine by itself";
    draft.drop(&passed.join(", "), why);
}

/// The version stays the project's where the package is then no older than the changelog says.
fn version(of: &Package<'_>, changelog: &DebianVersion, draft: &mut Draft) -> Result<()> {
    let from = format!("`changelog`: {}", changelog.text);
    if let Some(epoch) = changelog.epoch {
        draft.set("", "epoch", Value::Integer(epoch.into()), &from);
    }
    let release = changelog.revision.clone().unwrap_or_else(|| "1".to_owned());
    if changelog.revision.is_some() {
        draft.set("", "release", release.as_str(), &from);
    }
    draft.drop(
        "date of the changelog",
        "the time stamp is that of the last commit, or SOURCE_DATE_EPOCH",
    );
    let spelled = |version: &Version| {
        let epoch = changelog.epoch.map_or_else(String::new, |epoch| format!("{epoch}:"));
        format!("{epoch}{}", deb::spelled(version, &release))
    };
    let is_new =
        |version: &Version| deb::compare(&spelled(version), &changelog.text) != Ordering::Less;
    let stated = of.stated()?.version.and_then(|text| text.parse::<Version>().ok());
    if stated.as_ref().is_some_and(is_new) {
        let end = match &changelog.revision {
            Some(_) => String::new(),
            None => {
                format!("; with a release behind it, as all packages of mkpkg have: `-{release}`")
            }
        };
        draft.carry(&from, &format!("the project's own version is no older{end}"));
        return Ok(());
    }
    let pep = changelog.upstream.replace('~', "");
    match pep.parse::<Version>().ok().filter(|version| is_new(version)) {
        Some(_) => {
            draft.set("", "version", pep.as_str(), &from);
            let todo = "the project's own version counts once this line is gone: raise the one or drop the other";
            draft.ask(&format!("version = {pep}"), todo);
        }
        None => draft.ask(
            &changelog.text,
            "no version of mkpkg's is as high as this one; the next release of the application will be",
        ),
    }
    Ok(())
}
