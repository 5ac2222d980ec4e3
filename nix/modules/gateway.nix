# A guest that is the way out of other guests: it forwards their packets, shares its own address with them, and lets
# nobody else through.
{ config, lib, ... }:
let
  cfg = config.services.moxc.gateway;
  inherit (import ./priority.nix { inherit lib; }) fact;
  ipv6 = cfg.clients6 != [ ];
  interfaces = lib.unique ([ cfg.externalInterface ] ++ cfg.internalInterfaces);
in
{
  key = "moxc/gateway";

  imports = [ ./common.nix ];

  options.services.moxc.gateway = {
    enable = lib.mkEnableOption "routing for other guests";
    externalInterface = lib.mkOption {
      type = lib.types.str;
      example = "eth0";
      description = "The card on the way to the Internet.";
    };
    internalInterfaces = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = ''
        The cards that clients are on. It may be the external one: guests of one network then go out through this
        machine.
      '';
    };
    clients = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "192.168.1.21/32" ];
      description = "The IPv4 addresses and networks whose packets are forwarded and masqueraded.";
    };
    clients6 = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "The IPv6 addresses and networks whose packets are forwarded and masqueraded.";
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable) {
    assertions = [
      {
        assertion = lib.elem (config.boot.kernel.sysctl."net.ipv4.ip_forward" or true) [
          true
          1
          "1"
        ];
        message = "services.moxc.gateway is on, but boot.kernel.sysctl.\"net.ipv4.ip_forward\" is off: nothing would be forwarded";
      }
      {
        assertion = cfg.clients != [ ] || cfg.clients6 != [ ];
        message = "services.moxc.gateway is on, but it has neither clients nor clients6: nothing would be forwarded";
      }
    ];

    networking = {
      # With nftables, the forward chain drops what is not allowed, and the NAT module allows the clients.
      nftables.enable = lib.mkDefault true;
      firewall = {
        enable = lib.mkDefault true;
        filterForward = lib.mkDefault true;
      };
      nat = {
        enable = lib.mkDefault true;
        enableIPv6 = lib.mkDefault ipv6;
        externalInterface = lib.mkDefault cfg.externalInterface;
        internalIPs = cfg.clients;
        internalIPv6s = cfg.clients6;
      };
    };

    boot.kernel.sysctl = {
      # The NAT module of NixOS switches forwarding on, too, for IPv6 by a name that two modules cannot both set.
      "net.ipv4.ip_forward" = fact true;
      # A client in the same network would be told to pass this machine by. Either of `all` and the card's own
      # setting is enough to send such a redirect.
      "net.ipv4.conf.all.send_redirects" = lib.mkDefault false;
      "net.ipv4.conf.default.send_redirects" = lib.mkDefault false;
    }
    // lib.listToAttrs (
      map (
        name: lib.nameValuePair "net.ipv4.conf.${name}.send_redirects" (lib.mkDefault false)
      ) interfaces
    );
  };
}
