//! The gate against missing distributions: what every wheel requires on the target must be in the package.

use anyhow::Result;

use crate::app::App;
use crate::error::UserError;
use crate::lock::Lock;
use crate::pep::{Environment, normalize_name, satisfies};
use crate::project::Project;
use crate::wheel::Wheel;
use crate::wheel::metadata::Metadata;
use crate::wheel::requirements::{Distribution, Extras, Unmet, unmet};

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
    let config = &project.config;
    let allowed =
        config.allow_missing.iter().map(|name| normalize_name(name)).collect::<Result<Vec<_>>>()?;
    let own = app.distribution.iter().map(|name| (name.clone(), config.extras.clone()));
    let pins = lock.iter().flat_map(|lock| &lock.pins);
    let pinned = pins.filter_map(|pin| Some((pin.name.clone()?, pin.extras.clone())));
    let mut asked = Extras::new();
    for (name, extras) in own.chain(pinned) {
        asked.entry(name).or_default().extend(extras);
    }
    let distributions: Vec<_> = wheels
        .iter()
        .map(|Wheel { name, metadata, .. }| Distribution {
            name: &name.name,
            version: &name.version,
            metadata,
        })
        .collect();
    let (mut missing, mut warnings) = (Vec::new(), Vec::new());
    for Unmet { of, requirement, found } in unmet(&distributions, asked, environment)? {
        let Metadata { name, version, .. } = &wheels[of].metadata;
        let (who, wanted) = (format!("`{name} {version}`"), &requirement.name);
        match found {
            None if allowed.contains(wanted) => {}
            None => missing.push(format!("{who} requires `{wanted}`")),
            Some(found) => warnings.push(format!(
                "{who} requires `{wanted}{}`, the package has {found}",
                requirement.specifiers
            )),
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
