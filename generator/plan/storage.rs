//! Pools and datasets: by their names, property by property. What the spec leaves to a default is set on what is made,
//! and not asked of what is there.

use super::classes::Kind;
use super::guests::Found;
use super::{Cause, Change, Class, Interrupts, Object};
use crate::live::storage::Properties;
use crate::live::{Item, Snapshot, Unread};
use crate::model::{Dataset, Given, Host, Pool};
use crate::shell::Command;
use crate::source::Span;

/// Compares pools and datasets.
pub(super) fn compare(host: &Host, live: &Snapshot, found: &mut Found) {
    if host.storage.pools.is_empty() {
        return;
    }
    let properties = match &live.zfs.properties {
        Item::Present(properties) => properties,
        Item::Absent => return,
        Item::Unread(reason) => {
            found.unread.push(Unread {
                path: ".moxc/zfs-get".to_owned(),
                reason: reason.clone(),
            });
            return;
        }
    };
    for pool in host.storage.pools.values() {
        compare_pool(pool, live, properties, found);
    }
    for dataset in host.storage.datasets.values() {
        let pool = &host.storage.pools[dataset.pool.value];
        compare_dataset(pool, dataset, properties, found);
    }
}

fn compare_pool(pool: &Pool, live: &Snapshot, properties: &Properties, found: &mut Found) {
    let name = pool.name.value.as_str();
    let object = Object::Pool(name.to_owned());
    if !properties.contains_key(name) {
        found
            .changes
            .push(made(object, pool.span, pool.layout.value.to_string()));
        return;
    }
    let of_pool = live
        .zfs
        .pool_properties
        .present()
        .and_then(|all| all.get(name));
    let mut difference = |option: &str, before: &str, after: String, class, span| {
        if before != after && !before.is_empty() {
            let set = |value: &str| {
                vec![
                    Command::new("zpool")
                        .arg("set")
                        .arg(format!("{option}={value}"))
                        .arg(name),
                ]
            };
            let (commands, undo) = if class == Class::NOW {
                (set(&after), set(before))
            } else {
                (Vec::new(), Vec::new())
            };
            found.changes.push(Change {
                object: object.clone(),
                option: Some(option.to_owned()),
                before: Some(before.to_owned()),
                after: Some(after),
                class,
                cause: Cause::Unknown,
                commands,
                undo,
                spec: Some(span),
                line: None,
            });
        }
    };
    if let Some(of_pool) = of_pool {
        let value = |name: &str| {
            of_pool
                .get(name)
                .map_or("", |property| property.value.as_str())
        };
        if pool.ashift.given == Given::Written {
            let after = pool.ashift.value.to_string();
            // 0 is what the disks say by themselves.
            if value("ashift") != "0" {
                difference("ashift", value("ashift"), after, anew(), pool.ashift.span);
            }
        }
        if pool.autotrim.given == Given::Written {
            let after = if pool.autotrim.value { "on" } else { "off" };
            difference(
                "autotrim",
                value("autotrim"),
                after.to_owned(),
                Class::NOW,
                pool.autotrim.span,
            );
        }
    }
}

/// Only a pool or a dataset made anew has it.
fn anew() -> Class {
    Class {
        interrupts: Interrupts::Nothing,
        ..Class::RECREATE
    }
}

fn made(object: Object, span: Span, what: String) -> Change {
    Change {
        object,
        option: None,
        before: None,
        after: Some(what),
        class: Class::NOW,
        cause: Cause::Unknown,
        commands: Vec::new(),
        undo: Vec::new(),
        spec: Some(span),
        line: None,
    }
}

fn compare_dataset(pool: &Pool, dataset: &Dataset, properties: &Properties, found: &mut Found) {
    let name = match &dataset.path.value {
        None => pool.name.value.clone(),
        Some(path) => format!("{}/{path}", pool.name.value),
    };
    let object = Object::Dataset(name.clone());
    let Some(own) = properties.get(&name) else {
        if properties.contains_key(&pool.name.value) {
            let mut change = made(object, dataset.span, "filesystem".to_owned());
            change.commands = vec![Command::new("zfs").arg("create").arg("-p").arg(&name)];
            found.changes.push(change);
        }
        return;
    };
    let bytes = |size: Option<crate::source::Spanned<crate::value::ByteSize>>| {
        size.map(|size| (size.value.as_bytes().to_string(), size.span))
    };
    let text = |text: &Option<crate::source::Spanned<String>>| {
        text.as_ref().map(|text| (text.value.clone(), text.span))
    };
    let mountpoint = dataset
        .mountpoint
        .as_ref()
        .map(|path| (path.value.to_string(), path.span));
    for (option, wanted) in [
        ("quota", bytes(dataset.quota)),
        ("reservation", bytes(dataset.reservation)),
        ("recordsize", bytes(dataset.recordsize)),
        ("compression", text(&dataset.compression)),
        ("mountpoint", mountpoint),
    ] {
        let Some((wanted, span)) = wanted else {
            continue;
        };
        let before = own.get(option).map(|property| property.value.clone());
        if before.as_ref() == Some(&wanted) {
            continue;
        }
        let set = |value: &str| {
            vec![
                Command::new("zfs")
                    .arg("set")
                    .arg(format!("{option}={value}"))
                    .arg(&name),
            ]
        };
        let kind = Kind::of(before.as_ref(), Some(&wanted));
        found.changes.push(Change {
            object: object.clone(),
            option: Some(option.to_owned()),
            commands: set(&wanted),
            undo: match (&before, kind) {
                (Some(before), Kind::Change) => set(before),
                _ => vec![Command::new("zfs").arg("inherit").arg(option).arg(&name)],
            },
            before,
            after: Some(wanted),
            class: Class::NOW,
            cause: Cause::Unknown,
            spec: Some(span),
            line: None,
        });
    }
}
