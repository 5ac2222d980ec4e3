//! Each way in which a check fires, beside a twin that differs in what is right about it.
//!
//! `tests/errors/` has one case a code; many codes are told of several things.

use std::fmt::Write as _;

use super::testing::{host, host_of, told};
use crate::diagnostics::Code;

/// A code, a part of its message, what a host has that fires it, and the twin.
struct Variant {
    code: Code,
    message: &'static str,
    wrong: String,
    right: String,
}

fn variant(code: Code, message: &'static str, text: &str, wrong: &str, right: &str) -> Variant {
    assert!(text.contains("@@"), "{message}: nothing to put in");
    Variant {
        code,
        message,
        wrong: text.replace("@@", wrong),
        right: text.replace("@@", right),
    }
}

const LAN: &str = "[hardware.nics.lan0]\ninterface = \"lan0\"\nmac = \"00:00:5E:00:53:01\"\n";

/// A bridge to the Internet, with further keys.
fn bridge(keys: &str) -> String {
    format!("{LAN}[network.bridges.vmbr0]\nports = [\"lan0\"]\n{keys}\n")
}

fn vm(name: &str, vmid: u32, keys: &str) -> String {
    format!("[vms.{name}]\nos = \"linux\"\nvmid = {vmid}\nmemory = \"4 GiB\"\n{keys}\n")
}

fn card(guest: &str, keys: &str) -> String {
    format!("[[vms.{guest}.network]]\nbridge = \"vmbr0\"\n{keys}\n")
}

const HOME: &str = "address = \"192.168.1.10/24\"\ngateway = \"192.168.1.1\"\n";
const PARTS: &str = "[hardware.disks.a]\nkind = \"ssd\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/ata-a\"\npartition = 3\n\
    [hardware.disks.b]\nkind = \"ssd\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/ata-a\"\npartition = 4\n";
const VOLUMES: &str = "[storage.datasets.vols]\npool = \"rpool\"\nuse = \"vm-disks\"\n";

#[test]
fn each_way_of_a_check_fires_and_its_twin_is_silent() {
    let mut variants = network();
    variants.extend(storage());
    variants.extend(stores());
    variants.extend(mappings());
    variants.extend(guests());
    variants.extend(schedules());
    variants.extend(jobs_elsewhere());
    variants.extend(switched_off());
    let mut faults = String::new();
    for Variant {
        code,
        message,
        wrong,
        right,
    } in variants
    {
        let found = told(&host(&wrong), code);
        if !found.iter().any(|(text, _)| text.contains(message)) {
            writeln!(faults, "{code}: `{message}` is not told: {found:?}").expect("a string");
        }
        let found = told(&host(&right), code);
        if !found.is_empty() {
            writeln!(faults, "{code}: `{message}` has a twin: {found:?}").expect("a string");
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

fn network() -> Vec<Variant> {
    let two = |keys: &str| {
        format!(
            "{LAN}[hardware.nics.lan1]\ninterface = \"@@\"\nmac = \"00:00:5E:00:53:02\"\n{keys}"
        )
    };
    let bond = "[hardware.nics.lan1]\ninterface = \"lan1\"\nmac = \"00:00:5E:00:53:02\"\n\
                [network.bonds.bond0]\nports = [\"lan1\", @@]\nmode = \"active-backup\"\n";
    let gateway = bridge("address = \"192.168.1.10/24\"\ngateway = \"@@\"\n");
    let routed = bridge(HOME)
        + &vm("router", 100, "")
        + &card("router", "@@")
        + &vm("web", 101, "")
        + &card(
            "web",
            "address = \"192.168.1.20/24\"\ngateway = \"router\"\n",
        );
    let eleven: String = (0..11).map(|_| card("web", "firewall = true\n")).collect();
    vec![
        variant(
            Code::MOX0224,
            "`lan0` is the name of a network card, too",
            &format!("{LAN}[network.bridges.@@]\nports = [\"lan0\"]\n"),
            "lan0",
            "vmbr0",
        ),
        variant(
            Code::MOX0224,
            "`vmbr0` is the name of a bridge, too",
            &format!(
                "{}[hardware.nics.lan1]\ninterface = \"lan1\"\nmac = \"00:00:5E:00:53:02\"\n\
                 [network.bonds.@@]\nports = [\"lan1\"]\nmode = \"active-backup\"\n",
                bridge(HOME)
            ),
            "vmbr0",
            "bond0",
        ),
        variant(
            Code::MOX0231,
            "ifupdown2 passes over `brige-ageing`",
            &bridge(&format!("{HOME}extra = [\"@@ 5\"]\n")),
            "brige-ageing",
            "bridge-ageing",
        ),
        variant(
            Code::MOX0108,
            "`soon`",
            &bridge(&format!("{HOME}extra = [\"bridge-ageing @@\"]\n")),
            "soon",
            "5",
        ),
        variant(
            Code::MOX0024,
            "`dhcp-range` changes nothing here",
            &bridge(&format!("{HOME}dhcp-range = \"@@.50-@@.99\"\n")),
            "192.168.2",
            "192.168.1",
        ),
        variant(
            Code::MOX0201,
            "are the same interface",
            &two(""),
            "lan0",
            "lan1",
        ),
        variant(
            Code::MOX0201,
            "`lan0` has two masters",
            &format!("{}{bond}", bridge(HOME)),
            "\"lan0\"",
            "",
        ),
        variant(
            Code::MOX0203,
            "is its own gateway",
            &gateway,
            "192.168.1.10",
            "192.168.1.1",
        ),
        variant(
            Code::MOX0203,
            "stands for the network",
            &gateway,
            "192.168.1.0",
            "192.168.1.1",
        ),
        variant(
            Code::MOX0203,
            "stands for every machine",
            &gateway,
            "192.168.1.255",
            "192.168.1.254",
        ),
        variant(
            Code::MOX0203,
            "where the host has no IPv4 address",
            &bridge("@@gateway = \"192.168.1.1\"\n"),
            "",
            "address = \"192.168.1.10/24\"\n",
        ),
        variant(
            Code::MOX0203,
            "has no IPv4 address to be a gateway by",
            &(bridge("address = \"192.168.1.10/24\"\ngateway = \"router\"\n")
                + "[network.machines.router]\nbridge = \"vmbr0\"\n@@"),
            "",
            "address = \"192.168.1.1\"\n",
        ),
        variant(
            Code::MOX0203,
            "has no fixed IPv4 address on `vmbr0`",
            &routed,
            "address = \"dhcp\"\n",
            "address = \"192.168.1.2/24\"\n",
        ),
        variant(
            Code::MOX0204,
            "has 192.168.1.20 twice",
            &(bridge(HOME)
                + &vm("web", 100, "")
                + &card("web", "address = \"192.168.1.20/24\"\n")
                + &card("web", "address = \"192.168.1.@@/24\"\n")),
            "20",
            "21",
        ),
        variant(
            Code::MOX0204,
            "have the address 192.168.1.2",
            &(bridge(HOME)
                + "[network.machines.nas]\nbridge = \"vmbr0\"\naddress = \"192.168.1.@@\"\n"
                + &vm("web", 100, "")
                + &card("web", "address = \"192.168.1.2/24\"\n")),
            "2",
            "3",
        ),
        variant(
            Code::MOX0207,
            "the host looks for 10.0.5.9 of `nas` on `vmbr1`",
            &(bridge("address = \"10.0.0.1/16\"\n")
                + "[network.bridges.vmbr1]\naddress = \"10.@@.5.1/24\"\n\
                   [network.machines.nas]\nbridge = \"vmbr0\"\naddress = \"10.0.5.9\"\n"),
            "0",
            "1",
        ),
        variant(
            Code::MOX0207,
            "10.0.5.0/24 of `vmbr1` lies inside 10.0.0.0/16 of `vmbr0`",
            &(bridge("address = \"10.0.0.1/16\"\n")
                + "[network.bridges.vmbr1]\naddress = \"10.0.5.1/@@\"\n"),
            "24",
            "32",
        ),
        variant(
            Code::MOX0209,
            "does not carry VLAN 40",
            &(bridge("vlan-aware = true\nvids = [10, 20]\n")
                + &vm("web", 100, "")
                + &card("web", "trunks = [10, @@]\n")),
            "40",
            "20",
        ),
        variant(
            Code::MOX0210,
            "`fwln123456789i10` would have 16",
            &(bridge(HOME) + &vm("web", 123_456_789, "") + &eleven + "@@"),
            "",
            "",
        )
        .with_right(&(bridge(HOME) + &vm("web", 12_345_678, "") + &eleven)),
        variant(
            Code::MOX0210,
            "`bridge_twelvev100` would have 17",
            &(format!(
                "{LAN}[network.bridges.bridge_twelve]\nports = [\"lan0\"]\nvlan-aware = @@\n"
            ) + &vm("web", 100, "")
                + "[[vms.web.network]]\nbridge = \"bridge_twelve\"\nvlan = 100\n"),
            "false",
            "true",
        ),
        variant(
            Code::MOX0211,
            "its port `bond0` takes 1500",
            "[hardware.nics]\na = { interface = \"lan0\", mac = \"00:00:5E:00:53:01\" }\nb = { interface = \"lan1\", mac = \"00:00:5E:00:53:02\" }\n\
             [network.bonds.bond0]\nports = [\"a\", \"b\"]\nmode = \"active-backup\"\nmtu = @@\n\
             [network.bridges.vmbr0]\nports = [\"bond0\"]\nmtu = 9000\n",
            "1500",
            "9000",
        ),
        variant(
            Code::MOX0213,
            "no interface has an address",
            &bridge("@@"),
            "",
            "address = \"192.168.1.10/24\"\n",
        ),
        variant(
            Code::MOX0214,
            "the order in which the kernel finds cards",
            "[hardware.nics.lan0]\ninterface = \"eth0\"\n@@[network.bridges.vmbr0]\nports = [\"lan0\"]\n",
            "",
            "mac = \"00:00:5E:00:53:01\"\n",
        ),
        variant(
            Code::MOX0217,
            "VLAN 30 on `vmbr1`",
            &(bridge(HOME)
                + "[network.bridges.vmbr1]\nvlan-aware = @@\n"
                + &vm("web", 100, "")
                + "[[vms.web.network]]\nbridge = \"vmbr1\"\nvlan = 30\n"),
            "false",
            "true",
        ),
    ]
}

#[test]
fn the_state_of_a_tpm_is_of_a_format_that_the_release_reads() {
    let found = |release: &str, format: &str| {
        let tpm = format!(
            "tpm = {{ store = \"local\", volume = \"100/vm-100-disk-1{format}\", size = \"4 MiB\" }}"
        );
        let spec = format!(
            "[host]\nname = \"pve1\"\nrelease = \"{release}\"\ntimezone = \"UTC\"\n[storage.local]\nuse = [\"vm-disks\"]\n{}",
            vm("web", 100, &tpm)
        );
        let found = told(&host_of(&spec), Code::MOX0661);
        found
            .iter()
            .any(|(text, _)| text.contains("the state of its TPM is an image of qcow2"))
    };
    assert!(found("9.0", ".qcow2"));
    assert!(found("8.1", ".qcow2"));
    assert!(!found("9.0", ".raw"));
    assert!(!found("9.1", ".qcow2"));
}

#[test]
fn a_machine_is_of_a_qemu_that_the_release_has() {
    let found = |release: &str, machine: &str| {
        let machine = format!("machine = \"{machine}\"");
        let spec = format!(
            "[host]\nname = \"pve1\"\nrelease = \"{release}\"\ntimezone = \"UTC\"\n{}",
            vm("web", 100, &machine)
        );
        let found = told(&host_of(&spec), Code::MOX0661);
        found
            .iter()
            .any(|(text, _)| text.contains("its machine is of QEMU"))
    };
    assert!(found("8.1", "pc-q35-9.0"));
    assert!(found("8.4", "pc-i440fx-10.1+pve0,viommu=virtio"));
    // The next release's comes to this one as an update.
    assert!(!found("8.2", "pc-q35-9.0"));
    assert!(!found("8.1", "q35"));
    // Of the newest release nobody knows.
    assert!(!found("9.2", "pc-q35-12.0"));
}

#[test]
fn backups_in_local_lie_on_the_group_that_the_installer_made() {
    let spec = |boot: &str| {
        format!(
            "[host]\nname = \"pve1\"\nrelease = \"9.1\"\ntimezone = \"UTC\"\n{}\
             [storage.local]\nuse = \"backups\"\n\
             [storage.lvm.guests]\ngroup = \"pve\"\nthin-pool = \"data\"\nuse = \"vm-disks\"\nboot = {boot}\n\
             {}[vms.web.disks]\nroot = {{ store = \"guests\", size = \"8 GiB\" }}\n\
             [schedules.b]\ntask = \"vzdump-backup\"\non = \"01:00\"\nstorage = \"local\"\nkeep = {{ last = 2 }}\n",
            bridge(HOME),
            vm("web", 100, "")
        )
    };
    let found = told(&host_of(&spec("true")), Code::MOX0317);
    assert!(
        found[0].0.contains("on the volume group of the guests"),
        "{found:?}"
    );
    assert!(told(&host_of(&spec("false")), Code::MOX0317).is_empty());
}

impl Variant {
    fn with_right(self, right: &str) -> Self {
        Self {
            right: right.to_owned(),
            ..self
        }
    }
}

/// Two machines with drives that options name.
fn two_with(first: &str, second: &str) -> String {
    let drive = |name: &str, vmid, device: &str| {
        vm(name, vmid, "") + &format!("[vms.{name}.extra]\nscsi3 = \"{device}\"\n")
    };
    drive("web", 100, first) + &drive("mail", 101, second)
}

fn storage() -> Vec<Variant> {
    let disk = |name: &str, keys: &str| {
        format!("[hardware.disks.{name}]\nkind = \"hdd\"\nsize = \"4 TB\"\n{keys}\n")
    };
    let own = |name: &str| disk(name, &format!("device = \"/dev/disk/by-id/ata-{name}\""));
    let four = own("a") + &own("b") + &own("c") + &own("d");
    let tank = |keys: &str| format!("{four}[storage.pools.tank]\n{keys}\n");
    vec![
        variant(
            Code::MOX0303,
            "`/dev/disk/by-id/nvme-1` is a disk of the pool `rpool`",
            &format!(
                "[hardware.disks.spare]\nkind = \"ssd\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/ata-9\"\n{}",
                vm("web", 100, "disks.root = { device = \"@@\" }")
            ),
            "nvme1",
            "spare",
        ),
        variant(
            Code::MOX0302,
            "`mail` and `web` have the disk `/dev/disk/by-id/ata-9`",
            &two_with("/dev/disk/by-id/ata-9", "/dev/disk/by-id/ata-@@"),
            "9",
            "8",
        ),
        variant(
            Code::MOX0302,
            "`web` has the disk `/dev/disk/by-id/ata-9` twice",
            &(vm("web", 100, "")
                + "[vms.web.extra]\nscsi3 = \"/dev/disk/by-id/ata-9\"\nscsi4 = \"/dev/disk/by-id/ata-@@\"\n"),
            "9",
            "8",
        ),
        variant(
            Code::MOX0302,
            "the disk `spare` is used twice",
            "[hardware.disks.spare]\nkind = \"ssd\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/ata-9\"\n\
             [hardware.disks.other]\nkind = \"ssd\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/ata-8\"\n\
             [storage.pools.tank]\nlayout = \"stripe\"\ndisks = [\"@@\"]\n\
             [storage.lvm.vols]\ngroup = \"vols\"\ndisks = [\"spare\"]\nuse = \"vm-disks\"\n",
            "spare",
            "other",
        ),
        variant(
            Code::MOX0301,
            "one has no partner",
            &tank("layout = \"raid10\"\ndisks = [\"a\", \"b\", \"c\", \"d\", @@]"),
            "\"nvme2\"",
            "",
        )
        .with_disk(&own("nvme2")),
        variant(
            Code::MOX0301,
            "as a mirror has 1 disk",
            &tank("layout = \"mirror\"\ndisks = [\"a\", \"b\"]\nlog = { layout = \"mirror\", disks = [\"c\", @@] }"),
            "",
            "\"d\"",
        ),
        variant(
            Code::MOX0302,
            "are the same disk",
            &(own("a") + &disk("b", "device = \"/dev/disk/by-id/ata-@@\"")),
            "a",
            "b",
        ),
        variant(
            Code::MOX0302,
            "are the same disk",
            &(disk("a", "device = \"/dev/disk/by-id/ata-a\"\nserial = \"S1\"")
                + &disk("b", "device = \"/dev/disk/by-id/ata-b\"\nserial = \"@@\"")),
            "S1",
            "S2",
        ),
        // One hot spare may stand by for two pools.
        variant(
            Code::MOX0302,
            "is used twice",
            &(format!("{four}{}", own("e"))
                + "[storage.pools.one]\nlayout = \"mirror\"\ndisks = [\"a\", \"b\"]\nspare = { disks = [\"e\"] }\n\
                   [storage.pools.two]\nlayout = \"mirror\"\ndisks = [\"c\", \"d\"]\n@@ = { disks = [\"e\"] }\n"),
            "cache",
            "spare",
        ),
        variant(
            Code::MOX0304,
            "`/dev/sdb1` is another disk",
            "[storage.external.usb]\nkind = \"dir\"\npath = \"/mnt/usb\"\nfs = \"ext4\"\nuse = \"backups\"\ndevice = \"@@\"\n",
            "/dev/sdb1",
            "/dev/disk/by-label/usb",
        ),
        variant(Code::MOX0315, "weaker than its data", &tank("layout = \"raidz2\"\ndisks = [\"a\", \"b\", \"c\", \"d\"]\nspecial = { disks = [@@] }"), "\"e\", \"f\"", "\"e\", \"f\", \"g\"")
            .with_disk(&(own("e") + &own("f") + &own("g"))),
        variant(Code::MOX0320, "ZFS ignores it", "[storage]\narc-max = \"@@\"\n", "32 MiB", "64 MiB"),
        variant(Code::MOX0320, "ZFS ignores it", "[storage]\narc-max = \"@@\"\n", "64 GiB", "8 GiB"),
        variant(
            Code::MOX0310,
            "the volumes in `thick` take 100 GiB, and it has 80 GiB",
            &(format!("[storage.lvm.thick]\ngroup = \"old\"\nsize = \"80 GiB\"\nuse = \"vm-disks\"\n{}", vm("web", 100, ""))
                + "[vms.web.disks]\nroot = { store = \"thick\", size = \"40 GiB\" }\ndata = { store = \"thick\", size = \"@@ GiB\" }\n"),
            "60",
            "40",
        ),
        // Two partitions of one disk have no more than the disk.
        variant(
            Code::MOX0310,
            "the volumes in `parts` take 950 GiB, and it has at most 931.32 GiB",
            &(PARTS.to_owned()
                + "[storage.lvm.parts]\ngroup = \"old\"\ndisks = [\"a\", \"b\"]\nuse = \"vm-disks\"\n"
                + &vm("web", 100, "")
                + "[vms.web.disks]\nroot = { store = \"parts\", size = \"@@ GiB\" }\n"),
            "950",
            "900",
        ),
        variant(
            Code::MOX0312,
            "what lies in `parts` can grow to at least 171 % of it",
            &(PARTS.to_owned()
                + "[storage.lvm.parts]\ngroup = \"old\"\nthin-pool = \"data\"\ndisks = [\"a\"]\nuse = \"vm-disks\"\n"
                + &vm("web", 100, "")
                + "[vms.web.disks]\nroot = { store = \"parts\", size = \"@@ GiB\" }\n"),
            "1600",
            "1300",
        ),
        variant(
            Code::MOX0310,
            "`parts` is to keep 964.86 GiB free, and offers at most 899.25 GiB",
            &(PARTS.to_owned()
                + "[storage.pools.parts]\nlayout = \"stripe\"\ndisks = [\"a\"]\n\
                   [storage.datasets.thick]\npool = \"parts\"\nuse = \"vm-disks\"\nthin = false\n"
                + &vm("web", 100, "")
                + "[vms.web.disks]\nroot = { dataset = \"thick\", size = \"@@ GiB\" }\n"),
            "950",
            "800",
        ),
        variant(
            Code::MOX0312,
            "what lies on `parts` can grow to at least 180 % of it",
            &(PARTS.to_owned()
                + "[storage.pools.parts]\nlayout = \"stripe\"\ndisks = [\"a\"]\n\
                   [storage.datasets.thin]\npool = \"parts\"\nuse = \"vm-disks\"\n"
                + &vm("web", 100, "")
                + "[vms.web.disks]\nroot = { dataset = \"thin\", size = \"@@ GiB\" }\n"),
            "1600",
            "1200",
        ),
        // How large a partition is nobody knows, so no two of them differ.
        variant(
            Code::MOX0305,
            "the disks of `uneven` differ in size",
            "[hardware.disks.a]\nkind = \"ssd\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/ata-a\"\n\
             [hardware.disks.b]\nkind = \"ssd\"\nsize = \"2 TB\"\ndevice = \"/dev/disk/by-id/ata-b\"\n@@\
             [storage.pools.uneven]\nlayout = \"mirror\"\ndisks = [\"a\", \"b\"]\n",
            "",
            "partition = 4\n",
        ),
        variant(
            Code::MOX0310,
            "`made` is to have 3.72 TiB, and its disks have 3.63 TiB",
            &(own("a") + "[storage.lvm.made]\ngroup = \"new\"\ndisks = [\"a\"]\nsize = \"@@ TB\"\nuse = \"vm-disks\"\n"),
            "4.1",
            "3.9",
        ),
        variant(
            Code::MOX0312,
            "what lies in `thin` can grow to 175 % of it",
            &(format!("[storage.lvm.thin]\ngroup = \"old\"\nthin-pool = \"data\"\nsize = \"80 GiB\"\nuse = \"vm-disks\"\n{}", vm("web", 100, ""))
                + "[vms.web.disks]\nroot = { store = \"thin\", size = \"@@ GiB\" }\n"),
            "140",
            "120",
        ),
        variant(
            Code::MOX0317,
            "lie on the pool of the guests",
            &(VOLUMES.to_owned()
                + "[storage.datasets.files]\npool = \"rpool\"\nuse = \"share\"\n\
                   [storage.external.inside]\nkind = \"dir\"\npath = \"@@\"\nuse = \"backups\"\n"
                + &vm("web", 100, "")
                + "[vms.web.disks]\nroot = { dataset = \"vols\", size = \"8 GiB\" }\n\
                   [schedules.b]\ntask = \"vzdump-backup\"\non = \"01:00\"\nstorage = \"inside\"\nkeep = { last = 2 }\n"),
            "/rpool/files/backups",
            "/srv/backups",
        ),
    ]
}

impl Variant {
    /// Puts further tables in front of both.
    fn with_disk(self, disk: &str) -> Self {
        Self {
            wrong: format!("{disk}{}", self.wrong),
            right: format!("{disk}{}", self.right),
            ..self
        }
    }
}

/// What a store cannot be, and a job cannot have.
fn stores() -> Vec<Variant> {
    vec![
        variant(
            Code::MOX0016,
            "`mixed` is for volumes and for files",
            "[storage.datasets.mixed]\npool = \"rpool\"\nuse = [\"vm-disks\", \"@@\"]\n",
            "iso",
            "containers",
        ),
        variant(
            Code::MOX0103,
            "two stores are called `vols`",
            &format!(
                "{VOLUMES}[storage.external.@@]\nkind = \"dir\"\npath = \"/mnt/b\"\nuse = \"backups\"\n"
            ),
            "vols",
            "box",
        ),
        variant(
            Code::MOX0004,
            "the key `target` is missing",
            "[storage.external.san]\nkind = \"iscsi\"\nuse = \"vm-disks\"\nportal = \"192.168.1.5\"\n@@",
            "",
            "target = \"iqn.2024-01.net.example:disks\"\n",
        ),
        variant(
            Code::MOX0330,
            "`/mnt/größe`",
            "[storage.external.box]\nkind = \"dir\"\npath = \"/mnt/@@\"\nuse = \"backups\"\n",
            "größe",
            "groesse",
        ),
        variant(
            Code::MOX0016,
            "has no `random-delay`",
            "[storage.external.box]\nkind = \"dir\"\npath = \"/mnt/b\"\nuse = \"backups\"\n\
             [schedules.b]\ntask = \"vzdump-backup\"\non = \"01:00\"\nstorage = \"box\"\nkeep = { last = 2 }\n@@",
            "random-delay = \"5m\"\n",
            "",
        ),
        variant(
            Code::MOX0108,
            "no store for the TPM of `web`",
            &("@@".to_owned() + &vm("web", 100, "tpm = true\n")),
            "",
            VOLUMES,
        ),
    ]
}

/// Devices and folders that cannot be mapped, or only under another name.
fn mappings() -> Vec<Variant> {
    let share = |dataset: &str| {
        format!("[[vms.web.shares]]\ndataset = \"{dataset}\"\nmount = \"/mnt/{dataset}\"\n")
    };
    let folder =
        |name: &str| format!("[storage.datasets.{name}]\npool = \"rpool\"\nuse = \"share\"\n");
    let device = "[hardware.pci.hba]\naddress = \"0b:00.0\"\nclass = \"storage\"\n";
    vec![
        variant(
            Code::MOX0551,
            "`hba` is passed through by its address alone",
            &(device.to_owned() + "@@" + &vm("web", 100, "passthrough = [\"hba\"]")),
            "",
            "id = \"1000:0097\"\n",
        ),
        variant(
            Code::MOX0551,
            "`hba` is not a mapping, as it has no `id`",
            &format!("{device}mapping = @@\n"),
            "true",
            "false",
        ),
        variant(
            Code::MOX0551,
            "`stick` is not a mapping, as it has no `id`",
            "[hardware.usb.stick]\nport = \"1-2\"\n@@mapping = true\n",
            "",
            "id = \"046d:c52b\"\n",
        ),
        variant(
            Code::MOX0012,
            "no mapping of the name `hba.0`",
            &(device.replace("hba", "\"@@\"")
                + "id = \"1000:0097\"\n"
                + &vm("web", 100, "passthrough = [\"@@\"]")),
            "hba.0",
            "hba-0",
        ),
        variant(
            Code::MOX0012,
            "no mapping of the name `a.b`",
            &(folder("\"@@\"") + &vm("web", 100, "") + &share("@@")),
            "a.b",
            "ab",
        ),
        variant(
            Code::MOX0012,
            "is too long for a shared folder",
            &(folder("@@") + &vm("web", 100, "") + &share("@@")),
            "a234567890123456789012345678901234567",
            "a23456789012345678901234567890123456",
        ),
        variant(
            Code::MOX0016,
            "`web` gets `files` twice",
            &(folder("files")
                + &folder("more")
                + &vm("web", 100, "")
                + &share("files")
                + "[[vms.web.shares]]\ndataset = \"@@\"\nmount = \"/mnt/b\"\n"),
            "files",
            "more",
        ),
    ]
}

fn guests() -> Vec<Variant> {
    let windows = |keys: &str, disk: &str| {
        format!(
            "{VOLUMES}[vms.win]\nos = \"windows11\"\nvmid = 100\n{keys}\n[vms.win.disks]\nc = {{ dataset = \"vols\", size = \"{disk}\" }}\n"
        )
    };
    let files = "[storage.datasets.files]\npool = \"rpool\"\nuse = \"share\"\n";
    let extra =
        |keys: &str, extra: &str| format!("{}[vms.web.extra]\n{extra}\n", vm("web", 100, keys));
    let rule = |compared: &str| {
        let firewall = format!("firewall.rules = [{{ action = \"accept\", {compared} }}]");
        bridge(HOME) + &vm("web", 100, &firewall) + &card("web", "firewall = true\n")
    };
    let gpu = "[hardware.pci]\ngpu = { address = \"01:00.0\", class = \"gpu\", id = \"10de:2504\" }\nigpu = { address = \"00:02.0\", class = \"gpu\", id = \"8086:4680\" }\n";
    let container = "[storage.datasets.roots]\npool = \"rpool\"\nuse = \"containers\"\n\
                     [containers.ct]\nos = \"debian\"\nvmid = 200\nmemory = \"1 GiB\"\ntemplate = \"local:vztmpl/debian.tar.zst\"\nrootfs = { dataset = \"roots\", size = \"8 GiB\" }\n";
    vec![
        variant(
            Code::MOX0605,
            "`web` wants 5 places on the bus `ide`, one of them for cloud-init",
            &format!(
                "{VOLUMES}{}[vms.web.disks]\n{}",
                vm("web", 100, "cloud-init = { user = \"a\"@@ }\n"),
                ["a", "b", "c", "d"].map(|name| format!("{name} = {{ dataset = \"vols\", size = \"8 GiB\", bus = \"ide\" }}\n")).concat()
            ),
            "",
            ", bus = \"scsi\"",
        ),
        variant(
            Code::MOX0406,
            "not a whole number of its pages",
            &vm(
                "web",
                100,
                "hugepages = \"2 MiB\"\ncpu = { cores = 2, sockets = @@ }",
            ),
            "3",
            "2",
        ),
        variant(
            Code::MOX0408,
            "with NUMA nodes of its own",
            &extra("numa = true", "hotplug = \"memory\"\n@@"),
            "numa0 = \"cpus=0,memory=4096\"\n",
            "",
        ),
        variant(
            Code::MOX0408,
            "with no `numa`",
            &extra("numa = @@", "hotplug = \"memory\"\n"),
            "false",
            "true",
        ),
        variant(
            Code::MOX0407,
            "has no memory",
            &extra("numa = true", "numa0 = \"cpus=0@@\"\n"),
            "",
            ",memory=4096",
        ),
        variant(
            Code::MOX0407,
            "nodes of the host, and no policy",
            &extra(
                "numa = true",
                "numa0 = \"cpus=0,memory=4096,hostnodes=0@@\"\n",
            ),
            "",
            ",policy=bind",
        ),
        variant(
            Code::MOX0407,
            "huge pages of no node of the host",
            &extra(
                "hugepages = \"2 MiB\"",
                "numa0 = \"cpus=0,memory=4096@@\"\n",
            ),
            "",
            ",hostnodes=0,policy=bind",
        ),
        variant(
            Code::MOX0407,
            "huge pages of several nodes of the host",
            &extra(
                "hugepages = \"2 MiB\"",
                "numa0 = \"cpus=0,memory=4096,hostnodes=@@,policy=bind\"\n",
            ),
            "0-1",
            "0",
        ),
        variant(
            Code::MOX0408,
            "with a share by virtio-fs",
            &extra("numa = true", "hotplug = \"memory\"\n@@"),
            "virtiofs0 = \"dirid=data\"\n",
            "",
        ),
        // A hook script describes the memory, and `numa` with it, unless there are huge pages.
        variant(
            Code::MOX0408,
            "with a share by virtio-fs",
            &format!(
                "{}[storage.datasets.files]\npool = \"rpool\"\nuse = \"share\"\nmountpoint = \"/srv/files\"\n\
                 [[vms.web.shares]]\ndataset = \"files\"\nmount = \"/mnt/files\"\nread-only = true\n",
                extra("numa = true\n@@", "hotplug = \"memory\"\n")
            ),
            "",
            "hugepages = \"2 MiB\"",
        ),
        variant(
            Code::MOX0408,
            "less than 1 GiB of memory",
            &extra("numa = true", "hotplug = \"memory\"\n")
                .replace("memory = \"4 GiB\"", "memory = \"@@\""),
            "512 MiB",
            "1 GiB",
        ),
        variant(
            Code::MOX0408,
            "with 17920 MiB of memory",
            &extra("numa = true", "hotplug = \"memory\"\n")
                .replace("memory = \"4 GiB\"", "memory = \"@@\""),
            "17920 MiB",
            "18 GiB",
        ),
        variant(
            Code::MOX0024,
            "`numa0` changes nothing here",
            &extra("@@", "numa0 = \"cpus=0,memory=4096\"\n"),
            "",
            "numa = true",
        ),
        variant(
            Code::MOX0405,
            "huge pages for `web` without `numa`",
            &vm("web", 100, "hugepages = \"any\"\nnuma = @@\n"),
            "false",
            "true",
        ),
        variant(
            Code::MOX0643,
            "wants a processor of AMD",
            &("[hardware.cpu]\nvendor = \"@@\"\n".to_owned()
                + &extra("firmware = \"ovmf\"", "amd-sev = \"type=std\"\n")),
            "intel",
            "amd",
        ),
        variant(
            Code::MOX0661,
            "`amd-sev` without OVMF",
            &extra("firmware = \"@@\"", "amd-sev = \"type=std\"\n"),
            "seabios",
            "ovmf",
        ),
        variant(
            Code::MOX0661,
            "`intel-tdx` without OVMF",
            &extra(
                "firmware = \"@@\"",
                "intel-tdx = \"type=tdx,attestation=0\"\n",
            ),
            "seabios",
            "ovmf",
        ),
        variant(
            Code::MOX0661,
            "the processor `host` without KVM",
            &extra("cpu = { type = \"@@\" }", "kvm = 0\n"),
            "host",
            "max",
        ),
        variant(
            Code::MOX0661,
            "4 processors at the start, and 2 in all",
            &extra("cpu = { cores = 2 }", "vcpus = @@\n"),
            "4",
            "2",
        ),
        variant(
            Code::MOX0661,
            "a clipboard on the display `serial0`",
            &extra("display = \"@@,clipboard=vnc\"", ""),
            "serial0",
            "virtio",
        ),
        variant(
            Code::MOX0661,
            "`usb5` is beyond the first 5",
            &extra("", "ostype = \"@@\"\nusb5 = \"host=1-2\"\n"),
            "other",
            "l26",
        ),
        variant(
            Code::MOX0661,
            "`usb5` is beyond the first 5",
            &extra("machine = \"pc-q35-@@\"", "usb5 = \"host=1-2\"\n"),
            "7.0",
            "7.1",
        ),
        variant(
            Code::MOX0661,
            "Intel's IOMMU in a machine that is not `q35`",
            &extra("machine = \"@@,viommu=intel\"", ""),
            "pc",
            "q35",
        ),
        variant(
            Code::MOX0661,
            "`aw-bits` without `viommu`",
            &extra("machine = \"q35,aw-bits=48@@\"", ""),
            "",
            ",viommu=intel",
        ),
        variant(
            Code::MOX0661,
            "Intel's IOMMU has no addresses of 40 bits",
            &extra("machine = \"q35,viommu=intel,aw-bits=@@\"", ""),
            "40",
            "39",
        ),
        variant(
            Code::MOX0661,
            "of `scsi3` through a cache",
            &(VOLUMES.to_owned()
                + &extra("", "scsi3 = \"vols:vm-100-disk-7,aio=native,cache=@@\"\n")),
            "writeback",
            "directsync",
        ),
        variant(
            Code::MOX0661,
            "is no image of `qcow2`",
            &(VOLUMES.to_owned() + &extra("", "scsi3 = \"vols:vm-100-disk-7,format=@@\"\n")),
            "qcow2",
            "raw",
        ),
        variant(
            Code::MOX0661,
            "`legacy-igd` beside a display of QEMU's",
            &extra(
                "machine = \"pc\"\n@@",
                "hostpci0 = \"host=00:02.0,legacy-igd=1\"\n",
            ),
            "",
            "display = \"none\"",
        ),
        variant(
            Code::MOX0661,
            "`legacy-igd` in a machine of the type `q35`",
            &extra(
                "machine = \"@@\"\ndisplay = \"none\"",
                "hostpci0 = \"host=00:02.0,legacy-igd=1\"\n",
            ),
            "q35",
            "pc",
        ),
        variant(
            Code::MOX0661,
            "`legacy-igd` of another card than 00:02.0",
            &extra(
                "machine = \"pc\"\ndisplay = \"none\"",
                "hostpci0 = \"host=@@,legacy-igd=1\"\n",
            ),
            "01:00.0",
            "00:02.0",
        ),
        variant(
            Code::MOX0661,
            "`legacy-igd` with `x-vga`",
            &extra(
                "machine = \"pc\"\ndisplay = \"none\"",
                "hostpci0 = \"host=00:02.0,legacy-igd=1@@\"\n",
            ),
            ",x-vga=1",
            "",
        ),
        variant(
            Code::MOX0661,
            "`legacy-igd` without the card's ROM",
            &extra(
                "machine = \"pc\"\ndisplay = \"none\"",
                "hostpci0 = \"host=00:02.0,legacy-igd=1@@\"\n",
            ),
            ",rombar=0",
            "",
        ),
        variant(
            Code::MOX0661,
            "there is no machine `q35` of this architecture",
            &extra(
                "machine = \"@@\"\ncpu = { type = \"max\" }\nfirmware = \"ovmf\"",
                "arch = \"aarch64\"\n",
            ),
            "q35",
            "virt",
        ),
        variant(
            Code::MOX0661,
            "two cards are called `eth0`",
            &(bridge(HOME)
                + container
                + "network = [{ bridge = \"vmbr0\", name = \"eth0\" }, { bridge = \"vmbr0\", name = \"@@\" }]\n"),
            "eth0",
            "lan",
        ),
        variant(
            Code::MOX0511,
            "have `/dev/ttyS0`",
            &(vm("web", 100, "serial = [\"/dev/ttyS0\"]") + &vm("db", 101, "serial = [\"@@\"]")),
            "/dev/ttyS0",
            "socket",
        ),
        variant(
            Code::MOX0511,
            "`web` has `/dev/parport0` twice",
            &vm(
                "web",
                100,
                "parallel0 = \"/dev/parport0\"\nparallel1 = \"/dev/parport@@\"",
            ),
            "0",
            "1",
        ),
        variant(
            Code::MOX0024,
            "`ssh-keys` changes nothing here",
            &container
                .replace("rootfs = { dataset = \"roots\"", "ssh-keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJz1q0mZ3yq3mZ6mT0hJ8yZ7bX5Y1c4kqzv0b3JrX3bP me\"]\nrootfs = { dataset = \"roots\"@@"),
            ", volume = \"subvol-200-disk-0\"",
            "",
        ),
        variant(
            Code::MOX0024,
            "`bridge-fd` changes nothing here",
            &bridge(&format!("{HOME}kind = \"@@\"\nbridge-fd = 3\n")),
            "ovs",
            "linux",
        ),
        variant(
            Code::MOX0024,
            "`autostart` changes nothing here",
            &vm("web", 100, "template = @@\nautostart = true"),
            "true",
            "false",
        ),
        variant(
            Code::MOX0616,
            "`pve1` has the broadcast address of its network",
            &bridge("address = \"192.168.1.10/24\"\naddresses = [\"10.0.0.@@/24\"]"),
            "255",
            "25",
        ),
        variant(
            Code::MOX0662,
            "ports of a protocol that has none",
            &rule("protocol = \"@@\", port = 22"),
            "gre",
            "sctp",
        ),
        variant(
            Code::MOX0662,
            "ports of ICMP",
            &rule("protocol = \"icmp\", port = \"@@\""),
            "22",
            "echo-request",
        ),
        variant(
            Code::MOX0662,
            "a type of ICMP that its protocol does not have",
            &rule("protocol = \"icmp\", icmp-type = \"@@\""),
            "no-route",
            "echo-request",
        ),
        variant(
            Code::MOX0662,
            "a type of ICMP without its protocol",
            &rule("@@icmp-type = \"echo-request\""),
            "",
            "protocol = \"icmp\", ",
        ),
        variant(
            Code::MOX0662,
            "`icmp-type` beside `port`",
            &rule("protocol = \"icmp\", icmp-type = \"echo-request\"@@"),
            ", port = \"echo-request\"",
            "",
        ),
        variant(
            Code::MOX0662,
            "`protocol` beside a macro that says it in another way",
            &rule("macro = \"SSH\", protocol = \"@@\""),
            "udp",
            "tcp",
        ),
        variant(
            Code::MOX0662,
            "no set `lan`",
            &(rule("from = \"+@@lan\"")
                + "[keep.\"etc/pve/firewall/cluster.fw\"]\ntext = \"[IPSET lan]\\n\"\n"),
            "guest/",
            "dc/",
        ),
        variant(
            Code::MOX0662,
            "no security group `web`",
            &(rule("port = 22, protocol = \"tcp\" }, { group = \"@@\"")
                + "[keep.\"etc/pve/firewall/cluster.fw\"]\ntext = \"[group mail]\\n\"\n"),
            "web",
            "mail",
        ),
        variant(
            Code::MOX0648,
            "a rule for `net1`, which is not filtered",
            &(rule("card = \"net1\"") + &card("web", "@@")),
            "",
            "firewall = true\n",
        ),
        variant(
            Code::MOX0662,
            "IPv4 and IPv6 in one rule",
            &rule("from = \"192.168.1.0/24\", to = \"@@\""),
            "fd00::1",
            "192.168.1.9",
        ),
        variant(
            Code::MOX0617,
            "has two ways out for IPv4",
            &(bridge(HOME)
                + container
                + "network = [{ bridge = \"vmbr0\", address = \"192.168.1.20/24\", gateway = \"192.168.1.1\" }, \
                   { bridge = \"vmbr0\", address = \"192.168.1.21/24\"@@ }]\n"),
            ", gateway = \"192.168.1.1\"",
            "",
        ),
        variant(
            Code::MOX0024,
            "`gateway` changes nothing here",
            &(bridge(HOME)
                + container
                + "network = [{ bridge = \"vmbr0\", address = \"@@\", gateway = \"192.168.1.1\" }]\n"),
            "dhcp",
            "192.168.1.20/24",
        ),
        variant(
            Code::MOX0024,
            "`keyctl` changes nothing here",
            &format!("{container}features = [\"nesting\", \"keyctl\"]\nunprivileged = @@\n"),
            "false",
            "true",
        ),
        variant(
            Code::MOX0657,
            "has the volume `subvol-200-disk-4` twice",
            &format!(
                "{container}extra = {{ mp0 = \"roots:subvol-200-disk-4,mp=/a\", mp1 = \"roots:subvol-200-disk-@@,mp=/b\" }}\n"
            ),
            "4",
            "5",
        ),
        variant(
            Code::MOX0501,
            "is given to `web` twice",
            &format!(
                "{gpu}{}",
                vm(
                    "web",
                    100,
                    "firmware = \"ovmf\"\npassthrough = [\"gpu\", @@]"
                )
            ),
            "\"gpu\"",
            "",
        ),
        variant(
            Code::MOX0506,
            "a machine type without PCI Express",
            &format!(
                "{gpu}{}",
                vm(
                    "web",
                    100,
                    "firmware = \"ovmf\"\nmachine = \"@@\"\npassthrough = [\"gpu\"]"
                )
            ),
            "i440fx",
            "q35",
        ),
        variant(
            Code::MOX0507,
            "takes the network card `lan0`",
            &(format!(
                "{LAN}pci = \"nic\"\n[network.bridges.vmbr0]\nports = [@@]\n[hardware.pci]\nnic = {{ address = \"05:00.0\", class = \"nic\", id = \"8086:15f3\" }}\n"
            ) + &vm("web", 100, "passthrough = [\"nic\"]")),
            "\"lan0\"",
            "",
        ),
        variant(
            Code::MOX0601,
            "of memory",
            &windows("memory = \"@@\"", "64 GiB"),
            "2 GiB",
            "4 GiB",
        ),
        variant(
            Code::MOX0601,
            "a first disk of",
            &windows("memory = \"4 GiB\"", "@@"),
            "32 GiB",
            "64 GiB",
        ),
        variant(
            Code::MOX0601,
            "one core",
            &windows("memory = \"4 GiB\"\ncpu = { cores = @@ }", "64 GiB"),
            "1",
            "2",
        ),
        variant(
            Code::MOX0601,
            "the firmware",
            &windows("memory = \"4 GiB\"\nfirmware = \"@@\"", "64 GiB"),
            "seabios",
            "ovmf",
        ),
        variant(
            Code::MOX0603,
            "is a Windows path",
            &(files.to_owned()
                + &vm("web", 100, "")
                + "[[vms.web.shares]]\ndataset = \"files\"\nmount = \"@@\"\n"),
            "Z:",
            "/mnt/z",
        ),
        variant(
            Code::MOX0604,
            "a mount at `/`",
            &(files.to_owned()
                + container
                + "[containers.ct.mounts]\nm = { dataset = \"files\", path = \"@@\" }\n"),
            "/",
            "/data",
        ),
        variant(
            Code::MOX0604,
            "a mount over `/etc`",
            &(files.to_owned()
                + container
                + "[containers.ct.mounts]\nm = { dataset = \"files\", path = \"@@\" }\n"),
            "/etc",
            "/etc/letsencrypt",
        ),
        variant(
            Code::MOX0606,
            "`/var/lib/moxc` is a folder of the host's system",
            &(container.to_owned()
                + "[containers.ct.mounts]\nm = { host-path = \"@@\", path = \"/data\" }\n"),
            "/var/lib/moxc",
            "/run/postgresql",
        ),
        variant(
            Code::MOX0610,
            "excludes itself",
            &(vm("web", 100, "exclusive-with = [\"@@\"]") + &vm("db", 101, "")),
            "web",
            "db",
        ),
        variant(
            Code::MOX0612,
            "`web` starts with the host, but `router`",
            &(bridge(HOME)
                + &vm("router", 100, "@@")
                + &card("router", "address = \"192.168.1.2/24\"\n")
                + &vm("web", 101, "autostart = true")
                + &card(
                    "web",
                    "address = \"192.168.1.20/24\"\ngateway = \"router\"\n",
                )),
            "",
            "autostart = true",
        ),
        variant(
            Code::MOX0613,
            "`web` starts before `db`",
            &(vm("db", 200, "autostart = { order = @@ }")
                + &vm("web", 100, "autostart = { order = 2 }\nneeds = [\"db\"]")),
            "2",
            "1",
        ),
        variant(
            Code::MOX0640,
            "group 1000 of `ct` is mapped twice",
            &format!(
                "{container}[containers.ct.extra]\n\"lxc.idmap\" = [\"u 0 100000 65536\", \"g 0 100000 @@\", \"g 1000 165000 1\"]\n"
            ),
            "65536",
            "1000",
        ),
        variant(
            Code::MOX0640,
            "user 101000 of the host is mapped twice",
            &format!(
                "{container}[containers.ct.extra]\n\"lxc.idmap\" = [\"u 0 100000 2000\", \"u 2000 @@ 10\"]\n"
            ),
            "101000",
            "102000",
        ),
        variant(
            Code::MOX0640,
            "user 5 of the disk is mapped twice",
            &format!(
                "{container}[containers.ct.extra]\nmp5 = \"/srv/x,mp=/x,idmap=u:0:0:10;u:20:@@:10\"\n"
            ),
            "5",
            "30",
        ),
        variant(
            Code::MOX0108,
            "maps no users",
            &format!("{container}[containers.ct.extra]\n\"lxc.idmap\" = \"@@\"\n"),
            "u 0 100000",
            "u 0 100000 65536",
        ),
    ]
}

/// Jobs that make no backups here: of another node, and into a store that is not there.
fn jobs_elsewhere() -> Vec<Variant> {
    let nas = "[storage.external.nas]\nkind = \"nfs\"\nserver = \"192.168.1.5\"\nexport = \"/b\"\nuse = \"backups\"\n";
    let web = format!(
        "{VOLUMES}[storage.datasets.store]\npool = \"rpool\"\nuse = \"backups\"\n{}[vms.web.disks]\nroot = {{ dataset = \"vols\", size = \"8 GiB\" }}\n",
        vm("web", 100, "")
    );
    let job = |name: &str, store: &str| {
        format!(
            "[schedules.{name}]\ntask = \"vzdump-backup\"\non = \"01:00\"\nstorage = \"{store}\"\n"
        )
    };
    let nightly = job("b", "nas");
    let inside = job("i", "store");
    let keep = "keep = { last = 2 }\n";
    let rehearsal = "[schedules.r]\ntask = \"backup-rehearsal\"\non = \"Sun 10:00\"\nguest = \"web\"\nstorage = \"nas\"\n";
    let of_node = format!("{web}{nas}{nightly}{keep}node = \"@@\"\n");
    vec![
        variant(
            Code::MOX0707,
            "no backup covers `web`",
            &of_node,
            "other",
            "pve1",
        ),
        variant(
            Code::MOX0711,
            "nothing backs up `web` to `nas`",
            &format!("{of_node}{rehearsal}"),
            "other",
            "pve1",
        ),
        variant(
            Code::MOX0705,
            "may restart the host while `b` runs",
            &format!(
                "{of_node}[schedules.u]\ntask = \"proxmox-update\"\nreboot = \"if-needed\"\non = \"01:15\"\n"
            ),
            "pve1",
            "other",
        ),
        variant(
            Code::MOX0318,
            "no backup of `web` leaves this machine",
            &format!("{web}{nas}{inside}{keep}{nightly}{keep}node = \"@@\"\n"),
            "other",
            "pve1",
        ),
        variant(
            Code::MOX0318,
            "no backup of `web` leaves this machine",
            &format!("{web}{nas}disabled = @@\n{inside}{keep}{nightly}{keep}"),
            "true",
            "false",
        ),
        variant(
            Code::MOX0332,
            "is not on `pve1`, and `b` backs up into it",
            &format!("{web}{nas}nodes = [\"@@\"]\n{nightly}{keep}"),
            "other",
            "pve1",
        ),
        variant(
            Code::MOX0335,
            "`nas` is switched off, and `b` backs up into it",
            &format!("{web}{nas}disabled = true\n{nightly}{keep}enabled = @@\n"),
            "true",
            "false",
        ),
        // Proxmox VE's last word is `vzdump.conf`, whatever the store is.
        variant(
            Code::MOX0708,
            "nothing removes the backups of `b`",
            &format!("{web}{nas}{nightly}[vzdump]\n@@\n"),
            "",
            "prune-backups = \"keep-daily=7\"",
        ),
        variant(
            Code::MOX0709,
            "a hole in what `b` keeps",
            &format!(
                "{web}{nas}{nightly}[vzdump]\nprune-backups = \"keep-daily=@@,keep-yearly=2\"\n"
            ),
            "7",
            "90",
        ),
    ]
}

/// What a schedule that is switched off is not told.
fn switched_off() -> Vec<Variant> {
    let windows = "[vms.win]\nos = \"windows10\"\nvmid = 100\nmemory = \"8 GiB\"\ninstalled = true\nagent = false\n\
                   [vms.win.windows]\nuser = \"u\"\n";
    let web = format!(
        "{VOLUMES}{}",
        vm("web", 100, "agent = false\ninstalled = true")
    );
    let spinning = "[hardware.disks.a]\nkind = \"hdd\"\nsize = \"1 TB\"\ndevice = \"/dev/disk/by-id/ata-a\"\n\
                    [storage.pools.tank]\nlayout = \"stripe\"\ndisks = [\"a\"]\n";
    vec![
        variant(
            Code::MOX0615,
            "the task `u` reaches `win`",
            &format!(
                "{windows}[schedules.u]\ntask = \"windows-update\"\non = \"Sun 04:00\"\nenabled = @@\n"
            ),
            "true",
            "false",
        ),
        // Tidying is the guest's own task.
        variant(
            Code::MOX0615,
            "the task `u` reaches `win`",
            &format!("{windows}[schedules.u]\ntask = \"windows-@@\"\non = \"Sun 04:00\"\n"),
            "update",
            "maintenance",
        ),
        variant(
            Code::MOX0708,
            "nothing removes the snapshots of `s`",
            &format!(
                "{web}[schedules.s]\ntask = \"zfs-snapshot\"\non = \"01:00\"\ndatasets = [\"vols\"]\nenabled = @@\n"
            ),
            "true",
            "false",
        ),
        variant(
            Code::MOX0730,
            "no disk of `tank` can be trimmed",
            &format!(
                "{spinning}[schedules.t]\ntask = \"zfs-trim\"\non = \"monthly\"\npools = [\"tank\"]\nenabled = @@\n"
            ),
            "true",
            "false",
        ),
        variant(
            Code::MOX0741,
            "nothing in `web` can answer a rehearsal",
            &format!(
                "{web}[schedules.r]\ntask = \"backup-rehearsal\"\non = \"01:00\"\nguest = \"web\"\nstorage = \"local\"\nenabled = @@\n"
            ),
            "true",
            "false",
        ),
        variant(
            Code::MOX0742,
            "holds the disk that it starts from",
            &format!(
                "{VOLUMES}{}[vms.a.disks]\ndata = {{ dataset = \"vols\", size = \"8 GiB\", backup = false }}\nroot = {{ dataset = \"vols\", size = \"8 GiB\" }}\n\
                 [schedules.b]\ntask = \"vzdump-backup\"\non = \"01:00\"\nstorage = \"local\"\nkeep = {{ last = 2 }}\n",
                vm("a", 101, "installed = true\nboot = [\"@@\"]")
            ),
            "data",
            "root",
        ),
        variant(
            Code::MOX0657,
            "`a` has a volume of `b`",
            &format!(
                "[storage.datasets.roots]\npool = \"rpool\"\nuse = \"containers\"\n{}{}",
                "[containers.a]\nos = \"debian\"\nvmid = 100\nmemory = \"1 GiB\"\nrootfs = { store = \"roots\", volume = \"basevol-@@-disk-0\" }\n",
                "[containers.b]\nos = \"debian\"\nvmid = 101\nmemory = \"1 GiB\"\nrootfs = { store = \"roots\", size = \"8 GiB\" }\ntemplate = \"local:vztmpl/x.tar.zst\"\n"
            ),
            "101",
            "100",
        ),
    ]
}

fn schedules() -> Vec<Variant> {
    let backup = "[storage.external.nas]\nkind = \"nfs\"\nserver = \"192.168.1.5\"\nexport = \"/b\"\nuse = \"backups\"\n";
    let server = "[storage.external.pbs]\nkind = \"pbs\"\nserver = \"192.168.1.6\"\ndatastore = \"d\"\nusername = \"a@pbs\"\nsecret = \"s\"\n\
                  fingerprint = \"64:d3:ff:3a:50:38:53:5a:9b:f7:50:64:d3:ff:3a:50:38:53:5a:9b:f7:50:64:d3:ff:3a:50:38:53:5a:9b:f7\"\nuse = \"backups\"\n";
    let box_of_files = "[storage.datasets.roots]\npool = \"rpool\"\nuse = \"containers\"\n\
                        [containers.ct]\nos = \"debian\"\nvmid = 200\nmemory = \"1 GiB\"\ntemplate = \"local:vztmpl/debian.tar.zst\"\nrootfs = { dataset = \"roots\", size = \"8 GiB\" }\n";
    let update = "[schedules.u]\ntask = \"proxmox-update\"\nreboot = \"if-needed\"\n";
    let root = "[vms.web.disks]\nroot = { dataset = \"vols\", size = \"8 GiB\" }\n";
    let web = format!("{VOLUMES}{}{root}{backup}", vm("web", 100, ""));
    let job = "[schedules.b]\ntask = \"vzdump-backup\"\non = \"01:00\"\nstorage = \"nas\"\nkeep = { last = 2 }\n";
    vec![
        // The update first, and the backup while it may run.
        variant(
            Code::MOX0705,
            "may restart the host while `b` runs",
            &format!("{web}{job}{update}on = \"@@\"\n"),
            "00:45",
            "00:15",
        ),
        variant(
            Code::MOX0705,
            "may restart the host while `b` runs",
            &format!("{web}{job}{update}on = \"00:15\"\ntimeout = \"@@\"\n"),
            "1h",
            "40m",
        ),
        variant(
            Code::MOX0705,
            "may restart the host while `r` runs",
            &format!(
                "{web}{job}[schedules.r]\ntask = \"backup-rehearsal\"\non = \"Sun 10:00\"\nguest = \"web\"\nstorage = \"nas\"\n{update}on = \"Sun @@\"\n"
            ),
            "11:00",
            "12:00",
        ),
        variant(
            Code::MOX0103,
            "is a unit of moxc's own",
            "[schedules.@@]\ntask = \"proxmox-maintenance\"\non = \"Sun 06:00\"\n",
            "network-back",
            "network-forth",
        ),
        variant(
            Code::MOX0708,
            "nothing removes the snapshots",
            &format!(
                "{VOLUMES}[schedules.s]\ntask = \"zfs-snapshot\"\non = \"hourly\"\ndatasets = [\"vols\"]\n@@"
            ),
            "",
            "keep = { hourly = 24 }\n",
        ),
        variant(
            Code::MOX0707,
            "no backup covers `web`",
            &format!("{web}{job}@@"),
            "exclude = [\"web\"]\n",
            "guests = [\"web\"]\n",
        ),
        variant(
            Code::MOX0311,
            "snapshots of the thick volumes in `vols` fail",
            "[storage.datasets.top]\npool = \"rpool\"\npath = \"a\"\nuse = \"share\"\n\
             [storage.datasets.vols]\npool = \"rpool\"\npath = \"a/vols\"\nuse = \"vm-disks\"\nthin = false\n\
             [vms.a]\nos = \"linux\"\nvmid = 100\nmemory = \"1 GiB\"\n\
             [vms.a.disks]\nroot = { dataset = \"vols\", size = \"500 GiB\" }\n\
             [schedules.s]\ntask = \"zfs-snapshot\"\non = \"daily\"\ndatasets = [\"top\"]\nrecursive = @@\nkeep = { daily = 7 }\n",
            "true",
            "false",
        ),
        variant(
            Code::MOX0311,
            "snapshots of the thick volumes in `one`, `two` fail",
            "[storage.datasets.one]\npool = \"rpool\"\nuse = \"vm-disks\"\nthin = false\n\
             [storage.datasets.two]\npool = \"rpool\"\nuse = \"vm-disks\"\nthin = false\n\
             [vms.a]\nos = \"linux\"\nvmid = 100\nmemory = \"1 GiB\"\n\
             [vms.a.disks]\nroot = { dataset = \"one\", size = \"250 GiB\" }\ndata = { dataset = \"two\", size = \"250 GiB\" }\n\
             [schedules.s]\ntask = \"zfs-snapshot\"\non = \"daily\"\ndatasets = [\"one\"@@]\nkeep = { daily = 7 }\n",
            ", \"two\"",
            "",
        ),
        variant(
            Code::MOX0743,
            "`b` is about no guest",
            &format!("{web}{job}@@"),
            "exclude = [\"web\"]\n",
            "",
        ),
        variant(
            Code::MOX0743,
            "`s` is about no guest",
            &format!(
                "{web}[schedules.s]\ntask = \"windows-maintenance\"\non = \"weekly\"\nenabled = @@\n"
            ),
            "true",
            "false",
        ),
        variant(
            Code::MOX0709,
            "a hole in what `b` keeps",
            &format!("{web}{}", job.replace("last = 2", "@@")),
            "hourly = 3, weekly = 4",
            "daily = 7, weekly = 4",
        ),
        variant(
            Code::MOX0024,
            "`exclude-path` changes nothing here",
            &format!("{web}{job}@@"),
            "exclude-path = [\"/tmp/?*\"]\n",
            "",
        ),
        variant(
            Code::MOX0024,
            "`pbs-change-detection-mode` changes nothing here",
            &format!("{web}{box_of_files}{job}@@"),
            "pbs-change-detection-mode = \"metadata\"\n",
            "exclude-path = [\"/tmp/?*\"]\n",
        ),
        variant(
            Code::MOX0024,
            "`keep` changes nothing here",
            &format!("{web}{job}protected = @@\n"),
            "true",
            "false",
        ),
        variant(
            Code::MOX0024,
            "`pigz` changes nothing here",
            &format!("{web}{job}pigz = 4\ncompress = \"@@\"\n"),
            "zstd",
            "gzip",
        ),
        variant(
            Code::MOX0024,
            "`compress` changes nothing here",
            &format!("{web}{server}{}@@", job.replace("nas", "pbs")),
            "compress = \"gzip\"\n",
            "",
        ),
        variant(
            Code::MOX0112,
            "makes its volumes in the thin pool `data` of `pve`",
            "[storage.lvm.one]\ngroup = \"pve\"\nthin-pool = \"data\"\nuse = \"vm-disks\"\n\
             [storage.lvm.two]\ngroup = \"@@\"\nthin-pool = \"data\"\nuse = \"containers\"\n",
            "pve",
            "other",
        ),
        variant(
            Code::MOX0112,
            "makes its volumes in the pool `p` of Ceph",
            "[storage.external.one]\nkind = \"rbd\"\npool = \"p\"\nuse = \"vm-disks\"\n\
             [storage.external.two]\nkind = \"rbd\"\npool = \"@@\"\nuse = \"containers\"\n",
            "p",
            "q",
        ),
    ]
}
