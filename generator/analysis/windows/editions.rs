//! What an edition of Windows does not do, and how Setup finds it.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::windows::editions::{self, Image, is_home};
use crate::facts::windows::languages;
use crate::model::{Guest, Vm, WindowsGuest};
use crate::value::RemoteAccess;

/// Reports MOX0636, MOX0637 and MOX0671.
pub(super) fn check(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    by_name_alone(guest, vm, windows, sink);
    remote_access(guest, vm, windows, sink);
    domain(guest, vm, windows, sink);
}

/// An image that is looked for by its English name on a medium of another language.
fn by_name_alone(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    let (Some(Image::Name(name)), Some(written)) =
        (editions::of(vm, windows).image, &windows.edition)
    else {
        return;
    };
    let display = languages::display(vm, windows);
    if vm.os.is_windows_server() || display.starts_with("en-") {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0636,
            written.span,
            format!(
                "the setup of `{}` looks for an image that is called `{name}`",
                guest.name.value
            ),
        )
        .note(format!(
            "images have other names on a medium in `{display}`, and Setup stops where it finds none"
        ))
        .help("give its number by `image-index`, or an edition alone, as `\"Pro\"`: that is chosen by its key"),
    );
}

/// Windows Home reaches others by remote desktop, and is not reached.
fn remote_access(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    let (Some(access), Some(edition)) = (&windows.remote_access, &windows.edition) else {
        return;
    };
    if access.value != RemoteAccess::Rdp || !is_home(vm, windows) {
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

/// A domain takes machines of Pro, Education, Enterprise and servers, and finds them by its own name servers.
fn domain(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    let Some(domain) = &windows.domain else {
        return;
    };
    let problem = if is_home(vm, windows) {
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
