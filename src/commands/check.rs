//! `mkpkg check`: says whether a project could be built, and builds nothing.

use anyhow::Result;

use crate::audit::policy::Policy;
use crate::cli::BuildArgs;
use crate::commands::build::inputs;
use crate::commands::format::{configured, validate};
use crate::commands::previous;
use crate::date::Date;
use crate::lock::{Lock, Pinning};
use crate::report::Talk;

/// Validates configuration and inputs.
pub fn run(args: &BuildArgs, talk: &Talk) -> Result<()> {
    let inputs = inputs(args, talk)?;
    Policy::new(&inputs.project.config.audit, None, &[], Date::of_epoch(inputs.epoch))?;
    let formats = configured(&inputs, args);
    let previous = previous::read(&args.previous, &formats)?;
    validate(&formats, &previous, &inputs, args)?;
    let lock = match inputs.lock.as_ref().map(Lock::pinning) {
        Some(Pinning::Hashed) => "locked with hashes",
        Some(Pinning::Exact) => "locked, not all with hashes",
        Some(Pinning::Loose) => "requirements that are not locked",
        None => "no lock",
    };
    let (dir, python) = (inputs.project.dir.display(), &inputs.interpreter.version);
    talk.say(&format!("`{dir}` is fine: {lock}, Python {python}"));
    Ok(())
}
