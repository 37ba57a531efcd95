//! `mkpkg audit`: what is inside a package, where it loads, and what is unsafe about it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::artifact;
use crate::audit::finding::Gate;
use crate::audit::html::html;
use crate::audit::libraries;
use crate::audit::loads::{refusals, with_libraries};
use crate::audit::policy::Policy;
use crate::audit::sarif::sarif;
use crate::audit::screen::Look;
use crate::audit::text::text;
use crate::audit::vulnerabilities::{Freshness, look_up};
use crate::audit::{Aside, JSON_SCHEMA, Report, audit, processors};
use crate::backend::deb;
use crate::cli::AuditArgs;
use crate::cli::format::ReportFormat;
use crate::cli::judge::JudgeArgs;
use crate::commands::scratch;
use crate::commands::subject::{Input, open};
use crate::date::Date;
use crate::document::to_json;
use crate::error::UserError;
use crate::host::release;
use crate::project::{self, epoch};
use crate::report::{Talk, print, width};
use crate::sbom::Sbom;
use crate::sbom::cyclonedx::cyclonedx;
use crate::sbom::spdx::spdx;

/// Audits a package and prints the report; fails when a gate does.
pub fn run(args: &AuditArgs, talk: &Talk) -> Result<()> {
    // Without a package it is the schema that was asked for.
    let Some(package) = &args.package else {
        return deliver(JSON_SCHEMA, args.output.as_deref());
    };
    let settings = Settings::new(&args.judge)?.without_changes();
    let scratch = scratch()?;
    let input = open(package, &scratch)?;
    let report = settings.report(package, &input, args.jobs())?;
    deliver(&rendered(&report, args, look(args, talk))?, args.output.as_deref())?;
    fail("audit", &report.gates, args.strict && !report.inconclusive.is_empty())
}

/// The error of gates that fail, and of what could not be read; `what` is what was done.
pub fn fail(what: &str, gates: &[Gate], is_inconclusive: bool) -> Result<()> {
    let failed: Vec<_> = gates.iter().filter(|gate| gate.fails).map(|gate| gate.id).collect();
    if !failed.is_empty() {
        return Err(UserError::negative(format!("the {what} failed: {}", failed.join(", "))).into());
    }
    if is_inconclusive {
        let message = "not all of the package could be read";
        return Err(UserError::unresolved(message)
            .hint("the report of `mkpkg audit` lists what, at its end")
            .into());
    }
    Ok(())
}

/// What text is written for: the terminal, or a file without colours that fits most of them.
fn look(args: &AuditArgs, talk: &Talk) -> Look {
    let is_printed = args.output.is_none();
    Look { width: width(is_printed), is_coloured: is_printed && talk.colours_data() }
}

/// The report as it is asked for.
fn rendered(report: &Report, args: &AuditArgs, look: Look) -> Result<String> {
    match args.format() {
        ReportFormat::Text => Ok(text(report, args.all, look)),
        ReportFormat::Json => to_json(report),
        ReportFormat::Html => html(report),
        ReportFormat::Sarif => sarif(report),
        ReportFormat::Cyclonedx => cyclonedx(&Sbom::of(report)),
        ReportFormat::Spdx => spdx(&Sbom::of(report)),
    }
}

/// Prints a report, or writes it into a file.
fn deliver(text: &str, output: Option<&Path>) -> Result<()> {
    let Some(path) = output else { return print(text) };
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| UserError::usage(format!("`{}` is no name for a file", path.display())))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    artifact::prepare(dir)?;
    artifact::write(dir, name, |file| {
        file.write_all(text.as_bytes()).context("cannot write the report")
    })?;
    Ok(())
}

/// What flags and the configuration decide.
#[derive(Debug)]
pub struct Settings {
    /// How findings are judged.
    pub policy: Policy,
    /// Releases that it must load on.
    targets: Vec<&'static str>,
    databases: Vec<PathBuf>,
    freshness: Freshness,
}

impl Settings {
    /// Flags come before what is in the file.
    pub fn new(args: &JudgeArgs) -> Result<Self> {
        let found = project::configuration(args.config.as_deref(), Path::new(""))?;
        let (config, file) = found.map(|(config, file)| (config.audit, file)).unzip();
        let config = config.unwrap_or_default();
        let dir = file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let databases = match &args.vulnerabilities[..] {
            [] => config.database.iter().map(|path| dir.join(path)).collect(),
            given => given.iter().filter(|path| !path.as_os_str().is_empty()).cloned().collect(),
        };
        let max_age = args.max_db_age.or(config.max_db_age).map(u64::from);
        let targets = if args.target.is_empty() { &config.target } else { &args.target };
        let targets = targets.iter().map(|name| release::find(name).map(|release| release.name));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let (today, is_now) = today()?;
        let file = file.map(|file| file.display().to_string());
        let policy = Policy::new(&config, file, &args.fail_on, today)?;
        Ok(Self { policy, targets, databases, freshness: Freshness { today, is_now, max_age } })
    }

    /// For a package that is compared with none.
    fn without_changes(mut self) -> Self {
        self.policy.fail_on = self.policy.fail_on.without_changes();
        self
    }

    /// The report of `input`, which is at `path`, with vulnerabilities, if there is a database, and its gates.
    pub fn report(&self, path: &Path, input: &Input, jobs: usize) -> Result<Report> {
        let (subject, tree) = (input.subject.clone(), input.tree.clone());
        let report = audit(subject, tree, input.digests(), jobs)
            .with_context(|| format!("cannot read `{}`", path.display()))?
            .and(input.aside.clone());
        let report = with_libraries(report, &deb::lacks_library);
        let mut findings = libraries::unknown(&report, &deb::has_library);
        findings.extend(refusals(&report.loads_on, &self.targets));
        findings.extend(processors::findings(&report.elf, &self.targets));
        let is_judged = |name: &&&str| report.loads_on.iter().any(|one| one.release == **name);
        let unknown = self.targets.iter().filter(|name| !is_judged(name));
        let unknown = unknown.map(|name| {
            format!("whether it loads on {name}, whose libraries or machine are not known")
        });
        let aside = Aside { findings, inconclusive: unknown.collect() };
        let report = report.and(aside);
        if self.databases.is_empty() {
            return Ok(report.judged(&self.policy));
        }
        let matches = look_up(&self.databases, &report, self.freshness, jobs)?;
        Ok(report.with(matches).judged(&self.policy))
    }
}

/// The day waivers end and databases age by, and whether it is that of the clock: `SOURCE_DATE_EPOCH` comes before it.
fn today() -> Result<(Date, bool)> {
    if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok((Date::of_epoch(epoch::parse(&text)?), false));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    Ok((Date::of_epoch(now), true))
}
