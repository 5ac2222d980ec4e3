# Every module for a guest, each of which can be imported alone, too.
{
  key = "moxc/guest";

  imports = [
    ./system-services.nix
    ./automation-scripts.nix
    ./update-services.nix
    ./platform.nix
    ./settings.nix
  ];
}
