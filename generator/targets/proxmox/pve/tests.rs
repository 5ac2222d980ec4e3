//! What is known to go wrong in generated files of Proxmox VE, one test a point, and whole files as snapshots.

use std::fmt::Write as _;

use super::*;
use crate::compile::Compiled;
use crate::diagnostics::{Code, Lints};
use crate::facts::{PciMappings, VolumeRole, Volumes};
use crate::model::Host;
use crate::source::SourceMap;

/// A machine that has one of everything; `{release}` and what a test adds come from the test.
const BASE: &str = r#"
[host]
name = "pve1"
domain = "home.arpa"
release = "{release}"
timezone = "Europe/Berlin"
email = "admin@home.arpa"
ssh-keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc admin"]

[hardware.disks]
nvme0 = { kind = "nvme", size = "2 TB", device = "/dev/disk/by-id/nvme-EXAMPLE_0001" }
nvme1 = { kind = "nvme", size = "2 TB", device = "/dev/disk/by-id/nvme-EXAMPLE_0002" }

[hardware.nics]
lan0 = { interface = "enp5s0", mac = "00:00:5E:00:53:01" }

[hardware.pci]
gpu = { address = "0a:00.0", class = "gpu", id = "10DE:2504", subsystem = "1462:397d", iommu-group = 15 }
gpu-audio = { address = "0A:00.1", class = "audio", id = "10de:228e", subsystem = "1462:397d", iommu-group = 15 }
usb = { address = "03:00.0", class = "usb", id = "1022:149c", subsystem = "1022:148c", iommu-group = 21 }
igpu = { address = "00:02.0", class = "gpu", id = "8086:4680", subsystem = "8086:2212", iommu-group = 1 }

[network]
nameservers = ["192.168.1.1"]

[network.bridges.vmbr0]
ports = ["lan0"]
address = "192.168.1.10/24"
gateway = "192.168.1.1"

[storage.pools.rpool]
layout = "mirror"
disks = ["nvme0", "nvme1"]
boot = true

[storage.datasets]
vm-disks = { pool = "rpool", use = "vm-disks" }
more = { pool = "rpool", use = "vm-disks", volblocksize = "16 KiB", thin = false }
containers = { pool = "rpool", use = "containers" }
backups = { pool = "rpool", use = "backups" }
share = { pool = "rpool", use = "share", mountpoint = "/srv/share" }
docs = { pool = "rpool", use = "share", mountpoint = "/srv/docs" }
"#;

const VM: &str = r#"
[vms.web]
os = "linux"
vmid = 100
memory = "4 GiB"
{keys}

[vms.web.disks]
root = { dataset = "vm-disks", size = "32 GiB" }
"#;

const CONTAINER: &str = r#"
[containers.box]
os = "debian"
vmid = 200
memory = "1 GiB"
template = "local:vztmpl/debian-13.tar.zst"
rootfs = { dataset = "containers", size = "8 GiB" }
{keys}
"#;

/// What came of a spec: its files by path, and what was told, with the text at its place.
struct Built {
    files: FileSet,
    host: Option<Host>,
    told: Vec<(Code, String, String)>,
}

impl Built {
    fn file(&self, path: &str) -> &str {
        let file = self
            .files
            .get(&format!("proxmox/{path}"))
            .unwrap_or_else(|| {
                let paths: Vec<_> = self.files.iter().map(|file| file.path.as_str()).collect();
                panic!("no {path} among {paths:?}; told {:?}", self.told)
            });
        std::str::from_utf8(&file.contents).expect("Proxmox VE's files are text")
    }

    fn has(&self, path: &str) -> bool {
        self.files.get(&format!("proxmox/{path}")).is_some()
    }

    /// The value of an option of a guest.
    fn option(&self, vmid: u32, key: &str) -> Option<&str> {
        let folder = if vmid < 200 { "qemu-server" } else { "lxc" };
        let start = format!("{key}: ");
        let mut lines = self.file(&format!("etc/pve/{folder}/{vmid}.conf")).lines();
        lines.find_map(|line| line.strip_prefix(start.as_str()))
    }

    /// The one thing that was told: code and the place it points at.
    fn only(&self) -> (Code, &str) {
        match self.told.as_slice() {
            [(code, place, _)] => (*code, place),
            other => panic!("told {other:?}"),
        }
    }
}

fn build_text(text: &str) -> Built {
    let mut sources = SourceMap::new();
    let file = sources.add("host.toml", text);
    let origin = Origin::of(&sources, &[file]);
    let mut sink = Sink::new();
    // The analysis has its own tests; here a half-finished host is enough.
    let document = crate::spec::document::parse(&sources, file, &mut sink);
    let spec = crate::spec::read(&sources, file, &document, &mut sink);
    let host = crate::resolve::resolve(&spec, &mut sink);
    let plan = super::plan(&Facts::of(&host), &mut sink);
    let mut files = FileSet::new();
    emit(plan, &origin, &Templates::built_in(), &mut files, &mut sink);
    let told = sink.finish(&Lints::default(), false).into_iter();
    Built {
        files,
        told: told
            .map(|(_, d)| (d.code, sources.text(d.span()).to_owned(), d.message))
            .collect(),
        host: Some(host),
    }
}

fn build(release: &str, tables: &str) -> Built {
    build_text(&format!("{}{tables}", BASE.replace("{release}", release)))
}

fn vm(release: &str, keys: &str) -> Built {
    build(release, &VM.replace("{keys}", keys))
}

fn container(release: &str, keys: &str) -> Built {
    build(release, &CONTAINER.replace("{keys}", keys))
}

/// Everything of one example, one file after another.
fn example(text: &str, release: Option<&str>) -> String {
    let text: String = text
        .lines()
        .map(|line| match release {
            Some(release) if line.starts_with("release") => format!("release = \"{release}\"\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    let Compiled {
        sources,
        file,
        checked,
        ..
    } = Compiled::of("host.toml", &text);
    let origin = Origin::of(&sources, &[file]);
    let host = checked.host;
    assert!(host.complete);
    let mut sink = Sink::new();
    let plan = super::plan(&Facts::of(&host), &mut sink);
    assert!(!sink.has_errors());
    let mut files = FileSet::new();
    emit(plan, &origin, &Templates::built_in(), &mut files, &mut sink);
    let mut all = String::new();
    for file in files.iter() {
        let contents = std::str::from_utf8(&file.contents).expect("text");
        // Tabs and the lines' ends are part of the format: show them.
        let contents = contents.replace('\t', "→");
        write!(all, "=== {}\n{contents}", file.path).expect("a string takes all text");
    }
    all
}

#[test]
fn the_reference_host() {
    let text = include_str!("../../../../examples/homelab.toml");
    insta::assert_snapshot!("homelab-8-1", example(text, None));
    insta::assert_snapshot!("homelab-9-2", example(text, Some("9.2")));
}

#[test]
fn the_small_the_big_and_the_nixos_host() {
    let mini = include_str!("../../../../examples/mini.toml");
    insta::assert_snapshot!("mini", example(mini, None));
    insta::assert_snapshot!("mini-8-3", example(mini, Some("8.3")));
    let big = include_str!("../../../../examples/bighost.toml");
    insta::assert_snapshot!("bighost", example(big, None));
    let nixos = include_str!("../../../../examples/nixos-host.toml");
    insta::assert_snapshot!("nixos-host", example(nixos, None));
}

#[test]
fn every_file_is_what_proxmox_would_write_and_takes() {
    let texts = [
        include_str!("../../../../examples/homelab.toml"),
        include_str!("../../../../examples/mini.toml"),
        include_str!("../../../../examples/bighost.toml"),
        include_str!("../../../../examples/nixos-host.toml"),
    ];
    for text in texts {
        for release in ["8.1", "8.2", "8.3", "8.4", "9.0", "9.1", "9.2"] {
            let release_line = format!("release = \"{release}\"");
            let text: Vec<&str> = text
                .lines()
                .map(|line| {
                    if line.starts_with("release") {
                        &release_line
                    } else {
                        line
                    }
                })
                .collect();
            let built = build_text(&text.join("\n"));
            let known: crate::pve::Release = release.parse().expect("a release");
            for file in built.files.iter() {
                let contents = std::str::from_utf8(&file.contents).expect("text");
                for kind in [crate::pve::GuestKind::Qm, crate::pve::GuestKind::Pct] {
                    let folder = match kind {
                        crate::pve::GuestKind::Qm => "qemu-server/",
                        crate::pve::GuestKind::Pct => "lxc/",
                    };
                    if file.path.as_str().contains(folder) {
                        let faults = crate::pve::check::check_guest_config(kind, known, contents);
                        assert_eq!(faults, [], "{} on {release}", file.path);
                        let (read, skipped) = GuestConfig::parse(kind, contents);
                        assert_eq!(skipped, []);
                        assert_eq!(read.to_string(), contents);
                    }
                }
            }
        }
    }
}

// ---------------------------------------------------------------- volumes

#[test]
fn volumes_are_numbered_in_the_ascii_order_of_their_keys() {
    let mut disks = String::from(
        "[vms.big]\nos = \"windows11\"\nvmid = 101\nmemory = \"8 GiB\"\n[vms.big.disks]\n",
    );
    for at in 0..12 {
        let dataset = if at == 3 { "more" } else { "vm-disks" };
        writeln!(
            disks,
            "d{at} = {{ dataset = \"{dataset}\", size = \"1 GiB\" }}"
        )
        .expect("a string takes all text");
    }
    let built = build("9.2", &disks);
    let volume = |key: &str| built.option(101, key).and_then(|v| v.split(',').next());
    assert_eq!(volume("efidisk0"), Some("vm-disks:vm-101-disk-0"));
    assert_eq!(volume("scsi0"), Some("vm-disks:vm-101-disk-1"));
    assert_eq!(volume("scsi1"), Some("vm-disks:vm-101-disk-2"));
    // scsi10 and scsi11 come before scsi2, and each storage counts for itself.
    assert_eq!(volume("scsi10"), Some("vm-disks:vm-101-disk-3"));
    assert_eq!(volume("scsi11"), Some("vm-disks:vm-101-disk-4"));
    assert_eq!(volume("scsi2"), Some("vm-disks:vm-101-disk-5"));
    assert_eq!(volume("scsi3"), Some("more:vm-101-disk-0"));
    assert_eq!(volume("scsi9"), Some("vm-disks:vm-101-disk-11"));
    assert_eq!(volume("tpmstate0"), Some("vm-disks:vm-101-disk-12"));
    let host = built.host.as_ref().expect("a host");
    let volumes = Volumes::of(host);
    let guest = host.guests.find("big").expect("the guest");
    let tpm = volumes.find(guest, "tpmstate0").expect("a TPM");
    assert_eq!(tpm.id(host), "vm-disks:vm-101-disk-12");
    assert_eq!(
        tpm.zfs_name(host).as_deref(),
        Some("rpool/vm-disks/vm-101-disk-12")
    );
    assert_eq!((tpm.role, tpm.backup), (VolumeRole::Tpm, true));
    let keys: Vec<&str> = volumes
        .of_guest(guest)
        .iter()
        .map(|v| v.key.as_str())
        .collect();
    assert!(keys.is_sorted());
}

#[test]
fn a_container_counts_rootfs_first_and_binds_take_no_volume() {
    let built = container(
        "9.2",
        r#"[containers.box.mounts]
a = { dataset = "containers", path = "/a", size = "1 GiB", backup = false }
b = { dataset = "share", path = "/b", read-only = true }
c = { dataset = "containers", path = "/c", size = "1500 MiB" }
d = { host-path = "/var/tmp", path = "/d" }"#,
    );
    assert_eq!(
        built.option(200, "rootfs"),
        Some("containers:subvol-200-disk-0,size=8G")
    );
    assert_eq!(
        built.option(200, "mp0"),
        Some("containers:subvol-200-disk-1,mp=/a,backup=0,size=1G")
    );
    assert_eq!(built.option(200, "mp1"), Some("/srv/share,mp=/b,ro=1"));
    assert_eq!(
        built.option(200, "mp2"),
        Some("containers:subvol-200-disk-2,mp=/c,backup=1,size=1500M")
    );
    assert_eq!(built.option(200, "mp3"), Some("/var/tmp,mp=/d"));
}

#[test]
fn a_disk_and_a_mount_named_as_their_option_keep_its_number() {
    let built = container(
        "9.2",
        r#"[containers.box.mounts]
new = { host-path = "/srv/new", path = "/new", backup = false }
mp0 = { host-path = "/srv/a", path = "/a", backup = false }
mp05 = { host-path = "/srv/c", path = "/c", backup = false }
mp7 = { host-path = "/srv/b", path = "/b", backup = false }"#,
    );
    for (key, value) in [
        ("mp0", "/srv/a,mp=/a"),
        ("mp1", "/srv/new,mp=/new"),
        ("mp2", "/srv/c,mp=/c"),
        ("mp7", "/srv/b,mp=/b"),
    ] {
        assert_eq!(built.option(200, key), Some(value), "{key}");
    }
    let built = vm(
        "9.2",
        r#"[vms.web.disks]
new = { dataset = "vm-disks", size = "1 GiB" }
scsi0 = { dataset = "vm-disks", size = "2 GiB" }
scsi3 = { dataset = "vm-disks", size = "3 GiB", bus = "sata" }"#,
    );
    for (key, size) in [
        ("scsi0", ",size=2G"),
        ("scsi1", ",size=1G"),
        ("sata0", ",size=3G"),
    ] {
        let value = built.option(100, key);
        assert!(
            value.is_some_and(|value| value.contains(size)),
            "{key}: {value:?}"
        );
    }
}

#[test]
fn sizes_are_whole_mebibytes_and_spelt_in_the_largest_unit() {
    let built = build(
        "9.2",
        "[vms.web]\nos = \"linux\"\nvmid = 100\nmemory = \"4 GiB\"\n[vms.web.disks]\na = { dataset = \"vm-disks\", size = \"100 GB\" }\nb = { dataset = \"vm-disks\", size = \"1.5 TiB\" }\n",
    );
    // 100 GB are 95367.43 MiB, and a zvol is rounded up.
    assert!(
        built
            .option(100, "scsi0")
            .is_some_and(|v| v.contains(",size=95368M,"))
    );
    assert!(
        built
            .option(100, "scsi1")
            .is_some_and(|v| v.contains(",size=1536G,"))
    );
}

#[test]
fn images_are_plugged_in_beside_the_disks() {
    let images = (0..6)
        .map(|n| format!("\"local:iso/{n}.iso\""))
        .collect::<Vec<_>>()
        .join(", ");
    let built = build(
        "9.2",
        &format!(
            "[vms.web]\nos = \"linux\"\nvmid = 100\nmemory = \"4 GiB\"\niso = [{images}]\n[vms.web.disks]\na = {{ dataset = \"vm-disks\", size = \"1 GiB\", bus = \"ide\" }}\nb = {{ dataset = \"vm-disks\", size = \"1 GiB\", bus = \"sata\" }}\n"
        ),
    );
    assert_eq!(
        built.option(100, "ide2"),
        Some("local:iso/0.iso,media=cdrom")
    );
    assert_eq!(
        built.option(100, "ide1"),
        Some("local:iso/1.iso,media=cdrom")
    );
    assert_eq!(
        built.option(100, "sata1"),
        Some("local:iso/3.iso,media=cdrom")
    );
    assert_eq!(
        built.option(100, "boot"),
        Some("order=ide0;ide2;ide1;ide3;sata1;sata2;sata3")
    );
    // Proxmox VE has no better controller than its default for what is not on it.
    assert_eq!(built.option(100, "scsihw"), None);
}

// ---------------------------------------------------------------- virtual machines

#[test]
fn notes_are_encoded_line_by_line() {
    let built = vm("9.2", "description = \"\"\"a: 100 %\nä\"\"\"");
    let file = built.file("etc/pve/qemu-server/100.conf");
    assert!(
        file.starts_with("#a%3A 100 %25\n#%C3%A4\nagent: 1\n"),
        "{file}"
    );
}

#[test]
fn tags_are_lower_case_unique_and_sorted() {
    let built = vm("8.1", "tags = [\"web\", \"Blue\", \"blue\", \"9x\"]");
    assert_eq!(built.option(100, "tags"), Some("9x;blue;web"));
}

#[test]
fn what_qm_create_would_fill_in_is_said() {
    let built = vm("9.2", "");
    for key in ["smbios1", "vmgenid", "boot", "scsihw", "agent"] {
        assert!(built.option(100, key).is_some(), "{key}");
    }
    assert_eq!(built.option(100, "meta"), None);
    assert_eq!(built.option(100, "scsihw"), Some("virtio-scsi-single"));
    let again = vm("9.2", "");
    assert_eq!(built.option(100, "vmgenid"), again.option(100, "vmgenid"));
    assert_ne!(
        built
            .option(100, "smbios1")
            .and_then(|v| v.strip_prefix("uuid=")),
        built.option(100, "vmgenid")
    );
}

#[test]
fn derived_uuids_are_version_8_and_differ_by_host_guest_and_purpose() {
    let uuid = guest::derived_uuid("smbios1", "pve1", 100);
    assert_eq!(uuid.len(), 36);
    assert_eq!(&uuid[14..15], "8");
    assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"));
    for other in [
        guest::derived_uuid("vmgenid", "pve1", 100),
        guest::derived_uuid("smbios1", "pve2", 100),
        guest::derived_uuid("smbios1", "pve1", 101),
    ] {
        assert_ne!(uuid, other);
    }
}

#[test]
fn windows_keeps_one_machine_over_all_releases() {
    let keys = |release: &str, machine: &str| {
        let text = format!(
            "[vms.win]\nos = \"windows11\"\nvmid = 100\nmemory = \"8 GiB\"\n{machine}\n[vms.win.disks]\nc = {{ dataset = \"vm-disks\", size = \"64 GiB\" }}\n"
        );
        let built = build(release, &text);
        assert_eq!(built.told, []);
        built.option(100, "machine").map(str::to_owned)
    };
    for release in ["8.1", "8.4", "9.0", "9.2"] {
        assert_eq!(
            keys(release, "").as_deref(),
            Some("pc-q35-8.1"),
            "{release}"
        );
    }
    assert_eq!(keys("8.0", "").as_deref(), Some("pc-q35-8.0"));
    assert_eq!(
        keys("9.2", "machine = \"i440fx\"").as_deref(),
        Some("pc-i440fx-8.1")
    );
    assert_eq!(
        keys("9.2", "machine = \"pc-q35-9.2\"").as_deref(),
        Some("pc-q35-9.2")
    );
}

#[test]
fn a_linux_guest_has_the_newest_machine() {
    assert_eq!(vm("9.2", "").option(100, "machine"), Some("q35"));
    assert_eq!(
        vm("9.2", "machine = \"i440fx\"").option(100, "machine"),
        Some("pc")
    );
}

#[test]
fn windows_11_has_4_mb_flash_with_keys_and_a_tpm_of_version_2() {
    let built = build(
        "8.1",
        "[vms.win]\nos = \"windows11\"\nvmid = 100\nmemory = \"8 GiB\"\n[vms.win.disks]\nc = { dataset = \"vm-disks\", size = \"64 GiB\" }\n",
    );
    assert_eq!(built.option(100, "bios"), Some("ovmf"));
    assert_eq!(
        built.option(100, "efidisk0"),
        Some("vm-disks:vm-100-disk-0,efitype=4m,pre-enrolled-keys=1,size=1M")
    );
    assert_eq!(
        built.option(100, "tpmstate0"),
        Some("vm-disks:vm-100-disk-2,size=4M,version=v2.0")
    );
    assert_eq!(built.option(100, "ostype"), Some("win11"));
}

#[test]
fn hugepages_bring_numa_along() {
    let built = vm("9.2", "hugepages = \"2 MiB\"");
    assert_eq!(built.option(100, "hugepages"), Some("2"));
    assert_eq!(built.option(100, "numa"), Some("1"));
}

#[test]
fn memory_is_counted_in_mebibytes() {
    let text = VM.replace("{keys}", "").replace("\"4 GiB\"", "\"4 GB\"");
    assert_eq!(build("9.2", &text).only(), (Code::MOX0013, "\"4 GB\""));
    let built = vm("9.2", "balloon = \"1 GiB\"");
    assert_eq!(built.option(100, "balloon"), Some("1024"));
    assert_eq!(
        vm("9.2", "balloon = false").option(100, "balloon"),
        Some("0")
    );
}

/// Proxmox VE's own words for these are `current` and `cpulimit`, and its numbers have no unit.
#[test]
fn what_is_out_of_range_is_told_in_the_words_of_the_spec() {
    for text in [VM, CONTAINER] {
        let text = text.replace("{keys}", "");
        let (front, rest) = text.split_once("memory").expect("a memory");
        let (_, rest) = rest.split_once('\n').expect("a line");
        let told = build("9.2", &format!("{front}memory = \"0 GiB\"\n{rest}")).told;
        let [(code, place, message)] = told.as_slice() else {
            panic!("{told:?}");
        };
        assert_eq!((*code, place.as_str()), (Code::MOX0013, "\"0 GiB\""));
        assert_eq!(message, "`memory` is less than 16 MiB");
    }
    let told = vm("9.2", "cpu = { limit = 1000 }").told;
    assert_eq!(told[0].2, "`cpu.limit` must be at most 128, not 1000");
}

#[test]
fn start_order_is_in_seconds_and_rounded_up() {
    let built = vm(
        "9.2",
        "autostart = { order = 0, up-delay = \"1500ms\", down-delay = \"2m\" }",
    );
    assert_eq!(built.option(100, "startup"), Some("order=0,up=2,down=120"));
    assert_eq!(built.option(100, "onboot"), Some("1"));
    let built = vm("9.2", "autostart = true");
    assert_eq!(
        (built.option(100, "onboot"), built.option(100, "startup")),
        (Some("1"), None)
    );
    assert_eq!(vm("9.2", "").option(100, "onboot"), None);
}

/// A host that has it on does not keep it where the spec says that it is off.
#[test]
fn what_is_said_to_be_off_is_written() {
    for (said, option) in [
        ("autostart", "onboot"),
        ("protection", "protection"),
        ("numa", "numa"),
    ] {
        let built = vm("9.2", &format!("{said} = false"));
        assert_eq!(built.option(100, option), Some("0"), "{said}");
        assert_eq!(vm("9.2", "").option(100, option), None, "{said}");
    }
}

#[test]
fn a_serial_display_brings_its_port() {
    let built = vm("9.2", "display = \"serial1\"");
    assert_eq!(built.option(100, "vga"), Some("serial1"));
    assert_eq!(built.option(100, "serial1"), Some("socket"));
    assert_eq!(
        vm("9.2", "display = \"cga\"").only(),
        (Code::MOX0108, "\"cga\"")
    );
}

#[test]
fn a_bad_processor_is_told_at_its_place() {
    let built = vm("9.2", "cpu = { type = \"host,flags=+nonsense\" }");
    assert_eq!(built.only().0, Code::MOX0108);
    // Proxmox VE's limit with control groups of version 2.
    assert_eq!(vm("9.2", "cpu = { units = 200000 }").told.len(), 0);
}

#[test]
fn cards_have_upper_case_addresses_and_ranges_by_semicolon() {
    let built = build(
        "9.2",
        &VM.replace("{keys}", "[[vms.web.network]]\nbridge = \"vmbr0\"\nmac = \"bc:24:11:00:00:0a\"\ntrunks = [\"20-29\", 40]\nrate = 12.5\nmtu = 1400\nfirewall = true"),
    );
    assert_eq!(
        built.option(100, "net0"),
        Some("virtio=BC:24:11:00:00:0A,bridge=vmbr0,firewall=1,mtu=1400,rate=12.5,trunks=20-29;40")
    );
}

// ---------------------------------------------------------------- passthrough

#[test]
fn a_card_of_one_iommu_group_is_one_mapping() {
    let built = vm(
        "9.2",
        "firmware = \"ovmf\"\npassthrough = [\"gpu-audio\", \"usb\", \"gpu\"]",
    );
    assert_eq!(built.told, []);
    assert_eq!(built.option(100, "hostpci0"), Some("mapping=gpu,pcie=1"));
    assert_eq!(built.option(100, "hostpci1"), Some("mapping=usb,pcie=1"));
    assert_eq!(built.option(100, "hostpci2"), None);
    assert_eq!(
        built.file("etc/pve/mapping/pci.cfg"),
        "gpu\n\tmap id=10de:2504,iommugroup=15,node=pve1,path=0000:0a:00,subsystem-id=1462:397d\n\n\
         usb\n\tmap id=1022:149c,iommugroup=21,node=pve1,path=0000:03:00.0,subsystem-id=1022:148c\n\n"
    );
}

#[test]
fn functions_in_groups_of_their_own_are_mapped_alone() {
    let text = format!("{BASE}{VM}")
        .replace("{release}", "9.2")
        .replace("{keys}", "passthrough = [\"gpu\", \"gpu-audio\"]")
        .replace(
            "228e\", subsystem = \"1462:397d\", iommu-group = 15",
            "228e\", subsystem = \"1462:397d\", iommu-group = 16",
        );
    let built = build_text(&text);
    assert_eq!(built.option(100, "hostpci0"), Some("mapping=gpu,pcie=1"));
    assert_eq!(
        built.option(100, "hostpci1"),
        Some("mapping=gpu-audio,pcie=1")
    );
    assert!(
        built
            .file("etc/pve/mapping/pci.cfg")
            .contains("path=0000:0a:00.1,")
    );
}

#[test]
fn a_part_of_a_card_never_takes_the_rest_along() {
    let built = vm("9.2", "passthrough = [\"gpu\"]");
    assert!(
        built
            .file("etc/pve/mapping/pci.cfg")
            .contains("path=0000:0a:00.0,")
    );
}

#[test]
fn a_card_named_without_its_function_is_all_of_it() {
    let text = format!(
        "{BASE}{VM}[hardware.pci.hba]\naddress = \"0B:00\"\nclass = \"storage\"\nid = \"1000:0097\"\niommu-group = 30\n"
    );
    let text = text
        .replace("{release}", "9.2")
        .replace("{keys}", "passthrough = [\"hba\"]");
    let built = build_text(&text);
    assert_eq!(built.told, []);
    assert_eq!(built.option(100, "hostpci0"), Some("mapping=hba,pcie=1"));
    assert_eq!(
        built.file("etc/pve/mapping/pci.cfg"),
        "hba\n\tmap id=1000:0097,iommugroup=30,node=pve1,path=0000:0b:00\n\n"
    );
}

#[test]
fn a_card_that_is_not_to_be_mapped_is_named_by_its_address() {
    let text = format!(
        "{BASE}{VM}[hardware.pci.hba]\naddress = \"0b:00\"\nclass = \"storage\"\nid = \"1000:0097\"\nmapping = false\n"
    );
    let text = text
        .replace("{release}", "9.2")
        .replace("{keys}", "passthrough = [\"hba\"]");
    let built = build_text(&text);
    assert_eq!(built.told, []);
    assert_eq!(built.option(100, "hostpci0"), Some("0000:0b:00,pcie=1"));
    assert!(!built.has("etc/pve/mapping/pci.cfg"));
    let text = text.replace("mapping = false\n", "mapping = false\nmdev = true\n");
    assert_eq!(build_text(&text).only().0, Code::MOX0016);
}

#[test]
fn guests_share_a_card_by_parts_that_the_host_makes() {
    let part = "passthrough = [{ device = \"igpu\", mdev = \"i915-GVTg_V5_4\" }]";
    let spec = |one: &str, other: &str| {
        let second = VM
            .replace("vms.web", "vms.other")
            .replace("vmid = 100", "vmid = 101");
        format!(
            "{BASE}{}{}",
            VM.replace("{keys}", one),
            second.replace("{keys}", other),
        )
        .replace("{release}", "9.2")
    };
    let built = build_text(&spec(part, part));
    assert_eq!(built.told, []);
    let option = Some("mapping=igpu,pcie=1,mdev=i915-GVTg_V5_4");
    assert_eq!(
        (built.option(100, "hostpci0"), built.option(101, "hostpci0")),
        (option, option)
    );
    assert_eq!(
        built.file("etc/pve/mapping/pci.cfg"),
        "igpu\n\tmap id=8086:4680,iommugroup=1,node=pve1,path=0000:00:02.0,subsystem-id=8086:2212\n\tmdev 1\n\n"
    );
    // Two parts of it in one guest are two devices.
    let twice = part.replace(']', ", { device = \"igpu\", mdev = \"i915-GVTg_V5_8\" }]");
    let built = build_text(&spec(&twice, ""));
    assert_eq!(
        built.option(100, "hostpci1"),
        Some("mapping=igpu,pcie=1,mdev=i915-GVTg_V5_8")
    );
}

#[test]
fn a_disk_has_a_thread_of_its_own_where_its_controller_gives_one() {
    for (keys, thread) in [
        ("", true),
        ("scsi-controller = \"virtio-scsi-single\"", true),
        ("scsi-controller = \"virtio-scsi-pci\"", false),
        ("scsi-controller = \"lsi\"", false),
    ] {
        let text = format!("{BASE}{VM}")
            .replace("{release}", "9.2")
            .replace("{keys}", keys);
        let built = build_text(&text);
        let disk = built.option(100, "scsi0").expect("a disk");
        assert_eq!(disk.contains("iothread=1"), thread, "{keys}: {disk}");
    }
}

#[test]
fn usb_devices_with_an_id_are_mapped() {
    let text = format!(
        "{BASE}[hardware.usb]\nzigbee = {{ id = \"10C4:EA60\", model = \"a stick\" }}\n\
         ups = {{ id = \"051d:0002\", port = \"1-4.2\" }}\nfront = {{ port = \"2-3\" }}\n"
    );
    for release in ["8.1", "9.2"] {
        let built = build_text(&text.replace("{release}", release));
        assert_eq!(built.told, []);
        assert_eq!(
            built.file("etc/pve/mapping/usb.cfg"),
            "zigbee\n\tmap id=10c4:ea60,node=pve1\n\tdescription a stick\n\n\
             ups\n\tmap id=051d:0002,node=pve1,path=1-4.2\n\n"
        );
    }
    assert!(!build("9.2", "").has("etc/pve/mapping/usb.cfg"));
}

#[test]
fn pcie_needs_q35() {
    let built = vm("9.2", "machine = \"i440fx\"\npassthrough = [\"usb\"]");
    assert_eq!(built.option(100, "hostpci0"), Some("mapping=usb"));
}

#[test]
fn the_card_is_the_screen_of_windows_alone() {
    let windows = |keys: &str| {
        build(
            "9.2",
            &format!(
                "[vms.win]\nos = \"windows11\"\nvmid = 100\nmemory = \"8 GiB\"\npassthrough = [\"gpu\", \"gpu-audio\", \"igpu\"]\n{keys}\n[vms.win.disks]\nc = {{ dataset = \"vm-disks\", size = \"64 GiB\" }}\n"
            ),
        )
    };
    let built = windows("");
    assert_eq!(
        built.option(100, "hostpci0"),
        Some("mapping=gpu,pcie=1,x-vga=1")
    );
    // One card can be the primary one.
    assert_eq!(built.option(100, "hostpci1"), Some("mapping=igpu,pcie=1"));
    assert_eq!(built.option(100, "vga"), Some("none"));
    let built = windows("display = \"std\"");
    assert_eq!(built.option(100, "hostpci0"), Some("mapping=gpu,pcie=1"));
    assert_eq!(built.option(100, "vga"), Some("std"));
    let built = vm("9.2", "passthrough = [\"gpu\", \"gpu-audio\"]");
    assert_eq!(built.option(100, "hostpci0"), Some("mapping=gpu,pcie=1"));
    assert_eq!(built.option(100, "vga"), None);
}

#[test]
fn a_device_without_an_id_goes_by_address() {
    let text = format!("{BASE}{VM}")
        .replace("{release}", "9.2")
        .replace("{keys}", "passthrough = [\"usb\", \"igpu\"]")
        .replace(", subsystem = \"1022:148c\"", "")
        .replace("id = \"8086:4680\", ", "");
    let built = build_text(&text);
    assert_eq!(built.option(100, "hostpci0"), Some("mapping=usb,pcie=1"));
    assert_eq!(built.option(100, "hostpci1"), Some("0000:00:02.0,pcie=1"));
    assert!(!built.file("etc/pve/mapping/pci.cfg").contains("igpu"));
    let host = built.host.as_ref().expect("a host");
    let complete: Vec<bool> = PciMappings::of(host)
        .iter()
        .map(|mapping| mapping.is_complete(host))
        .collect();
    assert_eq!(complete, [false, false]);
}

#[test]
fn a_mapping_that_is_wished_needs_no_guest() {
    let hba =
        "[hardware.pci.hba]\naddress = \"0b:00.0\"\nclass = \"storage\"\nid = \"1000:0097\"\n";
    for (keys, line) in [
        ("", None),
        ("mapping = false\n", None),
        (
            "mapping = true\n",
            Some("hba\n\tmap id=1000:0097,node=pve1,path=0000:0b:00.0\n"),
        ),
        (
            "live-migration-capable = true\n",
            Some("\tlive-migration-capable 1\n"),
        ),
    ] {
        let built = build("9.2", &format!("{hba}{keys}"));
        let is_there = built.has("etc/pve/mapping/pci.cfg");
        assert_eq!(is_there, line.is_some(), "{keys}");
        if let Some(line) = line {
            let text = built.file("etc/pve/mapping/pci.cfg");
            assert!(text.contains(line), "{text}");
        }
    }
    let without_id = hba.replace("id = \"1000:0097\"\n", "mapping = true\n");
    assert!(!build("9.2", &without_id).has("etc/pve/mapping/pci.cfg"));
    let socket = "[hardware.usb.stick]\nport = \"1-2\"\nmapping = true\n";
    assert!(!build("9.2", socket).has("etc/pve/mapping/usb.cfg"));
}

#[test]
fn a_mapping_of_no_name_that_proxmox_takes_is_left_out() {
    let text = format!("{BASE}{VM}")
        .replace("{release}", "9.2")
        .replace("usb = {", "\"usb.0\" = {")
        .replace("{keys}", "passthrough = [\"usb.0\"]");
    let built = build_text(&text);
    assert_eq!(built.told, []);
    assert!(!built.has("etc/pve/mapping/pci.cfg"));
    assert_eq!(built.option(100, "hostpci0"), None);
}

// ---------------------------------------------------------------- virtio-fs

const SHARES: &str = "[[vms.web.shares]]\ndataset = \"share\"\nmount = \"/a\"\n[[vms.web.shares]]\ndataset = \"docs\"\nmount = \"/b\"\nread-only = true\n";

#[test]
fn virtiofs_is_native_from_8_4() {
    let text = VM.replace(
        "{keys}",
        "[[vms.web.shares]]\ndataset = \"share\"\nmount = \"/a\"",
    );
    let built = build("8.4", &text);
    assert_eq!(built.option(100, "virtiofs0"), Some("share,cache=auto"));
    assert_eq!(built.option(100, "hookscript"), None);
    assert_eq!(
        built.file("etc/pve/mapping/directory.cfg"),
        "share\n\tmap node=pve1,path=/srv/share\n\n"
    );
    let built = build("8.3", &text);
    assert_eq!(built.option(100, "virtiofs0"), None);
    assert!(!built.has("etc/pve/mapping/directory.cfg"));
    assert_eq!(
        built.option(100, "hookscript"),
        Some("local:snippets/virtiofs-100.sh")
    );
    assert_eq!(
        built.option(100, "args"),
        Some(
            "-chardev socket,id=hookfs0,path=/run/virtiofs-100/0.sock \
             -device vhost-user-fs-pci,queue-size=1024,chardev=hookfs0,tag=share \
             -object memory-backend-memfd,id=hookmem0,size=4096M,share=on -numa node,nodeid=0,memdev=hookmem0"
        )
    );
    assert!(
        built
            .file("etc/pve/storage.cfg")
            .contains("dir: local\n\tpath /var/lib/vz\n\tcontent snippets\n\n")
    );
}

#[test]
fn the_host_keeps_a_read_only_share_from_being_written_in_every_release() {
    for release in ["8.1", "9.2"] {
        let built = build(release, &VM.replace("{keys}", SHARES));
        let script = built.file("var/lib/vz/snippets/virtiofs-100.sh");
        assert!(script.contains("/srv/docs ro # docs\n"), "{script}");
        assert_eq!(script.contains("/srv/share rw # share\n"), release == "8.1");
    }
    let built = build("9.2", &VM.replace("{keys}", SHARES));
    assert_eq!(built.option(100, "virtiofs0"), Some("share,cache=auto"));
    // Proxmox VE's own share brings the shared memory along.
    assert!(
        !built
            .option(100, "args")
            .is_some_and(|args| args.contains("memory-backend"))
    );
}

#[test]
fn shared_memory_is_described_once() {
    let legacy = |keys: &str| {
        let text = VM.replace("{keys}", &format!("{keys}\n{SHARES}"));
        build("8.1", &text)
    };
    let built = legacy("cpu = { cores = 4, sockets = 2 }\nnuma = true");
    // Two descriptions of the same nodes would keep QEMU from starting.
    assert_eq!(built.option(100, "numa"), None);
    let args = built.option(100, "args").expect("args");
    assert!(
        args.contains(
            "id=hookmem0,size=2048M,share=on -numa node,nodeid=0,cpus=0-3,memdev=hookmem0"
        )
    );
    assert!(
        args.ends_with(
            "id=hookmem1,size=2048M,share=on -numa node,nodeid=1,cpus=4-7,memdev=hookmem1"
        )
    );
    let built = legacy("hugepages = \"2 MiB\"");
    assert_eq!(built.option(100, "numa"), Some("1"));
    assert!(
        !built
            .option(100, "args")
            .is_some_and(|args| args.contains("memory-backend"))
    );
}

#[test]
fn extra_cannot_take_the_hook_away() {
    let text = VM.replace(
        "{keys}",
        &format!("extra = {{ args = \"-foo\" }}\n{SHARES}"),
    );
    assert_eq!(build("8.1", &text).only(), (Code::MOX0109, "args"));
    assert_eq!(
        vm("8.1", "extra = { args = \"-foo\" }").option(100, "args"),
        Some("-foo")
    );
}

// ---------------------------------------------------------------- containers

#[test]
fn privileged_or_not_is_always_said() {
    assert_eq!(container("8.1", "").option(200, "unprivileged"), Some("1"));
    assert_eq!(
        container("9.2", "unprivileged = false").option(200, "unprivileged"),
        Some("0")
    );
}

#[test]
fn proxmox_leaves_the_files_of_a_nixos_container_alone() {
    let text = CONTAINER.replace("\"debian\"", "\"nixos\"").replace(
        "{keys}",
        "[containers.box.nixos]\nstate-version = \"25.11\"",
    );
    let built = build("9.2", &text);
    assert_eq!(built.option(200, "ostype"), Some("unmanaged"));
    assert_eq!(built.option(200, "cmode"), Some("console"));
    assert_eq!(container("9.2", "").option(200, "cmode"), None);
}

#[test]
fn a_containers_card_is_printed_as_proxmox_prints_it() {
    let built = container(
        "9.2",
        "[[containers.box.network]]\nbridge = \"vmbr0\"\naddress = \"192.168.1.20/24\"\ngateway = \"192.168.1.1\"\naddress6 = \"auto\"\nmac = \"BC:24:11:00:00:01\"\nvlan = 30",
    );
    assert_eq!(
        built.option(200, "net0"),
        Some(
            "name=eth0,bridge=vmbr0,gw=192.168.1.1,hwaddr=BC:24:11:00:00:01,ip=192.168.1.20/24,ip6=auto,tag=30,type=veth"
        )
    );
}

#[test]
fn devices_need_8_1_and_write_protection_8_3() {
    let device = "devices = [\"/dev/dri/renderD128\"]";
    assert_eq!(
        container("8.0", device).only(),
        (Code::MOX0107, "\"/dev/dri/renderD128\"")
    );
    assert_eq!(
        container("8.1", device).option(200, "dev0"),
        Some("/dev/dri/renderD128")
    );
    let read_only =
        "devices = [{ path = \"/dev/sr0\", read-only = true, mode = \"0440\", uid = 0, gid = 44 }]";
    assert_eq!(
        container("8.2", read_only).only(),
        (Code::MOX0107, "\"/dev/sr0\"")
    );
    assert_eq!(
        container("8.3", read_only).option(200, "dev0"),
        Some("/dev/sr0,deny-write=1,gid=44,mode=0440,uid=0")
    );
}

#[test]
fn a_feature_that_lxc_lacks_is_told_at_the_feature() {
    assert_eq!(
        container("9.2", "features = [\"nesting\", \"nestling\"]").only(),
        (Code::MOX0108, "\"nestling\"")
    );
    assert_eq!(
        container("9.2", "features = [\"nesting\", \"mount=nfs;cifs\"]").option(200, "features"),
        Some("nesting=1,mount=nfs;cifs")
    );
}

#[test]
fn raw_keys_keep_their_order_and_lxc_must_take_them() {
    let built = container(
        "9.2",
        "extra = { \"lxc.prlimit.nofile\" = 65536, \"lxc.cap.drop\" = \"sys_rawio\", timezone = \"host\" }",
    );
    let file = built.file("etc/pve/lxc/200.conf");
    assert!(
        file.ends_with("unprivileged: 1\nlxc.prlimit.nofile: 65536\nlxc.cap.drop: sys_rawio\n"),
        "{file}"
    );
    assert_eq!(
        container("9.2", "extra = { \"lxc.rootfs.path\" = \"/x\" }").only(),
        (Code::MOX0108, "\"lxc.rootfs.path\"")
    );
}

// ---------------------------------------------------------------- raw options

#[test]
fn raw_options_are_judged_at_key_and_inside_the_value() {
    assert_eq!(
        vm("9.2", "extra = { hotplugg = 1 }").only(),
        (Code::MOX0108, "hotplugg")
    );
    assert_eq!(
        vm(
            "9.2",
            "extra = { watchdog = \"model=i6300esb,action=explode\" }"
        )
        .only(),
        (Code::MOX0108, "explode")
    );
    assert_eq!(
        vm("8.1", "extra = { amd-sev = \"type=std\" }").only(),
        (Code::MOX0107, "amd-sev")
    );
}

#[test]
fn an_option_fills_in_the_key_of_the_language() {
    let built = vm(
        "9.2",
        "extra = { cores = 2, onboot = 1, startup = \"order=2,up=5\", bios = \"ovmf\", boot = \"order=net0;scsi0\", usb0 = \"host=1-2\", \
         agent = \"1,fstrim_cloned_disks=1\", name = \"Web.lan\", vga = \"serial0\", serial1 = \"socket\", \
         net0 = \"e1000=BC:24:11:00:00:01,bridge=vmbr0,queues=2\" }\n[[vms.web.network]]\nbridge = \"vmbr0\"",
    );
    assert_eq!(built.told, []);
    for (key, value) in [
        ("cores", "2"),
        ("onboot", "1"),
        ("startup", "order=2,up=5"),
        ("bios", "ovmf"),
        ("boot", "order=net0;scsi0"),
        ("usb0", "host=1-2"),
        ("agent", "1,fstrim_cloned_disks=1"),
        ("name", "Web.lan"),
        ("serial0", "socket"),
        ("serial1", "socket"),
        ("net0", "e1000=BC:24:11:00:00:01,bridge=vmbr0,queues=2"),
    ] {
        assert_eq!(built.option(100, key), Some(value), "{key}");
    }
    // The card of the table takes the number that is free.
    assert!(built.option(100, "net1").is_some());
    let built = container(
        "9.2",
        "extra = { hostname = \"Box.lan\", cores = 1, dev1 = \"/dev/dri/card0,gid=44\", features = \"nesting=1\", swap = 0, cmode = \"shell\" }\n\
         devices = [\"/dev/kvm\", \"/dev/net/tun\"]",
    );
    assert_eq!(built.told, []);
    for (key, value) in [
        ("hostname", "Box.lan"),
        ("cores", "1"),
        ("dev0", "/dev/kvm"),
        ("dev1", "/dev/dri/card0,gid=44"),
        ("dev2", "/dev/net/tun"),
        ("features", "nesting=1"),
        ("swap", "0"),
        ("cmode", "shell"),
    ] {
        assert_eq!(built.option(200, key), Some(value), "{key}");
    }
}

#[test]
fn what_the_language_says_is_not_said_twice() {
    for (keys, place) in [
        ("extra = { memory = 1024 }", "1024"),
        ("cpu = { cores = 2 }\nextra = { cores = 3 }", "3"),
        ("autostart = true\nextra = { onboot = 0 }", "0"),
        (
            "firmware = \"ovmf\"\nextra = { bios = \"seabios\" }",
            "\"seabios\"",
        ),
        ("name = \"a\"\nextra = { name = \"b\" }", "\"b\""),
    ] {
        assert_eq!(vm("9.2", keys).only(), (Code::MOX0109, place), "{keys}");
    }
    let two =
        "extra = { net0 = \"virtio,bridge=vmbr0\" }\nnetwork = [{ bridge = \"vmbr0\", slot = 0 }]";
    assert_eq!(vm("9.2", two).only().0, Code::MOX0654);
    let two = "extra = { ide2 = \"vm-disks:vm-100-cloudinit,media=cdrom\", ide3 = \"vm-disks:cloudinit\" }";
    assert_eq!(vm("9.2", two).only().0, Code::MOX0109);
    // A card without a bridge stays an option, and keeps its number.
    let one = "extra = { net0 = \"virtio=BC:24:11:00:00:01\" }\nnetwork = [{ bridge = \"vmbr0\" }]";
    let built = vm("9.2", one);
    assert_eq!(built.option(100, "net0"), Some("virtio=BC:24:11:00:00:01"));
    assert!(
        built
            .option(100, "net1")
            .is_some_and(|card| card.contains("bridge=vmbr0"))
    );
}

// ---------------------------------------------------------------- storage

#[test]
fn a_pool_of_volumes_a_folder_and_a_shared_folder() {
    let built = build("9.2", "");
    let file = built.file("etc/pve/storage.cfg");
    // Nothing is put into `local`: it stays as it is.
    assert!(!file.contains("local"));
    assert!(file.contains(
        "zfspool: more\n\tpool rpool/more\n\tblocksize 16k\n\tcontent images\n\tmountpoint /rpool/more\n\tsparse 0\n\n"
    ));
    assert!(
        file.contains(
            "dir: backups\n\tpath /rpool/backups\n\tcontent backup\n\tis_mountpoint 1\n\n"
        )
    );
    assert!(file.contains("dir: share\n\tpath /srv/share\n\tcontent none\n\tis_mountpoint 1\n\n"));
    assert!(file.ends_with("\n\n"));
}

#[test]
fn stores_elsewhere() {
    let built = build(
        "9.2",
        r#"[storage.external]
nas = { kind = "nfs", server = "192.168.1.5", export = "/pve", use = ["backups", "iso"], options = "vers=4.2", keep = { last = 3, daily = 7 } }
smb = { kind = "cifs", server = "fd00::5", share = "pve", use = "templates", username = "pve", path = "/mnt/smb" }
pbs = { kind = "pbs", server = "backup.home.arpa", datastore = "main", secret = "PBS", use = "backups", keep = { all = true } }
usb = { kind = "dir", path = "/mnt/usb", use = "backups", removable = true }
plain = { kind = "dir", path = "/srv/plain", use = "iso" }
"#,
    );
    assert_eq!(built.told, []);
    let file = built.file("etc/pve/storage.cfg");
    insta::assert_snapshot!(&file[file.find("nfs: ").expect("the first")..]);
}

#[test]
fn a_backup_server_holds_backups_alone() {
    let built = build(
        "9.2",
        "[storage.external]\npbs = { kind = \"pbs\", server = \"b\", datastore = \"main\", secret = \"PBS\", use = [\"iso\"] }\n",
    );
    assert_eq!(built.only(), (Code::MOX0108, "\"iso\""));
}

#[test]
fn no_two_rules_of_keeping_are_out_of_order() {
    let keep = crate::model::Keep {
        last: Some(1),
        hourly: Some(2),
        daily: Some(3),
        yearly: Some(4),
        ..crate::model::Keep::default()
    };
    let printed = storage::prune_backups(&keep)
        .expect("plain words")
        .to_string();
    assert_eq!(
        printed,
        "keep-daily=3,keep-hourly=2,keep-last=1,keep-yearly=4"
    );
}

// ---------------------------------------------------------------- jobs, defaults, firewall

fn job(release: &str, keys: &str) -> Built {
    let text = format!(
        "{}[schedules.nightly]\ntask = \"vzdump-backup\"\nstorage = \"backups\"\n{keys}\n",
        VM.replace("{keys}", "")
    );
    build(release, &text)
}

#[test]
fn a_job_says_which_guests_in_one_way() {
    let named = job("9.2", "on = \"01:00\"\nguests = [\"web\"]");
    let file = named.file("etc/pve/jobs.cfg");
    assert!(
        file.contains("\tvmid 100\n") && !file.contains("\tall 1\n"),
        "{file}"
    );
    let all = job(
        "9.2",
        "on = \"01:00\"\nguests = \"all\"\nexclude = [\"web\"]",
    );
    let file = all.file("etc/pve/jobs.cfg");
    assert!(
        file.contains("\tall 1\n") && file.contains("\texclude 100\n"),
        "{file}"
    );
}

#[test]
fn a_guest_without_backup_is_none_of_all() {
    let text = format!(
        "{}[schedules.n]\ntask = \"vzdump-backup\"\nstorage = \"backups\"\non = \"01:00\"\nguests = \"all\"\n",
        VM.replace("{keys}", "backup = false")
    );
    assert!(
        build("9.2", &text)
            .file("etc/pve/jobs.cfg")
            .contains("\texclude 100\n")
    );
}

#[test]
fn a_calendar_is_said_in_proxmox_words_or_told() {
    let built = job(
        "9.2",
        "on = \"Mon..Fri *-*-* 03:30:00 UTC\"\nguests = \"all\"",
    );
    assert!(
        built
            .file("etc/pve/jobs.cfg")
            .contains("\tschedule mon..fri 03:30 UTC\n")
    );
    let built = job("9.2", "on = \"*-*~1 02:00\"\nguests = \"all\"");
    assert_eq!(built.only(), (Code::MOX0720, "\"*-*~1 02:00\""));
    let built = job("9.2", "on = \"02:00 America/New_York\"\nguests = \"all\"");
    assert_eq!(built.only().0, Code::MOX0720);
    assert!(
        job("9.2", "on = \"02:00 Europe/Berlin\"\nguests = \"all\"")
            .told
            .is_empty()
    );
}

#[test]
fn a_schedule_that_is_off_is_a_job_that_is_off() {
    let built = job(
        "9.2",
        "on = \"01:00\"\nguests = \"all\"\nenabled = false\npersistent = false",
    );
    let file = built.file("etc/pve/jobs.cfg");
    assert!(
        file.contains("\tenabled 0\n") && file.contains("\trepeat-missed 0\n"),
        "{file}"
    );
}

#[test]
fn a_job_tells_its_outcome_as_its_release_does() {
    let keys = "on = \"01:00\"\nguests = \"all\"\ncompress = \"none\"";
    let old = job("8.0", keys);
    let file = old.file("etc/pve/jobs.cfg");
    assert!(
        file.contains("\tmailto admin@home.arpa\n") && file.contains("\tmailnotification always\n")
    );
    assert!(file.contains("\tcompress 0\n"));
    assert!(!file.contains("notification-mode"));
    let new = job("8.1", keys);
    let file = new.file("etc/pve/jobs.cfg");
    assert!(file.contains("\tnotification-mode notification-system\n") && !file.contains("mailto"));
    assert!(
        new.file("etc/vzdump.conf")
            .starts_with("# Generated by moxc")
    );
    assert!(new.file("etc/vzdump.conf").contains("\nstorage: backups\n"));
}

#[test]
fn ports_are_closed_only_where_the_spec_knows_them() {
    let nic = "[[vms.web.network]]\nbridge = \"vmbr0\"\nfirewall = true\naddress = \"dhcp\"\n";
    assert!(!vm("9.2", nic).has("etc/pve/firewall/cluster.fw"));
    let nixos = VM.replace("\"linux\"", "\"nixos\"").replace(
        "{keys}",
        &format!("{nic}[vms.web.nixos]\nstate-version = \"25.11\"\nports = [443, 80, \"53/udp\"]"),
    );
    let built = build("9.2", &nixos);
    assert_eq!(
        built.file("etc/pve/firewall/100.fw"),
        "[OPTIONS]\n\ndhcp: 1\nenable: 1\n\n[RULES]\n\nIN Ping(ACCEPT) -log nolog\nIN ACCEPT -p tcp -dport 22,80,443 -log nolog\nIN ACCEPT -p udp -dport 53 -log nolog\n\n"
    );
    assert_eq!(
        built.file("etc/pve/firewall/cluster.fw"),
        "[OPTIONS]\n\nenable: 1\n\n"
    );
    // Nobody is locked out of the host.
    assert_eq!(
        built.file("etc/pve/nodes/pve1/host.fw"),
        "[OPTIONS]\n\nenable: 0\n\n"
    );
}

/// As pve-firewall 6.0.4 reads it and writes it again, but for its options, which have no order there.
#[test]
fn a_guests_firewall_says_what_proxmox_ves_does() {
    let keys = r#"
[[vms.web.network]]
bridge = "vmbr0"
firewall = true

[vms.web.firewall]
dhcp = false
ndp = false
radv = true
macfilter = false
ipfilter = true
ips = true
ips-queues = "0:3"
layer2-protocols = ["ARP", "0800"]
log-level-in = "info"
log-level-out = "nolog"
aliases = { router = "192.168.1.1", Office = { address = "10.9.0.0/16", comment = "the office" } }
sets.lan = ["router", "192.168.1.0/24", "!192.168.1.9"]
sets.ipfilter-net0 = { comment = "own", members = [{ address = "192.168.1.20", comment = "it" }, "fd00::20"] }
rules = [
  { action = "accept", macro = "ssh", card = "net0", from = "+guest/lan", log = "info", comment = "shell" },
  { group = "web", card = "net0", comment = "all", enabled = false },
  { action = "reject", direction = "out", protocol = "tcp", port = "25,587", from-port = "1024:65535", to = "guest/office" },
  { action = "accept", protocol = "icmpv6", icmp-type = "neighbour-solicitation" },
]
"#;
    assert_eq!(
        vm("9.2", keys).file("etc/pve/firewall/100.fw"),
        "[OPTIONS]\n\ndhcp: 0\nenable: 1\nlog_level_in: info\nlog_level_out: nolog\nipfilter: 1\nips: 1\nmacfilter: 0\nndp: 0\nradv: 1\nips_queues: 0:3\nlayer2_protocols: ARP,0800\n\n\
         [ALIASES]\n\nOffice 10.9.0.0/16 # the office\nrouter 192.168.1.1\n\n\
         [IPSET ipfilter-net0] # own\n\n192.168.1.20 # it\nfd00::20\n\n\
         [IPSET lan]\n\n192.168.1.0/24\n!192.168.1.9\nrouter\n\n\
         [RULES]\n\n\
         IN SSH(ACCEPT) -i net0 -source +guest/lan -log info # shell\n\
         |GROUP web -i net0 # all\n\
         OUT REJECT -dest guest/office -p tcp -dport 25,587 -sport 1024:65535 -log nolog\n\
         IN ACCEPT -p icmpv6 -log nolog -icmp-type neighbour-solicitation\n\n"
    );
}

// ---------------------------------------------------------------- the installer's answers

fn answer_of(release: &str, change: impl Fn(String) -> String) -> Answer {
    let text = change(BASE.replace("{release}", release));
    let host = build_text(&text).host.expect("a host");
    answer::plan(&host, &mut Sink::new())
}

fn absent(answer: Answer) -> String {
    match answer {
        Answer::Absent(why) => why,
        Answer::File(text) => panic!("{text}"),
    }
}

#[test]
fn answers_are_spelt_as_their_release_does() {
    let text = |release: &str| match answer_of(release, |text| text) {
        Answer::File(text) => text,
        Answer::Absent(why) => panic!("{why}"),
    };
    insta::assert_snapshot!("answer-8-2", text("8.2"));
    insta::assert_snapshot!("answer-9-2", text("9.2"));
    assert!(text("8.3").contains("root_password_hashed = \"!\""));
    assert!(text("8.4").contains("root-password-hashed = \"!\""));
    for release in ["8.2", "8.3", "8.4", "9.0", "9.1", "9.2"] {
        let text = text(release);
        let document: toml::Table = text.parse().expect("TOML");
        for (section, keys) in &document {
            for (key, value) in keys.as_table().expect("a section") {
                let name = format!("{section}.{key}");
                let known = release.parse().expect("a release");
                if let (Some(value), false) =
                    (value.as_str(), release == "8.2" && key == "root_password")
                {
                    let verdict = crate::pve::check_option(
                        crate::pve::ConfigFile::Answer,
                        known,
                        &name,
                        value,
                    );
                    assert_eq!(verdict, Ok(()), "{name} on {release}");
                }
            }
        }
    }
}

#[test]
fn no_answer_where_one_would_be_unsafe() {
    let why = |release: &str, from: &str, to: &str| {
        absent(answer_of(release, |text| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        }))
    };
    assert!(why("8.1", "pve1", "pve1").contains("8.2"));
    assert!(why("9.2", "domain =", "platform = \"nixos\"\ndomain =").contains("NixOS"));
    assert!(why("9.2", "ssh-keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFDYWOCYXsx/YEGKrwzFq1h/QsJXCohAlanozKzQ9lRc admin\"]", "").contains("log in"));
    assert!(why("9.2", "boot = true", "").contains("boot"));
    assert!(why("9.2", "gateway = \"192.168.1.1\"", "").contains("gateway"));
    assert!(why("9.2", "ports = [\"lan0\"]", "ports = [\"lan0.30\"]").contains("VLAN"));
    assert!(why("9.2", "\"enp5s0\", mac = \"00:00:5E:00:53:01\"", "\"lan0\"").contains("mac"));
    assert!(why("9.2", "/dev/disk/by-id/nvme-EXAMPLE_0002", "/dev/sda").contains("nvme1"));
    assert!(why("9.2", "nvme-EXAMPLE_0002", "nvme-EXAMPLE_00021").contains("length"));
    // The pattern of two disks must not take a third along.
    let other = "nvme-EXAMPLE_0002\" }\nnvme2 = { kind = \"nvme\", size = \"2 TB\", device = \"/dev/disk/by-id/nvme-EXAMPLE_00023";
    assert!(why("9.2", "nvme-EXAMPLE_0002", other).contains("nvme2"));
}

#[test]
fn disks_and_cards_are_found_by_what_udev_says_of_them() {
    let file = |from: &str, to: &str| match answer_of("9.2", |text| text.replace(from, to)) {
        Answer::File(text) => text,
        Answer::Absent(why) => panic!("{why}"),
    };
    assert!(file("", "").contains("ID_SERIAL = \"EXAMPLE_000[12]*\""));
    assert!(file("", "").contains("ID_NET_NAME_MAC = \"*00005e005301\""));
    assert!(file(", mac = \"00:00:5E:00:53:01\"", "").contains("ID_NET_NAME_PATH = \"enp5s0\""));
    assert!(
        file("by-id/nvme-EXAMPLE_000", "by-id/wwn-0x5000c50000000")
            .contains("ID_WWN = \"0x5000c50000000[12]\"")
    );
    assert!(file("layout = \"mirror\"", "layout = \"stripe\"").contains("raid = \"raid0\""));
    let gateway = "address6 = \"fd00::2/64\"\ngateway6 = \"fd00::1\"";
    let v6 = file(
        "address = \"192.168.1.10/24\"\ngateway = \"192.168.1.1\"",
        gateway,
    );
    assert!(
        v6.contains("cidr = \"fd00::2/64\"") && v6.contains("gateway = \"fd00::1\""),
        "{v6}"
    );
}

#[test]
fn a_job_takes_every_option_of_its_own() {
    let built = job(
        "9.2",
        "on = \"01:00\"\nguests = \"all\"\nbwlimit = 50000\nnode = \"pve1\"\nmailto = \"root\"\nstdexcludes = false\n\
         exclude-path = [\"/var/cache\", \"/tmp\"]\nfleecing = { enabled = true, storage = \"vm-disks\" }",
    );
    let file = built.file("etc/pve/jobs.cfg");
    for line in [
        "bwlimit 50000",
        "node pve1",
        "mailto root",
        "stdexcludes 0",
        "exclude-path /var/cache",
        "exclude-path /tmp",
        "fleecing 1,storage=vm-disks",
    ] {
        assert!(file.contains(&format!("\t{line}\n")), "{line}: {file}");
    }
    // Who says who is told means that alone.
    assert!(!file.contains("notification-mode"), "{file}");
}

#[test]
fn a_job_refuses_what_it_does_not_take() {
    let keys = |more: &str| format!("on = \"01:00\"\nguests = \"all\"\n{more}");
    assert_eq!(job("9.2", &keys("ionice = 9")).only(), (Code::MOX0108, "9"));
    assert_eq!(
        job("8.1", &keys("fleecing = \"1\"")).only(),
        (Code::MOX0107, "fleecing")
    );
    assert_eq!(
        job(
            "9.2",
            &keys("fleecing = { enabled = true, storage = \"nowhere\" }")
        )
        .only(),
        (Code::MOX0106, "\"nowhere\"")
    );
    assert_eq!(
        job(
            "9.2",
            &keys("fleecing = { enabled = true, storage = \"backups\" }")
        )
        .only(),
        (Code::MOX0110, "\"backups\"")
    );
    assert_eq!(
        job("9.2", &keys("pool = \"servers\"")).only(),
        (Code::MOX0002, "pool")
    );
    let scrub = "[schedules.scrub]\ntask = \"zfs-scrub\"\non = \"monthly\"\nbwlimit = 5\n";
    assert_eq!(build("9.2", scrub).only(), (Code::MOX0016, "bwlimit"));
}

#[test]
fn what_the_spec_says_of_backups_stands_in_vzdump_conf() {
    let built = build(
        "9.2",
        "[vzdump]\ncompress = \"0\"\nmode = \"stop\"\ntmpdir = \"/srv/tmp\"\nexclude-path = [\"/a\", \"/b\"]\n\
         notification-mode = \"auto\"\nperformance = { max-workers = 4 }\n",
    );
    let file = built.file("etc/vzdump.conf");
    let (_, lines) = file.split_once("\n\n").expect("a header");
    assert_eq!(
        lines,
        "storage: backups\ncompress: 0\nmode: stop\ntmpdir: /srv/tmp\nexclude-path: /a\nexclude-path: /b\n\
         notification-mode: auto\nperformance: max-workers=4\n"
    );
    assert_eq!(
        build("9.2", "[vzdump]\nstorage = \"nas\"\n").only(),
        (Code::MOX0106, "\"nas\"")
    );
}

#[test]
fn what_holds_for_the_datacenter_has_a_file_where_it_is_said() {
    assert!(!build("9.2", "").has("etc/pve/datacenter.cfg"));
    let built = build(
        "9.2",
        "[datacenter]\nkeyboard = \"de\"\nmax-workers = 2\nmigration = { type = \"insecure\", network = \"192.0.2.0/24\" }\n\
         next-id = { lower = 500 }\n",
    );
    assert_eq!(
        built.file("etc/pve/datacenter.cfg"),
        "keyboard: de\nmax_workers: 2\nmigration: insecure,network=192.0.2.0/24\nnext-id: lower=500\n"
    );
    assert_eq!(
        build("9.2", "[datacenter]\nconsole = \"telnet\"\n").only(),
        (Code::MOX0108, "telnet")
    );
    assert_eq!(
        build("9.2", "[datacenter]\nemail-from = \"a\\nb\"\n").only(),
        (Code::MOX0015, "\"a\\nb\"")
    );
}

#[test]
fn what_is_said_and_unset_is_told() {
    let said = |key: &str, unset: &str| vm("9.2", &format!("{key}\nunset = [\"{unset}\"]"));
    for (key, option) in [
        ("description = \"a\"", "description"),
        ("agent = false", "agent"),
        ("localtime = true", "localtime"),
    ] {
        let place = format!("\"{option}\"");
        let built = said(key, option);
        assert_eq!(built.only(), (Code::MOX0016, place.as_str()), "{key}");
        assert_eq!(said(key, "name").told, [], "{key}");
    }
    let swap = |unset: &str| container("9.2", &format!("swap = \"1 GiB\"\nunset = [\"{unset}\"]"));
    assert_eq!(swap("swap").only(), (Code::MOX0016, "\"swap\""));
    assert_eq!(swap("hostname").told, []);
    let backup = |key: &str, unset: &str| {
        let keys = format!("on = \"01:00\"\nguests = \"all\"\n{key}\nunset = [\"{unset}\"]");
        job("9.2", &keys)
    };
    for (key, option, other) in [
        ("persistent = false", "repeat-missed", "notes-template"),
        (
            "mailnotification = \"failure\"",
            "mailnotification",
            "notification-mode",
        ),
    ] {
        let place = format!("\"{option}\"");
        let built = backup(key, option);
        assert_eq!(built.only(), (Code::MOX0016, place.as_str()), "{key}");
        assert_eq!(backup(key, other).told, [], "{key}");
    }
}

#[test]
fn a_host_is_installed_on_one_pool() {
    let text = BASE.replace("{release}", "9.2")
        + "[hardware.disks.more]\nkind = \"ssd\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/ata-EXAMPLE_0003\"\n\
           [storage.pools.more]\nlayout = \"stripe\"\ndisks = [\"more\"]\nboot = true\n";
    assert_eq!(build_text(&text).only(), (Code::MOX0016, "true"));
    assert_eq!(
        build_text(&text.replace("[\"more\"]\nboot = true", "[\"more\"]")).told,
        []
    );
}

#[test]
fn keys_of_secure_boot_lie_in_an_efi_disk_of_4_mib() {
    let keys = |efi: &str| {
        vm(
            "9.2",
            &format!("firmware = \"ovmf\"\nsecure-boot = true\n{efi}"),
        )
    };
    assert_eq!(keys("efi = false").only(), (Code::MOX0016, "true"));
    let of = |size: &str| {
        keys(&format!(
            "efi = {{ dataset = \"vm-disks\", type = \"{size}\" }}"
        ))
    };
    assert_eq!(of("2m").only(), (Code::MOX0024, "true"));
    assert_eq!(of("4m").told, []);
}
