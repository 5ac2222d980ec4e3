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
    interfaces: Vec<Interface>,
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
    /// Lines printed as `#text` at the end of the stanza, where Proxmox keeps them.
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
    /// The address with its prefix. There can be one only: Proxmox keeps the last.
    pub address: Option<String>,
    /// The default gateway.
    pub gateway: Option<String>,
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
            gateway: None,
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
    "ovs-mtu",
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
        self.interfaces.push(interface);
        Ok(())
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
        self.interfaces
            .iter()
            .find(|interface| interface.name == name)
    }

    /// The interfaces in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter()
    }

    /// The interfaces in the order in which Proxmox writes them: by what they are, a child (`x.5`,
    /// `x:1`) behind those of its parent's kind, else as they were added.
    fn in_print_order(&self) -> Vec<&Interface> {
        let mut interfaces: Vec<&Interface> = self.interfaces.iter().collect();
        interfaces.sort_by_key(|interface| {
            let mut names = interface.name.split(['.', ':']);
            let root = names.next().unwrap_or_default();
            let depth = names.count();
            let kind = if depth == 0 {
                Some(&interface.kind)
            } else {
                self.get(root).map(|root| &root.kind)
            };
            let rank = match kind {
                Some(InterfaceKind::Loopback) => 1,
                Some(InterfaceKind::Card) => 2,
                Some(InterfaceKind::Bond(_)) => 4,
                Some(InterfaceKind::Bridge(_)) => 5,
                Some(InterfaceKind::Vlan { .. }) => 6,
                Some(InterfaceKind::Other) | None => 7,
            };
            (rank, depth)
        });
        interfaces
    }

    fn bond_members(&self) -> BTreeSet<&str> {
        let bonds = self
            .interfaces
            .iter()
            .filter_map(|interface| match &interface.kind {
                InterfaceKind::Bond(bond) => Some(bond),
                _ => None,
            });
        bonds
            .flat_map(|bond| bond.ports.iter().map(String::as_str))
            .collect()
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
            if interface.auto || members.contains(interface.name.as_str()) {
                writeln!(f, "auto {}", interface.name)?;
            }
            print(interface, f)?;
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
                writeln!(f, "iface {} inet6 {}", interface.name, family.method.name())?
            }
            IpVersion::Both => writeln!(f, "iface {}", interface.name)?,
        }
        if let Some(address) = &family.address {
            writeln!(f, "\taddress {address}")?;
        }
        if let Some(gateway) = &family.gateway {
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
        if is_known(key) {
            sorted.insert(key, value.clone());
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
                    writeln!(f, "\tbond-primary {primary}")?
                }
                _ => {}
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
    if let Some(mtu) = interface.mtu {
        if mtu_in_place {
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

/// `<parent>.<id>`
fn named_vlan(name: &str) -> Option<(&str, u16)> {
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
        InterfaceKind::Vlan { raw_device, .. } => {
            raw_device.iter().try_for_each(|word| check_word(word))?
        }
        InterfaceKind::Loopback | InterfaceKind::Card | InterfaceKind::Other => {}
    }
    for family in &interface.families {
        check_word(family.method.name())?;
        family
            .address
            .iter()
            .chain(&family.gateway)
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
                "address" => family.address = Some(value.to_owned()),
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
        if let (Some(address), Some(netmask)) = (&mut family.address, netmask) {
            if !address.contains('/') {
                *address = format!("{address}/{}", prefix_of(netmask));
            }
        }
        raw.families.push(family);
    }

    fn finish(self) -> Interfaces {
        let mut named: Vec<(&str, Raw<'_>)> = self.interfaces.into_iter().collect();
        named.sort_by_key(|(name, raw)| (raw.stanza_order.unwrap_or(usize::MAX), *name));
        let interfaces = named
            .into_iter()
            .map(|(name, raw)| raw.finish(name))
            .collect();
        Interfaces {
            header: Vec::new(),
            interfaces,
            other_lines: self.other_lines,
        }
    }
}

impl Raw<'_> {
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

/// A netmask as the length of a prefix; one that is none stays as it is.
fn prefix_of(netmask: &str) -> String {
    match netmask.parse::<std::net::Ipv4Addr>() {
        Ok(mask) => mask.to_bits().leading_ones().to_string(),
        Err(_) => netmask.to_owned(),
    }
}

/// A bond mode by name; the kernel also numbers them.
fn bond_mode(mode: &str) -> &str {
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
