# What another flake calls: a host's spec in, its packages, modules, configurations and checks out.
{ lib, moxcFor }:
rec {
  # { pkgs, spec } -> what the spec's host is to a flake.
  #
  #   spec       the file, as a path: ./host.toml
  #   root       the folder that holds all that the spec's own `modules` name: ./. for a spec in ./hosts
  #   generated  the host's folder as it is checked in, ./generated/<host>. With it nothing is built to evaluate a
  #              guest; without it the modules come out of a derivation (import from derivation).
  #   modules    further modules for each guest, by name: { web = [ ./web.nix ]; }
  #   nixosSystem  the function of that name of the nixpkgs that guests are built from
  mkHost =
    {
      pkgs,
      spec,
      root ? dirOf spec,
      generated ? null,
      modules ? { },
      nixosSystem ? lib.nixosSystem,
      moxc ? moxcFor pkgs,
    }:
    let
      read = builtins.fromTOML (builtins.readFile spec);
      inherit (read.host) name;
      isNixos = guest: (guest.os or "") == "nixos";
      guests = lib.filterAttrs (_: isNixos) ((read.containers or { }) // (read.vms or { }));
      machines =
        builtins.attrNames guests ++ lib.optional ((read.host.platform or "proxmox") == "nixos") name;
      fileName = baseNameOf (toString spec);

      # The user's own modules, which a build copies.
      ownModules = lib.concatMap (guest: guest.nixos.modules or [ ]) (lib.attrValues guests);

      # Where the spec lies in `root`: with `/` at the end, or nothing.
      folderOfSpec =
        let
          way = lib.removePrefix (toString root) (toString (dirOf spec));
        in
        if way == "" then
          ""
        else if lib.hasPrefix "/" way && lib.hasPrefix (toString root) (toString spec) then
          lib.removePrefix "/" way + "/"
        else
          throw "moxc: the spec ${toString spec} does not lie in `root`, which is ${toString root}";

      # The spec keeps its name: headers of generated files say it. It is alone where it names no file, so that nothing
      # else is a reason to build anew.
      source =
        if ownModules == [ ] then
          "cp ${
            builtins.path {
              path = spec;
              name = "spec.toml";
            }
          } ${lib.escapeShellArg fileName}"
        else
          ''
            cp -r ${
              builtins.path {
                path = root;
                name = "moxc-${name}-spec";
                filter =
                  path: _:
                  !lib.hasPrefix "." (baseNameOf path) && (generated == null || path != toString (dirOf generated));
              }
            } source
            chmod -R u+w source
            cd ${lib.escapeShellArg "source/${folderOfSpec}"}'';

      config =
        pkgs.runCommand "moxc-${name}"
          {
            nativeBuildInputs = [ moxc ];
            meta.description = "The configuration of ${name} and of everything on it";
          }
          ''
            top=$PWD
            ${source}
            if ! moxc build ${lib.escapeShellArg fileName} --output "$top/generated"; then
              # Nix shows the last lines of a build that failed: the errors without the warnings.
              moxc check ${lib.escapeShellArg fileName} --message-format short 2>&1 | grep ': error' >&2 || true
              exit 1
            fi
            mv "$top"/generated/${lib.escapeShellArg name} "$out"
          '';

      # What is checked in may be older than the spec, or than a module that was copied. Told while it is evaluated, since
      # nothing else would show that a change has no effect.
      isOlder =
        let
          manifest = generated + "/manifest.json";
          isCopied =
            module:
            let
              copy = generated + "/nixos/modules/${module}";
              original = dirOf spec + "/${module}";
            in
            !(lib.hasSuffix ".nix" module)
            || lib.hasInfix ".." module
            ||
              builtins.pathExists copy
              && builtins.pathExists original
              && lib.hasSuffix (builtins.readFile original) (builtins.readFile copy);
        in
        builtins.pathExists manifest
        && (
          (lib.importJSON manifest).spec.sha256 != builtins.hashFile "sha256" spec
          || !lib.all isCopied (map (lib.removePrefix "./") ownModules)
        );
      folder =
        if generated == null then
          config
        else
          lib.warnIf isOlder
            "moxc: ${baseNameOf (toString generated)} is older than ${fileName}: run `moxc build`"
            generated;

      # A guest may be called `default`, as the file that names all of them is.
      fileOf = guest: if guest == "default" then "default_.nix" else "${guest}.nix";
      nixosModules = lib.genAttrs machines (guest: {
        imports = [ (folder + "/nixos/${fileOf guest}") ] ++ modules.${guest} or [ ];
      });

      script = command: text: {
        type = "app";
        program = "${
          pkgs.writeShellApplication {
            name = "moxc-${name}-${command}";
            runtimeInputs = [ moxc ];
            inherit text;
          }
        }/bin/moxc-${name}-${command}";
      };
    in
    {
      inherit name config nixosModules;

      nixosConfigurations = lib.mapAttrs (
        _: module:
        nixosSystem {
          system = pkgs.stdenv.hostPlatform.system;
          modules = [ module ];
        }
      ) nixosModules;

      packages = {
        "${name}-config" = config;
      };

      apps = {
        "${name}-build" = script "build" ''exec moxc build "''${1:-${fileName}}" "''${@:2}"'' // {
          meta.description = "Write the configuration of ${name} into the working folder";
        };
        "${name}-plan" =
          script "plan" ''exec moxc plan ${lib.escapeShellArg fileName} --live "''${1:-ssh://root@${name}}" "''${@:2}"''
          // {
            meta.description = "Show what differs between the spec and the running ${name}";
          };
        "${name}-apply" =
          script "apply" ''exec moxc apply ${lib.escapeShellArg fileName} --live "''${1:-ssh://root@${name}}" "''${@:2}"''
          // {
            meta.description = "Bring the running ${name} to what the spec says";
          };
        "${name}-check" = script "check" ''exec moxc check "''${1:-${fileName}}" "''${@:2}"'' // {
          meta.description = "Find every error and warning of ${name}'s spec";
        };
      };

      checks = {
        "${name}-config" = config;
      }
      // lib.optionalAttrs (generated != null) {
        # What is checked in is what the spec says.
        "${name}-up-to-date" =
          pkgs.runCommand "moxc-${name}-up-to-date" { nativeBuildInputs = [ pkgs.diffutils ]; }
            ''
              diff --recursive --unified ${
                builtins.path {
                  path = generated;
                  name = "generated";
                }
              } ${config}
              touch "$out"
            '';
      };
    };

  # Several hosts together: { pkgs, specs = [ ./a.toml ./b.toml ]; } -> the same sets, merged. `generated` is the folder of
  # all hosts' folders: ./generated.
  mkHosts =
    arguments@{
      specs,
      generated ? null,
      ...
    }:
    let
      host =
        spec:
        mkHost (
          removeAttrs arguments [
            "specs"
            "generated"
          ]
          // {
            inherit spec;
          }
          // lib.optionalAttrs (generated != null) {
            generated = generated + "/${(builtins.fromTOML (builtins.readFile spec)).host.name}";
          }
        );
      hosts = map host specs;
    in
    lib.genAttrs [
      "nixosModules"
      "nixosConfigurations"
      "packages"
      "apps"
      "checks"
    ] (field: merge field hosts);

  # One of these sets of several hosts. A flake has one of each name, so two hosts must not have the same guest.
  merge =
    field:
    builtins.foldl' (
      all: host:
      let
        twice = builtins.attrNames (builtins.intersectAttrs all host.${field});
      in
      if twice == [ ] then
        all // host.${field}
      else
        throw "moxc: ${host.name} and another host both have ${toString twice}: give each a flake output of its own, or other names"
    ) { };

  # The hook of git-hooks.nix: { pkgs, specs = [ "host.toml" ]; } -> a value for `hooks`.
  gitHooks =
    {
      pkgs,
      specs ? [ "host.toml" ],
      output ? "generated",
      moxc ? moxcFor pkgs,
    }:
    import ./git-hooks.nix {
      inherit
        lib
        pkgs
        specs
        output
        moxc
        ;
    };
}
