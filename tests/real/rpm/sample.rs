//! Small packages made by rpmbuild, for trying the judges.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::build::files;
use crate::tools::output;

/// The programs that [`Sample::build`] needs.
pub(crate) const PROGRAMS: [&str; 1] = ["rpmbuild"];

/// What may differ between two samples: lines of their spec.
pub(crate) struct Sample<'s> {
    pub(crate) version: &'s str,
    /// Tags, such as what it requires.
    pub(crate) preamble: &'s str,
    /// Commands of `%install`.
    pub(crate) install: &'s str,
    /// Commands of `%post`.
    pub(crate) post: &'s str,
}

/// A `%post` that does nothing, in more than the one line that rpmlint would have as `%post -p`.
const SETTLED: &str = "if [ $1 -eq 1 ]; then\n    test -d /opt/sample\nfi";

/// A package that no judge has anything against.
pub(crate) const GOOD: Sample = Sample { version: "1", preamble: "", install: "", post: SETTLED };

/// A file, and the directory that goes with it.
pub(crate) struct Built {
    pub(crate) rpm: PathBuf,
    _dir: TempDir,
}

impl Sample<'_> {
    pub(crate) fn build(&self) -> Result<Built> {
        let dir = tempfile::tempdir_in("/var/tmp")?;
        let spec = dir.path().join("sample.spec");
        std::fs::write(&spec, self.spec())?;
        let mut rpmbuild = Command::new("rpmbuild");
        rpmbuild
            .args(["-bb", "--quiet", "--define"])
            .arg(format!("_topdir {}", dir.path().display()));
        output(rpmbuild.arg(&spec).env("HOME", dir.path()))?;
        let rpms = dir.path().join("RPMS");
        let rpm = files(&rpms)?.into_iter().next().context("rpmbuild made no package")?;
        Ok(Built { rpm, _dir: dir })
    }

    fn spec(&self) -> String {
        let Self { version, preamble, install, post } = self;
        format!(
            r"Name: sample
Version: {version}
Release: 1
Summary: Application of little use
License: MIT
URL: https://acme.example
Packager: Acme Ops <ops@acme.example>
Group: Applications/Internet
Requires: /usr/bin/python3.11
{preamble}
%global _build_id_links none
%global __os_install_post %{{nil}}
%global _buildhost reproducible
%global _binary_payload w3.zstdio
%global __requires_exclude_from ^/opt/
%global __provides_exclude_from ^/opt/

%description
A package that brings a little of everything, with 100%% of its
description in two lines.

%install
mkdir -p %{{buildroot}}/opt/sample/'a b' %{{buildroot}}/etc/sample %{{buildroot}}/usr/bin
echo 'v{version}' >%{{buildroot}}/opt/sample/version
echo 2 >%{{buildroot}}/opt/sample/'a b'/'[x]*?'
echo 50 >%{{buildroot}}/opt/sample/50%%
echo a=1 >%{{buildroot}}/etc/sample/sample.conf
printf '#!/bin/sh\necho hello\n' >%{{buildroot}}/usr/bin/sample
chmod 755 %{{buildroot}}/usr/bin/sample
ln -s version %{{buildroot}}/opt/sample/link
{install}

%post
{post}

%files
/opt/sample
%dir /etc/sample
%config(noreplace) /etc/sample/sample.conf
/usr/bin/sample

%changelog
* Thu Jan 01 2026 Acme Ops <ops@acme.example> - {version}-1
- Release.
"
        )
    }
}
