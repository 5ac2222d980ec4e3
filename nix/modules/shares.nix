# Folders of the host, by virtio-fs.
{ config, lib, ... }:
let
  cfg = config.services.moxc.shares;
  inherit (import ./priority.nix { inherit lib; }) facts;

  folder = lib.types.submodule {
    options = {
      tag = lib.mkOption {
        type = lib.types.str;
        description = "The name under which the host offers the folder.";
      };
      readOnly = lib.mkOption {
        type = lib.types.bool;
        default = false;
        description = "Whether this machine only reads.";
      };
    };
  };
in
{
  key = "moxc/shares";

  imports = [ ./common.nix ];

  options.services.moxc.shares = {
    enable = lib.mkEnableOption "the host's folders on this machine" // {
      default = true;
    };
    folders = lib.mkOption {
      type = lib.types.attrsOf folder;
      default = { };
      description = "Folders of the host by the path at which they are mounted.";
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable) {
    fileSystems = facts (
      lib.mapAttrs (_: folder: {
        device = folder.tag;
        fsType = "virtiofs";
        # The machine must come up while the host does not share the folder.
        options = [ "nofail" ] ++ lib.optional folder.readOnly "ro";
      }) cfg.folders
    );
  };
}
