//! What each stage costs: on the reference host, and how it grows with the guests.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_main};
use moxc::analysis::analyse;
use moxc::compile;
use moxc::diagnostics::Sink;
use moxc::facts::Facts;
use moxc::origin::Origin;
use moxc::output::FileSet;
use moxc::resolve::resolve;
use moxc::source::{FileId, SourceMap};
use moxc::spec::{self, HostFile, document};
use moxc::targets::{self, Target};
use moxc::template::Templates;

const REFERENCE: &str = include_str!("../examples/homelab.toml");

/// A host with so many guests, half of them containers.
fn with_guests(guests: usize) -> String {
    let mut text = String::from(
        r#"
[host]
name = "big"
release = "9.1"
timezone = "UTC"

[hardware.disks]
a = { kind = "nvme", size = "8 TB", device = "/dev/disk/by-id/nvme-A" }
b = { kind = "nvme", size = "8 TB", device = "/dev/disk/by-id/nvme-B" }

[hardware.nics]
lan0 = { interface = "lan0", mac = "00:00:5E:00:53:01" }

[network.bridges.vmbr0]
ports = ["lan0"]
address = "10.0.0.1/8"

[storage.pools.rpool]
layout = "mirror"
disks = ["a", "b"]
boot = true

[storage.datasets]
vm-disks = { pool = "rpool", use = "vm-disks" }
containers = { pool = "rpool", use = "containers" }
"#,
    );
    for at in 0..guests {
        let (vmid, a, b) = (100 + at, 1 + at / 250, 2 + at % 250);
        let kind = if at % 2 == 0 { "vms" } else { "containers" };
        let own = if at % 2 == 0 {
            "os = \"linux\"\ncpu = { cores = 2 }\ndisks.root = { dataset = \"vm-disks\", size = \"8 GiB\" }"
        } else {
            "os = \"debian\"\ncpu = { cores = 1 }\nrootfs = { dataset = \"containers\", size = \"4 GiB\" }\n\
             template = \"local:vztmpl/debian.tar.zst\""
        };
        write!(
            text,
            "\n[{kind}.g{at}]\nvmid = {vmid}\nmemory = \"64 MiB\"\nbackup = false\n{own}\n\n\
             [[{kind}.g{at}.network]]\nbridge = \"vmbr0\"\naddress = \"10.1.{a}.{b}/8\"\n\
             mac = \"BC:24:11:00:{a:02X}:{b:02X}\"\n"
        )
        .expect("a string takes all text");
    }
    text
}

struct Loaded {
    sources: SourceMap,
    file: FileId,
    origin: Origin,
}

fn load(text: &str) -> Loaded {
    let mut sources = SourceMap::new();
    let file = sources.add("host.toml", text);
    let origin = Origin::of(&sources, &[file]);
    Loaded {
        sources,
        file,
        origin,
    }
}

fn read(loaded: &Loaded) -> HostFile {
    let mut sink = Sink::new();
    let document = document::parse(&loaded.sources, loaded.file, &mut sink);
    spec::read(&loaded.sources, loaded.file, &document, &mut sink)
}

fn check(loaded: &Loaded) -> compile::Checked {
    let mut sink = Sink::new();
    compile::check(&loaded.sources, loaded.file, &loaded.origin, &mut sink)
}

fn emit(checked: compile::Checked) -> FileSet {
    let plan = checked.plan.expect("the host is sound");
    let host = &checked.host;
    let templates = Templates::built_in();
    targets::emit(host, plan, Target::ALL, &templates, &mut Sink::new())
}

fn stages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reference host");
    let loaded = load(REFERENCE);
    group.bench_function("parse and read", |b| b.iter(|| black_box(read(&loaded))));
    let spec = read(&loaded);
    group.bench_function("resolve", |b| {
        b.iter(|| black_box(resolve(&spec, &mut Sink::new())));
    });
    let host = resolve(&spec, &mut Sink::new());
    group.bench_function("analyse", |b| {
        b.iter(|| analyse(&Facts::of(black_box(&host)), &mut Sink::new()));
    });
    let facts = Facts::of(&host);
    group.bench_function("plan", |b| {
        b.iter(|| black_box(targets::plan(&facts, &loaded.origin, &mut Sink::new())));
    });
    group.bench_function("emit", |b| {
        b.iter_batched(
            || check(&loaded),
            |checked| black_box(emit(checked)),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("check", |b| b.iter(|| black_box(check(&loaded))));
    group.bench_function("check and emit", |b| {
        b.iter(|| black_box(emit(check(&loaded))));
    });
    group.finish();
}

fn growth(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("guests");
    group.sample_size(10);
    for guests in [10, 100, 1_000, 10_000] {
        let loaded = load(&with_guests(guests));
        group.throughput(Throughput::Elements(guests as u64));
        group.bench_with_input(BenchmarkId::new("read", guests), &loaded, |b, loaded| {
            b.iter(|| black_box(read(loaded)));
        });
        group.bench_with_input(BenchmarkId::new("check", guests), &loaded, |b, loaded| {
            b.iter(|| black_box(check(loaded)));
        });
        group.bench_with_input(BenchmarkId::new("emit", guests), &loaded, |b, loaded| {
            b.iter_batched(
                || check(loaded),
                |checked| black_box(emit(checked)),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

mod group {
    criterion::criterion_group!(benches, super::stages, super::growth);
}
criterion_main!(group::benches);
