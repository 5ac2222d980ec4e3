# The tools by name: each one program with the library in front, and what it calls.
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
  # Those that deal with guests and their backups share a part.
  ofGuests = [
    "backup-rehearsal"
    "vzdump-backup"
  ];
  tool =
    name: runtimeInputs:
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
      ++ runtimeInputs;
      text =
        builtins.readFile ./scripts/gate.sh
        + builtins.readFile ./scripts/tool.sh
        + lib.optionalString (lib.elem name ofGuests) (builtins.readFile ./scripts/guests.sh)
        + lib.optionalString (name == "windows-update") (builtins.readFile ./scripts/agent.sh)
        + builtins.readFile (./scripts + "/${name}.sh");
    };

  tools = lib.mapAttrs tool {
    # It calls what is Proxmox VE's own: pct, pvesh, pvesm, qm.
    backup-rehearsal = [ pkgs.gawk ];
    moxc-notify = [ systemd ];
    nixos-flake-update = [
      nix
      pkgs.diffutils
      pkgs.gitMinimal
      systemd
    ]
    ++ lib.optional snapshots tools.zfs-snapshot
    ++ lib.optional (nixos-rebuild != null) nixos-rebuild;
    # What else it calls is there where it has something to do: apt-get, smartctl, zpool, nix-collect-garbage.
    proxmox-maintenance = [ ];
    # It calls what is Proxmox VE's own: apt-get, dpkg, pvesh.
    proxmox-update = [ ];
    smart-test = [ pkgs.smartmontools ];
    # It calls what is Proxmox VE's own: pvesh, pvesm, vzdump.
    vzdump-backup = [
      pkgs.gawk
      pkgs.gzip
      pkgs.lzop
      pkgs.zstd
    ];
    # It calls what is Proxmox VE's own: qm.
    windows-update = [ ];
    zfs-scrub = [ zfs ];
    zfs-snapshot = [ zfs ];
    zfs-trim = [ zfs ];
  };
in
tools
