# How strong moxc's word is: stronger than the defaults of NixOS and of image builders (1000), weaker than the `settings`
# of a spec (850) and than any plain line of the user's (100). No module of moxc's says a single value in another way.
{ lib }:
rec {
  fact = lib.mkOverride 900;

  # The same for every single value in sets within sets. Lists are joined with the user's.
  facts =
    value:
    if builtins.isList value || value ? _type then
      value
    else if builtins.isAttrs value && !(value ? outPath) then
      builtins.mapAttrs (_: facts) value
    else
      fact value;
}
