//! The module of a host that is NixOS itself: the same facts as the files of a Debian host.
//!
//! What the kernel is told is one fact for both ([`Kernel`](crate::facts::Kernel)); networks are said in systemd-networkd's words
//! instead of ifupdown2's. Guests, storages and backup jobs stay Proxmox VE's own files: they are in `proxmox/`.

use std::collections::BTreeSet;

use super::module::mk_fact;
use super::update::timing;
use crate::digest::Sha256;
use crate::facts::Facts;
use crate::facts::root::{self, ROOT, Root, SWAP, boot_disks};
use crate::facts::tasks::{self, Job};
use crate::model::{Host, Id, Schedule, Task};
use crate::nix::{
    Attrs, BuildError, Built, Formals, block, function, list, mk_before, mk_default, path,
};
use crate::systemd::unit::name_of_path;
use crate::value::{CpuVendor, ExternalKind};

/// The module of the host.
pub(super) fn module(known: &Facts<'_>) -> Built {
    let host = known.host;
    let mut facts = Attrs::new();
    identity(host, &mut facts)?;
    system(host, &mut facts)?;
    kernel(known, &mut facts)?;
    storage(host, &mut facts)?;
    super::host_network::host(host, &mut facts)?;
    proxmox(host, &mut facts)?;
    super::update::notify(host, &mut facts)?;
    for (id, schedule) in host.schedules.iter() {
        task(known, id, schedule, &mut facts)?;
    }
    let mut body = Attrs::new();
    body.set("imports", [path("./moxc/host.nix")])?;
    body.merge_all(facts)?;
    function(Formals::open(["lib"])?, body)
}

fn identity(host: &Host, facts: &mut Attrs) -> Result<(), BuildError> {
    facts.set("networking.hostName", mk_default(host.name.as_str()))?;
    facts.set("networking.domain", mk_default(host.domain.as_str()))?;
    // ZFS asks for it, so that a pool of another machine is not taken by mistake: any fixed number does.
    let digest = Sha256::of(host.fqdn().as_bytes()).bytes();
    let id = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    let id = format!("{id:08x}");
    facts.set("networking.hostId", mk_default(id))?;
    facts.set("time.timeZone", mk_default(host.timezone.as_str()))?;
    if let Some(keymap) = keymap(host.keyboard.as_str()) {
        facts.set("console.keyMap", mk_default(keymap))?;
    }
    let keys: Vec<&str> = host.ssh_keys.iter().map(|key| key.value.as_str()).collect();
    facts.set("services.openssh.enable", mk_default(true))?;
    if !keys.is_empty() {
        facts.set(
            "services.openssh.settings.PasswordAuthentication",
            mk_default(false),
        )?;
        facts.set("users.users.root.openssh.authorizedKeys.keys", keys)?;
    }
    Ok(())
}

/// The machine itself: what its firmware and processor need, how it boots, and where its root is.
fn system(host: &Host, facts: &mut Attrs) -> Result<(), BuildError> {
    if let Some(version) = &host.state_version {
        facts.set("system.stateVersion", mk_fact(version.as_str()))?;
    }
    facts.set("hardware.enableRedistributableFirmware", mk_default(true))?;
    let maker = match host.hardware.cpu.as_ref().and_then(|cpu| cpu.vendor) {
        Some(vendor) => match vendor.value {
            CpuVendor::Amd => Some("amd"),
            CpuVendor::Intel => Some("intel"),
        },
        None => None,
    };
    if let Some(maker) = maker {
        facts.set(
            ["hardware", "cpu", maker, "updateMicrocode"],
            mk_default(true),
        )?;
    }
    let Some(place) = root::of(host) else {
        return Ok(());
    };
    // As disko names the partitions that it makes.
    let disks = boot_disks(host);
    let mut partitions = disks
        .iter()
        .map(|disk| format!("/dev/disk/by-partlabel/disk-{}-ESP", disk.name.value));
    let mut system = Attrs::new();
    system.set("enable", mk_default(true))?;
    // Where the spec says nothing of its disks it is there, whatever disko makes beside it.
    let is_made = match &place {
        Root::Pool(pool) => !pool.is_there(),
        Root::Group(group) => !group.disks.is_empty(),
    };
    match place {
        Root::Pool(pool) => {
            let dataset = format!("{}/{ROOT}", pool.name.value);
            system.set("rootDevice", mk_default(dataset))?;
        }
        Root::Group(group) => {
            let volume = |name| mk_default(format!("/dev/{}/{name}", group.name));
            system.set("rootDevice", volume(ROOT))?;
            system.set("rootFsType", mk_default("ext4"))?;
            if group.swap.is_some() {
                system.set("swapDevice", volume(SWAP))?;
            }
        }
    }
    if !is_made {
        system.set("partition", mk_fact(false))?;
    }
    if let Some(first) = partitions.next() {
        system.set("espDevice", mk_default(first))?;
    }
    if let Some(first) = disks.first() {
        system.set("biosDisk", mk_default(first.name.as_str()))?;
        system.set("biosDevice", mk_default(first.path()))?;
    }
    let mirrors: Vec<String> = partitions.collect();
    if !mirrors.is_empty() {
        system.set("espMirrors", mirrors)?;
    }
    facts.set("services.moxc.hostSystem", system)
}

/// The console's keymap (kbd) for a layout of Proxmox VE's installer, where both have it.
fn keymap(layout: &str) -> Option<&'static str> {
    Some(match layout {
        "en-us" => "us",
        "en-gb" => "uk",
        "de" => "de",
        "de-ch" => "de_CH-latin1",
        "fr" => "fr",
        "fr-ch" => "fr_CH-latin1",
        "es" => "es",
        "it" => "it",
        "no" => "no",
        "pl" => "pl",
        "pt-br" => "br-abnt2",
        _ => return None,
    })
}

fn kernel(known: &Facts<'_>, facts: &mut Attrs) -> Result<(), BuildError> {
    let host = known.host;
    let boot = &known.kernel;
    if !boot.modules().is_empty() {
        facts.set("boot.initrd.kernelModules", boot.modules().to_vec())?;
    }
    if !boot.wanted_modules().is_empty() {
        facts.set("boot.kernelModules", boot.wanted_modules().to_vec())?;
    }
    let modprobe = boot.modprobe();
    if !modprobe.is_empty() {
        // Of two lines for one option the last one counts: that is to be the user's.
        facts.set("boot.extraModprobeConfig", mk_before(block(modprobe)))?;
    }
    let blacklist: Vec<&str> = boot.blacklist().collect();
    if !blacklist.is_empty() {
        facts.set("boot.blacklistedKernelModules", blacklist)?;
    }
    if !boot.parameters().is_empty() {
        facts.set("boot.kernelParams", mk_before(boot.parameters().to_vec()))?;
    }
    let rules = boot.udev_rules();
    if !rules.is_empty() {
        facts.set("services.udev.extraRules", mk_before(block(rules.clone())))?;
        facts.set("boot.initrd.services.udev.rules", block(rules))?;
    }
    let forwarding = crate::facts::network::forwarding(host);
    if forwarding.v4 {
        facts.set(
            ["boot", "kernel", "sysctl", "net.ipv4.ip_forward"],
            mk_default(1),
        )?;
    }
    if forwarding.v6 {
        facts.set(
            ["boot", "kernel", "sysctl", "net.ipv6.conf.all.forwarding"],
            mk_default(1),
        )?;
    }
    Ok(())
}

fn storage(host: &Host, facts: &mut Attrs) -> Result<(), BuildError> {
    let mut systems = BTreeSet::new();
    if !host.storage.pools.is_empty() {
        systems.insert("zfs");
    }
    for store in host.storage.external.values() {
        // What mounts shares for Proxmox VE is no part of it.
        systems.extend(match store.kind() {
            ExternalKind::Nfs => Some("nfs"),
            ExternalKind::Cifs => Some("cifs"),
            ExternalKind::Btrfs => Some("btrfs"),
            ExternalKind::Cephfs => Some("ceph"),
            ExternalKind::Pbs
            | ExternalKind::Dir
            | ExternalKind::Rbd
            | ExternalKind::Iscsi
            | ExternalKind::Esxi => None,
        });
    }
    if !systems.is_empty() {
        facts.set("boot.supportedFilesystems", list(systems)?)?;
    }
    if !host.storage.pools.is_empty() {
        facts.set("boot.zfs.forceImportRoot", mk_default(false))?;
        facts.set("boot.zfs.devNodes", mk_default("/dev/disk/by-id"))?;
        let extra: Vec<&str> = host
            .storage
            .pools
            .values()
            .filter(|pool| !*pool.boot)
            .map(|pool| pool.name.as_str())
            .collect();
        if !extra.is_empty() {
            facts.set("boot.zfs.extraPools", extra)?;
        }
    }
    // Without its tools LVM activates no thin pool, in the initial RAM disk neither.
    if host.storage.lvm.values().any(|lvm| lvm.thin_pool.is_some()) {
        facts.set("services.lvm.boot.thin.enable", mk_default(true))?;
    }
    for folder in crate::facts::mounts::of(host) {
        let mut mount = Attrs::new();
        mount.set("device", mk_default(folder.device.as_str()))?;
        let file_system = folder.file_system.map_or("auto", |fs| fs.as_str());
        mount.set("fsType", mk_default(file_system))?;
        // Its absence keeps nothing from starting. The device starts the mount, whenever it comes: once that is said, systemd
        // makes no mount wanted by itself, so that of a disk which is not unplugged is said, too.
        let mut options = vec!["nofail".to_owned()];
        options.extend(folder.options().iter().map(|option| (*option).to_owned()));
        let device = name_of_path(folder.device.as_str());
        options.push(format!("x-systemd.wanted-by={device}.device"));
        options.push(if *folder.store.removable {
            "x-systemd.device-timeout=1s".to_owned()
        } else {
            "x-systemd.wanted-by=local-fs.target".to_owned()
        });
        mount.set("options", options)?;
        facts.set(["fileSystems", folder.path.as_str()], mount)?;
    }
    Ok(())
}

fn proxmox(host: &Host, facts: &mut Attrs) -> Result<(), BuildError> {
    let mut proxmox = Attrs::new();
    // Without an address the node's name stands for nothing, and Proxmox VE does not start.
    if let Some(line) = crate::facts::network::hosts_line(host) {
        proxmox.set("enable", mk_default(true))?;
        proxmox.set("ipAddress", mk_default(line.address.to_string()))?;
    }
    let bridges: Vec<&str> = host
        .network
        .bridges
        .values()
        .filter(|bridge| !*bridge.external)
        .map(|bridge| bridge.name.as_str())
        .collect();
    proxmox.set("bridges", bridges)?;
    facts.set("services.moxc.proxmox", proxmox)
}

/// Sets what the host does by itself. Backups are jobs of Proxmox VE, and guests update themselves.
fn task(
    known: &Facts<'_>,
    id: Id<Schedule>,
    schedule: &Schedule,
    facts: &mut Attrs,
) -> Result<(), BuildError> {
    let work = known.tasks.of_schedule(id);
    let name = schedule.name.as_str();
    if let Task::ProxmoxUpdate(update) = &schedule.task {
        let mut task = timing(schedule, work)?;
        task.set("attribute", mk_default(known.host.name.as_str()))?;
        task.set("reboot", mk_default(update.reboot.as_str()))?;
        return facts.set(["services", "moxc", "update", "schedules", name], task);
    }
    if let Some(job) = work.look.as_ref().filter(|_| *schedule.enabled) {
        let mut look = Attrs::new();
        look.set("onCalendar", mk_default(tasks::LOOK_AT))?;
        look.set("randomizedDelay", mk_default(tasks::LOOK_DELAY))?;
        look.set("persistent", mk_default(false))?;
        look.set("timeout", mk_default(work.time_limit.as_str()))?;
        runs(&mut look, job)?;
        let name = format!("{name}-check");
        facts.set(["services", "moxc", "tasks", "schedules", &name], look)?;
    }
    let Some(job) = work.job() else {
        return Ok(());
    };
    let mut task = timing(schedule, work)?;
    runs(&mut task, job)?;
    facts.set(["services", "moxc", "tasks", "schedules", name], task)
}

/// What a task runs, and how far it is locked in.
fn runs(task: &mut Attrs, job: &Job) -> Result<(), BuildError> {
    task.set("tool", mk_default(job.tool))?;
    task.set("access", mk_default(job.access.as_str()))?;
    task.set("arguments", mk_default(list(&job.arguments)?))
}
