//! Packages, open ports, services.

use crate::model::NixosGuest;
use crate::nix::{Attrs, BuildError, Built, Origin, at, mk_default, reference, select};
use crate::value::NixAttribute;

/// Sets what a guest runs.
pub(super) fn guest(nixos: &NixosGuest, facts: &mut Attrs) -> Result<(), BuildError> {
    if !nixos.packages.is_empty() {
        let packages = nixos
            .packages
            .iter()
            .map(|name| package(&name.value))
            .collect::<Result<Vec<_>, _>>()?;
        facts.set("environment.systemPackages", packages)?;
    }
    for (key, udp) in [("allowedTCPPorts", false), ("allowedUDPPorts", true)] {
        let mut ports: Vec<u16> = nixos
            .ports
            .iter()
            .filter(|port| port.value.udp == udp)
            .map(|port| port.value.number)
            .collect();
        ports.sort_unstable();
        ports.dedup();
        if !ports.is_empty() {
            facts.set(["networking", "firewall", key], ports)?;
        }
    }
    for service in &nixos.services {
        let mut path = vec!["services"];
        path.extend(dotted(&service.value.0));
        path.push("enable");
        // Keys that may log in have switched it on already.
        if facts.get(&path).is_none() {
            facts.set(path, at(Origin::Spec(service.span), mk_default(true)))?;
        }
    }
    for service in &nixos.user_services {
        // The unit itself comes with a package: only its start is added.
        let unit = ["systemd", "user", "services", service.value.0.as_str()];
        let mut start = Attrs::new();
        start.set("overrideStrategy", mk_default("asDropin"))?;
        start.set("wantedBy", ["default.target"])?;
        facts.set(unit, at(Origin::Spec(service.span), start))?;
    }
    Ok(())
}

/// A package of nixpkgs.
pub(super) fn package(name: &NixAttribute) -> Built {
    select(reference("pkgs"), dotted(&name.0))
}

fn dotted(name: &str) -> Vec<&str> {
    name.split('.').collect()
}
