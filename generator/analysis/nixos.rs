//! NixOS guests: whether anybody gets in.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, NixosGuest};

pub(super) fn check(host: &Host, sink: &mut Sink) {
    for guest in host.guests.values() {
        if let Some(nixos) = &guest.nixos {
            nobody(host, guest, nixos, sink);
        }
    }
}

/// Reports a guest that nobody could log into (MOX0690): NixOS refuses to build it.
fn nobody(host: &Host, guest: &Guest, nixos: &NixosGuest, sink: &mut Sink) {
    let somebody = !host.ssh_keys.is_empty()
        || nixos
            .users
            .iter()
            .any(|u| *u.admin && !u.ssh_keys.is_empty())
        || !nixos.settings.is_empty()
        || !nixos.modules.is_empty();
    if !*nixos.immutable || somebody {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0690,
            nixos.immutable.span,
            format!("nobody can log into `{}`", guest.name.value),
        )
        .label("no password can be set later")
        .also(host.span, "has no `ssh-keys`")
        .help(
            "add `ssh-keys` to `[host]`, or a user with `admin = true` and `ssh-keys` to the guest",
        ),
    );
}
