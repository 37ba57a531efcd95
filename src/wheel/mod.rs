//! Wheels: opened and checked as if hostile, and laid out for their final path without being unpacked.
//!
//! Knows where the files of a distribution go; not which distributions, nor what a package does with them.

mod dist_info;
pub mod entry_points;
pub mod filename;
#[cfg(test)]
pub mod fixture;
pub mod install;
pub mod installed;
pub mod metadata;
pub mod record;
pub mod requirements;
mod scripts;
pub mod tags;
mod zip;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use anyhow::Result;

use crate::digest::{Hasher, base64url, sha256};
use crate::wheel::dist_info::Dirs;
use crate::wheel::entry_points::EntryPoint;
use crate::wheel::filename::WheelName;
use crate::wheel::metadata::Metadata;
use crate::wheel::record::Listed;
use crate::wheel::zip::{Archive, Member};

/// 1985-01-01: older files are taken for a mistake by tools of Debian. Zip files begin in 1980.
const OLDEST: u64 = 473_385_600;
/// Seconds of a day.
const DAY: u64 = 86_400;

/// Something that RECORD says of a member, and that is not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFault {
    /// The member.
    pub member: String,
    /// What is wrong, a sentence about it.
    pub what: String,
}

/// An open wheel whose index and names agree, and whose RECORD does unless it was opened as it is. The bytes are vouched
/// for by [`Wheel::verify`].
#[derive(Clone, Debug)]
pub struct Wheel {
    /// What the file name says.
    pub name: WheelName,
    /// What METADATA says.
    pub metadata: Metadata,
    /// Commands to make.
    pub entry_points: Vec<EntryPoint>,
    archive: Archive,
    /// SHA-256 of each member, as far as RECORD has it.
    digests: Vec<Option<[u8; 32]>>,
    dirs: Dirs,
}

impl Wheel {
    /// Opens the wheel at `path` and checks everything but the content of its files.
    pub fn open(path: &Path) -> Result<Self> {
        let (wheel, faults) = Self::open_as_it_is(path)?;
        match faults.first() {
            None => Ok(wheel),
            Some(RecordFault { member, what }) => Err(wheel.refuse_member(member, what)),
        }
    }

    /// The same for who wants to know what is wrong with its RECORD: that refuses nothing here.
    pub fn open_as_it_is(path: &Path) -> Result<(Self, Vec<RecordFault>)> {
        let file_name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let name: WheelName = file_name.parse()?;
        let archive = Archive::open(path)?;
        let dirs = Dirs::find(&archive, &name)?;
        dist_info::check_wheel_version(&archive, &dirs)?;
        let metadata = dist_info::read_metadata(&archive, &dirs, &name)?;
        let recorded = dist_info::read_record(&archive, &dirs)?;
        let entry_points = dist_info::read_entry_points(&archive, &dirs)?;
        let digests = recorded.digests;
        Ok((Self { name, metadata, entry_points, archive, digests, dirs }, recorded.faults))
    }

    /// Reads every file once and checks its size, checksum and hash. `see` gets the content of those that begin with
    /// `magic`, and its SHA-256, if that is what RECORD says; it is held whole for that.
    pub fn verify(&self, magic: &[u8], see: &mut dyn FnMut([u8; 32], &[u8])) -> Result<()> {
        let record = self.record()?;
        for (name, sha256) in self.archive.members.keys().zip(&self.digests) {
            let mut held = Held { magic, bytes: Vec::new(), is_wanted: true };
            if let Some(what) = self.content_fault(name, record.get(name), &mut held)? {
                return Err(self.refuse_member(name, &what));
            }
            if let Some(sha256) = sha256.filter(|_| held.bytes.starts_with(magic)) {
                see(sha256, &held.bytes);
            }
        }
        Ok(())
    }

    /// The file it is read from.
    pub fn file(&self) -> &File {
        self.archive.file()
    }

    /// Name of the wheel file, printable.
    pub fn file_name(&self) -> &str {
        self.archive.name()
    }

    /// Name of the dist-info directory inside `site-packages`.
    pub fn dist_info(&self) -> &str {
        &self.dirs.info
    }

    /// When it was made, in seconds since 1970, as far as it says: the time of its newest member.
    ///
    /// Many build tools give all members the same time, whatever they hold. Servers and browsers take files of equal
    /// times for equal, so wheels of such tools differ by the second of that day, which their RECORD decides.
    pub fn made(&self) -> Result<u64> {
        let times: BTreeSet<_> = self.members().map(|(_, member)| member.time).collect();
        let newest = times.last().copied().unwrap_or_default().max(OLDEST);
        if times.len() > 1 {
            return Ok(newest);
        }
        let [first, second, third, fourth, ..] = sha256(&self.read(&self.dirs.member("RECORD"))?);
        let digest = u32::from_be_bytes([first, second, third, fourth]);
        Ok(newest - newest % DAY + u64::from(digest) % DAY)
    }

    /// Every member with a hash: all but RECORD and its signatures. It is read whenever it is needed, because it is
    /// longer than the index, and all wheels are open at once.
    fn record(&self) -> Result<BTreeMap<String, Listed>> {
        Ok(dist_info::read_record(&self.archive, &self.dirs)?.files)
    }

    /// Reads a member; says what is wrong with its hash. The error is one of the archive.
    fn content_fault(
        &self,
        name: &str,
        listed: Option<&Listed>,
        held: &mut Held<'_>,
    ) -> Result<Option<String>> {
        let known = match listed {
            Some(Listed::Hashed { algorithm, digest, .. }) => {
                Hasher::strong(algorithm).map(|hasher| (hasher, algorithm, digest))
            }
            Some(Listed::Unhashed) | None => None,
        };
        // Whatever cannot be trusted is a fault of RECORD, and told with that.
        let Some((mut hasher, algorithm, digest)) = known else {
            return self.archive.read_by(name, |_| ()).map(|()| None);
        };
        self.archive.read_by(name, |bytes| {
            hasher.update(bytes);
            held.take(bytes);
        })?;
        let is_so = base64url(&hasher.finish()) == *digest;
        Ok((!is_so).then(|| format!("does not match its {algorithm} in RECORD")))
    }

    fn members(&self) -> impl Iterator<Item = (&String, &Member)> {
        self.archive.members.iter()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.archive.read(name)
    }

    fn digest(&self, name: &str, hasher: Hasher) -> Result<Vec<u8>> {
        self.archive.digest(name, hasher)
    }

    fn refuse_member(&self, name: &str, what: &str) -> anyhow::Error {
        self.archive.refuse_member(name, what)
    }
}

/// The bytes of a member, as long as it may begin as those do that are wanted; by default none are.
#[derive(Default)]
struct Held<'a> {
    magic: &'a [u8],
    bytes: Vec<u8>,
    is_wanted: bool,
}

impl Held<'_> {
    fn take(&mut self, bytes: &[u8]) {
        if self.is_wanted {
            self.bytes.extend_from_slice(bytes);
            let known = self.bytes.len().min(self.magic.len());
            self.is_wanted = self.bytes[..known] == self.magic[..known];
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use crate::error::exit_code;
    use crate::tree::PkgPath;
    use crate::wheel::Wheel;
    use crate::wheel::fixture::{Part, Zip, record, wheel, write};
    use crate::wheel::install::{Layout, install};

    const NAME: &str = "demo-1.0-py3-none-any.whl";
    const RECORD: &str = "demo-1.0.dist-info/RECORD";

    /// Opens and verifies `bytes` as the wheel `name`, and installs it.
    fn take(name: &str, bytes: &[u8]) -> Result<Wheel> {
        let dir = tempfile::tempdir()?;
        let wheel = Wheel::open(&write(dir.path(), name, bytes))?;
        wheel.verify(b"", &mut |_, _| ())?;
        install(
            &wheel,
            &Layout { prefix: PkgPath::new("/opt/app")?, minor: "3.11".to_owned() },
            None,
        )?;
        Ok(wheel)
    }

    fn check(zip: &Zip, message: &str) {
        let error = take(NAME, &zip.bytes()).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(exit_code(&error), 3, "{message}");
    }

    fn check_files(files: &[(&str, &str)], message: &str) {
        check(&demo(files), message);
    }

    fn demo(files: &[(&str, &str)]) -> Zip {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        wheel("demo", "1.0", &files)
    }

    /// A wheel of `a.py` with `text` in place of its RECORD.
    fn recorded(text: &str) -> Zip {
        let files: [(&str, &[u8]); 2] = [("a.py", b"a"), (RECORD, text.as_bytes())];
        wheel("demo", "1.0", &files)
    }

    /// The true lines of RECORD for all but `a.py`.
    fn rest() -> String {
        let zip = demo(&[]);
        let text = zip.parts.iter().map(|part| String::from_utf8_lossy(&part.local.name));
        assert_eq!(text.count(), 3);
        let metadata = &b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"[..];
        let wheel = &b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"[..];
        let [first, second] = ["demo-1.0.dist-info/METADATA", "demo-1.0.dist-info/WHEEL"];
        record(RECORD, &[(first, metadata), (second, wheel)])
    }

    #[test]
    fn a_sound_wheel() {
        let entry_points = "[console_scripts]\nrun = demo:main\n";
        let zip = demo(&[("demo.py", "x"), ("demo-1.0.dist-info/entry_points.txt", entry_points)]);
        let wheel = take(NAME, &zip.bytes()).unwrap();
        assert_eq!(wheel.name.to_string(), "demo 1.0");
        assert_eq!(wheel.metadata.version, "1.0");
        assert_eq!(wheel.entry_points[0].name, "run");
        assert_eq!((wheel.file_name(), wheel.dist_info()), (NAME, "demo-1.0.dist-info"));
        // Escaped in another way than the file name, as older tools did.
        let zip = crate::wheel::fixture::wheel("Zope.Interface", "1.0.0", &[("z.py", b"")]);
        take("zope_interface-1.0-py3-none-any.whl", &zip.bytes()).unwrap();
    }

    #[test]
    fn wheels_are_shared_between_threads() {
        let shared = |_: &(dyn Send + Sync)| {};
        shared(&take(NAME, &demo(&[]).bytes()).unwrap());
    }

    #[test]
    fn directories() {
        check(&Zip::default(), "`demo-1.0-py3-none-any.whl` has no `.dist-info` directory");
        check_files(
            &[("other-1.dist-info/METADATA", "x")],
            "`demo-1.0-py3-none-any.whl` has more than one `.dist-info` directory",
        );
        check(
            &wheel("demo", "1.1", &[]),
            "`demo-1.0-py3-none-any.whl` has a directory `demo-1.1.dist-info` that is not of demo 1.0",
        );
        check_files(
            &[("other-1.data/data/x", "x")],
            "`demo-1.0-py3-none-any.whl` has a directory `other-1.data` that is not of demo 1.0",
        );
        check_files(
            &[("demo-1.0.data/data/x", "x"), ("Demo-1.data/data/x", "x")],
            "`demo-1.0-py3-none-any.whl` has more than one `.data` directory",
        );
    }

    #[test]
    fn wheel_and_metadata() {
        let member = |file: &str, what: &str| {
            format!("member `demo-1.0.dist-info/{file}` of `demo-1.0-py3-none-any.whl` {what}")
        };
        let known = "has the `Wheel-Version` `2.0`, and only 1.x is known";
        let files = [("demo-1.0.dist-info/WHEEL", "Wheel-Version: 2.0\n")];
        check_files(&files, &member("WHEEL", known));
        let files = [("demo-1.0.dist-info/METADATA", "Name: other\nVersion: 1.0\n")];
        check_files(&files, &member("METADATA", "is of `other 1.0`, not of `demo 1.0`"));
        let files = [("demo-1.0.dist-info/METADATA", "Name: demo\nVersion: one\n")];
        check_files(&files, &member("METADATA", "is of `demo one`, not of `demo 1.0`"));
        let files = [("demo-1.0.dist-info/METADATA", "Name: demo\n")];
        check_files(&files, "`demo-1.0-py3-none-any.whl`: METADATA has no `Version`");
        let latin: [(&str, &[u8]); 1] = [("demo-1.0.dist-info/METADATA", b"Name: d\xe4mo\n")];
        check(&wheel("demo", "1.0", &latin), &member("METADATA", "is not UTF-8"));
        for (at, file) in ["METADATA", "WHEEL", "RECORD"].iter().enumerate() {
            let mut zip = demo(&[]);
            zip.parts.remove(at);
            check(&zip, &member(file, "is missing"));
        }
        let files = [("demo-1.0.dist-info/entry_points.txt", "[console_scripts]\n../x = a:b\n")];
        check_files(
            &files,
            "`demo-1.0-py3-none-any.whl`: entry point `../x = a:b` has a name that is not a file name of \
             letters, digits, `.`, `_` and `-`",
        );
    }

    #[test]
    fn record_lists_everything_truly() {
        let a = |what: &str| format!("member `a.py` of `demo-1.0-py3-none-any.whl` {what}");
        let with = |line: &str, what: &str| check(&recorded(&(line.to_owned() + &rest())), what);
        with("", &a("is not listed in RECORD"));
        with("a.py,,\n", &a("has no hash in RECORD"));
        with("a.py,md5=x,1\n", &a("has a hash in RECORD that is not trusted: `md5`"));
        with("a.py,sha256=x,2\n", &a("is of size 1, and RECORD says 2"));
        with("a.py,sha256=x,1\n", &a("does not match its sha256 in RECORD"));
        with("a.py,sha512=x,1\n", &a("does not match its sha512 in RECORD"));
        for listed in ["b.py", "./a.py", "../a.py", "/a.py"] {
            let missing = "is listed in RECORD and missing";
            with(
                &format!("{listed},sha256=x,1\n"),
                &format!("member `{listed}` of `demo-1.0-py3-none-any.whl` {missing}"),
            );
        }
        let record =
            |what: &str| format!("member `{RECORD}` of `demo-1.0-py3-none-any.whl` {what}");
        with("a.py,sha256=x,1\na.py,sha256=x,1\n", &record("lists `a.py` twice"));
        with("\"a.py\"x,sha256=x,1\n", &record("has text after a closing quote"));
        with("a.py,sha256=x\n", &record("has a line of other than three fields"));
    }

    #[test]
    fn signatures_need_no_hash() {
        let mut zip = demo(&[("demo.py", "x")]);
        for name in ["RECORD.jws", "RECORD.p7s"] {
            zip.parts.push(Part::stored(&format!("demo-1.0.dist-info/{name}"), b"signature"));
        }
        assert!(take(NAME, &zip.bytes()).is_ok());
        zip.parts.push(Part::stored("other/RECORD.jws", b"signature"));
        check(
            &zip,
            "member `other/RECORD.jws` of `demo-1.0-py3-none-any.whl` is not listed in RECORD",
        );
    }

    #[test]
    fn bytes_behind_a_compressed_stream_are_found() {
        let mut zip = demo(&[("demo.py", "text")]);
        let mut part = Part::deflated("demo.py", b"text");
        part.stored.extend(b"more");
        zip.parts[0] = part.both(|header| header.stored_len += 4);
        check(
            &zip,
            "member `demo.py` of `demo-1.0-py3-none-any.whl` is corrupt: \
             compressed data ends before the member does",
        );
    }

    #[test]
    fn content_is_read_by_verify() {
        let mut zip = demo(&[("demo.py", "text")]);
        zip.parts[0] = zip.parts[0].clone().both(|header| header.crc32 ^= 1);
        check(&zip, "member `demo.py` of `demo-1.0-py3-none-any.whl` has a wrong checksum");
    }

    #[test]
    fn no_input_panics() {
        let launcher = "[console_scripts]\nrun = demo:main\n";
        let bytes = demo(&[
            ("demo/__init__.py", "def main(): pass\n"),
            ("demo-1.0.data/scripts/x", "#!python\n"),
            ("demo-1.0.dist-info/entry_points.txt", launcher),
        ])
        .bytes();
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { prefix: PkgPath::new("opt/app").unwrap(), minor: "3.11".to_owned() };
        let mut random = 0x2545_F491_4F6C_DD1D_u64;
        let mut next = |limit: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % limit as u64) as usize
        };
        for _ in 0..4000 {
            let mut mutant = bytes.clone();
            for _ in 0..=next(3) {
                let at = next(mutant.len());
                match next(4) {
                    0 => mutant.truncate(at + 1),
                    1 => mutant[at] = 0xff,
                    2 => mutant[at] = 0,
                    _ => mutant[at] ^= 1 << next(8),
                }
            }
            let path = write(dir.path(), NAME, &mutant);
            if let Ok(wheel) = Wheel::open(&path) {
                let _ = wheel.verify(b"", &mut |_, _| ());
                let _ = install(&wheel, &layout, None);
            }
            // File systems sync a file that is overwritten, and that takes its time.
            std::fs::remove_file(&path).unwrap();
        }
    }
}
