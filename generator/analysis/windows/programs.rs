//! What is installed in Windows: packages of winget, Steam with its libraries and games.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Steam, Vm, WindowsGuest};
use crate::source::Span;

use super::paths::{folder_of, path};

/// Reports MOX0621 and MOX0625 to MOX0627.
pub(super) fn check(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    winget(vm, windows, sink);
    let packages = windows.winget.iter();
    let packages = packages.map(|id| (id.value.0.as_str(), id.span));
    twice(packages, "package", sink);
    if let Some(steam) = &windows.steam {
        check_steam(guest, vm, steam, sink);
    }
}

/// Packages, and build tools, for a Windows that does not bring winget.
fn winget(vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    if vm.os.brings_winget() {
        return;
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
