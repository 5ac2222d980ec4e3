//! What `cargo fuzz` tries without end (`fuzz/`), some thousand times, from a seed: each run of the tests tries the same.
//!
//! `MOXC_FUZZ=spec:1000000 cargo test --release --test moxc fuzz::as_often_as_asked -- --ignored` tries one more often, and
//! `MOXC_FUZZ_SEED` other inputs.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[path = "../fuzz/checks.rs"]
#[allow(unreachable_pub)] // the targets of cargo-fuzz name them
pub(crate) mod checks;

/// Numbers by chance, the same from the same seed (xorshift64*).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most.max(1)).expect("a number");
        usize::try_from((self.next() >> 33) % most).expect("a number")
    }
}

/// What is tried, from what, and with which words.
struct Target {
    name: &'static str,
    check: fn(&[u8]),
    seeds: Vec<Vec<u8>>,
    words: &'static [&'static str],
    /// How often in an ordinary run.
    times: usize,
}

const COMMON: &[&str] = &[
    "\n",
    "\r\n",
    "\0",
    "\t",
    " ",
    "\"",
    "'",
    "\\",
    "ä",
    "日本",
    "\u{202e}",
    "\u{feff}",
    "\u{1b}[31m",
    "0",
    "1",
    "-1",
    "99999999999999999999",
    "1e999",
    "=",
    ",",
    ":",
    ";",
    "#",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "/",
    "..",
    "*",
    "%",
    "$(x)",
];

const NIX: &[&str] = &[
    "let ",
    " in ",
    "rec {",
    "with ",
    "; ",
    "inherit ",
    "''",
    "${",
    "}",
    "? ",
    "@ ",
    "if ",
    " then ",
    " else ",
    "assert ",
    "lib.mkIf ",
    "lib.mkForce ",
    "config.",
    "services.openssh.enable",
    "networking.hostName",
    "null",
    "true",
    "++",
    "//",
    "->",
    "./x",
    "<nixpkgs>",
    "[ ",
    " ]",
    "x: ",
    "__functor",
    "0.1e-400",
];

const PROXMOX: &[&str] = &[
    "scsi0: ",
    "net0: virtio=02:00:00:00:00:01,bridge=vmbr0",
    "lxc.idmap: u 0 1 1",
    "unused0: ",
    "description: ",
    "[snap]\n",
    "[PENDING]\n",
    "parent: ",
    "zfspool: x\n\t",
    "dir: local\n\tpath /var/lib/vz\n",
    "vzdump: j\n\t",
    "schedule ",
    "content images,rootdir",
    "auto vmbr0\n",
    "iface vmbr0 inet static\n\t",
    "bridge-ports ",
    "post-up ",
    "source ",
    "map id=8086:1533,node=a,path=0000:01:00.0",
    "#",
    "%0A",
    "tmpdir: ",
    "notify: ",
    "mac_prefix: ",
    "crs: ha=static",
];

const CALENDAR: &[&str] = &[
    "*-*-*",
    "Mon",
    "Sun..Wed",
    "Fri",
    "2026-",
    "02:30",
    "03:00:00",
    "~01",
    "/2",
    "..",
    ",",
    "*",
    "*:0/15",
    "hourly",
    "weekly",
    "monthly",
    "quarterly",
    "UTC",
    "Europe/Berlin",
    " ",
    "1h",
    "30min",
    "2 weeks",
    "infinity",
    "5s",
    "mon,tue",
    "sat..sun",
    "*/5",
    "12-31",
    "-02-30",
    "@12",
    "1.5",
    "us",
    "µs",
    "99999999999y",
];

const LIVE: &[&str] = &[
    "==== general system info ====\n",
    "\n# pveversion --verbose\n",
    "\n# cat /etc/pve/storage.cfg\n",
    "\n# cat /etc/pve/qemu-server/100.conf\n",
    "\n# cat /etc/network/interfaces\n",
    "\n# qm config 100\n",
    "\n# pct config 101\n",
    "\n# zpool status\n",
    "proxmox-ve: 9.1.0\n",
    "[snap]\n",
    "\n# ip -details link\n",
    "\n# lspci -nnk\n",
];

fn file(path: &str) -> Vec<u8> {
    let path = crate::program::tests().join("..").join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files of a kind below a folder, in the order of their names: one case of each fault, or of each way to write something.
fn below(folder: &str, extension: &str) -> Vec<Vec<u8>> {
    let mut entries: Vec<_> = std::fs::read_dir(crate::program::tests().join("..").join(folder))
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    entries.sort();
    let mut files = Vec::new();
    for name in entries {
        let path = format!("{folder}/{}", name.to_string_lossy());
        if crate::program::tests().join("..").join(&path).is_dir() {
            files.extend(below(&path, extension));
        } else if path.ends_with(&format!(".{extension}")) {
            files.push(file(&path));
        }
    }
    files
}

/// A copy of a host in a tar, and the same in the text of a report.
fn hosts() -> Vec<Vec<u8>> {
    let files = [
        ("etc/hostname", "pve1\n".to_owned()),
        ("etc/pve/storage.cfg", "dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\nzfspool: vms\n\tpool rpool/vms\n".to_owned()),
        ("etc/pve/nodes/pve1/qemu-server/100.conf", "#a note\nname: web\nmemory: 2048\nscsi0: vms:vm-100-disk-0,size=8G\n\n[snap]\nmemory: 1024\n".to_owned()),
        ("etc/pve/nodes/pve1/lxc/101.conf", "hostname: db\nrootfs: vms:subvol-101-disk-0,size=4G\nlxc.idmap: u 0 100000 65536\n".to_owned()),
        ("etc/network/interfaces", "auto lo\niface lo inet loopback\n\nauto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.1/24\n\tbridge-ports eno1\n".to_owned()),
        (".moxc/ip-link.json", "[{\"ifname\":\"eno1\",\"address\":\"02:00:00:00:00:01\"}]".to_owned()),
        (".moxc/zpool-status", "  pool: rpool\n state: ONLINE\nconfig:\n\n\tNAME STATE READ WRITE CKSUM\n\trpool ONLINE 0 0 0\n\t  sda3 ONLINE 0 0 0\n".to_owned()),
    ];
    let mut tar = tar::Builder::new(Vec::new());
    let mut report = String::from("==== general system info ====\n");
    for (path, text) in &files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).expect("a length"));
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes())
            .expect("a tar");
        write!(report, "\n# cat /{path}\n{text}\n").expect("a string takes all text");
    }
    vec![tar.into_inner().expect("a tar"), report.into_bytes()]
}

fn targets() -> Vec<Target> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    // The first byte says which file it is.
    let proxmox = [
        "\u{0}#a note\nname: web\nscsi0: vms:vm-100-disk-0,size=8G\nnet0: virtio=02:00:00:00:00:01,bridge=vmbr0\n[snap]\nmemory: 1\n",
        "\u{1}hostname: db\nrootfs: vms:subvol-101-disk-0,size=4G\nlxc.idmap: u 0 100000 65536\nmp0: /srv,mp=/srv\n",
        "\u{2}dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\nzfspool: vms\n\tpool rpool/vms\n",
        "\u{3}vzdump: nightly\n\tschedule 02:30\n\tall 1\n\tstorage local\n",
        "\u{4}gpu\n\tdescription a card\n\tmap id=10de:2204,node=pve1,path=0000:01:00.0\n",
        "\u{5}stick\n\tmap id=1234:5678,node=pve1\n",
        "\u{6}auto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.1/24\n\tbridge-ports eno1\n\nsource /etc/network/interfaces.d/*\n",
        "\u{7}tmpdir: /var/tmp\nbwlimit: 100\n",
        "\u{8}keyboard: de\nmigration: secure,network=10.0.0.0/24\n",
    ];
    vec![
        Target {
            name: "spec",
            check: checks::spec,
            seeds: [
                "examples/homelab.toml",
                "examples/mini.toml",
                "examples/nixos-host.toml",
                "templates/init/homelab.toml",
            ]
            .map(file)
            .into_iter()
            .chain(below("tests/broken", "toml"))
            .chain(below("tests/errors", "toml"))
            .collect(),
            words: &[
                "[vms.x]\n",
                "[storage.pools.p]\n",
                "vmid = 999999999\n",
                "\"all\"",
                "\"dhcp\"",
                "\"9.1\"",
                "\"::/0\"",
                "[[",
                "\"\"\"",
            ],
            times: 60,
        },
        Target {
            name: "nix",
            check: checks::nix,
            seeds: [
                "examples/generated/nix1",
                "nix",
                "tests/errors",
                "tests/nix",
            ]
            .iter()
            .flat_map(|folder| below(folder, "nix"))
            .chain([file("flake.nix")])
            .collect(),
            words: NIX,
            times: 300,
        },
        Target {
            name: "nu",
            check: checks::nu,
            seeds: texts(&[
                "C:\\Program Files\\nu",
                "a \"quoted\" $x `y` 'z' #c",
                "Grüße\r\n\u{200b}",
            ]),
            words: &["\\u{", "r#'", "$\"", "(ls)"],
            times: 5_000,
        },
        Target {
            name: "proxmox",
            check: checks::proxmox,
            seeds: texts(&proxmox),
            words: PROXMOX,
            times: 3_000,
        },
        Target {
            name: "calendar",
            check: checks::calendar,
            seeds: texts(&[
                "Mon..Fri 02:30",
                "*-*-* 04:00:00 Europe/Berlin",
                "*:0/15",
                "sat 2:30",
                "2h 30min",
                "quarterly",
                "*-02~03 12:00",
            ]),
            words: CALENDAR,
            times: 3_000,
        },
        Target {
            name: "live",
            check: checks::live,
            seeds: hosts(),
            words: LIVE,
            times: 1_000,
        },
    ]
}

impl Target {
    /// One input: a seed with some changes, each of which may break its form.
    fn input(&self, chance: &mut Chance) -> Vec<u8> {
        let mut data = self.seeds[chance.below(self.seeds.len())].clone();
        for _ in 0..=chance.below(6) {
            let at = chance.below(data.len() + 1);
            let rest = data.len() - at;
            match chance.below(7) {
                0 if rest > 0 => data[at] = u8::try_from(chance.below(256)).expect("a byte"),
                1 => drop(data.drain(at..at + chance.below(rest.min(40) + 1))),
                2 => data.truncate(at),
                // A part of it, or of another seed, once more.
                3 => {
                    let other = &self.seeds[chance.below(self.seeds.len())];
                    let from = chance.below(other.len() + 1);
                    let length = chance.below((other.len() - from).min(200) + 1);
                    data.splice(at..at, other[from..from + length].iter().copied());
                }
                4 => {
                    let word = COMMON[chance.below(COMMON.len())];
                    data.splice(at..at, word.bytes());
                }
                5 => {
                    let word = COMMON[chance.below(COMMON.len())].repeat(chance.below(300));
                    data.splice(at..at, word.bytes());
                }
                _ => {
                    let word = self.words[chance.below(self.words.len())];
                    let end = at + chance.below(rest.min(20) + 1);
                    data.splice(at..end, word.bytes());
                }
            }
        }
        data
    }

    fn run(&self, times: usize, seed: u64) {
        let mut chance = Chance(seed.max(1));
        for number in 0..times {
            let data = self.input(&mut chance);
            assert!(
                catch_unwind(AssertUnwindSafe(|| (self.check)(&data))).is_ok(),
                "{} {number} of seed {seed}: {:?}",
                self.name,
                String::from_utf8_lossy(&data)
            );
        }
    }
}

#[test]
fn what_is_changed_by_chance_breaks_nothing() {
    for target in targets() {
        target.run(target.times, 7);
    }
}

#[test]
#[ignore = "as long as `MOXC_FUZZ=TARGET:TIMES` says"]
fn as_often_as_asked() {
    let Ok(asked) = std::env::var("MOXC_FUZZ") else {
        return;
    };
    let seed = std::env::var("MOXC_FUZZ_SEED").map_or(1, |text| text.parse().expect("a number"));
    for one in asked.split(',') {
        let (name, times) = one.split_once(':').expect("TARGET:TIMES");
        let all = targets();
        let target = all
            .iter()
            .find(|target| target.name == name)
            .unwrap_or_else(|| panic!("there is no target {name}"));
        target.run(times.parse().expect("a number"), seed);
    }
}

/// Each target of `cargo fuzz` is tried here, too.
#[test]
fn every_fuzz_target_is_tried() {
    let folder = crate::program::tests().join("../fuzz/fuzz_targets");
    let mut there: Vec<String> = std::fs::read_dir(folder)
        .expect("the targets")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .replace(".rs", "")
        })
        .collect();
    there.sort();
    let mut tried: Vec<String> = targets().iter().map(|one| one.name.to_owned()).collect();
    tried.sort();
    assert_eq!(there, tried);
}
