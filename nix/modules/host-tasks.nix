# What a host does at set times: snapshots, scrubs, trims, self-tests of disks, tidying up.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.moxc.tasks;
  inherit (import ./priority.nix { inherit lib; }) facts;

  names = lib.types.listOf lib.types.str;
  task = lib.types.submodule {
    options = {
      enable = lib.mkEnableOption "this task" // {
        default = true;
      };
      kind = lib.mkOption {
        type = lib.types.enum [
          "backup-rehearsal"
          "proxmox-maintenance"
          "smart-test"
          "windows-update"
          "zfs-scrub"
          "zfs-snapshot"
          "zfs-trim"
        ];
        description = "What it does.";
      };
      onCalendar = lib.mkOption {
        type = lib.types.str;
        example = "hourly";
        description = "When, as systemd's OnCalendar.";
      };
      randomizedDelay = lib.mkOption {
        type = lib.types.nullOr lib.types.str;
        default = null;
        description = "How much later at random, at most.";
      };
      persistent = lib.mkOption {
        type = lib.types.bool;
        default = true;
        description = "Whether a run that was missed is made up for.";
      };
      timeout = lib.mkOption {
        type = lib.types.str;
        default = "14d";
        example = "2h";
        description = "How long it may take, as systemd's TimeoutStartSec.";
      };
      arguments = lib.mkOption {
        type = names;
        default = [ ];
        description = "Further words for the tool: what a rehearsal or an update of Windows guests is about.";
      };
      pools = lib.mkOption {
        type = names;
        default = [ ];
        description = "The pools that are scrubbed or trimmed.";
      };
      datasets = lib.mkOption {
        type = names;
        default = [ ];
        description = "The datasets of which snapshots are taken.";
      };
      recursive = lib.mkOption {
        type = lib.types.bool;
        default = true;
        description = "Whether snapshots are also taken of what lies below.";
      };
      keep = lib.mkOption {
        type = lib.types.attrsOf lib.types.ints.positive;
        default = { };
        example = {
          hourly = 24;
          daily = 7;
        };
        description = "How many snapshots are kept; all of them without a rule.";
      };
      devices = lib.mkOption {
        type = names;
        default = [ ];
        description = "The disks that test themselves.";
      };
      test = lib.mkOption {
        type = lib.types.enum [
          "short"
          "long"
        ];
        default = "short";
        description = "The self-test of the disks.";
      };
    };
  };

  enabled = lib.filterAttrs (_: task: task.enable) cfg.schedules;

  tools = import ./tools.nix {
    inherit lib pkgs;
    nix = config.nix.package.out;
    systemd = config.systemd.package;
    zfs = config.boot.zfs.package;
  };

  # The words of each kind's tool. What is asked is answered: nobody is there.
  commandOf =
    name: task:
    [
      (lib.getExe tools.${task.kind})
      "--yes"
    ]
    ++ {
      backup-rehearsal = task.arguments;
      proxmox-maintenance = [ ];
      smart-test = [
        "--kind"
        task.test
        "--"
      ]
      ++ task.devices;
      windows-update = task.arguments;
      zfs-scrub = [
        "--wait"
        "--"
      ]
      ++ task.pools;
      zfs-snapshot = [
        "--name"
        name
      ]
      ++ lib.optional task.recursive "--recursive"
      ++ lib.concatLists (
        lib.mapAttrsToList (rule: number: [
          "--keep"
          "${rule}=${toString number}"
        ]) task.keep
      )
      ++ [ "--" ]
      ++ task.datasets;
      zfs-trim = [ "--" ] ++ task.pools;
    }
    .${task.kind};

  # How far systemd locks a task in. What tidies the system or starts guests cannot be:
  # what it starts would inherit the locks.
  common = {
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    NoNewPrivileges = true;
    PrivateMounts = true;
    PrivateTmp = true;
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectProc = "invisible";
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
    UMask = "0077";
    DevicePolicy = "closed";
    IPAddressDeny = "any";
    PrivateNetwork = true;
    ProtectHome = true;
    ProtectSystem = "strict";
    ReadWritePaths = [ "/run/lock" ];
    RestrictAddressFamilies = "none";
    SystemCallFilter = [
      "@system-service"
      "~@privileged @resources"
    ];
  };
  zfs = common // {
    CapabilityBoundingSet = [ "CAP_SYS_ADMIN" ];
    DeviceAllow = [ "/dev/zfs rw" ];
  };
  locksOf =
    kind:
    {
      backup-rehearsal = { };
      proxmox-maintenance = { };
      smart-test = common // {
        CapabilityBoundingSet = [
          "CAP_SYS_ADMIN"
          "CAP_SYS_RAWIO"
        ];
        DeviceAllow = [
          "block-* rw"
          "char-* rw"
        ];
      };
      windows-update = { };
      zfs-scrub = zfs;
      zfs-snapshot = zfs;
      zfs-trim = zfs;
    }
    .${kind};
in
{
  key = "moxc/host-tasks";

  imports = [
    ./common.nix
    ./notify.nix
  ];

  options.services.moxc.tasks = {
    enable = lib.mkEnableOption "what this host does at set times" // {
      default = true;
    };
    schedules = lib.mkOption {
      type = lib.types.attrsOf task;
      default = { };
      description = "Tasks by name; each becomes a service and a timer `moxc-<name>`.";
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable && enabled != { }) {
    environment.systemPackages = [
      tools.backup-rehearsal
      tools.proxmox-maintenance
      tools.smart-test
      tools.vzdump-backup
      tools.windows-update
      tools.zfs-scrub
      tools.zfs-snapshot
      tools.zfs-trim
    ];

    systemd = facts {
      targets.moxc = {
        description = "What moxc does by itself on this machine";
        wantedBy = [ "multi-user.target" ];
        wants = lib.mapAttrsToList (name: _: "moxc-${name}.timer") enabled;
      };

      services = lib.mapAttrs' (
        name: task:
        lib.nameValuePair "moxc-${name}" {
          description = "The task ${name}: ${task.kind}";
          # What proxmox-maintenance looks at, where the machine has it; and Proxmox VE's own commands.
          path = [
            config.boot.zfs.package
            config.nix.package.out
            pkgs.smartmontools
            "/run/current-system/sw"
          ];
          onFailure = config.services.moxc.notify.unit;
          serviceConfig = {
            Type = "oneshot";
            TimeoutStartSec = task.timeout;
            Nice = 10;
            IOSchedulingClass = "best-effort";
            IOSchedulingPriority = 7;
          }
          // locksOf task.kind;
          script = "exec ${lib.escapeShellArgs (commandOf name task)}";
        }
      ) enabled;

      timers = lib.mapAttrs' (
        name: task:
        lib.nameValuePair "moxc-${name}" {
          description = "When ${name} runs";
          wantedBy = [ "timers.target" ];
          partOf = [ "moxc.target" ];
          timerConfig = {
            OnCalendar = task.onCalendar;
            Persistent = task.persistent;
          }
          // lib.optionalAttrs (task.randomizedDelay != null) {
            RandomizedDelaySec = task.randomizedDelay;
          };
        }
      ) enabled;
    };
  };
}
