# A virtual machine: how it boots, and the file systems that an image of NixOS brings.
{ config, lib, ... }:
let
  cfg = config.services.moxc.virtualMachine;

  # Stronger than the defaults of image builders, weaker than a user's own line, or that of disko.
  mkFact = lib.mkOverride 900;
in
{
  key = "moxc/virtual-machine";

  imports = [ ./common.nix ];

  options.services.moxc.virtualMachine = {
    enable = lib.mkEnableOption "how this virtual machine boots, and its file systems";
    efi = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether its firmware is UEFI.";
    };
    bootDevice = lib.mkOption {
      type = lib.types.str;
      example = "/dev/sda";
      description = "The disk that it boots from, for a BIOS.";
    };
    rootLabel = lib.mkOption {
      type = lib.types.str;
      default = "nixos";
      description = "The label of the root file system.";
    };
    espLabel = lib.mkOption {
      type = lib.types.str;
      default = "ESP";
      description = "The label of the EFI system partition.";
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable) {
    boot = {
      growPartition = mkFact true;
      loader =
        if cfg.efi then
          {
            systemd-boot = {
              enable = mkFact true;
              # Each entry keeps a kernel on a small partition.
              configurationLimit = lib.mkDefault 10;
            };
            efi.canTouchEfiVariables = mkFact true;
            grub.enable = mkFact false;
          }
        else
          {
            grub = {
              enable = mkFact true;
              device = mkFact cfg.bootDevice;
              configurationLimit = lib.mkDefault 10;
            };
          };
    };

    fileSystems = {
      "/" = {
        device = mkFact "/dev/disk/by-label/${cfg.rootLabel}";
        fsType = mkFact "ext4";
        autoResize = mkFact true;
      };
    }
    // lib.optionalAttrs cfg.efi {
      "/boot" = {
        device = mkFact "/dev/disk/by-label/${cfg.espLabel}";
        fsType = mkFact "vfat";
        options = [ "umask=0077" ];
      };
    };
  };
}
