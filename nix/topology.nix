# A host for nix-topology: a module for its evaluation, with the host, its bridges and every guest, whatever it runs.
#
#   import nix-topology { inherit pkgs; modules = [ host.topology { inherit (self) nixosConfigurations; } ]; }
{ lib, read }:
let
  inherit (read.host) name;
  host = read.host;
  bridges = read.network.bridges or { };
  inherit (import ./modules/priority.nix { inherit lib; }) fact;

  # Two hosts may both have a `vmbr0`.
  network = bridge: "${name}-${bridge}";
  # As nix-topology reads them of a NixOS: without their length, which the network has.
  addresses =
    card:
    map (address: lib.head (lib.splitString "/" address)) (
      lib.filter builtins.isString [
        (card.address or null)
        (card.address6 or null)
      ]
    );
  gateways =
    card:
    lib.filter builtins.isString [
      (card.gateway or null)
      (card.gateway6 or null)
    ];

  card =
    prefix: number: card:
    lib.nameValuePair (card.name or "${prefix}${toString number}") (
      {
        addresses = fact (addresses card);
        gateways = fact (gateways card);
      }
      // lib.optionalAttrs (card ? mac) { mac = fact card.mac; }
      // lib.optionalAttrs (card ? bridge) {
        network = fact (network card.bridge);
        physicalConnections = [
          {
            node = name;
            interface = card.bridge;
          }
        ];
      }
    );

  guest = kind: prefix: _: guest: {
    deviceType = fact (if (guest.os or "") == "nixos" then "nixos" else "device");
    guestType = fact kind;
    parent = fact name;
    # A line of its own, where nix-topology would say the kind again.
    hardware.info = fact "${kind} ${toString (guest.vmid or "")}, ${guest.os or "other"}";
    interfaces = lib.listToAttrs (lib.imap0 (card prefix) (guest.network or [ ]));
  };
in
{
  networks = lib.mapAttrs' (
    bridge: _: lib.nameValuePair (network bridge) { name = fact "${bridge} of ${name}"; }
  ) bridges;

  nodes = {
    ${name} = {
      deviceType = fact (if (host.platform or "proxmox") == "nixos" then "nixos" else "device");
      hardware.info = fact "Proxmox VE ${host.release or ""}";
      interfaces = lib.mapAttrs (bridge: settings: {
        virtual = fact true;
        addresses = fact (addresses settings);
        gateways = fact (gateways settings);
        network = fact (network bridge);
      }) bridges;
    };
  }
  // lib.mapAttrs (guest "virtual machine" "net") (read.vms or { })
  // lib.mapAttrs (guest "container" "eth") (read.containers or { });
}
