//! `moxc apply` does what `moxc plan` shows, and nothing else: on a host in use, by a fake of ssh.

use std::fmt::Write as _;
use std::fs;

use crate::applied::{LIVE, homelab, in_use, moxc, reachable, refused};
use crate::program::Said;
use crate::system::{FakeHost, fine, specs};

pub(crate) fn apply(host: &FakeHost, more: &[&str]) -> Said {
    let args = ["apply", "host.toml", "--live", LIVE, "--yes"];
    moxc(host, &[&args[..], more].concat())
}

/// The plan as data.
pub(crate) fn plan(host: &FakeHost, more: &[&str]) -> serde_json::Value {
    let args = [
        "--message-format",
        "json",
        "plan",
        "host.toml",
        "--live",
        LIVE,
    ];
    let said = moxc(host, &[&args[..], more].concat());
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}:\n{}", said.err))
}

/// What a plan shows of the objects that begin so: `OBJECT OPTION: BEFORE > AFTER (CAUSE)`.
pub(crate) fn shown(plan: &serde_json::Value, object: &str) -> Vec<String> {
    let changes = plan["changes"].as_array().expect("a list");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    changes
        .iter()
        .filter(|change| text(&change["object"]).starts_with(object))
        .map(|change| {
            format!(
                "{} {}: {} > {} ({})",
                text(&change["object"]),
                text(&change["option"]),
                text(&change["before"]),
                text(&change["after"]),
                text(&change["cause"])
            )
        })
        .collect()
}

fn commands(plan: &serde_json::Value, object: &str) -> Vec<String> {
    let changes = plan["changes"].as_array().expect("a list");
    changes
        .iter()
        .filter(|change| change["object"].as_str() == Some(object))
        .flat_map(|change| change["commands"].as_array().expect("a list"))
        .map(|command| command.as_str().expect("a text").to_owned())
        .collect()
}

/// A host in use that an apply has brought to the spec.
pub(crate) fn applied() -> FakeHost {
    let host = in_use();
    fine(&apply(&host, &[]));
    host
}

/// Another spec.
pub(crate) fn say(host: &FakeHost, from: &str, to: &str) {
    let spec = host.read("host.toml");
    let changed = spec.replace(from, to);
    assert_ne!(spec, changed, "{from}");
    host.write("host.toml", &changed);
}

#[test]
fn a_guest_is_made_by_the_commands_that_its_plan_shows() {
    let host = in_use();
    host.write("host.toml", &specs()["making"]);
    for (path, text) in [
        ("vz/import/debian-13.qcow2", "image"),
        ("vz/snippets/user.yaml", ""),
        (
            "vz/template/cache/debian-13-standard_13.1-2_amd64.tar.zst",
            "",
        ),
    ] {
        host.write(&format!("root/var/lib/{path}"), text);
    }
    for name in ["cloud-admin", "web-root"] {
        let path = format!("root/etc/moxc/secrets/{name}");
        host.write(&path, "hunter2\n");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(host.path(&path), mode).expect("a mode");
    }
    let plan = plan(&host, &[]);
    let said = apply(&host, &["--skip", "network"]);
    fine(&said);
    let root = host.path("root").display().to_string();
    let run: Vec<String> = host
        .changes()
        .into_iter()
        .map(|call| call.replace(&root, ""))
        .collect();
    for object in ["vm/115", "vm/116", "vm/117", "ct/120", "ct/121"] {
        let commands = commands(&plan, object);
        assert!(!commands.is_empty(), "{object}");
        for command in commands {
            // A line of bash there, and the words of a process here.
            let words = command.replace(['\'', '\\'], "");
            assert!(run.contains(&words), "{object}: {words}\n{run:#?}");
        }
    }
    assert!(!plan.to_string().contains("hunter2"));
}

#[test]
fn single_items_of_the_hosts_files_change_as_planned() {
    let host = applied();
    let storage = host.read("root/etc/pve/storage.cfg");
    // Somebody else's word in a section of ours, a store of theirs, and a retention by hand.
    let edited = storage.replace("nfs: nas\n", "nfs: nas\n\toptions vers=4.2\n");
    assert_ne!(edited, storage);
    host.write("root/etc/pve/storage.cfg", &edited);
    say(
        &host,
        "export = \"/volume1",
        "disabled = true, export = \"/volume1",
    );
    let before = host.files();
    let plan = plan(&host, &[]);
    assert_eq!(
        shown(&plan, "storage/nas"),
        ["storage/nas disable: - > 1 (spec)"]
    );
    fine(&apply(&host, &[]));
    let changed = host.read("root/etc/pve/storage.cfg");
    assert_eq!(
        changed
            .replace("\tdisable 1\n", "\tdisable\n")
            .replace("\tdisable\n", ""),
        edited
    );
    assert_ne!(changed, edited);
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    let mut back = host.files();
    back.retain(|path, _| before.contains_key(path));
    assert_eq!(back, before);
}

#[test]
fn runs_are_listed_and_their_undo_is_looked_at_by_ssh() {
    let host = applied();
    let before = host.files();
    let said = moxc(&host, &["undo", LIVE, "--list"]);
    fine(&said);
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    let run = said.out.trim().to_owned();
    let said = moxc(&host, &["undo", LIVE, "--dry-run"]);
    fine(&said);
    assert!(said.out.contains("comes back"), "{}", said.out);
    assert_eq!(host.files(), before);
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    let said = moxc(&host, &["undo", LIVE, "--list"]);
    fine(&said);
    assert_eq!(said.out, format!("{run} (taken back)\n"));
    fine(&moxc(&host, &["undo", LIVE, &run, "--yes"]));
}

#[test]
fn what_stays_of_a_guest_is_told_and_the_rest_of_it_comes_back() {
    let host = applied();
    let path = "root/etc/pve/nodes/pve1/lxc/110.conf";
    let before = host.read(path);
    say(
        &host,
        "features    = [\"nesting\"]\n",
        "features    = [\"nesting\"]\nlxc         = [\"lxc.cgroup2.devices.allow: c 10:200 rwm\"]\n",
    );
    say(
        &host,
        "[[containers.services.network]]\n",
        "[containers.services.mounts]\ndata = { dataset = \"containers\", path = \"/data\", size = \"4 GiB\" }\n\n\
         [[containers.services.network]]\n",
    );
    fine(&apply(&host, &["--only", "ct/110"]));
    let after = host.read(path);
    assert!(after.contains("\nlxc.cgroup2.devices.allow: "), "{after}");
    let volume = after
        .lines()
        .find(|line| line.starts_with("mp0: "))
        .expect("the new volume");
    for more in ["--dry-run", "--yes"] {
        let said = moxc(&host, &["undo", LIVE, more]);
        fine(&said);
        assert!(
            said.err.contains("guest 110: the new volume of mp0 stays"),
            "{}",
            said.err
        );
    }
    let mut kept: Vec<&str> = before.lines().chain([volume]).collect();
    kept.sort_unstable();
    let back = host.read(path);
    let mut back: Vec<&str> = back.lines().collect();
    back.sort_unstable();
    assert_eq!(back, kept);
}

#[test]
fn a_guest_that_is_taken_over_later_becomes_what_the_spec_says() {
    let host = in_use();
    host.write(
        "root/etc/pve/nodes/pve1/qemu-server/111.conf",
        "agent: 1\nefidisk0: vm-disks:vm-111-disk-1,efitype=4m,size=1G\nmemory: 2048\nname: old\n\
         scsi0: vm-disks:vm-111-disk-0,cache=writeback,size=64G\n",
    );
    // There is a record of a run, and nothing in it of the guest.
    fine(&apply(&host, &["--skip", "guests"]));
    let args = ["--only", "vm/111", "--adopt", "111"];
    let changes = plan(&host, &args);
    for change in shown(&changes, "vm/111") {
        assert!(change.ends_with("(unknown)"), "{change}");
    }
    let said = apply(&host, &args);
    fine(&said);
    assert!(!said.err.contains("by hand"), "{}", said.err);
    let config = host.read("root/etc/pve/nodes/pve1/qemu-server/111.conf");
    assert!(!config.contains("cache="), "{config}");
}

#[test]
fn a_disk_of_a_store_of_files_has_the_format_that_is_said() {
    let host = applied();
    say(
        &host,
        "[vms.workstation.disks]\nroot = { dataset = \"vm-disks\", size = \"64 GiB\" }\n",
        "[storage.external.files]\nkind = \"dir\"\npath = \"/mnt/files\"\nuse = [\"vm-disks\"]\n\n\
         [vms.workstation.disks]\nroot = { dataset = \"vm-disks\", size = \"64 GiB\" }\n\
         more = { store = \"files\", size = \"5 GiB\", format = \"qcow2\" }\n",
    );
    let said = apply(&host, &["--skip", "network"]);
    fine(&said);
    let config = host.read("root/etc/pve/nodes/pve1/qemu-server/111.conf");
    assert!(
        config.contains("\nscsi1: files:111/vm-111-disk-0.qcow2,"),
        "{config}"
    );
    let left = shown(&plan(&host, &[]), "vm/111");
    assert_eq!(left, [""; 0], "{config}");
}

#[test]
fn an_edit_by_hand_of_any_file_is_told_and_kept() {
    let host = applied();
    let edits = [
        (
            "etc/modprobe.d/zfs.conf",
            "options zfs zfs_arc_max=7\n".to_owned(),
        ),
        (
            "etc/pve/jobs.cfg",
            host.read("root/etc/pve/jobs.cfg").replace("zstd", "lzo"),
        ),
        (
            "etc/network/interfaces",
            host.read("root/etc/network/interfaces")
                .replace("\tbridge-fd 0\n", "\tbridge-fd 4\n"),
        ),
        ("etc/resolv.conf", "nameserver 192.0.2.7\n".to_owned()),
    ];
    for (path, text) in &edits {
        assert_ne!(host.read(&format!("root/{path}")), *text, "{path}");
        host.write(&format!("root/{path}"), text);
    }
    host.write("enabled-moxc.target", "");
    let _ = fs::remove_file(host.path("enabled-moxc.target"));
    // Something else is to be done, so that the run does not end at once.
    say(&host, "= \"8 GiB\"", "= \"6 GiB\"");
    let said = apply(&host, &[]);
    fine(&said);
    for (path, text) in &edits {
        assert_eq!(host.read(&format!("root/{path}")), *text, "{path}");
    }
    assert!(!host.path("enabled-moxc.target").exists());
    for told in [
        "/etc/modprobe.d/zfs.conf was changed by hand and stays",
        "/etc/resolv.conf was changed by hand and stays",
        "/etc/network/interfaces was changed by hand and stays",
        "moxc.target was disabled by hand and stays so",
    ] {
        assert!(said.err.contains(told), "{told}:\n{}", said.err);
    }
    assert_eq!(
        host.changes(),
        ["pct set 110 --memory 6144"],
        "{}",
        said.err
    );
}

#[test]
fn a_change_that_is_not_made_is_not_taken_for_made() {
    let host = applied();
    // A disk that would shrink, and a kind of container that only making anew changes.
    say(&host, "size = \"64 GiB\"", "size = \"48 GiB\"");
    for _ in 0..2 {
        let said = apply(&host, &[]);
        fine(&said);
        assert!(
            said.err.contains("only making it anew could"),
            "{}\n{}",
            said.out,
            said.err
        );
        assert!(!said.err.contains("by hand"), "{}", said.err);
        assert_eq!(host.changes(), [""; 0]);
    }
    // What is left out is planned again.
    say(&host, "= \"8 GiB\"", "= \"6 GiB\"");
    fine(&apply(&host, &["--skip", "guests"]));
    assert_eq!(
        shown(&plan(&host, &[]), "ct/110"),
        ["ct/110 memory: 8192 > 6144 (spec)"]
    );
    fine(&apply(&host, &["--only", "ct/110"]));
    assert_eq!(host.changes(), ["pct set 110 --memory 6144"]);
}

#[test]
fn a_run_that_was_cut_off_goes_on_though_its_plan_finds_nothing() {
    let host = applied();
    say(&host, "arc-max = \"16 GiB\"", "arc-max = \"12 GiB\"");
    host.write("fail", "update-initramfs");
    let said = apply(&host, &[]);
    assert_eq!(said.status, Some(1), "{}\n{}", said.out, said.err);
    fs::remove_file(host.path("fail")).expect("it is there");
    assert_eq!(plan(&host, &[])["same"], true);
    let said = apply(&host, &[]);
    fine(&said);
    assert!(said.err.contains("was cut off"), "{}", said.err);
    assert!(
        host.changes()
            .contains(&"update-initramfs -u -k all".to_owned()),
        "{:?}",
        host.changes()
    );
    fine(&apply(&host, &[]));
    assert_eq!(host.changes(), [""; 0]);
}

#[test]
fn properties_of_datasets_change_as_planned_and_come_back() {
    let host = applied();
    let properties = |quota: &str| {
        let mut all = String::new();
        for dataset in host
            .read("datasets")
            .lines()
            .filter(|line| !line.is_empty())
        {
            let quota = if dataset.ends_with("windows") {
                quota
            } else {
                "0"
            };
            writeln!(
                all,
                "{dataset}\ttype\tfilesystem\t-\n{dataset}\tcompression\tzstd\tlocal\n{dataset}\tquota\t{quota}\tlocal\n\
                 {dataset}\tmountpoint\t/{dataset}\tdefault"
            )
            .expect("a string takes all text");
        }
        host.write("root/.moxc/zfs-get", &all);
        host.write("property-quota-rpool_windows", &format!("{quota}\n"));
    };
    properties("214748364800");
    say(&host, "quota = \"200 GiB\"", "quota = \"300 GiB\"");
    let planned = plan(&host, &[]);
    assert!(
        shown(&planned, "dataset/rpool/windows").contains(
            &"dataset/rpool/windows quota: 214748364800 > 322122547200 (unknown)".to_owned()
        ),
        "{planned:#}"
    );
    fine(&apply(&host, &["--only", "pools"]));
    assert!(
        host.changes()
            .contains(&"zfs set quota=322122547200 rpool/windows".to_owned()),
        "{:?}",
        host.changes()
    );
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(host.read("property-quota-rpool_windows"), "214748364800\n");
    // Somebody set it since the plan.
    host.write("property-quota-rpool_windows", "5\n");
    refused(
        &apply(&host, &["--only", "pools"]),
        "quota of rpool/windows is `5` by now",
    );
}

#[test]
fn a_step_that_is_not_there_is_told() {
    let host = in_use();
    let said = apply(&host, &["--only", "file/etc/vzdump"]);
    assert_eq!(said.status, Some(2), "{}\n{}", said.out, said.err);
    assert!(
        said.err
            .contains("there is no step `file/etc/vzdump`; the steps of this host are check,"),
        "{}",
        said.err
    );
    let host = homelab();
    let said = host.apply(&["--skip", "network,guest"], "");
    assert_eq!(said.status, Some(2), "{}\n{}", said.out, said.err);
    assert!(
        said.err.contains("there is no step `guest`"),
        "{}",
        said.err
    );
}

#[test]
fn a_disk_moves_and_comes_back_and_a_detached_one_wants_its_name() {
    let host = applied();
    let path = "root/etc/pve/nodes/pve1/qemu-server/111.conf";
    let before = host.read(path);
    say(
        &host,
        "containers = { pool = \"rpool\", use = \"containers\" }",
        "containers = { pool = \"rpool\", use = \"containers\" }\nslow = { pool = \"tank\", use = \"vm-disks\" }",
    );
    say(
        &host,
        "root = { dataset = \"vm-disks\", size = \"64 GiB\" }",
        "root = { dataset = \"slow\", size = \"64 GiB\" }",
    );
    // The plan says what is done.
    let planned = plan(&host, &[]);
    let changes = planned["changes"].as_array().expect("a list").iter();
    let moved: Vec<String> = changes
        .filter(|change| change["object"] == "vm/111" && change["when"] == "command")
        .map(|change| {
            let (option, when, data) = (&change["option"], &change["when"], &change["data"]);
            format!("{option} {when} {data} {}", change["commands"][0])
        })
        .collect();
    assert_eq!(
        moved,
        [
            r#""efidisk0.file" "command" "kept" "qm disk move 111 efidisk0 slow --delete 1""#,
            r#""scsi0.file" "command" "kept" "qm disk move 111 scsi0 slow --delete 1""#
        ]
    );
    let said = apply(&host, &["--skip", "network"]);
    fine(&said);
    assert!(
        host.changes()
            .contains(&"qm disk move 111 scsi0 slow --delete 1".to_owned()),
        "{:#?}",
        host.changes()
    );
    assert!(
        host.read(path).contains("scsi0: slow:"),
        "{}",
        host.read(path)
    );
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(host.read(path), before);
}

#[test]
fn a_volume_that_is_detached_wants_its_name_typed() {
    let host = applied();
    let path = "root/etc/pve/nodes/pve1/qemu-server/120.conf";
    let before = host.read(path);
    let volume = before
        .lines()
        .find_map(|line| line.strip_prefix("scsi1: "))
        .and_then(|value| value.split(',').next())
        .expect("a second disk")
        .to_owned();
    say(
        &host,
        "games  = { dataset = \"vm-disks\", size = \"512 GiB\", backup = false }\n",
        "",
    );
    let said = apply(&host, &["--only", "vm/120"]);
    refused(&said, &format!("this wants --confirm {volume}"));
    assert_eq!(host.read(path), before);
    fine(&apply(&host, &["--only", "vm/120", "--confirm", &volume]));
    assert_eq!(host.changes(), ["qm set 120 --delete scsi1"]);
}

#[test]
fn only_the_nodes_own_lines_of_a_cluster_change() {
    let host = in_use();
    let other = "gpu\n\tmap id=10de:2684,node=pve2,path=0000:41:00\n";
    host.write("root/etc/pve/mapping/pci.cfg", other);
    host.write(
        "root/etc/pve/jobs.cfg",
        "vzdump: backup-a\n\tnode pve2\n\tschedule 02:00\n\tall 1\n\tstorage local\n",
    );
    host.write(
        "root/etc/pve/nodes/pve2/qemu-server/200.conf",
        "memory: 512\nname: other\n",
    );
    let before = host.files();
    fine(&apply(&host, &["--skip", "network"]));
    let mapping = host.read("root/etc/pve/mapping/pci.cfg");
    assert!(mapping.contains("node=pve2,path=0000:41:00"), "{mapping}");
    assert!(mapping.contains("node=pve1,"), "{mapping}");
    let jobs = host.read("root/etc/pve/jobs.cfg");
    assert!(
        jobs.starts_with(
            "vzdump: backup-a\n\tnode pve2\n\tschedule 02:00\n\tall 1\n\tstorage local\n"
        ),
        "{jobs}"
    );
    assert_eq!(
        host.read("root/etc/pve/nodes/pve2/qemu-server/200.conf"),
        before["etc/pve/nodes/pve2/qemu-server/200.conf"]
    );
    fine(&apply(&host, &["--skip", "network"]));
    assert_eq!(host.changes(), [""; 0]);
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(host.read("root/etc/pve/mapping/pci.cfg"), other);
    // Without quorum Proxmox VE takes no change: nothing is begun.
    host.write("root/etc/pve/corosync.conf", "");
    fs::write(
        host.path("bin/pvecm"),
        "#!/bin/sh\necho 'Quorate:          No'\n",
    )
    .expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(host.path("bin/pvecm"), mode).expect("a mode");
    let before = host.files();
    refused(&apply(&host, &[]), "the cluster has no quorum");
    assert_eq!(host.files(), before);
}

#[test]
fn what_is_somebody_elses_of_the_same_name_or_number_is_not_touched() {
    let host = in_use();
    let other = "root/etc/pve/nodes/pve1/lxc/111.conf";
    host.write(other, "hostname: theirs\nmemory: 512\n");
    let before = host.files();
    refused(
        &apply(&host, &["--only", "vm/111"]),
        "the number 111 is taken",
    );
    assert_eq!(host.files(), before);
    fs::remove_file(host.path(other)).expect("it is there");
    let jobs = shown(&plan(&host, &[]), "job/");
    let job = jobs[0]
        .strip_prefix("job/")
        .and_then(|job| job.split(' ').next())
        .expect("the spec has a job");
    let storage = host.read("root/etc/pve/storage.cfg")
        + "cifs: nas\n\tpath /mnt/pve/nas\n\tserver 10.0.0.9\n\tshare x\n\tcontent images\n\n";
    let without = host.read("root/etc/pve/storage.cfg");
    let realm = format!("realmsync: {job}\n\trealm x\n\tschedule daily\n\n");
    // Another kind of thing under that name is in the way.
    for (path, text, what) in [
        (
            "root/etc/pve/storage.cfg",
            &storage,
            "storage/nas on the host is another one, of the kind `cifs` and not `nfs`".to_owned(),
        ),
        (
            "root/etc/pve/jobs.cfg",
            &realm,
            format!(
                "job/{job} on the host is another one, of the kind `realmsync` and not `vzdump`"
            ),
        ),
    ] {
        host.write("root/etc/pve/storage.cfg", &without);
        host.write(path, text);
        let before = host.files();
        refused(&apply(&host, &["--skip", "guests,network"]), &what);
        assert_eq!(host.files(), before);
    }
    // One of the same kind is told, and stays.
    host.write("root/etc/pve/storage.cfg", &without);
    let theirs =
        format!("vzdump: {job}\n\tnode pve2\n\tschedule 02:00\n\tall 1\n\tstorage local\n\n");
    host.write("root/etc/pve/jobs.cfg", &theirs);
    for _ in 0..2 {
        let said = apply(&host, &["--skip", "guests,network"]);
        fine(&said);
        assert!(said.err.contains(&format!("job/{job} ")), "{}", said.err);
        let now = host.read("root/etc/pve/jobs.cfg");
        assert!(now.starts_with(&theirs), "{now}");
    }
}

#[test]
fn a_job_backs_up_those_that_the_spec_says_and_no_others() {
    let host = applied();
    let jobs = host.read("root/etc/pve/jobs.cfg");
    let job = jobs
        .lines()
        .find_map(|line| line.strip_prefix("vzdump: "))
        .expect("a job")
        .to_owned();
    // No run has made it: the host is adopted.
    let record = host
        .read("root/var/lib/moxc/applied.json")
        .replace("etc/pve/jobs.cfg", "etc/pve/jobs.was");
    host.write("root/var/lib/moxc/applied.json", &record);
    let chosen = jobs
        .lines()
        .find(|line| {
            ["\tall ", "\tvmid "]
                .iter()
                .any(|key| line.starts_with(key))
        })
        .expect("it says which")
        .to_owned();
    host.write(
        "root/etc/pve/jobs.cfg",
        &jobs.replacen(&chosen, "\tpool mine", 1),
    );
    let planned = shown(&plan(&host, &[]), &format!("job/{job}"));
    assert!(
        planned.contains(&format!("job/{job} pool: mine > - (unknown)")),
        "{planned:?}"
    );
    fine(&apply(&host, &["--only", "jobs"]));
    let now = host.read("root/etc/pve/jobs.cfg");
    assert!(now.contains(&chosen) && !now.contains("pool mine"), "{now}");
}

/// What a plan lists as the host's alone, of the objects that begin so: `OBJECT OPTION: VALUE`.
pub(crate) fn foreign(plan: &serde_json::Value, object: &str) -> Vec<String> {
    let foreign = plan["foreign"].as_array().expect("a list");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
    foreign
        .iter()
        .filter(|foreign| text(&foreign["object"]).starts_with(object))
        .map(|foreign| {
            format!(
                "{} {}: {}",
                text(&foreign["object"]),
                text(&foreign["option"]),
                text(&foreign["before"])
            )
        })
        .collect()
}

/// Changes a file of the host by hand.
pub(crate) fn by_hand(host: &FakeHost, path: &str, from: &str, to: &str) {
    let text = host.read(path);
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "{from}:\n{text}");
    host.write(path, &changed);
}

const INTERFACES: &str = "root/etc/network/interfaces";

#[test]
fn guests_that_the_spec_does_not_know_stay_in_a_job() {
    let host = applied();
    let path = "root/etc/pve/jobs.cfg";
    by_hand(&host, path, "\tvmid 110,111\n", "\tvmid 110,105,111\n");
    by_hand(&host, path, "\tall 1\n", "\tall 1\n\texclude 105\n");
    let theirs = [
        "job/local-backup vmid: 105",
        "job/offsite-backup exclude: 105",
    ];
    let jobs = host.read(path);
    let planned = plan(&host, &[]);
    assert_eq!(shown(&planned, "job/"), [""; 0]);
    assert_eq!(foreign(&planned, "job/"), theirs);
    fine(&apply(&host, &[]));
    assert_eq!(host.read(path), jobs);
    say(
        &host,
        "guests  = [\"services\", \"workstation\"]\nstorage = \"backups\"",
        "guests  = [\"services\", \"windows\"]\nstorage = \"backups\"",
    );
    say(
        &host,
        "guests  = \"all\"",
        "guests  = \"all\"\nexclude = [\"windows\"]",
    );
    let planned = plan(&host, &[]);
    assert_eq!(
        shown(&planned, "job/"),
        [
            "job/local-backup vmid: 110,105,111 > 110,105,120 (spec)",
            "job/offsite-backup exclude: 105 > 105,120 (spec)",
        ]
    );
    assert_eq!(foreign(&planned, "job/"), theirs);
    let before = host.files();
    fine(&apply(&host, &[]));
    let now = host.read(path);
    assert!(
        now.contains("\tvmid 110,105,120\n") && now.contains("\texclude 105,120\n"),
        "{now}"
    );
    let again = plan(&host, &[]);
    assert_eq!(shown(&again, "job/"), [""; 0]);
    assert_eq!(foreign(&again, "job/"), theirs);
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(host.files(), before);
    // What the spec's own go out of goes, whoever else is left.
    fine(&apply(&host, &[]));
    say(&host, "\nexclude = [\"windows\"]", "");
    fine(&apply(&host, &[]));
    let now = host.read(path);
    assert!(now.contains("\texclude 105\n"), "{now}");
}

#[test]
fn what_others_wrote_into_an_interface_of_the_spec_stays() {
    // On a host that no run has changed, and on one that is as the last run left it.
    for host in [in_use(), applied()] {
        by_hand(
            &host,
            INTERFACES,
            "\tbridge-ports enp5s0\n",
            "\tbridge-ports enp5s0\n\tmtu 9000\n\tpost-up echo theirs\n\tpost-up echo more\n",
        );
        by_hand(
            &host,
            INTERFACES,
            "iface enp5s0 inet manual\n",
            "iface enp5s0 inet manual\n\tpost-up ethtool -K enp5s0 gro off\n",
        );
        let theirs = [
            "interface/enp5s0 post-up: ethtool -K enp5s0 gro off",
            "interface/vmbr0 mtu: 9000",
            "interface/vmbr0 post-up: echo theirs\necho more",
            "interface/vmbr7 -: -",
        ];
        assert_eq!(foreign(&plan(&host, &[]), "interface/"), theirs);
        // What the spec changes beside it takes nothing of it away.
        say(&host, "192.168.1.10/24", "192.168.1.12/24");
        assert_eq!(foreign(&plan(&host, &[]), "interface/"), theirs);
        let before = host.read(INTERFACES);
        fine(&apply(&host, &[]));
        let now = host.read(INTERFACES);
        for line in [
            "\tmtu 9000\n\tpost-up echo theirs\n\tpost-up echo more\n",
            "iface enp5s0 inet manual\n\tpost-up ethtool -K enp5s0 gro off\n",
            "\taddress 192.168.1.12/24\n",
        ] {
            assert!(now.contains(line), "{line}:\n{now}");
        }
        let again = plan(&host, &[]);
        assert_eq!(shown(&again, "interface/"), [""; 0]);
        assert_eq!(foreign(&again, "interface/"), theirs);
        fine(&apply(&host, &[]));
        assert_eq!(host.read(INTERFACES), now);
        fine(&moxc(&host, &["undo", LIVE, "--yes"]));
        assert_eq!(host.read(INTERFACES), before);
    }
}

/// The line of a device is set as a whole.
#[test]
fn an_edit_in_the_line_of_a_device_stays_beside_a_change_of_the_spec() {
    let host = applied();
    let path = "root/etc/pve/nodes/pve1/qemu-server/111.conf";
    by_hand(&host, path, ",ssd=1,", ",ro=1,");
    by_hand(&host, path, "bridge=vmbr0", "bridge=vmbr0,link_down=1");
    let edited = host.read(path);
    say(
        &host,
        "root = { dataset = \"vm-disks\", size = \"64 GiB\" }",
        "root = { dataset = \"vm-disks\", size = \"64 GiB\", cache = \"writeback\" }",
    );
    say(
        &host,
        "[[vms.workstation.network]]\nbridge  = \"vmbr0\"",
        "[[vms.workstation.network]]\nfirewall = true\nbridge  = \"vmbr0\"",
    );
    let edits = [
        "vm/111 net0.link_down: 1 > - (host)",
        "vm/111 scsi0.ro: 1 > - (host)",
        "vm/111 scsi0.ssd: - > 1 (host)",
    ];
    let planned = plan(&host, &[]);
    let all = shown(&planned, "vm/111");
    assert_eq!(all.len(), 5, "{all:?}");
    for edit in edits {
        assert!(all.iter().any(|change| change == edit), "{edit}: {all:?}");
    }
    let said = apply(&host, &[]);
    fine(&said);
    for told in ["scsi0.ro is `1` by hand", "net0.link_down is `1` by hand"] {
        assert!(said.err.contains(told), "{told}:\n{}", said.err);
    }
    let now = host.read(path);
    for kept in [",ro=1,", "firewall=1", "link_down=1", "cache=writeback"] {
        assert!(now.contains(kept), "{kept}:\n{now}");
    }
    assert!(!now.contains("ssd=1"), "{now}");
    assert_eq!(shown(&plan(&host, &[]), "vm/111"), edits);
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(host.read(path), edited);
}

/// One option changes in the spec; another was changed by hand, and the stanza has comments.
#[test]
fn an_edit_of_an_interface_stays_beside_a_change_of_the_spec_with_every_comment() {
    for host in [in_use(), applied()] {
        // What the first run knows is what somebody changes.
        fine(&apply(&host, &[]));
        by_hand(
            &host,
            INTERFACES,
            "\tgateway 192.168.1.1\n",
            "\t# the router in the cellar\n\n\tgateway  192.168.1.254\n",
        );
        by_hand(&host, INTERFACES, "\tbridge-stp off\n", "\tbridge-stp on\n");
        let edited = host.read(INTERFACES);
        say(&host, "192.168.1.10/24", "192.168.1.12/24");
        let edits = [
            "interface/vmbr0 bridge-stp: on > off (host)",
            "interface/vmbr0 gateway: 192.168.1.254 > 192.168.1.1 (host)",
        ];
        let planned = shown(&plan(&host, &[]), "interface/");
        let address = "interface/vmbr0 address: 192.168.1.10/24 > 192.168.1.12/24 (spec)";
        assert_eq!(planned, [address, edits[0], edits[1]]);
        let said = apply(&host, &[]);
        fine(&said);
        for told in [
            "gateway of interface/vmbr0 is `192.168.1.254` by hand, and not `192.168.1.1`",
            "bridge-stp of interface/vmbr0 is `on` by hand, and not `off`",
        ] {
            assert!(said.err.contains(told), "{told}:\n{}", said.err);
        }
        let now = edited.replace("192.168.1.10/24", "192.168.1.12/24");
        assert_eq!(host.read(INTERFACES), now);
        assert_eq!(shown(&plan(&host, &[]), "interface/"), edits);
        fine(&apply(&host, &[]));
        assert_eq!(host.read(INTERFACES), now);
        // The spec says otherwise.
        say(
            &host,
            "192.168.1.12/24\"\ngateway     = \"router\"",
            "192.168.1.12/24\"\ngateway     = \"192.168.1.2\"",
        );
        fine(&apply(&host, &[]));
        let after = now.replace("gateway  192.168.1.254", "gateway 192.168.1.2");
        assert_eq!(host.read(INTERFACES), after);
        fine(&moxc(&host, &["undo", LIVE, "--yes"]));
        assert_eq!(host.read(INTERFACES), now);
    }
}

#[test]
fn what_an_earlier_run_wrote_into_an_interface_goes_and_others_lines_beside_it_stay() {
    let host = in_use();
    let spec = host.read("host.toml");
    let ports = "[network.bridges.vmbr0]\n";
    assert!(spec.contains(ports), "{spec}");
    let more = format!("{ports}post-up = [\"echo one\", \"echo two\"]\nmtu = 9000\n");
    host.write("host.toml", &spec.replacen(ports, &more, 1));
    fine(&apply(&host, &[]));
    by_hand(
        &host,
        INTERFACES,
        "\tpost-up echo two\n",
        "\tpost-up echo two\n\tpost-up echo theirs\n",
    );
    // One line goes, and what the spec no longer says at all.
    let less = format!("{ports}post-up = [\"echo one\"]\n");
    host.write("host.toml", &spec.replacen(ports, &less, 1));
    let planned = plan(&host, &[]);
    assert_eq!(
        shown(&planned, "interface/vmbr0"),
        [
            "interface/vmbr0 mtu: 9000 > - (spec)",
            "interface/vmbr0 post-up: echo one\necho two\necho theirs > echo one\necho theirs (spec)",
        ]
    );
    assert_eq!(
        foreign(&planned, "interface/vmbr0"),
        ["interface/vmbr0 post-up: echo theirs"]
    );
    fine(&apply(&host, &[]));
    let now = host.read(INTERFACES);
    assert!(
        now.contains("\tpost-up echo one\n\tpost-up echo theirs\n"),
        "{now}"
    );
    assert!(!now.contains("echo two") && !now.contains("9000"), "{now}");
    // The last of the spec's lines goes, and theirs stays.
    host.write("host.toml", &spec);
    fine(&apply(&host, &[]));
    let now = host.read(INTERFACES);
    assert!(now.contains("\tpost-up echo theirs\n"), "{now}");
    assert!(!now.contains("echo one"), "{now}");
    assert_eq!(shown(&plan(&host, &[]), "interface/"), [""; 0]);
}

#[test]
fn a_bridge_that_leaves_the_spec_goes_by_its_name_unless_somebody_changed_it() {
    let host = in_use();
    let spec = host.read("host.toml");
    let ports = "[network.bridges.vmbr0]\n";
    let lab = format!("[network.bridges.vmbr5]\naddress = \"10.5.0.1/24\"\n\n{ports}");
    let with = spec.replacen(ports, &lab, 1);
    let now = || host.read(INTERFACES);
    host.write("host.toml", &with);
    fine(&apply(&host, &[]));
    assert!(now().contains("iface vmbr5 "), "{}", now());
    host.write("host.toml", &spec);
    fine(&apply(&host, &["--confirm", "vmbr5"]));
    assert!(!now().contains("vmbr5"), "{}", now());
    host.write("host.toml", &with);
    fine(&apply(&host, &[]));
    by_hand(&host, INTERFACES, "10.5.0.1/24", "10.5.0.2/24");
    host.write("host.toml", &spec);
    let planned = plan(&host, &[]);
    let shown_of_it = shown(&planned, "interface/vmbr5");
    assert!(
        matches!(&shown_of_it[..], [only] if only.ends_with(" > - (both)")),
        "{shown_of_it:?}"
    );
    let said = apply(&host, &[]);
    fine(&said);
    let told = "interface/vmbr5 is no longer in the spec, but changed by hand since: it stays";
    assert!(said.err.contains(told), "{}", said.err);
    assert!(now().contains("10.5.0.2/24"), "{}", now());
    // From now on it is its owner's.
    assert_eq!(shown(&plan(&host, &[]), "interface/"), [""; 0]);
}

#[test]
fn what_an_interface_is_and_where_it_stands_is_the_specs_alone() {
    let host = in_use();
    by_hand(
        &host,
        INTERFACES,
        "\tbridge-ports enp5s0\n",
        "\tbridge-ports enp5s0\n\tbridge-vlan-aware yes\n\taddress 10.1.1.1/24\n",
    );
    let planned = plan(&host, &[]);
    let shown = shown(&planned, "interface/vmbr0");
    for option in ["address", "bridge-vlan-aware"] {
        let begins = format!("interface/vmbr0 {option}: ");
        assert!(
            shown.iter().any(|change| change.starts_with(&begins)),
            "{option}: {shown:?}"
        );
    }
    assert_eq!(foreign(&planned, "interface/vmbr0"), [""; 0]);
    fine(&apply(&host, &[]));
    let now = host.read(INTERFACES);
    assert!(
        !now.contains("10.1.1.1") && !now.contains("bridge-vlan-aware yes"),
        "{now}"
    );
}

#[test]
fn a_network_with_a_secret_stays_as_it_is() {
    let host = in_use();
    let path = "root/etc/network/interfaces";
    let text = host.read(path) + "\niface wlan0 inet dhcp\n\twpa-ssid home\n\twpa-psk hunter22\n";
    host.write(path, &text);
    let said = apply(&host, &[]);
    fine(&said);
    assert!(
        said.err.contains("/etc/network/interfaces holds a secret"),
        "{}",
        said.err
    );
    assert_eq!(host.read(path), text);
    for shown in [&said.out, &said.err] {
        assert!(!shown.contains("hunter22"), "{shown}");
    }
}

/// What the fakes know of units and properties, by their own files.
fn states(host: &FakeHost) -> Vec<String> {
    let mut all: Vec<String> = fs::read_dir(host.path("."))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.starts_with("enabled-") || name.starts_with("active-"))
        .collect();
    all.sort();
    all
}

#[test]
fn units_and_storages_come_back_too() {
    let host = applied();
    let (before, units) = (host.files(), states(&host));
    say(
        &host,
        "[schedules.scrub]\ntask  = \"zfs-scrub\"\non    = \"monthly\"\npools = [\"rpool\", \"tank\"]\n",
        "[schedules.trim]\ntask  = \"zfs-trim\"\non    = \"weekly\"\npools = [\"rpool\"]\n",
    );
    say(
        &host,
        "export = \"/volume1",
        "disabled = true, export = \"/volume1",
    );
    fine(&apply(&host, &[]));
    assert_ne!(states(&host), units);
    assert_ne!(host.files(), before);
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(states(&host), units);
    assert_eq!(host.files(), before);
}

#[test]
fn a_storage_that_would_be_another_is_told_and_stays() {
    let host = applied();
    let storage = host.read("root/etc/pve/storage.cfg");
    say(
        &host,
        "server = \"192.168.1.5\"",
        "server = \"192.168.1.6\"",
    );
    let wanted = ["storage/nas server: 192.168.1.5 > 192.168.1.6 (spec)"];
    // Told each time, and never taken for made, by a plan or by the tree's own script.
    for _ in 0..2 {
        assert_eq!(shown(&plan(&host, &[]), "storage/nas"), wanted);
        let said = apply(&host, &[]);
        fine(&said);
        let told = "server of storage/nas is `192.168.1.5`, and only making it anew could make it `192.168.1.6`: it stays \
                    (`pvesm remove nas`";
        assert!(said.err.contains(told), "{}", said.err);
        assert_eq!(host.read("root/etc/pve/storage.cfg"), storage);
        assert_eq!(host.changes(), [""; 0]);
    }
    // Somebody has removed it.
    let without = storage
        .split("nfs: nas\n")
        .next()
        .expect("a text")
        .to_owned();
    host.write("root/etc/pve/storage.cfg", &without);
    fine(&apply(&host, &[]));
    assert!(
        host.read("root/etc/pve/storage.cfg")
            .contains("\tserver 192.168.1.6\n")
    );
    fine(&apply(&host, &[]));
    assert_eq!(host.changes(), [""; 0]);
}

#[test]
fn what_is_done_to_the_hosts_file_and_to_old_files_is_planned() {
    let host = applied();
    let hosts = "127.0.0.1 localhost\n10.0.0.9 pve1.home.arpa pve1\n10.0.0.5 nas # mine\n";
    host.write("root/etc/hosts", hosts);
    say(
        &host,
        "[schedules.scrub]\ntask  = \"zfs-scrub\"\non    = \"monthly\"\npools = [\"rpool\", \"tank\"]\n",
        "",
    );
    let scrub = host.read("root/etc/systemd/system/moxc-scrub.service");
    let before = host.files();
    let planned = plan(&host, &[]);
    assert_eq!(
        shown(&planned, "file/etc/hosts"),
        [
            "file/etc/hosts pve1: 10.0.0.9 pve1.home.arpa pve1 > 192.168.1.10 pve1.home.arpa pve1 (unknown)"
        ]
    );
    assert_eq!(
        shown(&planned, "unit/moxc-scrub.service"),
        [format!(
            "unit/moxc-scrub.service -: {} lines > - (spec)",
            scrub.lines().count()
        )]
    );
    fine(&apply(&host, &[]));
    assert_eq!(
        host.read("root/etc/hosts"),
        hosts.replace("10.0.0.9 pve1", "192.168.1.10 pve1")
    );
    assert!(
        !host
            .path("root/etc/systemd/system/moxc-scrub.service")
            .exists()
    );
    assert_eq!(plan(&host, &[])["same"], true);
    fine(&moxc(&host, &["undo", LIVE, "--yes"]));
    assert_eq!(host.files(), before);
    // A file that somebody has changed is theirs, and nothing that is planned.
    host.write(
        "root/etc/systemd/system/moxc-scrub.service",
        &format!("{scrub}# mine\n"),
    );
    let planned = plan(&host, &[]);
    assert_eq!(shown(&planned, "unit/moxc-scrub.service"), [""; 0]);
    assert!(
        planned["foreign"]
            .to_string()
            .contains("unit/moxc-scrub.service"),
        "{planned:#}"
    );
    fine(&apply(&host, &[]));
    assert!(
        host.path("root/etc/systemd/system/moxc-scrub.service")
            .exists()
    );
}

#[test]
fn a_guest_that_is_taken_over_keeps_the_volume_that_the_spec_does_not_name() {
    let host = applied();
    let path = "root/etc/pve/nodes/pve1/qemu-server/111.conf";
    let config = host.read(path);
    let own = config.replace("vm-disks:vm-111-disk-0", "vm-disks:vm-111-disk-7");
    assert_ne!(own, config);
    host.write(path, &own);
    // As if no run had ever been here.
    fs::remove_file(host.path("root/var/lib/moxc/applied.json")).expect("it is there");
    assert_eq!(shown(&plan(&host, &[]), "vm/111"), [""; 0]);
    say(&host, "= \"16 GiB\"", "= \"12 GiB\"");
    let said = apply(&host, &["--adopt", "111", "--only", "vm/111"]);
    fine(&said);
    assert!(
        !said.err.contains("detach") && !said.out.contains("detach"),
        "{}",
        said.out
    );
    assert_eq!(host.changes(), ["qm set 111 --memory 12288"]);
    assert_eq!(
        host.read(path),
        own.replace("memory: 16384", "memory: 12288")
    );
}

#[test]
fn a_connection_that_is_cut_leaves_a_host_that_the_next_apply_finishes() {
    let whole = in_use();
    whole.write("cut-after", "100000\n");
    let _ = apply(&whole, &[]);
    let heard = whole.read("heard");
    let done: Vec<usize> = heard
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("\"event\":\"done\""))
        .map(|(at, _)| at + 1)
        .collect();
    let (first, last) = (done[0], done[done.len() - 1]);
    // Amid the steps; while it only looks, and before its last word.
    let mut places = vec![usize::midpoint(first, last)];
    if crate::applied_faults::tries_all() {
        places.extend([1, first, last]);
    }
    let untouched = in_use().files();
    let mut half = 0;
    for lines in places.clone() {
        let host = in_use();
        let before = host.read(INTERFACES);
        host.write("cut-after", &format!("{lines}\n"));
        let said = apply(&host, &[]);
        assert_eq!(said.status, Some(1), "{lines}: {}", said.err);
        let told = "ended before the script did: what it did stands in the newest folder";
        assert!(said.err.contains(told), "{lines}: {}", said.err);
        // The host is alone now, and ends by itself.
        let is_over = || host.path("ended").exists();
        for _ in 0..1800 {
            if is_over() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert!(is_over(), "{lines}: the run does not end");
        let now = host.read(INTERFACES);
        assert!(
            now == before || now == whole.read(INTERFACES),
            "{lines}: {now}"
        );
        for path in [
            "root/var/lib/moxc/network-unconfirmed",
            "root/etc/systemd/system/moxc-network-back.service",
        ] {
            assert!(!host.path(path).exists(), "{lines}: {path}");
        }
        let left = host.files();
        half += usize::from(left != untouched && left != whole.files());
        fs::remove_file(host.path("cut-after")).expect("it is there");
        fine(&apply(&host, &[]));
        assert_eq!(host.files(), whole.files(), "{lines}");
        let said = apply(&host, &[]);
        fine(&said);
        assert_eq!(host.changes(), [""; 0], "{lines}");
    }
    assert!(half > 0, "no run was cut amid its steps: {places:?}");
}

/// The line goes exactly while the network waits for its second connection, which does not come through either.
#[test]
fn a_connection_that_is_cut_while_the_network_waits_ends_in_the_one_that_worked() {
    let whole = in_use();
    fine(&apply(&whole, &[]));
    // The host's side dies with the line; where there is time, it outlives it, too.
    let mut ways = vec![(true, true)];
    if crate::applied_faults::tries_all() {
        ways.extend([(true, false), (false, false)]);
    }
    for (dies, guard_acts) in ways {
        let at = format!("dies: {dies}, the guard acts: {guard_acts}");
        let host = in_use();
        let before = host.read(INTERFACES);
        host.write("cut-after", "100000\n");
        host.write("cut-at", "\"event\":\"confirm\"");
        host.write("no-second-connection", "");
        if dies {
            host.write("cut-kills", "");
        }
        let said = apply(&host, &[]);
        assert_eq!(said.status, Some(1), "{at}: {}", said.err);
        assert!(
            !said.err.contains("carries a second connection"),
            "{at}: {}",
            said.err
        );
        let is_over = || host.path("ended").exists();
        for _ in 0..1800 {
            if is_over() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert!(is_over(), "{at}: the run does not end");
        let waits = host.path("root/var/lib/moxc/network-unconfirmed").exists();
        assert_eq!(waits, dies, "{at}");
        assert_eq!(host.read(INTERFACES) != before, dies, "{at}");
        if guard_acts {
            fine(&crate::applied::fire(&host));
            assert_eq!(host.read(INTERFACES), before, "{at}");
        }
        for left in ["cut-after", "cut-at"] {
            fs::remove_file(host.path(left)).expect("it is there");
        }
        // Whatever the next run is for, what worked is back, and a plan says what is not done yet.
        let said = apply(&host, &["--skip", "network"]);
        fine(&said);
        assert_eq!(host.read(INTERFACES), before, "{at}: {}", said.err);
        for path in [
            "root/var/lib/moxc/network-unconfirmed",
            "root/etc/systemd/system/moxc-network-back.service",
        ] {
            assert!(!host.path(path).exists(), "{at}: {path}");
        }
        let planned = shown(&plan(&host, &[]), "interface/");
        assert!(!planned.is_empty(), "{at}");
        fs::remove_file(host.path("no-second-connection")).expect("it is there");
        let said = apply(&host, &[]);
        fine(&said);
        assert!(
            said.err.contains("carries a second connection"),
            "{at}: {}",
            said.err
        );
        assert_eq!(host.files(), whole.files(), "{at}");
        fine(&apply(&host, &[]));
        assert_eq!(host.changes(), [""; 0], "{at}");
    }
}

#[test]
fn a_new_disk_is_called_as_its_storage_had_a_number_free() {
    let host = applied();
    // Numbers that other volumes of the guest have, which no slot names.
    host.write("volumes-vm-disks-111", "5\n");
    let system = "root = { dataset = \"vm-disks\", size = \"64 GiB\" }\n";
    say(
        &host,
        system,
        &format!("{system}more = {{ dataset = \"vm-disks\", size = \"3 GiB\" }}\n"),
    );
    let cut_off = host.copied();
    fine(&apply(&host, &[]));
    let path = "root/etc/pve/nodes/pve1/qemu-server/111.conf";
    let disk = "scsi1: vm-disks:vm-111-disk-5,";
    assert!(host.read(path).contains(disk), "{}", host.read(path));
    // As it is left by the next runs, too.
    for memory in ["12 GiB", "10 GiB"] {
        assert_eq!(shown(&plan(&host, &[]), "vm/111"), [""; 0]);
        let spec = host.read("host.toml");
        let at = spec.find("[vms.workstation]").expect("the guest");
        let end = at + spec[at..].find("GiB\"").expect("its memory") + 4;
        let start = spec[..end].rfind("= \"").expect("its memory") + 2;
        host.write(
            "host.toml",
            &format!("{}\"{memory}\"{}", &spec[..start], &spec[end..]),
        );
        fine(&apply(&host, &[]));
        assert!(host.read(path).contains(disk), "{}", host.read(path));
    }
    // Another one in its place is an edit by hand.
    by_hand(&host, path, "vm-111-disk-5", "vm-111-disk-9");
    let swapped = "vm/111 scsi1.file: vm-disks:vm-111-disk-9 > vm-disks:vm-111-disk-2 (host)";
    assert_eq!(shown(&plan(&host, &[]), "vm/111"), [swapped]);

    // A run that was cut off between the disk and what it notes takes nothing away.
    by_hand(
        &cut_off,
        path,
        "scsihw:",
        &format!("{disk}discard=on,iothread=1,ssd=1,size=3G\nscsihw:"),
    );
    let planned = shown(&plan(&cut_off, &[]), "vm/111");
    assert_eq!(planned, [""; 0]);
}

/// One host, brought to a spec by the tree's own script and by a plan.
#[test]
fn the_trees_script_and_a_plan_bring_a_host_to_the_same_state() {
    let by_tree = reachable();
    fine(&by_tree.apply(&[], ""));
    let by_plan = by_tree.copied();
    let spec = by_tree.read("host.toml");
    let changes = [
        ("= \"16 GiB\"", "= \"12 GiB\""),
        ("= \"8 GiB\"", "= \"6 GiB\""),
        ("size = \"64 GiB\"", "size = \"96 GiB\""),
        ("server = \"192.168.1.5\"", "server = \"192.168.1.6\""),
        (
            "[schedules.scrub]\ntask  = \"zfs-scrub\"\non    = \"monthly\"\npools = [\"rpool\", \"tank\"]\n",
            "[schedules.trim]\ntask  = \"zfs-trim\"\non    = \"weekly\"\npools = [\"rpool\"]\n",
        ),
    ];
    let mut changed = spec;
    for (from, to) in changes {
        let next = changed.replace(from, to);
        assert_ne!(next, changed, "{from}");
        changed = next;
    }
    for host in [&by_tree, &by_plan] {
        host.write("host.toml", &changed);
        host.write(
            "root/etc/hosts",
            "127.0.0.1 localhost\n127.0.1.1 pve1\n192.168.1.9 pve1 box # x\n",
        );
        // By hand: an option of a guest, a word in a section, a unit.
        let path = "root/etc/pve/nodes/pve1/lxc/110.conf";
        let config = host.read(path);
        host.write(path, &format!("{config}onboot: 0\ntags: mine\n"));
        let storage = host.read("root/etc/pve/storage.cfg");
        host.write(
            "root/etc/pve/storage.cfg",
            &storage.replace("nfs: nas\n", "nfs: nas\n\toptions vers=4.2\n"),
        );
        let _ = fs::remove_file(host.path("enabled-moxc.target"));
    }
    by_tree.rebuild(&changed);
    fine(&by_tree.apply(&[], ""));
    let said = apply(&by_plan, &[]);
    fine(&said);
    assert_eq!(by_tree.files(), by_plan.files(), "{}", said.err);
    assert_eq!(states(&by_tree), states(&by_plan));
    // And both know the same of it.
    let known = |host: &FakeHost| -> serde_json::Value {
        let text = host.read("root/var/lib/moxc/applied.json");
        serde_json::from_str(&text).expect("JSON")
    };
    let (tree, plan) = (known(&by_tree), known(&by_plan));
    let files = tree["files"].as_object().expect("files");
    for (path, entry) in files {
        if !path.starts_with("usr/")
            && !path.starts_with("etc/systemd/")
            && entry["text"].is_string()
        {
            assert_eq!(entry["text"], plan["files"][path]["text"], "{path}");
        }
    }
    by_plan.rebuild(&changed);
    for host in [&by_tree, &by_plan] {
        fine(&host.apply(&[], ""));
        assert_eq!(host.changes(), [""; 0]);
    }
    // What somebody took away, and the spec has changed since, comes back as the spec has it.
    let storage = by_tree.read("root/etc/pve/storage.cfg");
    let (before, nas) = storage.split_once("nfs: nas\n").expect("it is there");
    let after = nas.split_once("\n\n").map_or("", |(_, after)| after);
    for host in [&by_tree, &by_plan] {
        host.write("root/etc/pve/storage.cfg", &format!("{before}{after}"));
    }
    fine(&by_tree.apply(&[], ""));
    fine(&apply(&by_plan, &[]));
    assert_eq!(by_tree.files(), by_plan.files());
    assert!(
        by_tree
            .read("root/etc/pve/storage.cfg")
            .contains("\tserver 192.168.1.6\n")
    );
}
