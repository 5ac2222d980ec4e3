# Packages that are nothing but their names, and the builders that our modules call.
{
  system ? "x86_64-linux",
  names ? [ ],
}:
let
  fake = name: {
    type = "derivation";
    inherit name;
    pname = name;
    outPath = "/fake/${name}";
    meta.mainProgram = name;
  };
in
builtins.listToAttrs (
  map
    (name: {
      inherit name;
      value = fake name;
    })
    (
      names
      ++ [
        "7zz"
        "coreutils"
        "diffutils"
        "findutils"
        "gawk"
        "git"
        "gitMinimal"
        "gnugrep"
        "gnused"
        "gzip"
        "htop"
        "jq"
        "lzop"
        "nix"
        "perl"
        "pgbackrest"
        "ripgrep"
        "rsync"
        "smartmontools"
        "systemd"
        "tmux"
        "util-linux"
        "zfs"
        "zstd"
      ]
    )
)
// {
  stdenv.hostPlatform = { inherit system; };
  python3Packages.requests = fake "requests";
  runCommand =
    name: _: text:
    fake name // { inherit text; };
  writeText = name: text: fake name // { inherit text; };
  writeShellApplication =
    {
      name,
      text,
      runtimeInputs ? [ ],
    }:
    fake name // { inherit text runtimeInputs; };
}
