# A small evaluator of NixOS modules. It knows the options that modules declare, and merges all others by the rules that
# NixOS has for nearly all of its own: priorities, joined lists, merged sets, no two different values of one strength.
{
  lib ? import ./lib.nix,
  pkgs ? import ./pkgs.nix { },
  specialArgs ? { },
}:
modules:
let
  inherit (lib.modules) isOption mergeSet;

  arguments = {
    inherit lib pkgs;
    modulesPath = toString ./modules;
  }
  // specialArgs
  // {
    inherit config options;
  };

  load =
    index: module:
    let
      value = if builtins.isPath module || builtins.isString module then import module else module;
      applied = if builtins.isFunction value then value arguments else value;
      isStructured = applied ? config || applied ? options;
    in
    {
      key =
        applied.key or (
          if builtins.isPath module || builtins.isString module then toString module else "inline ${index}"
        );
      imports = applied.imports or [ ];
      options = applied.options or { };
      config =
        if isStructured then
          applied.config or { }
        else
          removeAttrs applied [
            "imports"
            "key"
            "_file"
          ];
    };
  number =
    prefix: modules:
    builtins.genList (i: load "${prefix}${toString i}" (builtins.elemAt modules i)) (
      builtins.length modules
    );
  all = builtins.genericClosure {
    startSet = number "" modules;
    operator = module: number "${module.key}." module.imports;
  };

  mergeOptions =
    left: right:
    left
    // builtins.mapAttrs (
      name: value:
      if !(left ? ${name}) then
        value
      else if isOption value || isOption left.${name} then
        throw "option ${name} is declared twice"
      else
        mergeOptions left.${name} value
    ) right;
  options = builtins.foldl' (all: module: mergeOptions all module.options) { } all;

  config = mergeSet "" options (map (module: module.config) all);

  # Without what is not defined, and without packages' insides.
  shown =
    given:
    let
      tried = builtins.tryEval given;
      value = if tried.success then tried.value else null;
    in
    if builtins.isList value then
      map shown value
    else if !builtins.isAttrs value then
      value
    else if value ? outPath then
      # What it is made of may be what is refused.
      (
        let
          text = builtins.tryEval (value.text or value.outPath);
        in
        if text.success then text.value else null
      )
    else
      lib.filterAttrs (_: value: value != null && value != { }) (builtins.mapAttrs (_: shown) value);
in
{
  inherit config options;
  shown = shown config;
}
