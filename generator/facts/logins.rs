//! Who may log into a NixOS guest by SSH, and whether anything answers there.

use super::settings::setting;
use crate::model::{Host, NixosGuest};
use crate::source::Span;
use crate::value::Value;

/// The ways into a NixOS guest by SSH that the spec says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logins {
    /// Whether anybody has a key: then moxc has sshd run.
    pub keys: bool,
    /// Whether somebody has one who may do everything there: root, or an administrator.
    pub administrator: bool,
    /// Whether sshd runs, by keys, by `services` or by a setting.
    pub sshd: bool,
    /// Where a setting keeps it off.
    pub off: Option<Span>,
}

impl Logins {
    /// Those of a guest.
    pub fn of(host: &Host, nixos: &NixosGuest) -> Self {
        // The keys of the host are root's in each of its NixOS guests.
        let of_root = !host.ssh_keys.is_empty();
        let mut users = nixos.users.iter();
        let keys = of_root || users.any(|user| !user.ssh_keys.is_empty());
        let mut users = nixos.users.iter();
        let administrator = of_root || users.any(|user| *user.admin && !user.ssh_keys.is_empty());
        let mut services = nixos.services.iter();
        let named = services.any(|service| service.value.0 == "openssh");
        let set = setting(nixos, &["services", "openssh", "enable"]);
        // A setting of the spec is stronger than what moxc sets by itself.
        let (sshd, off) = match set.map(|node| (&node.value, node.span)) {
            Some((Value::Boolean(true), _)) => (true, None),
            Some((Value::Boolean(false), span)) => (false, Some(span)),
            Some(_) | None => (keys || named, None),
        };
        Self {
            keys,
            administrator,
            sshd,
            off,
        }
    }
}
