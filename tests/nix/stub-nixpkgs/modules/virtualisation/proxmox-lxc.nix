# Stands for the module of NixOS for containers of Proxmox VE.
{ }
