//! `apply.sh`, which brings a host to what the tree says.
//!
//! The script reads the guests' files of the tree itself when it runs, so that what it creates and what it compares is
//! what stands there; from here it gets only what no file of the tree says.

use crate::apply::Script;
use crate::apply::tree::{self, ImageImport, Making, Situation, Wanted};
use crate::facts::Volumes;
use crate::facts::secrets::{self, Secret};
use crate::model::{Guest, GuestKind, Host, Id};
use crate::output::Mode;
use crate::pve::Release;
use crate::template::{Templates, one_line};
use crate::value::Platform;

use super::{Plan, Tree};

/// What the script says.
#[derive(Debug)]
pub(super) struct Apply {
    host: String,
    release: Release,
    platform: Platform,
    makings: Vec<Making>,
    secrets: Vec<Secret>,
}

/// How a guest is made, beyond what its file says.
fn making(id: Id<Guest>, guest: &Guest, volumes: &Volumes) -> Making {
    let own = volumes.of_guest(id);
    let imports = own.iter().filter_map(|volume| {
        let import = volume.import.as_ref()?;
        Some(ImageImport {
            key: volume.key.clone(),
            from: import.from.value.clone(),
            sha256: import
                .sha256
                .as_ref()
                .map(|sum| sum.value.as_str().to_owned()),
            format: import.format.map(|format| format.value),
        })
    });
    let mut making = Making {
        vmid: guest.vmid.value.to_string(),
        existing: own
            .iter()
            .filter(|volume| volume.exists)
            .map(|volume| volume.key.clone())
            .collect(),
        imports: imports.collect(),
        password: secrets::of_guest(guest).map(|name| name.as_str().to_owned()),
        ..Making::default()
    };
    match &guest.kind {
        GuestKind::Vm(_) => {}
        GuestKind::Container(container) => {
            // What a template holds would go over a file system that is there.
            let there = making.existing.iter().any(|key| key == "rootfs");
            making.template = (!there && !container.template.is_missing())
                .then(|| container.template.to_string());
            making.ssh_keys = container
                .ssh_keys
                .iter()
                .map(|key| key.value.as_str().to_owned())
                .collect();
        }
    }
    making
}

/// Plans the script.
pub(super) fn plan(host: &Host) -> Apply {
    let volumes = Volumes::of(host);
    let makings = host
        .guests
        .iter()
        .map(|(id, guest)| making(id, guest, &volumes));
    Apply {
        host: host.name.as_str().to_owned(),
        release: *host.release,
        platform: *host.platform,
        makings: makings.collect(),
        secrets: secrets::of(host).collect(),
    }
}

impl Apply {
    /// Writes the script down.
    pub(super) fn emit(&self, plan: &Plan, templates: &Templates, tree: &mut Tree<'_>) {
        let header = one_line(&tree.header());
        let wanted = self.wanted(&plan.network);
        let steps = tree::steps(tree.files, &self.host, &wanted, &Situation::Fresh);
        let script = Script::in_tree(
            header.clone(),
            &self.host,
            &self.release.to_string(),
            &steps,
        );
        tree.render("apply.sh", &script, templates, Mode::Executable, plan.span);
    }

    /// What no file of the tree says.
    pub(super) fn wanted(&self, network: &super::network::Network) -> Wanted {
        let hosts = network.hosts_line.as_ref();
        let mut gateways: Vec<String> = network
            .reachable
            .iter()
            .filter_map(|one| one.gateway.map(|gateway| gateway.to_string()))
            .collect();
        gateways.dedup();
        Wanted {
            secrets: self
                .secrets
                .iter()
                .map(|one| (one.name.clone(), one.storage.clone(), one.prefix.clone()))
                .collect(),
            makings: self.makings.clone(),
            hosts_line: hosts
                .filter(|_| self.platform == Platform::Proxmox)
                .map(|line| format!("{} {} {}", line.address, line.fqdn, self.host)),
            cards: network.cards(),
            addresses: network
                .reachable
                .iter()
                .map(|one| format!("{}={}", one.interface, one.address))
                .collect(),
            gateways,
        }
    }
}
