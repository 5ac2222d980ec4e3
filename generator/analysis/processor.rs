//! The processor: threads that guests are pinned to, and how many they ask for.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Running;
use crate::model::{Cpu, Guest, GuestKind, Host, Id, Vm};
use crate::source::Spanned;
use crate::value::CpuSet;

pub(super) fn check(host: &Host, together: &Running, sink: &mut Sink) {
    let Some(cpu) = &host.hardware.cpu else {
        return;
    };
    let Some(threads) = cpu.threads.map(|threads| threads.value) else {
        return;
    };
    for (_, guest, vm) in host.vms() {
        more_than_there_are(guest, vm, cpu, threads, sink);
        if host.complete {
            pinned_to_nothing(guest, vm, cpu, threads, sink);
        }
    }
    shared_pins(host, together, cpu, threads, sink);
    nothing_left(host, together, threads, sink);
    crowded(host, together, cpu, threads, sink);
}

/// How many virtual processors a machine has; as many as its threads where the limit lets it use fewer.
fn virtual_processors(vm: &Vm) -> u64 {
    u64::from(*vm.cores) * u64::from(*vm.sockets)
}

/// A virtual machine with more processors than the host has threads does not start.
fn more_than_there_are(guest: &Guest, vm: &Vm, cpu: &Cpu, threads: u32, sink: &mut Sink) {
    let wanted = virtual_processors(vm);
    if wanted <= u64::from(threads) {
        return;
    }
    let mut diagnostic = Diagnostic::new(
        Code::MOX0421,
        vm.cores.span,
        format!(
            "`{}` has {wanted} processors, the host has {threads} threads",
            guest.name.value
        ),
    );
    if *vm.sockets > 1 {
        diagnostic = diagnostic.note(format!(
            "{} sockets with {} cores each",
            vm.sockets.value, vm.cores.value
        ));
    }
    sink.push(
        diagnostic
            .also(cpu.span, "the host's processor")
            .note(format!(
                "Proxmox VE refuses to start it: \"MAX {threads} vcpus allowed per VM on this node\""
            ))
            .help(format!("give it at most {threads}")),
    );
}

/// A pin to threads that the host does not have.
fn pinned_to_nothing(guest: &Guest, vm: &Vm, cpu: &Cpu, threads: u32, sink: &mut Sink) {
    let Some(pin) = vm.affinity.as_ref().filter(|pin| pin.max() >= threads) else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0422,
            pin.span,
            format!(
                "`{}` is pinned to thread {}, which the host does not have",
                guest.name.value,
                pin.max()
            ),
        )
        .also(cpu.span, format!("{threads} threads: 0 to {}", threads - 1))
        .help("threads are counted from 0; `lscpu -e` lists them with their cores"),
    );
}

/// A guest whose processors have a thread each to themselves, as the spec means it.
struct Dedicated<'a> {
    id: Id<Guest>,
    guest: &'a Guest,
    pin: &'a Spanned<CpuSet>,
}

/// Guests that are pinned to no more threads than they have processors. A wider pin is a pool that guests share on
/// purpose, as the threads of one NUMA node.
fn dedicated(host: &Host) -> impl Iterator<Item = Dedicated<'_>> {
    host.vms().filter_map(|(id, guest, vm)| {
        let pin = vm.affinity.as_ref()?;
        (pin.len() as u64 <= virtual_processors(vm)).then_some(Dedicated { id, guest, pin })
    })
}

/// Two guests that run together and mean to have the same threads, or the two threads of one core, for themselves.
fn shared_pins(host: &Host, together: &Running, cpu: &Cpu, threads: u32, sink: &mut Sink) {
    let pinned: Vec<Dedicated<'_>> = dedicated(host).collect();
    // The kernel counts the first thread of every core, then the second of every core, where firmware lists them as the
    // ACPI specification asks (5.2.12): thread 3 of 16 cores has thread 19 as its sibling. A processor with cores of two
    // kinds has no such rule, and not twice as many threads as cores.
    let sibling = cpu
        .cores
        .filter(|cores| u64::from(threads) == 2 * u64::from(cores.value) && *cpu.sockets == 1)
        .map(|cores| cores.value);
    let mut by_thread: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let mut by_core: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, own) in pinned.iter().enumerate() {
        let other = |takers: Option<&Vec<usize>>| {
            takers?
                .iter()
                .copied()
                .find(|other| together.can_run(pinned[*other].id, own.id))
        };
        let same_thread = own
            .pin
            .threads()
            .find_map(|thread| other(by_thread.get(&thread)));
        let same_core = sibling.and_then(|cores| {
            own.pin
                .threads()
                .find_map(|thread| other(by_core.get(&(thread % cores))))
        });
        if let Some(other) = same_thread {
            let other = &pinned[other];
            let theirs: BTreeSet<u32> = other.pin.threads().collect();
            let common = list(own.pin.threads().filter(|thread| theirs.contains(thread)));
            sink.push(
                Diagnostic::new(
                    Code::MOX0423,
                    own.pin.span,
                    format!(
                        "`{}` and `{}` are pinned to the same threads and can run together",
                        other.guest.name.value, own.guest.name.value
                    ),
                )
                .label(format!("{common} for the second time"))
                .also(other.pin.span, "pinned here")
                .help(format!(
                    "pin them to different threads; if they never run at the same time, say so: `exclusive-with = [\"{}\"]`",
                    other.guest.name.value
                )),
            );
        } else if let (Some(other), Some(cores)) = (same_core, sibling) {
            let other = &pinned[other];
            let theirs: BTreeSet<u32> = other.pin.threads().map(|thread| thread % cores).collect();
            let pairs = own
                .pin
                .threads()
                .filter(|thread| theirs.contains(&(thread % cores)))
                .take(4)
                .map(|thread| {
                    let first = thread % cores;
                    format!("{first} and {}", first + cores)
                })
                .collect::<Vec<_>>()
                .join(", ");
            sink.push(
                Diagnostic::new(
                    Code::MOX0424,
                    own.pin.span,
                    format!(
                        "`{}` and `{}` have threads of their own on the same cores",
                        other.guest.name.value, own.guest.name.value
                    ),
                )
                .also(other.pin.span, "pinned here")
                .note(format!(
                    "with {cores} cores, these threads share one: {pairs}; `lscpu -e` shows the pairs of this machine"
                ))
                .help("give both threads of a core to one guest"),
            );
        }
        for thread in own.pin.threads() {
            by_thread.entry(thread).or_default().push(at);
            if let Some(cores) = sibling {
                by_core.entry(thread % cores).or_default().push(at);
            }
        }
    }
}

/// Threads as a short list: at most eight.
fn list(threads: impl Iterator<Item = u32>) -> String {
    let all: Vec<u32> = threads.collect();
    let mut words: Vec<String> = all.iter().take(8).map(ToString::to_string).collect();
    if all.len() > 8 {
        words.push("…".to_owned());
    }
    words.join(", ")
}

/// The spec keeps threads for the host and gives them away.
fn nothing_left(host: &Host, together: &Running, threads: u32, sink: &mut Sink) {
    let reserve = host.reserve.threads;
    if *reserve == 0 {
        return;
    }
    let mut weight = vec![0; host.guests.len()];
    for own in dedicated(host) {
        weight[own.id.index()] = own.pin.len() as u64;
    }
    let running = together.heaviest(&weight);
    let taken: BTreeSet<u32> = running
        .iter()
        .filter_map(|id| host.guests[*id].vm()?.affinity.as_ref())
        .flat_map(|pin| pin.threads())
        .filter(|thread| *thread < threads)
        .collect();
    let left = threads.saturating_sub(u32::try_from(taken.len()).unwrap_or(u32::MAX));
    if left >= *reserve {
        return;
    }
    let mut diagnostic = Diagnostic::new(
        Code::MOX0425,
        reserve.span,
        format!(
            "{} threads are kept for the host, and {left} are left beside the pinned guests",
            reserve.value
        ),
    );
    for pin in running
        .iter()
        .filter_map(|id| host.guests[*id].vm()?.affinity.as_ref())
        .take(4)
    {
        diagnostic = diagnostic.also(pin.span, "pinned here");
    }
    sink.push(
        diagnostic
            .note(format!(
                "{threads} threads − {} pinned = {left}",
                taken.len()
            ))
            .help("pin the guests to fewer threads, or lower `reserve.threads`"),
    );
}

/// How many virtual processors a thread serves before it is worth a word.
const MOST_PER_THREAD: u64 = 4;

/// Far more virtual processors than threads.
fn crowded(host: &Host, together: &Running, cpu: &Cpu, threads: u32, sink: &mut Sink) {
    let wants = |guest: &Guest| {
        if guest.is_template() {
            return 0;
        }
        let processors = match &guest.kind {
            GuestKind::Vm(vm) => virtual_processors(vm),
            // Without a number of its own a container takes what is free.
            GuestKind::Container(container) => {
                container.cores.map_or(0, |cores| u64::from(cores.value))
            }
        };
        match guest.cpu_limit {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a limit is a small positive number; `as` saturates"
            )]
            Some(limit) => processors.min(limit.value.ceil() as u64),
            None => processors,
        }
    };
    let weight: Vec<u64> = host.guests.values().map(wants).collect();
    let running = together.heaviest(&weight);
    let sum: u64 = running.iter().map(|id| weight[id.index()]).sum();
    if sum <= MOST_PER_THREAD * u64::from(threads) {
        return;
    }
    let tenths = sum * 10 / u64::from(threads);
    let mut largest = running;
    largest.sort_by_key(|id| (std::cmp::Reverse(weight[id.index()]), *id));
    let names = largest
        .iter()
        .take(5)
        .map(|id| format!("`{}` {}", host.guests[*id].name.value, weight[id.index()]))
        .collect::<Vec<_>>()
        .join(", ");
    sink.push(
        Diagnostic::new(
            Code::MOX0426,
            cpu.span,
            format!("{sum} virtual processors run on {threads} threads"),
        )
        .label(format!("{}.{} to a thread", tenths / 10, tenths % 10))
        .note(format!("the largest: {names}"))
        .help("give the guests fewer cores, or a `limit`; more than four to a thread wait for each other under load"),
    );
}
