# Options that exclude each other, compiled files of strangers; for migrate.sh to source.
# shellcheck shell=bash disable=SC2034
packages=(classroom)
command='/opt/venvs/classroom/bin/classroom' prints='classroom 1.5.1'
changed=(
    'python -m venv knows no --setuptools, and no --verbose, which DH_VERBOSE adds'
    'the indexes of the recipe are made up'
    'nodeenv and npm fetch programs from elsewhere: what they add is left out'
    'debhelper stops at files of upstart since compatibility level 11'
    'numpy makes way for markupsafe, which is smaller'
)
recipe() {
    sed -i 's/ --index-url .* -S/ -S/; s/ --setuptools / /; s/"numpy"/"markupsafe"/; /DH_VERBOSE/d; /nodeenv/d; /npm install/d' debian/rules
    rm debian/classroom.upstart
}
differs=('modules -markupsafe: of --preinstall, which a human judges')
