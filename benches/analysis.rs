//! What the checks cost: on the reference host, and how they grow with the guests.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_main};
use moxc::analysis::{Subject, analyse};
use moxc::compile::Compiled;
use moxc::diagnostics::Sink;
use moxc::facts::Facts;
use moxc::model::Host;

fn host(text: &str) -> Host {
    let host = Compiled::of("host.toml", text).checked.host;
    assert!(host.complete, "the benchmark's host is faulty");
    host
}

/// A host with so many guests: chains of needs, pairs that exclude each other, addresses, VLANs, pins.
fn with_guests(guests: usize) -> String {
    let mut text = String::from(
        r#"
[host]
name = "big"
release = "9.2"
timezone = "Europe/Berlin"

[hardware.cpu]
cores = 64
threads = 128

[hardware.memory]
size = "2 TiB"

[hardware.disks]
a = { kind = "nvme", size = "8 TB", device = "/dev/disk/by-id/nvme-A" }
b = { kind = "nvme", size = "8 TB", device = "/dev/disk/by-id/nvme-B" }

[hardware.nics]
lan0 = { interface = "lan0", mac = "00:00:5E:00:53:01" }

[network.bridges.vmbr0]
ports = ["lan0"]
address = "10.0.0.1/8"
gateway = "10.255.255.1"
vlan-aware = true
dhcp-range = "10.128.0.0-10.128.255.255"

[storage.pools.rpool]
layout = "mirror"
disks = ["a", "b"]
boot = true

[storage.datasets]
vms = { pool = "rpool", use = "vm-disks" }

[storage.external]
nas = { kind = "nfs", server = "10.0.0.5", export = "/backups", use = "backups" }

[schedules.backup]
task = "vzdump-backup"
on = "01:00"
storage = "nas"
keep = { daily = 7 }

[schedules.scrub]
task = "zfs-scrub"
on = "monthly"
"#,
    );
    for at in 0..guests {
        let (high, low) = (at / 250, at % 250 + 2);
        write!(
            text,
            r#"
[vms.g{at}]
os = "linux"
vmid = {vmid}
memory = "1 GiB"
cpu = {{ cores = 2, affinity = "{first}-{last}" }}
exclusive-with = ["g{partner}"]
{needs}
[vms.g{at}.disks]
root = {{ dataset = "vms", size = "1 GiB" }}
[[vms.g{at}.network]]
bridge = "vmbr0"
vlan = {vlan}
address = "10.1.{high}.{low}/8"
gateway = "10.255.255.1"
mac = "02:00:00:00:{high:02X}:{low:02X}"
"#,
            vmid = 100 + at,
            first = at % 64 * 2,
            last = at % 64 * 2 + 1,
            partner = at ^ 1,
            needs = if at % 100 >= 10 && at % 10 == 2 {
                format!("needs = [\"g{}\"]", at - 10)
            } else {
                String::new()
            },
            vlan = 2 + at % 4000,
        )
        .expect("a string takes all text");
    }
    text
}

/// Runs the checks of one subject, and drops what they found outside the measurement.
fn check(b: &mut Bencher<'_>, facts: &Facts<'_>, subject: Subject) {
    b.iter_with_large_drop(|| {
        let mut sink = Sink::new();
        subject.check(black_box(facts), &mut sink);
        sink
    });
}

fn analysis(c: &mut Criterion) {
    let reference = host(include_str!("../examples/homelab.toml"));
    c.bench_function("check the reference host", |b| {
        b.iter(|| {
            let mut sink = Sink::new();
            analyse(&Facts::of(black_box(&reference)), &mut sink);
            sink
        });
    });
    let sizes = [10, 100, 1_000, 10_000].map(|guests| (guests, host(&with_guests(guests))));
    let mut group = c.benchmark_group("check guests");
    group.sample_size(10);
    for (guests, host) in &sizes {
        group.throughput(Throughput::Elements(*guests as u64));
        group.bench_with_input(BenchmarkId::from_parameter(guests), host, |b, host| {
            b.iter_with_large_drop(|| {
                let mut sink = Sink::new();
                analyse(&Facts::of(black_box(host)), &mut sink);
                sink
            });
        });
    }
    group.finish();
    for subject in Subject::ALL {
        let mut group = c.benchmark_group(format!("check guests: {}", subject.as_str()));
        group.sample_size(10);
        group.measurement_time(Duration::from_secs(1));
        group.warm_up_time(Duration::from_millis(200));
        for (guests, host) in &sizes {
            let facts = Facts::of(host);
            group.throughput(Throughput::Elements(*guests as u64));
            group.bench_with_input(BenchmarkId::from_parameter(guests), &facts, |b, facts| {
                check(b, facts, subject);
            });
        }
        group.finish();
    }
}

mod group {
    criterion::criterion_group!(benches, super::analysis);
}
criterion_main!(group::benches);
