//! Requirements files, as pip reads them: nested files, options, hashes, URLs and local paths.
//!
//! Variables such as `${TOKEN}` are left for the installer to replace, so their values never get here.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result};

use crate::lock::line::{Ask, logical_lines, parse, quote, split, split_options, usage};
use crate::lock::pin::{Pin, is_archive, normalize_path};
use crate::lock::{Kind, Lock};
use crate::pep::{Environment, Requirement, normalize_name};
use crate::redact::{located, redact};

/// Reads a file, given as the path of the first file or beside the file that names it.
pub(crate) type Load<'a> = dyn Fn(&Path) -> Result<String> + 'a;

/// More files than any project has; files that include two others each double at every level.
const MAX_FILES: usize = 500;

/// Reads a requirements file and all it includes.
pub(crate) fn read(file: &Path, environment: &Environment, load: &Load) -> Result<Lock> {
    let lock = Lock::new(Kind::Requirements, Vec::new());
    let mut reader = Reader { environment, load, lock, open: Vec::new() };
    reader.file(file, false)?;
    Ok(reader.lock)
}

struct Reader<'a> {
    environment: &'a Environment,
    load: &'a Load<'a>,
    lock: Lock,
    /// The files being read, the outermost first.
    open: Vec<PathBuf>,
}

impl Reader<'_> {
    fn file(&mut self, file: &Path, is_constraints: bool) -> Result<()> {
        if self.lock.files.len() >= MAX_FILES || self.open.len() > 50 {
            return Err(fault(file, "it belongs to more files than can be right", ""));
        }
        let text = (self.load)(file)?;
        if !self.lock.files.iter().any(|known| known == file) {
            self.lock.files.push(file.to_owned());
        }
        self.open.push(file.to_owned());
        for (number, line) in logical_lines(&text) {
            let place = format!("{}:{number}", file.display());
            let read = self.line(&place, &line, is_constraints);
            // An error of an included file names its own place.
            read.map_err(|error| match error {
                Fault::Here(error) => located(&place, &error),
                Fault::Included(error) => error,
            })?;
        }
        self.open.pop();
        Ok(())
    }

    fn line(&mut self, place: &str, line: &str, is_constraints: bool) -> Result<(), Fault> {
        if let Some(at) = line.chars().find(|at| at.is_control() && *at != '\t') {
            let message = format!("control character {at:?} in a requirement");
            return Err(usage(&message, "").into());
        }
        if line.starts_with('-') {
            return self.options(&split(line)?);
        }
        let (text, options) = split_options(line);
        let Some(mut pin) = self.requirement(place, text)? else { return Ok(()) };
        let mut hashes = Vec::new();
        for (name, option, value) in parse(&split(options)?)? {
            match option {
                Ask::Hash => {
                    let algorithm = value.split(':').next().unwrap_or_default();
                    if matches!(algorithm, "md5" | "sha1" | "sha224") {
                        return Err(usage(
                            &format!("{algorithm} is too weak to pin {pin}"),
                            "use `sha256`",
                        )
                        .into());
                    }
                    hashes.push(value);
                }
                Ask::Local => pin.options.push(format!("{name} {}", quote(&value))),
                Ask::File
                | Ask::Constraints
                | Ask::Editable
                | Ask::Switch
                | Ask::Setting
                | Ask::Links => {
                    let message = format!("`{name}` stands after a requirement");
                    return Err(usage(&message, "give it a line of its own").into());
                }
            }
        }
        let pin = pin.hashed(hashes)?;
        match is_constraints {
            true => self.lock.constraints.push(pin),
            false => self.lock.pins.push(pin),
        }
        Ok(())
    }

    fn options(&mut self, words: &[String]) -> Result<(), Fault> {
        for (name, option, value) in parse(words)? {
            let line = match option {
                Ask::File => {
                    self.include(&value, false)?;
                    continue;
                }
                Ask::Constraints => {
                    self.include(&value, true)?;
                    continue;
                }
                Ask::Editable => {
                    let message = format!(
                        "`{}` is editable, and a package holds no editable installs",
                        redact(&value)
                    );
                    return Err(usage(
                        &message,
                        "list it without `-e`; leave out the project itself",
                    )
                    .into());
                }
                Ask::Hash | Ask::Local => {
                    let message = format!("`{name}` stands without a requirement");
                    return Err(usage(&message, "write it behind the requirement it is for").into());
                }
                Ask::Switch => name.to_owned(),
                Ask::Setting => format!("{name} {}", quote(&value)),
                Ask::Links => format!("{name} {}", quote(&self.links(&value))),
            };
            if !self.lock.options.contains(&line) {
                self.lock.options.push(line);
            }
        }
        Ok(())
    }

    fn include(&mut self, value: &str, is_constraints: bool) -> Result<(), Fault> {
        if value.contains("://") || value.contains("${") {
            let message = format!("`{}` is not a file", redact(value));
            return Err(usage(&message, "save a copy of it beside this file").into());
        }
        let file = normalize_path(&self.dir().join(value));
        if self.open.contains(&file) {
            return Err(usage(&format!("`{}` includes itself", file.display()), "").into());
        }
        self.file(&file, is_constraints).map_err(Fault::Included)
    }

    /// Directory of the innermost file.
    fn dir(&self) -> &Path {
        self.open.last().and_then(|file| file.parent()).unwrap_or(Path::new(""))
    }

    fn links(&self, value: &str) -> String {
        if value.contains(':') || value.starts_with("${") {
            return value.to_owned();
        }
        let path = normalize_path(&self.dir().join(value));
        match path.as_os_str().is_empty() {
            true => ".".to_owned(),
            false => path.display().to_string(),
        }
    }

    /// One requirement; `None` when it does not apply, or is the project itself.
    fn requirement(&mut self, place: &str, text: &str) -> Result<Option<Pin>> {
        let (target, marker) = split_marker(text);
        let Some(direct) = direct(target) else {
            if text.split('@').next().is_some_and(|before| before.contains("${")) {
                return Err(usage("a variable stands for a name or version", "write the value"));
            }
            let requirement: Requirement = text.parse()?;
            if !self.environment.evaluate(&requirement.marker, &[])? {
                return Ok(None);
            }
            return self.named(place, requirement);
        };
        if !self.environment.evaluate(marker, &[])? {
            return Ok(None);
        }
        let (target, extras) = split_extras(direct)?;
        self.located_at(place, (None, target), extras)
    }

    fn named(&mut self, place: &str, requirement: Requirement) -> Result<Option<Pin>> {
        let Requirement { name, extras, specifiers, url, .. } = &requirement;
        if let Some(url) = url {
            return self.located_at(place, (Some(name), url), extras.clone());
        }
        let pin = Pin::index(name, &specifiers.replace(' ', ""), requirement.pin())?;
        Ok(Some(Pin { extras: extras.clone(), ..pin }))
    }

    /// A distribution at a path or URL, with its name when the requirement gives one.
    fn located_at(
        &mut self,
        place: &str,
        (name, target): (Option<&str>, &str),
        extras: Vec<String>,
    ) -> Result<Option<Pin>> {
        let pin = match local_path(target) {
            None => Pin::url(name, target)?,
            Some(path) if normalize_path(Path::new(path)).as_os_str().is_empty() => {
                let advice = match extras.is_empty() {
                    true => String::new(),
                    false => format!("; its extras need `--extra {}`", extras.join(" --extra ")),
                };
                let note =
                    format!("{place}: left out `{target}`, which is the project itself{advice}");
                self.lock.notes.push(note);
                return Ok(None);
            }
            Some(path) => Pin::path(name, Path::new(path))?,
        };
        Ok(Some(Pin { extras, ..pin }))
    }
}

/// Where an error was made.
enum Fault {
    Here(Error),
    Included(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

fn fault(file: &Path, message: &str, hint: &str) -> Error {
    usage(&format!("cannot use `{}`: {message}", file.display()), hint)
}

/// A requirement and its marker, for those that begin with a path or URL, in which `;` alone may occur.
fn split_marker(text: &str) -> (&str, &str) {
    let semicolons = text.match_indices(';').map(|(at, _)| at);
    let marker = semicolons.into_iter().find(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + 1..].chars().next();
        before.is_none_or(char::is_whitespace) || after.is_none_or(char::is_whitespace)
    });
    match marker {
        Some(at) => (text[..at].trim_end(), text[at + 1..].trim()),
        None => (text, ""),
    }
}

/// The path or URL a requirement begins with, unless it begins with a name.
fn direct(target: &str) -> Option<&str> {
    let name = |at: char| at.is_alphanumeric() || "._-".contains(at);
    let after = target.trim_start_matches(name).trim_start();
    let after = match after.strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, after)| after).trim_start(),
        None => after,
    };
    if after.starts_with('@') && target.starts_with(|at: char| at.is_alphanumeric()) {
        return None;
    }
    let is_path = target.starts_with(['.', '/', '~', '$']) || target.contains('/');
    let (bare, _) = split_extras(target).ok()?;
    (is_path || is_archive(bare) || bare.starts_with("file:")).then_some(target)
}

fn split_extras(target: &str) -> Result<(&str, Vec<String>)> {
    let Some((bare, extras)) = target.strip_suffix(']').and_then(|target| target.rsplit_once('['))
    else {
        return Ok((target, Vec::new()));
    };
    let extras = extras.split(',').map(|extra| normalize_name(extra.trim()));
    Ok((bare.trim_end(), extras.collect::<Result<_>>()?))
}

/// The path a target names, unless it is a URL of another kind. `file:` without `//` is relative.
fn local_path(target: &str) -> Option<&str> {
    match target.strip_prefix("file:") {
        Some(path) if path.starts_with("//") || path.contains("${") => None,
        Some(path) => Some(path),
        None if target.contains("://") || target.contains("${") => None,
        None => Some(target),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::error::{UserError, exit_code};
    use crate::lock::Lock;
    use crate::lock::requirements::read;
    use crate::lock::testing::survives;
    use crate::pep::environment;

    const HASH: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    fn load(files: &[(&str, &str)]) -> anyhow::Result<Lock> {
        let load = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            let missing = || UserError::usage(format!("cannot read `{}`", path.display())).into();
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(missing)
        };
        read(Path::new(files[0].0), &environment(), &load)
    }

    fn check(text: &str, options: &str, pins: &str) {
        let lock = load(&[("r.txt", &text.replace("HASH", HASH))]).unwrap();
        let lines: Vec<_> = lock.pins.iter().map(|pin| pin.line(true)).collect();
        assert_eq!(lock.options.join("\n"), options, "{text}");
        assert_eq!(lines.join("\n"), pins.replace("HASH", HASH), "{text}");
    }

    fn fails(files: &[(&str, &str)], message: &str) {
        let error = load(files).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(matches!(exit_code(&error), 2 | 3), "{message}");
    }

    #[test]
    fn requirements() {
        check("", "", "");
        check("# only\n\n   # comments", "", "");
        check(
            "\u{feff}Django==5.1 # why\r\nflask[async] >= 2, <4\r\n",
            "",
            "django==5.1\nflask[async]>=2,<4",
        );
        check(
            "a==1 \\\n    --hash=HASH \\\n    --hash HASH\n    # via b\nb",
            "",
            "a==1 --hash=HASH\nb",
        );
        check("a==1 ; python_version < '3'\nb ; sys_platform == 'linux'", "", "b");
        check("a ; extra == 'x'", "", "");
        check("a==1 \\\n# cut\nb", "", "a==1\nb");
        check("a\\\n==1", "", "a==1");
        check("a \\", "", "a");
    }

    #[test]
    fn urls_and_paths() {
        let wheel = "https://u:${TOKEN}@x/w/a_b-1.0-py3-none-any.whl";
        check(&format!("a-b[x] @ {wheel} ; os_name == 'posix'"), "", &format!("a-b[x] @ {wheel}"));
        check(wheel, "", &format!("a-b @ {wheel}"));
        check("git+https://x/a.git@main#egg=A", "", "a @ git+https://x/a.git@main#egg=A");
        check("./w/a-1-py3-none-any.whl --hash=HASH", "", "./w/a-1-py3-none-any.whl --hash=HASH");
        check("a-1.tar.gz; os_name == 'nt'", "", "");
        check(
            "libs/b\nfile:libs/c[x,Y_z]\nfile:///srv/d-1.zip",
            "",
            "./libs/b\n./libs/c[x,y-z]\nd @ file:///srv/d-1.zip",
        );
        check("/srv/e", "", "/srv/e");
    }

    #[test]
    fn the_project_itself_is_left_out() {
        let lock = load(&[("r.txt", ".\n./\nfile:.\n.[postgres,Dev]\na @ file:.")]).unwrap();
        assert!(lock.pins.is_empty());
        assert_eq!(lock.notes.len(), 5);
        assert_eq!(
            lock.notes[3],
            "r.txt:4: left out `.`, which is the project itself; its extras need `--extra postgres --extra dev`"
        );
    }

    #[test]
    fn options() {
        check(
            "-i https://u:${PW}@x/simple\n--extra-index-url=https://y\n--no-binary :all: --pre\n-fwheels\n--pre",
            "--index-url https://u:${PW}@x/simple\n--extra-index-url https://y\n--no-binary :all:\n--pre\n--find-links wheels",
            "",
        );
        check("--find-links 'a b'", "--find-links \"a b\"", "");
        check(
            "a --config-settings=\"--build-option=-x y\" --global-option q",
            "",
            "a --config-settings \"--build-option=-x y\" --global-option q",
        );
    }

    #[test]
    fn nested() {
        let lock = load(&[
            ("r/all.txt", "-r base.txt\n-r ../more.txt\n--constraint c.txt\na"),
            ("r/base.txt", "b\n-f wheels\n-r sub/x.txt"),
            ("r/sub/x.txt", "--find-links ../../..\nc"),
            ("more.txt", "-r r/base.txt"),
            ("r/c.txt", "a==1\nz==2 ; os_name == 'nt'"),
        ])
        .unwrap();
        assert_eq!(lock.to_requirements(), "--find-links r/wheels\n--find-links ..\na\nb\nc\n");
        assert_eq!(lock.to_constraints(), "a==1\n");
        assert_eq!(lock.files.len(), 5);
        fails(
            &[("a/r.txt", "x\n-r ./../a/b.txt"), ("a/b.txt", "-r r.txt")],
            "a/b.txt:1: `a/r.txt` includes itself",
        );
        fails(&[("r.txt", "\n\n-r gone.txt")], "cannot read `gone.txt`");
        fails(
            &[("r.txt", "-r https://u:p@x/r.txt")],
            "r.txt:1: `https://****@x/r.txt` is not a file",
        );
        let twice: String = (0..60).map(|_| "-r b.txt\n").collect();
        assert_eq!(load(&[("r.txt", &twice), ("b.txt", "a")]).unwrap().files.len(), 2);
    }

    #[test]
    fn damage_is_survived() {
        let text = format!(
            "-i https://u:p@x/s\n-c r.txt\n-e .\na[x] @ https://x/a-1.zip#egg=b ; os_name == 'posix' \\\n  --hash={HASH}\n./b[c]\nd>=1,<2 # e\n"
        );
        let plain = text.replace("-c r.txt\n-e .\n", "");
        for text in [&text, &plain] {
            survives(|text| load(&[("r.txt", text)]), text);
        }
    }

    #[test]
    fn faults_name_the_line() {
        for (text, message) in [
            ("a\n-e ./x", "r.txt:2: `./x` is editable, and a package holds no editable installs"),
            ("-e.", "r.txt:1: `.` is editable, and a package holds no editable installs"),
            (
                "--editable=git+https://u:p@x/a",
                "r.txt:1: `git+https://****@x/a` is editable, and a package holds no editable installs",
            ),
            ("--bogus x", "r.txt:1: unknown option `--bogus`"),
            ("-x", "r.txt:1: unknown option `-x`"),
            ("-ü", "r.txt:1: unknown option `-ü`"),
            ("-i", "r.txt:1: `--index-url` needs a value"),
            ("--pre=1", "r.txt:1: `--pre` takes no value"),
            ("-f 'a", "r.txt:1: a quotation mark is not closed"),
            ("--hash=sha256:00", "r.txt:1: `--hash` stands without a requirement"),
            ("a --pre", "r.txt:1: `--pre` stands after a requirement"),
            ("a==1 --hash=md5:00", "r.txt:1: md5 is too weak to pin a==1"),
            ("a==1 --hash=sha256:00", "r.txt:1: `sha256:00` is not a hash of a==1"),
            ("a==${V}", "r.txt:1: a variable stands for a name or version"),
            ("a\rb", "r.txt:1: control character '\\r' in a requirement"),
            ("./my app", "r.txt:1: cannot install from `my app`"),
        ] {
            fails(&[("r.txt", text)], message);
        }
        for text in ["a==", "a b", "@", "a @", "a ; x", "[]", "a[", "./a[", "-", "--", "a @ b c"] {
            assert!(matches!(exit_code(&load(&[("r.txt", text)]).unwrap_err()), 2 | 3), "{text}");
        }
    }
}
