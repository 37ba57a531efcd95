//! The list of files in a header of unknown origin, and which of them the payload has brought already.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::backend::rpm::header::Header;
use crate::backend::rpm::payload::{FILE, GHOST, TYPE};
use crate::backend::rpm::tags;
use crate::error::UserError;
use crate::package::Ownership;
use crate::tree::PkgPath;

/// MD5, which stands in packages that name no other.
const MD5: u64 = 1;

/// A file of the list.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) path: PkgPath,
    /// Type and permission bits.
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) digest: String,
    pub(super) target: String,
    pub(super) flags: u32,
    /// Whether other names of the list are the same file.
    pub(super) has_twins: bool,
    /// Whether it is the last of them, which brings the content.
    is_last: bool,
    inode: (u64, u64),
    number: usize,
}

/// All files of a package.
#[derive(Debug)]
pub(super) struct FileList {
    files: Vec<Stored>,
    numbers: BTreeMap<String, usize>,
    is_taken: Vec<bool>,
    /// Names that wait for the content that the last of their twins brings.
    waiting: BTreeMap<(u64, u64), Vec<usize>>,
    /// OpenPGP's number of the algorithm of their digests.
    pub(super) digest_algorithm: u64,
}

impl FileList {
    /// The list of `header`.
    pub(super) fn new(header: &Header) -> Result<Self> {
        let paths = paths(header)?;
        let column = |tag: u32| -> Result<Vec<u64>> { whole(header.numbers(tag)?, paths.len()) };
        let texts = |tag: u32| -> Result<Vec<String>> { whole(header.texts(tag)?, paths.len()) };
        let (modes, flags) = (column(tags::FILE_MODES)?, column(tags::FILE_FLAGS)?);
        let (digests, targets) = (texts(tags::FILE_DIGESTS)?, texts(tags::FILE_LINKS)?);
        let (devices, inodes) = (column(tags::FILE_DEVICES)?, column(tags::FILE_INODES)?);
        let mut sizes = header.numbers(tags::LONG_FILE_SIZES)?;
        if sizes.is_empty() {
            sizes = header.numbers(tags::FILE_SIZES)?;
        }
        let sizes = whole(sizes, paths.len())?;
        let mut list = Self {
            files: Vec::new(),
            numbers: BTreeMap::new(),
            is_taken: vec![false; paths.len()],
            waiting: BTreeMap::new(),
            digest_algorithm: MD5,
        };
        if let Some(algorithm) = header.numbers(tags::FILE_DIGEST_ALGORITHM)?.first() {
            list.digest_algorithm = *algorithm;
        }
        let mut names: BTreeMap<(u64, u64), (u32, usize)> = BTreeMap::new();
        for (number, path) in paths.into_iter().enumerate() {
            let path = PkgPath::new(&path)?;
            if list.numbers.insert(path.as_str().to_owned(), number).is_some() {
                return Err(UserError::input(format!("`{path}` is listed twice")).into());
            }
            let inode = (devices[number], inodes[number]);
            // Both numbers fit: modes have 16 bits in the format, flags 32.
            let [mode, flags] = [modes[number], flags[number]].map(|number| number as u32);
            if mode & TYPE == FILE && flags & GHOST == 0 {
                let (count, last) = names.entry(inode).or_default();
                (*count, *last) = (*count + 1, number);
            }
            let (digest, target) = (digests[number].clone(), targets[number].clone());
            let (size, has_twins, is_last) = (sizes[number], false, true);
            list.files.push(Stored {
                path,
                mode,
                size,
                digest,
                target,
                flags,
                has_twins,
                is_last,
                inode,
                number,
            });
        }
        for file in &mut list.files {
            if let Some((count, last)) = names.get(&file.inode) {
                (file.has_twins, file.is_last) = (*count > 1, *last == file.number);
            }
        }
        Ok(list)
    }

    /// Whose the files are, where they are not root's alone.
    pub(super) fn owners(&self, header: &Header) -> Result<BTreeMap<PkgPath, Ownership>> {
        let column = |tag: u32, usual: &str| -> Result<Vec<String>> {
            match header.texts(tag)? {
                none if none.is_empty() => Ok(vec![usual.to_owned(); self.files.len()]),
                some => whole(some, self.files.len()),
            }
        };
        let users = column(tags::FILE_USERS, "root")?;
        let groups = column(tags::FILE_GROUPS, "root")?;
        let capabilities = column(tags::FILE_CAPS, "")?;
        let each = users.into_iter().zip(groups).zip(capabilities).zip(&self.files);
        let owners = each.filter_map(|(((user, group), capabilities), file)| {
            Some((file.path.clone(), Ownership::new(user, group, capabilities)?))
        });
        Ok(owners.collect())
    }

    /// The file a member of this name is; each is there once.
    pub(super) fn take(&mut self, name: &str) -> Result<Stored> {
        let path = name.strip_prefix("./").or_else(|| name.strip_prefix('/')).unwrap_or(name);
        match self.numbers.get(path) {
            Some(number) => self.take_number(*number),
            None => {
                let name = name.escape_debug();
                Err(UserError::input(format!("`{name}` is in the payload and not listed")).into())
            }
        }
    }

    /// The file a member of this number is, and the length of the member.
    pub(super) fn take_at(&mut self, number: u32) -> Result<(Stored, u64)> {
        if number as usize >= self.files.len() {
            let message = format!("file {number} is in the payload and not listed");
            return Err(UserError::input(message).into());
        }
        let file = self.take_number(number as usize)?;
        let len = if !file.has_twins || file.is_last { file.size } else { 0 };
        Ok((file, len))
    }

    fn take_number(&mut self, number: usize) -> Result<Stored> {
        let file = self.files[number].clone();
        if std::mem::replace(&mut self.is_taken[number], true) {
            return Err(UserError::input(format!("`{}` is there twice", file.path)).into());
        }
        Ok(file)
    }

    /// Keeps a name until a twin of it brings the content.
    pub(super) fn postpone(&mut self, file: &Stored) {
        self.waiting.entry(file.inode).or_default().push(file.number);
    }

    /// The names that `file`, whose content is there now, gives it to: its own, and those of its twins that waited.
    pub(super) fn twins(&mut self, file: &Stored) -> Vec<Stored> {
        let waiting = if file.has_twins { self.waiting.remove(&file.inode) } else { None };
        let waiting =
            waiting.unwrap_or_default().into_iter().map(|number| self.files[number].clone());
        waiting.chain([file.clone()]).collect()
    }

    /// Whether all that is listed was there; ghosts are nothing a payload brings.
    pub(super) fn finish(&self) -> Result<()> {
        let waiting = self.waiting.values().flatten().next().map(|number| &self.files[*number]);
        let is_missing = |file: &&Stored| !self.is_taken[file.number] && file.flags & GHOST == 0;
        let missing = waiting.or_else(|| self.files.iter().find(is_missing));
        match missing {
            None => Ok(()),
            Some(file) => {
                let message = format!("`{}` is listed and not in the payload", file.path);
                Err(UserError::input(message).into())
            }
        }
    }
}

/// Absolute paths, put together from the names of directories and those of files.
fn paths(header: &Header) -> Result<Vec<String>> {
    let dirs = header.texts(tags::DIR_NAMES)?;
    let indexes = header.numbers(tags::DIR_INDEXES)?;
    let names = header.texts(tags::BASE_NAMES)?;
    let indexes = whole(indexes, names.len())?;
    let join = |(name, index): (&String, &u64)| {
        let dir = usize::try_from(*index).ok().and_then(|index| dirs.get(index));
        dir.map(|dir| format!("{dir}{name}")).ok_or_else(damaged)
    };
    names.iter().zip(&indexes).map(join).collect()
}

/// A column of the list; one that is shorter or longer than the others makes it a damaged list.
fn whole<T>(column: Vec<T>, len: usize) -> Result<Vec<T>> {
    if column.len() == len { Ok(column) } else { Err(damaged()) }
}

fn damaged() -> anyhow::Error {
    UserError::input("the list of files is damaged").into()
}
