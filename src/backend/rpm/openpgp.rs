//! What an OpenPGP signature says of itself: which kind of key made it, and whose that is (RFC 4880, RFC 9580).
//!
//! Verifies nothing, and reads hostile bytes: what does not fit is `None`.

use crate::digest::hex;

/// What a signature packet tells to anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// Version of the packet.
    pub(super) version: u8,
    /// Number of the kind of key (RFC 4880, 9.1).
    pub(super) algorithm: u8,
    /// Number of the digest (RFC 4880, 9.4).
    hash: u8,
    /// The last eight bytes of the key's fingerprint, where they are told.
    key_id: Option<String>,
}

impl Signature {
    /// Reads a signature, which must be the only packet.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let body = packet(bytes)?;
        match *body {
            // RFC 4880, 5.2.2: length, type, time, key ID, key, digest.
            [3, 5, _, _, _, _, _, a, b, c, d, e, f, g, h, algorithm, hash, ..] => {
                let key_id = Some(hex(&[a, b, c, d, e, f, g, h]));
                Some(Self { version: 3, algorithm, hash, key_id })
            }
            // RFC 4880, 5.2.3: type, key, digest, then two lists, each with its length.
            [4, _, algorithm, hash, ..] => {
                let key_id = key_id(&body[4..]);
                Some(Self { version: 4, algorithm, hash, key_id })
            }
            [version, _, algorithm, hash, ..] => {
                Some(Self { version, algorithm, hash, key_id: None })
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.algorithm {
            1 | 3 => f.write_str("RSA"),
            17 => f.write_str("DSA"),
            19 => f.write_str("ECDSA"),
            22 | 27 => f.write_str("EdDSA"),
            other => write!(f, "algorithm {other}"),
        }?;
        match self.hash {
            1 => f.write_str("/MD5"),
            2 => f.write_str("/SHA1"),
            8 => f.write_str("/SHA256"),
            9 => f.write_str("/SHA384"),
            10 => f.write_str("/SHA512"),
            11 => f.write_str("/SHA224"),
            other => write!(f, "/digest {other}"),
        }?;
        match &self.key_id {
            Some(id) => write!(f, ", key ID {id}"),
            None => Ok(()),
        }
    }
}

/// What a signature packet holds; `None` unless it is the only packet (RFC 4880, 4.2).
fn packet(bytes: &[u8]) -> Option<&[u8]> {
    let (len, body) = match bytes {
        // Old format, tag 2, with one, two or four bytes of length.
        [0x88, len, body @ ..] => (usize::from(*len), body),
        [0x89, high, low, body @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), body),
        [0x8a, a, b, c, d, body @ ..] => (u32::from_be_bytes([*a, *b, *c, *d]) as usize, body),
        // New format, with a length as subpackets have it.
        [0xc2, rest @ ..] => length(rest)?,
        _ => return None,
    };
    (body.len() == len).then_some(body)
}

/// A length of one, two or five bytes, and what follows (RFC 4880, 5.2.3.1).
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [len @ 0..192, rest @ ..] => Some((usize::from(*len), rest)),
        [255, a, b, c, d, rest @ ..] => Some((u32::from_be_bytes([*a, *b, *c, *d]) as usize, rest)),
        [high @ 192..=254, low, rest @ ..] => {
            Some(((usize::from(*high) - 192) * 256 + usize::from(*low) + 192, rest))
        }
        _ => None,
    }
}

/// The issuer that either list of a version 4 signature names, its own or by fingerprint.
fn key_id(lists: &[u8]) -> Option<String> {
    let (hashed, rest) = list(lists)?;
    let (unhashed, _) = list(rest)?;
    issuer(hashed).or_else(|| issuer(unhashed))
}

/// A list of subpackets, with two bytes of length, and what follows.
fn list(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

fn issuer(mut list: &[u8]) -> Option<String> {
    while let Some((len, rest)) = length(list) {
        let (subpacket, rest) = rest.split_at_checked(len)?;
        match subpacket {
            // "Issuer" (RFC 4880, 5.2.3.5) and, of a version 4 key, "Issuer Fingerprint" (RFC 9580, 5.2.3.35). The
            // first bit of the type says that it is critical.
            [16 | 144, id @ ..] if id.len() == 8 => return Some(hex(id)),
            [33 | 161, 4, fingerprint @ ..] if fingerprint.len() == 20 => {
                return Some(hex(&fingerprint[12..]));
            }
            _ => list = rest,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::backend::rpm::openpgp::Signature;

    const ID: [u8; 8] = [0x0a, 1, 2, 3, 4, 5, 6, 7];

    /// A version 4 signature of RSA and SHA-256 with these lists of subpackets.
    fn signature(hashed: &[u8], unhashed: &[u8]) -> Vec<u8> {
        let lists = [hashed, unhashed].map(|list| [&[0, list.len() as u8][..], list].concat());
        let body = [&[4, 0, 1, 8][..], &lists.concat(), &[9, 9]].concat();
        [&[0xc2, body.len() as u8][..], &body].concat()
    }

    fn check(bytes: &[u8], expected: Option<&str>) {
        let found = Signature::read(bytes).map(|signature| signature.to_string());
        assert_eq!(found.as_deref(), expected, "{bytes:x?}");
    }

    #[test]
    fn signatures() {
        let issuer = [&[9, 16][..], &ID].concat();
        let time = [5, 2, 0, 0, 0, 0];
        let fingerprint = [&[22, 33, 4][..], &[9; 12], &ID].concat();
        let full = "RSA/SHA256, key ID 0a01020304050607";
        check(&signature(&time, &issuer), Some(full));
        check(&signature(&[&time[..], &fingerprint].concat(), &[]), Some(full));
        check(&signature(&time, &[]), Some("RSA/SHA256"));
        // A subpacket that is longer than its list.
        check(&signature(&[200], &issuer), Some(full));
        check(&signature(&[9, 16, 1], &[]), Some("RSA/SHA256"));
        let old = [&[3, 5, 0, 0, 0, 0, 0][..], &ID, &[17, 2, 9, 9]].concat();
        check(&[&[0x88, 19][..], &old].concat(), Some("DSA/SHA1, key ID 0a01020304050607"));
        check(&[0x88, 4, 6, 0, 27, 12], Some("EdDSA/digest 12"));
        check(&[0x8a, 0, 0, 0, 4, 4, 0, 22, 10], Some("EdDSA/SHA512"));
        check(&[0xc2, 255, 0, 0, 0, 4, 4, 0, 99, 1], Some("algorithm 99/MD5"));
        for bad in [&b""[..], b"-----BEGIN", &[0x88, 5, 4, 0, 1, 8], &[0xc2, 2, 4, 0], &[0xc2, 255]]
        {
            check(bad, None);
        }
    }
}
