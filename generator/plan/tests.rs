use std::collections::BTreeMap;
use std::io;

use super::*;
use crate::compile::Compiled;
use crate::live::{Folder, FolderEntry, Snapshot, read_folder};
use crate::output::FileSet;
use crate::pve::{GuestKind, is_state};
use crate::source::SourceMap;
use crate::targets::Target;
use crate::template::Templates;

/// A copy of a host in memory.
#[derive(Debug, Clone, Default)]
struct Files(BTreeMap<String, String>);

impl Folder for Files {
    fn entries(&self, path: &str) -> io::Result<Vec<(String, FolderEntry)>> {
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let mut entries = BTreeMap::new();
        for path in self.0.keys() {
            let Some(rest) = path.strip_prefix(&prefix) else {
                continue;
            };
            let kind = if rest.contains('/') {
                FolderEntry::Folder
            } else {
                FolderEntry::File
            };
            entries.insert(rest.split('/').next().unwrap_or_default().to_owned(), kind);
        }
        Ok(entries.into_iter().collect())
    }

    fn read(&self, path: &str, _: usize) -> io::Result<Vec<u8>> {
        Ok(self.0[path].clone().into_bytes())
    }
}

/// A spec, and a host that is as it says.
struct Pair {
    sources: SourceMap,
    host: crate::model::Host,
    files: FileSet,
    live: Files,
}

impl Pair {
    fn of(spec: &str) -> Self {
        let mut compiled = Compiled::of("host.toml", spec);
        let files = compiled
            .files(&[Target::Proxmox], &Templates::built_in())
            .expect("the spec has no errors");
        let host = compiled.checked.host;
        let mut live = Files::default();
        let node = host.name.as_str().to_owned();
        for file in files.iter() {
            let text = String::from_utf8_lossy(&file.contents).into_owned();
            let Some(path) = file.path.as_str().strip_prefix("proxmox/") else {
                continue;
            };
            let path = match path.strip_prefix("etc/pve/") {
                Some(rest) if rest.starts_with("qemu-server/") || rest.starts_with("lxc/") => {
                    format!("etc/pve/nodes/{node}/{rest}")
                }
                _ => path.to_owned(),
            };
            if path.starts_with("etc/") || path.starts_with("usr/") || path.starts_with("var/") {
                live.0.insert(path, text);
            }
        }
        live.0
            .insert("etc/hostname".to_owned(), format!("{node}\n"));
        live.0
            .insert(".moxc/running".to_owned(), "100\n201\n".to_owned());
        Self {
            sources: compiled.sources,
            host,
            files,
            live,
        }
    }

    fn snapshot(&self) -> Snapshot {
        read_folder(&self.live).expect("a host")
    }

    fn plan(&self) -> Plan {
        let wanted = Wanted {
            host: &self.host,
            files: &self.files,
        };
        compare(&wanted, &self.snapshot())
    }

    /// The same with one file changed.
    fn with(&self, path: &str, change: impl FnOnce(&str) -> String) -> Plan {
        let mut live = self.live.clone();
        let text = live.0.get_mut(path).unwrap_or_else(|| panic!("no {path}"));
        let changed = change(text);
        assert_ne!(*text, changed, "{path} is as it was");
        *text = changed;
        let wanted = Wanted {
            host: &self.host,
            files: &self.files,
        };
        compare(&wanted, &read_folder(&live).expect("a host"))
    }
}

const SPEC: &str = include_str!("../../examples/homelab.toml");

fn lines(plan: &Plan) -> Vec<String> {
    plan.changes
        .iter()
        .map(|change| {
            let words = change.class.words().join(" ");
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            format!(
                "{} {}: {} > {}: {words}",
                change.object,
                change.option.as_deref().unwrap_or("*"),
                value(&change.before),
                value(&change.after)
            )
        })
        .collect()
}

#[test]
fn a_host_that_is_as_its_spec_says_has_no_difference() {
    for spec in [
        SPEC,
        include_str!("../../examples/bighost.toml"),
        include_str!("../../examples/mini.toml"),
    ] {
        let pair = Pair::of(spec);
        let plan = pair.plan();
        assert_eq!(lines(&plan), [""; 0]);
        assert_eq!(plan.foreign, []);
    }
}

/// What Proxmox VE writes by itself, and what spells the same in another way.
#[test]
fn state_and_spelling_are_no_difference() {
    let pair = Pair::of(SPEC);
    for path in pair.live.0.keys().filter(|path| path.ends_with(".conf")) {
        let Some((_, name)) = path.rsplit_once('/') else {
            continue;
        };
        if !name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let plan = pair.with(path, |text| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let notes = lines.iter().take_while(|line| line.starts_with('#')).count();
            lines[notes..].reverse();
            for line in &mut lines[notes..] {
                if line.starts_with("net") {
                    *line = line.replace("BC:24:11", "bc:24:11");
                } else if let Some(at) = line.find(",size=").filter(|_| !line.starts_with("args")) {
                    let end = line[at + 1..].find(',').map_or(line.len(), |end| at + 1 + end);
                    line.replace_range(at..end, "");
                } else if *line == "onboot: 1" {
                    *line = "onboot: yes".to_owned();
                }
            }
            let state = "meta: creation-qemu=9.0.2,ctime=1700000000\nunused0: local-zfs:vm-1-disk-9\nparent: before\n";
            let sections = "\n[PENDING]\n\n[special:cloudinit]\nname: old\n\n[before]\n#notes\nmemory: 16\nsnaptime: 1\n";
            format!("{}\n{state}{sections}", lines.join("\n"))
        });
        assert_eq!(lines(&plan), [""; 0], "{path}");
    }
}

/// What is set and not in force is no difference, and is told.
#[test]
fn a_wanted_value_that_waits_for_a_restart_is_told() {
    let pair = Pair::of(SPEC);
    let vm = guest_path(&pair, "/qemu-server/");
    let (text, waiting) = (pair.live.0[&vm].clone(), "\n[PENDING]\n");
    let cores = text
        .lines()
        .find(|line| line.starts_with("cores: "))
        .expect("it has cores")
        .to_owned();
    let mut pair = pair;
    pair.live.0.insert(
        vm,
        format!("{}{waiting}{cores}\n", text.replace(&cores, "cores: 31")),
    );
    let plan = pair.plan();
    assert!(plan.is_same());
    let told: Vec<_> = plan
        .foreign
        .iter()
        .map(|foreign| (foreign.option.as_deref(), foreign.pending))
        .collect();
    assert_eq!(told, [(Some("cores"), true)]);
    let shown = super::render::human(&plan, false);
    assert!(
        shown.contains("set already, and not yet in force:"),
        "{shown}"
    );
}

fn guest_path(pair: &Pair, kind: &str) -> String {
    let mut paths = pair.live.0.keys();
    let path = paths.find(|path| path.contains(kind) && path.ends_with(".conf"));
    path.expect("there is a guest").clone()
}

/// Every line of every guest that is taken away is found once, at its place, and nothing else is.
#[test]
fn a_line_that_is_gone_is_found_once() {
    let pair = Pair::of(SPEC);
    for (path, text) in pair
        .live
        .0
        .iter()
        .filter(|(path, _)| path.contains("/nodes/"))
    {
        if !path.ends_with(".conf") {
            continue;
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (key, value) = line.split_once(": ").expect("a line of a guest");
            let plan = pair.with(path, |text| text.replacen(&format!("{line}\n"), "", 1));
            let kind = if path.contains("/lxc/") {
                GuestKind::Pct
            } else {
                GuestKind::Qm
            };
            let file = kind.config_file();
            let parts = super::value::parts(file, key, value);
            let default = super::value::differences(file, key, None, Some(&parts)).is_empty();
            let kept = is_state(key) || key == "vmgenid";
            let expected = usize::from(!default && !kept);
            let found = lines(&plan);
            assert_eq!(found.len(), expected, "{path} {line}: {found:?}");
            if let [change] = &plan.changes[..] {
                let option = if key.starts_with("lxc.") { "lxc" } else { key };
                let own = change.option.as_deref().unwrap_or_default();
                assert_eq!(own.split('.').next(), Some(option), "{line}");
                assert!(change.spec.is_some(), "{line} leads nowhere");
            }
        }
    }
}

#[test]
fn differences_bear_proxmox_names_and_classes() {
    let pair = Pair::of(SPEC);
    let vm = guest_path(&pair, "/qemu-server/");
    let text = &pair.live.0[&vm];
    let vmid: u32 = vm
        .rsplit('/')
        .next()
        .and_then(|name| name.strip_suffix(".conf"))
        .and_then(|number| number.parse().ok())
        .expect("a VMID");
    let one = |plan: &Plan| {
        let found = lines(plan);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    };
    let memory = text
        .lines()
        .find_map(|line| line.strip_prefix("memory: "))
        .expect("it has memory");
    let mut running = pair.live.clone();
    running
        .0
        .insert(".moxc/running".to_owned(), format!("{vmid}\n"));
    let pair = Pair {
        live: running,
        ..pair
    };
    let plan = pair.with(&vm, |text| {
        text.replace(&format!("memory: {memory}"), "memory: 256")
    });
    assert_eq!(
        one(&plan),
        format!("vm/{vmid} memory: 256 > {memory}: restart pending guest kept")
    );
    let commands: Vec<String> = plan.changes[0]
        .commands
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(commands, [format!("qm set {vmid} --memory {memory}")]);
    let undo: Vec<String> = plan.changes[0]
        .undo
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(undo, [format!("qm set {vmid} --memory 256")]);
    let plan = pair.with(&vm, |text| text.replacen("bridge=vmbr", "bridge=vmbr9", 1));
    assert!(one(&plan).ends_with("now live device kept"), "{plan:?}");
    assert!(plan.changes[0].option.as_deref() == Some("net0.bridge"));
}

#[test]
fn what_the_host_has_beyond_the_spec_is_foreign() {
    let pair = Pair::of(SPEC);
    let vm = guest_path(&pair, "/qemu-server/");
    let plan = pair.with(&vm, |text| {
        format!("{text}hookscript: local:snippets/mine.sh\n")
    });
    assert_eq!(lines(&plan), [""; 0]);
    assert_eq!(plan.foreign.len(), 1);
    assert_eq!(plan.foreign[0].option.as_deref(), Some("hookscript"));
    let mut live = pair.live.clone();
    let node = pair.host.name.as_str();
    live.0.insert(
        format!("etc/pve/nodes/{node}/qemu-server/999.conf"),
        "name: theirs\nmemory: 128\n".to_owned(),
    );
    live.0
        .insert("etc/pve/sdn/zones.cfg".to_owned(), "simple: z\n".to_owned());
    let pair = Pair { live, ..pair };
    let plan = pair.plan();
    assert!(plan.is_same());
    let foreign: Vec<String> = plan
        .foreign
        .iter()
        .map(|foreign| foreign.object.to_string())
        .collect();
    assert_eq!(foreign, ["vm/999", "file/etc/pve/sdn/zones.cfg"]);
}

#[test]
fn three_sides_tell_who_changed_something() {
    let pair = Pair::of(SPEC);
    let vm = guest_path(&pair, "/qemu-server/");
    let name = vm.rsplit('/').next().unwrap_or_default();
    let path = format!("etc/pve/qemu-server/{name}");
    let text = pair.live.0[&vm].clone();
    let cause = |applied: Option<&str>, live: &str| {
        let with = |cores: &str| {
            text.lines()
                .map(|line| {
                    if line.starts_with("cores: ") {
                        cores
                    } else {
                        line
                    }
                })
                .collect::<Vec<_>>()
                .join("\n")
        };
        let of_guest = |applied| serde_json::json!({ path.clone(): {"text": with(applied)} });
        let left = applied.map_or_else(|| serde_json::json!({}), of_guest);
        let mut record = serde_json::json!({"format": 1, "files": left});
        // A secret in it takes nothing from what stands behind.
        record["files"]["a"] = serde_json::json!({"text": "cipassword: x\nname: a\n"});
        let mut files = pair.live.clone();
        files
            .0
            .insert("var/lib/moxc/applied.json".to_owned(), record.to_string());
        files.0.insert(vm.clone(), with(live));
        let wanted = Wanted {
            host: &pair.host,
            files: &pair.files,
        };
        let plan = compare(&wanted, &read_folder(&files).expect("a host"));
        let change = plan
            .changes
            .iter()
            .find(|change| change.option.as_deref() == Some("cores"));
        change.map(|change| change.cause)
    };
    let wanted = text
        .lines()
        .find(|line| line.starts_with("cores: "))
        .expect("it has cores");
    assert_eq!(cause(Some("cores: 31"), "cores: 31"), Some(Cause::Spec));
    assert_eq!(cause(Some(wanted), "cores: 31"), Some(Cause::Host));
    assert_eq!(cause(Some("cores: 30"), "cores: 31"), Some(Cause::Both));
    assert_eq!(cause(Some("cores: 30"), wanted), None);
    // No run has made the guest or taken it over.
    assert_eq!(cause(None, "cores: 31"), Some(Cause::Unknown));
}

/// A unit is written as one: an edit by hand stays while the spec changes nothing of the file, and is told to go with it else.
#[test]
fn an_edit_of_a_file_that_is_all_ours_goes_with_the_first_change_of_it() {
    let pair = Pair::of(SPEC);
    let is_timer =
        |path: &&String| path.starts_with("etc/systemd/system/") && path.ends_with(".timer");
    let path = pair.live.0.keys().find(is_timer).expect("a timer").clone();
    let wanted = pair.live.0[&path].clone();
    let line = wanted.lines().find(|line| line.starts_with("OnCalendar="));
    let later = wanted.replace(line.expect("when it starts"), "OnCalendar=*-*-* 23:59:00");
    let causes = |left: &str| {
        let mut files = pair.live.clone();
        let record = serde_json::json!({"format": 1, "files": {path.clone(): {"text": left}}});
        let edited = left.replace("[Timer]\n", "[Timer]\nWakeSystem=true\n");
        files
            .0
            .insert("var/lib/moxc/applied.json".to_owned(), record.to_string());
        files.0.insert(path.clone(), edited);
        let wanted = Wanted {
            host: &pair.host,
            files: &pair.files,
        };
        let plan = compare(&wanted, &read_folder(&files).expect("a host"));
        let of_file =
            |change: &&Change| path.ends_with(&change.object.to_string().replace("unit/", ""));
        let changes = plan.changes.iter().filter(of_file);
        changes.map(|change| change.cause).collect::<Vec<_>>()
    };
    assert_eq!(causes(&wanted), [Cause::Host]);
    assert_eq!(causes(&later), [Cause::Spec, Cause::Both]);
}

#[test]
fn a_record_that_cannot_be_read_is_told() {
    let pair = Pair::of(SPEC);
    let mut files = pair.live.clone();
    let path = "var/lib/moxc/applied.json";
    files.0.insert(path.to_owned(), "{\"files\":".to_owned());
    let wanted = Wanted {
        host: &pair.host,
        files: &pair.files,
    };
    let plan = compare(&wanted, &read_folder(&files).expect("a host"));
    assert!(
        plan.unread.iter().any(|unread| unread.path == path),
        "{:?}",
        plan.unread
    );
}

fn changed_guest(live: &str, wanted: &str) -> Vec<(String, [&'static str; 4], Vec<String>)> {
    changes_of_guest(
        GuestKind::Qm,
        crate::pve::Release::NEWEST,
        Some(true),
        live,
        wanted,
    )
    .into_iter()
    .map(|change| {
        let commands = change.commands.iter().map(ToString::to_string).collect();
        (
            change.option.unwrap_or_default(),
            change.class.words(),
            commands,
        )
    })
    .collect()
}

#[test]
fn what_is_set_beside_a_move_names_the_storage_that_the_disk_is_on_by_then() {
    let disk = "boot: order=scsi9\nscsi1: tank:vm-100-disk-1,cache=none,size=8G\n";
    let wanted = "boot: order=scsi9\nscsi1: fast:vm-100-disk-1,cache=writeback,size=16G\n";
    let found: Vec<(String, Vec<String>)> = changed_guest(disk, wanted)
        .into_iter()
        .map(|(option, _, commands)| (option, commands))
        .collect();
    let of = |option: &str, command: &str| (option.to_owned(), vec![command.to_owned()]);
    assert_eq!(
        found,
        [
            of("scsi1.file", "qm disk move 100 scsi1 fast --delete 1"),
            of("scsi1.size", "qm disk resize 100 scsi1 16G"),
            of(
                "scsi1.cache",
                "qm set 100 --scsi1 'fast:vm-100-disk-1,cache=writeback,size=16G'"
            ),
        ]
    );
}

#[test]
fn disks_grow_move_and_are_never_taken_for_others() {
    let disk = "boot: order=scsi9\nscsi1: tank:vm-100-disk-1,size=8G\n";
    for (wanted, option, class, command) in [
        (
            "tank:vm-100-disk-1,size=16G",
            "scsi1.size",
            ["command", "live", "nothing", "kept"],
            Some("qm disk resize 100 scsi1 16G"),
        ),
        (
            "tank:vm-100-disk-1,size=4G",
            "scsi1.size",
            ["recreate", "live", "guest", "kept"],
            None,
        ),
        (
            "fast:vm-100-disk-1,size=8G",
            "scsi1.file",
            ["command", "live", "nothing", "kept"],
            Some("qm disk move 100 scsi1 fast --delete 1"),
        ),
        (
            "tank:vm-100-disk-7,size=8G",
            "scsi1.file",
            ["now", "live", "device", "detached"],
            Some("qm set 100 --scsi1 tank:8"),
        ),
    ] {
        let found = changed_guest(disk, &format!("boot: order=scsi9\nscsi1: {wanted}\n"));
        assert_eq!(
            found,
            [(
                option.to_owned(),
                class,
                command.map(str::to_owned).into_iter().collect::<Vec<_>>()
            )],
            "{wanted}"
        );
    }
    let found = changed_guest(
        "scsi1: tank:vm-100-disk-1\n",
        "scsi1: tank:vm-100-disk-1,size=8G\n",
    );
    assert_eq!(found, [], "a size that the file leaves out is none");
    let found = changed_guest(disk, "boot: order=scsi9\n");
    assert_eq!(found[0].1, ["now", "live", "device", "detached"]);
}

#[test]
fn a_line_is_as_late_as_its_latest_part() {
    let found = changed_guest(
        "scsi1: tank:vm-100-disk-1,size=8G\n",
        "scsi1: tank:vm-100-disk-1,size=8G,cache=writeback,serial=abc\n",
    );
    for (option, class, _) in found {
        assert_eq!(class, ["restart", "pending", "guest", "kept"], "{option}");
    }
}

/// What a running guest's line comes to, asked of Proxmox VE's own code.
#[test]
fn the_values_of_both_sides_decide_on_the_class() {
    let mac = "BC:24:11:00:00:01";
    let boots = "boot: order=scsi1\nscsi1: tank:vm-100-disk-1\n";
    for (live, wanted, class) in [
        // A disk that another one replaces is plugged in with all that its line says.
        (
            "scsi1: tank:vm-100-disk-1\n",
            "scsi1: tank:vm-100-disk-2,cache=writeback,serial=abc\n",
            "now live device detached",
        ),
        (
            boots,
            "boot: order=scsi1\nscsi1: tank:vm-100-disk-2\n",
            "refused pending nothing detached",
        ),
        (
            &format!("net0: virtio={mac},bridge=vmbr0\n"),
            "net0: virtio=BC:24:11:00:00:02,bridge=vmbr0,host-tunnel=1\n",
            "now live device kept",
        ),
        // A machine of a QEMU that knows no tunnels is told nothing of them.
        (
            &format!("machine: pc-q35-9.2+pve1\nnet0: virtio={mac},bridge=vmbr0\n"),
            &format!("machine: pc-q35-9.2+pve1\nnet0: virtio={mac},bridge=vmbr0,host-tunnel=1\n"),
            "now live nothing kept",
        ),
        (
            &format!("machine: pc-q35-11.0+pve1\nnet0: virtio={mac},bridge=vmbr0\n"),
            &format!("machine: pc-q35-11.0+pve1\nnet0: virtio={mac},bridge=vmbr0,host-tunnel=1\n"),
            "restart silent guest kept",
        ),
        (
            &format!("hotplug: network\nnet0: virtio={mac}\n"),
            &format!("hotplug: network\nnet0: virtio={mac},tag=5\n"),
            "now live device kept",
        ),
        (
            "hotplug: disk\n",
            "hotplug: network\n",
            "now live nothing kept",
        ),
        (
            "hotplug: disk,cpu\n",
            "hotplug: disk\n",
            "restart pending guest kept",
        ),
        (
            "agent: enabled=0\n",
            "agent: enabled=0,freeze-fs=0\n",
            "now live nothing kept",
        ),
        // A `0` is no agent at all to `vmconfig_update_agent`.
        (
            "agent: 0\n",
            "agent: 0,freeze-fs=0\n",
            "restart pending guest kept",
        ),
        // A balloon stays below the memory, whichever of both is set.
        (
            "memory: 4096\nballoon: 4096\n",
            "memory: 2048\nballoon: 4096\n",
            "refused live nothing kept",
        ),
        (
            "memory: 2048\nballoon: 1024\n",
            "memory: 2048\nballoon: 4096\n",
            "refused live nothing kept",
        ),
        (
            "lock: backup\nmemory: 4096\n",
            "lock: backup\nmemory: 2048\n",
            "refused live nothing kept",
        ),
        // What is in a drive of discs beside the disc is recorded, and waits where nobody sees it.
        (
            "ide2: none,media=cdrom\n",
            "ide2: none,media=cdrom,cache=unsafe\n",
            "restart silent guest kept",
        ),
        // An image of a disc as a disk is of older releases.
        (
            "scsi1: local:iso/a.iso\n",
            "scsi1: local:iso/a.iso,ssd=1\n",
            "refused live nothing kept",
        ),
        // What a change costs hangs on what is in force; what waits is dropped.
        (
            "scsi1: tank:vm-100-disk-1\n[PENDING]\nscsi1: tank:vm-100-disk-2\n",
            "scsi1: tank:vm-100-disk-1,mbps=5\n",
            "now live nothing detached",
        ),
        (
            "net0: virtio=BC:24:11:00:00:01,bridge=vmbr0\n[PENDING]\nnet0: virtio=BC:24:11:00:00:02,bridge=vmbr0\n",
            "net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,rate=5\n",
            "now live nothing kept",
        ),
        (
            "vmgenid: de363f9f-f951-4138-840c-9de404c7f25c\n",
            "vmgenid: 0\n",
            "restart pending guest kept",
        ),
        (
            "ostype: win10\n",
            "ostype: win10\nlocaltime: 0\n",
            "restart pending guest kept",
        ),
        (
            "protection: 1\nscsi1: tank:vm-100-disk-1\n",
            "protection: 1\n",
            "refused live nothing kept",
        ),
        (
            "tpmstate0: tank:vm-100-disk-1\n",
            "tpmstate0: tank:vm-100-disk-1,version=v2.0\n",
            "recreate live guest kept",
        ),
    ] {
        let found = changed_guest(live, wanted);
        assert!(!found.is_empty(), "{live}{wanted}");
        for (option, words, _) in found {
            assert_eq!(words.join(" "), class, "{option}: {live}{wanted}");
        }
    }
}

/// What a running container's line comes to, asked of Proxmox VE's own code.
#[test]
fn what_a_container_needs_does_not_go() {
    let of = |live: &str, wanted: &str| {
        let newest = crate::pve::Release::NEWEST;
        let found = changes_of_guest(GuestKind::Pct, newest, Some(true), live, wanted);
        let classes = found
            .into_iter()
            .map(|change| change.class.words().join(" "));
        classes.collect::<Vec<_>>()
    };
    assert_eq!(of("ostype: debian\n", ""), ["refused live nothing kept"]);
    let card = "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:01,type=veth";
    assert_eq!(of(&format!("net9: {card}\n"), ""), ["now live device kept"]);
    assert_eq!(
        of(&format!("net10: {card}\n"), ""),
        ["restart pending guest kept"]
    );
    assert_eq!(of("swap: 512\n", ""), ["now live nothing kept"]);
    assert_eq!(of("swap: 0\n", ""), [""; 0]);
}

/// A MAC address in small letters is another one to Proxmox VE, which would make the card anew for it.
#[test]
fn what_stays_of_a_line_is_spelled_as_it_was() {
    for (live, wanted, command) in [
        (
            "net0: virtio=bc:24:11:00:00:01,bridge=vmbr0,trunks=4;3",
            "net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,rate=5,trunks=3;4",
            "--net0 'virtio=bc:24:11:00:00:01,bridge=vmbr0,rate=5,trunks=4;3'",
        ),
        (
            "hostpci0: 01:00,pcie=1",
            "hostpci0: 0000:01:00,pcie=1,rombar=0",
            "--hostpci0 '01:00,pcie=1,rombar=0'",
        ),
        // Proxmox VE takes no processor without a model.
        (
            "cpu: host,flags=+aes",
            "cpu: kvm64,flags=+aes",
            "--cpu 'kvm64,flags=+aes'",
        ),
    ] {
        let found = changed_guest(live, wanted);
        let [(.., commands)] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(commands[0], format!("qm set 100 {command}"));
    }
}

#[test]
fn another_volume_is_allocated_and_has_a_size_of_its_own() {
    let found = changed_guest(
        "scsi1: tank:vm-100-disk-1,size=32G\n",
        "scsi1: tank:vm-100-disk-2,size=5G\n",
    );
    let [(option, class, commands)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(option, "scsi1.file");
    assert_eq!(class, &["now", "live", "device", "detached"]);
    assert_eq!(commands[0], "qm set 100 --scsi1 tank:5");
}

#[test]
fn another_disc_stays_out_of_the_boot_order() {
    let found = changed_guest(
        "boot: order=scsi0\nide2: none,media=cdrom\n",
        "boot: order=scsi0\nide2: local:iso/a.iso,media=cdrom\n",
    );
    let [(_, _, commands)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(commands[1], "qm set 100 --boot 'order=scsi0'");
}

#[test]
fn what_is_meant_anyhow_is_not_spelled_out_for_it() {
    let live = "scsi1: tank:vm-100-disk-1,size=8G\n";
    let wanted = "scsi1: tank:vm-100-disk-1,iothread=0,size=8G,mbps=5\n";
    let found = changed_guest(live, wanted);
    let [(option, class, commands)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(option, "scsi1.mbps");
    assert_eq!(class, &["now", "live", "nothing", "kept"]);
    assert!(!commands[0].contains("iothread"), "{commands:?}");
}

/// The API takes a mapping only with all that it maps, and the notes of a backup only with their storage.
#[test]
fn memory_and_balloon_are_set_by_one_command() {
    let found = changed_guest(
        "balloon: 512\nmemory: 1024\n",
        "balloon: 2048\nmemory: 4096\n",
    );
    let commands: Vec<&[String]> = found.iter().map(|(.., commands)| &commands[..]).collect();
    assert_eq!(
        commands,
        [["qm set 100 --balloon 2048 --memory 4096"]; 2],
        "{found:?}"
    );
    // One that goes is still held against the memory that comes in the same call.
    let found = changed_guest("balloon: 512\nmemory: 1024\n", "memory: 4096\n");
    let commands: Vec<&[String]> = found.iter().map(|(.., commands)| &commands[..]).collect();
    assert_eq!(
        commands,
        [
            ["qm set 100 --delete balloon"],
            ["qm set 100 --memory 4096"]
        ],
        "{found:?}"
    );
}

#[test]
fn a_generation_that_the_spec_names_is_meant() {
    const OLD: &str = "2f4e8f0a-5f0d-4a52-9d0b-6f0f5a3b7c11";
    const NEW: &str = "2f4e8f0a-5f0d-4a52-9d0b-6f0f5a3b7c12";
    const DERIVED: &str = "2f4e8f0a-5f0d-8a52-9d0b-6f0f5a3b7c11";
    let generation = |value: &str| match value {
        "" => String::new(),
        value => format!("vmgenid: {value}\n"),
    };
    for (live, wanted, differs) in [
        (OLD, NEW, true),
        (OLD, OLD, false),
        (OLD, DERIVED, false),
        (OLD, "1", false),
        (OLD, "0", true),
        ("0", "1", true),
        ("0", DERIVED, true),
        ("", DERIVED, false),
        ("", "1", true),
    ] {
        let found = changed_guest(&generation(live), &generation(wanted));
        assert_eq!(!found.is_empty(), differs, "{live} {wanted}: {found:?}");
    }
}

#[test]
fn what_the_api_wants_beside_an_option_is_given_with_it() {
    let pair = Pair::of(SPEC);
    let calls = |path: &str, from: &str, to: &str| {
        let plan = pair.with(path, |text| text.replacen(from, to, 1));
        let [change] = &plan.changes[..] else {
            panic!("{:?}", lines(&plan));
        };
        let both = change.commands.iter().chain(&change.undo);
        both.map(ToString::to_string).collect::<Vec<_>>()
    };
    let calls_of_mapping = calls(
        "etc/pve/mapping/pci.cfg",
        "\tdescription ",
        "\tdescription old ",
    );
    assert_eq!(calls_of_mapping.len(), 2);
    for call in calls_of_mapping {
        assert!(call.contains(" --map "), "{call}");
    }
    let calls_of_job = calls("etc/pve/jobs.cfg", "notes-template ", "notes-template old ");
    assert_eq!(calls_of_job.len(), 2);
    for call in calls_of_job {
        assert!(call.contains(" --storage "), "{call}");
    }
}

#[test]
fn the_built_in_table_is_read_and_says_where_it_is_from() {
    for release in classes::releases() {
        assert!(
            classes::sources(&release.to_string())
                .is_some_and(|sources| sources.contains_key("qemu-server"))
        );
    }
}

#[test]
fn the_json_is_what_others_read() {
    let pair = Pair::of(SPEC);
    let vm = guest_path(&pair, "/qemu-server/");
    let plan = pair.with(&vm, |text| text.replacen("cores: ", "cores: 3", 1));
    let json = render::json(&plan, &pair.sources);
    assert_eq!(json["same"], false);
    let change = &json["changes"][0];
    for key in [
        "object",
        "option",
        "before",
        "after",
        "when",
        "shown",
        "interrupts",
        "data",
        "cause",
        "commands",
        "undo",
        "spec",
    ] {
        assert!(!change[key].is_null(), "{key}");
    }
    assert_eq!(change["spec"]["file"], "host.toml");
    assert!(render::human(&plan, true).contains("undo: qm set"));
    // Of many guests that wait for a restart a person reads how many there are.
    let waiting = |guests: u32| Plan {
        changes: (0..guests)
            .map(|guest| Change {
                object: Object::Vm(100 + guest),
                class: Class {
                    when: When::Restart,
                    ..plan.changes[0].class
                },
                ..plan.changes[0].clone()
            })
            .collect(),
        ..Plan::default()
    };
    let said = |guests, verbose| {
        let text = render::human(&waiting(guests), verbose);
        text.lines().last().unwrap_or_default().to_owned()
    };
    assert!(said(12, false).ends_with(", vm/111"), "{}", said(12, false));
    assert!(said(15, false).ends_with(", vm/111 and 3 more; `-v` names all"));
    assert!(said(15, true).ends_with(", vm/114"));
    assert!(render::markdown(&plan).contains("| `vm/"));
    assert_eq!(
        render::sarif(&plan, &pair.sources)["runs"][0]["results"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

/// `$check_replication` of `PVE::API2::Qemu`: a volume that no copy can be made of is refused of a replicated guest.
#[test]
fn a_replicated_guest_keeps_its_volumes_where_they_can_be_sent_from() {
    let spec = |more: &str| {
        let host = "[host]\nname = \"a\"\nrelease = \"9.2\"\ntimezone = \"UTC\"\n";
        let stores = "[storage.lvm]\nthin = { group = \"pve\", thin-pool = \"data\", use = \"vm-disks\" }\n\
            [storage.pools.tank]\n[storage.datasets]\ntank = { pool = \"tank\", use = \"vm-disks\" }\n";
        let guest = "[vms.web]\nvmid = 100\nos = \"linux\"\nmemory = \"1 GiB\"\nbackup = false\n";
        format!("{host}{stores}{guest}{more}")
    };
    let changed = |more: &str, jobs: &str| {
        let mut pair = Pair::of(&spec(more));
        let vm = guest_path(&pair, "/qemu-server/");
        let text = pair.live.0.get_mut(&vm).expect("the guest");
        *text = text.replace("cache=writeback", "cache=none");
        let path = "etc/pve/replication.cfg".to_owned();
        pair.live.0.insert(path, jobs.to_owned());
        let changes = pair.plan().changes;
        let classes = changes.iter().map(|change| change.class.words()[0]);
        classes.map(str::to_owned).collect::<Vec<_>>()
    };
    let disk = |store: &str, more: &str| {
        format!("disks.root = {{ {store}, size = \"8 GiB\", cache = \"writeback\"{more} }}\n")
    };
    let job = "# of the cluster\nlocal: 100-0\n\ttarget b\n\tschedule */15\n";
    let (sent, kept) = (disk("dataset = \"tank\"", ""), disk("store = \"thin\"", ""));
    assert_eq!(changed(&sent, job), ["restart"]);
    assert_eq!(changed(&kept, job), ["refused"]);
    assert_eq!(changed(&kept, "local: 101-0\n\ttarget b\n"), ["restart"]);
    assert_eq!(
        changed(&disk("store = \"thin\"", ", replicate = false"), job),
        ["restart"]
    );
}
