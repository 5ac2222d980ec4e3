//! Renews the option index.
//!
//! ```text
//! cargo run --example option-index                            index.bin from options.jsonl
//! cargo run --example option-index -- 25.11 options.json      first adds a snapshot of NixOS 25.11 to options.jsonl
//! cargo run --example option-index -- evaluated nixos.json … [home-manager home.json …]
//!                                                             first puts what was evaluated into its newest snapshot
//! ```
//!
//! `options.json` is what `nix build nixpkgs#nixosOptionsDoc` puts at `share/doc/nixos/options.json`, for the nixpkgs of
//! that release. It has nothing about renamed and removed options: those are kept by hand in `options.jsonl`, or come from
//! an evaluation: `nix-instantiate --eval --strict --json evaluated.nix --arg nixos PATH` prints `nixos.json`, and the same with
//! `--arg homeManager PATH` `home.json`.
#![allow(clippy::disallowed_methods)] // it reads and writes files, as nothing of the compiler does

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use moxc::nix::options::{Index, add_evaluation, add_snapshot};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("generator/nix/options");
    let source_file = folder.join("options.jsonl");
    let mut source = fs::read_to_string(&source_file)?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {}
        [word, files @ ..] if word == "evaluated" && !files.is_empty() => {
            let mut lists = files.split(|file| file == "home-manager").map(|files| {
                files.iter().map(fs::read_to_string).collect::<Result<Vec<_>, _>>()
            });
            let nixos = lists.next().unwrap_or_else(|| Ok(Vec::new()))?;
            let home_manager = lists.next().unwrap_or_else(|| Ok(Vec::new()))?;
            source = add_evaluation(&source, &nixos, &home_manager)?;
            fs::write(&source_file, &source)?;
        }
        [release, documentation] => {
            source = add_snapshot(
                &source,
                release.parse()?,
                &fs::read_to_string(documentation)?,
            )?;
            fs::write(&source_file, &source)?;
        }
        _ => return Err("usage: option-index [RELEASE options.json | evaluated nixos.json … [home-manager home.json …]]".into()),
    }
    fs::write(
        folder.join("index.bin"),
        Index::from_source(&source)?.store(),
    )?;
    Ok(())
}
