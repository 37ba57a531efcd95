//! The payload's container, a cpio archive in the format `newc`: members written, and read without trust.
//!
//! Knows of the header's file list only that a member can stand for its number there.

use std::io::{self, Read, Write};

use crate::error::UserError;

/// `newc`, `newc` with checksums nobody fills in, and rpm's own: nothing but the number of the file.
const PLAIN: &[u8; 6] = b"070701";
const CHECKED: &[u8; 6] = b"070702";
const STRIPPED: &[u8; 6] = b"07070X";
const TRAILER: &str = "TRAILER!!!";
/// Fields of eight hexadecimal digits after the magic.
const FIELDS: usize = 13;
const NAME_LIMIT: u32 = 64 << 10;

/// What a member is, beside its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    pub(super) form: Form,
    /// Its name, which begins with `./`.
    pub(super) name: &'a str,
    /// Type and permission bits.
    pub(super) mode: u32,
}

/// How the header of a member is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As any archive has it; no two members are one file.
    Plain { inode: u32, mtime: u32 },
    /// As its number in the package's list of files, from 0.
    Stripped { index: u32 },
}

/// Begins a member of `len` bytes, which are to follow: root:root.
pub(super) fn open(out: &mut dyn Write, member: Member, len: u64) -> io::Result<()> {
    match member.form {
        Form::Stripped { index } => {
            out.write_all(STRIPPED)?;
            write!(out, "{index:08x}")?;
            pad(out, STRIPPED.len() as u64 + 8)
        }
        Form::Plain { inode, mtime } => {
            let len = u32::try_from(len).map_err(io::Error::other)?;
            header(out, member.name, [inode, member.mode, mtime, len, 1])
        }
    }
}

/// Ends a member of `len` bytes.
pub(super) fn close(out: &mut dyn Write, len: u64) -> io::Result<()> {
    pad(out, len)
}

/// What an archive ends with.
pub(super) fn end() -> Vec<u8> {
    let mut end = Vec::new();
    header(&mut end, TRAILER, [0; 5]).expect("writing to memory cannot fail");
    end
}

fn header(
    out: &mut dyn Write,
    name: &str,
    [inode, mode, mtime, len, device]: [u32; 5],
) -> io::Result<()> {
    let name_len = u32::try_from(name.len() + 1).map_err(io::Error::other)?;
    let (owner, group, links, none) = (0, 0, 1, 0);
    let fields: [u32; FIELDS] =
        [inode, mode, owner, group, links, mtime, len, none, device, none, none, name_len, none];
    out.write_all(PLAIN)?;
    for field in fields {
        write!(out, "{field:08x}")?;
    }
    out.write_all(name.as_bytes())?;
    out.write_all(&[0])?;
    pad(out, (PLAIN.len() + FIELDS * 8) as u64 + u64::from(name_len))
}

/// Zeros up to the next multiple of four after `len` bytes.
fn pad(out: &mut dyn Write, len: u64) -> io::Result<()> {
    out.write_all(&[0; 3][..padding(len)])
}

fn padding(len: u64) -> usize {
    (len.next_multiple_of(4) - len) as usize
}

/// How a member that was read is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// As any archive does.
    Text(String),
    /// By its number in the package's list of files; nothing else is known of it, not even its length.
    Index(u32),
}

/// Reads an archive of unknown origin.
pub(super) struct CpioReader<R> {
    input: R,
    /// How many more bytes may come out of `input`.
    budget: u64,
    /// Bytes of the current member still in `input`, and of the padding after them.
    left: u64,
    padding: usize,
}

impl<R: Read> CpioReader<R> {
    pub(super) fn new(input: R, budget: u64) -> Self {
        Self { input, budget, left: 0, padding: 0 }
    }

    /// Name and length of the next member; `None` at the end, when the stream is known to be whole.
    pub(super) fn next(&mut self) -> Result<Option<(Name, u64)>, UserError> {
        self.copy_content(&mut io::sink())?;
        let magic: [u8; 6] = self.take()?;
        if &magic == STRIPPED {
            let [index] = self.fields()?;
            self.skip_padding(STRIPPED.len() as u64 + 8)?;
            return Ok(Some((Name::Index(index), 0)));
        }
        if &magic != PLAIN && &magic != CHECKED {
            return Err(fault("a member begins with something else than its magic number"));
        }
        let [_, _, _, _, _, _, len, _, _, _, _, name_len, _] = self.fields()?;
        let name = self.name(name_len)?;
        if name == TRAILER {
            self.drain()?;
            return Ok(None);
        }
        self.expect_content(u64::from(len))?;
        Ok(Some((Name::Text(name), u64::from(len))))
    }

    /// Sets the length of a member that does not tell it.
    pub(super) fn expect_content(&mut self, len: u64) -> Result<(), UserError> {
        if len > self.budget {
            return Err(fault("it holds more than a package of this size can hold"));
        }
        (self.left, self.padding) = (len, padding(len));
        Ok(())
    }

    /// Copies the content of the current member, or what is left of it, into `sink`.
    pub(super) fn copy_content(&mut self, sink: &mut dyn Write) -> Result<(), UserError> {
        let mut buffer = [0; 16 << 10];
        while self.left > 0 {
            let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.fill(&mut buffer[..want])?;
            let written = sink.write_all(&buffer[..want]);
            written.map_err(|error| fault(&format!("cannot write to the spool: {error}")))?;
            self.left -= want as u64;
        }
        let padding = std::mem::take(&mut self.padding);
        self.fill(&mut [0; 3][..padding])
    }

    fn name(&mut self, len: u32) -> Result<String, UserError> {
        if len == 0 || len > NAME_LIMIT {
            return Err(fault("a name has an impossible length"));
        }
        let mut bytes = vec![0; len as usize];
        self.fill(&mut bytes)?;
        self.skip_padding((PLAIN.len() + FIELDS * 8) as u64 + u64::from(len))?;
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        String::from_utf8(bytes).map_err(|error| {
            let name = String::from_utf8_lossy(error.as_bytes()).escape_debug().to_string();
            fault(&format!("name `{name}` is not UTF-8"))
        })
    }

    fn fields<const N: usize>(&mut self) -> Result<[u32; N], UserError> {
        let mut fields = [0; N];
        for field in &mut fields {
            let digits: [u8; 8] = self.take()?;
            for digit in digits {
                let value = char::from(digit).to_digit(16);
                *field = *field << 4 | value.ok_or_else(|| fault("a number is damaged"))?;
            }
        }
        Ok(fields)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], UserError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes).map(|()| bytes)
    }

    fn skip_padding(&mut self, len: u64) -> Result<(), UserError> {
        self.fill(&mut [0; 3][..padding(len)])
    }

    /// Reads to the end of what is compressed, so that its checksums are verified.
    fn drain(&mut self) -> Result<(), UserError> {
        let rest = io::copy(&mut (&mut self.input).take(self.budget), &mut io::sink());
        rest.map(drop).map_err(|error| fault(&error.to_string()))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), UserError> {
        let budget = self.budget.checked_sub(buffer.len() as u64);
        self.budget =
            budget.ok_or_else(|| fault("it holds more than a package of this size can hold"))?;
        self.input.read_exact(buffer).map_err(|error| {
            let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
            if is_end { fault("it is cut short") } else { fault(&error.to_string()) }
        })
    }
}

fn fault(what: &str) -> UserError {
    UserError::input(format!("cannot read the payload: {what}"))
}

#[cfg(test)]
mod tests {
    use crate::backend::rpm::cpio::{CpioReader, Form, Member, Name, close, end, open};

    const BUDGET: u64 = 1 << 20;

    fn archive(is_stripped: bool) -> Vec<u8> {
        let mut archive = Vec::new();
        for (index, (name, content)) in [("./a", "xyz"), ("./dir/longer", "")].iter().enumerate() {
            let index = index as u32;
            let plain = Form::Plain { inode: index + 1, mtime: 9 };
            let form = if is_stripped { Form::Stripped { index } } else { plain };
            let member = Member { form, name, mode: 0o100_644 };
            let len = content.len() as u64;
            open(&mut archive, member, len).unwrap();
            archive.extend(content.as_bytes());
            close(&mut archive, len).unwrap();
        }
        archive.extend(end());
        archive
    }

    #[test]
    fn known_bytes() {
        let expected = concat!(
            "070701",
            "00000001000081a400000000000000000000000100000009",
            "00000003000000000000000100000000000000000000000400000000",
            "./a\0\0\0xyz\0"
        );
        let archive = archive(false);
        assert_eq!(String::from_utf8_lossy(&archive[..expected.len()]), expected);
        assert!(archive.ends_with(b"TRAILER!!!\0\0\0\0"));
        assert_eq!(archive.len() % 4, 0);
    }

    #[test]
    fn members_come_back() {
        let bytes = archive(false);
        let mut cpio = CpioReader::new(&bytes[..], BUDGET);
        assert_eq!(cpio.next().unwrap(), Some((Name::Text("./a".to_owned()), 3)));
        let mut content = Vec::new();
        cpio.copy_content(&mut content).unwrap();
        assert_eq!(content, b"xyz");
        assert_eq!(cpio.next().unwrap(), Some((Name::Text("./dir/longer".to_owned()), 0)));
        assert_eq!(cpio.next().unwrap(), None);
    }

    /// rpm's own form for files of more than 4 GiB: the reader is told the lengths.
    #[test]
    fn members_without_lengths() {
        let bytes = archive(true);
        assert_eq!(&bytes[..20], b"07070X00000000\0\0xyz\0");
        let mut cpio = CpioReader::new(&bytes[..], BUDGET);
        assert_eq!(cpio.next().unwrap(), Some((Name::Index(0), 0)));
        cpio.expect_content(3).unwrap();
        assert_eq!(cpio.next().unwrap(), Some((Name::Index(1), 0)));
        assert_eq!(cpio.next().unwrap(), None);
    }

    fn check(change: impl Fn(&mut Vec<u8>), part: &str) {
        let mut bytes = archive(false);
        change(&mut bytes);
        let mut cpio = CpioReader::new(&bytes[..], BUDGET);
        let error = loop {
            match cpio.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it was read to its end"),
                Err(error) => break error,
            }
        };
        assert!(error.message.contains(part), "{}", error.message);
    }

    #[test]
    fn hostile_archives() {
        check(|bytes| bytes.truncate(50), "cut short");
        check(|bytes| bytes.truncate(bytes.len() - 20), "cut short");
        check(|bytes| bytes[5] = b'7', "magic number");
        check(|bytes| bytes[9] = b'x', "number is damaged");
        check(|bytes| bytes[9] = 0xff, "number is damaged");
        check(|bytes| bytes[54..62].fill(b'f'), "more than a package");
        check(|bytes| bytes[94..102].fill(b'f'), "impossible length");
        check(|bytes| bytes[94..102].fill(b'0'), "impossible length");
        check(|bytes| bytes[112] = 0xff, "is not UTF-8");
    }
}
