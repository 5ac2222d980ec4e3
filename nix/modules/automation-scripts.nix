# Scripts as commands: installed with their path, the programs they need, and who may run them as root; and run by timers, as
# services of the machine or in the session of a user.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.moxc.automation;
  inherit (import ./priority.nix { inherit lib; }) facts;
  times = import ./schedule.nix { inherit lib; };

  names = lib.types.listOf lib.types.str;
  script = lib.types.submodule {
    options = {
      source = lib.mkOption {
        type = lib.types.path;
        description = "The script, for bash.";
      };
      path = lib.mkOption {
        type = lib.types.listOf lib.types.package;
        default = [ ];
        description = "Packages whose programs it calls.";
      };
      operators = lib.mkOption {
        type = names;
        default = [ ];
        example = [ "alice" ];
        description = "Users who may run it as root without a password, with any arguments.";
      };
      operatorGroups = lib.mkOption {
        type = names;
        default = [ ];
        example = [ "backup" ];
        description = "Groups whose users may.";
      };
      arguments = lib.mkOption {
        type = names;
        default = [ ];
        example = [ "--yes" ];
        description = "What it is called with when it runs by itself.";
      };
      session = lib.mkOption {
        type = lib.types.bool;
        default = false;
        description = ''
          Whether it runs in the session of every user who is logged in (a unit of `systemd --user`), instead of as a
          service of the machine.
        '';
      };
      user = lib.mkOption {
        type = lib.types.str;
        default = "root";
        description = "As whom it runs by itself as a service of the machine.";
      };
      writable = lib.mkOption {
        type = names;
        default = [ ];
        example = [ "/srv/backup" ];
        description = ''
          What it may write to when it runs by itself as a service of the machine. It reads all of the machine, and
          writes only there, to a /tmp of its own, and to /var/lib/moxc/<name> ($STATE_DIRECTORY).
        '';
      };
    }
    // times.options {
      onCalendar = {
        type = lib.types.nullOr lib.types.str;
        default = null;
        example = "daily";
        description = "When it runs by itself, as systemd's OnCalendar; never without it.";
      };
      randomizedDelay.example = "15m";
      timeout.default = "1d";
    };
  };

  installed = lib.mapAttrs (
    name: script:
    pkgs.writeShellApplication {
      inherit name;
      runtimeInputs = script.path;
      text = builtins.readFile script.source;
    }
  ) cfg.scripts;

  scheduled = lib.filterAttrs (_: script: script.onCalendar != null) cfg.scripts;
  ofTheMachine = lib.filterAttrs (_: script: !script.session) scheduled;
  ofSessions = lib.filterAttrs (_: script: script.session) scheduled;

  unitsOf = lib.mapAttrs' (name: script: lib.nameValuePair "moxc-script-${name}" (unit name script));
  unit = name: script: {
    description = "The script ${name}";
    serviceConfig = {
      Type = "oneshot";
      TimeoutStartSec = script.timeout;
      ExecStart = "${installed.${name}}/bin/${name} ${
        # In a unit, `%` begins a specifier and `$` a variable.
        lib.concatMapStringsSep " " (
          argument:
          builtins.toJSON (
            builtins.replaceStrings
              [
                "%"
                "$"
              ]
              [
                "%%"
                "$$"
              ]
              argument
          )
        ) script.arguments
      }";
    }
    // lib.optionalAttrs (!script.session) {
      User = script.user;
      StateDirectory = "moxc/${name}";
      ProtectSystem = "strict";
      ProtectHome = "read-only";
      ReadWritePaths = script.writable;
      PrivateTmp = true;
      NoNewPrivileges = true;
      ProtectKernelModules = true;
      ProtectControlGroups = true;
      RestrictSUIDSGID = true;
    };
  };
in
{
  key = "moxc/automation-scripts";

  imports = [
    ./common.nix
    ./notify.nix
  ];

  options.services.moxc.automation = {
    enable = lib.mkEnableOption "moxc's scripts as commands" // {
      default = true;
    };
    scripts = lib.mkOption {
      type = lib.types.attrsOf script;
      default = { };
      description = "Scripts by the name of their command; each with a time becomes a unit `moxc-script-<name>`.";
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable) {
    environment.systemPackages = lib.attrValues installed;

    # Users of a directory service are in no configuration: this is told, and no more.
    warnings = lib.concatLists (
      lib.mapAttrsToList (
        name: script:
        map (
          user:
          "services.moxc.automation.scripts.${name}: the operator `${user}` is no user of this machine's configuration"
        ) (lib.filter (user: !(config.users.users ? ${user})) script.operators)
      ) cfg.scripts
    );

    security.sudo.extraRules = lib.concatLists (
      lib.mapAttrsToList (
        name: script:
        lib.optional (script.operators != [ ] || script.operatorGroups != [ ]) {
          users = script.operators;
          groups = script.operatorGroups;
          commands = [
            {
              command = "/run/current-system/sw/bin/${name}";
              options = [ "NOPASSWD" ];
            }
          ];
        }
      ) cfg.scripts
    );

    systemd = facts (
      times.ofTheMachine "moxc-script-" ofTheMachine
      // {
        services = lib.mapAttrs (_: unit: unit // { onFailure = config.services.moxc.notify.unit; }) (
          unitsOf ofTheMachine
        );
        user = {
          services = unitsOf ofSessions;
          timers = times.timers "moxc-script-" ofSessions;
        };
      }
    );
  };
}
