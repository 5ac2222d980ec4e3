# Network cards by systemd-networkd.
{ config, lib, ... }:
let
  cfg = config.services.moxc.network;
  inherit (import ./priority.nix { inherit lib; }) fact facts;

  interface = lib.types.submodule {
    options = {
      mac = lib.mkOption {
        type = lib.types.nullOr lib.types.str;
        default = null;
        example = "bc:24:11:00:00:01";
        description = ''
          The card's own address. With it, the card gets this name whatever the kernel calls it; without it, the
          name must be the kernel's.
        '';
      };
      addresses = lib.mkOption {
        type = lib.types.listOf lib.types.str;
        default = [ ];
        example = [ "192.168.1.20/24" ];
        description = "Fixed addresses, each with the length of its network.";
      };
      gateways = lib.mkOption {
        type = lib.types.listOf lib.types.str;
        default = [ ];
        example = [ "192.168.1.1" ];
        description = "Ways out that lie in one of the networks of `addresses`.";
      };
      onLinkGateways = lib.mkOption {
        type = lib.types.listOf lib.types.str;
        default = [ ];
        description = "Ways out that are reached directly although they lie in none of the networks of `addresses`.";
      };
      dhcp = lib.mkOption {
        type = lib.types.enum [
          "no"
          "ipv4"
          "ipv6"
          "yes"
        ];
        default = "no";
        description = "Which addresses a DHCP server gives.";
      };
      acceptRouterAdvertisements = lib.mkOption {
        type = lib.types.bool;
        default = false;
        description = "Whether IPv6 addresses and ways out come from router advertisements.";
      };
      mtu = lib.mkOption {
        type = lib.types.nullOr lib.types.ints.positive;
        default = null;
        description = "The largest packet, in bytes.";
      };
    };
  };

  renamed = lib.filterAttrs (_: card: card.mac != null) cfg.interfaces;
in
{
  key = "moxc/network";

  imports = [ ./common.nix ];

  options.services.moxc.network = {
    enable = lib.mkEnableOption "the addresses of this machine" // {
      default = true;
    };
    interfaces = lib.mkOption {
      type = lib.types.attrsOf interface;
      default = { };
      description = "Network cards by name.";
    };
    nameservers = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "DNS servers.";
    };
    search = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "DNS search domains.";
    };
  };

  config = lib.mkIf (config.services.moxc.enable && cfg.enable && cfg.interfaces != { }) {
    networking = {
      useNetworkd = fact true;
      useDHCP = fact false;
      useHostResolvConf = fact false;
      inherit (cfg) nameservers search;
    };

    systemd.network = facts {
      enable = true;
      links = lib.mapAttrs' (
        name: card:
        lib.nameValuePair "10-${name}" {
          # VLANs and bridges on top have the same address, but not the same permanent one.
          matchConfig.PermanentMACAddress = card.mac;
          linkConfig.Name = name;
        }
      ) renamed;
      networks = lib.mapAttrs' (
        name: card:
        lib.nameValuePair "10-${name}" {
          matchConfig.Name = name;
          address = card.addresses;
          gateway = card.gateways;
          routes = map (gateway: {
            Gateway = gateway;
            GatewayOnLink = true;
          }) card.onLinkGateways;
          networkConfig = {
            DHCP = card.dhcp;
            IPv6AcceptRA = card.acceptRouterAdvertisements;
          };
          linkConfig = lib.optionalAttrs (card.mtu != null) { MTUBytes = toString card.mtu; };
        }
      ) cfg.interfaces;
    };
  };
}
