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
in
{
  moxc-regenerate = {
    enable = true;
    name = "moxc: regenerate what the spec says";
    description = "Builds the specs, stages what changed, and refuses edits of generated files.";
    package = regenerate;
    entry = "${regenerate}/bin/moxc-regenerate --output ${lib.escapeShellArg output} ${lib.escapeShellArgs specs}";
    files = "\\.toml$|^${lib.escapeRegex output}/";
    language = "system";
    pass_filenames = false;
    require_serial = true;
  };
}
