//! Pools: their disks by what they are, not by what somebody calls them, and the properties that the spec says.

use std::collections::BTreeSet;

use super::guests::Found;
use super::{Cause, Change, Class, Foreign, Interrupts, Object};
use crate::facts::pools::PoolPlan;
use crate::live::storage::{Pool as LivePool, Properties, Property, Vdev, VdevClass};
use crate::live::{Item, Snapshot};
use crate::model::{Given, Pool};
use crate::shell::Command;
use crate::source::Span;

/// Only a pool or a dataset made anew has it.
pub(super) fn anew() -> Class {
    Class {
        interrupts: Interrupts::Nothing,
        ..Class::RECREATE
    }
}

pub(super) fn made(object: Object, span: Span, what: String) -> Change {
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

/// Compares a pool.
pub(super) fn compare(
    pool: &Pool,
    wanted: Option<&PoolPlan>,
    live: &Snapshot,
    properties: &Properties,
    found: &mut Found,
) {
    let name = pool.name.value.as_str();
    let Some(root) = properties.get(name) else {
        let mut change = made(
            Object::Pool(name.to_owned()),
            pool.span,
            pool.layout.value.to_string(),
        );
        change.commands = wanted.map(create).into_iter().collect();
        found.changes.push(change);
        return;
    };
    let of_pool = live.zfs.pool_properties.present();
    let of_pool = of_pool.and_then(|all| all.get(name));
    own_properties(pool, root, of_pool, found);
    let Some(wanted) = wanted else { return };
    match &live.zfs.pools {
        Item::Present(pools) => {
            if let Some(there) = pools.iter().find(|there| there.name == name) {
                Members { live, pool, wanted }.compare(there, found);
            }
        }
        Item::Absent => {}
        Item::Unread(reason) => found.not_read(".moxc/zpool-status".to_owned(), reason.clone()),
    }
}

/// `zpool create`, as the script of the tree calls it.
fn create(pool: &PoolPlan) -> Command {
    let mut command = Command::new("zpool").arg("create");
    if !pool.unlike.is_empty() {
        command = command.arg("-f");
    }
    command = command
        .arg("-o")
        .arg(format!("ashift={}", pool.ashift))
        .arg("-o")
        .arg(format!("autotrim={}", pool.autotrim))
        .arg("-O")
        .arg(format!("compression={}", pool.compression))
        .arg(&pool.name);
    let further = pool.further.iter().flat_map(|further| &further.words);
    pool.vdevs.iter().chain(further).fold(command, Command::arg)
}

fn own_properties(
    pool: &Pool,
    root: &std::collections::BTreeMap<String, Property>,
    of_pool: Option<&std::collections::BTreeMap<String, Property>>,
    found: &mut Found,
) {
    let name = pool.name.value.as_str();
    let mut difference = |option: &str, before: &str, after: String, class, program, span| {
        if before == after || before.is_empty() {
            return;
        }
        let set = |value: &str| {
            let command = Command::new(program).arg("set");
            vec![command.arg(format!("{option}={value}")).arg(name)]
        };
        let (commands, undo) = if class == Class::NOW {
            (set(&after), set(before))
        } else {
            (Vec::new(), Vec::new())
        };
        found.changes.push(Change {
            object: Object::Pool(name.to_owned()),
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
    };
    let value = |of: &std::collections::BTreeMap<String, Property>, name: &str| {
        of.get(name)
            .map_or_else(String::new, |property| property.value.clone())
    };
    if let Some(of_pool) = of_pool {
        let ashift = value(of_pool, "ashift");
        // 0 is what the disks say by themselves.
        if pool.ashift.given == Given::Written && ashift != "0" {
            let after = pool.ashift.value.to_string();
            difference("ashift", &ashift, after, anew(), "zpool", pool.ashift.span);
        }
        if pool.autotrim.given == Given::Written {
            let after = if pool.autotrim.value { "on" } else { "off" }.to_owned();
            let before = value(of_pool, "autotrim");
            difference(
                "autotrim",
                &before,
                after,
                Class::NOW,
                "zpool",
                pool.autotrim.span,
            );
        }
    }
    if pool.compression.given == Given::Written {
        let after = pool.compression.value.clone();
        let before = value(root, "compression");
        difference(
            "compression",
            &before,
            after,
            Class::NOW,
            "zfs",
            pool.compression.span,
        );
    }
}

/// The disks of a pool on both sides.
struct Members<'a> {
    live: &'a Snapshot,
    pool: &'a Pool,
    wanted: &'a PoolPlan,
}

/// Disks that stand together: `mirror`, `raidz1`, …, or `disk` for one alone.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    class: VdevClass,
    level: String,
    disks: Vec<String>,
}

impl Members<'_> {
    /// A disk by what the kernel calls it where the copy tells, so that every name of it is one.
    fn identity(&self, path: &str) -> String {
        let name = path.rsplit('/').next().unwrap_or(path);
        let by_id = self.live.machine.by_id.present();
        let target = |name: &str| by_id.and_then(|by_id| by_id.get(name)).cloned();
        let kernel = target(name).unwrap_or_else(|| name.to_owned());
        // `zpool` gives a whole disk two partitions, and names the first.
        let whole = kernel
            .strip_suffix("-part1")
            .map(str::to_owned)
            .or_else(|| self.whole_disk(&kernel));
        let is_partition = self.wanted.disks_of_all().any(|disk| {
            let own = disk.rsplit('/').next().unwrap_or(disk);
            target(own).unwrap_or_else(|| own.to_owned()) == kernel
        });
        if is_partition {
            kernel
        } else {
            whole.unwrap_or(kernel)
        }
    }

    /// The disk that `sda1`, `nvme0n1p1` is the first partition of, where the copy lists it.
    fn whole_disk(&self, kernel: &str) -> Option<String> {
        let disks = self.live.machine.disks.present()?;
        let disk = disks.iter().find(|disk| {
            disk.children
                .iter()
                .any(|child| child.kind == "part" && child.path.rsplit('/').next() == Some(kernel))
        })?;
        let name = disk.path.rsplit('/').next()?;
        let number = kernel.strip_prefix(name)?.trim_start_matches('p');
        (number == "1").then(|| name.to_owned())
    }

    fn compare(&self, there: &LivePool, found: &mut Found) {
        let wanted: Vec<Group> = self
            .wanted
            .groups()
            .map(|(role, word, disks)| Group {
                class: class_of(role),
                level: if word.is_empty() { "disk" } else { word }.to_owned(),
                disks,
            })
            .flat_map(alone)
            .collect();
        for class in [
            VdevClass::Data,
            VdevClass::Special,
            VdevClass::Log,
            VdevClass::Cache,
            VdevClass::Spare,
            VdevClass::Dedup,
        ] {
            let of = |groups: &[Group]| -> Vec<Group> {
                let own = groups.iter().filter(|group| group.class == class);
                own.cloned().collect()
            };
            let live: Vec<Group> = there
                .vdevs
                .iter()
                .filter(|vdev| vdev.class == class)
                .map(group)
                .collect();
            self.compare_class(class, &live, &of(&wanted), found);
        }
    }

    fn compare_class(&self, class: VdevClass, live: &[Group], wanted: &[Group], found: &mut Found) {
        let same = |one: &str, other: &str| self.identity(one) == self.identity(other);
        let has = |group: &Group, disk: &str| group.disks.iter().any(|own| same(own, disk));
        let meets = |one: &Group, other: &Group| one.disks.iter().any(|disk| has(other, disk));
        let met_twice = |of: &[Group], by: &[Group]| {
            let meet = |one: &Group| by.iter().filter(|other| meets(one, other)).count();
            of.iter().any(|one| meet(one) > 1)
        };
        // Disks that stand together in another way: nothing adds or takes away what makes the difference.
        if met_twice(wanted, live) || met_twice(live, wanted) {
            found.changes.push(self.change(
                option(class, "layout"),
                Some(word(live).to_owned()),
                Some(word(wanted).to_owned()),
                anew(),
            ));
            return;
        }
        let mut left: Vec<&Group> = live.iter().collect();
        for group in wanted {
            let at = left
                .iter()
                .position(|there| group.disks.iter().any(|disk| has(there, disk)))
                // A disk alone that is replaced has nothing else to be known by.
                .or_else(|| {
                    left.iter().position(|there| {
                        wanted.len() == live.len()
                            && there.level == group.level
                            && !wanted
                                .iter()
                                .any(|other| there.disks.iter().any(|disk| has(other, disk)))
                    })
                });
            match at {
                Some(at) => {
                    let there = left.remove(at);
                    self.compare_group(class, there, group, &same, found);
                }
                None => self.new_group(class, group, found),
            }
        }
        for disk in left.iter().flat_map(|group| &group.disks) {
            self.foreign(class, disk, found);
        }
    }

    fn compare_group(
        &self,
        class: VdevClass,
        there: &Group,
        wanted: &Group,
        same: &dyn Fn(&str, &str) -> bool,
        found: &mut Found,
    ) {
        let pool = self.wanted.name.as_str();
        let lacks = |of: &Group, from: &Group| -> Vec<String> {
            let missing = of
                .disks
                .iter()
                .filter(|disk| !from.disks.iter().any(|own| same(own, disk)));
            missing.cloned().collect()
        };
        let (new, old) = (lacks(wanted, there), lacks(there, wanted));
        let is_mirror = |level: &str| matches!(level, "mirror" | "disk");
        let levels = (
            there.level.replace("raidz1", "raidz"),
            wanted.level.replace("raidz1", "raidz"),
        );
        if levels.0 != levels.1 && !(is_mirror(&there.level) && is_mirror(&wanted.level)) {
            found.changes.push(self.change(
                option(class, "layout"),
                Some(word(std::slice::from_ref(there)).to_owned()),
                Some(word(std::slice::from_ref(wanted)).to_owned()),
                anew(),
            ));
            return;
        }
        let mut new = new.into_iter();
        let mut old = old.into_iter();
        let zpool = |verb: &str| Command::new("zpool").arg(verb).arg(pool);
        loop {
            let (before, after) = (old.next(), new.next());
            let mut change = match (&before, &after) {
                (None, None) => break,
                (Some(before), None) => {
                    self.foreign(class, before, found);
                    continue;
                }
                (_, Some(_)) => self.change(
                    option(class, "disks"),
                    before.clone(),
                    after.clone(),
                    Class::COMMAND,
                ),
            };
            match (&before, &after) {
                (Some(before), Some(after)) => {
                    change.commands = vec![zpool("replace").arg(before).arg(after)];
                    change.undo = vec![zpool("replace").arg(after).arg(before)];
                }
                (None, Some(after)) if is_mirror(&there.level) => {
                    let beside = there.disks.first().map_or("", String::as_str);
                    change.commands = vec![zpool("attach").arg(beside).arg(after)];
                    change.undo = vec![zpool("detach").arg(after)];
                }
                // From OpenZFS 2.3 a raidz takes a further disk, and never gives it back.
                (None, Some(_)) => change.class = anew(),
                (_, None) => {}
            }
            found.changes.push(change);
        }
    }

    /// A vdev that the pool does not have.
    fn new_group(&self, class: VdevClass, group: &Group, found: &mut Found) {
        let mut command = Command::new("zpool").arg("add").arg(&self.wanted.name);
        let role = role_of(class);
        if !role.is_empty() {
            command = command.arg(role);
        }
        if group.level != "disk" {
            command = command.arg(&group.level);
        }
        let shown = group.disks.join(" ");
        let mut change = self.change(option(class, "disks"), None, Some(shown), Class::COMMAND);
        change.commands = vec![group.disks.iter().fold(command, Command::arg)];
        if let ("disk", [only]) = (group.level.as_str(), &group.disks[..]) {
            let remove = Command::new("zpool").arg("remove").arg(&self.wanted.name);
            change.undo = vec![remove.arg(only)];
        }
        found.changes.push(change);
    }

    fn foreign(&self, class: VdevClass, disk: &str, found: &mut Found) {
        let object = Object::Pool(self.wanted.name.clone());
        let option = option(class, "disks");
        found.foreign.push(Foreign::option(object, &option, disk));
    }

    fn change(
        &self,
        option: String,
        before: Option<String>,
        after: Option<String>,
        class: Class,
    ) -> Change {
        Change {
            object: Object::Pool(self.wanted.name.clone()),
            option: Some(option),
            before,
            after,
            class,
            cause: Cause::Unknown,
            commands: Vec::new(),
            undo: Vec::new(),
            spec: Some(self.place()),
            line: None,
        }
    }

    fn place(&self) -> Span {
        self.pool
            .disks
            .first()
            .map_or(self.pool.span, |disk| disk.span)
    }
}

/// How vdevs stand together, in the words of a spec.
fn word(groups: &[Group]) -> &str {
    match groups {
        [first, _, ..] if first.level == "mirror" => "raid10",
        [first, ..] if first.level == "disk" => "stripe",
        [first, ..] => &first.level,
        [] => "nothing",
    }
}

/// Disks that stand alone are a vdev each.
fn alone(group: Group) -> Vec<Group> {
    if group.level != "disk" {
        return vec![group];
    }
    let one = |disk: String| Group {
        class: group.class,
        level: group.level.clone(),
        disks: vec![disk],
    };
    group.disks.iter().cloned().map(one).collect()
}

fn group(vdev: &Vdev) -> Group {
    let unique: BTreeSet<&String> = vdev.members.iter().collect();
    Group {
        class: vdev.class,
        level: vdev.level.clone(),
        disks: unique.into_iter().cloned().collect(),
    }
}

fn class_of(role: &str) -> VdevClass {
    match role {
        "special" => VdevClass::Special,
        "log" => VdevClass::Log,
        "cache" => VdevClass::Cache,
        "spare" => VdevClass::Spare,
        _ => VdevClass::Data,
    }
}

fn role_of(class: VdevClass) -> &'static str {
    match class {
        VdevClass::Data => "",
        VdevClass::Special => "special",
        VdevClass::Log => "log",
        VdevClass::Cache => "cache",
        VdevClass::Spare => "spare",
        VdevClass::Dedup => "dedup",
    }
}

/// The name of what differs: `disks` of the data, `log.disks` of a further vdev.
fn option(class: VdevClass, what: &str) -> String {
    match role_of(class) {
        "" => what.to_owned(),
        role => format!("{role}.{what}"),
    }
}
