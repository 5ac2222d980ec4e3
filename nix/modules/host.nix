# Every module for a host that is NixOS itself.
{
  key = "moxc/host";

  imports = [
    ./proxmox-host.nix
    ./host-system.nix
    ./host-tasks.nix
    ./update-services.nix
    ./automation-scripts.nix
    ./platform.nix
  ];
}
