//! What a build demands of a lock, and what it says of one that could be better.

use anyhow::Result;

use crate::cli::BuildArgs;
use crate::error::UserError;
use crate::lock::{self, Lock, Pinning};
use crate::report::Talk;

const HOW_TO_LOCK: &str = "`uv pip compile --generate-hashes -o requirements.txt pyproject.toml`";

/// Refuses what is not locked where that is asked for, and warns of it elsewhere.
pub fn demand_lock(args: &BuildArgs, lock: Option<&Lock>, talk: &Talk) -> Result<()> {
    for note in lock.iter().flat_map(|lock| &lock.notes) {
        talk.note(note);
    }
    if args.locked {
        return match lock {
            Some(lock) => lock::demand_hashes(lock),
            None => Err(UserError::usage("`--locked` needs a lock, and the project has none")
                .hint(format!("make one with {HOW_TO_LOCK}"))
                .into()),
        };
    }
    let pinning = lock.map(Lock::pinning);
    let has_more_indexes = lock
        .is_some_and(|lock| lock.options.iter().any(|option| option.starts_with("--extra-index")))
        || std::env::var_os("PIP_EXTRA_INDEX_URL").is_some();
    if has_more_indexes && pinning != Some(Pinning::Hashed) && args.wheelhouse.is_none() {
        talk.warn(
            "several indexes are asked and nothing is hashed: any of them can bring any distribution, so lock with hashes",
        );
    }
    if args.wheelhouse.is_none() && matches!(pinning, None | Some(Pinning::Loose)) {
        talk.warn(format!(
            "the requirements are not locked and another build may get others: lock them with {HOW_TO_LOCK}"
        ));
    } else if args.wheelhouse.is_none() && pinning == Some(Pinning::Exact) {
        talk.warn("the lock has no hashes for some files: what is fetched is not verified");
    }
    Ok(())
}
