//! How long it takes to print and to check generated Nix.
//!
//! `check/six modules with load` is what a run over one host pays, `check/a thousand modules` what a fleet does.

use std::hint::black_box;

use criterion::{Criterion, criterion_main};
use moxc::nix::options::{Index, Release, Rules, check_module};
use moxc::nix::{
    Attrs, BuildError, Expr, Formals, Part, block, function, mk_default, mk_if, path, print,
    reference, text, value,
};

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
        mk_if(reference("config.services.moxc.enable"), config),
    )?;
    function(Formals::open(["config", "lib", "pkgs"])?, module)
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
}

mod group {
    criterion::criterion_group!(benches, super::nix);
}
criterion_main!(group::benches);
