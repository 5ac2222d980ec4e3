{
  description = "A Proxmox host and everything on it, compiled by moxc from host.toml";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    # Put here where moxc lies: what stands behind `nix flake init -t`.
    moxc.url = "git+https://example.org/moxc";
    moxc.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    { nixpkgs, moxc, ... }:
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
      devShells.${system}.default = pkgs.mkShell {
        packages = [
          moxc.packages.${system}.default
          pkgs.git
          pkgs.nixfmt-tree
          pkgs.pre-commit
        ];
      };
    };
}
