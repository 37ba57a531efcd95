//! Damaged ELF files: a hundred thousand of them are read without a panic and without an end that never comes.

use mkpkg::elf::{abi, definitions, facts};

const ROUNDS: usize = 100_000;
/// Headers, and with files this small the dynamic section, are where one byte changes most.
const HEAD: usize = 0x200;

/// Files of 32 and 64 bits, of either byte order, with and without versions, notes, relocations and segments.
const SEEDS: [&[u8]; 15] = [
    include_bytes!("../../fixtures/elf/arm64.so"),
    include_bytes!("../../fixtures/elf/armhf.so"),
    include_bytes!("../../fixtures/elf/libbase.powerpc.so.1"),
    include_bytes!("../../fixtures/elf/libbase.s390x.so.1"),
    include_bytes!("../../fixtures/elf/libbase.so.1"),
    include_bytes!("../../fixtures/elf/musl"),
    include_bytes!("../../fixtures/elf/notes.so"),
    include_bytes!("../../fixtures/elf/old.so"),
    include_bytes!("../../fixtures/elf/pie"),
    include_bytes!("../../fixtures/elf/powerpc.so"),
    include_bytes!("../../fixtures/elf/program"),
    include_bytes!("../../fixtures/elf/s390x.so"),
    include_bytes!("../../fixtures/elf/static"),
    include_bytes!("../../fixtures/elf/static-pie"),
    include_bytes!("../../fixtures/elf/user.so"),
];

/// A sequence of numbers that looks random and is the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }

    /// A value to write: those at the ends of a range find more than others.
    fn value(&mut self) -> u64 {
        let shift = self.below(64);
        [0, 1, u64::MAX, 1 << 63, 1 << shift, (1 << shift) - 1, self.next()][self.below(7)]
    }
}

fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(8) {
        let reach = if numbers.below(2) == 0 { HEAD.min(bytes.len()) } else { bytes.len() };
        let width = [1, 2, 4, 8][numbers.below(4)].min(reach);
        let at = numbers.below(reach - width + 1) / width * width;
        bytes[at..at + width].copy_from_slice(&numbers.value().to_le_bytes()[..width]);
    }
    match numbers.below(8) {
        0 => bytes.truncate(4 + numbers.below(bytes.len() - 4)),
        1 => {
            let (from, to) = (numbers.below(bytes.len()), numbers.below(bytes.len()));
            let len = numbers.below(64).min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + len, to);
        }
        _ => {}
    }
}

#[test]
fn damaged_elf_files_are_read() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut read = 0;
    for round in 0..ROUNDS {
        let mut bytes = SEEDS[round % SEEDS.len()].to_vec();
        mutate(&mut bytes, &mut numbers);
        let facts = facts(&bytes);
        if let Ok(facts) = &facts {
            let _ = (facts.is_pie(), facts.is_static(), facts.relro(), facts.musl());
            read += 1;
        }
        let _ = (definitions(&bytes), abi(&bytes));
    }
    assert!(read > ROUNDS / 4, "only {read} were more than a header that is refused");
}
