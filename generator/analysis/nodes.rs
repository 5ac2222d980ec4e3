//! What the spec says of other nodes: stores that are not on this host, and jobs that it does not run.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::{Facts, nodes};
use crate::model::Host;
use crate::near::certain;

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    stores(facts, sink);
    jobs(facts.host, sink);
}

/// A guest's volume in a store that Proxmox VE has on other nodes alone: the guest does not start here.
fn stores(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    for (id, store) in host.storage.stores() {
        let Some(nodes) = nodes::elsewhere(host, store.schema()) else {
            continue;
        };
        let user = host.guests.iter().find_map(|(guest, body)| {
            let mut volumes = facts.volumes.of_guest(guest).iter();
            volumes.any(|volume| volume.store == id).then_some(body)
        });
        let Some(guest) = user else { continue };
        sink.push(
            Diagnostic::new(
                Code::MOX0332,
                nodes.value.span,
                format!(
                    "`{}` is not on `{}`, and `{}` lies in it",
                    store.name().value,
                    *host.name,
                    guest.name.value
                ),
            )
            .label("only there Proxmox VE has this store")
            .also(guest.name.span, "has a volume in it")
            .help(format!(
                "add `{}` to `nodes`, or leave it out: in a cluster moxc writes the nodes that have a store of this name",
                *host.name
            )),
        );
    }
}

/// A job that names another node runs there, of the guests that are there.
fn jobs(host: &Host, sink: &mut Sink) {
    for schedule in host.schedules.values() {
        let task = schedule.backup();
        let Some(node) = task.and_then(|task| nodes::other_node(host, task)) else {
            continue;
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0722,
                node.value.span,
                format!("`{}` does not run on `{}`", schedule.name.value, *host.name),
            )
            .label("the node that runs it")
            .note("Proxmox VE runs such a job on its node alone, of the guests that are there: of this host's guests it backs up none")
            .help("leave `node` out: in a cluster moxc writes the host's own; a job of another host stands in its spec"),
        );
    }
}

/// Nodes that a store names and that are no hosts of the cluster: a slip, or a node that somebody else looks after. What a job
/// names is told where it does not run.
pub(super) fn strangers(hosts: &[&Host]) -> Vec<(usize, Diagnostic)> {
    let known: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let mut told = Vec::new();
    for (at, host) in hosts.iter().enumerate() {
        for (_, store) in host.storage.stores() {
            let Some(named) = nodes::named(store.schema()) else {
                continue;
            };
            for name in nodes::names(named).filter(|name| !known.contains(name)) {
                let diagnostic = Diagnostic::new(
                    Code::MOX0333,
                    named.value.span,
                    format!("the node `{name}` is not a host of the fleet"),
                )
                .label(format!("`{}` is to be there", store.name().value))
                .help(match certain(name, known.iter().copied()) {
                    Some(host) => format!("did you mean `{host}`?"),
                    None => "correct the name; or allow this warning, if the cluster has a node that no spec is of".to_owned(),
                });
                told.push((at, diagnostic));
            }
        }
    }
    told
}
