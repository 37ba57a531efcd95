//! `mkpkg audit`: what is inside a package, where it loads, and what is unsafe about it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::artifact;
use crate::audit::finding::{Severity, find};
use crate::audit::html::html;
use crate::audit::libraries;
use crate::audit::sarif::sarif;
use crate::audit::screen::Look;
use crate::audit::text::text;
use crate::audit::{Aside, Report, audit};
use crate::backend::deb;
use crate::cli::AuditArgs;
use crate::cli::format::ReportFormat;
use crate::commands::scratch;
use crate::commands::subject::{Input, open};
use crate::document::{nearest, to_json};
use crate::error::UserError;
use crate::report::{Talk, print, width};
use crate::sbom::Sbom;
use crate::sbom::cyclonedx::cyclonedx;
use crate::sbom::spdx::spdx;

/// What decides the exit code.
struct FailOn {
    least: Option<Severity>,
    ids: BTreeSet<String>,
}

/// Audits a package and prints the report; fails when a gate does.
pub fn run(args: &AuditArgs, talk: &Talk) -> Result<()> {
    let fail_on = fail_on(&args.fail_on)?;
    let scratch = scratch()?;
    let Input { subject, tree, scripts, aside } = open(&args.package, &scratch)?;
    let fault = || format!("cannot read `{}`", args.package.display());
    let report = audit(subject, tree, scripts, args.jobs()).with_context(fault)?.and(aside);
    let findings = libraries::unknown(&report, &deb::has_library);
    let report = report.and(Aside { findings, ..Aside::default() });
    let report = report.gated(fail_on.least, &fail_on.ids);
    let look = look(args, talk);
    deliver(&rendered(&report, args, look)?, args.output.as_deref())?;
    if report.fails() {
        let failed: Vec<_> =
            report.gates.iter().filter(|gate| gate.fails).map(|gate| gate.id).collect();
        return Err(UserError::negative(format!("the audit failed: {}", failed.join(", "))).into());
    }
    if args.strict && !report.inconclusive.is_empty() {
        let message = "not all of the package could be read";
        return Err(UserError::unresolved(message)
            .hint("the report lists what, at its end")
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
    let write =
        |file: &mut File| file.write_all(text.as_bytes()).context("cannot write the report");
    artifact::write(dir, name, write).map(drop)
}

fn fail_on(words: &[String]) -> Result<FailOn> {
    let mut chosen = FailOn { least: None, ids: BTreeSet::new() };
    for word in words {
        let level = match word.as_str() {
            "never" => continue,
            "info" => Severity::Info,
            "warn" => Severity::Warn,
            "error" => Severity::Error,
            id if find(id).is_some() => {
                chosen.ids.insert(id.to_owned());
                continue;
            }
            other => return Err(unknown(other)),
        };
        chosen.least = Some(chosen.least.map_or(level, |known| known.min(level)));
    }
    Ok(chosen)
}

fn unknown(word: &str) -> anyhow::Error {
    let ids = crate::audit::finding::CATALOGUE.iter().map(|check| check.id);
    let words = ids.chain(["error", "warn", "info", "never"]);
    let hint = match nearest(word, words, 0.7) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "name a level or the id of a check, such as `warn` or `ELF007`".to_owned(),
    };
    UserError::usage(format!("`--fail-on` does not know `{word}`")).hint(hint).into()
}
