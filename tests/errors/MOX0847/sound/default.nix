# What is asked for by `pathExists` may be missing.
{ lib, ... }:
{
  imports = lib.optional (builtins.pathExists ./local.nix) ./local.nix;
}
