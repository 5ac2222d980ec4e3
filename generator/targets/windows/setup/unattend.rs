//! `autounattend.xml`: the answers that Windows Setup finds on a disc, so that it asks nothing.
//!
//! Rules are those of Microsoft's "Unattended Windows Setup Reference": which component is valid in which pass, which of
//! its settings exclude each other. Nothing secret stands in it: `@MOXC_PASSWORD@` and `@MOXC_PRODUCT_KEY@` are filled in
//! where the disc is made.

use super::locale::Language;
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, Vm, WindowsGuest};
use crate::value::{Bus, Firmware, VmOs};
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
    image: String,
    key: Key,
    disk: Option<Layout>,
    drivers: Vec<Driver>,
}

/// The product key that Setup is told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    /// One that is filled in where the disc is made.
    Secret,
    /// Microsoft's published key of an edition, which installs and does not activate.
    Published(&'static str),
    /// None.
    None,
}

/// How the first disk is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// For UEFI.
    Gpt,
    /// For a BIOS.
    Mbr,
}

/// A driver of the virtio-win disc: its folder and its file.
pub(super) type Driver = (&'static str, &'static str);

/// Keys that Microsoft publishes for the setup of each edition ("Key Management Services client activation and product
/// keys"). The servers' are left out: their evaluation discs refuse them, and need none.
const PUBLISHED_KEYS: &[(&str, &str)] = &[
    ("Home", "TX9XD-98N7V-6WMQ6-BX7FG-H8Q99"),
    ("Pro", "W269N-WFGWX-YVC9B-4J6C9-T83GX"),
    ("Pro for Workstations", "NRG8B-VKK3Q-CXVCJ-9G2XF-6Q84J"),
    ("Education", "NW6C2-QMPVW-D7KKK-3GKT6-VCFB2"),
    ("Enterprise", "NPPR9-FWDCX-D2C8J-H872K-2YT43"),
];

/// The word for a Windows on the virtio-win disc.
pub(super) fn driver_folder(os: VmOs) -> &'static str {
    match os {
        VmOs::Windows10 => "w10",
        VmOs::WindowsServer2022 => "2k22",
        VmOs::WindowsServer2025 => "2k25",
        // The others are no Windows, and have no answers.
        VmOs::Windows11 | VmOs::Nixos | VmOs::Linux | VmOs::Other => "w11",
    }
}

/// The drivers without which Setup sees no disk, or Windows no network: of the disks' buses, and of the network card.
pub(super) fn drivers(vm: &Vm) -> Vec<Driver> {
    let has = |bus: Bus| vm.disks.iter().any(|disk| *disk.bus == bus);
    let mut drivers = Vec::new();
    if has(Bus::Scsi) {
        drivers.push(("vioscsi", "vioscsi.inf"));
    }
    if has(Bus::Virtio) {
        drivers.push(("viostor", "viostor.inf"));
    }
    drivers.push(("NetKVM", "netkvm.inf"));
    drivers
}

fn is_server(os: VmOs) -> bool {
    matches!(os, VmOs::WindowsServer2022 | VmOs::WindowsServer2025)
}

impl Answers {
    /// Those of a guest. Reports MOX0632 and MOX0633.
    pub(super) fn plan(
        host: &Host,
        guest: &Guest,
        vm: &Vm,
        windows: &WindowsGuest,
        zone: &'static str,
        sink: &mut Sink,
    ) -> Self {
        let edition = windows.edition.as_ref().map(|edition| edition.as_str());
        let image = image(*vm.os, edition);
        let key = match (&windows.product_key_secret, is_server(*vm.os)) {
            (Some(_), _) => Key::Secret,
            (None, true) => Key::None,
            (None, false) => PUBLISHED_KEYS
                .iter()
                .find(|(name, _)| image.strip_prefix(product(*vm.os)) == Some(*name))
                .map_or(Key::None, |(_, key)| Key::Published(key)),
        };
        Self {
            os: *vm.os,
            computer: computer_name(guest, windows, sink),
            user: windows.user.0.clone(),
            zone,
            language: Language::of(host, windows),
            image,
            key,
            disk: layout(guest, vm, sink),
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
            settings("specialize", vec![self.specialize()]),
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
        let image = Element::new("MetaData")
            .attribute("wcm:action", "add")
            .with(Element::text("Key", "/IMAGE/NAME"))
            .with(Element::text("Value", &self.image));
        let mut os_image = Element::new("OSImage").with(Element::new("InstallFrom").with(image));
        let mut setup = component("Microsoft-Windows-Setup");
        if let Some(layout) = self.disk {
            setup = setup.with(disk_configuration(layout));
            os_image = os_image.with(
                Element::new("InstallTo")
                    .with(Element::text("DiskID", "0"))
                    .with(Element::text(
                        "PartitionID",
                        partitions(layout).len().to_string(),
                    )),
            );
        }
        let mut key = Element::new("ProductKey");
        match self.key {
            Key::Secret => key = key.with(Element::text("Key", PRODUCT_KEY)),
            Key::Published(published) => key = key.with(Element::text("Key", published)),
            Key::None => {}
        }
        let user_data = Element::new("UserData")
            .with(Element::flag("AcceptEula", true))
            .with(key.with(Element::text("WillShowUI", "OnError")));
        setup
            .with(Element::new("ImageInstall").with(os_image))
            .with(
                Element::new("RunSynchronous").with(
                    Element::new("RunSynchronousCommand")
                        .attribute("wcm:action", "add")
                        .with(Element::text("Order", "1"))
                        .with(Element::text("Path", from_disc("drivers.cmd", "call"))),
                ),
            )
            .with(user_data)
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
        if is_server(self.os) {
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

/// A command that looks for a file of the disc on every drive, since its letter depends on the other drives.
fn from_disc(file: &str, how: &str) -> String {
    format!(
        r"cmd.exe /c for %d in (C D E F G H I J K L M N O P Q R S T U V W Y Z) do @if exist %d:\{DISC_FOLDER}\{file} {how} %d:\{DISC_FOLDER}\{file}"
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

fn disk_configuration(layout: Layout) -> Element {
    let mut create = Element::new("CreatePartitions");
    let mut modify = Element::new("ModifyPartitions");
    for (number, partition) in (1..).zip(partitions(layout)) {
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
            .with(Element::text("DiskID", "0"))
            .with(Element::flag("WillWipeDisk", true))
            .with(create)
            .with(modify),
    )
}

/// How the first disk is divided; not at all where it is not certain which one Windows takes for the first.
fn layout(guest: &Guest, vm: &Vm, sink: &mut Sink) -> Option<Layout> {
    let first = vm.disks.first()?;
    if let Some(other) = vm.disks.iter().find(|disk| *disk.bus != *first.bus) {
        sink.push(
            Diagnostic::new(
                Code::MOX0633,
                other.name.span,
                format!(
                    "the setup of `{}` asks which disk it may wipe",
                    guest.name.value
                ),
            )
            .label(format!("a disk of the bus `{}`", *other.bus))
            .also(first.name.span, format!("one of the bus `{}`", *first.bus))
            .note("Windows numbers disks in the order in which it finds their controllers")
            .help("give all its disks one `bus`"),
        );
        return None;
    }
    Some(match *vm.firmware {
        Firmware::Ovmf => Layout::Gpt,
        Firmware::Seabios => Layout::Mbr,
    })
}

/// What the images of an installation medium are called by.
fn product(os: VmOs) -> &'static str {
    match os {
        VmOs::Windows10 => "Windows 10 ",
        VmOs::WindowsServer2022 => "Windows Server 2022 ",
        VmOs::WindowsServer2025 => "Windows Server 2025 ",
        VmOs::Windows11 | VmOs::Nixos | VmOs::Linux | VmOs::Other => "Windows 11 ",
    }
}

/// The image that is installed: by its whole name, or by its edition alone (`Pro`).
fn image(os: VmOs, edition: Option<&str>) -> String {
    let default = if is_server(os) {
        "SERVERSTANDARD"
    } else {
        "Pro"
    };
    let edition = edition.unwrap_or(default);
    if edition.starts_with("Windows ") {
        edition.to_owned()
    } else {
        format!("{}{edition}", product(os))
    }
}

/// The name that the machine has in Windows: one that `NetBIOS` can carry, and that no account has.
fn computer_name(guest: &Guest, windows: &WindowsGuest, sink: &mut Sink) -> String {
    let (name, span) = match &windows.computer_name {
        Some(written) => (written.0.as_str(), written.span),
        None => (guest.name.as_str(), guest.name.span),
    };
    let wrong = if name.len() > 15 {
        Some(format!("it has {} characters, at most 15", name.len()))
    } else if name.bytes().all(|b| b.is_ascii_digit()) {
        Some("it has digits alone".to_owned())
    } else if name.eq_ignore_ascii_case(&windows.user.0) {
        Some("its user has the same name".to_owned())
    } else {
        None
    };
    if let Some(wrong) = wrong {
        let mut diagnostic = Diagnostic::new(
            Code::MOX0632,
            span,
            format!("Windows cannot have the name `{name}`"),
        )
        .label(wrong);
        if windows.computer_name.is_none() {
            diagnostic = diagnostic.help(
                "give it another one in Windows: `computer-name = \"…\"` in its table `windows`",
            );
        }
        sink.push(diagnostic);
    }
    name.to_owned()
}
