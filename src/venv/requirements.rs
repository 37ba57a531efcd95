//! The gate against missing distributions: what every wheel requires on the target must be in the package.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::app::App;
use crate::error::UserError;
use crate::lock::Lock;
use crate::pep::{Environment, Requirement, normalize_name, satisfies};
use crate::project::Project;
use crate::wheel::Wheel;

/// Fails when a requirement of a wheel is missing, or a wheel is for another Python; returns a warning for each
/// requirement that is there in another version.
pub fn check(
    wheels: &[Wheel],
    app: &App,
    project: &Project,
    lock: Option<&Lock>,
    environment: &Environment,
) -> Result<Vec<String>> {
    wheels.iter().try_for_each(|wheel| check_python(wheel, environment))?;
    let versions: BTreeMap<_, _> =
        wheels.iter().map(|wheel| (wheel.name.name.as_str(), &wheel.name.version)).collect();
    let config = &project.config;
    let allowed =
        config.allow_missing.iter().map(|name| normalize_name(name)).collect::<Result<Vec<_>>>()?;
    let own = app.distribution.iter().map(|name| (name.clone(), config.extras.clone()));
    let pins = lock.iter().flat_map(|lock| &lock.pins);
    let pinned = pins.filter_map(|pin| Some((pin.name.clone()?, pin.extras.clone())));
    let mut asked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, extras) in own.chain(pinned) {
        asked.entry(name).or_default().extend(extras);
    }
    let extras = extras(wheels, asked, environment)?;
    let (mut missing, mut warnings) = (Vec::new(), Vec::new());
    for wheel in wheels {
        let asked = extras.get(&wheel.name.name).map(Vec::as_slice).unwrap_or_default();
        for need in needs(wheel, environment, asked)? {
            let who = format!("`{} {}`", wheel.metadata.name, wheel.metadata.version);
            match versions.get(need.name.as_str()) {
                None if allowed.contains(&need.name) => {}
                None => missing.push(format!("{who} requires `{}`", need.name)),
                Some(version)
                    if need.specifiers.is_empty() || satisfies(version, &need.specifiers)? => {}
                Some(version) => warnings.push(format!(
                    "{who} requires `{}{}`, the package has {version}",
                    need.name, need.specifiers
                )),
            }
        }
    }
    match missing.first() {
        None => Ok(warnings),
        Some(first) => {
            let more = match missing.len() - 1 {
                0 => String::new(),
                more => format!(", and {more} more like it"),
            };
            Err(UserError::input(format!("{first}, which is not among the wheels{more}"))
                .hint("lock again, or list the name in `allow-missing` if it is not used")
                .into())
        }
    }
}

/// What an installer would refuse: a wheel whose metadata asks for another Python.
fn check_python(wheel: &Wheel, environment: &Environment) -> Result<()> {
    let Some(wanted) = &wheel.metadata.requires_python else { return Ok(()) };
    let version = environment.python_full_version.trim_end_matches('+').parse()?;
    // Old metadata holds specifiers no standard knows; installers ignore them too.
    if satisfies(&version, wanted).unwrap_or(true) {
        return Ok(());
    }
    let who = format!("`{} {}`", wheel.metadata.name, wheel.metadata.version);
    Err(UserError::unresolved(format!(
        "{who} requires Python `{wanted}`, the package is for {version}"
    ))
    .hint("choose another `--python`, or another version of it")
    .into())
}

/// The extras somebody asks of each distribution, beginning with those the user `asked` for.
fn extras(
    wheels: &[Wheel],
    asked: BTreeMap<String, Vec<String>>,
    environment: &Environment,
) -> Result<BTreeMap<String, Vec<String>>> {
    let mut extras = asked;
    loop {
        let mut more = Vec::new();
        for wheel in wheels {
            let asked = extras.get(&wheel.name.name).map(Vec::as_slice).unwrap_or_default();
            for need in needs(wheel, environment, asked)? {
                more.extend(need.extras.into_iter().map(|extra| (need.name.clone(), extra)));
            }
        }
        let before: usize = extras.values().map(Vec::len).sum();
        for (name, extra) in more {
            let asked = extras.entry(name).or_default();
            if !asked.contains(&extra) {
                asked.push(extra);
            }
        }
        if extras.values().map(Vec::len).sum::<usize>() == before {
            return Ok(extras);
        }
    }
}

fn needs(wheel: &Wheel, environment: &Environment, extras: &[String]) -> Result<Vec<Requirement>> {
    let mut needs = Vec::new();
    for text in &wheel.metadata.requires_dist {
        // Old metadata holds requirements no standard knows; installers ignore them too.
        let Ok(need) = text.parse::<Requirement>() else { continue };
        if environment.evaluate(&need.marker, extras)? {
            needs.push(need);
        }
    }
    Ok(needs)
}
