# Stands for the module of NixOS for containers of Proxmox VE.
{ lib, ... }:
{
  boot.isContainer = true;
  services.openssh.startWhenNeeded = lib.mkDefault true;
}
