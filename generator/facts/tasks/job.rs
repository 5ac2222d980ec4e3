//! A job, and how far systemd can lock it in (systemd.exec(5)).

/// What runs for a schedule: a tool of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The tool's name.
    pub tool: &'static str,
    /// Its words. Every tool is told with `--yes` besides that nobody is there to answer its questions.
    pub arguments: Vec<String>,
    /// What it has to reach.
    pub access: Access,
}

impl Job {
    /// A tool without words.
    pub(super) fn new(tool: &'static str, access: Access) -> Self {
        Self {
            tool,
            arguments: Vec::new(),
            access,
        }
    }

    /// Further words.
    pub(super) fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(args.into_iter().map(Into::into));
        self
    }
}

/// What a job has to reach, and so how far it can be locked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
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
    /// Every one that a job has; `moxc-notify` alone reaches mail.
    #[cfg(test)]
    pub(crate) const OF_JOBS: [Self; 3] = [Self::Disks, Self::System, Self::Zfs];

    /// What the NixOS module calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zfs => "zfs",
            Self::Disks => "disks",
            Self::System => "system",
            Self::Mail => "mail",
        }
    }

    /// What `[Unit]` says of it.
    pub fn needs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Zfs => &[("After", "zfs.target")],
            Self::Disks | Self::Mail => &[],
            Self::System => &[
                ("Wants", "network-online.target"),
                ("After", "network-online.target"),
            ],
        }
    }

    /// Every lock that it can bear, sorted.
    pub fn locks(self) -> Vec<(&'static str, &'static str)> {
        let common = match self {
            Self::Zfs | Self::Disks | Self::Mail => LOCKS,
            Self::System => &[],
        };
        let mut locks: Vec<_> = common.iter().chain(self.own_locks()).copied().collect();
        locks.sort_unstable();
        locks
    }

    /// The locks of its own.
    fn own_locks(self) -> &'static [(&'static str, &'static str)] {
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
