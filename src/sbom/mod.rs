//! What a package is made of, for machines: one value, written as CycloneDX or as SPDX.
//!
//! Made of what an audit found, or of what a build has at hand; the same package gives the same bytes. Knows no package
//! format but the names of their types in package URLs.

pub mod cyclonedx;
pub mod licence;
pub mod origin;
pub mod purl;
pub mod spdx;

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::components::{Component, Evidence};
use crate::audit::distributions::Distribution;
use crate::audit::{Inventory, Report};
use crate::digest::{Hasher, hex};
use crate::package::distribution;
use crate::pep::normalize_name;
use crate::sbom::licence::Licence;
use crate::sbom::origin::Origin;
use crate::sbom::purl::{is_purl, purl};

/// What a package is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sbom {
    /// The package.
    pub root: Root,
    /// When it was made: seconds since 1970. `None` where nobody says.
    pub created: Option<u64>,
    /// Python distributions, by package URL.
    pub distributions: BTreeMap<String, Part>,
    /// Native components that no distribution brought, by package URL.
    pub others: BTreeMap<String, Part>,
    /// What the system must have: the relations that ask for each package or library, by its name.
    pub system: BTreeMap<String, BTreeSet<String>>,
    /// Files copied into wheels of which nothing is known.
    pub unidentified: Vec<String>,
}

/// The package itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its package URL.
    pub purl: String,
    /// Its licence.
    pub licence: Licence,
    /// Hexadecimal SHA-256 of its file, where there is one.
    pub sha256: Option<String>,
}

/// Something that is inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence.
    pub licence: Licence,
    /// Where it is, or what says so.
    pub places: BTreeSet<String>,
    /// How it is known; what is known best of several.
    pub evidence: Evidence,
    /// Where it came from.
    pub origin: Origin,
    /// Native components it brought, by package URL.
    pub parts: BTreeMap<String, Self>,
    /// Package URLs of distributions of the same package that it needs.
    pub requires: BTreeSet<String>,
}

impl Root {
    /// A package of a kind, for a machine as that kind calls it and, where that is known, a release such as
    /// `debian:12`.
    pub fn new(
        kind: &str,
        (name, version): (&str, &str),
        machine: &str,
        release: Option<&str>,
    ) -> Self {
        let release = release.unwrap_or_default().replace(':', "-");
        // An epoch is a qualifier of an rpm, and part of the version of all else.
        let (epoch, plain) = match version.split_once(':') {
            Some((epoch, plain)) if kind == "rpm" => (epoch, plain),
            Some(_) | None => ("", version),
        };
        let kind = if ["deb", "rpm"].contains(&kind) { kind } else { "generic" };
        let qualifiers = [("arch", machine), ("distro", &release), ("epoch", epoch)];
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            purl: purl(kind, name, plain, &qualifiers),
            licence: Licence::Unstated,
            sha256: None,
        }
    }
}

impl Sbom {
    /// Of a package, what is in it, what it needs, and where its distributions came from, by normalised name.
    pub fn new(
        root: Root,
        created: Option<u64>,
        inventory: &Inventory,
        needs: &[String],
        origins: &BTreeMap<String, Origin>,
    ) -> Self {
        let mut sbom = Self {
            root,
            created,
            distributions: BTreeMap::new(),
            others: BTreeMap::new(),
            system: BTreeMap::new(),
            unidentified: inventory.unidentified.clone(),
        };
        let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for one in &inventory.distributions {
            let (name, url, part) = of_distribution(one, origins);
            named.entry(name).or_default().insert(url.clone());
            add(&mut sbom.distributions, url, part);
        }
        for one in &inventory.distributions {
            let required = one.requires.iter().filter_map(|name| named.get(name)).flatten();
            let url = url_of(one).1;
            let required: Vec<_> = required.filter(|other| **other != url).cloned().collect();
            sbom.distributions.entry(url).and_modify(|part| part.requires.extend(required));
        }
        for one in &inventory.components {
            sbom.place(one);
        }
        for need in needs {
            sbom.system.entry(required(need).to_owned()).or_default().insert(need.clone());
        }
        sbom
    }

    /// Of a package that was audited.
    pub fn of(report: &Report) -> Self {
        let subject = &report.subject;
        let machine = subject.machine.as_deref().unwrap_or_default();
        let root = Root::new(subject.kind, (&subject.name, &subject.version), machine, None);
        let root = Root { sha256: subject.sha256.clone(), ..root };
        let inventory = report.inventory();
        Self::new(root, subject.epoch, &inventory, &subject.needs, &BTreeMap::new())
    }

    /// Puts a native component under the distribution that brought it.
    fn place(&mut self, component: &Component) {
        let brought = distribution(&component.distribution).and_then(|one| one.split_once(' '));
        if brought.is_some_and(|(name, _)| is_itself(component, name)) {
            return;
        }
        let url = brought.map(|(name, version)| distribution_url(name, version).1);
        let parts = match url.and_then(|url| self.distributions.get_mut(&url)) {
            Some(part) => &mut part.parts,
            None => &mut self.others,
        };
        let Component { name, version, .. } = component;
        let known = component.purl.clone().filter(|url| is_purl(url));
        let part = Part {
            name: name.clone(),
            version: version.clone(),
            licence: Licence::Unstated,
            places: BTreeSet::from([component.path.clone()]),
            evidence: component.evidence,
            origin: Origin::default(),
            parts: BTreeMap::new(),
            requires: BTreeSet::new(),
        };
        add(parts, known.unwrap_or_else(|| purl("generic", name, version, &[])), part);
    }
}

/// Whether a component is the distribution `name`: the list in a wheel begins with the wheel (PEP 770).
fn is_itself(component: &Component, name: &str) -> bool {
    let url = component.purl.as_deref().and_then(|url| url.strip_prefix("pkg:pypi/"));
    let listed = url.and_then(|url| url.split(['@', '?', '#']).next());
    listed.is_some_and(|listed| distribution_url(listed, "") == distribution_url(name, ""))
}

/// The name in a relation, such as `libc6` in `libc6 (>= 2.34)`; all of it where it leaves a choice.
fn required(relation: &str) -> &str {
    let leaves_choice = relation.contains('|') || relation.starts_with('(');
    let name = relation.split(' ').next().filter(|_| !leaves_choice);
    name.unwrap_or(relation)
}

/// Adds a part; one that is there already gets its places.
fn add(parts: &mut BTreeMap<String, Part>, url: String, part: Part) {
    let known = parts.entry(url).or_insert_with(|| part.clone());
    known.evidence = known.evidence.min(part.evidence);
    known.places.extend(part.places);
}

fn of_distribution(
    one: &Distribution,
    origins: &BTreeMap<String, Origin>,
) -> (String, String, Part) {
    let (name, url) = url_of(one);
    let part = Part {
        name: one.name.clone(),
        version: one.version.clone(),
        licence: Licence::of(&one.licence),
        places: BTreeSet::from([one.path.clone()]),
        evidence: Evidence::Sbom,
        origin: origins.get(&name).cloned().unwrap_or_default(),
        parts: BTreeMap::new(),
        requires: BTreeSet::new(),
    };
    (name, url, part)
}

fn url_of(one: &Distribution) -> (String, String) {
    distribution_url(&one.name, &one.version)
}

/// The normalised name of a distribution, and its package URL.
fn distribution_url(name: &str, version: &str) -> (String, String) {
    // What is no name by PEP 508 stays as it is: the package is a stranger's.
    let name = normalize_name(name).unwrap_or_else(|_| name.to_lowercase());
    let url = purl("pypi", &name, version, &[]);
    (name, url)
}

/// A UUID made of a text (RFC 9562, 5.5), in a name space of mkpkg's documents: itself one of the URL name space.
fn uuid(text: &str) -> String {
    const NAMESPACE: [u8; 16] = [
        0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
    ];
    let mut hasher = Hasher::sha1();
    hasher.update(&NAMESPACE);
    hasher.update(b"urn:mkpkg:sbom:");
    hasher.update(text.as_bytes());
    let mut bytes = hasher.finish();
    bytes.truncate(16);
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use crate::audit::Inventory;
    use crate::audit::components::{Component, Evidence};
    use crate::audit::distributions::Distribution;
    use crate::sbom::cyclonedx::cyclonedx;
    use crate::sbom::licence::Licence;
    use crate::sbom::origin::Origin;
    use crate::sbom::spdx::spdx;
    use crate::sbom::{Root, Sbom};

    fn distribution(name: &str, version: &str, requires: &[&str]) -> Distribution {
        Distribution {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: "mit".to_owned(),
            path: format!("/opt/a/{name}-{version}.dist-info"),
            requires: requires.iter().map(|name| (*name).to_owned()).collect(),
            installer: String::new(),
            files: 1,
            modified: 0,
            missing: 0,
            unlisted: 0,
        }
    }

    fn component(name: &str, path: &str, purl: Option<&str>, evidence: Evidence) -> Component {
        Component {
            name: name.to_owned(),
            version: "1.0".to_owned(),
            path: path.to_owned(),
            distribution: "Foo.Bar 1.0+cpu".to_owned(),
            purl: purl.map(str::to_owned),
            evidence,
            found: String::new(),
        }
    }

    fn sample() -> Sbom {
        let inventory = Inventory {
            distributions: vec![
                distribution("Foo.Bar", "1.0+cpu", &["baz", "gone", "foo-bar"]),
                distribution("baz", "2", &[]),
            ],
            components: vec![
                component("openssl", "/opt/a/x.so", None, Evidence::Text),
                component(
                    "openssl",
                    "/opt/a/list",
                    Some("pkg:generic/openssl@1.0"),
                    Evidence::Sbom,
                ),
                component("zlib", "/opt/a/list", Some("not a URL"), Evidence::Sbom),
                component("foo", "/opt/a/list", Some("pkg:pypi/foo_bar@1.0?x=1"), Evidence::Sbom),
                Component {
                    distribution: String::new(),
                    ..component("libpng", "/opt/a/y.so", None, Evidence::Note)
                },
            ],
            unidentified: vec!["/opt/a/z.so".to_owned()],
        };
        let hash = Some(format!("sha256:{}", "0".repeat(64)));
        let origin = Origin { hash, url: Some("https://x.example/baz.whl".to_owned()) };
        let root = Root::new("rpm", ("acme", "1:2.0-1"), "x86_64", Some("fedora:42"));
        let needs = ["libc.so.6(GLIBC_2.34)(64bit)", "python3 >= 3.11", "(a or b)", "c | d"];
        let needs = needs.map(str::to_owned);
        Sbom::new(root, Some(0), &inventory, &needs, &BTreeMap::from([("baz".to_owned(), origin)]))
    }

    #[test]
    fn parts_are_under_who_brought_them_and_once() {
        let sbom = sample();
        assert_eq!(sbom.root.purl, "pkg:rpm/acme@2.0-1?arch=x86_64&distro=fedora-42&epoch=1");
        let urls: Vec<_> = sbom.distributions.keys().map(String::as_str).collect();
        assert_eq!(urls, ["pkg:pypi/baz@2", "pkg:pypi/foo-bar@1.0%2Bcpu"]);
        let [baz, foo] =
            ["pkg:pypi/baz@2", "pkg:pypi/foo-bar@1.0%2Bcpu"].map(|url| &sbom.distributions[url]);
        assert_eq!(foo.requires, BTreeSet::from(["pkg:pypi/baz@2".to_owned()]));
        assert_eq!(foo.licence, Licence::Expression("MIT".to_owned()));
        let inner: Vec<_> = foo.parts.keys().map(String::as_str).collect();
        assert_eq!(inner, ["pkg:generic/openssl@1.0", "pkg:generic/zlib@1.0"]);
        let openssl = &foo.parts["pkg:generic/openssl@1.0"];
        assert_eq!((openssl.places.len(), openssl.evidence), (2, Evidence::Sbom));
        assert_eq!(sbom.others.keys().collect::<Vec<_>>(), ["pkg:generic/libpng@1.0"]);
        assert!(baz.origin.hash.is_some() && foo.origin == Origin::default());
        let system: Vec<_> = sbom.system.keys().map(String::as_str).collect();
        assert_eq!(system, ["(a or b)", "c | d", "libc.so.6(GLIBC_2.34)(64bit)", "python3"]);
    }

    #[test]
    fn documents_are_numbered_by_their_content() {
        for write in [cyclonedx, spdx] {
            let number = |sbom: &Sbom| {
                let text = write(sbom).unwrap();
                let at = text.find("urn:uuid:").unwrap() + 9;
                text[at..at + 36].to_owned()
            };
            let one = sample();
            let other = Sbom { created: Some(1), ..sample() };
            assert_eq!(number(&one), number(&sample()));
            assert_ne!(number(&one), number(&other));
            // A version and a variant (RFC 9562, 4.1 and 4.2).
            assert_eq!(&number(&one)[14..15], "5");
            assert!("89ab".contains(&number(&one)[19..20]));
        }
    }

    #[test]
    fn nothing_is_said_to_be_complete() {
        let incomplete = cyclonedx(&sample()).unwrap();
        assert!(incomplete.contains("\"aggregate\": \"incomplete\""));
        let unknown = Sbom { unidentified: Vec::new(), ..sample() };
        assert!(cyclonedx(&unknown).unwrap().contains("\"aggregate\": \"unknown\""));
    }
}
