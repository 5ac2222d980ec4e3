# Scripts as commands: installed with their path, the programs they need, and who may run them as root.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.moxc.automation;

  script = lib.types.submodule {
    options = {
      source = lib.mkOption {
        type = lib.types.path;
        description = "The script, for bash.";
      };
      path = lib.mkOption {
        type = lib.types.listOf lib.types.package;
        default = [ ];
        description = "Packages whose programs it calls.";
      };
      operators = lib.mkOption {
        type = lib.types.listOf lib.types.str;
        default = [ ];
        example = [ "alice" ];
        description = "Users who may run it as root without a password, with any arguments.";
      };
    };
  };

  installed = lib.mapAttrs (
    name: script:
    pkgs.writeShellApplication {
      inherit name;
      runtimeInputs = script.path;
      text = builtins.readFile script.source;
    }
  ) cfg.scripts;
in
{
  key = "moxc/automation-scripts";

  imports = [ ./common.nix ];

  options.services.moxc.automation = {
    enable = lib.mkEnableOption "moxc's scripts as commands" // {
      default = true;
    };
    scripts = lib.mkOption {
      type = lib.types.attrsOf script;
      default = { };
      description = "Scripts by the name of their command.";
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable) {
    environment.systemPackages = lib.attrValues installed;
    security.sudo.extraRules = lib.concatLists (
      lib.mapAttrsToList (
        name: script:
        lib.optional (script.operators != [ ]) {
          users = script.operators;
          commands = [
            {
              command = "/run/current-system/sw/bin/${name}";
              options = [ "NOPASSWD" ];
            }
          ];
        }
      ) cfg.scripts
    );
  };
}
