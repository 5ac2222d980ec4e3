//! Public keys: whether somebody has the private one.

use std::collections::BTreeSet;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, GuestKind, Host};
use crate::source::Spanned;
use crate::value::SshKey;

pub(super) fn check(host: &Host, sink: &mut Sink) {
    let guests = host.guests.values().flat_map(of_guest);
    let mut told = BTreeSet::new();
    for key in host.ssh_keys.iter().chain(guests) {
        // A guest may have the host's keys, at the host's place.
        if key.value.is_example() && told.insert(key.span) {
            sink.push(
                Diagnostic::new(Code::MOX0116, key.span, "this key is the example's: nobody can log in with it")
                    .help("put the line of your own `.pub` file here; `ssh-keygen -t ed25519` makes a key"),
            );
        }
    }
}

fn of_guest(guest: &Guest) -> Vec<&Spanned<SshKey>> {
    let users = guest.nixos.iter().flat_map(|nixos| &nixos.users);
    let mut keys: Vec<_> = users.flat_map(|user| &user.ssh_keys).collect();
    match &guest.kind {
        GuestKind::Vm(vm) => {
            let stated = vm
                .cloud_init
                .iter()
                .filter_map(|drive| drive.stated.as_ref());
            keys.extend(stated.flat_map(|stated| &stated.ssh_keys));
        }
        GuestKind::Container(container) => keys.extend(&container.ssh_keys),
    }
    keys
}
