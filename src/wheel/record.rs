//! RECORD files: what a wheel promises to hold, and what an environment was given (PEP 376, 427).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use crate::digest::{base64url, from_base64url};
use crate::tree::PkgPath;

/// What a RECORD says of one file: `algorithm=digest` and size, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Neither hash nor size.
    Unhashed,
    /// Both.
    Hashed {
        /// As `hashlib` calls it.
        algorithm: String,
        /// base64url without padding.
        digest: String,
        /// Size in bytes.
        len: u64,
    },
}

impl Listed {
    /// The digest, if it is a SHA-256.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        match self {
            Self::Hashed { algorithm, digest, .. } if algorithm == "sha256" => {
                from_base64url(digest)?.try_into().ok()
            }
            Self::Hashed { .. } | Self::Unhashed => None,
        }
    }
}

/// SHA-256 and size of an installed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// As bytes; the file has it as base64url without padding.
    pub sha256: [u8; 32],
    /// Size in bytes.
    pub len: u64,
}

/// The RECORD of one installed distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where the file itself goes.
    pub path: PkgPath,
    /// What the paths in it are relative to: `site-packages`.
    pub root: PkgPath,
    /// Every other file of the distribution.
    pub files: BTreeMap<PkgPath, Digest>,
}

impl Record {
    /// The text of the file: sorted lines, the file itself without hash and size.
    pub fn to_text(&self) -> String {
        let file = |(path, digest): (&PkgPath, &Digest)| {
            let path = quote(&self.relative(path));
            format!("{path},sha256={},{}\n", base64url(&digest.sha256), digest.len)
        };
        let mut lines: Vec<_> = self.files.iter().map(file).collect();
        lines.push(format!("{},,\n", quote(&self.relative(&self.path))));
        lines.sort();
        lines.concat()
    }

    /// `path` as seen from the root of the record.
    fn relative(&self, path: &PkgPath) -> String {
        let mut dir = Some(self.root.clone());
        let mut up = String::new();
        while let Some(from) = dir {
            if let Some(below) = path.below(&from) {
                return up + below;
            }
            up.push_str("../");
            dir = from.parent();
        }
        up + path.as_str()
    }
}

/// Reads the RECORD of a wheel, a CSV text (RFC 4180) as Python's `csv` reads and writes it; empty lines are skipped.
///
/// The error says what is wrong with it.
pub fn parse(text: &str) -> Result<BTreeMap<String, Listed>, String> {
    let mut files = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (fields, after) = row(rest)?;
        rest = after;
        if fields.iter().all(|field| field.is_empty()) && fields.len() < 2 {
            continue;
        }
        let [path, hash, len] = <[Cow<'_, str>; 3]>::try_from(fields)
            .map_err(|_| "has a line of other than three fields".to_owned())?;
        let listed = listed(&hash, &len)
            .ok_or_else(|| format!("has a malformed hash or size of `{}`", path.escape_debug()))?;
        match files.entry(path.into_owned()) {
            Slot::Vacant(slot) => slot.insert(listed),
            Slot::Occupied(slot) => {
                return Err(format!("lists `{}` twice", slot.key().escape_debug()));
            }
        };
    }
    Ok(files)
}

fn listed(hash: &str, len: &str) -> Option<Listed> {
    if hash.is_empty() && len.is_empty() {
        return Some(Listed::Unhashed);
    }
    let (algorithm, digest) = hash.split_once('=')?;
    Some(Listed::Hashed {
        algorithm: algorithm.to_owned(),
        digest: digest.to_owned(),
        len: len.parse().ok()?,
    })
}

/// The first row of `text`, and what follows it.
fn row(text: &str) -> Result<(Vec<Cow<'_, str>>, &str), String> {
    let mut fields = Vec::with_capacity(3);
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (field, after) = quoted_field(quoted)?;
                (Cow::Owned(field), after)
            }
            None => {
                let is_end = |at: u8| matches!(at, b',' | b'\n' | b'\r');
                let end = rest.bytes().position(is_end).unwrap_or(rest.len());
                (Cow::Borrowed(&rest[..end]), &rest[end..])
            }
        };
        fields.push(field);
        let line_end = ["\r\n", "\n", "\r"].iter().find_map(|end| after.strip_prefix(end));
        match (after.strip_prefix(','), line_end) {
            (Some(after), _) => rest = after,
            (None, Some(after)) => return Ok((fields, after)),
            (None, None) if after.is_empty() => return Ok((fields, after)),
            (None, None) => return Err("has text after a closing quote".to_owned()),
        }
    }
}

/// A field up to its closing quote, and what follows that.
fn quoted_field(text: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) =
            rest.split_once('"').ok_or_else(|| "has a quote that is not closed".to_owned())?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Ok((field, after)),
        }
    }
}

fn quote(field: &str) -> String {
    if field.contains([',', '"']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

#[cfg(test)]
mod tests {
    use crate::tree::PkgPath;
    use crate::wheel::record::{Digest, Listed, Record, parse};

    #[test]
    fn lines() {
        let files = parse("a.py,sha256=AbC,3\r\n\"b,\"\"c\"\"\",sha512=x,0\n\nR,,\n").unwrap();
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["R", "a.py", "b,\"c\""]);
        assert_eq!(files["R"], Listed::Unhashed);
        let (algorithm, digest) = ("sha256".to_owned(), "AbC".to_owned());
        assert_eq!(files["a.py"], Listed::Hashed { algorithm, digest, len: 3 });
    }

    #[test]
    fn faults() {
        for (text, what) in [
            ("a,,\na,,", "lists `a` twice"),
            ("a,sha256=x", "has a line of other than three fields"),
            ("a,b,c,d", "has a line of other than three fields"),
            ("a,sha256=x,", "has a malformed hash or size of `a`"),
            ("a,sha256,1", "has a malformed hash or size of `a`"),
            ("a,,1", "has a malformed hash or size of `a`"),
            ("a,sha256=x,-1", "has a malformed hash or size of `a`"),
            ("\"a,,", "has a quote that is not closed"),
            ("\"a\"b,,", "has text after a closing quote"),
        ] {
            assert_eq!(parse(text).unwrap_err(), what, "{text}");
        }
    }

    #[test]
    fn text() {
        let path = |text: &str| PkgPath::new(text).unwrap();
        let digest = |len| Digest { sha256: [0; 32], len };
        let root = path("opt/app/lib/python3.11/site-packages");
        let record = Record {
            path: root.join("demo-1.dist-info/RECORD").unwrap(),
            root: root.clone(),
            files: [(root.join("demo.py").unwrap(), digest(1))].into(),
        };
        let more = ["opt/app/bin/x", "opt/app/share/a,\"b\"", "etc/y"].map(path);
        let more = more.map(|path| (path, digest(2)));
        let files = record.files.into_iter().chain(more).collect();
        let record = Record { files, ..record };
        assert_eq!(
            record.to_text().replace(&"A".repeat(43), "h"),
            "\"../../../share/a,\"\"b\"\"\",sha256=h,2\n\
             ../../../../../etc/y,sha256=h,2\n\
             ../../../bin/x,sha256=h,2\n\
             demo-1.dist-info/RECORD,,\n\
             demo.py,sha256=h,1\n"
        );
    }
}
