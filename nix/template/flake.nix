{
  description = "A Proxmox host and everything on it, compiled by moxc from host.toml";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    moxc.url = "github:example/moxc";
    moxc.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      moxc,
    }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
      host = moxc.lib.mkHost {
        inherit pkgs;
        inherit (nixpkgs.lib) nixosSystem;
        spec = ./host.toml;
        # generated = ./generated/pve1; # what `moxc build` wrote, so that evaluation builds nothing
      };
    in
    {
      inherit (host) nixosModules nixosConfigurations;
      packages.${system} = host.packages;
      apps.${system} = host.apps;
      checks.${system} = host.checks;
      formatter.${system} = pkgs.nixfmt-tree;
    };
}
