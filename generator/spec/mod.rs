//! The spec as written: typed tables whose leaves know their place.
//!
//! Comes in: a [`document::Document`]. Goes out: a [`HostSpec`](HostFile), in which every key is optional (a required
//! one that is missing has been reported), values with rules have been parsed, and names are not yet looked up.

pub mod boot;
pub mod document;
pub mod fleet;
mod foreign;
pub mod guest;
pub mod hardware;
pub mod host;
pub mod network;
pub mod reader;
pub mod schedule;
pub mod schema;
pub mod schema_keys;
pub mod storage;
pub mod table;
mod unclosed;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::source::{FileId, SourceMap};
use crate::value::{GuestName, Name};
use crate::value::{Node, Value};
use document::Document;
use reader::{FromNode, Named, Reader};
use table::table;

table! {
    /// One host's spec: everything that its configuration is made from.
    HostFile {
        /// The version of the language; 1.
        "spec" spec: opt Version;
        /// The machine itself.
        "host" host: req host::HostSpec;
        /// The levels of warnings.
        "lints" lints: opt host::LintsSpec;
        /// What is in the machine.
        "hardware" hardware: opt hardware::HardwareSpec;
        /// What the kernel is told.
        "boot" boot: opt boot::BootSpec;
        /// How the host and its guests reach each other.
        "network" network: opt network::NetworkSpec;
        /// Pools, datasets and stores elsewhere.
        "storage" storage: opt storage::StorageSpec;
        /// Virtual machines by name.
        "vms" vms: opt Named<GuestName, guest::VmSpec>;
        /// Containers by name.
        "containers" containers: opt Named<GuestName, guest::ContainerSpec>;
        /// What runs when, by name.
        "schedules" schedules: opt Named<Name, schedule::ScheduleSpec>;
        /// What every backup does where its job says nothing else.
        "vzdump" vzdump: opt host::VzdumpSpec;
        /// What holds on every node: Proxmox VE's own options of the datacenter.
        "datacenter" datacenter: opt host::DatacenterSpec;
        /// What stands in files of the host beside what moxc writes, word for word, by the file's path.
        "keep" keep: opt boot::KeepTable;
    }
}

/// The version of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version;

impl FromNode for Version {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Integer(1) => Some(Self),
            Value::Integer(number) => {
                let diagnostic = Diagnostic::new(
                    Code::MOX0014,
                    node.span,
                    format!("this compiler does not know version {number} of the language"),
                );
                reader.report(diagnostic.help("write `spec = 1`, or use a newer moxc"));
                None
            }
            Value::String(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::TooLarge(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => {
                reader.wrong_type(node, "a whole number");
                None
            }
        }
    }
}

impl schemars::JsonSchema for Version {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "const": 1 })
    }
}

/// Reads a host's document.
pub fn read(sources: &SourceMap, file: FileId, document: &Document, sink: &mut Sink) -> HostFile {
    let reader = &mut Reader::new(sources, sink, file, &document.broken);
    HostFile::from_table(&document.root.value, document.root.span, reader)
}

/// Reads a fleet's document.
pub fn read_fleet(
    sources: &SourceMap,
    file: FileId,
    document: &Document,
    sink: &mut Sink,
) -> fleet::FleetSpec {
    let reader = &mut Reader::new(sources, sink, file, &document.broken);
    fleet::FleetSpec::from_table(&document.root.value, document.root.span, reader)
}

/// Whether a document is a fleet: it says `hosts`, and has no `[host]`.
pub fn is_fleet(document: &Document) -> bool {
    document.root.get("hosts").is_some() && document.root.get("host").is_none()
}
