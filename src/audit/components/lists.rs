//! Lists of components that wheels bring (PEP 770), and notes in files.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::audit::components::{Component, Evidence};
use crate::digest::{hex, sha256};
use crate::document::from_json;
use crate::needs::grafted::parts;
use crate::tree::PkgPath;
use crate::tree::content::Content;

/// Largest list that is read, in bytes.
const MAX_LIST: u64 = 16 << 20;

/// Whether a file is a list of components in JSON.
pub(super) fn is_list(path: &PkgPath) -> bool {
    path.as_str().contains(".dist-info/sboms/") && path.as_str().ends_with(".json")
}

/// The part of CycloneDX that is read.
#[derive(Deserialize)]
struct Sbom {
    #[serde(default)]
    components: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    #[serde(default)]
    version: String,
    purl: Option<String>,
    #[serde(rename = "bom-ref", default)]
    reference: String,
}

/// What a list says: each component is in the file it was copied to, where that can be told, else in the list.
///
/// Python distributions, such as the one that brings the list, are none of these.
pub(super) fn listed(path: &PkgPath, content: &Content, copies: &Copies) -> Vec<Component> {
    let text = (content.len() <= MAX_LIST).then(|| content.read().ok()).flatten();
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let Ok(sbom) = from_json::<Sbom>(text.as_bytes(), path.as_str()) else { return Vec::new() };
    let is_python = |one: &Listed| {
        let names = one.purl.iter().chain([&one.reference]);
        names.into_iter().any(|name| name.starts_with("pkg:pypi/")) && !one.is_third_party()
    };
    let listed = sbom.components.into_iter();
    let listed = listed.filter(|one| !one.version.is_empty() && !is_python(one));
    let component = |one: Listed| {
        let place = copies.place(path, &one).unwrap_or(path);
        let found = format!("{} {}", one.name, one.version);
        let known = Component::new((one.name, one.version), place, Evidence::Sbom);
        Component { found, purl: one.purl, ..known }
    };
    listed.map(component).collect()
}

impl Listed {
    /// Whether it is the source of others that lies in a distribution's own.
    fn is_third_party(&self) -> bool {
        self.reference.contains("#thirdparty/")
    }
}

/// Grafted libraries by the directory of the distribution and what lists call them: auditwheel by the hexadecimal SHA-256
/// of the path it copied from, others by their name.
#[derive(Default)]
pub(super) struct Copies<'t>(BTreeMap<(String, String), &'t PkgPath>);

/// Directories of libraries in the images that wheels are built in, and on other machines that build them.
const ORIGINS: [&str; 8] = [
    "/lib64",
    "/usr/lib64",
    "/usr/local/lib64",
    "/usr/local/lib",
    "/usr/lib",
    "/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
];

impl<'t> Copies<'t> {
    /// Those of `grafted`.
    pub(super) fn new(grafted: impl Iterator<Item = &'t PkgPath>) -> Self {
        let mut copies = BTreeMap::new();
        for path in grafted {
            let (Some(root), Some(name)) = (root(path), original(path.file_name())) else {
                continue;
            };
            let digest = |origin| hex(&sha256(format!("{origin}/{name}").as_bytes()));
            for called in ORIGINS.map(digest).into_iter().chain([plain(&name)]) {
                copies.insert((root.to_owned(), called), path);
            }
        }
        Self(copies)
    }

    /// The copy that a component of the list at `list` stands for.
    fn place(&self, list: &PkgPath, one: &Listed) -> Option<&'t PkgPath> {
        let root = root(list)?;
        let called = match one.reference.rsplit_once('#') {
            Some((_, digest)) => digest.to_owned(),
            None => plain(&one.name),
        };
        self.0.get(&(root.to_owned(), called)).copied()
    }
}

/// What is left of the name of a library or component that is the same wherever it is written: `freetype` of `FreeType`,
/// `freetype2` and `libfreetype.so.6`.
fn plain(name: &str) -> String {
    let name = name.split(".so").next().unwrap_or_default().to_ascii_lowercase();
    let name = name.strip_prefix("lib").unwrap_or(&name);
    name.trim_end_matches(|at: char| at.is_ascii_digit()).to_owned()
}

/// What is before `/numpy.libs/` and `/numpy-1.0.dist-info/`, and the name of the distribution.
fn root(path: &PkgPath) -> Option<&str> {
    let text = path.as_str();
    let end = match text.find(".libs/") {
        Some(end) => end,
        None => {
            let end = text.find(".dist-info/")?;
            text[..end].rfind('-')?
        }
    };
    Some(&text[..end])
}

/// The name a grafted library had: `libz.so.1` of `libz-0123abcd.so.1`.
fn original(name: &str) -> Option<String> {
    parts(name).map(|(own, _, version)| format!("{own}.so{version}"))
}

/// The part of a package note that is read (the specification of `.note.package`).
#[derive(Deserialize)]
struct Note {
    name: String,
    version: String,
}

/// What a note in the file at `path` says.
pub(super) fn noted(text: &str, path: &PkgPath) -> Option<Component> {
    let Note { name, version } = from_json(text.as_bytes(), path.as_str()).ok()?;
    let known = Component::new((name, version), path, Evidence::Note);
    Some(Component { found: text.to_owned(), ..known })
}

#[cfg(test)]
mod tests {
    use crate::audit::components::Evidence;
    use crate::audit::components::lists::{Copies, listed, noted};
    use crate::digest::{hex, sha256};
    use crate::tree::PkgPath;
    use crate::tree::content::Content;

    fn path(text: &str) -> PkgPath {
        PkgPath::new(text).unwrap()
    }

    #[test]
    fn lists() {
        let list = path("opt/a/x-1.dist-info/sboms/x.cdx.json");
        let listed = |text: &str| {
            let found = listed(&list, &Content::bytes(text), &Copies::default());
            found.into_iter().map(|one| (one.name, one.version, one.path)).collect::<Vec<_>>()
        };
        let text = r#"{"components": [
            {"name": "openssl", "version": "4.0.3"},
            {"name": "x"},
            {"name": "x", "version": "1", "purl": "pkg:pypi/x@1"},
            {"name": "X._c", "version": "1", "bom-ref": "pkg:pypi/x@1#c-ext/X._c"},
            {"name": "raqm", "version": "0.11.0", "bom-ref": "pkg:pypi/x@1#thirdparty/raqm"}
        ]}"#;
        let at = |name: &str, version: &str| (name.to_owned(), version.to_owned(), list.absolute());
        assert_eq!(listed(text), [at("openssl", "4.0.3"), at("raqm", "0.11.0")]);
        assert_eq!(listed("["), []);
    }

    #[test]
    fn a_list_names_the_copies() {
        let copy = path("opt/a/x.libs/libXau-154567c4.so.6.0.0");
        let other = path("opt/a/y.libs/libXau-154567c4.so.6.0.0");
        let copies = Copies::new([&copy, &other].into_iter());
        let digest = hex(&sha256(b"/lib64/libXau.so.6.0.0"));
        let text = format!(
            r#"{{"components": [
                {{"name": "libXau", "version": "1.0.9-3.el8", "bom-ref": "pkg:rpm/a/libXau@1#{digest}"}},
                {{"name": "libXau", "version": "2", "bom-ref": "pkg:rpm/a/libXau@2#0"}},
                {{"name": "xAU2", "version": "3", "bom-ref": "pkg:generic/xau"}}
            ]}}"#
        );
        let list = path("opt/a/x-1.0.dist-info/sboms/auditwheel.cdx.json");
        let found = listed(&list, &Content::bytes(text), &copies);
        let told: Vec<_> =
            found.iter().map(|one| (one.version.as_str(), one.path.as_str())).collect();
        let (copy, list) = (copy.absolute(), list.absolute());
        assert_eq!(told, [("1.0.9-3.el8", &*copy), ("2", &*list), ("3", &*copy)]);
    }

    #[test]
    fn notes() {
        let path = path("opt/a/x.so");
        let note = r#"{"type":"rpm","name":"krb5","version":"1.21-2.el9","os":"x"}"#;
        let found = noted(note, &path).unwrap();
        assert_eq!((found.name.as_str(), found.version.as_str()), ("krb5", "1.21-2.el9"));
        assert_eq!(found.evidence, Evidence::Note);
        assert_eq!(noted("{}", &path), None);
    }
}
