//! Scriptlets of a package that has everything a package can do on a host: sound as text, harmless however often they
//! run, and right through a life under rpm and systemd.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use mkpkg::backend::rpm::{self, Options};
use mkpkg::cache::Cache;
use mkpkg::codec::Compression;
use mkpkg::lifecycle::{
    Account, Activation, Alternative, Changes, Lifecycle, Moment, OnUpgrade, Part, Unit,
};
use mkpkg::package::{PackageMeta, PackageName};
use mkpkg::tree::content::Content;
use mkpkg::tree::{Entry, PkgPath, Role, Tree};

use crate::rpm::{beside, readers, stub, twin};
use crate::tools::{namespaced, output, ready, repository, verdict};

const PROGRAMS: [&str; 8] =
    ["unshare", "mmdebstrap", "rpm", "dash", "bash", "shellcheck", "systemd-nspawn", "nsenter"];

const ORIGIN: &str = "acme";
const SERVICE: &str = "[Service]\nUser=acme\nExecStart=/bin/sleep infinity\n";
const INSTALL: &str = "[Install]\nWantedBy=multi-user.target\n";
/// What an administrator of the test breaks and mends.
const CHECK: &str =
    "test ! -e /etc/acme-broken && test \"$(id -un) $(pwd) $GREETING\" = 'acme / it is $(id)'";

/// A package on its way: files by path, and what happens around them.
struct Sketch {
    version: &'static str,
    tree: Tree,
    lifecycle: Lifecycle,
}

impl Sketch {
    fn new(version: &'static str) -> Result<Self> {
        let mut new = Self { version, tree: Tree::new(), lifecycle: Lifecycle::default() };
        new.file("opt/acme/version", version)?;
        Ok(new)
    }

    fn file(&mut self, path: &str, text: &str) -> Result<()> {
        self.tree.insert(
            PkgPath::new(path)?,
            Entry::file(Content::bytes(text), 0o644, &Arc::from(ORIGIN)),
        )
    }

    fn unit(
        &mut self,
        name: &str,
        text: &str,
        activation: Activation,
        on_upgrade: OnUpgrade,
    ) -> Result<()> {
        self.file(&format!("usr/lib/systemd/system/{name}"), text)?;
        self.lifecycle.units.push(Unit { name: name.to_owned(), activation, on_upgrade });
        Ok(())
    }

    fn write(&self, dir: &Path) -> Result<PathBuf> {
        let path = dir.join(format!("{}.rpm", self.version));
        let options = Options { compression: Compression::Zstd(1), threads: 1 };
        let spool = tempfile::tempfile_in(dir)?;
        let meta = meta(self.version, self.lifecycle.clone())?;
        rpm::write(
            &meta,
            self.tree.clone(),
            &options,
            &Cache::none(),
            (&mut File::create_new(&path)?, spool),
        )?;
        Ok(path)
    }
}

fn meta(version: &str, lifecycle: Lifecycle) -> Result<PackageMeta> {
    Ok(PackageMeta {
        name: PackageName::new("acme")?,
        version: version.parse()?,
        release: "1".to_owned(),
        machine: None,
        summary: "Application with services".to_owned(),
        description: Vec::new(),
        licence: "MIT".to_owned(),
        homepage: None,
        maintainer: "Acme Ops <ops@acme.example>".to_owned(),
        prefix: PkgPath::new("opt/acme")?,
        epoch: 1_767_225_600,
        relations: Vec::new(),
        bundled: Vec::new(),
        lifecycle,
    })
}

/// A version with everything; `extra` names services beside those that every version has.
fn everything(version: &'static str, extra: &[&str]) -> Result<Sketch> {
    let mut new = Sketch::new(version)?;
    let boot = Activation::Boot { enable: true, start: true };
    let socket = "[Socket]\nListenStream=/run/acme.sock\n[Install]\nWantedBy=sockets.target\n";
    let timer = "[Timer]\nOnBootSec=1d\n[Install]\nWantedBy=timers.target\n";
    new.unit("acme.socket", socket, boot, OnUpgrade::Keep)?;
    new.unit("acme-tick.timer", timer, boot, OnUpgrade::Keep)?;
    new.unit("acme-tick.service", SERVICE, Activation::Unit, OnUpgrade::Keep)?;
    new.unit("acme.service", SERVICE, Activation::Unit, OnUpgrade::Restart)?;
    let service = format!("{SERVICE}{INSTALL}");
    new.unit("acme-plain.service", &service, boot, OnUpgrade::Restart)?;
    new.unit("acme-worker@.service", &service, Activation::Instance, OnUpgrade::Restart)?;
    let idle = Activation::Boot { enable: false, start: true };
    new.unit("acme-idle.service", &service, idle, OnUpgrade::Restart)?;
    let bad = service
        .replace("/bin/sleep infinity", "/bin/false")
        .replace("[Service]", "[Service]\nType=oneshot");
    new.unit("acme-bad.service", &bad, boot, OnUpgrade::Restart)?;
    new.unit("acme-shut.service", SERVICE, Activation::Unit, OnUpgrade::Keep)?;
    if extra.contains(&"late") {
        let socket = socket.replace("acme.sock", "acme-shut.sock");
        new.unit("acme-shut.socket", &socket, boot, OnUpgrade::Keep)?;
    }
    for name in extra {
        new.unit(&format!("acme-{name}.service"), &service, boot, OnUpgrade::Restart)?;
    }
    new.file("usr/lib/systemd/system-preset/80-acme.preset", "enable acme*\n")?;
    new.file(
        "usr/lib/sysusers.d/acme.conf",
        "u acme - \"Acme - it's\" /var/lib/acme /usr/sbin/nologin\n",
    )?;
    new.file("usr/lib/tmpfiles.d/acme.conf", "d /run/acme 0755 acme acme -\n")?;
    let environment = PkgPath::new("etc/sysconfig/acme")?;
    let content = Content::bytes(format!("# of {version}\nGREETING='it is $(id)'\n"));
    let origin = Arc::from(ORIGIN);
    let entry = Entry::File { content, mode: 0o644, role: Role::Config, origin, mtime: None };
    new.tree.insert(environment.clone(), entry)?;
    new.lifecycle = Lifecycle {
        account: Some(Account {
            name: "acme".to_owned(),
            description: "Acme - it's".to_owned(),
            home: PkgPath::new("var/lib/acme")?,
            groups: Vec::new(),
        }),
        sysusers: vec!["acme.conf".to_owned()],
        tmpfiles: vec!["acme.conf".to_owned()],
        environment_file: Some(environment),
        checks: vec![CHECK.to_owned()],
        snippets: snippets(),
        ..new.lifecycle
    };
    Ok(new)
}

/// Each writes down that it ran.
fn snippets() -> BTreeMap<Moment, String> {
    [
        (Moment::BeforeInstall, "before-install"),
        (Moment::AfterInstall, "after-install"),
        (Moment::BeforeUpgrade, "before-upgrade"),
        (Moment::AfterUpgrade, "after-upgrade"),
        (Moment::BeforeRemove, "before-remove"),
        (Moment::AfterRemove, "after-remove"),
    ]
    .map(|(moment, name)| {
        let told = "$MKPKG_ACTION $MKPKG_VERSION $MKPKG_FORMAT $MKPKG_USER";
        (moment, format!("# It's {name}\n[ ! -e /etc/acme-fail-{name} ] || exit 1\necho \"{name} {told}\" >>/var/log/acme-said\n"))
    })
    .into()
}

fn root(packages: &[&str]) -> Result<PathBuf> {
    let mut rootfs = Command::new(repository().join("scripts/rootfs.sh"));
    Ok(PathBuf::from(output(rootfs.arg("bookworm").args(packages))?.trim_end()))
}

/// The scripts of a package, each in a file of its own.
fn unpack(rpm: &Path, dir: &Path) -> Result<Vec<PathBuf>> {
    let package = rpm::read(File::open(rpm)?, tempfile::tempfile()?)?;
    let write = |(name, text): (&String, &String)| {
        let path = dir.join(name);
        fs::write(&path, text).map(|()| path)
    };
    Ok(package.scripts.iter().map(write).collect::<std::io::Result<_>>()?)
}

/// Runs `scripts.sh`; an error says what was wrong.
fn judge(arguments: &[&Path]) -> Result<()> {
    match verdict(namespaced(beside("scripts.sh")).args(arguments))? {
        Some(faults) => bail!("{faults}"),
        None => Ok(()),
    }
}

/// Shells and shellcheck have nothing against the scripts, rpm shows them as we do, and each can run any number of times
/// with every number of versions rpm counts.
#[test]
fn scriptlets_are_sound() -> Result<()> {
    if !ready("scriptlets_are_sound", &PROGRAMS)? {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let scripts = dir.path().join("scripts");
    fs::create_dir(&scripts)?;
    let mut new = everything("1.0", &[])?;
    new.lifecycle.changes.dropped_units = vec!["acme-old.service".to_owned()];
    let rpm = new.write(dir.path())?;
    let mut query = Command::new("rpm");
    let shown = output(
        query.args(["-qp", "--nosignature", "--scripts"]).arg(&rpm).env("HOME", dir.path()),
    )?;
    let paths = unpack(&rpm, &scripts)?;
    ensure!(paths.len() == 5, "{paths:?}");
    for path in &paths {
        let text = fs::read_to_string(path)?;
        ensure!(
            shown.contains(text.trim_start_matches("#!/bin/sh\n")),
            "rpm shows another:\n{text}\n{shown}"
        );
        for shell in ["dash", "bash"] {
            output(Command::new(shell).arg("-n").arg(path))?;
        }
        // What a user wrote is a word in single quotes, whatever is in it; a list may have one word;
        // and `a && b || c` runs `c` when `b` fails, as it is meant to.
        let shellcheck = ["-s", "sh", "--exclude", "SC2015,SC2016,SC2043"];
        output(Command::new("shellcheck").args(shellcheck).arg(path))?;
    }
    judge(&[Path::new("twice"), &root(&["rpm"])?, &scripts])
}

/// rpm of every release takes a package in which a directory became a link and a link a directory, and makes the account
/// if it is one that does.
#[test]
fn directories_and_links_change_places() -> Result<()> {
    if !ready("directories_and_links_change_places", &PROGRAMS)? {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let link = |target: &str| Entry::Symlink { target: target.to_owned() };
    let mut old = Sketch::new("1.0")?;
    old.file("opt/acme/data\" .. x/file", "1")?;
    old.tree.insert(PkgPath::new("opt/acme/media")?, link("shared"))?;
    old.file("opt/acme/shared/file", "1")?;
    old.file("usr/lib/sysusers.d/acme.conf", "u acme - \"Acme - it's\" /var/lib/acme\n")?;
    let mut new = Sketch::new("1.1")?;
    new.tree.insert(PkgPath::new("opt/acme/data\" .. x")?, link("shared"))?;
    new.file("opt/acme/media/file", "2")?;
    new.file("opt/acme/shared/file", "2")?;
    new.lifecycle.changes = Changes {
        dir_to_link: [(PkgPath::new("opt/acme/data\" .. x")?, "shared".to_owned())].into(),
        link_to_dir: [(PkgPath::new("opt/acme/media")?, "shared".to_owned())].into(),
        ..Changes::default()
    };
    let (old, new) = (old.write(dir.path())?, new.write(dir.path())?);
    for release in readers::RELEASES {
        let mut rootfs = Command::new(repository().join("scripts/rootfs.sh"));
        let root = PathBuf::from(output(rootfs.args([release, "rpm"]))?.trim_end());
        judge(&[Path::new("moved"), &root, &old, &new]).context(release)?;
    }
    Ok(())
}

/// dnf and zypper find what scriptlets call, and rpmbuild would have written the same.
#[test]
fn distributions_have_what_scriptlets_call() -> Result<()> {
    let name = "distributions_have_what_scriptlets_call";
    if !ready(name, &PROGRAMS)? || !ready(name, &stub::PROGRAMS)? || !ready(name, &twin::PROGRAMS)?
    {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let mut old = everything("1.0", &["old"])?;
    let mut new = everything("1.1", &["late"])?;
    new.lifecycle.changes.dropped_units = vec!["acme-old.service".to_owned()];
    new.lifecycle.changes.link_to_dir = [(PkgPath::new("opt/acme/x")?, "y".to_owned())].into();
    twin::equals_rpmbuild(&new.write(tempfile::tempdir_in(dir.path())?.path())?)?;
    // They leave a file behind.
    old.lifecycle.snippets.clear();
    new.lifecycle.snippets.clear();
    for (one, dir) in [(&mut old, "opt/acme/releases/1.0"), (&mut new, "opt/acme/releases/1.1")] {
        let (link, dir) = (PkgPath::new("opt/acme/current")?, PkgPath::new(dir)?);
        let part = Part::Offers { priority: 1 };
        one.lifecycle.alternative = Some(Alternative {
            name: "acme-release".to_owned(),
            application: "acme".to_owned(),
            link,
            dir,
            part,
        });
    }
    let (old, new) = (old.write(dir.path())?, new.write(dir.path())?);
    ["el8", "el9", "fedora", "suse"]
        .iter()
        .try_for_each(|flavour| stub::lives(flavour, &old, Some(&new)).context(*flavour))
}

/// Install, upgrade, failing checks, recovery, downgrade, removal, with a look at every unit after each.
#[test]
fn services_live_with_rpm() -> Result<()> {
    if !ready("services_live_with_rpm", &PROGRAMS)? {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    everything("1.0", &["old"])?.write(dir.path())?;
    for (version, extra) in [("1.1", &["late"][..]), ("1.2", &["late", "later"])] {
        let mut new = everything(version, extra)?;
        new.lifecycle.changes.dropped_units = vec!["acme-old.service".to_owned()];
        new.write(dir.path())?;
    }
    judge(&[Path::new("live"), &root(&["dbus", "rpm", "systemd-sysv"])?, dir.path()])
}
