//! What is installed in a Windows guest from a file: by address and SHA-256, each on one line wherever it is written.
//!
//! A fresh Windows has no winget that can be relied on, and a server of 2022 none at all: so the host puts these files on
//! the disc of answers, and a guest that does not find them there downloads them itself, by the same address and hash.

use crate::model::{Vm, WindowsGuest};
use crate::nu;
use crate::value::RemoteAccess;

/// An installer, of Microsoft's format (`.msi`) or a program of its own (`.exe`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installer {
    /// The word by which the scripts ask for it.
    pub name: &'static str,
    /// Where it is published: the last part is its file's name.
    pub url: &'static str,
    /// Its SHA-256.
    pub sha256: &'static str,
    /// What a program takes so that it asks nothing. No blank and no quote: PowerShell joins them by blanks. Those of a
    /// `.msi` are the same for each, and the scripts' own.
    pub arguments: &'static [&'static str],
    /// Its id in winget, and its version there: the last way to it.
    pub winget: (&'static str, &'static str),
}

impl Installer {
    /// Its file's name.
    pub fn file(&self) -> &'static str {
        self.url.rsplit('/').next().unwrap_or(self.url)
    }
}

// Addresses, hashes and arguments are those of the manifests in microsoft/winget-pkgs, which Microsoft's pipeline has
// downloaded and compared; the arguments of the build tools are rust.nu's, since they name the components.

/// Nushell, in the newest version that the scripts were tried with.
const NUSHELL: Installer = Installer {
    name: "nushell",
    url: "https://github.com/nushell/nushell/releases/download/0.115.1/nu-0.115.1-x86_64-pc-windows-msvc.msi",
    sha256: "447a676bde33d2e05080498c4475c3344020763b31683227903d2a2a4b391225",
    arguments: &[],
    winget: ("Nushell.Nushell", nu::NEWEST),
};
/// `WinFsp`, which virtio-fs mounts by.
const WINFSP: Installer = Installer {
    name: "winfsp",
    url: "https://github.com/winfsp/winfsp/releases/download/v2.1/winfsp-2.1.25156.msi",
    sha256: "073a70e00f77423e34bed98b86e600def93393ba5822204fac57a29324db9f7a",
    arguments: &[],
    winget: ("WinFsp.WinFsp", "2.1.25156"),
};
/// OpenSSH's server, as Microsoft's own project publishes it; Server 2025 has one already.
const OPENSSH: Installer = Installer {
    name: "openssh",
    url: "https://github.com/PowerShell/Win32-OpenSSH/releases/download/10.0.0.0p2-Preview/OpenSSH-Win64-v10.0.0.0.msi",
    sha256: "ddec9c53864280759cf9f74791cefd387100e3946aa849a1c138a4ed1b96b7d9",
    arguments: &[],
    winget: ("Microsoft.OpenSSH.Preview", "10.0.0.0"),
};
/// Git, which clones projects.
const GIT: Installer = Installer {
    name: "git",
    url: "https://github.com/git-for-windows/git/releases/download/v2.52.0.windows.1/Git-2.52.0-64-bit.exe",
    sha256: "d8de7a3152266c8bb13577eab850ea1df6dccf8c2aa48be5b4a1c58b7190d62c",
    arguments: &["/SP-", "/VERYSILENT", "/SUPPRESSMSGBOXES", "/NORESTART"],
    winget: ("Git.Git", "2.52.0"),
};
/// MSYS2, whose C compiler the `gnu` hosts of Rust want.
const MSYS2: Installer = Installer {
    name: "msys2",
    url: "https://github.com/msys2/msys2-installer/releases/download/2025-08-30/msys2-x86_64-20250830.exe",
    sha256: "b54705073678d32686a2cc356bb552363429e6ccbabbfeccb6d3cb7ec101e73b",
    // As its own README has them.
    arguments: &[
        "in",
        "--confirm-command",
        "--accept-messages",
        "--root",
        "C:/msys64",
    ],
    winget: ("MSYS2.MSYS2", "20250830"),
};
/// The bootstrapper of Microsoft's build tools, which the `msvc` hosts of Rust link by. It brings the rest itself, from its
/// channel, by Microsoft's own signatures.
const BUILD_TOOLS: Installer = Installer {
    name: "build-tools",
    url: "https://download.visualstudio.microsoft.com/download/pr/ae7ac791-9759-4076-bba7-47ff510c57af/a783199025439d65f310bff041e278b966a6dbed8dbcd7fc96b55389f574ef41/vs_BuildTools.exe",
    sha256: "a783199025439d65f310bff041e278b966a6dbed8dbcd7fc96b55389f574ef41",
    arguments: &["--quiet", "--wait", "--norestart", "--nocache"],
    winget: ("Microsoft.VisualStudio.2022.BuildTools", "17.14.9"),
};

/// The version of the Nushell above.
pub const NUSHELL_VERSION: &str = nu::NEWEST;

/// What a guest needs of them.
pub fn of(vm: &Vm, windows: &WindowsGuest) -> Vec<Installer> {
    let ssh = windows.remote_access.as_ref().map(|access| access.value) == Some(RemoteAccess::Ssh);
    let rust = windows.rust.as_ref();
    let host = |ends: &str| rust.is_some_and(|rust| rust.host.ends_with(ends));
    let clones = rust.is_some_and(|rust| rust.projects.iter().any(|one| one.git.is_some()));
    [
        Some(NUSHELL),
        (!vm.shares.is_empty()).then_some(WINFSP),
        ssh.then_some(OPENSSH),
        clones.then_some(GIT),
        host("-gnu").then_some(MSYS2),
        host("-msvc").then_some(BUILD_TOOLS),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Installer; 6] = [NUSHELL, WINFSP, OPENSSH, GIT, MSYS2, BUILD_TOOLS];

    #[test]
    fn addresses_and_hashes_are_of_the_versions_that_are_promised() {
        for one in ALL {
            let name = one.name;
            assert!(one.url.starts_with("https://"), "{name}");
            assert!(
                one.sha256.len() == 64
                    && one
                        .sha256
                        .bytes()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
                "{name}"
            );
            // The address of the build tools holds their hash, the others their version, without its dots or with them.
            let version = one.winget.1;
            assert!(
                one.url.contains(version) || one.url.contains(one.sha256),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_no_msi_says_how_it_asks_nothing() {
        for one in ALL {
            let extension = one.file().rsplit('.').next();
            assert_eq!(
                one.arguments.is_empty(),
                extension == Some("msi"),
                "{}",
                one.name
            );
            assert!(matches!(extension, Some("msi" | "exe")), "{}", one.name);
            // `Start-Process` joins them by blanks.
            for word in one.arguments {
                assert!(!word.contains([' ', '"']), "{}: {word}", one.name);
            }
        }
    }
}
