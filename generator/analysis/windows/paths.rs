//! Paths in Windows: their form, their names, their drive. Reports MOX0603, MOX0625, MOX0626 and MOX0628.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::drives;
use crate::model::{Guest, Vm};
use crate::source::{Span, Spanned};
use crate::value::GuestPath;

/// A path of Windows as text; none, and told, where it is one of Unix, or Windows cannot hold it.
pub(super) fn path(
    guest: &Guest,
    vm: &Vm,
    path: &GuestPath,
    span: Span,
    sink: &mut Sink,
) -> Option<String> {
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
pub(super) fn folder_of(
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

/// The names of devices, with any ending (Microsoft's "Naming Files, Paths, and Namespaces").
pub(super) fn is_reserved(name: &str) -> bool {
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
