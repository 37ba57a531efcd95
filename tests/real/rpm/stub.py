"""Makes the repository of a stub distribution: small packages with the capabilities of an RPM distribution.

    stub.py FLAVOUR OUT

FLAVOUR is a table of distributions.toml, which says what each distribution provides; OUT is a new directory. /bin/sh
and the usual commands are a static busybox, so that scriptlets run for real in a root that holds nothing else; commands
that would change a running system do nothing and succeed.

The stubs resolve as the distribution does in the versions of glibc, libgcc, libstdc++ and zlib, and in which Python
there is; they have none of its rpm macros, file triggers, presets or policies. That one of them refuses a package says
more than that it takes it.
"""

import pathlib
import subprocess
import sys
import tempfile
import tomllib

EVERYWHERE = [
    "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1",
    "libpq.so.5", "libxslt.so.1", "libexslt.so.0", "libcurl.so.4", "libexpat.so.1", "libsqlite3.so.0", "libbz2.so.1",
    "liblzma.so.5", "libuuid.so.1", "libmariadb.so.3", "libatomic.so.1", "libX11.so.6", "libxcb.so.1", "libGL.so.1",
]  # fmt: skip
BUSYBOX = """cat chgrp chmod chown cp cut date dirname basename echo env expr false find getopt head id install
    ln ls mkdir mktemp mv readlink rm rmdir sleep sort stat tail test timeout touch tr true uname wc xargs""".split()
IDLE = {
    "systemd": ["/usr/bin/systemctl", "/usr/bin/systemd-sysusers", "/usr/bin/systemd-tmpfiles"],
    "shadow-utils": ["/usr/sbin/useradd", "/usr/sbin/groupadd", "/usr/sbin/usermod", "/usr/sbin/userdel"],
    "util-linux": ["/usr/sbin/runuser"],
    # that of chkconfig, or Debian's in SUSE; Fedora since 42, where it is in /usr/bin, provides this name as well
    "alternatives": ["/usr/sbin/update-alternatives"],
    "policycoreutils": ["/usr/sbin/restorecon"],
}
# Directories that belong to the distributions; those an application makes below them are its own.
DIRECTORIES = """/etc /etc/systemd /etc/systemd/system /etc/sysconfig /opt /root /run /srv /tmp /usr /usr/bin /usr/lib
    /usr/lib/systemd /usr/lib/systemd/system /usr/lib/systemd/system-preset /usr/lib/sysusers.d /usr/lib/tmpfiles.d
    /usr/lib64 /usr/local /usr/local/bin /usr/sbin /usr/share /usr/share/applications /usr/share/bash-completion
    /usr/share/bash-completion/completions /usr/share/doc /usr/share/licenses /usr/share/man /usr/share/man/man1
    /usr/share/man/man5 /usr/share/man/man8 /var /var/adm /var/adm/update-scripts /var/cache /var/lib /var/lib/rpm-state
    /var/log /var/spool /var/tmp""".split()


def number(version):
    return [int(part) for part in version.split(".")]


def capability(soname, version=""):
    return f"{soname}({version})(64bit)"


class Distribution:
    def __init__(self, flavour):
        self.facts = tomllib.loads(pathlib.Path(__file__).with_name("distributions.toml").read_text())
        self.own = self.facts[flavour]

    def library(self, soname):
        """Capabilities of a library, with the symbol versions it has in this distribution."""
        names, prefix = [capability(soname)], ""
        for word in self.facts["versions"].get(soname, "").split():
            if word.endswith("_"):
                prefix = word
            elif number(word) <= number(self.own[prefix[:-1].lower()]):
                names.append(capability(soname, prefix + word))
        names += [capability(soname, version) for version in self.facts["more"].get(soname, [])]
        if soname == "libc.so.6":
            names += [capability(soname, f"GLIBC_ABI_{name}") for name in self.own["abi"]]
        return names

    def packages(self):
        """Name, capabilities, and files: a path, and the shell command that makes it."""
        yield "filesystem", [], skeleton()
        glibc = [soname for soname, versions in self.facts["versions"].items() if versions.startswith("GLIBC_")]
        yield "glibc", ["rtld(GNU_HASH)", *(name for soname in glibc for name in self.library(soname))], {}
        sh = {"/usr/bin/sh": "cp /bin/busybox %{buildroot}/usr/bin/sh"}
        yield "bash", ["/bin/sh", "/bin/bash"], sh | script("/usr/bin/bash", 'exec /bin/sh "$@"')
        yield "coreutils", [], dict(link(f"/usr/bin/{name}", "sh") for name in BUSYBOX)
        for name in "grep", "sed":
            yield name, [], dict([link(f"/usr/bin/{name}", "sh")])
        yield "glibc-common", [], script("/usr/bin/getent", 'exec grep "^$2:" "/etc/$1"')
        for name, paths in IDLE.items():
            yield name, [], dict(item for path in paths for item in script(path, "exit 0").items())
        for soname in [*self.own["libraries"], *EVERYWHERE]:
            yield f"stub-{soname}", self.library(soname), {}
        for version in self.own["python"] + self.own["python-without-abi"]:
            abi = [f"python(abi) = {version}"] if version in self.own["python"] else []
            library = self.library(f"libpython{version}.so.1.0")
            yield f"python{version}", abi + library, script(f"/usr/bin/python{version}", "exit 0")
        yield "python3", [], dict([link("/usr/bin/python3", f"python{self.own['python'][0]}")])


def skeleton():
    """The directories of a distribution with a merged /usr, and its accounts."""
    made = {f"%dir {path}": f"mkdir -p %{{buildroot}}{path}" for path in DIRECTORIES}
    made |= dict(link(f"/{name}", f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64"))
    made["/etc/passwd"] = "echo root:x:0:0:root:/root:/bin/sh >%{buildroot}/etc/passwd"
    made["/etc/group"] = "echo root:x:0: >%{buildroot}/etc/group"
    return made


def link(path, target):
    return path, f"ln -s {target} %{{buildroot}}{path}"


def script(path, command):
    text = f"printf '#!/bin/sh\\n%%s\\n' '{command}'"
    return {path: f"{text} >%{{buildroot}}{path} && chmod 755 %{{buildroot}}{path}"}


def spec(distribution, flavour):
    """One spec with a subpackage for each package: one run of rpmbuild makes them all."""
    head = [f"Name: stub-{flavour}", "Version: 1", "Release: 1", "Summary: Stub", "License: MIT", "%description"]
    install, files = ["%install", "mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/sbin %{buildroot}/etc"], []
    for name, capabilities, made in distribution.packages():
        head += [f"%package -n {name}", "Summary: Stub", "AutoReqProv: no"]
        head += [f"Provides: {capability}" for capability in capabilities]
        # unpacked first, so that nothing makes a directory where the links of a merged /usr belong
        head += ["Requires(pre): filesystem"] if name != "filesystem" else []
        head += [f"%description -n {name}", "Stub."]
        install += made.values()
        files += [f"%files -n {name}", "%defattr(-,root,root)", *made]
    return "\n".join(head + install + files) + "\n"


def main():
    flavour, out = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch, "stub.spec")
        file.write_text(spec(Distribution(flavour), flavour))
        settings = [f"_topdir {scratch}", f"_rpmdir {out}", "_build_id_links none", "__os_install_post %{nil}"]
        defines = [word for setting in settings for word in ("--define", setting)]
        subprocess.run(["rpmbuild", "-bb", "--quiet", "--target", "x86_64", *defines, str(file)], check=True)
    subprocess.run(["createrepo_c", "--quiet", str(out)], check=True)


main()
