//! USB devices: that each row of the hardware table is a device of its own, and goes to one guest at a time.

use std::collections::BTreeMap;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Running;
use crate::model::{Guest, Host, Id, UsbDevice};
use crate::source::Span;

pub(super) fn check(host: &Host, together: &Running, sink: &mut Sink) {
    one_device_twice(host, sink);
    shared(host, together, sink);
    ports(host, together, sink);
}

/// Serial and parallel ports of the host that two guests have which can run together. QEMU opens such a port without asking
/// whether somebody has it: each reads a part of what comes.
fn ports(host: &Host, together: &Running, sink: &mut Sink) {
    let mut takers: BTreeMap<&str, Vec<Taker>> = BTreeMap::new();
    for (id, guest, vm) in host.vms() {
        let serial = vm
            .serial
            .iter()
            .map(|(_, port)| (port.value.as_str(), port.span));
        let options = guest.options.iter();
        let parallel = options
            .filter(|option| {
                option
                    .numbered()
                    .is_some_and(|(name, _)| name == "parallel")
            })
            .map(|option| (option.value.as_str(), option.value.span));
        for (port, place) in serial
            .chain(parallel)
            .filter(|(port, _)| port.starts_with('/'))
        {
            takers.entry(port).or_default().push((id, place));
        }
    }
    for (port, takers) in takers {
        for ((guest, place), (other, first)) in meetings(&takers, together) {
            let name = &host.guests[guest].name.value;
            let other_name = &host.guests[other].name.value;
            let (message, help) = if guest == other {
                (
                    format!("`{name}` has `{port}` twice"),
                    "remove one of them".to_owned(),
                )
            } else {
                (
                    format!("`{other_name}` and `{name}`, which can run together, have `{port}`"),
                    format!(
                        "if they never run at the same time, say so: `exclusive-with = [\"{other_name}\"]`"
                    ),
                )
            };
            sink.push(
                Diagnostic::new(Code::MOX0511, place, message)
                    .label("given again")
                    .also(first, "given here")
                    .note("both would open it, and each would get a part of what comes")
                    .help(help),
            );
        }
    }
}

/// A guest that takes a device, and where it says so.
type Taker = (Id<Guest>, Span);

/// Each that would have a thing at the same time as one before it, and the first of these.
fn meetings<'a>(
    takers: &'a [Taker],
    together: &'a Running,
) -> impl Iterator<Item = (Taker, Taker)> + 'a {
    takers.iter().enumerate().filter_map(|(at, taker)| {
        let mut before = takers[..at].iter();
        let other = before.find(|(other, _)| together.meet(taker.0, *other))?;
        Some((*taker, *other))
    })
}

/// One device, two guests that can run together; or one guest twice.
fn shared(host: &Host, together: &Running, sink: &mut Sink) {
    let mut takers: BTreeMap<String, Vec<Taker>> = BTreeMap::new();
    for (id, _, vm) in host.vms() {
        for entry in &vm.usb {
            if let Some(device) = entry.device.identity(host) {
                takers
                    .entry(device)
                    .or_default()
                    .push((id, entry.device.span()));
            }
        }
    }
    for (device, takers) in takers {
        for ((guest, place), (other, other_place)) in meetings(&takers, together) {
            let name = &host.guests[guest].name.value;
            let other_name = &host.guests[other].name.value;
            let (message, help) = if guest == other {
                (
                    format!("the USB device {device} is given to `{name}` twice"),
                    "remove one of them".to_owned(),
                )
            } else {
                (
                    format!(
                        "the USB device {device} is given to `{other_name}` and `{name}`, which can run together"
                    ),
                    format!(
                        "if they never run at the same time, say so: `exclusive-with = [\"{other_name}\"]`; of two devices of one make name the sockets (`port`)"
                    ),
                )
            };
            sink.push(
                Diagnostic::new(Code::MOX0511, place, message)
                    .label("given again")
                    .also(other_place, "given here")
                    .note("QEMU takes the device when the guest starts: the first one loses it, or the second one does not get it")
                    .help(help),
            );
        }
    }
}

/// Two rows that one device fits: which of two guests gets it would be chance.
fn one_device_twice(host: &Host, sink: &mut Sink) {
    let devices: Vec<&UsbDevice> = host.hardware.usb.values().collect();
    for (at, device) in devices.iter().enumerate() {
        let Some(first) = devices[..at].iter().find(|first| meet(first, device)) else {
            continue;
        };
        let place = |device: &UsbDevice| {
            let port = device.port.as_ref().map(|port| port.span);
            port.or(device.id.map(|id| id.span))
                .unwrap_or(device.name.span)
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0115,
                place(device),
                format!(
                    "one device fits `{}` and `{}`",
                    first.name.value, device.name.value
                ),
            )
            .also(place(first), "the first")
            .help("remove one of the rows; of two devices of one make each says the `port` that it is plugged into, which `lsusb -t` shows"),
        );
    }
}

/// Whether there can be one device that both rows mean. An id without a port fits wherever the device is plugged in, a port
/// without an id whatever is plugged in there.
fn meet(a: &UsbDevice, b: &UsbDevice) -> bool {
    if let (Some(a), Some(b)) = (&a.port, &b.port) {
        a.value == b.value
    } else {
        let (a, b) = (a.id.map(|id| id.value), b.id.map(|id| id.value));
        a.is_some() && a == b
    }
}
