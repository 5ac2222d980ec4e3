# What a guest is to its neighbours: its addresses, its way out, what it routes, what it mounts.
{
  key = "moxc/system-services";

  imports = [
    ./network.nix
    ./gateway.nix
    ./shares.nix
    ./immutable.nix
    ./virtual-machine.nix
  ];
}
