//! What is checked, as `docs/checks.md` lists it; and the checks that are none, because what moxc writes cannot fail them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use moxc::diagnostics::Code;
use moxc::targets::Target;

use crate::in_memory::build;
use crate::program::tests;

/// Codes of what one target cannot say; their own parts of the documentation tell of them.
const OF_TARGETS: [std::ops::RangeInclusive<&str>; 2] =
    ["MOX0620"..="MOX0639", "MOX0730"..="MOX0749"];

#[test]
fn the_list_of_checks_is_complete() {
    let root = tests().join("..");
    let page = fs::read_to_string(root.join("docs/checks.md")).expect("the page");
    let mut listed = BTreeSet::new();
    let rows = page.lines().filter(|line| {
        line.starts_with("| ") && line.as_bytes().get(2).is_some_and(u8::is_ascii_digit)
    });
    for (at, row) in rows.clone().enumerate() {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, what, codes, rest] = cells[..] else {
            panic!("four cells: {row}");
        };
        assert_eq!(number, (at + 1).to_string(), "the numbers go up by one");
        assert!(what.ends_with('.') && what.len() > 20, "{row}");
        let codes: Vec<&str> = codes.split(", ").filter(|code| !code.is_empty()).collect();
        for code in &codes {
            let name = &code[1..8];
            assert_eq!(*code, format!("[{name}](errors/{name}.md)"));
            let known: Code = name.parse().unwrap_or_else(|()| panic!("no code {name}"));
            listed.insert(known);
        }
        let tests: Vec<&str> = rest
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|text| text.contains(".rs: "))
            .collect();
        for test in &tests {
            let (file, name) = test.split_once(": ").expect("a file and a test");
            let text = fs::read_to_string(root.join(file)).unwrap_or_default();
            assert!(
                text.contains(&format!("fn {name}()")),
                "{number}: no test {test}"
            );
        }
        assert!(
            !codes.is_empty() || !rest.is_empty(),
            "{number} has no code, no test and no reason"
        );
    }
    assert!(rows.count() >= 72);
    for code in Code::ALL {
        let name = code.as_str();
        let ours = ("MOX0100".."MOX0800").contains(&name)
            && !OF_TARGETS.iter().any(|range| range.contains(&name));
        assert!(
            !ours || listed.contains(code),
            "{code} ({}) answers no check of docs/checks.md",
            code.title()
        );
    }
}

/// Every file of a host's output, one after the other with their paths.
fn output(spec: &str) -> String {
    let files = build("host.toml", spec, Target::ALL);
    let mut all = String::new();
    for file in files.iter() {
        writeln!(all, "### {}", file.path).expect("a string takes all text");
        all.push_str(&String::from_utf8_lossy(&file.contents));
        all.push('\n');
    }
    all
}

/// One of the files of [`output`].
fn part<'a>(output: &'a str, path: &str) -> &'a str {
    let files = output.split("### ").skip(1);
    let mut texts = files.filter_map(|file| file.split_once('\n'));
    let file = texts.find(|(name, _)| name.ends_with(path));
    file.unwrap_or_else(|| panic!("no {path}")).1
}

const EXAMPLES: [&str; 5] = [
    include_str!("../examples/homelab.toml"),
    include_str!("../examples/bighost.toml"),
    include_str!("../examples/mini.toml"),
    include_str!("../examples/nixos-host.toml"),
    include_str!("../examples/minipc.toml"),
];

#[test]
fn every_example_builds() {
    for spec in EXAMPLES {
        assert!(!output(spec).is_empty());
    }
}

/// qm-pci-passthrough.adoc: Intel's needs the parameter up to kernel 6.7, AMD's is on; `iommu=pt` spares the host's own
/// devices the translation.
#[test]
fn a_host_that_passes_devices_through_has_its_iommu_on() {
    let amd = EXAMPLES[0];
    for (vendor, intel) in [
        ("vendor  = \"amd\"", false),
        ("vendor  = \"intel\"", true),
        ("", true),
    ] {
        let spec = amd.replacen("vendor  = \"amd\"", vendor, 1);
        let output = output(&spec);
        for path in ["etc/kernel/cmdline", "etc/default/grub.d/moxc.cfg"] {
            let text = part(&output, path);
            assert!(text.contains(" iommu=pt"), "{vendor}: {text}");
            assert_eq!(text.contains(" intel_iommu=on"), intel, "{vendor}: {text}");
        }
    }
    let without = amd.replacen("passthrough = [\"gpu\", \"gpu-audio\", \"usb\"]", "", 1);
    assert_ne!(without, amd);
    assert!(!output(&without).contains("iommu=pt"));
}

#[test]
fn of_two_cards_of_one_id_the_host_keeps_its_own() {
    let spec = EXAMPLES[0].replacen(
        "[network]\n",
        "usb-host = { address = \"0b:00.0\", class = \"usb\", id = \"1022:149c\", iommu-group = 30 }\n\n[network]\n",
        1,
    );
    let output = output(&spec);
    let vfio = part(&output, "etc/modprobe.d/vfio.conf");
    assert!(
        vfio.contains("10de:2504") && !vfio.contains("1022:149c"),
        "{vfio}"
    );
    let rules = part(&output, "etc/udev/rules.d/10-vfio.rules");
    assert!(
        rules.contains("0000:03:00.0") && !rules.contains("0b:00.0"),
        "{rules}"
    );
}

/// `local-zfs.adoc`, "SWAP on ZFS": it can block the host.
#[test]
fn nothing_swaps_to_a_volume() {
    for spec in EXAMPLES {
        let output = output(spec);
        for line in output.lines() {
            let line = line.trim_start();
            let swaps = ["mkswap", "swapon", "swapDevices", "zvol_use_swap"]
                .iter()
                .any(|word| line.contains(word));
            // Only the module of a host whose root is in a volume group of LVM says a device there.
            let is_module = line.starts_with("swapDevices = lib.optional (cfg.swapDevice != null)");
            assert!(!swaps || is_module || line.starts_with('#'), "{line}");
            assert!(!line.starts_with("swapDevice = lib.mkDefault"), "{line}");
        }
    }
}

/// One spec has the same output and the same warnings on every day and every machine.
#[test]
fn nothing_below_the_command_line_reads_the_clock() {
    let mut folders = vec![tests().join("../generator")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("cli") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files += 1;
                let text = fs::read_to_string(&path).expect("a source");
                for word in [
                    "::now(",
                    "SystemTime",
                    "UNIX_EPOCH.elapsed",
                    "env::var(",
                    "TimeZone::system",
                ] {
                    assert!(!text.contains(word), "{}: {word}", path.display());
                }
            }
        }
    }
    assert!(files > 80, "{files} sources");
}

const NETWORK: &str = "[host]\nname = \"pve1\"\nrelease = \"9.2\"\ntimezone = \"UTC\"\n\
    [hardware.nics]\nlan0 = { interface = \"eno1\", mac = \"00:00:5E:00:53:01\" }\n";

/// ifupdown2 brings a bridge's port up with the bridge alone, in the order of the file; before it a VLAN of the port is down
/// and takes no default route. Tried with ifupdown2 3.3.0: the host had none after it started.
#[test]
fn a_vlan_of_a_bridges_port_comes_behind_the_bridge() {
    let output = output(&format!(
        "{NETWORK}[network.interfaces.mgmt]\non = \"lan0\"\nvlan = 10\naddress = \"192.0.2.2/24\"\ngateway = \"192.0.2.1\"\n\
         [network.bridges.vmbr0]\nports = [\"lan0\"]\n"
    ));
    let file = part(&output, "proxmox/etc/network/interfaces");
    let at = |stanza: &str| file.find(stanza).expect(stanza);
    assert!(at("iface vmbr0 ") < at("iface eno1.10 "), "{file}");
}

/// The kernel takes no route by a router that is in no network of its own, nor, once it is there, by one that the route itself
/// leads to.
#[test]
fn a_route_by_a_router_beyond_says_that_it_is_on_the_cable() {
    let network = "[network.bridges.vmbr0]\nports = [\"lan0\"]\naddress = \"203.0.113.10/32\"\ngateway = \"203.0.113.1\"\n\
        routes = [{ to = \"10.0.0.0/8\", via = \"203.0.113.1\" }]\n\
        [network.bridges.vmbr1]\naddress = \"192.0.2.10/26\"\n\
        routes = [{ to = \"192.0.2.0/26\", via = \"192.0.2.1\" }, { to = \"198.51.100.0/24\", via = \"192.0.2.1\" }]\n";
    let proxmox = output(&format!("{NETWORK}{network}"));
    let file = part(&proxmox, "proxmox/etc/network/interfaces");
    for line in [
        "route replace 10.0.0.0/8 via 203.0.113.1 dev vmbr0 onlink\n",
        "route replace 192.0.2.0/26 via 192.0.2.1 dev vmbr1 onlink\n",
        "route replace 198.51.100.0/24 via 192.0.2.1 dev vmbr1\n",
    ] {
        assert!(file.contains(line), "{line}: {file}");
    }
    let head = NETWORK.replace(
        "name =",
        "platform = \"nixos\"\nstate-version = \"25.11\"\nname =",
    );
    let nixos = output(&format!("{head}{network}"));
    // The way out and two routes.
    let far = nixos.matches("GatewayOnLink = lib.mkDefault true").count();
    assert_eq!(far, 3, "{nixos}");
}
