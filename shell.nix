# The development shell for a Nix without flakes.
{
  pkgs ? import <nixpkgs> { },
}:
(import ./. { inherit pkgs; }).devShells.default
