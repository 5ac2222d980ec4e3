//! `/etc/network/interfaces`, as Proxmox writes it for ifupdown2.
//!
//! Proxmox reads the whole file into its own tree and prints that, so whatever it does not keep is
//! gone after the first change in its GUI: comments between stanzas, the order of options, a
//! second address of one family. What is printed here is already in its order and spelling. Only
//! the header is ours: the first rewrite replaces it with Proxmox's notice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::refusal::check_line_value;
use super::{CannotCarry, Refusal};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces {
    header: Vec<String>,
    ifaces: Vec<Interface>,
    raw: String,
    other_lines: Vec<String>,
}

/// One interface: an `auto` line and a stanza for each address family.
///
/// The fields are plain; [`Interfaces::push`] refuses what the file cannot carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The name, as in `vmbr0` or `bond0.10`.
    pub name: String,
    /// What it is.
    pub kind: InterfaceKind,
    /// Whether it comes up at boot. Bond members always do: Proxmox sees to it.
    pub auto: bool,
    /// The MTU in bytes.
    pub mtu: Option<u32>,
    /// The stanzas in their order; none counts as one `inet manual`.
    pub families: Vec<Family>,
    /// Lines printed as `#text` at the end of the stanza, where Proxmox keeps them; ASCII only,
    /// since Proxmox spoils anything else at its second rewrite.
    pub comments: Vec<String>,
}

impl Interface {
    /// An interface that comes up at boot, without addresses.
    pub fn new(name: impl Into<String>, kind: InterfaceKind) -> Self {
        Self {
            name: name.into(),
            kind,
            auto: true,
            mtu: None,
            families: Vec::new(),
            comments: Vec::new(),
        }
    }
}

/// What an interface is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceKind {
    /// `lo`.
    Loopback,
    /// A network card.
    Card,
    /// A bond; Proxmox takes it for one only if its name is `bond` and a number.
    Bond(Bond),
    /// A Linux bridge.
    Bridge(Bridge),
    /// A bridge of Open vSwitch, with its ports.
    OvsBridge(Vec<String>),
    /// A card, a bond or an internal port that a bridge of Open vSwitch takes.
    OvsPort(OvsPort),
    /// A VLAN: `<parent>.<id>`, or any name with both fields set (`vlan<id>` needs the parent alone).
    Vlan {
        /// The interface below, unless the name says it.
        raw_device: Option<String>,
        /// The VLAN's number, unless the name says it.
        id: Option<u16>,
    },
    /// Anything else; printed last, since Proxmox has no place for it in its order.
    Other,
}

/// What a bridge of Open vSwitch takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OvsPort {
    /// What it is.
    pub kind: OvsPortKind,
    /// The bridge.
    pub bridge: String,
    /// `tag=20`, `bond_mode=…`, with blanks between.
    pub options: Option<String>,
}

/// What a port of Open vSwitch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OvsPortKind {
    /// A card.
    Card,
    /// An interface of the host that the bridge itself makes.
    Internal,
    /// Several cards as one.
    Bond(Vec<String>),
}

impl OvsPortKind {
    fn name(&self) -> &'static str {
        match self {
            Self::Card => "OVSPort",
            Self::Internal => "OVSIntPort",
            Self::Bond(_) => "OVSBond",
        }
    }
}

/// The options of a bond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bond {
    /// The member interfaces.
    pub ports: Vec<String>,
    /// `802.3ad`, `active-backup`, …
    pub mode: String,
    /// How often the link is looked at, in milliseconds; 100 unless set.
    pub miimon: Option<u32>,
    /// How packets are spread; kept only in the modes `balance-xor` and `802.3ad`.
    pub xmit_hash_policy: Option<String>,
    /// The preferred member; kept only in the mode `active-backup`.
    pub primary: Option<String>,
}

/// The options of a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bridge {
    /// The ports; none is written as `none`.
    pub ports: Vec<String>,
    /// Spanning tree.
    pub stp: bool,
    /// Forwarding delay in seconds: 0 unless set; with spanning tree only 2 to 30 is written.
    pub fd: Option<u32>,
    /// The VLANs of a VLAN-aware bridge, such as `2-4094`.
    pub vids: Option<String>,
}

/// One stanza of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// `inet`, `inet6`, or nothing at all.
    pub version: IpVersion,
    /// `static`, `manual`, …
    pub method: Method,
    /// The address with its prefix.
    pub address: Option<String>,
    /// Further addresses. ifupdown2 gives them all; Proxmox keeps the last of the stanza with its next change.
    pub more: Vec<String>,
    /// The default gateway.
    pub gateway: Option<String>,
    /// Further gateways, as a stanza without a family has for IPv6.
    pub more_gateways: Vec<String>,
    /// Further options in their order; those with commands (`post-up`) may repeat.
    pub options: Vec<(String, String)>,
}

impl Family {
    /// A stanza without an address.
    pub fn new(version: IpVersion, method: Method) -> Self {
        Self {
            version,
            method,
            address: None,
            more: Vec::new(),
            gateway: None,
            more_gateways: Vec::new(),
            options: Vec::new(),
        }
    }

    /// A stanza with a fixed address, given with its prefix.
    pub fn fixed(version: IpVersion, address: impl fmt::Display) -> Self {
        Self {
            address: Some(address.to_string()),
            ..Self::new(version, Method::Static)
        }
    }

    /// Sets the default gateway.
    #[must_use]
    pub fn gateway(mut self, gateway: Option<impl fmt::Display>) -> Self {
        self.gateway = gateway.map(|gateway| gateway.to_string());
        self
    }

    /// Adds an option, such as `post-up`.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.options.push((key.into(), value.to_string()));
        self
    }
}

/// The address family of a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IpVersion {
    /// `inet`
    V4,
    /// `inet6`
    V6,
    /// `iface vmbr0` alone, which may hold addresses of both; read, never needed.
    Both,
}

/// How a stanza's address comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// No address.
    Manual,
    /// A fixed address.
    Static,
    /// From a DHCP server.
    Dhcp,
    /// By router advertisements; `inet6` only.
    Auto,
    /// `lo`'s.
    Loopback,
    /// One that Proxmox passes through.
    Other(String),
}

impl Method {
    fn name(&self) -> &str {
        match self {
            Self::Manual => "manual",
            Self::Static => "static",
            Self::Dhcp => "dhcp",
            Self::Auto => "auto",
            Self::Loopback => "loopback",
            Self::Other(name) => name,
        }
    }

    fn read(name: &str) -> Self {
        match name {
            "manual" => Self::Manual,
            "static" => Self::Static,
            "dhcp" => Self::Dhcp,
            "auto" => Self::Auto,
            "loopback" => Self::Loopback,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Options that Proxmox knows by name and prints sorted, in the first stanza of their interface.
const KNOWN_OPTIONS: &[&str] = &[
    "bridge-access",
    "bridge-arp-nd-suppress",
    "bridge-learning",
    "bridge-multicast-flood",
    "bridge-unicast-flood",
    "link-type",
    "vlan-protocol",
    "vxlan-id",
    "vxlan-local-tunnelip",
    "vxlan-physdev",
    "vxlan-remoteip",
    "vxlan-svcnodeip",
];

/// Options that are fields here, those that Proxmox reads and does not write, and those whose
/// order of repetition or other rules are not implemented. Spelt with `-`.
const RESERVED_OPTIONS: &[&str] = &[
    "address",
    "bond-miimon",
    "bond-mode",
    "bond-primary",
    "bond-slaves",
    "bond-xmit-hash-policy",
    "bridge-disable-mac-learning",
    "bridge-fd",
    "bridge-ports",
    "bridge-stp",
    "bridge-vids",
    "bridge-vlan-aware",
    "broadcast",
    "gateway",
    "mtu",
    "netmask",
    "ovs-bonds",
    "ovs-bridge",
    "ovs-mtu",
    "ovs-options",
    "ovs-ports",
    "ovs-type",
    "slaves",
    "uplink-id",
    "vlan-id",
    "vlan-raw-device",
];

impl Interfaces {
    /// A file with `lo` alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the comment lines at the top of the file.
    pub fn set_header(&mut self, text: &str) {
        self.header = text
            .lines()
            .map(|line| line.replace(char::is_control, " ").trim_end().to_owned())
            .collect();
    }

    /// Adds an interface. `lo` need not be added; one that is replaces the one that is there anyway.
    pub fn push(&mut self, interface: Interface) -> Result<(), CannotCarry> {
        if self.get(&interface.name).is_some() {
            return Err(CannotCarry::new(interface.name, Refusal::Twice));
        }
        check(&interface)?;
        self.ifaces.push(interface);
        Ok(())
    }

    /// Sets text that is printed as it is behind the interfaces: stanzas that this type has no fields for.
    pub fn set_raw(&mut self, text: &str) {
        text.trim_matches('\n').clone_into(&mut self.raw);
    }

    /// Adds a top-level line, such as `source /etc/network/interfaces.d/*`, printed at the end.
    pub fn push_line(&mut self, line: &str) -> Result<(), CannotCarry> {
        check_value(line)?;
        if line.starts_with(['#', '[']) || matches!(first_word(line), "iface" | "auto") {
            return Err(CannotCarry::new(line, Refusal::BadName));
        }
        self.other_lines.push(line.to_owned());
        Ok(())
    }

    /// The interface of this name.
    pub fn get(&self, name: &str) -> Option<&Interface> {
        self.ifaces.iter().find(|interface| interface.name == name)
    }

    /// The interfaces in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.ifaces.iter()
    }

    /// The interfaces in the order in which Proxmox writes them: by what they are, a child (`x.5`,
    /// `x:1`) behind those of its parent's kind, else as they were added. But for one thing: a VLAN
    /// of a bridge's port comes behind the bridges, but for one that is a port itself and comes up with
    /// its own bridge. ifupdown2 brings a port up with its bridge alone, and in the order of the file, so
    /// that before it the VLAN is down and takes no routes: the host would be without its way out
    /// (CumulusNetworks/ifupdown2#124).
    fn in_print_order(&self) -> Vec<&Interface> {
        let ports: BTreeSet<&str> = self
            .ifaces
            .iter()
            .filter_map(|interface| match &interface.kind {
                InterfaceKind::Bridge(bridge) => Some(&bridge.ports),
                _ => None,
            })
            .flatten()
            .map(String::as_str)
            .collect();
        let mut interfaces: Vec<&Interface> = self.ifaces.iter().collect();
        interfaces.sort_by_key(|interface| {
            let mut names = interface.name.split(['.', ':']);
            let root = names.next().unwrap_or_default();
            let depth = names.count();
            let kind = if depth == 0 {
                Some(&interface.kind)
            } else if root == "lo" {
                // It is there whether or not the file says so.
                Some(&InterfaceKind::Loopback)
            } else {
                self.get(root).map(|root| &root.kind)
            };
            let is_dummy = interface.families.iter().any(|family| {
                let mut options = family.options.iter();
                options.any(|(key, value)| key == "link-type" && value == "dummy")
            });
            let rank = match kind {
                Some(_)
                    if depth > 0
                        && ports.contains(root)
                        && !ports.contains(interface.name.as_str()) =>
                {
                    5
                }
                Some(InterfaceKind::Other) if is_dummy => 1,
                Some(InterfaceKind::Loopback) => 0,
                Some(InterfaceKind::Card) => 2,
                Some(InterfaceKind::OvsPort(port)) => match port.kind {
                    OvsPortKind::Card => 2,
                    OvsPortKind::Internal => 3,
                    OvsPortKind::Bond(_) => 4,
                },
                Some(InterfaceKind::Bond(_)) => 4,
                Some(InterfaceKind::Bridge(_) | InterfaceKind::OvsBridge(_)) => 5,
                Some(InterfaceKind::Vlan { .. }) => 6,
                Some(InterfaceKind::Other) | None => 7,
            };
            (rank, depth)
        });
        interfaces
    }

    /// What comes up at boot with the bond that it is in.
    fn bond_members(&self) -> BTreeSet<&str> {
        let bonds = self
            .ifaces
            .iter()
            .filter_map(|interface| match &interface.kind {
                InterfaceKind::Bond(bond) => Some(&bond.ports),
                InterfaceKind::OvsPort(OvsPort {
                    kind: OvsPortKind::Bond(ports),
                    ..
                }) => Some(ports),
                _ => None,
            });
        bonds.flatten().map(String::as_str).collect()
    }

    /// Reads a file as Proxmox does. Comments outside of stanzas are dropped.
    pub fn parse(text: &str) -> Self {
        Reader::default().read(text)
    }
}

impl fmt::Display for Interfaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.header {
            writeln!(f, "{}", format!("# {line}").trim_end())?;
        }
        if !self.header.is_empty() {
            writeln!(f)?;
        }
        if self.get("lo").is_none() {
            f.write_str("auto lo\niface lo inet loopback\n\n")?;
        }
        let members = self.bond_members();
        for interface in self.in_print_order() {
            // Proxmox starts a port of Open vSwitch with its bridge, and says so by `auto`.
            let starts = interface.auto
                || members.contains(interface.name.as_str())
                || matches!(interface.kind, InterfaceKind::OvsPort(_));
            if starts {
                writeln!(f, "auto {}", interface.name)?;
            }
            print(interface, f)?;
        }
        if !self.raw.is_empty() {
            write!(f, "{}\n\n", self.raw)?;
        }
        self.other_lines
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn print(interface: &Interface, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let manual = [Family::new(IpVersion::V4, Method::Manual)];
    let families = if interface.families.is_empty() {
        &manual[..]
    } else {
        &interface.families
    };
    // Comments stay with the IPv4 stanza, unless there is none.
    let comments_at = families
        .iter()
        .position(|family| family.version != IpVersion::V6)
        .unwrap_or(0);
    for (at, family) in families.iter().enumerate() {
        match family.version {
            IpVersion::V4 => writeln!(f, "iface {} inet {}", interface.name, family.method.name())?,
            IpVersion::V6 => {
                writeln!(f, "iface {} inet6 {}", interface.name, family.method.name())?;
            }
            IpVersion::Both => writeln!(f, "iface {}", interface.name)?,
        }
        for address in family.address.iter().chain(&family.more) {
            writeln!(f, "\taddress {address}")?;
        }
        for gateway in family.gateway.iter().chain(&family.more_gateways) {
            writeln!(f, "\tgateway {gateway}")?;
        }
        if at == 0 {
            print_kind(interface, families, f)?;
        }
        for (key, value) in family.options.iter().filter(|(key, _)| !is_known(key)) {
            writeln!(f, "\t{key} {value}")?;
        }
        if at == comments_at {
            interface
                .comments
                .iter()
                .try_for_each(|comment| writeln!(f, "#{comment}"))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

fn print_kind(
    interface: &Interface,
    families: &[Family],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let ports = |ports: &[String]| {
        let sorted: BTreeSet<&str> = ports.iter().map(String::as_str).collect();
        if sorted.is_empty() {
            "none".to_owned()
        } else {
            sorted.into_iter().collect::<Vec<_>>().join(" ")
        }
    };
    let mut sorted: BTreeMap<&str, String> = BTreeMap::new();
    for (key, value) in families.iter().flat_map(|family| &family.options) {
        match sorted.get_mut(key.as_str()) {
            // The one that Proxmox keeps every line of.
            Some(values) if key == "vxlan-remoteip" => {
                values.push_str("\n\tvxlan-remoteip ");
                values.push_str(value);
            }
            _ if is_known(key) => {
                sorted.insert(key, value.clone());
            }
            _ => {}
        }
    }
    let mtu_in_place = matches!(
        interface.kind,
        InterfaceKind::Bond(_) | InterfaceKind::Bridge(_)
    );
    match &interface.kind {
        InterfaceKind::Bridge(bridge) => {
            writeln!(f, "\tbridge-ports {}", ports(&bridge.ports))?;
            writeln!(f, "\tbridge-stp {}", if bridge.stp { "on" } else { "off" })?;
            match bridge.fd {
                fd if !bridge.stp => writeln!(f, "\tbridge-fd {}", fd.unwrap_or(0))?,
                Some(fd @ 2..=30) => writeln!(f, "\tbridge-fd {fd}")?,
                _ => {}
            }
            if let Some(vids) = &bridge.vids {
                writeln!(f, "\tbridge-vlan-aware yes\n\tbridge-vids {vids}")?;
            }
        }
        InterfaceKind::Bond(bond) => {
            writeln!(f, "\tbond-slaves {}", ports(&bond.ports))?;
            writeln!(f, "\tbond-miimon {}", bond.miimon.unwrap_or(100))?;
            writeln!(f, "\tbond-mode {}", bond.mode)?;
            match &bond.xmit_hash_policy {
                Some(policy) if matches!(bond.mode.as_str(), "balance-xor" | "802.3ad") => {
                    writeln!(f, "\tbond-xmit-hash-policy {policy}")?;
                }
                _ => {}
            }
            match &bond.primary {
                Some(primary) if bond.mode == "active-backup" => {
                    writeln!(f, "\tbond-primary {primary}")?;
                }
                _ => {}
            }
        }
        InterfaceKind::OvsBridge(own) => {
            writeln!(f, "\tovs_type OVSBridge")?;
            if !own.is_empty() {
                writeln!(f, "\tovs_ports {}", ports(own))?;
            }
        }
        InterfaceKind::OvsPort(port) => {
            if let OvsPortKind::Bond(cards) = &port.kind {
                writeln!(f, "\tovs_bonds {}", ports(cards))?;
            }
            writeln!(f, "\tovs_type {}", port.kind.name())?;
            writeln!(f, "\tovs_bridge {}", port.bridge)?;
            if let Some(options) = &port.options {
                sorted.insert("ovs_options", options.clone());
            }
        }
        InterfaceKind::Vlan { raw_device, id } => {
            // What the name says is not said again.
            let dotted = named_vlan(&interface.name).is_some();
            if let Some(raw_device) = raw_device.as_ref().filter(|_| !dotted) {
                sorted.insert("vlan-raw-device", raw_device.clone());
            }
            if let Some(id) = id.filter(|_| !dotted && !is_vlan_name(&interface.name)) {
                sorted.insert("vlan-id", id.to_string());
            }
        }
        InterfaceKind::Loopback | InterfaceKind::Card | InterfaceKind::Other => {}
    }
    let of_ovs = matches!(
        interface.kind,
        InterfaceKind::OvsBridge(_) | InterfaceKind::OvsPort(_)
    );
    if let Some(mtu) = interface.mtu {
        if of_ovs {
            writeln!(f, "\tovs_mtu {mtu}")?;
        } else if mtu_in_place {
            writeln!(f, "\tmtu {mtu}")?;
        } else {
            sorted.insert("mtu", mtu.to_string());
        }
    }
    sorted
        .iter()
        .try_for_each(|(key, value)| writeln!(f, "\t{key} {value}"))
}

fn is_known(key: &str) -> bool {
    KNOWN_OPTIONS.contains(&key)
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

/// What the name of a VLAN says: `<parent>.<id>`
pub(crate) fn named_vlan(name: &str) -> Option<(&str, u16)> {
    let (parent, id) = name.rsplit_once('.')?;
    let digits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    Some((
        parent,
        id.parse().ok().filter(|_| digits && !parent.is_empty())?,
    ))
}

/// `vlan<id>`
fn is_vlan_name(name: &str) -> bool {
    name.strip_prefix("vlan")
        .is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
}

fn check_value(value: &str) -> Result<(), CannotCarry> {
    check_line_value(value)?;
    if value.ends_with('\\') {
        return Err(CannotCarry::new(value, Refusal::Continuation));
    }
    Ok(())
}

/// The key and the value of a line that belongs to a stanza; none where it would end or begin one, or Proxmox would lose it.
pub fn stanza_line(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (key, value) = line.split_once(char::is_whitespace)?;
    (!line.starts_with('#') && !ends_stanza(line)).then(|| (key, value.trim_start()))
}

/// Whether a key is one that the fields of this module hold, spelt with `-` or `_`.
pub fn is_reserved(key: &str) -> bool {
    RESERVED_OPTIONS.contains(&key.replace('_', "-").as_str())
}

fn check_word(word: &str) -> Result<(), CannotCarry> {
    check_value(word)?;
    if word.contains(char::is_whitespace) {
        return Err(CannotCarry::new(word, Refusal::Blank));
    }
    if word.starts_with('#') {
        return Err(CannotCarry::new(word, Refusal::BadName));
    }
    Ok(())
}

fn check(interface: &Interface) -> Result<(), CannotCarry> {
    check_word(&interface.name)?;
    match &interface.kind {
        InterfaceKind::Bond(bond) => {
            bond.ports.iter().try_for_each(|port| check_word(port))?;
            check_word(&bond.mode)?;
            bond.xmit_hash_policy
                .iter()
                .chain(&bond.primary)
                .try_for_each(|word| check_word(word))?;
        }
        InterfaceKind::Bridge(bridge) => {
            bridge.ports.iter().try_for_each(|port| check_word(port))?;
            bridge.vids.iter().try_for_each(|vids| check_value(vids))?;
        }
        InterfaceKind::OvsBridge(ports) => ports.iter().try_for_each(|port| check_word(port))?,
        InterfaceKind::OvsPort(port) => {
            check_word(&port.bridge)?;
            port.options.iter().try_for_each(|text| check_value(text))?;
            if let OvsPortKind::Bond(cards) = &port.kind {
                cards.iter().try_for_each(|card| check_word(card))?;
            }
        }
        InterfaceKind::Vlan { raw_device, .. } => {
            raw_device.iter().try_for_each(|word| check_word(word))?;
        }
        InterfaceKind::Loopback | InterfaceKind::Card | InterfaceKind::Other => {}
    }
    for family in &interface.families {
        check_word(family.method.name())?;
        family
            .address
            .iter()
            .chain(&family.more)
            .chain(&family.gateway)
            .chain(&family.more_gateways)
            .try_for_each(|word| check_word(word))?;
        for (key, value) in &family.options {
            check_word(key)?;
            check_value(value)?;
            let spelt = key.replace('_', "-");
            let starts_stanza = matches!(
                key.as_str(),
                "iface" | "mapping" | "auto" | "source" | "source-directory"
            );
            if starts_stanza
                || key.starts_with("allow-")
                || RESERVED_OPTIONS.contains(&spelt.as_str())
            {
                return Err(CannotCarry::new(key, Refusal::BadName));
            }
        }
    }
    for comment in &interface.comments {
        // Proxmox decodes comments and writes them back in Latin-1.
        if !comment.is_ascii() {
            return Err(CannotCarry::new(comment, Refusal::NotAscii));
        }
        match check_value(comment) {
            Ok(()) => {}
            // A blank at the start is the usual `# text`; an empty line between others is kept.
            Err(error) if error.why == Refusal::OuterBlank && comment.trim_end() == comment => {}
            Err(error)
                if error.why == Refusal::Empty && Some(comment) != interface.comments.last() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What Proxmox's reader collects of one interface before it knows what it is.
#[derive(Default)]
struct Raw<'a> {
    auto: bool,
    stanza_order: Option<usize>,
    fields: BTreeMap<String, &'a str>,
    ports: BTreeSet<&'a str>,
    slaves: BTreeSet<&'a str>,
    is_bridge: bool,
    families: Vec<Family>,
    comments: [Vec<String>; 2],
}

#[derive(Default)]
struct Reader<'a> {
    interfaces: BTreeMap<&'a str, Raw<'a>>,
    other_lines: Vec<String>,
    stanzas: usize,
}

impl<'a> Reader<'a> {
    fn read(mut self, text: &'a str) -> Interfaces {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let content = line.trim();
            let rest = content
                .split_once(char::is_whitespace)
                .map_or("", |(_, rest)| rest);
            match first_word(content) {
                word if word.is_empty() || word.starts_with('#') => {}
                "auto" | "allow-auto" | "allow-hotplug" | "allow-ovs" => {
                    for name in rest.split_whitespace() {
                        self.interfaces.entry(name).or_default().auto = true;
                    }
                }
                "iface" if is_stanza(rest) => {
                    let mut block = Vec::new();
                    while let Some(line) = lines.next_if(|line| !ends_stanza(line)) {
                        block.push(line.trim());
                    }
                    self.stanza(rest, &block);
                }
                _ => self.other_lines.push(content.to_owned()),
            }
        }
        self.finish()
    }

    fn stanza(&mut self, header: &'a str, block: &[&'a str]) {
        let mut words = header.split_whitespace();
        let name = words.next().unwrap_or_default();
        let (version, method) = match (words.next(), words.next()) {
            (Some("inet6"), Some(method)) => (IpVersion::V6, Method::read(method)),
            (Some(_), Some(method)) => (IpVersion::V4, Method::read(method)),
            _ => (IpVersion::Both, Method::Manual),
        };
        let raw = self.interfaces.entry(name).or_default();
        raw.stanza_order.get_or_insert(self.stanzas);
        self.stanzas += 1;
        let mut family = Family::new(version, method);
        let mut netmask = None;
        for line in block {
            if let Some(comment) = line.strip_prefix('#') {
                raw.comments[usize::from(version == IpVersion::V6)].push(comment.to_owned());
                continue;
            }
            let Some((key, value)) = line.split_once(char::is_whitespace) else {
                continue;
            };
            let value = value.trim_start();
            let spelt = key.replace('_', "-");
            match spelt.as_str() {
                "address" if family.address.is_some() => family.more.push(value.to_owned()),
                "address" => family.address = Some(value.to_owned()),
                "gateway" if family.gateway.is_some() => {
                    family.more_gateways.push(value.to_owned());
                }
                "gateway" => family.gateway = Some(value.to_owned()),
                "netmask" => netmask = Some(value),
                "broadcast" | "bridge-disable-mac-learning" | "uplink-id" => {}
                "bridge-ports" => {
                    raw.is_bridge = true;
                    raw.ports
                        .extend(value.split_whitespace().filter(|port| *port != "none"));
                }
                "bond-slaves" | "slaves" => {
                    raw.slaves
                        .extend(value.split_whitespace().filter(|port| *port != "none"));
                }
                known if RESERVED_OPTIONS.contains(&known) => {
                    raw.fields.insert(spelt, value);
                }
                _ => family.options.push((key.to_owned(), value.to_owned())),
            }
        }
        if let (Some(address), Some(netmask)) = (&mut family.address, netmask)
            && !address.contains('/')
        {
            *address = format!("{address}/{}", prefix_of(netmask));
        }
        raw.families.push(family);
    }

    fn finish(self) -> Interfaces {
        let mut named: Vec<(&str, Raw<'_>)> = self.interfaces.into_iter().collect();
        named.sort_by_key(|(name, raw)| (raw.stanza_order.unwrap_or(usize::MAX), *name));
        let ifaces = named
            .into_iter()
            .map(|(name, raw)| raw.finish(name))
            .collect();
        Interfaces {
            header: Vec::new(),
            ifaces,
            raw: String::new(),
            other_lines: self.other_lines,
        }
    }
}

impl Raw<'_> {
    /// What of Open vSwitch it is; Proxmox takes only cards, `bond` with a number, and names that are neither.
    fn ovs(&self) -> Option<InterfaceKind> {
        let field = |key: &str| self.fields.get(key).copied();
        let words = |key: &str| {
            let words: BTreeSet<&str> = field(key)
                .unwrap_or_default()
                .split_whitespace()
                .filter(|word| *word != "none")
                .collect();
            words.into_iter().map(str::to_owned).collect()
        };
        let kind = match field("ovs-type")? {
            "OVSBridge" => return Some(InterfaceKind::OvsBridge(words("ovs-ports"))),
            "OVSPort" => OvsPortKind::Card,
            "OVSIntPort" => OvsPortKind::Internal,
            "OVSBond" => OvsPortKind::Bond(words("ovs-bonds")),
            _ => return None,
        };
        Some(InterfaceKind::OvsPort(OvsPort {
            kind,
            bridge: field("ovs-bridge")?.to_owned(),
            options: field("ovs-options").map(str::to_owned),
        }))
    }

    fn finish(self, name: &str) -> Interface {
        let field = |key: &str| self.fields.get(key).copied();
        let number = |key: &str| field(key).and_then(|value| value.parse().ok());
        let owned = |words: &BTreeSet<&str>| words.iter().map(|word| (*word).to_owned()).collect();
        let numbered = |prefix: &str| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        };
        let raw_device = field("vlan-raw-device").map(str::to_owned);
        let kind = if self.is_bridge {
            let vlan_aware = field("bridge-vlan-aware").is_some();
            InterfaceKind::Bridge(Bridge {
                ports: owned(&self.ports),
                stp: field("bridge-stp")
                    .is_some_and(|stp| matches!(stp.to_ascii_lowercase().as_str(), "on" | "yes")),
                fd: number("bridge-fd"),
                vids: vlan_aware.then(|| field("bridge-vids").unwrap_or("2-4094").to_owned()),
            })
        } else if let Some(ovs) = self.ovs() {
            ovs
        } else if numbered("bond") {
            InterfaceKind::Bond(Bond {
                ports: owned(&self.slaves),
                mode: bond_mode(field("bond-mode").unwrap_or("balance-rr")).to_owned(),
                miimon: number("bond-miimon"),
                xmit_hash_policy: field("bond-xmit-hash-policy").map(str::to_owned),
                primary: field("bond-primary").map(str::to_owned),
            })
        } else if named_vlan(name).is_some() {
            InterfaceKind::Vlan {
                raw_device: None,
                id: None,
            }
        } else if raw_device.is_some() {
            let id = field("vlan-id")
                .and_then(|id| id.parse().ok())
                .filter(|_| !is_vlan_name(name));
            InterfaceKind::Vlan { raw_device, id }
        } else if name == "lo" {
            InterfaceKind::Loopback
        } else if is_card_name(name) {
            InterfaceKind::Card
        } else {
            InterfaceKind::Other
        };
        let mtu = number("mtu").or_else(|| number("ovs-mtu"));
        let [comments, comments6] = self.comments;
        let mut comments: Vec<String> = comments.into_iter().chain(comments6).collect();
        while comments.last().is_some_and(String::is_empty) {
            comments.pop();
        }
        Interface {
            name: name.to_owned(),
            kind,
            auto: self.auto,
            mtu,
            families: self.families,
            comments,
        }
    }
}

fn is_stanza(rest: &str) -> bool {
    let words: Vec<&str> = rest.split_whitespace().collect();
    matches!(words.as_slice(), [_] | [_, "inet" | "inet6", _])
}

/// A line that is neither a comment nor an option.
fn ends_stanza(line: &str) -> bool {
    let content = line.trim();
    let word = first_word(content);
    let starts_another = matches!(
        word,
        "iface" | "mapping" | "auto" | "source" | "source-directory"
    );
    !content.starts_with('#')
        && (starts_another || word.starts_with("allow-") || !content.contains(char::is_whitespace))
}

/// A netmask as the length of a prefix; a text that is no netmask is kept.
fn prefix_of(netmask: &str) -> String {
    match netmask.parse::<std::net::Ipv4Addr>() {
        Ok(mask) => mask.to_bits().leading_ones().to_string(),
        Err(_) => netmask.to_owned(),
    }
}

/// A bond mode by name; the kernel also numbers them.
pub fn bond_mode(mode: &str) -> &str {
    let names = [
        "balance-rr",
        "active-backup",
        "balance-xor",
        "broadcast",
        "802.3ad",
        "balance-tlb",
        "balance-alb",
    ];
    mode.parse::<usize>()
        .ok()
        .and_then(|number| names.get(number).copied())
        .unwrap_or(mode)
}

/// Names that Proxmox takes for a card without asking the kernel.
fn is_card_name(name: &str) -> bool {
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let child = name.contains(['.', ':']);
    let long = |prefix: &str| name.len() > prefix.len() && name.starts_with(prefix);
    !child && (["eth", "nic", "if"].into_iter().any(numbered) || long("en") || long("ib"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bridge(ports: &[&str]) -> Bridge {
        Bridge {
            ports: ports.iter().map(|port| (*port).to_owned()).collect(),
            ..Bridge::default()
        }
    }

    fn card(name: &str) -> Interface {
        Interface {
            auto: false,
            ..Interface::new(name, InterfaceKind::Card)
        }
    }

    fn file(interfaces: impl IntoIterator<Item = Interface>) -> Interfaces {
        let mut file = Interfaces::new();
        for interface in interfaces {
            file.push(interface)
                .expect("an interface that the file carries");
        }
        file
    }

    #[test]
    fn prints_in_proxmoxs_order_and_spelling() {
        let bond = Bond {
            ports: vec!["enp2s0".into(), "enp1s0".into()],
            mode: "802.3ad".into(),
            miimon: None,
            xmit_hash_policy: Some("layer2+3".into()),
            primary: Some("enp1s0".into()),
        };
        let mut vmbr0 = Interface::new(
            "vmbr0",
            InterfaceKind::Bridge(Bridge {
                vids: Some("2-4094".into()),
                ..bridge(&["bond0"])
            }),
        );
        vmbr0.mtu = Some(9000);
        vmbr0.families = vec![
            Family::fixed(IpVersion::V4, "10.0.0.2/24")
                .gateway(Some("10.0.0.1"))
                .option("post-up", "echo 1 > /x"),
            Family::fixed(IpVersion::V6, "fd00::2/64"),
        ];
        vmbr0.comments = vec!["the lab".into()];
        let mut vlan = Interface::new(
            "vlan20",
            InterfaceKind::Vlan {
                raw_device: Some("vmbr0".into()),
                id: Some(20),
            },
        );
        vlan.mtu = Some(1500);
        let mut custom = Interface::new(
            "lab",
            InterfaceKind::Vlan {
                raw_device: Some("vmbr0".into()),
                id: Some(30),
            },
        );
        custom.families =
            vec![Family::new(IpVersion::V4, Method::Dhcp).option("vlan-protocol", "802.1ad")];
        let mut file = file([
            custom,
            vlan,
            Interface::new(
                "vmbr0.10",
                InterfaceKind::Vlan {
                    raw_device: None,
                    id: None,
                },
            ),
            vmbr0,
            Interface::new("bond0", InterfaceKind::Bond(bond)),
            card("enp1s0"),
            card("enp2s0"),
            card("enp3s0"),
        ]);
        file.set_header("Generated.");
        file.push_line("source /etc/network/interfaces.d/*")
            .expect("a source line");
        let text = "# Generated.

auto lo
iface lo inet loopback

auto enp1s0
iface enp1s0 inet manual

auto enp2s0
iface enp2s0 inet manual

iface enp3s0 inet manual

auto bond0
iface bond0 inet manual
\tbond-slaves enp1s0 enp2s0
\tbond-miimon 100
\tbond-mode 802.3ad
\tbond-xmit-hash-policy layer2+3

auto vmbr0
iface vmbr0 inet static
\taddress 10.0.0.2/24
\tgateway 10.0.0.1
\tbridge-ports bond0
\tbridge-stp off
\tbridge-fd 0
\tbridge-vlan-aware yes
\tbridge-vids 2-4094
\tmtu 9000
\tpost-up echo 1 > /x
#the lab

iface vmbr0 inet6 static
\taddress fd00::2/64

auto vmbr0.10
iface vmbr0.10 inet manual

auto lab
iface lab inet dhcp
\tvlan-id 30
\tvlan-protocol 802.1ad
\tvlan-raw-device vmbr0

auto vlan20
iface vlan20 inet manual
\tmtu 1500
\tvlan-raw-device vmbr0

source /etc/network/interfaces.d/*
";
        assert_eq!(file.to_string(), text);
        let mut read = Interfaces::parse(text);
        read.set_header("Generated.");
        assert_eq!(read.to_string(), text);
    }

    #[test]
    fn an_empty_bridge_has_the_port_none() {
        let text = file([Interface::new(
            "vmbr1",
            InterfaceKind::Bridge(Bridge {
                stp: true,
                fd: Some(1),
                ..bridge(&[])
            }),
        )]);
        assert!(
            text.to_string()
                .ends_with("iface vmbr1 inet manual\n\tbridge-ports none\n\tbridge-stp on\n\n"),
            "{text}"
        );
    }

    #[test]
    fn reads_old_spellings() {
        let text = "auto lo vmbr0\niface lo inet loopback\n\niface vmbr0 inet static\n  address 10.0.0.2\n  netmask 255.255.255.0\n\
                    \x20 broadcast 10.0.0.255\n  bridge_ports eth1 eth0\n  bridge_stp yes\n  bridge_fd 4\n  # note\n\n# gone\n\
                    auto bond1\niface bond1 inet manual\n\tslaves none\n\tbond_mode 1\n\tup true\n";
        assert_eq!(
            Interfaces::parse(text).to_string(),
            "auto lo\niface lo inet loopback\n\nauto bond1\niface bond1 inet manual\n\tbond-slaves none\n\tbond-miimon 100\n\
             \tbond-mode active-backup\n\tup true\n\nauto vmbr0\niface vmbr0 inet static\n\taddress 10.0.0.2/24\n\
             \tbridge-ports eth0 eth1\n\tbridge-stp on\n\tbridge-fd 4\n# note\n\n"
        );
    }

    /// Proxmox VE knows `lo` where no line says so: what hangs on it is printed before the cards, also the second time.
    #[test]
    fn what_hangs_on_lo_has_its_place() {
        let printed =
            Interfaces::parse("auto eno1\niface eno1 inet manual\n\niface lo:1 inet manual\n");
        let text = "auto lo\niface lo inet loopback\n\niface lo:1 inet manual\n\nauto eno1\niface eno1 inet manual\n\n";
        assert_eq!(printed.to_string(), text);
        assert_eq!(Interfaces::parse(text).to_string(), text);
    }

    #[test]
    fn refuses_what_the_file_cannot_carry() {
        let why =
            |interface: Interface| Interfaces::new().push(interface).map_err(|error| error.why);
        let with = |key: &str, value: &str| Interface {
            families: vec![Family::new(IpVersion::V4, Method::Manual).option(key, value)],
            ..card("eth0")
        };
        assert_eq!(why(card("eth 0")), Err(Refusal::Blank));
        assert_eq!(why(card("")), Err(Refusal::Empty));
        assert_eq!(
            why(with("post-up", "a\nauto eth1")),
            Err(Refusal::Control('\n'))
        );
        assert_eq!(why(with("post-up", "a \\")), Err(Refusal::Continuation));
        assert_eq!(why(with("iface", "x")), Err(Refusal::BadName));
        assert_eq!(why(with("allow-hotplug", "x")), Err(Refusal::BadName));
        // A second address would be the only one after a rewrite.
        assert_eq!(why(with("address", "10.0.0.3/24")), Err(Refusal::BadName));
        assert_eq!(why(with("bridge_ports", "eth1")), Err(Refusal::BadName));
        assert_eq!(why(with("post-up", "a")), Ok(()));
        let comments = |comments: &[&str]| Interface {
            comments: comments
                .iter()
                .map(|comment| (*comment).to_owned())
                .collect(),
            ..card("eth0")
        };
        assert_eq!(why(comments(&[" a", "", " b"])), Ok(()));
        assert_eq!(why(comments(&["a", ""])), Err(Refusal::Empty));
        assert_eq!(why(comments(&["a "])), Err(Refusal::OuterBlank));
        assert_eq!(why(comments(&["ä"])), Err(Refusal::NotAscii));
        let mut file = file([card("eth0")]);
        assert_eq!(
            file.push(card("eth0")).map_err(|error| error.why),
            Err(Refusal::Twice)
        );
        assert_eq!(
            file.push_line("auto eth1").map_err(|error| error.why),
            Err(Refusal::BadName)
        );
    }

    fn interface() -> impl Strategy<Value = Interface> {
        let kind = prop_oneof![
            Just(InterfaceKind::Card),
            (
                any::<bool>(),
                proptest::option::of(0..40u32),
                proptest::option::of("[0-9-]{1,5}"),
                proptest::collection::btree_set("eth[0-9]", 0..3)
            )
                .prop_map(|(stp, fd, vids, ports)| InterfaceKind::Bridge(Bridge {
                    ports: ports.into_iter().collect(),
                    stp,
                    fd,
                    vids
                })),
            proptest::option::of("eth[0-9]|br0").prop_map(|raw_device| InterfaceKind::Vlan {
                raw_device,
                id: Some(7)
            }),
        ];
        let family = (
            0..3usize,
            "10\\.0\\.0\\.[0-9]/24",
            proptest::collection::vec(
                (
                    "post-up|mtu|vlan-protocol|bridge-learning|x-y",
                    "\\PC{0,10}|[# \\\\]{1,3}",
                ),
                0..3,
            ),
        )
            .prop_map(|(version, address, options)| Family {
                options,
                ..Family::fixed(
                    [IpVersion::V4, IpVersion::V6, IpVersion::Both][version],
                    address,
                )
            });
        (
            "eth[0-9]|br[0-9]|eth[0-9]\\.[0-9]|[#a-z ]{1,4}",
            kind,
            any::<bool>(),
            proptest::option::of(1280..9000u32),
            proptest::collection::vec(family, 0..3),
            proptest::collection::vec("\\PC{0,8}", 0..3),
        )
            .prop_map(|(name, kind, auto, mtu, families, comments)| Interface {
                name,
                kind,
                auto,
                mtu,
                families,
                comments,
            })
    }

    proptest! {
        /// What was accepted is kept by a rewrite.
        #[test]
        fn printing_is_a_fixed_point(interfaces in proptest::collection::vec(interface(), 0..5)) {
            let mut file = Interfaces::new();
            for interface in interfaces {
                let _ = file.push(interface);
            }
            let once = file.to_string();
            let twice = Interfaces::parse(&once).to_string();
            prop_assert_eq!(&Interfaces::parse(&twice).to_string(), &twice);
        }

        #[test]
        fn reading_anything_does_not_panic(text in "(auto |iface |inet |static|\n|\t|#|address |bond0|eth0\\.5|bridge-ports |\\PC{0,4}| ){0,40}") {
            let once = Interfaces::parse(&text).to_string();
            let twice = Interfaces::parse(&once).to_string();
            prop_assert_eq!(Interfaces::parse(&twice).to_string(), twice);
        }
    }
}
