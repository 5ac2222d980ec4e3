{
  services.nginx.enable = true
}
