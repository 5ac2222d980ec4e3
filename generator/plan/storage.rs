//! Pools, datasets and volume groups: by their names, property by property. What the spec leaves to a default is set on what
//! is made, and not asked of what is there.

use super::classes::Kind;
use super::guests::Found;
use super::pools::{self, anew, made};
use super::{Cause, Change, Class, Object};
use crate::facts::groups::{self, GroupPlan, ThinPoolPlan};
use crate::facts::nodes;
use crate::facts::pools::{DatasetPlan, Pools};
use crate::live::storage::{LogicalVolume, Properties, Property};
use crate::live::{Item, Snapshot};
use crate::model::{Dataset, Host, Lvm};
use crate::shell::Command;
use crate::source::Span;

/// Compares pools, datasets and volume groups.
pub(super) fn compare(host: &Host, live: &Snapshot, found: &mut Found) {
    volume_groups(host, live, found);
    if host.storage.pools.is_empty() {
        return;
    }
    let properties = match &live.zfs.properties {
        Item::Present(properties) => properties,
        Item::Absent => return,
        Item::Unread(reason) => {
            found.not_read(".moxc/zfs-get".to_owned(), reason.clone());
            return;
        }
    };
    let wanted = Pools::of(host);
    for pool in host.storage.pools.values() {
        let plan = wanted.pool(&pool.name.value);
        pools::compare(pool, plan, live, properties, found);
    }
    for (id, dataset) in host.storage.datasets.iter() {
        if let Some(plan) = wanted.dataset(&host.zfs_name(id)) {
            compare_dataset(plan, dataset, properties, found);
        }
    }
}

/// Where the spec says a property of a dataset.
fn place(dataset: &Dataset, key: &str) -> Span {
    let own = match key {
        "quota" => dataset.quota.map(|size| size.span),
        "reservation" => dataset.reservation.map(|size| size.span),
        "recordsize" => dataset.recordsize.map(|size| size.span),
        "compression" => dataset.compression.as_ref().map(|word| word.span),
        "mountpoint" => dataset.mountpoint.as_ref().map(|path| path.span),
        "atime" => dataset.atime.map(|atime| atime.span),
        "sync" => dataset.sync.map(|sync| sync.span),
        "acltype" => dataset.acltype.map(|acltype| acltype.span),
        "xattr" => dataset.xattr.map(|xattr| xattr.span),
        other => {
            let mut own = dataset.properties.iter();
            let found = own.find(|(key, _)| key.value == other);
            found.map(|(_, value)| value.span)
        }
    };
    own.unwrap_or(dataset.span)
}

fn compare_dataset(
    plan: &DatasetPlan,
    dataset: &Dataset,
    properties: &Properties,
    found: &mut Found,
) {
    let name = plan.name.as_str();
    let object = Object::Dataset(name.to_owned());
    let Some(own) = properties.get(name) else {
        let pool = name.split('/').next().unwrap_or(name);
        if properties.contains_key(pool) {
            let mut change = made(object, dataset.span, "filesystem".to_owned());
            let create = Command::new("zfs").arg("create").arg("-p");
            let said = plan.properties.iter().chain(&plan.creation);
            let create = said.fold(create, |command, property| {
                command
                    .arg("-o")
                    .arg(format!("{}={}", property.key, property.value))
            });
            change.commands = vec![create.arg(name)];
            found.changes.push(change);
        }
        return;
    };
    for property in &plan.properties {
        let (option, wanted) = (property.key.as_str(), property.value.clone());
        let before = own.get(option).map(|property| property.value.clone());
        if before.as_ref() == Some(&wanted) {
            continue;
        }
        let set = |value: &str| {
            let command = Command::new("zfs").arg("set");
            vec![command.arg(format!("{option}={value}")).arg(name)]
        };
        let kind = Kind::of(before.as_ref(), Some(&wanted));
        let was_set = own.get(option).is_some_and(Property::is_set_here);
        found.changes.push(Change {
            object: object.clone(),
            option: Some(option.to_owned()),
            commands: set(&wanted),
            undo: match (&before, kind) {
                (Some(before), Kind::Change) if was_set => set(before),
                _ => vec![Command::new("zfs").arg("inherit").arg(option).arg(name)],
            },
            before,
            after: Some(wanted),
            class: Class::NOW,
            cause: Cause::Unknown,
            spec: Some(place(dataset, option)),
            line: None,
        });
    }
}

/// Volume groups that the spec makes of disks, and their thin pools. One without disks is there already, whoever made it.
fn volume_groups(host: &Host, live: &Snapshot, found: &mut Found) {
    let of_disks: Vec<&Lvm> = host
        .storage
        .lvm
        .values()
        .filter(|lvm| lvm.is_made_later() && nodes::has_store(host, &lvm.schema))
        .collect();
    if of_disks.is_empty() {
        return;
    }
    let mut know = |path: &str, reason: Option<&String>| {
        if let Some(reason) = reason {
            found.not_read(path.to_owned(), reason.clone());
        }
    };
    let (groups, volumes) = match (&live.volume_groups, &live.logical_volumes) {
        (Item::Present(groups), Item::Present(volumes)) => (groups, volumes),
        (groups, volumes) => {
            know(".moxc/vgs.json", why(groups));
            know(".moxc/lvs.json", why(volumes));
            return;
        }
    };
    for lvm in of_disks {
        let plan = groups::group(host, lvm);
        if !groups.iter().any(|there| there.name == plan.name) {
            found.changes.push(new_group(lvm, &plan));
        }
        for pool in &plan.thin_pools {
            let is_it =
                |volume: &&LogicalVolume| volume.group == plan.name && volume.name == pool.name;
            thin_pool(lvm, &plan.name, pool, volumes.iter().find(is_it), found);
        }
    }
}

fn why<T>(item: &Item<T>) -> Option<&String> {
    match item {
        Item::Present(_) | Item::Absent => None,
        Item::Unread(reason) => Some(reason),
    }
}

fn new_group(lvm: &Lvm, plan: &GroupPlan) -> Change {
    let object = Object::Lvm(plan.name.clone());
    let mut change = made(object, lvm.span, "volume group".to_owned());
    change.commands = plan.create().into();
    change.undo = plan.remove().into();
    change
}

fn thin_pool(
    lvm: &Lvm,
    group: &str,
    plan: &ThinPoolPlan,
    there: Option<&LogicalVolume>,
    found: &mut Found,
) {
    let name = format!("{group}/{}", plan.name);
    let object = Object::Lvm(name.clone());
    let Some(there) = there else {
        let mut change = made(object, lvm.span, "thin pool".to_owned());
        change.commands = vec![plan.create(group)];
        change.undo = vec![Command::new("lvremove").arg(&name)];
        found.changes.push(change);
        return;
    };
    let Some(size) = lvm.size else { return };
    // LVM rounds up to whole extents, of 4 MiB by default.
    let wanted = size.as_bytes();
    if there.size >= wanted && there.size - wanted < 64 << 20 {
        return;
    }
    let grows = there.size < wanted;
    found.changes.push(Change {
        object,
        option: Some("size".to_owned()),
        before: Some(there.size.to_string()),
        after: Some(wanted.to_string()),
        class: if grows { Class::COMMAND } else { anew() },
        cause: Cause::Unknown,
        commands: if grows {
            let extend = Command::new("lvextend").arg("-L");
            vec![extend.arg(format!("{wanted}b")).arg(name)]
        } else {
            Vec::new()
        },
        undo: Vec::new(),
        spec: Some(size.span),
        line: None,
    });
}
