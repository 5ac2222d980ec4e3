# The tools: which there are, and each as a package, one program with the library in front.
{
  lib,
  pkgs,
  # Those of the machine, where it is one of NixOS.
  nix ? pkgs.nix,
  nixos-rebuild ? null,
  systemd ? pkgs.systemd,
  # Whether an update takes snapshots first: a machine without ZFS is spared its programs.
  snapshots ? true,
  zfs ? pkgs.zfs,
}:
let
  # `calls`: whose programs it calls. `part`: what it shares with others beside the library. `on`: where a host has it, as a
  # command alone (`host`) or also as a task at set times (`schedule`); the others are for modules that name them.
  all = {
    # It calls what is Proxmox VE's own: pct, pvesh, pvesm, qm.
    backup-rehearsal = {
      on = "schedule";
      part = "guests";
      calls = [ pkgs.gawk ];
    };
    moxc-notify.calls = [ systemd ];
    nixos-flake-update.calls = [
      nix
      pkgs.diffutils
      pkgs.gitMinimal
      systemd
    ]
    ++ lib.optional snapshots packages.zfs-snapshot
    ++ lib.optional (nixos-rebuild != null) nixos-rebuild;
    # What else it calls is there where it has something to do: apt-get, smartctl, zpool, nix-collect-garbage.
    proxmox-maintenance.on = "schedule";
    # It calls what is Proxmox VE's own: apt-get, dpkg, pvesh. A host that is NixOS has none of them.
    proxmox-update = { };
    smart-test = {
      on = "schedule";
      calls = [ pkgs.smartmontools ];
    };
    # It calls what is Proxmox VE's own: pvesh, pvesm, vzdump.
    vzdump-backup = {
      on = "host";
      part = "guests";
      calls = [
        pkgs.gawk
        pkgs.gzip
        pkgs.lzop
        pkgs.zstd
      ];
    };
    # It calls what is Proxmox VE's own: qm.
    windows-update = {
      on = "schedule";
      part = "agent";
    };
    zfs-scrub = {
      on = "schedule";
      calls = [ zfs ];
    };
    zfs-snapshot = {
      on = "schedule";
      calls = [ zfs ];
    };
    zfs-trim = {
      on = "schedule";
      calls = [ zfs ];
    };
  };

  packages = lib.mapAttrs package all;
  package =
    name: tool:
    pkgs.writeShellApplication {
      inherit name;
      runtimeInputs = [
        pkgs.coreutils
        pkgs.findutils
        pkgs.gnugrep
        pkgs.gnused
        pkgs.perl
        pkgs.util-linux
      ]
      ++ tool.calls or [ ];
      text =
        builtins.readFile ./scripts/gate.sh
        + builtins.readFile ./scripts/tool.sh
        + lib.optionalString (tool ? part) (builtins.readFile (./scripts + "/${tool.part}.sh"))
        + builtins.readFile (./scripts + "/${name}.sh");
    };

  on = places: builtins.attrNames (lib.filterAttrs (_: tool: lib.elem (tool.on or null) places) all);
in
{
  inherit packages;

  # Which of them can be a host's tasks, and which a host has as commands.
  tasks = on [ "schedule" ];
  commands = on [
    "host"
    "schedule"
  ];
}
