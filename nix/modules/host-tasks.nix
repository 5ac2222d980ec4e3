# What a host does at set times: snapshots, scrubs, trims, self-tests of disks, tidying up.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.moxc.tasks;

  names = lib.types.listOf lib.types.str;
  task = lib.types.submodule {
    options = {
      enable = lib.mkEnableOption "this task" // {
        default = true;
      };
      kind = lib.mkOption {
        type = lib.types.enum [
          "proxmox-maintenance"
          "smart-test"
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
        type = lib.types.nullOr lib.types.str;
        default = null;
        description = "How long it may take.";
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

  snapshots = pkgs.writeShellApplication {
    name = "zfs-snapshot";
    runtimeInputs = [
      config.boot.zfs.package
      pkgs.coreutils
    ];
    text = builtins.readFile ./scripts/zfs-snapshot.sh;
  };

  # Each of several pools or disks gets its turn, whatever the others say.
  forEach =
    command: values:
    lib.concatMapStrings (value: "${command} ${lib.escapeShellArg value} || status=1\n") values;
  scriptOf =
    name: task:
    {
      proxmox-maintenance = ''
        journalctl --vacuum-time=30d || status=1
        nix-collect-garbage --delete-older-than 30d || status=1
        zpool status -x || status=1
      '';
      smart-test = forEach "smartctl --test=${task.test}" task.devices;
      zfs-scrub = forEach "zpool scrub" task.pools;
      zfs-snapshot = ''
        zfs-snapshot ${
          lib.escapeShellArgs (
            [
              "--yes"
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
            ++ task.datasets
          )
        } || status=1
      '';
      zfs-trim = forEach "zpool trim" task.pools;
    }
    .${task.kind};
in
{
  key = "moxc/host-tasks";

  imports = [ ./common.nix ];

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
    environment.systemPackages = [ snapshots ];

    systemd = {
      targets.moxc = {
        description = "What moxc does by itself on this machine";
        wantedBy = [ "multi-user.target" ];
        wants = lib.mapAttrsToList (name: _: "moxc-${name}.timer") enabled;
      };

      services = lib.mapAttrs' (
        name: task:
        lib.nameValuePair "moxc-${name}" {
          description = "The task ${name}: ${task.kind}";
          path = [
            config.boot.zfs.package
            config.nix.package.out
            pkgs.smartmontools
            snapshots
          ];
          serviceConfig = {
            Type = "oneshot";
          }
          // lib.optionalAttrs (task.timeout != null) { TimeoutStartSec = task.timeout; };
          script = "status=0\n${scriptOf name task}exit \"$status\"\n";
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
