//! The gate against missing distributions: what every wheel requires on the target must be in the package.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::app::App;
use crate::error::UserError;
use crate::pep::{Environment, Requirement, normalize_name, satisfies};
use crate::project::Project;
use crate::wheel::Wheel;

/// Fails when a requirement of a wheel is missing; returns a warning for each that is there in another version.
pub fn check(
    wheels: &[Wheel],
    app: &App,
    project: &Project,
    environment: &Environment,
) -> Result<Vec<String>> {
    let versions: BTreeMap<_, _> =
        wheels.iter().map(|wheel| (wheel.name.name.as_str(), &wheel.name.version)).collect();
    let config = &project.config;
    let allowed =
        config.allow_missing.iter().map(|name| normalize_name(name)).collect::<Result<Vec<_>>>()?;
    let (mut missing, mut warnings) = (Vec::new(), Vec::new());
    for wheel in wheels {
        let is_app = Some(&wheel.name.name) == app.distribution.as_ref();
        let extras = if is_app { config.extras.as_slice() } else { &[] };
        for need in needs(wheel, environment, extras)? {
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
