{
  description = "Stands for nixpkgs where there is no network: its library and its builders as far as our flake calls them";

  # A folder with the compiler in it, built by cargo.
  inputs.prebuilt = {
    url = "path:./prebuilt";
    flake = false;
  };

  outputs =
    { self, prebuilt }:
    let
      plain = import ./lib.nix;

      lib = plain // {
        nixosSystem =
          {
            system,
            modules,
            specialArgs ? { },
          }:
          import ./eval.nix {
            inherit lib specialArgs;
            pkgs = legacyPackages.${system};
          } ([ ./base.nix ] ++ modules);
      };

      packagesFor =
        system:
        let
          # The tools of the machine do the work: a build without sandbox sees them.
          run =
            name: environment: text:
            let
              inputs = map (package: "${package}/bin") (environment.nativeBuildInputs or [ ]);
            in
            derivation {
              inherit name system text;
              builder = "/bin/sh";
              args = [
                "-euc"
                "eval \"$text\""
              ];
              PATH = plain.concatStringsSep ":" (
                inputs
                ++ [
                  "/usr/local/bin"
                  "/usr/bin"
                  "/bin"
                ]
              );
              HOME = "/nonexistent";
            }
            // {
              inherit name;
              pname = name;
              meta = environment.meta or { };
            };
          script =
            name: text:
            run name { } ''
              mkdir -p "$out/bin"
              cat > "$out/bin/${name}" <<'END-OF-SCRIPT'
              ${text}
              END-OF-SCRIPT
              chmod +x "$out/bin/${name}"
            ''
            // {
              meta.mainProgram = name;
              inherit text;
            };
          tool = name: script name "#!/bin/sh\nexit 0";

          names = [
            "cargo"
            "clippy"
            "coreutils"
            "deadnix"
            "diffutils"
            "findutils"
            "gawk"
            "git"
            "gitMinimal"
            "gawk"
            "gnugrep"
            "gnused"
            "gzip"
            "htop"
            "jq"
            "lzop"
            "nix"
            "nixfmt"
            "nushell"
            "perl"
            "pgbackrest"
            "pre-commit"
            "ripgrep"
            "rsync"
            "rustc"
            "rustfmt"
            "smartmontools"
            "statix"
            "systemd"
            "taplo"
            "tmux"
            "util-linux"
            "zfs"
            "zstd"
          ];
          pkgs = plain.genAttrs names tool // {
            inherit lib;
            path = ./.;
            stdenv.hostPlatform = { inherit system; };
            nixfmt-tree = tool "treefmt";
            # The one of the machine.
            shellcheck-minimal = run "shellcheck" { } ''mkdir -p "$out/bin"'';
            runCommand = run;
            # `nix develop` wants this builder.
            mkShell =
              environment:
              derivation {
                name = "shell";
                inherit system;
                builder = "/bin/bash";
                args = [
                  "-c"
                  "echo $packages > $out"
                ];
                outputs = [ "out" ];
                packages = toString environment.packages;
              };
            writeText = name: text: builtins.toFile name text;
            writeShellApplication =
              {
                name,
                text,
                runtimeInputs ? [ ],
              }:
              script name ''
                #!/usr/bin/env bash
                export PATH="${plain.concatStringsSep ":" (map (package: "${package}/bin") runtimeInputs)}:$PATH"
                ${text}'';
            rustPlatform.buildRustPackage =
              package:
              run "${package.pname}-${package.version}" { } ''
                test -e ${package.src}/Cargo.toml
                mkdir -p "$out/bin"
                cp ${prebuilt}/moxc "$out/bin/moxc"
                ${package.postInstall}
              ''
              // {
                inherit (package) pname meta;
              };
            callPackage =
              file: arguments:
              let
                f = if builtins.isFunction file then file else import file;
              in
              f (builtins.intersectAttrs (builtins.functionArgs f) pkgs // arguments);
          };
        in
        pkgs;
      legacyPackages = plain.genAttrs [
        "x86_64-linux"
        "aarch64-linux"
      ] packagesFor;
    in
    {
      inherit lib legacyPackages;
    };
}
