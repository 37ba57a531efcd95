//! Where the files of a wheel go in an environment at its final path (PEP 427, "Installing a wheel").
//!
//! Nothing is written: content stays in the archive unless a first line has to change.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::digest::{Hasher, sha256};
use crate::tree::content::Content;
use crate::tree::{Entry, PkgPath, Tree};
use crate::wheel::dist_info::UNHASHED;
use crate::wheel::entry_points::{EntryPoint, is_reserved};
use crate::wheel::record::{Digest, Record};
use crate::wheel::scripts;
use crate::wheel::zip::Member;
use crate::wheel::{Held, RecordFault, Wheel};

/// What installers write beside a distribution: ours is made anew, the rest holds paths and times of a host.
const DROPPED: [&str; 5] =
    ["INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json"];
/// PEP 627: INSTALLER names "the tool used to install the project".
const INSTALLER: &str = "mkpkg\n";

/// An environment: where it is on the target, and of which Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Directory of the environment.
    pub prefix: PkgPath,
    /// `X.Y` of its interpreter.
    pub minor: String,
}

impl Layout {
    /// Directory of commands.
    pub fn bin(&self) -> Result<PkgPath> {
        self.prefix.join("bin")
    }

    /// The interpreter launchers name.
    pub fn python(&self) -> Result<PkgPath> {
        self.prefix.join(&format!("bin/python{}", self.minor))
    }

    /// Directory of modules.
    pub fn site_packages(&self) -> Result<PkgPath> {
        self.prefix.join(&format!("lib/python{}/site-packages", self.minor))
    }

    /// Directory of the C headers of the distribution `name`.
    pub fn headers(&self, name: &str) -> Result<PkgPath> {
        self.prefix.join(&format!("include/site/python{}/{name}", self.minor))
    }
}

/// Something in a wheel an administrator would want to know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A `.pth` file runs code whenever the interpreter starts.
    RunsAtStart(PkgPath),
    /// A file is not a module, script or header, and lies where the wheel asked.
    Data(PkgPath),
}

/// One installed distribution.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Every file but RECORD.
    pub tree: Tree,
    /// What RECORD says so far; byte code is still to come.
    pub record: Record,
    /// In the order of the members.
    pub notes: Vec<Note>,
}

/// Lays the files of `wheel`, made at `mtime`, out in `layout`; the hashes in its record are those [`Wheel::verify`]
/// vouches for.
pub fn install(wheel: &Wheel, layout: &Layout, mtime: Option<u64>) -> Result<Installed> {
    let mut installing = Installing::new(wheel, layout, mtime)?;
    for ((name, member), sha256) in wheel.members().zip(&wheel.digests) {
        installing.add_member(name, member, *sha256)?;
    }
    for point in &wheel.entry_points {
        installing.add_launcher(point)?;
    }
    installing.add_installer()?;
    installing.finish()
}

/// Members whose content is not what RECORD says, where the RECORD that [`install`] makes does not show it: what is
/// dropped or rewritten, and what has another hash than SHA-256.
pub fn hidden_faults(wheel: &Wheel, layout: &Layout) -> Result<Vec<RecordFault>> {
    let installing = Installing::new(wheel, layout, None)?;
    let record = wheel.record()?;
    let mut faults = Vec::new();
    for ((name, _), sha256) in wheel.members().zip(&wheel.digests) {
        let is_shown = match installing.target(name)? {
            Target::Plain(_) | Target::Data(_) => sha256.is_some(),
            Target::Dropped | Target::Script(_) => false,
        };
        if !is_shown {
            let what = wheel.content_fault(name, record.get(name), &mut Held::default())?;
            faults.extend(what.map(|what| RecordFault { member: name.clone(), what }));
        }
    }
    Ok(faults)
}

/// The content of a member, and its SHA-256 as far as RECORD has it.
type Vouched<'a> = (&'a Content, Option<[u8; 32]>);

/// Where a member goes.
enum Target {
    /// Nowhere.
    Dropped,
    /// As it is.
    Plain(PkgPath),
    /// As it is, to a path of the wheel's choice.
    Data(PkgPath),
    /// With the interpreter of the environment in its first line.
    Script(PkgPath),
}

struct Installing<'a> {
    wheel: &'a Wheel,
    layout: &'a Layout,
    site_packages: PkgPath,
    bin: PkgPath,
    python: String,
    origin: Arc<str>,
    mtime: Option<u64>,
    tree: Tree,
    files: BTreeMap<PkgPath, Digest>,
    notes: Vec<Note>,
}

impl<'a> Installing<'a> {
    fn new(wheel: &'a Wheel, layout: &'a Layout, mtime: Option<u64>) -> Result<Self> {
        let origin = format!("{} {}", wheel.metadata.name, wheel.metadata.version);
        Ok(Self {
            wheel,
            layout,
            site_packages: layout.site_packages()?,
            bin: layout.bin()?,
            python: layout.python()?.absolute(),
            origin: Arc::from(origin),
            mtime,
            tree: Tree::new(),
            files: BTreeMap::new(),
            notes: Vec::new(),
        })
    }

    fn add_member(&mut self, name: &str, member: &Member, sha256: Option<[u8; 32]>) -> Result<()> {
        let content = (&member.content, sha256);
        let mode = if member.mode & 0o111 == 0 { 0o644 } else { 0o755 };
        match self.target(name)? {
            Target::Dropped => Ok(()),
            Target::Plain(path) => {
                self.note_start(name, &path)?;
                self.add_as_is(name, content, path, mode)
            }
            Target::Data(path) => {
                self.note_start(name, &path)?;
                self.notes.push(Note::Data(path.clone()));
                self.add_as_is(name, content, path, mode)
            }
            Target::Script(path) => self.add_script(name, content, path),
        }
    }

    fn add_script(&mut self, name: &str, listed: Vouched<'_>, path: PkgPath) -> Result<()> {
        let text = scripts::rewrite(listed.0, &self.python)
            .with_context(|| format!("cannot read `{name}` of `{}`", self.wheel.file_name()))?;
        match text {
            None => self.add_as_is(name, listed, path, 0o755),
            Some(text) => self.add_bytes(path, text, 0o755),
        }
    }

    fn target(&self, name: &str) -> Result<Target> {
        let target = match (self.wheel.dirs.below_info(name), self.wheel.dirs.below_data(name)) {
            (Some(file), _) if UNHASHED.contains(&file) || DROPPED.contains(&file) => {
                Target::Dropped
            }
            (_, Some(rest)) => self.data_target(name, rest)?,
            (_, None) => Target::Plain(self.site_packages.join(name)?),
        };
        match &target {
            Target::Plain(path) | Target::Data(path) | Target::Script(path)
                if self.is_taken(path) =>
            {
                let what = format!("cannot be `{path}`, which belongs to the environment");
                Err(self.wheel.refuse_member(name, &what))
            }
            Target::Plain(path) | Target::Data(path) if self.is_metadata(name, path) => {
                Err(self.wheel.refuse_member(name, "would be metadata of another distribution"))
            }
            Target::Dropped | Target::Plain(_) | Target::Data(_) | Target::Script(_) => Ok(target),
        }
    }

    /// The target of `rest` below the data directory: the scheme, and a path below that.
    fn data_target(&self, name: &str, rest: &str) -> Result<Target> {
        let refuse = || {
            let scheme = rest.split('/').next().unwrap_or(rest).escape_debug();
            self.wheel.refuse_member(name, &format!("is of an unknown scheme: `{scheme}`"))
        };
        let (scheme, path) = rest.split_once('/').ok_or_else(refuse)?;
        match scheme {
            "purelib" | "platlib" => Ok(Target::Plain(self.site_packages.join(path)?)),
            "headers" => {
                Ok(Target::Plain(self.layout.headers(&self.wheel.metadata.name)?.join(path)?))
            }
            "data" => Ok(Target::Data(self.layout.prefix.join(path)?)),
            // As pip has it: a script an entry point makes anew is left out.
            "scripts" if self.wheel.entry_points.iter().any(|point| point.name == path) => {
                Ok(Target::Dropped)
            }
            "scripts" => Ok(Target::Script(self.bin.join(path)?)),
            _ => Err(refuse()),
        }
    }

    /// Whether `path` would be believed to be what a distribution says of itself, and `name` is not where it may.
    fn is_metadata(&self, name: &str, path: &PkgPath) -> bool {
        let top = path.below(&self.site_packages).and_then(|below| below.split('/').next());
        top.is_some_and(|top| top.ends_with(".dist-info"))
            && self.wheel.dirs.below_info(name).is_none()
    }

    /// Whether `path` is one of the files that make the environment.
    fn is_taken(&self, path: &PkgPath) -> bool {
        match path.below(&self.layout.prefix) {
            Some(below) => {
                below == "pyvenv.cfg" || below.strip_prefix("bin/").is_some_and(is_reserved)
            }
            None => false,
        }
    }

    /// `site` executes the lines of a `.pth` file that start with `import` and a space or tab.
    fn note_start(&mut self, name: &str, path: &PkgPath) -> Result<()> {
        let is_pth = path.as_str().ends_with(".pth");
        if !is_pth || path.parent().as_ref() != Some(&self.site_packages) {
            return Ok(());
        }
        let content = self.wheel.read(name)?;
        let runs = |line: &[u8]| line.starts_with(b"import ") || line.starts_with(b"import\t");
        if content.split(|at| matches!(at, b'\n' | b'\r')).any(runs) {
            self.notes.push(Note::RunsAtStart(path.clone()));
        }
        Ok(())
    }

    fn add_as_is(
        &mut self,
        name: &str,
        (content, listed): Vouched<'_>,
        path: PkgPath,
        mode: u32,
    ) -> Result<()> {
        let sha256 = match listed {
            Some(digest) => digest,
            None => {
                let digest = self.wheel.digest(name, Hasher::sha256())?;
                digest.try_into().expect("SHA-256 has 32 bytes")
            }
        };
        let digest = Digest { sha256, len: content.len() };
        self.add(path, content.clone().with_sha256(sha256), digest, mode)
    }

    fn add_bytes(&mut self, path: PkgPath, bytes: Vec<u8>, mode: u32) -> Result<()> {
        let digest = Digest { sha256: sha256(&bytes), len: bytes.len() as u64 };
        self.add(path, Content::bytes(bytes), digest, mode)
    }

    fn add(&mut self, path: PkgPath, content: Content, digest: Digest, mode: u32) -> Result<()> {
        let entry = Entry::file(content, mode, &self.origin).made_at(self.mtime);
        self.tree.insert(path.clone(), entry)?;
        self.files.insert(path, digest);
        Ok(())
    }

    fn add_launcher(&mut self, point: &EntryPoint) -> Result<()> {
        let text = scripts::launcher(point, &self.python);
        self.add_bytes(self.bin.join(&point.name)?, text.into_bytes(), 0o755)
    }

    fn add_installer(&mut self) -> Result<()> {
        let path = self.site_packages.join(&self.wheel.dirs.member("INSTALLER"))?;
        self.add_bytes(path, INSTALLER.into(), 0o644)
    }

    fn finish(self) -> Result<Installed> {
        let path = self.site_packages.join(&self.wheel.dirs.member("RECORD"))?;
        // A map that is built at once has full nodes; one that grows in order has nodes half empty.
        let files = self.files.into_iter().collect();
        let record = Record { path, root: self.site_packages, files };
        Ok(Installed { tree: self.tree, record, notes: self.notes })
    }
}

#[cfg(test)]
mod tests {
    use crate::tree::{Entry, PkgPath};
    use crate::wheel::Wheel;
    use crate::wheel::fixture::{Zip, wheel, write};
    use crate::wheel::install::{Installed, Layout, install};

    fn take(zip: &Zip) -> anyhow::Result<Installed> {
        let dir = tempfile::tempdir()?;
        let wheel = Wheel::open(&write(dir.path(), "demo-1.0-py3-none-any.whl", &zip.bytes()))?;
        let layout = Layout { prefix: PkgPath::new("/opt/app")?, minor: "3.11".to_owned() };
        install(&wheel, &layout, None)
    }

    fn demo(files: &[(&str, &str)]) -> Zip {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        wheel("demo", "1.0", &files)
    }

    fn check(files: &[(&str, &str)], message: &str) {
        assert_eq!(take(&demo(files)).unwrap_err().to_string(), message);
    }

    /// `mode path` of every file below the prefix.
    fn listing(installed: &Installed) -> Vec<String> {
        let prefix = PkgPath::new("opt/app").unwrap();
        let line = |(path, _, mode): (&PkgPath, _, u32)| {
            format!("{mode:o} {}", path.below(&prefix).unwrap())
        };
        installed.tree.files().map(line).collect()
    }

    #[test]
    fn every_scheme_has_its_place() {
        let mut zip = demo(&[
            ("demo/__init__.py", "x"),
            ("demo/tool.so", "x"),
            ("demo-1.0.data/purelib/pure.py", "x"),
            ("demo-1.0.data/platlib/plat.py", "x"),
            ("demo-1.0.data/headers/demo.h", "x"),
            ("demo-1.0.data/data/etc/demo.conf", "x"),
            ("demo-1.0.data/scripts/script", "#!python -E\nx\n"),
            ("demo-1.0.data/scripts/shell", "#!/bin/sh\n"),
            ("demo-1.0.data/scripts/run", "#!python\nreplaced\n"),
            ("demo-1.0.dist-info/entry_points.txt", "[console_scripts]\nrun = demo:main\n"),
            ("demo-1.0.dist-info/INSTALLER", "pip\n"),
            ("demo-1.0.dist-info/REQUESTED", ""),
            ("demo-1.0.dist-info/direct_url.json", "{}"),
            ("demo-1.0.dist-info/uv_cache.json", "{}"),
            ("demo-1.0.dist-info/uv_build.json", "{}"),
        ]);
        zip.parts[1].mode = 0o100_711;
        zip.parts[7].mode = 0o100_600;
        let installed = take(&zip).unwrap();
        assert_eq!(
            listing(&installed),
            [
                "755 bin/run",
                "755 bin/script",
                "755 bin/shell",
                "644 etc/demo.conf",
                "644 include/site/python3.11/demo/demo.h",
                "644 lib/python3.11/site-packages/demo-1.0.dist-info/INSTALLER",
                "644 lib/python3.11/site-packages/demo-1.0.dist-info/METADATA",
                "644 lib/python3.11/site-packages/demo-1.0.dist-info/WHEEL",
                "644 lib/python3.11/site-packages/demo-1.0.dist-info/entry_points.txt",
                "644 lib/python3.11/site-packages/demo/__init__.py",
                "755 lib/python3.11/site-packages/demo/tool.so",
                "644 lib/python3.11/site-packages/plat.py",
                "644 lib/python3.11/site-packages/pure.py",
            ]
        );
        let text = |path: &str| {
            let Some(Entry::File { content, origin, .. }) =
                installed.tree.get(&PkgPath::new(path).unwrap())
            else {
                panic!("no file {path}")
            };
            assert_eq!(&**origin, "demo 1.0");
            String::from_utf8(content.read().unwrap_or_default()).unwrap()
        };
        assert_eq!(text("opt/app/bin/script"), "#!/opt/app/bin/python3.11\nx\n");
        assert!(text("opt/app/bin/run").contains("from demo import main\n"));
    }

    #[test]
    fn record_is_true_for_every_file() {
        let installed = take(&demo(&[
            ("demo.py", "x"),
            ("demo-1.0.data/scripts/script", "#!python\n"),
            ("demo-1.0.data/data/share/a,b", "x"),
        ]))
        .unwrap();
        let text = installed.record.to_text();
        let paths: Vec<_> = text.lines().filter_map(|line| line.split(",sha").next()).collect();
        assert_eq!(
            paths,
            [
                "\"../../../share/a,b\"",
                "../../../bin/script",
                "demo-1.0.dist-info/INSTALLER",
                "demo-1.0.dist-info/METADATA",
                "demo-1.0.dist-info/RECORD,,",
                "demo-1.0.dist-info/WHEEL",
                "demo.py",
            ]
        );
        assert!(text.contains("demo.py,sha256=LXEWQrcmsEQBYnyp-6wy9chTD7GQPMTbAiWHF5IaSIE,1\n"));
        for (path, content, _) in installed.tree.files() {
            assert_eq!(installed.record.files[path].len, content.len());
        }
    }

    #[test]
    fn notes() {
        let installed = take(&demo(&[
            ("run.pth", "# c\nimport os\n"),
            ("path.pth", "lib\nimportant\n"),
            ("demo/inner.pth", "import os\n"),
            ("demo-1.0.data/data/etc/x", ""),
        ]))
        .unwrap();
        let notes: Vec<_> = installed.notes.iter().map(|note| format!("{note:?}")).collect();
        assert_eq!(
            notes,
            [
                "Data(PkgPath(\"opt/app/etc/x\"))",
                "RunsAtStart(PkgPath(\"opt/app/lib/python3.11/site-packages/run.pth\"))",
            ]
        );
    }

    #[test]
    fn faults() {
        let member = |name: &str, what: &str| {
            format!("member `demo-1.0.data/{name}` of `demo-1.0-py3-none-any.whl` {what}")
        };
        for (name, what) in [
            ("other/x", "is of an unknown scheme: `other`"),
            ("x", "is of an unknown scheme: `x`"),
            (
                "scripts/python3",
                "cannot be `/opt/app/bin/python3`, which belongs to the environment",
            ),
            (
                "data/bin/activate",
                "cannot be `/opt/app/bin/activate`, which belongs to the environment",
            ),
            (
                "data/pyvenv.cfg",
                "cannot be `/opt/app/pyvenv.cfg`, which belongs to the environment",
            ),
        ] {
            check(&[(&format!("demo-1.0.data/{name}"), "x")], &member(name, what));
        }
        check(
            &[("x.py", "1"), ("demo-1.0.data/purelib/x.py", "2")],
            "`demo 1.0` and `demo 1.0` both install `/opt/app/lib/python3.11/site-packages/x.py`, and differ",
        );
        check(
            &[("x", "1"), ("demo-1.0.data/purelib/x/y", "2")],
            "`demo 1.0`, as a directory, and `demo 1.0` both install `/opt/app/lib/python3.11/site-packages/x`, and differ",
        );
        assert!(take(&demo(&[("x.py", "1"), ("demo-1.0.data/purelib/x.py", "1")])).is_ok());
    }
}
