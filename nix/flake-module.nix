# For flake-parts: `imports = [ inputs.moxc.flakeModules.default ]; moxc.hosts.pve1.spec = ./host.toml;`
{ moxcLib }:
{
  config,
  inputs,
  lib,
  withSystem,
  ...
}:
let
  cfg = config.moxc;

  # Modules, functions and flakes are handed on as they are: the type `anything` looks into them and loses which arguments a
  # function takes, so that a module `{ pkgs, ... }:` would get none.
  inherit (lib.types) raw;

  host = lib.types.submodule {
    options = {
      spec = lib.mkOption {
        type = lib.types.path;
        description = "The host's spec.";
      };
      root = lib.mkOption {
        type = lib.types.nullOr lib.types.path;
        default = null;
        description = "The folder that holds all that the spec's own `modules` name; without it, the spec's.";
      };
      generated = lib.mkOption {
        type = lib.types.nullOr lib.types.path;
        default = null;
        description = "The host's folder as it is checked in; without it, guests are evaluated from a derivation.";
      };
      modules = lib.mkOption {
        type = lib.types.attrsOf (lib.types.listOf raw);
        default = { };
        description = "Further modules of each guest, by its name.";
      };
    };
  };

  # Homes are said once, for all hosts.
  otherUsers = lib.concatMap (host: moxcLib.usersIn host.spec) (lib.attrValues cfg.hosts);

  hostsFor =
    pkgs:
    lib.mapAttrsToList (
      _: host:
      moxcLib.mkHost (
        {
          inherit pkgs otherUsers;
          inherit (host) spec generated modules;
          inherit (cfg)
            nixosSystem
            specialArgs
            disko
            deploy-rs
            proxmox-nixos
            sops-nix
            agenix
            secrets
            home-manager
            homes
            nix-topology
            ;
        }
        // lib.optionalAttrs (host.root != null) { inherit (host) root; }
      )
    ) cfg.hosts;
  hosts = withSystem cfg.system ({ pkgs, ... }: hostsFor pkgs);
  merged = moxcLib.merge;
  # A flake that may be left out.
  flake =
    description:
    lib.mkOption {
      type = raw;
      default = null;
      inherit description;
    };
in
{
  options.moxc = {
    hosts = lib.mkOption {
      type = lib.types.attrsOf host;
      default = { };
      description = "Hosts by name.";
    };
    system = lib.mkOption {
      type = lib.types.str;
      default = "x86_64-linux";
      description = "What the hosts' guests run on.";
    };
    specialArgs = lib.mkOption {
      type = lib.types.attrsOf raw;
      default = { };
      description = "What all modules of NixOS machines get as arguments, besides NixOS's own.";
    };
    disko = flake "The flake of disko, where it lays out virtual machines.";
    proxmox-nixos = flake "The flake of proxmox-nixos, for hosts that are NixOS.";
    colmena = flake "The flake of colmena, where it brings machines up to date: `colmenaHive`.";
    deploy-rs = flake "The flake of deploy-rs, where it does: `deploy`.";
    sops-nix = flake "The flake of sops-nix, where it brings secrets to machines.";
    agenix = flake "The flake of agenix, where it does.";
    secrets = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = "The folder with `<machine>.yaml` (sops-nix) or `<machine>/<name>.age` (agenix).";
    };
    home-manager = flake "The flake of home-manager, where users of the specs have homes.";
    homes = lib.mkOption {
      type = lib.types.attrsOf (lib.types.listOf raw);
      default = { };
      description = "Modules of home-manager for users, by name.";
    };
    nix-topology = flake "The flake of nix-topology, where NixOS machines tell it what they run.";
    topology = lib.mkOption {
      type = raw;
      readOnly = true;
      description = "All hosts, as a module for nix-topology: `perSystem.topology.modules = [ config.moxc.topology ];`.";
    };
    nixosSystem = lib.mkOption {
      type = raw;
      # The library of flake-parts is nixpkgs' without NixOS.
      default = inputs.nixpkgs.lib.nixosSystem or lib.nixosSystem;
      defaultText = lib.literalExpression "inputs.nixpkgs.lib.nixosSystem";
      description = "The function that makes a NixOS of modules.";
    };
  };

  config = {
    perSystem =
      { pkgs, ... }:
      let
        hosts = hostsFor pkgs;
      in
      {
        packages = merged "packages" hosts;
        apps = merged "apps" hosts;
        checks = merged "checks" hosts;
      };
    moxc.topology.imports = map (host: host.topology) hosts;
    flake = {
      nixosModules = merged "nixosModules" hosts;
      nixosConfigurations = merged "nixosConfigurations" hosts;
    }
    // lib.optionalAttrs (cfg.colmena != null && hosts != [ ]) {
      colmenaHive = cfg.colmena.lib.makeHive (moxcLib.hive hosts);
    }
    // lib.optionalAttrs (cfg.deploy-rs != null) {
      deploy.nodes = merged "nodes" (map (host: host // { inherit (host.deploy) nodes; }) hosts);
    };
  };
}
