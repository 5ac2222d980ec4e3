//! `windows/<guest>/`: what turns an empty virtual machine into the Windows guest of the spec, and keeps it up to date.
//!
//! | concern | where |
//! |---|---|
//! | Nushell scripts, their tests, and the guest's data for them | [`scripts`] |
//! | which disk has which letter | [`facts::drives`](crate::facts::drives) |
//! | which edition, language and time zone | [`facts::windows`](crate::facts::windows) |
//! | scheduled tasks, unattended setup, the first logon | [`setup`] |
//!
//! In the guest everything lies below [`GUEST_FOLDER`]: the scripts themselves, `log\`, and `state\` (what a script found
//! and did last, as JSON). They are run by [`NU`] with `--no-config-file --no-std-lib`.

pub mod scripts;
pub mod setup;

use crate::diagnostics::Sink;
use crate::facts::Facts;
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::targets::Target;
use crate::targets::about::About;
use crate::template::Templates;

/// The name of the target, as in the manifest.
const TARGET: &str = Target::Windows.as_str();

/// Where the scripts lie in the guest.
pub const GUEST_FOLDER: &str = r"C:\ProgramData\moxc";

/// Nushell in the guest: its MSI installs it here for all users (`wix/main.wxs` of Nushell).
pub const NU: &str = r"C:\Program Files\nu\bin\nu.exe";

/// What will stand there.
#[derive(Debug)]
pub struct Plan {
    origin: Origin,
    guests: Vec<GuestPlan>,
}

/// What will stand in `windows/<guest>/`.
#[derive(Debug)]
struct GuestPlan {
    /// The guest's name.
    name: String,
    scripts: scripts::Plan,
    setup: setup::Plan,
}

/// Plans it. Reports schedules that a task of Windows cannot have (MOX0630).
pub fn plan(facts: &Facts<'_>, origin: &Origin, sink: &mut Sink) -> Plan {
    let host = facts.host;
    let mut plan = Plan {
        origin: origin.clone(),
        guests: Vec::new(),
    };
    for (id, guest, vm) in host.vms() {
        let Some(windows) = &vm.windows else { continue };
        plan.guests.push(GuestPlan {
            name: guest.name.value.clone(),
            scripts: scripts::plan(host, id, guest, vm, windows),
            setup: setup::plan(host, id, guest, vm, windows, sink),
        });
    }
    plan
}

impl Plan {
    /// What the guide of the tree tells of these guests.
    pub fn about(facts: &Facts<'_>) -> About {
        let mut about = About::default();
        for (_, guest, vm) in facts.host.vms() {
            let Some(windows) = &vm.windows else { continue };
            let secrets: Vec<String> = setup::Secrets::of(guest, windows)
                .all()
                .into_iter()
                .map(|name| format!("`/etc/moxc/secrets/{name}`"))
                .collect();
            let what = if secrets.len() == 1 {
                "password"
            } else {
                "secrets"
            };
            about.left.push(format!(
                "for a new {} ({}), put its {what} into {} (mode 600), and have it installed: \
                 `windows/{}/build-iso.sh --install`",
                guest.vmid.value,
                guest.name.value,
                secrets.join(" and "),
                guest.name.value,
            ));
        }
        about
    }
}

/// Writes it down. Reports what a user's template cannot do.
pub fn emit(plan: &Plan, templates: &Templates, files: &mut FileSet, sink: &mut Sink) {
    let origin = &plan.origin;
    for guest in &plan.guests {
        for (path, text) in scripts::files(&guest.scripts, origin, templates, sink) {
            insert(files, &guest.name, &path, text);
        }
        setup::emit(&guest.setup, origin, templates, files, sink);
    }
}

/// One file below `windows/<guest>/`.
fn insert(files: &mut FileSet, guest: &str, path: &str, text: impl Into<Vec<u8>>) {
    let path = RelPath::new(format!("windows/{guest}/{path}"))
        .expect("names of guests are DNS labels, and the others are ours");
    files
        .insert(OutputFile::bytes(path, text.into(), Mode::Regular, TARGET))
        .expect("names of guests are unique, and so are ours");
}
