# A virtual machine: how it boots, and the file systems that an image of NixOS brings.
{ config, lib, ... }:
let
  cfg = config.services.moxc.virtualMachine;
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
      growPartition = lib.mkDefault true;
      loader =
        if cfg.efi then
          {
            systemd-boot.enable = lib.mkDefault true;
            efi.canTouchEfiVariables = lib.mkDefault true;
            grub.enable = lib.mkDefault false;
          }
        else
          {
            grub.enable = lib.mkDefault true;
            grub.device = lib.mkDefault cfg.bootDevice;
          };
    };

    fileSystems = {
      "/" = {
        device = lib.mkDefault "/dev/disk/by-label/${cfg.rootLabel}";
        fsType = lib.mkDefault "ext4";
        autoResize = lib.mkDefault true;
      };
    }
    // lib.optionalAttrs cfg.efi {
      "/boot" = {
        device = lib.mkDefault "/dev/disk/by-label/${cfg.espLabel}";
        fsType = lib.mkDefault "vfat";
        options = [ "umask=0077" ];
      };
    };
  };
}
