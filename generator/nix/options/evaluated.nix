# Prints every option that an evaluation declares, in the words of options.jsonl: { loc, type } or { loc, renamedTo } or
# { loc, removed }. The newest snapshot of the index is made of it (`cargo run --example option-index -- evaluated …`).
#
#   nixos        the folder of nixpkgs; `options` are taken from there where they are not given
#   homeManager  the folder of Home Manager, whose options are printed instead
{
  nixos ? <nixpkgs>,
  homeManager ? null,
  pkgs ? import nixos { },
  lib ? import (nixos + "/lib"),
  options ?
    if homeManager == null then
      (import (nixos + "/nixos/lib/eval-config.nix") {
        modules = [
          (nixos + "/nixos/modules/virtualisation/proxmox-lxc.nix")
          (nixos + "/nixos/modules/virtualisation/proxmox-image.nix")
        ];
      }).options
    else
      (import (homeManager + "/modules") {
        inherit pkgs lib;
        check = false;
        configuration.home = {
          username = "user";
          homeDirectory = "/home/user";
          stateVersion = lib.trivial.release;
        };
      }).options,
}:
let
  # Deeper types are anything: some hold themselves.
  deepest = 8;

  typeOf =
    depth: type:
    let
      nested = type.nestedTypes or { };
      payload = type.functor.payload or null;
      inner = typeOf (depth + 1);
      of = word: { ${word} = inner (nested.elemType or type.functor.wrapped); };
      bounds = builtins.match ".*between (-?[0-9]+) and (-?[0-9]+).*" (type.description or "");
      branches =
        one:
        if (one.name or "") != "either" then
          [ one ]
        else if (one.nestedTypes or { }) ? left then
          branches one.nestedTypes.left ++ branches one.nestedTypes.right
        else
          lib.concatMap branches one.functor.wrapped;
      known = {
        separatedString.separatedString = payload;
        enum.enum = if builtins.isList payload then payload else payload.values or [ ];
        nullOr = of "nullOr";
        listOf = of "listOf";
        attrsOf = of "attrsOf";
        lazyAttrsOf = of "lazyAttrsOf";
        uniq = of "uniq";
        unique = of "uniq";
        functionTo = of "functionTo";
        either.oneOf = map inner (branches type);
        coercedTo.coercedTo = [
          (inner nested.coercedType)
          (inner nested.finalType)
        ];
        submodule =
          let
            free = nested.freeformType or null;
          in
          if free == null then "submodule" else { submodule = inner free; };
        intBetween.intBetween = map lib.toInt bounds;
        unsignedInt16 = "port";
        unsignedInt8 = "u8";
        unsignedInt32 = "u32";
        unsignedInt = "unsigned";
        positiveInt = "positive";
      };
    in
    if depth > deepest then
      "anything"
    # Its name is that word and the pattern, escaped as a string of Nix.
    else if lib.hasPrefix "strMatching " type.name then
      {
        strMatching = builtins.fromJSON (
          lib.replaceStrings [ "\\$" ] [ "$" ] (lib.removePrefix "strMatching " type.name)
        );
      }
    else
      known.${type.name} or type.name;

  # What `mkRenamedOptionModule` and `mkAliasOptionModule` say of where it went.
  target =
    option:
    let
      description = option.description or "";
      text = if builtins.isString description then description else description.text or "";
      found = builtins.match "Alias of \\{option}`([^`]+)`.*" text;
    in
    if found == null then null else builtins.head found;

  # `mkRemovedOptionModule` hides it, gives it no type, and throws at whatever it is given. Another one's `apply` may fail at null
  # in a way that no `tryEval` catches.
  isRemoved =
    option:
    target option == null
    && (option.visible or true) == false
    && option.type.name == "unspecified"
    && option ? apply
    && !(option ? default)
    && !(builtins.tryEval (builtins.seq (option.apply null) true)).success;

  entry =
    option:
    { inherit (option) loc; }
    // (
      if isRemoved option then
        { removed = true; }
      else if target option != null then
        { renamedTo = target option; }
      else
        { type = typeOf 0 option.type; }
    );

  within =
    depth: set:
    lib.concatLists (
      lib.mapAttrsToList (name: one: if name == "_module" then [ ] else walk (depth + 1) one) set
    );
  walk =
    depth: one:
    if depth > 14 then
      [ ]
    else if lib.isOption one then
      let
        isWhole = (one.visible or true) != "shallow" && target one == null;
        below = lib.optionalAttrs isWhole (one.type.getSubOptions one.loc);
      in
      [ (entry one) ] ++ within (depth + 1) (removeAttrs below [ "_freeformOptions" ])
    else if builtins.isAttrs one then
      within depth one
    else
      [ ];
in
within 0 options
