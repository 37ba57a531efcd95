//! The words a build ends with: what was written, what it needs and why, how long it took.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::amount::size;
use crate::artifact::Artifact;
use crate::digest::hex;
use crate::document::to_json;
use crate::package::{PackageMeta, Relation};
use crate::report::Talk;
use crate::tree::{Entry, Tree};
use crate::usage::so_far;

/// The package's path, one line.
pub fn path(artifact: &Artifact) -> String {
    format!("{}\n", artifact.path.display())
}

/// Says the summary on stderr.
pub fn say(meta: &PackageMeta, artifact: &Artifact, talk: &Talk) {
    talk.say(&format!("{}  {}", artifact.path.display(), size(artifact.size)));
    talk.say(&format!("sha256 {}", hex(&artifact.sha256)));
    for line in relations(meta) {
        talk.say(&line);
    }
    let times = talk.timings();
    let times = times
        .iter()
        .map(|timing| format!("{} {:.1} s", timing.stage, timing.duration.as_secs_f64()));
    talk.say(&format!("time: {}", times.collect::<Vec<_>>().join(", ")));
    match talk.warnings().len() {
        0 => {}
        1 => talk.say("1 warning, see above"),
        count => talk.say(&format!("{count} warnings, see above")),
    }
}

/// Says where the time of a run went: of each stage the seconds, its part of all, and how many processors it kept busy.
pub fn say_timings(talk: &Talk) {
    let total = talk.elapsed();
    let row = |duration: Duration, processors: Duration, stage: &str| {
        let seconds = duration.as_secs_f64();
        // What took no time at all kept nothing busy.
        let part = seconds / total.as_secs_f64().max(f64::EPSILON) * 100.0;
        let busy = processors.as_secs_f64() / seconds.max(f64::EPSILON);
        format!("{seconds:>9.3} s {part:>5.0} % {busy:>5.1} processors  {stage}")
    };
    let stages = talk.timings();
    let usage = so_far();
    let (known, used) = stages.iter().fold(<(Duration, Duration)>::default(), |sum, timing| {
        (sum.0 + timing.duration, sum.1 + timing.processors)
    });
    let rest = (total.saturating_sub(known), usage.processors.saturating_sub(used));
    let mut lines: Vec<_> =
        stages.iter().map(|one| row(one.duration, one.processors, one.stage)).collect();
    lines.push(row(rest.0, rest.1, "between them"));
    lines.push(row(total, usage.processors, "in all"));
    lines.push(format!("peak memory {}", size(usage.peak)));
    lines.iter().for_each(|line| talk.say(line));
}

fn relations(meta: &PackageMeta) -> Vec<String> {
    let line = |relation: &Relation| {
        let reasons = relation.reasons().join("; ");
        format!("{} {}: {reasons}", relation.kind.verb(), relation.text)
    };
    meta.relations.iter().map(line).collect()
}

/// What `--dry-run` prints: metadata, relations, files.
pub fn plan(meta: &PackageMeta, tree: &Tree, file_name: &str) -> String {
    let mut text = format!(
        "package: {file_name}\nsummary: {}\nmaintainer: {}\n",
        meta.summary, meta.maintainer
    );
    for line in relations(meta) {
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str(&files(tree));
    text
}

/// One line for every entry of a tree: type and mode, size, path, target.
pub fn files(tree: &Tree) -> String {
    let mut text = String::new();
    for (path, entry) in tree.iter() {
        let line = match entry {
            Entry::Dir { mode } => format!("d{mode:04o} {:>10} {path}/", "-"),
            Entry::File { mode, content, .. } => {
                format!("-{mode:04o} {:>10} {path}", content.len())
            }
            Entry::Symlink { target } => format!("l{:04o} {:>10} {path} -> {target}", 0o777, "-"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    }
    text
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    name: &'a str,
    version: String,
    release: &'a str,
    relations: Vec<JsonRelation<'a>>,
    distributions: Vec<JsonDistribution<'a>>,
    seconds: BTreeMap<&'a str, f64>,
    processor_seconds: BTreeMap<&'a str, f64>,
    total_seconds: f64,
    peak_memory: u64,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct JsonRelation<'a> {
    kind: &'a str,
    text: &'a str,
    because: Vec<String>,
}

#[derive(Serialize)]
struct JsonDistribution<'a> {
    name: &'a str,
    version: &'a str,
    licence: &'a str,
}

/// The summary as one line of JSON; without an artifact it is of a package that was not written.
pub fn json(meta: &PackageMeta, artifact: Option<&Artifact>, talk: &Talk) -> Result<String> {
    let timings = talk.timings();
    let summary = Json {
        path: artifact.map(|artifact| artifact.path.display().to_string()),
        size: artifact.map(|artifact| artifact.size),
        sha256: artifact.map(|artifact| hex(&artifact.sha256)),
        name: meta.name.as_str(),
        version: meta.version.to_string(),
        release: &meta.release,
        relations: meta
            .relations
            .iter()
            .map(|relation| JsonRelation {
                kind: relation.kind.verb(),
                text: &relation.text,
                because: relation.reasons(),
            })
            .collect(),
        distributions: meta
            .bundled
            .iter()
            .map(|one| JsonDistribution {
                name: &one.name,
                version: &one.version,
                licence: &one.licence,
            })
            .collect(),
        seconds: timings
            .iter()
            .map(|timing| (timing.stage, timing.duration.as_secs_f64()))
            .collect(),
        processor_seconds: timings
            .iter()
            .map(|timing| (timing.stage, timing.processors.as_secs_f64()))
            .collect(),
        total_seconds: talk.elapsed().as_secs_f64(),
        peak_memory: so_far().peak,
        warnings: talk.warnings(),
    };
    Ok(format!("{}\n", to_json(&summary)?))
}
