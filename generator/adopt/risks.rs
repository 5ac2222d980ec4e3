//! What looks like a mistake on the host and no spec can tell: a key that ifupdown2 ignores, a volume in two guests, what runs
//! and is not what is written down. Each is told at the line of the new spec that it is about.

use std::collections::{BTreeMap, BTreeSet};

use super::doc::{Part, Printed};
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::live::{LiveNode, Snapshot};
use crate::near::nearest;
use crate::plan::render;
use crate::plan::value::parts;
use crate::pve::holds_volume;
use crate::pve::interfaces::{Interface, InterfaceKind, Method};
use crate::source::{FileId, Span};

/// Something that looks like a mistake.
struct Risk {
    code: Code,
    /// What of the spec it is about, and what of that.
    part: Part,
    says: Option<String>,
    message: String,
    help: String,
}

/// Tells every risk of a host whose spec is `printed`, the text of `file`.
pub(super) fn tell(live: &Snapshot, printed: &Printed, file: FileId, sink: &mut Sink) {
    let nobody = LiveNode::default();
    let own = live.own().unwrap_or(&nobody);
    let risks = misspelt(live)
        .into_iter()
        .chain(shared_volumes(live, own))
        .chain(of_guests(own))
        .chain(of_pools(live))
        .chain(parameters(live))
        .chain(addresses(live))
        .chain(lost_ways(live));
    for risk in risks {
        let range = printed.place(&risk.part, risk.says.as_deref());
        let message = render::shown(&risk.message);
        let help = render::shown(&risk.help);
        sink.push(Diagnostic::new(risk.code, Span::new(file, range), message).help(help));
    }
}

/// The keys of a stanza that people write: interfaces(5), ifupdown-addons-interfaces(5), and those of Open vSwitch.
const KEYS: &[&str] = &[
    "accept-ra",
    "address",
    "address-virtual",
    "alias",
    "autoconf",
    "bond-ad-select",
    "bond-downdelay",
    "bond-lacp-rate",
    "bond-master",
    "bond-miimon",
    "bond-min-links",
    "bond-mode",
    "bond-primary",
    "bond-slaves",
    "bond-updelay",
    "bond-xmit-hash-policy",
    "bridge-access",
    "bridge-ageing",
    "bridge-arp-nd-suppress",
    "bridge-bridgeprio",
    "bridge-disable-mac-learning",
    "bridge-fd",
    "bridge-hello",
    "bridge-hw",
    "bridge-learning",
    "bridge-maxage",
    "bridge-maxwait",
    "bridge-mcsnoop",
    "bridge-multicast-flood",
    "bridge-pathcosts",
    "bridge-portprios",
    "bridge-ports",
    "bridge-pvid",
    "bridge-stp",
    "bridge-unicast-flood",
    "bridge-vids",
    "bridge-vlan-aware",
    "bridge-vlan-protocol",
    "bridge-waitport",
    "broadcast",
    "client",
    "dns-domain",
    "dns-nameservers",
    "dns-search",
    "down",
    "ethtool-ethernet-autoneg",
    "ethtool-ethernet-wol",
    "gateway",
    "hostname",
    "hwaddress",
    "ip-forward",
    "ip6-forward",
    "link-autoneg",
    "link-down",
    "link-duplex",
    "link-speed",
    "link-type",
    "metric",
    "mstpctl-stp",
    "mtu",
    "netmask",
    "network",
    "offload-gro",
    "offload-gso",
    "offload-tso",
    "ovs-bonds",
    "ovs-bridge",
    "ovs-extra",
    "ovs-mtu",
    "ovs-options",
    "ovs-ports",
    "ovs-type",
    "pointopoint",
    "post-down",
    "post-up",
    "pre-down",
    "pre-up",
    "scope",
    "slaves",
    "up",
    "uplink-id",
    "vlan-id",
    "vlan-protocol",
    "vlan-raw-device",
    "vrf",
    "vxlan-id",
    "vxlan-local-tunnelip",
    "vxlan-remoteip",
    "wireless-essid",
    "wpa-conf",
    "wpa-psk",
    "wpa-ssid",
];

/// Keys that ifupdown2 passes over without a word, and that are nearly one that it knows.
fn misspelt(live: &Snapshot) -> Vec<Risk> {
    let files = live
        .interfaces
        .present()
        .into_iter()
        .chain(live.interfaces_more.values());
    let mut found = Vec::new();
    for file in files {
        for interface in file.interfaces.iter() {
            for (key, _) in interface.families.iter().flat_map(|family| &family.options) {
                let spelt = key.replace('_', "-");
                if KEYS.contains(&spelt.as_str()) {
                    continue;
                }
                if let Some(near) = nearest(&spelt, KEYS.iter().copied()) {
                    found.push(Risk {
                        code: Code::MOX0901,
                        part: Part::Interface(interface.name.clone()),
                        says: None,
                        message: format!("ifupdown2 ignores `{key}` of `{}`", interface.name),
                        help: format!("did you mean `{near}`? It stands in /{}", file.file.path),
                    });
                }
            }
        }
    }
    found
}

/// Volumes that several guests have, told at each of this host but the first.
fn shared_volumes(live: &Snapshot, own: &LiveNode) -> Vec<Risk> {
    let mut users: BTreeMap<String, BTreeMap<u32, String>> = BTreeMap::new();
    for guest in live.nodes.values().flat_map(|node| node.guests.values()) {
        let file = guest.kind.config_file();
        for (key, value) in guest.config.options().filter(|(key, _)| holds_volume(key)) {
            let mut parts = parts(file, key, value);
            let disc = parts.get("media").is_some_and(|media| media == "cdrom");
            let volume = parts.remove("file").or_else(|| parts.remove("volume"));
            if let Some(volume) = volume.filter(|volume| !disc && volume.contains(':')) {
                let guests = users.entry(volume).or_default();
                guests.entry(guest.vmid).or_insert_with(|| key.to_owned());
            }
        }
    }
    users.retain(|_, guests| guests.len() > 1);
    let mut found = Vec::new();
    for (volume, guests) in &users {
        let mut ours = guests
            .iter()
            .filter(|(vmid, _)| own.guests.contains_key(vmid));
        // Where the first is of another node, it is told at the only one of this.
        let skipped = usize::from(ours.clone().count() > 1);
        for (vmid, key) in ours.by_ref().skip(skipped) {
            let others = guests.keys().filter(|other| *other != vmid);
            let others: Vec<String> = others.map(u32::to_string).collect();
            found.push(Risk {
                code: Code::MOX0902,
                part: Part::Guest(*vmid),
                says: Some(key.clone()),
                message: format!("the volume {volume} is in guest {vmid} and in {}", others.join(", ")),
                help: "give each a volume of its own: what one writes spoils what the others have read".to_owned(),
            });
        }
    }
    found
}

/// Changes that wait, and lines that count for nothing.
fn of_guests(own: &LiveNode) -> Vec<Risk> {
    let mut found = Vec::new();
    for (vmid, guest) in &own.guests {
        if let Some(pending) = guest.pending() {
            let set = pending
                .options()
                .map(|(key, _)| key)
                .filter(|key| *key != "delete");
            let mut keys: Vec<&str> = set.chain(guest.pending_deletions()).collect();
            keys.sort_unstable();
            found.push(Risk {
                code: Code::MOX0905,
                part: Part::Guest(*vmid),
                says: keys.first().map(|key| (*key).to_owned()),
                message: format!("changes of guest {vmid} wait for its next start: `{}`", keys.join("`, `")),
                help: "the spec says what it will be then; stop and start the guest, or take the change back on the host"
                    .to_owned(),
            });
        }
        for line in &guest.skipped {
            found.push(Risk {
                code: Code::MOX0906,
                part: Part::Guest(*vmid),
                says: None,
                message: format!("Proxmox VE skips line {} of guest {vmid}", line.line),
                help: format!("correct or remove it in /{}", guest.file.path),
            });
        }
    }
    found
}

/// Pools that are not whole.
fn of_pools(live: &Snapshot) -> Vec<Risk> {
    let pools = live.zfs.pools.present().into_iter().flatten();
    pools
        .filter(|pool| !matches!(pool.state.as_str(), "ONLINE" | ""))
        .map(|pool| Risk {
            code: Code::MOX0907,
            part: Part::Pool(pool.name.clone()),
            says: None,
            message: format!("the pool `{}` is {}", pool.name, pool.state),
            help: format!("`zpool status {}` says what is wrong with it", pool.name),
        })
        .collect()
}

/// Parameters of the kernel that hold from its next start on.
fn parameters(live: &Snapshot) -> Vec<Risk> {
    let Some(running) = live.boot.running.present() else {
        return Vec::new();
    };
    let runs: BTreeSet<&str> = running.split_whitespace().collect();
    super::boot::parameters(live)
        .into_iter()
        .filter(|parameter| !runs.contains(parameter.as_str()))
        .map(|parameter| Risk {
            code: Code::MOX0903,
            part: Part::Boot,
            says: Some("kernel-params".to_owned()),
            message: format!("the kernel that runs was started without `{parameter}`"),
            help: "it holds after a restart of the host; where there was one, `proxmox-boot-tool refresh` or `update-grub` was left out"
                .to_owned(),
        })
        .collect()
}

/// Addresses that are written down, and that the interface does not have.
fn addresses(live: &Snapshot) -> Vec<Risk> {
    let mut found = Vec::new();
    let (Some(links), Some(file)) = (live.network.present(), live.interfaces.present()) else {
        return found;
    };
    for interface in file.interfaces.iter() {
        let Some(link) = links.iter().find(|link| link.name == interface.name) else {
            continue;
        };
        let fixed = interface
            .families
            .iter()
            .filter(|family| family.method == Method::Static);
        for address in fixed.filter_map(|family| family.address.as_ref()) {
            if !link.addresses.is_empty() && !link.addresses.contains(address) {
                found.push(Risk {
                    code: Code::MOX0904,
                    part: Part::Interface(interface.name.clone()),
                    says: Some("address".to_owned()),
                    message: format!("`{}` does not have its address {address}", interface.name),
                    help: format!(
                        "it has {} now; `ifreload -a` would change that",
                        link.addresses.join(", ")
                    ),
                });
            }
        }
    }
    found
}

/// A way out on a VLAN that stands before the bridge that takes the interface below: ifupdown2 brings that up with the bridge
/// alone, in the order of the file, and the VLAN takes no route while it is down (CumulusNetworks/ifupdown2#124).
fn lost_ways(live: &Snapshot) -> Vec<Risk> {
    let Some(file) = live.interfaces.present() else {
        return Vec::new();
    };
    let all: Vec<&Interface> = file.interfaces.iter().collect();
    let mut found = Vec::new();
    for (at, interface) in all.iter().enumerate() {
        let below = match &interface.kind {
            InterfaceKind::Vlan {
                raw_device: Some(below),
                ..
            } => below.as_str(),
            InterfaceKind::Vlan { .. } => interface.name.split('.').next().unwrap_or_default(),
            _ => continue,
        };
        let leads_out = interface
            .families
            .iter()
            .any(|family| family.gateway.is_some());
        let bridge = all[at + 1..].iter().find(|later| {
            matches!(&later.kind, InterfaceKind::Bridge(bridge) if bridge.ports.iter().any(|port| port == below))
        });
        if let Some(bridge) = bridge.filter(|_| leads_out) {
            found.push(Risk {
                code: Code::MOX0908,
                part: Part::Interface(interface.name.clone()),
                says: Some("gateway".to_owned()),
                message: format!("the way out by `{}` is lost when the host starts", interface.name),
                help: format!(
                    "put the stanza of `{}` before that of `{}` in /etc/network/interfaces: `{below}` comes up with its bridge",
                    bridge.name, interface.name
                ),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_known_once() {
        assert!(KEYS.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(
            nearest("bridg-vlan-aware", KEYS.iter().copied()),
            Some("bridge-vlan-aware")
        );
        assert_eq!(
            nearest("bridge-fe", KEYS.iter().copied()),
            Some("bridge-fd")
        );
    }
}
