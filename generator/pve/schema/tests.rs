//! The data files are whole, and values are judged by them as Proxmox's API judges them.

use std::ops::Range;

use proptest::prelude::*;

use super::*;

const R81: Release = Release::new(8, 1);
const R84: Release = Release::new(8, 4);
const R90: Release = Release::new(9, 0);
const R92: Release = Release::new(9, 2);

fn documents() -> [(&'static str, &'static Document); 9] {
    [
        ("qm", &QM),
        ("pct", &PCT),
        ("storage", &STORAGE),
        ("jobs", &JOBS),
        ("mapping", &MAPPING),
        ("vzdump", &VZDUMP),
        ("interfaces", &INTERFACES),
        ("datacenter", &DATACENTER),
        ("answer", &ANSWER),
    ]
}

/// Every pattern in the data, also those of earlier releases.
pub(super) fn every_pattern() -> impl Iterator<Item = &'static Pattern> {
    let tables = documents().into_iter().flat_map(|(_, document)| {
        let kinds = document
            .kinds
            .values()
            .filter_map(|kind| kind.options.as_ref());
        kinds
            .chain([&document.options])
            .chain(document.groups.values())
    });
    tables.flat_map(BTreeMap::values).flat_map(|spec| {
        spec.pattern
            .iter()
            .chain(spec.old_patterns.iter().map(|(_, pattern)| pattern))
    })
}

/// The faulty bytes of the value; all of it where the fault is the option's name.
fn range_in(fault: &OptionFault, value: &str) -> Range<usize> {
    match &fault.place {
        Place::Key => 0..value.len(),
        Place::Value(range) => range.clone(),
    }
}

/// Each part of these lines is right, and Proxmox VE reads none of them (asked of its own code).
#[test]
fn parts_that_exclude_each_other_are_told() {
    let disk = "local-zfs:vm-100-disk-0,size=8G";
    for (file, key, right, wrong, what) in [
        (
            ConfigFile::Qm,
            "scsi0",
            "mbps=1",
            "mbps=1,mbps_rd=1",
            "mbps_rd=1",
        ),
        (
            ConfigFile::Qm,
            "scsi0",
            "mbps=0,mbps_rd=1",
            "bps=99,mbps_wr=1",
            "mbps_wr=1",
        ),
        (
            ConfigFile::Qm,
            "scsi0",
            "mbps=0,bps_rd=9",
            "mbps=1,bps_rd=9",
            "bps_rd=9",
        ),
        (
            ConfigFile::Qm,
            "virtio1",
            "iops=9,bps_wr=0",
            "bps=0,bps_wr=0",
            "bps_wr=0",
        ),
        (
            ConfigFile::Qm,
            "ide1",
            "mbps=0,mbps_wr=1",
            "mbps=0.0,mbps_wr=1",
            "mbps_wr=1",
        ),
        (
            ConfigFile::Qm,
            "sata0",
            "bps_rd=99",
            "bps_rd=99,mbps_rd=1",
            "mbps_rd=1",
        ),
        (
            ConfigFile::Qm,
            "virtio0",
            "iops_rd=1,iops_wr=2",
            "iops=1,iops_wr=2",
            "iops_wr=2",
        ),
        (
            ConfigFile::Qm,
            "ide0",
            "bps=9,mbps_max=2",
            "mbps_max=2",
            "mbps_max=2",
        ),
        (
            ConfigFile::Qm,
            "scsi0",
            "iops=1,iops_max=2",
            "iops_max=2",
            "iops_max=2",
        ),
        (
            ConfigFile::Qm,
            "scsi0",
            "mbps=1,mbps_max=2,bps_max_length=3",
            "mbps=1,bps_max_length=3",
            "bps_max_length=3",
        ),
        (
            ConfigFile::Qm,
            "scsi0",
            "scsiblock=0,vendor=a",
            "scsiblock=1,vendor=a",
            "vendor=a",
        ),
        (
            ConfigFile::Qm,
            "ide2",
            "media=cdrom,snapshot=0",
            "media=cdrom,snapshot=1",
            "snapshot=1",
        ),
        (
            ConfigFile::Qm,
            "virtio0",
            "media=disk",
            "media=cdrom",
            "media=cdrom",
        ),
    ] {
        let (right, wrong) = (format!("{disk},{right}"), format!("{disk},{wrong}"));
        assert_eq!(
            check_option(file, R92, key, &right),
            Ok(()),
            "{key}: {right}"
        );
        let fault = fault(file, R92, key, &wrong);
        assert_eq!(&wrong[range_in(&fault, &wrong)], what, "{key}: {wrong}");
    }
    assert_eq!(
        fault(ConfigFile::Pct, R92, "dev0", "mode=0660").message,
        "`dev0` needs `path`"
    );
    let card = "name=eth0,bridge=vmbr0,ip6=auto";
    let managed = format!("{card},host-managed=1");
    let fault = fault(ConfigFile::Pct, R92, "net0", &managed);
    assert_eq!(&managed[range_in(&fault, &managed)], "ip6=auto");
    for more in ["host-managed=0", "host-managed=1,link_down=1"] {
        assert_eq!(
            check_option(ConfigFile::Pct, R92, "net0", &format!("{card},{more}")),
            Ok(())
        );
    }
}

#[test]
fn every_data_file_is_whole() {
    for pattern in every_pattern() {
        // Reading the pattern is what can fail.
        let _ = pattern.matches("");
    }
    for (name, document) in documents() {
        let kinds = document
            .kinds
            .values()
            .filter_map(|kind| kind.options.as_ref());
        let tables: Vec<&Options> = kinds
            .chain([&document.options])
            .chain(document.groups.values())
            .collect();
        let specs: Vec<(&str, &OptionSchema)> = tables
            .iter()
            .flat_map(|t| t.iter().map(|(k, v)| (*k, v)))
            .collect();
        assert!(specs.len() > 5, "{name}");
        for (key, spec) in specs {
            if let Some(group) = spec.keys {
                assert!(
                    document.groups.contains_key(group),
                    "{name}: {key} names the group {group}"
                );
            }
            if let (Some(format), None) = (spec.format, spec.keys) {
                let base = format.trim_end_matches("-list").trim_end_matches("-opt");
                assert_ne!(
                    format::check(base, ""),
                    format::Verdict::Unknown,
                    "{name}: {key} has the format {format}"
                );
            }
            if let Some(default) = spec.default.filter(|_| spec.values.is_some()) {
                assert!(
                    spec.values.iter().flatten().any(|value| *value == default),
                    "{name}: {key}"
                );
            }
        }
        for group in document.groups.values() {
            assert!(
                group.values().filter(|spec| spec.default_key).count() <= 1,
                "{name}"
            );
            for spec in group.values() {
                assert!(
                    spec.alias.is_none_or(|alias| group.contains_key(alias)),
                    "{name}"
                );
                assert!(
                    spec.requires.is_none_or(|other| group.contains_key(other)),
                    "{name}"
                );
            }
        }
    }
}

fn fault(file: ConfigFile<'_>, release: Release, key: &str, value: &str) -> OptionFault {
    match check_option(file, release, key, value) {
        Err(fault) => fault,
        Ok(()) => panic!("{key}: {value} passed"),
    }
}

#[track_caller]
fn refused(
    file: ConfigFile<'_>,
    release: Release,
    key: &str,
    value: &str,
    kind: FaultKind,
    at: &str,
) {
    let fault = fault(file, release, key, value);
    assert_eq!(fault.kind, kind, "{fault:?}");
    match &fault.place {
        Place::Key => assert_eq!(at, "key", "{fault:?}"),
        Place::Value(range) => assert_eq!(&value[range.clone()], at, "{fault:?}"),
    }
}

#[test]
fn takes_what_the_reference_guests_say() {
    let qm = [
        ("agent", "enabled=1,fstrim_cloned_disks=1"),
        ("args", "-device \"x\" -y"),
        ("balloon", "0"),
        ("bios", "ovmf"),
        ("boot", "order=scsi0;net0"),
        ("cores", "8"),
        ("cpu", "host,hidden=1,flags=+pcid"),
        ("cpu", "x86-64-v2-AES"),
        ("cpu", "custom-mine"),
        ("affinity", "0-3,8"),
        (
            "efidisk0",
            "local-zfs:vm-100-disk-0,efitype=4m,pre-enrolled-keys=1,size=1M",
        ),
        ("hookscript", "local:snippets/hook.sh"),
        ("hostpci0", "0000:01:00,pcie=1,x-vga=1"),
        ("hostpci1", "mapping=gpu,pcie=1"),
        ("ide2", "local:iso/virtio-win.iso,media=cdrom"),
        ("ide2", "none,media=cdrom"),
        ("ipconfig0", "ip=10.0.0.2/24,gw=10.0.0.1"),
        ("machine", "pc-q35-8.1"),
        ("machine", "pc-q35-9.2+pve1"),
        ("memory", "8192"),
        ("meta", "creation-qemu=8.1.5,ctime=1700000000"),
        ("name", "web-1"),
        (
            "net0",
            "virtio=BC:24:11:2C:00:01,bridge=vmbr0,firewall=1,tag=10",
        ),
        (
            "net31",
            "model=virtio,macaddr=BC:24:11:2C:00:01,bridge=br-lan",
        ),
        ("numa0", "cpus=0-3,hostnodes=0,memory=4096,policy=bind"),
        ("onboot", "1"),
        (
            "scsi0",
            "local-zfs:vm-100-disk-0,discard=on,iothread=1,size=120G,ssd=1",
        ),
        ("scsi30", "file=local-zfs:vm-100-disk-30"),
        ("scsihw", "virtio-scsi-single"),
        ("serial0", "socket"),
        ("smbios1", "uuid=2f9d6a2e-4a4f-4d7e-8b1c-0a1b2c3d4e5f"),
        ("startup", "order=0,up=30"),
        ("tags", "lan;web"),
        ("tpmstate0", "local-zfs:vm-100-disk-2,size=4M,version=v2.0"),
        ("unused255", "local-zfs:vm-100-disk-9"),
        ("usb13", "host=046d:c52b,usb3=1"),
        ("vga", "none"),
        ("virtiofs0", "shared,cache=auto"),
        ("vmgenid", "1"),
    ];
    for (key, value) in qm {
        assert_eq!(
            check_option(ConfigFile::Qm, R92, key, value),
            Ok(()),
            "{key}: {value}"
        );
    }
    let pct = [
        ("arch", "amd64"),
        ("cmode", "console"),
        ("dev0", "/dev/dri/renderD128,gid=104,mode=0660"),
        ("features", "nesting=1,keyctl=1"),
        ("hostname", "db"),
        ("mp0", "/tank/x,mp=/x,ro=1"),
        (
            "mp1",
            "local-zfs:subvol-201-disk-1,mp=/srv,backup=1,mountoptions=noatime;discard,size=8G",
        ),
        ("nameserver", "10.0.0.1 fe80::1%eth0"),
        (
            "net0",
            "name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:00:02,ip=10.0.0.3/24,gw=10.0.0.1,ip6=auto,type=veth",
        ),
        ("ostype", "nixos"),
        ("rootfs", "local-zfs:subvol-201-disk-0,size=16G"),
        ("searchdomain", "lan.example.org"),
        ("timezone", "Europe/Vienna"),
        ("unprivileged", "1"),
    ];
    for (key, value) in pct {
        assert_eq!(
            check_option(ConfigFile::Pct, R92, key, value),
            Ok(()),
            "{key}: {value}"
        );
    }
    let rest = [
        (ConfigFile::Storage("zfspool"), "pool", "tank/guests"),
        (ConfigFile::Storage("zfspool"), "content", "images,rootdir"),
        (
            ConfigFile::Storage("dir"),
            "content",
            "backup,iso,vztmpl,snippets",
        ),
        (ConfigFile::Storage("dir"), "is_mountpoint", "yes"),
        (
            ConfigFile::Storage("dir"),
            "prune-backups",
            "keep-daily=7,keep-weekly=4",
        ),
        (
            ConfigFile::Storage("pbs"),
            "fingerprint",
            &["ab"; 32].join(":"),
        ),
        (ConfigFile::Job("vzdump"), "schedule", "mon..fri 02:30"),
        (ConfigFile::Job("vzdump"), "vmid", "100,201"),
        (ConfigFile::Job("vzdump"), "compress", "zstd"),
        (
            ConfigFile::Job("vzdump"),
            "notes-template",
            "{{guestname}} \\n {{vmid}}",
        ),
        (ConfigFile::Job("vzdump"), "exclude-path", "/tmp/*"),
        (
            ConfigFile::Mapping(MappingKind::Pci),
            "map",
            "id=10de:2684,iommugroup=14,node=pve,path=0000:01:00",
        ),
        (
            ConfigFile::Mapping(MappingKind::Dir),
            "map",
            "node=pve,path=/tank/shared",
        ),
        (
            ConfigFile::Mapping(MappingKind::Usb),
            "map",
            "id=046d:c52b,node=pve,path=1-2.3",
        ),
        (ConfigFile::Vzdump, "mode", "snapshot"),
        (ConfigFile::Vzdump, "bwlimit", "0"),
        (ConfigFile::Interfaces, "bridge-vids", "2-4094"),
        (ConfigFile::Interfaces, "bridge-vids", "10 20-30"),
        (ConfigFile::Interfaces, "address", "fd00::1/64"),
        (ConfigFile::Interfaces, "post-up", "sysctl -w a=1"),
        (ConfigFile::Interfaces, "hwaddress", "bc:24:11:00:00:01"),
        (
            ConfigFile::Datacenter,
            "migration",
            "secure,network=10.0.0.0/24",
        ),
        (ConfigFile::Answer, "global.keyboard", "de"),
        (ConfigFile::Answer, "network.filter.ID_NET_NAME", "enp*"),
        (ConfigFile::Answer, "disk-setup.zfs.raid", "RAIDZ-1"),
        (ConfigFile::Answer, "global.reboot-on-error", "false"),
    ];
    for (file, key, value) in rest {
        assert_eq!(
            check_option(file, R92, key, value),
            Ok(()),
            "{file}: {key} {value}"
        );
    }
}

#[test]
fn refuses_counts_below_nothing_that_proxmox_takes() {
    use FaultKind::TooSmall;
    let job = ConfigFile::Job("vzdump");
    for file in [job, ConfigFile::Vzdump] {
        refused(file, R92, "zstd", "-5", TooSmall, "-5");
        refused(file, R92, "pigz", "-1", TooSmall, "-1");
        for key in ["zstd", "pigz", "bwlimit", "lockwait", "stopwait", "ionice"] {
            assert_eq!(check_option(file, R92, key, "0"), Ok(()), "{key}");
            assert!(check_option(file, R92, key, "-1").is_err(), "{key}");
        }
    }
    let (qm, pct) = (ConfigFile::Qm, ConfigFile::Pct);
    refused(
        qm,
        R92,
        "scsi0",
        "local-zfs:vm-100-disk-0,iops_rd=-1",
        TooSmall,
        "-1",
    );
    refused(
        qm,
        R92,
        "scsi0",
        "local-zfs:vm-100-disk-0,mbps=-0.5",
        TooSmall,
        "-0.5",
    );
    refused(pct, R92, "net0", "name=eth0,rate=-1", TooSmall, "-1");
    // A device in no group has -1.
    let card = "id=10de:2684,iommugroup=-1,node=a,path=0000:01:00";
    let mapping = ConfigFile::Mapping(MappingKind::Pci);
    assert_eq!(check_option(mapping, R92, "map", card), Ok(()));
}

#[test]
fn refuses_what_fails_only_at_the_guests_start() {
    use FaultKind::*;
    let qm = ConfigFile::Qm;
    refused(qm, R92, "bios", "uefi", NotListed, "uefi");
    refused(qm, R92, "cores", "0", TooSmall, "0");
    refused(qm, R92, "ostype", "nixos", NotListed, "nixos");
    refused(qm, R92, "cores", "four", WrongType, "four");
    refused(qm, R92, "cores", "+4", WrongType, "+4");
    refused(qm, R92, "onboot", "maybe", WrongType, "maybe");
    refused(qm, R92, "name", "my_vm", WrongForm, "my_vm");
    refused(qm, R92, "startup", "0", WrongForm, "0");
    refused(
        qm,
        R92,
        "smbios1",
        &format!("serial={}", "A".repeat(600)),
        WrongLength,
        &format!("serial={}", "A".repeat(600)),
    );
    // IDs are lower-case hex; a device by host or by mapping, not both, not neither.
    refused(qm, R92, "hostpci0", "0A:00.0,pcie=1", WrongForm, "0A:00.0");
    refused(
        qm,
        R92,
        "hostpci0",
        "01:00,mapping=gpu",
        Conflict,
        "mapping=gpu",
    );
    refused(qm, R92, "hostpci0", "pcie=1", Missing, "pcie=1");
    refused(qm, R92, "hostpci16", "01:00", IndexOutOfRange, "key");
    refused(qm, R92, "scsi31", "local:1", IndexOutOfRange, "key");
    refused(qm, R92, "scsi01", "local:1", IndexOutOfRange, "key");
    refused(qm, R92, "scsi", "local:1", UnknownOption, "key");
    refused(qm, R92, "scsi[n]", "local:1", UnknownOption, "key");
    // A group address is no network card's.
    refused(
        qm,
        R92,
        "net0",
        "virtio=BD:24:11:00:00:01,bridge=vmbr0",
        WrongForm,
        "BD:24:11:00:00:01",
    );
    refused(
        qm,
        R92,
        "net0",
        "virtio=BC:24:11:00:00:01,model=e1000",
        Twice,
        "model=e1000",
    );
    refused(qm, R92, "net0", "bridge=vmbr0", Missing, "bridge=vmbr0");
    refused(qm, R92, "net0", "virtio,tag=4095", TooLarge, "4095");
    refused(qm, R92, "net0", "virtio,tag=0", TooSmall, "0");
    refused(
        qm,
        R92,
        "net0",
        "virtio,brige=vmbr0",
        UnknownOption,
        "brige",
    );
    refused(qm, R92, "ipconfig0", "gw=10.0.0.1", Missing, "gw=10.0.0.1");
    refused(qm, R92, "ipconfig0", "ip=10.0.0.2", WrongForm, "10.0.0.2");
    refused(qm, R92, "cpu", "x86-64-v9", NotListed, "x86-64-v9");
    refused(
        qm,
        R92,
        "cpu",
        "host,flags=+pcid;+avx512",
        NotListed,
        "+avx512",
    );
    refused(qm, R92, "cpu", "hidden=1", Missing, "hidden=1");
    refused(qm, R90, "agent", "yes", WrongType, "yes");
    assert_eq!(check_option(qm, R92, "agent", "yes"), Ok(()));
    refused(
        qm,
        R92,
        "cpu",
        "host,reported-model=EPYC",
        UnknownOption,
        "reported-model=EPYC",
    );
    refused(qm, R92, "scsi0", "local:1,size=12 G", WrongForm, "12 G");
    refused(qm, R92, "scsi0", "local:1,size", Twice, "size");
    refused(qm, R92, "scsi0", "local:1,ssd=1,ssd=0", Twice, "ssd=0");
    refused(
        qm,
        R92,
        "scsi0",
        "local:1,volume=local:2",
        Twice,
        "volume=local:2",
    );
    refused(qm, R92, "scsi0", "local:1,ssd=", WrongForm, "ssd=");
    refused(qm, R92, "virtiofs0", "s", WrongForm, "s");
    refused(qm, R92, "audio0", "spice", WrongForm, "spice");
    let pct = ConfigFile::Pct;
    refused(
        pct,
        R92,
        "net0",
        "name=eth0,ip=10.0.0.2",
        WrongForm,
        "10.0.0.2",
    );
    refused(pct, R92, "net0", "bridge=vmbr0", Missing, "bridge=vmbr0");
    refused(
        pct,
        R92,
        "mp0",
        "/tank/../etc,mp=/x",
        WrongForm,
        "/tank/../etc",
    );
    refused(pct, R92, "mp0", "/tank/x", Missing, "/tank/x");
    refused(pct, R92, "mp256", "/tank/x,mp=/x", IndexOutOfRange, "key");
    refused(pct, R92, "memory", "8", TooSmall, "8");
    refused(
        pct,
        R92,
        "nameserver",
        "10.0.0.1 dns.lan",
        WrongForm,
        "dns.lan",
    );
}

#[test]
fn refuses_in_sections_what_their_reader_drops() {
    use FaultKind::*;
    refused(
        ConfigFile::Storage("zfspool"),
        R92,
        "content",
        "images,iso",
        NotListed,
        "iso",
    );
    refused(
        ConfigFile::Storage("dir"),
        R92,
        "content",
        "none,iso",
        Conflict,
        "none",
    );
    refused(
        ConfigFile::Storage("zfspool"),
        R92,
        "sparse",
        "yes",
        WrongType,
        "yes",
    );
    refused(
        ConfigFile::Storage("dir"),
        R92,
        "prune-backups",
        "keep-all=1,keep-last=2",
        Conflict,
        "keep-all=1",
    );
    refused(
        ConfigFile::Storage("dir"),
        R92,
        "nodes",
        "pve,my_node",
        WrongForm,
        "my_node",
    );
    refused(
        ConfigFile::Storage("dir"),
        R92,
        "path",
        "tank",
        WrongForm,
        "tank",
    );
    refused(
        ConfigFile::Storage("btrfs"),
        R92,
        "format",
        "qcow2",
        NotListed,
        "qcow2",
    );
    refused(
        ConfigFile::Storage("zfspol"),
        R92,
        "pool",
        "tank",
        UnknownKind,
        "key",
    );
    refused(
        ConfigFile::Job("vzdump"),
        R92,
        "schedule",
        "0 2 * * *",
        WrongForm,
        "0 2 * * *",
    );
    refused(
        ConfigFile::Job("vzdump"),
        R92,
        "schedule",
        "mon-fri 02:30",
        WrongForm,
        "mon-fri 02:30",
    );
    refused(
        ConfigFile::Job("vzdump"),
        R92,
        "vmid",
        "100,99",
        WrongForm,
        "99",
    );
    refused(
        ConfigFile::Mapping(MappingKind::Dir),
        R92,
        "map",
        "node=pve,path=/a;b",
        WrongForm,
        "/a;b",
    );
    refused(
        ConfigFile::Mapping(MappingKind::Pci),
        R92,
        "map",
        "node=pve,path=0000:01:00",
        Missing,
        "node=pve,path=0000:01:00",
    );
    refused(ConfigFile::Vzdump, R92, "ionise", "7", UnknownOption, "key");
    refused(ConfigFile::Vzdump, R92, "ionice", "9", TooLarge, "9");
    refused(
        ConfigFile::Interfaces,
        R92,
        "bridge-vids",
        "1-4094",
        WrongForm,
        "1-4094",
    );
    refused(ConfigFile::Interfaces, R92, "mtu", "1000", TooSmall, "1000");
    refused(
        ConfigFile::Interfaces,
        R92,
        "mtu",
        "65521",
        TooLarge,
        "65521",
    );
    refused(
        ConfigFile::Answer,
        R92,
        "global.keyboard",
        "xx",
        NotListed,
        "xx",
    );
    refused(
        ConfigFile::Answer,
        R92,
        "global.root-password",
        "short",
        WrongLength,
        "short",
    );
    refused(
        ConfigFile::Answer,
        R92,
        "disk-setup.zfs.ashift",
        "8",
        TooSmall,
        "8",
    );
    refused(
        ConfigFile::Answer,
        R92,
        "network.interface-name-pinning.mapping.bc:24",
        "toolonganinterface",
        WrongLength,
        "toolonganinterface",
    );
}

#[test]
fn knows_when_options_and_values_came_and_went() {
    use FaultKind::*;
    let qm = ConfigFile::Qm;
    refused(qm, R81, "virtiofs0", "shared", NotYet { since: R84 }, "key");
    assert_eq!(check_option(qm, R84, "virtiofs0", "shared"), Ok(()));
    refused(
        qm,
        R81,
        "machine",
        "q35,viommu=intel",
        NotYet {
            since: Release::new(8, 2),
        },
        "viommu",
    );
    refused(
        qm,
        R90,
        "hostpci0",
        "01:00,driver=keep",
        NotYet {
            since: Release::new(9, 1),
        },
        "driver",
    );
    refused(
        qm,
        R90,
        "scsi0",
        "local:1,cyls=4",
        Gone { until: R84 },
        "cyls",
    );
    assert_eq!(check_option(qm, R84, "scsi0", "local:1,cyls=4"), Ok(()));
    refused(
        qm,
        R84,
        "scsi0",
        "local:1,format=cow",
        Gone {
            until: Release::new(8, 3),
        },
        "cow",
    );
    assert_eq!(check_option(qm, R81, "scsi0", "local:1,format=cow"), Ok(()));
    refused(
        qm,
        R81,
        "amd-sev",
        "snp",
        NotYet {
            since: Release::new(8, 3),
        },
        "key",
    );
    refused(
        qm,
        Release::new(8, 3),
        "amd-sev",
        "snp",
        NotYet { since: R84 },
        "snp",
    );
    // Backported to 8.4 after 9.0 was out.
    assert_eq!(
        check_option(qm, R84, "efidisk0", "local:1,ms-cert=2023k"),
        Ok(())
    );
    refused(
        qm,
        R90,
        "efidisk0",
        "local:1,ms-cert=2023k",
        AbsentHere,
        "ms-cert",
    );
    refused(
        qm,
        Release::new(9, 1),
        "efidisk0",
        "local:1,ms-cert=2023k",
        AbsentHere,
        "2023k",
    );
    // An old name of what is new under another one.
    assert_eq!(
        check_option(qm, R81, "agent", "1,freeze-fs-on-backup=0"),
        Ok(())
    );
    refused(
        qm,
        R81,
        "agent",
        "1,freeze-fs=0",
        NotYet { since: R92 },
        "freeze-fs",
    );
    let pct = ConfigFile::Pct;
    refused(
        pct,
        Release::new(8, 0),
        "dev0",
        "/dev/x",
        NotYet { since: R81 },
        "key",
    );
    refused(
        pct,
        R81,
        "mp0",
        "/x,mp=/x,mountoptions=discard",
        WrongForm,
        "discard",
    );
    assert_eq!(
        check_option(pct, R84, "mp0", "/x,mp=/x,mountoptions=discard"),
        Ok(())
    );
    refused(
        pct,
        R90,
        "mp0",
        "/x,mp=/x,idmap=passthrough",
        NotYet { since: R92 },
        "idmap",
    );
    refused(
        ConfigFile::Storage("glusterfs"),
        R90,
        "volume",
        "x",
        Gone { until: R84 },
        "key",
    );
    assert_eq!(
        check_option(ConfigFile::Storage("glusterfs"), R84, "volume", "x"),
        Ok(())
    );
    refused(
        ConfigFile::Storage("dir"),
        R90,
        "maxfiles",
        "3",
        Gone { until: R84 },
        "key",
    );
    refused(
        ConfigFile::Storage("esxi"),
        R81,
        "server",
        "x",
        NotYet {
            since: Release::new(8, 2),
        },
        "key",
    );
    refused(
        ConfigFile::Storage("dir"),
        R81,
        "content",
        "iso,import",
        NotYet {
            since: Release::new(8, 3),
        },
        "import",
    );
    refused(
        ConfigFile::Mapping(MappingKind::Dir),
        R81,
        "map",
        "x",
        NotYet { since: R84 },
        "key",
    );
    refused(
        ConfigFile::Job("vzdump"),
        R81,
        "fleecing",
        "1",
        NotYet {
            since: Release::new(8, 2),
        },
        "key",
    );
    refused(
        ConfigFile::Vzdump,
        R90,
        "notification-policy",
        "always",
        Gone { until: R84 },
        "key",
    );
    assert_eq!(
        check_option(ConfigFile::Storage("zfspool"), R90, "blocksize", "12k"),
        Ok(())
    );
    refused(
        ConfigFile::Storage("zfspool"),
        R92,
        "blocksize",
        "12k",
        WrongForm,
        "12k",
    );
    refused(
        ConfigFile::Answer,
        R84,
        "network.interface-name-pinning.enabled",
        "true",
        NotYet {
            since: Release::new(9, 1),
        },
        "key",
    );
    // A release later than the data is the newest one known.
    assert_eq!(
        check_option(qm, Release::new(9, 9), "virtiofs0", "shared"),
        Ok(())
    );
}

#[test]
fn spells_the_answer_file_by_release() {
    assert_eq!(answer_key(R81, "root-password"), "root_password");
    assert_eq!(answer_key(R84, "root-password"), "root-password");
    let r83 = Release::new(8, 3);
    assert_eq!(
        check_option(
            ConfigFile::Answer,
            r83,
            "global.root_password",
            "longenough"
        ),
        Ok(())
    );
    refused(
        ConfigFile::Answer,
        r83,
        "global.root-password",
        "longenough",
        FaultKind::UnknownOption,
        "key",
    );
    refused(
        ConfigFile::Answer,
        R84,
        "global.root_password",
        "longenough",
        FaultKind::UnknownOption,
        "key",
    );
}

#[test]
fn names_the_nearest_name() {
    let qm = ConfigFile::Qm;
    for (key, value, help) in [
        ("onbot", "1", "did you mean `onboot`?"),
        ("scis3", "x", "did you mean `scsi3`?"),
        ("nett0", "x", "did you mean `net0`?"),
        (
            "scsihw",
            "virtio-scsi-singel",
            "did you mean `virtio-scsi-single`?",
        ),
        ("cpu", "Skylake-Sever", "did you mean `Skylake-Server`?"),
        ("net0", "virtio,brige=vmbr0", "did you mean `bridge`?"),
        ("scsi31", "x", "use `scsi0` to `scsi30`"),
    ] {
        let help_found = fault(qm, R92, key, value).help.unwrap_or_default();
        assert!(help_found.starts_with(help), "{key}: {value}: {help_found}");
    }
    assert_eq!(
        fault(ConfigFile::Storage("zfspol"), R92, "pool", "x")
            .help
            .as_deref(),
        Some("did you mean `zfspool`?")
    );
    assert_eq!(fault(qm, R92, "qqqqqqqq", "1").help, None);
}

proptest! {
    #[test]
    fn never_panics_and_points_into_the_value(
        key in "(scsi|net|cpu|hostpci|boot|efidisk|[a-z]{1,8})[0-9]{0,3}|\\PC{0,8}",
        value in "([a-z0-9:/=,;. é-]{0,40}|(virtio|host|file|local)[=:,]\\PC{0,30})",
    ) {
        for file in [ConfigFile::Qm, ConfigFile::Pct, ConfigFile::Storage("dir"), ConfigFile::Job("vzdump"),
            ConfigFile::Vzdump, ConfigFile::Interfaces, ConfigFile::Answer, ConfigFile::Datacenter] {
            if let Err(fault) = check_option(file, Release::NEWEST, &key, &value) {
                let range = range_in(&fault, &value);
                prop_assert!(value.get(range).is_some());
            }
        }
    }
}
