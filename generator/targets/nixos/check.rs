//! Holds what is generated against the options of NixOS.
//!
//! What a spec says raw (`settings`, `services`) is judged first, and told at its place in the spec. Then the text of the
//! whole module is read back; a fault in what is left is ours.

use serde_json::Value as Json;

use super::user_modules::UserModules;
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, NixosGuest};
use crate::nix::options::{
    Alike, Index, Release, Rules, SettingFault, Step, check_module, check_setting,
};
use crate::nix::{AttrPath, Origin, Printed};
use crate::nix::{Fault, FaultKind, Level, line_and_column};
use crate::source::{Span, Spanned};
use crate::value::{Node, Value};

/// Reports what the spec sets raw and NixOS does not take (MOX0841, MOX0842, MOX0843), then what is wrong with the text
/// (MOX0844).
pub(super) fn module(
    guest: &Guest,
    nixos: &NixosGuest,
    (own, alike): (&UserModules, &Alike),
    printed: &Printed,
    sink: &mut Sink,
) {
    let release = nixos
        .state_version
        .as_ref()
        .and_then(|version| version.value.as_str().parse::<Release>().ok())
        // A guest without a table of its own says none, and sets nothing: any release must take what is generated.
        .or_else(|| Index::builtin().releases().min());
    let Some(release) = release else {
        return;
    };
    let rules = Rules {
        index: Index::builtin(),
        release,
        later: true,
        allowed: &[],
    };
    let services = services(nixos, own, &rules, sink);
    settings(nixos, own, &rules, sink);
    if services {
        return;
    }
    let file = format!("nixos/{}.nix", guest.name.value);
    let faults = alike.check_module(&printed.text, &rules);
    text(&file, guest.name.span, printed, faults, sink);
}

/// Reports what is wrong with the text of the host's own module (MOX0844).
pub(super) fn host(host: &Host, printed: &Printed, sink: &mut Sink) {
    // A host says no release of NixOS: the newest that the index knows.
    let Some(release) = Index::builtin().releases().max() else {
        return;
    };
    let rules = Rules {
        index: Index::builtin(),
        release,
        later: false,
        allowed: &[],
    };
    let file = format!("nixos/{}.nix", host.name.as_str());
    let faults = check_module(&printed.text, &rules);
    text(&file, host.name.span, printed, faults, sink);
}

fn text(file: &str, span: Span, printed: &Printed, faults: Vec<Fault>, sink: &mut Sink) {
    for fault in faults {
        let span = match printed.origin_at(fault.range.start) {
            Some(Origin::Settings) => continue,
            Some(Origin::Spec(place)) => place,
            None => span,
        };
        if fault.kind.level() == Level::Warning {
            continue;
        }
        let (line, column) = line_and_column(&printed.text, fault.range.start);
        let text = printed.text.lines().nth(line - 1).unwrap_or_default();
        sink.push(
            Diagnostic::new(
                Code::MOX0844,
                span,
                format!("the generated `{file}` is faulty: {}", fault.message),
            )
            .label("was made for this")
            .help("this is a bug of moxc: please report it with this spec")
            .note(format!("line {line}, column {column}: {}", text.trim())),
        );
    }
}

/// Whether a fault was found.
fn services(nixos: &NixosGuest, own: &UserModules, rules: &Rules, sink: &mut Sink) -> bool {
    let mut found = false;
    for service in &nixos.services {
        let names = ["services"]
            .into_iter()
            .chain(service.value.0.split('.'))
            .chain(["enable"]);
        let Ok(path) = AttrPath::new(names) else {
            continue;
        };
        let faults = check_setting(&path, &Json::Bool(true), rules);
        if faults.is_empty() {
            stranger(nixos, own, &path, service.span, rules, sink);
        }
        for fault in faults {
            found = true;
            sink.push(of_the_spec(service.span, &fault, rules.release));
        }
    }
    found
}

/// Tells a service that no release has that is known. A module of the user's own may bring it.
fn stranger(
    nixos: &NixosGuest,
    own: &UserModules,
    path: &AttrPath,
    span: Span,
    rules: &Rules,
    sink: &mut Sink,
) {
    let [namespace, service, ..] = path.names() else {
        return;
    };
    if namespace != "services"
        || rules.index.has(&[namespace, service])
        || !nixos.modules.is_empty() && own.may_declare(service)
    {
        return;
    }
    sink.push(
        Diagnostic::new(
            Code::MOX0843,
            span,
            format!("`services.{service}` is not a known service of NixOS"),
        )
        .label("no release up to the newest known has it")
        .help("correct the name, or name the module that declares it in `modules`"),
    );
}

fn settings(nixos: &NixosGuest, own: &UserModules, rules: &Rules, sink: &mut Sink) {
    for (key, node) in &nixos.settings {
        // A key that is no path is told where it is set.
        let Ok(path) = AttrPath::parse(&key.value) else {
            continue;
        };
        let faults = check_setting(&path, &node.value.to_json(), rules);
        if faults.is_empty() {
            stranger(nixos, own, &path, key.span, rules, sink);
        }
        for fault in faults {
            let span = if fault.kind == FaultKind::OptionType {
                place(key, node, &fault.place)
            } else {
                place_of_name(key, node, &fault.place)
            };
            sink.push(of_the_spec(span, &fault, rules.release));
        }
    }
}

/// Where the value at `steps` below a setting stands.
fn place(key: &Spanned<String>, node: &Node, steps: &[Step]) -> Span {
    match walk(node, steps) {
        Some((_, node)) => node.span,
        None => key.span,
    }
}

/// Where the name at the end of `steps` stands; of none, the setting's own.
fn place_of_name(key: &Spanned<String>, node: &Node, steps: &[Step]) -> Span {
    walk(node, steps)
        .and_then(|(name, _)| name)
        .unwrap_or(key.span)
}

fn walk<'a>(node: &'a Node, steps: &[Step]) -> Option<(Option<Span>, &'a Node)> {
    let mut name = None;
    let mut node = node;
    for step in steps {
        match (step, &node.value) {
            (Step::Name(wanted), Value::Table(table)) => {
                let (key, value) = table.entries.iter().find(|(key, _)| key.value == *wanted)?;
                name = Some(key.span);
                node = value;
            }
            (Step::Element(index), Value::Array(items)) => {
                node = items.get(*index)?;
                name = Some(node.span);
            }
            (Step::Name(_) | Step::Element(_), _) => return None,
        }
    }
    Some((name, node))
}

fn of_the_spec(span: Span, fault: &SettingFault, release: Release) -> Diagnostic {
    let code = match fault.kind {
        FaultKind::UnknownOption | FaultKind::OptionTooNew | FaultKind::RemovedOption => {
            Code::MOX0841
        }
        FaultKind::OptionType => Code::MOX0842,
        FaultKind::RenamedOption | FaultKind::SuspectOption => Code::MOX0843,
        // These are about texts; a setting has none.
        FaultKind::Syntax
        | FaultKind::Nul
        | FaultKind::DuplicateAttribute
        | FaultKind::DuplicateFormal
        | FaultKind::UnboundName
        | FaultKind::UnknownFunction
        | FaultKind::IntegerRange
        | FaultKind::FloatRange
        | FaultKind::UrlLiteral
        | FaultKind::UnusedBinding => Code::MOX0844,
    };
    Diagnostic::new(code, span, fault.message.clone())
        .help_if(fault.help.clone())
        .note(format!(
            "checked against the options of NixOS {release}, the guest's `state-version`, and of later releases"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Lints;
    use crate::nix::{Attrs, IntoExpr, at, print};
    use crate::source::SourceMap;

    #[test]
    fn a_fault_of_a_line_is_told_where_the_spec_says_it() {
        let file = SourceMap::new().add("host.toml", "abcd");
        let [whole, place] = [0..1, 2..3].map(|range| Span::new(file, range));
        let mut attrs = Attrs::new();
        let no_flag = |origin| at(origin, "no flag");
        attrs
            .set("services.nginx.enable", no_flag(Origin::Spec(place)))
            .expect("a path");
        attrs
            .set("services.openssh.enable", "no flag")
            .expect("a path");
        attrs
            .set("services.gitea.enable", no_flag(Origin::Settings))
            .expect("a path");
        let printed = print(&attrs.into_expr().expect("a set"));
        let rules = Rules {
            index: Index::builtin(),
            release: "25.11".parse().expect("a release"),
            later: true,
            allowed: &[],
        };
        let faults = check_module(&printed.text, &rules);
        assert_eq!(faults.len(), 3, "{faults:?}");
        let mut sink = Sink::new();
        text("nixos/web.nix", whole, &printed, faults, &mut sink);
        let told: Vec<_> = sink
            .finish(&Lints::default(), false)
            .into_iter()
            .map(|(_, told)| (told.code, told.span()))
            .collect();
        assert!(
            told.contains(&(Code::MOX0844, place)) && told.contains(&(Code::MOX0844, whole)),
            "{told:?}"
        );
        assert_eq!(told.len(), 2, "what the user wrote is judged elsewhere");
    }
}
