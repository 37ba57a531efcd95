//! Wheels made in memory, true unless a test changes the archive afterwards.

use crate::digest::{base64url, sha256};
use crate::zip::{Part, Zip};

/// A distribution that is to become a wheel.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    name: String,
    version: String,
    tag: String,
    /// Lines of METADATA after name and version.
    metadata: String,
    /// Path, content, Unix mode.
    files: Vec<(String, Vec<u8>, u32)>,
}

impl Wheel {
    /// A wheel for any Python that holds nothing but what describes it.
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            tag: "py3-none-any".to_owned(),
            metadata: String::new(),
            files: Vec::new(),
        }
    }

    /// The application most tests are about: a module and a command `acme`.
    pub(crate) fn acme() -> Self {
        Self::new("acme", "1.0")
            .metadata("Summary: shop of a coyote\nMaintainer-email: Ann <ann@acme.example>\n")
            .file("acme/__init__.py", "")
            .file("acme/cli.py", "def main():\n    print('beep')\n")
            .command("acme = acme.cli:main")
    }

    /// Adds a file, at any path a zip can hold.
    pub(crate) fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.file_of_mode(path, content, 0o100_644)
    }

    /// Adds a file with these permission and type bits.
    pub(crate) fn file_of_mode(mut self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> Self {
        self.files.push((path.to_owned(), content.as_ref().to_vec(), mode));
        self
    }

    /// Adds lines to METADATA.
    pub(crate) fn metadata(mut self, lines: &str) -> Self {
        self.metadata.push_str(lines);
        self
    }

    /// Declares one console script; a second call replaces the first.
    pub(crate) fn command(mut self, line: &str) -> Self {
        let path = self.info("entry_points.txt");
        self.files.retain(|(known, ..)| *known != path);
        self.file(&path, format!("[console_scripts]\n{line}\n"))
    }

    /// Sets the tag of the file name.
    pub(crate) fn tag(mut self, tag: &str) -> Self {
        self.tag = tag.to_owned();
        self
    }

    /// The path of `file` in the dist-info directory.
    pub(crate) fn info(&self, file: &str) -> String {
        format!("{}-{}.dist-info/{file}", self.name, self.version)
    }

    /// The file name.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}-{}.whl", self.name, self.version, self.tag)
    }

    /// The archive, which is sound and agrees with its RECORD.
    pub(crate) fn zip(&self) -> Zip {
        let Self { name, version, metadata, tag, .. } = self;
        let mut files = self.files.clone();
        let metadata =
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}");
        let wheel = format!("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n");
        for (file, text) in [("METADATA", metadata), ("WHEEL", wheel)] {
            if !files.iter().any(|(path, ..)| *path == self.info(file)) {
                files.push((self.info(file), text.into_bytes(), 0o100_644));
            }
        }
        let lines = files.iter().map(|(path, content, _)| record_line(path, content));
        let record = lines.collect::<String>() + &self.info("RECORD") + ",,\n";
        if !files.iter().any(|(path, ..)| *path == self.info("RECORD")) {
            files.push((self.info("RECORD"), record.into_bytes(), 0o100_644));
        }
        let part = |(path, content, mode): &(String, Vec<u8>, u32)| {
            let mut part = Part::new(path.as_bytes(), content);
            part.mode = *mode;
            part
        };
        Zip { parts: files.iter().map(part).collect(), ..Zip::default() }
    }

    /// The bytes of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.zip().bytes()
    }
}

/// The line RECORD has for a file.
pub(crate) fn record_line(path: &str, content: &[u8]) -> String {
    let path = if path.contains([',', '"', '\n']) {
        format!("\"{}\"", path.replace('"', "\"\""))
    } else {
        path.to_owned()
    };
    format!("{path},sha256={},{}\n", base64url(&sha256(content)), content.len())
}
