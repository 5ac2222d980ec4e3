//! The disc of answers: what runs from it before Setup and at the first logon, and the script that makes it on the host.

use serde::Serialize;

use super::Folder;
use super::unattend::{self, Driver};
use crate::facts::drives;
use crate::model::{Guest, Image, Vm, VmDisk, WindowsGuest};
use crate::output::Mode;
use crate::powershell;
use crate::source::Span;
use crate::template::{BuiltIn, Templates, one_line};

/// What stands on the disc besides the answers, and what makes it.
#[derive(Debug)]
pub(super) struct Media {
    guest: String,
    vmid: u32,
    user: String,
    shares: bool,
    disks: Vec<ScriptDisk>,
    letters: String,
    driver_folder: &'static str,
    drivers: Vec<Driver>,
    drive: String,
    password_secret: String,
    key_secret: String,
}

impl Media {
    /// That of a guest.
    pub(super) fn plan(guest: &Guest, vm: &Vm, windows: &WindowsGuest) -> Self {
        let mut secrets = super::secrets(guest, windows).into_iter();
        Self {
            guest: guest.name.value.clone(),
            vmid: guest.vmid.get(),
            user: windows.user.0.clone(),
            shares: !vm.shares.is_empty(),
            disks: drives::of_disks(vm)
                .map(|(letter, disk)| ScriptDisk {
                    letter,
                    size: disk.size.as_bytes().to_string(),
                    label: label(&disk.name),
                })
                .collect(),
            letters: drives::of_shares(vm)
                .chain(drives::of_disks(vm).map(|(letter, _)| letter))
                .collect(),
            driver_folder: unattend::driver_folder(*vm.os),
            drivers: unattend::drivers(vm),
            drive: free_drive(vm),
            password_secret: secrets.next().unwrap_or_default(),
            key_secret: secrets.next().unwrap_or_default(),
        }
    }

    /// Writes it down.
    pub(super) fn emit(&self, span: Span, templates: &Templates, folder: &mut Folder<'_>) {
        let header = folder.header();
        let bootstrap = BootstrapScript {
            header: powershell::comment(&header),
            user: self.user.clone(),
            shares: self.shares,
            disks: self.disks.clone(),
            letters: self.letters.clone(),
        };
        let text = templates.render(&bootstrap, folder.sink);
        folder.add("bootstrap.ps1", &text, Mode::Regular, span);

        let drivers = DriversScript {
            header: powershell::comment(&header),
            folder: self.driver_folder,
            target: unattend::DRIVERS,
            drivers: self
                .drivers
                .iter()
                .map(|(name, file)| ScriptDriver { name, file })
                .collect(),
        };
        let mut text = templates.render(&drivers, folder.sink);
        text.push('\n');
        // cmd.exe loses its place in a script whose lines end in LF alone.
        folder.add_bytes("drivers.cmd", text.replace('\n', "\r\n").into_bytes(), span);

        let build = BuildIsoScript {
            header: one_line(&header),
            guest: self.guest.clone(),
            vmid: self.vmid,
            drive: self.drive.clone(),
            password_secret: self.password_secret.clone(),
            key_secret: self.key_secret.clone(),
        };
        let text = templates.render(&build, folder.sink);
        folder.add("build-iso.sh", &text, Mode::Executable, span);
    }
}

/// A slot of the guest that no drive of the spec takes.
fn free_drive(vm: &Vm) -> String {
    let drives = vm.disks.iter().map(VmDisk::key);
    let drives: Vec<String> = drives.chain(vm.images.iter().map(Image::key)).collect();
    let taken = |key: &String| drives.contains(key);
    let ide = ["ide0", "ide1", "ide3"].map(str::to_owned);
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
    /// Whether folders of the host are shared with the guest.
    shares: bool,
    /// The disks behind the first.
    disks: Vec<ScriptDisk>,
    /// The letters that disks and shared folders take.
    letters: String,
}

/// A disk in the data of a template.
#[derive(Debug, Clone, Serialize)]
struct ScriptDisk {
    /// Its letter.
    letter: char,
    /// Its size in bytes, as text: the two engines write numbers differently.
    size: String,
    /// The name of its file system.
    label: String,
}

/// The label of a disk's file system: NTFS takes 32 characters.
fn label(name: &str) -> String {
    name.chars().take(32).collect()
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
    /// The slot that the disc goes into.
    drive: String,
    /// The secret of the user's first password.
    password_secret: String,
    /// The secret of the product key; empty where there is none.
    key_secret: String,
}

impl BuiltIn for BuildIsoScript {
    const NAME: &'static str = "windows/host/build-iso.sh";
}
