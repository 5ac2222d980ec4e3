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
  # Those of NixOS itself, without which a machine does not boot.
  assertions =
    let
      boots =
        is (loader.systemd-boot.enable or null)
        || is (loader.grub.enable or null) && (loader.grub ? device || loader.grub ? devices);
      loader = config.boot.loader or { };
      isContainer = is (config.boot.isContainer or null);
    in
    [
      {
        assertion = isContainer || (config.fileSystems."/".fsType or null) != null;
        message = "The 'fileSystems' option does not specify your root file system.";
      }
      {
        assertion = isContainer || boots;
        message = "You must set the option 'boot.loader.grub.devices' to make the system bootable.";
      }
    ];
  nix.package = pkgs.nix // {
    out = pkgs.nix;
  };
  boot.zfs.package = pkgs.zfs;
  boot.loader.efi.efiSysMountPoint = lib.mkDefault "/boot";
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
  fileSystems = { };
  networking.proxy.envVars = { };
  environment.etc.hosts.target = "hosts";
}
