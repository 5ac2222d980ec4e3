//! The spec as written → the host as understood.
//!
//! Names become references, defaults are filled in, what is derived (MAC addresses) is derived. Reports unknown names
//! (`MOX01xx`) and keys that do not go together; what spans several parts of a host is the [analysis](crate::analysis)'s.
//! A faulty spec still gives a model, with what could be understood, so that its other faults are found in the same run.

mod boot;
mod devices;
mod firewall;
pub mod fleet;
mod guests;
mod hardware;
mod identity;
mod network;
mod place;
mod raw;
mod references;
mod schedules;
mod storage;
mod windows;

use crate::diagnostics::{Code, Diagnostic, LintLevel, Lints, Sink};
use crate::model::{
    Bond, Bridge, Dataset, Disk, External, Guest, Host, HostInterface, Lvm, Machine, Nic,
    PciDevice, Pool, Reserve, Setting, UsbDevice,
};
use crate::near::certain;
use crate::pve::{ConfigFile, PveOption, Release};
use crate::source::{Span, Spanned};
use crate::spec::HostFile;
use crate::spec::reader::{List, OneOf};
use crate::value::{ByteSize, Choice, Line, LintChoice, Platform};
use references::Names;

/// What can be referred to by name.
struct Index<'a> {
    disks: Names<'a, Disk>,
    nics: Names<'a, Nic>,
    pci: Names<'a, PciDevice>,
    usb: Names<'a, UsbDevice>,
    bridges: Names<'a, Bridge>,
    bonds: Names<'a, Bond>,
    interfaces: Names<'a, HostInterface>,
    machines: Names<'a, Machine>,
    pools: Names<'a, Pool>,
    datasets: Names<'a, Dataset>,
    lvm: Names<'a, Lvm>,
    external: Names<'a, External>,
    guests: Names<'a, Guest>,
}

/// Among whom the MAC addresses that a spec leaves out are one of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// The cards of one host: three bytes of a hash, behind Proxmox's own prefix.
    OfHost,
    /// The cards of a whole fleet, whose hosts do not know each other: so many bits that no two meet.
    OfFleet,
}

/// Understands the spec of a host that is alone. `complete` is false in the result where the sink holds errors.
pub fn resolve(file: &HostFile, sink: &mut Sink) -> Host {
    resolve_for(file, Addresses::OfHost, sink)
}

/// [`resolve`] for a host that may be one of a fleet.
pub fn resolve_for(file: &HostFile, addresses: Addresses, sink: &mut Sink) -> Host {
    let hardware_spec = file.hardware.as_ref();
    let network_spec = file.network.as_ref();
    let storage_spec = file.storage.as_ref();
    let mut index = Index {
        disks: Names::of("disk", hardware_spec.and_then(|h| h.disks.as_ref())),
        nics: network::nics(file, sink),
        pci: Names::of("PCI function", hardware_spec.and_then(|h| h.pci.as_ref())),
        usb: Names::of("USB device", hardware_spec.and_then(|h| h.usb.as_ref())),
        bridges: Names::of("bridge", network_spec.and_then(|n| n.bridges.as_ref())),
        bonds: Names::of("bond", network_spec.and_then(|n| n.bonds.as_ref())),
        interfaces: Names::empty("interface"),
        machines: Names::of("machine", network_spec.and_then(|n| n.machines.as_ref())),
        pools: Names::of("pool", storage_spec.and_then(|s| s.pools.as_ref())),
        lvm: Names::of("LVM store", storage_spec.and_then(|s| s.lvm.as_ref())),
        external: Names::of(
            "external store",
            storage_spec.and_then(|s| s.external.as_ref()),
        ),
        datasets: Names::empty("dataset"),
        guests: Names::empty("guest"),
    };
    // What a name stands for is settled in the order of need: datasets name pools, guests name stores, and bridges and
    // guests name each other.
    let (datasets, names) = storage::datasets(file, &index, sink);
    index.datasets = names;
    let (rows, rootless, names) = guests::rows(file, &index, sink);
    index.guests = names;

    let hardware = hardware::resolve(file, &index, sink);
    let (interfaces, names) = network::interfaces(file, &index, sink);
    index.interfaces = names;
    let network = network::resolve(file, interfaces, &index, sink);
    let storage = storage::resolve(file, &hardware, datasets, &index, sink);
    let host_span = file.host.as_ref().map_or(file.span, |host| host.value.span);
    let host = file.host.as_ref().map(|host| &host.value);
    let stand_in = |text: &str| text.parse().expect("a stand-in is a valid value");

    let mut model = Host {
        complete: false,
        understood: host.is_some_and(|host| !host.faulty),
        span: host_span,
        name: Setting::or_missing(
            host.and_then(|h| h.name.clone()),
            "host".parse().expect("a host name"),
            host_span,
        ),
        domain: Setting::or_default(
            host.and_then(|h| h.domain.clone()),
            "local".parse().expect("a domain"),
            host_span,
        ),
        platform: choice(host.and_then(|h| h.platform), Platform::Proxmox, host_span),
        release: Setting::or_missing(host.and_then(|h| h.release), Release::NEWEST, host_span),
        timezone: Setting::or_missing(
            host.and_then(|h| h.timezone.clone()),
            stand_in("UTC"),
            host_span,
        ),
        country: Setting::or_default(
            host.and_then(|h| h.country.clone()),
            "us".parse().expect("a country"),
            host_span,
        ),
        keyboard: Setting::or_default(
            host.and_then(|h| h.keyboard.clone()),
            "en-us".parse().expect("a keyboard"),
            host_span,
        ),
        email: host.and_then(|h| h.email.clone()),
        state_version: host.and_then(|h| h.state_version.clone()),
        ssh_keys: list(host.and_then(|h| h.ssh_keys.as_ref())),
        root_password_secret: host.and_then(|h| h.root_password_secret.clone()),
        reserve: reserve(host, host_span),
        tools: Setting::or_default(host.and_then(|h| h.tools), true, host_span),
        headless: Setting::or_default(host.and_then(|h| h.headless), false, host_span),
        powered_off: host.and_then(|h| h.powered_off),
        lints: lints(file, sink),
        hardware,
        boot: boot::boot(file, sink),
        vzdump: file
            .vzdump
            .as_ref()
            .map_or_else(Vec::new, |table| table.schema.to_vec()),
        vzdump_unset: file.vzdump.as_ref().map_or_else(Vec::new, |table| {
            unset(
                table.unset.as_ref(),
                (&[], &table.schema),
                ConfigFile::Vzdump,
                sink,
            )
        }),
        datacenter: file
            .datacenter
            .as_ref()
            .map_or_else(Vec::new, |table| table.schema.to_vec()),
        kept: boot::kept(file, sink),
        network,
        storage,
        guests: crate::model::Arena::default(),
        schedules: crate::model::Arena::default(),
    };
    model.guests = guests::resolve(&rows, &rootless, &model, &index, addresses, sink);
    model.schedules = schedules::resolve(file, &model, &index, sink);
    schedules::find_stores(&model.vzdump, &model.storage, &index, sink);
    identity::check(&model, sink);
    model.complete = !sink.has_errors();
    model
}

fn reserve(host: Option<&crate::spec::host::HostSpec>, span: Span) -> Reserve {
    let reserve = host.and_then(|h| h.reserve.as_ref());
    let at = reserve.map_or(span, |r| r.span);
    Reserve {
        memory: Setting::or_default(reserve.and_then(|r| r.memory), ByteSize::gib(4), at),
        threads: Setting::or_default(
            reserve.and_then(|r| r.threads.map(|t| t.map(super::spec::reader::Int::get))),
            0,
            at,
        ),
    }
}

/// Reads `[lints]`: every key is a code, and a warning's.
fn lints(file: &HostFile, sink: &mut Sink) -> Lints {
    let mut lints = Lints::default();
    for row in file.lints.iter().flat_map(|table| &table.rows) {
        let Some(&level) = row.body() else { continue };
        match row.key.value.parse::<Code>() {
            Ok(code) if code.has_level() => lints.set(
                code,
                match level.0 {
                    LintChoice::Allow => LintLevel::Allow,
                    LintChoice::Warn => LintLevel::Warn,
                    LintChoice::Deny => LintLevel::Deny,
                },
            ),
            Ok(code) => sink.push(
                Diagnostic::new(
                    Code::MOX0017,
                    row.key.span,
                    format!("{code} is an error: it has no level"),
                )
                .note(format!("{code}: {}", code.title()))
                .help("remove the line"),
            ),
            Err(()) => {
                let warnings: Vec<&str> = Code::ALL
                    .iter()
                    .filter(|c| c.has_level())
                    .map(|c| c.as_str())
                    .collect();
                sink.push(
                    Diagnostic::new(
                        Code::MOX0017,
                        row.key.span,
                        format!("no warning `{}`", row.key.value.escape_debug()),
                    )
                    .help_if(
                        certain(&row.key.value, warnings.iter().copied())
                            .map(|near| format!("did you mean `{near}`?"))
                            .or_else(|| Some("`moxc explain --list` lists them".to_owned())),
                    ),
                );
            }
        }
    }
    lints
}

// ---------------------------------------------------------------- what all parts use

/// A choice, or its default.
fn choice<T: Choice>(written: Option<Spanned<OneOf<T>>>, default: T, span: Span) -> Setting<T> {
    Setting::or_default(written.map(|w| w.map(|one| one.0)), default, span)
}

/// A key of the spec, and the option that it alone decides.
type Said<'a> = (&'a str, Option<Span>);

/// Options that moxc would write by itself and that stay out. One that Proxmox VE does not have is told, and one that the table
/// says as well, by a word of its own or by the option's name: one of the two would be passed over.
fn unset(
    written: Option<&Spanned<List<Line>>>,
    (words, options): (&[Said<'_>], &[PveOption]),
    file: ConfigFile<'static>,
    sink: &mut Sink,
) -> Vec<Spanned<Line>> {
    let unset = list(written);
    for option in &unset {
        let name = option.value.as_str();
        if file.option(name).is_none() {
            let known: Vec<&str> = file.option_names().collect();
            let help = crate::near::did_you_mean(name, known.iter().copied(), "option");
            let message = format!("no option `{}` in Proxmox VE", name.escape_debug());
            sink.push(Diagnostic::new(Code::MOX0002, option.span, message).help_if(help));
            continue;
        }
        let word = words
            .iter()
            .find(|(of, place)| *of == name && place.is_some());
        let place = word.and_then(|(_, place)| *place);
        let raw = || PveOption::find(options, name).map(|option| option.key.span);
        if let Some(place) = place.or_else(raw) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    option.span,
                    format!("`{name}` is said and unset"),
                )
                .also(place, "said here")
                .help("remove one of the two"),
            );
        }
    }
    unset
}

/// A list, empty where it is left out.
fn list<T: Clone>(written: Option<&Spanned<List<T>>>) -> Vec<Spanned<T>> {
    written.map(|list| list.value.clone()).unwrap_or_default()
}
