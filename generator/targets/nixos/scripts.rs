//! The user's own scripts, as commands and as units.

use super::services::package;
use super::user_modules::UserModules;
use crate::model::NixosGuest;
use crate::nix::{Attrs, BuildError, Origin, at, mk_default, path};

/// Sets the scripts of a guest. What they are called, and their units, is the work of `nix/modules/automation-scripts.nix`.
pub(super) fn guest(
    nixos: &NixosGuest,
    own: &UserModules,
    facts: &mut Attrs,
) -> Result<(), BuildError> {
    for script in &nixos.scripts {
        let Some(source) = &script.source else {
            continue;
        };
        let mut options = Attrs::new();
        options.set("source", path(&own.path_of(&source.value.0)))?;
        if !script.packages.is_empty() {
            let packages = script
                .packages
                .iter()
                .map(|name| package(&name.value))
                .collect::<Result<Vec<_>, _>>()?;
            options.set("path", packages)?;
        }
        let operators: Vec<&str> = script
            .operators
            .iter()
            .map(|user| user.value.as_str())
            .collect();
        if !operators.is_empty() {
            options.set("operators", operators)?;
        }
        if let Some(on) = &script.on {
            options.set("onCalendar", mk_default(on.for_systemd()))?;
        }
        if let Some(timeout) = &script.timeout {
            options.set("timeout", mk_default(timeout.value.to_string()))?;
        }
        let arguments: Vec<&str> = script
            .arguments
            .iter()
            .map(|argument| argument.value.as_str())
            .collect();
        if !arguments.is_empty() {
            options.set("arguments", arguments)?;
        }
        if *script.session {
            options.set("session", mk_default(true))?;
        }
        let writable: Vec<String> = script
            .writable
            .iter()
            .map(|path| path.value.to_string())
            .collect();
        if !writable.is_empty() {
            options.set("writable", writable)?;
        }
        let name = script.name.as_str();
        facts.set(
            ["services", "moxc", "automation", "scripts", name],
            at(Origin::Spec(script.name.span), options),
        )?;
    }
    Ok(())
}
