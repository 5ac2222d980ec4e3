//! What a spec asks of a Windows guest that Windows, an installer or cargo would not do: told at the spec, and not by a
//! script in the guest.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::drives;
use crate::model::{Guest, RustSetup, Setting, Steam, Vm, WindowsGuest};
use crate::source::{Span, Spanned};
use crate::targets::windows::setup::editions;
use crate::value::{GuestPath, RemoteAccess, VmOs};

/// Checks what the scripts of a guest are to do. Reports MOX0603 and MOX0620 to MOX0627.
pub(super) fn check(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    winget(vm, windows, sink);
    twice(
        windows
            .winget
            .iter()
            .map(|id| (id.value.0.as_str(), id.span)),
        "package",
        sink,
    );
    remote_access(guest, vm, windows, sink);
    accounts(windows, sink);
    domain(guest, vm, windows, sink);
    bypass(guest, vm, windows, sink);
    if let Some(steam) = &windows.steam {
        check_steam(guest, vm, steam, sink);
    }
    if let Some(rust) = &windows.rust {
        check_rust(guest, vm, rust, sink);
    }
}

/// Windows Home reaches others by remote desktop, and is not reached.
fn remote_access(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    let (Some(access), Some(edition)) = (&windows.remote_access, &windows.edition) else {
        return;
    };
    if access.value != RemoteAccess::Rdp || !editions::is_home(vm, windows) {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0637,
            access.span,
            format!("`{}` cannot be reached by remote desktop", guest.name.value),
        )
        .also(edition.span, "this edition has no host for it")
        .help("take `remote-access = \"ssh\"`, or another edition"),
    );
}

/// Windows does not tell `Maria` from `maria`, nor an account from the machine.
fn accounts(windows: &WindowsGuest, sink: &mut Sink) {
    let mut seen: Vec<(String, Span, &str)> = vec![(
        windows.user.0.to_ascii_lowercase(),
        windows.user.span,
        "the user that the setup makes",
    )];
    if let Some(computer) = &windows.computer_name {
        seen.push((
            computer.0.to_ascii_lowercase(),
            computer.span,
            "the machine's name",
        ));
    }
    for account in &windows.users {
        let name = account.name.value.to_ascii_lowercase();
        if let Some((_, span, what)) = seen.iter().find(|(other, ..)| *other == name) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0670,
                    account.name.span,
                    format!("`{}` is taken in Windows", account.name.value),
                )
                .also(*span, format!("by {what}"))
                .help("give the account another name"),
            );
        }
        seen.push((name, account.name.span, "this account"));
    }
}

/// A domain takes machines of Pro, Education, Enterprise and servers, and finds them by its own name servers.
fn domain(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    let Some(domain) = &windows.domain else {
        return;
    };
    let problem = if editions::is_home(vm, windows) {
        let span = windows
            .edition
            .as_ref()
            .map_or(vm.os.span, |edition| edition.span);
        Some((
            span,
            "this edition joins none",
            "take `edition = \"Pro\"`, or leave `domain` out",
        ))
    } else if guest.network.is_empty() {
        Some((
            guest.name.span,
            "it has no network card",
            "give it one: `network = [{ bridge = \"…\" }]`, or leave `domain` out",
        ))
    } else {
        None
    };
    if let Some((span, why, help)) = problem {
        sink.push(
            Diagnostic::new(
                Code::MOX0671,
                domain.name.span,
                format!("`{}` cannot join a domain", guest.name.value),
            )
            .also(span, why)
            .help(help),
        );
    }
}

/// Only Windows 11 looks for more than it needs.
fn bypass(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    let Some(first) = windows.bypass.first() else {
        return;
    };
    if *vm.os == VmOs::Windows11 {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0672,
            first.span,
            format!(
                "the setup of `{}` looks for nothing of the kind",
                guest.name.value
            ),
        )
        .also(vm.os.span, "only that of Windows 11 does")
        .help("leave `bypass` out"),
    );
}

/// Windows Server 2022 brings no winget (Microsoft's documentation names Windows 10, 11 and Server 2025).
fn winget(vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    match *vm.os {
        VmOs::WindowsServer2022 => {}
        VmOs::Windows10
        | VmOs::Windows11
        | VmOs::WindowsServer2025
        | VmOs::Nixos
        | VmOs::Linux
        | VmOs::Other => return,
    }
    let package = windows.winget.first().map(|id| (id.span, "this package"));
    let tools = windows
        .rust
        .as_ref()
        .filter(|rust| rust.host.ends_with("-msvc"))
        .map(|rust| (rust.host.span, "Microsoft's build tools for this host"));
    if let Some((span, what)) = package.or(tools) {
        sink.push(
            Diagnostic::new(
                Code::MOX0621,
                span,
                format!("{what} comes by winget, which `{}` does not bring", vm.os.value),
            )
            .also(vm.os.span, "the guest's system")
            .help("install winget by hand in the guest first, take `windows-server-2025`, or leave this to a person"),
        );
    }
}

fn check_steam(guest: &Guest, vm: &Vm, steam: &Steam, sink: &mut Sink) {
    if let Some(folder) = &steam.install_dir
        && let Some(text) = folder_of(guest, vm, folder, "Steam", sink)
        && text.contains("  ")
    {
        // Its installer takes the rest of the command line as the path, where blanks are joined (NSIS, `/D=`).
        sink.push(
            Diagnostic::new(
                Code::MOX0626,
                folder.span,
                format!("Steam's installer cannot take `{text}`"),
            )
            .note(
                "it knows no quotes, and two blanks beside each other become one on the way to it",
            )
            .help("choose a folder without two blanks in a row"),
        );
    }
    for library in &steam.libraries {
        path(guest, vm, &library.value, library.span, sink);
    }
    let libraries: Vec<(String, Span)> = steam
        .libraries
        .iter()
        .map(|library| (library.value.to_string(), library.span))
        .collect();
    twice(
        libraries.iter().map(|(text, span)| (text.as_str(), *span)),
        "library",
        sink,
    );
    let games: Vec<(String, Span)> = steam
        .games
        .iter()
        .map(|(id, _)| (id.value.to_string(), id.span))
        .collect();
    twice(
        games.iter().map(|(text, span)| (text.as_str(), *span)),
        "game",
        sink,
    );
}

fn check_rust(guest: &Guest, vm: &Vm, rust: &RustSetup, sink: &mut Sink) {
    toolchain(rust, sink);
    environment(rust, sink);
    let mut folders: BTreeMap<String, Span> = BTreeMap::new();
    for project in &rust.projects {
        if project.git.is_none() && !project.name.is_missing() {
            project_name(&project.name, sink);
        }
        if project.path.is_missing() {
            continue;
        }
        let folder = Spanned::new(project.path.value.clone(), project.path.span);
        let Some(text) = folder_of(guest, vm, &folder, "a project", sink) else {
            continue;
        };
        // Windows does not mind case.
        if let Some(first) = folders.insert(text.to_lowercase(), folder.span) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0624,
                    folder.span,
                    format!("two projects lie in `{text}`"),
                )
                .also(first, "the first")
                .help("give each project a folder of its own"),
            );
        }
    }
}

/// A toolchain is a channel with the host behind it, or without; rustup refuses a second host.
fn toolchain(rust: &RustSetup, sink: &mut Sink) {
    let host = rust.host.value.as_str();
    // Guests of Proxmox VE are of the architecture of the host, which is x86 wherever Windows is supported.
    if !(host.starts_with("x86_64-pc-windows-") || host.starts_with("i686-pc-windows-")) {
        sink.push(
            Diagnostic::new(
                Code::MOX0623,
                rust.host.span,
                format!("`{host}` does not run in a Windows guest"),
            )
            .help("take `x86_64-pc-windows-msvc` or `x86_64-pc-windows-gnu` as the host; what is compiled for goes into `targets`"),
        );
        return;
    }
    let toolchain = rust.toolchain.value.as_str();
    let names_a_host = ["x86_64-", "i686-", "aarch64-"]
        .iter()
        .any(|machine| toolchain.contains(&format!("-{machine}")));
    if names_a_host && !toolchain.ends_with(&format!("-{host}")) {
        sink.push(
            Diagnostic::new(
                Code::MOX0623,
                rust.toolchain.span,
                format!("the toolchain `{toolchain}` is for another host than `{host}`"),
            )
            .also(rust.host.span, "the host")
            .help("name the channel alone, as `\"stable\"`: the host is added"),
        );
    }
}

/// Variables that every program of the user needs as Windows sets them.
const OF_WINDOWS: [&str; 10] = [
    "path",
    "pathext",
    "temp",
    "tmp",
    "userprofile",
    "username",
    "systemroot",
    "comspec",
    "localappdata",
    "appdata",
];

fn environment(rust: &RustSetup, sink: &mut Sink) {
    let mut names: BTreeMap<String, Span> = BTreeMap::new();
    for (name, _) in &rust.environment {
        let lower = name.value.to_ascii_lowercase();
        if OF_WINDOWS.contains(&lower.as_str()) {
            let help = if lower == "path" {
                "leave it out: the scripts add cargo's folder to it"
            } else {
                "leave it out"
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0622,
                    name.span,
                    format!("the variable `{}` belongs to Windows", name.value),
                )
                .help(help),
            );
        } else if let Some(first) = names.insert(lower, name.span) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0622,
                    name.span,
                    format!(
                        "the variable `{}` is there twice for Windows, which does not mind case",
                        name.value
                    ),
                )
                .also(first, "the first")
                .help("keep one of them"),
            );
        }
    }
}

/// The keywords of Rust 2024, which cargo refuses as names of packages.
const KEYWORDS: [&str; 53] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "_",
];

/// What `cargo new` refuses (cargo's `restricted_names.rs` and `cargo_new.rs`). A clone has a name already.
fn project_name(name: &Setting<String>, sink: &mut Sink) {
    let text = name.value.as_str();
    let why = if text.starts_with(|c: char| c.is_ascii_digit()) {
        "it begins with a digit"
    } else if text.contains('.') {
        "it holds a full stop"
    } else if KEYWORDS.contains(&text) {
        "it is a keyword of Rust"
    } else if matches!(text, "deps" | "examples" | "build" | "incremental") {
        "cargo keeps a folder of that name"
    } else if text == "test" {
        "Rust has a crate of that name"
    } else if is_reserved(text) {
        "Windows keeps the name for a device"
    } else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0620,
            name.span,
            format!("cargo makes no project called `{text}`: {why}"),
        )
        .help("letters first, then letters, digits, `-` and `_`; the folder may be called as you like"),
    );
}

/// The names of devices, with any ending (Microsoft's "Naming Files, Paths, and Namespaces").
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let stem = stem.to_ascii_lowercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|number| {
            matches!(
                number,
                "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
            )
        })
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

/// A path of Windows as text; none, and told, where it is one of Unix, or Windows cannot hold it.
fn path(guest: &Guest, vm: &Vm, path: &GuestPath, span: Span, sink: &mut Sink) -> Option<String> {
    let text = path.to_string();
    if let GuestPath::Unix(_) = path {
        sink.push(
            Diagnostic::new(Code::MOX0603, span, format!("`{text}` is a Unix path"))
                .also(
                    vm.os.span,
                    format!("`{}` runs `{}`", guest.name.value, vm.os.value),
                )
                .help("write a path of Windows in single quotes, as `'D:\\folder'`"),
        );
        return None;
    }
    drive(guest, vm, path, span, sink);
    let bad = text.split('\\').skip(1).find_map(|part| {
        let why = if part.is_empty() {
            "an empty name"
        } else if matches!(part, "." | "..") {
            "a step that leads elsewhere"
        } else if part.ends_with(['.', ' ']) {
            "a name that ends with a full stop or a blank, which Windows drops"
        } else if is_reserved(part) {
            "a name that Windows keeps for a device"
        } else {
            return None;
        };
        Some((part, why))
    });
    if let Some((part, why)) = bad {
        sink.push(
            Diagnostic::new(Code::MOX0626, span, format!("`{text}` holds {why}"))
                .label(format!("`{}`", part.escape_debug()))
                .help("choose another name"),
        );
        return None;
    }
    Some(text)
}

/// A path on a drive that the guest does not have. One with a controller of its own may have any.
fn drive(guest: &Guest, vm: &Vm, path: &GuestPath, span: Span, sink: &mut Sink) {
    let Some(letter) = drives::of_path(path) else {
        return;
    };
    let own = drives::of_disks(vm).map(|(own, _)| own);
    if letter == 'C'
        || !vm.passthrough.is_empty()
        || own.chain(drives::of_shares(vm)).any(|own| own == letter)
    {
        return;
    }
    let mut letters = vec!["`C:`".to_owned()];
    letters.extend(
        drives::of_disks(vm)
            .map(|(letter, disk)| format!("`{letter}:` (disk `{}`)", disk.name.value)),
    );
    letters.extend(drives::of_shares(vm).map(|letter| format!("`{letter}:` (shared)")));
    sink.push(
        Diagnostic::new(
            Code::MOX0628,
            span,
            format!("`{}` has no drive `{letter}:`", guest.name.value),
        )
        .note(format!("it has {}", letters.join(", ")))
        .help("add a disk to the guest, or name a folder on a drive that it has"),
    );
}

/// The path of a folder, which a whole drive is not.
fn folder_of(
    guest: &Guest,
    vm: &Vm,
    folder: &Spanned<GuestPath>,
    what: &str,
    sink: &mut Sink,
) -> Option<String> {
    if let GuestPath::Drive(letter) = folder.value {
        sink.push(
            Diagnostic::new(
                Code::MOX0625,
                folder.span,
                format!("{what} needs a folder, and `{letter}:` is a whole drive"),
            )
            .help(format!(
                "name a folder on it, as `'{letter}:\\{}'`",
                if what == "Steam" { "Steam" } else { "src" }
            )),
        );
        return None;
    }
    path(guest, vm, &folder.value, folder.span, sink)
}

/// Things asked for twice, by their names without regard to case.
fn twice<'a>(things: impl Iterator<Item = (&'a str, Span)>, what: &str, sink: &mut Sink) {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    for (name, span) in things {
        if let Some(first) = seen.insert(name.to_lowercase(), span) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0627,
                    span,
                    format!("the {what} `{name}` is asked for twice"),
                )
                .also(first, "the first")
                .help("remove one of them"),
            );
        }
    }
}
