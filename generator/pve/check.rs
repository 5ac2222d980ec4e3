//! Whole files against the schema: the last look at generated output.
//!
//! Every function takes a file's text, whoever wrote it, and returns what Proxmox would refuse,
//! skip or only find out at the guest's start, with the place in the text.

use std::collections::BTreeSet;
use std::ops::Range;

use super::guest_config::{self, GuestLine};
use super::schema::{check_requirements, takes_raw_lxc_key};
use super::section_config::{self, SectionFile, SectionLine};
use super::{ConfigFile, FaultKind, GuestKind, OptionFault, Place, Release, check_option};

/// A fault and where it is in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFault {
    /// The line's number, from 1.
    pub line: usize,
    /// The faulty bytes of the file.
    pub range: Range<usize>,
    /// What is wrong.
    pub fault: OptionFault,
}

/// Checks `qemu-server/<vmid>.conf` or `lxc/<vmid>.conf`, without its snapshots and pending
/// changes: those are Proxmox's own.
pub fn check_guest_config(kind: GuestKind, release: Release, text: &str) -> Vec<LineFault> {
    let mut report = Report::new(text);
    let file = kind.config_file();
    let mut seen = BTreeSet::new();
    for line in guest_config::lines(kind, text) {
        match line.content {
            GuestLine::Section(_) => break,
            GuestLine::Description(_) => {}
            GuestLine::Option { key, value } => {
                if !seen.insert(key) {
                    report.twice(line.number, key);
                }
                report.option(file, release, line.number, key, value);
            }
            GuestLine::Raw { key, .. } => {
                if !takes_raw_lxc_key(release, key) {
                    let message = format!("Proxmox does not take the raw key `{key}`");
                    report.add(
                        line.number,
                        key,
                        OptionFault::at_key(FaultKind::UnknownOption, message),
                    );
                }
            }
            GuestLine::Unreadable(content) => report.unreadable(line.number, content),
        }
    }
    report.faults
}

/// Checks `storage.cfg`, `jobs.cfg` or a mapping file.
pub fn check_section_config(file: SectionFile, release: Release, text: &str) -> Vec<LineFault> {
    let mut report = Report::new(text);
    let mut ids = BTreeSet::new();
    let mut open: Option<(usize, &str, &str, Vec<&str>)> = None;
    for line in section_config::lines(file, text) {
        match line.content {
            SectionLine::Header { kind, id } => {
                if !ids.insert(id) {
                    report.twice(line.number, id);
                }
                if let Some(fault) = section_id(file, id) {
                    report.add(line.number, id, fault);
                }
                open = Some((line.number, kind, id, Vec::new()));
            }
            SectionLine::Property { key, value } => {
                let Some((_, kind, _, keys)) = open.as_mut() else {
                    continue;
                };
                let config_file = file.config_file(kind);
                let schema = config_file.option(key);
                if keys.contains(&key)
                    && !schema.is_some_and(super::schema::OptionSchema::is_repeatable)
                {
                    report.twice(line.number, key);
                }
                keys.push(key);
                match value {
                    Some(value) => report.option(config_file, release, line.number, key, value),
                    // A boolean alone is a set one.
                    None if schema.is_none_or(super::schema::OptionSchema::is_boolean) => {
                        if let Err(fault) = check_option(config_file, release, key, "1") {
                            report.add(line.number, key, fault);
                        }
                    }
                    None => report.unreadable(line.number, key),
                }
            }
            SectionLine::End => {
                if let Some((number, kind, id, keys)) = open.take() {
                    let config_file = file.config_file(kind);
                    // An unknown type is reported once, even for a section without properties.
                    if (keys.is_empty() || config_file.option_names().next().is_none())
                        && let Err(fault) = check_option(config_file, release, "disable", "1")
                        && fault.kind != FaultKind::UnknownOption
                    {
                        report
                            .faults
                            .retain(|other| other.fault.message != fault.message);
                        report.add(number, id, fault);
                    }
                    for fault in check_requirements(config_file, keys.iter().copied()) {
                        report.add(number, id, fault);
                    }
                    if file == SectionFile::Jobs
                        && let Some(fault) = backed_up_guests(kind, &keys)
                    {
                        report.add(number, id, fault);
                    }
                }
            }
            SectionLine::Unreadable => {
                let content = text.lines().nth(line.number - 1).unwrap_or_default();
                report.unreadable(line.number, content);
            }
        }
    }
    report.faults
}

/// Checks `vzdump.conf`. Proxmox ignores unknown keys there without a word.
pub fn check_vzdump(release: Release, text: &str) -> Vec<LineFault> {
    check_colon_file(ConfigFile::Vzdump, release, text)
}

/// Checks `datacenter.cfg`.
pub fn check_datacenter(release: Release, text: &str) -> Vec<LineFault> {
    check_colon_file(ConfigFile::Datacenter, release, text)
}

fn check_colon_file(file: ConfigFile<'_>, release: Release, text: &str) -> Vec<LineFault> {
    let mut report = Report::new(text);
    let mut seen = BTreeSet::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match content.split_once(':') {
            Some((key, value)) if !value.trim().is_empty() => {
                let key = key.trim_end();
                let repeats = file
                    .option(key)
                    .is_some_and(super::schema::OptionSchema::is_repeatable);
                if !seen.insert(key) && !repeats {
                    report.twice(number, key);
                }
                report.option(file, release, number, key, value.trim());
            }
            _ => report.unreadable(number, content),
        }
    }
    report.faults
}

/// Checks the options of `/etc/network/interfaces` one by one, and the names of its interfaces.
pub fn check_interfaces(release: Release, text: &str) -> Vec<LineFault> {
    let mut report = Report::new(text);
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let content = line.trim();
        let (word, rest) = content
            .split_once(char::is_whitespace)
            .unwrap_or((content, ""));
        match word {
            "" => inside = false,
            _ if word.starts_with('#') => {}
            "auto" | "source" | "source-directory" | "mapping" => inside = false,
            _ if word.starts_with("allow-") => inside = false,
            "iface" => {
                inside = true;
                let name = rest.split_whitespace().next().unwrap_or_default();
                if let Some(fault) = interface_name(name) {
                    report.add(number, if name.is_empty() { word } else { name }, fault);
                }
            }
            key if inside && !rest.is_empty() => {
                report.option(
                    ConfigFile::Interfaces,
                    release,
                    number,
                    key,
                    rest.trim_start(),
                );
            }
            _ => report.unreadable(number, content),
        }
    }
    report.faults
}

fn interface_name(name: &str) -> Option<OptionFault> {
    // Proxmox VE reads the alias of a VLAN, `vmbr0.40:1`, though its API takes no such name.
    let (own, label) = name.split_once(':').unwrap_or((name, "0"));
    let (base, child) = own.split_once('.').unwrap_or((own, "0"));
    // The format is named where the API takes an interface.
    let fits = check_option(
        ConfigFile::Interfaces,
        Release::NEWEST,
        "vlan-raw-device",
        own,
    )
    .is_ok();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let letters = base.starts_with(|c: char| c.is_ascii_alphabetic())
        && base.len() > 1
        && base.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits && letters && is_number(child) && is_number(label) {
        return None;
    }
    let message = format!("`{name}` is not an interface name that Proxmox takes");
    let help = "use a letter, then letters, digits and `_`, 15 characters at most";
    Some(OptionFault::at_key(FaultKind::WrongForm, message).with_help(help))
}

fn section_id(file: SectionFile, id: &str) -> Option<OptionFault> {
    let (option_file, key) = match file {
        // Options that take an ID of the same kind.
        SectionFile::Storage => (ConfigFile::Qm, "vmstatestorage"),
        SectionFile::Mapping(_) => (ConfigFile::Qm, "parent"),
        SectionFile::Jobs => {
            let length = id.chars().count();
            let message = format!("job IDs have at most 50 characters, this has {length}");
            return (length > 50).then(|| OptionFault::at_key(FaultKind::WrongLength, message));
        }
    };
    let mut fault = check_option(option_file, Release::NEWEST, key, id).err()?;
    fault.message = fault.message.replace(&format!(" in `{key}`"), "");
    fault.place = Place::Key;
    Some(fault)
}

/// A backup job says which guests it is for, in one way only.
fn backed_up_guests(kind: &str, keys: &[&str]) -> Option<OptionFault> {
    if kind != "vzdump" {
        return None;
    }
    let given: Vec<&str> = ["all", "vmid", "pool"]
        .into_iter()
        .filter(|key| keys.contains(key))
        .collect();
    let message = match given.as_slice() {
        // `exclude` implies all guests.
        [] if !keys.contains(&"exclude") => {
            "the job backs up no guest: give one of `all`, `vmid`, `pool`".to_owned()
        }
        [first, second, ..] => format!("`{first}` and `{second}` exclude each other"),
        _ => return None,
    };
    Some(OptionFault::at_key(FaultKind::Conflict, message))
}

struct Report<'t> {
    text: &'t str,
    faults: Vec<LineFault>,
}

impl<'t> Report<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            faults: Vec::new(),
        }
    }

    /// `word` must be a slice of the text.
    fn add(&mut self, line: usize, word: &'t str, fault: OptionFault) {
        let start = self.offset(word);
        let range = match &fault.place {
            Place::Key => start..start + word.len(),
            Place::Value(range) => start + range.start..start + range.end,
        };
        self.faults.push(LineFault { line, range, fault });
    }

    fn option(
        &mut self,
        file: ConfigFile<'_>,
        release: Release,
        line: usize,
        key: &'t str,
        value: &'t str,
    ) {
        if let Err(fault) = check_option(file, release, key, value) {
            let word = if fault.place == Place::Key {
                key
            } else {
                value
            };
            self.add(line, word, fault);
        }
    }

    fn twice(&mut self, line: usize, word: &'t str) {
        self.add(
            line,
            word,
            OptionFault::at_key(FaultKind::Twice, format!("`{word}` is given twice")),
        );
    }

    fn unreadable(&mut self, line: usize, content: &'t str) {
        let message = "Proxmox skips this line".to_owned();
        self.add(
            line,
            content,
            OptionFault::at_key(FaultKind::Unreadable, message),
        );
    }

    fn offset(&self, word: &str) -> usize {
        (word.as_ptr() as usize)
            .saturating_sub(self.text.as_ptr() as usize)
            .min(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pve::MappingKind;

    /// Line, faulty text, kind of each fault.
    fn shown<'t>(text: &'t str, faults: &[LineFault]) -> Vec<(usize, &'t str, FaultKind)> {
        faults
            .iter()
            .map(|fault| (fault.line, &text[fault.range.clone()], fault.fault.kind))
            .collect()
    }

    #[test]
    fn finds_every_fault_of_a_guest() {
        let text = "#notes: anything\nbios: uefi\ncores: 2\ncores: 4\nlonely\nscsi0: local:1,ssd=maybe\nvirtiofs0: shared\n\n[snap]\nbios: uefi\n";
        assert_eq!(
            shown(
                text,
                &check_guest_config(GuestKind::Qm, Release::new(8, 1), text)
            ),
            [
                (2, "uefi", FaultKind::NotListed),
                (4, "cores", FaultKind::Twice),
                (5, "lonely", FaultKind::Unreadable),
                (6, "maybe", FaultKind::WrongType),
                (
                    7,
                    "virtiofs0",
                    FaultKind::NotYet {
                        since: Release::new(8, 4)
                    }
                ),
            ]
        );
        let text = "hostname: db\nlxc.rootfs.path: /x\nlxc.cgroup2.memory.max: 1\nlxc.idmap: u 0 1 2\n\
                    lxc.environment.runtime: A=b\n";
        assert_eq!(
            shown(
                text,
                &check_guest_config(GuestKind::Pct, Release::new(9, 0), text)
            ),
            [
                (2, "lxc.rootfs.path", FaultKind::UnknownOption),
                (5, "lxc.environment.runtime", FaultKind::UnknownOption)
            ]
        );
    }

    #[test]
    fn finds_every_fault_of_a_section_file() {
        let text = "# x\nzfspool: tank\n\tsparse 1\n\ndir: x\n\tpath /x\n\tpath /y\n\tcontent images,iso\nnfs: y\n\nzfspol: zz\n\n";
        assert_eq!(
            shown(
                text,
                &check_section_config(SectionFile::Storage, Release::NEWEST, text)
            ),
            [
                (2, "tank", FaultKind::Missing),
                (5, "x", FaultKind::WrongForm),
                (7, "path", FaultKind::Twice),
                (9, "nfs: y", FaultKind::Unreadable),
                (11, "zz", FaultKind::UnknownKind),
            ]
        );
        let text = "vzdump: nightly\n\tschedule 02:30\n\tnotes-template x\n\nvzdump: b\n\tschedule 2:30\n\tall 1\n\tvmid 100\n\n";
        assert_eq!(
            shown(
                text,
                &check_section_config(SectionFile::Jobs, Release::NEWEST, text)
            ),
            [
                (1, "nightly", FaultKind::Missing),
                (1, "nightly", FaultKind::Conflict),
                (5, "b", FaultKind::Conflict),
            ]
        );
        let text = "gpu\n\tmap id=10de:2684,node=pve,path=0000:01:00\n\tmap id=10de,node=pve,path=0000:01:00\n\n";
        let file = SectionFile::Mapping(MappingKind::Pci);
        assert_eq!(
            shown(text, &check_section_config(file, Release::NEWEST, text)),
            [(3, "10de", FaultKind::WrongForm)]
        );
        let shared = "shared\n\tmap node=pve,path=/tank/shared\n\n";
        let faults = check_section_config(
            SectionFile::Mapping(MappingKind::Dir),
            Release::new(8, 1),
            shared,
        );
        assert_eq!(
            faults[0].fault.kind,
            FaultKind::NotYet {
                since: Release::new(8, 4)
            }
        );
    }

    #[test]
    fn finds_every_fault_of_the_other_files() {
        let text = "# x\nmode: snapshot\nionise: 7\nzstd: 0\nexclude-path: /a\nexclude-path: /b\nmode: stop\nbwlimit\n";
        assert_eq!(
            shown(text, &check_vzdump(Release::NEWEST, text)),
            [
                (3, "ionise", FaultKind::UnknownOption),
                (7, "mode", FaultKind::Twice),
                (8, "bwlimit", FaultKind::Unreadable),
            ]
        );
        let text = "keyboard: de\nmigration: insecure,network=10.0.0.0\n";
        assert_eq!(
            shown(text, &check_datacenter(Release::NEWEST, text)),
            [(2, "10.0.0.0", FaultKind::WrongForm)]
        );
        let text = "# x\nauto lo\niface lo inet loopback\n\nauto br-lan\niface br-lan inet static\n\taddress 10.0.0.300/24\n\
                    \tbridge-prts none\n\tmtu 100\n#note\n\niface interface_of_20_ch inet manual\n\nsource /x\nwhat is this\n";
        assert_eq!(
            shown(text, &check_interfaces(Release::NEWEST, text)),
            [
                (6, "br-lan", FaultKind::WrongForm),
                (7, "10.0.0.300/24", FaultKind::WrongForm),
                (8, "bridge-prts", FaultKind::UnknownOption),
                (9, "100", FaultKind::TooSmall),
                (12, "interface_of_20_ch", FaultKind::WrongForm),
                (15, "what is this", FaultKind::Unreadable),
            ]
        );
    }

    #[test]
    fn a_value_of_blanks_is_found_where_it_stands() {
        let text = "#ä\nname: web\nnet0: \t\n";
        let faults = check_guest_config(GuestKind::Qm, Release::NEWEST, text);
        let found: Vec<(usize, Option<&str>)> = faults
            .iter()
            .map(|fault| (fault.line, text.get(fault.range.clone())))
            .collect();
        assert_eq!(found, [(3, Some("\t"))]);
    }
}
