# Proxmox VE on NixOS, by the module `proxmox-ve` of the project proxmox-nixos.
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.services.moxc.proxmox;

  # That module is the user's to import: with it come the packages, from that project's overlay.
  isThere = options ? services.proxmox-ve;
  hasBridges = options ? services.proxmox-ve.bridges;
in
{
  key = "moxc/proxmox-host";

  imports = [ ./common.nix ];

  options.services.moxc.proxmox = {
    enable = lib.mkEnableOption "Proxmox VE on this host";
    ipAddress = lib.mkOption {
      type = lib.types.str;
      example = "192.168.1.10";
      description = "The address that the node's name stands for.";
    };
    bridges = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "The bridges that guests can be on.";
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable) (
    lib.mkMerge [
      {
        warnings = lib.optional (!isThere) ''
          services.moxc.proxmox is on, but no module declares services.proxmox-ve: import
          proxmox-nixos.nixosModules.proxmox-ve and its overlay, or this host runs no Proxmox VE.
        '';
      }
      (lib.optionalAttrs isThere {
        services.proxmox-ve = {
          enable = lib.mkDefault true;
          ipAddress = lib.mkDefault cfg.ipAddress;
        }
        // lib.optionalAttrs hasBridges { inherit (cfg) bridges; };
      })
    ]
  );
}
