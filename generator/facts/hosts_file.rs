//! `/etc/hosts`: the name of a node has to stand for an address of its own, or Proxmox VE's services do not start
//! (`PVE::Cluster`, "Unable to get local IP address"). The rest of the file is the user's.

use std::net::IpAddr;

/// The node's own line of `/etc/hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostsLine {
    /// The address.
    pub address: IpAddr,
    /// Name and domain.
    pub fqdn: String,
    /// The name.
    pub name: String,
    /// Every fixed address of the host: where the name stands for one of these, it may stay so.
    pub own: Vec<IpAddr>,
}

impl HostsLine {
    /// The line as it is written.
    pub fn line(&self) -> String {
        format!("{} {} {}", self.address, self.fqdn, self.name)
    }

    /// The file as it has to be; none where it is so. The editor of the scripts that are applied does the same.
    pub fn edited(&self, now: &str) -> Option<String> {
        let mut text = String::new();
        let mut is_found = false;
        let mut place = None;
        for line in now.split_inclusive('\n') {
            let (said, comment) = line
                .find(['#', '\n'])
                .map_or((line, ""), |at| line.split_at(at));
            let mut words = said.split_whitespace();
            let address = words.next().unwrap_or_default();
            let names: Vec<&str> = words.collect();
            let is_named = names.iter().any(|name| self.is_ours(name));
            if !is_named || address.contains(':') != self.address.is_ipv6() {
                text.push_str(line);
            } else if address.parse().is_ok_and(|address| self.is_own(address)) {
                if is_found {
                    text.push_str(line);
                    continue;
                }
                is_found = true;
                let own = self.names_of_own(&names);
                if own == names {
                    text.push_str(line);
                } else {
                    text.push_str(&written(address, &own, comment));
                }
            } else {
                place.get_or_insert(text.len());
                let others: Vec<&str> = names
                    .into_iter()
                    .filter(|name| !is_same(name, &self.name) && !is_same(name, &self.fqdn))
                    .collect();
                if !others.is_empty() {
                    text.push_str(&written(address, &others, comment));
                }
            }
        }
        if !is_found {
            let line = format!("{}\n", self.line());
            if place.is_none() && !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.insert_str(place.unwrap_or(text.len()), &line);
        }
        (text != now).then_some(text)
    }

    /// The line of a text that says what the name stands for.
    pub fn said<'a>(&self, text: &'a str) -> Option<&'a str> {
        text.lines().find(|line| {
            let said = line.split('#').next().unwrap_or_default();
            said.split_whitespace()
                .skip(1)
                .any(|name| is_same(name, &self.name))
        })
    }

    fn is_own(&self, address: IpAddr) -> bool {
        address == self.address || self.own.contains(&address)
    }

    /// Whether a word is the node's name, with its domain or another or without.
    fn is_ours(&self, word: &str) -> bool {
        let host = word.split('.').next().unwrap_or_default();
        is_same(host, &self.name) || is_same(word, &self.fqdn)
    }

    /// The names of the line that has an address of the host: with the name, and with its domain in place of another.
    fn names_of_own<'a>(&'a self, names: &[&'a str]) -> Vec<&'a str> {
        let mut own = names.to_vec();
        if !own.iter().any(|name| is_same(name, &self.fqdn))
            && let Some(other) = own
                .iter_mut()
                .find(|name| !is_same(name, &self.name) && self.is_ours(name))
        {
            *other = &self.fqdn;
        }
        if !own.iter().any(|name| is_same(name, &self.name)) {
            own.push(&self.name);
        }
        own
    }
}

/// Names of hosts are the same in capitals, which Proxmox VE's installer takes.
fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

fn written(address: &str, names: &[&str], comment: &str) -> String {
    let blank = if comment.starts_with('#') { " " } else { "" };
    format!("{address} {}{blank}{comment}", names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nodes_names_change() {
        let line = HostsLine {
            address: "192.168.1.10".parse().expect("an address"),
            fqdn: "pve1.home.arpa".to_owned(),
            name: "pve1".to_owned(),
            own: vec!["10.0.0.1".parse().expect("an address")],
        };
        for (now, then) in [
            // As it should be, whatever stands beside it.
            ("192.168.1.10\tpve1.home.arpa pve1 nas # mine\n", None),
            ("192.168.1.10 pve1\n", None),
            ("10.0.0.1 pve1.home.arpa pve1\n", None),
            ("fd00::1 pve1\n192.168.1.10 pve1\n", None),
            // Another address, or none.
            (
                "127.0.0.1 localhost\n127.0.1.1 pve1.home.arpa pve1\n10.9.9.9 nas",
                Some("127.0.0.1 localhost\n192.168.1.10 pve1.home.arpa pve1\n10.9.9.9 nas"),
            ),
            (
                "127.0.0.1 localhost pve1 # all\n",
                Some("192.168.1.10 pve1.home.arpa pve1\n127.0.0.1 localhost # all\n"),
            ),
            (
                "10.9.9.9 nas",
                Some("10.9.9.9 nas\n192.168.1.10 pve1.home.arpa pve1\n"),
            ),
            ("", Some("192.168.1.10 pve1.home.arpa pve1\n")),
            // Another domain.
            (
                "192.168.1.10 pve1.old.lan pve1 alias # x\n",
                Some("192.168.1.10 pve1.home.arpa pve1 alias # x\n"),
            ),
            (
                "192.168.1.10 pve1.home.arpa\n",
                Some("192.168.1.10 pve1.home.arpa pve1\n"),
            ),
            // Twice: the first that is not ours would hide the second.
            (
                "10.9.9.9 pve1 box\n192.168.1.10 pve1.home.arpa pve1\n",
                Some("10.9.9.9 box\n192.168.1.10 pve1.home.arpa pve1\n"),
            ),
        ] {
            let edited = line.edited(now);
            assert_eq!(edited.as_deref(), then, "{now}");
            let again = edited.as_deref().and_then(|text| line.edited(text));
            assert_eq!(again, None, "{now}");
        }
    }
}
