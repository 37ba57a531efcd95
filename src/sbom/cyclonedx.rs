//! CycloneDX 1.6, JSON (ECMA-424).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;

use crate::audit::components::Evidence;
use crate::date::rfc3339;
use crate::document::to_indented_json;
use crate::sbom::licence::Licence;
use crate::sbom::{Part, Sbom, uuid};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_number: Option<String>,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Component<'a>>,
    dependencies: Vec<Dependency>,
    compositions: [Composition; 1],
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    tools: Tools,
    component: Component<'a>,
}

#[derive(Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Serialize)]
struct Tool {
    r#type: &'static str,
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component<'a> {
    r#type: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<External<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<Self>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Known<'a>>,
}

#[derive(Serialize)]
struct Hash<'a> {
    alg: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum License<'a> {
    Expression(&'a str),
    License { name: &'a str },
}

#[derive(Serialize)]
struct External<'a> {
    r#type: &'static str,
    url: &'a str,
}

#[derive(Serialize)]
struct Property<'a> {
    name: &'static str,
    value: &'a str,
}

#[derive(Serialize)]
struct Known<'a> {
    identity: [Identity; 1],
    occurrences: Vec<Occurrence<'a>>,
}

#[derive(Serialize)]
struct Identity {
    field: &'static str,
    confidence: f32,
    methods: [Method; 1],
}

#[derive(Serialize)]
struct Method {
    technique: &'static str,
    confidence: f32,
}

#[derive(Serialize)]
struct Occurrence<'a> {
    location: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    r#ref: String,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    depends_on: BTreeSet<String>,
}

#[derive(Serialize)]
struct Composition {
    aggregate: &'static str,
    assemblies: [String; 1],
}

/// The document.
pub fn cyclonedx(sbom: &Sbom) -> Result<String> {
    let mut document = document(sbom);
    // The number is that of the content, so that another package has another one, and the same one the same.
    document.serial_number = Some(format!("urn:uuid:{}", uuid(&to_indented_json(&document)?)));
    to_indented_json(&document)
}

fn document(sbom: &Sbom) -> Document<'_> {
    let parts = sbom.distributions.iter().chain(&sbom.others);
    let mut components: Vec<_> = parts.map(|(url, part)| component(url, part, url)).collect();
    components.extend(sbom.system.iter().map(|(name, relations)| system(name, relations)));
    let dependencies = dependencies(sbom);
    let tool = Tool {
        r#type: "application",
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
    };
    Document {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: None,
        version: 1,
        metadata: Metadata {
            timestamp: sbom.created.map(rfc3339),
            tools: Tools { components: [tool] },
            component: root(sbom),
        },
        components,
        dependencies,
        compositions: [Composition {
            // That no more is inside cannot be known of compiled files.
            aggregate: if sbom.unidentified.is_empty() { "unknown" } else { "incomplete" },
            assemblies: [sbom.root.purl.clone()],
        }],
    }
}

/// A component of which nothing but its name is known.
fn bare<'a>(kind: &'static str, reference: String, name: &'a str) -> Component<'a> {
    Component {
        r#type: kind,
        reference,
        name,
        version: "",
        scope: None,
        hashes: Vec::new(),
        licenses: Vec::new(),
        purl: None,
        external_references: Vec::new(),
        properties: Vec::new(),
        components: Vec::new(),
        evidence: None,
    }
}

fn root(sbom: &Sbom) -> Component<'_> {
    let root = &sbom.root;
    let hash = |content| Hash { alg: "SHA-256", content };
    let unidentified = sbom.unidentified.iter();
    Component {
        version: &root.version,
        hashes: root.sha256.as_deref().map(hash).into_iter().collect(),
        licenses: licenses(&root.licence),
        purl: Some(&root.purl),
        properties: unidentified
            .map(|value| Property { name: "mkpkg:unidentified", value })
            .collect(),
        ..bare("application", root.purl.clone(), &root.name)
    }
}

fn component<'a>(url: &'a str, part: &'a Part, reference: &str) -> Component<'a> {
    let hash = part.origin.hash.as_deref().and_then(|hash| {
        let (algorithm, content) = hash.split_once(':')?;
        let algorithms = [("sha256", "SHA-256"), ("sha384", "SHA-384"), ("sha512", "SHA-512")];
        let (_, alg) = algorithms.into_iter().find(|(name, _)| *name == algorithm)?;
        Some(Hash { alg, content })
    });
    let (technique, confidence) = match part.evidence {
        Evidence::Sbom => ("manifest-analysis", 1.0),
        Evidence::Note => ("binary-analysis", 1.0),
        Evidence::Symbol => ("binary-analysis", 0.9),
        Evidence::Text => ("binary-analysis", 0.8),
        Evidence::Family => ("binary-analysis", 0.7),
    };
    let methods = [Method { technique, confidence }];
    let inner = part.parts.iter();
    Component {
        version: &part.version,
        hashes: hash.into_iter().collect(),
        licenses: licenses(&part.licence),
        purl: Some(url),
        external_references: part
            .origin
            .url
            .iter()
            .map(|url| External { r#type: "distribution", url })
            .collect(),
        components: inner
            .map(|(own, part)| component(own, part, &inside(reference, own)))
            .collect(),
        evidence: Some(Known {
            identity: [Identity { field: "version", confidence, methods }],
            occurrences: part.places.iter().map(|location| Occurrence { location }).collect(),
        }),
        ..bare("library", reference.to_owned(), &part.name)
    }
}

/// What one component is called inside of another: the same library can be in several.
fn inside(outer: &str, url: &str) -> String {
    format!("{outer}!{url}")
}

/// What the system must have: which version is there is the system's business, which will do is in the relations.
fn system<'a>(name: &'a str, relations: &'a BTreeSet<String>) -> Component<'a> {
    let properties =
        relations.iter().map(|value| Property { name: "mkpkg:relation", value }).collect();
    Component {
        scope: Some("required"),
        properties,
        ..bare("library", system_reference(name), name)
    }
}

fn system_reference(name: &str) -> String {
    format!("system:{name}")
}

fn licenses(licence: &Licence) -> Vec<License<'_>> {
    match licence {
        Licence::Expression(text) => vec![License::Expression(text)],
        Licence::Name(name) => vec![License::License { name }],
        Licence::Unstated => Vec::new(),
    }
}

fn dependencies(sbom: &Sbom) -> Vec<Dependency> {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let of_root = edges.entry(sbom.root.purl.clone()).or_default();
    of_root.extend(sbom.distributions.keys().chain(sbom.others.keys()).cloned());
    of_root.extend(sbom.system.keys().map(|name| system_reference(name)));
    for (url, part) in sbom.distributions.iter().chain(&sbom.others) {
        edges.entry(url.clone()).or_default().extend(part.requires.iter().cloned());
        for own in part.parts.keys() {
            edges.entry(url.clone()).or_default().insert(inside(url, own));
            edges.entry(inside(url, own)).or_default();
        }
    }
    edges.extend(sbom.system.keys().map(|name| (system_reference(name), BTreeSet::new())));
    edges.into_iter().map(|(r#ref, depends_on)| Dependency { r#ref, depends_on }).collect()
}
