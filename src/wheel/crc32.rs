//! CRC-32 as zip members carry it (polynomial 0xEDB88320, reflected), eight bytes a step.

/// A checksum fed piece by piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc32(u32);

impl Crc32 {
    /// The checksum of nothing.
    pub(super) fn new() -> Self {
        Self(u32::MAX)
    }

    /// Adds `bytes`.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<8>();
        for block in blocks {
            self.0 = fold(u64::from_le_bytes(*block) ^ u64::from(self.0));
        }
        for byte in rest {
            self.0 = TABLES[0][usize::from(self.0 as u8 ^ byte)] ^ (self.0 >> 8);
        }
    }

    /// The checksum of everything added.
    pub(super) fn finish(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

/// `TABLES[n][byte]` is the effect of `byte` when `n` more bytes follow it.
static TABLES: [[u32; 256]; 8] = tables();

fn fold(block: u64) -> u32 {
    let bytes = block.to_le_bytes();
    bytes.iter().rev().zip(&TABLES).fold(0, |crc, (byte, table)| crc ^ table[usize::from(*byte)])
}

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
            bit += 1;
        }
        let mut table = 0;
        while table < 8 {
            tables[table][byte] = crc;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
                bit += 1;
            }
            table += 1;
        }
        byte += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use crate::wheel::crc32::Crc32;

    #[test]
    fn known_values_however_they_are_cut() {
        let text = b"The quick brown fox jumps over the lazy dog";
        for cut in 0..text.len() {
            let mut crc = Crc32::new();
            crc.update(&text[..cut]);
            crc.update(&text[cut..]);
            assert_eq!(crc.finish(), 0x414F_A339);
        }
        assert_eq!(Crc32::new().finish(), 0);
    }
}
