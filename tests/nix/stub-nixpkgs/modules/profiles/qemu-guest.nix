# Stands for the profile of NixOS for virtual machines.
{ }
