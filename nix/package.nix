# The compiler as a package.
{ lib, rustPlatform }:
let
  manifest = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).package;

  # What the build reads: a change of the documentation's prose or of the flake builds nothing anew.
  parts = [
    "Cargo.lock"
    "Cargo.toml"
    "askama.toml"
    "benches"
    "docs"
    "examples"
    "generator"
    "nix"
    "templates"
    "tests"
  ];
  root = toString ../.;
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  inherit (manifest) version;

  src = builtins.path {
    name = "moxc-source";
    path = ../.;
    filter = path: _: dirOf (toString path) != root || builtins.elem (baseNameOf (toString path)) parts;
  };
  cargoLock.lockFile = ../Cargo.lock;

  # The unit tests; those that need tools are run by tests/run.
  cargoTestFlags = [ "--lib" ];

  postInstall = ''
    mkdir -p $out/share/man/man1 $out/share/bash-completion/completions $out/share/zsh/site-functions \
      $out/share/fish/vendor_completions.d
    $out/bin/moxc man > $out/share/man/man1/moxc.1
    $out/bin/moxc completions bash > $out/share/bash-completion/completions/moxc
    $out/bin/moxc completions zsh > $out/share/zsh/site-functions/_moxc
    $out/bin/moxc completions fish > $out/share/fish/vendor_completions.d/moxc.fish
  '';

  meta = {
    inherit (manifest) description;
    license = lib.licenses.mit;
    mainProgram = "moxc";
    platforms = lib.platforms.linux;
  };
}
