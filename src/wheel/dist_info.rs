//! The directories a wheel describes itself in, and whether what they say fits the wheel.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::error::UserError;
use crate::pep::{Version, normalize_name};
use crate::wheel::RecordFault;
use crate::wheel::entry_points::{self, EntryPoint};
use crate::wheel::filename::WheelName;
use crate::wheel::metadata::{Headers, Metadata};
use crate::wheel::record::{self, Listed};
use crate::wheel::zip::Archive;

/// Files of a dist-info directory that RECORD need not hash.
pub(super) const UNHASHED: [&str; 3] = ["RECORD", "RECORD.jws", "RECORD.p7s"];

/// The names of the two directories.
#[derive(Clone, Debug)]
pub(super) struct Dirs {
    /// `name-version.dist-info`.
    pub(super) info: String,
    /// `name-version.data`.
    pub(super) data: Option<String>,
}

impl Dirs {
    /// Finds them among the top directories of the archive.
    pub(super) fn find(archive: &Archive, name: &WheelName) -> Result<Self> {
        let tops = archive.members.keys().filter_map(|member| Some(member.split_once('/')?.0));
        let tops: BTreeSet<_> = tops.collect();
        let info = only(archive, name, &tops, ".dist-info")?;
        let data = only(archive, name, &tops, ".data")?;
        let info = info.ok_or_else(|| archive.refuse("has no `.dist-info` directory"))?;
        Ok(Self { info: info.to_owned(), data: data.map(str::to_owned) })
    }

    /// The member `file` of the dist-info directory.
    pub(super) fn member(&self, file: &str) -> String {
        format!("{}/{file}", self.info)
    }

    /// `member` below the dist-info directory.
    pub(super) fn below_info<'a>(&self, member: &'a str) -> Option<&'a str> {
        member.strip_prefix(self.info.as_str())?.strip_prefix('/')
    }

    /// `member` below the data directory.
    pub(super) fn below_data<'a>(&self, member: &'a str) -> Option<&'a str> {
        member.strip_prefix(self.data.as_deref()?)?.strip_prefix('/')
    }

    fn is_unhashed(&self, member: &str) -> bool {
        self.below_info(member).is_some_and(|file| UNHASHED.contains(&file))
    }
}

/// The only top directory that ends with `suffix`; the rest of its name is that of the wheel.
fn only<'a>(
    archive: &Archive,
    name: &WheelName,
    tops: &BTreeSet<&'a str>,
    suffix: &str,
) -> Result<Option<&'a str>> {
    let mut found = tops.iter().filter_map(|top| Some((*top, top.strip_suffix(suffix)?)));
    let Some((top, stem)) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(archive.refuse(&format!("has more than one `{suffix}` directory")));
    }
    if !name.has_stem(stem) {
        let what = format!("has a directory `{}` that is not of {name}", top.escape_debug());
        return Err(archive.refuse(&what));
    }
    Ok(Some(top))
}

/// Refuses a wheel of a version that is not known: PEP 427, "warn if minor version is greater, abort if major
/// version is greater".
pub(super) fn check_wheel_version(archive: &Archive, dirs: &Dirs) -> Result<()> {
    let member = dirs.member("WHEEL");
    let text = archive.read_text(&member)?;
    let version = Headers::parse(&text).one("Wheel-Version")?.unwrap_or_default();
    if version.split('.').next() == Some("1") {
        return Ok(());
    }
    let what =
        format!("has the `Wheel-Version` `{}`, and only 1.x is known", version.escape_debug());
    let message = format!("member `{member}` of `{}` {what}", archive.name());
    Err(UserError::input(message).hint("upgrade mkpkg").into())
}

/// Reads METADATA, which names the same distribution as the file name.
pub(super) fn read_metadata(archive: &Archive, dirs: &Dirs, name: &WheelName) -> Result<Metadata> {
    let member = dirs.member("METADATA");
    let text = archive.read_text(&member)?;
    let metadata = Metadata::parse(&text).map_err(|error| in_archive(archive, &error))?;
    let has_name = normalize_name(&metadata.name).is_ok_and(|found| found == name.name);
    let has_version = metadata.version.parse::<Version>().is_ok_and(|found| found == name.version);
    if has_name && has_version {
        return Ok(metadata);
    }
    let Metadata { name: found, version, .. } = metadata;
    Err(archive.refuse_member(&member, &format!("is of `{found} {version}`, not of `{name}`")))
}

/// Reads the commands, of which there may be none.
pub(super) fn read_entry_points(archive: &Archive, dirs: &Dirs) -> Result<Vec<EntryPoint>> {
    let member = dirs.member("entry_points.txt");
    if !archive.members.contains_key(&member) {
        return Ok(Vec::new());
    }
    let text = archive.read_text(&member)?;
    entry_points::parse(&text).map_err(|error| in_archive(archive, &error))
}

/// What RECORD lists, signatures and itself aside, and where that is not what the wheel holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Recorded {
    /// What is said of each member.
    pub(super) files: BTreeMap<String, Listed>,
    /// SHA-256 of each member of the archive, in their order, as far as it is listed.
    pub(super) digests: Vec<Option<[u8; 32]>>,
    /// What is wrong: what is missing first, then by member.
    pub(super) faults: Vec<RecordFault>,
}

/// Reads RECORD, which lists every member and nothing else in a wheel without faults.
pub(super) fn read_record(archive: &Archive, dirs: &Dirs) -> Result<Recorded> {
    let record = dirs.member("RECORD");
    let text = archive.read_text(&record)?;
    let files = match record::parse(&text) {
        Ok(files) => files,
        Err(what) => {
            let faults = vec![RecordFault { member: record, what }];
            let digests = vec![None; archive.members.len()];
            return Ok(Recorded { files: BTreeMap::new(), digests, faults });
        }
    };
    let fault = |name: &String, what: String| RecordFault { member: name.clone(), what };
    let missing = files.keys().filter(|name| !archive.members.contains_key(*name));
    let missing = missing.map(|name| fault(name, "is listed in RECORD and missing".to_owned()));
    let mut faults: Vec<_> = missing.collect();
    let mut digests = Vec::with_capacity(archive.members.len());
    for (name, member) in &archive.members {
        let listed = if dirs.is_unhashed(name) { None } else { Some(files.get(name)) };
        let wrong = listed.and_then(|listed| check_listed(listed, member.content.len()).err());
        faults.extend(wrong.map(|what| fault(name, what)));
        digests.push(listed.flatten().and_then(Listed::sha256));
    }
    let files = files.into_iter().filter(|(name, _)| !dirs.is_unhashed(name)).collect();
    Ok(Recorded { files, digests, faults })
}

fn check_listed(listed: Option<&Listed>, len: u64) -> Result<(), String> {
    match listed {
        None => Err("is not listed in RECORD".to_owned()),
        Some(Listed::Unhashed) => Err("has no hash in RECORD".to_owned()),
        Some(Listed::Hashed { algorithm, .. })
            if !["sha256", "sha384", "sha512"].contains(&algorithm.as_str()) =>
        {
            let algorithm = algorithm.escape_debug();
            Err(format!("has a hash in RECORD that is not trusted: `{algorithm}`"))
        }
        Some(Listed::Hashed { len: listed, .. }) if *listed != len => {
            Err(format!("is of size {len}, and RECORD says {listed}"))
        }
        Some(Listed::Hashed { .. }) => Ok(()),
    }
}

fn in_archive(archive: &Archive, error: &anyhow::Error) -> anyhow::Error {
    UserError::input(format!("`{}`: {error}", archive.name())).into()
}
