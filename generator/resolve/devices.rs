//! What is plugged into guests: numbers on their buses, images, PCI and USB devices, the order to boot from.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{
    CloudInit, GuestNic, GuestUsb, Host, Image, PassedDevice, Passthrough, UsbSource, VmDisk,
};
use crate::near::did_you_mean;
use crate::pve::guest_config::parse_boolean;
use crate::pve::{ConfigFile, PveOption};
use crate::source::{Span, Spanned};
use crate::spec::guest::{GuestUsbSpec, ImageSpec, PassthroughSpec};
use crate::spec::reader::{Int, Reference, ShortOrLong};
use crate::value::{Bus, Line, PciPlace, VolumeId};

use super::Index;

/// Gives each thing a number: the one that the spec says, and to the others the lowest that are free, in order. Reports two
/// things of one number. `what` is the option without its number.
pub(super) fn numbers(
    what: &str,
    wanted: &[(Span, Option<Spanned<u32>>)],
    sink: &mut Sink,
) -> Vec<u32> {
    let mut taken = by_hand(what, wanted, sink);
    let mut next = 0;
    wanted
        .iter()
        .map(|(_, slot)| {
            slot.map_or_else(
                || {
                    while !taken.insert(next) {
                        next += 1;
                    }
                    next
                },
                |slot| slot.value,
            )
        })
        .collect()
}

/// The numbers that the spec says.
fn by_hand(what: &str, wanted: &[(Span, Option<Spanned<u32>>)], sink: &mut Sink) -> BTreeSet<u32> {
    let mut said: BTreeMap<u32, Span> = BTreeMap::new();
    for slot in wanted.iter().filter_map(|(_, slot)| *slot) {
        if let Some(first) = said.insert(slot.value, slot.span) {
            sink.push(taken_twice(
                &format!("{what}{}", slot.value),
                slot.span,
                first,
            ));
        }
    }
    said.into_keys().collect()
}

fn taken_twice(option: &str, place: Span, first: Span) -> Diagnostic {
    Diagnostic::new(Code::MOX0654, place, format!("two things are `{option}`"))
        .also(first, "the first")
        .help("leave `slot` out of one of them: it takes the lowest number that is free")
}

/// A number of the spec.
pub(super) fn slot<const MOST: i64>(
    written: Option<Spanned<Int<0, MOST>>>,
) -> Option<Spanned<u32>> {
    written.map(|slot| slot.map(Int::get))
}

/// The number that the name of a row says, where it is the name of its option: a mount `mp1`, a disk `scsi3`. So a row that
/// comes to stand before others moves none of those.
pub(super) fn named(name: &Spanned<String>, base: &str, file: ConfigFile) -> Option<Spanned<u32>> {
    let number = name.value.strip_prefix(base)?.parse().ok()?;
    let is_option = name.value == format!("{base}{number}") && file.option(&name.value).is_some();
    is_option.then(|| Spanned::new(number, name.span))
}

/// A drive that waits for its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) span: Span,
    /// None for an image that goes where there is room.
    pub(super) bus: Option<Bus>,
    pub(super) slot: Option<Spanned<u32>>,
}

/// Plugs drives in: disks in the order of the spec, each with the lowest free number of its bus; images as Proxmox VE's own
/// dialogue does, `ide2` first, then what is left of IDE and SATA. A drive for which there is no room gets a number past
/// the end, which a check tells.
#[expect(clippy::type_complexity, reason = "disks and images, once")]
pub(super) fn plug(
    disks: &[Wanted],
    images: &[Wanted],
    sink: &mut Sink,
) -> (Vec<(Bus, u32)>, Vec<(Bus, u32)>) {
    let mut taken: BTreeMap<(Bus, u32), Span> = BTreeMap::new();
    for drive in disks.iter().chain(images) {
        if let Some(slot) = drive.slot {
            let key = (drive.bus.unwrap_or(Bus::Ide), slot.value);
            if let Some(first) = taken.insert(key, slot.span) {
                sink.push(taken_twice(
                    &format!("{}{}", key.0, key.1),
                    slot.span,
                    first,
                ));
            }
        }
    }
    // The place of the first image is kept for it.
    let usual = (Bus::Ide, 2);
    let homeless = images
        .iter()
        .find(|image| image.bus.is_none() && image.slot.is_none());
    let kept = homeless.filter(|_| !taken.contains_key(&usual));
    if let Some(image) = kept {
        taken.insert(usual, image.span);
    }
    // None becomes free again, so the search goes on where the last one ended.
    let mut searched: BTreeMap<Bus, u32> = BTreeMap::new();
    let mut lowest = |bus: Bus, span: Span, taken: &mut BTreeMap<(Bus, u32), Span>| {
        let from = searched.entry(bus).or_default();
        let free = (*from..=u32::MAX).find(|number| !taken.contains_key(&(bus, *number)));
        *from = free.unwrap_or(u32::MAX);
        let place = (bus, free.expect("numbers do not end"));
        taken.insert(place, span);
        place
    };
    let disks: Vec<(Bus, u32)> = disks
        .iter()
        .map(|disk| {
            let bus = disk.bus.unwrap_or(Bus::Scsi);
            match disk.slot {
                Some(slot) => (bus, slot.value),
                None => lowest(bus, disk.span, &mut taken),
            }
        })
        .collect();
    let mut usual = kept.map(|_| usual);
    let images = images
        .iter()
        .map(|image| match (image.bus, image.slot) {
            (bus, Some(slot)) => (bus.unwrap_or(Bus::Ide), slot.value),
            (Some(bus), None) => lowest(bus, image.span, &mut taken),
            (None, None) => usual.take().unwrap_or_else(|| {
                let ide = [2, 0, 1, 3].map(|number| (Bus::Ide, number));
                let free = ide.into_iter().find(|place| !taken.contains_key(place));
                match free {
                    Some(place) => {
                        taken.insert(place, image.span);
                        place
                    }
                    None => lowest(Bus::Sata, image.span, &mut taken),
                }
            }),
        })
        .collect();
    (disks, images)
}

/// An image as the spec says it, before it has a number.
pub(super) struct ImageRow {
    pub(super) span: Span,
    pub(super) bus: Option<Bus>,
    pub(super) slot: Option<Spanned<u32>>,
    pub(super) image: Option<Spanned<VolumeId>>,
    pub(super) more: Vec<PveOption>,
}

impl ImageRow {
    pub(super) fn wanted(&self) -> Wanted {
        Wanted {
            span: self.span,
            bus: self.bus,
            slot: self.slot,
        }
    }

    pub(super) fn plugged(self, (bus, slot): (Bus, u32)) -> Image {
        Image {
            span: self.span,
            image: self.image,
            bus,
            slot,
            more: self.more,
        }
    }
}

/// An entry of `iso`.
pub(super) fn image(
    entry: &Spanned<ShortOrLong<VolumeId, ImageSpec>>,
    sink: &mut Sink,
) -> Option<ImageRow> {
    let spec = match &entry.value {
        ShortOrLong::Short(image) => {
            return Some(ImageRow {
                span: entry.span,
                bus: None,
                slot: None,
                image: Some(Spanned::new(image.clone(), entry.span)),
                more: Vec::new(),
            });
        }
        ShortOrLong::Long(spec) => spec,
    };
    let empty = spec.empty.filter(|empty| empty.value);
    match (&spec.image, empty) {
        (Some(image), Some(empty)) => {
            sink.push(
                Diagnostic::new(Code::MOX0016, empty.span, "an empty drive with an image")
                    .also(image.span, "the image")
                    .help("remove one of the two"),
            );
            return None;
        }
        (None, None) if !spec.misread.contains(&"image") => {
            sink.push(
                Diagnostic::new(Code::MOX0004, spec.span, "the key `image` is missing")
                    .label("in this table")
                    .help("name the image, or write `empty = true` for a drive without one"),
            );
            return None;
        }
        (Some(_), None) | (None, Some(_) | None) => {}
    }
    Some(ImageRow {
        span: spec.span,
        bus: spec.bus.map(|bus| bus.value.0),
        slot: slot(spec.slot),
        image: spec.image.clone(),
        more: spec.schema.to_vec(),
    })
}

/// An entry of `passthrough`.
pub(super) fn passed(
    entry: &Spanned<ShortOrLong<Reference, PassthroughSpec>>,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Option<Passthrough> {
    match &entry.value {
        ShortOrLong::Short(name) => {
            let name = Spanned::new(name.clone(), entry.span);
            Some(Passthrough {
                span: entry.span,
                device: PassedDevice::Known(index.pci.find(&name, sink)?),
                slot: None,
                pcie: None,
                x_vga: None,
                more: Vec::new(),
            })
        }
        ShortOrLong::Long(spec) => {
            let device = index.pci.find(spec.device.as_ref()?, sink)?;
            let rom = spec.rom_file.as_ref().map(|file| {
                PveOption::new(
                    Spanned::new("romfile".to_owned(), file.span),
                    Spanned::new(file.value.as_str().to_owned(), file.span),
                )
            });
            Some(Passthrough {
                span: spec.span,
                device: PassedDevice::Known(device),
                slot: slot(spec.slot),
                pcie: spec.pcie,
                x_vga: spec.x_vga,
                more: rom.into_iter().chain(spec.schema.iter().cloned()).collect(),
            })
        }
    }
}

/// `hostpci0 = "0000:01:00,pcie=1"`, with what the hardware table has of it.
pub(super) fn passed_raw(option: &PveOption, host: &Host) -> Option<Passthrough> {
    let (_, number) = option.numbered()?;
    let span = option.value.span;
    let mut entry = Passthrough {
        span,
        device: PassedDevice::Raw {
            mapping: false,
            name: option.value.clone(),
            known: Vec::new(),
        },
        slot: Some(Spanned::new(number, option.key.span)),
        // Proxmox VE's own defaults, not those of the language.
        pcie: Some(Spanned::new(false, span)),
        x_vga: Some(Spanned::new(false, span)),
        more: Vec::new(),
    };
    for (key, value) in option.parts().ok()? {
        let flag = parse_boolean(&value.value).map(|on| Spanned::new(on, value.span));
        match key.as_deref() {
            None | Some("host") => {
                let known = host.hardware.pci.iter();
                let known = known.filter(|(_, device)| names(&value.value, device.place()));
                entry.device = PassedDevice::Raw {
                    mapping: false,
                    known: known.map(|(id, _)| id).collect(),
                    name: value,
                };
            }
            Some("mapping") => {
                let known = host.hardware.pci.iter();
                let known = known.filter(|(_, device)| device.name.value == value.value);
                entry.device = PassedDevice::Raw {
                    mapping: true,
                    known: known.map(|(id, _)| id).collect(),
                    name: value,
                };
            }
            Some("pcie") => entry.pcie = flag,
            Some("x-vga") => entry.x_vga = flag,
            Some(key) => entry.more.push(PveOption::new(
                Spanned::new(key.to_owned(), value.span),
                value,
            )),
        }
    }
    Some(entry)
}

/// Whether a raw address shares a function with a device: `01:00` stands for every function of 01:00.
fn names(raw: &str, place: PciPlace) -> bool {
    raw.split(';')
        .any(|one| one.parse::<PciPlace>().is_ok_and(|own| own.meets(place)))
}

/// A USB device before it has a number.
pub(super) struct UsbRow {
    span: Span,
    device: UsbSource,
    usb3: Option<Spanned<bool>>,
    pub(super) slot: Option<Spanned<u32>>,
    more: Vec<PveOption>,
}

impl UsbRow {
    pub(super) fn wanted(&self) -> (Span, Option<Spanned<u32>>) {
        (self.span, self.slot)
    }

    pub(super) fn plugged(self, slot: u32) -> GuestUsb {
        GuestUsb {
            span: self.span,
            device: self.device,
            usb3: self.usb3,
            slot,
            more: self.more,
        }
    }
}

/// An entry of `usb`.
pub(super) fn usb(
    entry: &Spanned<ShortOrLong<Reference, GuestUsbSpec>>,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Option<UsbRow> {
    match &entry.value {
        ShortOrLong::Short(name) => {
            let name = Spanned::new(name.clone(), entry.span);
            Some(UsbRow {
                span: entry.span,
                device: UsbSource::Known(index.usb.find(&name, sink)?),
                usb3: None,
                slot: None,
                more: Vec::new(),
            })
        }
        ShortOrLong::Long(spec) => Some(UsbRow {
            span: spec.span,
            device: UsbSource::Known(index.usb.find(spec.device.as_ref()?, sink)?),
            usb3: spec.usb3,
            slot: slot(spec.slot),
            more: Vec::new(),
        }),
    }
}

/// `usb0 = "host=1-2,usb3=1"`, `usb1 = "mapping=stick"`.
pub(super) fn usb_raw(option: &PveOption, host: &Host) -> Option<UsbRow> {
    let (_, number) = option.numbered()?;
    let span = option.value.span;
    let mut row = UsbRow {
        span,
        device: UsbSource::Host(option.value.clone()),
        usb3: None,
        slot: Some(Spanned::new(number, option.key.span)),
        more: Vec::new(),
    };
    for (key, value) in option.parts().ok()? {
        match key.as_deref() {
            None | Some("host") => row.device = UsbSource::Host(value),
            Some("mapping") => {
                let mut devices = host.hardware.usb.iter();
                let known = devices.find(|(_, device)| device.name.value == value.value);
                row.device = match known.filter(|(_, device)| device.id.is_some()) {
                    Some((id, _)) => UsbSource::Known(Spanned::new(id, value.span)),
                    None => UsbSource::Mapping(value),
                };
            }
            Some("usb3") => {
                row.usb3 = parse_boolean(&value.value).map(|on| Spanned::new(on, value.span));
            }
            Some(key) => row.more.push(PveOption::new(
                Spanned::new(key.to_owned(), value.span),
                value,
            )),
        }
    }
    Some(row)
}

/// What a guest can boot from.
pub(super) struct Bootable<'a> {
    pub(super) disks: &'a [VmDisk],
    pub(super) images: &'a [Image],
    pub(super) network: &'a [GuestNic],
    pub(super) passthrough: &'a [Passthrough],
    pub(super) usb: &'a [GuestUsb],
    pub(super) cloud_init: Option<&'a CloudInit>,
    /// Options in Proxmox VE's own words, drives among them.
    pub(super) raw: &'a [PveOption],
}

impl Bootable<'_> {
    /// The options that a word of `boot` stands for.
    fn options(&self, word: &str) -> Option<Vec<String>> {
        if let Some(disk) = self.disks.iter().find(|disk| disk.name.value == word) {
            return Some(vec![disk.key()]);
        }
        if word == "iso" && !self.images.is_empty() {
            return Some(self.images.iter().map(Image::key).collect());
        }
        let devices = (0..self.passthrough.len()).map(|at| format!("hostpci{at}"));
        let by_hand = self.passthrough.iter().filter_map(|entry| entry.slot);
        let mut options = (self.disks.iter().map(VmDisk::key))
            .chain(self.images.iter().map(Image::key))
            .chain(self.network.iter().map(|nic| format!("net{}", nic.slot)))
            .chain(self.usb.iter().map(|usb| format!("usb{}", usb.slot)))
            .chain(self.cloud_init.map(CloudInit::key))
            .chain(self.raw.iter().map(|option| option.key.value.clone()))
            .chain(by_hand.map(|slot| format!("hostpci{}", slot.value)))
            .chain(devices);
        options
            .any(|option| option == word)
            .then(|| vec![word.to_owned()])
    }

    fn words(&self) -> Vec<String> {
        let disks = self.disks.iter().map(|disk| disk.name.value.clone());
        let iso = (!self.images.is_empty()).then(|| "iso".to_owned());
        let cards = self.network.iter().map(|nic| format!("net{}", nic.slot));
        disks.chain(iso).chain(cards).collect()
    }

    /// The order as options.
    pub(super) fn order(
        &self,
        written: &Spanned<Vec<Spanned<Line>>>,
        sink: &mut Sink,
    ) -> Spanned<Vec<String>> {
        let mut order: Vec<String> = Vec::new();
        for word in &written.value {
            let Some(options) = self.options(word.value.as_str()) else {
                let words = self.words();
                let known = words.iter().map(String::as_str);
                let help = did_you_mean(word.value.as_str(), known, "device to boot from");
                sink.push(
                    Diagnostic::new(
                        Code::MOX0656,
                        word.span,
                        format!(
                            "there is no `{}` to boot from",
                            word.value.as_str().escape_debug()
                        ),
                    )
                    .help_if(help),
                );
                continue;
            };
            for option in options {
                if !order.contains(&option) {
                    order.push(option);
                }
            }
        }
        Spanned::new(order, written.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_addresses_stand_for_a_function_or_a_card() {
        let address: PciPlace = "01:00.1".parse().expect("an address");
        assert!(names("01:00.1", address));
        assert!(names("0000:01:00.1", address));
        assert!(names("01:00", address));
        assert!(names("02:00.0;01:00", address));
        assert!(!names("01:00.0", address));
        assert!(!names("02:00", address));
    }
}
