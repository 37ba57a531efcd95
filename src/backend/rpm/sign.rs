//! Puts a signature in the room that a package has for it.
//!
//! Reads no key and checks no signature: only which kind of key made it, because that decides the tag.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};

use crate::backend::rpm::header::{Header, Region, Value, write};
use crate::backend::rpm::openpgp::Signature;
use crate::backend::rpm::{LEAD, tags};
use crate::error::UserError;

/// Signs the package in `file`, whose length does not change: `make` gets what is signed, the header with the digest
/// of the payload in it, and returns a detached OpenPGP signature of it, not armoured.
pub(super) fn sign(file: &File, make: impl FnOnce(&[u8]) -> Result<Vec<u8>>) -> Result<()> {
    let end = file.metadata().context("cannot read the package")?.len();
    let old = Header::read(file, LEAD as u64, end)?;
    let start = LEAD + old.bytes.len().next_multiple_of(8);
    let header = Header::read(file, start as u64, end)?;
    let signature = make(&header.bytes)?;
    let new = with_signature(&old, signature)?;
    file.write_all_at(&new, LEAD as u64).context("cannot write the package")
}

/// The signature header with a signature in it, as long as without.
fn with_signature(old: &Header, signature: Vec<u8>) -> Result<Vec<u8>> {
    let mut all = BTreeMap::from([(tag(&signature)?, Value::Bytes(signature))]);
    for tag in [tags::SHA1_HEADER, tags::SHA256_HEADER] {
        all.extend(old.text(tag)?.map(|text| (tag, Value::Text(text))));
    }
    for tag in [tags::SIG_SIZE, tags::SIG_PAYLOAD_SIZE] {
        // Both fit: these tags have 32 bits.
        let sizes: Vec<_> = old.numbers(tag)?.into_iter().map(|size| size as u32).collect();
        all.extend((!sizes.is_empty()).then_some((tag, Value::Int32(sizes))));
    }
    for tag in [tags::LONG_SIG_SIZE, tags::LONG_ARCHIVE_SIZE] {
        let sizes = old.numbers(tag)?;
        all.extend((!sizes.is_empty()).then_some((tag, Value::Int64(sizes))));
    }
    // The last tag, in front of which nothing moves when its length changes.
    all.insert(tags::SIG_RESERVED, Value::Bytes(vec![0]));
    let least = write(Region::Signature, &all).len();
    let Some(rest) = old.bytes.len().checked_sub(least) else {
        return Err(UserError::input("the signature is too long for an .rpm")
            .hint("sign with a shorter key")
            .into());
    };
    all.insert(tags::SIG_RESERVED, Value::Bytes(vec![0; 1 + rest]));
    Ok(write(Region::Signature, &all))
}

/// The tag of a signature: rpm has one for RSA, and one for the others since there was DSA only.
fn tag(signature: &[u8]) -> Result<u32> {
    match Signature::read(signature).map(|read| (read.version, read.algorithm)) {
        Some((4, 1 | 3)) => Ok(tags::RSA_HEADER),
        // GnuPG's 22 is EdDSA.
        Some((4, 17 | 19 | 22)) => Ok(tags::DSA_HEADER),
        Some((4, algorithm)) => {
            let message = format!("rpm knows no signatures of OpenPGP's algorithm {algorithm}");
            Err(UserError::input(message).hint("sign with an RSA key").into())
        }
        Some(_) | None => Err(UserError::input(
            "what should be a signature is not one OpenPGP packet of version 4",
        )
        .hint("name one key, of a kind that rpm knows, such as RSA")
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    use crate::backend::rpm::header::Header;
    use crate::backend::rpm::tests::{meta, options, tree};
    use crate::backend::rpm::{LEAD, read, sign, tags, write};
    use crate::cache::Cache;
    use crate::error::exit_code;

    fn package() -> File {
        let mut out = tempfile::tempfile().unwrap();
        let spool = tempfile::tempfile().unwrap();
        write(&meta(), tree(), &options(), &Cache::none(), (&mut out, spool)).unwrap();
        out
    }

    fn bytes(mut file: &File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// A signature packet of an algorithm, old format, with `len` bytes of what is no number.
    fn signature(algorithm: u8, len: usize) -> Vec<u8> {
        let body = [&[4, 0, algorithm, 8][..], &vec![1; len]].concat();
        let size = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[0x89][..], &size, &body].concat()
    }

    #[test]
    fn a_signature_takes_the_place_of_nothing_but_room() {
        for (algorithm, len, tag) in [
            (1, 276, tags::RSA_HEADER),
            (1, 533, tags::RSA_HEADER),
            (17, 61, tags::DSA_HEADER),
            (22, 112, tags::DSA_HEADER),
        ] {
            let package = package();
            let before = bytes(&package);
            let signature = signature(algorithm, len);
            let mut signed = Vec::new();
            sign(&package, |header| {
                signed = header.to_vec();
                Ok(signature.clone())
            })
            .unwrap();
            let after = bytes(&package);
            let header = Header::read(&package, LEAD as u64, after.len() as u64).unwrap();
            let start = LEAD + header.bytes.len().next_multiple_of(8);
            assert_eq!(after.len(), before.len());
            assert_eq!(after[start..], before[start..]);
            assert!(after[start..].starts_with(&signed));
            assert!(header.text(tags::SHA256_HEADER).unwrap().is_some());
            assert_eq!(header.numbers(tags::SIG_SIZE).unwrap(), [(after.len() - start) as u64]);
            assert!(header.bytes.windows(signature.len()).any(|part| part == signature));
            assert!(header.bytes[16..].chunks(16).any(|entry| entry[..4] == tag.to_be_bytes()));
        }
    }

    fn check_refused(signature: Vec<u8>, told: &str) {
        let package = package();
        let before = bytes(&package);
        let error = sign(&package, |_| Ok(signature)).unwrap_err();
        assert!(error.to_string().contains(told), "{error:#}");
        assert_eq!(exit_code(&error), 3);
        assert_eq!(bytes(&package), before);
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let no_packet = "not one OpenPGP packet of version 4";
        check_refused(Vec::new(), no_packet);
        check_refused(b"-----BEGIN PGP SIGNATURE-----".to_vec(), no_packet);
        check_refused([signature(1, 9), signature(1, 9)].concat(), no_packet);
        check_refused(vec![0xc2, 3, 5, 0, 1], no_packet);
        check_refused(vec![0x88, 4, 4, 0, 28, 8], "OpenPGP's algorithm 28");
        check_refused(signature(1, 5000), "too long for an .rpm");
    }

    #[test]
    fn damaged_signatures_are_shown_or_refused() {
        let package = package();
        sign(&package, |_| Ok(signature(1, 276))).unwrap();
        let good = bytes(&package);
        let unpack = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            read(file, tempfile::tempfile().unwrap()).map(drop)
        };
        let end = Header::read(&package, LEAD as u64, good.len() as u64).unwrap().bytes.len();
        let (mut shown, mut refused) = (0, 0);
        // The index, the signature and the digests; what follows is room.
        for at in LEAD..LEAD + 600 {
            for value in [0x01, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= value;
                match unpack(&bad) {
                    Ok(()) => shown += 1,
                    Err(error) => {
                        refused += 1;
                        assert_eq!(exit_code(&error), 3, "{at} {value}: {error:#}");
                    }
                }
            }
        }
        assert!(shown > 300 && refused > 300, "{shown} {refused}");
        for len in (LEAD..LEAD + end).step_by(7) {
            assert_eq!(exit_code(&unpack(&good[..len]).unwrap_err()), 3, "{len}");
        }
    }
}
