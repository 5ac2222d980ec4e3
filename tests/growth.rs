//! What is told grows with a spec and not with its square: by counting what is said of a host, or of a fleet, and of one
//! four times as large.
//!
//! Where words are few and things are looked up among many, the time that this thread alone has spent is compared, of a number
//! of things and of eight times as many, within a bound that no busy machine breaks: eight times is linear, 64 times is not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use moxc::compile::Compiled;
use moxc::diagnostics::render::{Format, render};
use moxc::facts::PciMappings;
use moxc::fleet::{self, Files};
use moxc::origin::{Found, Surroundings};
use moxc::pve::{Section, SectionConfig, SectionFile};
use moxc::targets::Target;
use moxc::template::Templates;

use crate::program::call;

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
        .files(Target::ALL, &Templates::built_in())
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

/// Notes where what is said, in messages and bytes, of four times as many things is more than their number explains.
fn told_too_much(name: &str, [none, small, large]: [(usize, usize); 3], wrong: &mut String) {
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

#[test]
fn what_is_said_grows_with_the_spec() {
    let mut wrong = String::new();
    for (name, thing) in DIMENSIONS {
        let inner = "[network.bridges.inner]\naddress = \"172.16.0.1/12\"\nnat = \"vmbr0\"\n";
        let spec =
            |count: usize| HOST.to_owned() + inner + &(0..count).map(thing).collect::<String>();
        let [none, small, large] = [0, 60, 240].map(|count| said(&spec(count)));
        told_too_much(name, [none, small, large], &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Files in memory.
struct InMemory(BTreeMap<PathBuf, String>);

/// Nothing lies around them.
#[derive(Debug)]
struct Nowhere;

impl Surroundings for Nowhere {
    fn look(&self, _: &str) -> io::Result<Found> {
        Err(io::ErrorKind::NotFound.into())
    }
}

impl Files for InMemory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.clone().into_bytes())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let inside = self.0.keys().filter(|path| path.parent() == Some(folder));
        let names = inside.filter_map(|path| path.file_name()?.to_str());
        Ok(names.map(str::to_owned).collect())
    }

    fn is_file(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    fn around(&self, _: Option<&Path>) -> Arc<dyn Surroundings> {
        Arc::new(Nowhere)
    }
}

/// What is said of a fleet: problems, and bytes in all forms.
fn said_of_fleet(head: &str, hosts: usize, host: fn(usize) -> String) -> (usize, usize) {
    let mut files = BTreeMap::from([(
        PathBuf::from("fleet.toml"),
        format!("hosts = [\"hosts/*.toml\"]\n{head}"),
    )]);
    for at in 0..hosts {
        let name = format!("hosts/h{at:04}.toml");
        files.insert(PathBuf::from(name), host(at));
    }
    let loaded =
        fleet::load(&["fleet.toml".into()], &InMemory(files), false).expect("the files are there");
    assert_eq!(loaded.units.len(), hosts);
    let map = loaded.sources.map();
    let bytes = [Format::Short, Format::Json, Format::Sarif]
        .map(|format| render(format, map, &loaded.found).len());
    (loaded.found.len(), bytes.iter().sum())
}

/// A host of a fleet that has nothing in common with another.
fn other_host(at: usize) -> String {
    let (high, low) = (at / 200, at % 200 + 1);
    HOST.replace("name = \"a\"", &format!("name = \"a{at}\""))
        .replace(
            "00:00:5E:00:53:01",
            &format!("02:00:5E:00:{high:02X}:{low:02X}"),
        )
        .replace("10.0.0.1/8", &format!("10.1.{high}.{low}/8"))
        .replace("[containers.ct]", &format!("[containers.ct{at}]"))
        .replace("[vms.web]", &format!("[vms.web{at}]"))
}

/// A dimension of a fleet: its name, the rest of its own file, and its `n`th host.
type OfFleets = (&'static str, &'static str, fn(usize) -> String);

#[test]
fn what_is_said_grows_with_the_fleet() {
    let dimensions: &[OfFleets] = &[
        ("hosts that share nothing", "", other_host),
        ("hosts of one kind", "", |at| {
            HOST.replace("name = \"a\"", &format!("name = \"a{at}\""))
        }),
        ("hosts of one name", "", |_| HOST.to_owned()),
        ("hosts with a wrong value", "", |at| {
            other_host(at).replace("1 GiB", "1 XB")
        }),
        (
            "nodes that share nothing",
            "[cluster]\nname = \"c\"\n",
            other_host,
        ),
        ("nodes of one kind", "[cluster]\nname = \"c\"\n", |at| {
            HOST.replace("name = \"a\"", &format!("name = \"a{at}\""))
        }),
    ];
    let mut wrong = String::new();
    for (name, head, host) in dimensions {
        let [none, small, large] = [3, 15, 51].map(|hosts| said_of_fleet(head, hosts, *host));
        told_too_much(name, [none, small, large], &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_said_of_nix_grows_with_the_file() {
    let things: &[Dimension] = &[
        ("values of a wrong type", |at| {
            format!("  users.users.u{at}.isNormalUser = \"yes\";\n")
        }),
        ("one option again", |_| {
            "  networking.hostName = \"a\";\n".to_owned()
        }),
        ("names that nothing declares", |at| {
            format!("  environment.etc.e{at}.text = nobody{at};\n")
        }),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let mut wrong = String::new();
    for (name, thing) in things {
        let [small, large] = [60, 240].map(|count| {
            let lines: String = (0..count).map(thing).collect();
            let text = format!("{{ ... }}:\n{{\n{lines}}}\n");
            std::fs::write(folder.path().join("a.nix"), text).expect("written");
            let said = call(
                folder.path(),
                &["lint-nix", "a.nix", "--message-format", "json"],
            );
            assert_eq!(said.status, Some(1), "{name}: {}", said.err);
            said.err.len()
        });
        if large > small * 6 + 4096 {
            writeln!(wrong, "{name}: {small}, and of four times as many {large}")
                .expect("a string takes all text");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_is_explained_does_not_grow_with_the_question() {
    let folder = tempfile::tempdir().expect("a folder");
    for word in [
        "9".repeat(100_000),
        "x".repeat(100_000),
        "MOX0".repeat(25_000),
    ] {
        let said = call(folder.path(), &["explain", &word]);
        assert_eq!(said.status, Some(2));
        assert!(said.err.len() < 1_000, "{}", said.err.len());
    }
}

/// The time that this thread has been on a processor, in nanoseconds; none where the kernel does not count it.
fn on_processor() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// How long `work` takes: the best of three, since whatever disturbs makes it longer.
fn time_of(mut work: impl FnMut()) -> Option<u64> {
    let mut best = None;
    for _ in 0..3 {
        let before = on_processor()?;
        work();
        let time = on_processor()?.saturating_sub(before);
        best = Some(best.map_or(time, |best: u64| best.min(time)));
    }
    best
}

/// Of eight times as many things at most this many times the work.
const MOST: u64 = 24;

fn grows_by_the_number(name: &str, few: Option<u64>, many: Option<u64>) {
    // Without the kernel's count there is nothing to compare; some kernels bring it up to date at each tick alone.
    let (Some(few), Some(many)) = (few, many) else {
        return;
    };
    assert!(
        many < few.max(5_000_000) * MOST,
        "{name}: {few} ns, and of eight times as many {many} ns"
    );
}

#[test]
fn sections_are_found_by_their_names() {
    let fill = |count: usize| {
        let mut config = SectionConfig::new(SectionFile::Storage);
        for at in 0..count {
            let section = Section::new(SectionFile::Storage, "dir", &format!("store-{at}"));
            let section = section.expect("a name");
            config.push(section).expect("names differ");
        }
        let found = (0..count).filter(|at| config.get(&format!("store-{at}")).is_some());
        assert_eq!(found.count(), count);
    };
    let [few, many] = [2_000, 16_000].map(|count| time_of(|| fill(count)));
    grows_by_the_number("sections", few, many);
}

#[test]
fn mappings_are_found_by_their_functions() {
    let [few, many] = [60, 480].map(|count| {
        let mut spec = HOST.to_owned() + "[hardware.pci]\n";
        for at in 0..count {
            writeln!(
                spec,
                "p{at} = {{ address = \"{:02x}:{:02x}.{}\", id = \"8086:1533\", iommu-group = {at} }}",
                at / 256,
                at / 8 % 32,
                at % 8
            )
            .expect("a string takes all text");
        }
        for at in 0..count {
            spec += &guest(at, &format!("passthrough = [\"p{at}\"]"));
        }
        let compiled = Compiled::of("host.toml", &spec);
        let host = compiled.checked.host;
        assert_eq!(PciMappings::of(&host).iter().count(), count);
        time_of(|| {
            for _ in 0..200 {
                assert_eq!(PciMappings::of(&host).iter().count(), count);
            }
        })
    });
    grows_by_the_number("mappings", few, many);
}
