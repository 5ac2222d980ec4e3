//! The disc of answers: what runs from it before Setup and at the first logon, and the script that makes it on the host.

use serde::Serialize;

use super::installers::{self, Installer};
use super::unattend::{self, Driver};
use super::{Folder, Secrets};
use crate::facts::drives;
use crate::model::{Guest, Image, Vm, VmDisk, WindowsGuest};
use crate::output::Mode;
use crate::powershell;
use crate::source::Span;
use crate::template::{BuiltIn, Templates, one_line};
use crate::value::Firmware;

/// What stands on the disc besides the answers, and what makes it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what a template asks for")]
pub(super) struct Media {
    guest: String,
    vmid: u32,
    user: String,
    installers: Vec<ScriptInstaller>,
    has_winget: bool,
    is_server: bool,
    is_ovmf: bool,
    has_network: bool,
    driver_folder: &'static str,
    drivers: Vec<Driver>,
    /// The disk that is wiped, where Setup is told to: the number that Setup gives it, its serial number and its size.
    system: Option<(u32, String, u64)>,
    drive: String,
    /// Where Proxmox VE has the system disk.
    system_slot: String,
    secrets: Secrets,
}

impl Media {
    /// That of a guest.
    pub(super) fn of(guest: &Guest, vm: &Vm, windows: &WindowsGuest) -> Self {
        let system = vm.boot_disk().and_then(|disk| {
            let number = drives::setup_number(vm)?;
            Some((number, drives::serial(vm, disk)?, disk.size()?.as_bytes()))
        });
        Self {
            guest: guest.name.value.clone(),
            vmid: guest.vmid.get(),
            user: windows.user.0.clone(),
            installers: installers::of(vm, windows)
                .into_iter()
                .map(ScriptInstaller::from)
                .collect(),
            has_winget: vm.os.brings_winget(),
            is_server: vm.os.is_windows_server(),
            is_ovmf: match *vm.firmware {
                Firmware::Ovmf => true,
                Firmware::Seabios => false,
            },
            has_network: !guest.network.is_empty(),
            driver_folder: unattend::driver_folder(*vm.os),
            drivers: unattend::drivers(vm),
            system,
            drive: free_drive(vm),
            system_slot: vm.boot_disk().map(VmDisk::key).unwrap_or_default(),
            secrets: Secrets::of(guest, windows),
        }
    }

    /// Writes it down.
    pub(super) fn emit(&self, span: Span, templates: &Templates, folder: &mut Folder<'_>) {
        let header = folder.header();
        let bootstrap = BootstrapScript {
            header: powershell::comment(&header),
            user: self.user.clone(),
            installers: self.installers.clone(),
            nu: installers::NUSHELL_VERSION,
            winget: self.has_winget,
        };
        let text = templates.render(&bootstrap, folder.sink);
        folder.add("bootstrap.ps1", &text, Mode::Regular, span);

        let push = PushScript {
            header: powershell::comment(&header),
        };
        let text = templates.render(&push, folder.sink);
        folder.add("push.ps1", &text, Mode::Regular, span);

        let (number, serial, size) = self.system.clone().unwrap_or_default();
        let drivers = DriversScript {
            header: powershell::comment(&header),
            folder: self.driver_folder,
            target: unattend::DRIVERS,
            drivers: self
                .drivers
                .iter()
                .map(|(name, file)| ScriptDriver { name, file })
                .collect(),
            wipes: self.system.is_some(),
            number,
            serial,
            size: size.to_string(),
        };
        let text = templates.render(&drivers, folder.sink);
        windows_lines("drivers.cmd", text, span, folder);
        let disk = DiskScript {
            header: powershell::comment(&header),
        };
        let text = templates.render(&disk, folder.sink);
        windows_lines("disk.vbs", text, span, folder);

        let build = BuildIsoScript {
            header: one_line(&header),
            guest: self.guest.clone(),
            vmid: self.vmid,
            user: self.user.clone(),
            drive: self.drive.clone(),
            system: self.system_slot.clone(),
            password_secret: self.secrets.password.clone(),
            key_secret: self.secrets.key.clone().unwrap_or_default(),
            steam_secret: self.secrets.steam.clone().unwrap_or_default(),
            domain_secret: self.secrets.domain.clone().unwrap_or_default(),
            accounts: self
                .secrets
                .accounts
                .iter()
                .map(|(name, secret)| ScriptAccount {
                    name: name.clone(),
                    secret: secret.clone(),
                })
                .collect(),
            server: self.is_server,
            ovmf: self.is_ovmf,
            network: self.has_network,
            installers: self.installers.clone(),
        };
        let text = templates.render(&build, folder.sink);
        folder.add("build-iso.sh", &text, Mode::Executable, span);
    }
}

/// A file whose lines end as those of Windows: cmd.exe loses its place in a script whose lines end in LF alone.
fn windows_lines(name: &str, mut text: String, span: Span, folder: &mut Folder<'_>) {
    text.push('\n');
    folder.add_bytes(name, text.replace('\n', "\r\n").into_bytes(), span);
}

/// A slot of the guest that no drive of the spec takes.
fn free_drive(vm: &Vm) -> String {
    let drives = vm.disks.iter().map(VmDisk::key);
    let drives: Vec<String> = drives.chain(vm.images.iter().map(Image::key)).collect();
    let taken = |key: &String| drives.contains(key);
    // A q35 machine did not start with odd ones before a later Proxmox VE.
    let ide = ["ide0", "ide2"].map(str::to_owned);
    let sata = (0..6).map(|number| format!("sata{number}"));
    let mut free = ide.into_iter().chain(sata).filter(|key| !taken(key));
    free.next().unwrap_or_else(|| "ide2".to_owned())
}

/// The data of the template of `bootstrap.ps1`.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "windows/bootstrap.ps1")]
pub struct BootstrapScript {
    /// The line that marks a generated file.
    header: String,
    /// The guest's user.
    user: String,
    /// What is installed from a file.
    installers: Vec<ScriptInstaller>,
    /// The version of Nushell that is among them.
    nu: &'static str,
    /// Whether Windows brings winget.
    winget: bool,
}

/// An installer in the data of a template.
#[derive(Debug, Clone, Serialize)]
struct ScriptInstaller {
    /// The word by which the scripts ask for it.
    name: &'static str,
    /// Its file's name.
    file: &'static str,
    /// Where it is published.
    url: &'static str,
    /// Its SHA-256.
    sha256: &'static str,
}

impl From<Installer> for ScriptInstaller {
    fn from(one: Installer) -> Self {
        Self {
            name: one.name,
            file: one.file(),
            url: one.url,
            sha256: one.sha256,
        }
    }
}

impl BuiltIn for BootstrapScript {
    const NAME: &'static str = "windows/bootstrap.ps1";
}

/// The data of the template of `drivers.cmd`. Every field but the header is a word of moxc's own: cmd.exe has no way to
/// quote just anything.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "windows/drivers.cmd")]
pub struct DriversScript {
    /// The line that marks a generated file.
    header: String,
    /// The word for this Windows on the virtio-win disc.
    folder: &'static str,
    /// Where the drivers are copied to.
    target: &'static str,
    /// The drivers.
    drivers: Vec<ScriptDriver>,
    /// Whether Setup wipes a disk.
    wipes: bool,
    /// The number that Setup gives that disk.
    number: u32,
    /// Its serial number.
    serial: String,
    /// Its size in bytes, as text: the two engines write numbers differently.
    size: String,
}

/// A driver in the data of a template.
#[derive(Debug, Serialize)]
struct ScriptDriver {
    /// Its folder on the virtio-win disc.
    name: &'static str,
    /// Its file there.
    file: &'static str,
}

impl BuiltIn for DriversScript {
    const NAME: &'static str = "windows/drivers.cmd";
}

/// The data of the template of `disk.vbs`, which tells whether the disk that is wiped is the right one.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "windows/disk.vbs")]
pub struct DiskScript {
    /// The line that marks a generated file.
    header: String,
}

impl BuiltIn for DiskScript {
    const NAME: &'static str = "windows/disk.vbs";
}

/// The data of the template of `push.ps1`, by which a running guest takes new files.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "windows/push.ps1")]
pub struct PushScript {
    /// The line that marks a generated file.
    header: String,
}

impl BuiltIn for PushScript {
    const NAME: &'static str = "windows/push.ps1";
}

/// The data of the template of `build-iso.sh`.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "windows/host/build-iso.sh")]
pub struct BuildIsoScript {
    /// The line that marks a generated file.
    header: String,
    /// The guest's name.
    guest: String,
    /// Its number.
    vmid: u32,
    /// The guest's user in Windows.
    user: String,
    /// The slot that the disc goes into.
    drive: String,
    /// The slot of the disk that Windows goes onto; empty where there is none.
    system: String,
    /// The secret of the user's first password.
    password_secret: String,
    /// The secret of the product key; empty where there is none.
    key_secret: String,
    /// The secret of Steam's account; empty where there is none.
    steam_secret: String,
    /// The secret of the account that joins the domain; empty where there is none.
    domain_secret: String,
    /// Further accounts.
    accounts: Vec<ScriptAccount>,
    /// Whether it is a server, which has rules for passwords.
    server: bool,
    /// Whether its firmware is OVMF, which asks for a key before it starts from a disc.
    ovmf: bool,
    /// Whether it has a network card.
    network: bool,
    /// What the disc brings.
    installers: Vec<ScriptInstaller>,
}

/// A further account in the data of a template.
#[derive(Debug, Clone, Serialize)]
struct ScriptAccount {
    /// Its name in Windows.
    name: String,
    /// The secret of its first password.
    secret: String,
}

impl BuiltIn for BuildIsoScript {
    const NAME: &'static str = "windows/host/build-iso.sh";
}
