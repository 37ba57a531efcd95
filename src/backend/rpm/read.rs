//! Reads an .rpm of unknown origin: every length is checked, every name is a package path, digests must be right, and
//! the payload must hold just what the header lists.
//!
//! Refuses what the tree has no entry for, such as devices.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};

use crate::backend::rpm::cpio::{CpioReader, Name};
use crate::backend::rpm::dependency::Dependency;
use crate::backend::rpm::files::{FileList, Stored};
use crate::backend::rpm::header::Header;
use crate::backend::rpm::openpgp::Signature;
use crate::backend::rpm::payload::{CONFIG, DIR, DOC, FILE, LINK, TYPE};
use crate::backend::rpm::tags::DependencyTags;
use crate::backend::rpm::{LEAD, LEAD_MAGIC, tags};
use crate::codec::{Method, decompress};
use crate::digest::{Hasher, HashingWriter, base64, hex, sha256};
use crate::error::UserError;
use crate::package::Package;
use crate::parallel::ahead;
use crate::tree::content::Content;
use crate::tree::{Entry, MAX_PATH, Role, Tree};

/// What a payload may unpack to: this much, and so many times its own size.
const PAYLOAD_FLOOR: u64 = 4 << 30;
const PAYLOAD_RATIO: u64 = 250;

/// Whether a file begins as an .rpm does.
pub(super) fn recognises(input: &File) -> bool {
    let mut magic = [0; 4];
    input.read_exact_at(&mut magic, 0).is_ok() && magic == LEAD_MAGIC
}

/// Reads a package; file content goes to `spool`.
pub(super) fn read(input: File, spool: File) -> Result<Package> {
    let end = input.metadata().context("cannot read the package")?.len();
    if !recognises(&input) {
        return Err(UserError::input("this is no .rpm: it does not begin as one").into());
    }
    let signature = Header::read(&input, LEAD as u64, end).context("cannot read the signature")?;
    let start = (LEAD + signature.bytes.len()).next_multiple_of(8) as u64;
    let header = Header::read(&input, start, end)?;
    verify_header(&signature, &header)?;
    let offset = start + header.bytes.len() as u64;
    let len = end - offset;
    let file = Arc::new(input);
    let payload =
        Content::Span { file, offset, stored_len: len, len, deflated: false, sha256: None };
    verify_payload(&header, &payload)?;
    let text = |tag| Ok::<_, anyhow::Error>(header.text(tag)?.unwrap_or_default());
    let origin = format!("{} {}", text(tags::NAME)?, text(tags::VERSION)?);
    let (method, compression) = method(&payload)?;
    let budget = PAYLOAD_FLOOR.saturating_add(len.saturating_mul(PAYLOAD_RATIO));
    let list = FileList::new(&header)?;
    let mut owners = list.owners(&header)?;
    let unpack = Unpack { spool: Arc::new(spool), end: 0, origin: Arc::from(origin), list };
    let tree = thread::scope(|scope| {
        let stream = ahead(scope, || decompress(payload.open()?, method));
        unpack.read_all(CpioReader::new(stream, budget))
    })?;
    // Ghosts are listed, and no package has them.
    owners.retain(|path, _| tree.get(path).is_some());
    Ok(Package {
        tree,
        owners,
        fields: fields(&header, &signatures(&signature)?)?,
        scripts: scripts(&header)?,
        compression: compression.to_owned(),
    })
}

/// The better of the two digests the signature has of the header must be that of the header.
fn verify_header(signature: &Header, header: &Header) -> Result<()> {
    let found = if let Some(listed) = signature.text(tags::SHA256_HEADER)? {
        Some((listed, hex(&sha256(&header.bytes))))
    } else if let Some(listed) = signature.text(tags::SHA1_HEADER)? {
        let mut sha1 = Hasher::sha1();
        sha1.update(&header.bytes);
        Some((listed, hex(&sha1.finish())))
    } else {
        None
    };
    match found {
        Some((listed, found)) if listed != found => {
            Err(UserError::input("the header is damaged: its digest is another").into())
        }
        Some(_) | None => Ok(()),
    }
}

fn verify_payload(header: &Header, payload: &Content) -> Result<()> {
    let algorithm = header.numbers(tags::PAYLOAD_DIGEST_ALGORITHM)?.first().copied();
    let (Some(listed), Some(hasher)) =
        (header.text(tags::PAYLOAD_DIGEST)?, algorithm.and_then(hasher))
    else {
        return Ok(());
    };
    let found = payload.open().and_then(|mut stream| hasher.read(&mut stream));
    if hex(&found.context("cannot read the payload")?.0) != listed {
        let message = "the payload is damaged or cut short: its digest is another";
        return Err(UserError::input(message).into());
    }
    Ok(())
}

/// The hasher OpenPGP has under this number (RFC 4880, 9.4); `None` for those nobody uses.
fn hasher(algorithm: u64) -> Option<Hasher> {
    match algorithm {
        1 => Some(Hasher::md5()),
        2 => Some(Hasher::sha1()),
        8 => Some(Hasher::sha256()),
        9 => Hasher::strong("sha384"),
        10 => Hasher::strong("sha512"),
        _ => None,
    }
}

/// The method the first bytes of the payload tell; rpm itself does not always say it right.
fn method(payload: &Content) -> Result<(Method, &'static str)> {
    let mut start = Vec::new();
    let read = payload.open().and_then(|stream| stream.take(6).read_to_end(&mut start));
    read.context("cannot read the payload")?;
    Ok(match start[..] {
        [0x1f, 0x8b, ..] => (Method::Gzip, "gzip"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => (Method::Xz, "xz"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => (Method::Zstd, "zstd"),
        [0x5d, 0, 0, ..] => (Method::Lzma, "lzma"),
        [b'0', b'7', b'0', b'7', ..] => (Method::None, "none"),
        [b'B', b'Z', b'h', ..] => (Method::Bzip2, "bzip2"),
        _ => {
            let message = "the payload is cut short, or compressed in a way that is not known";
            return Err(UserError::input(message).into());
        }
    })
}

/// A payload on its way into a tree.
struct Unpack {
    spool: Arc<File>,
    /// Bytes written to the spool.
    end: u64,
    origin: Arc<str>,
    list: FileList,
}

impl Unpack {
    fn read_all<R: Read>(mut self, mut cpio: CpioReader<R>) -> Result<Tree> {
        let mut tree = Tree::new();
        while let Some((name, len)) = cpio.next()? {
            let (file, len) = match name {
                Name::Text(name) => (self.list.take(&name)?, len),
                Name::Index(index) => {
                    let (file, len) = self.list.take_at(index)?;
                    cpio.expect_content(len)?;
                    (file, len)
                }
            };
            let path = file.path.clone();
            self.add(&mut tree, &mut cpio, &file, len)
                .with_context(|| format!("cannot read `{path}`"))?;
        }
        self.list.finish()?;
        Ok(tree)
    }

    fn add<R: Read>(
        &mut self,
        tree: &mut Tree,
        cpio: &mut CpioReader<R>,
        file: &Stored,
        len: u64,
    ) -> Result<()> {
        let mode = file.mode & 0o7777;
        match file.mode & TYPE {
            DIR => tree.insert(file.path.clone(), Entry::Dir { mode }),
            LINK => tree.insert(file.path.clone(), link(cpio, file, len)?),
            FILE if len == 0 && file.size > 0 && file.has_twins => {
                self.list.postpone(file);
                Ok(())
            }
            FILE => {
                let content = self.spool(cpio, file, len)?;
                for file in self.list.twins(file) {
                    let entry = self.entry(&file, content.clone());
                    tree.insert(file.path, entry)?;
                }
                Ok(())
            }
            kind => {
                let message = format!("`{}` has type {kind:o}, a device or the like", file.path);
                Err(UserError::input(message).into())
            }
        }
    }

    fn entry(&self, file: &Stored, content: Content) -> Entry {
        let role = match file.flags {
            flags if flags & CONFIG != 0 => Role::Config,
            flags if flags & DOC != 0 => Role::Doc,
            _ => Role::Plain,
        };
        Entry::File {
            content,
            mode: file.mode & 0o7777,
            role,
            origin: Arc::clone(&self.origin),
            mtime: None,
        }
    }

    /// Moves the content of the current member to the end of the spool.
    fn spool<R: Read>(
        &mut self,
        cpio: &mut CpioReader<R>,
        file: &Stored,
        len: u64,
    ) -> Result<Content> {
        if len != file.size {
            let message = format!("`{}` is not as long as the header says", file.path);
            return Err(UserError::input(message).into());
        }
        let algorithm = hasher(self.list.digest_algorithm);
        let known = algorithm.clone().unwrap_or_else(Hasher::sha256);
        let mut sink = HashingWriter::new(&*self.spool, known);
        cpio.copy_content(&mut sink)?;
        let (_, digest, _) = sink.finish();
        if algorithm.is_some() && !file.digest.is_empty() && hex(&digest) != file.digest {
            let message = format!("`{}` is damaged: its digest is another", file.path);
            return Err(UserError::input(message).into());
        }
        let offset = self.end;
        self.end += len;
        let file = Arc::clone(&self.spool);
        Ok(Content::Span { file, offset, stored_len: len, len, deflated: false, sha256: None })
    }
}

fn link<R: Read>(cpio: &mut CpioReader<R>, file: &Stored, len: u64) -> Result<Entry> {
    let mut target = Vec::new();
    // Some write links without content; the header has the target in any case.
    if len > MAX_PATH as u64 {
        return Err(UserError::input(format!("the target of `{}` is too long", file.path)).into());
    }
    cpio.copy_content(&mut target)?;
    let is_same = target.is_empty() || target == file.target.as_bytes();
    if !is_same || file.target.is_empty() {
        let message = format!("link `{}` has no target, or two", file.path);
        return Err(UserError::input(message).into());
    }
    Ok(Entry::Symlink { target: file.target.clone() })
}

/// Where a field is from: a text, or a number that has a second tag for when it is large.
enum Source {
    Text(u32),
    Number(u32, u32),
}

/// What is shown of a package, in the words and the order of `rpm -qi`.
const FIELDS: [(&str, Source); 16] = [
    ("Name", Source::Text(tags::NAME)),
    ("Epoch", Source::Number(tags::EPOCH, tags::EPOCH)),
    ("Version", Source::Text(tags::VERSION)),
    ("Release", Source::Text(tags::RELEASE)),
    ("Architecture", Source::Text(tags::ARCH)),
    ("Group", Source::Text(tags::GROUP)),
    ("Size", Source::Number(tags::SIZE, tags::LONG_SIZE)),
    ("License", Source::Text(tags::LICENSE)),
    ("Source RPM", Source::Text(tags::SOURCE_RPM)),
    ("Build Time", Source::Number(tags::BUILD_TIME, tags::BUILD_TIME)),
    ("Build Host", Source::Text(tags::BUILD_HOST)),
    ("Packager", Source::Text(tags::PACKAGER)),
    ("Vendor", Source::Text(tags::VENDOR)),
    ("URL", Source::Text(tags::URL)),
    ("Summary", Source::Text(tags::SUMMARY)),
    ("Description", Source::Text(tags::DESCRIPTION)),
];

/// What the signatures of a package say of themselves. A reader without keys cannot tell whether one is good.
fn signatures(signature: &Header) -> Result<Vec<String>> {
    let told = |bytes: &[u8]| {
        let told = Signature::read(bytes).map(|read| read.to_string());
        format!("{}, not verified", told.as_deref().unwrap_or("of a form that is not known"))
    };
    let mut found = Vec::new();
    for tag in [tags::RSA_HEADER, tags::DSA_HEADER] {
        found.extend(signature.binary(tag)?.map(told));
    }
    for text in signature.texts(tags::OPENPGP)? {
        found.push(told(&base64(&text).unwrap_or_default()));
    }
    if found.is_empty() {
        for tag in [tags::SIG_PGP, tags::SIG_GPG] {
            found.extend(signature.binary(tag)?.map(told));
        }
    }
    Ok(found)
}

fn fields(header: &Header, signatures: &[String]) -> Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    for (name, source) in FIELDS {
        let value = match source {
            Source::Text(tag) => header.text(tag)?.filter(|text| !text.is_empty()),
            Source::Number(tag, long) => {
                let numbers = [header.numbers(tag)?, header.numbers(long)?].concat();
                numbers.first().map(ToString::to_string)
            }
        };
        fields.extend(value.map(|value| (name.to_owned(), indented(&value))));
        if name == "License" {
            fields.extend(signatures.iter().map(|told| ("Signature".to_owned(), told.clone())));
        }
    }
    for list in [
        tags::PROVIDES,
        tags::REQUIRES,
        tags::ORDERED,
        tags::RECOMMENDS,
        tags::SUGGESTS,
        tags::SUPPLEMENTS,
        tags::ENHANCES,
        tags::CONFLICTS,
        tags::OBSOLETES,
    ] {
        fields.extend(dependencies(header, list)?);
    }
    let names = header.texts(tags::CHANGELOG_NAME)?;
    let changes = names.iter().zip(header.texts(tags::CHANGELOG_TEXT)?);
    let changes = changes.map(|(who, text)| indented(&format!("{who}\n{text}")));
    fields.extend(changes.map(|text| ("Changelog".to_owned(), text)));
    Ok(fields)
}

fn dependencies(
    header: &Header,
    (names, versions, flags, label): DependencyTags,
) -> Result<Vec<(String, String)>> {
    let (names, versions) = (header.texts(names)?, header.texts(versions)?);
    let flags = header.numbers(flags)?;
    if names.len() != versions.len() || names.len() != flags.len() {
        return Err(UserError::input(format!("the list `{label}` is damaged")).into());
    }
    let each = names.into_iter().zip(versions).zip(flags);
    Ok(each
        .map(|((name, version), flags)| {
            let flags = u32::try_from(flags).unwrap_or(0);
            let dependency = Dependency { name, version, flags };
            (format!("{label}{}", dependency.times()), dependency.to_string())
        })
        .collect())
}

/// Scripts by name, each with the program that runs it in front, as files have it.
fn scripts(header: &Header) -> Result<BTreeMap<String, String>> {
    let mut scripts = BTreeMap::new();
    for (body, program, name) in tags::SCRIPTS {
        let (body, program) = (header.text(body)?, header.texts(program)?.join(" "));
        if body.is_some() || !program.is_empty() {
            let text = format!("#!{program}\n{}", body.unwrap_or_default());
            scripts.insert(name.to_owned(), text);
        }
    }
    for (bodies, programs, name) in tags::TRIGGERS {
        let programs = header.texts(programs)?;
        for (at, body) in header.texts(bodies)?.iter().enumerate() {
            let program = programs.get(at).map_or("", String::as_str);
            scripts.insert(format!("{name}-{}", at + 1), format!("#!{program}\n{body}"));
        }
    }
    Ok(scripts)
}

/// A text whose lines after the first begin with a blank, so that none looks like a field.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use crate::backend::rpm::cpio::{Form, Member, close, end, open};
    use crate::backend::rpm::header::{Region, Value, write};
    use crate::backend::rpm::read::read;
    use crate::backend::rpm::{LEAD, LEAD_MAGIC, tags};
    use crate::error::exit_code;

    /// A package of a directory, a file and a link, without the digests that would tell of every change.
    fn package() -> Vec<u8> {
        let text = |text: &str| Value::Text(text.to_owned());
        let texts = |all: &[&str]| Value::Texts(all.iter().map(|one| (*one).to_owned()).collect());
        let header = BTreeMap::from([
            (tags::NAME, text("acme")),
            (tags::VERSION, text("1")),
            (tags::RELEASE, text("1")),
            (tags::FILE_SIZES, Value::Int32(vec![0, 3, 4])),
            (tags::FILE_MODES, Value::Int16(vec![0o040_755, 0o100_644, 0o120_777])),
            (tags::FILE_DIGESTS, texts(&["", "", ""])),
            (tags::FILE_LINKS, texts(&["", "", "file"])),
            (tags::FILE_FLAGS, Value::Int32(vec![0, 0, 0])),
            (tags::FILE_USERS, texts(&["root", "acme", "root"])),
            (tags::FILE_GROUPS, texts(&["root", "root", "root"])),
            (tags::FILE_CAPS, texts(&["", "cap_net_raw=ep", ""])),
            (tags::TRIGGERS[0].0, texts(&["echo 1", "echo 2"])),
            (tags::TRIGGERS[0].1, texts(&["/bin/sh", "<lua>"])),
            (tags::FILE_DEVICES, Value::Int32(vec![1, 1, 1])),
            (tags::FILE_INODES, Value::Int32(vec![1, 2, 3])),
            (tags::DIR_INDEXES, Value::Int32(vec![0, 1, 1])),
            (tags::BASE_NAMES, texts(&["a", "file", "link"])),
            (tags::DIR_NAMES, texts(&["/opt/", "/opt/a/"])),
        ]);
        let mut cpio = Vec::new();
        let members = [
            ("./opt/a", 0o040_755, ""),
            ("./opt/a/file", 0o100_644, "xyz"),
            ("./opt/a/link", 0o120_777, "file"),
        ];
        for (index, (name, mode, content)) in members.into_iter().enumerate() {
            let form = Form::Plain { inode: index as u32 + 1, mtime: 0 };
            let member = Member { form, name, mode };
            open(&mut cpio, member, content.len() as u64).unwrap();
            cpio.extend(content.as_bytes());
            close(&mut cpio, content.len() as u64).unwrap();
        }
        let signature =
            write(Region::Signature, &BTreeMap::from([(tags::SIG_SIZE, Value::Int32(vec![0]))]));
        let mut bytes = LEAD_MAGIC.to_vec();
        bytes.resize(LEAD, 0);
        bytes.extend(signature);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(write(Region::Immutable, &header));
        bytes.extend(cpio);
        bytes.extend(end());
        bytes
    }

    #[test]
    fn owners_and_triggers() {
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(&package()).unwrap();
        let package = read(input, tempfile::tempfile().unwrap()).unwrap();
        let owners = package.owners.iter().map(|(path, owner)| format!("{path} {owner}"));
        assert_eq!(owners.collect::<Vec<_>>(), ["/opt/a/file acme:root cap_net_raw=ep"]);
        let scripts = package.scripts.iter().map(|(name, text)| format!("{name}: {text}"));
        let expected = ["trigger-1: #!/bin/sh\necho 1", "trigger-2: #!<lua>\necho 2"];
        assert_eq!(scripts.collect::<Vec<_>>(), expected);
    }

    fn attempt(bytes: &[u8]) -> bool {
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(bytes).unwrap();
        match read(input, tempfile::tempfile().unwrap()) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(exit_code(&error), 3, "{error:#}");
                false
            }
        }
    }

    #[test]
    fn damage_never_panics() {
        let whole = package();
        assert!(attempt(&whole));
        let mut read = 0;
        for at in 0..whole.len() {
            if at % 8 == 0 {
                attempt(&whole[..at]);
            }
            for value in [0, 0x7f, 0xff, whole[at] ^ 1 << (at % 8)] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                read += u32::from(attempt(&bytes));
            }
        }
        // The lead, and what stands for owners and times, may be anything.
        assert!(read > 100, "{read}");
    }
}
