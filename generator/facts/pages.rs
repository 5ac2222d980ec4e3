//! Huge pages: what the host sets aside for them from its start on.
//!
//! The kernel takes them from the host's memory when it starts and gives none back, whoever runs. So the host keeps as
//! many of each size as the guests take that can run at the same time, or as many as `kernel-params` say.
//!
//! Rules of others: Linux, admin-guide/mm/hugetlbpage.rst (`hugepages` belongs to the `hugepagesz` before it).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Running;
use crate::model::{Guest, Host, Vm};
use crate::source::Span;
use crate::value::ByteSize;

/// Huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugePages {
    /// The size of a page.
    pub page: ByteSize,
    /// How many the host keeps.
    pub count: u64,
    /// How many the guests take that can run at the same time.
    pub taken: u64,
    /// Where the spec's own words for the kernel say how many it keeps.
    pub said: Option<Span>,
}

impl HugePages {
    /// What they take together.
    pub fn size(&self) -> ByteSize {
        self.page.saturating_mul(self.count)
    }

    /// The size as the kernel's command line says it.
    pub fn word(&self) -> &'static str {
        if self.page == ByteSize::gib(1) {
            "1G"
        } else {
            "2M"
        }
    }
}

/// The size of the pages that a guest takes, and how many; none where its memory is in ordinary pages, or where it never runs:
/// a template is only cloned.
pub fn of_guest(guest: &Guest, vm: &Vm) -> Option<(ByteSize, u64)> {
    let page = vm
        .hugepages
        .filter(|_| !guest.is_template())?
        .value
        .size()?;
    let count = guest.memory.as_bytes().div_ceil(page.as_bytes().max(1));
    Some((page, count))
}

/// The size of a page, as the kernel's command line says it: its letters may be small.
fn page_size(word: &str) -> Option<ByteSize> {
    match word.to_ascii_uppercase().as_str() {
        "1G" | "1024M" | "1048576K" => Some(ByteSize::gib(1)),
        "2M" | "2048K" => Some(ByteSize::mib(2)),
        _ => None,
    }
}

/// How many pages `hugepages=` says: one number, or one for each node, as `0:4,1:4`.
fn count_of(text: &str) -> Option<u64> {
    if let Ok(count) = text.parse() {
        return Some(count);
    }
    let mut sum = 0_u64;
    for part in text.split(',') {
        let (node, count) = part.split_once(':')?;
        node.parse::<u32>().ok()?;
        sum = sum.saturating_add(count.parse().ok()?);
    }
    Some(sum)
}

/// How many pages of each size the spec's own words for the kernel keep, and where they say so. The kernel goes by the first: a
/// size that is said twice is passed over with the count behind it, and so is a second count (`mm/hugetlb.c`,
/// `hugepagesz_setup` and `hugepages_setup`). A size without a count keeps none.
fn said(host: &Host) -> BTreeMap<Reverse<ByteSize>, (u64, Span)> {
    let words = &host.boot.kernel_params;
    let mut usual = words
        .iter()
        .filter_map(|word| word.as_str().strip_prefix("default_hugepagesz="));
    let mut size = usual.next().map_or(Some(ByteSize::mib(2)), page_size);
    let mut said: BTreeMap<Reverse<ByteSize>, (Option<u64>, Span)> = BTreeMap::new();
    for word in words {
        if let Some(text) = word.as_str().strip_prefix("hugepagesz=") {
            size = page_size(text).filter(|size| !said.contains_key(&Reverse(*size)));
            if let Some(size) = size {
                said.insert(Reverse(size), (None, word.span));
            }
        } else if let Some(text) = word.as_str().strip_prefix("hugepages=")
            && let (Some(size), Some(count)) = (size, count_of(text))
        {
            let own = said.entry(Reverse(size)).or_insert((None, word.span));
            if own.0.is_none() {
                *own = (Some(count), word.span);
            }
        }
    }
    let said = said.into_iter();
    said.map(|(size, (count, span))| (size, (count.unwrap_or_default(), span)))
        .collect()
}

/// The pages that a host keeps. Larger ones first: they are the harder ones to find in one piece.
pub(super) fn of(host: &Host, running: &Running) -> Vec<HugePages> {
    let mut weights: BTreeMap<Reverse<ByteSize>, Vec<u64>> = BTreeMap::new();
    for (id, guest, vm) in host.vms() {
        if let Some((page, count)) = of_guest(guest, vm) {
            let weight = weights
                .entry(Reverse(page))
                .or_insert_with(|| vec![0; host.guests.len()]);
            weight[id.index()] = count;
        }
    }
    let said = said(host);
    for page in said.keys() {
        weights
            .entry(*page)
            .or_insert_with(|| vec![0; host.guests.len()]);
    }
    weights
        .into_iter()
        .map(|(page, weight)| {
            let taken = running
                .heaviest(&weight)
                .iter()
                .fold(0, |sum: u64, id| sum.saturating_add(weight[id.index()]));
            let said = said.get(&page);
            HugePages {
                page: page.0,
                count: said.map_or(taken, |(count, _)| *count),
                taken,
                said: said.map(|(_, span)| *span),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::analysis::testing::{host, told};
    use crate::diagnostics::Code;
    use crate::facts::Facts;

    /// A virtual machine of so many GiB, and further lines of its table.
    fn vm(name: &str, vmid: u32, gib: u32, more: &str) -> String {
        format!(
            "[vms.{name}]\nos = \"linux\"\nvmid = {vmid}\nmemory = \"{gib} GiB\"\nbackup = false\n{more}\n"
        )
    }

    const PAGES: &str = "hugepages = \"1 GiB\"\n";

    fn kept(guests: &str) -> Vec<u64> {
        let host = host(guests);
        let facts = Facts::of(&host);
        facts.pages.iter().map(|pages| pages.count).collect()
    }

    fn too_much(guests: &str) -> bool {
        !told(&host(guests), Code::MOX0401).is_empty()
    }

    #[test]
    fn a_need_drags_its_guest_out_of_what_runs_together() {
        let guests = vm("a", 100, 40, &format!("{PAGES}exclusive-with = [\"b\"]"))
            + &vm("b", 101, 2, "")
            + &vm("c", 102, 20, &format!("{PAGES}needs = [\"b\"]"));
        assert_eq!(kept(&guests), [40]);
        assert!(!too_much(&guests));
        // Without the need both run at once.
        assert_eq!(kept(&guests.replace("needs = [\"b\"]", "")), [60]);
    }

    #[test]
    fn pages_are_gone_for_who_runs_instead() {
        let pages = format!("{PAGES}exclusive-with = [\"b\"]");
        let plain = "exclusive-with = [\"b\"]";
        assert!(too_much(
            &(vm("a", 100, 40, &pages) + &vm("b", 101, 40, ""))
        ));
        assert!(!too_much(
            &(vm("a", 100, 40, plain) + &vm("b", 101, 40, ""))
        ));
        // Pages alone can be more than there is.
        assert!(too_much(&vm("a", 100, 70, PAGES)));
    }

    #[test]
    fn what_the_spec_tells_the_kernel_counts() {
        let parameters = |words: &str, guests: &str| {
            let host = host(&format!("[boot]\nkernel-params = [{words}]\n{guests}"));
            let facts = Facts::of(&host);
            let parameters = facts.kernel.parameters.iter();
            let parameters: Vec<&str> = parameters
                .map(String::as_str)
                .filter(|word| word.contains("huge") || *word == "quiet")
                .collect();
            parameters.join(" ")
        };
        let one = vm("a", 100, 4, PAGES);
        let both = one.clone() + &vm("b", 101, 2, "hugepages = \"2 MiB\"\n");
        for (words, guests, all) in [
            ("\"quiet\"", &one, "hugepagesz=1G hugepages=4 quiet"),
            (
                "\"hugepagesz=1G\", \"hugepages=8\", \"quiet\"",
                &one,
                "hugepagesz=1G hugepages=8 quiet",
            ),
            (
                "\"default_hugepagesz=1G\", \"hugepages=8\"",
                &both,
                "default_hugepagesz=1G hugepages=8 hugepagesz=2M hugepages=1024",
            ),
            (
                "\"hugepagesz=1G\", \"hugepages=4\", \"hugepagesz=2M\", \"hugepages=4\"",
                &both,
                "hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=4",
            ),
            // Nothing comes behind a size that stands there: the kernel would pass it over.
            (
                "\"hugepagesz=1g\", \"hugepages=0:4,1:4\"",
                &one,
                "hugepagesz=1g hugepages=0:4,1:4",
            ),
            ("\"hugepagesz=1G\"", &one, "hugepagesz=1G"),
        ] {
            assert_eq!(parameters(words, guests), all, "{words}");
        }
        let kept = |words: &str| {
            let host = host(&format!("[boot]\nkernel-params = [{words}]\n{one}"));
            Facts::of(&host).pages[0].count
        };
        assert_eq!(kept("\"hugepagesz=1G\", \"hugepages=0:4,1:4\""), 8);
        assert_eq!(kept("\"hugepagesz=1G\""), 0);
        // The kernel goes by the first.
        let twice = "\"hugepagesz=1G\", \"hugepages=4\", \"hugepagesz=1G\", \"hugepages=9\"";
        assert_eq!(kept(twice), 4);
        // They are gone for everybody, whoever takes them.
        let host = host("[boot]\nkernel-params = [\"hugepages=4096\"]\n");
        assert_eq!(
            Facts::of(&host).pages[0].size(),
            crate::value::ByteSize::gib(8)
        );
    }

    #[test]
    fn a_template_takes_none() {
        let guests = vm("a", 100, 100, &format!("{PAGES}extra = {{ template = 1 }}"));
        assert_eq!(kept(&guests), [0; 0]);
        assert!(!too_much(&guests));
    }

    #[test]
    fn many_guests_that_exclude_each_other_share_their_pages() {
        let guests: String = (0..30)
            .map(|number| {
                let others: Vec<String> =
                    (0..number).map(|other| format!("\"g{other}\"")).collect();
                let exclusive = format!("{PAGES}exclusive-with = [{}]", others.join(", "));
                vm(
                    &format!("g{number}"),
                    100 + number,
                    1 + number % 7,
                    &exclusive,
                )
            })
            .collect();
        assert_eq!(kept(&guests), [7]);
    }
}
