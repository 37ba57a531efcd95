//! An `.rpm` in the flow of a build.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};

use anyhow::{Context, Result};

use crate::artifact::{self, Draft};
use crate::backend::deb;
use crate::backend::rpm::{self, Options};
use crate::cli::BuildArgs;
use crate::codec::Compression;
use crate::commands::build::{Built, Inputs, rules};
use crate::commands::format::{Format, SELECTS, Trees, check_renames, relations_of};
use crate::needs::{Rules, abi, grafted, resolve};
use crate::package::{PackageMeta, Relation, RelationKind};
use crate::project::config::{self, FormatName};
use crate::report::Talk;
use crate::services::Conventions;
use crate::signer::Signer;
use crate::tree::Tree;

/// The format of RHEL, Fedora, SUSE and their kin.
#[derive(Debug)]
pub struct Rpm {
    /// Who signs packages; nobody unless it is asked for.
    pub signer: Option<Signer>,
}

impl Format for Rpm {
    fn name(&self) -> FormatName {
        FormatName::Rpm
    }

    fn kind(&self) -> &'static str {
        "rpm"
    }

    fn identity(&self, meta: &PackageMeta) -> (String, &'static str) {
        (rpm::version(meta), rpm::architecture(meta.machine))
    }

    fn suffix(&self) -> &'static str {
        ".rpm"
    }

    fn serves(&self, target: &str) -> bool {
        !deb::serves(target)
    }

    fn conventions(&self) -> Conventions {
        Conventions { environment_dir: "etc/sysconfig", has_presets: true }
    }

    fn configured(&self, inputs: &Inputs, _: &BuildArgs) -> Result<Vec<Relation>> {
        let config = &inputs.project.config;
        let (common, own) = (&config.dependencies.rename, &config.rpm.rename);
        check_renames(&[("dependencies.rename", common), ("rpm.rename", own)], rpm::relation)?;
        configured_relations(inputs)
    }

    fn check(&self, meta: &PackageMeta, inputs: &Inputs, args: &BuildArgs) -> Result<()> {
        rpm::check(meta, &options(inputs, args.jobs()))
    }

    fn relations(
        &self,
        inputs: &Inputs,
        (built, trees): (&Built, Trees<'_>),
        args: &BuildArgs,
        talk: &Talk,
    ) -> Result<Vec<Relation>> {
        let config = &inputs.project.config;
        let config::Rpm { ignore, weak, rename, .. } = &config.rpm;
        let own = Rules { table: "rpm", ignore, weak, rename };
        let needs = resolve(&built.elf, trees.all, &[own, rules(config)]);
        grafted::check(&needs)?;
        // Without a name the target is this host, which may be of another kind.
        let release = inputs.target.release.filter(|_| args.target.is_some());
        if let (Some(release), Some(machine)) = (release, built.machine) {
            abi::check(&needs, &release, machine)?;
            if let Some(sonames) = abi::unknown(&needs) {
                let name = release.name;
                talk.warn(format!("whether {name} has packages with {sonames} is not known"));
            }
        }
        let derived = rpm::libraries(&needs)?;
        for warning in needs.warnings.iter().chain(&derived.warnings) {
            talk.warn(warning);
        }
        let own = release.and_then(|it| it.pythons.first().copied());
        let is_main = own == Some(built.interpreter.minor.as_str());
        let mut relations = rpm::relations(Some(&built.interpreter), is_main);
        relations.extend(derived.relations);
        relations.extend(configured_relations(inputs)?);
        Ok(rpm::simplify(relations))
    }

    fn selecting(
        &self,
        release: &PackageMeta,
        (mut relations, _): (Vec<Relation>, &Tree),
    ) -> Result<Vec<Relation>> {
        let text = format!("{} = {}", release.name, rpm::version(release));
        relations.push(rpm::relation(RelationKind::Needs, &text, SELECTS)?);
        Ok(rpm::simplify(relations))
    }

    fn options(&self, inputs: &Inputs) -> Option<String> {
        // A signature has the time it was made.
        self.signer.is_none().then(|| format!("{:?}", options(inputs, 1)))
    }

    fn file_name(&self, meta: &PackageMeta) -> String {
        rpm::file_name(meta)
    }

    fn with_docs(&self, meta: &PackageMeta, tree: Tree) -> Result<Tree> {
        rpm::with_docs(meta, tree)
    }

    fn write(
        &self,
        (meta, tree): (&PackageMeta, Tree),
        inputs: &Inputs,
        args: &BuildArgs,
        files: (&mut dyn Write, File),
    ) -> Result<()> {
        rpm::write(meta, tree, &options(inputs, args.jobs()), &inputs.cache, files)
    }

    fn parts(
        &self,
        meta: &PackageMeta,
        tree: Tree,
    ) -> Result<(Tree, BTreeMap<&'static str, String>)> {
        rpm::parts(meta, tree)
    }

    fn relate(&self, (meta, tree): (&PackageMeta, &Tree), _: &str) -> Result<String> {
        rpm::tags(meta, tree)
    }

    fn file_list(&self, meta: &PackageMeta, tree: &Tree) -> Result<String> {
        rpm::file_list(meta, tree)
    }

    fn sign(&self, package: &mut Draft<'_>, args: &BuildArgs) -> Result<()> {
        match &self.signer {
            Some(signer) => rpm::sign(package.amend(), |header| signer.sign(held(header, args)?)),
            None => Ok(()),
        }
    }
}

/// A file with these bytes, for a program to read.
fn held(bytes: &[u8], args: &BuildArgs) -> Result<File> {
    let mut file = artifact::spool(&args.output)?;
    let written = file.write_all(bytes).and_then(|()| file.rewind());
    written.context("cannot write what is to be signed")?;
    Ok(file)
}

/// zstd is read by rpm of every release that is supported: since Enterprise Linux 8, Fedora 28, SUSE 15.
fn options(inputs: &Inputs, threads: usize) -> Options {
    Options { compression: inputs.compression.unwrap_or(Compression::ZSTD), threads }
}

fn configured_relations(inputs: &Inputs) -> Result<Vec<Relation>> {
    let config = &inputs.project.config;
    let lists = [
        (RelationKind::Needs, "dependencies.add", &config.dependencies.add),
        (RelationKind::Needs, "rpm.add", &config.rpm.add),
        (RelationKind::Recommends, "rpm.recommends", &config.rpm.recommends),
        (RelationKind::Suggests, "rpm.suggests", &config.rpm.suggests),
        (RelationKind::Conflicts, "rpm.conflicts", &config.rpm.conflicts),
        (RelationKind::Replaces, "rpm.obsoletes", &config.rpm.obsoletes),
        (RelationKind::Provides, "rpm.provides", &config.rpm.provides),
    ];
    relations_of(&lists, rpm::relation)
}
