//! The Nushell scripts of a Windows guest, and their tests.
//!
//! The scripts are written by hand (`templates/windows/`) and go out as they are, below the header of a generated file.
//! All that a spec says stands in `config.nu`, which [`crate::nu`] prints: no script quotes anything of a spec.
//!
//! | script | does | run as |
//! |---|---|---|
//! | `moxc.nu`, `moxc.ps1`, `config.nu` | what the others share, what Nushell cannot ask Windows itself, the guest's data | |
//! | `guest-agent.nu` | the QEMU guest agent: installed, automatic, running | administrator or SYSTEM |
//! | `virtiofs.nu` | shared folders at their drive letters; with several, at every start of Windows | administrator or SYSTEM |
//! | `winget.nu` | packages; `--upgrade` brings newer versions | the user |
//! | `rust.nu` | build tools, toolchain, environment, projects | the user |
//! | `steam.nu` | Steam, its libraries and games | the user |
//! | `windows-update.nu` | looks; `--install [--reboot if-needed]` installs | SYSTEM |
//! | `maintenance.nu` | component store, temporary files, volumes, event log | SYSTEM |
//! | `first-logon.nu` | all of the above that the guest needs, once, in order | the user, elevated |
//!
//! Each takes `--help`, `--dry-run` and `--json`, and ends with 0 (done, or nothing to do), 1 (something failed), or 3
//! (done, and Windows must restart to finish).

mod check;
mod config;

use crate::diagnostics::Sink;
use crate::model::{Guest, Host, Vm, WindowsGuest};
use crate::nu;
use crate::origin::Origin;
use crate::template::one_line;

/// What a guest's scripts are made from.
#[derive(Debug)]
pub struct Plan {
    /// The scripts that the guest needs, by file name, in the order in which the first logon runs them.
    scripts: Vec<&'static str>,
    /// What `config.nu` says.
    config: nu::Literal,
}

impl Plan {
    /// The files that belong into the guest, below `windows/<guest>/`: what the bootstrap copies.
    pub fn files(&self) -> impl Iterator<Item = &'static str> {
        SHARED
            .iter()
            .map(|(name, _)| *name)
            .chain(["config.nu"])
            .chain(self.scripts.iter().copied())
            .chain(
                self.needs("windows-update.nu")
                    .then_some("windows-update.ps1"),
            )
    }

    /// Whether a script is among them.
    pub fn needs(&self, script: &str) -> bool {
        self.scripts.contains(&script)
    }
}

macro_rules! files {
    ($($path:literal)*) => {
        &[$(($path, include_str!(concat!("../../../../templates/windows/", $path)))),*]
    };
}

/// What every guest has.
const SHARED: &[(&str, &str)] = files! {
    "moxc.nu"
    "moxc.ps1"
};

/// What a guest has that needs it.
const SCRIPTS: &[(&str, &str)] = files! {
    "guest-agent.nu"
    "virtiofs.nu"
    "winget.nu"
    "rust.nu"
    "steam.nu"
    "windows-update.nu"
    "windows-update.ps1"
    "maintenance.nu"
    "first-logon.nu"
};

/// The tests of all of them.
const TESTS: &[(&str, &str)] = files! {
    "tests/unit-tests.nu"
    "tests/integration-tests.nu"
    "tests/performance-tests.nu"
    "tests/test-utils.nu"
};

/// Plans the scripts of a guest. Reports what Windows, its installers or cargo would not take (MOX0603, MOX0620 to MOX0627).
pub fn plan(host: &Host, guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) -> Plan {
    check::check(guest, vm, windows, sink);
    let needed = [
        ("guest-agent.nu", *vm.agent),
        ("virtiofs.nu", !vm.shares.is_empty()),
        ("winget.nu", !windows.winget.is_empty()),
        ("rust.nu", windows.rust.is_some()),
        ("steam.nu", windows.steam.is_some()),
        ("windows-update.nu", true),
        ("maintenance.nu", true),
        ("first-logon.nu", true),
    ];
    Plan {
        scripts: needed
            .into_iter()
            .filter_map(|(name, needed)| needed.then_some(name))
            .collect(),
        config: config::literal(host, guest, vm, windows),
    }
}

/// The files below `windows/<guest>/`: path and text.
pub fn files(plan: &Plan, origin: &Origin) -> Vec<(String, String)> {
    let wanted = |name: &str| plan.files().any(|file| file == name);
    let header = origin.header();
    let mut files: Vec<(String, String)> = SHARED
        .iter()
        .chain(SCRIPTS.iter().filter(|(name, _)| wanted(name)))
        .chain(TESTS)
        .map(|(name, text)| ((*name).to_owned(), with_header(&header, text)))
        .collect();
    let config = nu::Module::new([
        header.as_str(),
        "",
        "The guest as the spec has it: data for the scripts beside this file.",
    ])
    .constant(
        config::NAME,
        "What the guest is to be.",
        plan.config.clone(),
    );
    files.push(("config.nu".to_owned(), config.to_string()));
    files
}

/// A hand-written file below the line that marks a generated one. ASCII, since PowerShell 5.1 takes a file without
/// byte-order mark for the code page of the machine.
fn with_header(header: &str, text: &str) -> String {
    let header: String = one_line(header)
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect();
    format!("# {header}\n#\n{text}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        SHARED.iter().chain(SCRIPTS).chain(TESTS)
    }

    #[test]
    fn every_hand_written_script_goes_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/windows");
        let mut there = BTreeSet::new();
        for folder in ["", "tests/"] {
            for entry in root.join(folder).read_dir().unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if Path::new(&name).extension().is_some_and(|end| end == "nu") {
                    there.insert(format!("{folder}{name}"));
                }
            }
        }
        let sent: BTreeSet<String> = all()
            .filter(|(name, _)| name.ends_with(".nu"))
            .map(|(name, _)| (*name).to_owned())
            .collect();
        assert_eq!(sent, there);
    }

    /// PowerShell 5.1 takes a file without byte-order mark for the code page of the machine.
    #[test]
    fn powershell_gets_ascii() {
        for (name, text) in all().filter(|(name, _)| name.ends_with(".ps1")) {
            assert!(with_header("Gemäß ü\nx", text).is_ascii(), "{name}");
        }
    }

    /// A keyword of a later Nushell cannot be shadowed, so every name carries its script's own word.
    #[test]
    fn every_name_carries_its_scripts_word() {
        for (name, text) in all().filter(|(name, _)| name.ends_with(".nu")) {
            for line in text.lines() {
                let line = line.strip_prefix("export ").unwrap_or(line);
                let Some(rest) = line.strip_prefix("def ").or(line.strip_prefix("const ")) else {
                    continue;
                };
                let defined = rest.split([' ', '=']).find(|word| !word.starts_with("--"));
                let defined = defined.expect("a definition has a name");
                assert!(
                    matches!(defined, "main" | "test") || defined.contains(['-', '_']),
                    "{name}: {defined}"
                );
            }
        }
    }

    /// Nushell would take a byte-order mark for a part of the first word, and the header must be a comment of its own.
    #[test]
    fn a_script_opens_with_its_header() {
        for (name, text) in all() {
            let text = with_header("Generated by moxc.", text);
            assert!(text.starts_with("# Generated by moxc.\n#\n# "), "{name}");
            assert!(!text.contains('\r') && text.ends_with('\n'), "{name}");
        }
    }
}
