//! Huge pages: what the host sets aside for them from its start on.
//!
//! The kernel takes them from the host's memory when it starts and gives none back, whoever runs. So the host keeps as
//! many of each size as the guests take that can run at the same time.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Running;
use crate::model::{Guest, Host, Vm};
use crate::value::ByteSize;

/// Huge pages of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugePages {
    /// The size of a page.
    pub page: ByteSize,
    /// How many the host keeps.
    pub count: u64,
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

/// How many pages a guest takes, and of which size; none where its memory is in ordinary pages, or where it never runs:
/// a template is only cloned.
pub fn of_guest(guest: &Guest, vm: &Vm) -> Option<HugePages> {
    let page = vm
        .hugepages
        .filter(|_| !guest.is_template())?
        .value
        .size()?;
    let count = guest.memory.as_bytes().div_ceil(page.as_bytes().max(1));
    Some(HugePages { page, count })
}

/// The pages that a host keeps. Larger ones first: they are the harder ones to find in one piece.
pub(super) fn of(host: &Host, running: &Running) -> Vec<HugePages> {
    let mut weights: BTreeMap<Reverse<ByteSize>, Vec<u64>> = BTreeMap::new();
    for (id, guest, vm) in host.vms() {
        if let Some(pages) = of_guest(guest, vm) {
            let weight = weights
                .entry(Reverse(pages.page))
                .or_insert_with(|| vec![0; host.guests.len()]);
            weight[id.index()] = pages.count;
        }
    }
    weights
        .into_iter()
        .map(|(Reverse(page), weight)| HugePages {
            page,
            count: running
                .heaviest(&weight)
                .iter()
                .fold(0, |sum: u64, id| sum.saturating_add(weight[id.index()])),
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
