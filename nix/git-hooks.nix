# Hooks for git-hooks.nix: `hooks = moxc.lib.gitHooks { inherit pkgs; specs = [ "host.toml" ]; }`.
{
  lib,
  pkgs,
  moxc,
  specs,
  output,
}:
let
  regenerate = pkgs.writeShellApplication {
    name = "moxc-regenerate";
    runtimeInputs = [
      moxc
      pkgs.git
    ];
    text = builtins.readFile ./hooks/moxc-regenerate;
  };

  arguments = "--output ${lib.escapeShellArg output} ${lib.escapeShellArgs specs}";
  common = {
    # The specs, modules of the user's that are copied, and what lies in the output folder.
    files = "\\.(toml|nix)$|^${lib.escapeRegex output}/";
    pass_filenames = false;
    require_serial = true;
  };
in
{
  moxc-regenerate = common // {
    enable = true;
    name = "moxc: regenerate what the spec says";
    description = "Builds the specs, stages what changed, and refuses edits of generated files.";
    package = regenerate;
    entry = "${regenerate}/bin/moxc-regenerate ${arguments}";
  };

  # For CI: after the other hook everything is staged, so that pre-commit sees no change.
  moxc-check = common // {
    enable = lib.mkDefault false;
    name = "moxc: the generated files are what the spec says";
    description = "Compares, writes nothing.";
    package = moxc;
    entry = "${lib.getExe moxc} build --check ${arguments}";
  };
}
