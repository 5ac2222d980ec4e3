//! `config.nu`: what a spec says of a Windows guest, as data.
//!
//! Fields are there whether the spec has them or not, and keep their types (a text that the spec leaves out is empty):
//! Nushell checks the types of constants where it reads a script, and the tests put other data in their place.

use crate::facts::{drives, shares};
use crate::model::{
    Guest, GuestNic, Host, Id, RustSetup, Share, Steam, Vm, VmDisk, WindowsAccount, WindowsDomain,
    WindowsGuest,
};
use crate::nu::{self, Literal};

use super::super::GUEST_FOLDER;
use super::super::setup::installers::{self, Installer};

/// The constant.
pub(super) const NAME: &str = "moxc_config";

/// Where Steam installs itself where nobody says otherwise.
const STEAM_FOLDER: &str = r"C:\Program Files (x86)\Steam";

/// Valve's installer, signed by Valve.
const STEAM_SETUP: &str = "https://cdn.cloudflare.steamstatic.com/client/installer/SteamSetup.exe";

/// Valve's installer of games without a window; the program in the archive is signed by Valve.
const STEAM_CMD: &str = "https://steamcdn-a.akamaihd.net/client/installer/steamcmd.zip";

/// Where rustup publishes its installer for a host, with its SHA-256 beside it.
const RUSTUP_DIST: &str = "https://static.rust-lang.org/rustup/dist";

/// How long a script waits before it tries again, in seconds.
const WAIT_SECONDS: u32 = 30;

/// What the scripts of a guest know.
pub(super) fn literal(
    host: &Host,
    id: Id<Guest>,
    guest: &Guest,
    vm: &Vm,
    windows: &WindowsGuest,
    scripts: &[&'static str],
) -> Literal {
    let no_games = Literal::List(Vec::new());
    let remote = windows.remote_access.as_ref();
    let letters = drives::of_shares(vm).chain(drives::of_disks(vm).map(|(letter, _)| letter));
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
            "scripts",
            Literal::strings(scripts.iter().filter_map(|name| name.strip_suffix(".nu"))),
        ),
        (
            "installers",
            installers::of(vm, windows)
                .iter()
                .map(installer)
                .collect::<Vec<_>>()
                .into(),
        ),
        (
            "cards",
            guest
                .network
                .iter()
                .map(|nic| card(host, nic))
                .collect::<Vec<_>>()
                .into(),
        ),
        (
            "disks",
            drives::of_disks(vm)
                .map(|(letter, one)| disk(vm, letter, one))
                .collect::<Vec<_>>()
                .into(),
        ),
        (
            "letters",
            Literal::strings(letters.map(|letter| letter.to_string())),
        ),
        (
            "updates",
            Literal::record([
                ("scheduled", is_updated(host, id).into()),
                ("optional", (*windows.optional_updates).into()),
            ]),
        ),
        (
            "remote",
            remote.map_or("", |access| access.value.as_str()).into(),
        ),
        (
            "ssh_keys",
            Literal::strings(host.ssh_keys.iter().map(|key| key.value.as_str())),
        ),
        (
            "accounts",
            windows.users.iter().map(account).collect::<Vec<_>>().into(),
        ),
        ("domain", domain(windows.domain.as_ref())),
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

/// Whether a schedule installs its updates: then nothing else does.
fn is_updated(host: &Host, id: Id<Guest>) -> bool {
    host.schedules.values().any(|schedule| {
        let task = schedule.windows_update();
        *schedule.enabled && task.is_some_and(|task| task.guests.iter().any(|other| other == id))
    })
}

fn installer(one: &Installer) -> Literal {
    Literal::record([
        ("name", one.name.into()),
        ("file", one.file().into()),
        ("url", one.url.into()),
        ("sha256", one.sha256.into()),
        ("arguments", Literal::strings(one.arguments.iter().copied())),
        ("id", one.winget.0.into()),
        ("version", one.winget.1.into()),
    ])
}

/// A network card by its MAC address, with what Windows is to set on it.
fn card(host: &Host, nic: &GuestNic) -> Literal {
    let family = |v6: bool| {
        let address = nic.static_address(v6);
        let gateway = if v6 { &nic.gateway6 } else { &nic.gateway };
        let gateway = gateway
            .as_ref()
            .filter(|_| address.is_some())
            .and_then(|gateway| {
                host.gateway_address(gateway.value, nic.segment(), nic.static_address(v6), v6)
            });
        Literal::record([
            ("automatic", address.is_none().into()),
            (
                "addresses",
                Literal::strings(address.map(|cidr| cidr.to_string())),
            ),
            (
                "gateway",
                gateway.map_or(String::new(), |ip| ip.to_string()).into(),
            ),
        ])
    };
    Literal::record([
        ("mac", nic.mac.to_string().to_ascii_uppercase().into()),
        ("four", family(false)),
        ("six", family(true)),
        (
            "servers",
            Literal::strings(
                host.network
                    .nameservers
                    .iter()
                    .map(|ip| ip.value.to_string()),
            ),
        ),
    ])
}

/// A disk behind the first.
fn disk(vm: &Vm, letter: char, disk: &VmDisk) -> Literal {
    // NTFS takes 32 characters as a label.
    let label: String = disk.name.chars().take(32).collect();
    Literal::record([
        ("letter", letter.to_string().into()),
        (
            "serial",
            drives::serial(vm, disk).unwrap_or_default().into(),
        ),
        (
            "size",
            // Nothing, where the spec does not tell.
            Literal::Int(
                disk.size()
                    .map_or(0, |size| i64::try_from(size.as_bytes()).unwrap_or(i64::MAX)),
            ),
        ),
        ("label", label.into()),
    ])
}

/// A further account. The file of its password bears the name of its secret.
fn account(user: &WindowsAccount) -> Literal {
    let name = &user.name.value;
    let full_name = user.full_name.as_ref().map(|line| line.value.as_str());
    Literal::record([
        ("name", name.clone().into()),
        ("full_name", full_name.unwrap_or(name).into()),
        ("administrator", (*user.administrator).into()),
        ("secret", user.password_secret.as_str().into()),
    ])
}

/// The domain; its name is empty where there is none.
fn domain(domain: Option<&WindowsDomain>) -> Literal {
    let ou = domain.and_then(|domain| domain.ou.as_ref());
    Literal::record([
        (
            "name",
            domain
                .map_or_else(String::new, |domain| domain.name.value.to_string())
                .into(),
        ),
        ("ou", ou.map_or("", |ou| ou.value.as_str()).into()),
    ])
}

fn no_steam(games: Literal) -> Literal {
    Literal::record([
        ("setup", STEAM_SETUP.into()),
        ("cmd", STEAM_CMD.into()),
        ("login", false.into()),
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
        ("cmd", STEAM_CMD.into()),
        ("login", steam.login_secret.is_some().into()),
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
