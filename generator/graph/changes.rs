//! A plan as a picture: what a host has, what its spec wants, and what becomes of each.
//!
//! Comes in: the graphs of both, and the plan between them. Goes out: one graph that holds all of it, with the state of every
//! node and edge. Things are matched as the plan matches them: guests by VMID, cards by the kernel's name, disks by
//! their path, devices by their address; whatever the two specs call them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Edge, Graph, Node, State};
use crate::model::{Host, Machine};
use crate::plan::{Object, Plan};

/// What one node says of its changes at most.
const MOST_LINES: usize = 4;

/// The graph of a plan: `wanted` is what the spec wants, `live` what the host has.
pub fn changes(
    (wanted, spec): (&Graph, &Host),
    (live, host): (&Graph, &Host),
    plan: &Plan,
) -> Graph {
    let names = same_things(host, spec);
    let name = |id: &str| names.get(id).cloned().unwrap_or_else(|| id.to_owned());
    let mut both = wanted.clone();
    let objects = by_node(plan);
    let old: BTreeMap<String, &Node> = live.nodes.iter().map(|n| (name(&n.id), n)).collect();
    for node in &mut both.nodes {
        let Some(told) = objects.get(&node.id) else {
            continue;
        };
        if told.added {
            node.state = State::Come;
        } else if !told.lines.is_empty() {
            node.state = State::Changed;
            let rest = told.lines.len().saturating_sub(MOST_LINES);
            node.details
                .extend(told.lines.iter().take(MOST_LINES).cloned());
            if rest > 0 {
                node.details.push(format!("and {rest} more"));
            }
        }
    }
    for (id, node) in &old {
        if both.places.contains_key(id) {
            continue;
        }
        both.places.insert(id.clone(), both.nodes.len());
        both.nodes.push(Node {
            id: id.clone(),
            parent: node.parent.as_deref().map(name),
            state: if objects.get(id).is_some_and(|told| told.removed) {
                State::Gone
            } else {
                State::Foreign
            },
            // What the host has beside the spec stands in no file and no line.
            file: None,
            place: None,
            ..(*node).clone()
        });
    }
    edges(&mut both, live, &objects, &name);
    both
}

/// A spec says more of a connection than a host knows (the address that a guest gives itself, the router behind a cable), so
/// an edge comes, goes or changes only where the plan says so of one of its ends.
fn edges(
    both: &mut Graph,
    live: &Graph,
    objects: &BTreeMap<String, Told>,
    name: &dyn Fn(&str) -> String,
) {
    let state = |both: &Graph, id: &str| both.node(id).map_or(State::Same, |node| node.state);
    let touched = |edge: &Edge| {
        [&edge.from, &edge.to]
            .into_iter()
            .filter_map(|id| Some((id, objects.get(id)?)))
            .any(|(id, told)| told.touches(id, edge.kind))
    };
    let key = |edge: &Edge| (edge.from.clone(), edge.to.clone(), edge.kind);
    let mut old: BTreeMap<_, Vec<Edge>> = BTreeMap::new();
    for edge in &live.edges {
        let edge = Edge {
            from: name(&edge.from),
            to: name(&edge.to),
            ..edge.clone()
        };
        old.entry(key(&edge)).or_default().push(edge);
    }
    let mut edges = std::mem::take(&mut both.edges);
    for edge in &mut edges {
        let ends = [state(both, &edge.from), state(both, &edge.to)];
        let before = old.get_mut(&key(edge)).filter(|edges| !edges.is_empty());
        match before {
            None if ends.contains(&State::Come) || touched(edge) => edge.state = State::Come,
            None => {}
            Some(before) => {
                let same = before.iter().position(|before| before.label == edge.label);
                let before = before.remove(same.unwrap_or(0));
                if before.label != edge.label && touched(edge) {
                    edge.state = State::Changed;
                    let (old, new) = (or_nothing(&before.label), or_nothing(&edge.label));
                    edge.label = format!("{old} → {new}");
                }
            }
        }
    }
    for edge in old.into_values().flatten() {
        let ends = [state(both, &edge.from), state(both, &edge.to)];
        let state = if ends.contains(&State::Foreign) {
            State::Foreign
        } else if ends.contains(&State::Gone) || touched(&edge) {
            State::Gone
        } else {
            continue;
        };
        edges.push(Edge { state, ..edge });
    }
    both.edges = edges;
}

fn or_nothing(label: &str) -> &str {
    if label.is_empty() { "nothing" } else { label }
}

/// A value for a line of a box.
fn short(value: Option<&str>) -> String {
    const MOST: usize = 40;
    let value = or_nothing(value.unwrap_or_default());
    let value = crate::template::one_line(value);
    if value.chars().count() <= MOST {
        return value;
    }
    let start: String = value.chars().take(MOST).collect();
    format!("{start}…")
}

/// What a plan says of one node.
#[derive(Debug, Default)]
struct Told {
    /// `cores: 4 → 8`.
    lines: Vec<String>,
    /// The options, without their numbers.
    options: BTreeSet<String>,
    /// Whether the whole thing comes.
    added: bool,
    /// Whether the whole thing goes.
    removed: bool,
}

impl Told {
    /// Whether what is said of the node `id` is about an edge of a kind.
    fn touches(&self, id: &str, kind: &str) -> bool {
        let is_guest = id.starts_with("vm/") || id.starts_with("ct/");
        let any = |names: &[&str]| self.options.iter().any(|own| names.contains(&own.as_str()));
        match kind {
            "card" => any(&["net", "ipconfig"]),
            "volume" => any(&[
                "scsi", "virtio", "sata", "ide", "efidisk", "tpmstate", "rootfs", "mp",
            ]),
            "passthrough" => any(&["hostpci", "usb"]),
            "share" => any(&["virtiofs", "hookscript"]),
            "needs" => any(&["startup", "onboot"]),
            "agent" => any(&["agent"]),
            _ => !is_guest && !self.lines.is_empty(),
        }
    }
}

/// The changes of a plan by the nodes that they are about.
fn by_node(plan: &Plan) -> BTreeMap<String, Told> {
    let mut told: BTreeMap<String, Told> = BTreeMap::new();
    for change in &plan.changes {
        for id in nodes_of(&change.object) {
            let told = told.entry(id).or_default();
            let Some(option) = &change.option else {
                told.added |= change.before.is_none();
                told.removed |= change.after.is_none() && change.before.is_some();
                continue;
            };
            let before = short(change.before.as_deref());
            let after = short(change.after.as_deref());
            told.lines.push(format!("{option}: {before} → {after}"));
            let base = option.split('.').next().unwrap_or_default();
            let base = base.trim_end_matches(|c: char| c.is_ascii_digit());
            told.options.insert(base.to_owned());
        }
    }
    told
}

/// The nodes that an object of a plan may be.
fn nodes_of(object: &Object) -> Vec<String> {
    match object {
        Object::Pool(name) => vec![format!("pool/{name}")],
        Object::Storage(name) => ["dataset", "share", "store"]
            .map(|kind| format!("{kind}/{name}"))
            .to_vec(),
        Object::Mapping(_, name) => vec![format!("device/{name}")],
        Object::Vm(vmid) => vec![format!("vm/{vmid}")],
        Object::Ct(vmid) => vec![format!("ct/{vmid}")],
        Object::Firewall(name) => ["vm", "ct"].map(|kind| format!("{kind}/{name}")).to_vec(),
        Object::Job(name) => vec![format!("schedule/{name}")],
        Object::Unit(name) => {
            let name = name.trim_end_matches(".timer");
            let name = name.trim_end_matches(".service");
            vec![format!("schedule/{}", name.trim_start_matches("moxc-"))]
        }
        Object::Interface(name) => ["bridge", "bond", "nic"]
            .map(|kind| format!("{kind}/{name}"))
            .to_vec(),
        Object::Dataset(_) | Object::Lvm(_) | Object::Section(..) | Object::File(_) => Vec::new(),
    }
}

/// Ids of what the host has, with the ids under which the spec has the same things.
fn same_things(live: &Host, spec: &Host) -> BTreeMap<String, String> {
    let mut same = BTreeMap::new();
    let mut add = |kind: &str, live: &str, spec: &str| {
        same.insert(format!("{kind}/{live}"), format!("{kind}/{spec}"));
    };
    add("host", live.name.as_str(), spec.name.as_str());
    for nic in live.hardware.nics.values() {
        let mut all = spec.hardware.nics.values();
        if let Some(own) = all.find(|own| own.interface.value == nic.interface.value) {
            add("nic", &nic.name.value, &own.name.value);
        }
    }
    for disk in live.hardware.disks.values() {
        let mut all = spec.hardware.disks.values();
        if let Some(own) = all.find(|own| own.device.value == disk.device.value) {
            add("device", &disk.name.value, &own.name.value);
        }
    }
    for device in live.hardware.pci.values() {
        let mut all = spec.hardware.pci.values();
        if let Some(own) = all.find(|own| own.path() == device.path()) {
            add("device", &device.name.value, &own.name.value);
        }
    }
    for device in live.hardware.usb.values() {
        let mut all = spec.hardware.usb.values();
        if let Some(own) = all.find(|own| own.option() == device.option()) {
            add("device", &device.name.value, &own.name.value);
        }
    }
    let address = |machine: &Machine| machine.address.map(|address| address.value.0);
    for machine in live.network.machines.values() {
        let mut all = spec.network.machines.values();
        let own = all.find(|own| address(own).is_some() && address(own) == address(machine));
        if let Some(own) = own {
            add("machine", &machine.name.value, &own.name.value);
        }
    }
    same
}
