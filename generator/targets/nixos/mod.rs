//! `nixos/`: a module for each NixOS guest, one for the host where it is NixOS itself, and `default.nix` that names them.
//!
//! What is generated only sets options: scalars by `lib.mkDefault`, so that a user's own line wins, lists and sets plain,
//! so that they merge with the user's. What takes logic is written by hand in `nix/modules/` behind options below
//! `services.moxc`, and is emitted beside the generated modules ([`support`]): importing one needs nothing else.
//!
//! | concern | where |
//! |---|---|
//! | what a guest is: container or virtual machine, name, state | [`guest`] |
//! | addresses, ways out, routing for others | [`network`] |
//! | accounts and keys | [`users`] |
//! | packages, ports, services | [`services`] |
//! | the user's own scripts | [`scripts`] |
//! | updates from a flake | [`update`] |
//! | raw options of the spec | [`settings`] |
//! | the user's own modules | [`user_modules`] |
//! | a host that is NixOS itself | [`host`], [`host_network`] |
//!
//! Every file is read back by our own check of Nix before anybody sees it; what it finds is told at the place in the
//! spec that the line came from.

mod check;
mod guest;
mod host;
mod host_network;
mod module;
mod network;
mod scripts;
mod services;
mod settings;
mod support;
mod update;
mod user_modules;
mod users;

use self::user_modules::UserModules;
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::each::each;
use crate::facts::{Facts, tree};
use crate::model::{Guest, Id, NixosGuest};
use crate::nix::options::Alike;
use crate::nix::{self, Attrs, BuildError, Built};
use crate::origin::Origin;
use crate::output::{FileSet, Mode, OutputFile, RelPath};
use crate::source::Span;
use crate::targets::Target;
use crate::template::Templates;
use crate::value::Platform;

/// The name of the target, as in the manifest.
const TARGET: &str = Target::Nixos.as_str();

/// What will stand in `nixos/`: paths below it, and texts.
#[derive(Debug, Default)]
pub struct Plan {
    files: Vec<(String, String)>,
    /// The header of the hand-written modules, where a machine needs them: their texts are the same for every host of a
    /// fleet, and none holds them before it is written down.
    support: Option<String>,
    copies: FileSet,
}

/// Plans the modules. Reports what Nix or NixOS does not take (MOX0840 to MOX0844), modules of the user's that cannot be
/// copied (MOX0847 to MOX0849).
pub fn plan(facts: &Facts<'_>, origin: &Origin, sink: &mut Sink) -> Plan {
    let host = facts.host;
    let mut plan = Plan::default();
    let mut names = Vec::new();
    let own = user_modules::collect(host, origin.surroundings(), TARGET, sink);
    let clients = network::Clients::of(host);
    let guests: Vec<_> = host
        .guests
        .iter()
        .filter_map(|(id, guest)| Some((id, guest, guest.nixos.as_ref()?)))
        .collect();
    let alike = Alike::default();
    let printed = each(&guests, sink, |&(id, guest, nixos), sink| {
        print(
            (facts, &clients),
            (id, guest, nixos),
            (&own, &alike),
            origin,
            sink,
        )
    });
    for ((_, guest, _), text) in guests.into_iter().zip(printed) {
        if let Some(text) = text {
            plan.files.push((file_of(&guest.name.value), text));
            names.push(guest.name.value.clone());
        }
    }
    if *host.platform == Platform::Nixos {
        // Both would have a file of that name: the analysis has told.
        if tree::module_namesake(host).is_some() {
            return plan;
        }
        match host::module(facts) {
            Ok(tree) => {
                let printed = nix::print_file(&origin.header(), &tree);
                check::host(host, &printed, sink);
                let name = host.name.as_str().to_owned();
                plan.files.push((file_of(&name), printed.text));
                names.push(name);
            }
            Err(error) => sink.push(cannot_hold(host.span, &error)),
        }
    }
    if names.is_empty() {
        return plan;
    }
    match index(&names) {
        Ok(tree) => {
            let text = nix::print_file(&origin.header(), &tree).text;
            plan.files.push(("default.nix".to_owned(), text));
        }
        Err(error) => sink.push(cannot_hold(host.span, &error)),
    }
    plan.support = Some(origin.header());
    plan.copies = own.into_files();
    plan
}

/// The text of a guest's module; none where Nix cannot hold it.
fn print(
    (facts, clients): (&Facts<'_>, &network::Clients),
    (id, guest, nixos): (Id<Guest>, &Guest, &NixosGuest),
    (own, alike): (&UserModules, &Alike),
    origin: &Origin,
    sink: &mut Sink,
) -> Option<String> {
    let mut module = module::Module::default();
    let text = match guest::module((facts, clients), id, guest, nixos, own, &mut module) {
        Ok(tree) => {
            let mut header = origin.header();
            if let Some(description) = &guest.description {
                header = format!("{header}\n\n{}", description.value);
            }
            let printed = nix::print_file(&header, &tree);
            check::module(guest, nixos, (own, alike), &printed, sink);
            Some(printed.text)
        }
        Err(error) => {
            sink.push(cannot_hold(guest.name.span, &error));
            None
        }
    };
    for (span, error) in module.faults {
        sink.push(cannot_hold(span, &error));
    }
    text
}

/// Writes them down.
pub fn emit(plan: Plan, _: &Templates, files: &mut FileSet, _: &mut Sink) {
    let support = plan
        .support
        .iter()
        .flat_map(|header| support::files(header));
    for (path, text) in plan.files.into_iter().chain(support) {
        let path = RelPath::new(format!("nixos/{path}"))
            .expect("names of guests are DNS labels, and the others are ours");
        let mode = if text.starts_with("#!") {
            Mode::Executable
        } else {
            Mode::Regular
        };
        files
            .insert(OutputFile::text(path, text, mode, TARGET))
            .expect("names of guests are unique, and `file_of` keeps them from `default.nix`");
    }
    files.extend(plan.copies).expect(
        "they lie in a folder of their own, and among themselves they were put in one set before",
    );
}

/// The file of a guest. A guest may be called `default`; none has an underscore in its name.
fn file_of(name: &str) -> String {
    match name {
        "default" => "default_.nix".to_owned(),
        _ => format!("{name}.nix"),
    }
}

/// `{ nixosModules = { <guest> = { imports = [ ./<guest>.nix ]; }; }; }`: an attribute set each, since Nix 2.8 refuses a
/// bare path in a flake's `nixosModules`.
fn index(names: &[String]) -> Built {
    let mut modules = Attrs::new();
    for name in names {
        let mut module = Attrs::new();
        module.set("imports", [nix::path(&format!("./{}", file_of(name)))])?;
        modules.set([name], module)?;
    }
    let mut index = Attrs::new();
    index.set("nixosModules", modules)?;
    nix::IntoExpr::into_expr(index)
}

fn cannot_hold(span: Span, error: &BuildError) -> Diagnostic {
    Diagnostic::new(Code::MOX0840, span, error.to_string())
        .label("becomes a part of a NixOS module")
}
