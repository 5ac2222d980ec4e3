# How strong moxc's word is: stronger than the defaults of NixOS and of image builders (1000), weaker than the `settings`
# of a spec (850) and than any plain line of the user's (100). No module of moxc's says a single value in another way.
{ lib }:
rec {
  fact = lib.mkOverride 900;

  # Whether the user has another boot loader than the two that moxc sets up: NixOS takes one alone. Lanzaboote is `external`.
  # GRUB is not asked: NixOS itself switches it off beside systemd-boot, so that neither can depend on the other.
  bootsByAnother =
    config:
    lib.any (name: config.boot.loader.${name}.enable or false) [
      "external"
      "generic-extlinux-compatible"
      "limine"
      "refind"
    ];

  # The same for every single value in sets within sets. Lists are joined with the user's.
  facts =
    value:
    if builtins.isList value || value ? _type then
      value
    else if builtins.isAttrs value && !(value ? outPath) then
      builtins.mapAttrs (_: facts) value
    else
      fact value;

  # The tables among the settings of a spec: each single value in them yields to a plain line of the user's, too. The types of
  # the options say where one ends; what none of them looks into stays whole, and is joined by NixOS as it does it there.
  yielding = options: settings: builtins.mapAttrs (name: below (options.${name} or null)) settings;

  below =
    option: value:
    if value ? _type || option == null then
      value
    else if lib.isOption option then
      within option.type value
    else if builtins.isAttrs value then
      yielding option value
    else
      value;

  within =
    type: value:
    let
      nested = type.nestedTypes or { };
      inside = {
        attrsOf = builtins.mapAttrs (_: within nested.elemType) value;
        lazyAttrsOf = builtins.mapAttrs (_: within nested.elemType) value;
        anything = builtins.mapAttrs (_: within type) value;
        nullOr = within nested.elemType value;
        coercedTo = if nested.finalType.check value then within nested.finalType value else value;
        either = within (if nested.left.check value then nested.left else nested.right) value;
        submodule =
          let
            declared = type.getSubOptions [ ];
          in
          builtins.mapAttrs (
            name: one:
            if declared ? ${name} then
              below declared.${name} one
            else if nested ? freeformType then
              within nested.freeformType one
            else
              one
          ) value;
      };
    in
    if builtins.isAttrs value then
      (if value ? _type || value ? outPath then value else inside.${type.name} or value)
    else if builtins.isList value || value == null then
      value
    else
      lib.mkOverride 850 value;
}
