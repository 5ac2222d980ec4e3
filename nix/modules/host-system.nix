# A host that is NixOS itself: how it boots, and its root on the pool or in the volume group that it boots from.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  cfg = config.services.moxc.hostSystem;

  inherit (import ./priority.nix { inherit lib; }) bootsByAnother fact facts;

  # Where each is mounted.
  mirrors = lib.listToAttrs (
    lib.imap1 (
      number: device: lib.nameValuePair "/boot-mirror-${toString number}" device
    ) cfg.espMirrors
  );
in
{
  key = "moxc/host-system";

  imports = [ ./common.nix ];

  options.services.moxc.hostSystem = {
    enable = lib.mkEnableOption "how this host boots, and its file systems";
    rootDevice = lib.mkOption {
      type = lib.types.str;
      example = "rpool/root";
      description = "What holds the root: a ZFS dataset, or a logical volume.";
    };
    rootFsType = lib.mkOption {
      type = lib.types.str;
      default = "zfs";
      example = "ext4";
      description = "The file system of the root.";
    };
    swapDevice = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "/dev/pve/swap";
      description = "The swap, where there is one.";
    };
    bios = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether the firmware is a BIOS, or a UEFI that starts systems as a BIOS does: then GRUB starts the host from its first
        disk, `/boot` stays what it is, and with disko that disk gets a partition for GRUB.
      '';
    };
    biosDisk = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "ssd0";
      description = "The name that disko has for the disk that a BIOS starts from.";
    };
    biosDevice = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "/dev/disk/by-id/ata-A";
      description = "The same disk, by a name that stays.";
    };
    espDevice = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "/dev/disk/by-partlabel/disk-ssd0-ESP";
      description = "The EFI system partition; without it, `/boot` is mounted by the user's own module or by disko.";
    };
    espMirrors = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "/dev/disk/by-partlabel/disk-ssd1-ESP" ];
      description = ''
        The EFI system partitions of the pool's other disks. Each gets a copy of `/boot` whenever the boot loader is
        installed, so that the host starts from any disk.
      '';
    };
    partition = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether disko lays out the disks and mounts them: then its module is there, and `storage/disko.nix` of the tree.
      '';
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = cfg.partition -> options ? disko.devices;
            message = "services.moxc.hostSystem.partition is on, but the module of disko is not imported";
          }
          {
            assertion =
              (config.boot.loader.systemd-boot.enable || cfg.bios)
              -> config.fileSystems ? ${config.boot.loader.efi.efiSysMountPoint};
            message = "services.moxc.hostSystem.espDevice: nothing says which EFI system partition this host starts from";
          }
        ];
        # A copy of /boot on another disk is found by UEFI alone.
        warnings =
          lib.optional (cfg.bios && mirrors != { })
            "services.moxc.hostSystem.bios: a BIOS starts this host from its first disk alone; where that one fails, GRUB must be written to another one first"
          ++
            lib.optional (!cfg.bios && mirrors != { } && !config.boot.loader.systemd-boot.enable)
              "services.moxc.hostSystem.espMirrors: the copies of /boot are made where systemd-boot is installed, and this host has another boot loader: it starts from its first disk alone";
        boot.loader = {
          systemd-boot = {
            enable = fact (!cfg.bios && !bootsByAnother config);
            configurationLimit = lib.mkDefault 10;
          };
          efi.canTouchEfiVariables = fact (!cfg.bios);
          grub = {
            enable = fact (cfg.bios && !bootsByAnother config);
            configurationLimit = lib.mkDefault 10;
          };
        };
      }
      {
        # A disk that has failed must not keep the host from starting.
        fileSystems = facts (
          lib.mapAttrs (_: device: {
            inherit device;
            fsType = "vfat";
            options = [
              "umask=0077"
              "nofail"
              "x-systemd.device-timeout=10s"
            ];
          }) mirrors
        );
        # The firmware finds the copy by the name that any disk has: EFI/BOOT/BOOTX64.EFI.
        boot.loader.systemd-boot.extraInstallCommands = lib.mkIf (mirrors != { }) (
          lib.concatMapStrings (place: ''
            if ${pkgs.util-linux}/bin/mountpoint --quiet ${place}; then
              ${pkgs.rsync}/bin/rsync --recursive --times --modify-window=2 --delete /boot/ ${place}/
            else
              echo "${place} is not mounted: its disk does not start this system" >&2
            fi
          '') (lib.attrNames mirrors)
        );
      }
      (lib.mkIf (!cfg.partition) {
        fileSystems = {
          "/" = {
            device = fact cfg.rootDevice;
            fsType = fact cfg.rootFsType;
          };
        }
        // lib.optionalAttrs (cfg.espDevice != null) {
          "/boot" = {
            device = fact cfg.espDevice;
            fsType = fact "vfat";
            options = [ "umask=0077" ];
          };
        };
        boot.loader.grub.device = lib.mkIf (cfg.bios && cfg.biosDevice != null) (fact cfg.biosDevice);
        swapDevices = lib.optional (cfg.swapDevice != null) { device = cfg.swapDevice; };
      })
      # GRUB's own code goes into a partition without a file system: a GPT has no other room for it.
      (lib.optionalAttrs (options ? disko.devices) {
        disko.devices.disk = lib.mkIf (cfg.partition && cfg.bios && cfg.biosDisk != null) {
          ${cfg.biosDisk}.content.partitions.bios = {
            type = "EF02";
            size = "1M";
          };
        };
      })
    ]
  );
}
