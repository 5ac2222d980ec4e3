//! The way back of each guest: restore and rollback scripts against a stateful stand-in of Proxmox VE, which refuses what
//! Proxmox VE refuses (`tests/fakes/pve`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use moxc::targets::Target;

use crate::program::{Said, tests};
use crate::system::{fine, specs, tree};

/// What a run is told besides its arguments.
#[derive(Default, Clone, Copy)]
struct Trouble<'a> {
    /// The start of a call that fails.
    fail: &'a str,
    /// The start of a call in whose middle the power goes.
    kill: &'a str,
}

/// What is wrong with a host, how it comes about, and what is said of it: status and words.
type Case<'a, T> = (&'a str, &'a dyn Fn(&T), i32, &'a str);
/// A change of a host's state, and what is said of it.
type Unwanted<'a> = (&'a dyn Fn(&mut Value), i32, &'a str);

const NO_TROUBLE: Trouble<'static> = Trouble { fail: "", kill: "" };

/// A host with guests, storages and backups.
pub(crate) struct FakeHost {
    folder: tempfile::TempDir,
}

/// The time of the first backup of a [`FakeHost`].
const FIRST: u64 = 1_790_000_000;

impl FakeHost {
    /// A host for the tree of an example, with all its guests, stopped, and no backup.
    pub(crate) fn new(example: &str) -> Self {
        Self::of_spec(&specs()[example])
    }

    fn of_spec(spec: &str) -> Self {
        let host = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        tree(spec, &host.path("tree"));
        fs::create_dir_all(host.path("bin")).expect("a folder");
        for program in [
            "pvesh",
            "qm",
            "pct",
            "qmrestore",
            "pvesm",
            "vzdump",
            "zfs",
            "zstd",
        ] {
            std::os::unix::fs::symlink(tests().join("fakes/pve"), host.path("bin").join(program))
                .expect("a link");
        }
        fs::write(host.path("meminfo"), "MemAvailable: 67108864 kB\n").expect("a file");
        let mut volumes = serde_json::Map::new();
        let mut zfs = serde_json::Map::new();
        let mut stores = Vec::new();
        let mut pools = BTreeMap::new();
        for section in host
            .read("tree/proxmox/etc/pve/storage.cfg")
            .split("\n\n")
            .filter(|section| !section.trim().is_empty())
        {
            let content = section
                .lines()
                .find_map(|line| line.trim().strip_prefix("content "))
                .unwrap_or_default();
            let mut lines = section.lines();
            let (kind, name) = lines
                .next()
                .and_then(|line| line.split_once(": "))
                .expect("a header");
            let pool = lines
                .find_map(|line| line.trim().strip_prefix("pool "))
                .map(str::to_owned);
            if let Some(pool) = &pool {
                pools.insert(name.to_owned(), pool.clone());
            }
            let there = name != "usb";
            stores.push(json!({
                "storage": name, "type": kind, "enabled": 1, "active": u8::from(there),
                "avail": 1_u64 << 42, "total": 1_u64 << 43, "content": content, "pool": pool,
            }));
        }
        for folder in ["qemu-server", "lxc"] {
            let to = host.path("root/etc/pve").join(folder);
            fs::create_dir_all(&to).expect("a folder");
            let Ok(entries) = fs::read_dir(host.path("tree/proxmox/etc/pve").join(folder)) else {
                continue;
            };
            for entry in entries {
                let path = entry.expect("an entry").path();
                let text = fs::read_to_string(&path).expect("a guest");
                for (_, value) in volumes_of(&text) {
                    let (store, name) = value.split_once(':').expect("a volume");
                    volumes.insert(value.clone(), json!({ "size": "1G" }));
                    zfs.insert(format!("{}/{name}", pools[store]), json!([]));
                }
                fs::write(to.join(path.file_name().expect("a name")), text).expect("a guest");
            }
        }
        host.change(|state| {
            state["stores"] = json!(stores);
            state["volumes"] = Value::Object(volumes);
            state["zfs"] = Value::Object(zfs);
            state["backups"] = json!([]);
        });
        host
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.read("state.json")).expect("JSON")
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut state = fs::read_to_string(self.path("state.json")).map_or_else(
            |_| json!({}),
            |text| serde_json::from_str(&text).expect("JSON"),
        );
        change(&mut state);
        fs::write(self.path("state.json"), state.to_string()).expect("a file");
    }

    fn change_store(&self, name: &str, key: &str, value: impl Into<Value>) {
        self.change(|state| {
            let stores = state["stores"].as_array_mut().expect("stores");
            let store = stores
                .iter_mut()
                .find(|store| store["storage"] == name)
                .unwrap_or_else(|| panic!("no storage {name}"));
            store[key] = value.into();
        });
    }

    fn file(&self, vmid: u32) -> PathBuf {
        let vm = self.path(&format!("root/etc/pve/qemu-server/{vmid}.conf"));
        if vm.exists() {
            vm
        } else {
            self.path(&format!("root/etc/pve/lxc/{vmid}.conf"))
        }
    }

    /// The options of a guest.
    fn guest(&self, vmid: u32) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.file(vmid))
            .unwrap_or_else(|error| panic!("guest {vmid}: {error}"));
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn set_guest(&self, vmid: u32, key: &str, value: &str) {
        let text = fs::read_to_string(self.file(vmid)).expect("a guest");
        let mut lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with(&format!("{key}:")))
            .collect();
        let line = format!("{key}: {value}");
        lines.push(&line);
        fs::write(self.file(vmid), format!("{}\n", lines.join("\n"))).expect("a guest");
    }

    pub(crate) fn run_guest(&self, vmid: u32) {
        self.change(|state| state["running"][vmid.to_string()] = json!(1));
    }

    /// A backup of a guest as it is now, `age` seconds after [`FIRST`]; its volume.
    pub(crate) fn back_up(&self, store: &str, vmid: u32, age: u64) -> String {
        let text = fs::read_to_string(self.file(vmid)).expect("a guest");
        let vm = self.file(vmid).to_string_lossy().contains("qemu-server");
        let pbs = self.state()["stores"]
            .as_array()
            .expect("stores")
            .iter()
            .any(|one| one["storage"] == store && one["type"] == "pbs");
        let kind = if vm { "qemu" } else { "lxc" };
        let format = match (pbs, vm) {
            (true, true) => "pbs-vm",
            (true, false) => "pbs-ct",
            (false, true) => "vma.zst",
            (false, false) => "tar.zst",
        };
        let name = format!("vzdump-{kind}-{vmid}-{age}.{format}");
        let mut config = String::new();
        for (key, value) in volumes_of(&text) {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{key}:")))
                .expect("a line");
            if vm && !line.contains("backup=0") {
                let (store, _) = value.split_once(':').expect("a volume");
                writeln!(config, "#qmdump#map:{key}:drive-{key}:{store}:raw:")
                    .expect("a string takes all text");
            }
        }
        config.push_str(&text);
        let volume = format!("{store}:backup/{name}");
        fs::create_dir_all(self.path("archives")).expect("a folder");
        fs::write(self.path("archives").join(&name), "good").expect("an archive");
        self.change(|state| {
            state["backups"]
                .as_array_mut()
                .expect("backups")
                .push(json!({
                    "volid": volume, "vmid": vmid, "ctime": FIRST + age, "size": 1_000_000_u64,
                    "format": format, "subtype": kind, "notes": "a note", "config": config,
                }));
        });
        volume
    }

    /// Runs a script of the tree. Its process group is its own: what kills it leaves the tests alone.
    fn run(&self, script: &str, args: &[&str], trouble: Trouble<'_>) -> Said {
        self.call(
            &[
                &[
                    "bash",
                    &self.path("tree").join(script).display().to_string(),
                ],
                args,
            ]
            .concat(),
            trouble,
        )
    }

    /// Runs a tool of the tree.
    fn tool(&self, name: &str, args: &[&str], trouble: Trouble<'_>) -> Said {
        self.run(&format!("proxmox/usr/local/sbin/{name}"), args, trouble)
    }

    /// Gives a guest a program.
    pub(crate) fn guest_program(&self, vmid: u32, name: &str, text: &str) {
        let folder = self.path(&format!("guest-{vmid}/bin"));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), format!("#!/bin/sh\n{text}\n")).expect("a program");
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    fn call(&self, words: &[&str], trouble: Trouble<'_>) -> Said {
        let _ = fs::remove_file(self.path("log"));
        let path = crate::program::behind(&self.path("bin"));
        Command::new(words[0])
            .args(&words[1..])
            .env("PATH", path)
            .env("TZ", "UTC")
            .env("FAKE", self.folder.path())
            .env("FAKE_FAIL", trouble.fail)
            .env("FAKE_KILL", trouble.kill)
            .env("MOXC_PVE_DIR", self.path("root/etc/pve"))
            .env("MOXC_STATE_DIR", self.path("moxc"))
            .env("MOXC_LOCK_DIR", self.path("lock"))
            .env(
                "MOXC_VZDUMP_CONF",
                self.path("tree/proxmox/etc/vzdump.conf"),
            )
            .env("MOXC_MEMINFO", self.path("meminfo"))
            .env("MOXC_POLL", "0")
            .stdin(Stdio::null())
            .process_group(0)
            .output()
            .expect("bash starts")
            .into()
    }

    /// The calls of the last run that change something.
    fn changes(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let reads = [
            "pvesh get ",
            "pvesm extractconfig",
            "pvesm path",
            "zfs list",
            "zfs get",
            "zstd ",
            "qm guest cmd",
            "pct exec",
            "qm guest exec",
        ];
        log.lines()
            .filter(|line| !reads.iter().any(|read| line.starts_with(read)))
            .map(str::to_owned)
            .collect()
    }

    /// Everything that a run could change.
    fn everything(&self) -> (Value, BTreeMap<String, String>) {
        let mut guests = BTreeMap::new();
        for folder in ["qemu-server", "lxc"] {
            for entry in fs::read_dir(self.path("root/etc/pve").join(folder)).expect("a folder") {
                let path = entry.expect("an entry").path();
                guests.insert(
                    path.display()
                        .to_string()
                        .replace(&self.folder.path().display().to_string(), ""),
                    fs::read_to_string(&path).expect("a guest"),
                );
            }
        }
        let mut state = self.state();
        for (key, empty) in [
            ("hangs", json!({})),
            ("silent", json!({})),
            ("running", json!({})),
            ("snapshots", json!({})),
            ("tasks", json!([])),
        ] {
            if state[key].is_null() {
                state[key] = empty;
            }
        }
        // What a guest was restored from stays known when it is gone.
        let all = state.as_object_mut().expect("an object");
        all.remove("data");
        (state, guests)
    }
}

/// The options of a guest's file that name a volume, and the volume.
fn volumes_of(text: &str) -> Vec<(String, String)> {
    let mut volumes = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(": ") else {
            continue;
        };
        let is_drive = ["scsi", "virtio", "sata", "ide", "mp", "efidisk", "tpmstate"]
            .iter()
            .any(|bus| {
                key.strip_prefix(bus)
                    .is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
            })
            || key == "rootfs";
        let volume = value.split(',').next().expect("a word");
        if is_drive
            && !key.starts_with("scsihw")
            && !volume.starts_with('/')
            && !value.contains("media=cdrom")
            && volume.contains(':')
        {
            volumes.push((key.to_owned(), volume.to_owned()));
        }
    }
    volumes
}

fn refused(said: &Said, status: i32, part: &str) {
    assert_eq!(said.status, Some(status), "{}\n{}", said.out, said.err);
    assert!(
        said.err.contains(part),
        "`{part}`:\n{}\n{}",
        said.out,
        said.err
    );
}

const OVER: &[&str] = &["--yes", "--confirm", "windows"];

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_guest_comes_back_over_itself_with_the_disks_that_no_backup_holds() {
    let host = FakeHost::new("homelab");
    host.back_up("archive", 120, 10);
    let newest = host.back_up("nas", 120, 20);
    host.back_up("archive", 120, 15);
    host.set_guest(120, "memory", "1024");
    host.run_guest(120);
    let before = host.guest(120);
    let said = host.run("restore/windows.sh", OVER, NO_TROUBLE);
    fine(&said);
    let state = host.state();
    assert_eq!(state["data"]["120"], newest.as_str());
    let after = host.guest(120);
    assert_eq!(after["memory"], "32768");
    assert_eq!(after["scsi1"], before["scsi1"], "{}", said.out);
    assert!(
        !after.keys().any(|key| key.starts_with("unused")),
        "{after:?}"
    );
    assert_eq!(after["hookscript"], before["hookscript"]);
    assert_eq!(after["net0"], before["net0"]);
    assert!(state["running"].get("120").is_none());
    assert!(
        said.err.contains("storage usb") || said.out.contains("storage usb"),
        "{}",
        said.out
    );
    assert_eq!(
        host.changes(),
        [
            "qm shutdown 120 --timeout 180".to_owned(),
            format!("qmrestore {newest} 120 --storage vm-disks --force 1"),
            format!("qm set 120 --scsi1 {}", before["scsi1"]),
        ]
    );
    // Again: the same.
    fine(&host.run("restore/windows.sh", OVER, NO_TROUBLE));
    assert_eq!(host.guest(120)["scsi1"], before["scsi1"]);
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn nothing_is_overwritten_without_the_guests_name() {
    let host = FakeHost::new("homelab");
    host.back_up("archive", 120, 10);
    let before = host.everything();
    for (args, part) in [
        (&["--yes"][..], "it wants --confirm windows"),
        (
            &["--yes", "--confirm", "services"],
            "--confirm says services and not windows",
        ),
        (&["--yes", "--confirm", ""], "it wants --confirm windows"),
    ] {
        refused(&host.run("restore/windows.sh", args, NO_TROUBLE), 3, part);
        assert_eq!(host.changes(), [] as [&str; 0]);
        assert_eq!(host.everything(), before);
    }
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_trial_and_a_list_change_nothing() {
    for (script, vmid) in [("windows", 120), ("services", 110), ("workstation", 111)] {
        let host = FakeHost::new("homelab");
        host.back_up("archive", vmid, 10);
        host.run_guest(vmid);
        let before = host.everything();
        for args in [
            &["--list"][..],
            &["--dry-run"],
            &["--dry-run", "--vmid", "new"],
            &["--dry-run", "--json", "--start"],
        ] {
            let said = host.run(&format!("restore/{script}.sh"), args, NO_TROUBLE);
            fine(&said);
            assert_eq!(host.changes(), [] as [&str; 0], "{args:?}");
            assert_eq!(host.everything(), before, "{args:?}");
            assert!(said.out.contains("archive:backup/"), "{}", said.out);
            assert!(!host.path("moxc").exists() && !host.path("lock").exists());
            if args.contains(&"--json") {
                for line in said.out.lines() {
                    serde_json::from_str::<Value>(line)
                        .unwrap_or_else(|error| panic!("{line}: {error}"));
                }
            }
        }
    }
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_copy_takes_nothing_of_the_host_and_nothing_from_the_guest() {
    let host = FakeHost::new("homelab");
    host.back_up("archive", 120, 10);
    let before = host.everything().1;
    let said = host.run(
        "restore/windows.sh",
        &["--yes", "--vmid", "new"],
        NO_TROUBLE,
    );
    fine(&said);
    let copy = host.guest(100);
    for key in ["hookscript", "args", "hostpci0", "hostpci1", "startup"] {
        assert!(!copy.contains_key(key), "{key}: {copy:?}");
    }
    assert_eq!(copy["onboot"], "0");
    assert_eq!(copy["name"], "windows-restored");
    assert!(copy["net0"].ends_with(",link_down=1"), "{copy:?}");
    assert_ne!(
        copy["net0"].split(',').next(),
        host.guest(120)["net0"].split(',').next()
    );
    let mut after = host.everything().1;
    after.remove("/root/etc/pve/qemu-server/100.conf");
    assert_eq!(after, before);
    // No number of the spec, though its guest is gone; no number that is in use.
    fs::remove_file(host.file(111)).expect("a guest");
    refused(
        &host.run(
            "restore/windows.sh",
            &["--yes", "--vmid", "111"],
            NO_TROUBLE,
        ),
        3,
        "number of another guest",
    );
    refused(
        &host.run(
            "restore/windows.sh",
            &["--yes", "--vmid", "100"],
            NO_TROUBLE,
        ),
        3,
        "there is a guest 100 already",
    );
    host.change(|state| state["volumes"]["vm-disks:vm-300-disk-0"] = json!({}));
    refused(
        &host.run(
            "restore/windows.sh",
            &["--yes", "--vmid", "300"],
            NO_TROUBLE,
        ),
        3,
        "volumes without a guest",
    );
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_copy_of_a_container_has_no_folder_and_no_device_of_the_host() {
    let host = FakeHost::new("homelab");
    host.set_guest(110, "mp0", "/tank/data,mp=/data");
    host.set_guest(110, "dev0", "/dev/dri/renderD128");
    host.set_guest(110, "lxc.mount.entry", "/dev/net dev/net none bind");
    host.set_guest(110, "lxc.idmap", "u 0 100000 65536");
    host.back_up("archive", 110, 10);
    let said = host.run(
        "restore/services.sh",
        &["--yes", "--vmid", "500", "--start"],
        NO_TROUBLE,
    );
    fine(&said);
    let copy = host.guest(500);
    for key in ["mp0", "dev0", "lxc.mount.entry", "startup"] {
        assert!(!copy.contains_key(key), "{key}: {copy:?}");
    }
    assert_eq!(copy["lxc.idmap"], "u 0 100000 65536");
    assert_eq!(copy["onboot"], "0");
    assert!(copy["net0"].contains("link_down=1"), "{copy:?}");
    assert_eq!(host.state()["running"]["500"], 1);
    assert_eq!(host.guest(110)["mp0"], "/tank/data,mp=/data");
}

/// Changes what the newest backup of the host says of its guest.
fn forge(host: &FakeHost, lines: &str) {
    host.change(|state| {
        let backups = state["backups"].as_array_mut().expect("backups");
        let config = &mut backups.last_mut().expect("a backup")["config"];
        *config = json!(config.as_str().expect("text").to_owned() + lines);
    });
}

/// What a backup of a machine may name that its archive does not hold: Proxmox VE takes it over as it stands.
const TAKEN: &str = "scsi8: /dev/disk/by-id/ata-HOST,size=1G\nscsi9: vm-disks:vm-111-disk-0,size=1G\n\
    sata3: media=disk,file=/dev/sda\nivshmem: size=1,name=other\nrng0: source=/dev/hwrng\n\
    cicustom: user=local:snippets/secret.yaml\nserial2: /dev/ttyS0\n";

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_forged_backup_brings_a_copy_to_nothing_of_the_host_and_of_other_guests() {
    let gone = [
        "scsi8", "scsi9", "sata3", "ivshmem", "rng0", "cicustom", "serial2",
    ];
    let host = FakeHost::new("homelab");
    host.change(|state| state["volumes"]["vm-disks:vm-111-disk-0"] = json!({}));
    host.back_up("archive", 120, 10);
    forge(&host, TAKEN);
    let before = host.everything();
    let args = ["--yes", "--guest", "120", "--timeout", "3"];
    fine(&host.tool("backup-rehearsal", &args, NO_TROUBLE));
    let changes = host.changes();
    let set = changes
        .iter()
        .position(|call| call.starts_with("qm set 990000 "))
        .expect("it is changed");
    let started = changes
        .iter()
        .position(|call| call == "qm start 990000")
        .expect("it is started");
    assert!(set < started, "{changes:?}");
    let (_, deleted) = changes[set].split_once("--delete ").expect("options go");
    for key in gone {
        assert!(deleted.split(',').any(|one| one == key), "{key}: {deleted}");
    }
    assert_eq!(host.everything(), before, "the other guest's disk stays");
    let said = host.run(
        "restore/windows.sh",
        &["--yes", "--vmid", "new", "--start"],
        NO_TROUBLE,
    );
    fine(&said);
    let copy = host.guest(100);
    for key in gone {
        assert!(!copy.contains_key(key), "{key}: {copy:?}");
    }
    assert!(copy["scsi0"].contains("vm-100-disk-"), "{copy:?}");
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_copy_of_a_container_has_the_root_of_the_host_only_where_the_container_has_it() {
    let host = FakeHost::new("homelab");
    host.guest_program(990_000, "systemctl", "echo running");
    host.set_guest(110, "unprivileged", "1");
    host.back_up("archive", 110, 10);
    forge(
        &host,
        "unprivileged: 0\nfeatures: nesting=1,mount=nfs,mknod=1\n",
    );
    let args = ["--yes", "--guest", "110", "--timeout", "3"];
    fine(&host.tool("backup-rehearsal", &args, NO_TROUBLE));
    let changes = host.changes();
    assert!(changes[0].contains(" --unprivileged 1 "), "{changes:?}");
    assert!(changes[1].contains(" --features nesting=1 "), "{changes:?}");
    let said = host.run(
        "restore/services.sh",
        &["--yes", "--vmid", "500"],
        NO_TROUBLE,
    );
    fine(&said);
    assert_eq!(host.guest(500)["unprivileged"], "1");
    // Its users would be those of the host.
    forge(&host, "lxc.idmap: u 0 0 65536\n");
    refused(
        &host.tool("backup-rehearsal", &args, NO_TROUBLE),
        1,
        "the copy would be the root of the host",
    );
    assert!(
        !host
            .changes()
            .iter()
            .any(|call| call.starts_with("pct start"))
    );
    assert!(!host.path("root/etc/pve/lxc/990000.conf").exists());
    // One that has it keeps it.
    let host = FakeHost::new("homelab");
    host.guest_program(990_000, "systemctl", "echo running");
    host.set_guest(110, "unprivileged", "0");
    host.back_up("archive", 110, 10);
    fine(&host.tool("backup-rehearsal", &args, NO_TROUBLE));
    assert!(!host.changes()[0].contains("--unprivileged"));
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_guest_that_must_not_be_touched_is_left_alone() {
    let cases: [Case<'_, FakeHost>; 8] = [
        (
            "locked",
            &|host| host.set_guest(120, "lock", "backup"),
            4,
            "is locked (backup)",
        ),
        (
            "protected",
            &|host| host.set_guest(120, "protection", "1"),
            3,
            "is protected",
        ),
        (
            "another guest",
            &|host| host.set_guest(120, "name", "games"),
            3,
            "is called games, and not windows",
        ),
        (
            "at it",
            &|host| {
                host.change(|state| {
                    state["tasks"] = json!([{ "id": "120", "type": "vzdump", "upid": "UPID:1" }]);
                });
            },
            4,
            "a task of Proxmox VE is at it (vzdump)",
        ),
        (
            "elsewhere",
            &|host| host.change(|state| state["elsewhere"] = json!({ "120": "other" })),
            3,
            "is on other",
        ),
        (
            "hangs",
            &|host| {
                host.run_guest(120);
                host.change(|state| state["hangs"] = json!({ "120": 1 }));
            },
            3,
            "has not shut down in 180 seconds",
        ),
        (
            "another kind",
            &|host| {
                fs::rename(host.file(120), host.path("root/etc/pve/lxc/120.conf"))
                    .expect("a guest");
            },
            3,
            "of another kind (lxc)",
        ),
        (
            "damaged",
            &|host| {
                for entry in fs::read_dir(host.path("archives")).expect("archives") {
                    fs::write(entry.expect("an entry").path(), "bad").expect("an archive");
                }
            },
            1,
            "is damaged: nothing was changed",
        ),
    ];
    for (what, prepare, status, part) in cases {
        let host = FakeHost::new("homelab");
        host.back_up("archive", 120, 10);
        prepare(&host);
        let before = host.everything();
        let said = host.run("restore/windows.sh", OVER, NO_TROUBLE);
        refused(&said, status, part);
        assert_eq!(host.everything(), before, "{what}");
    }
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn storages_that_are_away_are_told_and_the_others_used() {
    let host = FakeHost::new("homelab");
    refused(
        &host.run("restore/windows.sh", OVER, NO_TROUBLE),
        3,
        "there is no backup of windows (120) in: backups archive nas usb",
    );
    let old = host.back_up("archive", 120, 10);
    host.back_up("nas", 120, 20);
    host.change_store("nas", "active", 0);
    let said = host.run("restore/windows.sh", OVER, NO_TROUBLE);
    fine(&said);
    assert!(
        said.err
            .contains("storage nas (NFS, 192.168.1.5:/volume1/pve) cannot be reached"),
        "{}",
        said.err
    );
    assert!(said.out.contains("storage usb (the disk /dev/disk/by-label/usb-backup at /mnt/usb-backup) is away: plug its disk in"), "{}", said.out);
    assert_eq!(host.state()["data"]["120"], old.as_str());
    for (storage, part) in [
        ("nas", "storage nas cannot be reached"),
        ("usb", "storage usb is away: plug its disk in"),
        ("nosuch", "storage nosuch is not known to this host"),
    ] {
        refused(
            &host.run(
                "restore/windows.sh",
                &["--yes", "--confirm", "windows", "--storage", storage],
                NO_TROUBLE,
            ),
            3,
            part,
        );
        assert_eq!(host.changes(), [] as [&str; 0]);
    }
    host.change(|state| {
        for store in state["stores"].as_array_mut().expect("stores") {
            if store["type"] != "zfspool" {
                store["enabled"] = json!(0);
            }
        }
    });
    refused(
        &host.run("restore/windows.sh", OVER, NO_TROUBLE),
        3,
        "no storage with backups of windows can be read",
    );
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn the_newest_backup_is_taken_that_no_check_has_found_damaged() {
    let host = FakeHost::new("homelab");
    let archive = host.back_up("archive", 120, 10);
    let nas = host.back_up("nas", 120, 10);
    let other = host.back_up("archive", 111, 50);
    let chosen = |args: &[&str]| {
        let mut words = vec!["--dry-run"];
        words.extend(args);
        let said = host.run("restore/windows.sh", &words, NO_TROUBLE);
        fine(&said);
        let line = said
            .out
            .lines()
            .find(|line| line.contains("windows (120) from "))
            .expect("a plan")
            .to_owned();
        line.rsplit(' ').next().expect("a word").to_owned()
    };
    // Of one second: as the spec names the storages.
    assert_eq!(chosen(&[]), archive);
    assert_eq!(chosen(&["--storage", "nas"]), nas);
    assert_eq!(chosen(&["--backup", &nas]), nas);
    refused(
        &host.run(
            "restore/windows.sh",
            &["--dry-run", "--backup", &other],
            NO_TROUBLE,
        ),
        3,
        "is no backup of windows (120)",
    );
    host.change(|state| state["backups"][0]["verification"] = json!({ "state": "failed" }));
    assert_eq!(chosen(&[]), nas);
    // An encrypted one without its key.
    host.change(|state| state["backups"][1]["encrypted"] = json!("aa:bb"));
    refused(
        &host.run("restore/windows.sh", &["--dry-run"], NO_TROUBLE),
        1,
        "it is encrypted, and its key is not at",
    );
}

/// Every change of a restore fails once, and is cut off once in its middle; the next run finishes it.
fn every_cut_is_mended(guest: &str, own: u32, vmid: u32, args: &[&str]) {
    let prepared = || {
        let host = FakeHost::new("homelab");
        host.back_up("archive", own, 10);
        host
    };
    let script = format!("restore/{guest}.sh");
    let whole = prepared();
    fine(&whole.run(&script, args, NO_TROUBLE));
    for call in whole.changes() {
        let start: String = call.split(' ').take(3).collect::<Vec<_>>().join(" ");
        let kill = Trouble {
            fail: "",
            kill: &start,
        };
        let fail = Trouble {
            fail: &start,
            kill: "",
        };
        // Of a copy, the kills alone: a failure goes the same way for both.
        let troubles = if vmid == own {
            vec![kill, fail]
        } else {
            vec![kill]
        };
        for trouble in troubles {
            let host = prepared();
            let said = host.run(&script, args, trouble);
            assert_ne!(said.status, Some(0), "{start}: {}", said.out);
            let said = host.run(&script, args, NO_TROUBLE);
            // 5: it has found volumes that the first run left behind.
            assert!(
                matches!(said.status, Some(0 | 5)),
                "{start}: {}\n{}",
                said.out,
                said.err
            );
            assert_eq!(
                said.status == Some(5),
                said.err.contains("belongs to no disk"),
                "{}",
                said.err
            );
            assert_eq!(strip(&host, vmid), strip(&whole, vmid), "{start}");
            assert!(!host.path(&format!("moxc/restore/{vmid}")).exists());
            assert_eq!(host.state()["data"], whole.state()["data"]);
        }
    }
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_restore_of_a_machine_that_was_cut_off_is_finished_by_the_next_one() {
    every_cut_is_mended("windows", 120, 120, OVER);
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_restore_of_a_container_that_was_cut_off_is_finished_by_the_next_one() {
    let args = ["--yes", "--confirm", "services"];
    every_cut_is_mended("services", 110, 110, &args);
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_copy_of_a_machine_that_was_cut_off_is_finished_by_the_next_one() {
    let args = ["--yes", "--vmid", "700", "--confirm", "windows"];
    every_cut_is_mended("windows", 120, 700, &args);
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_copy_of_a_container_that_was_cut_off_is_finished_by_the_next_one() {
    let args = ["--yes", "--vmid", "700", "--confirm", "services"];
    every_cut_is_mended("services", 110, 700, &args);
}

/// A guest without the numbers of its volumes: leftovers of a kill may have them.
fn strip(host: &FakeHost, vmid: u32) -> BTreeMap<String, String> {
    let mut guest = host.guest(vmid);
    guest.retain(|key, _| !key.starts_with("unused"));
    for value in guest.values_mut() {
        if let Some(at) = value.find("-disk-") {
            let end = value[at..]
                .find(',')
                .map_or(value.len(), |comma| at + comma);
            value.replace_range(at..end, "");
        }
    }
    guest
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_full_storage_is_seen_before_or_told_after() {
    let host = FakeHost::new("homelab");
    host.back_up("archive", 120, 10);
    host.change_store("vm-disks", "avail", 1000);
    refused(
        &host.run(
            "restore/windows.sh",
            &["--yes", "--vmid", "new"],
            NO_TROUBLE,
        ),
        3,
        "storage vm-disks is too full",
    );
    assert_eq!(host.changes(), [] as [&str; 0]);
    host.change_store("vm-disks", "full", true);
    let said = host.run("restore/windows.sh", OVER, NO_TROUBLE);
    refused(
        &said,
        1,
        "the restore failed: the guest 120 is not whole and was not started",
    );
    assert!(
        said.err
            .contains("stopped at: restoring to 120; done before:"),
        "{}",
        said.err
    );
    host.change_store("vm-disks", "full", false);
    fine(&host.run("restore/windows.sh", OVER, NO_TROUBLE));
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_mount_that_no_backup_holds_is_not_emptied_by_the_way() {
    let host = FakeHost::new("homelab");
    host.set_guest(110, "mp0", "containers:subvol-110-disk-1,mp=/data,size=8G");
    host.change(|state| state["volumes"]["containers:subvol-110-disk-1"] = json!({ "size": "8G" }));
    host.back_up("archive", 110, 10);
    let args = ["--yes", "--confirm", "services"];
    refused(
        &host.run("restore/services.sh", &args, NO_TROUBLE),
        3,
        "mp0 (containers:subvol-110-disk-1) is in no backup",
    );
    assert_eq!(host.changes(), [] as [&str; 0]);
    let args = ["--yes", "--confirm", "services", "--discard", "mp0"];
    fine(&host.run("restore/services.sh", &args, NO_TROUBLE));
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_guest_that_is_gone_comes_back_with_its_number() {
    let host = FakeHost::new("homelab");
    host.back_up("archive", 110, 10);
    fs::remove_file(host.file(110)).expect("a guest");
    host.change(|state| state["volumes"] = json!({}));
    // There is nobody's guest to be named, but a question all the same.
    refused(
        &host.run("restore/services.sh", &[], NO_TROUBLE),
        3,
        "There is nobody to ask: say --yes",
    );
    let said = host.run("restore/services.sh", &["--yes"], NO_TROUBLE);
    fine(&said);
    assert!(said.out.contains("as the tree says"), "{}", said.out);
    assert_eq!(
        host.guest(110)["rootfs"],
        "containers:subvol-110-disk-0,size=32G"
    );
}

// ---------------------------------------------------------------- vzdump-backup

#[test]
#[ignore = "needs perl; run by tests/run"]
fn backups_by_hand_go_on_after_a_failure_and_say_so() {
    let host = FakeHost::new("homelab");
    host.run_guest(111);
    let said = host.tool(
        "vzdump-backup",
        &["--yes", "all"],
        Trouble {
            fail: "vzdump 111",
            kill: "",
        },
    );
    assert_eq!(said.status, Some(1), "{}\n{}", said.out, said.err);
    assert!(
        said.err.contains("workstation (111): the backup failed"),
        "{}",
        said.err
    );
    assert!(said.err.contains("backups made: 2"), "{}", said.err);
    assert_eq!(
        host.changes(),
        [110, 111, 120].map(|vmid| format!("vzdump {vmid} --storage archive --notes-template {{{{guestname}}}} --remove 0 --lockwait 10"))
    );
    let said = host.tool(
        "vzdump-backup",
        &[
            "--yes",
            "--exclude",
            "111",
            "--protected",
            "all",
            "services",
        ],
        NO_TROUBLE,
    );
    fine(&said);
    assert_eq!(host.changes().len(), 2, "{:?}", host.changes());
    let said = host.tool("vzdump-backup", &["--yes", "nobody", "110"], NO_TROUBLE);
    refused(&said, 1, "there is no guest nobody on this host");
    assert_eq!(host.changes().len(), 1);
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_storage_that_is_full_away_or_wrong_is_told_before() {
    let host = FakeHost::new("homelab");
    host.back_up("archive", 110, 10);
    host.back_up("archive", 120, 10);
    host.change(|state| state["backups"][1]["size"] = json!(2_000_000_000_u64));
    host.change_store("archive", "avail", 1_000_000_000_u64);
    let said = host.tool("vzdump-backup", &["--yes", "110", "120"], NO_TROUBLE);
    refused(
        &said,
        1,
        "windows (120): storage archive has 953.7 MiB free, and the backup needs about 2.0 GiB",
    );
    assert_eq!(
        host.changes().len(),
        1,
        "the small one goes: {:?}",
        host.changes()
    );
    for (args, status, part) in [
        (
            &["--yes", "--storage", "usb", "110"][..],
            1,
            "storage usb is offline",
        ),
        (
            &["--yes", "--storage", "nosuch", "110"],
            3,
            "there is no storage nosuch",
        ),
        (
            &["--yes", "--storage", "vm-disks", "110"],
            3,
            "is not for backups",
        ),
        (&["--yes"], 2, "no guest is named"),
        (
            &["--yes", "--keep", "fortnightly=2", "110"],
            2,
            "--keep takes a rule",
        ),
    ] {
        refused(&host.tool("vzdump-backup", args, NO_TROUBLE), status, part);
        assert_eq!(host.changes(), [] as [&str; 0]);
    }
    let said = host.tool(
        "vzdump-backup",
        &["--yes", "--removable", "--storage", "usb", "110"],
        NO_TROUBLE,
    );
    fine(&said);
    assert!(said.out.contains("is away: nothing to do"), "{}", said.out);
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn older_backups_go_only_after_a_good_one() {
    let host = FakeHost::new("homelab");
    let oldest = host.back_up("archive", 110, 1);
    host.back_up("archive", 110, 2);
    host.change(|state| {
        for backup in state["backups"].as_array_mut().expect("backups") {
            backup["size"] = json!(2000);
        }
        state["backups"][0]["protected"] = json!(1);
    });
    let args = ["--yes", "--keep", "last=1", "110"];
    for (key, value, part, status) in [
        (
            "writes",
            json!("bad"),
            "is damaged; older ones are left as they are",
            1,
        ),
        ("makes", json!(10), "less than a tenth of the one before", 5),
    ] {
        host.change_store("archive", key, value);
        refused(&host.tool("vzdump-backup", &args, NO_TROUBLE), status, part);
        assert!(
            !host.changes().iter().any(|call| call.contains("prune")),
            "{:?}",
            host.changes()
        );
        host.change_store("archive", key, Value::Null);
        host.change(|state| {
            let backups = state["backups"].as_array_mut().expect("backups");
            backups.truncate(2);
        });
    }
    let before = host.state();
    let said = host.tool(
        "vzdump-backup",
        &["--dry-run", "--json", "--keep", "last=1", "all"],
        NO_TROUBLE,
    );
    fine(&said);
    for line in said.out.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    assert_eq!(host.state(), before);
    assert_eq!(host.changes(), [] as [&str; 0]);
    fine(&host.tool("vzdump-backup", &args, NO_TROUBLE));
    let state = host.state();
    let left: Vec<&str> = state["backups"]
        .as_array()
        .expect("backups")
        .iter()
        .map(|backup| backup["volid"].as_str().expect("text"))
        .collect();
    assert_eq!(left.len(), 2, "the protected one and the new one: {left:?}");
    assert!(left.contains(&oldest.as_str()));
    // A guest that something else is at is left for later.
    host.set_guest(110, "lock", "snapshot");
    refused(
        &host.tool("vzdump-backup", &args, NO_TROUBLE),
        4,
        "services (110) is locked (snapshot)",
    );
}

// ---------------------------------------------------------------- backup-rehearsal

/// The words of the service of a tree's rehearsal.
fn rehearsal(host: &FakeHost) -> Vec<String> {
    let unit = host
        .read("tree/proxmox/etc/systemd/system/moxc-rehearsal.service")
        .replace("\\\n", "");
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/local/sbin/backup-rehearsal "))
        .expect("a command");
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_rehearsal_brings_the_copy_up_and_takes_it_away() {
    let host = FakeHost::new("homelab");
    host.guest_program(990_000, "systemctl", "if [ \"$1\" = is-system-running ]; then echo degraded; else echo net.service loaded failed; fi");
    host.set_guest(110, "mp0", "/tank/data,mp=/data");
    host.set_guest(110, "lxc.mount.entry", "/dev/net dev/net none bind");
    let newest = host.back_up("archive", 110, 10);
    host.run_guest(110);
    let before = host.everything();
    let words = rehearsal(&host);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = host.tool("backup-rehearsal", &words, NO_TROUBLE);
    fine(&said);
    assert!(
        said.out
            .contains(&format!("services (110) comes back from {newest}"))
            && said.out.contains("(degraded: net.service )"),
        "{}",
        said.out
    );
    assert_eq!(host.everything(), before);
    let changes = host.changes();
    assert!(
        changes[0].starts_with("pct restore 990000 archive:backup/")
            && changes[0].contains("--onboot 0 --protection 0"),
        "{changes:?}"
    );
    assert!(
        changes[1].contains("link_down=1") && changes[1].contains("--delete mp0,startup"),
        "{changes:?}"
    );
    assert_eq!(
        changes[2..],
        [
            "pct start 990000",
            "pct stop 990000",
            "pct destroy 990000 --purge 1 --destroy-unreferenced-disks 1"
        ]
    );
    // A trial.
    let mut trial = words.clone();
    trial.extend(["--dry-run", "--json"]);
    let before = host.everything();
    fine(&host.tool("backup-rehearsal", &trial, NO_TROUBLE));
    assert_eq!(host.changes(), [] as [&str; 0]);
    assert_eq!(host.everything(), before);
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_rehearsal_of_a_machine_waits_for_its_agent() {
    let host = FakeHost::new("homelab");
    host.set_guest(120, "ide2", "nas:iso/setup.iso,media=cdrom");
    host.back_up("archive", 120, 10);
    let args = ["--yes", "--guest", "120", "--timeout", "3"];
    let said = host.tool("backup-rehearsal", &args, NO_TROUBLE);
    fine(&said);
    let changes = host.changes();
    for part in [
        "--delete args,hookscript,hostpci0,hostpci1",
        "--memory 4096",
        "--cores 2",
        "--ide2 none,media=cdrom",
        "--vga std",
    ] {
        assert!(changes[1].contains(part), "{part}: {changes:?}");
    }
    host.change(|state| state["silent"] = json!({ "990000": 1 }));
    let said = host.tool("backup-rehearsal", &args, NO_TROUBLE);
    refused(&said, 1, "the copy runs and has not answered in 3 seconds");
    assert!(!host.path("root/etc/pve/qemu-server/990000.conf").exists());
    // Without an agent it can only run.
    host.set_guest(120, "agent", "0");
    host.back_up("archive", 120, 20);
    refused(
        &host.tool("backup-rehearsal", &args, NO_TROUBLE),
        5,
        "has no guest agent that could answer",
    );
    assert!(!host.path("root/etc/pve/qemu-server/990000.conf").exists());
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_rehearsal_that_fails_or_is_killed_leaves_nothing_behind() {
    for vmid in [110, 120] {
        let prepared = || {
            let host = FakeHost::new("homelab");
            host.guest_program(990_000, "systemctl", "echo running");
            host.back_up("archive", vmid, 10);
            // Somebody's own guest in the range, and one that bears the tag alone.
            let other = fs::read_to_string(host.file(111)).expect("a guest");
            fs::write(host.path("root/etc/pve/qemu-server/990001.conf"), &other).expect("a guest");
            fs::write(
                host.path("root/etc/pve/qemu-server/990002.conf"),
                format!("{other}tags: moxc-rehearsal\n"),
            )
            .expect("a guest");
            host
        };
        let guest = vmid.to_string();
        let args = ["--yes", "--guest", &guest, "--timeout", "3"];
        let whole = prepared();
        let before = whole.everything();
        fine(&whole.tool("backup-rehearsal", &args, NO_TROUBLE));
        let calls = whole.changes();
        assert_eq!(calls.len(), 5, "{calls:?}");
        for call in &calls {
            let start: String = call.split(' ').take(3).collect::<Vec<_>>().join(" ");
            let kill = Trouble {
                fail: "",
                kill: &start,
            };
            let fail = Trouble {
                fail: &start,
                kill: "",
            };
            // Of a machine, the kills alone: a failure goes the same way for both.
            let troubles = if vmid == 110 {
                vec![kill, fail]
            } else {
                vec![kill]
            };
            for trouble in troubles {
                let host = prepared();
                let said = host.tool("backup-rehearsal", &args, trouble);
                assert!(
                    trouble.kill.ends_with("stop 990000") && !trouble.kill.is_empty()
                        || said.status != Some(0),
                    "{start}: {}\n{}",
                    said.out,
                    said.err
                );
                let said = host.tool("backup-rehearsal", &args, NO_TROUBLE);
                fine(&said);
                assert_eq!(host.everything(), before, "{start}");
                assert_eq!(
                    fs::read_dir(host.path("moxc/rehearsal"))
                        .expect("a folder")
                        .count(),
                    0,
                    "{start}"
                );
            }
        }
    }
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_rehearsal_wants_a_backup_room_and_memory() {
    let host = FakeHost::new("homelab");
    let args = ["--yes", "--guest", "110", "--storage", "archive"];
    refused(
        &host.tool("backup-rehearsal", &args, NO_TROUBLE),
        1,
        "there is no backup of 110 in: archive",
    );
    host.back_up("archive", 110, 10);
    host.change_store("containers", "avail", 1000);
    refused(
        &host.tool("backup-rehearsal", &args, NO_TROUBLE),
        1,
        "and the copy may need",
    );
    host.change_store("containers", "avail", 1_u64 << 40);
    fs::write(host.path("meminfo"), "MemAvailable: 1048576 kB\n").expect("a file");
    refused(
        &host.tool("backup-rehearsal", &args, NO_TROUBLE),
        4,
        "of memory free, and the copy needs 4096",
    );
    host.change_store("archive", "active", 0);
    refused(
        &host.tool("backup-rehearsal", &args, NO_TROUBLE),
        1,
        "no storage with backups of 110 can be read: archive",
    );
    let said = host.tool(
        "backup-rehearsal",
        &[
            "--yes",
            "--removable",
            "--guest",
            "110",
            "--storage",
            "archive",
        ],
        NO_TROUBLE,
    );
    fine(&said);
    for args in [
        &["--yes"][..],
        &["--yes", "--guest", "990007"],
        &["--yes", "--guest", "110", "--range", "9-3"],
    ] {
        assert_eq!(
            host.tool("backup-rehearsal", args, NO_TROUBLE).status,
            Some(2)
        );
    }
    assert_eq!(host.changes(), [] as [&str; 0]);
}

// ---------------------------------------------------------------- rollback

/// Snapshots of ZFS of every disk of a host: `hourly-1` to `hourly-3`.
fn take_snapshots(host: &FakeHost) {
    host.change(|state| {
        for snapshots in state["zfs"].as_object_mut().expect("datasets").values_mut() {
            *snapshots = json!(["1", "2", "3"].map(|number| json!({ "name": format!("hourly-{number}"), "creation": FIRST + number.parse::<u64>().expect("a number") })));
        }
    });
}

const DISKS: [&str; 4] = [
    "rpool/vm-disks/vm-120-disk-0",
    "rpool/vm-disks/vm-120-disk-1",
    "rpool/vm-disks/vm-120-disk-2",
    "rpool/vm-disks/vm-120-disk-3",
];

#[test]
#[ignore = "needs perl; run by tests/run"]
fn disks_go_back_to_a_snapshot_of_zfs_once_the_name_was_typed() {
    let host = FakeHost::new("homelab");
    take_snapshots(&host);
    host.run_guest(120);
    let before = host.everything();
    for (args, status, part) in [
        (
            &["zfs", "hourly-2", "--yes"][..],
            3,
            "--destroy-newer destroys them",
        ),
        (
            &["zfs", "hourly-2", "--yes", "--destroy-newer"],
            3,
            "it wants --confirm windows",
        ),
        (
            &[
                "zfs",
                "hourly-2",
                "--yes",
                "--destroy-newer",
                "--confirm",
                "services",
            ],
            3,
            "and not windows",
        ),
        (
            &["zfs", "hourly-9", "--yes", "--confirm", "windows"],
            3,
            "has no snapshot hourly-9",
        ),
        (
            &["zfs", "hourly-2", "--disk", "scsi7", "--confirm", "windows"],
            3,
            "has no disk scsi7",
        ),
        (
            &["snapshot", "hourly-2", "--disk", "scsi0"],
            2,
            "--disk goes with zfs",
        ),
        (&["generation"], 2, "unknown way generation"),
        (&[], 2, "say which way"),
    ] {
        refused(
            &host.run("rollback/windows.sh", args, NO_TROUBLE),
            status,
            part,
        );
        assert_eq!(host.changes(), [] as [&str; 0], "{args:?}");
    }
    for args in [
        &["zfs", "--list"][..],
        &["zfs"],
        &["zfs", "hourly-2", "--dry-run", "--destroy-newer"],
        &["snapshot", "--list"],
    ] {
        fine(&host.run("rollback/windows.sh", args, NO_TROUBLE));
        assert_eq!(host.changes(), [] as [&str; 0], "{args:?}");
    }
    assert_eq!(host.everything(), before);
    let args = [
        "zfs",
        "hourly-2",
        "--yes",
        "--destroy-newer",
        "--confirm",
        "windows",
        "--start",
    ];
    let said = host.run("rollback/windows.sh", &args, NO_TROUBLE);
    fine(&said);
    assert!(
        said.out.contains("no snapshot holds its memory"),
        "{}",
        said.out
    );
    let state = host.state();
    for disk in DISKS {
        assert_eq!(state["back"][disk], "hourly-2");
        assert_eq!(state["zfs"][disk].as_array().expect("a list").len(), 2);
    }
    assert_eq!(state["running"]["120"], 1);
    assert_eq!(
        state["zfs"]["rpool/vm-disks/vm-111-disk-0"]
            .as_array()
            .expect("a list")
            .len(),
        3
    );
    // One disk alone, to the newest: nothing newer is in the way.
    fine(&host.run(
        "rollback/windows.sh",
        &[
            "zfs",
            "hourly-2",
            "--disk",
            "scsi0",
            "--yes",
            "--confirm",
            "windows",
        ],
        NO_TROUBLE,
    ));
    assert_eq!(
        host.changes(),
        [
            "qm shutdown 120 --timeout 180",
            "zfs rollback rpool/vm-disks/vm-120-disk-1@hourly-2"
        ]
    );
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_rollback_destroys_nothing_that_is_held_or_counted_on() {
    let args = [
        "zfs",
        "hourly-2",
        "--yes",
        "--destroy-newer",
        "--confirm",
        "windows",
    ];
    let cases: [Unwanted<'_>; 4] = [
        (
            &|state| state["zfs"][DISKS[2]][2]["clones"] = json!("rpool/clone"),
            3,
            "clones hang on it: rpool/clone",
        ),
        (
            &|state| state["zfs"][DISKS[1]][2]["userrefs"] = json!(1),
            3,
            "vm-120-disk-1@hourly-3 is newer, and held",
        ),
        (
            &|state| {
                state["snapshots"]["120"] = json!({ "before": { "snaptime": FIRST } });
                state["zfs"][DISKS[1]][2]["name"] = json!("before");
            },
            3,
            "@before is newer, and Proxmox VE counts on it",
        ),
        (
            &|state| {
                state["zfs"]
                    .as_object_mut()
                    .expect("datasets")
                    .remove(DISKS[1]);
            },
            1,
            "cannot be listed",
        ),
    ];
    for (prepare, status, part) in cases {
        let host = FakeHost::new("homelab");
        take_snapshots(&host);
        host.change(prepare);
        let before = host.everything();
        refused(
            &host.run("rollback/windows.sh", &args, NO_TROUBLE),
            status,
            part,
        );
        assert_eq!(host.everything(), before);
    }
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_rollback_that_fails_or_is_killed_half_way_is_finished_by_the_next_one() {
    let args = [
        "zfs",
        "hourly-2",
        "--yes",
        "--destroy-newer",
        "--confirm",
        "windows",
    ];
    for trouble in [
        Trouble {
            fail: "zfs rollback -r rpool/vm-disks/vm-120-disk-1",
            kill: "",
        },
        Trouble {
            fail: "",
            kill: "zfs rollback -r rpool/vm-disks/vm-120-disk-1",
        },
    ] {
        let host = FakeHost::new("homelab");
        take_snapshots(&host);
        let said = host.run("rollback/windows.sh", &args, trouble);
        assert_ne!(said.status, Some(0));
        if !trouble.fail.is_empty() {
            refused(
                &said,
                1,
                "scsi0 (rpool/vm-disks/vm-120-disk-1) is not back at hourly-2, but efidisk0 already: do not start windows",
            );
        }
        fine(&host.run("rollback/windows.sh", &args, NO_TROUBLE));
        for disk in DISKS {
            assert_eq!(host.state()["back"][disk], "hourly-2");
        }
    }
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_snapshot_of_proxmox_is_reached_past_newer_ones_of_zfs() {
    let host = FakeHost::new("homelab");
    take_snapshots(&host);
    host.change(|state| {
        state["snapshots"]["110"] =
            json!({ "hourly-2": { "snaptime": FIRST, "description": "before the update" } });
    });
    let list = host.run("rollback/services.sh", &["snapshot"], NO_TROUBLE);
    fine(&list);
    assert!(
        list.out.contains("hourly-2  before the update"),
        "{}",
        list.out
    );
    let args = ["snapshot", "hourly-2", "--yes", "--confirm", "services"];
    refused(
        &host.run("rollback/services.sh", &args, NO_TROUBLE),
        3,
        "--destroy-newer destroys them",
    );
    let args = [&args[..], &["--destroy-newer"]].concat();
    fine(&host.run("rollback/services.sh", &args, NO_TROUBLE));
    assert_eq!(
        host.changes(),
        [
            "zfs destroy rpool/containers/subvol-110-disk-0@hourly-3",
            "pct rollback 110 hourly-2"
        ]
    );
    assert_eq!(host.state()["data"]["110"], "snapshot hourly-2");
    refused(
        &host.run("rollback/services.sh", &["snapshot", "nosuch"], NO_TROUBLE),
        3,
        "has no snapshot nosuch",
    );
    host.set_guest(110, "lock", "backup");
    refused(
        &host.run("rollback/services.sh", &args, NO_TROUBLE),
        4,
        "is locked (backup)",
    );
}

/// A NixOS guest of fakes, at the third of three generations.
pub(crate) fn install_nixos(host: &FakeHost, vmid: u32) {
    let profiles = host.path(&format!("guest-{vmid}/profiles"));
    fs::create_dir_all(&profiles).expect("a folder");
    for number in 1..=3 {
        let system = host.path(&format!("guest-{vmid}/system-{number}"));
        fs::create_dir_all(system.join("bin")).expect("a folder");
        fs::write(system.join("bin/switch-to-configuration"), "#!/bin/sh\n[ ! -e \"$GUEST/broken\" ] || exit 4\necho \"$0 $1\" >\"$GUEST/switched\"\n").expect("a program");
        fs::set_permissions(
            system.join("bin/switch-to-configuration"),
            fs::Permissions::from_mode(0o755),
        )
        .expect("a mode");
        std::os::unix::fs::symlink(&system, profiles.join(format!("system-{number}-link")))
            .expect("a link");
    }
    std::os::unix::fs::symlink("system-3-link", profiles.join("system")).expect("a link");
    host.guest_program(vmid, "nix-env", "ln -sfn \"system-$4-link\" \"$2\"");
    host.guest_program(vmid, "systemd-run", "while [ \"${1#--}\" != \"$1\" ]; do shift; done\nrm -f \"$GUEST/failed\"; \"$@\" || : >\"$GUEST/failed\"");
    host.guest_program(vmid, "systemctl", "if [ \"$1\" = reset-failed ]; then rm -f \"$GUEST/failed\"; elif [ -e \"$GUEST/failed\" ]; then echo failed; exit 3; else echo inactive; exit 3; fi");
    host.run_guest(vmid);
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_nixos_guest_goes_back_to_a_generation() {
    for (guest, vmid) in [("services", 110), ("workstation", 111)] {
        let host = FakeHost::new("homelab");
        install_nixos(&host, vmid);
        let script = format!("rollback/{guest}.sh");
        let at = || {
            fs::read_link(host.path(&format!("guest-{vmid}/profiles/system")))
                .expect("a link")
                .display()
                .to_string()
        };
        let list = host.run(&script, &["generation", "--list"], NO_TROUBLE);
        fine(&list);
        assert!(
            list.out.contains("\n* 3  ") && list.out.contains("  1  "),
            "{}",
            list.out
        );
        refused(
            &host.run(&script, &["generation", "--yes"], NO_TROUBLE),
            3,
            &format!("it wants --confirm {guest}"),
        );
        refused(
            &host.run(&script, &["generation", "7"], NO_TROUBLE),
            3,
            "has no generation 7",
        );
        fine(&host.run(&script, &["generation", "--dry-run"], NO_TROUBLE));
        assert_eq!(at(), "system-3-link");
        fine(&host.run(
            &script,
            &["generation", "--yes", "--confirm", guest],
            NO_TROUBLE,
        ));
        assert_eq!(at(), "system-2-link");
        assert!(
            host.read(&format!("guest-{vmid}/switched"))
                .ends_with(" switch\n")
        );
        fine(&host.run(
            &script,
            &["generation", "1", "--boot", "--confirm", guest],
            NO_TROUBLE,
        ));
        assert_eq!(at(), "system-1-link");
        assert!(
            host.read(&format!("guest-{vmid}/switched"))
                .ends_with(" boot\n")
        );
        refused(
            &host.run(&script, &["generation", "--confirm", guest], NO_TROUBLE),
            3,
            "no generation before 1",
        );
        fs::write(host.path(&format!("guest-{vmid}/broken")), "").expect("a file");
        refused(
            &host.run(
                &script,
                &["generation", "3", "--confirm", guest],
                NO_TROUBLE,
            ),
            1,
            "is not at generation 3",
        );
        host.change(|state| state["silent"] = json!({ vmid.to_string(): 1 }));
        if vmid == 111 {
            refused(
                &host.run(&script, &["generation", "--list"], NO_TROUBLE),
                3,
                "the guest agent of workstation (111) does not answer",
            );
        }
        host.change(|state| state["running"] = json!({}));
        refused(
            &host.run(&script, &["generation", "--list"], NO_TROUBLE),
            3,
            "is stopped: start it",
        );
    }
}

// ---------------------------------------------------------------- what every script holds to

/// The scripts of the way back in every example, and those of a spec full of what the others lack.
fn scripts(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut scripts = Vec::new();
    for (name, spec) in specs() {
        let tree_of_spec = folder.join(name);
        tree(&spec, &tree_of_spec);
        for part in ["restore", "rollback"] {
            let Ok(entries) = fs::read_dir(tree_of_spec.join(part)) else {
                continue;
            };
            scripts.extend(
                entries
                    .map(|entry| entry.expect("an entry").path())
                    .filter(|path| path.extension().is_some_and(|ext| ext == "sh")),
            );
        }
        for tool in ["vzdump-backup", "backup-rehearsal"] {
            // They are the same everywhere.
            let path = tree_of_spec.join("proxmox/usr/local/sbin").join(tool);
            if path.exists() && !scripts.iter().any(|other: &PathBuf| other.ends_with(tool)) {
                scripts.push(path);
            }
        }
    }
    scripts.sort();
    scripts
}

#[test]
#[ignore = "needs shellcheck; run by tests/run"]
fn shellcheck_finds_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let scripts = scripts(folder.path());
    assert!(scripts.len() > 20, "{scripts:?}");
    let said: Said = Command::new("shellcheck")
        .args(["--severity=style", "--exclude=SC2016"])
        .args(&scripts)
        .output()
        .expect("shellcheck starts")
        .into();
    fine(&said);
}

#[test]
fn scripts_explain_themselves_and_refuse_what_they_do_not_know() {
    let folder = tempfile::tempdir().expect("a folder");
    for script in scripts(folder.path()) {
        let call = |arg: &str| -> Said {
            Command::new("bash")
                .arg(&script)
                .arg(arg)
                .stdin(Stdio::null())
                .output()
                .expect("bash starts")
                .into()
        };
        let said = call("--help");
        fine(&said);
        assert!(said.out.starts_with("usage: "), "{}", said.out);
        for option in ["--dry-run", "--yes", "--confirm"] {
            assert!(said.out.contains(option), "{}: {option}", script.display());
        }
        refused(&call("--nonsense"), 2, "unknown option --nonsense");
    }
}

#[test]
fn a_guest_that_no_backup_covers_has_a_runbook_and_no_script() {
    let folder = tempfile::tempdir().expect("a folder");
    scripts(folder.path());
    let restore = folder.path().join("bighost/restore");
    assert!(!restore.join("sandbox.sh").exists());
    let runbook = fs::read_to_string(restore.join("sandbox.md")).expect("a runbook");
    assert!(
        runbook.contains("**No backup covers this guest**"),
        "{runbook}"
    );
    assert!(folder.path().join("bighost/rollback/sandbox.sh").exists());
    assert!(restore.join("db.sh").exists());
    insta::assert_snapshot!(
        "runbook-windows",
        fs::read_to_string(folder.path().join("homelab/restore/windows.md")).expect("a runbook")
    );
}

/// Whose snapshots hold a disk: those of its dataset and of one above it, but not what its firmware keeps elsewhere.
#[test]
fn a_runbook_counts_the_snapshots_of_each_disk() {
    let spec = r#"
[host]
name = "pve1"
release = "9.1"
timezone = "UTC"
[hardware.memory]
size = "96 GiB"
[hardware.disks]
a = { kind = "ssd", size = "4 TB", device = "/dev/disk/by-id/ata-A" }
b = { kind = "ssd", size = "4 TB", device = "/dev/disk/by-id/ata-B" }
[storage.pools.rpool]
layout = "mirror"
disks = ["a", "b"]
boot = true
[storage.datasets]
vmd = { pool = "rpool", use = "vm-disks" }
sub = { pool = "rpool", use = "vm-disks", path = "vmd/sub" }
oth = { pool = "rpool", use = "vm-disks" }
[vms.e]
os = "linux"
vmid = 200
memory = "1 GiB"
installed = true
firmware = "ovmf"
efi = { dataset = "vmd" }
tpm = { dataset = "vmd" }
disks.r = { dataset = "oth", size = "4 GiB" }
[vms.p]
os = "linux"
vmid = 201
memory = "1 GiB"
installed = true
disks.r = { dataset = "oth", size = "4 GiB" }
disks.s = { dataset = "vmd", size = "4 GiB" }
[vms.b]
os = "linux"
vmid = 202
memory = "1 GiB"
installed = true
backup = false
disks.r = { dataset = "sub", size = "4 GiB" }
[schedules.zs]
task = "zfs-snapshot"
on = "hourly"
datasets = ["vmd"]
recursive = true
keep = { hourly = 24 }
"#;
    let files = crate::in_memory::build("host.toml", spec, &[Target::Recovery]);
    let way_back = |guest: &str| {
        let file = files
            .get(&format!("restore/{guest}.md"))
            .expect("a runbook");
        let text = String::from_utf8(file.contents.clone()).unwrap();
        let (_, rest) = text.split_once("What can bring it back: ").unwrap();
        rest.split_once("\n\n").unwrap().0.replace('\n', " ")
    };
    // Its disk lies elsewhere.
    assert!(way_back("e").starts_with("nothing but a new installation."));
    let partly = way_back("p");
    assert!(
        partly.starts_with("the snapshots of its disks")
            && partly.contains("; nothing takes any of `scsi0`."),
        "{partly}"
    );
    let below = way_back("b");
    assert!(
        below.starts_with("the snapshots of its disks") && !below.contains("nothing takes any"),
        "{below}"
    );
}
