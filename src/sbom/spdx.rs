//! SPDX 2.3, JSON (ISO/IEC 5962).

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::audit::components::Evidence;
use crate::date::rfc3339;
use crate::document::to_indented_json;
use crate::sbom::licence::Licence;
use crate::sbom::{Part, Sbom, uuid};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const ROOT: &str = "SPDXRef-Package";
/// What stands where nobody looked, or nothing was found (SPDX 2.3, 7.7).
const UNKNOWN: &str = "NOASSERTION";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(rename = "SPDXID")]
    id: &'static str,
    spdx_version: &'static str,
    creation_info: Creation,
    name: String,
    data_license: &'static str,
    document_namespace: String,
    packages: Vec<Package>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct Creation {
    created: String,
    creators: [String; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version_info: String,
    download_location: String,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    license_concluded: &'static str,
    license_declared: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_comments: Option<String>,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<Reference>,
    primary_package_purpose: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: String,
    checksum_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The document.
pub fn spdx(sbom: &Sbom) -> Result<String> {
    let (packages, relationships) = contents(sbom);
    let mut document = Document {
        id: DOCUMENT,
        spdx_version: "SPDX-2.3",
        creation_info: Creation {
            created: rfc3339(sbom.created.unwrap_or(0)),
            creators: [concat!("Tool: ", env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"))
                .to_owned()],
        },
        name: format!("{} {}", sbom.root.name, sbom.root.version),
        data_license: "CC0-1.0",
        document_namespace: String::new(),
        packages,
        relationships,
    };
    // Unique for each content, as the name space has to be (6.5).
    document.document_namespace = format!("urn:uuid:{}", uuid(&to_indented_json(&document)?));
    to_indented_json(&document)
}

/// Packages with the relationships between them, those of the document first.
fn contents(sbom: &Sbom) -> (Vec<Package>, Vec<Relationship>) {
    let mut packages = vec![root(sbom)];
    let mut relationships = vec![relationship(DOCUMENT, "DESCRIBES", ROOT)];
    let mut ids: BTreeMap<&str, String> = BTreeMap::new();
    let add = |packages: &mut Vec<Package>, package: Package| {
        let id = format!("{ROOT}-{}", packages.len());
        packages.push(Package { id: id.clone(), ..package });
        id
    };
    for (url, part) in sbom.distributions.iter().chain(&sbom.others) {
        let id = add(&mut packages, of_part(url, part));
        relationships.push(relationship(ROOT, "CONTAINS", &id));
        for (own, inner) in &part.parts {
            let inner = add(&mut packages, of_part(own, inner));
            relationships.push(relationship(&id, "CONTAINS", &inner));
        }
        ids.insert(url, id);
    }
    for (url, part) in &sbom.distributions {
        let pairs = part.requires.iter().filter_map(|other| ids.get(other.as_str()));
        let from = ids.get(url.as_str()).into_iter();
        relationships.extend(
            from.flat_map(|from| pairs.clone().map(move |to| relationship(from, "DEPENDS_ON", to))),
        );
    }
    for (name, relations) in &sbom.system {
        let relations = relations.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let comment = format!("of the system: {relations}");
        let id = add(&mut packages, Package { comment, ..bare(name) });
        relationships.push(relationship(ROOT, "DEPENDS_ON", &id));
    }
    (packages, relationships)
}

/// A package of which nothing but its name is known.
fn bare(name: &str) -> Package {
    Package {
        id: ROOT.to_owned(),
        name: name.to_owned(),
        version_info: String::new(),
        download_location: UNKNOWN.to_owned(),
        files_analyzed: false,
        checksums: Vec::new(),
        license_concluded: UNKNOWN,
        license_declared: UNKNOWN.to_owned(),
        license_comments: None,
        copyright_text: UNKNOWN,
        external_refs: Vec::new(),
        primary_package_purpose: "LIBRARY",
        comment: String::new(),
    }
}

fn root(sbom: &Sbom) -> Package {
    let root = &sbom.root;
    let digest = root.sha256.as_ref().map(|digest| format!("sha256:{digest}"));
    let unidentified = match &sbom.unidentified[..] {
        [] => String::new(),
        places => format!("not identified: {}", places.join(", ")),
    };
    let (license_declared, license_comments) = declared(&root.licence);
    Package {
        version_info: root.version.clone(),
        checksums: digest.as_deref().and_then(checksum).into_iter().collect(),
        license_declared,
        license_comments,
        external_refs: vec![locator(&root.purl)],
        primary_package_purpose: "APPLICATION",
        comment: unidentified,
        ..bare(&root.name)
    }
}

fn of_part(url: &str, part: &Part) -> Package {
    let how = match part.evidence {
        Evidence::Sbom => "listed in",
        Evidence::Note => "noted in",
        Evidence::Symbol => "by a function of",
        Evidence::Text => "by a text in",
        Evidence::Family => "by what is made with",
    };
    let places = part.places.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let (license_declared, license_comments) = declared(&part.licence);
    Package {
        version_info: part.version.clone(),
        download_location: part.origin.url.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
        checksums: part.origin.hash.as_deref().and_then(checksum).into_iter().collect(),
        license_declared,
        license_comments,
        external_refs: vec![locator(url)],
        comment: format!("{how} {places}"),
        ..bare(&part.name)
    }
}

/// The licence, and what is said of it that is no licence expression.
fn declared(licence: &Licence) -> (String, Option<String>) {
    match licence {
        Licence::Expression(text) => (text.clone(), None),
        Licence::Name(name) => (UNKNOWN.to_owned(), Some(format!("its metadata say: {name}"))),
        Licence::Unstated => (UNKNOWN.to_owned(), None),
    }
}

fn checksum(hash: &str) -> Option<Checksum> {
    let (algorithm, value) = hash.split_once(':')?;
    Some(Checksum { algorithm: algorithm.to_ascii_uppercase(), checksum_value: value.to_owned() })
}

fn locator(url: &str) -> Reference {
    Reference {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: url.to_owned(),
    }
}

fn relationship(from: &str, kind: &'static str, to: &str) -> Relationship {
    Relationship {
        spdx_element_id: from.to_owned(),
        relationship_type: kind,
        related_spdx_element: to.to_owned(),
    }
}
