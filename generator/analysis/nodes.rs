//! What is not on this host: stores of other nodes, stores that are switched off, and jobs that it does not run.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::backups::{self, Idle};
use crate::facts::{Facts, nodes};
use crate::model::{Host, StoreRef};
use crate::near::certain;
use crate::source::Span;

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    stores(facts, sink);
    jobs(facts.host, sink);
}

/// What uses a store: where it stands, and what it does with it.
struct User<'a> {
    place: Span,
    name: &'a str,
    does: &'static str,
    label: &'static str,
}

/// The first guest with a volume in a store, else the first job whose backups go there.
fn user<'a>(facts: &Facts<'a>, store: StoreRef) -> Option<User<'a>> {
    let host = facts.host;
    let guest = host.guests.iter().find_map(|(guest, body)| {
        let mut volumes = facts.volumes.of_guest(guest).iter();
        volumes.any(|volume| volume.store == store).then_some(User {
            place: body.name.span,
            name: body.name.as_str(),
            does: "lies in it",
            label: "has a volume in it",
        })
    });
    guest.or_else(|| {
        host.schedules.values().find_map(|schedule| {
            let (task, idle) = backups::job(host, schedule)?;
            let runs = match idle {
                None | Some(Idle::StoreOff(_) | Idle::StoreElsewhere(_)) => true,
                Some(Idle::Off(_) | Idle::OnOtherNode(_)) => false,
            };
            (runs && task.storage.value == Some(store)).then_some(User {
                place: task.storage.span,
                name: schedule.name.as_str(),
                does: "backs up into it",
                label: "its backups go there",
            })
        })
    })
}

/// What is in use and not there: a store that Proxmox VE has on other nodes alone, or passes over. The guest does not start,
/// and each run of the job fails.
fn stores(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    for (id, store) in host.storage.stores() {
        let nodes = nodes::elsewhere(host, store.schema());
        let off = store.disabled().filter(|off| ***off);
        if nodes.is_none() && off.is_none() {
            continue;
        }
        let Some(user) = user(facts, id) else {
            continue;
        };
        let name = &store.name().value;
        if let Some(nodes) = nodes {
            let message = format!(
                "`{name}` is not on `{}`, and `{}` {}",
                *host.name, user.name, user.does
            );
            sink.push(
                Diagnostic::new(Code::MOX0332, nodes.value.span, message)
                    .label("only there Proxmox VE has this store")
                    .also(user.place, user.label)
                    .help(format!(
                        "add `{}` to `nodes`, or leave it out: in a cluster moxc writes the nodes that have a store of this name",
                        *host.name
                    )),
            );
        } else if let Some(off) = off {
            let message = format!(
                "`{name}` is switched off, and `{}` {}",
                user.name, user.does
            );
            sink.push(
                Diagnostic::new(Code::MOX0335, off.span, message)
                    .label("Proxmox VE passes this store over")
                    .also(user.place, user.label)
                    .help("switch it on again: remove `disabled = true`"),
            );
        }
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
