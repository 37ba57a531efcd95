//! `mkpkg show`: a package goes in, stable text comes out.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::backend::{deb, rpm};
use crate::cli::ShowArgs;
use crate::commands::scratch;
use crate::digest::{Hasher, hex};
use crate::document::to_json;
use crate::error::UserError;
use crate::inert::inert_lines;
use crate::package::Package;
use crate::project::config::FormatName;
use crate::report::print;
use crate::tree::{Entry, Role};

/// Prints what a package says and holds.
pub fn run(args: &ShowArgs) -> Result<()> {
    let input = File::open(&args.package).map_err(|error| {
        UserError::input(format!("cannot open `{}`: {error}", args.package.display()))
    })?;
    let scratch = scratch()?;
    let (package, _) = open(input, scratch.spool()?)
        .with_context(|| format!("cannot read `{}`", args.package.display()))?;
    let files = files(&package)?;
    print(&if args.json { json(&package, &files)? } else { inert_lines(&text(&package, &files)) })
}

/// Reads a package of any format that is known.
pub fn open(input: File, spool: File) -> Result<(Package, FormatName)> {
    let stranger = || UserError::input("this is neither a .deb nor an .rpm");
    let format = recognise(&input).ok_or_else(stranger)?;
    Ok((read(format, input, spool)?, format))
}

/// The format the first bytes of a package tell, whatever it is called.
pub fn recognise(input: &File) -> Option<FormatName> {
    if deb::recognises(input) {
        Some(FormatName::Deb)
    } else if rpm::recognises(input) {
        Some(FormatName::Rpm)
    } else {
        None
    }
}

/// Reads a package of that format.
pub fn read(format: FormatName, input: File, spool: File) -> Result<Package> {
    match format {
        FormatName::Deb => deb::read(input, spool),
        FormatName::Rpm => rpm::read(input, spool),
    }
}

/// One entry of a package, as it is shown.
#[derive(Serialize)]
struct Shown {
    path: String,
    kind: &'static str,
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// User, group and capabilities, where it is not root's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
}

fn files(package: &Package) -> Result<Vec<Shown>> {
    let entries = package.tree.iter();
    entries
        .map(|(path, entry)| {
            let owner = package.owners.get(path).map(ToString::to_string);
            let shown = |kind, mode: u32| {
                let (path, mode) = (path.absolute(), format!("{mode:04o}"));
                Shown { path, kind, mode, size: None, sha256: None, target: None, owner }
            };
            Ok(match entry {
                Entry::Dir { mode } => shown("dir", *mode),
                Entry::Symlink { target } => {
                    Shown { target: Some(target.clone()), ..shown("link", 0o777) }
                }
                Entry::File { content, mode, role, .. } => {
                    let kind = match role {
                        Role::Config => "config",
                        Role::Plain | Role::Doc => "file",
                    };
                    let digest =
                        content.open().and_then(|mut reader| Hasher::sha256().read(&mut reader));
                    let (digest, size) = digest.with_context(|| format!("cannot read `{path}`"))?;
                    Shown { size: Some(size), sha256: Some(hex(&digest)), ..shown(kind, *mode) }
                }
            })
        })
        .collect()
}

fn text(package: &Package, files: &[Shown]) -> String {
    let mut text = String::new();
    for (name, value) in &package.fields {
        let _ = writeln!(text, "{name}: {}", value.trim_end());
    }
    let _ = writeln!(text, "\ncompression: {}", package.compression);
    for (name, script) in &package.scripts {
        let _ = writeln!(text, "\n[{name}]\n{}", script.trim_end());
    }
    text.push_str("\n[files]\n");
    for file in files {
        let size = file.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        let digest = file.sha256.as_deref().map_or("-", |digest| &digest[..16]);
        let target = file.target.as_ref().map(|target| format!(" -> {target}")).unwrap_or_default();
        let owner = file.owner.as_ref().map(|owner| format!(" ({owner})")).unwrap_or_default();
        let (kind, mode, path) = (file.kind, &file.mode, &file.path);
        let _ = writeln!(text, "{kind:<6} {mode} {size:>10} {digest:<16} {path}{target}{owner}");
    }
    text
}

#[derive(Serialize)]
struct Json<'a> {
    fields: &'a [(String, String)],
    compression: &'a str,
    scripts: &'a BTreeMap<String, String>,
    files: &'a [Shown],
}

fn json(package: &Package, files: &[Shown]) -> Result<String> {
    let whole = Json {
        fields: &package.fields,
        compression: &package.compression,
        scripts: &package.scripts,
        files,
    };
    Ok(format!("{}\n", to_json(&whole)?))
}
