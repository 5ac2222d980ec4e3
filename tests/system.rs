//! What stands on the host below Proxmox VE: goldens, the scripts against fakes of the host's programs, and the files in
//! the hands of the programs that read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use moxc::compile::Compiled;
use moxc::digest::Sha256;
use moxc::output::{FileSet, Manifest, Provenance};
use moxc::pve::interfaces::{InterfaceKind, Interfaces};
use moxc::targets::Target;
use moxc::template::{Templates, built_in};

use crate::in_memory;
use crate::program::{Said, tests};

/// The files of a spec by the built-in templates, or by `replaced` ones.
pub(crate) fn emit(name: &str, text: &str, replaced: &[(&str, &str)]) -> FileSet {
    let mut compiled = Compiled::of(name, text);
    let own: Vec<_> = replaced
        .iter()
        .map(|(name, text)| ((*name).to_owned(), compiled.sources.add(*name, *text)))
        .collect();
    let templates = if own.is_empty() {
        Templates::built_in()
    } else {
        Templates::replacing(own, &compiled.sources, &mut compiled.sink)
    };
    let files = compiled.files(Target::ALL, &templates);
    in_memory::sound(&mut compiled);
    files.expect("a spec without errors has a plan")
}

/// The examples, by name, and a spec full of what the others lack.
pub(crate) fn specs() -> BTreeMap<String, String> {
    let mut specs = BTreeMap::new();
    for folder in [tests().join("../examples"), tests().join("system")] {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|ext| ext == "toml") {
                let name = path
                    .file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                specs.insert(name, fs::read_to_string(&path).expect("a spec"));
            }
        }
    }
    specs
}

pub(crate) fn text(files: &FileSet, path: &str) -> String {
    let file = files.get(path).unwrap_or_else(|| panic!("no {path}"));
    String::from_utf8(file.contents.clone()).expect("text")
}

/// The tree of a spec on disk, with its manifest.
pub(crate) fn tree(spec: &str, folder: &Path) {
    let files = emit("host.toml", spec, &[]);
    let provenance = Provenance {
        compiler: "moxc".to_owned(),
        version: "0".to_owned(),
        spec_sha256: Sha256::of(spec.as_bytes()),
    };
    fs::create_dir_all(folder).expect("a folder");
    let manifest = Manifest::of(&files, provenance).to_json();
    fs::write(folder.join("manifest.json"), manifest).expect("a file");
    for file in files.iter() {
        let path = folder.join(file.path.as_str());
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, &file.contents).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode.bits())).expect("a mode");
    }
}

/// What of a file stands in its snapshot; none of a file that others hold.
fn approved(files: &FileSet, path: &str) -> Option<String> {
    let ours = path == "README.md"
        || path.starts_with("proxmox/storage/disko")
        || path.starts_with("proxmox/etc/")
            && !path.starts_with("proxmox/etc/pve/")
            && path != "proxmox/etc/vzdump.conf";
    if ours {
        return Some(text(files, path));
    }
    (path == "proxmox/storage/create.sh").then(|| {
        let text = text(files, path);
        let plan = "# ---------------------------------------------------------------- first look";
        text[text.find(plan).expect("the plan")..].to_owned()
    })
}

#[test]
fn system_files_are_as_they_were_read_and_approved() {
    for (name, spec) in specs() {
        let folder = tests().join("system/approved").join(&name);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let files = emit(&format!("{name}.toml"), &spec, &[]);
        let mut modes = String::new();
        let mut snapshots = BTreeSet::from(["files.snap".to_owned()]);
        for file in files.iter() {
            let path = file.path.as_str();
            let Some(text) = approved(&files, path) else {
                continue;
            };
            writeln!(modes, "{} {path}", file.mode).expect("a string takes all text");
            let short = path.strip_prefix("proxmox/").unwrap_or(path);
            let snapshot = short.replace(['/', '\\'], "_");
            assert!(snapshots.insert(format!("{snapshot}.snap")), "{path} twice");
            settings.bind(|| insta::assert_snapshot!(snapshot, text));
        }
        settings.bind(|| insta::assert_snapshot!("files", modes));
        let there = fs::read_dir(&folder).expect("a folder");
        let there = there.map(|entry| entry.expect("an entry").file_name());
        let there: BTreeSet<String> = there.map(|name| name.display().to_string()).collect();
        assert_eq!(there, snapshots, "{name}: snapshots that no file has");
    }
}

#[test]
fn nothing_of_the_spec_makes_ifupdown2_take_the_file_for_a_template() {
    let spec = specs()["homelab"].replace(
        "description = \"services\"",
        "description = \"100% ${open('/x')} <% x %>\"",
    );
    let file = text(
        &emit("a%b.toml", &spec, &[]),
        "proxmox/etc/network/interfaces",
    );
    assert!(!file.contains("${"), "{file}");
    assert!(!file.contains('%'), "{file}");
    assert!(file.contains("iface vmbr0"), "{file}");
}

#[test]
fn a_bridge_that_goes_down_takes_no_rule_of_another_with_it() {
    let bridge = |name: &str, network: u8| {
        format!("[network.bridges.{name}]\naddress = \"10.0.{network}.1/24\"\nnat = \"vmbr0\"\n\n")
    };
    let guest = |name: &str, id: u16, bridge: &str, network: u8| {
        format!(
            "[containers.{name}]\nvmid = {id}\nos = \"debian\"\nmemory = \"512 MiB\"\nfeatures = [\"nesting\"]\ntemplate = \"local:vztmpl/d.tar.zst\"\nrootfs = {{ size = \"4 GiB\", store = \"local\" }}\nnetwork = [{{ bridge = \"{bridge}\", address = \"10.0.{network}.2/24\", gateway = \"10.0.{network}.1\", firewall = true }}]\n\n"
        )
    };
    let host = |platform: &str, second: bool| {
        let mut text = format!(
            "[host]\nname = \"h\"\nrelease = \"9.1\"\ntimezone = \"UTC\"\n{platform}\n[hardware.nics.lan]\ninterface = \"eno1\"\n\n[network.bridges.vmbr0]\nports = [\"lan\"]\naddress = \"192.0.2.10/24\"\ngateway = \"192.0.2.1\"\n\n{}{}",
            bridge("vmbr1", 1),
            guest("a", 101, "vmbr1", 1)
        );
        if second {
            text.push_str(&bridge("vmbr2", 2));
            text.push_str(&guest("b", 102, "vmbr2", 2));
        }
        emit("h.toml", &text, &[])
    };
    let interfaces = |second| text(&host("", second), "proxmox/etc/network/interfaces");
    // What a line of the file does to the rules, as iptables does it: `-I` and `-A` add one, `-D` removes one.
    let run = |rules: &mut Vec<String>, command: &str| {
        for one in command.split(" || ") {
            let (head, rule) = one.split_once("ING ").expect("a chain");
            let rule = rule.trim_end_matches(" 2>/dev/null").to_owned();
            let at = rules.iter().position(|there| *there == rule);
            match head
                .split_whitespace()
                .find(|word| word.starts_with('-') && *word != "-t")
            {
                Some("-C") if at.is_some() => return,
                Some("-C") => {}
                Some("-I" | "-A") => rules.push(rule),
                Some("-D") => {
                    rules.remove(at.expect("the rule is there"));
                }
                other => panic!("{other:?} in {command}"),
            }
        }
    };
    let file = interfaces(true);
    let lines = |name: &str, key: &str| -> Vec<String> {
        let stanza = file
            .split(&format!("iface {name} "))
            .nth(1)
            .expect("a stanza");
        let stanza = stanza.split("\n\n").next().expect("a text");
        let lines = stanza
            .lines()
            .filter_map(|line| line.trim().strip_prefix(key));
        lines.map(|line| line.trim().to_owned()).collect()
    };
    let mut rules = Vec::new();
    // Up, and `ifreload`, which runs `post-up` again; then the one goes.
    for name in ["vmbr1", "vmbr2", "vmbr1", "vmbr2"] {
        for line in lines(name, "post-up") {
            run(&mut rules, &line);
        }
    }
    let zones = |rules: &[String]| {
        rules
            .iter()
            .filter(|rule| rule.contains("--zone 1"))
            .count()
    };
    assert_eq!(zones(&rules), 2, "{rules:?}");
    for (name, left) in [("vmbr1", 1), ("vmbr2", 0)] {
        for line in lines(name, "post-down") {
            run(&mut rules, &line);
        }
        assert_eq!(zones(&rules), left, "{rules:?}");
    }
    assert_eq!(rules, Vec::<String>::new());
    // One bridge alone has the line of Proxmox's own documentation.
    let alone = interfaces(false);
    assert!(
        alone.contains("-I PREROUTING -i fwbr+ -j CT --zone 1\n"),
        "{alone}"
    );
    // On NixOS all rules come and go together: one serves both.
    let nixos = host("platform = \"nixos\"\nstate-version = \"25.11\"\n", true);
    let files = nixos
        .iter()
        .filter(|file| file.path.as_str().starts_with("nixos/"));
    let set: usize = files
        .map(|file| {
            let text = String::from_utf8_lossy(&file.contents).into_owned();
            text.matches("-I PREROUTING -i fwbr+").count()
        })
        .sum();
    assert_eq!(set, 1);
}

#[test]
fn a_disk_that_is_plugged_in_later_is_mounted() {
    let host = |platform: &str, removable: bool| {
        let text = format!(
            "[host]\nname = \"h\"\nrelease = \"9.1\"\ntimezone = \"UTC\"\n{platform}\n[storage.external]\nusb = {{ kind = \"dir\", path = \"/mnt/usb\", device = \"/dev/disk/by-label/usb\", fs = \"ext4\", use = \"backups\", removable = {removable} }}\n"
        );
        emit("h.toml", &text, &[])
    };
    for removable in [true, false] {
        // A disk that is always there is a failure where it is away.
        let wanted = if removable {
            vec![r"dev-disk-by\x2dlabel-usb.device"]
        } else {
            vec!["local-fs.target", r"dev-disk-by\x2dlabel-usb.device"]
        };
        let unit = text(
            &host("", removable),
            "proxmox/etc/systemd/system/mnt-usb.mount",
        );
        let by: Vec<&str> = unit
            .lines()
            .filter_map(|line| line.strip_prefix("WantedBy="))
            .collect();
        assert_eq!(by, wanted);
        let files = host("platform = \"nixos\"\nstate-version = \"25.11\"", removable);
        let module = text(&files, "nixos/h.nix");
        // In Nix a backslash is two.
        let module = module.replace(r"\\", r"\");
        let mut by: Vec<&str> = module
            .lines()
            .filter_map(|line| line.trim().strip_prefix("\"x-systemd.wanted-by="))
            .map(|unit| unit.trim_end_matches('"'))
            .collect();
        by.reverse();
        assert_eq!(by, wanted, "{module}");
    }
}

#[test]
fn both_engines_give_the_same_text_for_every_template() {
    for (name, spec) in specs() {
        let file = format!("{name}.toml");
        let plain = emit(&file, &spec, &[]);
        let replaced: Vec<_> = built_in().collect();
        let own = emit(&file, &spec, &replaced);
        for one in plain.iter() {
            let other = own.get(one.path.as_str()).expect("the same files");
            assert_eq!(
                String::from_utf8_lossy(&one.contents),
                String::from_utf8_lossy(&other.contents),
                "{name}: {}",
                one.path
            );
        }
        assert_eq!(plain.len(), own.len());
    }
}

#[test]
fn every_template_is_used_and_can_be_replaced() {
    let spec = &specs()["homelab"];
    for (name, text) in built_in() {
        let marked = format!("{text}\n# marked by the user\n");
        let files = emit("homelab.toml", spec, &[(name, &marked)]);
        assert!(
            files
                .iter()
                .any(|file| String::from_utf8_lossy(&file.contents).contains("marked by the user")),
            "{name} is part of no file"
        );
    }
}

// ---------------------------------------------------------------- the scripts, on a host of fakes

/// A host whose programs are fakes.
pub(crate) struct FakeHost {
    folder: tempfile::TempDir,
}

impl FakeHost {
    /// A host for the tree of `spec`, with the pool `rpool` that its installer made.
    pub(crate) fn new(spec: &str) -> Self {
        let host = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        tree(spec, &host.path("tree"));
        fs::create_dir_all(host.path("bin")).expect("a folder");
        fs::create_dir_all(host.path("root/etc/pve")).expect("a folder");
        for program in [
            "qm",
            "pct",
            "zpool",
            "zfs",
            "vgs",
            "lvs",
            "pvs",
            "vgcreate",
            "lvcreate",
            "lsblk",
            "readlink",
            "wipefs",
            "udevadm",
            "systemctl",
            "ifquery",
            "ifreload",
            "ip",
            "ping",
            "update-initramfs",
            "update-grub",
            "proxmox-boot-tool",
            "iptables",
            "sysctl",
            "pvesm",
            "pveam",
            "wget",
            "systemd-run",
            "hostname",
        ] {
            std::os::unix::fs::symlink(tests().join("fakes/host"), host.path("bin").join(program))
                .expect("a link");
        }
        // The devices that its containers are given are there.
        for file in fs::read_dir(host.path("tree/proxmox/etc/pve/lxc"))
            .into_iter()
            .flatten()
        {
            let text = fs::read_to_string(file.expect("an entry").path()).expect("a text");
            let value =
                |line: &str| Some(line.strip_prefix("dev")?.split_once(": /")?.1.to_owned());
            for value in text.lines().filter_map(value) {
                let path = value.split(',').next().expect("a path");
                host.write(&format!("root/{path}"), "");
            }
        }
        host.write("pools", "rpool\n");
        host.write("datasets", "rpool\n");
        host.write("property-compression-rpool", "zstd\n");
        host.write("property-autotrim-rpool", "on\n");
        let script =
            fs::read_to_string(host.path("tree/proxmox/storage/create.sh")).unwrap_or_default();
        let boot: Vec<&str> = script
            .lines()
            .skip_while(|line| !line.starts_with("check_pool rpool by-installer"))
            .skip(1)
            .take_while(|line| line.starts_with("  /dev"))
            .map(|line| line.trim().trim_end_matches(" \\"))
            .chain([""])
            .collect();
        host.write("members-rpool", &boot.join("\n"));
        host.place_what_guests_need();
        host
    }

    /// Another host that is as this one is now.
    pub(crate) fn copied(&self) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let status = Command::new("cp")
            .args(["-a", "--"])
            .arg(self.path("."))
            .arg(folder.path())
            .status();
        assert!(status.expect("cp starts").success());
        Self { folder }
    }

    /// Templates, images and secrets, as the tree's script asks for them.
    fn place_what_guests_need(&self) {
        for line in self.read("tree/proxmox/apply.sh").lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                ["image", volume, ..] => {
                    let (store, rest) =
                        volume.trim_matches('\'').split_once(':').expect("a volume");
                    let place = match (store, rest.split_once('/').expect("a kind")) {
                        ("local", ("vztmpl", name)) => format!("var/lib/vz/template/cache/{name}"),
                        ("local", ("import", name)) => format!("var/lib/vz/import/{name}"),
                        ("local", ("snippets", name)) => format!("var/lib/vz/snippets/{name}"),
                        ("local", (_, name)) => format!("var/lib/vz/template/iso/{name}"),
                        _ => format!("mnt/{store}/template/{rest}"),
                    };
                    self.write(&format!("root/{place}"), "");
                }
                ["secret", name, ..] => self.place_secret(name),
                ["guest", ..] => {
                    if let Some(at) = words.iter().position(|word| *word == "password") {
                        self.place_secret(words[at + 1]);
                    }
                }
                _ => {}
            }
        }
    }

    fn place_secret(&self, name: &str) {
        let path = format!("root/etc/moxc/secrets/{name}");
        self.write(&path, "hunter2\n");
        fs::set_permissions(self.path(&path), fs::Permissions::from_mode(0o600)).expect("a mode");
    }

    /// The tree of another spec in place of the one that was there.
    pub(crate) fn rebuild(&self, spec: &str) {
        fs::remove_dir_all(self.path("tree")).expect("it is there");
        tree(spec, &self.path("tree"));
        self.place_what_guests_need();
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Runs a script of the tree, with what has to fail.
    pub(crate) fn run(&self, script: &str, args: &[&str], fail: &str) -> Said {
        let _ = fs::remove_file(self.path("log"));
        let path = crate::program::behind(&self.path("bin"));
        Command::new("bash")
            .arg(self.path("tree/proxmox").join(script))
            .args(args)
            .env("PATH", path)
            .env("FAKE", self.folder.path())
            .env("FAKE_FAIL", fail)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("bash starts")
            .into()
    }

    pub(crate) fn apply(&self, more: &[&str], fail: &str) -> Said {
        let root = self.path("root").display().to_string();
        let mut args = vec!["--root", &root, "--yes"];
        args.extend(more);
        self.run("apply.sh", &args, fail)
    }

    /// The calls of the last run that change something.
    pub(crate) fn changes(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        let reads = [
            "zpool list",
            "zpool status",
            "zpool get",
            "zfs list",
            "zfs get",
            "vgs",
            "lvs",
            "pvs",
            "lsblk",
            "readlink",
            "wipefs",
            "udevadm",
            "qm config",
            "pct config",
            "systemctl is-",
            "ifquery",
            "ip -o",
            "ping",
            "pvesm",
            "hostname",
        ];
        log.lines()
            .filter(|line| !reads.iter().any(|read| line.starts_with(read)))
            .map(str::to_owned)
            .collect()
    }

    /// Every file of the host with its text, but for what the script keeps for itself below `/var/lib/moxc`.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.path("root")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.ends_with("var/lib/moxc") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path
                        .strip_prefix(self.path("root"))
                        .expect("below")
                        .display()
                        .to_string();
                    files.insert(
                        name,
                        String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned(),
                    );
                }
            }
        }
        files
    }
}

pub(crate) fn fine(said: &Said) {
    assert_eq!(said.status, Some(0), "{}\n{}", said.out, said.err);
}

#[test]
fn a_first_run_creates_everything_and_a_second_changes_nothing() {
    for (name, spec) in specs() {
        let host = FakeHost::new(&spec);
        let said = host.apply(&[], "");
        assert_eq!(said.status, Some(0), "{name}:\n{}\n{}", said.out, said.err);
        assert!(!said.out.contains("hunter2"), "{name}: a secret is shown");
        let first = host.changes();
        let guests = fs::read_dir(host.path("tree/proxmox/etc/pve/qemu-server"))
            .map_or(0, Iterator::count)
            + fs::read_dir(host.path("tree/proxmox/etc/pve/lxc")).map_or(0, Iterator::count);
        let files = host.files();
        let made = files
            .keys()
            .filter(|path| path.contains("/qemu-server/") || path.contains("/lxc/"))
            .count();
        assert_eq!(made, guests, "{name}: {first:#?}");
        let said = host.apply(&[], "");
        fine(&said);
        assert_eq!(host.changes(), [] as [&str; 0], "{name}:\n{}", said.out);
        assert!(
            said.out.ends_with("nothing to change\n"),
            "{name}:\n{}",
            said.out
        );
        assert_eq!(host.files(), files, "{name}");
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let host = FakeHost::new(&specs()["homelab"]);
    let before = host.files();
    let said = host.apply(&["--dry-run"], "");
    fine(&said);
    assert_eq!(host.changes(), [] as [&str; 0]);
    assert_eq!(host.files(), before);
    for part in [
        "zpool create",
        "guest 120 is made",
        "guest 110 is made",
        "initial RAM disk",
        "the network changes",
        "+++ /etc/network/interfaces (then)",
        "+++ /etc/pve/storage.cfg (then)",
    ] {
        assert!(
            said.out.contains(part),
            "{part} is not shown:\n{}",
            said.out
        );
    }
}

#[test]
fn a_disk_that_holds_something_is_refused_before_anything_is_made() {
    let host = FakeHost::new(&specs()["homelab"]);
    host.write("holds-ata-EXAMPLE_HDD_8TB_0003", "ext4\n");
    host.write("absent-ata-EXAMPLE_HDD_8TB_0002", "");
    let said = host.run("storage/create.sh", &["--yes"], "");
    assert_eq!(said.status, Some(1), "{}", said.out);
    assert!(
        said.err.contains("ata-EXAMPLE_HDD_8TB_0003 holds ext4"),
        "{}",
        said.err
    );
    assert!(
        said.err
            .contains("there is no disk /dev/disk/by-id/ata-EXAMPLE_HDD_8TB_0002"),
        "{}",
        said.err
    );
    assert!(said.err.contains("nothing was changed"), "{}", said.err);
    assert_eq!(host.changes(), [] as [&str; 0]);
}

#[test]
fn volume_groups_are_made_once_of_blank_disks() {
    let host = FakeHost::new(&specs()["lvm"]);
    let run = |args: &[&str]| host.run("storage/create.sh", args, "");
    fine(&run(&["--dry-run"]));
    assert_eq!(host.changes(), [] as [&str; 0]);

    host.write("holds-nvme-EXAMPLE_1TB_0001-part4", "ext4\n");
    let said = run(&["--yes"]);
    assert_eq!(said.status, Some(1), "{}", said.out);
    assert!(
        said.err.contains(
            "volume group guests: /dev/disk/by-id/nvme-EXAMPLE_1TB_0001-part4 holds ext4"
        ),
        "{}",
        said.err
    );
    assert_eq!(host.changes(), [] as [&str; 0]);

    fs::remove_file(host.path("holds-nvme-EXAMPLE_1TB_0001-part4")).expect("it is there");
    fine(&run(&["--yes", "--confirm", "pve1"]));
    let (one, rest) = (
        "/dev/disk/by-id/ata-EXAMPLE_SSD_2TB_0001",
        "/dev/disk/by-id/nvme-EXAMPLE_1TB_0001-part4",
    );
    let slow = "/dev/disk/by-id/ata-EXAMPLE_HDD_8TB_0001";
    let made = host.changes();
    assert_eq!(
        made[made.len() - 3..],
        [
            format!("vgcreate guests {one} {rest}"),
            "lvcreate --yes --type thin-pool -L 536870912000b -n data guests".to_owned(),
            format!("vgcreate bulk {slow}"),
        ]
    );
    let again = run(&["--yes"]);
    fine(&again);
    assert_eq!(host.changes(), [] as [&str; 0]);
    assert!(again.out.contains("nothing to change"), "{}", again.out);

    // Somebody has made the group of other disks, and the pool is missing.
    host.write("group-vg_name=guests", &format!("{one}\n[unknown]\n"));
    host.write("volumes", "guests/root\n");
    let said = run(&["--yes"]);
    fine(&said);
    assert!(
        said.err
            .contains("volume group guests is there without /dev/disk/by-id/nvme"),
        "{}",
        said.err
    );
    assert_eq!(host.changes().len(), 1, "{:?}", host.changes());
    assert!(host.changes()[0].starts_with("lvcreate "));
}

#[test]
fn what_grub_cannot_read_is_not_written_to_the_pool_that_it_starts_from() {
    let spec = specs()["lvm"].replace("flash", "rpool").replace(
        "disks = [\"part\"]",
        "disks = [\"part\"]\nboot = true\ncompression = \"zstd\"",
    );
    let host = FakeHost::new(&spec);
    let findmnt = |said: &str| {
        host.write("bin/findmnt", &format!("#!/bin/sh\necho {said}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(host.path("bin/findmnt"), mode).expect("a mode");
    };
    findmnt("rpool/ROOT/pve-1");
    host.write("property-compression-rpool", "lz4\n");
    let said = host.run("storage/create.sh", &["--yes"], "");
    assert_eq!(said.status, Some(1), "{}", said.out);
    assert!(said.err.contains("GRUB reads the pool"), "{}", said.err);
    assert_eq!(host.changes(), [] as [&str; 0]);
    // It runs from elsewhere, or has been so for long.
    findmnt("/dev/mapper/pve-root");
    fine(&host.run("storage/create.sh", &["--yes"], ""));
    assert!(
        host.changes()
            .contains(&"zfs set compression=zstd rpool".to_owned())
    );
    findmnt("rpool/ROOT/pve-1");
    fine(&host.run("storage/create.sh", &["--yes"], ""));
}

#[test]
fn volume_groups_that_cannot_be_listed_are_not_made() {
    let host = FakeHost::new(&specs()["lvm"]);
    for fail in ["vgs", "lvs"] {
        let said = host.run("storage/create.sh", &["--yes"], fail);
        assert_eq!(said.status, Some(1), "{}", said.out);
        assert!(said.err.contains("cannot be listed"), "{}", said.err);
        assert_eq!(host.changes(), [] as [&str; 0]);
    }
}

#[test]
fn nobody_to_ask_is_no_yes() {
    let host = FakeHost::new(&specs()["homelab"]);
    let path = crate::program::behind(&host.path("bin"));
    // A session of its own has no terminal.
    let said: Said = Command::new("setsid")
        .args(["--wait", "bash"])
        .arg(host.path("tree/proxmox/storage/create.sh"))
        .env("PATH", path)
        .env("FAKE", host.folder.path())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("setsid starts")
        .into();
    assert_eq!(said.status, Some(3), "{}", said.out);
    assert!(said.err.contains("say --yes"), "{}", said.err);
    assert_eq!(host.changes(), [] as [&str; 0]);
}

#[test]
fn scripts_explain_themselves_and_refuse_what_they_do_not_know() {
    let host = FakeHost::new(&specs()["homelab"]);
    for script in ["apply.sh", "storage/create.sh"] {
        let said = host.run(script, &["--help"], "");
        fine(&said);
        assert!(
            said.out.starts_with("usage: ") && said.out.contains("--dry-run"),
            "{}",
            said.out
        );
        let said = host.run(script, &["--frobnicate"], "");
        assert_eq!(said.status, Some(2));
        assert_eq!(said.out, "");
    }
}

/// A script is put together from parts: a function of one must not take the place of another part's.
#[test]
fn no_script_has_two_functions_of_one_name() {
    for (name, spec) in specs() {
        for file in emit("host.toml", &spec, &[]).iter() {
            let Ok(text) = std::str::from_utf8(&file.contents) else {
                continue;
            };
            if !text.starts_with("#!/bin/bash") {
                continue;
            }
            let mut functions = BTreeSet::new();
            for function in text.lines().filter_map(|line| line.strip_suffix("() {")) {
                let is_new = functions.insert(function);
                assert!(is_new, "{name}: {}: {function}", file.path.as_str());
            }
        }
    }
}

// ---------------------------------------------------------------- the programs that read the files

#[test]
#[ignore = "needs shellcheck; run by tests/run"]
fn shellcheck_finds_nothing() {
    let mut scripts = vec![
        tests().join("fakes/host"),
        tests().join("fakes/bring-up"),
        tests().join("fakes/real-network"),
        tests().join("../generator/live/collect.sh"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (name, spec) in specs() {
        let path = folder.path().join(name);
        tree(&spec, &path);
        scripts.extend(
            ["apply.sh", "storage/create.sh"].map(|script| path.join("proxmox").join(script)),
        );
    }
    scripts.retain(|path| path.exists());
    let said: Said = Command::new("shellcheck")
        // A name of the spec may hold a dollar sign: it is meant as it stands.
        .arg("--exclude=SC2016")
        .args(&scripts)
        .output()
        .expect("shellcheck starts")
        .into();
    fine(&said);
    for script in scripts {
        let said: Said = Command::new("bash")
            .arg("-n")
            .arg(&script)
            .output()
            .expect("bash starts")
            .into();
        fine(&said);
    }
}

#[test]
#[ignore = "needs systemd-analyze; run by tests/run"]
fn systemd_understands_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut units = 0;
    for (name, spec) in specs() {
        let path = folder.path().join(name);
        tree(&spec, &path);
        let Ok(entries) = fs::read_dir(path.join("proxmox/etc/systemd/system")) else {
            continue;
        };
        for unit in entries.map(|entry| entry.expect("an entry").path()) {
            if unit.extension().is_some_and(|ext| ext == "mount") {
                let said: Said = Command::new("systemd-analyze")
                    .arg("verify")
                    .arg(&unit)
                    .output()
                    .expect("it starts")
                    .into();
                fine(&said);
                assert_eq!(said.err, "", "{}", unit.display());
                units += 1;
            }
        }
    }
    assert!(units > 0);
}

/// For whoever reads the output of `cargo test`.
#[allow(clippy::print_stdout, reason = "a test that could not test says so")]
fn say_untested(what: &[String]) {
    println!("untested: {}", what.join("; "));
}

#[test]
#[ignore = "needs ifupdown2 and a network namespace; run by tests/run"]
fn the_network_comes_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tested = 0;
    let mut untested = Vec::new();
    for (name, spec) in specs() {
        let path = folder.path().join(&name);
        tree(&spec, &path);
        let file = path.join("proxmox/etc/network/interfaces");
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let parsed = Interfaces::parse(&text);
        let cards: Vec<&str> = parsed
            .iter()
            // A card may be called anything: read back, it is one by its name alone.
            .filter(|one| matches!(one.kind, InterfaceKind::Card | InterfaceKind::Other))
            .map(|one| one.name.as_str())
            .collect();
        let said: Said = Command::new("bash")
            .arg(tests().join("fakes/bring-up"))
            .arg(&file)
            .args(&cards)
            .output()
            .expect("bash starts")
            .into();
        if said.status == Some(77) {
            untested.push(format!("{name}: {}", said.out.trim()));
            continue;
        }
        fine(&said);
        let parts: Vec<&str> = said.out.split("---\n").collect();
        let [addresses, links, rules] = parts[..] else {
            panic!("{name}: {}", said.out)
        };
        assert_eq!(
            rules.contains("-j MASQUERADE"),
            text.contains("-j MASQUERADE"),
            "{name}: {rules}"
        );
        for one in parsed.iter() {
            for address in one
                .families
                .iter()
                .filter_map(|family| family.address.as_ref())
            {
                assert!(
                    addresses
                        .lines()
                        .any(|line| line.contains(&format!(" {} ", one.name))
                            && line.contains(&format!(" {address} "))),
                    "{name}: {} lacks {address}:\n{addresses}",
                    one.name
                );
            }
            if let InterfaceKind::Bridge(bridge) = &one.kind {
                for port in &bridge.ports {
                    assert!(
                        links.lines().any(|line| line.contains(&format!("{port}@"))
                            && line.contains(&format!("master {} ", one.name))),
                        "{name}: {port} is not in {}:\n{links}",
                        one.name
                    );
                }
            }
        }
        tested += 1;
    }
    assert!(tested > 0, "not one network could be tested: {untested:?}");
    if !untested.is_empty() {
        say_untested(&untested);
    }
}
