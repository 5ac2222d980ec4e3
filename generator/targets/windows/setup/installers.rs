//! What is installed in a Windows guest from a file: by address and SHA-256, each on one line wherever it is written.
//!
//! A fresh Windows has no winget that can be relied on, and a server of 2022 none at all: so the host puts these files on
//! the disc of answers, and a guest that does not find them there downloads them itself, by the same address and hash.

use crate::model::{Vm, WindowsGuest};
use crate::nu;
use crate::value::RemoteAccess;

/// An installer of Microsoft's format (`.msi`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installer {
    /// The word by which the scripts ask for it.
    pub name: &'static str,
    /// Where it is published: the last part is its file's name.
    pub url: &'static str,
    /// Its SHA-256.
    pub sha256: &'static str,
}

impl Installer {
    /// Its file's name.
    pub fn file(&self) -> &'static str {
        self.url.rsplit('/').next().unwrap_or(self.url)
    }
}

// Addresses and hashes are those of the manifests in microsoft/winget-pkgs (Nushell.Nushell 0.115.1, WinFsp.WinFsp
// 2.1.25156, Microsoft.OpenSSH.Preview 10.0.0.0), which Microsoft's pipeline has downloaded and compared.

/// Nushell, in the newest version that the scripts were tried with.
const NUSHELL: Installer = Installer {
    name: "nushell",
    url: "https://github.com/nushell/nushell/releases/download/0.115.1/nu-0.115.1-x86_64-pc-windows-msvc.msi",
    sha256: "447a676bde33d2e05080498c4475c3344020763b31683227903d2a2a4b391225",
};
/// `WinFsp`, which virtio-fs mounts by.
const WINFSP: Installer = Installer {
    name: "winfsp",
    url: "https://github.com/winfsp/winfsp/releases/download/v2.1/winfsp-2.1.25156.msi",
    sha256: "073a70e00f77423e34bed98b86e600def93393ba5822204fac57a29324db9f7a",
};
/// OpenSSH's server, as Microsoft's own project publishes it; Server 2025 has one already.
const OPENSSH: Installer = Installer {
    name: "openssh",
    url: "https://github.com/PowerShell/Win32-OpenSSH/releases/download/10.0.0.0p2-Preview/OpenSSH-Win64-v10.0.0.0.msi",
    sha256: "ddec9c53864280759cf9f74791cefd387100e3946aa849a1c138a4ed1b96b7d9",
};

/// The version of the Nushell above.
pub const NUSHELL_VERSION: &str = nu::NEWEST;

/// What a guest needs of them.
pub fn of(vm: &Vm, windows: &WindowsGuest) -> Vec<Installer> {
    let ssh = windows.remote_access.as_ref().map(|access| access.value) == Some(RemoteAccess::Ssh);
    [
        Some(NUSHELL),
        (!vm.shares.is_empty()).then_some(WINFSP),
        ssh.then_some(OPENSSH),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_hashes_are_of_the_versions_that_are_promised() {
        assert!(NUSHELL.url.contains(&format!("/{}/", nu::NEWEST)));
        for one in [NUSHELL, WINFSP, OPENSSH] {
            assert!(one.url.starts_with("https://"), "{}", one.name);
            assert!(
                one.file()
                    .strip_suffix(".msi")
                    .is_some_and(|stem| stem.contains('.')),
                "{}",
                one.name
            );
            assert!(
                one.sha256.len() == 64
                    && one
                        .sha256
                        .bytes()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
                "{}",
                one.name
            );
        }
    }
}
