//! Renews the option index.
//!
//! ```text
//! cargo run --example option-index                            index.bin from options.jsonl
//! cargo run --example option-index -- 25.11 options.json      first adds a snapshot of NixOS 25.11 to options.jsonl
//! ```
//!
//! `options.json` is what `nix build nixpkgs#nixosOptionsDoc` puts at `share/doc/nixos/options.json`, for the nixpkgs of
//! that release. It has nothing about renamed and removed options: those are kept by hand in `options.jsonl`.
#![allow(clippy::disallowed_methods)] // it reads and writes files, as nothing of the compiler does

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use moxc::nix::options::{Index, add_snapshot};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("generator/nix/options");
    let source_file = folder.join("options.jsonl");
    let mut source = fs::read_to_string(&source_file)?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {}
        [release, documentation] => {
            source = add_snapshot(
                &source,
                release.parse()?,
                &fs::read_to_string(documentation)?,
            )?;
            fs::write(&source_file, &source)?;
        }
        _ => return Err("usage: option-index [RELEASE options.json]".into()),
    }
    fs::write(
        folder.join("index.bin"),
        Index::from_source(&source)?.store(),
    )?;
    Ok(())
}
