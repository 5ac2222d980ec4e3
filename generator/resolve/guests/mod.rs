//! Guests: virtual machines and containers, each from its table and its rows of raw options.

/// A guest: what the tables of both kinds say by the same keys, and what is worked out for its kind.
macro_rules! guest {
    ($resolver:ident, $name:ident, $body:ident, $cpu:ident; $($own:ident),+) => {
        Guest {
            name: $name.clone(),
            shown_as: $body.name.clone(),
            span: $body.span,
            understood: !$body.faulty,
            description: $body.description.clone(),
            tags: list($body.tags.as_ref()),
            cpu_limit: $cpu.and_then(|cpu| cpu.limit.map(|limit| limit.map(|limit| limit.0))),
            cpu_units: $cpu.and_then(|cpu| cpu.units.map(|units| units.map(Int::get))),
            autostart: autostart($body.autostart.as_ref()),
            protection: Setting::or_default($body.protection, false, $body.span),
            needs: $resolver.guests($body.needs.as_ref()),
            exclusive_with: $resolver.guests($body.exclusive_with.as_ref()),
            backup: Setting::or_default($body.backup, true, $body.span),
            $($own),+
        }
    };
}

mod container;
mod disks;
mod hardware;
mod systems;
mod vm;

use std::collections::{BTreeMap, HashSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::each::each;
use crate::model::{Arena, Autostart, Guest, Host, Id, Setting, StoreRef};
use crate::pve::{PveOption, Release};
use crate::source::{Span, Spanned};
use crate::spec::HostFile;
use crate::spec::guest::AutostartSpec;
use crate::spec::reader::{Int, List, Reference, ShortOrLong};
use crate::value::{MacAddress, VmId};

use self::disks::rootfs_keys;
use super::raw::{self, RawContainer, RawVm};
use super::references::Names;
use super::{Addresses, Index};

/// A guest that is understood well enough to be named.
pub(super) enum GuestRow<'a> {
    Vm(&'a Spanned<String>, RawVm<'a>),
    /// With the store of its root file system.
    Container(&'a Spanned<String>, RawContainer<'a>, Spanned<StoreRef>),
}

impl<'a> GuestRow<'a> {
    fn key(&self) -> &'a Spanned<String> {
        match self {
            Self::Vm(key, _) | Self::Container(key, ..) => key,
        }
    }

    fn vmid(&self) -> Option<Spanned<VmId>> {
        match self {
            Self::Vm(_, raw) => raw.body.vmid,
            Self::Container(_, raw, _) => raw.body.vmid,
        }
    }
}

/// The guests in the order of their VMIDs, the containers without a root file system that is understood, and what the
/// guests' names stand for. Reports names that both tables have.
pub(super) fn rows<'a>(
    file: &'a HostFile,
    index: &Index<'_>,
    sink: &mut Sink,
) -> (Vec<GuestRow<'a>>, Vec<RawContainer<'a>>, Names<'a, Guest>) {
    let release = file.host.as_ref().and_then(|host| host.value.release);
    let release = release.map_or(Release::NEWEST, |release| release.value);
    let vms = file.vms.as_ref().map_or(&[][..], |table| &table.rows);
    let containers = file
        .containers
        .as_ref()
        .map_or(&[][..], |table| &table.rows);
    let mut rows = Vec::with_capacity(vms.len() + containers.len());
    let mut rootless = Vec::new();
    let mut broken = Vec::new();
    let bodies = each(vms, sink, |row, sink| {
        let body = row.body()?;
        let mut options = body.schema.to_vec();
        options.extend(raw::options_of(body.extra.as_ref(), sink));
        Some(raw::vm(body, options, release, sink))
    });
    for (row, body) in vms.iter().zip(bodies) {
        match body {
            Some(body) => rows.push(GuestRow::Vm(&row.key, body)),
            None => broken.push(&row.key),
        }
    }
    let bodies = each(containers, sink, |row, sink| {
        let body = row.body()?;
        let mut options = body.schema.to_vec();
        options.extend(raw::options_of(body.extra.as_ref(), sink));
        let raw = raw::container(body, options, release, sink);
        let rootfs = raw.body.rootfs.as_ref();
        let rootfs = rootfs.and_then(|rootfs| rootfs_keys(&rootfs.value).required(index, sink));
        Some((raw, rootfs))
    });
    for (row, body) in containers.iter().zip(bodies) {
        let (body, rootfs) = body.map_or((None, None), |(raw, rootfs)| (Some(raw), rootfs));
        match (body, rootfs) {
            (Some(body), Some(rootfs)) => rows.push(GuestRow::Container(&row.key, body, rootfs)),
            (body, _) => {
                rootless.extend(body);
                broken.push(&row.key);
            }
        }
    }
    rows.sort_by_key(|row| row.vmid().map_or(u32::MAX, |vmid| vmid.get()));
    let mut names = Names::empty("guest");
    for key in broken {
        names.add(&key.value, None);
    }
    for (at, row) in rows.iter().enumerate() {
        names.add(&row.key().value, Some(Arena::id_at(at)));
    }
    let containers: BTreeMap<&str, &Spanned<String>> = containers
        .iter()
        .map(|row| (row.key.value.as_str(), &row.key))
        .collect();
    for vm in vms {
        if let Some(container) = containers.get(vm.key.value.as_str()) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0103,
                    container.span,
                    format!("two guests are called `{}`", vm.key.value),
                )
                .label("a container")
                .also(vm.key.span, "a virtual machine")
                .help("rename one: guests' names are unique, in DNS and in backups"),
            );
        }
    }
    (rows, rootless, names)
}

struct Resolver<'a> {
    host: &'a Host,
    index: &'a Index<'a>,
    /// Whether no fault of the spec was found before its guests.
    is_sound: bool,
    sink: &'a mut Sink,
}

pub(super) fn resolve(
    rows: &[GuestRow<'_>],
    rootless: &[RawContainer<'_>],
    host: &Host,
    index: &Index<'_>,
    addresses: Addresses,
    sink: &mut Sink,
) -> Arena<Guest> {
    let is_sound = !sink.has_errors();
    let mut resolver = Resolver {
        host,
        index,
        is_sound,
        sink,
    };
    for body in rootless {
        resolver.look_over(body);
    }
    let mut guests = each(rows, sink, |row, sink| {
        let told = sink.len();
        let mut resolver = Resolver {
            host,
            index,
            is_sound,
            sink,
        };
        let mut guest = match row {
            GuestRow::Vm(name, body) => resolver.vm(name, body),
            GuestRow::Container(name, body, rootfs) => resolver.container(name, body, *rootfs),
        };
        guest.understood &= !sink.has_errors_since(told);
        guest
    });
    tell_addresses_apart(host.name.as_str(), addresses, &mut guests);
    Arena::new(guests)
}

/// Gives a card whose derived MAC address an earlier guest's card has its second one. Guests come in the order of their
/// VMIDs, so a guest that is added changes the address of another only where the two meet and it has the lower VMID:
/// with one of 16 million for each card. In a fleet every card has its second one, of 46 bits, which hangs on the card alone
/// and meets none: hosts and guests come and go beside it. An address that is written stays, and so does one that it meets: a check tells.
fn tell_addresses_apart(host: &str, addresses: Addresses, guests: &mut [Guest]) {
    let mut taken = HashSet::new();
    for guest in guests.iter_mut().filter(|guest| !guest.vmid.is_missing()) {
        let vmid = guest.vmid.get();
        for (at, nic) in guest.network.iter_mut().enumerate() {
            if nic.mac.is_written() {
                continue;
            }
            let first_will_do = match addresses {
                Addresses::OfHost => taken.insert(*nic.mac),
                Addresses::OfFleet => false,
            };
            if first_will_do {
                continue;
            }
            nic.mac.value = MacAddress::derive_second(host, vmid, at);
            taken.insert(*nic.mac);
        }
    }
}

impl Resolver<'_> {
    /// Reports what is wrong with a container that is not understood as a whole, so that it is told in the same run.
    fn look_over(&mut self, raw: &RawContainer<'_>) {
        let body = &raw.body;
        self.guests(body.needs.as_ref());
        self.guests(body.exclusive_with.as_ref());
        let vmid = *vmid(body.vmid, body.span);
        self.network(body.network.as_ref(), &raw.cards, &raw.options, vmid);
        for row in body.mounts.iter().flat_map(|table| &table.rows) {
            if let Some(mount) = row.body() {
                self.mount(&row.key, mount);
            }
        }
    }

    fn guests(&mut self, names: Option<&Spanned<List<Reference>>>) -> Vec<Spanned<Id<Guest>>> {
        self.index
            .guests
            .find_all(names.iter().flat_map(|n| &n.value), self.sink)
    }
}

/// A guest's number; one whose number was misread stands at the end.
fn vmid(written: Option<Spanned<VmId>>, span: Span) -> Setting<VmId> {
    Setting::or_missing(
        written,
        VmId::new(i64::from(VmId::MAX)).expect("the largest VMID is one"),
        span,
    )
}

fn autostart(written: Option<&Spanned<ShortOrLong<bool, AutostartSpec>>>) -> Option<Autostart> {
    let written = written?;
    match &written.value {
        ShortOrLong::Short(enabled) => Some(Autostart {
            span: written.span,
            enabled: *enabled,
            order: None,
            up_delay: None,
            down_delay: None,
        }),
        ShortOrLong::Long(spec) => Some(Autostart {
            span: spec.span,
            enabled: spec.enabled.is_none_or(|enabled| enabled.value),
            order: spec.order.map(|o| o.map(Int::get)),
            up_delay: spec.up_delay.clone(),
            down_delay: spec.down_delay.clone(),
        }),
    }
}

fn option(key: &str, value: String, span: Span) -> PveOption {
    PveOption::new(
        Spanned::new(key.to_owned(), span),
        Spanned::new(value, span),
    )
}

/// Where a key stands that may be left out.
fn place<T>(key: Option<&Spanned<T>>) -> Option<Span> {
    key.map(|key| key.span)
}
