# The sequence `mkpkg` of debhelper: `dh $@ --with mkpkg`. Lies in /usr/share/perl5/Debian/Debhelper/Sequence.

use warnings;
use strict;
use Debian::Debhelper::Dh_Lib;
use Debian::Debhelper::SequencerUtil qw(rules_explicit_target);

# Targets of debian/rules that dh runs for a command, or instead of it. (Add-ons share one namespace.)
my $targets = sub {
    my ($command) = @_;
    my @found;
    for my $stem (map { "${_}_$command" } qw(override execute_before execute_after)) {
        # That function changes $_.
        for my $target ($stem, "$stem-arch", "$stem-indep") {
            push @found, $target if defined rules_explicit_target($target);
        }
    }
    return @found;
};

# dh would pass over what a recipe had for dh-virtualenv.
for my $target ($targets->('dh_virtualenv')) {
    (my $new = $target) =~ s/dh_virtualenv/dh_mkpkg/;
    error("debian/rules has the target $target, which dh does not run with mkpkg: call it $new");
}

# After all that rewrites or judges files of a package (dh_strip, dh_dwz, dh_strip_nondeterminism, dh_compress,
# dh_fixperms, dh_usrlocal, dh_makeshlibs, dh_shlibdeps): none of it sees the environment, wherever it lies, and no
# pattern has to keep it away. Before what makes the package of it (dh_installdeb, dh_gencontrol, dh_md5sums).
insert_before('dh_installdeb', 'dh_mkpkg');

# The project is built by mkpkg, in a copy, and for its own interpreter. What a recipe has for such a step is done.
for my $command (map { "dh_auto_$_" } qw(configure build test install clean)) {
    if ($targets->($command)) {
        add_command_options($command, '--buildsystem=none');
    } else {
        remove_command($command);
    }
}
remove_command($_) for qw(dh_python2 dh_pycentral dh_pysupport);

1;
