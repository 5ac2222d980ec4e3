# A machine on which nothing but its configuration decides: rebuilt, never patched.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.moxc.immutable;
  inherit (import ./priority.nix { inherit lib; }) facts;

  known = pkgs.writeText "moxc-etc-known" (
    lib.concatMapStrings (name: "${name}\n") (
      lib.unique (map (file: file.target) (lib.attrValues config.environment.etc) ++ cfg.allow)
    )
  );
  tool = pkgs.writeShellApplication {
    name = "moxc-etc-check";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.findutils
      pkgs.gnugrep
    ];
    text = builtins.readFile ./scripts/etc-check.sh;
  };
in
{
  key = "moxc/immutable";

  imports = [ ./common.nix ];

  options.services.moxc.immutable = {
    enable = lib.mkEnableOption "users, passwords and /etc that are only what the configuration says";
    allow = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      description = ''
        What may lie in /etc although the configuration does not put it there: paths below /etc; one that ends in `/`
        stands for all below it.
      '';
    };
    removeStrays = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether the other files are moved to /var/lib/moxc/etc-strays at each start and each switch; without it the
        journal tells them. Some services keep state in /etc: look at what `moxc-etc-check` says before.
      '';
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable) {
    users.mutableUsers = lib.mkDefault false;
    # Changes to the configuration of a declarative machine come from its flake.
    nix.channel.enable = lib.mkDefault false;

    # What NixOS itself and systemd keep in /etc, as files that are no part of a configuration.
    services.moxc.immutable.allow = [
      ".clean"
      ".pwd.lock"
      ".updated"
      "NIXOS"
      "NetworkManager/"
      "adjtime"
      "group"
      "group-"
      "gshadow"
      "hostid"
      "hostname"
      "hosts"
      "localtime"
      "machine-id"
      "mtab"
      "network/"
      "nixos/"
      "passwd"
      "passwd-"
      "resolv.conf"
      "resolvconf.conf"
      "resolv.conf.bak"
      "shadow"
      "shadow-"
      "ssh/"
      "static"
      "subgid"
      "subuid"
      "sudoers"
      "systemd/"
      "timezone"
    ];

    environment.systemPackages = [ tool ];

    systemd.services.moxc-etc-check = facts {
      description = "Look for files in /etc that the configuration does not know";
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ known ];
      serviceConfig = {
        Type = "oneshot";
        TimeoutStartSec = "15min";
        RemainAfterExit = true;
        StateDirectory = "moxc/etc-strays";
        StateDirectoryMode = "0700";
        PrivateNetwork = true;
        NoNewPrivileges = true;
      };
      script = ''
        exec ${lib.getExe tool} ${lib.optionalString cfg.removeStrays "--yes --move-to /var/lib/moxc/etc-strays"} ${known}
      '';
    };
  };
}
