//! `autounattend.xml`: the answers that Windows Setup finds on a disc, so that it asks nothing.
//!
//! Rules are those of Microsoft's "Unattended Windows Setup Reference": which component is valid in which pass, which of
//! its settings exclude each other. Nothing secret stands in it: `@MOXC_PASSWORD@` and `@MOXC_PRODUCT_KEY@` are filled in
//! where the disc is made.

use super::locale::Language;
use crate::facts::drives;
use crate::facts::windows::editions::{self, Edition, Image, Key};
use crate::facts::windows::{computer_name, time_zone};
use crate::model::{Guest, Host, Vm, WindowsGuest};
use crate::value::{Bus, Firmware, SetupCheck, VmOs};
use crate::xml::{Document, Element};

/// Stands for the user's first password.
pub(super) const PASSWORD: &str = "@MOXC_PASSWORD@";
/// Stands for the product key.
pub(super) const PRODUCT_KEY: &str = "@MOXC_PRODUCT_KEY@";
/// Where the drivers lie while Windows is installed: in the memory of Windows PE, whose letter never changes.
pub(super) const DRIVERS: &str = r"X:\moxc\drivers";
/// The folder on the disc that holds everything but the answers.
pub(super) const DISC_FOLDER: &str = "moxc";

/// The answers of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    os: VmOs,
    computer: String,
    user: String,
    zone: &'static str,
    language: Language,
    edition: Edition,
    disk: Option<SystemDisk>,
    encrypts: bool,
    bypass: Vec<SetupCheck>,
    drivers: Vec<Driver>,
}

/// How the first disk is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// For UEFI.
    Gpt,
    /// For a BIOS.
    Mbr,
}

/// The disk that Windows goes onto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SystemDisk {
    /// The number that Setup gives it.
    number: u32,
    /// How it is divided.
    layout: Layout,
}

/// A driver of the virtio-win disc: its folder and its file.
pub(super) type Driver = (&'static str, &'static str);

/// What the virtio-win disc calls an edition of Windows.
pub(super) fn driver_folder(os: VmOs) -> &'static str {
    match os {
        VmOs::Windows10 => "w10",
        VmOs::WindowsServer2022 => "2k22",
        VmOs::WindowsServer2025 => "2k25",
        // The others are no editions of Windows, and have no answers.
        VmOs::Windows11 | VmOs::Nixos | VmOs::Linux | VmOs::Other => "w11",
    }
}

/// The drivers without which Setup sees no disk, or Windows no network: of the disks' buses, and of the network card. The
/// numbers of disks follow from their order ([`drives::LOADED`]).
pub(super) fn drivers(vm: &Vm) -> Vec<Driver> {
    let has = |bus: &Bus| vm.disks.iter().any(|disk| *disk.bus == *bus);
    let of_bus = |bus: Bus| match bus {
        Bus::Scsi => Some(("vioscsi", "vioscsi.inf")),
        Bus::Virtio => Some(("viostor", "viostor.inf")),
        Bus::Ide | Bus::Sata => None,
    };
    let of_disks = drives::LOADED.into_iter().filter(has).filter_map(of_bus);
    of_disks.chain([("NetKVM", "netkvm.inf")]).collect()
}

impl Answers {
    /// Those of a guest.
    pub(super) fn of(host: &Host, guest: &Guest, vm: &Vm, windows: &WindowsGuest) -> Self {
        Self {
            os: *vm.os,
            computer: computer_name(guest, windows).0.to_owned(),
            user: windows.user.0.clone(),
            // Of a zone that Windows does not know, the analysis has told.
            zone: time_zone(windows).unwrap_or("UTC"),
            edition: editions::of(vm, windows),
            language: Language::of(host, vm, windows),
            disk: system_disk(vm),
            encrypts: *windows.device_encryption,
            bypass: windows.bypass.iter().map(|check| check.value).collect(),
            drivers: drivers(vm),
        }
    }

    /// The file.
    pub(super) fn document(&self, header: &str) -> Document {
        let passes = [
            settings(
                "windowsPE",
                vec![self.setup_language(), self.setup_drivers(), self.setup()],
            ),
            settings("offlineServicing", vec![offline_drivers()]),
            settings("specialize", vec![self.machine(), self.specialize()]),
            settings("oobeSystem", vec![self.language(), self.first_logon()]),
        ];
        let root = Element::new("unattend")
            .attribute("xmlns", "urn:schemas-microsoft-com:unattend")
            .attribute(
                "xmlns:wcm",
                "http://schemas.microsoft.com/WMIConfig/2002/State",
            )
            .with_all(passes);
        Document {
            comment: header.to_owned(),
            root,
        }
    }

    fn languages(&self, element: Element) -> Element {
        element
            .with(Element::text("InputLocale", &self.language.input))
            .with(Element::text("SystemLocale", &self.language.region))
            .with(Element::text("UILanguage", self.language.display))
            .with(Element::text("UserLocale", &self.language.region))
    }

    fn setup_language(&self) -> Element {
        let setup = Element::new("SetupUILanguage")
            .with(Element::text("UILanguage", self.language.display));
        self.languages(component("Microsoft-Windows-International-Core-WinPE").with(setup))
    }

    fn language(&self) -> Element {
        self.languages(component("Microsoft-Windows-International-Core"))
    }

    /// The drivers for Setup itself, but the one that it refuses (see [`offline_drivers`]). The script that copies them
    /// there runs first.
    fn setup_drivers(&self) -> Element {
        let names = self.drivers.iter().map(|(name, _)| *name);
        let taken = names.filter(|name| *name != "vioscsi");
        component("Microsoft-Windows-PnpCustomizationsWinPE")
            .with(driver_paths(taken.map(|name| format!(r"{DRIVERS}\{name}"))))
    }

    fn setup(&self) -> Element {
        let mut os_image = Element::new("OSImage");
        if let Some(image) = &self.edition.image {
            let (key, value) = match image {
                Image::Name(name) => ("/IMAGE/NAME", name.clone()),
                Image::Index(number) => ("/IMAGE/INDEX", number.to_string()),
            };
            os_image = os_image.with(
                Element::new("InstallFrom").with(
                    Element::new("MetaData")
                        .attribute("wcm:action", "add")
                        .with(Element::text("Key", key))
                        .with(Element::text("Value", value)),
                ),
            );
        }
        let mut setup = component("Microsoft-Windows-Setup");
        if let Some(disk) = self.disk {
            setup = setup.with(disk_configuration(disk));
            os_image = os_image.with(
                Element::new("InstallTo")
                    .with(Element::text("DiskID", disk.number.to_string()))
                    .with(Element::text(
                        "PartitionID",
                        partitions(disk.layout).len().to_string(),
                    )),
            );
        }
        let key = Element::new("ProductKey");
        // Without a key, Setup is to ask for none; one that it does not take is for a person to see.
        let key = match self.edition.key {
            Key::Secret => key
                .with(Element::text("Key", PRODUCT_KEY))
                .with(Element::text("WillShowUI", "OnError")),
            Key::Installation(published) => key
                .with(Element::text("Key", published))
                .with(Element::text("WillShowUI", "OnError")),
            Key::None => key.with(Element::text("WillShowUI", "Never")),
        };
        let user_data = Element::new("UserData")
            .with(Element::flag("AcceptEula", true))
            .with(key);
        setup
            .with(Element::new("ImageInstall").with(os_image))
            .with(run_synchronous(
                [from_disc("drivers.cmd", "call")]
                    .into_iter()
                    .chain(self.bypass.iter().map(|check| {
                        registry_word(r"HKLM\SYSTEM\Setup\LabConfig", lab_config(*check))
                    })),
            ))
            .with(user_data)
    }

    /// What is set before anybody logs on. Without a network the first start would stop at the question for one
    /// (`BypassNRO`, which does no harm where there is one); and Windows 11 from 24H2 on encrypts its disk by itself once
    /// somebody logs on with an account of Microsoft, so that a restored guest asks for a key that nobody wrote down.
    fn machine(&self) -> Element {
        let mut settings = vec![(
            r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\OOBE",
            "BypassNRO",
        )];
        if !self.encrypts {
            settings.push((
                r"HKLM\SYSTEM\CurrentControlSet\Control\BitLocker",
                "PreventDeviceEncryption",
            ));
        }
        component("Microsoft-Windows-Deployment").with(run_synchronous(
            settings
                .into_iter()
                .map(|(key, name)| registry_word(key, name)),
        ))
    }

    fn specialize(&self) -> Element {
        component("Microsoft-Windows-Shell-Setup")
            .with(Element::text("ComputerName", &self.computer))
            .with(Element::text("TimeZone", self.zone))
    }

    fn first_logon(&self) -> Element {
        let password = |name| {
            Element::new(name)
                .with(Element::text("Value", PASSWORD))
                .with(Element::flag("PlainText", true))
        };
        let account = Element::new("LocalAccount")
            .attribute("wcm:action", "add")
            .with(password("Password"))
            .with(Element::text("DisplayName", &self.user))
            .with(Element::text("Group", "Administrators"))
            .with(Element::text("Name", &self.user));
        let mut accounts = Element::new("UserAccounts");
        if self.os.is_windows_server() {
            // A server asks for this one, whoever else there is.
            accounts = accounts.with(password("AdministratorPassword"));
        }
        let bootstrap = from_disc(
            "bootstrap.ps1",
            "powershell.exe -NoProfile -ExecutionPolicy Bypass -File",
        );
        component("Microsoft-Windows-Shell-Setup")
            .with(
                Element::new("AutoLogon")
                    .with(password("Password"))
                    .with(Element::flag("Enabled", true))
                    .with(Element::text("LogonCount", "1"))
                    .with(Element::text("Username", &self.user)),
            )
            .with(
                Element::new("FirstLogonCommands").with(
                    Element::new("SynchronousCommand")
                        .attribute("wcm:action", "add")
                        .with(Element::text("CommandLine", bootstrap))
                        .with(Element::text("Description", "What moxc sets up"))
                        .with(Element::text("Order", "1")),
                ),
            )
            .with(
                Element::new("OOBE")
                    .with(Element::flag("HideEULAPage", true))
                    .with(Element::flag("HideOEMRegistrationScreen", true))
                    .with(Element::flag("HideOnlineAccountScreens", true))
                    .with(Element::flag("HideWirelessSetupInOOBE", true))
                    .with(Element::text("ProtectYourPC", "3")),
            )
            .with(accounts.with(Element::new("LocalAccounts").with(account)))
    }
}

fn settings(pass: &'static str, components: Vec<Element>) -> Element {
    Element::new("settings")
        .attribute("pass", pass)
        .with_all(components)
}

/// A component of Windows for this processor, by the attributes that all of them carry.
fn component(name: &'static str) -> Element {
    Element::new("component")
        .attribute("name", name)
        .attribute("processorArchitecture", "amd64")
        .attribute("publicKeyToken", "31bf3856ad364e35")
        .attribute("language", "neutral")
        .attribute("versionScope", "nonSxS")
}

/// Commands, one after the other.
fn run_synchronous(commands: impl IntoIterator<Item = String>) -> Element {
    let commands = (1..).zip(commands).map(|(order, path): (u32, String)| {
        Element::new("RunSynchronousCommand")
            .attribute("wcm:action", "add")
            .with(Element::text("Order", order.to_string()))
            .with(Element::text("Path", path))
    });
    Element::new("RunSynchronous").with_all(commands)
}

/// The command that switches something on in the registry.
fn registry_word(key: &str, name: &str) -> String {
    format!("reg.exe add {key} /v {name} /t REG_DWORD /d 1 /f")
}

/// The value by which Windows 11's Setup leaves a check out; it reads them from `LabConfig` when it looks at the machine.
fn lab_config(check: SetupCheck) -> &'static str {
    match check {
        SetupCheck::Tpm => "BypassTPMCheck",
        SetupCheck::SecureBoot => "BypassSecureBootCheck",
        SetupCheck::Cpu => "BypassCPUCheck",
        SetupCheck::Memory => "BypassRAMCheck",
        SetupCheck::Disk => "BypassStorageCheck",
    }
}

/// A command that looks for a file of the disc on every drive, since its letter depends on the other drives. It ends with the
/// first that it finds, since the disc may move to another letter meanwhile.
fn from_disc(file: &str, how: &str) -> String {
    format!(
        r"cmd.exe /c for %d in (C D E F G H I J K L M N O P Q R S T U V W Y Z) do @if exist %d:\{DISC_FOLDER}\{file} {how} %d:\{DISC_FOLDER}\{file} & exit"
    )
}

/// The drivers for the installed Windows. Setup's own search for drivers (`DriverPaths` of the pass `windowsPE`) refuses
/// vioscsi from Windows 11 24H2 on (virtio-win/kvm-guest-drivers-windows#1100); a script loads it there.
fn offline_drivers() -> Element {
    component("Microsoft-Windows-PnpCustomizationsNonWinPE")
        .with(driver_paths([DRIVERS.to_owned()]))
}

fn driver_paths(paths: impl IntoIterator<Item = String>) -> Element {
    let paths = (1..).zip(paths).map(|(number, path): (u32, String)| {
        Element::new("PathAndCredentials")
            .attribute("wcm:action", "add")
            .attribute("wcm:keyValue", number.to_string())
            .with(Element::text("Path", path))
    });
    Element::new("DriverPaths").with_all(paths)
}

/// A partition: its type and its size in MiB, all that is left where none; its format and its label.
struct Partition {
    kind: &'static str,
    size: Option<u32>,
    format: Option<(&'static str, &'static str)>,
    active: bool,
}

/// The partitions of the first disk, Windows last. 300 MiB of FAT32 are enough for sectors of 4 KiB, too.
fn partitions(layout: Layout) -> Vec<Partition> {
    let windows = Partition {
        kind: "Primary",
        size: None,
        format: Some(("NTFS", "Windows")),
        active: false,
    };
    match layout {
        Layout::Gpt => vec![
            Partition {
                kind: "EFI",
                size: Some(300),
                format: Some(("FAT32", "System")),
                active: false,
            },
            Partition {
                kind: "MSR",
                size: Some(16),
                format: None,
                active: false,
            },
            windows,
        ],
        Layout::Mbr => vec![
            Partition {
                kind: "Primary",
                size: Some(100),
                format: Some(("NTFS", "System")),
                active: true,
            },
            windows,
        ],
    }
}

fn disk_configuration(disk: SystemDisk) -> Element {
    let mut create = Element::new("CreatePartitions");
    let mut modify = Element::new("ModifyPartitions");
    for (number, partition) in (1..).zip(partitions(disk.layout)) {
        let number: u32 = number;
        let order = Element::text("Order", number.to_string());
        let mut made = Element::new("CreatePartition")
            .attribute("wcm:action", "add")
            .with(order.clone())
            .with(Element::text("Type", partition.kind));
        made = match partition.size {
            Some(size) => made.with(Element::text("Size", size.to_string())),
            None => made.with(Element::flag("Extend", true)),
        };
        create = create.with(made);
        let mut set = Element::new("ModifyPartition")
            .attribute("wcm:action", "add")
            .with(order)
            .with(Element::text("PartitionID", number.to_string()));
        if partition.active {
            set = set.with(Element::flag("Active", true));
        }
        if let Some((format, label)) = partition.format {
            set = set
                .with(Element::text("Format", format))
                .with(Element::text("Label", label));
        }
        if partition.size.is_none() {
            set = set.with(Element::text("Letter", "C"));
        }
        modify = modify.with(set);
    }
    Element::new("DiskConfiguration").with(
        Element::new("Disk")
            .attribute("wcm:action", "add")
            .with(Element::text("DiskID", disk.number.to_string()))
            .with(Element::flag("WillWipeDisk", true))
            .with(create)
            .with(modify),
    )
}

/// The disk that Setup wipes, and how it divides it; nothing where it cannot be told which number it gives that disk.
fn system_disk(vm: &Vm) -> Option<SystemDisk> {
    let number = drives::setup_number(vm)?;
    let layout = match *vm.firmware {
        Firmware::Ovmf => Layout::Gpt,
        Firmware::Seabios => Layout::Mbr,
    };
    Some(SystemDisk { number, layout })
}
