//! Libraries that are made together: where one of them tells its version, it is that of the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::audit::components::{Component, Evidence};
use crate::elf::{ElfFile, ElfReport};
use crate::tree::PkgPath;

/// Names of libraries of one source, which are released and built as one.
struct Family {
    name: &'static str,
    libraries: &'static [&'static str],
}

const FAMILIES: [Family; 9] = [
    Family { name: "brotli", libraries: &["libbrotlicommon", "libbrotlidec", "libbrotlienc"] },
    Family {
        name: "ffmpeg",
        libraries: &[
            "libavcodec",
            "libavdevice",
            "libavfilter",
            "libavformat",
            "libavutil",
            "libswresample",
            "libswscale",
        ],
    },
    Family { name: "geos", libraries: &["libgeos", "libgeos_c"] },
    Family { name: "hdf5", libraries: &["libhdf5", "libhdf5_hl"] },
    Family {
        name: "krb5",
        libraries: &["libgssapi_krb5", "libk5crypto", "libkrb5", "libkrb5support"],
    },
    Family { name: "libjxl", libraries: &["libjxl", "libjxl_cms", "libjxl_threads"] },
    Family { name: "libwebp", libraries: &["libwebp", "libwebpdemux", "libwebpmux"] },
    Family { name: "openldap", libraries: &["liblber", "libldap"] },
    Family { name: "openssl", libraries: &["libcrypto", "libssl"] },
];

/// What is known of libraries by those of the same family in the same directory that need them, or that they need, again
/// and again; `known` are the components of files.
pub(super) fn related(elf: &ElfReport, known: &[Component]) -> Vec<Component> {
    let members: Vec<Member<'_>> = elf.files.iter().filter_map(member).collect();
    let own: BTreeMap<_, _> = known
        .iter()
        .rev()
        .map(|one| ((one.name.as_str(), one.path.as_str()), one.version.as_str()))
        .collect();
    let version = |member: &Member<'_>| {
        own.get(&(member.family.name, member.path.absolute().as_str())).copied()
    };
    let mut versions: Vec<Option<&str>> = members.iter().map(version).collect();
    let mut tellers: VecDeque<_> =
        (0..members.len()).filter(|place| versions[*place].is_some()).collect();
    let kin = kin(&members);
    let mut related = Vec::new();
    while let Some(teller) = tellers.pop_front() {
        let Some(version) = versions[teller] else { continue };
        for place in kin[teller].iter().copied() {
            if versions[place].is_some() {
                continue;
            }
            versions[place] = Some(version);
            tellers.push_back(place);
            let identity = (members[place].family.name.to_owned(), version.to_owned());
            let known = Component::new(identity, members[place].path, Evidence::Family);
            let found = format!("made with `{}`", members[teller].path.file_name());
            related.push(Component { found, ..known });
        }
    }
    related
}

/// For each member the places of those of its family beside it that need it, or that it needs.
fn kin(members: &[Member<'_>]) -> Vec<BTreeSet<usize>> {
    let places: BTreeMap<_, _> = members
        .iter()
        .enumerate()
        .map(|(place, member)| ((member.path.parent(), member.path.file_name()), place))
        .collect();
    let mut kin = vec![BTreeSet::new(); members.len()];
    for (place, member) in members.iter().enumerate() {
        let needed = member.needed.iter().map(|name| (member.path.parent(), name.as_str()));
        for other in needed.filter_map(|name| places.get(&name).copied()) {
            if members[other].family.name == member.family.name {
                kin[place].insert(other);
                kin[other].insert(place);
            }
        }
    }
    kin
}

/// A library of a family.
struct Member<'e> {
    family: &'static Family,
    path: &'e PkgPath,
    needed: &'e [String],
}

fn member(file: &ElfFile) -> Option<Member<'_>> {
    let dynamic = &file.facts.as_ref().ok()?.dynamic;
    let name = stem(file.path.file_name())?;
    let family = FAMILIES.iter().find(|family| family.libraries.contains(&name))?;
    Some(Member { family, path: &file.path, needed: &dynamic.needed })
}

/// `libssl` of `libssl.so.3`, of `libssl-0123abcd.so.3`, and of `libssl-fiona-0123abcd.so.3`.
fn stem(name: &str) -> Option<&str> {
    let (stem, _) = name.split_once(".so")?;
    stem.split('-').next()
}

#[cfg(test)]
mod tests {
    use crate::audit::components::family::related;
    use crate::audit::components::{Component, Evidence};
    use crate::elf::{ElfFile, ElfReport, facts};
    use crate::tree::PkgPath;

    /// A library at `path` that needs others.
    fn library(path: &str, needed: &[&str]) -> ElfFile {
        let bytes = include_bytes!("../../../fixtures/elf/libbase.so.1");
        let mut facts = facts(bytes).unwrap();
        facts.dynamic.needed = needed.iter().map(|name| (*name).to_owned()).collect();
        ElfFile { path: PkgPath::new(path).unwrap(), facts: Ok(facts) }
    }

    #[test]
    fn versions_go_from_one_to_the_next() {
        let files = vec![
            library("a.libs/libgssapi_krb5-01234567.so.2", &["libkrb5-01234567.so.3"]),
            library("a.libs/libk5crypto-01234567.so.3", &["libkrb5support-01234567.so.0"]),
            library("a.libs/libkrb5-01234567.so.3", &["libk5crypto-01234567.so.3"]),
            library("a.libs/libkrb5support-01234567.so.0", &[]),
            library("b.libs/libk5crypto-01234567.so.3", &[]),
            library("b.libs/libz-01234567.so.1", &["libk5crypto-01234567.so.3"]),
        ];
        let path = files[2].path.clone();
        let identity = ("krb5".to_owned(), "1.22.2".to_owned());
        let known = Component::new(identity, &path, Evidence::Text);
        let related = related(&ElfReport { files }, &[known]);
        let told: Vec<_> =
            related.iter().map(|one| (one.path.as_str(), one.version.as_str())).collect();
        let expected = [
            "libgssapi_krb5-01234567.so.2",
            "libk5crypto-01234567.so.3",
            "libkrb5support-01234567.so.0",
        ];
        assert_eq!(
            told,
            expected
                .map(|name| (format!("/a.libs/{name}"), "1.22.2"))
                .each_ref()
                .map(|(path, version)| (path.as_str(), *version))
        );
    }
}
