//! `config.nu`: what a spec says of a Windows guest, as data.
//!
//! Fields are there whether the spec has them or not, and keep their types (a text that the spec leaves out is empty):
//! Nushell checks the types of constants where it reads a script, and the tests put other data in their place.

use crate::facts::shares;
use crate::model::{Guest, Host, RustSetup, Share, Steam, Vm, WindowsGuest};
use crate::nu::{self, Literal};

use super::super::GUEST_FOLDER;

/// The constant.
pub(super) const NAME: &str = "moxc_config";

/// Where Steam installs itself where nobody says otherwise.
const STEAM_FOLDER: &str = r"C:\Program Files (x86)\Steam";

/// Valve's installer, signed by Valve.
const STEAM_SETUP: &str = "https://cdn.cloudflare.steamstatic.com/client/installer/SteamSetup.exe";

/// Where rustup publishes its installer for a host, with its SHA-256 beside it.
const RUSTUP_DIST: &str = "https://static.rust-lang.org/rustup/dist";

/// How long a script waits before it tries again, in seconds.
const WAIT_SECONDS: u32 = 30;

/// What the scripts of a guest know.
pub(super) fn literal(host: &Host, guest: &Guest, vm: &Vm, windows: &WindowsGuest) -> Literal {
    let no_games = Literal::List(Vec::new());
    Literal::record([
        ("host", host.name.as_str().into()),
        ("guest", guest.name.value.clone().into()),
        ("os", vm.os.value.as_str().into()),
        ("user", windows.user.value.0.clone().into()),
        ("root", GUEST_FOLDER.into()),
        ("nu_oldest", nu::OLDEST.into()),
        ("nu_newest", nu::NEWEST.into()),
        ("wait_seconds", WAIT_SECONDS.into()),
        (
            "winget",
            Literal::strings(windows.winget.iter().map(|id| &id.value.0)),
        ),
        (
            "steam",
            windows
                .steam
                .as_ref()
                .map_or_else(|| no_steam(no_games), steam),
        ),
        ("rust", windows.rust.as_ref().map_or_else(no_rust, rust)),
        (
            "shares",
            vm.shares
                .iter()
                .map(|one| share(host, one))
                .collect::<Vec<_>>()
                .into(),
        ),
    ])
}

fn no_steam(games: Literal) -> Literal {
    Literal::record([
        ("setup", STEAM_SETUP.into()),
        ("install_dir", STEAM_FOLDER.into()),
        ("libraries", Literal::List(Vec::new())),
        ("games", games),
    ])
}

fn steam(steam: &Steam) -> Literal {
    let install_dir = steam
        .install_dir
        .as_ref()
        .map_or_else(|| STEAM_FOLDER.to_owned(), |path| path.value.to_string());
    let games: Vec<Literal> = steam
        .games
        .iter()
        .map(|(app_id, name)| {
            let name = name.as_ref().map_or("", |name| name.value.as_str());
            Literal::record([("app_id", app_id.value.into()), ("name", name.into())])
        })
        .collect();
    Literal::record([
        ("setup", STEAM_SETUP.into()),
        ("install_dir", install_dir.into()),
        (
            "libraries",
            Literal::strings(steam.libraries.iter().map(|path| &path.value)),
        ),
        ("games", games.into()),
    ])
}

fn no_rust() -> Literal {
    let none = || Literal::List(Vec::new());
    Literal::record([
        ("dist", RUSTUP_DIST.into()),
        ("toolchain", "stable".into()),
        ("host", "x86_64-pc-windows-msvc".into()),
        ("components", none()),
        ("targets", none()),
        ("environment", none()),
        ("projects", none()),
    ])
}

fn rust(rust: &RustSetup) -> Literal {
    let environment: Vec<Literal> = rust
        .environment
        .iter()
        .map(|(name, value)| {
            Literal::record([
                ("name", name.value.clone().into()),
                ("value", value.value.as_str().into()),
            ])
        })
        .collect();
    let projects: Vec<Literal> = rust
        .projects
        .iter()
        .map(|project| {
            let git = project.git.as_ref().map_or("", |git| git.value.as_str());
            Literal::record([
                ("name", project.name.value.clone().into()),
                ("path", project.path.value.to_string().into()),
                ("git", git.into()),
            ])
        })
        .collect();
    Literal::record([
        ("dist", RUSTUP_DIST.into()),
        ("toolchain", rust.toolchain.value.clone().into()),
        ("host", rust.host.value.clone().into()),
        (
            "components",
            Literal::strings(rust.components.iter().map(|name| &name.value)),
        ),
        (
            "targets",
            Literal::strings(rust.targets.iter().map(|name| &name.value)),
        ),
        ("environment", environment.into()),
        ("projects", projects.into()),
    ])
}

fn share(host: &Host, share: &Share) -> Literal {
    Literal::record([
        ("tag", shares::tag(host, share).into()),
        ("mount", share.mount.to_string().into()),
        ("read_only", (*share.read_only).into()),
    ])
}
