//! What a host's spec says of other nodes of its cluster.

use crate::model::{Host, VzdumpBackup};
use crate::pve::PveOption;

/// Whether a node is the host itself. The language has names in small letters; those of Proxmox VE's installer may have
/// capitals.
pub fn is_host(host: &Host, node: &str) -> bool {
    node.eq_ignore_ascii_case(host.name.as_str())
}

/// The option that names the nodes which alone have a store.
pub fn named(schema: &[PveOption]) -> Option<&PveOption> {
    PveOption::find(schema, "nodes")
}

/// The nodes that such an option names, as `PVE::Tools::split_list` takes a list apart.
pub fn names(nodes: &PveOption) -> impl Iterator<Item = &str> {
    let ends = |c: char| matches!(c, ',' | ';') || c.is_whitespace();
    let names = nodes.value.value.split(ends);
    names.filter(|name| !name.is_empty())
}

/// The option that names the nodes of a store that this host does not have.
pub fn elsewhere<'a>(host: &Host, schema: &'a [PveOption]) -> Option<&'a PveOption> {
    named(schema).filter(|nodes| !names(nodes).any(|node| is_host(host, node)))
}

/// Whether a store is on the host: it names no nodes, or this one among them. What another node alone has is made there.
pub fn has_store(host: &Host, schema: &[PveOption]) -> bool {
    elsewhere(host, schema).is_none()
}

/// The option by which a backup job runs on another node: on that alone, and of the guests that are there.
pub fn other_node<'a>(host: &Host, task: &'a VzdumpBackup) -> Option<&'a PveOption> {
    let node = PveOption::find(&task.schema, "node");
    node.filter(|node| !is_host(host, &node.value.value))
}
