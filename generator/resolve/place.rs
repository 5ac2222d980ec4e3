//! Where a volume of a guest lies: the keys `dataset`, `store`, `volume`, `size`, `format` and `import`, which many tables
//! share.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Host, Import, Medium, Placement, Setting, StoreRef, VolumeSource};
use crate::near::Near;
use crate::source::{Span, Spanned};
use crate::spec::reader::{Reference, unknown_reference};
use crate::spec::storage::ImportSpec;
use crate::value::{ByteSize, DatasetUse, ImageFormat, ImageSource, VolumeName};

use super::Index;

/// What a table says of where a volume lies, and which it is.
pub(super) struct PlaceKeys<'a> {
    /// The table.
    pub(super) span: Span,
    /// Its keys that could not be read.
    pub(super) misread: &'a [&'static str],
    /// `dataset`.
    pub(super) dataset: Option<&'a Spanned<Reference>>,
    /// `store`.
    pub(super) store: Option<&'a Spanned<Reference>>,
    /// `volume`.
    pub(super) volume: Option<&'a Spanned<VolumeName>>,
    /// `size`.
    pub(super) size: Option<Spanned<ByteSize>>,
    /// `format`.
    pub(super) format: Option<Spanned<ImageFormat>>,
    /// `import`.
    pub(super) import: Option<&'a Spanned<ImportSpec>>,
}

/// What a volume is for.
#[derive(Clone, Copy)]
pub(super) struct Purpose {
    /// The use that its store must have.
    pub(super) wanted: DatasetUse,
    /// What a diagnostic calls it.
    pub(super) what: &'static str,
    /// The size that Proxmox VE gives it by itself, for those that have one.
    pub(super) fixed: Option<ByteSize>,
}

impl PlaceKeys<'_> {
    /// Whether the table names a store at all, sound or not.
    pub(super) fn names_a_store(&self) -> bool {
        self.dataset.is_some()
            || self.store.is_some()
            || self
                .misread
                .iter()
                .any(|key| matches!(*key, "dataset" | "store"))
    }

    /// The store that the table names; reports two, and names that nothing has.
    pub(super) fn named(&self, index: &Index<'_>, sink: &mut Sink) -> Option<Spanned<StoreRef>> {
        match (self.dataset, self.store) {
            (Some(dataset), None) => index.dataset_or_report(dataset, sink),
            (None, Some(store)) => index.store_or_report(store, sink),
            (Some(dataset), Some(store)) => {
                sink.push(
                    Diagnostic::new(Code::MOX0016, store.span, "`store` beside `dataset`")
                        .also(dataset.span, "the dataset")
                        .help("a volume lies in one place: remove one of them"),
                );
                None
            }
            (None, None) => None,
        }
    }

    /// The store that the table must name.
    pub(super) fn required(&self, index: &Index<'_>, sink: &mut Sink) -> Option<Spanned<StoreRef>> {
        if !self.names_a_store() {
            sink.push(
                Diagnostic::new(
                    Code::MOX0004,
                    self.span,
                    "the key `dataset` or `store` is missing",
                )
                .label("in this table"),
            );
        }
        self.named(index, sink)
    }

    /// The volume in a store. `host` has its stores already.
    pub(super) fn placement(
        &self,
        store: Spanned<StoreRef>,
        purpose: Purpose,
        host: &Host,
        sink: &mut Sink,
    ) -> Placement {
        if let Some(wrong) = wrong_use(host, store, purpose.wanted, purpose.what) {
            // Of a virtual machine its start looks at that, too (`check_volume_storage_type` of PVE::QemuServer).
            let runs = self.volume.is_some() && purpose.wanted == DatasetUse::Containers;
            sink.push(if runs {
                wrong.softened().note("a container with a volume that is there starts; Proxmox VE refuses to change, restore or move it")
            } else {
                wrong
            });
        }
        let medium = host.storage.store(store.value).medium();
        self.check_format(store, host, sink);
        let volume = if let Some(name) = self.volume {
            let beside = [
                ("format", self.format.map(|format| format.span)),
                ("import", self.import.map(|import| import.span)),
            ];
            for (key, span) in beside {
                if let Some(span) = span {
                    sink.push(
                        Diagnostic::new(Code::MOX0016, span, format!("`{key}` beside `volume`"))
                            .also(name.span, "it is there already")
                            .help("remove one of them: only a volume that is made has it"),
                    );
                }
            }
            VolumeSource::Existing {
                name: name.clone(),
                size: self.size,
            }
        } else {
            self.check_new(store, medium, purpose, host, sink);
            if let Some(size) = self.size.filter(|size| size.value == ByteSize::default()) {
                let diagnostic = Diagnostic::new(Code::MOX0013, size.span, "a volume of no size");
                sink.push(diagnostic.help("write how large it is: `size = \"32 GiB\"`"));
            }
            VolumeSource::New {
                size: match (self.size, purpose.fixed) {
                    (None, Some(size)) => Setting::default(size, self.span),
                    (size, _) => Setting::or_missing(size, ByteSize::gib(8), self.span),
                },
                format: self.format,
                import: self.import.map(|import| self::import(&import.value, sink)),
            }
        };
        Placement { store, volume }
    }

    fn check_new(
        &self,
        store: Spanned<StoreRef>,
        medium: Medium,
        purpose: Purpose,
        host: &Host,
        sink: &mut Sink,
    ) {
        let name = &host.storage.store(store.value).name().value;
        if !medium.makes_volumes() {
            let help = match medium {
                Medium::Luns => {
                    "name the disk of the target that it is: `volume = \"0.0.0.scsi-…\"`, as `pvesm list` shows it"
                }
                Medium::Zfs
                | Medium::Lvm
                | Medium::LvmThin
                | Medium::Files
                | Medium::Btrfs
                | Medium::Rbd
                | Medium::Nothing => "name another store",
            };
            sink.push(
                Diagnostic::new(
                    Code::MOX0110,
                    store.span,
                    format!("`{name}` makes no volumes"),
                )
                .help(help),
            );
        }
        if let (Some(size), Some(fixed)) = (self.size, purpose.fixed) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    size.span,
                    format!("Proxmox VE sizes {} itself", purpose.what),
                )
                .note(format!("{fixed} where the store does not round it up"))
                .help("remove `size`; beside `volume` it says how large the volume is"),
            );
        }
        if self.size.is_none() && purpose.fixed.is_none() && !self.misread.contains(&"size") {
            sink.push(
                Diagnostic::new(Code::MOX0004, self.span, "the key `size` is missing")
                    .label("in this table")
                    .help("say how large the volume is; or `volume`, where it is there already"),
            );
        }
    }

    fn check_format(&self, store: Spanned<StoreRef>, host: &Host, sink: &mut Sink) {
        let Some(format) = self.format else { return };
        let formats = host.storage.store(store.value).formats();
        if formats.contains(&format.value) {
            return;
        }
        let store_name = &host.storage.store(store.value).name().value;
        let help = if formats.is_empty() {
            "remove it: only stores of files have formats".to_owned()
        } else {
            let words: Vec<&str> = formats.iter().map(|format| format.as_str()).collect();
            format!("it holds {}", words.join(", "))
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                format.span,
                format!("`{store_name}` holds no `{}` images", format.value),
            )
            .also(store.span, "the store")
            .help(help),
        );
    }
}

/// An image that fills a disk. Its format must be told by its name where the spec does not say it.
fn import(spec: &ImportSpec, sink: &mut Sink) -> Import {
    let from = Setting::or_missing(
        spec.from.clone(),
        ImageSource::Path("/none.raw".parse().expect("a path")),
        spec.span,
    );
    let format = spec.format.map(|format| format.map(|one| one.0));
    if let (ImageSource::Url(url), None) = (&from.value, &spec.sha256)
        && !spec.misread.contains(&"sha256")
    {
        sink.push(
            Diagnostic::new(
                Code::MOX0004,
                spec.span,
                "the key `sha256` is missing",
            )
            .label("in this table")
            .note(format!("`{url}` may bring another image tomorrow, and a root of the guest that nobody chose"))
            .help("`sha256sum FILE` prints it; most sites show it beside the download"),
        );
    }
    if !from.is_missing() && format.is_none() && ImageFormat::of_file(from.file_name()).is_none() {
        sink.push(
            Diagnostic::new(
                Code::MOX0004,
                from.span,
                format!(
                    "the name `{}` does not tell the image's format",
                    from.file_name().escape_debug()
                ),
            )
            .help(
                "add `format = \"raw\"`, `\"qcow2\"` or `\"vmdk\"`: `qemu-img info FILE` shows it",
            ),
        );
    }
    Import {
        span: spec.span,
        from,
        sha256: spec.sha256.clone(),
        format,
    }
}

/// Reports a store that is for something else.
pub(super) fn expect_use(
    host: &Host,
    store: Spanned<StoreRef>,
    wanted: DatasetUse,
    what: &str,
    sink: &mut Sink,
) {
    if let Some(wrong) = wrong_use(host, store, wanted, what) {
        sink.push(wrong);
    }
}

/// What is told of a store that is for something else.
fn wrong_use(
    host: &Host,
    store: Spanned<StoreRef>,
    wanted: DatasetUse,
    what: &str,
) -> Option<Diagnostic> {
    let item = host.storage.store(store.value);
    // Without a use the store was reported already.
    let found = item.uses().first().filter(|_| !item.is_for(wanted))?;
    let fitting: Vec<String> = host
        .storage
        .stores()
        .filter(|(_, store)| store.is_for(wanted))
        .map(|(_, store)| format!("`{}`", store.name().value))
        .collect();
    let help = if fitting.is_empty() {
        format!("add `{wanted}` to its `use`, or declare another with it")
    } else {
        format!("for that there is {}", fitting.join(", "))
    };
    let message = format!(
        "the {} `{}` is not for {what}",
        item.what(),
        item.name().value
    );
    Some(
        Diagnostic::new(Code::MOX0110, store.span, message)
            .also(found.span, format!("it is for `{}`", found.value))
            .help(help),
    )
}

impl Index<'_> {
    /// What a name of a store stands for: `None` where there is none, `Some(None)` where it was not understood.
    #[allow(
        clippy::option_option,
        reason = "as in Names::get: a missing name is reported, a misunderstood one has been"
    )]
    fn find_store(&self, name: &str) -> Option<Option<StoreRef>> {
        let dataset = self.datasets.get(name).map(|id| id.map(StoreRef::Dataset));
        dataset
            .or_else(|| self.lvm.get(name).map(|id| id.map(StoreRef::Lvm)))
            .or_else(|| self.external.get(name).map(|id| id.map(StoreRef::External)))
            .or_else(|| (name == "local").then_some(Some(StoreRef::Local)))
    }

    /// The store that `store` names; a dataset is one, too.
    pub(super) fn store_or_report(
        &self,
        reference: &Spanned<Reference>,
        sink: &mut Sink,
    ) -> Option<Spanned<StoreRef>> {
        let name = &reference.value.0;
        let Some(found) = self.find_store(name) else {
            let own = Near::new(vec!["local"]);
            let known = [
                self.datasets.names(),
                self.lvm.names(),
                self.external.names(),
                &own,
            ];
            sink.push(unknown_reference(reference.span, "store", name, &known));
            return None;
        };
        found.map(|store| Spanned::new(store, reference.span))
    }

    /// The dataset that `dataset` names; one that is another store is told as that.
    fn dataset_or_report(
        &self,
        reference: &Spanned<Reference>,
        sink: &mut Sink,
    ) -> Option<Spanned<StoreRef>> {
        let name = &reference.value.0;
        if let Some(what) = self.other_store(name) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0106,
                    reference.span,
                    format!("`{}` is {what}, not a dataset", name.escape_debug()),
                )
                .help(format!("write `store = \"{name}\"` instead of `dataset`")),
            );
            return None;
        }
        self.datasets
            .find(reference, sink)
            .map(|id| id.map(StoreRef::Dataset))
    }

    /// What a store that is no dataset is called.
    pub(super) fn other_store(&self, name: &str) -> Option<&'static str> {
        if self.datasets.get(name).is_some() {
            None
        } else if self.lvm.get(name).is_some() {
            Some("a store of LVM")
        } else if self.external.get(name).is_some() {
            Some("an external store")
        } else if name == "local" {
            Some("Proxmox VE's own store")
        } else {
            None
        }
    }
}
