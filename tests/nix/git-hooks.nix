# Stands for git-hooks.nix where there is no network: the options of a hook, and the configuration that pre-commit gets of
# them. An option that is none is an error here, too.
{ lib, pkgs }:
hooks:
let
  inherit (lib) mkOption types;
  strings = types.listOf types.str;

  options = {
    enable = mkOption {
      type = types.bool;
      default = false;
    };
    name = mkOption { type = types.str; };
    description = mkOption {
      type = types.str;
      default = "";
    };
    package = mkOption {
      type = types.nullOr types.package;
      default = null;
    };
    extraPackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
    };
    entry = mkOption { type = types.str; };
    language = mkOption {
      type = types.str;
      default = "system";
    };
    files = mkOption {
      type = types.str;
      default = "";
    };
    types = mkOption {
      type = strings;
      default = [ "file" ];
    };
    types_or = mkOption {
      type = strings;
      default = [ ];
    };
    excludes = mkOption {
      type = strings;
      default = [ ];
    };
    exclude_types = mkOption {
      type = strings;
      default = [ ];
    };
    pass_filenames = mkOption {
      type = types.bool;
      default = true;
    };
    fail_fast = mkOption {
      type = types.bool;
      default = false;
    };
    require_serial = mkOption {
      type = types.bool;
      default = false;
    };
    stages = mkOption {
      type = strings;
      default = [ "pre-commit" ];
    };
    verbose = mkOption {
      type = types.bool;
      default = false;
    };
    always_run = mkOption {
      type = types.bool;
      default = false;
    };
    args = mkOption {
      type = strings;
      default = [ ];
    };
    before = mkOption {
      type = strings;
      default = [ ];
    };
    after = mkOption {
      type = strings;
      default = [ ];
    };
  };

  evaluated =
    (import ./stub-nixpkgs/eval.nix { inherit lib pkgs; } [
      {
        options.hooks = mkOption {
          type = types.attrsOf (types.submodule { inherit options; });
          default = { };
        };
      }
      { inherit hooks; }
    ]).config.hooks;

  known = lib.mapAttrs (
    id: hook:
    let
      strange = lib.filter (name: !(options ? ${name})) (builtins.attrNames hook);
    in
    if strange == [ ] then hook else throw "hooks.${id}: no options: ${toString strange}"
  ) evaluated;
  enabled = lib.filterAttrs (_: hook: hook.enable) known;
in
{
  packages = lib.concatMap (
    hook: lib.optional (hook.package != null) hook.package ++ hook.extraPackages
  ) (lib.attrValues enabled);

  # What stands in `.pre-commit-config.yaml`.
  config = {
    default_stages = [ "pre-commit" ];
    repos = [
      {
        repo = "local";
        hooks = lib.mapAttrsToList (id: hook: {
          inherit id;
          inherit (hook)
            always_run
            args
            entry
            exclude_types
            fail_fast
            files
            language
            name
            pass_filenames
            require_serial
            stages
            types
            types_or
            verbose
            ;
          exclude = if hook.excludes == [ ] then "^$" else "(${builtins.concatStringsSep "|" hook.excludes})";
        }) enabled;
      }
    ];
  };
}
