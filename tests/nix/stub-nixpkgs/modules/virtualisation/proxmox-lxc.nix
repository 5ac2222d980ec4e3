# Stands for the module of NixOS for containers of Proxmox VE.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  system.build.tarball = pkgs.runCommand "tarball" { } ''
    mkdir -p "$out/tarball"
    echo ${config.system.build.toplevel} >"$out/tarball/nixos-system-x86_64-linux.tar.xz"
  '';
  boot.isContainer = true;
  services.openssh.startWhenNeeded = lib.mkDefault true;
}
