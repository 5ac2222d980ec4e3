{
  imports = [ ./nginx.nix ];
}
