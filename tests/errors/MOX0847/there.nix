{ networking.firewall.enable = true; }
