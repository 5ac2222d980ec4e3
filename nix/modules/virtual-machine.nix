# A virtual machine: how it boots, and the file systems of its disks.
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.services.moxc.virtualMachine;

  inherit (import ./priority.nix { inherit lib; }) bootsByAnother fact;

  disk = lib.types.submodule {
    options = {
      device = lib.mkOption {
        type = lib.types.str;
        example = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi1";
        description = "The disk, by a name that stays.";
      };
      mountPoint = lib.mkOption {
        type = lib.types.str;
        example = "/srv/data";
        description = "Where it is mounted.";
      };
      fsType = lib.mkOption {
        type = lib.types.str;
        default = "ext4";
        description = "The file system that is made on it where it holds none.";
      };
    };
  };

  isRoot = disk: disk.mountPoint == "/";
  root = lib.filterAttrs (_: isRoot) cfg.disks;
  others = lib.filterAttrs (_: disk: !isRoot disk) cfg.disks;
  rootType = lib.concatMapStrings (disk: disk.fsType) (lib.attrValues root);

  # disko's words for what an image of NixOS has, too: the labels are the same.
  withRoot = {
    type = "gpt";
    partitions =
      (
        if cfg.efi then
          {
            ESP = {
              type = "EF00";
              size = "512M";
              content = {
                type = "filesystem";
                format = "vfat";
                mountpoint = "/boot";
                mountOptions = [ "umask=0077" ];
                extraArgs = [
                  "-n"
                  cfg.espLabel
                ];
              };
            };
          }
        else
          {
            boot = {
              type = "EF02";
              size = "1M";
            };
          }
      )
      // {
        root = {
          size = "100%";
          content = {
            type = "filesystem";
            format = if rootType == "" then "ext4" else rootType;
            mountpoint = "/";
            extraArgs = [
              "-L"
              cfg.rootLabel
            ];
          };
        };
      };
  };
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
      example = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_drive-scsi0";
      description = "The disk that it boots from, for a BIOS.";
    };
    disks = lib.mkOption {
      type = lib.types.attrsOf disk;
      default = { };
      description = ''
        Its disks by name. The root is found by its label; any other disk is formatted at the first start where it is
        empty, and mounted whole.
      '';
    };
    partition = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether the disks are laid out by disko, whose module must be there: then an installation (nixos-anywhere) can
        make what this machine mounts.
      '';
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

  config = lib.mkIf (config.services.moxc.enable && cfg.enable) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = cfg.partition -> options ? disko.devices;
            message = "services.moxc.virtualMachine.partition is on, but the module of disko is not imported";
          }
          {
            # Whoever installs it formats what stands there.
            assertion =
              cfg.partition
              ->
                lib.length (lib.attrNames cfg.disks) < 2
                || lib.all (disk: builtins.match "/dev/[sv]d[a-z]+" disk.device == null) (lib.attrValues cfg.disks);
            message = "services.moxc.virtualMachine.disks: disko would format one of several disks by a name that the kernel gives as it finds them; give each a serial";
          }
        ];

        boot = {
          growPartition = fact true;
          loader =
            if cfg.efi then
              {
                systemd-boot = {
                  enable = fact (!bootsByAnother config);
                  # Each entry keeps a kernel on a small partition.
                  configurationLimit = lib.mkDefault 10;
                };
                efi.canTouchEfiVariables = fact true;
                grub.enable = fact false;
              }
            else
              {
                grub = {
                  enable = fact (!bootsByAnother config);
                  configurationLimit = lib.mkDefault 10;
                }
                # Of a disk that it lays out, disko itself says that it boots.
                // lib.optionalAttrs (!cfg.partition) { device = fact cfg.bootDevice; };
              };
        };

        fileSystems."/".autoResize = fact true;
      }
      (lib.mkIf (!cfg.partition) {
        fileSystems = {
          "/" = {
            device = fact "/dev/disk/by-label/${cfg.rootLabel}";
            fsType = fact (if rootType == "" then "ext4" else rootType);
          };
        }
        // lib.optionalAttrs cfg.efi {
          "/boot" = {
            device = fact "/dev/disk/by-label/${cfg.espLabel}";
            fsType = fact "vfat";
            options = [ "umask=0077" ];
          };
        }
        // lib.mapAttrs' (
          _: disk:
          lib.nameValuePair disk.mountPoint {
            device = fact disk.device;
            fsType = fact disk.fsType;
            autoFormat = fact true;
            autoResize = fact true;
          }
        ) others;
      })
      (lib.optionalAttrs (options ? disko.devices) {
        disko.devices.disk = lib.mkIf cfg.partition (
          lib.mapAttrs (_: disk: {
            device = lib.mkDefault disk.device;
            type = "disk";
            content =
              if isRoot disk then
                withRoot
              else
                {
                  type = "filesystem";
                  format = disk.fsType;
                  mountpoint = disk.mountPoint;
                };
          }) cfg.disks
        );
      })
    ]
  );
}
