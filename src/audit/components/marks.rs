//! Texts that only one component has, with its version beside them.
//!
//! A version is told only where it stands beside the component's own words. Numbers by themselves, and those in names of
//! files, are versions of interfaces as often as not.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde::{Deserialize, Serialize};

use crate::audit::components::{Component, Evidence};
use crate::elf::{self, Dynamic};
use crate::tree::PkgPath;

/// Words that only one component has, with its version right behind them or right before.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    name: &'static str,
    /// How the names of its own libraries begin. A file that needs one of them has the words from its headers.
    libraries: &'static str,
    before: &'static str,
    after: &'static str,
    /// Whether the version stands before `before`, not behind it.
    is_behind: bool,
}

const fn mark(
    name: &'static str,
    libraries: &'static str,
    before: &'static str,
    after: &'static str,
) -> Mark {
    Mark { name, libraries, before, after, is_behind: false }
}

/// Longest text between a mark and the end of a version.
const MAX_VERSION: usize = 24;

/// Each was seen in files of the component, built from its own sources.
static MARKS: [Mark; 28] = [
    mark("openssl", "libssl libcrypto", "OpenSSL ", " "),
    mark("zlib", "libz", " deflate ", " Copyright"),
    mark("zlib", "libz", " inflate ", " Copyright"),
    mark("zlib-ng", "libz", "zlib-ng ", " forked from zlib"),
    mark("libpng", "libpng", "libpng version ", ""),
    mark("libjpeg-turbo", "libjpeg libturbojpeg", "libjpeg-turbo version ", ""),
    mark("curl", "libcurl", "libcurl/", ""),
    mark("libtiff", "libtiff", "LIBTIFF, Version ", ""),
    mark("curl", "libcurl", "CLIENT libcurl ", ""),
    mark("hdf5", "libhdf5", "HDF5 library version ", ""),
    mark("hdf5", "libhdf5", "HDF5 library version: ", ""),
    mark("openblas", "libopenblas libscipy_openblas", "OpenBLAS ", " "),
    mark("proj", "libproj", "Rel. ", ", "),
    mark("expat", "libexpat", "expat_", ""),
    mark("krb5", "libkrb5 libgssapi", "krb5-", ""),
    mark("gdal", "libgdal", "GDAL ", ", released "),
    mark("gdal", "libgdal", "GDAL/", ""),
    mark("netcdf", "libnetcdf", "netcdf library version ", ""),
    mark("nghttp2", "libnghttp2", "nghttp2/", ""),
    mark("libssh2", "libssh2", "libssh2_", ""),
    mark("ffmpeg", "libav libsw", "FFmpeg version ", ""),
    mark("libde265", "libde265", "libde265 v", ""),
    mark("freetds", "libsybdb libct", "freetds v", ""),
    mark("bzip2", "libbz2", "bzip2/libbzip2, version ", ""),
    mark("unixodbc", "libodbc", "unixODBC ", ""),
    mark("libxml2", "libxml2", "libxml2-", ""),
    mark("lame", "libmp3lame", "LAME", " "),
    Mark { name: "geos", libraries: "libgeos", before: "-CAPI-", after: "", is_behind: true },
];

/// Finds all marks at once, however many they are.
static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .match_kind(MatchKind::Standard)
        .build(MARKS.iter().map(|mark| mark.before))
        .expect("the marks are few and short")
});

/// A component that the texts of a file name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    /// Its place in [`MARKS`].
    mark: usize,
    version: String,
}

/// Every version that stands in a compiled file beside a mark, each once.
pub(super) fn named(bytes: &[u8]) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    for part in elf::data(bytes) {
        for found in FINDER.find_overlapping_iter(part) {
            let mark = found.pattern().as_usize();
            let Some(version) = version(part, found.start(), &MARKS[mark]) else { continue };
            let named = Named { mark, version };
            if !all.contains(&named) {
                all.push(named);
            }
        }
    }
    all
}

/// What the texts of a file tell; of two versions of one component, which a file can only have if it names others', the
/// file tells none.
pub(super) fn of_texts(named: &[Named], path: &PkgPath, dynamic: &Dynamic) -> Vec<Component> {
    let is_of = |mark: &Mark, soname: &String| {
        mark.libraries.split(' ').any(|library| soname.starts_with(library))
    };
    let is_user = |mark: &Mark| {
        let is_own = dynamic.soname.iter().any(|soname| is_of(mark, soname));
        !is_own && dynamic.needed.iter().any(|soname| is_of(mark, soname))
    };
    let mut versions: BTreeMap<&str, Vec<&Named>> = BTreeMap::new();
    for one in named.iter().filter(|one| !is_user(&MARKS[one.mark])) {
        versions.entry(MARKS[one.mark].name).or_default().push(one);
    }
    // It has the texts of the version of zlib that it stands for.
    if versions.contains_key("zlib-ng") {
        versions.remove("zlib");
    }
    let mut told = Vec::new();
    for (name, all) in versions {
        let (first, version) = (&MARKS[all[0].mark], &all[0].version);
        if all.iter().any(|other| other.version != *version) {
            continue;
        }
        let found = match first.is_behind {
            true => format!("{version}{}", first.before),
            false => format!("{}{version}{}", first.before, first.after),
        };
        let identity = (name.to_owned(), version.clone());
        told.push(Component { found, ..Component::new(identity, path, Evidence::Text) });
    }
    told
}

/// The version beside a mark at `at`: numbers with at least one dot, then letters as in `1.1.1w`.
fn version(bytes: &[u8], at: usize, mark: &Mark) -> Option<String> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
    let text = if mark.is_behind {
        let before = &bytes[at.saturating_sub(MAX_VERSION)..at];
        let len = before.iter().rev().take_while(|byte| is_part(byte)).count();
        &before[before.len() - len..]
    } else {
        let rest = &bytes[at + mark.before.len()..];
        let len = rest.iter().take(MAX_VERSION).take_while(|byte| is_part(byte)).count();
        let (text, rest) = rest.split_at(len);
        if !rest.starts_with(mark.after.as_bytes()) {
            return None;
        }
        text
    };
    let text = std::str::from_utf8(text).ok()?.trim_end_matches('.');
    let numbers = text.trim_end_matches(|at: char| at.is_ascii_lowercase());
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = numbers.contains('.') && numbers.split('.').all(is_number);
    (is_version && text.len() - numbers.len() <= 2).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::audit::components::marks::{named, of_texts};
    use crate::elf::Dynamic;
    use crate::tree::PkgPath;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let path = PkgPath::new("opt/a/x.libs/lib.so").unwrap();
        let found = of_texts(&named(text.as_bytes()), &path, &Dynamic::default());
        let found: Vec<_> =
            found.iter().map(|one| (one.name.as_str(), one.version.as_str())).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn marks() {
        check("\0OpenSSL 3.5.8 9 Jun 2026\0", &[("openssl", "3.5.8")]);
        check("\0OpenSSL 1.1.1w  11 Sep 2023\0", &[("openssl", "1.1.1w")]);
        check("\0OpenSSL 3\0 OpenSSL team\0", &[]);
        check("\0 deflate 1.3.1 Copyright 1995\0 inflate 1.3.1 Copyright", &[("zlib", "1.3.1")]);
        check("\0 inflate 1.2.13 Copyright", &[("zlib", "1.2.13")]);
        check("\x003.12.1-CAPI-1.18.1\0", &[("geos", "3.12.1")]);
        check("\0Rel. 9.4.0, March 1st, 2024\0", &[("proj", "9.4.0")]);
        check("\0libcurl/8.7.1\0libcurl/8.7.1\0", &[("curl", "8.7.1")]);
        let texts = "\0 deflate 1.2.11 Copyright\0 zlib-ng 2.0.7 forked from zlib";
        check(texts, &[("zlib-ng", "2.0.7")]);
        // A client that names two versions has neither.
        check("\0libcurl/8.7.1\0libcurl/7.0.0\0", &[]);
        check("\0GDAL 3.8.4, released 2024/02/08\0", &[("gdal", "3.8.4")]);
        check("\0GDAL 3.6 or later\0krb5-config\0expat_x", &[]);
    }

    #[test]
    fn a_user_is_not_a_copy() {
        let count = |soname: &str, needed: &str| {
            let path = PkgPath::new("opt/a/x.so").unwrap();
            let dynamic = Dynamic {
                soname: Some(soname.to_owned()),
                needed: vec![needed.to_owned()],
                ..Dynamic::default()
            };
            of_texts(&named(b"\x003.12.1-CAPI-1.18.1\0"), &path, &dynamic).len()
        };
        assert_eq!(count("lib.so", "libc.so.6"), 1);
        assert_eq!(count("lib.so", "libgeos_c-ac38a227.so.1.20.5"), 0);
        assert_eq!(count("libgeos_c-ac38a227.so.1.20.5", "libgeos-d1e818bb.so.3.14.1"), 1);
    }
}
