//! What a service is kept from, as directives of systemd.exec(5).
//!
//! Each takes away what a web application, a worker or a job has no use for; docs/services.md says what breaks.
//! Directives that an older systemd does not know it ignores, so that one text serves all.

use crate::project::services::Sandbox;

const STANDARD: [&str; 18] = [
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateDevices=yes",
    "CapabilityBoundingSet=",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "SystemCallArchitectures=native",
];

const STRICT: [&str; 9] = [
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    "SystemCallErrorNumber=EPERM",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "PrivateUsers=yes",
    "RemoveIPC=yes",
    "KeyringMode=private",
    "DevicePolicy=closed",
];

/// The lines of a profile.
pub(super) fn lines(sandbox: Sandbox) -> Vec<&'static str> {
    match sandbox {
        Sandbox::Off => Vec::new(),
        Sandbox::Standard => STANDARD.to_vec(),
        Sandbox::Strict => [&STANDARD[..], &STRICT].concat(),
    }
}
