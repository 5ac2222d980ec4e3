# How far systemd locks in what a host does at set times. Written from `generator/facts/tasks/job.rs`.
{
  disks = {
    after = [ ];
    serviceConfig = {
      CapabilityBoundingSet = "CAP_SYS_ADMIN CAP_SYS_RAWIO";
      DeviceAllow = [
        "block-* rw"
        "char-* rw"
      ];
      DevicePolicy = "closed";
      IPAddressDeny = "any";
      LockPersonality = "yes";
      MemoryDenyWriteExecute = "yes";
      NoNewPrivileges = "yes";
      PrivateMounts = "yes";
      PrivateNetwork = "yes";
      PrivateTmp = "yes";
      ProtectClock = "yes";
      ProtectControlGroups = "yes";
      ProtectHome = "yes";
      ProtectHostname = "yes";
      ProtectKernelLogs = "yes";
      ProtectKernelModules = "yes";
      ProtectKernelTunables = "yes";
      ProtectProc = "invisible";
      ProtectSystem = "strict";
      ReadWritePaths = "/run/lock";
      RestrictAddressFamilies = "none";
      RestrictNamespaces = "yes";
      RestrictRealtime = "yes";
      RestrictSUIDSGID = "yes";
      SystemCallArchitectures = "native";
      SystemCallErrorNumber = "EPERM";
      SystemCallFilter = [
        "@system-service"
        "~@privileged @resources"
      ];
      UMask = "0077";
    };
    wants = [ ];
  };
  system = {
    after = [
      "network-online.target"
    ];
    serviceConfig = { };
    wants = [
      "network-online.target"
    ];
  };
  zfs = {
    after = [
      "zfs.target"
    ];
    serviceConfig = {
      CapabilityBoundingSet = "CAP_SYS_ADMIN";
      DeviceAllow = "/dev/zfs rw";
      DevicePolicy = "closed";
      IPAddressDeny = "any";
      LockPersonality = "yes";
      MemoryDenyWriteExecute = "yes";
      NoNewPrivileges = "yes";
      PrivateMounts = "yes";
      PrivateNetwork = "yes";
      PrivateTmp = "yes";
      ProtectClock = "yes";
      ProtectControlGroups = "yes";
      ProtectHome = "yes";
      ProtectHostname = "yes";
      ProtectKernelLogs = "yes";
      ProtectKernelModules = "yes";
      ProtectKernelTunables = "yes";
      ProtectProc = "invisible";
      ProtectSystem = "strict";
      ReadWritePaths = "/run/lock";
      RestrictAddressFamilies = "none";
      RestrictNamespaces = "yes";
      RestrictRealtime = "yes";
      RestrictSUIDSGID = "yes";
      SystemCallArchitectures = "native";
      SystemCallErrorNumber = "EPERM";
      SystemCallFilter = [
        "@system-service"
        "~@privileged @resources"
      ];
      UMask = "0077";
    };
    wants = [ ];
  };
}
