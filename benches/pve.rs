//! What Proxmox's formats cost: loading the option data, checking, printing, reading.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use moxc::pve::check::check_guest_config;
use moxc::pve::schema::read_data_anew;
use moxc::pve::{ConfigFile, GuestConfig, GuestKind, PropertyString, Release, check_option};

/// A VM with everything a workstation guest has.
const VM: &str = "\
#workstation%3A the big one
agent: 1,fstrim_cloned_disks=1
balloon: 0
bios: ovmf
boot: order=scsi0;ide2;net0
cores: 8
cpu: host,hidden=1,flags=+pcid
efidisk0: local-zfs:vm-100-disk-0,efitype=4m,pre-enrolled-keys=1,size=1M
hostpci0: mapping=gpu,pcie=1,x-vga=1
ide2: local:iso/virtio-win.iso,media=cdrom
machine: pc-q35-8.1
memory: 16384
name: win
net0: virtio=BC:24:11:2C:00:01,bridge=vmbr0,firewall=1,tag=10
numa: 1
onboot: 1
ostype: win11
scsi0: local-zfs:vm-100-disk-1,discard=on,iothread=1,size=120G,ssd=1
scsihw: virtio-scsi-single
smbios1: uuid=2f9d6a2e-4a4f-4d7e-8b1c-0a1b2c3d4e5f
startup: order=2,up=30
tags: desktop;windows
tpmstate0: local-zfs:vm-100-disk-2,size=4M,version=v2.0
vmgenid: 7a1d6a2e-4a4f-4d7e-8b1c-0a1b2c3d4e5f
";

fn build() -> Result<GuestConfig, moxc::pve::CannotCarry> {
    let mut config = GuestConfig::new(GuestKind::Qm);
    config.set_description("workstation: the big one")?;
    config.set("cores", 8)?;
    config.set("memory", 16384)?;
    config.set("name", "win")?;
    config.set_flag("onboot", true)?;
    let disk = PropertyString::with_default("local-zfs:vm-100-disk-1")?
        .with("size", "120G")?
        .with_flag("ssd", true)?
        .with("discard", "on")?;
    config.set_property("scsi0", &disk)?;
    let net = PropertyString::new()
        .with("virtio", "BC:24:11:2C:00:01")?
        .with("bridge", "vmbr0")?;
    config.set_property("net0", &net)?;
    Ok(config)
}

fn pve(c: &mut Criterion) {
    c.bench_function("load qm.json", |b| {
        b.iter(|| read_data_anew(ConfigFile::Qm));
    });
    c.bench_function("load pct.json", |b| {
        b.iter(|| read_data_anew(ConfigFile::Pct));
    });
    c.bench_function("load storage.json", |b| {
        b.iter(|| read_data_anew(ConfigFile::Storage("dir")));
    });
    c.bench_function("check one option", |b| {
        b.iter(|| {
            check_option(
                ConfigFile::Qm,
                Release::NEWEST,
                black_box("cores"),
                black_box("8"),
            )
        });
    });
    assert_eq!(check_guest_config(GuestKind::Qm, Release::NEWEST, VM), []);
    c.bench_function("check a VM's file", |b| {
        b.iter(|| check_guest_config(GuestKind::Qm, Release::NEWEST, black_box(VM)));
    });
    c.bench_function("build a VM's file", |b| b.iter(build));
    let config = build().expect("values that the format carries");
    c.bench_function("print a VM's file", |b| {
        b.iter(|| black_box(&config).to_string());
    });
    c.bench_function("read a VM's file", |b| {
        b.iter_batched(
            || VM,
            |text| GuestConfig::parse(GuestKind::Qm, black_box(text)),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, pve);
criterion_main!(benches);
