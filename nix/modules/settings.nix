# The raw settings of a spec: whether each is what counts in the end.
{ config, lib, ... }:
let
  setting = lib.types.submodule {
    options = {
      option = lib.mkOption {
        type = lib.types.listOf lib.types.str;
        description = "The names that lead to the option.";
      };
      value = lib.mkOption {
        type = lib.types.anything;
        description = "What the spec says.";
      };
    };
  };

  # What is joined from several parts still has the spec's in it.
  lost =
    setting:
    let
      seen = builtins.tryEval (lib.attrByPath setting.option null config);
    in
    seen.success
    && builtins.typeOf seen.value == builtins.typeOf setting.value
    && seen.value != setting.value
    && !(builtins.isString seen.value && lib.hasInfix setting.value seen.value);
in
{
  key = "moxc/settings";

  imports = [ ./common.nix ];

  options.services.moxc.settings = lib.mkOption {
    type = lib.types.listOf setting;
    default = [ ];
    internal = true;
    description = "The single values among the settings of the spec.";
  };

  config.warnings = lib.mkIf config.services.moxc.enable (
    map (setting: ''
      the spec sets ${lib.concatStringsSep "." setting.option} to ${builtins.toJSON setting.value}, but a module says otherwise,
      and that is what counts: ${builtins.toJSON (lib.attrByPath setting.option null config)}
    '') (lib.filter lost config.services.moxc.settings)
  );
}
