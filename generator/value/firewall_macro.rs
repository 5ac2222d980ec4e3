//! The macros of Proxmox VE's firewall: names for the protocols and ports of a service (`$pve_fw_macros` and
//! `$pve_ipv6fw_macros` of pve-firewall 6.0.4; their names and numbers are those of Proxmox VE 8.0 already).

use super::firewall::Family;
use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;
use crate::near::nearest;

/// A protocol, the ports that it goes to, and those that it comes from; an empty text is any.
type Part = (&'static str, &'static str, &'static str);

/// One macro.
#[derive(Debug, PartialEq, Eq)]
struct Macro {
    name: &'static str,
    /// What it stands for where no address of IPv6 is named; nothing for one that is of IPv6 alone.
    v4: &'static [Part],
    /// What it stands for beside addresses of IPv6.
    v6: &'static [Part],
}

const fn both(name: &'static str, parts: &'static [Part]) -> Macro {
    Macro {
        name,
        v4: parts,
        v6: parts,
    }
}

const MACROS: &[Macro] = &[
    both("Amanda", &[("udp", "10080", ""), ("tcp", "10080", "")]),
    both("Auth", &[("tcp", "113", "")]),
    both("BGP", &[("tcp", "179", "")]),
    both(
        "BitTorrent",
        &[("tcp", "6881:6889", ""), ("udp", "6881", "")],
    ),
    both(
        "BitTorrent32",
        &[("tcp", "6881:6999", ""), ("udp", "6881", "")],
    ),
    both(
        "Ceph",
        &[
            ("tcp", "6789", ""),
            ("tcp", "3300", ""),
            ("tcp", "6800:7300", ""),
        ],
    ),
    both(
        "Citrix",
        &[
            ("tcp", "1494", ""),
            ("udp", "1604", ""),
            ("tcp", "2598", ""),
        ],
    ),
    both("CVS", &[("tcp", "2401", "")]),
    both("DAAP", &[("tcp", "3689", ""), ("udp", "3689", "")]),
    both("DCC", &[("tcp", "6277", "")]),
    both("DHCPfwd", &[("udp", "67:68", "67:68")]),
    Macro {
        name: "DHCPv6",
        v4: &[],
        v6: &[("udp", "546:547", "546:547")],
    },
    both("Distcc", &[("tcp", "3632", "")]),
    both("DNS", &[("udp", "53", ""), ("tcp", "53", "")]),
    both("Finger", &[("tcp", "79", "")]),
    both("FTP", &[("tcp", "21", "")]),
    both("Git", &[("tcp", "9418", "")]),
    both(
        "GNUnet",
        &[
            ("tcp", "2086", ""),
            ("udp", "2086", ""),
            ("tcp", "1080", ""),
            ("udp", "1080", ""),
        ],
    ),
    both("GRE", &[("47", "", "")]),
    both("HKP", &[("tcp", "11371", "")]),
    both("HTTP", &[("tcp", "80", "")]),
    both("HTTPS", &[("tcp", "443", "")]),
    both("ICPV2", &[("udp", "3130", "")]),
    both("ICQ", &[("tcp", "5190", "")]),
    both("IMAP", &[("tcp", "143", "")]),
    both("IMAPS", &[("tcp", "993", "")]),
    both("IPIP", &[("94", "", "")]),
    both("IPsec", &[("udp", "500", "500"), ("50", "", "")]),
    both("IPsecah", &[("udp", "500", "500"), ("51", "", "")]),
    both(
        "IPsecnat",
        &[("udp", "500", ""), ("udp", "4500", ""), ("50", "", "")],
    ),
    both("IRC", &[("tcp", "6667", "")]),
    both("Jetdirect", &[("tcp", "9100", "")]),
    both("L2TP", &[("udp", "1701", "")]),
    both("LDAP", &[("tcp", "389", "")]),
    both("LDAPS", &[("tcp", "636", "")]),
    both(
        "Mail",
        &[("tcp", "25", ""), ("tcp", "465", ""), ("tcp", "587", "")],
    ),
    both("MDNS", &[("udp", "5353", "")]),
    both("MSNP", &[("tcp", "1863", "")]),
    both("MSSQL", &[("tcp", "1433", "")]),
    both("Munin", &[("tcp", "4949", "")]),
    both("MySQL", &[("tcp", "3306", "")]),
    Macro {
        name: "NeighborDiscovery",
        v4: &[],
        v6: &[
            ("icmpv6", "router-solicitation", ""),
            ("icmpv6", "router-advertisement", ""),
            ("icmpv6", "neighbor-solicitation", ""),
            ("icmpv6", "neighbor-advertisement", ""),
        ],
    },
    both("NNTP", &[("tcp", "119", "")]),
    both("NNTPS", &[("tcp", "563", "")]),
    both("NTP", &[("udp", "123", "")]),
    both("OpenVPN", &[("udp", "1194", "")]),
    both("OSPF", &[("89", "", "")]),
    both("PCA", &[("udp", "5632", ""), ("tcp", "5631", "")]),
    Macro {
        name: "Ping",
        v4: &[("icmp", "echo-request", "")],
        v6: &[("icmpv6", "echo-request", "")],
    },
    both("PMG", &[("tcp", "8006", "")]),
    both("POP3", &[("tcp", "110", "")]),
    both("POP3S", &[("tcp", "995", "")]),
    both("PostgreSQL", &[("tcp", "5432", "")]),
    both("PPtP", &[("47", "", ""), ("tcp", "1723", "")]),
    both("Printer", &[("tcp", "515", "")]),
    both("Razor", &[("tcp", "2703", "")]),
    both("Rdate", &[("tcp", "37", "")]),
    both("RDP", &[("tcp", "3389", "")]),
    both("RIP", &[("udp", "520", "")]),
    both("RNDC", &[("tcp", "953", "")]),
    both("Rsync", &[("tcp", "873", "")]),
    both("SANE", &[("tcp", "6566", "")]),
    both(
        "SixXS",
        &[
            ("tcp", "3874", ""),
            ("udp", "3740", ""),
            ("41", "", ""),
            ("udp", "5072,8374", ""),
        ],
    ),
    both(
        "SMB",
        &[
            ("udp", "135,445", ""),
            ("udp", "137:139", ""),
            ("udp", "1024:65535", "137"),
            ("tcp", "135,139,445", ""),
        ],
    ),
    both("SMBswat", &[("tcp", "901", "")]),
    both("SMTP", &[("tcp", "25", "")]),
    both("SMTPS", &[("tcp", "465", "")]),
    both("SNMP", &[("udp", "161:162", ""), ("tcp", "161", "")]),
    both("SPAMD", &[("tcp", "783", "")]),
    both("SPICEproxy", &[("tcp", "3128", "")]),
    both("Squid", &[("tcp", "3128", "")]),
    both("SSH", &[("tcp", "22", "")]),
    both("Submission", &[("tcp", "587", "")]),
    both("SVN", &[("tcp", "3690", "")]),
    both("Syslog", &[("udp", "514", ""), ("tcp", "514", "")]),
    both("Telnet", &[("tcp", "23", "")]),
    both("Telnets", &[("tcp", "992", "")]),
    both("TFTP", &[("udp", "69", "")]),
    both("Time", &[("tcp", "37", "")]),
    Macro {
        name: "Trcrt",
        v4: &[("udp", "33434:33524", ""), ("icmp", "echo-request", "")],
        v6: &[("udp", "33434:33524", ""), ("icmpv6", "echo-request", "")],
    },
    both("VNC", &[("tcp", "5900:5999", "")]),
    both("VNCL", &[("tcp", "5500", "")]),
    both("Web", &[("tcp", "80", ""), ("tcp", "443", "")]),
    both("Webcache", &[("tcp", "8080", "")]),
    both("Webmin", &[("tcp", "10000", "")]),
    both("Whois", &[("tcp", "43", "")]),
];

const NAMES: [&str; MACROS.len()] = {
    let mut names = [""; MACROS.len()];
    let mut at = 0;
    while at < MACROS.len() {
        names[at] = MACROS[at].name;
        at += 1;
    }
    names
};

/// A service of a firewall's rule, by the name that Proxmox VE has for its protocols and ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirewallMacro(&'static Macro);

impl FirewallMacro {
    /// The name, as Proxmox VE spells it.
    pub fn as_str(self) -> &'static str {
        self.0.name
    }

    /// Its protocols and ports, beside addresses of a family.
    pub(super) fn parts(self, family: Option<Family>) -> &'static [Part] {
        match family {
            None if self.0.v4.is_empty() => self.0.v6,
            Some(Family::V4) | None => self.0.v4,
            Some(Family::V6) => self.0.v6,
        }
    }
}

impl std::fmt::Display for FirewallMacro {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SpecString for FirewallMacro {
    const CODE: Code = Code::MOX0005;
    const WHAT: &'static str = "a macro of Proxmox VE's firewall, as `\"SSH\"`";

    fn parse(text: &str) -> Result<Self, ValueError> {
        // Proxmox VE takes any case, and writes its own.
        let known = |name: &&Macro| name.name.eq_ignore_ascii_case(text);
        if let Some(found) = MACROS.iter().find(known) {
            return Ok(Self(found));
        }
        let why = format!("no macro `{}`", text.escape_debug());
        let wrong = ValueError::whole(text, why);
        Err(match nearest(text, NAMES) {
            Some(near) => wrong.help(format!("did you mean `{near}`?")),
            None => wrong
                .help("`moxc explain MOX0662` lists them; for others say `protocol` and `port`"),
        })
    }

    fn examples() -> &'static [&'static str] {
        &NAMES
    }
}
spec_string!(FirewallMacro, "FirewallMacro");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_proxmox_ves_own_in_any_case() {
        let read = |text: &str| FirewallMacro::parse(text).map(FirewallMacro::as_str);
        assert_eq!(read("ssh").as_deref(), Ok("SSH"));
        assert_eq!(read("postgresql").as_deref(), Ok("PostgreSQL"));
        let wrong = FirewallMacro::parse("htps").expect_err("no such macro");
        assert_eq!(wrong.help.as_deref(), Some("did you mean `HTTPS`?"));
    }

    #[test]
    fn the_manual_lists_them() {
        let page = include_str!("../../docs/errors/MOX0662.md");
        let listed = NAMES.map(|name| format!("`{name}`")).join(", ");
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.contains(&listed), "{listed}");
    }

    #[test]
    fn the_list_is_sorted_and_every_macro_stands_for_something() {
        for pair in MACROS.windows(2) {
            let [first, second] = [&pair[0], &pair[1]].map(|known| known.name.to_lowercase());
            assert!(first < second, "{first} before {second}");
        }
        for known in MACROS {
            assert!(!known.v6.is_empty(), "{}", known.name);
        }
    }
}
