//! `apply.sh`, which brings a host to what the tree says.
//!
//! The script reads the files of the tree itself when it runs, so that what it compares is what stands there; from here it
//! gets the commands that make guests, and what no file of the tree says.

use std::sync::Arc;

use crate::apply::Script;
use crate::apply::tree::{self, Situation, Wanted};
use crate::each::put_away;
use crate::facts::Facts;
use crate::facts::making::Makings;
use crate::facts::secrets::{self, Secret};
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
    makings: Arc<Makings>,
    secrets: Vec<Secret>,
    bare_pools: Vec<String>,
}

/// Plans the script.
pub(super) fn plan(facts: &Facts<'_>) -> Apply {
    let host = facts.host;
    Apply {
        host: host.name.as_str().to_owned(),
        release: *host.release,
        platform: *host.platform,
        makings: Arc::new(Makings::of(host, &facts.volumes)),
        secrets: secrets::of(host).collect(),
        bare_pools: host
            .storage
            .pools
            .iter()
            .filter(|(_, pool)| pool.disks.is_empty())
            .map(|(_, pool)| pool.name.value.clone())
            .collect(),
    }
}

impl Apply {
    /// Writes the script down.
    pub(super) fn emit(&self, plan: &Plan, templates: &Templates, tree: &mut Tree<'_>) {
        let header = one_line(&tree.header());
        let wanted = self.wanted(&plan.network);
        let steps = tree::steps(tree.files, &self.host, &wanted, &Situation::Fresh);
        let script = Script::in_tree(header.clone(), &self.host, &self.release.to_string(), steps);
        tree.render("apply.sh", &script, templates, Mode::Executable, plan.span);
        put_away(script.lines.len(), script);
    }

    /// What no file of the tree says.
    pub(super) fn wanted(&self, network: &super::network::Network) -> Wanted {
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
            bare_pools: self.bare_pools.clone(),
            hosts_line: network
                .hosts_line
                .clone()
                .filter(|_| self.platform == Platform::Proxmox),
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
