//! What it would cost to change an option of a guest that runs: the same answers as a plan's, before anybody asks.

use super::classes::{self, Class, Kind};
use super::guests::circumstances_of;
use super::value::parts;
use crate::pve::schema::ConfigFile;
use crate::pve::{GuestConfig, GuestKind, Release, is_state};

/// An option of a guest, and what a change of it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// Proxmox VE's own name of the option.
    pub option: String,
    /// Its value.
    pub value: String,
    /// What a change costs, and of which sub-options, in order; none are named where all cost the same.
    pub classes: Vec<(Class, Vec<String>)>,
}

/// Every option of a guest that somebody may set, in the order of its file; the generation of a machine is made up.
pub fn of_guest(config: &GuestConfig, release: Release) -> Vec<Cost> {
    let circumstances = circumstances_of(config, release);
    let file = match config.kind() {
        GuestKind::Qm => ConfigFile::Qm,
        GuestKind::Pct => ConfigFile::Pct,
    };
    config
        .options()
        .filter(|(key, _)| !is_state(key) && *key != "vmgenid")
        .map(|(key, value)| {
            let mut classes: Vec<(Class, Vec<String>)> = Vec::new();
            for part in parts(file, key, value).into_keys() {
                let class = classes::of_option(key, &part, Kind::Change, &circumstances);
                match classes.iter_mut().find(|(known, _)| *known == class) {
                    Some((_, named)) => named.push(part),
                    None => classes.push((class, vec![part])),
                }
            }
            if let [(_, named)] = &mut classes[..] {
                named.clear();
            }
            Cost {
                option: key.to_owned(),
                value: value.to_owned(),
                classes,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::When;

    fn costs(kind: GuestKind, text: &str) -> Vec<Cost> {
        let (config, skipped) = GuestConfig::parse(kind, text);
        assert!(skipped.is_empty(), "{skipped:?}");
        of_guest(&config, Release::NEWEST)
    }

    #[test]
    fn parts_that_cost_another_price_are_named() {
        let found = costs(
            GuestKind::Qm,
            "cores: 2\nonboot: 1\nnet0: virtio=BC:24:11:00:00:01,bridge=vmbr0,rate=10\nvmgenid: 1\n",
        );
        let of = |name: &str| found.iter().find(|cost| cost.option == name);
        assert!(of("vmgenid").is_none());
        let cores = of("cores").expect("cores");
        assert_eq!(cores.classes, [(Class::RESTART, Vec::new())]);
        let onboot = of("onboot").expect("onboot");
        assert_eq!(onboot.classes, [(Class::NOW, Vec::new())]);
        let card = of("net0").expect("a card");
        let bridge = card
            .classes
            .iter()
            .find(|(_, parts)| parts.iter().any(|part| part == "bridge"));
        assert_eq!(bridge.expect("its bridge").0.when, When::Now);
        assert!(card.classes.len() > 1, "{card:?}");
    }
}
