//! Containers.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{
    Container, ContainerMount, Guest, GuestKind, Placement, Setting, StoreRef, VolumeSource,
};
use crate::pve::{ConfigFile, PveOption, Release, check_option, report_fault};
use crate::resolve::raw::RawContainer;
use crate::resolve::{devices, list, unset};
use crate::source::{Span, Spanned};
use crate::spec::guest::{ContainerSpec, TemplateSpec};
use crate::spec::reader::{Int, OneOrMany};
use crate::value::{ByteSize, ContainerOs, Line, TimeZoneName, VolumeId};

use super::disks::{ROOTFS, rootfs_keys};
use super::{Resolver, autostart, option, place, vmid};

impl Resolver<'_> {
    pub(super) fn container(
        &mut self,
        name: &Spanned<String>,
        raw: &RawContainer<'_>,
        rootfs: Spanned<StoreRef>,
    ) -> Guest {
        let body = &*raw.body;
        let os = Setting::or_missing(
            body.os.map(|os| os.map(|os| os.0)),
            ContainerOs::Other,
            body.span,
        );
        let vmid = vmid(body.vmid, body.span);
        let cpu = body.cpu.as_ref().map(|cpu| &cpu.value);
        let rootfs = match &body.rootfs {
            Some(spec) => rootfs_keys(&spec.value).placement(rootfs, ROOTFS, self.host, self.sink),
            None => Placement::new(
                rootfs,
                Setting::or_missing(None, ByteSize::gib(8), body.span),
            ),
        };
        let schema = body
            .rootfs
            .iter()
            .flat_map(|rootfs| rootfs.value.schema.iter());
        let rootfs_more = schema.chain(&raw.rootfs).cloned().collect();
        let mounts = self.mounts(raw);
        self.check_zone(body);
        let devices = self.devices(raw);
        let lxc = self.lxc(raw);
        let template = self.template(body, &rootfs);
        let network = self.network(body.network.as_ref(), &raw.cards, &raw.options, *vmid);
        let named = body.network.as_ref().map_or(0, |nics| nics.value.len()) + raw.cards.len();
        let firewall = self.firewall(body.firewall.as_ref(), &network, named);
        let container = Container {
            os,
            cores: cpu.and_then(|c| c.cores.map(|c| c.map(Int::get))),
            // Proxmox VE's own default.
            swap: Setting::or_default(body.swap, ByteSize::mib(512), body.span),
            template: Setting::or_missing(
                template,
                "local:vztmpl/none.tar".parse().expect("a volume"),
                body.span,
            ),
            unprivileged: Setting::or_default(body.unprivileged, true, body.span),
            features: list(body.features.as_ref()),
            rootfs,
            rootfs_more,
            mounts,
            devices,
            lxc,
            password_secret: body.password_secret.clone(),
            ssh_keys: list(body.ssh_keys.as_ref()),
        };
        let nixos = self.nixos(
            body.nixos.as_ref(),
            matches!(*container.os, ContainerOs::Nixos),
            (!container.os.is_missing()).then_some(container.os.span),
            name,
            body.span,
        );
        let options = options(body, &raw.options, *self.host.release, self.sink);
        let said = (&words(body)[..], &options[..]);
        let unset = unset(body.unset.as_ref(), said, ConfigFile::Pct, self.sink);
        let memory = Setting::or_missing(body.memory, ByteSize::gib(1), body.span);
        let kind = GuestKind::Container(Box::new(container));
        guest!(self, name, body, cpu; vmid, memory, unset, options, network, firewall, kind, nixos)
    }

    fn mounts(&mut self, raw: &RawContainer<'_>) -> Vec<ContainerMount> {
        let body = &*raw.body;
        let mut mounts: Vec<ContainerMount> = Vec::new();
        let mut wanted = Vec::new();
        for row in body.mounts.iter().flat_map(|table| &table.rows) {
            let Some(spec) = row.body() else { continue };
            if let Some(mount) = self.mount(&row.key, spec) {
                let slot = devices::slot(spec.slot)
                    .or_else(|| devices::named(&mount.name, "mp", ConfigFile::Pct));
                wanted.push((mount.name.span, slot));
                mounts.push(mount);
            }
        }
        for (key, row) in &raw.mounts {
            if let Some(mut mount) = self.mount(key, &row.spec) {
                wanted.push((mount.name.span, Some(row.slot)));
                mount.more.clone_from(&row.more);
                mounts.push(mount);
            }
        }
        let slots = devices::numbers("mp", &wanted, self.sink);
        for (mount, slot) in mounts.iter_mut().zip(slots) {
            mount.slot = slot;
        }
        mounts
    }

    /// What a container is made from, which only one that is there can leave out.
    fn template(&mut self, body: &ContainerSpec, rootfs: &Placement) -> Option<Spanned<VolumeId>> {
        let is_there = matches!(rootfs.volume, VolumeSource::Existing { .. });
        let template = body
            .template
            .as_ref()
            .and_then(|template| match &template.value {
                TemplateSpec::From(volume) => Some(Spanned::new(volume.clone(), template.span)),
                TemplateSpec::Itself(_) => None,
            });
        let itself = body.template.as_ref().filter(|_| template.is_none());
        if let Some(itself) = itself.filter(|_| !is_there) {
            self.sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    itself.span,
                    "`template` without what the container is made from",
                )
                .also(body.span, "it is not there yet")
                .help(
                    "name what it is made from: `template = \"local:vztmpl/…\"`, and once it is there make it a template by \
                     `pct template`; one that is there names its volume: `rootfs = { …, volume = \"…\" }`",
                ),
            );
        } else if template.is_none() && !is_there && !body.misread.contains(&"template") {
            self.sink.push(
                Diagnostic::new(Code::MOX0004, body.span, "the key `template` is missing")
                    .label("in this table")
                    .help(
                        "name what it is made from: `template = \"local:vztmpl/…\"`; a container that is there already names its \
                         volume instead: `rootfs = { …, volume = \"…\" }`",
                    ),
            );
        }
        template
    }

    fn check_zone(&mut self, body: &ContainerSpec) {
        if let Some(zone) = body
            .timezone
            .as_ref()
            .filter(|zone| zone.as_str() != "host")
        {
            let read: Result<TimeZoneName, _> = zone.as_str().parse();
            if let Err(wrong) = read {
                let diagnostic = Diagnostic::new(Code::MOX0019, zone.span, wrong.message);
                let help = "name a zone of the IANA database, as `Europe/Berlin`; or `host`";
                self.sink.push(diagnostic.help(help));
            }
        }
    }
}

/// The options that keys of the table stand for, and where these are.
fn words(body: &ContainerSpec) -> [(&'static str, Option<Span>); 6] {
    [
        ("description", place(body.description.as_ref())),
        ("tags", place(body.tags.as_ref())),
        ("onboot", place(body.autostart.as_ref())),
        ("protection", place(body.protection.as_ref())),
        ("hostname", place(body.name.as_ref())),
        ("swap", place(body.swap.as_ref())),
    ]
}

/// What a container has options for under another name.
fn options(
    body: &ContainerSpec,
    options: &[PveOption],
    release: Release,
    sink: &mut Sink,
) -> Vec<PveOption> {
    let one = |key: &str, line: Option<&Spanned<Line>>| {
        line.map(|line| option(key, line.value.as_str().to_owned(), line.span))
    };
    let many = |key: &str, lines: Option<&Spanned<OneOrMany<Line>>>| {
        lines.map(|lines| {
            let words = lines.value.0.iter().map(|line| line.value.as_str());
            option(key, words.collect::<Vec<_>>().join(" "), lines.span)
        })
    };
    let named = [
        one("cmode", body.console_mode.as_ref()),
        many("nameserver", body.nameserver.as_ref()),
        many("searchdomain", body.searchdomain.as_ref()),
        one("timezone", body.timezone.as_ref()),
        body.template.as_ref().and_then(|template| {
            let is_itself = matches!(template.value, TemplateSpec::Itself(true));
            is_itself.then(|| option("template", "1".to_owned(), template.span))
        }),
    ];
    let named = named.into_iter().flatten().filter(|option| {
        let fault = check_option(ConfigFile::Pct, release, &option.key, &option.value).err();
        let is_sound = fault.is_none();
        if let Some(fault) = fault {
            report_fault(fault, option.value.span, sink);
        }
        is_sound
    });
    named.chain(options.iter().cloned()).collect()
}
