//! What the tests of the readers share.

use std::path::Path;

use anyhow::Result;

use crate::error::exit_code;
use crate::lock::request::Request;
use crate::lock::{Lock, Roots};
use crate::pep::environment;

/// A reader of one lock-file format.
pub(crate) type Read = fn(&str, &Request) -> Result<Lock>;

/// Reads `text` for the project `acme-web`, with `extras` asked for.
pub(crate) fn read(
    read: Read,
    text: &str,
    extras: &[&str],
    pyproject: Option<&str>,
) -> Result<Lock> {
    let extras = extras.iter().map(|extra| (*extra).to_owned()).collect();
    let roots = Roots { name: Some("acme-web".to_owned()), extras };
    let environment = environment();
    let (file, base) = ("x.lock", Path::new(""));
    read(text, &Request { file, base, roots: &roots, environment: &environment, pyproject })
}

/// The pins as `name==version`, paths and URLs, each with the number of its hashes when there are any.
pub(crate) fn summary(lock: &Lock) -> String {
    let lines = lock.pins.iter().map(|pin| match pin.hashes.len() {
        0 => pin.to_string(),
        count => format!("{pin} #{count}"),
    });
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines.join("\n")
}

/// Feeds damaged versions of `text` to a reader: none may panic, and each error must have its exit code.
pub(crate) fn survives(read: impl Fn(&str) -> Result<Lock>, text: &str) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below.max(1)).unwrap()).unwrap()
    };
    for round in 0..400 {
        let mut bytes = text.as_bytes().to_vec();
        match round % 3 {
            0 => bytes.truncate(random(bytes.len())),
            1 => {
                for _ in 0..=random(4) {
                    let at = random(bytes.len());
                    bytes[at] = b"\"'[]{}=,;@#\\ \n\0-.$(zZ9\xc3"[random(23)];
                }
            }
            _ => {
                let (from, to) = (random(bytes.len()), random(bytes.len()));
                bytes.drain(from.min(to)..(from.min(to) + 20).min(bytes.len()));
            }
        }
        if let Err(error) = read(&String::from_utf8_lossy(&bytes)) {
            assert!(matches!(exit_code(&error), 2 | 3), "{error:#}");
        }
    }
}
