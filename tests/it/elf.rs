//! ELF files of a few hundred bytes.

const USER: &[u8] = include_bytes!("../../fixtures/elf/user.so");

/// `user.so` with another `DT_RUNPATH`, which is not longer than its own.
pub(crate) fn user_with_search_path(list: &str) -> Vec<u8> {
    const OWN: &[u8] = b"$ORIGIN/../lib";
    let at = USER.windows(OWN.len()).position(|text| text == OWN).expect("it has a search path");
    let mut bytes = USER.to_vec();
    bytes[at..at + OWN.len()].fill(0);
    bytes[at..at + list.len()].copy_from_slice(list.as_bytes());
    bytes
}

/// `user.so` with `PF_X` in the flags of its `PT_GNU_STACK`.
pub(crate) fn user_with_executable_stack() -> Vec<u8> {
    let mut bytes = USER.to_vec();
    let stack = 0x6474_e551_u32.to_le_bytes();
    let at = (64..512).find(|at| bytes[*at..].starts_with(&stack)).expect("it has such a header");
    bytes[at + 4] |= 1;
    bytes
}

/// A shared library with one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elf {
    /// `e_machine`; 62 is x86-64, 183 is AArch64.
    pub(crate) machine: u16,
    /// `p_offset`, `p_vaddr`, `p_align` of its PT_LOAD.
    pub(crate) load: [u64; 3],
}

impl Elf {
    /// One the loader takes.
    pub(crate) const SOUND: Self = Self { machine: 62, load: [0, 0, 0x1000] };

    /// Its bytes: headers, the program header, and padding up to 0x200.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend(3_u16.to_le_bytes());
        bytes.extend(self.machine.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        for word in [0_u64, 64, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(0_u32.to_le_bytes());
        for half in [64_u16, 56, 1, 64, 0, 0] {
            bytes.extend(half.to_le_bytes());
        }
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(5_u32.to_le_bytes());
        let [offset, address, align] = self.load;
        for word in [offset, address, address, 0x78, 0x78, align] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.resize(0x200, 0);
        bytes
    }
}
