//! Work on several threads: one piece for each of many items, and reading ahead. The outcome does not depend on how many
//! there are.

use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, Scope};

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

/// Frees a value on a thread of its own, which nobody waits for: a tree of many files takes a while.
pub fn discard<T: Send + 'static>(value: T) {
    // Where no thread can be had it goes at once.
    let _ = thread::Builder::new().spawn(move || drop(value));
}

/// What a thread of its own reads, some blocks ahead of whoever reads this.
pub struct Ahead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    /// How much of the block was read.
    at: usize,
}

/// Bytes in a block.
const BLOCK: usize = 256 << 10;
/// Blocks that wait to be read.
const WAITING: usize = 8;

/// Reads what `open` opens ahead; opening is part of the first read.
pub fn ahead<'scope, R: Read>(
    scope: &'scope Scope<'scope, '_>,
    open: impl FnOnce() -> io::Result<R> + Send + 'scope,
) -> Ahead {
    let (sender, blocks) = mpsc::sync_channel(WAITING);
    scope.spawn(move || {
        let mut reader = match open() {
            Ok(reader) => reader,
            Err(error) => {
                // Nobody may be left to tell; the same goes for what is read.
                let _ = sender.send(Err(error));
                return;
            }
        };
        loop {
            let mut block = Vec::with_capacity(BLOCK);
            let read = reader.by_ref().take(BLOCK as u64).read_to_end(&mut block);
            // What was read before an error counts.
            if !block.is_empty() && sender.send(Ok(block)).is_err() {
                return;
            }
            match read {
                Ok(1..) => {}
                Ok(0) => return,
                Err(error) => {
                    let _ = sender.send(Err(error));
                    return;
                }
            }
        }
    });
    Ahead { blocks, block: Vec::new(), at: 0 }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            // After the end there are no more blocks.
            self.block = self.blocks.recv().unwrap_or(Ok(Vec::new()))?;
            self.at = 0;
        }
        let count = (&self.block[self.at..]).read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::thread;

    use anyhow::{Result, bail};

    use crate::parallel::{BLOCK, WAITING, ahead, filter_map, map};

    #[test]
    fn reading_ahead_changes_nothing() {
        let bytes: Vec<u8> = (0..BLOCK * (WAITING + 3) + 5).map(|at| (at % 251) as u8).collect();
        for len in [0, 1, BLOCK, BLOCK + 1, bytes.len()] {
            let mut read = Vec::new();
            thread::scope(|scope| {
                ahead(scope, || Ok(&bytes[..len])).read_to_end(&mut read).unwrap();
            });
            assert!(read == bytes[..len], "{len}");
        }
        // The thread ends when nobody reads on.
        let first = thread::scope(|scope| {
            let mut byte = [9];
            ahead(scope, || Ok(&bytes[..])).read_exact(&mut byte).unwrap();
            byte
        });
        assert_eq!(first, [0]);
    }

    #[test]
    fn faults_come_where_they_are() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::new(io::ErrorKind::InvalidData, "broken"))
            }
        }
        thread::scope(|scope| {
            let mut read = Vec::new();
            let error =
                ahead(scope, || Ok((&b"ab"[..]).chain(Broken))).read_to_end(&mut read).unwrap_err();
            assert_eq!((error.to_string().as_str(), &read[..]), ("broken", &b"ab"[..]));
            assert!(ahead(scope, || Ok(Broken)).read(&mut [0]).is_err());
            let unopened = ahead(scope, || Err::<&[u8], _>(io::Error::other("shut")));
            assert_eq!(io::read_to_string(unopened).unwrap_err().to_string(), "shut");
        });
    }

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
