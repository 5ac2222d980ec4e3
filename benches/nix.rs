//! How long it takes to print and to check generated Nix.
//!
//! `check/six modules with load` is what a run over one host pays, `check/a thousand modules` what a fleet does. The two of
//! `generated` are what the compiler itself wrote: the reference host's modules (10 ms are the bound), and those of a host
//! with 1,000 NixOS guests (2 s).

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_main};
use moxc::compile::Compiled;
use moxc::nix::options::{Index, Release, Rules, check_module};
use moxc::nix::{
    AttrPath, Attrs, BuildError, Expr, Formals, Part, apply, block, function, mk_default, path,
    print, reference, text, value,
};
use moxc::targets::Target;
use moxc::template::Templates;

/// A module of the size that a guest has: addresses, firewall, users, units, timers.
fn guest(number: u32) -> Result<Expr, BuildError> {
    let mut config = Attrs::new();
    config.set("networking.hostName", mk_default(format!("guest-{number}")))?;
    config.set("networking.useNetworkd", true)?;
    config.set("networking.firewall.allowedTCPPorts", [22_u16, 80, 443])?;
    config.set(["boot", "kernel", "sysctl", "net.ipv4.ip_forward"], 1)?;
    config.set(["systemd", "network", "networks", "10-lan"], {
        let mut network = Attrs::new();
        network.set("matchConfig.Name", "eth0")?;
        network.set(
            "address",
            [format!("10.0.{}.{}/24", number / 250, number % 250 + 1)],
        )?;
        network.set(
            "routes",
            [Expr::from_json(
                &serde_json::json!({ "Gateway": "10.0.0.1" }),
            )],
        )?;
        network
    })?;
    config.set(
        "environment.systemPackages",
        ["git", "htop", "zfs", "curl"].map(|name| reference(&format!("pkgs.{name}"))),
    )?;
    for user in ["admin", "backup"] {
        config.set(["users", "users", user, "isNormalUser"], true)?;
        config.set(
            ["users", "users", user, "openssh", "authorizedKeys", "keys"],
            [format!(
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI {user}@home.arpa"
            )],
        )?;
    }
    for unit in ["flake-update", "health", "snapshot", "scrub"] {
        let mut service = Attrs::new();
        service.set("description", format!("{unit} of guest {number}"))?;
        service.set("after", ["network-online.target"])?;
        service.set("serviceConfig.Type", "oneshot")?;
        service.set(
            "serviceConfig.ExecStartPre",
            text([
                value(reference("pkgs.coreutils"))?,
                Part::Text("/bin/true".to_owned()),
            ]),
        )?;
        service.set(
            "script",
            block("set -u\nfor pool in tank fast; do\n  zpool status \"$pool\"\ndone\n"),
        )?;
        config.set(["systemd", "services", unit], service)?;
        config.set(["systemd", "timers", unit, "wantedBy"], ["timers.target"])?;
        config.set(
            ["systemd", "timers", unit, "timerConfig", "OnCalendar"],
            "daily",
        )?;
        config.set(
            ["systemd", "timers", unit, "timerConfig", "Persistent"],
            true,
        )?;
    }
    let mut module = Attrs::new();
    module.set("imports", [path("./common.nix")])?;
    module.set(
        "options.services.moxc.enable",
        reference("lib.mkEnableOption"),
    )?;
    module.set(
        "config",
        apply(
            apply(
                reference("lib.mkIf"),
                reference("config.services.moxc.enable"),
            ),
            config,
        ),
    )?;
    function(Formals::open(["config", "lib", "pkgs"])?, module)
}

/// A host with so many NixOS containers, each with what a guest has: keys, users, packages, ports, services, settings, and a
/// schedule that updates it.
fn spec(guests: usize) -> String {
    let mut spec = String::from(
        r#"
[host]
name = "big"
release = "9.1"
timezone = "UTC"
ssh-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc a@home.arpa"]

[hardware.disks]
a = { kind = "nvme", size = "8 TB", device = "/dev/disk/by-id/nvme-A" }

[hardware.nics]
lan0 = { interface = "lan0" }

[network.bridges.vmbr0]
ports = ["lan0"]
address = "10.0.0.1/8"
gateway = "10.0.0.2"

[storage.pools.rpool]
layout = "stripe"
disks = ["a"]
boot = true

[storage.datasets]
containers = { pool = "rpool", use = "containers" }

[schedules.update]
task = "nixos-flake-update"
on = "03:30"
guests = "all"
"#,
    );
    for at in 0..guests {
        let (vmid, a, b) = (100 + at, 1 + at / 250, 3 + at % 250);
        write!(
            spec,
            r#"
[containers.g{at}]
os = "nixos"
vmid = {vmid}
memory = "64 MiB"
rootfs = {{ dataset = "containers", size = "4 GiB" }}
template = "local:vztmpl/nixos.tar.xz"
backup = false

[[containers.g{at}.network]]
bridge = "vmbr0"
address = "10.1.{a}.{b}/8"
gateway = "10.0.0.2"

[containers.g{at}.nixos]
state-version = "25.11"
packages = ["git", "htop", "tmux"]
ports = [80, 443]
services = ["nginx", "postgresql"]

[containers.g{at}.nixos.settings]
"services.openssh.settings.MaxAuthTries" = 3
"networking.firewall.logRefusedConnections" = false
"#
        )
        .expect("a string takes all text");
    }
    spec
}

/// The generated modules of a spec.
fn modules(spec: &str) -> Vec<String> {
    let mut compiled = Compiled::of("host.toml", spec);
    let files = compiled.files(&[Target::Nixos], &Templates::built_in());
    let files = files.expect("the host is sound");
    files
        .iter()
        .filter(|file| {
            let path = file.path.as_str();
            path.ends_with(".nix") && !path.starts_with("nixos/moxc/")
        })
        .map(|file| String::from_utf8(file.contents.clone()).expect("our own text"))
        .collect()
}

fn nix(criterion: &mut Criterion) {
    let trees: Vec<Expr> = (0..1_000)
        .map(|number| guest(number).expect("no name or text in it is at fault"))
        .collect();
    let texts: Vec<String> = trees.iter().map(|tree| print(tree).text).collect();
    let release: Release = "26.05".parse().expect("a release");
    let rules = Rules {
        index: Index::builtin(),
        release,
        later: true,
        allowed: &[],
    };
    assert_eq!(check_module(&texts[0], &rules), [], "{}", texts[0]);
    assert_eq!(nixfmt_rs::format(&texts[0]).as_ref(), Ok(&texts[0]));

    criterion.bench_function("print/a module", |bencher| {
        bencher.iter(|| print(black_box(&trees[0])));
    });
    criterion.bench_function("index/load", |bencher| {
        let stored = Index::builtin().store();
        bencher.iter(|| Index::load(black_box(&stored)));
    });
    criterion.bench_function("check/six modules with load", |bencher| {
        let stored = Index::builtin().store();
        bencher.iter(|| {
            let index = Index::load(&stored).expect("as stored");
            let rules = Rules {
                index: &index,
                release,
                later: true,
                allowed: &[],
            };
            texts[..6]
                .iter()
                .map(|text| check_module(text, &rules).len())
                .sum::<usize>()
        });
    });
    let mut group = criterion.benchmark_group("check");
    group.sample_size(10);
    group.bench_function("a thousand modules", |bencher| {
        bencher.iter(|| {
            texts
                .iter()
                .map(|text| check_module(text, &rules).len())
                .sum::<usize>()
        });
    });
    for (name, spec) in [
        (
            "generated, the reference host",
            include_str!("../examples/homelab.toml").to_owned(),
        ),
        ("generated, a thousand NixOS guests", spec(1_000)),
    ] {
        let texts = modules(&spec);
        let own = [AttrPath::new(["services", "moxc"]).expect("two names without NUL")];
        let stored = Index::builtin().store();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                // As in a run of the program, which reads the index once.
                let index = Index::load(&stored).expect("as stored");
                let rules = Rules {
                    index: &index,
                    release,
                    later: true,
                    allowed: &own,
                };
                texts
                    .iter()
                    .map(|text| check_module(text, &rules).len())
                    .sum::<usize>()
            });
        });
    }
}

mod group {
    criterion::criterion_group!(benches, super::nix);
}
criterion_main!(group::benches);
