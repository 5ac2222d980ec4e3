//! The Nushell scripts of a Windows guest, and their tests.
//!
//! The scripts are written by hand (`templates/windows/`) and go out as they are, below the header of a generated file.
//! All that a spec says stands in `config.nu`, which [`crate::nu`] prints: no script quotes anything of a spec.
//!
//! | script | does | run as |
//! |---|---|---|
//! | `moxc.nu`, `moxc.ps1`, `config.nu` | what the others share, what Nushell cannot ask Windows itself, the guest's data | |
//! | `setup.nu` | network cards, further disks, the policy of updates, remote access | administrator or SYSTEM |
//! | `guest-agent.nu` | the QEMU guest agent: installed, automatic, running | administrator or SYSTEM |
//! | `virtiofs.nu` | shared folders at their drive letters; with several, at every start of Windows | administrator or SYSTEM |
//! | `winget.nu` | packages; `--upgrade` brings newer versions | the user |
//! | `rust.nu` | build tools, toolchain, environment, projects | the user |
//! | `steam.nu` | Steam, its libraries and games | the user |
//! | `windows-update.nu` | looks; `--install [--reboot if-needed]` installs | SYSTEM |
//! | `maintenance.nu` | component store, temporary files, volumes, event log | SYSTEM |
//! | `first-logon.nu` | all of the above that the guest needs, once, in order | the user, elevated |
//!
//! Each takes `--help`, `--dry-run` and `--json`, and ends with 0 (done, or nothing to do), 1 (something failed), 3
//! (done, and Windows must restart to finish), or 4 (busy: later is better).

mod config;

use crate::diagnostics::Sink;
use crate::model::{Guest, Host, Id, Vm, WindowsGuest};
use crate::nu;
use crate::origin::Origin;
use crate::template::{Templates, one_line};

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
            .copied()
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

/// What every guest has.
const SHARED: &[&str] = &["moxc.nu", "moxc.ps1"];

/// The tests of all of them.
const TESTS: &[&str] = &[
    "tests/unit-tests.nu",
    "tests/integration-tests.nu",
    "tests/machine-tests.nu",
    "tests/performance-tests.nu",
    "tests/fake-windows.nu",
    "tests/test-utils.nu",
];

/// Plans the scripts of a guest.
pub fn plan(host: &Host, id: Id<Guest>, guest: &Guest, vm: &Vm, windows: &WindowsGuest) -> Plan {
    let needed = [
        ("setup.nu", true),
        ("guest-agent.nu", *vm.agent),
        ("virtiofs.nu", !vm.shares.is_empty()),
        ("winget.nu", !windows.winget.is_empty()),
        ("rust.nu", windows.rust.is_some()),
        ("steam.nu", windows.steam.is_some()),
        ("windows-update.nu", true),
        ("maintenance.nu", true),
        ("first-logon.nu", true),
    ];
    let scripts: Vec<&'static str> = needed
        .into_iter()
        .filter_map(|(name, needed)| needed.then_some(name))
        .collect();
    Plan {
        config: config::literal(host, id, guest, vm, windows, &scripts),
        scripts,
    }
}

/// The files below `windows/<guest>/`: path and text. Reports what a user's own text cannot do.
pub fn files(
    plan: &Plan,
    origin: &Origin,
    templates: &Templates,
    sink: &mut Sink,
) -> Vec<(String, String)> {
    let header = origin.header();
    let mark = mark(&header);
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
    plan.files()
        .filter(|name| *name != "config.nu")
        .chain(TESTS.iter().copied())
        .map(|name| {
            let text = templates.whole(&format!("windows/{name}"), &mark, sink);
            (name.to_owned(), text)
        })
        .chain([("config.nu".to_owned(), config.to_string())])
        .collect()
}

/// The line that marks a generated file. ASCII, since PowerShell 5.1 takes a file without byte-order mark for the code page
/// of the machine.
fn mark(header: &str) -> String {
    one_line(header)
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::template::WHOLE;

    fn all() -> impl Iterator<Item = (&'static str, String)> {
        WHOLE.iter().map(|(name, _)| {
            let mark = mark("Generated by moxc from Gemäß ü\nx.");
            let text = Templates::built_in().whole(name, &mark, &mut Sink::new());
            let name = name.strip_prefix("windows/").expect("of a Windows guest");
            (name, text)
        })
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
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(sent, there);
    }

    /// PowerShell 5.1 takes a file without byte-order mark for the code page of the machine.
    #[test]
    fn powershell_gets_ascii() {
        for (name, text) in all().filter(|(name, _)| name.ends_with(".ps1")) {
            assert!(text.is_ascii(), "{name}");
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
            assert!(
                text.starts_with("# Generated by moxc from Gem?? ? x.\n#\n# "),
                "{name}: {}",
                &text[..60]
            );
            assert!(!text.contains('\r') && text.ends_with('\n'), "{name}");
        }
    }
}
