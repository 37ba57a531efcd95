//! What a package does on a host beside having files: accounts, units, checks and snippets, in words both formats share.
//!
//! Values only. Which script does what, and when, is the business of the backends; docs/services.md is the contract.

use std::collections::BTreeMap;

use crate::tree::PkgPath;

/// Everything that happens around the files of a package. Nothing, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// The account that services run as; `None` when they run as root, or there are none.
    pub account: Option<Account>,
    /// Files of the package in `/usr/lib/sysusers.d`, by name.
    pub sysusers: Vec<String>,
    /// Files of the package in `/usr/lib/tmpfiles.d`, by name.
    pub tmpfiles: Vec<String>,
    /// Units, in the order they are started; stopping goes the other way.
    pub units: Vec<Unit>,
    /// File with the variables of services, one `NAME=value` a line.
    pub environment_file: Option<PkgPath>,
    /// Shell commands that must succeed on the host before anything is started or restarted.
    pub checks: Vec<String>,
    /// Shell text to run, by when.
    pub snippets: BTreeMap<Moment, String>,
    /// Directories services write to, which a purge deletes.
    pub state_dirs: Vec<PkgPath>,
    /// The package's part in which release of the application is the current one.
    pub alternative: Option<Alternative>,
    /// What an upgrade from the previous package has to prepare.
    pub changes: Changes,
}

/// A directory that a link can lead to, one of several; on every host a program of that purpose keeps the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// What the program calls the link, such as `acme-web-release`.
    pub name: String,
    /// The application's package.
    pub application: String,
    /// The link, such as `/opt/acme-web/current`.
    pub link: PkgPath,
    /// The directory, such as `/opt/acme-web/releases/1.4.2`.
    pub dir: PkgPath,
    /// What the package does about it.
    pub part: Part,
}

/// What a package does about an alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It has the directory and offers it, which switches nothing.
    Offers {
        /// The highest is the one the link falls back to when the chosen directory goes.
        priority: u64,
    },
    /// It leads the link there once all is ready, before anything is started or restarted.
    Selects,
}

/// A user with a group of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Name of both: `[a-z_][a-z0-9_-]*`, at most 31 characters.
    pub name: String,
    /// What the account is for: one line without `:` and `"`.
    pub description: String,
    /// Home directory; need not exist.
    pub home: PkgPath,
    /// Further groups that what runs as it belongs to.
    pub groups: Vec<String>,
}

/// A unit of systemd that the package has in `/usr/lib/systemd/system`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// File name, such as `acme-web.service` or `acme-worker@.service`: letters, digits and `:_.-@`.
    pub name: String,
    /// What sets it going.
    pub activation: Activation,
    /// What an upgrade does to it while it is active.
    pub on_upgrade: OnUpgrade,
}

/// What sets a unit going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The boot: it has an `[Install]` section.
    Boot {
        /// Whether a fresh install enables it.
        enable: bool,
        /// Whether a fresh install starts it, provided it is enabled.
        start: bool,
    },
    /// Another unit, such as its socket or timer.
    Unit,
    /// An administrator, who makes instances of a template.
    Instance,
}

/// What an upgrade does to an active unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUpgrade {
    /// It is restarted, so that the new code runs.
    Restart,
    /// It goes on as it is.
    Keep,
}

impl Unit {
    /// The pattern of a template's instances, such as `acme-worker@*.service`; `None` for any other unit.
    pub fn instances(&self) -> Option<String> {
        match self.activation {
            Activation::Instance => Some(pattern(&self.name)),
            Activation::Boot { .. } | Activation::Unit => None,
        }
    }
}

/// What matches the names that units of the file `name` run under: a template stands for its instances.
pub fn pattern(name: &str) -> String {
    name.replacen("@.", "@*.", 1)
}

/// A point at which a snippet runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Moment {
    BeforeInstall,
    AfterInstall,
    BeforeUpgrade,
    AfterUpgrade,
    BeforeRemove,
    AfterRemove,
}

/// What differs from the previous package in ways that package managers do not handle by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Directories that are links now, with the target of the link.
    pub dir_to_link: BTreeMap<PkgPath, String>,
    /// Links that are directories now, with the target the link had.
    pub link_to_dir: BTreeMap<PkgPath, String>,
    /// Configuration files that are no more, or no configuration.
    pub dropped_configs: Vec<PkgPath>,
    /// Units that are no more.
    pub dropped_units: Vec<String>,
}
