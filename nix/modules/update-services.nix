# Updates from a flake, by timers: build, try, look at the health, and only then make it the system that boots.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  cfg = config.services.moxc.update;
  inherit (import ./priority.nix { inherit lib; }) fact facts;
  times = import ./schedule.nix { inherit lib; };

  schedule = lib.types.submodule {
    options = {
      enable = lib.mkEnableOption "this schedule" // {
        default = true;
      };
      flake = lib.mkOption {
        type = lib.types.str;
        default = "/etc/nixos";
        example = "github:example/homelab";
        description = ''
          The flake that this machine is built from. Of a folder of this machine the lock file is updated there, and
          put back where the update fails; of any other flake a copy is updated.
        '';
      };
      attribute = lib.mkOption {
        type = lib.types.str;
        default = config.networking.hostName;
        defaultText = lib.literalExpression "config.networking.hostName";
        description = "The name of this machine in the flake's `nixosConfigurations`.";
      };
      updateInputs = lib.mkOption {
        type = lib.types.bool;
        default = true;
        description = "Whether the flake's inputs are updated. Without it the flake's own lock file is followed.";
      };
      rollback = lib.mkOption {
        type = lib.types.bool;
        default = true;
        description = "Whether the system from before comes back where the new one is not healthy.";
      };
      health = lib.mkOption {
        type = lib.types.listOf lib.types.str;
        default = [ ];
        example = [ "nginx.service" ];
        description = ''
          Units that must be active after an update. This system must have them: a name that no configuration defines is
          refused. With `sshd.service`, SSH runs as a service of its own instead of starting with each connection.
        '';
      };
      healthTimeout = lib.mkOption {
        type = lib.types.ints.positive;
        default = 120;
        description = "How many seconds the units have to become active.";
      };
      snapshots = lib.mkOption {
        type = lib.types.listOf lib.types.str;
        default = lib.unique (
          lib.mapAttrsToList (_: place: place.device) (
            lib.filterAttrs (_: place: (place.fsType or null) == "zfs") config.fileSystems
          )
        );
        defaultText = lib.literalMD "every ZFS dataset of `fileSystems`";
        example = [ "rpool/root" ];
        description = "ZFS datasets of which snapshots are taken before an update.";
      };
      reboot = lib.mkOption {
        type = lib.types.enum [
          "never"
          "if-needed"
        ];
        default = "never";
        description = "Whether the machine restarts where its kernel is another one.";
      };
    }
    // times.options {
      onCalendar.example = "03:30";
      randomizedDelay.example = "15m";
      timeout.default = "1d";
    };
  };

  enabled = lib.filterAttrs (_: schedule: schedule.enable) cfg.schedules;

  tool =
    (import ./tools.nix {
      inherit lib pkgs;
      nix = config.nix.package;
      inherit (config.system.build) nixos-rebuild;
      systemd = config.systemd.package;
      snapshots = lib.any (schedule: schedule.snapshots != [ ]) (lib.attrValues enabled);
      zfs = config.boot.zfs.package;
    }).packages.nixos-flake-update;

  restarts = lib.any (schedule: schedule.reboot != "never") (lib.attrValues enabled);

  health = lib.unique (lib.concatMap (schedule: schedule.health) (lib.attrValues enabled));

  # Whether this system has a unit of that name. What generators of systemd and the kernel make at run time is in no
  # configuration: it is believed.
  isKnown =
    unit:
    let
      ofTemplate = builtins.match "([^@]+@)[^.]+([.][a-z]+)" unit;
    in
    # An evaluation without NixOS's own modules makes no units at all.
    (config.systemd.units or { }) == { }
    || builtins.match ".*[.](service|socket|target|timer|path)" unit == null
    || (config.systemd.units.${unit}.enable or false)
    || lib.elem unit ofSystemd
    || ofTemplate != null && isKnown (lib.concatStrings ofTemplate);

  # Targets that are systemd's own, and that NixOS takes over as they are.
  ofSystemd = (config.systemd.additionalUpstreamSystemUnits or [ ]) ++ [
    "basic.target"
    "dbus.socket"
    "default.target"
    "graphical.target"
    "local-fs.target"
    "multi-user.target"
    "network-online.target"
    "network.target"
    "nss-lookup.target"
    "nss-user-lookup.target"
    "paths.target"
    "remote-fs.target"
    "sockets.target"
    "swap.target"
    "sysinit.target"
    "time-sync.target"
    "timers.target"
  ];

  # Two that are due at one time run one after the other: those that update inputs first, then those that only rebuild.
  before =
    name:
    lib.filter (
      other:
      other != name
      && (
        if enabled.${other}.updateInputs == enabled.${name}.updateInputs then
          other < name
        else
          enabled.${other}.updateInputs
      )
    ) (builtins.attrNames enabled);

  arguments =
    schedule:
    [
      "--yes"
      "--flake"
      schedule.flake
      "--attribute"
      schedule.attribute
      "--health-timeout"
      (toString schedule.healthTimeout)
      "--reboot"
      schedule.reboot
    ]
    ++ lib.concatMap (unit: [
      "--health"
      unit
    ]) schedule.health
    ++ lib.concatMap (dataset: [
      "--snapshot"
      dataset
    ]) schedule.snapshots
    ++ lib.optional (!schedule.updateInputs) "--keep-inputs"
    ++ lib.optional (!schedule.rollback) "--no-rollback";
in
{
  key = "moxc/update-services";

  imports = [
    ./common.nix
    ./notify.nix
  ];

  options.services.moxc.update = {
    enable = lib.mkEnableOption "updates of this machine by timers" // {
      default = true;
    };
    schedules = lib.mkOption {
      type = lib.types.attrsOf schedule;
      default = { };
      description = "Updates by name; each becomes a service and a timer `moxc-<name>`.";
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable && enabled != { }) {
    assertions = map (unit: {
      assertion = isKnown unit;
      message = ''
        services.moxc.update: health names ${unit}, but this system has no such unit${
          lib.optionalString (config.systemd.units ? ${unit}) " (it is switched off)"
        }: no update would ever count as healthy.
        Name a unit that it has. One that only a package brings becomes known by
        systemd.services."…".overrideStrategy = "asDropin".
      '';
    }) health;

    environment.systemPackages = [ tool ];

    # In containers SSH starts with each connection: there is sshd.socket, and no sshd.service to look at.
    services.openssh = lib.mkIf (lib.elem "sshd.service" health) {
      startWhenNeeded = fact false;
    };

    # A system that hangs in its start runs nothing of this: there the boot loader itself goes back to an older one, where it
    # counts, and the kernel starts over instead of waiting for a person at a console.
    boot = lib.optionalAttrs ((options.boot.loader.systemd-boot or { }) ? bootCounting) (
      lib.mkIf (restarts && config.boot.loader.systemd-boot.enable) {
        loader.systemd-boot.bootCounting.enable = fact true;
        kernelParams = lib.mkIf config.boot.loader.systemd-boot.bootCounting.enable (
          lib.mkBefore [
            "panic=30"
            "boot.panic_on_fail"
          ]
        );
      }
    );

    # A machine that builds itself anew again and again fills its disk with what was.
    nix.gc = {
      automatic = lib.mkDefault true;
      dates = lib.mkDefault "weekly";
      randomizedDelaySec = lib.mkDefault "45min";
      options = lib.mkDefault "--delete-older-than 30d";
    };

    systemd = facts (
      times.ofTheMachine "moxc-" enabled
      // {
        services =
          lib.mapAttrs' (
            name: schedule:
            lib.nameValuePair "moxc-${name}" {
              description = "Update this machine from ${schedule.flake}";
              wants = [ "network-online.target" ];
              after = [
                "network-online.target"
                "moxc-update-after-restart.service"
              ]
              ++ map (other: "moxc-${other}.service") (before name);
              onFailure = config.services.moxc.notify.unit;
              # The update itself switches to a system in which this unit may be another one.
              restartIfChanged = false;
              stopIfChanged = false;
              unitConfig.X-StopOnRemoval = false;
              serviceConfig = {
                Type = "oneshot";
                TimeoutStartSec = schedule.timeout;
                StateDirectory = "moxc/nixos-flake-update";
              };
              environment = {
                HOME = "/root";
              }
              // config.networking.proxy.envVars;
              script = "exec ${lib.getExe tool} ${lib.escapeShellArgs (arguments schedule)}";
            }
          ) enabled
          # An update that restarts the machine leaves word of it: then this unit looks at the health, and goes back.
          // lib.optionalAttrs restarts {
            moxc-update-after-restart = {
              description = "Look at the system that an update has restarted into";
              wantedBy = [ "multi-user.target" ];
              after = [ "multi-user.target" ];
              onFailure = config.services.moxc.notify.unit;
              restartIfChanged = false;
              stopIfChanged = false;
              unitConfig.ConditionFileNotEmpty = "/var/lib/moxc/nixos-flake-update/restarting";
              serviceConfig = {
                Type = "oneshot";
                TimeoutStartSec = "1h";
              };
              script = "exec ${lib.getExe tool} --yes --after-restart";
            };
          };
      }
    );
  };
}
