//! Names that hosts have: units, directories and accounts a package must not take for its own.
//!
//! Those of Debian's, Red Hat's and SUSE's base systems, and of servers that many hosts have.

use anyhow::Result;

use crate::error::UserError;

/// Units of base systems, without their ends; those that begin as [`UNIT_BEGINNINGS`] do are reserved, too.
const UNITS: &str = "
    acpid apparmor apt-daily apt-daily-upgrade atd auditd autovt@ avahi-daemon basic blockdev@ bluetooth boot-complete
    capsule@ chrony chronyd cloud-init console-getty container-getty@ containerd cron crond cryptsetup ctrl-alt-del cups
    dbus dbus-broker debug-shell default dev-hugepages dev-mqueue display-manager dm-event dnsmasq docker dpkg-db-backup
    emergency exim4 factory-reset firewalld first-boot-complete fstrim fwupd getty getty-pre getty-static
    getty@ gpm graphical halt hibernate httpd hwclock hybrid-sleep irqbalance iscsid keyboard-setup kexec kmod
    kmod-static-nodes ldconfig libvirtd local-fs local-fs-pre lvm2-monitor machine mariadb mdmonitor ModemManager
    modprobe@ multi-user multipathd mysql mysqld named network network-online network-pre NetworkManager networking
    nfs-server nftables nginx ntp ntpd nscd nslcd nss-lookup nss-user-lookup polkit postfix postgresql
    postgresql@ poweroff proc-sys-fs-binfmt_misc procps quotaon rc-local rdisc reboot redis redis-server
    remote-cryptsetup remote-fs remote-fs-pre rescue resolvconf rngd rpcbind rsync rsyslog run-lock samba sendmail
    serial-getty@ shutdown sleep smbd snapd snmpd sockets soft-reboot squid ssh ssh@ sshd
    sshd@ sssd storage-target-mode sudo suspend suspend-then-hibernate swap sysinit syslog sysstat system-update
    time-set time-sync timers tmp tuned udev udisks2 ufw umount unattended-upgrades unbound upower user user@
    user-runtime-dir@ uuidd vmtoolsd wpa_supplicant x11-common xinetd yppasswdd
";
const UNIT_BEGINNINGS: [&str; 4] = ["dbus-org.", "initrd", "runlevel", "systemd-"];

/// Directories in `/var/lib`, `/var/cache`, `/var/log` and `/run` of base systems.
const DIRECTORIES: &str = "
    AccountsService NetworkManager PackageKit adduser agetty alternatives anaconda apache2 apt aptitude arpd
    audit authselect backups blkid boot bootstrap btmp certmonger cloud console console-setup containerd containers
    credentials cryptsetup cups dbus debconf dhclient dhcp dictionaries-common dnf docker dpkg dracut faillock firewalld
    fontconfig fsck games gcc ghostscript gssproxy gvfs host hp ifupdown initramfs initramfs-tools initctl initscripts
    insights installer ispell iscsi journal krb5kdc lastlog ldconfig libvirt locale locate lock log logrotate lvm machines
    mail man man-db mdadm media messages misc mlocate motd motd.d mount netns network nfs nologin nssdb nscd ntpstats os-prober
    pam pcp pki plymouth plocate polkit-1 portables postfix private pycompact python random-seed resolvconf rhsm rpcbind rpm
    rpm-state rsyslog samba sasl2 screen screens secure selinux sendsigs.omit.d setrans shells.state shim-signed
    sm-notify snapd spool sss sssd ssh sshd stateless sudo swtpm sysconfig systemd tallylog tmpfiles.d tpm2-tss tuned ubuntu-advantage ucf
    udev udisks2 unattended-upgrades upgrades usb_modeswitch user utmp uuidd vim vmware wtmp xfsdump xkb xtables yum zypp
    dovecot elasticsearch etcd exim4 grafana haproxy httpd influxdb jenkins kafka ldap mariadb memcached mongodb mysql named
    nginx openldap pgsql postgresql prometheus rabbitmq redis slapd tomcat varnish zookeeper
";

/// Accounts and groups that base systems have, or that give rights no service should have by accident.
const ACCOUNTS: &str = "
    _apt adm audio avahi backup bin bluetooth cdrom chrony clock cockpit-ws daemon dbus dialout dip disk docker fax floppy
    fwupd-refresh games gnats halt incus input irc kmem kvm libvirt libvirt-qemu list lock lp lxd mail man maildrop
    messagebus netdev news nobody nogroup nscd ntp operator plugdev polkitd postdrop postfix proxy render root rpc sasl
    sgx shadow shutdown src sshd staff sudo sync sys syslog systemd-coredump systemd-journal systemd-network
    systemd-oom systemd-resolve systemd-timesync tape tcpdump tss tty users utempter utmp uucp uuidd video voice wheel
    wireshark dovecot elasticsearch etcd grafana haproxy influxdb jenkins kafka ldap memcache memcached mongodb mysql named
    openldap postgres prometheus rabbitmq redis slapd tomcat varnish zookeeper
";

fn has(list: &str, name: &str) -> bool {
    list.split_whitespace().any(|known| known == name)
}

/// Refuses the name of a package with services, whose directories would be the host's.
pub(super) fn directory(name: &str) -> Result<()> {
    if !has(DIRECTORIES, name) {
        return Ok(());
    }
    let message = format!(
        "services of a package called `{name}` would own `/var/lib/{name}`, `/var/log/{name}` or `/run/{name}`, which hosts have"
    );
    Err(UserError::usage(message).hint("set `name` to one of the application's own").into())
}

/// Refuses the name of a unit, without its end, that hosts have.
pub(super) fn unit(stem: &str) -> Result<()> {
    if !has(UNITS, stem) && !UNIT_BEGINNINGS.iter().any(|begin| stem.starts_with(begin)) {
        return Ok(());
    }
    let message = format!("`{stem}` is a unit that hosts have");
    Err(UserError::usage(message).hint("set `name`, or rename the service's key").into())
}

/// Refuses an account that the host has for something else. `www-data`, `apache` and `nginx` can be asked for.
pub(super) fn account(name: &str) -> Result<()> {
    if !has(ACCOUNTS, name) {
        return Ok(());
    }
    let message = format!("`{name}` is an account or a group that hosts have");
    Err(UserError::usage(message)
        .hint("set `user.name` to one of the application's own; `user.groups` adds groups that are there")
        .into())
}

#[cfg(test)]
mod tests {
    use crate::services::reserved::{account, directory, unit};

    #[test]
    fn names_of_hosts() {
        for name in ["user", "journal", "private", "lock", "dpkg", "rpm", "mysql", "postgresql"] {
            assert!(directory(name).is_err(), "{name}");
        }
        for name in ["rescue", "user@", "systemd-x", "initrd-x", "ssh", "getty@"] {
            assert!(unit(name).is_err(), "{name}");
        }
        for name in ["root", "shadow", "disk", "docker", "wheel", "postgres"] {
            assert!(account(name).is_err(), "{name}");
        }
        for name in ["acme", "acme-web", "users-web", "www-data", "worker@", "printer"] {
            assert!(
                directory(name).is_ok() && unit(name).is_ok() && account(name).is_ok(),
                "{name}"
            );
        }
    }
}
