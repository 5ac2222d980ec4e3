# What another flake calls: a host's spec in, its packages, modules, configurations and checks out.
{ lib, moxcFor }:
let
  # The NixOS guests of a spec that has been read, and all its NixOS machines' names.
  guestsOf =
    read:
    lib.filterAttrs (_: guest: (guest.os or "") == "nixos") (
      (read.containers or { }) // (read.vms or { })
    );
  machinesOf =
    read:
    builtins.attrNames (guestsOf read)
    ++ lib.optional ((read.host.platform or "proxmox") == "nixos") read.host.name;
in
rec {
  # The users of a spec's NixOS guests: whom `homes` may name where it is about several hosts.
  usersIn =
    spec:
    lib.concatMap (guest: builtins.attrNames (guest.nixos.users or { })) (
      lib.attrValues (guestsOf (lib.importTOML spec))
    );

  # { pkgs, spec } -> what the spec's host is to a flake.
  #
  #   spec       the file, as a path: ./host.toml
  #   root       the folder that holds all that the spec's own `modules` name: ./. for a spec in ./hosts
  #   generated  the host's folder as it is checked in, ./generated/<host>. With it nothing is built to evaluate a
  #              guest; without it the modules come out of a derivation (import from derivation).
  #   modules    further modules for each NixOS machine, by name: { web = [ ./web.nix ]; }; a name of none is refused
  #   specialArgs  what all modules get as arguments, besides NixOS's own: { inherit inputs; }
  #   disko      that flake: virtual machines and the host are laid out by it, so that nixos-anywhere can install them
  #   proxmox-nixos  that flake: Proxmox VE for a host that is NixOS
  #   deploy-rs  that flake: `deploy.nodes` activate by it
  #   sops-nix, agenix  one of these flakes: what is in `secrets` reaches the machine that it is for
  #   secrets    a folder: `<machine>.yaml` (sops-nix), `<machine>/<name>.age` (agenix)
  #   home-manager  that flake: users of the spec get what `homes` says
  #   homes      modules of home-manager for users, by name: { alice = [ ./alice.nix ]; }; a name of none is refused
  #   nix-topology  that flake: NixOS machines tell it what they run
  #   nixosSystem  the function of that name of the nixpkgs that guests are built from
  mkHost =
    {
      pkgs,
      spec,
      root ? dirOf spec,
      generated ? null,
      modules ? { },
      specialArgs ? { },
      disko ? null,
      deploy-rs ? null,
      proxmox-nixos ? null,
      sops-nix ? null,
      agenix ? null,
      secrets ? null,
      home-manager ? null,
      homes ? { },
      nix-topology ? null,
      # Of other hosts, where `modules` is about several.
      otherMachines ? [ ],
      otherUsers ? [ ],
      nixosSystem ? lib.nixosSystem,
      moxc ? moxcFor pkgs,
    }:
    let
      read = lib.importTOML spec;
      inherit (read.host) name;
      inherit (pkgs.stdenv.hostPlatform) system;
      guests = guestsOf read;
      machines = machinesOf read;
      fileName = baseNameOf (toString spec);

      # A module of a name that no machine has would be left out in silence.
      strangers = lib.filter (machine: !lib.elem machine (machines ++ otherMachines)) (
        builtins.attrNames modules
      );
      given =
        if strangers == [ ] then
          modules
        else
          throw "moxc: `modules` names ${lib.concatStringsSep ", " strangers}, which is no NixOS machine of ${fileName}; there are ${lib.concatStringsSep ", " machines}";

      # The users of a machine, for home-manager.
      usersOf = machine: builtins.attrNames (guests.${machine}.nixos.users or { });
      homeless = lib.filter (user: !lib.any (machine: lib.elem user (usersOf machine)) machines) (
        lib.filter (user: !lib.elem user otherUsers) (builtins.attrNames homes)
      );
      homesOf =
        machine:
        if homeless != [ ] then
          throw "moxc: `homes` names ${lib.concatStringsSep ", " homeless}, who is no user of a NixOS guest in ${fileName}"
        else
          lib.filterAttrs (user: _: lib.elem user (usersOf machine)) homes;
      withHomes =
        machine:
        lib.optionals (home-manager != null) [
          home-manager.nixosModules.home-manager
          (
            { config, ... }:
            {
              home-manager = {
                useGlobalPkgs = lib.mkDefault true;
                useUserPackages = lib.mkDefault true;
                extraSpecialArgs = specialArgs;
                users = lib.mapAttrs (_: modules: {
                  imports = modules;
                  home.stateVersion = lib.mkDefault config.system.stateVersion;
                }) (homesOf machine);
              };
            }
          )
        ];

      # Secrets of a machine: it decrypts them by the SSH key that it has, which both projects take by themselves.
      withSecrets =
        machine:
        let
          file = secrets + "/${machine}.yaml";
          folder = secrets + "/${machine}";
          sealed = lib.filter (lib.hasSuffix ".age") (
            lib.optionals (builtins.pathExists folder) (builtins.attrNames (builtins.readDir folder))
          );
        in
        lib.optionals (sops-nix != null) (
          [ sops-nix.nixosModules.sops ]
          ++ lib.optional (secrets != null && builtins.pathExists file) {
            sops.defaultSopsFile = lib.mkDefault file;
          }
        )
        ++ lib.optionals (agenix != null) (
          [ agenix.nixosModules.default ]
          ++ lib.optional (secrets != null) {
            age.secrets = lib.listToAttrs (
              map (
                name:
                lib.nameValuePair (lib.removeSuffix ".age" name) { file = lib.mkDefault (folder + "/${name}"); }
              ) sealed
            );
          }
        );

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

      # It has none where the spec has no pool.
      pools = folder + "/proxmox/storage/disko.nix";

      # A guest may be called `default`, as the file that names all of them is.
      fileOf = guest: if guest == "default" then "default_.nix" else "${guest}.nix";
      nixosModules = lib.genAttrs machines (guest: {
        imports = [
          (folder + "/nixos/${fileOf guest}")
        ]
        ++ lib.optionals (disko != null && isVm guest) [
          disko.nixosModules.disko
          { services.moxc.virtualMachine.partition = lib.mkDefault true; }
        ]
        # What the host's own pools are for disko stands in its tree.
        ++ lib.optionals (disko != null && guest == name) [
          disko.nixosModules.disko
          { services.moxc.hostSystem.partition = lib.mkDefault true; }
        ]
        ++ lib.optional (disko != null && guest == name && builtins.pathExists pools) pools
        ++ lib.optionals (proxmox-nixos != null && guest == name) [
          proxmox-nixos.nixosModules.proxmox-ve
          { nixpkgs.overlays = [ proxmox-nixos.overlays.${system} ]; }
        ]
        ++ withSecrets guest
        ++ withHomes guest
        ++ lib.optional (nix-topology != null) nix-topology.nixosModules.default
        ++ given.${guest} or [ ];
      });
      isVm = guest: guest != name && (read.vms or { }) ? ${guest};

      nixosConfigurations = lib.mapAttrs (
        _: module:
        nixosSystem {
          inherit system specialArgs;
          modules = [ module ];
        }
      ) nixosModules;

      # What a guest is made from: the template of a container by the name that the spec gives it, the disk of a virtual
      # machine as a qcow2 that `qemu-img convert` writes to its volume.
      imageOf =
        guest:
        let
          machine = nixosConfigurations.${guest};
          inherit (machine) config;
          template = baseNameOf (guests.${guest}.template or "${guest}.tar.xz");
          image =
            if !isVm guest then
              if lib.hasSuffix ".tar.xz" template then
                ''ln -s ${config.system.build.tarball}/tarball/*.tar.xz "$out"/${lib.escapeShellArg template}''
              else
                throw "moxc: NixOS makes templates that end in .tar.xz, and that of ${guest} is ${template}"
            else if config.services.moxc.virtualMachine.partition then
              # One image for each disk, by its name.
              ''ln -s ${config.system.build.diskoImages}/* "$out"/''
            else
              ''ln -s ${diskImage guest machine}/nixos.qcow2 "$out"/${lib.escapeShellArg "${guest}.qcow2"}'';
        in
        pkgs.runCommand "${guest}-image"
          {
            # As the images of nixpkgs do it.
            passthru = { inherit config; };
            meta.description = "What ${guest} on ${name} is made from";
          }
          ''
            mkdir "$out"
            ${image}
          ''
        // {
          inherit config;
        };
      diskImage =
        guest: machine:
        let
          inherit (machine) config;
          root = config.fileSystems."/".fsType;
        in
        if root != "ext4" then
          throw "moxc: the image of ${guest} has its root on ${root}: pass `disko` to mkHost, nixpkgs alone makes ext4"
        else
          import (pkgs.path + "/nixos/lib/make-disk-image.nix") {
            inherit config lib;
            pkgs = machine.pkgs or pkgs;
            format = "qcow2";
            partitionTableType = if config.services.moxc.virtualMachine.efi then "efi" else "legacy";
            label = config.services.moxc.virtualMachine.rootLabel;
            bootSize = "512M";
            additionalSpace = "1G";
            copyChannel = false;
          };

      # Of each guest what `images.sh` needs: kind, name, VMID, where it goes.
      imagesToSend = lib.mapAttrsToList (
        guest: settings:
        "${if isVm guest then "vm" else "container"} ${guest} ${toString settings.vmid} ${
          if isVm guest then "-" else settings.template or "-"
        }"
      ) guests;

      # Where a machine is reached: its first fixed address, or its name.
      addressOf =
        machine:
        let
          nics = guests.${machine}.network or [ ];
          fixed = lib.filter (text: builtins.isString text && lib.hasInfix "/" text) (
            map (nic: nic.address or nic.address6 or null) nics
          );
        in
        if machine == name || fixed == [ ] then
          machine
        else
          builtins.head (builtins.split "/" (builtins.head fixed));

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
      inherit
        name
        config
        nixosModules
        nixosConfigurations
        ;

      packages = {
        "${name}-config" = config;
      }
      // lib.mapAttrs' (guest: _: lib.nameValuePair "${guest}-image" (imageOf guest)) guests;

      # For nix-topology, as a module of its evaluation.
      topology = import ./topology.nix { inherit lib read; };

      # For colmena: `colmenaHive = colmena.lib.makeHive host.colmena`, or `colmena = host.colmena`.
      colmena = {
        meta = {
          nixpkgs = pkgs;
          inherit specialArgs;
        };
      }
      // lib.mapAttrs (machine: module: {
        imports = [ module ];
        deployment = {
          targetHost = addressOf machine;
          targetUser = "root";
          tags = guests.${machine}.tags or [ ];
        };
      }) nixosModules;

      # For deploy-rs, where `deploy-rs` is given.
      deploy.nodes = lib.optionalAttrs (deploy-rs != null) (
        lib.mapAttrs (machine: configuration: {
          hostname = addressOf machine;
          profiles.system = {
            user = "root";
            sshUser = "root";
            path = deploy-rs.lib.${system}.activate.nixos configuration;
          };
        }) nixosConfigurations
      );

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
        "${name}-images" = {
          type = "app";
          program = "${
            pkgs.writeShellApplication {
              name = "moxc-${name}-images";
              text =
                "host=${lib.escapeShellArg name}\nmachines=(${lib.escapeShellArgs imagesToSend})\n"
                + builtins.readFile ./images.sh;
            }
          }/bin/moxc-${name}-images";
          meta.description = "Build the images of ${name}'s NixOS guests and bring them to the host";
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
      # Once for all hosts: each would read every spec anew.
      otherMachines = lib.concatMap (spec: machinesOf (lib.importTOML spec)) specs;
      otherUsers = lib.concatMap usersIn specs;
      host =
        spec:
        mkHost (
          removeAttrs arguments [
            "specs"
            "generated"
          ]
          // {
            inherit spec otherMachines otherUsers;
          }
          // lib.optionalAttrs (generated != null) {
            generated = generated + "/${(lib.importTOML spec).host.name}";
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
    ] (field: merge field hosts)
    // {
      colmena = hive hosts;
      deploy.nodes = merge "nodes" (map (host: host // { inherit (host.deploy) nodes; }) hosts);
      topology.imports = map (host: host.topology) hosts;
    };

  # For colmena: the machines of all hosts, with what the first one says of the packages.
  hive =
    hosts:
    merge "colmena" (map (host: host // { colmena = removeAttrs host.colmena [ "meta" ]; }) hosts)
    // {
      inherit ((lib.head hosts).colmena) meta;
    };

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
