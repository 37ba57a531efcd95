//! Releases of an application that lie side by side: the place of each, and how one build becomes two packages.
//!
//! A package manager has one version of a name at a time. So every release is a package with a name of its own, which
//! has the environment, and the application is another one: it has what there is once on a host, needs its release, and
//! leads to it. docs/releases.md is the contract. Knows no format.

use anyhow::Result;

use crate::lifecycle::{Alternative, Lifecycle, Part};
use crate::package::{PackageMeta, PackageName, RelationKind};
use crate::pep::Version;
use crate::tree::{Entry, PkgPath, Tree};

/// The place of one release among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Name of the package that has the release, such as `acme-web-1.4.2`.
    pub package: PackageName,
    /// Directory of the application, such as `/opt/acme-web`.
    pub home: PkgPath,
    /// Directory of the release, such as `/opt/acme-web/releases/1.4.2`.
    pub dir: PkgPath,
    /// The link to the current release, such as `/opt/acme-web/current`.
    pub current: PkgPath,
}

/// Priorities are numbers of 31 bits: minutes since 1970 grow with builds and fit for 4000 years.
const PRIORITY_SECONDS: u64 = 60;

impl Slot {
    /// The place of `version` of the application that `name` is the package of and `home` the directory.
    pub fn new(name: &PackageName, home: &PkgPath, version: &Version) -> Result<Self> {
        // In its normal form PEP 440 has one sign that names of packages lack: the one behind an epoch.
        let release = version.to_string().replace('!', "-");
        Ok(Self {
            package: PackageName::new(&format!("{name}-{release}"))?,
            home: home.clone(),
            dir: home.join("releases")?.join(&release)?,
            current: home.join("current")?,
        })
    }

    /// Whether `path` is that of a release, or of the link to one.
    pub fn has(&self, path: &PkgPath) -> bool {
        let below = path.below(&self.home).and_then(|below| below.split('/').next());
        below.is_some_and(|top| ["releases", "current"].contains(&top))
    }

    /// The trees of the release and of the application. Links of the application into the release lead to the current
    /// one.
    pub fn trees(&self, tree: &Tree) -> Result<(Tree, Tree)> {
        let (mut release, mut application) = (Tree::new(), Tree::new());
        for (path, entry) in tree.iter() {
            if self.dir == *path || path.below(&self.dir).is_some() {
                release.insert(path.clone(), entry.clone())?;
            } else if self.dir.below(path).is_none() {
                application.insert(path.clone(), self.led(entry)?)?;
            }
        }
        Ok((release, application))
    }

    fn led(&self, entry: &Entry) -> Result<Entry> {
        let Entry::Symlink { target } = entry else { return Ok(entry.clone()) };
        let end = target.starts_with('/').then(|| PkgPath::new(target)).transpose()?;
        Ok(match end.as_ref().and_then(|end| end.below(&self.dir)) {
            Some(inner) => Entry::Symlink { target: self.current.join(inner)?.absolute() },
            None => entry.clone(),
        })
    }

    /// What the packages of the release and of the application say of themselves, from what one package of both would.
    ///
    /// What code needs goes with the code, what the application is to other packages with the application.
    pub fn packages(&self, meta: PackageMeta) -> (PackageMeta, PackageMeta) {
        let name = meta.name.to_string();
        let alternative = |part| {
            let (link, dir) = (self.current.clone(), self.dir.clone());
            // Names of commands are alternatives of many hosts: `awk`, `editor`.
            let (name, application) = (format!("{name}-release"), name.clone());
            Some(Alternative { name, application, link, dir, part })
        };
        let (needs, stands) = meta.relations.iter().cloned().partition(|one| match one.kind {
            RelationKind::Needs | RelationKind::Recommends | RelationKind::Suggests => true,
            RelationKind::Conflicts | RelationKind::Replaces | RelationKind::Provides => false,
        });
        let description = match meta.description.is_empty() {
            true => vec![meta.fallback_description()],
            false => meta.description.clone(),
        };
        let with = |sentence| description.iter().cloned().chain([sentence]).collect();
        let (package, home) = (&self.package, &self.home);
        let offers = alternative(Part::Offers { priority: meta.epoch / PRIORITY_SECONDS });
        let release = PackageMeta {
            name: package.clone(),
            description: with(format!(
                "This is one release by itself; the package {name} makes it the current one."
            )),
            relations: needs,
            lifecycle: Lifecycle { alternative: offers, ..Lifecycle::default() },
            ..meta.clone()
        };
        let application = PackageMeta {
            description: with(format!(
                "Its releases lie side by side in {home}; this one is in the package {package}."
            )),
            machine: None,
            prefix: home.clone(),
            relations: stands,
            bundled: Vec::new(),
            lifecycle: Lifecycle { alternative: alternative(Part::Selects), ..meta.lifecycle },
            ..meta
        };
        (release, application)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::lifecycle::{Account, Lifecycle, Part};
    use crate::package::{Bundled, Machine, PackageMeta, PackageName, Relation, RelationKind};
    use crate::releases::Slot;
    use crate::tree::content::Content;
    use crate::tree::{Entry, PkgPath, Tree};

    fn path(text: &str) -> PkgPath {
        PkgPath::new(text).unwrap()
    }

    fn slot(version: &str) -> Slot {
        let name = PackageName::new("acme-web").unwrap();
        Slot::new(&name, &path("opt/acme-web"), &version.parse().unwrap()).unwrap()
    }

    #[test]
    fn every_version_has_a_place_of_its_own() {
        for (version, expected) in [
            ("1.4.2", "1.4.2"),
            ("v1.0-rc.1", "1.0rc1"),
            ("1.0.post1.dev2", "1.0.post1.dev2"),
            ("1.0+Ubuntu-1", "1.0+ubuntu.1"),
            ("1!2.0", "1-2.0"),
        ] {
            let Slot { package, home, dir, current } = slot(version);
            assert_eq!(package.as_str(), format!("acme-web-{expected}"));
            assert_eq!(dir.absolute(), format!("/opt/acme-web/releases/{expected}"));
            let (home, current) = (home.absolute(), current.absolute());
            assert_eq!(
                (home.as_str(), current.as_str()),
                ("/opt/acme-web", "/opt/acme-web/current")
            );
        }
    }

    #[test]
    fn places_of_releases() {
        for (at, expected) in [
            ("/opt/acme-web/current", true),
            ("/opt/acme-web/current/x", true),
            ("/opt/acme-web/releases/0.9/x", true),
            ("/opt/acme-web/releases.txt", false),
            ("/opt/acme-web/data/current", false),
            ("/opt/acme-web-2/current", false),
            ("/etc/acme-web/current", false),
        ] {
            assert_eq!(slot("1.0").has(&path(at)), expected, "{at}");
        }
    }

    #[test]
    fn trees() {
        let mut tree = Tree::new();
        let file = Entry::file(Content::bytes("x"), 0o644, &Arc::from("acme 1"));
        let link = |target: &str| Entry::Symlink { target: target.to_owned() };
        for at in ["releases/1.0/bin/acme", "releases/1.0.1/x", "logo.svg"] {
            tree.insert(path(&format!("opt/acme-web/{at}")), file.clone()).unwrap();
        }
        for (at, target) in [
            ("usr/bin/acme", "/opt/acme-web/releases/1.0/bin/acme"),
            ("usr/bin/other", "/usr/bin/true"),
            ("usr/share/acme/relative", "../x"),
            ("opt/acme-web/releases/1.0/bin/python", "/opt/acme-web/releases/1.0/bin/python3"),
        ] {
            tree.insert(path(at), link(target)).unwrap();
        }
        let (release, application) = slot("1.0").trees(&tree).unwrap();
        let show = |tree: &Tree| -> Vec<String> {
            let one = |(path, entry): (&PkgPath, &Entry)| match entry {
                Entry::Symlink { target } => Some(format!("{path} -> {target}")),
                Entry::File { .. } => Some(path.to_string()),
                Entry::Dir { .. } => None,
            };
            tree.iter().filter_map(one).collect()
        };
        assert_eq!(
            show(&release),
            [
                "/opt/acme-web/releases/1.0/bin/acme",
                "/opt/acme-web/releases/1.0/bin/python -> /opt/acme-web/releases/1.0/bin/python3"
            ]
        );
        assert_eq!(
            show(&application),
            [
                "/opt/acme-web/logo.svg",
                "/opt/acme-web/releases/1.0.1/x",
                "/usr/bin/acme -> /opt/acme-web/current/bin/acme",
                "/usr/bin/other -> /usr/bin/true",
                "/usr/share/acme/relative -> ../x"
            ]
        );
        assert!(application.get(&path("opt/acme-web/releases/1.0")).is_none());
    }

    fn meta(slot: &Slot) -> PackageMeta {
        use RelationKind::{Conflicts, Needs, Provides, Recommends, Replaces, Suggests};
        let relation = |kind| Relation {
            kind,
            text: format!("{kind:?}"),
            because: Vec::new(),
            causes: Vec::new(),
        };
        let bundled = Bundled {
            name: "acme-web".to_owned(),
            version: "1.0".to_owned(),
            licence: String::new(),
            author: String::new(),
            homepage: String::new(),
            licence_files: Vec::new(),
        };
        PackageMeta {
            name: PackageName::new("acme-web").unwrap(),
            version: "1.0".parse().unwrap(),
            release: "2".to_owned(),
            machine: Some(Machine::X86_64),
            summary: "web shop".to_owned(),
            description: Vec::new(),
            licence: "MIT".to_owned(),
            homepage: None,
            maintainer: "Acme Ops <ops@acme.example>".to_owned(),
            prefix: slot.dir.clone(),
            epoch: 1_767_225_600,
            relations: [Needs, Recommends, Suggests, Conflicts, Replaces, Provides]
                .map(relation)
                .into(),
            bundled: vec![bundled],
            lifecycle: Lifecycle {
                account: Some(Account {
                    name: "acme-web".to_owned(),
                    description: "web shop".to_owned(),
                    home: path("var/lib/acme-web"),
                    groups: Vec::new(),
                }),
                ..Lifecycle::default()
            },
        }
    }

    #[test]
    fn packages() {
        let slot = slot("1.0");
        let whole = meta(&slot);
        let (release, application) = slot.packages(whole.clone());
        let texts = |meta: &PackageMeta| -> Vec<String> {
            meta.relations.iter().map(|relation| relation.text.clone()).collect()
        };
        assert_eq!(release.name, slot.package);
        assert_eq!(texts(&release), ["Needs", "Recommends", "Suggests"]);
        assert_eq!((release.machine, release.bundled.len()), (Some(Machine::X86_64), 1));
        assert_eq!(
            (release.prefix.clone(), release.home(), release.has_code()),
            (slot.dir.clone(), slot.home.clone(), true)
        );
        let offered = release.lifecycle.alternative.clone().unwrap();
        assert_eq!(
            (offered.name.as_str(), offered.part),
            ("acme-web-release", Part::Offers { priority: 29_453_760 })
        );
        assert_eq!(
            release.lifecycle,
            Lifecycle { alternative: Some(offered), ..Lifecycle::default() }
        );

        assert_eq!(application.name, whole.name);
        assert_eq!(texts(&application), ["Conflicts", "Replaces", "Provides"]);
        assert_eq!((application.machine, application.bundled.len()), (None, 0));
        assert_eq!(
            (application.prefix.clone(), application.code(), application.has_code()),
            (slot.home.clone(), &slot.dir, false)
        );
        let selected = application.lifecycle.alternative.clone().unwrap();
        assert_eq!(
            (selected.link.clone(), selected.dir.clone(), selected.part),
            (slot.current, slot.dir, Part::Selects)
        );
        assert_eq!(
            application.lifecycle,
            Lifecycle { alternative: Some(selected), ..whole.lifecycle }
        );
        for (one, last) in [
            (
                &release,
                "This is one release by itself; the package acme-web makes it the current one.",
            ),
            (
                &application,
                "Its releases lie side by side in /opt/acme-web; this one is in the package acme-web-1.0.",
            ),
        ] {
            assert_eq!(one.description.len(), 2);
            assert_eq!(one.description[1], last);
        }
    }
}
