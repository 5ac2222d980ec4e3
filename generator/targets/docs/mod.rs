//! `docs/`: the host's architecture for people, with its pictures.
//!
//! Comes in: the facts of a host. Goes out: `ARCHITECTURE.md`, which GitHub and the like render, diagrams included.

use serde::Serialize;

use crate::diagnostics::Sink;
use crate::facts::Facts;
use crate::graph::{self, View};
use crate::model::{Guest, GuestKind, Host, Id, Task};
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::targets::Target;
use crate::template::{BuiltIn, Templates, one_line};
use crate::value::GuestAddress;

/// What will stand there.
#[derive(Debug)]
pub struct Plan {
    architecture: Architecture,
}

/// `ARCHITECTURE.md`. These fields are the contract with a user's template of the same name.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "docs/architecture.md")]
pub struct Architecture {
    /// The line that marks a generated file.
    pub header: String,
    /// The host's name.
    pub host: String,
    /// Its name with its domain.
    pub fqdn: String,
    /// The five views.
    pub pictures: Vec<Picture>,
    /// Rows of the hardware table.
    pub hardware: Vec<Row>,
    /// Whether a device is in the table of passthrough.
    pub has_devices: bool,
    /// PCI functions.
    pub devices: Vec<Device>,
    /// The guests, in the order of their numbers.
    pub guests: Vec<GuestRow>,
    /// Every fixed address.
    pub addresses: Vec<Address>,
    /// What runs at set times.
    pub tasks: Vec<TaskRow>,
    /// Whether a machine runs NixOS.
    pub has_nixos: bool,
    /// Their names.
    pub nixos: String,
    /// Whether a guest runs Windows.
    pub has_windows: bool,
    /// Their names.
    pub windows: String,
}

impl BuiltIn for Architecture {
    const NAME: &'static str = "docs/architecture.md";
}

/// One view of the host.
#[derive(Debug, Clone, Serialize)]
pub struct Picture {
    /// Its heading.
    pub title: String,
    /// The heading as a link names it.
    pub anchor: String,
    /// What it shows.
    pub about: String,
    /// The flowchart, in Mermaid.
    pub chart: String,
}

/// A row of the hardware table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// Its details.
    pub text: String,
}

/// A PCI function.
#[derive(Debug, Clone, Serialize)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Where it sits.
    pub address: String,
    /// What it is called.
    pub model: String,
    /// Its IOMMU group.
    pub group: String,
    /// The guest that has it.
    pub guest: String,
}

/// A guest.
#[derive(Debug, Clone, Serialize)]
pub struct GuestRow {
    /// Its VMID.
    pub number: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub what: String,
    /// What runs in it.
    pub system: String,
    /// The most memory it takes.
    pub memory: String,
    /// Its processors.
    pub processors: String,
    /// Whether and when it starts with the host.
    pub starts: String,
    /// The jobs that back it up.
    pub backups: String,
}

/// A fixed address.
#[derive(Debug, Clone, Serialize)]
pub struct Address {
    /// The address.
    pub address: String,
    /// Whose it is.
    pub whose: String,
    /// The bridge or the interface.
    pub on: String,
}

/// Something that runs at set times.
#[derive(Debug, Clone, Serialize)]
pub struct TaskRow {
    /// Its name.
    pub name: String,
    /// What it is.
    pub task: String,
    /// When.
    pub on: String,
    /// What it is about.
    pub about: String,
}

/// Plans it.
pub fn plan(facts: &Facts<'_>, origin: &Origin) -> Plan {
    let host = facts.host;
    let devices = devices(host);
    let nixos: Vec<&str> = host
        .guests
        .values()
        .filter(|guest| guest.nixos.is_some())
        .map(|guest| guest.name.value.as_str())
        .collect();
    let windows: Vec<&str> = host
        .guests
        .values()
        .filter(|guest| guest.windows().is_some())
        .map(|guest| guest.name.value.as_str())
        .collect();
    Plan {
        architecture: Architecture {
            header: one_line(&origin.header()),
            host: host.name.as_str().to_owned(),
            fqdn: host.fqdn(),
            pictures: View::ALL.iter().map(|view| picture(*view, facts)).collect(),
            hardware: hardware(host),
            has_devices: !devices.is_empty(),
            devices,
            guests: host
                .guests
                .iter()
                .map(|(id, guest)| guest_row(facts, id, guest))
                .collect(),
            addresses: addresses(host),
            tasks: host
                .schedules
                .values()
                .map(|schedule| task(host, schedule))
                .collect(),
            has_nixos: !nixos.is_empty(),
            nixos: names(&nixos),
            has_windows: !windows.is_empty(),
            windows: names(&windows),
        },
    }
}

/// Writes it down. Reports what a user's template cannot do.
pub fn emit(plan: &Plan, templates: &Templates, files: &mut FileSet, sink: &mut Sink) {
    let path = RelPath::new("docs/ARCHITECTURE.md").expect("a fixed path");
    let text = format!("{}\n", templates.render(&plan.architecture, sink));
    files
        .insert(OutputFile::text(
            path,
            text,
            Mode::Regular,
            Target::Docs.as_str(),
        ))
        .expect("one file of that name");
}

/// A cell of a table: one line, without what would end it.
fn cell(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('|', "\\|")
}

fn names(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn picture(view: View, facts: &Facts<'_>) -> Picture {
    let about = match view {
        View::Network => {
            "How the host and its guests reach each other and the Internet; one line for each card of a guest."
        }
        View::Storage => "Pools, what lies in them, and whose disks lie there.",
        View::Flow => {
            "What is updated, what is caught before, where backups go, and the ways back."
        }
        View::Hardware => "What is in the machine, and which guest has it.",
        View::Dependencies => {
            "Who starts before whom, who never runs beside whom, and what runs at set times."
        }
    };
    let chart = graph::mermaid(&graph::of(view, facts));
    Picture {
        title: view.title().to_owned(),
        anchor: view.title().to_lowercase().replace(' ', "-"),
        about: about.to_owned(),
        chart: chart.trim_end().to_owned(),
    }
}

fn hardware(host: &Host) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |name: &str, text: String| {
        rows.push(Row {
            name: name.to_owned(),
            text: cell(&text),
        });
    };
    let hardware = &host.hardware;
    if let Some(cpu) = &hardware.cpu {
        let mut words: Vec<String> = cpu.model.iter().map(|model| model.to_string()).collect();
        words.extend(cpu.cores.map(|cores| format!("{} cores", cores.value)));
        words.extend(
            cpu.threads
                .as_ref()
                .map(|threads| format!("{} threads", threads.value)),
        );
        row("Processor", words.join(", "));
    }
    if let Some(memory) = &hardware.memory {
        let ecc = memory.ecc.is_some_and(|ecc| ecc.value);
        let kind = memory
            .kind
            .as_ref()
            .map_or_else(String::new, |kind| format!(" {}", kind.value));
        row(
            "Memory",
            format!(
                "{}{kind}{}",
                *memory.size,
                if ecc { " with ECC" } else { "" }
            ),
        );
    }
    for pool in host.storage.pools.values() {
        let disks: Vec<String> = pool
            .disks
            .iter()
            .map(|disk| {
                let disk = &hardware.disks[disk.value];
                format!("{} ({} {})", disk.name.value, *disk.size, *disk.kind)
            })
            .collect();
        row(
            "Storage",
            if pool.is_there() {
                format!("ZFS pool {}", pool.name.value)
            } else {
                format!(
                    "ZFS pool {}, {}: {}",
                    pool.name.value,
                    *pool.layout,
                    disks.join(", ")
                )
            },
        );
    }
    for nic in hardware.nics.values() {
        let mut words = vec![nic.name.value.clone(), nic.interface.to_string()];
        words.extend(nic.model.as_ref().map(|model| model.to_string()));
        words.extend(nic.speed.map(|speed| speed.value.to_string()));
        row("Network", words.join(", "));
    }
    for device in hardware.pci.values() {
        let model = device
            .model
            .as_ref()
            .map_or_else(|| device.name.value.clone(), |m| m.to_string());
        row(&device.class.to_string(), model);
    }
    row("Proxmox VE", host.release.to_string());
    rows
}

fn devices(host: &Host) -> Vec<Device> {
    host.hardware
        .pci
        .iter()
        .map(|(id, device)| {
            let guests: Vec<&str> = host
                .vms()
                .filter(|(_, _, vm)| vm.passed().any(|passed| passed.value == id))
                .map(|(_, guest, _)| guest.name.value.as_str())
                .collect();
            Device {
                name: cell(&device.name.value),
                address: device.path(),
                model: device
                    .model
                    .as_ref()
                    .map_or_else(String::new, |model| cell(&model.to_string())),
                group: device
                    .iommu_group
                    .map_or_else(String::new, |group| group.value.to_string()),
                guest: guests.join(", "),
            }
        })
        .collect()
}

fn guest_row(facts: &Facts<'_>, id: Id<Guest>, guest: &Guest) -> GuestRow {
    let processors = match &guest.kind {
        GuestKind::Vm(vm) => (*vm.cores * *vm.sockets).to_string(),
        GuestKind::Container(container) => container
            .cores
            .map_or_else(|| "all".to_owned(), |cores| cores.value.to_string()),
    };
    let starts = guest.starts().map_or_else(
        || "by hand".to_owned(),
        |start| {
            start.order.map_or_else(
                || "with the host".to_owned(),
                |order| format!("with the host, {}.", order.value),
            )
        },
    );
    let backups: Vec<&str> = facts
        .backups
        .jobs(id)
        .iter()
        .map(|job| facts.host.schedules[*job].name.value.as_str())
        .collect();
    GuestRow {
        number: guest.vmid.value.to_string(),
        name: cell(&guest.name.value),
        what: guest
            .description
            .as_ref()
            .map_or_else(String::new, |text| cell(&text.to_string())),
        system: guest.os().to_string(),
        memory: guest.memory.value.to_string(),
        processors,
        starts,
        backups: if backups.is_empty() {
            "nothing".to_owned()
        } else {
            backups.join(", ")
        },
    }
}

fn addresses(host: &Host) -> Vec<Address> {
    let mut rows = Vec::new();
    let name = host.name.as_str();
    for leg in host.network.legs() {
        for address in leg.ip.fixed_addresses() {
            rows.push(Address {
                address: address.value.to_string(),
                whose: format!("{name} (the host)"),
                on: leg.name.value.clone(),
            });
        }
    }
    for machine in host.network.machines.values() {
        let on = machine.bridge.map_or_else(String::new, |id| {
            host.network.bridges[id.value].name.value.clone()
        });
        for address in [machine.address, machine.address6].into_iter().flatten() {
            rows.push(Address {
                address: address.value.to_string(),
                whose: cell(&machine.name.value),
                on: on.clone(),
            });
        }
    }
    for guest in host.guests.values() {
        for card in &guest.network {
            let on = &host.network.bridges[card.bridge.value].name.value;
            for address in [card.address, card.address6].into_iter().flatten() {
                let address = match address.value {
                    GuestAddress::Static(cidr) => cidr.to_string(),
                    GuestAddress::Dhcp => "by DHCP".to_owned(),
                    GuestAddress::Auto => "by router advertisement".to_owned(),
                };
                rows.push(Address {
                    address,
                    whose: cell(&guest.name.value),
                    on: card
                        .vlan
                        .map_or_else(|| on.clone(), |tag| format!("{on}, VLAN {}", tag.value)),
                });
            }
        }
    }
    rows
}

fn task(host: &Host, schedule: &crate::model::Schedule) -> TaskRow {
    let about: Vec<String> = match &schedule.task {
        Task::ZfsSnapshot(task) => task
            .datasets
            .iter()
            .map(|id| host.storage.datasets[id.value].name.value.clone())
            .collect(),
        Task::ZfsScrub(task) => pools(host, &task.pools),
        Task::ZfsTrim(task) => pools(host, &task.pools),
        Task::SmartTest(task) => task
            .disks
            .iter()
            .map(|id| host.hardware.disks[id.value].name.value.clone())
            .collect(),
        Task::BackupRehearsal(task) => vec![host.guests[task.guest.value].name.value.clone()],
        Task::ProxmoxUpdate(_) | Task::ProxmoxMaintenance => vec![host.name.as_str().to_owned()],
        Task::VzdumpBackup(_)
        | Task::NixosFlakeUpdate(_)
        | Task::WindowsUpdate(_)
        | Task::WindowsMaintenance(_) => schedule
            .task
            .guests()
            .iter()
            .flat_map(|guests| guests.iter())
            .map(|id| host.guests[id].name.value.clone())
            .collect(),
    };
    TaskRow {
        name: cell(&schedule.name.value),
        task: schedule.task.kind().to_string(),
        on: if *schedule.enabled {
            schedule.on.value.to_string()
        } else {
            format!("{} (disabled)", schedule.on.value)
        },
        about: cell(&about.join(", ")),
    }
}

fn pools(host: &Host, pools: &[crate::source::Spanned<Id<crate::model::Pool>>]) -> Vec<String> {
    pools
        .iter()
        .map(|id| host.storage.pools[id.value].name.value.clone())
        .collect()
}
