//! What the values of a guest's option, its state and its locks make of the class that the table has for a change.

use super::classes::{Circumstances, Class, Kind};
use super::pair::{Pair, Sides, is_cd, is_volume, moves, volume_of};
use super::value::{self, Parts, WHOLE};
use super::{Data, Interrupts, Shown, When};
use crate::pve::{GuestKind, MachineVersion, is_drive, since};

/// A change of an option, or of one part of it.
pub(super) struct Judged<'a> {
    pub(super) pair: &'a Pair<'a>,
    pub(super) circumstances: &'a Circumstances,
    pub(super) sides: &'a Sides<'a>,
    pub(super) kind: Kind,
    pub(super) before: &'a Parts,
    pub(super) after: &'a Parts,
    /// The part that changes; none where the option comes or goes as a whole.
    pub(super) part: Option<&'a str>,
}

impl Judged<'_> {
    /// The class, from that of the table.
    pub(super) fn class(&self, class: Class) -> Class {
        if let Some(class) = self.at_any_time() {
            return class;
        }
        // Another state of a TPM is another chip, of any version.
        let class = if self.is_version_of_tpm() {
            Class::RESTART
        } else {
            class
        };
        let data = self.data(class);
        if self.pair.running == Some(false) {
            return Class::NOW.with_data(data);
        }
        match self.pair.live.kind {
            GuestKind::Qm => self.of_running_machine(class.with_data(data)),
            GuestKind::Pct => self.of_running_container(class.with_data(data)),
        }
    }

    /// What is refused, or wants another guest, whether it runs or not.
    fn at_any_time(&self) -> Option<Class> {
        let (pair, key, after) = (self.pair, self.sides.key, self.after);
        let refused = Class::NOW.at(When::Refused);
        if key == "template" {
            return Some(refused);
        }
        let vm = pair.live.kind == GuestKind::Qm;
        let stays = match (volume_of(self.before), volume_of(after)) {
            (Some(old), Some(new)) => old == new || moves(pair, key, old, new),
            (None, _) | (_, None) => false,
        };
        if !vm && key == "unprivileged" || vm && self.is_version_of_tpm() && stays {
            return Some(Class::RECREATE);
        }
        // `update_pct_config` of pve-container: "unable to delete required option".
        let is_needed = !vm && self.goes() && matches!(key, "memory" | "ostype" | "rootfs");
        let is_overblown = vm
            && self.sides.after.is_some()
            && matches!(key, "memory" | "balloon")
            && is_overblown(pair);
        let is_disc = vm
            && is_drive(key)
            && self.circumstances.release >= since::DISCS_ARE_CDROMS
            && !is_cd(after)
            && volume_of(after).is_some_and(|volume| volume.contains(":iso/"));
        let is_kept =
            !vm && matches!(self.base(), "mp" | "rootfs") || vm && self.goes() && is_drive(key);
        let is_refused = is_needed || is_overblown || is_disc || is_kept && is_protected(pair);
        is_refused.then_some(refused)
    }

    /// What becomes of the data.
    fn data(&self, class: Class) -> Data {
        let goes = self
            .part
            .is_some_and(|part| matches!(part, "file" | "volume"));
        match volume_of(self.before) {
            Some(volume) if goes && is_drive(self.sides.key) => {
                if is_volume(volume) && !is_cd(self.before) {
                    class.data.max(Data::Detached)
                } else {
                    // A disc, or a folder or a disk of the host: no guest owns it.
                    Data::Kept
                }
            }
            Some(_) | None => class.data,
        }
    }

    fn of_running_container(&self, class: Class) -> Class {
        // `vmconfig_hotplug_pending` of pve-container unplugs the cards of one digit.
        if self.base() == "net" && self.goes() && self.sides.key.len() > "net0".len() {
            Class::RESTART
        } else {
            class
        }
    }

    /// As `vmconfig_hotplug_pending` of qemu-server has it.
    fn of_running_machine(&self, class: Class) -> Class {
        let (before, after, part) = (self.before, self.after, self.part);
        let refused = Class {
            when: When::Refused,
            shown: Shown::Pending,
            interrupts: Interrupts::Nothing,
            data: class.data,
        };
        match self.base() {
            "scsi" | "virtio"
                if (self.goes() || part == Some("file") && !is_cd(before))
                    && self.plugs("disk")
                    && boots(self.pair, self.sides.key) =>
            {
                refused
            }
            // How much memory and how many processors are plugged is settled at the start.
            "hotplug" => {
                let is_settled = [before, after].iter().any(|parts| {
                    let value = parts.get(WHOLE).map_or("", String::as_str);
                    value.contains("cpu") || value.contains("memory")
                });
                if is_settled {
                    Class::RESTART
                } else {
                    Class::NOW
                }
            }
            // What a disabled agent would do is nobody's concern (`parse_guest_agent`).
            // `vmconfig_update_agent` takes a `0` for an option that is not there.
            "agent" if self.sides.current.as_deref() == Some("0") => Class::RESTART,
            "agent"
                if [before, after].iter().all(|parts| is_off(parts, "enabled"))
                    && part.is_some() =>
            {
                Class::NOW
            }
            "net" if part.is_some() => self.of_card(class),
            "ide" | "sata" | "scsi" | "virtio" if part == Some("media") => refused,
            "memory" if self.plugs("memory") && number(after).is_some_and(|mib| mib < 1024) => {
                refused
            }
            "vcpus" if self.plugs("cpu") && number(after) > Some(most_vcpus(self.pair)) => refused,
            "balloon"
                if class.when == When::Now
                    && (number(before) == Some(0)) != (number(after) == Some(0)) =>
            {
                Class::RESTART
            }
            // Another disc is put in, and what else the line says is recorded: the drive has it from the next start on.
            "ide" | "sata" | "scsi"
                if class.shown == Shown::Pending
                    && part.is_some_and(|part| part != "file")
                    && is_cd(before)
                    && is_cd(after) =>
            {
                Class {
                    shown: Shown::Silent,
                    ..class
                }
            }
            _ => class,
        }
    }

    /// Of a part of a running machine's card.
    fn of_card(&self, class: Class) -> Class {
        let sides = [self.before, self.after];
        // A card without a bridge is taken out and put in again, whatever changes of it.
        if sides.iter().any(|parts| !parts.contains_key("bridge")) {
            return if self.plugs("network") {
                Class {
                    interrupts: Interrupts::Device,
                    ..Class::NOW
                }
            } else {
                Class::RESTART
            };
        }
        // Where it changes nothing of what QEMU is told, it waits for nothing.
        let machine = MachineVersion::at_start(&self.pair.live.config, self.pair.release);
        let [before, after] = sides.map(|parts| {
            let is_virtio = parts.get("model").is_none_or(|model| model == "virtio");
            let said = parts.get("host-tunnel").map(|said| said == "1");
            is_virtio && machine.turns_tunnels_off(said)
        });
        if self.part == Some("host-tunnel") && before == after {
            Class::NOW
        } else {
            class
        }
    }

    /// The option without its number.
    fn base(&self) -> &str {
        let key = self.sides.key;
        key.trim_end_matches(|c: char| c.is_ascii_digit())
    }

    fn goes(&self) -> bool {
        self.part.is_none() && self.kind == Kind::Remove
    }

    /// Whether the guest has a kind of device plugged while it runs.
    fn plugs(&self, feature: &str) -> bool {
        self.circumstances.hotplug.iter().any(|own| own == feature)
    }

    fn is_version_of_tpm(&self) -> bool {
        self.base() == "tpmstate" && self.part == Some("version")
    }
}

fn number(parts: &Parts) -> Option<u64> {
    let value = parts.get(WHOLE).or_else(|| parts.get("current"))?;
    value.parse().ok()
}

fn is_protected(pair: &Pair<'_>) -> bool {
    pair.live.config.get("protection") == Some("1")
}

fn is_off(parts: &Parts, switch: &str) -> bool {
    parts.get(switch).is_none_or(|value| value == "0")
}

/// `get_bootdisks` of qemu-server: those of the order, else the one of old.
fn boots(pair: &Pair<'_>, key: &str) -> bool {
    let boot = pair.live.config.get("boot").filter(|boot| !boot.is_empty());
    let parts = boot.map(|boot| value::parts(pair.live.kind.config_file(), "boot", boot));
    match parts {
        Some(parts) if !parts.contains_key("legacy") => {
            let order = parts.get("order").map_or("", String::as_str);
            order.split([',', ';', ' ']).any(|word| word == key)
        }
        _ => pair.live.config.get("bootdisk") == Some(key),
    }
}

fn most_vcpus(pair: &Pair<'_>) -> u64 {
    let number = |key| {
        let value = pair
            .live
            .config
            .get(key)
            .and_then(|value| value.parse().ok());
        value.unwrap_or(1u64)
    };
    number("sockets") * number("cores")
}

/// Whether a balloon is larger than the memory, which Proxmox VE refuses when one of them is set (`update_vm` of
/// `PVE::API2::Qemu`): it looks at what is set with it, else at what waits, else at what is there.
fn is_overblown(pair: &Pair<'_>) -> bool {
    let applied = pair.applied;
    let of = |key: &str| {
        let stays = || applied.is_none_or(|applied| applied.get(key).is_none());
        let there = || pair.live.wanted(key).filter(|_| stays());
        pair.wanted.get(key).or_else(there)
    };
    let memory = of("memory").map_or(512, |memory| {
        let first = memory.split(',').next().unwrap_or_default();
        let mib = first.trim_start_matches("current=").parse();
        mib.unwrap_or(512_u64)
    });
    let balloon = of("balloon").and_then(|balloon| balloon.parse::<u64>().ok());
    balloon.is_some_and(|balloon| balloon > memory)
}
