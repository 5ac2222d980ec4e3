//! Backups that are lost with what they are backups of.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::backups::running;
use crate::model::{
    ExternalPlace, Guest, Host, Id, Lvm, MountSource, Placement, Pool, Schedule, StoreRef,
};
use crate::source::{Span, Spanned};
use crate::value::HostAddress;

/// The guest that has an address, where one has.
fn guest_at(host: &Host, server: &HostAddress) -> Option<Id<Guest>> {
    let HostAddress::Ip(server) = server else {
        return None;
    };
    let has = |guest: &Guest| {
        let mut cards = guest
            .network
            .iter()
            .flat_map(crate::model::guest::GuestNic::static_addresses);
        cards.any(|address| address.value.address() == *server)
    };
    let mut guests = host.guests.iter();
    guests.find(|(_, guest)| has(guest)).map(|(id, _)| id)
}

/// Backups that go to a store which a guest of this host serves.
pub(super) fn into_a_guest(host: &Host, sink: &mut Sink) {
    let mut told = BTreeSet::new();
    for schedule in host.schedules.values() {
        let Some((held, StoreRef::External(store), span)) = job(host, schedule) else {
            continue;
        };
        let external = &host.storage.external[store];
        let Some(server) = external.server() else {
            continue;
        };
        let Some(serving) = guest_at(host, server).filter(|_| told.insert(store)) else {
            continue;
        };
        let name = &host.guests[serving].name;
        let own = if held.contains(&serving) {
            format!("`{}` is backed up into itself", name.value)
        } else {
            format!("none of them comes back before `{}` runs", name.value)
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0328,
                server.span,
                format!(
                    "`{}` is served by `{}`, a guest of this host",
                    external.name.value, name.value
                ),
            )
            .label("its address")
            .also(span, "backups go there")
            .also(name.span, "the guest")
            .note(format!(
                "what takes this host takes the guests and these backups of them; {own}"
            ))
            .help("add a job to a store on another machine, or on a disk of its own that the host mounts itself"),
        );
    }
}

/// The pool that a store of this host lies on.
pub(super) fn pool_of(host: &Host, store: StoreRef) -> Option<Id<Pool>> {
    match store {
        StoreRef::Dataset(id) => Some(host.storage.datasets[id].pool.value),
        StoreRef::Lvm(_) => None,
        // The root file system: on the pool that the host starts from, where it has one.
        StoreRef::Local => host.storage.boot_pool().map(|(id, _)| id),
        StoreRef::External(id) => {
            let ExternalPlace::Dir {
                path, device: None, ..
            } = &host.storage.external[id].place
            else {
                return None;
            };
            // A folder of a dataset is on its pool.
            host.storage
                .datasets
                .iter()
                .find(|(dataset, _)| path.is_below(host.mountpoint(*dataset).as_str()))
                .map(|(_, dataset)| dataset.pool.value)
        }
    }
}

/// What is lost at once: a pool, or a volume group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ground {
    Pool(Id<Pool>),
    Group(Id<Lvm>),
}

impl Ground {
    /// What a store of this host lies on.
    fn of(host: &Host, store: StoreRef) -> Option<Self> {
        match (pool_of(host, store), store) {
            (Some(pool), _) => Some(Self::Pool(pool)),
            (None, StoreRef::Lvm(id)) => Some(Self::first(host, id)),
            // The installer puts its root file system into the group that it makes.
            (None, StoreRef::Local) => {
                let mut groups = host.storage.lvm.iter();
                let (id, _) = groups.find(|(_, lvm)| *lvm.boot)?;
                Some(Self::first(host, id))
            }
            (None, StoreRef::Dataset(_) | StoreRef::External(_)) => None,
        }
    }

    /// Two stores may be of one group.
    fn first(host: &Host, id: Id<Lvm>) -> Self {
        let group = &*host.storage.lvm[id].group;
        let same = host
            .storage
            .lvm
            .iter()
            .find(|(_, lvm)| &*lvm.group == group);
        Self::Group(same.map_or(id, |(id, _)| id))
    }

    /// What it is, and its name.
    fn named(self, host: &Host) -> (&'static str, &Spanned<String>) {
        match self {
            Self::Pool(pool) => ("pool", &host.storage.pools[pool].name),
            Self::Group(lvm) => ("volume group", &host.storage.lvm[lvm].name),
        }
    }
}

/// The guests that a job makes backups of, and where to.
fn job(host: &Host, schedule: &Schedule) -> Option<(Vec<Id<Guest>>, StoreRef, Span)> {
    let task = running(host, schedule)?;
    Some((
        task.guests.iter().collect(),
        task.storage.value?,
        task.storage.span,
    ))
}

/// What a guest's backed-up data lies on.
fn data_grounds(host: &Host, guest: &Guest) -> BTreeSet<Ground> {
    backed_up(guest)
        .filter_map(|placement| Ground::of(host, placement.store.value))
        .collect()
}

/// Where the volumes of a guest lie that backups hold.
fn backed_up(guest: &Guest) -> impl Iterator<Item = &Placement> {
    let disks = guest
        .vm()
        .into_iter()
        .flat_map(|vm| &vm.disks)
        .filter(|disk| *disk.backup)
        .filter_map(|disk| disk.placement());
    let mounts = guest
        .container()
        .into_iter()
        .flat_map(|container| &container.mounts)
        .filter(|mount| *mount.backup)
        .filter_map(|mount| match &mount.source {
            MountSource::Volume(placement) => Some(placement),
            MountSource::Share(_) | MountSource::HostPath(_) => None,
        });
    let rootfs = guest
        .container()
        .into_iter()
        .map(|container| &container.rootfs);
    disks.chain(mounts).chain(rootfs)
}

/// Names of guests, a few of many.
pub(super) fn names(host: &Host, guests: &[Id<Guest>]) -> String {
    let mut words: Vec<String> = guests
        .iter()
        .take(6)
        .map(|id| format!("`{}`", host.guests[*id].name.value))
        .collect();
    if guests.len() > 6 {
        words.push(format!("and {} more", guests.len() - 6));
    }
    words.join(", ")
}

/// Backups on the pool of what they are the backup of.
pub(super) fn same_pool(host: &Host, sink: &mut Sink) {
    for schedule in host.schedules.values() {
        let Some((held, store, span)) = job(host, schedule) else {
            continue;
        };
        let Some(ground) = Ground::of(host, store) else {
            continue;
        };
        let beside: Vec<Id<Guest>> = held
            .into_iter()
            .filter(|id| data_grounds(host, &host.guests[*id]).contains(&ground))
            .collect();
        if beside.is_empty() {
            continue;
        }
        let (what, name) = ground.named(host);
        sink.push(
            Diagnostic::new(
                Code::MOX0317,
                span,
                format!(
                    "backups of `{}` lie on the {what} of the guests",
                    schedule.name.value
                ),
            )
            .also(name.span, format!("`{}` holds both", name.value))
            .note(format!(
                "when the {what} is lost, so are {} and these backups of them",
                names(host, &beside)
            ))
            .help("back up to another pool or another machine; what is kept here only helps against mistakes, for which snapshots are cheaper"),
        );
    }
}

/// Guests of which every backup is in this machine.
pub(super) fn nothing_outside(host: &Host, sink: &mut Sink) {
    if !host.complete {
        return;
    }
    let mut inside: BTreeMap<Id<Guest>, Span> = BTreeMap::new();
    let mut outside = BTreeSet::new();
    for schedule in host.schedules.values() {
        let Some((held, store, span)) = job(host, schedule) else {
            continue;
        };
        let stays = match store {
            StoreRef::Dataset(_) | StoreRef::Lvm(_) | StoreRef::Local => true,
            // A folder without a device of its own may be anything, as a share that the host mounts itself.
            StoreRef::External(_) => pool_of(host, store).is_some(),
        };
        for id in held {
            if stays {
                inside.entry(id).or_insert(span);
            } else {
                outside.insert(id);
            }
        }
    }
    inside.retain(|id, _| !outside.contains(id));
    let guests: Vec<Id<Guest>> = inside.keys().copied().collect();
    let Some(span) = inside.values().min().copied() else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0318,
            span,
            format!("no backup of {} leaves this machine", names(host, &guests)),
        )
        .note("fire, theft, a lightning stroke or a mistake of root take the guests and all their backups")
        .help("add a job to a store elsewhere: a NAS, a Proxmox Backup Server, a USB disk (`[storage.external]`)"),
    );
}
