# Stands for what makes a disk's image of a NixOS: its arguments are those of the real one.
{
  pkgs,
  lib,
  config,
  format ? "raw",
  partitionTableType ? "legacy",
  label ? "nixos",
  bootSize ? "256M",
  additionalSpace ? "512M",
  diskSize ? "auto",
  copyChannel ? true,
}:
assert lib.elem partitionTableType [
  "legacy"
  "efi"
];
pkgs.runCommand "nixos-disk-image" { } ''
  mkdir "$out"
  echo "${config.system.build.toplevel} ${partitionTableType} ${label}" >"$out/nixos.${format}"
''
