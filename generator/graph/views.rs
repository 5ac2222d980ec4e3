//! What each view shows of a host.

use std::collections::{BTreeMap, BTreeSet};

use super::{Graph, NodeKind, View};
use crate::facts::{Facts, backups, shares, tree};
use crate::model::{
    Guest, GuestKind, Host, Id, Passthrough, PortDevice, Schedule, Store, StoreRef, UsbSource,
    network::LegId, network::Link,
};
use crate::value::{DatasetUse, GuestAddress};

/// The picture of one view.
pub fn of(view: View, facts: &Facts<'_>) -> Graph {
    let host = facts.host;
    let mut builder = Builder {
        host,
        facts,
        graph: Graph::new(view, host.name.as_str()),
    };
    match view {
        View::Network => builder.network(),
        View::Storage => builder.storage(),
        View::Flow => builder.flow(),
        View::Hardware => builder.hardware(),
        View::Dependencies => builder.dependencies(),
    }
    builder.graph
}

struct Builder<'h, 'f> {
    host: &'h Host,
    facts: &'f Facts<'h>,
    graph: Graph,
}

impl Builder<'_, '_> {
    fn the_host(&mut self) -> String {
        let span = self.host.name.span;
        let label = self.host.fqdn();
        let release = format!("Proxmox VE {}", *self.host.release);
        let node = self
            .graph
            .put(NodeKind::Host, self.host.name.as_str(), label);
        if node.place.is_none() {
            node.at(span).detail(release);
        }
        node.id.clone()
    }

    fn guest(&mut self, id: Id<Guest>) -> String {
        let guest = &self.host.guests[id];
        let vmid = guest.vmid.value.to_string();
        let kind = match guest.kind {
            GuestKind::Vm(_) => NodeKind::Vm,
            GuestKind::Container(_) => NodeKind::Container,
        };
        let node = self.graph.put(kind, &vmid, guest.name.value.as_str());
        if node.place.is_none() {
            let what = format!(
                "{} {vmid}, {}",
                if kind == NodeKind::Vm {
                    "VM"
                } else {
                    "container"
                },
                guest.os()
            );
            node.at(guest.name.span)
                .file(tree::guest(guest))
                .detail(what);
        }
        node.id.clone()
    }

    fn internet(&mut self) -> String {
        self.graph
            .put(NodeKind::Internet, "internet", "Internet")
            .id
            .clone()
    }

    fn port(&mut self, port: PortDevice) -> String {
        let interfaces = tree::interfaces(self.host);
        match port {
            PortDevice::Nic(id) => {
                let nic = &self.host.hardware.nics[id];
                let node = self
                    .graph
                    .put(NodeKind::Nic, &nic.name.value, nic.name.value.as_str());
                if node.place.is_none() {
                    node.at(nic.name.span)
                        .file(interfaces)
                        .detail(nic.interface.to_string())
                        .detail(
                            nic.speed
                                .map_or_else(String::new, |speed| speed.value.to_string()),
                        );
                }
                node.id.clone()
            }
            PortDevice::Bond(id) => {
                let bond = &self.host.network.bonds[id];
                let node =
                    self.graph
                        .put(NodeKind::Bond, &bond.name.value, bond.name.value.as_str());
                let new = node.place.is_none();
                if new {
                    node.at(bond.name.span)
                        .file(interfaces)
                        .detail(bond.mode.to_string());
                }
                let name = node.id.clone();
                if new {
                    for nic in &bond.ports {
                        let nic = self.port(PortDevice::Nic(nic.value));
                        self.graph.connect(&nic, &name, "cable", "");
                    }
                }
                name
            }
        }
    }

    fn bridge(&mut self, id: Id<crate::model::Bridge>) -> String {
        let bridge = &self.host.network.bridges[id];
        let file = tree::interfaces(self.host);
        let node = self.graph.put(
            NodeKind::Bridge,
            &bridge.name.value,
            bridge.name.value.as_str(),
        );
        if node.place.is_none() {
            node.at(bridge.name.span).file(file).detail(
                bridge
                    .description
                    .as_ref()
                    .map_or_else(String::new, |d| d.to_string()),
            );
            for address in [bridge.ip.address, bridge.ip.address6]
                .into_iter()
                .flatten()
            {
                node.detail(address.value.to_string());
            }
        }
        node.id.clone()
    }

    /// From the Internet through the router, the host, its cards, bonds and bridges to the guests; one edge a card.
    fn network(&mut self) {
        let network = &self.host.network;
        let host = self.uplinks();
        for (id, _) in self.host.hardware.nics.iter() {
            let nic = self.port(PortDevice::Nic(id));
            self.graph.connect(&host, &nic, "cable", "");
        }
        for (id, bridge) in network.bridges.iter() {
            let to = self.bridge(id);
            for port in &bridge.ports {
                let from = self.port(port.value.device);
                let label = port
                    .value
                    .vlan
                    .map_or_else(String::new, |tag| format!("VLAN {tag}"));
                self.graph.connect(&from, &to, "port", label);
            }
            if let Some(way) = bridge.nat {
                let label = match way.value {
                    LegId::Bridge(id) => &network.bridges[id].name.value,
                    LegId::Interface(id) => &network.interfaces[id].name.value,
                };
                self.graph
                    .connect(&host, &to, "nat", format!("NAT by {label}"));
            }
        }
        self.interfaces();
        self.cards();
        self.routes();
        for machine in network.machines.values().filter(|machine| !*machine.uplink) {
            let to = self.machine(machine);
            if let Some(bridge) = machine.bridge {
                let from = self.bridge(bridge.value);
                let label = machine
                    .address
                    .map_or_else(String::new, |a| a.value.to_string());
                self.graph.connect(&from, &to, "cable", label);
            }
        }
    }

    /// The host, and the way from it to the Internet.
    fn uplinks(&mut self) -> String {
        let uplinks: Vec<String> = self
            .host
            .network
            .machines
            .values()
            .filter(|machine| *machine.uplink)
            .map(|machine| self.machine(machine))
            .collect();
        let internet = self.internet();
        let host = self.the_host();
        for uplink in &uplinks {
            self.graph.connect(&internet, uplink, "uplink", "");
            self.graph.connect(uplink, &host, "uplink", "");
        }
        if uplinks.is_empty() {
            self.graph.connect(&internet, &host, "uplink", "");
        }
        host
    }

    /// Addresses that the host has beside its bridges.
    fn interfaces(&mut self) {
        for interface in self.host.network.interfaces.values() {
            let from = match interface.on.value {
                Link::Bridge(id) => self.bridge(id),
                Link::Port(device) => self.port(device),
            };
            let file = tree::interfaces(self.host);
            let node = self.graph.put(
                NodeKind::Nic,
                &interface.name.value,
                interface.name.value.as_str(),
            );
            node.at(interface.name.span).file(file);
            for address in [interface.ip.address, interface.ip.address6]
                .into_iter()
                .flatten()
            {
                node.detail(address.value.to_string());
            }
            let to = node.id.clone();
            let label = interface
                .vlan
                .map_or_else(String::new, |tag| format!("VLAN {}", tag.value));
            if from != to {
                self.graph.connect(&from, &to, "address", label);
            }
        }
    }

    /// The cards of the guests.
    fn cards(&mut self) {
        let routers: BTreeSet<Id<Guest>> = self.routers();
        for (id, guest) in self.host.guests.iter() {
            for (at, card) in guest.network.iter().enumerate() {
                let bridge = self.bridge(card.bridge.value);
                let to = self.guest(id);
                let mut words: Vec<String> = [card.address, card.address6]
                    .into_iter()
                    .flatten()
                    .map(|address| match address.value {
                        GuestAddress::Static(cidr) => cidr.to_string(),
                        GuestAddress::Dhcp => "DHCP".to_owned(),
                        GuestAddress::Auto => "SLAAC".to_owned(),
                    })
                    .collect();
                words.extend(card.vlan.map(|tag| format!("VLAN {}", tag.value)));
                // What routes stands before the bridges behind it.
                if at > 0 && routers.contains(&id) {
                    self.graph.connect(&to, &bridge, "card", words.join(", "));
                } else {
                    self.graph.connect(&bridge, &to, "card", words.join(", "));
                }
            }
        }
    }

    fn machine(&mut self, machine: &crate::model::Machine) -> String {
        let label = machine
            .description
            .as_ref()
            .map_or_else(|| machine.name.value.clone(), |d| d.to_string());
        let node = self
            .graph
            .put(NodeKind::Machine, &machine.name.value, label);
        if node.place.is_none() {
            node.at(machine.name.span);
            for address in [machine.address, machine.address6].into_iter().flatten() {
                node.detail(address.value.to_string());
            }
        }
        node.id.clone()
    }

    /// The guests that others name as their gateway.
    fn routers(&self) -> BTreeSet<Id<Guest>> {
        self.host
            .guests
            .values()
            .flat_map(|guest| &guest.network)
            .flat_map(|card| [card.gateway, card.gateway6])
            .flatten()
            .filter_map(|gateway| match gateway.value {
                crate::model::Gateway::Guest(id) => Some(id),
                crate::model::Gateway::Address(_) | crate::model::Gateway::Machine(_) => None,
            })
            .collect()
    }

    /// From a guest that routes to the guests behind it.
    fn routes(&mut self) {
        let mut known = BTreeSet::new();
        for (id, guest) in self.host.guests.iter() {
            for gateway in guest
                .network
                .iter()
                .flat_map(|card| [card.gateway, card.gateway6])
                .flatten()
            {
                if let crate::model::Gateway::Guest(router) = gateway.value
                    && known.insert((router, id))
                {
                    let (from, to) = (self.guest(router), self.guest(id));
                    self.graph.connect(&from, &to, "route", "gateway");
                }
            }
        }
    }

    fn store(&mut self, id: StoreRef) -> String {
        let store = self.host.storage.store(id);
        let name = store.name();
        let words: Vec<&str> = store.uses().iter().map(|u| u.value.as_str()).collect();
        let uses = words.join(", ");
        let share = store.is_for(DatasetUse::Share);
        let (kind, details) = match store {
            Store::Dataset(_) => {
                let details = match id {
                    StoreRef::Dataset(id) => vec![
                        self.host.zfs_name(id),
                        uses,
                        self.host.mountpoint(id).to_string(),
                    ],
                    StoreRef::Lvm(_) | StoreRef::External(_) | StoreRef::Local => vec![uses],
                };
                (
                    if share {
                        NodeKind::Share
                    } else {
                        NodeKind::Dataset
                    },
                    details,
                )
            }
            Store::Lvm(_) | Store::External(_) | Store::Local(_) => {
                (NodeKind::Store, vec![store.pve_type().to_owned(), uses])
            }
        };
        let node = self.graph.put(kind, &name.value, name.value.as_str());
        if node.place.is_none() {
            node.at(name.span).file(tree::STORAGES);
            for detail in details {
                node.detail(detail);
            }
        }
        node.id.clone()
    }

    /// Pools, what lies in them, and who lies in that; one edge for all volumes of a guest in a store.
    fn storage(&mut self) {
        let storage = &self.host.storage;
        for pool in storage.pools.values() {
            let node = self.graph.put(
                NodeKind::Pool,
                &pool.name.value,
                format!("ZFS pool {}", pool.name.value),
            );
            let disks: Vec<String> = pool
                .disks
                .iter()
                .map(|disk| self.host.hardware.disks[disk.value].size.to_string())
                .collect();
            node.at(pool.name.span).file(tree::POOLS).detail(format!(
                "{} of {}",
                *pool.layout,
                counted(&disks)
            ));
        }
        let stores: Vec<StoreRef> = storage.stores().map(|(id, _)| id).collect();
        for id in stores {
            let to = self.store(id);
            if let StoreRef::Dataset(dataset) = id {
                let pool = &storage.pools[storage.datasets[dataset].pool.value]
                    .name
                    .value;
                let from = format!("pool/{pool}");
                self.graph.connect(&from, &to, "dataset", "");
            }
        }
        let volumes = &self.facts.volumes;
        for (id, guest) in self.host.guests.iter() {
            let mut by_store: BTreeMap<StoreRef, Vec<String>> = BTreeMap::new();
            let mut order = Vec::new();
            for volume in volumes.of_guest(id) {
                let size = volume
                    .size
                    .map_or_else(String::new, |size| format!(" {size}"));
                let words = by_store.entry(volume.store).or_default();
                if words.is_empty() {
                    order.push(volume.store);
                }
                words.push(format!("{}{size}", volume.key));
            }
            for store in order {
                let (from, to) = (self.store(store), self.guest(id));
                self.graph
                    .connect(&from, &to, "volume", by_store[&store].join(", "));
            }
            if let Some(vm) = guest.vm() {
                for share in &vm.shares {
                    let from = self.store(StoreRef::Dataset(share.dataset.value));
                    let to = self.guest(id);
                    let label = format!(
                        "{} at {}",
                        if shares::is_native(*self.host.release, share) {
                            "virtio-fs"
                        } else {
                            "virtio-fs by hook"
                        },
                        *share.mount
                    );
                    self.graph.connect(&from, &to, "share", label);
                }
            }
        }
    }

    /// The group of guests of one system, with what it holds.
    fn group(&mut self, name: &str, label: &str, guests: &[Id<Guest>]) -> Option<String> {
        let first = guests.first()?;
        let place = self.host.guests[*first].name.span;
        let id = self
            .graph
            .put(NodeKind::Group, name, label)
            .at(place)
            .id
            .clone();
        for guest in guests {
            let node = self.guest(*guest);
            let at = self.graph.places[&node];
            self.graph.nodes[at].inside(id.as_str());
        }
        Some(id)
    }

    /// What is updated, how it is caught before, where it is backed up to, and the ways back.
    fn flow(&mut self) {
        let host = self.host;
        let internet = self.internet();
        let node = self.the_host();
        let running = || host.schedules.iter().filter(|(_, one)| *one.enabled);
        self.graph.connect(&internet, &node, "packages", "packages");
        for (_, update) in running().filter(|(_, one)| one.host_update().is_some()) {
            let label = format!("apt full-upgrade, {}", update.on.value);
            self.graph.connect(&node, &node, "update", label);
        }
        let of = |fits: &dyn Fn(&Guest) -> bool| -> Vec<Id<Guest>> {
            host.guests
                .iter()
                .filter(|(_, guest)| fits(guest))
                .map(|(id, _)| id)
                .collect()
        };
        let nixos = of(&|guest| guest.nixos.is_some());
        let windows = of(&|guest| guest.windows().is_some());
        let others = of(&|guest| guest.nixos.is_none() && guest.windows().is_none());
        let groups = [
            (self.group("nixos", "NixOS guests", &nixos), nixos),
            (self.group("windows", "Windows guests", &windows), windows),
            (self.group("others", "Other guests", &others), others),
        ];
        for (group, guests) in &groups {
            let Some(group) = group else { continue };
            for (id, schedule) in running() {
                self.tasks_of(&node, (group, guests), id, schedule);
            }
            let agent = guests
                .iter()
                .filter_map(|id| host.guests[*id].vm())
                .any(|vm| *vm.agent);
            if agent {
                self.graph
                    .connect(group, group, "agent", "QEMU guest agent");
            }
            self.graph.connect(group, group, "rollback", "rollback");
        }
        for schedule in host.schedules.values() {
            if let Some(backup) = backups::running(host, schedule) {
                self.backup(&node, &groups, schedule, backup);
            }
        }
    }

    fn tasks_of(
        &mut self,
        host: &str,
        (group, guests): (&str, &[Id<Guest>]),
        id: Id<Schedule>,
        schedule: &Schedule,
    ) {
        let when = schedule.on.value.to_string();
        let about = |ids: &crate::model::TaskGuests| ids.iter().any(|id| guests.contains(&id));
        if schedule
            .nixos_update()
            .is_some_and(|task| about(&task.guests))
        {
            let update = format!("nix flake update, {when}");
            self.graph.connect(host, group, "update", update);
            self.graph
                .connect(group, group, "rebuild", "nixos-rebuild switch");
        }
        if schedule
            .windows_update()
            .is_some_and(|task| about(&task.guests))
        {
            let update = format!("Windows Update, {when}");
            self.graph.connect(host, group, "update", update);
        }
        if schedule.snapshots().is_some() {
            let mut volumes = guests
                .iter()
                .flat_map(|guest| self.facts.volumes.of_guest(*guest));
            if volumes.any(|volume| self.facts.backups.snapshots(volume).contains(&id)) {
                self.graph
                    .connect(group, group, "snapshot", format!("ZFS snapshot, {when}"));
            }
        }
    }

    fn backup(
        &mut self,
        host: &str,
        groups: &[(Option<String>, Vec<Id<Guest>>)],
        schedule: &Schedule,
        backup: &crate::model::VzdumpBackup,
    ) {
        let node = self.graph.put(
            NodeKind::Schedule,
            &schedule.name.value,
            schedule.name.value.as_str(),
        );
        node.at(schedule.name.span)
            .file(tree::JOBS)
            .detail(schedule.on.value.to_string())
            .detail(
                backup
                    .keep
                    .as_ref()
                    .map_or_else(String::new, |keep| keep.words()),
            );
        let job = node.id.clone();
        self.graph.connect(host, &job, "backup", "vzdump backups");
        for (group, guests) in groups {
            if let Some(group) = group
                .as_ref()
                .filter(|_| backup.guests.iter().any(|id| guests.contains(&id)))
            {
                self.graph.connect(group, &job, "backup", "");
            }
        }
        if let Some(store) = backup.storage.value {
            let store = self.store(store);
            self.graph.connect(&job, &store, "store", "store");
        }
        self.graph.connect(&job, host, "restore", "restore");
    }

    /// What is in the machine; functions that share an IOMMU group lie in one box.
    fn hardware(&mut self) {
        let host = self.the_host();
        let hardware = &self.host.hardware;
        for (id, _) in hardware.nics.iter() {
            let nic = self.port(PortDevice::Nic(id));
            self.graph.connect(&host, &nic, "has", "");
        }
        for disk in hardware.disks.values() {
            let node = self
                .graph
                .put(NodeKind::Device, &disk.name.value, disk.name.value.as_str());
            node.at(disk.name.span)
                .detail(format!("{} {}", *disk.kind, *disk.size))
                .detail(
                    disk.model
                        .as_ref()
                        .map_or_else(String::new, |m| m.to_string()),
                );
            let id = node.id.clone();
            self.graph.connect(&host, &id, "has", "");
        }
        for pool in self.host.storage.pools.values() {
            let label = format!("ZFS pool {}", pool.name.value);
            let node = self.graph.put(NodeKind::Pool, &pool.name.value, label);
            node.at(pool.name.span).detail(pool.layout.to_string());
            let to = node.id.clone();
            for disk in &pool.disks {
                let from = format!("device/{}", hardware.disks[disk.value].name.value);
                self.graph.connect(&from, &to, "member", "");
            }
        }
        for (_, device) in hardware.pci.iter() {
            let group = device.iommu_group.map(|number| {
                let label = format!("IOMMU group {}", number.value);
                self.graph
                    .put(NodeKind::Group, &number.value.to_string(), label)
                    .id
                    .clone()
            });
            let node = self.graph.put(
                NodeKind::Device,
                &device.name.value,
                device.name.value.as_str(),
            );
            node.at(device.name.span)
                .file(tree::PCI)
                .detail(device.path())
                .detail(
                    device
                        .model
                        .as_ref()
                        .map_or_else(String::new, |m| m.to_string()),
                );
            if let Some(group) = &group {
                node.inside(group.as_str());
            }
            let id = node.id.clone();
            self.graph.connect(&host, &id, "has", "");
        }
        for device in hardware.usb.values() {
            let node = self.graph.put(
                NodeKind::Device,
                &device.name.value,
                device.name.value.as_str(),
            );
            node.at(device.name.span).detail("USB");
            let id = node.id.clone();
            self.graph.connect(&host, &id, "has", "");
        }
        for (id, guest) in self.host.guests.iter() {
            let Some(vm) = guest.vm() else { continue };
            let mut taken: Vec<&str> = vm
                .passthrough
                .iter()
                .flat_map(Passthrough::rows)
                .map(|device| hardware.pci[device.value].name.value.as_str())
                .collect();
            taken.extend(vm.usb.iter().filter_map(|usb| match &usb.device {
                UsbSource::Known(id) => Some(hardware.usb[id.value].name.value.as_str()),
                UsbSource::Mapping(_) | UsbSource::Host(_) => None,
            }));
            for name in taken {
                let to = self.guest(id);
                self.graph.connect(
                    &format!("device/{name}"),
                    &to,
                    "passthrough",
                    "passed through",
                );
            }
        }
    }

    /// Who must run before whom, who never runs beside whom, and what runs at set times about whom.
    fn dependencies(&mut self) {
        for (id, guest) in self.host.guests.iter() {
            let to = self.guest(id);
            for needed in &guest.needs {
                let from = self.guest(needed.value);
                self.graph.connect(&from, &to, "needs", "before");
            }
            for other in guest.exclusive_with.iter().filter(|other| other.value > id) {
                let other = self.guest(other.value);
                self.graph.connect(&to, &other, "exclusive", "never beside");
            }
        }
        self.routes();
        for schedule in self.host.schedules.values() {
            let node = self.graph.put(
                NodeKind::Schedule,
                &schedule.name.value,
                schedule.name.value.as_str(),
            );
            node.at(schedule.name.span)
                .detail(schedule.task.kind().to_string())
                .detail(schedule.on.value.to_string());
            if !*schedule.enabled {
                node.detail("disabled");
            }
            let from = node.id.clone();
            if let Some(guests) = schedule.task.guests() {
                for id in guests.iter() {
                    let to = self.guest(id);
                    self.graph.connect(&from, &to, "task", "");
                }
            } else {
                let to = self.the_host();
                self.graph.connect(&from, &to, "task", "");
            }
        }
    }
}

/// `4 × 8 TB`, or the sizes one by one.
fn counted(sizes: &[String]) -> String {
    match sizes {
        [] => "no disks".to_owned(),
        [first, rest @ ..] if rest.iter().all(|size| size == first) && !rest.is_empty() => {
            format!("{} × {first}", sizes.len())
        }
        _ => sizes.join(", "),
    }
}
