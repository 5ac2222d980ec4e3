//! What `ip` says of the host's interfaces as they are now.

use serde_json::Value;

/// An interface that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its MAC address, in upper case.
    pub mac: Option<String>,
    /// The MAC address burnt into the card, where another one is set.
    pub permanent_mac: Option<String>,
    /// `bridge`, `bond`, `vlan`, `tun`, `veth`, …; nothing for a card.
    pub kind: Option<String>,
    /// The bridge or bond that it is a port of.
    pub master: Option<String>,
    /// Its MTU.
    pub mtu: Option<u32>,
    /// `UP`, `DOWN`, `UNKNOWN`.
    pub state: String,
    /// The PCI or USB device that it is, as in `0000:01:00.0`.
    pub device: Option<String>,
    /// Its addresses with their prefixes.
    pub addresses: Vec<String>,
}

/// Reads `ip -j -d link`, and `ip -j addr` into it.
pub fn read_links(links: &str, addresses: Option<&str>) -> Result<Vec<Link>, String> {
    let parse = |text: &str| -> Result<Vec<Value>, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match value {
            Value::Array(list) => Ok(list),
            _ => Err("it is no list".to_owned()),
        }
    };
    let mut read: Vec<Link> = parse(links)?.iter().filter_map(link).collect();
    let Some(addresses) = addresses else {
        return Ok(read);
    };
    for entry in parse(addresses)? {
        let name = entry["ifname"].as_str().unwrap_or_default();
        let Some(link) = read.iter_mut().find(|link| link.name == name) else {
            continue;
        };
        for address in entry["addr_info"].as_array().map_or(&[][..], Vec::as_slice) {
            if let (Some(local), Some(prefix)) =
                (address["local"].as_str(), address["prefixlen"].as_u64())
            {
                link.addresses.push(format!("{local}/{prefix}"));
            }
        }
    }
    Ok(read)
}

fn link(value: &Value) -> Option<Link> {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let mac = |key: &str| text(key).map(|mac| mac.to_ascii_uppercase());
    Some(Link {
        name: text("ifname")?,
        mac: mac("address"),
        permanent_mac: mac("permaddr"),
        kind: value["linkinfo"]["info_kind"].as_str().map(str::to_owned),
        master: text("master"),
        mtu: value["mtu"]
            .as_u64()
            .and_then(|mtu| u32::try_from(mtu).ok()),
        state: text("operstate").unwrap_or_default(),
        device: text("parentdev"),
        addresses: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_links_with_their_addresses() {
        let links = r#"[{"ifname":"eno1","address":"00:16:3e:00:00:01","mtu":1500,"operstate":"UP","master":"vmbr0",
            "parentbus":"pci","parentdev":"0000:01:00.0"},
            {"ifname":"vmbr0","address":"00:16:3e:00:00:01","operstate":"UP","linkinfo":{"info_kind":"bridge"}}]"#;
        let addresses = r#"[{"ifname":"vmbr0","addr_info":[{"local":"192.0.2.1","prefixlen":24},{"local":"fe80::1"}]}]"#;
        let read = read_links(links, Some(addresses)).expect("it is JSON");
        assert_eq!(read[0].mac.as_deref(), Some("00:16:3E:00:00:01"));
        assert_eq!(read[0].device.as_deref(), Some("0000:01:00.0"));
        assert_eq!(read[1].kind.as_deref(), Some("bridge"));
        assert_eq!(read[1].addresses, ["192.0.2.1/24"]);
        assert!(read_links("{}", None).is_err());
    }
}
