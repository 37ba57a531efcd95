//! A private index behind a password: pip's own settings reach it, and the password reaches nothing else.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::build::only_entry;
use crate::tools::{output, ready};

const USER: &str = "builder";
const SECRET: &str = "s3cr3t-t0ken";
/// `builder:s3cr3t-t0ken` in base64.
const BASIC: &str = "Basic YnVpbGRlcjpzM2NyM3QtdDBrZW4=";
const WHEEL: &str = "private_demo-1.0-py3-none-any.whl";

const MAKE_WHEEL: &str = r#"
import base64, hashlib, sys, zipfile
info = "private_demo-1.0.dist-info/"
files = {
    "private_demo.py": "def main():\n    print('private')\n",
    info + "METADATA": "Metadata-Version: 2.1\nName: private-demo\nVersion: 1.0\n",
    info + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    info + "entry_points.txt": "[console_scripts]\nprivate-demo = private_demo:main\n",
}
def line(name, text):
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(text)}\n"
record = "".join(line(*file) for file in files.items()) + info + "RECORD,,\n"
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    for name, text in [*files.items(), (info + "RECORD", record)]:
        wheel.writestr(name, text)
"#;

/// Answers every request for the project's page or its wheel, with the password only; returns the port.
fn serve(wheel: Vec<u8>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that hangs up early is its own concern.
            let _ = answer(stream, &wheel);
        }
    });
    Ok(port)
}

fn answer(mut stream: TcpStream, wheel: &[u8]) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().context("no request")??;
    let mut is_trusted = false;
    for line in lines {
        let line = line?;
        is_trusted |= line.split_once(": ").is_some_and(|(_, value)| value == BASIC);
        if line.is_empty() {
            break;
        }
    }
    let page = format!("<a href=\"/files/{WHEEL}\">{WHEEL}</a>");
    let (status, body) = match request.split(' ').nth(1) {
        _ if !is_trusted => ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", &b""[..]),
        Some("/simple/private-demo/") => ("200 OK\r\nContent-Type: text/html", page.as_bytes()),
        Some(path) if path.starts_with("/files/") => ("200 OK", wheel),
        Some(_) | None => ("404 Not Found", &b""[..]),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    Ok(())
}

fn build(project: &Path, home: &Path, variables: &[(&str, String)]) -> Result<Output> {
    let mut mkpkg = Command::new(env!("CARGO_BIN_EXE_mkpkg"));
    mkpkg.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", home).env("TMPDIR", home);
    mkpkg.args(["deb", "--verbose", "--installer", "pip", "-o"]).arg(home.join("out")).arg(project);
    mkpkg.envs(variables.iter().map(|(name, value)| (name, value)));
    mkpkg.output().context("cannot run mkpkg")
}

fn holds_secret(bytes: &[u8]) -> bool {
    bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}

/// Everything below `dir`, names and contents.
fn leaks(dir: &Path) -> Result<Vec<String>> {
    let files = crate::build::files(dir)?;
    let leaky = files.into_iter().filter(|file| {
        holds_secret(file.as_os_str().as_encoded_bytes())
            || fs::read(file).is_ok_and(|bytes| holds_secret(&bytes))
    });
    Ok(leaky.map(|file| file.display().to_string()).collect())
}

#[test]
fn credentials_reach_the_index_and_nothing_else() -> Result<()> {
    if !ready("credentials_reach_the_index_and_nothing_else", &["python3.11", "dpkg-deb"])? {
        return Ok(());
    }
    let work = tempfile::tempdir()?;
    let (project, wheel) = (work.path().join("private-demo"), work.path().join(WHEEL));
    fs::create_dir(&project)?;
    fs::write(project.join("requirements.txt"), "private-demo==1.0\n")?;
    output(Command::new("/usr/bin/python3.11").args(["-c", MAKE_WHEEL]).arg(&wheel))?;
    let port = serve(fs::read(&wheel)?)?;
    let url = |user: &str| ("PIP_INDEX_URL", format!("http://{user}127.0.0.1:{port}/simple/"));
    let in_url = url(&format!("{USER}:{SECRET}@"));
    let netrc = format!("machine 127.0.0.1\nlogin {USER}\npassword {SECRET}\n");
    for (name, variable, netrc) in [("url", in_url, ""), ("netrc", url(""), netrc.as_str())] {
        let home = work.path().join(name);
        fs::create_dir(&home)?;
        fs::write(home.join(".netrc"), netrc)?;
        let built = build(&project, &home, &[variable])?;
        let said = String::from_utf8_lossy(&built.stderr).into_owned();
        ensure!(built.status.success(), "{name}: {said}");
        ensure!(!holds_secret(&built.stderr) && !holds_secret(&built.stdout), "{name}: {said}");
        let deb = only_entry(&home.join("out"))?;
        output(Command::new("dpkg-deb").arg("-R").arg(&deb).arg(home.join("unpacked")))?;
        fs::remove_file(home.join(".netrc"))?;
        let leaks = leaks(&home)?;
        ensure!(leaks.is_empty(), "{name}: {leaks:?}");
    }
    let home = work.path().join("wrong");
    fs::create_dir(&home)?;
    let refused = build(&project, &home, &[url(&format!("{USER}:wrong-{SECRET}@"))])?;
    let mut said = String::new();
    refused.stderr.as_slice().read_to_string(&mut said)?;
    ensure!(refused.status.code() == Some(3), "{said}");
    ensure!(!holds_secret(said.as_bytes()), "{said}");
    Ok(())
}
