//! The last look at what was emitted, before anything reaches the disk.
//!
//! Each of Proxmox VE's own files is held against the schema of the host's release, as if a stranger had written it. A
//! fault that shows up here is one of moxc's: the spec has passed every check. It is told with the generated line.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use rayon::prelude::*;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Host, Kept};
use crate::output::{FileSet, OutputFile};
use crate::pve::check::{self, LineFault};
use crate::pve::section_config::{self, SectionFile, SectionLine};
use crate::pve::{GuestKind, MappingKind, Release};
use crate::source::{SourceMap, Span};

/// At most so many faulty files are shown: one slip of a printer shows up in every guest.
const MOST_FILES: usize = 20;

/// So many files are not worth another thread.
const FEW: usize = 256;

/// A file that Proxmox VE refuses.
#[derive(Debug)]
pub struct Faulty {
    name: String,
    text: String,
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct Fault {
    at: Range<usize>,
    why: String,
    /// What the line comes from.
    origin: (Span, &'static str),
}

/// Holds every file that Proxmox VE reads against its schema. What the host keeps word for word is its own: a storage of a
/// plugin that nobody knows here is none of moxc's faults.
pub fn check(host: &Host, files: &FileSet) -> Vec<Faulty> {
    // Hardly a host has a fault, so nothing is gathered before there is one.
    let kept: LazyLock<BTreeSet<Span>, _> =
        LazyLock::new(|| host.kept.iter().flat_map(Kept::spans).collect());
    let raw_lines: LazyLock<BTreeSet<&str>, _> = LazyLock::new(|| {
        let stanzas = host.network.raw_stanzas(&host.kept).into_iter();
        let stanzas = stanzas.flat_map(|text| text.value.as_str().lines());
        let lines = host.network.raw_lines().map(|line| line.value.as_str());
        stanzas.chain(lines).map(str::trim).collect()
    });
    let read: Vec<_> = files
        .iter()
        .filter_map(|file| Some((Kind::of(file.path.as_str())?, file)))
        .collect();
    // Each file is held against its schema by itself: of a large host on every core.
    let checked = read.into_par_iter().with_min_len(FEW);
    let faulty = checked.filter_map(|(kind, file)| {
        let faults = kind.check(*host.release, file);
        if faults.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(&file.contents).into_owned();
        let faults = faults
            .into_iter()
            .filter_map(|LineFault { range, fault, .. }| {
                let place = file.places.nearest(&kind.part_at(&text, range.start));
                let is_kept = place.is_some_and(|place| kept.contains(&place));
                let is_raw = kind == Kind::Interfaces
                    && raw_lines.contains(line_of(&text, range.start).trim());
                let is_own = !is_kept && !is_raw;
                is_own.then_some(Fault {
                    at: range,
                    why: fault.message,
                    origin: match place {
                        Some(place) => (place, "from this"),
                        None => (host.span, "the host that it is for"),
                    },
                })
            });
        let faults: Vec<Fault> = faults.collect();
        (!faults.is_empty()).then(|| Faulty {
            name: format!("generated {}", file.path),
            faults,
            text,
        })
    });
    let mut faulty: Vec<Faulty> = faulty.collect();
    faulty.truncate(MOST_FILES);
    faulty
}

/// Tells of faulty files; they are added to `sources`, for their lines.
pub fn tell(faulty: Vec<Faulty>, sources: &mut SourceMap, sink: &mut Sink) {
    for Faulty { name, text, faults } in faulty {
        let id = sources.add(name, text);
        for Fault { at, why, origin } in faults {
            sink.push(
                Diagnostic::new(
                    Code::MOX0801,
                    Span::new(id, at),
                    "moxc wrote something that Proxmox VE refuses",
                )
                .label(why)
                .also(origin.0, origin.1)
                .help("this is a fault of moxc, not of the spec: please report it with the spec; nothing was written"),
            );
        }
    }
}

/// The line that a byte of a text lies in.
fn line_of(text: &str, at: usize) -> &str {
    let start = text[..at].rfind('\n').map_or(0, |before| before + 1);
    text[start..].lines().next().unwrap_or_default()
}

/// A file of Proxmox VE's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Guest(GuestKind),
    Sections(SectionFile),
    Vzdump,
    Datacenter,
    Interfaces,
}

impl Kind {
    /// What the file at `path` is to Proxmox VE, if it is anything.
    fn of(path: &str) -> Option<Self> {
        let (_, path) = path.split_once("proxmox/etc/")?;
        let guest = |folder: &str| {
            path.strip_prefix(folder)
                .and_then(|name| name.strip_suffix(".conf"))
                .is_some()
        };
        Some(match path {
            "network/interfaces" => Self::Interfaces,
            "vzdump.conf" => Self::Vzdump,
            "pve/storage.cfg" => Self::Sections(SectionFile::Storage),
            "pve/jobs.cfg" => Self::Sections(SectionFile::Jobs),
            "pve/datacenter.cfg" => Self::Datacenter,
            "pve/mapping/pci.cfg" => Self::Sections(SectionFile::Mapping(MappingKind::Pci)),
            "pve/mapping/usb.cfg" => Self::Sections(SectionFile::Mapping(MappingKind::Usb)),
            "pve/mapping/directory.cfg" => Self::Sections(SectionFile::Mapping(MappingKind::Dir)),
            _ if guest("pve/qemu-server/") => Self::Guest(GuestKind::Qm),
            _ if guest("pve/lxc/") => Self::Guest(GuestKind::Pct),
            _ => return None,
        })
    }

    /// The part of a file, as [`Places`](crate::source::Places) names it, that the byte `at` of its text lies in.
    fn part_at(self, text: &str, at: usize) -> String {
        let at = at.min(text.len());
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        let up_to = &text[..end];
        match self {
            Self::Guest(_) | Self::Vzdump | Self::Datacenter => {
                let line = up_to.lines().next_back().unwrap_or_default();
                let key = line.split_once(':').map_or("", |(key, _)| key);
                key.to_owned()
            }
            Self::Sections(file) => {
                let (mut section, mut part) = ("", String::new());
                for line in section_config::lines(file, up_to) {
                    match line.content {
                        SectionLine::Header { id, .. } => {
                            section = id;
                            id.clone_into(&mut part);
                        }
                        SectionLine::Property { key, .. } => part = format!("{section}/{key}"),
                        SectionLine::End | SectionLine::Unreadable => {}
                    }
                }
                part
            }
            Self::Interfaces => {
                let mut stanzas = up_to
                    .lines()
                    .rev()
                    .filter_map(|line| line.strip_prefix("iface "));
                let name = stanzas.next().and_then(|stanza| stanza.split(' ').next());
                name.unwrap_or_default().to_owned()
            }
        }
    }

    fn check(self, release: Release, file: &OutputFile) -> Vec<LineFault> {
        let text = String::from_utf8_lossy(&file.contents);
        match self {
            Self::Guest(kind) => check::check_guest_config(kind, release, &text),
            Self::Sections(kind) => check::check_section_config(kind, release, &text),
            Self::Vzdump => check::check_vzdump(release, &text),
            Self::Datacenter => check::check_datacenter(release, &text),
            Self::Interfaces => check::check_interfaces(release, &text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::Compiled;
    use crate::output::{Mode, RelPath};
    use crate::targets::Target;
    use crate::template::Templates;

    fn told(path: &str, text: &str) -> Vec<(String, String, usize)> {
        let spec = include_str!("../examples/homelab.toml");
        let Compiled {
            checked,
            mut sources,
            ..
        } = Compiled::of("homelab.toml", spec);
        let mut files = FileSet::new();
        let path = RelPath::new(path).expect("a path");
        files
            .insert(OutputFile::text(path, text, Mode::Regular, "proxmox"))
            .expect("one file");
        let mut sink = Sink::new();
        tell(check(&checked.host, &files), &mut sources, &mut sink);
        sink.finish(&crate::diagnostics::Lints::default(), false)
            .into_iter()
            .map(|(_, d)| {
                assert_eq!(d.code, Code::MOX0801);
                let file = sources.file_of(d.span()).name().to_owned();
                (file, d.labels[0].text.clone(), sources.start(d.span()).line)
            })
            .collect()
    }

    #[test]
    fn a_line_that_proxmox_refuses_is_shown() {
        for (path, text, line) in [
            (
                "proxmox/etc/pve/qemu-server/100.conf",
                "cores: 2\nbanana: 1\n",
                2,
            ),
            (
                "proxmox/etc/pve/lxc/100.conf",
                "arch: amd64\nmemory: lots\n",
                2,
            ),
            (
                "proxmox/etc/pve/storage.cfg",
                "zfspool: tank\n\tpool tank\n\tbanana 1\n",
                3,
            ),
            (
                "proxmox/etc/pve/jobs.cfg",
                "vzdump: nightly\n\tall 1\n\tmode banana\n\tschedule 03:00\n",
                3,
            ),
            ("proxmox/etc/vzdump.conf", "mode: banana\n", 1),
            (
                "proxmox/etc/network/interfaces",
                "auto lo\niface 1x inet manual\n",
                2,
            ),
        ] {
            let told = told(path, text);
            assert_eq!(told.len(), 1, "{path}: {told:?}");
            assert_eq!(told[0].0, format!("generated {path}"));
            assert_eq!(told[0].2, line, "{path}: {told:?}");
        }
    }

    #[test]
    fn every_line_of_a_host_leads_back_to_the_spec() {
        let spec = include_str!("../examples/homelab.toml");
        let mut compiled = Compiled::of("homelab.toml", spec);
        let files = compiled
            .files(Target::ALL, &Templates::built_in())
            .expect("a sound host");
        let (mut lines, mut exact) = (0, 0);
        for file in files.iter() {
            let Some(kind) = Kind::of(file.path.as_str()) else {
                continue;
            };
            let text = String::from_utf8_lossy(&file.contents);
            let mut at = 0;
            for line in text.split_inclusive('\n') {
                let part = kind.part_at(&text, at);
                at += line.len();
                if line.trim().is_empty() || line.starts_with('#') {
                    continue;
                }
                let place = file.places.nearest(&part);
                assert!(place.is_some(), "{}: {line}", file.path);
                lines += 1;
                exact += usize::from(!part.is_empty() && file.places.get(&part).is_some());
            }
        }
        assert!(lines > 100 && exact * 10 > lines * 6, "{exact} of {lines}");
    }

    #[test]
    fn the_part_of_a_line_is_found() {
        let storage = "dir: local\n\tpath /var/lib/vz\n\ndir: nas\n\tpath /mnt\n\n";
        let interfaces =
            "auto lo\niface lo inet loopback\n\nauto vmbr0\niface vmbr0 inet static\n\taddress 1\n";
        for (kind, text, line, part) in [
            (
                Kind::Guest(GuestKind::Qm),
                "#notes\ncores: 2\nscsi0: a:b,c=d\n",
                "scsi0",
                "scsi0",
            ),
            (
                Kind::Sections(SectionFile::Storage),
                storage,
                "\tpath /mnt",
                "nas/path",
            ),
            (
                Kind::Sections(SectionFile::Storage),
                storage,
                "dir: nas",
                "nas",
            ),
            (
                Kind::Sections(SectionFile::Mapping(MappingKind::Usb)),
                "stick:\n\tmap id=1:2\n",
                "\tmap",
                "stick:/map",
            ),
            (Kind::Interfaces, interfaces, "\taddress", "vmbr0"),
        ] {
            let at = text.find(line).expect("the line");
            assert_eq!(kind.part_at(text, at), part);
        }
    }

    #[test]
    fn what_the_host_keeps_is_its_own() {
        let spec = concat!(
            include_str!("../examples/homelab.toml"),
            "\n[keep.\"etc/pve/storage.cfg\"]\nsections = [\"drbd: odd\\n\\tredundancy 2\\n\"]\n",
            "\n[containers.services.firewall]\nin = \"drop\"\n",
            "\n[keep.\"etc/pve/firewall/cluster.fw\"]\ntext = \"[OPTIONS]\\n\\nenable: 1\\n\\n[ALIASES]\\n\\nlan 192.0.2.0/24\\n\"\n",
        );
        let mut compiled = Compiled::of("homelab.toml", spec);
        let files = compiled
            .files(Target::ALL, &Templates::built_in())
            .expect("a sound host");
        assert!(!compiled.sink.has_errors());
        assert_eq!(check(&compiled.checked.host, &files).len(), 0);
        let text = |path: &str| {
            let file = files.get(path).expect("a file");
            String::from_utf8_lossy(&file.contents).into_owned()
        };
        assert!(text("proxmox/etc/pve/storage.cfg").contains("drbd: odd\n\tredundancy 2\n"));
        let firewall = text("proxmox/etc/pve/firewall/cluster.fw");
        assert!(firewall.contains("lan 192.0.2.0/24"), "{firewall}");
        assert!(files.get("proxmox/etc/pve/nodes/pve1/host.fw").is_some());
    }

    #[test]
    fn other_files_are_none_of_its_business() {
        assert_eq!(told("docs/ARCHITECTURE.md", "banana: 1\n"), []);
        assert_eq!(told("proxmox/etc/pve/firewall/100.fw", "[OPTIONS]\n"), []);
    }
}
