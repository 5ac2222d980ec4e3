# A host that is NixOS itself: how it boots, and its root on the pool that it boots from.
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.services.moxc.hostSystem;

  # Stronger than the defaults of NixOS and of installers, weaker than a user's own line, or that of disko.
  mkFact = lib.mkOverride 900;
in
{
  key = "moxc/host-system";

  imports = [ ./common.nix ];

  options.services.moxc.hostSystem = {
    enable = lib.mkEnableOption "how this host boots, and its file systems";
    rootDataset = lib.mkOption {
      type = lib.types.str;
      example = "rpool/root";
      description = "The ZFS dataset that holds the root.";
    };
    espDevice = lib.mkOption {
      type = lib.types.str;
      example = "/dev/disk/by-partlabel/disk-ssd0-ESP";
      description = "The EFI system partition.";
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
        ];
        boot.loader = {
          systemd-boot = {
            enable = mkFact true;
            configurationLimit = lib.mkDefault 10;
          };
          efi.canTouchEfiVariables = mkFact true;
          grub.enable = mkFact false;
        };
      }
      (lib.mkIf (!cfg.partition) {
        fileSystems = {
          "/" = {
            device = mkFact cfg.rootDataset;
            fsType = mkFact "zfs";
          };
          "/boot" = {
            device = mkFact cfg.espDevice;
            fsType = mkFact "vfat";
            options = [ "umask=0077" ];
          };
        };
      })
    ]
  );
}
