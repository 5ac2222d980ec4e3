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

  locks = import ./locks.nix;

  task = lib.types.submodule {
    options = {
      enable = lib.mkEnableOption "this task" // {
        default = true;
      };
      tool = lib.mkOption {
        type = lib.types.enum [
          "backup-rehearsal"
          "proxmox-maintenance"
          "smart-test"
          "windows-update"
          "zfs-scrub"
          "zfs-snapshot"
          "zfs-trim"
        ];
        description = "The tool that it runs.";
      };
      arguments = lib.mkOption {
        type = lib.types.listOf lib.types.str;
        default = [ ];
        example = [
          "--wait"
          "--"
          "tank"
        ];
        description = "The tool's words; `--help` tells them. What it asks is answered: nobody is there.";
      };
      access = lib.mkOption {
        type = lib.types.enum (builtins.attrNames locks);
        default = "system";
        description = ''
          What it reaches, and so how far systemd locks it in: disks, pools and datasets, or the whole system, which is not
          locked at all, as what tidies up and starts guests hands its locks on.
        '';
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
    };
  };

  enabled = lib.filterAttrs (_: task: task.enable) cfg.schedules;

  tools = import ./tools.nix {
    inherit lib pkgs;
    nix = config.nix.package.out;
    systemd = config.systemd.package;
    zfs = config.boot.zfs.package;
  };
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
          description = "The task ${name}: ${task.tool}";
          # What proxmox-maintenance looks at, where the machine has it; and Proxmox VE's own commands.
          path = [
            config.boot.zfs.package
            config.nix.package.out
            pkgs.smartmontools
            "/run/current-system/sw"
          ];
          onFailure = config.services.moxc.notify.unit;
          inherit (locks.${task.access}) after wants;
          serviceConfig = {
            Type = "oneshot";
            TimeoutStartSec = task.timeout;
            Nice = 10;
            IOSchedulingClass = "best-effort";
            IOSchedulingPriority = 7;
          }
          // locks.${task.access}.serviceConfig;
          script = "exec ${
            lib.escapeShellArgs (
              [
                (lib.getExe tools.${task.tool})
                "--yes"
              ]
              ++ task.arguments
            )
          }";
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
