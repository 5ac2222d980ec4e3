//! `lxc/<vmid>.conf`: containers.

use crate::diagnostics::Sink;
use crate::model::{
    Container, ContainerDevice, ContainerMount, Guest, GuestNic, Host, Id, MountSource,
};
use crate::pve::{CannotCarry, GuestConfig, GuestKind, PropertyString};
use crate::value::{ContainerOs, GuestAddress};

use super::guest::{common, mebibytes, memory, trunks};
use super::options::Options;
use super::qemu::more;
use crate::facts::{Volume, Volumes};

/// What Proxmox VE does to a container's files before each start.
///
/// A NixOS container is left alone: with `nixos` Proxmox VE would write its network, host name and resolv.conf into
/// `/etc`, which the guest's own configuration says.
pub fn ostype(os: ContainerOs) -> &'static str {
    match os {
        ContainerOs::Nixos | ContainerOs::Other => "unmanaged",
        ContainerOs::Debian => "debian",
        ContainerOs::Ubuntu => "ubuntu",
        ContainerOs::Alpine => "alpine",
        ContainerOs::Archlinux => "archlinux",
        ContainerOs::Fedora => "fedora",
    }
}

/// Plans the file of one container.
pub(super) fn plan(
    host: &Host,
    id: Id<Guest>,
    guest: &Guest,
    container: &Container,
    volumes: &Volumes,
    sink: &mut Sink,
) -> GuestConfig {
    let mut options = Options::new(GuestKind::Pct, *host.release, sink);
    common(&mut options, guest);
    options.set_unless(guest, "arch", "amd64", guest.span);
    let name = guest.shown_name();
    options.set("hostname", name.value, name.span);
    options.set_unless(guest, "ostype", ostype(*container.os), container.os.span);
    if *container.os == ContainerOs::Nixos {
        // NixOS has its login on the container's console, not on a virtual terminal.
        options.set_unless(guest, "cmode", "console", container.os.span);
    }
    // Said always: `pct create` took privileged for its default up to 8.4 and takes unprivileged from 9.0.
    options.flag(
        "unprivileged",
        *container.unprivileged,
        container.unprivileged.span,
    );
    if let Some(cores) = container.cores {
        options.set("cores", cores.value, cores.span);
    }
    if let Some(memory) = memory(&mut options, guest) {
        options.set("memory", memory, guest.memory.span);
    }
    if let Some(swap) = mebibytes(&mut options, *container.swap, container.swap.span) {
        options.set("swap", swap, container.swap.span);
    }
    resolver(&mut options, host, guest);
    features(&mut options, container);
    file_systems(&mut options, host, container, volumes.of_guest(id));
    for nic in &guest.network {
        options.property(&format!("net{}", nic.slot), net(host, nic), nic.span);
    }
    for device in &container.devices {
        let key = format!("dev{}", device.slot);
        options.property(&key, device_value(device), device.path.span);
    }
    options.others(&guest.options);
    for line in &container.lxc {
        options.raw(line);
    }
    options.config
}

/// Said though it is the host's own: else a later change of the host's resolver would change the guest's.
fn resolver(options: &mut Options<'_>, host: &Host, guest: &Guest) {
    let join = |words: Vec<String>| words.join(" ");
    let servers = &host.network.nameservers;
    if let Some(first) = servers.first() {
        let words = servers
            .iter()
            .map(|server| server.value.to_string())
            .collect();
        options.set_unless(guest, "nameserver", join(words), first.span);
    }
    let search = &host.network.search;
    if let Some(first) = search.first() {
        let words = search
            .iter()
            .map(|domain| domain.as_str().to_owned())
            .collect();
        options.set_unless(guest, "searchdomain", join(words), first.span);
    }
}

fn features(options: &mut Options<'_>, container: &Container) {
    let mut value = Ok(PropertyString::new());
    let mut all_sound = true;
    for feature in &container.features {
        let (key, on) = feature
            .as_str()
            .split_once('=')
            .unwrap_or((feature.as_str(), "1"));
        all_sound &= options.check("features", &format!("{key}={on}"), feature.span);
        value = value.and_then(|value| value.with(key, on));
    }
    if let (Some(first), true) = (container.features.first(), all_sound) {
        options.property("features", value, first.span);
    }
}

fn file_systems(options: &mut Options<'_>, host: &Host, container: &Container, volumes: &[Volume]) {
    let volume = |key: &str| volumes.iter().find(|volume| volume.key == key);
    if let Some(rootfs) = volume("rootfs") {
        let value = PropertyString::with_default(rootfs.id(host))
            .and_then(|value| value.with_some("size", rootfs.size))
            .and_then(|value| more(value, &container.rootfs_more));
        options.property("rootfs", value, container.rootfs.store.span);
    }
    for mount in &container.mounts {
        let key = format!("mp{}", mount.slot);
        let value = mount_value(host, mount, volume(&key));
        options.property(&key, value, mount.name.span);
    }
}

fn mount_value(
    host: &Host,
    mount: &ContainerMount,
    volume: Option<&Volume>,
) -> Result<PropertyString, CannotCarry> {
    let source = match &mount.source {
        MountSource::Volume(placement) => volume.map_or_else(
            || {
                host.storage
                    .store(placement.store.value)
                    .name()
                    .value
                    .clone()
            },
            |volume| volume.id(host),
        ),
        MountSource::Share(dataset) => host.mountpoint(dataset.value).to_string(),
        MountSource::HostPath(path) => path.to_string(),
    };
    let mut value = PropertyString::with_default(source)?.with("mp", mount.path.as_str())?;
    // Only volumes can be in a backup, and of those only the ones that are told to be.
    if volume.is_some() {
        value = value.with_flag("backup", *mount.backup)?;
    }
    if *mount.read_only {
        value = value.with_flag("ro", true)?;
    }
    let value = value.with_some("size", volume.and_then(|volume| volume.size))?;
    more(value, &mount.more)
}

fn net(host: &Host, nic: &GuestNic) -> Result<PropertyString, CannotCarry> {
    let bridge = nic.bridge.value;
    let address = |address: GuestAddress| match address {
        GuestAddress::Static(cidr) => cidr.to_string(),
        GuestAddress::Dhcp => "dhcp".to_owned(),
        GuestAddress::Auto => "auto".to_owned(),
    };
    let gateway = |gateway: Option<crate::source::Spanned<crate::model::Gateway>>, v6| {
        gateway.and_then(|gateway| {
            host.gateway_address(gateway.value, nic.segment(), nic.static_address(v6), v6)
        })
    };
    let mut net = PropertyString::new()
        .with("name", &*nic.interface)?
        .with("bridge", &host.network.bridges[bridge].name.value)?
        .with("hwaddr", *nic.mac)?;
    if *nic.firewall {
        net = net.with_flag("firewall", true)?;
    }
    if let Some(written) = nic.address {
        net = net.with("ip", address(written.value))?;
    }
    if let Some(written) = nic.address6 {
        net = net.with("ip6", address(written.value))?;
    }
    // A gateway goes with a fixed address; an address by DHCP or router advertisement brings its own.
    net = net
        .with_some(
            "gw",
            nic.static_address(false)
                .and_then(|_| gateway(nic.gateway, false)),
        )?
        .with_some(
            "gw6",
            nic.static_address(true)
                .and_then(|_| gateway(nic.gateway6, true)),
        )?
        .with_some("mtu", nic.mtu.map(|mtu| mtu.value))?
        .with_some("rate", nic.rate.map(|rate| rate.value))?
        .with_some("tag", nic.vlan.map(|tag| tag.value))?
        .with_some("trunks", nic.trunks.as_ref().map(|vlans| trunks(vlans)))?;
    more(net.with("type", "veth")?, &nic.more)
}

fn device_value(device: &ContainerDevice) -> Result<PropertyString, CannotCarry> {
    let mut value = PropertyString::with_default(device.path.as_str())?;
    if *device.read_only {
        value = value.with_flag("deny-write", true)?;
    }
    let value = value
        .with_some("gid", device.gid.map(|gid| gid.value))?
        .with_some("mode", device.mode.as_ref().map(|mode| &mode.value))?
        .with_some("uid", device.uid.map(|uid| uid.value))?;
    more(value, &device.more)
}
