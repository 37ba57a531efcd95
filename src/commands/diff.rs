//! `mkpkg diff`: two packages go in, what an upgrade changes comes out.

use std::path::Path;

use anyhow::Result;

use crate::audit::Report;
use crate::audit::diff::markdown::markdown;
use crate::audit::diff::text::text;
use crate::audit::diff::{Side, diff};
use crate::backend::{deb, rpm};
use crate::cli::diff::{DiffArgs, DiffFormat};
use crate::commands::audit::{Settings, fail};
use crate::commands::scratch;
use crate::commands::subject::{Input, open};
use crate::document::to_json;
use crate::inert::inert_lines;
use crate::report::print;
use crate::scratch::Scratch;

/// One of the two packages, audited.
struct Audited {
    input: Input,
    report: Report,
}

/// Compares two packages and prints what differs; fails when a gate does.
pub fn run(args: &DiffArgs) -> Result<()> {
    let settings = Settings::new(&args.judge)?;
    let scratch = scratch()?;
    let old = audited(&args.old, &settings, &scratch, args.jobs())?;
    let new = audited(&args.new, &settings, &scratch, args.jobs())?;
    let replaces_dirs = match new.report.subject.kind {
        "deb" => deb::REPLACES_DIRS,
        "rpm" => rpm::REPLACES_DIRS,
        _ => true,
    };
    let fail_on = &settings.policy.fail_on;
    let diff = diff(old.side(), new.side(), fail_on, replaces_dirs)?;
    let whole = match args.format {
        DiffFormat::Text => inert_lines(&text(&diff, args.all)),
        DiffFormat::Json => format!("{}\n", to_json(&diff)?),
        DiffFormat::Markdown => markdown(&diff),
    };
    print(&whole)?;
    let inconclusive = args.strict && !new.report.inconclusive.is_empty();
    fail("comparison", &diff.gates, inconclusive)
}

fn audited(path: &Path, settings: &Settings, scratch: &Scratch, jobs: usize) -> Result<Audited> {
    let input = open(path, scratch)?;
    let report = settings.report(path, &input, jobs)?;
    Ok(Audited { report, input })
}

impl Audited {
    fn side(&self) -> Side<'_> {
        let Input { tree, relations, scripts, fields, owners, .. } = &self.input;
        Side { report: &self.report, tree, relations, scripts, fields, owners }
    }
}
