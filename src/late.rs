//! Parts of a file that are written when something of them is asked for.

use std::fs::File;
use std::io;
use std::sync::{Arc, LazyLock};

use anyhow::Result;

/// A part of an open file that is filled when it is needed, once.
#[derive(Debug)]
pub struct Late {
    file: Arc<File>,
    /// Where the part starts, or why there is none.
    start: LazyLock<Result<u64, String>, Fill>,
}

/// A span of such a part.
#[derive(Clone, Debug)]
pub struct LateSpan {
    /// The part.
    pub part: Arc<Late>,
    /// Where the span starts in the part, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u64,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

type Fill = Box<dyn FnOnce() -> Result<u64, String> + Send>;

impl Late {
    /// A part of `file` that `fill` writes; it tells where.
    pub fn new(file: Arc<File>, fill: impl FnOnce() -> Result<u64> + Send + 'static) -> Self {
        let fill: Fill = Box::new(|| fill().map_err(|error| format!("{error:#}")));
        Self { file, start: LazyLock::new(fill) }
    }

    /// The file, and where the part starts in it.
    pub fn get(&self) -> io::Result<(&File, u64)> {
        match &*self.start {
            Ok(start) => Ok((&self.file, *start)),
            Err(error) => Err(io::Error::other(error.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use anyhow::bail;

    use crate::late::Late;

    #[test]
    fn filled_once_and_only_when_asked() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let times = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&times);
        let late =
            Late::new(Arc::clone(&file), move || Ok(7 + counted.fetch_add(1, Ordering::Relaxed)));
        assert_eq!(times.load(Ordering::Relaxed), 0);
        assert_eq!((late.get().unwrap().1, late.get().unwrap().1), (7, 7));
        let broken = Late::new(file, || bail!("no more"));
        assert_eq!(broken.get().unwrap_err().to_string(), "no more");
    }
}
