{
  description = "A compiler for homelabs: one TOML file in, a Proxmox host's whole configuration out";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      forEachSystem =
        f:
        lib.genAttrs [
          "x86_64-linux"
          "aarch64-linux"
        ] (system: f nixpkgs.legacyPackages.${system});

      moxcLib = import ./nix/lib.nix {
        inherit lib;
        moxcFor = pkgs: pkgs.callPackage ./nix/package.nix { };
      };

      # The host of the architecture documents.
      reference =
        pkgs:
        moxcLib.mkHost {
          inherit pkgs;
          spec = ./examples/homelab.toml;
        };

      examples =
        pkgs:
        moxcLib.mkHosts {
          inherit pkgs;
          specs = [
            ./examples/bighost.toml
            ./examples/homelab.toml
            ./examples/mini.toml
            ./examples/nixos-host.toml
          ];
        };

      toolsFor =
        pkgs:
        (import ./nix/modules/tools.nix { inherit lib pkgs; }).packages
        // {
          moxc-regenerate = pkgs.writeShellApplication {
            name = "moxc-regenerate";
            runtimeInputs = [
              (pkgs.callPackage ./nix/package.nix { })
              pkgs.git
            ];
            text = builtins.readFile ./nix/hooks/moxc-regenerate;
          };
        };
    in
    {
      packages = forEachSystem (
        pkgs:
        let
          moxc = pkgs.callPackage ./nix/package.nix { };
        in
        {
          inherit moxc;
          default = moxc;
          generated-config = (reference pkgs).config;
        }
        // toolsFor pkgs
      );

      apps = forEachSystem (
        pkgs:
        let
          moxc = {
            type = "app";
            program = "${pkgs.callPackage ./nix/package.nix { }}/bin/moxc";
            meta.description = "Compile, check and explain specs";
          };
          app = description: name: package: {
            type = "app";
            program = "${package}/bin/${name}";
            meta.description = description;
          };
        in
        {
          inherit moxc;
          default = moxc;
        }
        // lib.mapAttrs (name: app "The command ${name}" name) (toolsFor pkgs)
      );

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.cargo
            pkgs.clippy
            pkgs.deadnix
            pkgs.git
            pkgs.jq
            pkgs.nix
            pkgs.nixfmt
            pkgs.nixfmt-tree
            pkgs.nushell
            pkgs.pre-commit
            pkgs.rustc
            pkgs.rustfmt
            pkgs.shellcheck-minimal
            pkgs.statix
            pkgs.taplo
          ];
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);

      checks = forEachSystem (
        pkgs:
        {
          moxc = pkgs.callPackage ./nix/package.nix { };
          format = pkgs.runCommand "moxc-format" { nativeBuildInputs = [ pkgs.nixfmt-tree ]; } ''
            cp -r ${./nix} nix
            cp ${./flake.nix} flake.nix
            chmod -R u+w .
            treefmt --ci --tree-root .
            touch "$out"
          '';
          scripts = pkgs.runCommand "moxc-scripts" { nativeBuildInputs = [ pkgs.shellcheck-minimal ]; } ''
            # What has tool.sh in front is checked when its package is built.
            shellcheck ${./nix}/modules/scripts/etc-check.sh ${./nix}/hooks/*
            touch "$out"
          '';
        }
        // (examples pkgs).checks
      );

      nixosModules = {
        default = {
          imports = [ ./nix/modules ];
        };
        system-services = {
          imports = [ ./nix/modules/system-services.nix ];
        };
        automation-scripts = {
          imports = [ ./nix/modules/automation-scripts.nix ];
        };
        update-services = {
          imports = [ ./nix/modules/update-services.nix ];
        };
        # For a host that is NixOS itself; the others are for guests.
        host = {
          imports = [ ./nix/modules/host.nix ];
        };
      };

      # The NixOS machines of the examples, from what is checked in: evaluating one builds nothing.
      nixosConfigurations =
        (moxcLib.mkHosts {
          pkgs = nixpkgs.legacyPackages.x86_64-linux;
          generated = ./examples/generated;
          specs = [
            ./examples/bighost.toml
            ./examples/homelab.toml
            ./examples/nixos-host.toml
          ];
        }).nixosConfigurations;

      overlays.default = final: _prev: {
        moxc = final.callPackage ./nix/package.nix { };
      };

      templates.default = {
        path = ./nix/template;
        description = "A flake around the spec of a Proxmox host";
        welcomeText = ''
          `host.toml` is a host to begin with, `flake.nix` what Nix makes of it. Put into `flake.nix` where moxc lies
          (`moxc.url`), `git add` the files, and see what is wrong with the host, and what becomes of it:

              nix run .#pve1-check
              nix build .#pve1-config
        '';
      };

      # With a key, so that importing it twice is importing it once.
      flakeModules.default = {
        key = "moxc/flake-module";
        imports = [ (import ./nix/flake-module.nix { inherit moxcLib; }) ];
      };

      lib = moxcLib;
    };
}
