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
  times = import ./schedule.nix { inherit lib; };

  locks = import ./locks.nix;

  task = lib.types.submodule {
    options = {
      enable = lib.mkEnableOption "this task" // {
        default = true;
      };
      tool = lib.mkOption {
        type = lib.types.enum tools.tasks;
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
    }
    // times.options {
      onCalendar.example = "hourly";
      timeout.default = "14d";
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
    environment.systemPackages = map (name: tools.packages.${name}) tools.commands;

    systemd = facts (
      times.ofTheMachine "moxc-" enabled
      // {
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
                  (lib.getExe tools.packages.${task.tool})
                  "--yes"
                ]
                ++ task.arguments
              )
            }";
          }
        ) enabled;
      }
    );
  };
}
