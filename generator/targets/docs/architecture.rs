//! `docs/ARCHITECTURE.md`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::told;
use crate::facts::Facts;
use crate::graph::{self, Graph, View};
use crate::origin::Origin;
use crate::template::{BuiltIn, one_line};

/// The longest chart, in bytes, that Mermaid draws unless it is told otherwise (`maxTextSize` of its configuration), as nobody
/// can tell it where GitHub draws.
const LONGEST_CHART: usize = 50_000;

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
    /// Whether it has a flowchart that readers draw.
    pub has_chart: bool,
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
pub(super) fn plan(
    facts: &Facts<'_>,
    graphs: &BTreeMap<View, Graph>,
    origin: &Origin,
) -> Architecture {
    let host = facts.host;
    let devices: Vec<Device> = told::devices(host)
        .into_iter()
        .map(|device| Device {
            name: cell(&device.name),
            address: device.address,
            model: cell(&device.model),
            group: device.group,
            guest: cell(&device.guests),
        })
        .collect();
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
    Architecture {
        header: one_line(&origin.header()),
        host: host.name.as_str().to_owned(),
        fqdn: host.fqdn(),
        pictures: View::ALL
            .iter()
            .map(|view| picture(*view, graphs.get(view)))
            .collect(),
        hardware: told::hardware(host)
            .into_iter()
            .map(|part| Row {
                name: cell(&part.name),
                text: cell(&part.text),
            })
            .collect(),
        has_devices: !devices.is_empty(),
        devices,
        guests: host
            .guests
            .iter()
            .map(|(id, guest)| {
                let told = told::guest(facts, id, guest);
                GuestRow {
                    number: told.number,
                    name: cell(&told.name),
                    what: cell(&told.what),
                    system: told.system,
                    memory: told.memory,
                    processors: told.processors,
                    starts: told.starts,
                    backups: cell(&told.backups),
                }
            })
            .collect(),
        addresses: told::addresses(host)
            .into_iter()
            .map(|address| Address {
                address: address.words,
                whose: cell(&address.whose),
                on: cell(&address.on),
            })
            .collect(),
        tasks: host
            .schedules
            .iter()
            .map(|(id, schedule)| {
                let on = schedule.on.value.to_string();
                TaskRow {
                    name: cell(&schedule.name.value),
                    task: schedule.task.kind().to_string(),
                    on: if *schedule.enabled {
                        on
                    } else {
                        format!("{on} (disabled)")
                    },
                    about: cell(&told::about(facts, id)),
                }
            })
            .collect(),
        has_nixos: !nixos.is_empty(),
        nixos: names(&nixos),
        has_windows: !windows.is_empty(),
        windows: names(&windows),
    }
}

/// A cell of a table: one line, without what would end it.
fn cell(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('|', "\\|")
}

fn names(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn picture(view: View, graph: Option<&Graph>) -> Picture {
    let chart = graph.map(graph::mermaid).unwrap_or_default();
    // An empty one is none.
    let has_chart = (1..=LONGEST_CHART).contains(&chart.len());
    Picture {
        title: view.title().to_owned(),
        anchor: view.title().to_lowercase().replace(' ', "-"),
        about: told::view(view, has_chart),
        has_chart,
        chart: chart.trim_end().to_owned(),
    }
}
