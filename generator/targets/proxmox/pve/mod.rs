//! Proxmox VE's own files: guests, storage, jobs, mappings, firewall, vzdump, the installer's answers.
//!
//! One module a file. Each plans with the types of [`crate::pve`], which print byte for byte as Proxmox VE does, and
//! holds every value against its schema at the place where the spec says it. Emitting cannot fail.
//!
//! What Proxmox VE itself rewrites has no header: it would be gone with the first change, and in a guest's file it
//! would be the guest's notes.

pub mod answer;
pub mod cluster;
pub mod firewall;
mod guest;
mod jobs;
pub(in crate::targets::proxmox) mod keep;
pub mod lines;
pub mod lxc;
pub mod mapping;
mod options;
mod qemu;
mod storage;
pub mod virtiofs;
pub mod vzdump;

use crate::diagnostics::Sink;
use crate::facts::{Facts, shares};
use crate::model::{GuestKind, Host};
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::pve::{ConfigFile, GuestConfig, MappingKind, SectionConfig, SectionFile};
use crate::source::{Places, Span};
use crate::targets::Target;
use crate::targets::about::About;
use crate::template::Templates;

pub use answer::Answer;
pub use firewall::Firewall;
use lines::Making;
pub use lines::OptionLines;
pub use virtiofs::Hook;

/// What will be written.
#[derive(Debug)]
pub struct Plan {
    host: String,
    span: Span,
    /// Every guest's file, by VMID.
    pub guests: Vec<(u32, GuestConfig)>,
    /// `storage.cfg`, where the spec has a store.
    pub storage: Option<SectionConfig>,
    /// `jobs.cfg`, where there are jobs.
    pub jobs: Option<SectionConfig>,
    /// `mapping/pci.cfg`, where a device is passed through.
    pub pci: Option<SectionConfig>,
    /// `mapping/usb.cfg`, where a USB device is known by its make.
    pub usb: Option<SectionConfig>,
    /// `mapping/directory.cfg`, where Proxmox VE itself shares a folder.
    pub directories: Option<SectionConfig>,
    /// `firewall/`.
    pub firewall: Firewall,
    /// `vzdump.conf`.
    pub vzdump: OptionLines,
    /// `datacenter.cfg`, where the spec says something of it.
    pub datacenter: Option<OptionLines>,
    /// `answer.toml`, or why there is none.
    pub answer: Answer,
    /// Hook scripts that start virtiofsd.
    pub hooks: Vec<Hook>,
}

impl Plan {
    /// Whether the tree holds answers for Proxmox VE's installer.
    pub fn has_answers(&self) -> bool {
        match &self.answer {
            Answer::File(_) => true,
            Answer::Absent(_) => false,
        }
    }

    /// Why there are no answers for the installer, where there are none.
    pub fn about_installation(&self) -> About {
        let mut about = About::default();
        if let Answer::Absent(why) = &self.answer {
            about.lacks("proxmox/answer.toml", why.as_str());
        }
        about
    }

    /// What the guide of the tree tells of the other files.
    pub fn about(&self, host: &Host) -> About {
        let mut about = About::default();
        if self.jobs.is_none() {
            about.lacks("proxmox/etc/pve/jobs.cfg", "no schedule is a backup");
        }
        if self.pci.is_none() {
            about.lacks(
                "proxmox/etc/pve/mapping/pci.cfg",
                "no guest gets a PCI device by a mapping",
            );
        }
        if self.directories.is_none() {
            about.lacks(
                "proxmox/etc/pve/mapping/directory.cfg",
                shares::why_none_is_mapped(host),
            );
        }
        about
    }
}

/// Plans Proxmox VE's own files. Reports what they cannot say: numbers in their units (MOX0013), characters (MOX0015),
/// options of another release, of none, or said already (MOX0107 to MOX0109), times of jobs (MOX0720), and what is kept of
/// them (MOX0029).
pub fn plan(facts: &Facts<'_>, sink: &mut Sink) -> Plan {
    let host = facts.host;
    let volumes = &facts.volumes;
    let kept = |name: &str, file, config, sink: &mut Sink| {
        keep::sections(host, &format!("etc/pve/{name}"), file, config, sink)
    };
    let mut guests = Vec::with_capacity(host.guests.len());
    let mut hooks = Vec::new();
    for (id, guest) in host.guests.iter() {
        let mut config = match &guest.kind {
            GuestKind::Vm(vm) => {
                hooks.extend(Hook::of(host, guest, vm));
                qemu::plan(host, id, guest, vm, (volumes, &facts.mappings), sink)
            }
            GuestKind::Container(container) => lxc::plan(host, id, guest, container, volumes, sink),
        };
        for option in &guest.unset {
            config.remove(option.as_str());
        }
        config.mark("", guest.name.span);
        guests.push((guest.vmid.get(), config));
    }
    let storage = storage::plan(host, volumes, sink);
    let storage = kept("storage.cfg", SectionFile::Storage, Some(storage), sink);
    let jobs = jobs::plan(host, sink);
    let jobs = kept("jobs.cfg", SectionFile::Jobs, jobs, sink);
    let mapping = SectionFile::Mapping;
    let pci = mapping::pci(host, &facts.mappings, sink);
    let pci = kept("mapping/pci.cfg", mapping(MappingKind::Pci), pci, sink);
    let usb = mapping::usb(host, sink);
    let usb = kept("mapping/usb.cfg", mapping(MappingKind::Usb), usb, sink);
    let directories = mapping::directories(host, sink);
    let directories = kept(
        "mapping/directory.cfg",
        mapping(MappingKind::Dir),
        directories,
        sink,
    );
    Plan {
        host: host.name.as_str().to_owned(),
        span: host.name.span,
        guests,
        storage,
        jobs,
        pci,
        usb,
        directories,
        firewall: firewall::plan(host),
        vzdump: vzdump::plan(host, sink),
        datacenter: datacenter(host, sink),
        answer: answer::plan(host, sink),
        hooks,
    }
}

/// Plans `datacenter.cfg`: the options that the spec says, which applying puts into the file that is there.
fn datacenter(host: &Host, sink: &mut Sink) -> Option<OptionLines> {
    let stated = &host.datacenter;
    (!stated.is_empty()).then(|| {
        let making = Making::new(ConfigFile::Datacenter, *host.release, stated, sink);
        making.finish(host, "etc/pve/datacenter.cfg")
    })
}

/// Writes them down. Reports what a user's template cannot do.
pub fn emit(
    plan: Plan,
    origin: &Origin,
    templates: &Templates,
    files: &mut FileSet,
    sink: &mut Sink,
) {
    // As it is, blank line at the end included: Proxmox VE's printers end each section with one.
    let mut add = |path: &str, text: String, mode: Mode, places: Places| {
        let path = RelPath::new(format!("proxmox/{path}"))
            .expect("a path of numbers, a host name and fixed words");
        let file =
            OutputFile::bytes(path, text, mode, Target::Proxmox.as_str()).with_places(places);
        files
            .insert(file)
            .expect("VMIDs are unique, and every other name is written once");
    };
    let header = format!("# {}\n", origin.header());
    for (vmid, config) in plan.guests {
        let path = format!("etc/pve/{}/{vmid}.conf", config.kind().folder());
        let text = config.to_string();
        add(&path, text, Mode::Regular, config.into_places());
    }
    let whole = Places::whole(plan.span);
    let sections = [
        ("storage.cfg", plan.storage.as_ref()),
        ("jobs.cfg", plan.jobs.as_ref()),
        ("mapping/pci.cfg", plan.pci.as_ref()),
        ("mapping/usb.cfg", plan.usb.as_ref()),
        ("mapping/directory.cfg", plan.directories.as_ref()),
    ];
    for (name, config) in sections {
        if let Some(config) = config {
            add(
                &format!("etc/pve/{name}"),
                config.to_string(),
                Mode::Regular,
                config.places(),
            );
        }
    }
    let guards = &plan.firewall;
    let own = [
        (firewall::CLUSTER.to_owned(), guards.cluster()),
        (firewall::host_file(&plan.host), guards.host()),
    ];
    for (path, text) in own {
        if let Some(text) = text {
            add(&path, text.to_owned(), Mode::Regular, whole.clone());
        }
    }
    for (vmid, rules) in &guards.guests {
        add(
            &format!("etc/pve/firewall/{vmid}.fw"),
            rules.clone(),
            Mode::Regular,
            whole.clone(),
        );
    }
    add(
        "etc/vzdump.conf",
        format!("{header}\n{}", plan.vzdump.text()),
        Mode::Regular,
        whole.clone(),
    );
    if let Some(datacenter) = &plan.datacenter {
        // Without a header: Proxmox VE takes `#` lines of this file for the datacenter's notes.
        add(
            "etc/pve/datacenter.cfg",
            datacenter.text(),
            Mode::Regular,
            datacenter.places(),
        );
    }
    if let Answer::File(text) = &plan.answer {
        add(
            "answer.toml",
            format!("{header}{text}"),
            Mode::Regular,
            whole.clone(),
        );
    }
    for hook in &plan.hooks {
        let text = format!("{}\n", templates.render(&hook.script(origin), sink));
        add(
            &format!("var/lib/vz/snippets/{}", hook.file()),
            text,
            Mode::Executable,
            whole.clone(),
        );
    }
}

#[cfg(test)]
mod tests;
