//! The editions of Windows, and how Setup is told which one to install.
//!
//! By a key: it names an edition in every language. The names of images do not: the image of `Windows 11 Pro` is called
//! `Windows 11 Professionnel` on a French medium and `Windows 11 专业版` on a Chinese one (Microsoft's
//! `SurfaceDeploymentAccelerator`, `Languages.xml`), and Setup stops at one that it does not find. Those of servers hold the
//! flag of the edition (`SERVERSTANDARD`), which is the same everywhere.

use crate::model::{Vm, WindowsGuest};
use crate::value::VmOs;

/// What Setup is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    /// The image, where a key does not say it.
    pub image: Option<Image>,
    /// The key.
    pub key: Key,
}

/// An image of the medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// By its name.
    Name(String),
    /// By its number.
    Index(u32),
}

/// The product key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// One that is filled in where the disc is made.
    Secret,
    /// The one of an edition that installs and does not activate.
    Installation(&'static str),
    /// None.
    None,
}

/// Keys that install an edition and do not activate it. Those of Home, Pro and Education are the ones that Windows itself
/// has before a key of one's own is entered (`resource/WindowsEdition.json` of cschneegans/unattend-generator, quickemu);
/// those of Enterprise are Microsoft's published ones for volume media ("KMS client activation and product keys",
/// MicrosoftDocs/windowsserverdocs), and make Windows look for a KMS host. The servers' are left out: their evaluation media
/// refuse them, and need none.
const KEYS: &[(&str, &str)] = &[
    ("Home", "YTMG3-N6DKC-DKB77-7M9GH-8HVX7"),
    ("Home N", "4CPRK-NM3K3-X6XXQ-RXX86-WXCHW"),
    ("Home Single Language", "BT79Q-G7N6G-PGBYW-4YWX6-6F4BT"),
    ("Pro", "VK7JG-NPHTM-C97JM-9MPGT-3V66T"),
    ("Pro N", "2B87N-8KFHP-DKV6R-Y2C8J-PKCKT"),
    ("Pro for Workstations", "DXG7C-N36C4-C4HTG-X4T3X-2YV77"),
    ("Pro N for Workstations", "WYPNQ-8C467-V2W6J-TX4WX-WT2RQ"),
    ("Pro Education", "8PTT6-RNW4C-6V7J2-C2D3X-MHBPB"),
    ("Pro Education N", "GJTYN-HDMQY-FRR76-HVGC7-QPF8P"),
    ("Education", "YNMGQ-8RYV3-4PGQ3-C8XTP-7CFBY"),
    ("Education N", "84NGF-MHBT6-FXBX8-QWJK7-DRR8H"),
    ("Enterprise", "NPPR9-FWDCX-D2C8J-H872K-2YT43"),
    ("Enterprise N", "DPH2V-TTNVB-4X9Q3-TJR4H-KHJW4"),
    ("Enterprise LTSC", "M7XTQ-FN8P6-TTKYV-9D4CC-J462D"),
    ("Enterprise N LTSC", "92NFX-8DJQP-P6BBQ-THF9C-7CG2H"),
];

/// What the images of an installation medium are called by.
fn product(os: VmOs) -> &'static str {
    match os {
        VmOs::Windows10 => "Windows 10 ",
        VmOs::WindowsServer2022 => "Windows Server 2022 ",
        VmOs::WindowsServer2025 => "Windows Server 2025 ",
        VmOs::Windows11 | VmOs::Nixos | VmOs::Linux | VmOs::Other => "Windows 11 ",
    }
}

/// The edition alone, as `Pro`; a spec may write the whole name of an image.
fn short(os: VmOs, edition: &str) -> &str {
    edition.strip_prefix(product(os)).unwrap_or(edition)
}

/// The key that installs an edition.
fn installation_key(os: VmOs, edition: &str) -> Option<&'static str> {
    let wanted = short(os, edition);
    KEYS.iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, key)| *key)
}

/// Whether an edition has no remote desktop to log on by, and joins no domain: Home in each of its forms ("How to use Remote
/// Desktop").
pub fn is_home(vm: &Vm, windows: &WindowsGuest) -> bool {
    let edition = windows.edition.as_ref().map(|edition| edition.as_str());
    !vm.os.is_windows_server()
        && edition.is_some_and(|edition| short(*vm.os, edition).starts_with("Home"))
}

/// That of a guest.
pub fn of(vm: &Vm, windows: &WindowsGuest) -> Edition {
    let os = *vm.os;
    let server = os.is_windows_server();
    let written = windows.edition.as_ref().map(|edition| edition.as_str());
    let edition = written.unwrap_or(if server { "SERVERSTANDARD" } else { "Pro" });
    let whole = edition.starts_with("Windows ");
    let key = match (&windows.product_key_secret, server) {
        (Some(_), _) => Key::Secret,
        (None, true) => Key::None,
        (None, false) => installation_key(os, edition).map_or(Key::None, Key::Installation),
    };
    let by_name = || {
        Some(Image::Name(if whole {
            edition.to_owned()
        } else {
            format!("{}{edition}", product(os))
        }))
    };
    let image = match (&windows.image_index, &key) {
        (Some(index), _) => Some(Image::Index(index.value)),
        (None, Key::Secret | Key::Installation(_)) if !server && !whole => None,
        (None, Key::Secret | Key::Installation(_) | Key::None) => by_name(),
    };
    Edition { image, key }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_keys_and_none_is_there_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, key) in KEYS {
            let groups: Vec<&str> = key.split('-').collect();
            assert!(
                groups.len() == 5
                    && groups.iter().all(|g| g.len() == 5
                        && g.bytes()
                            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())),
                "{name}"
            );
            assert!(seen.insert(key) && seen.insert(name), "{name}");
        }
    }

    #[test]
    fn an_edition_has_its_key_by_its_short_and_by_its_whole_name() {
        let pro = installation_key(VmOs::Windows11, "Pro");
        assert!(pro.is_some());
        assert_eq!(installation_key(VmOs::Windows11, "Windows 11 Pro"), pro);
        assert_eq!(installation_key(VmOs::Windows10, "pro"), pro);
        assert_eq!(installation_key(VmOs::Windows10, "Windows 11 Pro"), None);
        assert_eq!(installation_key(VmOs::Windows11, "IoT Enterprise"), None);
    }
}
