//! Accounts and keys.

use crate::facts::logins::Logins;
use crate::model::{Host, NixosGuest};
use crate::nix::{Attrs, BuildError, Origin, at, mk_default};

/// Sets root's keys and the users.
pub(super) fn guest(host: &Host, nixos: &NixosGuest, facts: &mut Attrs) -> Result<(), BuildError> {
    let keys: Vec<&str> = host.ssh_keys.iter().map(|key| key.value.as_str()).collect();
    if Logins::of(host, nixos).keys {
        facts.set("services.openssh.enable", mk_default(true))?;
        facts.set(
            "services.openssh.settings.PasswordAuthentication",
            mk_default(false),
        )?;
    }
    if !keys.is_empty() {
        facts.set("users.users.root.openssh.authorizedKeys.keys", keys)?;
    }
    for user in &nixos.users {
        let mut account = Attrs::new();
        account.set("isNormalUser", mk_default(true))?;
        if let Some(description) = &user.description {
            account.set("description", mk_default(description.value.as_str()))?;
        }
        let mut groups: Vec<&str> = user
            .groups
            .iter()
            .map(|group| group.value.as_str())
            .collect();
        if *user.admin && !groups.contains(&"wheel") {
            groups.push("wheel");
        }
        if !groups.is_empty() {
            account.set("extraGroups", groups)?;
        }
        let keys: Vec<&str> = user.ssh_keys.iter().map(|key| key.value.as_str()).collect();
        if !keys.is_empty() {
            account.set("openssh.authorizedKeys.keys", keys)?;
        }
        facts.set(
            ["users", "users", user.name.as_str()],
            at(Origin::Spec(user.name.span), account),
        )?;
    }
    // A spec holds no passwords, so an administrator has none that sudo could ask for.
    if nixos.users.iter().any(|user| *user.admin) {
        facts.set("security.sudo.wheelNeedsPassword", mk_default(false))?;
    }
    Ok(())
}
