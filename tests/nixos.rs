//! What the NixOS target writes: exact texts, and what the tools of Nix say to them.
//!
//! `MOXC_BLESS=1` writes the expected texts anew; read them in review like code.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use moxc::compile::{self, Origin};
use moxc::diagnostics::{Lints, Sink};
use moxc::output::FileSet;
use moxc::source::SourceMap;
use moxc::targets::{self, Target};
use pretty_assertions::assert_eq;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a spec; panics with its errors where it has any.
pub(crate) fn build(name: &str, text: &str) -> FileSet {
    let mut sources = SourceMap::new();
    let file = sources.add(name, text);
    let mut sink = Sink::new();
    let origin = Origin::of(&sources, &[file]);
    let checked = compile::check(&sources, file, &origin, &mut sink);
    let plan = checked.plan.unwrap_or_else(|| {
        let found: Vec<_> = std::mem::take(&mut sink)
            .finish(&Lints::default(), false)
            .into_iter()
            .map(|(_, d)| (d.code, d.message.clone(), sources.start(d.span())))
            .collect();
        panic!("{name}: {found:#?}")
    });
    let templates = moxc::template::Templates::built_in();
    targets::emit(&plan, &[Target::Nixos], &templates, &mut sink)
}

/// The specs with NixOS in them, by name.
pub(crate) fn cases() -> BTreeMap<String, String> {
    let mut cases = BTreeMap::new();
    let homelab = fs::read_to_string(root().join("examples/homelab.toml")).unwrap();
    cases.insert("homelab".to_owned(), homelab);
    let template = fs::read_to_string(root().join("nix/template/host.toml")).unwrap();
    cases.insert("template".to_owned(), template);
    for entry in fs::read_dir(root().join("tests/nixos")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if let Ok(text) = fs::read_to_string(folder.join("host.toml")) {
            cases.insert(name, text);
        }
    }
    cases
}

/// Writes the files of a spec below `folder`, as the command line would.
pub(crate) fn write(files: &FileSet, folder: &Path) {
    for file in files.iter() {
        let path = folder.join(file.path.as_str());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &file.contents).unwrap();
    }
}

/// The expected files of a case. Those of the reference host are whole, as the flake's own `nixosConfigurations` import
/// them; of the others the hand-written modules beside the generated ones are left out.
fn expected(name: &str) -> PathBuf {
    match name {
        "homelab" => root().join("examples/generated/pve1/nixos"),
        _ => root().join("tests/nixos").join(name).join("expected"),
    }
}

fn read_all(folder: &Path, below: &str, all: &mut BTreeMap<String, String>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read_all(&path, &format!("{name}/"), all);
        } else {
            all.insert(name, fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_generated_modules_are_the_expected_ones() {
    for (name, spec) in cases() {
        let spec_name = if name == "homelab" {
            "homelab.toml"
        } else {
            "host.toml"
        };
        let generated: BTreeMap<String, String> = build(spec_name, &spec)
            .iter()
            .filter_map(|file| {
                let path = file.path.as_str().strip_prefix("nixos/")?;
                let text = String::from_utf8(file.contents.clone()).unwrap();
                (name == "homelab" || !path.starts_with("moxc/")).then(|| (path.to_owned(), text))
            })
            .collect();
        let folder = expected(&name);
        if std::env::var_os("MOXC_BLESS").is_some() {
            let _ = fs::remove_dir_all(&folder);
            for (path, text) in &generated {
                let path = folder.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
        let mut there = BTreeMap::new();
        read_all(&folder, "", &mut there);
        assert_eq!(generated, there, "{name}");
    }
}

#[test]
fn the_same_spec_gives_the_same_bytes() {
    for (name, spec) in cases() {
        let bytes = |files: FileSet| -> Vec<_> {
            files
                .iter()
                .map(|f| (f.path.clone(), f.contents.clone()))
                .collect()
        };
        assert!(
            bytes(build("host.toml", &spec)) == bytes(build("host.toml", &spec)),
            "{name}"
        );
    }
}

#[test]
fn nixfmt_leaves_what_is_written() {
    for (name, spec) in cases() {
        for file in build("host.toml", &spec).iter() {
            let path = file.path.as_str();
            if path.ends_with(".nix") {
                let text = std::str::from_utf8(&file.contents).unwrap();
                let formatted = nixfmt_rs::format(text)
                    .unwrap_or_else(|error| panic!("{name}: {path}: {error:?}"));
                assert_eq!(text, formatted, "{name}: {path}");
            }
        }
    }
}

/// For a look with other tools: writes every case below the folder that `MOXC_DUMP` names.
#[test]
fn dump() {
    let Some(folder) = std::env::var_os("MOXC_DUMP") else {
        return;
    };
    for (name, spec) in cases() {
        write(&build("host.toml", &spec), &Path::new(&folder).join(name));
    }
}

/// What the checks of a spec say: codes and messages.
fn found(path: &Path) -> Vec<(String, String)> {
    let mut sources = SourceMap::new();
    let file = sources.add("host.toml", fs::read_to_string(path).unwrap());
    let mut sink = Sink::new();
    let origin = Origin::of(&sources, &[file]);
    compile::check(&sources, file, &origin, &mut sink);
    sink.finish(&Lints::default(), false)
        .into_iter()
        .map(|(_, d)| (d.code.to_string(), d.message.clone()))
        .collect()
}

#[test]
fn faults_of_settings_are_told_at_the_spec() {
    for code in ["MOX0690", "MOX0840", "MOX0841", "MOX0842", "MOX0843"] {
        let folder = root().join("tests/errors").join(code);
        let wrong = found(&folder.join("host.toml"));
        assert!(wrong.iter().any(|(c, _)| c == code), "{code}: {wrong:?}");
        assert!(
            !wrong.iter().any(|(c, _)| c == "MOX0844"),
            "{code}: a user's fault is not ours: {wrong:?}"
        );
        let silent = found(&folder.join("silent.toml"));
        assert!(!silent.iter().any(|(c, _)| c == code), "{code}: {silent:?}");
    }
}
