use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{
    Arena, Dataset, Encryption, External, ExternalPlace, Hardware, Keep, Local, LocalStatement,
    Lvm, Pool, Setting, Storage, Vdev, VdevRole,
};
use crate::source::{Span, Spanned};
use crate::spec::HostFile;
use crate::spec::reader::{List, OneOf};
use crate::spec::schedule::KeepSpec;
use crate::spec::storage::{EncryptionSpec, ExternalSpec, LocalSpec, LvmSpec, PoolSpec, VdevSpec};
use crate::value::{
    ByteSize, DatasetUse, ExternalKind, LogLayout, Platform, PoolLayout, ZfsBlock, ZfsKey,
};

use super::references::Names;
use super::{Index, choice};

/// The datasets, and what their names stand for. One whose pool is unknown is not understood.
pub(super) fn datasets<'a>(
    file: &'a HostFile,
    index: &Index<'_>,
    sink: &mut Sink,
) -> (Vec<Dataset>, Names<'a, Dataset>) {
    let mut names = Names::empty("dataset");
    let mut datasets = Vec::new();
    for row in file
        .storage
        .iter()
        .filter_map(|s| s.datasets.as_ref())
        .flat_map(|table| &table.rows)
    {
        let Some(body) = row.body() else {
            names.add(&row.key.value, None);
            continue;
        };
        let pool = body
            .pool
            .as_ref()
            .and_then(|pool| index.pools.find(pool, sink));
        let (recordsize, volblocksize) =
            (block(body.recordsize, sink), block(body.volblocksize, sink));
        let Some(pool) = pool else {
            names.add(&row.key.value, None);
            continue;
        };
        names.add(&row.key.value, Some(Arena::id_at(datasets.len())));
        let path = row
            .key
            .value
            .parse()
            .unwrap_or_else(|_| "data".parse().expect("a dataset's name"));
        datasets.push(Dataset {
            name: row.key.clone(),
            span: body.span,
            pool,
            uses: uses(body.uses.as_ref().map(|uses| &uses.value.0)),
            path: Setting::or_default(
                body.path
                    .as_ref()
                    .map(|path| Spanned::new(path.value.0.clone(), path.span)),
                Some(path),
                row.key.span,
            ),
            quota: body.quota,
            reservation: body.reservation,
            mountpoint: body.mountpoint.clone().map(|at| at.map(Into::into)),
            recordsize,
            volblocksize,
            compression: body
                .compression
                .as_ref()
                .map(|c| Spanned::new(c.value.0.clone(), c.span)),
            thin: Setting::or_default(body.thin, true, body.span),
            atime: body.atime,
            sync: body.sync.map(|sync| sync.map(|one| one.0)),
            acltype: body.acltype.map(|acltype| acltype.map(|one| one.0)),
            xattr: body.xattr.map(|xattr| xattr.map(|one| one.0)),
            encryption: body.encryption.as_ref().map(|e| encryption(&e.value)),
            properties: body
                .properties
                .iter()
                .flat_map(|table| &table.rows)
                .filter_map(|row| {
                    Some((row.key.clone(), Spanned::new(row.body()?.clone(), row.span)))
                })
                .collect(),
            disabled: Setting::or_default(body.disabled, false, body.span),
            schema: body.schema.to_vec(),
        });
    }
    (datasets, names)
}

fn encryption(spec: &EncryptionSpec) -> Encryption {
    Encryption {
        span: spec.span,
        key: Setting::or_missing(spec.key.clone(), ZfsKey::Prompt, spec.span),
        cipher: spec.cipher.map(|cipher| cipher.map(|one| one.0)),
    }
}

/// A block of ZFS: a power of two from 512 bytes to 16 MiB.
fn block(written: Option<Spanned<ZfsBlock>>, sink: &mut Sink) -> Option<Spanned<ByteSize>> {
    let size = written?.map(|block| block.0);
    if size.as_bytes().is_power_of_two() && (512..=16 << 20).contains(&size.as_bytes()) {
        return Some(size);
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0013,
            size.span,
            format!("ZFS has no block of {}", size.value),
        )
        .help("a block is a power of two, from 512 B to 16 MiB"),
    );
    None
}

fn uses(written: Option<&List<OneOf<DatasetUse>>>) -> Vec<Spanned<DatasetUse>> {
    let uses = written.into_iter().flatten();
    uses.map(|u| u.map(|one| one.0)).collect()
}

pub(super) fn resolve(
    file: &HostFile,
    hardware: &Hardware,
    datasets: Vec<Dataset>,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Storage {
    let Some(spec) = &file.storage else {
        return Storage {
            arc_max: None,
            arc_min: None,
            pools: Arena::default(),
            datasets: Arena::default(),
            lvm: Arena::default(),
            external: Arena::default(),
            local: local(None, file.span, sink),
        };
    };
    let mut pools = Vec::new();
    for row in spec.pools.iter().flat_map(|table| &table.rows) {
        let Some(body) = row.body() else { continue };
        pools.push(pool(row.key.clone(), body, hardware, index, sink));
    }
    let platform = file.host.as_ref().and_then(|host| host.value.platform);
    let is_nixos = platform.is_some_and(|platform| platform.value.0 == Platform::Nixos);
    let mut lvm = Vec::new();
    for row in spec.lvm.iter().flat_map(|table| &table.rows) {
        let Some(body) = row.body() else { continue };
        lvm.push(self::lvm(row.key.clone(), body, is_nixos, index, sink));
    }
    one_root(&pools, &lvm, sink);
    let mut external = Vec::new();
    for row in spec.external.iter().flat_map(|table| &table.rows) {
        let Some(body) = row.body() else { continue };
        external.push(self::external(row.key.clone(), body, sink));
    }
    Storage {
        arc_max: spec.arc_max,
        arc_min: spec.arc_min,
        pools: Arena::new(pools),
        datasets: Arena::new(datasets),
        lvm: Arena::new(lvm),
        external: Arena::new(external),
        local: local(spec.local.as_ref(), file.span, sink),
    }
}

/// A host has one root: in a pool, or in a volume group, of which several stores may be. The layout of a second one would
/// reach no file.
fn one_root(pools: &[Pool], groups: &[Lvm], sink: &mut Sink) {
    let pools = pools.iter().filter(|pool| *pool.boot);
    let pools = pools.map(|pool| (pool.boot.span, "pool", pool.name.value.as_str()));
    let groups = groups.iter().filter(|lvm| *lvm.boot);
    let groups = groups.map(|lvm| (lvm.boot.span, "volume group", lvm.group.as_str()));
    let mut roots = pools.chain(groups);
    let Some((place, kind, first)) = roots.next() else {
        return;
    };
    for (at, other_kind, other) in roots.filter(|(_, of, name)| (*of, *name) != (kind, first)) {
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                at,
                format!("the host's root is in the {kind} `{first}` already, not in the {other_kind} `{other}`"),
            )
            .also(place, "said here")
            .help("leave `boot` to the pool or the volume group that the host's root lies in"),
        );
    }
}

fn lvm(
    name: Spanned<String>,
    body: &LvmSpec,
    is_nixos: bool,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Lvm {
    let disks = index
        .disks
        .find_all(body.disks.iter().flat_map(|d| &d.value), sink);
    let boot = Setting::or_default(body.boot, false, body.span);
    let is_laid_out = is_nixos && *boot && body.disks.is_some();
    for (key, size) in [
        ("root-size", &body.root_size),
        ("swap-size", &body.swap_size),
    ] {
        if let (Some(size), false) = (size, is_laid_out) {
            sink.push(
                Diagnostic::unheard(key, size.span, "nothing of the spec makes this group's own volumes")
                    .help("remove it; on a NixOS host whose group has `boot = true` and `disks`, disko makes root and swap"),
            );
        }
    }
    if let (true, Some(pool)) = (is_laid_out, &body.thin_pool)
        && matches!(pool.as_str(), "root" | "swap")
    {
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                pool.span,
                format!("a thin pool `{}` beside the host's own volumes", pool.value),
            )
            .also(
                boot.span,
                "so disko makes `root`, and `swap`, in this group",
            )
            .help("call it otherwise: `thin-pool = \"data\"`"),
        );
    }
    if let (true, false, Some(written)) = (*boot, is_nixos, &body.disks) {
        sink.push(
            Diagnostic::new(Code::MOX0016, written.span, "`disks` beside `boot = true`")
                .also(boot.span, "the installer made it")
                .help("remove `disks`: moxc makes nothing of a group that is there"),
        );
    }
    if let (Some(size), true) = (&body.size, disks.is_empty() && body.disks.is_some()) {
        sink.push(
            Diagnostic::new(Code::MOX0016, size.span, "`size` of a group without disks")
                .help("name the disks that it is made of, or leave `disks` out"),
        );
    }
    Lvm {
        span: body.span,
        group: Setting::or_missing(body.group.clone(), "vg".parse().expect("a name"), body.span),
        thin_pool: body.thin_pool.clone(),
        uses: uses(body.uses.as_ref().map(|uses| &uses.value.0)),
        disks,
        size: body.size,
        boot,
        root_size: body.root_size,
        swap_size: body.swap_size,
        disabled: Setting::or_default(body.disabled, false, body.span),
        schema: body.schema.to_vec(),
        name,
    }
}

fn local(spec: Option<&Spanned<LocalSpec>>, file: Span, sink: &mut Sink) -> Local {
    let span = spec.map_or(file, |spec| spec.value.span);
    Local {
        name: Spanned::new("local".to_owned(), span),
        stated: spec.map(|spec| LocalStatement {
            span,
            uses: uses(spec.value.uses.as_ref().map(|uses| &uses.value.0)),
            keep: spec
                .value
                .keep
                .as_ref()
                .map(|k| Spanned::new(keep(&k.value, sink), k.span)),
            disabled: Setting::or_default(spec.value.disabled, false, span),
            schema: spec.value.schema.to_vec(),
        }),
    }
}

fn pool(
    name: Spanned<String>,
    body: &PoolSpec,
    hardware: &Hardware,
    index: &Index<'_>,
    sink: &mut Sink,
) -> Pool {
    let is_there = body.layout.is_none() && body.disks.is_none() && body.misread.is_empty();
    for (key, missing) in [
        ("layout", body.layout.is_none()),
        ("disks", body.disks.is_none()),
    ] {
        if missing && !is_there && !body.misread.contains(&key) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0004,
                    body.span,
                    format!("the key `{key}` is missing"),
                )
                .label("in this table")
                .help("say both `layout` and `disks`, or neither of a pool that is there already"),
            );
        }
    }
    let disks = index
        .disks
        .find_all(body.disks.iter().flat_map(|d| &d.value), sink);
    let flash = !disks.is_empty()
        && disks
            .iter()
            .all(|disk| hardware.disks[disk.value].kind.is_flash());
    let mut vdevs = Vec::new();
    let further = [
        (VdevRole::Special, &body.special),
        (VdevRole::Log, &body.log),
        (VdevRole::Cache, &body.cache),
        (VdevRole::Spare, &body.spare),
    ];
    for (role, vdev) in further {
        if let Some(vdev) = vdev {
            vdevs.push(self::vdev(role, vdev, index, sink));
        }
    }
    Pool {
        span: body.span,
        layout: if is_there {
            Setting::default(PoolLayout::Stripe, body.span)
        } else {
            Setting::or_missing(
                body.layout.map(|l| l.map(|l| l.0)),
                PoolLayout::Mirror,
                body.span,
            )
        },
        boot: Setting::or_default(body.boot, false, body.span),
        ashift: Setting::or_default(
            body.ashift
                .map(|a| a.map(|a| u8::try_from(a.0).unwrap_or(12))),
            12,
            body.span,
        ),
        compression: Setting::or_default(
            body.compression
                .as_ref()
                .map(|c| Spanned::new(c.value.0.clone(), c.span)),
            "zstd".to_owned(),
            body.span,
        ),
        autotrim: Setting::or_default(body.autotrim, flash, body.span),
        name,
        disks,
        vdevs,
    }
}

fn vdev(role: VdevRole, spec: &Spanned<VdevSpec>, index: &Index<'_>, sink: &mut Sink) -> Vdev {
    let disks = index
        .disks
        .find_all(spec.disks.iter().flat_map(|d| &d.value), sink);
    let alone = match role {
        VdevRole::Cache | VdevRole::Spare => true,
        VdevRole::Special | VdevRole::Log => disks.len() < 2,
    };
    let default = if alone {
        LogLayout::Stripe
    } else {
        LogLayout::Mirror
    };
    let layout = choice(spec.layout, default, spec.value.span);
    if matches!(role, VdevRole::Cache | VdevRole::Spare) && *layout != LogLayout::Stripe {
        // zpool: "cache requires at least 1 devices" is all that it says.
        sink.push(
            Diagnostic::new(
                Code::MOX0016,
                layout.span,
                format!("{} disks stand alone", role.as_str()),
            )
            .help("leave `layout` out"),
        );
    }
    Vdev {
        role,
        span: spec.value.span,
        layout,
        disks,
    }
}

fn external(name: Spanned<String>, body: &ExternalSpec, sink: &mut Sink) -> External {
    let kind = body.kind.map_or(ExternalKind::Dir, |k| k.value.0);
    let span = body.span;
    check_keys(kind, body, sink);
    let server = || {
        Setting::or_missing(
            body.server.clone(),
            "localhost".parse().expect("a host"),
            span,
        )
    };
    let path = body.path.clone().map(|at| at.map(Into::into));
    let place = match kind {
        ExternalKind::Nfs => ExternalPlace::Nfs {
            server: server(),
            export: Setting::or_missing(body.export.clone(), "/".parse().expect("a path"), span),
            path,
        },
        ExternalKind::Cifs => ExternalPlace::Cifs {
            server: server(),
            share: Setting::or_missing(body.share.clone(), "share".parse().expect("a share"), span),
            username: body.username.clone(),
            path,
        },
        ExternalKind::Pbs => ExternalPlace::Pbs {
            server: server(),
            datastore: Setting::or_missing(
                body.datastore.clone(),
                "store".parse().expect("a datastore"),
                span,
            ),
            namespace: body.namespace.clone(),
            // The name of Proxmox Backup Server's own administrator.
            username: Setting::or_default(
                body.username.clone(),
                "root@pam".parse().expect("a user"),
                span,
            ),
            fingerprint: body
                .fingerprint
                .as_ref()
                .map(|f| Spanned::new(f.value.0.clone(), f.span)),
        },
        ExternalKind::Dir => ExternalPlace::Dir {
            path: Setting::or_missing(path, "/mnt".parse().expect("a path"), span),
            device: body.device.clone(),
            fs: body.fs.clone(),
        },
        ExternalKind::Btrfs => ExternalPlace::Btrfs {
            path: Setting::or_missing(path, "/mnt".parse().expect("a path"), span),
        },
        ExternalKind::Cephfs => ExternalPlace::Cephfs {
            path,
            username: body.username.clone(),
        },
        ExternalKind::Rbd => ExternalPlace::Rbd {
            namespace: body.namespace.clone(),
            username: body.username.clone(),
        },
        ExternalKind::Iscsi => ExternalPlace::Iscsi,
        ExternalKind::Esxi => ExternalPlace::Esxi {
            server: server(),
            username: body.username.clone(),
        },
    };
    External {
        name,
        span,
        place,
        uses: uses(body.uses.as_ref().map(|uses| &uses.value.0)),
        removable: Setting::or_default(body.removable, false, span),
        keep: body
            .keep
            .as_ref()
            .map(|k| Spanned::new(keep(&k.value, sink), k.span)),
        secret: body.secret.clone(),
        options: body.options.clone(),
        encryption_key: body
            .encryption_key
            .as_ref()
            .map(|f| Spanned::new(f.value.0.clone(), f.span)),
        disabled: Setting::or_default(body.disabled, false, span),
        schema: body.schema.to_vec(),
    }
}

/// A key of some kinds of store: whether it stands in the spec, which kinds need it, and which know it.
type StoreKey = (
    &'static str,
    Option<Span>,
    &'static [ExternalKind],
    &'static [ExternalKind],
);

/// The keys of some kinds of store.
fn keys(body: &ExternalSpec) -> [StoreKey; 13] {
    use ExternalKind::{Btrfs, Cephfs, Cifs, Dir, Esxi, Nfs, Pbs, Rbd};
    [
        (
            "server",
            body.server.as_ref().map(|k| k.span),
            &[Nfs, Cifs, Pbs, Esxi],
            &[Nfs, Cifs, Pbs, Esxi],
        ),
        (
            "export",
            body.export.as_ref().map(|k| k.span),
            &[Nfs],
            &[Nfs],
        ),
        (
            "path",
            body.path.as_ref().map(|k| k.span),
            &[Dir, Btrfs],
            &[Nfs, Cifs, Dir, Btrfs, Cephfs],
        ),
        ("device", body.device.as_ref().map(|k| k.span), &[], &[Dir]),
        ("fs", body.fs.as_ref().map(|k| k.span), &[], &[Dir]),
        (
            "share",
            body.share.as_ref().map(|k| k.span),
            &[Cifs],
            &[Cifs],
        ),
        (
            "datastore",
            body.datastore.as_ref().map(|k| k.span),
            &[Pbs],
            &[Pbs],
        ),
        (
            "namespace",
            body.namespace.as_ref().map(|k| k.span),
            &[],
            &[Pbs, Rbd],
        ),
        (
            "username",
            body.username.as_ref().map(|k| k.span),
            &[Esxi],
            &[Cifs, Pbs, Esxi, Rbd, Cephfs],
        ),
        (
            "fingerprint",
            body.fingerprint.as_ref().map(|k| k.span),
            &[],
            &[Pbs],
        ),
        (
            "encryption-key",
            body.encryption_key.as_ref().map(|k| k.span),
            &[],
            &[Pbs],
        ),
        (
            "secret",
            body.secret.as_ref().map(|k| k.span),
            &[Pbs, Esxi],
            &[Cifs, Pbs, Esxi],
        ),
        (
            "options",
            body.options.as_ref().map(|k| k.span),
            &[],
            &[Nfs, Cifs, Cephfs],
        ),
    ]
}

/// Which keys a kind of store needs, and which it cannot use.
fn check_keys(kind: ExternalKind, body: &ExternalSpec, sink: &mut Sink) {
    let Some(kind_span) = body.kind.map(|k| k.span) else {
        return;
    };
    for (key, present, needed_by, known_to) in keys(body) {
        match present {
            None if needed_by.contains(&kind) && !body.misread.contains(&key) => {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0004,
                        body.span,
                        format!("the key `{key}` is missing"),
                    )
                    .label("in this table")
                    .also(kind_span, format!("a store of kind `{kind}` needs it")),
                );
            }
            Some(span) if !known_to.contains(&kind) => {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0016,
                        span,
                        format!("a store of kind `{kind}` has no `{key}`"),
                    )
                    .also(kind_span, "its kind")
                    .help("remove the key, or change the kind"),
                );
            }
            Some(_) | None => {}
        }
    }
    let has_fs = body.fs.is_some() || body.misread.contains(&"fs");
    if let (Some(device), false) = (&body.device, has_fs) {
        sink.push(
            Diagnostic::new(Code::MOX0016, device.span, "`device` without `fs`")
                .help("say which file system is on it: `fs = \"ext4\"`"),
        );
    }
    let has_device = body.device.is_some() || body.misread.contains(&"device");
    if let (Some(fs), false, true) = (&body.fs, has_device, kind == ExternalKind::Dir) {
        sink.push(
            Diagnostic::new(Code::MOX0016, fs.span, "`fs` without `device`")
                .label("nothing is mounted here")
                .help("say what is mounted: `device = \"/dev/disk/by-uuid/…\"`; or leave `fs` out"),
        );
    }
}

/// What is kept; `all` stands alone, and something must be kept.
pub(super) fn keep(spec: &KeepSpec, sink: &mut Sink) -> Keep {
    let number =
        |value: Option<Spanned<crate::spec::reader::Int<0, 100_000>>>| value.map(|n| n.value.get());
    let keep = Keep {
        last: number(spec.last),
        hourly: number(spec.hourly),
        daily: number(spec.daily),
        weekly: number(spec.weekly),
        monthly: number(spec.monthly),
        yearly: number(spec.yearly),
        all: spec.all.is_some_and(|all| all.value),
    };
    if keep.all && keep.rules().next().is_some() {
        sink.push(
            Diagnostic::new(Code::MOX0016, spec.span, "`all` beside other rules")
                .help("`all` keeps everything: leave the others out"),
        );
    } else if !keep.all && spec.misread.is_empty() && keep.rules().all(|(_, n)| n == 0) {
        sink.push(
            Diagnostic::new(Code::MOX0016, spec.span, "this keeps nothing")
                .help("keep at least the newest: `keep = { last = 1 }`; or everything: `keep = { all = true }`"),
        );
    }
    keep
}
