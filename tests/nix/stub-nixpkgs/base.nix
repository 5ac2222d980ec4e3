# What our modules read of a NixOS.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  is = value: value == true;

  # What nobody defines in the end is null.
  unitsOf =
    kind: suffix:
    lib.mapAttrsToList (name: unit: {
      name = name + suffix;
      value.enable = unit != null && (unit.enable or null) != false;
    }) (orEmpty (config.systemd.${kind} or { }));
  orEmpty = set: if set == null then { } else set;

  ssh = orEmpty (config.services.openssh or { });

  failed = lib.concatMap (
    assertion: if assertion.assertion then [ ] else [ assertion.message ]
  ) config.assertions;
in
{
  assertions = [ ];
  nix.package = pkgs.nix // {
    out = pkgs.nix;
  };
  boot.zfs.package = pkgs.zfs;
  systemd = {
    package = pkgs.systemd;
    # Those of NixOS's own modules: here each service is called as its unit, and SSH may start with each connection.
    services =
      lib.mapAttrs (_: service: lib.mkIf (is (service.enable or null)) { enable = true; }) (
        removeAttrs (orEmpty (config.services or { })) [
          "moxc"
          "openssh"
        ]
      )
      // {
        sshd = lib.mkIf (is (ssh.enable or null) && !is (ssh.startWhenNeeded or null)) { enable = true; };
      };
    units = lib.listToAttrs (
      unitsOf "services" ".service"
      ++ unitsOf "timers" ".timer"
      ++ unitsOf "targets" ".target"
      ++ unitsOf "sockets" ".socket"
    );
  };
  system.build = {
    nixos-rebuild = {
      type = "derivation";
      name = "nixos-rebuild";
      outPath = "/fake/nixos-rebuild";
    };
    toplevel =
      if failed != [ ] then
        throw "Failed assertions: ${toString failed}"
      else
        derivation {
          name = "nixos-system-${config.networking.hostName}";
          system = "x86_64-linux";
          builder = "/bin/sh";
          args = [
            "-c"
            ": > $out"
          ];
        };
  };
  fileSystems."/" = {
    device = "none";
    fsType = "tmpfs";
  };
  networking.proxy.envVars = { };
  environment.etc.hosts.target = "hosts";
}
