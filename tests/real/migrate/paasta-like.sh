# Two environments of one recipe, links, patches; for migrate.sh to source.
# shellcheck shell=bash disable=SC2034
packages=(parcel-tools parcel-agent)
command='parcel && parcel_serve' prints='parcel-tools 1.4.2'
changed=(
    'pip has no --no-use-wheel since its release 10'
    'pip-custom-platform works with no pip later than 9'
)
both() {
    mkdir bin
    echo 'int main(void) { return 0; }' >bin/parcel.c
    gcc -static -o bin/parcel-go bin/parcel.c
}
recipe() { sed -i 's/ --extra-pip-arg --no-use-wheel//; s/ --pip-tool pip-custom-platform//' debian/rules; }
finish() {
    cat >>mkpkg-parcel-tools.toml <<'TOML'
[[files]]
source = "bin/parcel-go"
target = "/opt/venvs/parcel-tools/bin/parcel-go"
mode = "0755"
TOML
    patch -p1 <fix.patch
    sed -i 's/^\[deb\]$/&\nadd = ["parcel-tools"]/' mkpkg-parcel-agent.toml
}
differs=(
    'others -/usr/share/parcel: a link beside /usr/bin, which a human judges'
    'others +/usr/share/bash-completion/completions/parcel-tools: debhelper installs it with an add-on only'
)
