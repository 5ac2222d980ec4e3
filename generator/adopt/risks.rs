//! What looks like a mistake on the host and no spec can tell: a key that ifupdown2 ignores, a volume in two guests, what runs
//! and is not what is written down.

use std::collections::{BTreeMap, BTreeSet};

use super::write::{NoteKind, Writing};
use crate::live::Snapshot;
use crate::near::nearest;
use crate::plan::value::parts;
use crate::pve::interfaces::Method;

/// Notes every risk.
pub(super) fn note(writing: &mut Writing<'_>) {
    let live = writing.live;
    let found = misspelt(live)
        .into_iter()
        .chain(shared_volumes(live))
        .chain(not_in_force(live));
    for (what, why) in found.collect::<Vec<_>>() {
        writing.note(NoteKind::Risk, what, why);
    }
}

type Risk = (String, String);

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
                    found.push((
                        format!("/{}, interface {}", file.file.path, interface.name),
                        format!("ifupdown2 ignores `{key}`: did you mean `{near}`?"),
                    ));
                }
            }
        }
    }
    found
}

/// Volumes that several guests have.
fn shared_volumes(live: &Snapshot) -> Vec<Risk> {
    let mut users: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for guest in live.nodes.values().flat_map(|node| node.guests.values()) {
        let file = guest.kind.config_file();
        let drives = guest.config.options().filter(|(key, _)| {
            let base = key.trim_end_matches(|c: char| c.is_ascii_digit());
            matches!(
                base,
                "ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate" | "mp" | "rootfs"
            )
        });
        for (key, value) in drives {
            let mut parts = parts(file, key, value);
            let disc = parts.get("media").is_some_and(|media| media == "cdrom");
            let volume = parts.remove("file").or_else(|| parts.remove("volume"));
            if let Some(volume) =
                volume.filter(|volume| !disc && volume.contains(':') && !volume.contains(":iso/"))
            {
                users.entry(volume).or_default().insert(guest.vmid);
            }
        }
    }
    users.retain(|_, guests| guests.len() > 1);
    users
        .into_iter()
        .map(|(volume, guests)| {
            let guests: Vec<String> = guests.iter().map(u32::to_string).collect();
            (
                format!("volume {volume}"),
                format!(
                    "the guests {} have it: whoever writes to it spoils the others'",
                    guests.join(", ")
                ),
            )
        })
        .collect()
}

/// What is written down and does not hold yet: parameters of the kernel, addresses.
fn not_in_force(live: &Snapshot) -> Vec<Risk> {
    let mut found = Vec::new();
    if let Some(running) = live.boot.running.present() {
        let runs: BTreeSet<&str> = running.split_whitespace().collect();
        for parameter in super::boot::parameters(live) {
            if !runs.contains(parameter.as_str()) {
                found.push((
                    format!("kernel parameter {parameter}"),
                    "the kernel that runs was started without it: it holds after a restart"
                        .to_owned(),
                ));
            }
        }
    }
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
                found.push((
                    format!("interface {}", interface.name),
                    format!(
                        "{address} is written down, and it has {} now",
                        link.addresses.join(", ")
                    ),
                ));
            }
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
