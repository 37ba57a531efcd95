//! One piece of work for each of many items, several at a time; the outcome does not depend on how many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Result;

/// What `work` makes of each of `items`, in their order, with `jobs` threads.
///
/// No more work is begun once some has failed; the error is that of the first item that fails.
pub fn map<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    filter_map(items, jobs, |item| work(item).map(Some))
}

/// As [`map`], without the items of which `work` makes nothing; they take no memory.
pub fn filter_map<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> Result<Option<R>> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return done };
            let Some(result) = work(item).transpose() else { continue };
            if result.is_err() {
                // Items are taken in order, so all before this one are done or being done.
                next.fetch_max(items.len(), Ordering::Relaxed);
            }
            done.push((index, result));
        }
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers = 0..jobs.clamp(1, items.len().max(1));
        let workers: Vec<_> = workers.map(|_| scope.spawn(run)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics")).collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::{Result, bail};

    use crate::parallel::{filter_map, map};

    #[test]
    fn outcome_does_not_depend_on_jobs() {
        let items: Vec<u32> = (0..1000).collect();
        let fail = |item: &u32| -> Result<u32> {
            if item % 300 == 299 { bail!("{item}") } else { Ok(item * 2) }
        };
        for jobs in [0, 1, 2, 7, 2000] {
            assert_eq!(map(&items[..299], jobs, fail).unwrap()[298], 596);
            assert_eq!(map(&items, jobs, fail).unwrap_err().to_string(), "299");
            assert_eq!(map(&items[..0], jobs, fail).unwrap(), [0_u32; 0]);
            let rare = |item: &u32| Ok(Some(item * 2).filter(|_| item % 250 == 3));
            assert_eq!(filter_map(&items, jobs, rare).unwrap(), [6, 506, 1006, 1506]);
            let fail = |item: &u32| if item % 300 == 299 { bail!("{item}") } else { rare(item) };
            assert_eq!(filter_map(&items, jobs, fail).unwrap_err().to_string(), "299");
        }
    }
}
