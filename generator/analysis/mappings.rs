//! What Proxmox VE maps for guests: devices without an id, and names that no mapping can have.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Facts;
use crate::facts::mappings::{fits, is_folder_mapped};
use crate::model::{Host, PciDevice, UsbDevice};
use crate::source::Spanned;

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    // An id that was not understood is none that is missing.
    if !host.complete {
        return;
    }
    for mapping in facts.mappings.iter() {
        let device = &host.hardware.pci[mapping.device];
        if mapping.is_mapped(host) {
            name(&device.name, "PCI device", sink);
        } else if device.id.is_none() && device.may_be_mapped() {
            pci_without_id(host, device, sink);
        }
    }
    for device in host.hardware.usb.values().filter(|d| d.may_be_mapped()) {
        if device.id.is_some() {
            name(&device.name, "USB device", sink);
        } else {
            usb_without_id(device, sink);
        }
    }
    for (id, dataset) in host.storage.datasets.iter() {
        if is_folder_mapped(host, id) {
            name(&dataset.name, "dataset", sink);
        }
    }
}

/// A PCI device that has no id cannot be mapped.
fn pci_without_id(host: &Host, device: &PciDevice, sink: &mut Sink) {
    let message = if device.is_mapping_wished() {
        format!(
            "`{}` is not a mapping, as it has no `id`",
            device.name.value
        )
    } else {
        format!(
            "`{}` is passed through by its address alone",
            device.name.value
        )
    };
    let wish = device.mapping.map(|mapping| mapping.span);
    sink.push(
        Diagnostic::new(Code::MOX0551, wish.unwrap_or(device.name.span), message)
        .help(format!(
            "say its `id`: `pvesh get /nodes/{}/hardware/pci` on the host prints it for {}",
            host.name.as_str(),
            *device.address
        ))
        .note("without vendor and device there is no mapping, and after a change of hardware the guest takes whatever sits there"),
    );
}

/// A socket of USB that is to be a mapping, which only a device of a known make is.
fn usb_without_id(device: &UsbDevice, sink: &mut Sink) {
    let Some(wish) = device.mapping else { return };
    sink.push(
        Diagnostic::new(
            Code::MOX0551,
            wish.span,
            format!(
                "`{}` is not a mapping, as it has no `id`",
                device.name.value
            ),
        )
        .help("say its `id`, which `lsusb` prints")
        .note("a guest takes whatever is plugged into the socket"),
    );
}

/// A name that no mapping can have.
fn name(name: &Spanned<String>, what: &str, sink: &mut Sink) {
    if fits(&name.value) {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0012,
            name.span,
            format!(
                "Proxmox VE has no mapping of the name `{}`",
                name.value.escape_debug()
            ),
        )
        .label(format!("this {what} is mapped under its own name"))
        .help("use a letter, then letters, digits, `-` and `_`, two characters at least"),
    );
}
