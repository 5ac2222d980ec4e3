# What our modules read of a NixOS.
{ config, pkgs, ... }:
{
  nix.package = pkgs.nix // {
    out = pkgs.nix;
  };
  boot.zfs.package = pkgs.zfs;
  systemd.package = pkgs.systemd;
  system.build = {
    nixos-rebuild = {
      type = "derivation";
      name = "nixos-rebuild";
      outPath = "/fake/nixos-rebuild";
    };
    toplevel = derivation {
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
