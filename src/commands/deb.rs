//! A `.deb` in the flow of a build.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Result;

use crate::backend::deb::libraries::{Packages, Request};
use crate::backend::deb::{self, Options};
use crate::cli::BuildArgs;
use crate::codec::Compression;
use crate::commands::build::{Built, Inputs, Target, rules};
use crate::commands::format::{Format, SELECTS, Trees, check_renames, relations_of};
use crate::error::UserError;
use crate::needs::{Needs, Rules, abi, resolve};
use crate::package::{Machine, PackageMeta, Relation, RelationKind};
use crate::project::config::{self, FormatName};
use crate::report::Talk;
use crate::services::Conventions;
use crate::tree::Tree;

/// The format of Debian and Ubuntu.
#[derive(Debug)]
pub struct Deb;

impl Format for Deb {
    fn name(&self) -> FormatName {
        FormatName::Deb
    }

    fn kind(&self) -> &'static str {
        "deb"
    }

    fn identity(&self, meta: &PackageMeta) -> (String, &'static str) {
        (deb::version(meta), deb::architecture(meta.machine))
    }

    fn suffix(&self) -> &'static str {
        ".deb"
    }

    fn serves(&self, target: &str) -> bool {
        deb::serves(target)
    }

    fn conventions(&self) -> Conventions {
        Conventions { environment_dir: "etc/default", has_presets: false }
    }

    fn configured(&self, inputs: &Inputs, args: &BuildArgs) -> Result<Vec<Relation>> {
        let config = &inputs.project.config;
        let (common, own) = (&config.dependencies.rename, &config.deb.rename);
        check_renames(&[("dependencies.rename", common), ("deb.rename", own)], deb::relation)?;
        if let Some(root) = args.sysroot.as_deref().filter(|root| !deb::has_packages(root)) {
            let message = format!("no packages are installed in `{}`", root.display());
            return Err(UserError::usage(message)
                .hint("name the root file system of a Debian or Ubuntu release with `--sysroot`")
                .into());
        }
        configured_relations(inputs)
    }

    fn check(&self, meta: &PackageMeta, inputs: &Inputs, args: &BuildArgs) -> Result<()> {
        deb::check(meta, &options(inputs, args.jobs()))
    }

    fn relations(
        &self,
        inputs: &Inputs,
        (built, trees): (&Built, Trees<'_>),
        args: &BuildArgs,
        talk: &Talk,
    ) -> Result<Vec<Relation>> {
        let config = &inputs.project.config;
        let config::Deb { ignore, weak, rename, .. } = &config.deb;
        let own = Rules { table: "deb", ignore, weak, rename };
        let needs = resolve(&built.elf, trees.all, &[own, rules(config)]);
        for warning in &needs.warnings {
            talk.warn(warning);
        }
        let mut relations = deb::relations(Some(&built.interpreter), trees.package);
        if !needs.files.is_empty() {
            relations.extend(libraries(inputs, (&needs, built.machine), args, talk)?);
        }
        relations.extend(configured_relations(inputs)?);
        Ok(deb::simplify(relations))
    }

    fn selecting(
        &self,
        release: &PackageMeta,
        (mut relations, tree): (Vec<Relation>, &Tree),
    ) -> Result<Vec<Relation>> {
        let text = format!("{} (= {})", release.name, deb::version(release));
        relations.push(deb::relation(RelationKind::Needs, &text, SELECTS)?);
        relations.extend(deb::relations(None, tree));
        Ok(deb::simplify(relations))
    }

    fn options(&self, inputs: &Inputs) -> Option<String> {
        Some(format!("{:?}", options(inputs, 1)))
    }

    fn file_name(&self, meta: &PackageMeta) -> String {
        deb::file_name(meta)
    }

    fn with_docs(&self, meta: &PackageMeta, tree: Tree) -> Result<Tree> {
        deb::with_docs(meta, tree)
    }

    fn write(
        &self,
        (meta, tree): (&PackageMeta, Tree),
        inputs: &Inputs,
        args: &BuildArgs,
        files: (&mut dyn Write, File),
    ) -> Result<()> {
        deb::write(meta, tree, &options(inputs, args.jobs()), &inputs.cache, files)
    }

    fn parts(
        &self,
        meta: &PackageMeta,
        tree: Tree,
    ) -> Result<(Tree, BTreeMap<&'static str, String>)> {
        deb::parts(meta, tree)
    }

    fn relate(&self, (meta, _): (&PackageMeta, &Tree), before: &str) -> Result<String> {
        deb::substvars(meta, before)
    }

    fn file_list(&self, _: &PackageMeta, _: &Tree) -> Result<String> {
        Ok(String::new())
    }
}

/// What suits the release: zstd where dpkg reads it, xz everywhere else.
fn options(inputs: &Inputs, threads: usize) -> Options {
    let reads_zstd = inputs.target.release.is_some_and(|release| release.reads_zstd);
    let suits = if reads_zstd { Compression::ZSTD } else { Compression::XZ };
    let deb = &inputs.project.config.deb;
    Options {
        compression: inputs.compression.unwrap_or(suits),
        threads,
        section: deb.section.clone(),
        priority: deb.priority.clone(),
        fields: deb.fields.clone(),
    }
}

fn configured_relations(inputs: &Inputs) -> Result<Vec<Relation>> {
    let config = &inputs.project.config;
    let lists = [
        (RelationKind::Needs, "dependencies.add", &config.dependencies.add),
        (RelationKind::Needs, "deb.add", &config.deb.add),
        (RelationKind::Recommends, "deb.recommends", &config.deb.recommends),
        (RelationKind::Suggests, "deb.suggests", &config.deb.suggests),
        (RelationKind::Conflicts, "deb.conflicts", &config.deb.conflicts),
        (RelationKind::Replaces, "deb.replaces", &config.deb.replaces),
        (RelationKind::Provides, "deb.provides", &config.deb.provides),
    ];
    relations_of(&lists, deb::relation)
}

fn libraries(
    inputs: &Inputs,
    (needs, machine): (&Needs, Option<Machine>),
    args: &BuildArgs,
    talk: &Talk,
) -> Result<Vec<Relation>> {
    let packages = packages(inputs.target, args, machine);
    match (packages, inputs.target.release, machine) {
        (Packages::Released(release), _, Some(machine)) => {
            abi::check(needs, &release, machine)?;
        }
        (Packages::Installed(_), Some(release), Some(_))
            if !inputs.target.is_host && args.sysroot.is_none() =>
        {
            let name = release.name;
            talk.warn(format!(
                "libraries are looked up among the packages of this host: name a root file system of {name} with `--sysroot`"
            ));
        }
        (Packages::Released(_) | Packages::Installed(_), _, _) => {}
    }
    let request = Request { packages, floor: args.floor(), machine, jobs: args.jobs() };
    let derived = talk.stage("resolved", || deb::libraries(needs, &request))?;
    for warning in &derived.warnings {
        talk.warn(warning);
    }
    Ok(derived.relations)
}

/// A root file system the user names, else this host where the package is for one like it, else what is known of the
/// release.
pub fn packages(target: Target, args: &BuildArgs, machine: Option<Machine>) -> Packages<'_> {
    let host = Path::new("/");
    let is_native = machine == Machine::from_uname(std::env::consts::ARCH);
    let is_like_host = target.is_host && is_native && deb::has_packages(host);
    match (&args.sysroot, target.release) {
        (Some(dir), _) => Packages::Installed(dir),
        (None, Some(release)) if !is_like_host && deb::knows(&release, machine) => {
            Packages::Released(release)
        }
        (None, _) => Packages::Installed(host),
    }
}
