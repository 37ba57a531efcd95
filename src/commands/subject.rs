//! What is audited, whatever it is: a package, a wheel, an environment or any directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};

use crate::audit::finding::Finding;
use crate::audit::{Aside, Declared, Subject, directory, owners};
use crate::backend::{deb, rpm};
use crate::commands::show;
use crate::digest::{Hasher, hex, sha256};
use crate::error::UserError;
use crate::package::{Ownership, Relation, RelationKind};
use crate::project::config::FormatName;
use crate::project::epoch;
use crate::scratch::Scratch;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};
use crate::wheel::install::{Layout, hidden_faults, install};
use crate::wheel::installed::with_distributions;
use crate::wheel::{RecordFault, Wheel};

/// A subject that was opened.
#[derive(Debug)]
pub struct Input {
    /// What it is.
    pub subject: Subject,
    /// What it holds; files name the distributions that brought them.
    pub tree: Tree,
    /// What it relates to, where it is a package.
    pub relations: Vec<Relation>,
    /// Scripts and lists that are for the package manager, by name.
    pub scripts: BTreeMap<String, String>,
    /// What else a package says of itself, as its format names it.
    pub fields: Vec<(String, String)>,
    /// Whose entries of a package are not root's alone.
    pub owners: BTreeMap<PkgPath, Ownership>,
    /// What is known beside.
    pub aside: Aside,
}

impl Input {
    /// Hexadecimal SHA-256 of the scripts, by name.
    pub fn digests(&self) -> BTreeMap<String, String> {
        let digest = |text: &String| hex(&sha256(text.as_bytes()));
        self.scripts.iter().map(|(name, text)| (name.clone(), digest(text))).collect()
    }
}

/// Opens what is at `path`, and finds out who brought its files; content that is compressed there goes to a spool.
pub fn open(path: &Path, scratch: &Scratch) -> Result<Input> {
    let mut input = unnamed(path, scratch)?;
    let (tree, troubles) = with_distributions(input.tree);
    input.tree = tree;
    input.aside.inconclusive.extend(troubles);
    Ok(input)
}

fn unnamed(path: &Path, scratch: &Scratch) -> Result<Input> {
    let fault = || format!("cannot read `{}`", path.display());
    let metadata = path
        .metadata()
        .map_err(|error| UserError::input(format!("cannot open `{}`: {error}", path.display())))?;
    if metadata.is_dir() {
        return of_directory(path).with_context(fault);
    }
    if !metadata.is_file() {
        let message = format!("`{}` is neither a file nor a directory", path.display());
        return Err(UserError::input(message).into());
    }
    let mut file = File::open(path)
        .map_err(|error| UserError::input(format!("cannot open `{}`: {error}", path.display())))?;
    let digest = Hasher::sha256().read(&mut file).map(|(digest, _)| hex(&digest));
    let digest = digest.with_context(fault)?;
    if show::recognise(&file).is_some() {
        return of_package(file, digest, scratch).with_context(fault);
    }
    if path.extension().is_some_and(|suffix| suffix == "whl") {
        return of_wheel(path, digest).with_context(fault);
    }
    Err(UserError::input("this is neither a .deb, nor an .rpm, nor a .whl")).with_context(fault)
}

/// The time stamp of what is made of the subject, where `SOURCE_DATE_EPOCH` says one.
fn stamp() -> Result<Option<u64>> {
    std::env::var("SOURCE_DATE_EPOCH").ok().map(|text| epoch::parse(&text)).transpose()
}

fn of_package(file: File, digest: String, scratch: &Scratch) -> Result<Input> {
    let (package, format) = show::open(file, scratch.spool()?)?;
    let (kind, (name, version), relations) = match format {
        FormatName::Deb => ("deb", deb::identity(&package), deb::declared(&package)),
        FormatName::Rpm => ("rpm", rpm::identity(&package), rpm::declared(&package)),
    };
    let is_relation = match format {
        FormatName::Deb => deb::is_relation,
        FormatName::Rpm => rpm::is_relation,
    };
    let machine = package.fields.iter().find(|(field, _)| field == "Architecture");
    let time = package.fields.iter().find(|(field, _)| field == "Build Time");
    let needs = relations.iter().filter(|relation| relation.kind == RelationKind::Needs);
    let subject = Subject {
        name,
        version,
        kind,
        sha256: Some(digest),
        declared: machine.map_or(Declared::Nothing, |(_, name)| declared(name.trim(), format)),
        machine: machine.map(|(_, name)| name.trim().to_owned()),
        epoch: stamp()?.or_else(|| time.and_then(|(_, time)| time.trim().parse().ok())),
        needs: needs.map(|relation| relation.text.clone()).collect(),
        relations: relations.iter().map(|relation| relation.text.clone()).collect(),
    };
    let (scripts, tree, owners) = (package.scripts, package.tree, package.owners);
    let aside = Aside { findings: owners::findings(&owners, &tree), inconclusive: Vec::new() };
    let mut fields = package.fields;
    fields.retain(|(name, _)| !is_relation(name));
    Ok(Input { subject, relations, scripts, fields, tree, owners, aside })
}

/// The machine of a package that is for `name`, as its format calls it.
fn declared(name: &str, format: FormatName) -> Declared {
    let (any, machine) = match format {
        FormatName::Deb => (deb::architecture(None), deb::machine_called(name)),
        FormatName::Rpm => (rpm::architecture(None), rpm::machine_called(name)),
    };
    match machine {
        Some(machine) => Declared::One(machine),
        None if name == any => Declared::Any,
        None => Declared::Nothing,
    }
}

/// A wheel as mkpkg would install it. That it is not what its RECORD says is what is audited, and no error.
fn of_wheel(path: &Path, digest: String) -> Result<Input> {
    let (wheel, mut faults) = Wheel::open_as_it_is(path)?;
    let is_ours = |platform: &str| platform == "any" || platform.contains("linux");
    if !wheel.name.tags.iter().any(|tag| is_ours(&tag.platform)) {
        let platform = wheel.name.tags.first().map_or("", |tag| &tag.platform);
        let message = format!("this wheel is for `{platform}`: nothing of it loads on Linux");
        return Err(UserError::input(message).into());
    }
    let prefix = PkgPath::new("opt")?.join(&wheel.name.name)?;
    let layout = Layout { prefix, minor: minor(&wheel) };
    let installed = install(&wheel, &layout, None)?;
    faults.extend(hidden_faults(&wheel, &layout)?);
    let mut tree = installed.tree;
    let text = Content::bytes(installed.record.to_text());
    let origin = format!("{} {}", wheel.metadata.name, wheel.metadata.version);
    tree.insert(installed.record.path, Entry::file(text, 0o644, &origin.into()))?;
    let subject = Subject {
        name: wheel.metadata.name.clone(),
        version: wheel.metadata.version.clone(),
        kind: "wheel",
        sha256: Some(digest),
        machine: None,
        declared: Declared::Nothing,
        epoch: stamp()?,
        needs: Vec::new(),
        relations: wheel.metadata.requires_dist.clone(),
    };
    let findings = faults.into_iter().map(|RecordFault { member, what }| {
        let message = format!("`{}` {what}", member.escape_debug());
        Finding::new("PY003", format!("{} {}", subject.name, subject.version), message)
    });
    let findings = findings.collect();
    Ok(Input {
        subject,
        tree,
        relations: Vec::new(),
        scripts: BTreeMap::new(),
        fields: Vec::new(),
        owners: BTreeMap::new(),
        aside: Aside { findings, inconclusive: Vec::new() },
    })
}

/// The version of Python a wheel is for, such as `3.11`; `3` for one that fits several.
fn minor(wheel: &Wheel) -> String {
    let minors = wheel.name.tags.iter().map(|tag| tag.abi.strip_prefix("cp3"));
    let mut minors = minors.map(|minor| minor.filter(|text| text.parse::<u8>().is_ok()));
    let first = minors.next().flatten();
    match first.filter(|first| minors.all(|other| other == Some(first))) {
        Some(minor) => format!("3.{minor}"),
        None => "3".to_owned(),
    }
}

fn of_directory(path: &Path) -> Result<Input> {
    let found = directory::read(path)?;
    let whole = path.canonicalize()?;
    let subject = Subject {
        name: whole.display().to_string(),
        version: String::new(),
        kind: if found.is_environment { "environment" } else { "directory" },
        sha256: None,
        machine: None,
        declared: Declared::Nothing,
        epoch: stamp()?,
        needs: Vec::new(),
        relations: Vec::new(),
    };
    Ok(Input {
        subject,
        tree: found.tree,
        relations: Vec::new(),
        scripts: BTreeMap::new(),
        fields: Vec::new(),
        owners: BTreeMap::new(),
        aside: found.aside,
    })
}
