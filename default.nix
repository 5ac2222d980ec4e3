# The flake for a Nix without flakes, from the nixpkgs at hand: `nix-build -A moxc`, `(import ./. { }).lib.mkHost { … }`.
{
  pkgs ? import <nixpkgs> { },
}:
let
  inherit (pkgs.stdenv.hostPlatform) system;

  self = (import ./flake.nix).outputs {
    inherit self;
    nixpkgs = {
      lib = {
        # `lib.nixosSystem` is there only in nixpkgs' own flake.
        nixosSystem = import (pkgs.path + "/nixos/lib/eval-config.nix");
      }
      // pkgs.lib;
      legacyPackages.${system} = pkgs;
    };
  };
in
self.packages.${system}
// {
  inherit (self)
    flakeModules
    lib
    nixosModules
    overlays
    ;
  checks = self.checks.${system};
  devShells = self.devShells.${system};
  formatter = self.formatter.${system};
}
