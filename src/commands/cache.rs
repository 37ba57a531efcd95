//! `mkpkg cache`: where the cache is, what is in it, and less of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::amount::size;
use crate::cache::prune::{Amount, Limits, prune, usage};
use crate::cache::{self, Cache};
use crate::cli::cache::{CacheAction, CacheArgs};
use crate::document::to_json;
use crate::error::UserError;
use crate::report::print;

/// What is in the cache.
#[derive(Serialize)]
struct Size {
    dir: PathBuf,
    kinds: BTreeMap<String, Amount>,
    total: Amount,
}

/// What was removed, and what is left.
#[derive(Serialize)]
struct Pruned {
    dir: PathBuf,
    removed: Amount,
    left: Amount,
}

/// Does what `args` ask for and prints what came of it.
pub fn run(args: &CacheArgs) -> Result<()> {
    let dir = cache::dir().ok_or_else(|| {
        UserError::usage("there is no cache: neither `XDG_CACHE_HOME` nor `HOME` is set")
            .hint("set one of them")
    })?;
    match &args.action {
        CacheAction::Dir => answer(args, &dir, || format!("{}\n", dir.display())),
        CacheAction::Size => {
            let kinds = usage(&dir);
            let size = Size { total: total(&kinds), kinds, dir };
            answer(args, &size, || table(&size))
        }
        CacheAction::Clean => shrink(args, dir, &Limits { size: 0, age: None }),
        CacheAction::Prune { max_size, max_age } => {
            let age = max_age.map(|days| Duration::from_secs(u64::from(days) * 24 * 60 * 60));
            shrink(args, dir, &Limits { size: *max_size, age })
        }
    }
}

fn shrink(args: &CacheArgs, dir: PathBuf, limits: &Limits) -> Result<()> {
    refuse_untrusted(&dir)?;
    let removed = prune(&dir, limits);
    let pruned = Pruned { removed, left: total(&usage(&dir)), dir };
    answer(args, &pruned, || {
        let (removed, left) = (phrase(pruned.removed), phrase(pruned.left));
        format!("removed {removed}; {left} left\n")
    })
}

/// What is not ours is not removed either.
fn refuse_untrusted(dir: &Path) -> Result<()> {
    let Some(trouble) = Cache::open(dir.to_owned()).trouble() else { return Ok(()) };
    Err(UserError::input(trouble).hint("set `XDG_CACHE_HOME` to a directory of your own").into())
}

fn total(kinds: &BTreeMap<String, Amount>) -> Amount {
    kinds.values().fold(Amount::default(), |total, amount| Amount {
        entries: total.entries + amount.entries,
        bytes: total.bytes + amount.bytes,
    })
}

fn table(size_of: &Size) -> String {
    let mut lines = String::new();
    let named = size_of.kinds.iter().map(|(name, amount)| (name.as_str(), amount));
    for (name, amount) in named.chain([("total", &size_of.total)]) {
        lines.push_str(&format!("{name:<12} {:>8} {:>10}\n", amount.entries, size(amount.bytes)));
    }
    lines
}

fn phrase(amount: Amount) -> String {
    let plural = if amount.entries == 1 { "entry" } else { "entries" };
    format!("{} {plural}, {}", amount.entries, size(amount.bytes))
}

fn answer(args: &CacheArgs, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    print(&if args.json { format!("{}\n", to_json(value)?) } else { text() })
}
