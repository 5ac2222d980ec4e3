//! How a guest is made: what its file does not say, and the command that makes it. What a plan shows of a guest that is
//! missing, and what a run does, are this one list of words.

use std::collections::HashMap;

use crate::digest::Sha256;
use crate::model::{Guest, GuestKind as Kind, Host, Id, Vm, VmDisk};
use crate::pve::{DiskSize, GuestConfig, GuestKind, decode_text, holds_volume};
use crate::shell::Command;
use crate::value::{ImageFormat, ImageSource};

use super::{Volumes, secrets};

/// Where a run keeps what it fetches, unpacks or hands over, until it is done.
const STATE: &str = "/var/lib/moxc";

/// How a guest is made, beyond what its file says.
#[derive(Debug, Clone, Default)]
pub struct Making {
    /// Its number.
    pub vmid: String,
    /// What a container is made from: `local:vztmpl/debian-13.tar.zst`; none where its file system is there already.
    pub template: Option<String>,
    /// Options whose volumes are there already: nothing makes them.
    pub existing: Vec<String>,
    /// Images that fill disks.
    pub imports: Vec<ImageImport>,
    /// The secret that holds the password of root, or of cloud-init's user.
    pub password: Option<String>,
    /// Keys that may log in as root of a container.
    pub ssh_keys: Vec<String>,
    /// The name of a NixOS guest: its flake builds what it is made from.
    pub built: Option<String>,
    /// Its disks that are empty at first and that its image can fill: the option, and the name in the spec. The one that it
    /// boots from is the first.
    pub fills: Vec<(String, String)>,
}

/// An image that fills a new disk.
#[derive(Debug, Clone)]
pub struct ImageImport {
    /// The disk: `scsi0`.
    pub key: String,
    /// Where the image is.
    pub from: ImageSource,
    /// Its SHA-256 sum.
    pub sha256: Option<String>,
    /// The format that the spec says it has.
    pub format: Option<ImageFormat>,
}

impl ImageImport {
    /// The program that unpacks it; none where it is not packed.
    pub fn packed(&self) -> &'static str {
        match self.from.file_name().rsplit('.').next() {
            Some("xz") => "xz",
            Some("gz") => "gzip",
            Some("zst") => "zstd",
            Some("bz2") => "bzip2",
            Some(_) | None => "",
        }
    }

    /// What `import-from` is told: a volume, or a path of the host.
    pub fn source(&self) -> String {
        match &self.from {
            ImageSource::Volume(volume) => volume.as_str().to_owned(),
            ImageSource::Path(path) if self.packed().is_empty() => path.as_str().to_owned(),
            ImageSource::Path(_) | ImageSource::Url(_) => format!("{STATE}/images/{}", self.file()),
        }
    }

    /// Its name while it is kept: the same for the same image, and with the format as its ending.
    pub fn file(&self) -> String {
        let sum = self.sha256.as_deref().unwrap_or_default();
        let whole = Sha256::of(format!("{sum} {}", self.from).as_bytes()).to_string();
        let format = self
            .format
            .or_else(|| ImageFormat::of_file(self.from.file_name()))
            .unwrap_or(ImageFormat::Raw);
        format!("{}.{format}", &whole[..16])
    }
}

/// What makes a guest of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// The command; none where the guest's file alone makes it.
    pub command: Option<Command>,
    /// The options of it that allocate a volume, with what allocates it.
    pub allocated: Vec<(String, String)>,
    /// The text of the file of keys that the command names, where it names one.
    pub keys: Option<String>,
    /// Whether its file is written as it is, but for volumes that are added to it: what a template holds would go over the
    /// file system that is there.
    pub is_placed: bool,
}

/// The makings of all guests of a host.
#[derive(Debug, Clone, Default)]
pub struct Makings {
    /// In the order of the spec.
    all: Vec<Making>,
    by_vmid: HashMap<String, usize>,
}

impl Makings {
    /// Works them out.
    pub fn of(host: &Host, volumes: &Volumes) -> Self {
        let guests = host.guests.iter();
        let all: Vec<Making> = guests
            .map(|(id, guest)| of_guest(id, guest, volumes))
            .collect();
        let numbers = all.iter().enumerate();
        let by_vmid = numbers
            .map(|(at, making)| (making.vmid.clone(), at))
            .collect();
        Self { all, by_vmid }
    }

    /// That of a guest.
    pub fn get(&self, vmid: &str) -> Option<&Making> {
        Some(&self.all[*self.by_vmid.get(vmid)?])
    }

    /// All, in the order of the spec.
    pub fn iter(&self) -> impl Iterator<Item = &Making> {
        self.all.iter()
    }
}

fn of_guest(id: Id<Guest>, guest: &Guest, volumes: &Volumes) -> Making {
    let own = volumes.of_guest(id);
    let imports = own.iter().filter_map(|volume| {
        let import = volume.import.as_ref()?;
        Some(ImageImport {
            key: volume.key.clone(),
            from: import.from.value.clone(),
            sha256: import
                .sha256
                .as_ref()
                .map(|sum| sum.value.as_str().to_owned()),
            format: import.format.map(|format| format.value),
        })
    });
    let mut making = Making {
        vmid: guest.vmid.value.to_string(),
        existing: own
            .iter()
            .filter(|volume| volume.exists)
            .map(|volume| volume.key.clone())
            .collect(),
        imports: imports.collect(),
        password: secrets::of_guest(guest).map(|name| name.as_str().to_owned()),
        built: guest.nixos.as_ref().map(|_| guest.name.as_str().to_owned()),
        ..Making::default()
    };
    match &guest.kind {
        Kind::Vm(vm) if guest.nixos.is_some() => {
            let disks = filled_by_image(vm).into_iter();
            making.fills = disks
                .map(|disk| (disk.key(), disk.name.as_str().to_owned()))
                .collect();
        }
        Kind::Vm(_) => {}
        Kind::Container(container) => {
            // What a template holds would go over a file system that is there.
            let there = making.existing.iter().any(|key| key == "rootfs");
            making.template = (!there && !container.template.is_missing())
                .then(|| container.template.to_string());
            making.ssh_keys = container
                .ssh_keys
                .iter()
                .map(|key| key.value.as_str().to_owned())
                .collect();
        }
    }
    making
}

/// The disks of a virtual machine that an image of its own fills: all, unless its system comes in another way. The one that it
/// boots from is the first.
pub fn filled_by_image(vm: &Vm) -> Vec<&VmDisk> {
    let comes_otherwise = *vm.installed
        || vm.disks.iter().any(VmDisk::is_filled)
        || vm.images.iter().any(|image| image.image.is_some());
    let Some(first) = vm.boot_disk().filter(|_| !comes_otherwise) else {
        return Vec::new();
    };
    let others = vm.disks.iter().filter(|disk| disk.key() != first.key());
    std::iter::once(first).chain(others).collect()
}

impl Making {
    /// What the guest of this file is made by.
    pub fn creation(&self, config: &GuestConfig) -> Creation {
        let kind = config.kind();
        let mut keys = (!self.ssh_keys.is_empty()).then(|| self.ssh_keys.join("\n"));
        let mut allocated = Vec::new();
        let mut options: Vec<(String, String)> = Vec::new();
        let description = config.description().trim_end();
        if !description.is_empty() {
            options.push(("description".to_owned(), description.to_owned()));
        }
        for (key, value) in config.options().filter(|(key, _)| *key != "meta") {
            if kind == GuestKind::Qm && key == "sshkeys" {
                keys = Some(decode_text(value));
                options.push((key.to_owned(), self.key_file()));
                continue;
            }
            let argument = self.argument(key, value);
            if argument != value {
                allocated.push((key.to_owned(), argument.clone()));
            }
            options.push((key.to_owned(), argument));
        }
        let has_rootfs = self.existing.iter().any(|key| key == "rootfs");
        let is_placed = kind == GuestKind::Pct && (has_rootfs || self.template.is_none());
        let with = |command: Command, options: Vec<(String, String)>| {
            let words = options.into_iter();
            command.args(words.flat_map(|(key, value)| [format!("--{key}"), value]))
        };
        let command = match (kind, &self.template) {
            (GuestKind::Pct, _) if is_placed => (!allocated.is_empty()).then(|| {
                let set = Command::new("pct").arg("set").arg(&self.vmid);
                with(set, allocated.clone())
            }),
            (GuestKind::Pct, template) => {
                let create = Command::new("pct").arg("create").arg(&self.vmid);
                let mut command = with(create.args(template), options);
                if keys.is_some() {
                    command = command.arg("--ssh-public-keys").arg(self.key_file());
                }
                // Without a value the program reads it from standard input.
                Some(command.args(self.password.as_ref().map(|_| "--password")))
            }
            (GuestKind::Qm, _) => {
                let create = Command::new("qm").arg("create").arg(&self.vmid);
                let command = with(create, options);
                Some(command.args(self.password.as_ref().map(|_| "--cipassword")))
            }
        };
        Creation {
            command,
            allocated,
            keys: keys.filter(|_| !is_placed),
            is_placed,
        }
    }

    /// The file of keys that a command names.
    fn key_file(&self) -> String {
        format!("{STATE}/keys-{}", self.vmid)
    }

    /// What an option is at the guest's making, and when it comes to a guest that is there.
    pub fn argument(&self, key: &str, value: &str) -> String {
        let (volume, rest) = value.split_once(',').unwrap_or((value, ""));
        let Some((store, name)) = volume.split_once(':') else {
            return value.to_owned();
        };
        if !holds_volume(key) || !store.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return value.to_owned();
        }
        let mut parts: Vec<&str> = rest.split(',').filter(|part| !part.is_empty()).collect();
        // The drive of cloud-init is asked for by this word.
        let own = name.rsplit('/').next().unwrap_or(name);
        let bare = own.strip_suffix(".qcow2").unwrap_or(own);
        if bare == format!("vm-{}-cloudinit", self.vmid) {
            let mut all = vec![format!("{store}:cloudinit")];
            all.extend(parts.into_iter().map(str::to_owned));
            return all.join(",");
        }
        // The sizes of an EFI disk and a TPM follow from what they are; a number must be there all the same.
        let fixed = matches!(key, "efidisk0" | "tpmstate0");
        let size = parts.iter().find_map(|part| part.strip_prefix("size="));
        let there = self.existing.iter().any(|known| known == key);
        if there || parts.contains(&"media=cdrom") || (size.is_none() && !fixed) {
            return value.to_owned();
        }
        let import = self.imports.iter().find(|import| import.key == key);
        let new = match (import, size) {
            (Some(import), _) => format!("{store}:0,import-from={}", import.source()),
            (None, Some(size)) if !fixed => format!("{store}:{}", gib(size)),
            (None, _) => format!("{store}:1"),
        };
        parts.retain(|part| !part.starts_with("size="));
        let mut all = vec![new];
        // A name that is asked for by its size alone has no ending: without this word the store's own format counts.
        all.extend(image_format(key, own).map(|format| format!("format={format}")));
        all.extend(parts.into_iter().map(str::to_owned));
        all.join(",")
    }
}

/// The format of a new image by the ending of its name. Only disks of virtual machines have a word for it (`format` of
/// `PVE::QemuServer::Drive`); containers and a TPM's state have raw images alone.
fn image_format(key: &str, name: &str) -> Option<ImageFormat> {
    let is_disk = key == "efidisk0"
        || ["ide", "sata", "scsi", "virtio"]
            .iter()
            .any(|bus| key.starts_with(bus));
    ImageFormat::of_file(name).filter(|_| is_disk)
}

/// A size in GiB, as `qm` and `pct` want it: `32`, `0.5`.
fn gib(size: &str) -> String {
    let bytes = size.parse::<DiskSize>().map_or(0, DiskSize::bytes);
    let (whole, rest) = (bytes >> 30, bytes & ((1 << 30) - 1));
    let digits = (u128::from(rest) * 10_000_000_000 + (1 << 29)) >> 30;
    let text = format!("{whole}.{digits:010}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn making(words: &str) -> Making {
        Making {
            vmid: "100".to_owned(),
            existing: words.split_whitespace().map(str::to_owned).collect(),
            ..Making::default()
        }
    }

    #[test]
    fn volumes_are_asked_for_by_size_and_those_that_are_there_by_name() {
        let own = making("scsi1");
        for (key, value, argument) in [
            (
                "scsi0",
                "tank:vm-100-disk-0,discard=on,size=32G",
                "tank:32,discard=on",
            ),
            ("scsi0", "tank:vm-100-disk-0,size=512M", "tank:0.5"),
            (
                "scsi1",
                "tank:vm-100-disk-1,size=8G",
                "tank:vm-100-disk-1,size=8G",
            ),
            (
                "efidisk0",
                "tank:vm-100-disk-2,efitype=4m,size=4M",
                "tank:1,efitype=4m",
            ),
            (
                "efidisk0",
                "tank:vm-100-disk-2,efitype=4m",
                "tank:1,efitype=4m",
            ),
            (
                "ide2",
                "local:iso/debian.iso,media=cdrom,size=600M",
                "local:iso/debian.iso,media=cdrom,size=600M",
            ),
            (
                "ide2",
                "tank:vm-100-cloudinit,media=cdrom",
                "tank:cloudinit,media=cdrom",
            ),
            (
                "ide2",
                "dir:100/vm-100-cloudinit.qcow2,media=cdrom",
                "dir:cloudinit,media=cdrom",
            ),
            // The ending of a file's name says its format, and nothing else would.
            (
                "scsi0",
                "dir:100/vm-100-disk-0.qcow2,discard=on,size=8G",
                "dir:8,format=qcow2,discard=on",
            ),
            (
                "scsi0",
                "dir:100/vm-100-disk-0.raw,size=8G",
                "dir:8,format=raw",
            ),
            (
                "efidisk0",
                "dir:100/vm-100-disk-1.qcow2,efitype=4m",
                "dir:1,format=qcow2,efitype=4m",
            ),
            (
                "tpmstate0",
                "dir:100/vm-100-disk-2.raw,size=4M,version=v2.0",
                "dir:1,version=v2.0",
            ),
            ("rootfs", "dir:100/vm-100-disk-0.raw,size=8G", "dir:8"),
            (
                "mp0",
                "/srv/data,mp=/data,size=8G",
                "/srv/data,mp=/data,size=8G",
            ),
            (
                "net0",
                "virtio=BC:24:11:00:00:01,bridge=vmbr0",
                "virtio=BC:24:11:00:00:01,bridge=vmbr0",
            ),
        ] {
            assert_eq!(own.argument(key, value), argument);
        }
    }

    #[test]
    fn a_container_whose_file_system_is_there_is_placed() {
        let text = "hostname: a\nmp0: tank:subvol-100-disk-1,mp=/x,size=8G\nrootfs: tank:subvol-100-disk-0,size=8G\n";
        let config = GuestConfig::parse(GuestKind::Pct, text).0;
        let placed = making("rootfs").creation(&config);
        assert!(placed.is_placed);
        assert_eq!(
            placed.command.expect("a volume is added").words().join(" "),
            "pct set 100 --mp0 tank:8,mp=/x"
        );
        let made = Making {
            template: Some("local:vztmpl/debian.tar.zst".to_owned()),
            password: Some("root".to_owned()),
            ssh_keys: vec!["ssh-ed25519 A".to_owned()],
            ..making("")
        };
        let made = made.creation(&config);
        assert_eq!(made.keys.as_deref(), Some("ssh-ed25519 A"));
        assert_eq!(
            made.command.expect("it is made").words().join(" "),
            "pct create 100 local:vztmpl/debian.tar.zst --hostname a --mp0 tank:8,mp=/x --rootfs tank:8 \
             --ssh-public-keys /var/lib/moxc/keys-100 --password"
        );
    }
}
