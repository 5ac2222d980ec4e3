//! What is told grows with a spec and not with its square: by counting what is said of a host and of one twice as large.
//!
//! Time is not measured here: a machine may be busy. Where words are few the work behind them was looked at by hand, by
//! doubling (`docs/testing.md`).

use std::fmt::Write as _;

use moxc::diagnostics::render::{Format, render};
use moxc::targets::Target;

use crate::in_memory::Compiled;

const HOST: &str = r#"
[host]
name = "a"
release = "9.2"
timezone = "UTC"
[hardware.disks.d]
kind = "nvme"
size = "64 TB"
device = "/dev/disk/by-id/nvme-X_1"
[hardware.nics.lan0]
interface = "lan0"
mac = "00:00:5E:00:53:01"
[network.bridges.vmbr0]
ports = ["lan0"]
address = "10.0.0.1/8"
gateway = "10.255.255.254"
[storage.pools.rpool]
layout = "stripe"
disks = ["d"]
boot = true
[storage.datasets]
vols = { pool = "rpool", use = "vm-disks" }
store = { pool = "rpool", use = "backups" }
shared = { pool = "rpool", use = "share" }
roots = { pool = "rpool", use = "containers" }
[containers.ct]
os = "debian"
vmid = 90001
memory = "1 GiB"
template = "local:vztmpl/debian-13-standard_13.1-2_amd64.tar.zst"
rootfs = { dataset = "roots", size = "8 GiB" }
[vms.web]
os = "nixos"
vmid = 90000
memory = "1 GiB"
nixos.state-version = "25.11"
"#;

/// How much is said: problems, and bytes in all forms that hold everything, and of all files of a sound spec.
fn said(spec: &str) -> (usize, usize) {
    let mut compiled = Compiled::of("host.toml", spec);
    let files = compiled
        .files(Target::ALL)
        .map(|files| files.iter().map(|file| file.contents.len()).sum::<usize>());
    let found = compiled.found();
    let sources = compiled.sources;
    let bytes = [Format::Short, Format::Json, Format::Sarif]
        .map(|format| render(format, &sources, &found).len());
    // What a person is shown has a bound.
    let shown = render(Format::Human, &sources, &found);
    assert!(shown.len() < 400_000, "{}", shown.len());
    (
        found.len(),
        bytes.iter().sum::<usize>() + files.unwrap_or(0),
    )
}

/// A dimension of a spec: its name, and the lines of its `n`th thing.
type Dimension = (&'static str, fn(usize) -> String);

fn guest(at: usize, more: &str) -> String {
    format!(
        "[vms.v{at}]\nos = \"linux\"\nvmid = {}\nmemory = \"1 GiB\"\nbackup = false\n{more}\n",
        100 + at
    )
}

const DIMENSIONS: &[Dimension] = &[
    ("guests", |at| guest(at, "")),
    ("guests of one number", |at| {
        guest(at, "").replace(&format!("vmid = {}", 100 + at), "vmid = 100")
    }),
    ("guests of one address", |at| {
        guest(
            at,
            &format!("[[vms.v{at}.network]]\nbridge = \"vmbr0\"\naddress = \"10.0.0.9/8\""),
        )
    }),
    ("guests that nobody knows", |at| {
        guest(at, &format!("needs = [\"nobody-{at}\"]"))
    }),
    ("guests that exclude the next", |at| {
        guest(
            at,
            &format!("exclusive-with = [\"v{}\"]", at.saturating_sub(1)),
        )
    }),
    ("keys that nobody knows", |at| {
        guest(at, &format!("zzkey{at} = 1"))
    }),
    ("values that are none", |at| {
        guest(at, "").replace("1 GiB", "1 XB")
    }),
    ("lines that are none", |_| "what is this\n".to_owned()),
    ("backups at one time", |at| {
        format!(
            "[schedules.b{at}]\ntask = \"vzdump-backup\"\non = \"01:00\"\nstorage = \"store\"\nguests = [\"web\"]\nkeep = {{ daily = 1 }}\n"
        )
    }),
    ("updates amid backups", |at| {
        let minute = at % 29;
        format!(
            "[schedules.b{at}]\ntask = \"vzdump-backup\"\non = \"01:00\"\nstorage = \"store\"\nguests = [\"web\"]\nkeep = {{ daily = 1 }}\n\
             [schedules.u{at}]\ntask = \"nixos-flake-update\"\nguests = [\"web\"]\non = \"01:{minute:02}\"\n\
             [schedules.h{at}]\ntask = \"proxmox-update\"\nreboot = \"if-needed\"\non = \"01:{minute:02}\"\n"
        )
    }),
    ("pools of one disk", |at| {
        format!("[storage.pools.p{at}]\nlayout = \"stripe\"\ndisks = [\"d\"]\n")
    }),
    ("folders of a container", |at| {
        format!("[containers.ct.mounts.m{at}]\nhost-path = \"/srv/{at}\"\npath = \"/data/{at}\"\n")
    }),
    ("folders at one place", |at| {
        format!("[containers.ct.mounts.m{at}]\ndataset = \"shared\"\npath = \"/data\"\n")
    }),
    ("users", |at| {
        format!("[vms.web.nixos.users.u{at}]\ngroups = [\"wheel\"]\n")
    }),
    ("stores elsewhere", |at| {
        format!(
            "[storage.external.x{at}]\nkind = \"nfs\"\nserver = \"10.0.0.9\"\nexport = \"/e/{at}\"\nuse = \"backups\"\n"
        )
    }),
    ("stores at one place", |at| {
        format!("[storage.external.x{at}]\nkind = \"dir\"\npath = \"/srv/e\"\nuse = \"backups\"\n")
    }),
    ("rules of a firewall", |at| {
        format!(
            "[[vms.web.firewall.rules]]\naction = \"accept\"\nprotocol = \"tcp\"\nport = {}\n",
            at + 1
        )
    }),
    ("forwarded ports", |at| {
        format!(
            "[[network.bridges.inner.forward]]\nport = {}\nto = \"172.16.0.9\"\n",
            at + 1000
        )
    }),
    ("one port forwarded", |_| {
        "[[network.bridges.inner.forward]]\nport = 1000\nto = \"172.16.0.9\"\n".to_owned()
    }),
    ("machines", |at| {
        format!(
            "[network.machines.m{at}]\naddress = \"10.1.{}.{}\"\n",
            at / 200,
            at % 200 + 1
        )
    }),
    ("datasets", |at| {
        format!("[storage.datasets.d{at}]\npool = \"rpool\"\nuse = \"share\"\n")
    }),
    ("snapshots", |at| {
        format!(
            "[schedules.z{at}]\ntask = \"zfs-snapshot\"\ndatasets = [\"shared\"]\non = \"{:02}:{:02}\"\nkeep = {{ daily = 1 }}\n",
            at % 24,
            at % 60
        )
    }),
    ("bridges of one address", |at| {
        format!(
            "[network.bridges.vmbr{}]\naddress = \"10.0.0.1/8\"\n",
            at + 1
        )
    }),
];

#[test]
fn what_is_said_grows_with_the_spec() {
    let mut wrong = String::new();
    for (name, thing) in DIMENSIONS {
        let inner = "[network.bridges.inner]\naddress = \"172.16.0.1/12\"\nnat = \"vmbr0\"\n";
        let spec =
            |count: usize| HOST.to_owned() + inner + &(0..count).map(thing).collect::<String>();
        let [none, small, large] = [0, 60, 240].map(|count| said(&spec(count)));
        let [small, large] = [small, large]
            .map(|(count, bytes)| (count.saturating_sub(none.0), bytes.saturating_sub(none.1)));
        // Four times as many things: with the square it would be sixteen times as much.
        if large.0 > small.0 * 6 + 8 || large.1 > small.1 * 6 + 4096 {
            writeln!(
                wrong,
                "{name}: {small:?}, and of four times as many {large:?}"
            )
            .expect("a string takes all text");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
