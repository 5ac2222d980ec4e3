//! Cards, ports and devices of guests.

use crate::model::{ContainerDevice, GuestFirewall, GuestNic, GuestUsb, Passthrough, Setting};
use crate::pve::PveOption;
use crate::resolve::devices;
use crate::resolve::firewall;
use crate::resolve::network;
use crate::resolve::raw::{self, RawContainer, RawRow, RawVm};
use crate::source::Spanned;
use crate::spec::guest::{GuestFirewallSpec, GuestNicSpec};
use crate::spec::reader::{List, ShortOrLong};
use crate::value::{Line, MacAddress, VmId, VmOs};

use super::Resolver;

impl Resolver<'_> {
    /// The cards of the table and those of options, in the order of their numbers; `others` are options that stay so, a card
    /// without a bridge among them.
    pub(super) fn network(
        &mut self,
        nics: Option<&Spanned<List<GuestNicSpec>>>,
        raw: &[RawRow<GuestNicSpec>],
        others: &[PveOption],
        vmid: VmId,
    ) -> Vec<GuestNic> {
        let nics = nics.map(|n| &n.value[..]).unwrap_or_default();
        let wanted: Vec<_> = nics
            .iter()
            .map(|nic| (nic.value.span, devices::slot(nic.value.slot)))
            .chain(raw.iter().map(|row| (row.spec.span, Some(row.slot))))
            .chain(others.iter().filter_map(|option| {
                let (_, slot) = option.numbered().filter(|(base, _)| *base == "net")?;
                let span = option.key.span;
                Some((span, Some(Spanned::new(slot, span))))
            }))
            .collect();
        let slots = devices::numbers("net", &wanted, self.sink);
        let mut cards: Vec<GuestNic> = nics
            .iter()
            .map(|nic| (&nic.value, &nic.value.schema[..]))
            .chain(raw.iter().map(|row| (&row.spec, &row.more[..])))
            .zip(slots)
            .filter_map(|((spec, more), slot)| self.nic(spec, more, vmid, slot))
            .collect();
        cards.sort_by_key(|card| card.slot);
        cards.shrink_to_fit(); // most guests have one, and a list is made with room for four
        cards
    }

    /// `named` cards stand in the guest's table, of which some may be none.
    pub(super) fn firewall(
        &mut self,
        spec: Option<&Spanned<GuestFirewallSpec>>,
        network: &[GuestNic],
        named: usize,
    ) -> Option<GuestFirewall> {
        let cards = firewall::Cards {
            known: network,
            all: network.len() == named,
        };
        Some(firewall::firewall(&spec?.value, cards, self.sink))
    }

    fn nic(
        &mut self,
        body: &GuestNicSpec,
        more: &[PveOption],
        vmid: VmId,
        slot: u32,
    ) -> Option<GuestNic> {
        let bridge = body
            .bridge
            .as_ref()
            .and_then(|bridge| self.index.bridges.find(bridge, self.sink));
        let at = usize::try_from(slot).expect("a card's number is small");
        let mac = MacAddress::derive(self.host.name.as_str(), vmid.get(), at);
        let gateway = body
            .gateway
            .as_ref()
            .and_then(|g| network::gateway(g, false, self.index, self.sink));
        let gateway6 = body
            .gateway6
            .as_ref()
            .and_then(|g| network::gateway(g, true, self.index, self.sink));
        let address = network::own_address(body.address, false, self.sink);
        let address6 = network::own_address(body.address6, true, self.sink);
        let bridge = bridge?;
        let firewall = self.host.network.bridges[bridge.value].firewall;
        let word = |written: Option<&Spanned<Line>>, default: String| {
            let written = written.map(|w| Spanned::new(w.value.as_str().to_owned(), w.span));
            Setting::or_default(written, default, body.span)
        };
        Some(GuestNic {
            span: body.span,
            bridge,
            address,
            address6,
            gateway,
            gateway6,
            mac: Setting::or_default(body.mac, mac, body.span),
            vlan: body.vlan,
            trunks: body
                .trunks
                .as_ref()
                .map(|t| Spanned::new(t.value.0.clone(), t.span)),
            firewall: Setting::or_default(body.firewall, *firewall, body.span),
            mtu: body.mtu.map(|m| m.map(crate::spec::reader::Int::get)),
            rate: body.rate.map(|r| r.map(|r| r.0)),
            slot,
            model: word(body.model.as_ref(), "virtio".to_owned()),
            interface: word(body.name.as_ref(), format!("eth{slot}")),
            more: more.to_vec(),
        })
    }

    pub(super) fn passthrough(&mut self, raw: &RawVm<'_>) -> Vec<Passthrough> {
        let entries = raw.body.passthrough.iter().flat_map(|p| &p.value);
        let typed = entries.filter_map(|entry| devices::passed(entry, self.index, self.sink));
        let mut passed: Vec<Passthrough> = typed.collect();
        let options = raw.passthrough.iter();
        passed.extend(options.filter_map(|option| devices::passed_raw(option, self.host)));
        passed
    }

    pub(super) fn usb(&mut self, raw: &RawVm<'_>) -> Vec<GuestUsb> {
        let entries = raw.body.usb.iter().flat_map(|usb| &usb.value);
        let typed = entries.filter_map(|entry| devices::usb(entry, self.index, self.sink));
        let mut rows: Vec<devices::UsbRow> = typed.collect();
        let options = raw.usb.iter();
        rows.extend(options.filter_map(|option| devices::usb_raw(option, self.host)));
        let wanted: Vec<_> = rows.iter().map(devices::UsbRow::wanted).collect();
        let slots = devices::numbers("usb", &wanted, self.sink);
        rows.into_iter()
            .zip(slots)
            .map(|(row, slot)| row.plugged(slot))
            .collect()
    }

    /// A NixOS guest has the port that its kernel writes to, unless the spec says which ports there are.
    pub(super) fn serial(&mut self, raw: &RawVm<'_>) -> Vec<(u32, Spanned<String>)> {
        let body = &raw.body;
        let nixos = body.os.is_some_and(|os| os.value.0 == VmOs::Nixos);
        let typed = body.serial.iter().flat_map(|serial| &serial.value);
        let mut ports: Vec<(Option<Spanned<u32>>, Spanned<String>)> = typed
            .map(|port| {
                (
                    None,
                    Spanned::new(port.value.as_str().to_owned(), port.span),
                )
            })
            .collect();
        ports.extend(raw.serial.iter().filter_map(|option| {
            let (_, number) = option.numbered()?;
            Some((
                Some(Spanned::new(number, option.key.span)),
                option.value.clone(),
            ))
        }));
        if ports.is_empty() && body.serial.is_none() && nixos {
            ports.push((None, Spanned::new("socket".to_owned(), body.span)));
        }
        let wanted: Vec<_> = ports
            .iter()
            .map(|(slot, port)| (port.span, *slot))
            .collect();
        let slots = devices::numbers("serial", &wanted, self.sink);
        slots
            .into_iter()
            .zip(ports.into_iter().map(|(_, port)| port))
            .collect()
    }

    pub(super) fn devices(&mut self, raw: &RawContainer<'_>) -> Vec<ContainerDevice> {
        let typed = raw.body.devices.iter().flat_map(|d| &d.value);
        let mut devices: Vec<(ContainerDevice, Option<Spanned<u32>>)> =
            typed.map(container_device).collect();
        devices.extend(raw.devices.iter().map(|row| {
            let mut device = device_of(&row.spec);
            device.more.clone_from(&row.more);
            (device, Some(row.slot))
        }));
        let wanted: Vec<_> = devices
            .iter()
            .map(|(device, slot)| (device.path.span, *slot))
            .collect();
        let slots = devices::numbers("dev", &wanted, self.sink);
        devices
            .into_iter()
            .zip(slots)
            .map(|((device, _), slot)| ContainerDevice { slot, ..device })
            .collect()
    }

    /// Raw lines: those of `lxc`, and behind them those of `extra`.
    pub(super) fn lxc(&mut self, raw: &RawContainer<'_>) -> Vec<PveOption> {
        let typed = raw.body.lxc.iter().flat_map(|lines| &lines.value);
        let mut lines: Vec<PveOption> = typed
            .filter_map(|line| raw::lxc_line(line, self.sink))
            .collect();
        lines.extend(raw.lxc.iter().cloned());
        let release = *self.host.release;
        lines.retain(|line| raw::check_lxc_key(line, release, self.sink));
        lines
    }
}

fn container_device(
    written: &Spanned<
        ShortOrLong<crate::value::DevicePath, crate::spec::guest::ContainerDeviceSpec>,
    >,
) -> (ContainerDevice, Option<Spanned<u32>>) {
    match &written.value {
        ShortOrLong::Short(path) => {
            let device = ContainerDevice {
                path: Setting::written(path.clone(), written.span),
                uid: None,
                gid: None,
                mode: None,
                read_only: Setting::default(false, written.span),
                slot: 0,
                more: Vec::new(),
            };
            (device, None)
        }
        ShortOrLong::Long(spec) => (device_of(spec), devices::slot(spec.slot)),
    }
}

fn device_of(spec: &crate::spec::guest::ContainerDeviceSpec) -> ContainerDevice {
    ContainerDevice {
        path: Setting::or_missing(
            spec.path.clone(),
            "/dev/null".parse().expect("a device"),
            spec.span,
        ),
        uid: spec.uid.map(|n| n.map(crate::spec::reader::Int::get)),
        gid: spec.gid.map(|n| n.map(crate::spec::reader::Int::get)),
        mode: spec
            .mode
            .as_ref()
            .map(|m| Spanned::new(m.value.0.clone(), m.span)),
        read_only: Setting::or_default(spec.read_only, false, spec.span),
        slot: 0,
        more: Vec::new(),
    }
}
