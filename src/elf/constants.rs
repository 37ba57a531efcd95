//! What small functions return and what data symbols hold: the way libraries tell their versions.
//!
//! Code is not run, and hardly read: of a function, only instructions are known that load a constant (x86-64 and AArch64,
//! the two machines wheels are made for). What is found is what the function mentions; whoever asks has to know which
//! functions mention nothing else.

use goblin::elf::header::{EM_AARCH64, EM_X86_64};
use goblin::elf::reloc::{R_AARCH64_RELATIVE, R_X86_64_RELATIVE};
use goblin::elf::sym::STT_FUNC;

use crate::elf::dynamic::{Reader, open};
use crate::elf::header::{self, Headers};
use crate::elf::versions::text;

/// What a symbol stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constants {
    /// Texts it mentions, in order: those a function loads the address of, or the one that data is or points to.
    pub texts: Vec<String>,
    /// The number a function returns without doing anything else, or data holds.
    pub number: Option<u32>,
}

/// Longest part of a function that is looked at, in bytes.
const MAX_CODE: usize = 1024;
/// Longest text that is read, in bytes.
const MAX_TEXT: usize = 80;

/// What those of `names` stand for that the file defines, by index in `names`.
pub fn constants(bytes: &[u8], names: &[&str]) -> Vec<(usize, Constants)> {
    let Ok(headers) = header::read(bytes) else { return Vec::new() };
    let Ok(Some((_, reader))) = open(bytes, &headers) else { return Vec::new() };
    let Some(symbols) = reader.symbols(0) else { return Vec::new() };
    let file = Image { bytes, headers: &headers, reader: &reader };
    let mut found = Vec::new();
    for symbol in symbols.iter().filter(|symbol| symbol.st_shndx != 0 && symbol.st_size > 0) {
        let name = text(reader.strings, symbol.st_name);
        let index = name.and_then(|name| names.iter().position(|asked| *asked == name));
        let Some(index) = index else { continue };
        let size = usize::try_from(symbol.st_size).unwrap_or(usize::MAX);
        let constants = match symbol.st_type() == STT_FUNC {
            true => file.function(symbol.st_value, size),
            false => file.data(symbol.st_value),
        };
        found.extend(constants.map(|constants| (index, constants)));
    }
    found
}

/// A file as it is loaded, at address zero.
struct Image<'a> {
    bytes: &'a [u8],
    headers: &'a Headers,
    reader: &'a Reader<'a>,
}

impl Image<'_> {
    fn function(&self, address: u64, size: usize) -> Option<Constants> {
        let start = self.headers.offset(address)?;
        let code = self.bytes.get(start..start.checked_add(size.min(MAX_CODE))?)?;
        let (loads, number) = match self.headers.file.e_machine {
            EM_X86_64 => x86_64(code, address),
            EM_AARCH64 => aarch64(code, address),
            _ => return None,
        };
        let texts = loads.into_iter().flat_map(|at| self.texts(at)).collect();
        Some(Constants { texts, number })
    }

    fn data(&self, address: u64) -> Option<Constants> {
        let start = self.headers.offset(address)?;
        let word = self.bytes.get(start..start.checked_add(4)?)?;
        let number = Some(u32::from_le_bytes(word.try_into().ok()?));
        Some(Constants { texts: self.texts(address), number })
    }

    /// The text at `address`, or those that pointers there lead to; the first word of a structure is often a number.
    fn texts(&self, address: u64) -> Vec<String> {
        if let Some(text) = self.text(address) {
            return vec![text];
        }
        let pointers = [Some(address), address.checked_add(8)].into_iter().flatten();
        pointers.filter_map(|at| self.text(self.pointer(at)?)).collect()
    }

    /// Where the pointer at `address` leads to, by the relocation that fills it.
    fn pointer(&self, address: u64) -> Option<u64> {
        let relative = match self.headers.file.e_machine {
            EM_X86_64 => R_X86_64_RELATIVE,
            EM_AARCH64 => R_AARCH64_RELATIVE,
            _ => return None,
        };
        let relocations = self.reader.relocations()?;
        let own = relocations.iter().find(|one| one.r_offset == address)?;
        (own.r_type == relative).then(|| u64::try_from(own.r_addend?).ok())?
    }

    fn text(&self, address: u64) -> Option<String> {
        let start = self.headers.offset(address)?;
        let rest = &self.bytes[start..self.bytes.len().min(start + MAX_TEXT)];
        let len = rest.iter().position(|byte| *byte == 0)?;
        let is_text = |byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n');
        let text = &rest[..len];
        let is_text = len > 0 && text.iter().all(is_text);
        is_text.then(|| String::from_utf8_lossy(text).into_owned())
    }
}

/// Addresses that are loaded, in order, and the number that is returned at once.
type Loads = (Vec<u64>, Option<u32>);

/// `lea r64, [rip + disp32]` (REX.W 8D /r), and `mov eax, imm32; ret` at the beginning, behind `endbr64`.
fn x86_64(code: &[u8], address: u64) -> Loads {
    let body = code.strip_prefix(&[0xf3, 0x0f, 0x1e, 0xfa]).unwrap_or(code);
    let number = match body {
        [0xb8, a, b, c, d, 0xc3, ..] => Some(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => None,
    };
    let load = |(at, window): (usize, &[u8])| {
        let &[rex, 0x8d, operand, a, b, c, d] = window else { return None };
        let is_load = matches!(rex, 0x48 | 0x4c) && operand & 0xc7 == 0x05;
        let next = address.checked_add(at as u64 + 7)?;
        let distance = i64::from(i32::from_le_bytes([a, b, c, d]));
        is_load.then(|| next.checked_add_signed(distance))?
    };
    (code.windows(7).enumerate().filter_map(load).collect(), number)
}

/// `adrp; add` of one register, and `mov w0, #imm; ret` or `mov w0, #imm; movk w0, #imm, lsl #16; ret`, behind `bti c`.
fn aarch64(code: &[u8], address: u64) -> Loads {
    const BTI: u32 = 0xd503_245f;
    const RET: u32 = 0xd65f_03c0;
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("chunks of four bytes"));
    let words: Vec<_> = code.chunks_exact(4).map(word).collect();
    let body = words.strip_prefix(&[BTI]).unwrap_or(&words);
    let immediate =
        |word: u32, code: u32| (word & 0xffe0_001f == code).then_some((word >> 5) & 0xffff);
    let number = match body {
        [low, RET, ..] => immediate(*low, 0x5280_0000),
        [low, high, RET, ..] => immediate(*low, 0x5280_0000)
            .zip(immediate(*high, 0x72a0_0000))
            .map(|(low, high)| high << 16 | low),
        _ => None,
    };
    let load = |(at, pair): (usize, &[u32])| {
        let &[page, add] = pair else { return None };
        let register = page & 0x1f;
        let is_load = page & 0x9f00_0000 == 0x9000_0000
            && add & 0xffc0_0000 == 0x9100_0000
            && (add & 0x1f, (add >> 5) & 0x1f) == (register, register);
        let pages = i64::from(((page >> 5) & 0x7_ffff) << 2 | (page >> 29) & 3);
        // Twenty-one bits with a sign.
        let pages = pages << 43 >> 43;
        let base = (address + at as u64 * 4) & !0xfff;
        let base = base.checked_add_signed(pages * 0x1000)?;
        is_load.then(|| base.checked_add(u64::from((add >> 10) & 0xfff)))?
    };
    (words.windows(2).enumerate().filter_map(load).collect(), number)
}

#[cfg(test)]
mod tests {
    use crate::elf::constants::{aarch64, x86_64};

    #[test]
    fn instructions_that_load() {
        // endbr64; lea rax, [rip + 0x647]; ret
        let code = [0xf3, 0x0f, 0x1e, 0xfa, 0x48, 0x8d, 0x05, 0x47, 0x06, 0, 0, 0xc3];
        assert_eq!(x86_64(&code, 0xe3e0), (vec![0xea32], None));
        // mov eax, 0x10600; ret
        assert_eq!(x86_64(&[0xb8, 0, 6, 1, 0, 0xc3], 0), (Vec::new(), Some(0x10600)));
        // mov eax, 1; nop: it goes on
        assert_eq!(x86_64(&[0xb8, 1, 0, 0, 0, 0x90], 0), (Vec::new(), None));
        // lea rax, [rip - 0x10] at zero is before the beginning
        assert_eq!(x86_64(&[0x48, 0x8d, 0x05, 0xf0, 0xff, 0xff, 0xff], 0), (Vec::new(), None));
        let code =
            |words: &[u32]| words.iter().flat_map(|one| one.to_le_bytes()).collect::<Vec<_>>();
        // adrp x0, +2 pages; add x0, x0, #0x123; ret
        let load = code(&[0xd000_0000, 0x9104_8c00, 0xd65f_03c0]);
        assert_eq!(aarch64(&load, 0x1004), (vec![0x3123], None));
        // adrp x0, -1 page
        let load = code(&[0xf0ff_ffe0, 0x9104_8c00, 0xd65f_03c0]);
        assert_eq!(aarch64(&load, 0x5004), (vec![0x4123], None));
        // bti c; mov w0, #0x600; movk w0, #1, lsl #16; ret
        let number = code(&[0xd503_245f, 0x5280_c000, 0x72a0_0020, 0xd65f_03c0]);
        assert_eq!(aarch64(&number, 0), (Vec::new(), Some(0x10600)));
        assert_eq!(aarch64(&code(&[0x5280_0060, 0xd65f_03c0]), 0), (Vec::new(), Some(3)));
    }
}
