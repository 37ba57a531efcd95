//! The names of entries: digests of everything that decides what is in them.

use crate::digest::Hasher;

/// What an entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Compressed bytes of a part of a package.
    Segment,
    /// Byte code.
    ByteCode,
    /// What was found out about a wheel.
    Facts,
    /// SHA-256 of a file, by what it is on disk.
    Digest,
    /// SHA-256 of a package, by all that decides its bytes.
    Package,
}

impl Kind {
    /// Name of its directory. The number grows whenever an entry comes to mean something else, so that no mkpkg reads what
    /// another one meant otherwise.
    pub(super) fn dir(self) -> &'static str {
        match self {
            Self::Segment => "segments-2",
            Self::ByteCode => "bytecode-1",
            Self::Facts => "facts-1",
            Self::Digest => "digests-1",
            Self::Package => "packages-1",
        }
    }
}

/// The name of an entry: a digest of everything that decides what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub(super) kind: Kind,
    pub(super) digest: [u8; 32],
}

impl Key {
    /// The key of the entry of this kind that `parts` decide.
    pub fn new<P: AsRef<[u8]>>(kind: Kind, parts: &[P]) -> Self {
        let mut all = Parts::new(kind);
        for part in parts {
            all.add(part.as_ref());
        }
        all.key()
    }

    /// The digest of everything that decides what is in the entry.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Hashes content that belongs to this key: that of another does not pass for it.
    pub(super) fn hasher(&self) -> Hasher {
        let mut hasher = Hasher::sha256();
        hasher.update(&self.digest);
        hasher
    }
}

/// What decides an entry, part by part.
#[derive(Debug)]
pub struct Parts {
    kind: Kind,
    hasher: Hasher,
    /// What is still to be hashed: parts are many and short.
    pending: Vec<u8>,
}

/// Bytes of parts that are hashed at once.
const HASHED: usize = 16 << 10;

impl Parts {
    /// Nothing but the kind of the entry.
    pub fn new(kind: Kind) -> Self {
        let pending = format!("mkpkg {}\n", kind.dir()).into_bytes();
        Self { kind, hasher: Hasher::sha256(), pending }
    }

    /// One part more.
    pub fn add(&mut self, part: &[u8]) {
        self.pending.extend((part.len() as u64).to_le_bytes());
        self.pending.extend(part);
        if self.pending.len() > HASHED {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
    }

    /// The key of all of them.
    pub fn key(mut self) -> Key {
        self.hasher.update(&self.pending);
        let digest = self.hasher.finish().try_into().expect("SHA-256 has 32 bytes");
        Key { kind: self.kind, digest }
    }
}
