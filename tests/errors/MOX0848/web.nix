{ lib, ... }:
{
  environment.etc."app.conf".source = ./. + "/app.conf";
}
