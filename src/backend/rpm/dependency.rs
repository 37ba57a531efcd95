//! One entry of a dependency list: a name, and the versions of it that will do.

use std::fmt;

use anyhow::Result;

use crate::backend::rpm::phase::Phase;
use crate::error::UserError;

const LESS: u32 = 1 << 1;
const GREATER: u32 = 1 << 2;
const EQUAL: u32 = 1 << 3;
/// It is the program that runs a script.
pub(super) const INTERPRETER: u32 = 1 << 8;
/// It is a feature of rpm itself.
const RPMLIB: u32 = 1 << 24;
/// It stands for configuration files.
const CONFIG: u32 = 1 << 28;
/// What rpmbuild finds out by itself.
pub(super) const WRITTEN_BY_RPMBUILD: u32 = INTERPRETER | RPMLIB | CONFIG;

/// A name, flags and a version; the version is empty when any will do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) flags: u32,
}

impl Dependency {
    /// `name` in any version.
    pub(super) fn any(name: &str) -> Self {
        Self { name: name.to_owned(), version: String::new(), flags: 0 }
    }

    /// `name` in just this version.
    pub(super) fn exact(name: &str, version: &str) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), flags: EQUAL }
    }

    /// The configuration files of a package in just this version.
    pub(super) fn config(package: &str, version: &str) -> Self {
        Self { flags: EQUAL | CONFIG, ..Self::exact(&format!("config({package})"), version) }
    }

    /// A feature that rpm has since this version.
    pub(super) fn feature(name: &str, version: &str) -> Self {
        let flags = LESS | EQUAL | RPMLIB;
        Self { flags, ..Self::exact(&format!("rpmlib({name})"), version) }
    }

    /// `name` in any version, when these scripts run.
    pub(super) fn during(phases: &[Phase], name: &str) -> Self {
        Self {
            flags: phases.iter().fold(0, |flags, phase| flags | phase.flag()),
            ..Self::any(name)
        }
    }

    /// `name`, `name >= version`, or a boolean expression in parentheses.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let fault = || {
            let message = format!("`{}` is not a dependency", text.escape_debug());
            UserError::usage(message).hint("write it as `name`, or `name >= 1.2`")
        };
        if text.chars().any(char::is_control) {
            return Err(fault().into());
        }
        if text.starts_with('(') && text.ends_with(')') {
            return Ok(Self::any(text));
        }
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            [name] if !name.starts_with('(') && !name.contains(['<', '>', '=']) => {
                Ok(Self::any(name))
            }
            [name, sense, version] if !name.starts_with('(') => {
                let flags = match sense {
                    "<" => LESS,
                    "<=" => LESS | EQUAL,
                    "=" => EQUAL,
                    ">=" => GREATER | EQUAL,
                    ">" => GREATER,
                    _ => return Err(fault().into()),
                };
                let (name, version) = (name.to_owned(), version.to_owned());
                Ok(Self { name, version, flags })
            }
            _ => Err(fault().into()),
        }
    }

    /// Whether it is a boolean expression.
    pub(super) fn is_rich(&self) -> bool {
        self.name.starts_with('(')
    }

    /// When it is needed, where that is a time other than always: `(postun)`.
    pub(super) fn times(&self) -> String {
        let times = Phase::ALL.into_iter().filter(|phase| self.flags & phase.flag() != 0);
        let times: Vec<_> = times.map(Phase::name).collect();
        if times.is_empty() { String::new() } else { format!("({})", times.join(",")) }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let signs = [(LESS, '<'), (GREATER, '>'), (EQUAL, '=')];
        let signs = signs.iter().filter(|(flag, _)| self.flags & flag != 0);
        let sense: String = signs.map(|(_, sign)| *sign).collect();
        if sense.is_empty() { Ok(()) } else { write!(f, " {sense} {}", self.version) }
    }
}

#[cfg(test)]
mod tests {
    use crate::backend::rpm::dependency::{Dependency, INTERPRETER};
    use crate::backend::rpm::phase::Phase;
    use crate::error::exit_code;

    fn check(text: &str, expected: Option<&str>) {
        match (Dependency::parse(text), expected) {
            (Ok(found), Some(expected)) => assert_eq!(found.to_string(), expected),
            (Err(error), None) => assert_eq!(exit_code(&error), 2, "{error:#}"),
            (found, expected) => panic!("{found:?} where {expected:?} was expected"),
        }
    }

    #[test]
    fn texts() {
        check("/usr/bin/python3.11", Some("/usr/bin/python3.11"));
        check("libc.so.6(GLIBC_2.34)(64bit)", Some("libc.so.6(GLIBC_2.34)(64bit)"));
        check("nginx  >=  1:1.22-1", Some("nginx >= 1:1.22-1"));
        check("(nginx or httpd)", Some("(nginx or httpd)"));
        for sense in ["<", "<=", "=", ">"] {
            check(&format!("a {sense} 1"), Some(&format!("a {sense} 1")));
        }
        for bad in ["", "a b", "a == 1", "a>=1", "a >= 1 b", "(a", "a\n", "(a\n)", "( >= 1"] {
            check(bad, None);
        }
    }

    /// The numbers rpmbuild 4.18 writes.
    #[test]
    fn flags() {
        assert_eq!(Dependency::feature("FileDigests", "4.6.0-1").flags, 16_777_226);
        assert_eq!(Dependency::config("acme", "1-1").flags, 268_435_464);
        assert_eq!(Dependency::parse("nginx >= 1").unwrap().flags, 12);
        assert_eq!(INTERPRETER | Phase::Postun.flag(), 4352);
        let shell = Dependency { flags: 4352, ..Dependency::any("/bin/sh") };
        assert_eq!((shell.times().as_str(), shell.to_string().as_str()), ("(postun)", "/bin/sh"));
        let all = Dependency::during(&Phase::ALL, "x");
        assert_eq!(
            (all.flags, all.times()),
            (0x1ea0, "(pretrans,pre,post,preun,postun,posttrans)".into())
        );
    }
}
