//! What `lspci`, `lsusb`, `lsblk`, `lscpu` and the kernel say of the machine.

use std::collections::BTreeMap;

use serde_json::Value;

/// A number and the name that the host's data base has for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Four hex digits, in lower case.
    pub id: String,
    /// The name, as in `NVIDIA Corporation`.
    pub name: String,
}

/// A PCI function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PciDevice {
    /// With its domain, as in `0000:01:00.0`.
    pub address: String,
    /// What it is, as in `0300`, `VGA compatible controller`.
    pub class: Named,
    /// Who made it.
    pub vendor: Named,
    /// What they call it.
    pub device: Named,
    /// Who made the card around it, where it says so.
    pub subsystem_vendor: Option<Named>,
    /// What they call the card.
    pub subsystem_device: Option<Named>,
    /// The driver that has it now.
    pub driver: Option<String>,
    /// The modules that could drive it.
    pub modules: Vec<String>,
    /// Its IOMMU group.
    pub iommu_group: Option<u32>,
    /// Whether the firmware showed its own screen on it; none where nobody knows.
    pub boot_vga: Option<bool>,
}

impl PciDevice {
    /// `10de:2684`, as `vfio-pci` and the mappings name a model.
    pub fn id(&self) -> String {
        format!("{}:{}", self.vendor.id, self.device.id)
    }
}

/// `NVIDIA Corporation [10de]`, or the number alone.
fn named(text: &str) -> Named {
    let text = text.trim();
    let (name, id) = match text.rsplit_once('[') {
        Some((name, id)) => (name.trim(), id.trim_end_matches(']')),
        None => ("", text),
    };
    Named {
        id: id.to_ascii_lowercase(),
        name: name.to_owned(),
    }
}

/// An address with its domain, in lower case.
fn with_domain(address: &str) -> String {
    let address = address.to_ascii_lowercase();
    if address.matches(':').count() == 1 {
        format!("0000:{address}")
    } else {
        address
    }
}

/// Reads `lspci -Dnnkvmm`, or `lspci -nnk` as `pvereport` has it.
pub fn read_lspci(text: &str) -> Vec<PciDevice> {
    if text.lines().any(|line| line.starts_with("Slot:")) {
        text.split("\n\n").filter_map(read_slot).collect()
    } else {
        read_lspci_short(text)
    }
}

fn read_slot(block: &str) -> Option<PciDevice> {
    let mut device = PciDevice::default();
    for line in block.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match key {
            "Slot" => device.address = with_domain(value),
            "Class" => device.class = named(value),
            "Vendor" => device.vendor = named(value),
            "Device" => device.device = named(value),
            "SVendor" => device.subsystem_vendor = Some(named(value)),
            "SDevice" => device.subsystem_device = Some(named(value)),
            "Driver" => device.driver = Some(value.to_owned()),
            "Module" => device.modules.push(value.to_owned()),
            "IOMMUGroup" => device.iommu_group = value.parse().ok(),
            _ => {}
        }
    }
    (!device.address.is_empty()).then_some(device)
}

/// `01:00.0 VGA compatible controller [0300]: NVIDIA … [10de:2684] (rev a1)` and indented lines below it.
fn read_lspci_short(text: &str) -> Vec<PciDevice> {
    let mut devices: Vec<PciDevice> = Vec::new();
    for line in text.lines() {
        if line.starts_with(['\t', ' ']) {
            let Some(device) = devices.last_mut() else {
                continue;
            };
            match line.trim().split_once(": ") {
                Some(("Kernel driver in use", driver)) => device.driver = Some(driver.to_owned()),
                Some(("Kernel modules", modules)) => {
                    device.modules = modules.split(", ").map(str::to_owned).collect();
                }
                Some(("Subsystem", name)) => {
                    let (vendor, card) = pair(name);
                    device.subsystem_vendor = Some(vendor);
                    device.subsystem_device = Some(card);
                }
                _ => {}
            }
        } else if let Some((address, rest)) = line.split_once(' ')
            && let Some((class, name)) = rest.split_once("]: ")
            && address.contains(':')
        {
            let (vendor, device) = pair(name);
            devices.push(PciDevice {
                address: with_domain(address),
                class: named(class),
                vendor,
                device,
                ..PciDevice::default()
            });
        }
    }
    devices
}

/// `NVIDIA … [10de:2684] (rev a1)`: the numbers, with one name for both.
fn pair(text: &str) -> (Named, Named) {
    let text = text.split(" (rev ").next().unwrap_or(text);
    let both = named(text);
    let (vendor, device) = both.id.split_once(':').unwrap_or((&both.id, ""));
    (
        Named {
            id: vendor.to_owned(),
            name: String::new(),
        },
        Named {
            id: device.to_owned(),
            name: both.name.clone(),
        },
    )
}

/// Reads `GROUP ADDRESS` lines: the group of each address.
pub fn read_iommu(text: &str) -> BTreeMap<String, u32> {
    text.lines()
        .filter_map(|line| {
            let (group, address) = line.trim().split_once(char::is_whitespace)?;
            Some((with_domain(address.trim()), group.parse().ok()?))
        })
        .collect()
}

/// A USB device that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbDevice {
    /// The number of its bus.
    pub bus: u32,
    /// Its number there, which changes whenever it is plugged in.
    pub number: u32,
    /// `046d:c52b`.
    pub id: String,
    /// Its name in the host's data base.
    pub name: String,
}

/// Reads `lsusb`.
pub fn read_lsusb(text: &str) -> Vec<UsbDevice> {
    text.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("Bus ")?;
            let (bus, rest) = rest.split_once(" Device ")?;
            let (number, rest) = rest.split_once(": ID ")?;
            let (id, name) = rest.split_once(' ').unwrap_or((rest, ""));
            Some(UsbDevice {
                bus: bus.trim().parse().ok()?,
                number: number.trim().parse().ok()?,
                id: id.to_ascii_lowercase(),
                name: name.trim().to_owned(),
            })
        })
        .collect()
}

/// A disk, a partition, or what is built on one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockDevice {
    /// `/dev/sda`.
    pub path: String,
    /// `disk`, `part`, `lvm`, `crypt`, `raid1`, …
    pub kind: String,
    /// In bytes.
    pub size: u64,
    /// The model, where it has one.
    pub model: Option<String>,
    /// The serial number.
    pub serial: Option<String>,
    /// The World Wide Name.
    pub wwn: Option<String>,
    /// `sata`, `nvme`, `usb`, …
    pub transport: Option<String>,
    /// Whether it spins.
    pub rotational: bool,
    /// What is on it: `zfs_member`, `LVM2_member`, `ext4`, …
    pub filesystem: Option<String>,
    /// The label of that, such as a pool's name.
    pub label: Option<String>,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Where it is mounted.
    pub mounts: Vec<String>,
    /// What lies on it.
    pub children: Vec<BlockDevice>,
}

/// Reads `lsblk -JObp`.
pub fn read_lsblk(text: &str) -> Result<Vec<BlockDevice>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(block_devices(&value["blockdevices"], 0))
}

/// Devices lie a handful deep on each other; what goes on for ever is none.
const DEEPEST_DEVICE: usize = 16;

fn block_devices(value: &Value, depth: usize) -> Vec<BlockDevice> {
    let list = value.as_array().map_or(&[][..], Vec::as_slice);
    if depth > DEEPEST_DEVICE {
        return Vec::new();
    }
    list.iter()
        .map(|value| block_device(value, depth))
        .collect()
}

fn block_device(value: &Value, depth: usize) -> BlockDevice {
    let text = |key: &str| {
        let text = value[key].as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let mounts = match &value["mountpoints"] {
        Value::Array(points) => points
            .iter()
            .filter_map(|point| point.as_str().map(str::to_owned))
            .collect(),
        _ => text("mountpoint").into_iter().collect(),
    };
    BlockDevice {
        path: text("path").or_else(|| text("name")).unwrap_or_default(),
        kind: text("type").unwrap_or_default(),
        size: number(&value["size"]),
        model: text("model"),
        serial: text("serial"),
        wwn: text("wwn"),
        transport: text("tran"),
        rotational: truth(&value["rota"]),
        filesystem: text("fstype"),
        label: text("label"),
        uuid: text("uuid"),
        mounts,
        children: block_devices(&value["children"], depth + 1),
    }
}

/// A number, or a text of one as older tools write it.
pub(super) fn number(value: &Value) -> u64 {
    match value {
        Value::Number(number) => number.as_u64().unwrap_or(0),
        Value::String(text) => text.trim().trim_end_matches('B').parse().unwrap_or(0),
        _ => 0,
    }
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(on) => *on,
        Value::String(text) => text == "1",
        Value::Number(number) => number.as_u64() == Some(1),
        _ => false,
    }
}

/// Reads `NAME TARGET` lines: what each name below `/dev/disk/by-id` is now, as in `sda1`.
pub fn read_by_id(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            let (name, target) = line.trim().split_once(char::is_whitespace)?;
            let name = name.rsplit('/').next()?;
            let target = target.trim().rsplit('/').next()?;
            Some((name.to_owned(), target.to_owned()))
        })
        .collect()
}

/// The processor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processor {
    /// `Intel(R) Core(TM) i7-…`.
    pub model: String,
    /// `GenuineIntel`, `AuthenticAMD`.
    pub vendor: String,
    /// How many packages.
    pub sockets: Option<u32>,
    /// Cores of each.
    pub cores_per_socket: Option<u32>,
    /// Threads of each core.
    pub threads_per_core: Option<u32>,
    /// Threads that are on.
    pub threads: Option<u32>,
}

/// Reads `lscpu -J`.
pub fn read_lscpu(text: &str) -> Result<Processor, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut fields = BTreeMap::new();
    let mut open = vec![&value["lscpu"]];
    while let Some(list) = open.pop() {
        for entry in list.as_array().map_or(&[][..], Vec::as_slice) {
            if let (Some(field), Some(data)) = (entry["field"].as_str(), entry["data"].as_str()) {
                let field = field.trim_end_matches(':').to_owned();
                fields.entry(field).or_insert_with(|| data.to_owned());
            }
            open.push(&entry["children"]);
        }
    }
    let count = |field: &str| fields.get(field).and_then(|data| data.parse().ok());
    let text = |field: &str| fields.get(field).cloned().unwrap_or_default();
    Ok(Processor {
        model: text("Model name"),
        vendor: text("Vendor ID"),
        sockets: count("Socket(s)"),
        cores_per_socket: count("Core(s) per socket"),
        threads_per_core: count("Thread(s) per core"),
        threads: count("CPU(s)"),
    })
}

/// Reads `/proc/meminfo`: the memory in bytes.
pub fn read_meminfo(text: &str) -> Result<u64, String> {
    text.lines()
        .find_map(|line| {
            let kib = line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?;
            kib.trim().parse::<u64>().ok()?.checked_mul(1024)
        })
        .ok_or_else(|| "there is no `MemTotal` in it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_of_lspci() {
        let long = "Slot:\t0000:01:00.0\nClass:\tVGA compatible controller [0300]\nVendor:\tNVIDIA Corporation \
                    [10de]\nDevice:\tAD102 [GeForce RTX 4090] [2684]\nSVendor:\tGigabyte [1458]\nSDevice:\tDevice \
                    [40bf]\nRev:\ta1\nDriver:\tvfio-pci\nModule:\tnvidiafb\nModule:\tnouveau\nIOMMUGroup:\t14\n\nSlot:\t\
                    0000:00:1f.3\nClass:\tAudio device [0403]\nVendor:\tIntel [8086]\nDevice:\tHD [7ad0]\n";
        let devices = read_lspci(long);
        assert_eq!(devices.len(), 2);
        assert_eq!(devices[0].id(), "10de:2684");
        assert_eq!(devices[0].device.name, "AD102 [GeForce RTX 4090]");
        assert_eq!(devices[0].modules, ["nvidiafb", "nouveau"]);
        assert_eq!(devices[0].iommu_group, Some(14));
        let short = "01:00.0 VGA compatible controller [0300]: NVIDIA Corporation AD102 [GeForce RTX 4090] [10de:2684] \
                     (rev a1)\n\tSubsystem: Gigabyte Device [1458:40bf]\n\tKernel driver in use: vfio-pci\n\tKernel \
                     modules: nvidiafb, nouveau\n";
        let devices = read_lspci(short);
        assert_eq!(devices[0].address, "0000:01:00.0");
        assert_eq!(devices[0].id(), "10de:2684");
        assert_eq!(devices[0].class.id, "0300");
        assert_eq!(devices[0].driver.as_deref(), Some("vfio-pci"));
        assert_eq!(
            devices[0]
                .subsystem_device
                .as_ref()
                .map(|card| card.id.as_str()),
            Some("40bf")
        );
    }

    #[test]
    fn reads_disks_with_what_lies_on_them() {
        let text = r#"{"blockdevices":[{"name":"/dev/sda","path":"/dev/sda","type":"disk","size":4000787030016,"model":"X1 ",
            "serial":"S1","wwn":null,"tran":"sata","rota":true,"fstype":null,"mountpoints":[null],
            "children":[{"name":"/dev/sda1","type":"part","size":"1024","fstype":"zfs_member","label":"tank","mountpoints":[]}]}]}"#;
        let disks = read_lsblk(text).expect("it is JSON");
        assert_eq!(disks[0].size, 4_000_787_030_016);
        assert_eq!(disks[0].model.as_deref(), Some("X1"));
        assert!(disks[0].rotational && disks[0].mounts.is_empty());
        assert_eq!(disks[0].children[0].size, 1024);
        assert_eq!(disks[0].children[0].label.as_deref(), Some("tank"));
        assert!(read_lsblk("{").is_err());
    }

    #[test]
    fn reads_the_rest_of_the_machine() {
        let usb = read_lsusb(
            "Bus 001 Device 004: ID 1A86:7523 QinHeng CH340\nBus 002 Device 001: ID 1d6b:0003\n",
        );
        assert_eq!((usb[0].bus, usb[0].number), (1, 4));
        assert_eq!(usb[0].id, "1a86:7523");
        assert_eq!(usb[1].name, "");
        assert_eq!(
            read_iommu("14 0000:01:00.0\n14 01:00.1\nx y\n").get("0000:01:00.1"),
            Some(&14)
        );
        assert_eq!(
            read_by_id("ata-X_1 ../../sda\nwwn-1-part1 /dev/sdb1\n").get("wwn-1-part1"),
            Some(&"sdb1".to_owned())
        );
        assert_eq!(read_meminfo("MemTotal:  65536 kB\n"), Ok(64 << 20));
        assert!(read_meminfo("").is_err());
        let cpu = read_lscpu(
            r#"{"lscpu":[{"field":"CPU(s):","data":"20"},{"field":"Vendor ID:","data":"GenuineIntel","children":
               [{"field":"Model name:","data":"i7","children":[{"field":"Socket(s):","data":"1"}]}]}]}"#,
        )
        .expect("it is JSON");
        assert_eq!(
            (cpu.threads, cpu.sockets, cpu.model.as_str()),
            (Some(20), Some(1), "i7")
        );
    }
}
