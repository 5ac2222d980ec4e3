//! USB devices: that each row of the hardware table is a device of its own.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Host, UsbDevice};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    one_device_twice(host, sink);
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
    match (&a.port, &b.port) {
        (Some(a), Some(b)) => a.value == b.value,
        (None, _) | (_, None) => {
            let (a, b) = (a.id.map(|id| id.value), b.id.map(|id| id.value));
            a.is_some() && a == b
        }
    }
}
