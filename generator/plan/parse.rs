//! Files of the host as options of objects.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::Object;
use super::items::{Items, Options};
use crate::pve::SectionConfig;
use crate::pve::interfaces::bond_mode;

/// The option under which a section's type goes.
pub(super) const TYPE: &str = "type";

/// The section of a file of the firewall whose lines are names with addresses.
pub(crate) const ALIASES: &str = "[ALIASES]";

/// The node that a line of a mapping is of.
pub(crate) fn node_of_map(line: &str) -> Option<&str> {
    part_of_map(line, "node")
}

/// What a line of a mapping says of one thing.
pub(super) fn part_of_map<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut parts = line.split(',');
    parts.find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

/// A section as its lines say it.
pub(crate) struct SectionText<'a> {
    /// `qemu: 100` without its type.
    pub(crate) id: &'a str,
    /// Before the colon; nothing in a file of mappings.
    pub(crate) kind: Option<&'a str>,
    /// Keys and values, one a line.
    pub(crate) properties: Vec<(&'a str, &'a str)>,
}

/// The sections of any file that Proxmox VE writes so, by what their lines look like.
pub(crate) fn section_texts(text: &str) -> Vec<SectionText<'_>> {
    let mut found: Vec<SectionText<'_>> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        if line.trim().is_empty() {
            is_open = false;
        } else if line.starts_with('#') {
        } else if !line.starts_with(char::is_whitespace) {
            let head = line.trim_end();
            let (kind, id) = match head.split_once(':') {
                Some((kind, id)) => (Some(kind), id.trim_start()),
                None => (None, head),
            };
            is_open = true;
            found.push(SectionText {
                id,
                kind,
                properties: Vec::new(),
            });
        } else if is_open && let Some(section) = found.last_mut() {
            let bare = line.trim();
            let (key, value) = bare.split_once(char::is_whitespace).unwrap_or((bare, ""));
            section.properties.push((key, value.trim_start()));
        }
    }
    found
}

/// A file of sections of which moxc has no schema.
pub(super) fn other_sections(path: &'static str, text: &str) -> Items {
    let mut items = Items::new();
    for section in section_texts(text) {
        let object = Object::Section(path, section.id.to_owned());
        let options = items.entry(object).or_default();
        let kind = section.kind.unwrap_or_default();
        options.insert(TYPE.to_owned(), kind.to_owned());
        for (key, value) in section.properties {
            options
                .entry(key.to_owned())
                .and_modify(|values: &mut String| {
                    values.push('\n');
                    values.push_str(value);
                })
                .or_insert_with(|| value.to_owned());
        }
    }
    items
}

/// `storage.cfg`, `jobs.cfg`, mappings; `object` names what a section is.
pub(super) fn sections(config: &SectionConfig, object: impl Fn(&str) -> Object) -> Items {
    let mut items = Items::new();
    for section in config.sections() {
        let mut options = Options::from([(TYPE.to_owned(), section.kind().to_owned())]);
        for (key, value) in section.properties() {
            let entry = options.entry(key.to_owned()).or_default();
            if !entry.is_empty() {
                entry.push('\n');
            }
            entry.push_str(value);
        }
        items.insert(object(section.id()), options);
    }
    items
}

/// `key: value` lines.
pub(super) fn colon_lines(text: &str, object: Object) -> Items {
    let options = lines_of(text)
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect();
    Items::from([(object, options)])
}

/// Lines that say something.
fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Words of a kernel's command line, by the name in front of `=`.
pub(super) fn tokens<'a>(words: impl Iterator<Item = &'a str>, options: &mut Options) {
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let entry = options.entry(name.to_owned()).or_default();
        // `console=` and the like may stand there several times.
        if !entry.is_empty() {
            if entry.split(' ').any(|own| own == value) {
                continue;
            }
            entry.push(' ');
        }
        entry.push_str(value);
    }
}

/// What GRUB's defaults tell the kernel: the words of `GRUB_CMDLINE_LINUX` and `GRUB_CMDLINE_LINUX_DEFAULT`.
pub(super) fn grub(text: &str, options: &mut Options) {
    for line in lines_of(text) {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        if !matches!(name, "GRUB_CMDLINE_LINUX" | "GRUB_CMDLINE_LINUX_DEFAULT") {
            continue;
        }
        let value = value.trim().trim_matches(['"', '\'']);
        tokens(
            value
                .split_whitespace()
                .filter(|word| !word.starts_with('$')),
            options,
        );
    }
}

/// Directives of modprobe.d: `options zfs zfs_arc_max=1` is `options zfs zfs_arc_max`, each parameter by itself.
pub(super) fn modprobe(text: &str) -> Options {
    let mut options = Options::new();
    for line in lines_of(text) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["options", module, ref parameters @ ..] => {
                for parameter in parameters {
                    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
                    let module = module.replace('-', "_");
                    options.insert(format!("options {module} {name}"), value.to_owned());
                }
            }
            [directive, module, ref rest @ ..] => {
                let module = module.replace('-', "_");
                let key = format!("{directive} {module}");
                let rest = rest.join(" ").replace('-', "_");
                let entry = options.entry(key).or_default();
                if !entry.is_empty() {
                    entry.push_str("; ");
                }
                entry.push_str(&rest);
            }
            [_] | [] => {}
        }
    }
    options
}

/// Modules to load, by name.
pub(super) fn modules(text: &str) -> Options {
    lines_of(text)
        .filter_map(|line| line.split_whitespace().next())
        .map(|name| (name.replace('-', "_"), String::new()))
        .collect()
}

/// A unit or a `.link` file: `Section.Key`, the values of a key that repeats one below the other.
pub(super) fn unit(text: &str) -> Options {
    let mut options = Options::new();
    let mut section = "";
    // A line that ends in a backslash goes on with the next.
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            section = name;
        } else if let Some((key, value)) = line.split_once('=') {
            let entry = options
                .entry(format!("{section}.{}", key.trim()))
                .or_default();
            if !entry.is_empty() {
                entry.push('\n');
            }
            entry.push_str(value.trim());
        }
    }
    options
}

/// A line of the firewall without its remark, spelled one way; none where nothing else is in it.
pub(crate) fn firewall_entry(line: &str) -> Option<String> {
    let line = line.split('#').next().unwrap_or_default();
    let mut words: Vec<&str> = line.split_whitespace().collect();
    // Not to log is what a rule does that does not say it.
    if let Some(at) = words.windows(2).position(|pair| pair == ["-log", "nolog"]) {
        words.drain(at..at + 2);
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// A file of the firewall: its options, each alias by its name, and each rule or member of a set by its section and text.
pub(super) fn firewall(text: &str) -> Options {
    let mut options = Options::new();
    let mut section = String::new();
    let mut place = 0;
    for line in text.lines() {
        let Some(line) = firewall_entry(line) else {
            continue;
        };
        if line.starts_with('[') {
            let end = line.find(']').map_or(line.len(), |end| end + 1);
            line[..end].clone_into(&mut section);
            place = 0;
        } else if section.eq_ignore_ascii_case("[OPTIONS]") {
            if let Some((key, value)) = line.split_once(':') {
                options.insert(key.trim().to_owned(), value.trim().to_owned());
            }
        } else if section.eq_ignore_ascii_case(ALIASES) {
            let (name, address) = line.split_once(' ').unwrap_or((&line, ""));
            options.insert(format!("{ALIASES} {name}"), address.to_owned());
        } else {
            place += 1;
            // The first of two equal rules counts.
            options
                .entry(format!("{section} {line}"))
                .or_insert_with(|| place.to_string());
        }
    }
    options
}

/// The rules of each section that `other` has as well, in the order of `own`; the order of aliases and sets says nothing.
pub(super) fn rules<'a>(own: &'a Options, other: &Options) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut placed: Vec<(&str, usize, &str)> = own
        .iter()
        .filter(|(key, _)| other.contains_key(*key))
        .filter_map(|(key, place)| {
            let (section, rule) = key.split_once("] ")?;
            let section = section.trim_start_matches('[');
            let is_ordered = section.eq_ignore_ascii_case("rules") || section.starts_with("group ");
            is_ordered.then(|| (section, place.parse().unwrap_or_default(), rule))
        })
        .collect();
    placed.sort_unstable();
    let mut rules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (section, _, rule) in placed {
        rules.entry(section).or_default().push(rule);
    }
    rules
}

/// The lines of `/etc/network/interfaces`, with their ends: one that ends in a backslash goes on with the next, a comment, too
/// (`process_interfaces` of ifupdown2).
pub(crate) fn whole_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut end = 0;
        for line in rest.split_inclusive('\n') {
            end += line.len();
            if !line.trim_end().ends_with('\\') {
                break;
            }
        }
        let (line, after) = rest.split_at(end);
        rest = after;
        (end > 0).then_some(line)
    })
}

/// A whole line as one.
pub(crate) fn unbroken(line: &str) -> Cow<'_, str> {
    if !line.contains('\\') {
        return Cow::Borrowed(line);
    }
    let lines = line.lines().map(str::trim_end);
    let parts: Vec<&str> = lines
        .map(|line| line.strip_suffix('\\').unwrap_or(line).trim())
        .collect();
    Cow::Owned(parts.join(" "))
}

/// `/etc/network/interfaces`: interfaces with their options, those of IPv6 behind `inet6 `.
pub(super) fn interfaces(text: &str) -> Items {
    let mut all: BTreeMap<String, Options> = BTreeMap::new();
    let mut autos = BTreeSet::new();
    let mut open: Option<(String, Option<&str>)> = None;
    for line in whole_lines(text).map(unbroken) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            // As Proxmox VE reads them: what is brought up by a card's appearing or by a bridge of Open vSwitch is, too.
            word if word == "auto" || word.starts_with("allow-") => {
                open = None;
                autos.extend(rest.split_whitespace().map(str::to_owned));
            }
            "iface" => {
                let mut words = rest.split_whitespace();
                let name = words.next().unwrap_or_default().to_owned();
                let family = match words.next() {
                    Some("inet6") => Some("inet6 "),
                    Some(_) => Some(""),
                    None => None,
                };
                let options = all.entry(name.clone()).or_default();
                if let Some(method) = words.next().filter(|method| *method != "manual") {
                    let family = family.unwrap_or_default();
                    options.insert(format!("{family}method"), method.to_owned());
                }
                open = Some((name, family));
            }
            "source" | "source-directory" | "mapping" => open = None,
            _ => {
                let Some((name, family)) = &open else {
                    continue;
                };
                let Some((key, rest)) = option_of(*family, word, rest) else {
                    continue;
                };
                let options = all.entry(name.clone()).or_default();
                let entry = options.entry(key).or_default();
                // One size of packets, said in both families.
                if entry == rest && word == "mtu" {
                    continue;
                }
                if !entry.is_empty() {
                    entry.push('\n');
                }
                entry.push_str(rest);
            }
        }
    }
    ports_of_bonds(&mut all);
    ports_of_ovs(&mut all);
    // What is brought up brings its ports up first, whether they are `auto` themselves or not.
    let carried: BTreeSet<String> = all
        .iter()
        .filter(|(name, _)| autos.contains(*name))
        .flat_map(|(_, options)| {
            let ports = ["bond-slaves", "bridge-ports", "ovs-ports", "ovs-bonds"]
                .map(|key| options.get(key));
            let ports = ports.into_iter().flatten();
            ports.flat_map(|ports| ports.split_whitespace().map(str::to_owned))
        })
        // The word for no port at all.
        .filter(|port| port != "none")
        .collect();
    // A port needs no stanza: ifupdown2 brings it up with what takes it, and makes a VLAN.
    for port in &carried {
        all.entry(port.clone()).or_default();
    }
    autos.extend(carried);
    let mut items = Items::new();
    for (name, mut options) in all {
        if name == "lo" {
            // It is there anyway; what is said of it besides counts.
            options.retain(|key, value| !(key.ends_with("method") && value == "loopback"));
            if options.is_empty() {
                continue;
            }
        }
        if name.is_empty() {
            continue;
        }
        if autos.contains(&name) {
            options.insert("auto".to_owned(), "1".to_owned());
        }
        for family in ["", "inet6 "] {
            netmask(&mut options, family);
            whole_addresses(&mut options, family);
            let method = format!("{family}method");
            if options.contains_key(&format!("{family}address")) {
                options.entry(method).or_insert_with(|| "static".to_owned());
            } else if options
                .get(&method)
                .is_some_and(|method| method == "static")
            {
                options.remove(&method);
            }
        }
        items.insert(Object::Interface(name), options);
    }
    items
}

/// The option that a line says in a stanza of this family (`inet6 `, or nothing), and its value as the kernel would show it;
/// none where it follows from another line.
pub(crate) fn option_of<'a>(
    family: Option<&str>,
    word: &str,
    value: &'a str,
) -> Option<(String, &'a str)> {
    let key = word.replace('_', "-");
    let is_v6 = matches!(key.as_str(), "address" | "gateway") && value.contains(':');
    // A stanza without a family has the addresses of both, and ifupdown2 takes one of the other family, too.
    let family = match family {
        Some(family) if !is_v6 => family,
        Some(_) | None if is_v6 => "inet6 ",
        Some(_) | None => "",
    };
    let key = match key.as_str() {
        "slaves" => "bond-slaves".to_owned(),
        // They follow from the address.
        "network" | "broadcast" => return None,
        "ovs-mtu" => "mtu".to_owned(),
        _ if is_of_link(&key) => key,
        _ => format!("{family}{key}"),
    };
    let value = spelt(&key, value);
    Some((key, value))
}

/// Whether an option is of the interface itself, in whatever stanza of it it stands.
fn is_of_link(key: &str) -> bool {
    let of_kind = ["bridge-", "bond-", "ovs-", "vlan-", "vxlan-"];
    matches!(key, "mtu" | "hwaddress" | "link-type") || of_kind.iter().any(|of| key.starts_with(of))
}

/// What a bridge of Open vSwitch takes is a port of it, whether its own stanza says so or not.
fn ports_of_ovs(all: &mut BTreeMap<String, Options>) {
    let ports: Vec<(String, String)> = all
        .iter()
        .filter_map(|(bridge, options)| Some((bridge, options.get("ovs-ports")?)))
        .flat_map(|(bridge, ports)| {
            let ports = ports.split_whitespace();
            ports.map(|port| (port.to_owned(), bridge.clone()))
        })
        .collect();
    for (port, bridge) in ports {
        let options = all.entry(port).or_default();
        options
            .entry("ovs-type".to_owned())
            .or_insert_with(|| "OVSPort".to_owned());
        options.entry("ovs-bridge".to_owned()).or_insert(bridge);
    }
}

/// The kernel gives the packet size of a bond to its ports, whether the file says so or not.
fn ports_of_bonds(all: &mut BTreeMap<String, Options>) {
    let sizes: Vec<(String, String)> = all
        .values()
        .filter_map(|bond| {
            let ports = bond.get("bond-slaves").or_else(|| bond.get("ovs-bonds"))?;
            Some((ports, bond.get("mtu")?))
        })
        .flat_map(|(ports, mtu)| {
            let ports = ports.split_whitespace();
            ports.map(|port| (port.to_owned(), mtu.clone()))
        })
        .collect();
    for (port, mtu) in sizes {
        let options = all.entry(port).or_default();
        options.entry("mtu".to_owned()).or_insert(mtu);
    }
}

/// A value by the name that the kernel shows, where there is a number for it, too.
fn spelt<'a>(key: &str, value: &'a str) -> &'a str {
    match (key, value) {
        ("bond-mode", mode) => bond_mode(mode),
        ("bond-xmit-hash-policy", "0") => "layer2",
        ("bond-xmit-hash-policy", "1") => "layer3+4",
        ("bond-xmit-hash-policy", "2") => "layer2+3",
        ("bond-lacp-rate", "0") => "slow",
        ("bond-lacp-rate", "1") => "fast",
        _ => value,
    }
}

/// `address` and `netmask` of a family as one.
fn netmask(options: &mut Options, family: &str) {
    let key = format!("{family}netmask");
    let Some(mask) = options.get(&key).cloned() else {
        return;
    };
    let prefix = match mask.parse::<std::net::Ipv4Addr>() {
        Ok(mask) => u32::from(mask).leading_ones().to_string(),
        Err(_) => mask,
    };
    if let Some(address) = options.get_mut(&format!("{family}address"))
        && !address.contains('/')
    {
        *address = format!("{address}/{prefix}");
        options.remove(&key);
    }
}

/// An address without a prefix is one alone.
fn whole_addresses(options: &mut Options, family: &str) {
    let Some(addresses) = options.get_mut(&format!("{family}address")) else {
        return;
    };
    let whole: Vec<String> = addresses
        .split('\n')
        .map(|address| match address.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(_)) => format!("{address}/32"),
            Ok(std::net::IpAddr::V6(_)) => format!("{address}/128"),
            Err(_) => address.to_owned(),
        })
        .collect();
    *addresses = whole.join("\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stanzas_in_any_spelling() {
        let one = interfaces(
            "auto lo\niface lo inet loopback\n\nauto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.1\n\tnetmask \
             255.255.255.0\n\tbridge_ports eno1\n\tpost-up a\n\tpost-up b\n\niface vmbr0 inet6 static\n\taddress fd00::1/64\n",
        );
        let vmbr0 = &one[&Object::Interface("vmbr0".to_owned())];
        let shown: Vec<String> = vmbr0
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            shown,
            [
                "address=192.0.2.1/24",
                "auto=1",
                "bridge-ports=eno1",
                "inet6 address=fd00::1/64",
                "inet6 method=static",
                "method=static",
                "post-up=a\nb",
            ]
        );
        // Its port comes up with it, whether or not it has a stanza.
        let eno1 = &one[&Object::Interface("eno1".to_owned())];
        assert_eq!(eno1.get("auto").map(String::as_str), Some("1"));
        assert_eq!(one.len(), 2);
    }

    #[test]
    fn a_bridge_without_a_port_brings_up_nothing_else() {
        let one = interfaces("auto vmbr1\niface vmbr1 inet manual\n\tbridge-ports none\n");
        assert_eq!(
            one.keys().collect::<Vec<_>>(),
            [&Object::Interface("vmbr1".to_owned())]
        );
    }

    #[test]
    fn takes_stanzas_for_what_ifupdown2_makes_of_them() {
        let of = |text: &str| interfaces(text);
        let one = |address: &str| format!("auto vmbr0\niface vmbr0{address}\tbridge-ports none\n");
        // Without a family, and with one of each.
        assert_eq!(
            of(&one("\n\taddress 192.0.2.1/24\n\taddress fd00::1/64\n")),
            of(&format!(
                "{}iface vmbr0 inet6 static\n\taddress fd00::1/64\n",
                one(" inet static\n\taddress 192.0.2.1/24\n")
            ))
        );
        // A single address needs no prefix; what follows from it is no option.
        assert_eq!(
            of(&one(
                " inet static\n\taddress 192.0.2.1\n\tnetwork 192.0.2.0\n"
            )),
            of(&one(" inet static\n\taddress 192.0.2.1/32\n"))
        );
        // What a bridge of Open vSwitch takes is its port, and a bond's packet size that of its ports.
        let bridge =
            "auto vmbr1\niface vmbr1 inet manual\n\tovs_type OVSBridge\n\tovs_ports eno1\n";
        assert_eq!(
            of(&format!("{bridge}iface eno1 inet manual\n")),
            of(&format!(
                "{bridge}allow-vmbr1 eno1\niface eno1 inet manual\n\tovs_bridge vmbr1\n\tovs_type OVSPort\n"
            ))
        );
        let bond = "auto bond0\niface bond0 inet manual\n\tbond-slaves eno1\n\tmtu 9000\n";
        assert_eq!(
            of(bond),
            of(&format!("{bond}iface eno1 inet manual\n\tmtu 9000\n"))
        );
    }

    #[test]
    fn takes_the_boot_apart() {
        let mut words = Options::new();
        grub(
            "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT quiet console=tty0 console=ttyS0\"\n",
            &mut words,
        );
        assert_eq!(words["console"], "tty0 ttyS0");
        assert_eq!(words["quiet"], "");
        let modprobe =
            modprobe("# x\noptions vfio-pci ids=10de:1,10de:2 disable_vga=1\nblacklist nouveau\n");
        assert_eq!(modprobe["options vfio_pci ids"], "10de:1,10de:2");
        assert!(modprobe.contains_key("blacklist nouveau"));
    }

    #[test]
    fn takes_units_and_firewalls_apart() {
        let unit = unit("# x\n[Unit]\nAfter=a\nAfter=b\n[Service]\nExecStart=/bin/x \\\n  y\n");
        assert_eq!(unit["Unit.After"], "a\nb");
        assert!(unit["Service.ExecStart"].ends_with('y'));
        let fw = firewall(
            "[OPTIONS]\n\nenable: 1\n\n[RULES]\n\nIN  ACCEPT -p tcp # ssh\n[IPSET a]\n192.0.2.1\n",
        );
        assert_eq!(fw["enable"], "1");
        assert!(
            fw.contains_key("[RULES] IN ACCEPT -p tcp") && fw.contains_key("[IPSET a] 192.0.2.1")
        );
    }
}
