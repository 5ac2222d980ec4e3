//! Memory: what guests, the ZFS cache and the host take of it together, and what a guest can ask for.

use std::fmt::Write as _;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::Facts;
use crate::facts::memory::{Amount, Demand, bill, demands};
use crate::facts::pages;
use crate::facts::shares;
use crate::model::{Guest, Host, Id, Vm};
use crate::pve::{PropertyString, PveOption};
use crate::source::{Span, Spanned};
use crate::value::{Balloon, ByteSize, HugePages};

pub(super) fn check(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    budget(facts, sink);
    too_few_pages(facts, sink);
    for (_, guest, vm) in host.vms() {
        ballooning(guest, vm, sink);
        huge_pages(guest, vm, sink);
        numa_nodes(guest, vm, sink);
        hotplug(host, guest, vm, sink);
    }
}

/// The spec's own words for the kernel keep fewer huge pages than the guests take that can run together (MOX0409).
fn too_few_pages(facts: &Facts<'_>, sink: &mut Sink) {
    for pages in facts.pages.iter().filter(|pages| pages.count < pages.taken) {
        let Some(said) = pages.said else { continue };
        sink.push(
            Diagnostic::new(
                Code::MOX0409,
                said,
                format!(
                    "{} huge pages of {} are kept, and guests that run together take {}",
                    pages.count, pages.page, pages.taken
                ),
            )
            .note("Proxmox VE asks a running kernel for what is missing: memory is in pieces by then, and the guest for which none is left does not start")
            .help(format!(
                "say `hugepages={}`, or leave the pages out of `kernel-params`: moxc keeps as many as it takes",
                pages.taken
            )),
        );
    }
}

// ---------------------------------------------------------------- the budget

/// The guests that can run together want more memory than there is.
fn budget(facts: &Facts<'_>, sink: &mut Sink) {
    let host = facts.host;
    let demands = demands(host);
    for (code, amount) in [(Code::MOX0401, Amount::Kept), (Code::MOX0402, Amount::Most)] {
        let Some(bill) = bill(facts, &demands, amount) else {
            return;
        };
        let wanted = bill.wanted;
        if wanted <= bill.memory || (bill.guests.is_empty() && facts.pages.is_empty()) {
            continue;
        }
        let short = wanted - bill.memory;
        // Of ten thousand guests nobody reads ten thousand lines.
        let (named, rest) = if bill.guests.len() > MOST_ROWS + 1 {
            bill.guests.split_at(MOST_ROWS)
        } else {
            bill.guests.split_at(bill.guests.len())
        };
        let mut rows: Vec<(String, ByteSize)> = named
            .iter()
            .map(|(id, size)| {
                let demand = demands[id.index()];
                let own = if demand.in_pages {
                    "in huge pages".to_owned()
                } else {
                    amount.of(&demand).human()
                };
                let beside = if demand.overhead == ByteSize::default() {
                    String::new()
                } else {
                    format!(" + {} for QEMU", demand.overhead.human())
                };
                (
                    format!("{}: {own}{beside}", host.guests[*id].name.value),
                    *size,
                )
            })
            .collect();
        if !rest.is_empty() {
            let size = rest.iter().map(|(_, size)| *size);
            rows.push((format!("{} more guests", rest.len()), size.sum()));
        }
        let table = table(&rows, &bill.fixed, wanted, bill.memory);
        let running: Vec<Id<Guest>> = bill.guests.iter().map(|(id, _)| *id).collect();
        sink.push(over_budget(
            host, code, &running, wanted, short, &demands, table,
        ));
        // The second question holds wherever the first does.
        break;
    }
}

fn over_budget(
    host: &Host,
    code: Code,
    running: &[Id<Guest>],
    wanted: ByteSize,
    short: ByteSize,
    demands: &[Demand],
    table: String,
) -> Diagnostic {
    let memory = host
        .hardware
        .memory
        .as_ref()
        .expect("the budget is only drawn up where the memory is known");
    let message = match code {
        Code::MOX0401 => format!(
            "the guests that can run together, the cache and the host take {} of {} of memory",
            wanted.human(),
            memory.size.human()
        ),
        _ => format!(
            "the guests that can run together can grow to take {} of {} of memory",
            wanted.human(),
            memory.size.human()
        ),
    };
    let mut diagnostic = Diagnostic::new(code, memory.size.span, message)
        .label(format!("{} too little", short.human()));
    for id in running.iter().take(3) {
        diagnostic = diagnostic.also(host.guests[*id].memory.span, "runs at the same time");
    }
    let short_gib = short.as_bytes().div_ceil(1 << 30);
    let mut ways = Vec::new();
    if let Some(id) = running
        .iter()
        .find(|id| demands[id.index()].most > ByteSize::gib(short_gib))
    {
        ways.push(format!(
            "lower the memory of `{}` by {short_gib} GiB",
            host.guests[*id].name.value
        ));
    } else {
        ways.push(format!(
            "lower the memory of the guests by {short_gib} GiB together"
        ));
    }
    if let Some(arc_max) = host.storage.arc_max {
        diagnostic = diagnostic.also(arc_max.span, "the most that the ZFS cache takes");
        let left = (arc_max.value - short).as_bytes() >> 30;
        if left >= 2 {
            ways.push(format!("`arc-max` to {left} GiB"));
        }
    }
    diagnostic = diagnostic.note(table);
    let virtual_machines = running
        .iter()
        .any(|id| demands[id.index()].overhead > ByteSize::default());
    if virtual_machines {
        diagnostic = diagnostic
            .note("for QEMU itself: 3 % of the guest's memory, and 128 MiB, on the safe side of what is common");
    }
    let takes_pages = |(_, guest): &(_, &Guest)| {
        let vm = guest.vm();
        vm.is_some_and(|vm| pages::of_guest(guest, vm).is_some())
    };
    let mut off = host.guests.iter().filter(|(id, _)| !running.contains(id));
    if let Some((_, guest)) = off.find(takes_pages) {
        ways.push(format!(
            "leave out the `hugepages` of `{}`, which are kept while it is off, too",
            guest.name.value
        ));
    }
    let ways = ways.join(", or ");
    if running.len() < 2 {
        return diagnostic.help(ways);
    }
    diagnostic.help(format!(
        "{ways}; guests that never run at the same time say so with `exclusive-with`"
    ))
}

/// How many guests a table names before it sums up the rest.
const MOST_ROWS: usize = 16;

/// Amounts under each other, with their sum.
fn table(
    guests: &[(String, ByteSize)],
    fixed: &[(String, ByteSize)],
    wanted: ByteSize,
    memory: ByteSize,
) -> String {
    let sum = [
        ("together".to_owned(), wanted),
        ("memory of the host".to_owned(), memory),
        ("too little".to_owned(), wanted - memory),
    ];
    let rows = || guests.iter().chain(fixed).chain(&sum);
    let width = rows()
        .map(|(what, _)| what.chars().count())
        .max()
        .unwrap_or(0);
    // One unit for all, so that the eye can add them up.
    let gib = |size: ByteSize| {
        let hundredths = u128::from(size.as_bytes()) * 100 / (1 << 30);
        format!("{}.{:02} GiB", hundredths / 100, hundredths % 100)
    };
    let digits = rows().map(|(_, size)| gib(*size).len()).max().unwrap_or(0);
    let mut text =
        String::from("the guests that can run at the same time, and what else is taken:");
    for (what, size) in rows() {
        let pad = width - what.chars().count();
        write!(text, "\n  {what}{:pad$}  {:>digits$}", "", gib(*size))
            .expect("a string takes all text");
    }
    text
}

// ---------------------------------------------------------------- one guest

/// A balloon that cannot work.
fn ballooning(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let Some(Spanned {
        value: Balloon::Least(least),
        span,
    }) = vm.balloon.as_ref()
    else {
        return;
    };
    if guest.memory.is_missing() {
        return;
    }
    if *least > *guest.memory {
        sink.push(
            Diagnostic::new(
                Code::MOX0403,
                *span,
                format!("`balloon` is {least}, more than the memory of `{}`", guest.name.value),
            )
            .also(guest.memory.span, format!("{}", guest.memory.value))
            .help("`balloon` is the least that the guest keeps when the host runs short: at most its memory"),
        );
        return;
    }
    if *least == *guest.memory {
        return;
    }
    let (at, why) = if let Some(device) = vm.passthrough.first() {
        (device.span, "it passes a device through")
    } else if let Some(pages) = vm.hugepages {
        (pages.span, "its huge pages are taken at its start")
    } else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0404,
            *span,
            format!(
                "the balloon of `{}` can give no memory back",
                guest.name.value
            ),
        )
        .also(at, why)
        .note(format!(
            "the host's memory budget counts the whole {} for it",
            guest.memory.human()
        ))
        .help("write `balloon = false`: the guest keeps all of its memory")
        .replace("write `false`", *span, "false"),
    );
}

fn huge_pages(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let Some(pages) = vm.hugepages else { return };
    // Where the spec says nothing of `numa`, it comes with the pages.
    if let Some(numa) = Some(vm.numa).filter(|numa| numa.is_written() && !**numa) {
        sink.push(
            Diagnostic::new(
                Code::MOX0405,
                numa.span,
                format!("huge pages for `{}` without `numa`", guest.name.value),
            )
            .also(pages.span, "the pages")
            .note("Proxmox VE refuses to start it: \"numa needs to be enabled to use hugepages\"")
            .help("remove `numa = false`, or the huge pages"),
        );
    }
    // With nodes of its own in `extra`, what counts is the memory of each of them.
    let own_nodes = guest.options.iter().any(is_numa_node);
    let Some(size) = pages.value.size() else {
        return;
    };
    if guest.memory.is_missing() || own_nodes || size == ByteSize::default() {
        return;
    }
    let nodes = u64::from((*vm.sockets).max(1));
    let page = size.as_bytes();
    let memory = guest.memory.as_bytes();
    if memory.is_multiple_of(nodes * page) {
        return;
    }
    let fitting = memory / (nodes * page) * nodes * page;
    let each = if nodes == 1 {
        String::new()
    } else {
        format!(", on each of {nodes} sockets")
    };
    let help = if fitting == 0 {
        "use `hugepages = \"2 MiB\"`".to_owned()
    } else {
        format!("use `\"{}\"`", ByteSize::bytes(fitting))
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0406,
            guest.memory.span,
            format!(
                "the memory of `{}` is not a whole number of its pages",
                guest.name.value
            ),
        )
        .also(pages.span, format!("{} each{each}", pages.value))
        .note("Proxmox VE refuses to start a guest with a part of a huge page")
        .help(help),
    );
}

/// Whether the guest has NUMA nodes; huge pages bring them along.
fn has_numa(vm: &Vm) -> bool {
    *vm.numa || vm.hugepages.is_some()
}

/// `numa0` to `numa7`: a node that the spec describes itself.
fn is_numa_node(option: &PveOption) -> bool {
    option
        .key
        .strip_prefix("numa")
        .is_some_and(|number| matches!(number.as_bytes(), [b'0'..=b'7']))
}

/// What Proxmox VE wants of each node (`PVE::QemuServer::Memory::config`, `hugepages_topology`).
fn numa_node(guest: &Guest, vm: &Vm, node: &PveOption, parts: &PropertyString, sink: &mut Sink) {
    let on = parts.get("hostnodes");
    let several = || on.is_some_and(|on| on.len() != 1);
    let (lacks, said, help) = if parts.get("memory").is_none() {
        (
            "no memory",
            "missing NUMA node memory value",
            "add `memory`, in MiB; the nodes have the guest's memory together",
        )
    } else if on.is_some() && parts.get("policy").is_none() {
        (
            "nodes of the host, and no policy",
            "you need to define a policy for hostnode",
            "add `policy = \"bind\"`, `\"preferred\"` or `\"interleave\"`",
        )
    } else if on.is_none() && vm.hugepages.is_some() {
        (
            "huge pages of no node of the host",
            "numa hostnodes need to be defined to use hugepages",
            "add `hostnodes`, the node of the host whose pages it takes, and `policy`",
        )
    } else if several() && vm.hugepages.is_some() {
        (
            "huge pages of several nodes of the host",
            "more than 1 hostnode value in numa node is not supported when hugepages are enabled",
            "name one node of the host in `hostnodes`",
        )
    } else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0407,
            node.value.span,
            format!(
                "the NUMA node `{}` of `{}` has {lacks}",
                node.key.value, guest.name.value
            ),
        )
        .note(format!("Proxmox VE refuses to start the guest: \"{said}\""))
        .help(help),
    );
}

/// NUMA nodes of the raw options that do not add up to the guest's memory.
fn numa_nodes(guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let nodes: Vec<&PveOption> = guest.options.iter().filter(|o| is_numa_node(o)).collect();
    if !has_numa(vm) {
        for node in nodes {
            sink.push(
                Diagnostic::unheard(
                    &node.key.value,
                    node.key.span,
                    format!("`{}` has no `numa`", guest.name.value),
                )
                .help("add `numa = true`, or leave the node out"),
            );
        }
        return;
    }
    if guest.memory.is_missing() {
        return;
    }
    let mut sum = Some(0u64);
    for node in &nodes {
        // What Proxmox VE cannot read is its schema's to report.
        let Ok(parts) = PropertyString::parse(&node.value) else {
            return;
        };
        numa_node(guest, vm, node, &parts, sink);
        let memory = parts.get("memory").and_then(|mib| mib.parse::<u64>().ok());
        sum = sum
            .zip(memory)
            .map(|(sum, memory)| sum.saturating_add(memory));
    }
    let Some(sum) = sum else { return };
    let (Some(first), Some(memory)) = (nodes.first(), guest.memory.whole_mib()) else {
        return;
    };
    if sum == memory {
        return;
    }
    let mut diagnostic = Diagnostic::new(
        Code::MOX0407,
        first.value.span,
        format!(
            "the NUMA nodes of `{}` have {sum} MiB together, the guest has {memory} MiB",
            guest.name.value
        ),
    );
    for node in &nodes[1..] {
        diagnostic = diagnostic.also(node.value.span, "a further node");
    }
    sink.push(
        diagnostic
            .also(guest.memory.span, "the guest's memory")
            .note("Proxmox VE refuses to start it: \"total memory for NUMA nodes must be equal to vm static memory\"")
            .help("let the nodes' `memory` (in MiB) add up to the guest's, or remove the nodes: with `numa = true` alone it is split evenly"),
    );
}

/// A folder of the host by virtio-fs that keeps memory from being added: Proxmox VE refuses its own `virtiofsN`, and where a hook
/// script describes the guest's memory, the guest's file has no `numa`.
fn share(host: &Host, guest: &Guest, vm: &Vm) -> Option<Span> {
    let mut options = guest.options.iter();
    let named = options.find(|option| option.numbered().is_some_and(|(key, _)| key == "virtiofs"));
    let by_hook = shares::hook_describes_memory(*host.release, vm);
    let mut all = vm.shares.iter();
    let first = all.find(|share| by_hook || shares::is_native(*host.release, share));
    let first = first.map(|share| share.span);
    first.or_else(|| named.map(|option| option.key.span))
}

/// What stands in the way of memory that is added while the guest runs.
fn hotplug(host: &Host, guest: &Guest, vm: &Vm, sink: &mut Sink) {
    let Some(hotplug) = guest.option("hotplug").filter(|option| {
        option
            .value
            .split([',', ';', ' '])
            .any(|word| word == "memory")
    }) else {
        return;
    };
    let (at, obstacle, help) = if let Some(node) = guest.options.iter().find(|o| is_numa_node(o)) {
        (
            node.key.span,
            "NUMA nodes of its own",
            "remove `memory` from `hotplug`, or the nodes",
        )
    } else if let Some(share) = share(host, guest, vm) {
        (
            share,
            "a share by virtio-fs",
            "remove `memory` from `hotplug`, or share by the network",
        )
    } else if !has_numa(vm) {
        (
            vm.numa.span,
            "no `numa`",
            "add `numa = true`, or remove `memory` from `hotplug`",
        )
    } else {
        sticks(guest, vm, &hotplug.value, sink);
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0408,
            hotplug.value.span,
            format!("memory hotplug in `{}` with {obstacle}", guest.name.value),
        )
        .also(at, "here")
        .note("Proxmox VE refuses to start the guest")
        .help(help),
    );
}

/// The memory that Proxmox VE builds of sticks where it can be added: what is there from the start, then 32 sticks of each
/// size, every size twice the last (`PVE::QemuServer::Memory::foreach_dimm`). In MiB.
struct Sticks {
    least: u64,
    first: u64,
}

impl Sticks {
    fn of(vm: &Vm) -> Self {
        let large = vm
            .hugepages
            .is_some_and(|pages| pages.value == HugePages::Of(ByteSize::gib(1)));
        let sockets = if large {
            u64::from((*vm.sockets).max(1))
        } else {
            1
        };
        Self {
            least: 1024 * sockets,
            first: if large { 1024 } else { 512 },
        }
    }

    /// The most that sticks come to without going over `mib`.
    fn below(&self, mib: u64) -> u64 {
        let (mut sum, mut stick) = (self.least, self.first);
        for _ in 0..8 {
            let more = (mib.saturating_sub(sum) / stick).min(32);
            sum += more * stick;
            if more < 32 {
                break;
            }
            stick *= 2;
        }
        sum
    }
}

/// Memory that no sticks come to.
fn sticks(guest: &Guest, vm: &Vm, hotplug: &Spanned<String>, sink: &mut Sink) {
    let Some(mib) = guest
        .memory
        .whole_mib()
        .filter(|_| !guest.memory.is_missing())
    else {
        return;
    };
    let sticks = Sticks::of(vm);
    let below = sticks.below(mib);
    let (message, said, help) = if mib < sticks.least {
        (
            format!(
                "less than {} of memory",
                ByteSize::mib(sticks.least).human()
            ),
            format!("minimum memory must be {}MB", sticks.least),
            format!("use `\"{}\"` at least", ByteSize::mib(sticks.least)),
        )
    } else if below != mib {
        (
            format!("{} of memory", *guest.memory),
            "memory size must be aligned for hotplugging".to_owned(),
            format!("use `\"{}\"`", ByteSize::mib(below)),
        )
    } else {
        return;
    };
    sink.push(
        Diagnostic::new(
            Code::MOX0408,
            guest.memory.span,
            format!("memory hotplug in `{}` with {message}", guest.name.value),
        )
        .also(hotplug.span, "memory that can be added is built of sticks")
        .note(format!("Proxmox VE refuses to start the guest: \"{said}\""))
        .help(format!("{help}, or remove `memory` from `hotplug`")),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::memory::{cache, qemu_overhead};

    #[test]
    fn tables_are_aligned() {
        let rows = [
            ("web: 2 GiB".to_owned(), ByteSize::gib(2)),
            ("a-longer-name: 28 GiB".to_owned(), ByteSize::gib(28)),
        ];
        let text = table(
            &rows,
            &[("the host itself (`reserve`)".to_owned(), ByteSize::gib(4))],
            ByteSize::gib(34),
            ByteSize::gib(32),
        );
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines.len(), 2 + 1 + 3);
        assert!(lines.iter().all(|line| line.len() == lines[0].len()));
        assert!(lines[lines.len() - 1].contains("2.00 GiB"));
    }

    /// Hand-worked: 3 % of 32 GiB (0.96 GiB) and 128 MiB.
    #[test]
    fn qemu_takes_three_percent_and_an_eighth() {
        let overhead = qemu_overhead(ByteSize::gib(32));
        assert_eq!(overhead.human(), "1.08 GiB");
    }

    /// `local-zfs.adoc`, "Limit ZFS Memory Usage": the installer's limit is 10 % of the memory, at most 16 GiB. OpenZFS'
    /// `zfs_arc_min`: a 32nd of the memory.
    #[test]
    fn the_cache_takes_what_limits_it() {
        use super::super::testing::{host, host_of};
        let small = host("");
        assert_eq!(
            cache(&small, ByteSize::gib(64)).map(|(size, _)| size.human()),
            Some("6.39 GiB".to_owned())
        );
        assert_eq!(
            cache(&small, ByteSize::gib(512)).map(|(size, _)| size),
            Some(ByteSize::gib(16))
        );
        let told = host("[storage]\narc-max = \"5 GiB\"\n");
        assert_eq!(
            cache(&told, ByteSize::gib(64)).map(|(size, _)| size),
            Some(ByteSize::gib(5))
        );
        let nixos = host_of(
            "[host]\nname = \"n\"\nrelease = \"9.2\"\nplatform = \"nixos\"\ntimezone = \"UTC\"\n\
             [hardware.disks]\na = { kind = \"ssd\", size = \"1 TB\", device = \"/dev/disk/by-id/ata-a\" }\n\
             [storage.pools.rpool]\nlayout = \"stripe\"\ndisks = [\"a\"]\nboot = true\n",
        );
        assert_eq!(
            cache(&nixos, ByteSize::gib(64)).map(|(size, _)| size),
            Some(ByteSize::gib(2))
        );
    }

    /// Hand-worked, of 64 GiB: 40 GiB and 1.2 GiB (3 %) and 0.125 GiB for QEMU, three times without `c`, which excludes
    /// `b`: 2 × 41.325 = 82.65, and 6.4 for the installer's cache, and 4 for the host: 93.05, less what is rounded down.
    #[test]
    fn the_worst_set_that_can_run_is_summed_up() {
        use super::super::testing::{host, told};
        let vm = |name: &str, vmid: u32, keys: &str| {
            format!("[vms.{name}]\nos = \"linux\"\nvmid = {vmid}\nmemory = \"40 GiB\"\n{keys}\n")
        };
        let three = host(&format!(
            "{}{}{}",
            vm("a", 100, ""),
            vm("b", 101, ""),
            vm("c", 102, "exclusive-with = [\"b\"]")
        ));
        let found = told(&three, Code::MOX0401);
        assert_eq!(found.len(), 1);
        assert!(found[0].0.contains("93.04 GiB of 64 GiB"), "{found:?}");
        let table = &found[0].1[0];
        assert_eq!(
            table.matches("40 GiB + 1.32 GiB for QEMU").count(),
            2,
            "{table}"
        );
        assert!(
            table.contains("too little") && table.contains("29.04 GiB"),
            "{table}"
        );
        // A container's memory is a limit, so it is no error.
        let one = host(&vm("a", 100, ""));
        assert_eq!(told(&one, Code::MOX0401), []);
    }
}
