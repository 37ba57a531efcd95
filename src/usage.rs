//! What this process has used of the machine, and how much of it it may use.

use std::time::Duration;

use nix::sys::resource::{Resource, Usage as Raw, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeVal;

/// What this process and those it has waited for have used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Time on processors, in user space and in the kernel; on two at once it counts twice.
    pub processors: Duration,
    /// The most memory this process, or one of the others, has had at a time, in bytes.
    pub peak: u64,
}

/// As many files as are open at once when an application has some thousand wheels; a soft limit is often 1,024.
const FILES: u64 = 65_536;

/// What has been used so far.
pub fn so_far() -> Usage {
    let of = |who| getrusage(who).map(|raw| usage(&raw)).unwrap_or_default();
    let (own, others) = (of(UsageWho::RUSAGE_SELF), of(UsageWho::RUSAGE_CHILDREN));
    Usage { processors: own.processors + others.processors, peak: own.peak.max(others.peak) }
}

fn usage(raw: &Raw) -> Usage {
    // getrusage(2): kilobytes.
    let peak = u64::try_from(raw.max_rss()).unwrap_or_default() << 10;
    Usage { processors: duration(raw.user_time()) + duration(raw.system_time()), peak }
}

fn duration(time: TimeVal) -> Duration {
    let micros = u64::try_from(time.tv_usec()).unwrap_or_default();
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// Lets this process open many files at once, as far as it may.
pub fn allow_many_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = hard.min(FILES);
        if soft < wanted {
            // Whoever cannot have more may still need no more.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::usage::so_far;

    #[test]
    fn what_is_used_adds_up() {
        let before = so_far();
        let mut memory = vec![1_u8; 64 << 20];
        while so_far().processors - before.processors < Duration::from_millis(20) {
            memory.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(3));
        }
        assert!(so_far().peak >= memory.len() as u64);
    }
}
