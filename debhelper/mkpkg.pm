# The sequence `mkpkg` of debhelper: `dh $@ --with mkpkg`. Lies in /usr/share/perl5/Debian/Debhelper/Sequence.

use warnings;
use strict;
use Debian::Debhelper::Dh_Lib;

# After all that rewrites or judges files of a package (dh_strip, dh_dwz, dh_strip_nondeterminism, dh_compress,
# dh_fixperms, dh_usrlocal, dh_makeshlibs, dh_shlibdeps): none of it sees the environment, wherever it lies, and no
# pattern has to keep it away. Before what makes the package of it (dh_installdeb, dh_gencontrol, dh_md5sums).
insert_before('dh_installdeb', 'dh_mkpkg');

# The project is built by mkpkg, in a copy, and for its own interpreter.
remove_command($_)
    for qw(dh_auto_configure dh_auto_build dh_auto_test dh_auto_install dh_auto_clean dh_python2 dh_pycentral dh_pysupport);

1;
