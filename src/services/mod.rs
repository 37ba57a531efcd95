//! The units of a package, the account they run as, and what scripts will have to do with them: from the configuration
//! to files of the package and a [`Lifecycle`].
//!
//! docs/services.md is the contract. Knows no package format: what the formats' worlds have at different places comes
//! in as [`Conventions`].

mod account;
pub mod command_line;
mod directives;
mod reserved;
mod sandbox;
mod snippets;
mod unit;
mod unit_file;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Result;

use crate::error::UserError;
use crate::lifecycle::{Account, Activation, Changes, Lifecycle, OnUpgrade, Unit};
use crate::package::PackageName;
use crate::project::Project;
use crate::project::config::Config;
use crate::project::services::Service;
use crate::services::command_line::Commands;
use crate::services::unit::Activator;
use crate::services::unit_file::UnitFile;
use crate::templates::render;
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Role, Tree};

/// Where units of packages lie (systemd.unit(5), "Unit File Load Path").
const UNIT_DIR: &str = "usr/lib/systemd/system";

/// What differs between the families of distributions.
#[derive(Clone, Copy, Debug)]
pub struct Conventions {
    /// Directory of files with variables for services.
    pub environment_dir: &'static str,
    /// Whether units are enabled by presets (systemd.preset(5)), of which the package then has to bring one.
    pub has_presets: bool,
}

/// What services are made of, beside their configuration.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The project.
    pub project: &'a Project,
    /// Name of the package.
    pub name: &'a PackageName,
    /// Path by which units name the environment.
    pub prefix: &'a PkgPath,
    /// One line.
    pub summary: &'a str,
    /// URL.
    pub homepage: Option<&'a str>,
    /// Commands of the environment.
    pub commands: Commands<'a>,
    /// Ways of the distributions.
    pub conventions: Conventions,
}

/// Files and life of a package with services.
#[derive(Debug)]
pub struct Services {
    /// The files beside those of the environment.
    pub tree: Tree,
    /// What happens on a host.
    pub lifecycle: Lifecycle,
    /// What is to be said of them.
    pub warnings: Vec<String>,
}

/// What all units of a package share.
struct Context<'a> {
    name: &'a PackageName,
    prefix: &'a PkgPath,
    summary: &'a str,
    homepage: Option<&'a str>,
    account: Option<&'a Account>,
    groups: &'a [String],
    environment_file: &'a PkgPath,
    is_runtime_dir_shared: bool,
    commands: Commands<'a>,
}

/// Makes the units and all that belongs to them.
pub fn stage(request: &Request<'_>) -> Result<Services> {
    let config = &request.project.config;
    let generated = config.services.values().filter(|service| service.unit.is_none()).count();
    let is_asked_for = generated > 0 || config.user.name.is_some();
    let account = match is_asked_for {
        true => account::account(&config.user, request.name, request.summary)?,
        false => None,
    };
    let dir = PkgPath::new(request.conventions.environment_dir)?;
    let environment_file = dir.join(request.name.as_str())?;
    let context = Context {
        name: request.name,
        prefix: request.prefix,
        summary: request.summary,
        homepage: request.homepage,
        account: account.as_ref(),
        groups: &config.user.groups,
        environment_file: &environment_file,
        is_runtime_dir_shared: is_shared(config),
        commands: request.commands,
    };
    if !config.services.is_empty() {
        reserved::directory(request.name.as_str())?;
        writable(request.prefix, request.name)?;
    }
    let mut made = Made::default();
    for (key, service) in &config.services {
        made.add(&context, (key, service), request.project)?;
    }
    let has_file = config.services.values().any(|service| service.environment_file);
    let sysusers = account.as_ref().map(|account| account::sysusers(account, request.name));
    made.files(&context, sysusers.transpose()?, has_file, request.conventions)?;
    made.warnings.extend(strangers(config, &made.names));
    let checks = config.check.iter().filter(|check| check.on_install);
    let state_dirs = ["var/lib", "var/cache", "var/log", "run"];
    let state_dirs = state_dirs.iter().filter(|_| !config.services.is_empty());
    let lifecycle = Lifecycle {
        sysusers: names(&made.tree, config, "usr/lib/sysusers.d"),
        tmpfiles: names(&made.tree, config, "usr/lib/tmpfiles.d"),
        account,
        units: made.units(),
        environment_file: has_file.then_some(environment_file),
        checks: checks.map(|check| check.run.clone()).collect(),
        snippets: snippets::read(&config.scripts, &request.project.dir)?,
        state_dirs: state_dirs
            .map(|dir| PkgPath::new(dir)?.join(request.name.as_str()))
            .collect::<Result<_>>()?,
        alternative: None,
        changes: Changes::default(),
    };
    Ok(Services { tree: made.tree, lifecycle, warnings: made.warnings })
}

/// Whether what is in `/run/<name>` outlives a unit that stops: others use it, instances too, and so does a socket in it.
fn is_shared(config: &Config) -> bool {
    let is_shared =
        |(key, service): (&String, &Service)| key.ends_with('@') || service.socket.is_some();
    config.services.len() > 1 || config.services.iter().any(is_shared)
}

/// Refuses a prefix whose files services could change, or would not see.
fn writable(prefix: &PkgPath, name: &PackageName) -> Result<()> {
    let hidden = ["home", "root", "tmp", "var/tmp", "run", "dev"].map(str::to_owned);
    let own = ["lib", "cache", "log"].map(|dir| format!("var/{dir}/{name}"));
    let is_in = |dir: &&String| {
        let path = prefix.as_str();
        path == dir.as_str() || path.starts_with(&format!("{dir}/"))
    };
    let Some(dir) = hidden.iter().chain(&own).find(is_in) else { return Ok(()) };
    let message = format!(
        "services cannot run from the prefix `{prefix}`: `/{dir}` is hidden from them, or theirs to write"
    );
    Err(UserError::usage(message).hint("leave `prefix` out, or choose one below `/opt`").into())
}

/// The files right in `dir`, those made here and those of `[[files]]`, by name.
fn names(tree: &Tree, config: &Config, dir: &str) -> Vec<String> {
    let made = tree.files().map(|(path, ..)| path.as_str());
    let added = config.files.iter().map(|rule| rule.target.trim_start_matches('/'));
    let below = |path: &str| path.strip_prefix(dir)?.strip_prefix('/').map(str::to_owned);
    made.chain(added).filter_map(below).collect::<BTreeSet<_>>().into_iter().collect()
}

/// A warning for every unit of `[[files]]`: nothing enables or starts it.
fn strangers(config: &Config, names: &BTreeSet<String>) -> Vec<String> {
    let files = config.files.iter().map(|rule| rule.target.trim_start_matches('/'));
    let units = files.filter_map(|path| path.strip_prefix(UNIT_DIR)?.strip_prefix('/'));
    units.filter(|unit| !names.contains(*unit) && !unit.contains('/')).map(|unit| {
        format!("`{unit}` of `files` is neither enabled nor started: name a service's file with `services.KEY.unit` instead")
    }).collect()
}

/// Units as they are made.
#[derive(Default)]
struct Made {
    tree: Tree,
    activators: Vec<Unit>,
    services: Vec<Unit>,
    names: BTreeSet<String>,
    warnings: Vec<String>,
}

impl Made {
    fn add(
        &mut self,
        context: &Context<'_>,
        (key, service): (&str, &Service),
        project: &Project,
    ) -> Result<()> {
        let stem = stem(context.name, key, service.name.as_deref())?;
        for (activator, is_there) in Activator::of(service) {
            if is_there {
                self.activator(context, (key, service), activator, &stem)?;
            }
        }
        let name = format!("{stem}.service");
        let (text, has_install) = match &service.unit {
            Some(file) => {
                alone(key, service)?;
                let key = format!("services.{key}.unit");
                let text = snippets::text(file, &project.dir, &key)?;
                let read = UnitFile::read(&text, &key, context, &mut self.warnings)?;
                (text, read.has_install)
            }
            None => {
                let socket = service.socket.is_some().then(|| format!("{stem}.socket"));
                let socket = socket.as_deref();
                let of = (key, service);
                let text = unit::service(context, of, &name, socket, &mut self.warnings)?;
                (text, socket.is_none() && service.timer.is_none())
            }
        };
        self.unit(&name, text)?;
        let activation = if stem.ends_with('@') {
            Activation::Instance
        } else if has_install {
            Activation::Boot { enable: service.enable, start: service.start }
        } else {
            Activation::Unit
        };
        // A job that runs is left to its end; what starts at boot, too, is none.
        let is_job = service.timer.is_some() && !has_install;
        let restarts = service.restart_on_upgrade && !is_job;
        let on_upgrade = if restarts { OnUpgrade::Restart } else { OnUpgrade::Keep };
        self.services.push(Unit { name, activation, on_upgrade });
        Ok(())
    }

    fn activator(
        &mut self,
        context: &Context<'_>,
        (key, service): (&str, &Service),
        activator: Activator,
        stem: &str,
    ) -> Result<()> {
        if stem.ends_with('@') {
            let message =
                format!("`services.{key}` is a template and has a {}", activator.suffix());
            return Err(UserError::usage(message)
                .hint("give the template and its instances no activator of their own")
                .into());
        }
        let name = format!("{stem}.{}", activator.suffix());
        let text = unit::activator(context, (key, service), activator, &name, &mut self.warnings)?;
        let activation = Activation::Boot { enable: service.enable, start: service.start };
        let on_upgrade = match activator {
            // Connections wait in it while the service restarts.
            Activator::Socket => OnUpgrade::Keep,
            Activator::Timer => OnUpgrade::Restart,
        };
        self.unit(&name, text)?;
        self.activators.push(Unit { name, activation, on_upgrade });
        Ok(())
    }

    fn unit(&mut self, name: &str, text: String) -> Result<()> {
        reserved::unit(name.rsplit_once('.').map_or(name, |(stem, _)| stem))?;
        if !self.names.insert(name.to_owned()) {
            let message = format!("two services make the unit `{name}`");
            return Err(UserError::usage(message).hint("rename one of them").into());
        }
        self.insert(PkgPath::new(UNIT_DIR)?.join(name)?, text, (0o644, Role::Plain))
    }

    fn insert(&mut self, path: PkgPath, text: String, (mode, role): (u32, Role)) -> Result<()> {
        let content = Content::bytes(text);
        self.tree.insert(
            path,
            Entry::File { content, mode, role, origin: Arc::from("mkpkg"), mtime: None },
        )
    }

    /// The files that belong to no single unit.
    fn files(
        &mut self,
        context: &Context<'_>,
        sysusers: Option<String>,
        has_environment: bool,
        conventions: Conventions,
    ) -> Result<()> {
        let name = context.name;
        if let Some(text) = sysusers {
            let path = PkgPath::new(&format!("usr/lib/sysusers.d/{name}.conf"))?;
            self.insert(path, text, (0o644, Role::Plain))?;
        }
        if has_environment {
            let values = BTreeMap::from([("package", name.as_str())]);
            let template = include_str!("../../templates/environment.hbs");
            let text = render("environment.hbs", template, &values)?;
            self.insert(context.environment_file.clone(), text, (0o644, Role::Config))?;
        }
        let preset = self.preset();
        if conventions.has_presets && !preset.is_empty() {
            let path = format!("usr/lib/systemd/system-preset/80-{name}.preset");
            self.insert(PkgPath::new(&path)?, preset, (0o644, Role::Plain))?;
        }
        Ok(())
    }

    /// systemd.preset(5): which units a fresh install enables.
    fn preset(&self) -> String {
        let line = |unit: &Unit| match unit.activation {
            Activation::Boot { enable: true, .. } => Some(format!("enable {}\n", unit.name)),
            Activation::Boot { enable: false, .. } => Some(format!("disable {}\n", unit.name)),
            Activation::Unit | Activation::Instance => None,
        };
        self.activators.iter().chain(&self.services).filter_map(line).collect()
    }

    /// What sets others going comes first.
    fn units(&self) -> Vec<Unit> {
        self.activators.iter().chain(&self.services).cloned().collect()
    }
}

/// Refuses what would have no effect beside a unit file.
fn alone(key: &str, service: &Service) -> Result<()> {
    let others = [
        ("exec", service.exec.is_some()),
        ("exec-start-pre", !service.exec_start_pre.0.is_empty()),
        ("exec-reload", !service.exec_reload.0.is_empty()),
        ("type", service.kind.is_some()),
        ("sandbox", service.sandbox.is_some()),
        ("environment", !service.environment.is_empty()),
        ("environment-file", service.environment_file),
        ("directives", !service.directives.is_empty()),
    ];
    let Some((other, _)) = others.into_iter().find(|(_, is_set)| *is_set) else {
        return Ok(());
    };
    Err(UserError::usage(format!("`services.{key}` has both `unit` and `{other}`"))
        .hint("write it into the unit file, or leave `unit` out")
        .into())
}

/// The name of a unit without its end: the service's `own`, or made of the package's and the key.
fn stem(name: &PackageName, key: &str, own: Option<&str>) -> Result<String> {
    let text = own.unwrap_or(key);
    let is_plain = |at: char| at.is_ascii_alphanumeric() || "_.-".contains(at);
    let (plain, at) = text.strip_suffix('@').map_or((text, ""), |plain| (plain, "@"));
    if plain.is_empty()
        || plain.starts_with('.')
        || !plain.chars().all(is_plain)
        || plain.len() > 100
    {
        return Err(UserError::usage(format!(
            "{text:?} in `services` cannot be part of a unit's name"
        ))
        .hint("use letters, digits, `_`, `.` and `-`, and `@` at the end for a template")
        .into());
    }
    if own.is_some() {
        return Ok(text.to_owned());
    }
    // systemd.unit(5): unit names have no `+`.
    if name.as_str().contains('+') {
        return Err(UserError::usage(format!(
            "the package name `{name}` cannot be part of a unit's name"
        ))
        .hint("set a `name` without `+`")
        .into());
    }
    Ok(if plain == "main" { format!("{name}{at}") } else { format!("{name}-{plain}{at}") })
}
