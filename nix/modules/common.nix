# The switch over everything that moxc's modules do on a machine.
{ lib, ... }:
{
  key = "moxc/common";

  options.services.moxc.enable = lib.mkEnableOption "what moxc's modules set up on this machine" // {
    default = true;
  };
}
