//! Paths as the loader takes them apart: search paths with tokens, and links inside a tree.

use std::path::Path;

use crate::package::Machine;
use crate::tree::{Entry, PkgPath, Tree};

/// Directories of a search path that are looked at; the longest seen have some thirty.
const MAX_DIRS: usize = 256;

/// The absolute directories of a search path, with the tokens of ld.so(8), "Dynamic string tokens".
///
/// Relative ones would depend on where a process is started; they find nothing.
pub(super) fn expand(list: &str, file: &PkgPath, machine: Option<Machine>) -> Vec<String> {
    let (platform, triplet) = machine.map_or(("", ""), platform);
    let libs = [format!("lib/{triplet}"), "lib64".to_owned(), "lib".to_owned()];
    let mut dirs: Vec<String> = Vec::new();
    // `;` separates in LD_LIBRARY_PATH only.
    for dir in list.split(':').take(MAX_DIRS) {
        let dir = with_origin(dir, file);
        let dir = dir.replace("${PLATFORM}", platform).replace("$PLATFORM", platform);
        let dir = dir.replace("${LIB}", "$LIB");
        // Distributions disagree about `$LIB`.
        let variants = libs.iter().map(|lib| dir.replace("$LIB", lib));
        for dir in variants.filter(|dir| dir.starts_with('/')).filter_map(|dir| normal(&dir)) {
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
    }
    dirs
}

/// An element of a search path with `$ORIGIN` replaced by the directory of `file`.
pub fn with_origin(element: &str, file: &PkgPath) -> String {
    let origin = file.parent().map_or_else(|| "/".to_owned(), |dir| dir.absolute());
    element.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin)
}

/// Where everybody may write.
const SHARED: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
const HOMES: [&str; 3] = ["/home", "/root", "/Users"];
/// Where Debian's and Fedora's build daemons, hosted runners, GitLab's and Jenkins' work.
const BUILDS: [&str; 6] = ["/build", "/builddir", "/builds", "/workspace", "/__w", "/github"];
const SYSTEM: [&str; 8] =
    ["/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32"];

/// Why no file of a package should look for libraries in `dir`, whatever the host; `None` when nothing speaks against
/// it.
pub fn hazard(dir: &str) -> Option<&'static str> {
    if is_below(dir, &SHARED) {
        Some("where everybody may put some")
    } else if is_below(dir, &HOMES) {
        Some("somebody's home")
    } else if is_below(dir, &BUILDS) {
        Some("a directory of a machine that builds packages")
    } else {
        None
    }
}

/// The program a script says it is run by: the first word after `#!` (execve(2), "Interpreter scripts").
pub fn script_program(bytes: &[u8]) -> Option<&str> {
    let line = bytes.strip_prefix(b"#!")?.split(|at| *at == b'\n').next()?;
    let program = std::str::from_utf8(line).ok()?.split_whitespace().next()?;
    Some(program).filter(|program| program.starts_with('/'))
}

/// Whether only the package manager writes to `dir`. (`/lib` may be `/usr/lib`.)
pub fn is_system(dir: &str) -> bool {
    is_below(dir, &SYSTEM)
}

fn is_below(dir: &str, roots: &[&str]) -> bool {
    roots.iter().any(|root| Path::new(dir).starts_with(root))
}

/// What `$PLATFORM` and `$LIB` (Debian's) are on a machine.
fn platform(machine: Machine) -> (&'static str, &'static str) {
    match machine {
        Machine::X86_64 => ("x86_64", "x86_64-linux-gnu"),
        Machine::Aarch64 => ("aarch64", "aarch64-linux-gnu"),
        Machine::Armv7l => ("v7l", "arm-linux-gnueabihf"),
        Machine::I686 => ("i686", "i386-linux-gnu"),
        Machine::Ppc64le => ("power8", "powerpc64le-linux-gnu"),
        Machine::S390x => ("z13", "s390x-linux-gnu"),
        Machine::Riscv64 => ("riscv64", "riscv64-linux-gnu"),
        Machine::Loongarch64 => ("loongarch64", "loongarch64-linux-gnu"),
    }
}

/// An absolute path without `.`, `..` and doubled slashes; `None` when it is relative.
pub fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

/// Links a path may go through before it is taken for a loop.
const MAX_LINKS: usize = 40;

/// The file of `tree` that `path` leads to, through links of the tree.
pub(super) fn follow(tree: &Tree, path: &str) -> Option<PkgPath> {
    let end = end(tree, path)?;
    matches!(tree.get(&end), Some(Entry::File { .. })).then_some(end)
}

/// Whether `path` leads to a directory of `tree`.
pub(super) fn is_dir(tree: &Tree, path: &str) -> bool {
    let end = end(tree, path).and_then(|end| tree.get(&end).cloned());
    path == "/" || matches!(end, Some(Entry::Dir { .. }))
}

/// Where `path` leads to, there or not.
fn end(tree: &Tree, path: &str) -> Option<PkgPath> {
    let mut path = PkgPath::new(path).ok()?;
    for _ in 0..MAX_LINKS {
        match link_on(tree, &path) {
            None => return Some(path),
            Some(next) => path = PkgPath::new(&next?).ok()?,
        }
    }
    None
}

/// What `path` becomes when its first link is followed; `None` when there is no link on it.
fn link_on(tree: &Tree, path: &PkgPath) -> Option<Option<String>> {
    let text = path.as_str();
    let ends = text.match_indices('/').map(|(at, _)| at).chain([text.len()]);
    for end in ends {
        let link = PkgPath::new(&text[..end]).ok()?;
        if let Some(Entry::Symlink { target }) = tree.get(&link) {
            let dir = link.parent().map(|dir| dir.absolute()).unwrap_or_default();
            let target =
                if target.starts_with('/') { target.clone() } else { format!("{dir}/{target}") };
            return Some(normal(&format!("{target}{}", &text[end..])));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::needs::paths::{hazard, is_system};

    #[test]
    fn directories() {
        for bad in
            ["/tmp", "/tmp/x", "/home/ci/lib", "/build/a-1/b", "/builds/acme/x", "/dev/shm/x"]
        {
            assert!(hazard(bad).is_some(), "{bad}");
        }
        for fine in ["/tmpfs", "/opt/tmp", "/buildings", "/usr/local/lib"] {
            assert_eq!(hazard(fine), None, "{fine}");
        }
        assert!(is_system("/usr/lib/x86_64-linux-gnu") && !is_system("/usr/libexec"));
    }
}
