# What a guest runs on, where nobody says it: `nixosSystem` wants to know.
{ lib, options, ... }:
let
  # `nixosSystem { system = …; }` sets it as a default of its own.
  isSystemGiven = (options.nixpkgs.system.highestPrio or 0) < (lib.mkOptionDefault null).priority;
in
{
  key = "moxc/platform";

  # Weaker than the default that nixos-generate-config writes.
  config.nixpkgs = lib.optionalAttrs (options ? nixpkgs.hostPlatform) {
    hostPlatform = lib.mkIf (!isSystemGiven) (lib.mkOverride 1100 "x86_64-linux");
  };
}
