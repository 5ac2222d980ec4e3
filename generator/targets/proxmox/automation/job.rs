//! A job, and how far systemd can lock it in (systemd.exec(5)).

use crate::systemd::Unit;
use crate::tools;

/// What runs for a schedule.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// The program with its arguments.
    pub(super) command: Vec<String>,
    /// What it has to reach.
    pub(super) access: Access,
}

impl Job {
    /// A tool with arguments; nobody is there to answer its questions.
    pub(super) fn new(tool: &str, access: Access) -> Self {
        Self {
            command: vec![tools::path(tool), "--yes".to_owned()],
            access,
        }
    }

    /// The arguments alone, without those of every tool.
    pub(super) fn into_arguments(self) -> Vec<String> {
        self.command.into_iter().skip(2).collect()
    }

    /// Further arguments.
    pub(super) fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.command.extend(args.into_iter().map(Into::into));
        self
    }
}

/// What a job has to reach, and so how far it can be locked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Pools and datasets: `/dev/zfs`, and nothing else of the machine.
    Zfs,
    /// Disks, by commands of their own (SMART).
    Disks,
    /// The whole system. A package's scripts do what they like, and a guest that is started inherits name spaces and
    /// forbidden calls: so nothing is locked.
    System,
    /// The mail system, whichever it is: it queues or sends.
    Mail,
}

impl Access {
    /// What `[Unit]` says of it.
    pub(super) fn needs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Zfs => &[("After", "zfs.target")],
            Self::Disks | Self::Mail => &[],
            Self::System => &[
                ("Wants", "network-online.target"),
                ("After", "network-online.target"),
            ],
        }
    }

    /// The locks of its own.
    fn locks(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // Being root with one capability: CAP_SYS_ADMIN is what the ioctls of /dev/zfs ask for.
            Self::Zfs => &[
                ("CapabilityBoundingSet", "CAP_SYS_ADMIN"),
                ("DeviceAllow", "/dev/zfs rw"),
                ("DevicePolicy", "closed"),
                ("IPAddressDeny", "any"),
                ("PrivateNetwork", "yes"),
                ("ProtectHome", "yes"),
                ("ProtectSystem", "strict"),
                ("ReadWritePaths", "/run/lock"),
                ("RestrictAddressFamilies", "none"),
                ("SystemCallFilter", "@system-service"),
                ("SystemCallFilter", "~@privileged @resources"),
            ],
            // CAP_SYS_RAWIO for SCSI's commands, CAP_SYS_ADMIN for NVMe's.
            Self::Disks => &[
                ("CapabilityBoundingSet", "CAP_SYS_ADMIN CAP_SYS_RAWIO"),
                ("DeviceAllow", "block-* rw"),
                ("DeviceAllow", "char-* rw"),
                ("DevicePolicy", "closed"),
                ("IPAddressDeny", "any"),
                ("PrivateNetwork", "yes"),
                ("ProtectHome", "yes"),
                ("ProtectSystem", "strict"),
                ("ReadWritePaths", "/run/lock"),
                ("RestrictAddressFamilies", "none"),
                ("SystemCallFilter", "@system-service"),
                ("SystemCallFilter", "~@privileged @resources"),
            ],
            Self::Mail => &[
                ("PrivateDevices", "yes"),
                ("ProtectHome", "read-only"),
                ("ProtectSystem", "full"),
                (
                    "RestrictAddressFamilies",
                    "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
                ),
                ("SystemCallFilter", "@system-service"),
            ],
            Self::System => &[],
        }
    }
}

/// What every job but one of the whole system does without.
const LOCKS: &[(&str, &str)] = &[
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("NoNewPrivileges", "yes"),
    ("PrivateMounts", "yes"),
    ("PrivateTmp", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectProc", "invisible"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("SystemCallArchitectures", "native"),
    // A call that is forbidden fails and is told, instead of ending the program.
    ("SystemCallErrorNumber", "EPERM"),
    ("UMask", "0077"),
];

/// Locks a service in as far as its access allows.
pub(super) fn lock_down(service: &mut Unit, access: Access) {
    let common = match access {
        Access::Zfs | Access::Disks | Access::Mail => LOCKS,
        Access::System => &[],
    };
    let mut locks: Vec<_> = common.iter().chain(access.locks()).collect();
    locks.sort();
    for (key, value) in locks {
        service.set(key, value);
    }
}
