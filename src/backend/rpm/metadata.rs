//! The two headers: which tags, with which values, and that no value can break out of its tag.
//!
//! Knows nothing of how files are packed; what is listed of them is handed in.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::backend::rpm::dependency::Dependency;
use crate::backend::rpm::header::{Region, Value, write};
use crate::backend::rpm::payload::{CONFIG, Listed, Payload};
use crate::backend::rpm::scripts::Scriptlet;
use crate::backend::rpm::tags::DependencyTags;
use crate::backend::rpm::{Options, architecture, isa, scripts, tags, version};
use crate::codec::Compression;
use crate::digest::{Hasher, hex, sha256};
use crate::error::UserError;
use crate::package::{Bundled, PackageMeta, RelationKind};
use crate::pep::{Version, normalize_name};

/// The place and the program a package was built with must not show; these stand for them in every package.
const BUILD_HOST: &str = "reproducible";
/// The oldest rpm that reads all that is written here.
const RPM_VERSION: &str = "4.14.0";
/// Nobody but rpmlint looks at it since repositories have groups of their own.
const GROUP: &str = "Unspecified";
/// SPDX's word for a licence nobody stated; the tag may not be empty.
const NO_LICENCE: &str = "NOASSERTION";
/// SHA-256 among the digests of OpenPGP (RFC 4880, 9.4).
const SHA256: u32 = 8;
/// Everything of a file can be verified.
const VERIFY_ALL: u32 = u32::MAX;
/// What rpm itself leaves for a signature, which can then be put in place.
const RESERVED: usize = 4128;
/// Columns of the description.
const WIDTH: usize = 79;

type Tags = BTreeMap<u32, Value>;

/// The bytes of the header that describes a package.
///
/// `accounts` is what the package provides of users and groups.
pub(super) fn header(
    meta: &PackageMeta,
    options: &Options,
    payload: &Payload,
    accounts: &[Dependency],
) -> Result<Vec<u8>> {
    let scriptlets = scripts::scriptlets(meta)?;
    let mut all = description(meta)?;
    all.extend(script_tags(&scriptlets));
    all.extend(files(payload));
    all.extend(dependencies(meta, options, payload, &scriptlets, accounts)?);
    let text = |text: &str| Value::Text(text.to_owned());
    let texts = |text: &str| Value::Texts(vec![text.to_owned()]);
    let (compressor, level) = match options.compression {
        Compression::Zstd(level) => ("zstd", level.to_string()),
        Compression::Xz(preset) => ("xz", preset.to_string()),
        Compression::Gzip(level) => ("gzip", level.to_string()),
    };
    all.extend([
        (tags::PAYLOAD_FORMAT, text("cpio")),
        (tags::PAYLOAD_COMPRESSOR, text(compressor)),
        (tags::PAYLOAD_FLAGS, Value::Text(level)),
        (tags::PAYLOAD_DIGEST, texts(&payload.digest)),
        (tags::PAYLOAD_DIGEST_ALGORITHM, Value::Int32(vec![SHA256])),
    ]);
    Ok(write(Region::Immutable, &all))
}

/// The bytes of the header in front of it: its digests, lengths, and room for a signature.
pub(super) fn signature(header: &[u8], payload: &Payload) -> Vec<u8> {
    let mut sha1 = Hasher::sha1();
    sha1.update(header);
    let mut all = Tags::from([
        (tags::SHA1_HEADER, Value::Text(hex(&sha1.finish()))),
        (tags::SHA256_HEADER, Value::Text(hex(&sha256(header)))),
        (tags::SIG_RESERVED, Value::Bytes(vec![0; RESERVED])),
    ]);
    let len = header.len() as u64 + payload.len;
    all.extend([
        size(tags::SIG_SIZE, tags::LONG_SIG_SIZE, len),
        size(tags::SIG_PAYLOAD_SIZE, tags::LONG_ARCHIVE_SIZE, payload.archive_len),
    ]);
    write(Region::Signature, &all)
}

/// A size under the first tag, or under the second when it is too large for it.
fn size(tag: u32, long: u32, size: u64) -> (u32, Value) {
    match u32::try_from(size) {
        Ok(size) => (tag, Value::Int32(vec![size])),
        Err(_) => (long, Value::Int64(vec![size])),
    }
}

/// What the package says of itself.
fn description(meta: &PackageMeta) -> Result<Tags> {
    if meta.release.is_empty() || !meta.release.chars().all(is_version_sign) {
        let message = format!("`{}` is not a valid release", meta.release.escape_debug());
        return Err(UserError::usage(message)
            .hint("use letters, digits, `.`, `+` and `~` in `release`")
            .into());
    }
    let parts = meta.version.parts();
    let version = version::upstream(&parts);
    let (name, release, arch) = (meta.name.as_str(), &meta.release, architecture(meta.machine));
    let licence = if meta.licence.trim().is_empty() { NO_LICENCE } else { meta.licence.trim() };
    let source = format!("{name}-{version}-{release}.src.rpm");
    let change = format!("- {}", meta.change());
    let who = format!("{} - {}", meta.maintainer.trim(), version::full(meta));
    let mut all = Tags::new();
    for (tag, label, value) in [
        (tags::NAME, "Name", name),
        (tags::VERSION, "Version", &version),
        (tags::RELEASE, "Release", release),
        (tags::LICENSE, "License", licence),
        (tags::PACKAGER, "Packager", meta.maintainer.trim()),
        (tags::URL, "URL", meta.homepage.as_deref().unwrap_or_default().trim()),
        (tags::OS, "OS", "linux"),
        (tags::ARCH, "Arch", arch),
        (tags::ENCODING, "Encoding", "utf-8"),
        (tags::BUILD_HOST, "BuildHost", BUILD_HOST),
        (tags::RPM_VERSION, "RPMVersion", RPM_VERSION),
        (tags::SOURCE_RPM, "SourceRPM", &source),
    ] {
        if tag == tags::URL && meta.homepage.is_none() {
            continue;
        }
        check_value(label, value)?;
        all.insert(tag, Value::Text(value.to_owned()));
    }
    let summary = meta.summary.trim();
    check_value("Summary", summary)?;
    check_value("the changelog", &change)?;
    let time = time(meta)?;
    all.extend([
        (tags::LANGUAGES, Value::Texts(vec!["C".to_owned()])),
        (tags::SUMMARY, Value::I18n(summary.to_owned())),
        (tags::DESCRIPTION, Value::I18n(long_description(meta))),
        (tags::GROUP, Value::I18n(GROUP.to_owned())),
        (tags::BUILD_TIME, Value::Int32(vec![time])),
        (tags::CHANGELOG_TIME, Value::Int32(vec![time])),
        (tags::CHANGELOG_NAME, Value::Texts(vec![who])),
        (tags::CHANGELOG_TEXT, Value::Texts(vec![change])),
    ]);
    if parts.epoch > 0 {
        let epoch = u32::try_from(parts.epoch).map_err(|_| {
            UserError::usage(format!("the epoch of version `{}` is too large", meta.version))
        })?;
        all.insert(tags::EPOCH, Value::Int32(vec![epoch]));
    }
    Ok(all)
}

fn time(meta: &PackageMeta) -> Result<u32> {
    u32::try_from(meta.epoch).map_err(|_| {
        let message = format!("{} seconds since 1970 do not fit an .rpm", meta.epoch);
        UserError::usage(message).hint("check SOURCE_DATE_EPOCH").into()
    })
}

/// Characters of versions and releases; `-` parts the two.
fn is_version_sign(at: char) -> bool {
    at.is_ascii_alphanumeric() || matches!(at, '.' | '_' | '+' | '~' | '^')
}

/// Refuses what a terminal or a repository's index would not show as it is.
fn check_value(name: &str, value: &str) -> Result<()> {
    if value.chars().any(char::is_control) {
        let message = format!("tag `{name}` holds a control character: `{value:?}`");
        return Err(UserError::usage(message).hint("write it on one line").into());
    }
    if value.is_empty() {
        return Err(UserError::usage(format!("tag `{name}` has no value")).into());
    }
    Ok(())
}

fn script_tags(scriptlets: &[Scriptlet]) -> Tags {
    let both = |one: &Scriptlet| {
        let (text, program) = one.phase.tags();
        [(text, Value::Text(one.text.clone())), (program, Value::Text(one.program.to_owned()))]
    };
    scriptlets.iter().flat_map(both).collect()
}

/// The list of files; an empty one has no tags but the size.
fn files(payload: &Payload) -> Tags {
    let files = &payload.files;
    let total: u64 = files.iter().map(|file| file.size).sum();
    let mut all = Tags::from([size(tags::SIZE, tags::LONG_SIZE, total)]);
    if files.is_empty() {
        return all;
    }
    let numbers = |of: &dyn Fn(&Listed) -> u32| Value::Int32(files.iter().map(of).collect());
    let shorts = |of: &dyn Fn(&Listed) -> u32| {
        Value::Int16(files.iter().map(|file| (of(file) & 0xffff) as u16).collect())
    };
    let texts = |of: &dyn Fn(&Listed) -> String| Value::Texts(files.iter().map(of).collect());
    // Their number was checked before there was a payload.
    let inodes = (1..=files.len()).map(|at| u32::try_from(at).unwrap_or(u32::MAX)).collect();
    let (dir_names, dir_indexes) = directories(files);
    let sizes = if payload.has_large_files() {
        (tags::LONG_FILE_SIZES, Value::Int64(files.iter().map(|file| file.size).collect()))
    } else {
        (tags::FILE_SIZES, numbers(&|file| u32::try_from(file.size).unwrap_or(u32::MAX)))
    };
    all.extend([
        sizes,
        (tags::FILE_MODES, shorts(&|file| file.mode)),
        (tags::FILE_RDEVS, shorts(&|_| 0)),
        (tags::FILE_MTIMES, numbers(&|file| file.mtime)),
        (
            tags::FILE_DIGESTS,
            texts(&|file| file.digest.map(|digest| hex(&digest)).unwrap_or_default()),
        ),
        (tags::FILE_LINKS, texts(&|file| file.target.to_owned())),
        (tags::FILE_FLAGS, numbers(&|file| file.flags)),
        (tags::FILE_USERS, texts(&|_| "root".to_owned())),
        (tags::FILE_GROUPS, texts(&|_| "root".to_owned())),
        (tags::FILE_VERIFY, numbers(&|_| VERIFY_ALL)),
        (tags::FILE_DEVICES, numbers(&|_| 1)),
        (tags::FILE_INODES, Value::Int32(inodes)),
        (tags::FILE_LANGS, texts(&|_| String::new())),
        (tags::FILE_COLORS, numbers(&|file| file.color)),
        (tags::BASE_NAMES, texts(&|file| file.path.file_name().to_owned())),
        (tags::DIR_NAMES, Value::Texts(dir_names)),
        (tags::DIR_INDEXES, Value::Int32(dir_indexes)),
        (tags::FILE_DIGEST_ALGORITHM, Value::Int32(vec![SHA256])),
    ]);
    all
}

/// The directories files are in, each once and with a `/` at its end, and the number of that of each file.
fn directories(files: &[Listed]) -> (Vec<String>, Vec<u32>) {
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    let mut names = Vec::new();
    let mut indexes = Vec::new();
    for file in files {
        let path = file.path.absolute();
        let dir = &path[..path.len() - file.path.file_name().len()];
        let number = *numbers.entry(dir.to_owned()).or_insert_with(|| {
            names.push(dir.to_owned());
            u32::try_from(names.len() - 1).unwrap_or(u32::MAX)
        });
        indexes.push(number);
    }
    (names, indexes)
}

fn dependencies(
    meta: &PackageMeta,
    options: &Options,
    payload: &Payload,
    scriptlets: &[Scriptlet],
    accounts: &[Dependency],
) -> Result<Tags> {
    let mut lists = related(meta, scriptlets, accounts)?;
    let has_config = payload.files.iter().any(|file| file.flags & CONFIG != 0);
    let [(_, requires), (_, provides), ..] = &mut lists;
    provides.extend(own(meta, has_config));
    if has_config {
        requires.insert(Dependency::config(meta.name.as_str(), &version::full(meta)));
    }
    let features = features(&lists, options.compression, payload.has_large_files());
    let [(_, requires), ..] = &mut lists;
    requires.extend(features);
    Ok(lists.iter().flat_map(|(tags, list)| dependency_tags(*tags, list)).collect())
}

/// Dependencies of one kind.
type List = (DependencyTags, BTreeSet<Dependency>);

/// What a package is related to by what is in it, whoever packs it.
pub(super) fn related(
    meta: &PackageMeta,
    scriptlets: &[Scriptlet],
    accounts: &[Dependency],
) -> Result<[List; 7]> {
    let of_kind = |kind: RelationKind| -> Result<BTreeSet<Dependency>> {
        let texts = meta.relations.iter().filter(|relation| relation.kind == kind);
        texts.map(|relation| Dependency::parse(&relation.text)).collect()
    };
    let mut requires = of_kind(RelationKind::Needs)?;
    requires.extend(scriptlets.iter().flat_map(Scriptlet::needs));
    let mut provides = of_kind(RelationKind::Provides)?;
    provides.extend(meta.bundled.iter().filter_map(bundled));
    provides.extend(accounts.iter().cloned());
    Ok([
        (tags::REQUIRES, requires),
        (tags::PROVIDES, provides),
        (tags::RECOMMENDS, of_kind(RelationKind::Recommends)?),
        (tags::SUGGESTS, of_kind(RelationKind::Suggests)?),
        (tags::CONFLICTS, of_kind(RelationKind::Conflicts)?),
        (tags::OBSOLETES, of_kind(RelationKind::Replaces)?),
        (tags::ORDERED, scripts::order(scriptlets)),
    ])
}

/// What every package answers for: its name, with that of its machine, and its configuration.
fn own(meta: &PackageMeta, has_config: bool) -> Vec<Dependency> {
    let (name, full) = (meta.name.as_str(), version::full(meta));
    let mut own = vec![Dependency::exact(name, &full)];
    if let Some(isa) = isa(meta.machine) {
        own.push(Dependency::exact(&format!("{name}({isa})"), &full));
    }
    if has_config {
        own.push(Dependency::config(name, &full));
    }
    own
}

/// What tells that a distribution is inside.
fn bundled(bundled: &Bundled) -> Option<Dependency> {
    let name = normalize_name(&bundled.name).ok()?;
    let name = format!("bundled(python3dist({name}))");
    Some(match bundled.version.parse::<Version>() {
        Ok(version) => Dependency::exact(&name, &version::with_epoch(&version)),
        Err(_) => Dependency::any(&name),
    })
}

/// What rpm itself must be able to do.
fn features(lists: &[List], compression: Compression, has_large_files: bool) -> Vec<Dependency> {
    let has = |is_it: fn(&Dependency) -> bool| lists.iter().any(|(_, list)| list.iter().any(is_it));
    let (is_zstd, is_xz) = match compression {
        Compression::Zstd(_) => (true, false),
        Compression::Xz(_) => (false, true),
        Compression::Gzip(_) => (false, false),
    };
    let features = [
        (true, "CompressedFileNames", "3.0.4-1"),
        (true, "FileDigests", "4.6.0-1"),
        (true, "PayloadFilesHavePrefix", "4.0-1"),
        (is_zstd, "PayloadIsZstd", "5.4.18-1"),
        (is_xz, "PayloadIsXz", "5.2-1"),
        (has_large_files, "LargeFiles", "4.12.0-1"),
        (has(Dependency::is_rich), "RichDependencies", "4.12.0-1"),
        (has(|one| one.version.contains('~')), "TildeInVersions", "4.10.0-1"),
        (has(|one| one.version.contains('^')), "CaretInVersions", "4.15.0-1"),
    ];
    let wanted = features.into_iter().filter(|(is_wanted, ..)| *is_wanted);
    wanted.map(|(_, name, version)| Dependency::feature(name, version)).collect()
}

/// The three lists of a kind of dependency, in the order rpmbuild writes: by name; nothing when there is none.
fn dependency_tags(tags: DependencyTags, list: &BTreeSet<Dependency>) -> Vec<(u32, Value)> {
    if list.is_empty() {
        return Vec::new();
    }
    let (names, versions, flags, _) = tags;
    let texts = |of: fn(&Dependency) -> &String| {
        Value::Texts(list.iter().map(|one| of(one).clone()).collect())
    };
    vec![
        (names, texts(|one| &one.name)),
        (versions, texts(|one| &one.version)),
        (flags, Value::Int32(list.iter().map(|one| one.flags).collect())),
    ]
}

/// The paragraphs in lines, with an empty line between two.
fn long_description(meta: &PackageMeta) -> String {
    let mut paragraphs: Vec<_> = meta.description.iter().map(|text| fold(text)).collect();
    paragraphs.retain(|text| !text.is_empty());
    if paragraphs.is_empty() {
        paragraphs.push(fold(&meta.fallback_description()));
    }
    paragraphs.join("\n\n")
}

fn fold(paragraph: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let words = paragraph.split(|at: char| at.is_whitespace() || at.is_control());
    for word in words.filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}
