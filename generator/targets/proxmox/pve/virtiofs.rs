//! Folders of the host inside virtual machines, by virtio-fs.
//!
//! From Proxmox VE 8.4 a directory mapping and `virtiofsN` do it. Where they cannot, a hook script starts virtiofsd
//! before the guest and stops it after, and `args` plugs it in: below 8.4, and for folders that the guest may only read,
//! which no release has an option for. The hook script shares a read-only bind mount of such a folder, so that the host
//! keeps the guest from writing, whatever the guest is.
//!
//! The tag by which the guest mounts a folder is the dataset's name either way.

use std::fmt::Write as _;

use serde::Serialize;

use crate::facts::shares::{hook_describes_memory, is_native, tag};
use crate::model::{Guest, Host, Vm};
use crate::origin::Origin;
use crate::pve::Release;
use crate::template::{BuiltIn, one_line};
use crate::value::AbsolutePath;

/// A hook script that starts virtiofsd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The guest's VMID.
    pub vmid: u32,
    /// The guest's name.
    pub guest: String,
    /// Whether the guest runs Windows: then files are told apart by handles, which its driver needs
    /// (`PVE::QemuServer::Virtiofs` does the same).
    pub windows: bool,
    /// The folders, in the order of the spec.
    pub folders: Vec<HookFolder>,
}

/// A folder that a hook script shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookFolder {
    /// The tag by which the guest mounts it.
    pub tag: String,
    /// The folder on the host.
    pub path: AbsolutePath,
    /// Whether the guest only reads.
    pub read_only: bool,
}

impl Hook {
    /// The hook script of a guest, where it needs one.
    pub fn of(host: &Host, guest: &Guest, vm: &Vm) -> Option<Self> {
        let release = *host.release;
        let folders: Vec<HookFolder> = vm
            .shares
            .iter()
            .filter(|share| !is_native(release, share))
            .map(|share| HookFolder {
                tag: tag(host, share).to_owned(),
                path: host.mountpoint(share.dataset.value),
                read_only: *share.read_only,
            })
            .collect();
        (!folders.is_empty()).then(|| Self {
            vmid: guest.vmid.get(),
            guest: guest.name.value.clone(),
            windows: vm.os.is_windows(),
            folders,
        })
    }

    /// The script's file among the snippets of the storage `local`.
    pub fn file(&self) -> String {
        format!("virtiofs-{}.sh", self.vmid)
    }

    /// The script as the guest's file names it.
    pub fn volume(&self) -> String {
        format!("local:snippets/{}", self.file())
    }

    /// The folder of the sockets; the script makes it.
    pub fn run_dir(&self) -> String {
        format!("/run/virtiofs-{}", self.vmid)
    }

    /// What QEMU is told besides: a device for each folder, and memory that virtiofsd can share.
    pub fn args(&self, vm: &Vm, memory_mib: u64, release: Release) -> String {
        let mut args = String::new();
        for (at, folder) in self.folders.iter().enumerate() {
            // A queue of 1024 as Proxmox VE's own: the driver of Windows fails with the default.
            write!(
                args,
                "-chardev socket,id=hookfs{at},path={dir}/{at}.sock -device vhost-user-fs-pci,queue-size=1024,chardev=hookfs{at},tag={tag} ",
                dir = self.run_dir(),
                tag = folder.tag,
            )
            .expect("a string takes all text");
        }
        if hook_describes_memory(release, vm) {
            args.push_str(&shared_memory(vm, memory_mib));
        }
        args.truncate(args.trim_end().len());
        args
    }
}

/// Memory in a file that another process can map, with one node a socket where the spec asks for NUMA.
fn shared_memory(vm: &Vm, memory_mib: u64) -> String {
    let nodes = if *vm.numa { u64::from(*vm.sockets) } else { 1 };
    let cores = u64::from(*vm.cores);
    let mut args = String::new();
    for node in 0..nodes {
        // The first node takes what does not divide: QEMU wants the sum to be the guest's memory.
        let size = memory_mib / nodes + if node == 0 { memory_mib % nodes } else { 0 };
        write!(
            args,
            "-object memory-backend-memfd,id=hookmem{node},size={size}M,share=on "
        )
        .expect("a string takes all text");
        let cpus = match (nodes, cores) {
            (1, _) => String::new(),
            (_, 1) => format!(",cpus={node}"),
            (_, _) => format!(",cpus={}-{}", node * cores, (node + 1) * cores - 1),
        };
        write!(args, "-numa node,nodeid={node}{cpus},memdev=hookmem{node} ")
            .expect("a string takes all text");
    }
    args
}

/// The data of the hook script's template.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "proxmox/virtiofs.sh")]
pub struct HookScript {
    /// The line that marks a generated file.
    header: String,
    /// The guest's VMID.
    vmid: u32,
    /// The folder of the sockets.
    run_dir: String,
    /// Whether the guest runs Windows.
    windows: bool,
    /// The folders.
    folders: Vec<HookScriptFolder>,
}

/// A folder in the data of the hook script's template.
#[derive(Debug, Serialize)]
struct HookScriptFolder {
    /// Its number, which its socket is called by.
    number: usize,
    /// The tag by which the guest mounts it.
    tag: String,
    /// The folder on the host.
    path: String,
    /// Whether the guest only reads.
    read_only: bool,
}

impl BuiltIn for HookScript {
    const NAME: &'static str = "proxmox/virtiofs.sh";
}

impl Hook {
    /// The data of its template.
    pub fn script(&self, origin: &Origin) -> HookScript {
        let folders = self
            .folders
            .iter()
            .enumerate()
            .map(|(number, folder)| HookScriptFolder {
                number,
                tag: folder.tag.clone(),
                path: folder.path.to_string(),
                read_only: folder.read_only,
            });
        HookScript {
            header: one_line(&origin.header()),
            vmid: self.vmid,
            run_dir: self.run_dir(),
            windows: self.windows,
            folders: folders.collect(),
        }
    }
}
