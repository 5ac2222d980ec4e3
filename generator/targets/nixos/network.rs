//! Addresses, ways out, and what a guest routes for others.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::facts::network::is_near;
use crate::model::{Bridge, Gateway, Guest, GuestKind, GuestNic, Host, Id, Link};
use crate::nix::{Attrs, BuildError, Origin, at, mk_default};
use crate::value::{Cidr, GuestAddress};

/// Who is asked for names, and the domains that they are looked for in; each where there are any.
pub(super) fn resolver(host: &Host) -> impl Iterator<Item = (&'static str, Vec<String>)> {
    let servers = host.network.nameservers.iter();
    let servers = servers.map(|server| server.value.to_string()).collect();
    let search = host.network.search.iter();
    let search = search.map(|domain| domain.as_str().to_owned()).collect();
    [("nameservers", servers), ("search", search)]
        .into_iter()
        .filter(|(_, words): &(_, Vec<String>)| !words.is_empty())
}

/// Sets what is known of a guest's cards.
pub(super) fn guest(
    (host, clients): (&Host, &Clients),
    id: Id<Guest>,
    guest: &Guest,
    facts: &mut Attrs,
) -> Result<(), BuildError> {
    if guest.network.is_empty() {
        return facts.set("networking.useDHCP", mk_default(false));
    }
    let mut network = Attrs::new();
    for (index, nic) in guest.network.iter().enumerate() {
        network.set(
            ["interfaces", interface_name(guest, index).as_str()],
            at(Origin::Spec(nic.bridge.span), card(host, guest, nic)?),
        )?;
    }
    for (name, words) in resolver(host) {
        network.set(name, words)?;
    }
    facts.set("services.moxc.network", network)?;
    routing(clients, id, guest, facts)
}

/// The name of a card inside the guest: Proxmox VE names a container's cards as its configuration says; those of a virtual
/// machine get the names that they have in its configuration, by their MAC addresses.
fn interface_name(guest: &Guest, index: usize) -> String {
    let nic = &guest.network[index];
    match guest.kind {
        GuestKind::Container(_) => nic.interface.to_string(),
        GuestKind::Vm(_) => format!("net{}", nic.slot),
    }
}

fn card(host: &Host, guest: &Guest, nic: &GuestNic) -> Result<Attrs, BuildError> {
    let mut card = Attrs::new();
    if let GuestKind::Vm(_) = guest.kind {
        card.set("mac", mk_default(nic.mac.lower()))?;
    }
    let addresses: Vec<Cidr> = nic.static_addresses().map(|cidr| cidr.value).collect();
    if !addresses.is_empty() {
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        card.set("addresses", texts)?;
    }
    let (near, far): (Vec<IpAddr>, Vec<IpAddr>) = [(&nic.gateway, false), (&nic.gateway6, true)]
        .into_iter()
        .filter_map(|(gateway, v6)| {
            host.gateway_address(
                gateway.as_ref()?.value,
                nic.segment(),
                nic.static_address(v6),
                v6,
            )
        })
        .partition(|gateway| is_near(*gateway, &addresses));
    for (key, gateways) in [("gateways", near), ("onLinkGateways", far)] {
        if !gateways.is_empty() {
            let texts: Vec<String> = gateways.iter().map(ToString::to_string).collect();
            card.set(key, texts)?;
        }
    }
    let v4 = is_dhcp(nic.address.map(|a| a.value));
    let v6 = is_dhcp(nic.address6.map(|a| a.value));
    let dhcp = match (v4, v6) {
        (true, true) => Some("yes"),
        (true, false) => Some("ipv4"),
        (false, true) => Some("ipv6"),
        (false, false) => None,
    };
    if let Some(dhcp) = dhcp {
        card.set("dhcp", mk_default(dhcp))?;
    }
    // A DHCPv6 server is asked where a router's advertisement says so.
    if v6 || matches!(nic.address6.map(|a| a.value), Some(GuestAddress::Auto)) {
        card.set("acceptRouterAdvertisements", mk_default(true))?;
    }
    if let Some(mtu) = nic.mtu {
        card.set("mtu", mk_default(mtu.value))?;
    }
    Ok(card)
}

fn is_dhcp(address: Option<GuestAddress>) -> bool {
    match address {
        Some(GuestAddress::Dhcp) => true,
        Some(GuestAddress::Auto | GuestAddress::Static(_)) | None => false,
    }
}

/// Somebody whose way out is a guest.
struct Client {
    /// The bridge on which both are.
    bridge: Id<Bridge>,
    /// Its address alone; none where it is not fixed.
    address: Option<Cidr>,
    v6: bool,
}

/// Who goes out by which guest; worked out once, as every guest is asked.
#[derive(Default)]
pub(super) struct Clients(BTreeMap<Id<Guest>, Vec<Client>>);

impl Clients {
    /// Those of a host: its guests' cards, and what it has on bridges itself.
    pub(super) fn of(host: &Host) -> Self {
        let mut clients = Self::default();
        for (id, guest) in host.guests.iter() {
            for nic in &guest.network {
                for (gateway, v6) in [(&nic.gateway, false), (&nic.gateway6, true)] {
                    let gateway = gateway.as_ref().map(|g| g.value);
                    let client = Client {
                        bridge: nic.bridge.value,
                        address: nic.static_address(v6),
                        v6,
                    };
                    clients.add(gateway.filter(|g| *g != Gateway::Guest(id)), client);
                }
            }
        }
        for leg in host.network.legs() {
            let Link::Bridge(bridge) = leg.segment.link else {
                continue;
            };
            for v6 in [false, true] {
                let client = Client {
                    bridge,
                    address: leg.ip.fixed(v6).map(|a| a.value),
                    v6,
                };
                clients.add(leg.ip.gateway_of(v6).map(|g| g.value), client);
            }
        }
        clients
    }

    fn add(&mut self, gateway: Option<Gateway>, client: Client) {
        match gateway {
            Some(Gateway::Guest(router)) => self.0.entry(router).or_default().push(client),
            Some(Gateway::Address(_) | Gateway::Machine(_)) | None => {}
        }
    }
}

fn routing(
    clients: &Clients,
    id: Id<Guest>,
    guest: &Guest,
    facts: &mut Attrs,
) -> Result<(), BuildError> {
    let Some(clients) = clients.0.get(&id) else {
        return Ok(());
    };
    let on = |bridge: Id<Bridge>| {
        guest
            .network
            .iter()
            .position(|nic| nic.bridge.value == bridge)
    };
    let mut internal: Vec<String> = clients
        .iter()
        .filter_map(|client| on(client.bridge))
        .map(|index| interface_name(guest, index))
        .collect();
    internal.sort();
    internal.dedup();
    let addresses = |v6: bool| {
        let mut texts: Vec<String> = clients
            .iter()
            .filter(|client| client.v6 == v6)
            .filter_map(|client| {
                let Some(cidr) = client.address else {
                    // It comes from a server: one of the network that both are in.
                    let own = guest.network.get(on(client.bridge)?)?.static_address(v6)?;
                    return Some(own.network().to_string());
                };
                Some(format!("{}/{}", cidr.address(), if v6 { 128 } else { 32 }))
            })
            .collect();
        texts.sort();
        texts.dedup();
        texts
    };

    let mut gateway = Attrs::new();
    gateway.set("enable", mk_default(true))?;
    gateway.set("externalInterface", mk_default(external(guest)))?;
    gateway.set("internalInterfaces", internal)?;
    for (key, texts) in [("clients", addresses(false)), ("clients6", addresses(true))] {
        if !texts.is_empty() {
            gateway.set(key, texts)?;
        }
    }
    facts.set("services.moxc.gateway", gateway)
}

/// The card on a router's own way out: the one with a gateway, else one that a server or a router configures, else the
/// first.
fn external(guest: &Guest) -> String {
    let has_gateway = |nic: &&GuestNic| nic.gateway.is_some() || nic.gateway6.is_some();
    let is_dynamic = |nic: &&GuestNic| {
        [nic.address, nic.address6]
            .into_iter()
            .flatten()
            .any(|address| match address.value {
                GuestAddress::Dhcp | GuestAddress::Auto => true,
                GuestAddress::Static(_) => false,
            })
    };
    let cards = &guest.network;
    let index = cards
        .iter()
        .position(|nic| has_gateway(&nic))
        .or_else(|| cards.iter().position(|nic| is_dynamic(&nic)))
        .unwrap_or(0);
    interface_name(guest, index)
}
