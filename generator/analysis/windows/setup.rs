//! What Windows Setup does not know, does not see, or would ask a person for.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::drives;
use crate::facts::windows::{languages, time_zone};
use crate::model::{Guest, Vm, WindowsGuest};
use crate::value::{Bus, Firmware, VmOs};

/// Reports MOX0631, MOX0633 to MOX0635, MOX0639 and MOX0672.
pub(super) fn check(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    zone(guest, windows, sink);
    display_language(guest, vm, windows, sink);
    system_disk(guest, vm, sink);
    discs(guest, vm, windows, sink);
    large(guest, vm, sink);
    bypass(guest, vm, windows, sink);
}

/// A time zone that Windows has no name for.
fn zone(guest: &Guest, windows: &WindowsGuest, sink: &mut Sink) {
    if time_zone(windows).is_some() {
        return;
    }
    let mut diagnostic = Diagnostic::new(
        Code::MOX0631,
        windows.timezone.span,
        format!("Windows has no time zone `{}`", *windows.timezone),
    );
    if !windows.timezone.is_written() {
        diagnostic = diagnostic.label(format!("`{}` takes the host's zone over", guest.name.value));
    }
    sink.push(diagnostic.help(
        "give the guest the nearest zone that people live in: `timezone = …` in its table `windows`",
    ));
}

/// A language of menus in which there is no medium.
fn display_language(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    let Some(written) = &windows.display_language else {
        return;
    };
    let (wanted, near) = (written.0.as_str(), languages::display(vm, windows));
    if near.eq_ignore_ascii_case(wanted) {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0639,
            written.span,
            format!("no medium of `{}` is in `{wanted}`", *vm.os),
        )
        .also(
            vm.os.span,
            format!("the system of `{}`", guest.name.value),
        )
        .help(format!(
            "take `{near}`, which is the nearest, or leave the key out: dates and numbers come from `locale`"
        )),
    );
}

/// A disk for Windows of which nobody can tell the number that Setup gives it.
fn system_disk(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let Some(first) = vm.boot_disk() else {
        return;
    };
    let other = vm
        .disks
        .iter()
        .find(|disk| *disk.bus != *first.bus && matches!(*disk.bus, Bus::Ide | Bus::Sata));
    let (None, Some(other)) = (drives::setup_number(vm), other) else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0633,
            other.name.span,
            format!(
                "the setup of `{}` asks which disk it may wipe",
                guest.name.value
            ),
        )
        .label(format!("a disk of the bus `{}`", *other.bus))
        .also(first.name.span, format!("one of the bus `{}`", *first.bus))
        .note("Windows numbers disks in the order in which it finds their controllers")
        .help("give both disks one `bus`"),
    );
}

/// A guest that is not described to have what it is installed from.
fn discs(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    let name = &guest.name.value;
    if *vm.installed {
        return;
    }
    let images: Vec<_> = vm.images.iter().filter_map(|i| i.image.as_ref()).collect();
    let drivers = |image: &str| {
        let file = image.rsplit(['/', ':']).next().unwrap_or(image);
        file.to_ascii_lowercase().contains("virtio")
    };
    let (span, message) = match images.first() {
        None => (
            windows.span,
            format!("`{name}` has no disc to be installed from"),
        ),
        Some(first) if !images.iter().any(|image| drivers(image.value.as_str())) => (
            first.span,
            format!("`{name}` has no disc with the drivers of virtio"),
        ),
        Some(first) if images.len() == 1 => (
            first.span,
            format!("`{name}` has the drivers of virtio, and no disc of Windows"),
        ),
        Some(_) => return,
    };
    sink.push(
        Diagnostic::new(Code::MOX0634, span, message)
            .note("Setup sees no disk without them, and a disc that is put in by hand is none that it starts from")
            .help("name both: `iso = [\"local:iso/windows.iso\", \"local:iso/virtio-win.iso\"]`"),
    );
}

/// What a BIOS reaches of a disk: 2^32 sectors of 512 bytes (Microsoft's KB 2581408).
const BIOS_REACHES: u64 = 2 << 40;

fn large(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let first = vm.boot_disk();
    let Some((first, size)) = first.and_then(|first| Some((first, first.size()?))) else {
        return;
    };
    if *vm.installed || *vm.firmware != Firmware::Seabios || size.as_bytes() <= BIOS_REACHES {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0635,
            size.span,
            format!(
                "Windows uses 2 TiB of the {} of `{}`",
                size.value, first.name.value
            ),
        )
        .also(
            vm.firmware.span,
            format!("`{}` starts from it by a BIOS", guest.name.value),
        )
        .help("take `firmware = \"ovmf\"`, or a smaller first disk and a second one for the rest"),
    );
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
