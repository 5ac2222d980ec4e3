//! The names that a machine and its accounts have in Windows.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::facts::windows::computer_name;
use crate::model::{Guest, Vm, WindowsGuest};
use crate::source::Span;

/// Reports MOX0632 and MOX0670.
pub(super) fn check(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    machine(guest, vm, windows, sink);
    accounts(windows, sink);
}

/// A name that `NetBIOS` cannot carry, or that the user has.
fn machine(guest: &Guest, vm: &Vm, windows: &WindowsGuest, sink: &mut Sink) {
    let (name, span) = computer_name(guest, windows);
    // What is installed has its name already.
    if windows.computer_name.is_none() && *vm.installed {
        return;
    }
    let wrong = if name.len() > 15 {
        format!("it has {} characters, at most 15", name.len())
    } else if name.bytes().all(|b| b.is_ascii_digit()) {
        "it has digits alone".to_owned()
    } else if name.eq_ignore_ascii_case(&windows.user.0) {
        "its user has the same name".to_owned()
    } else {
        return;
    };
    let mut diagnostic = Diagnostic::new(
        Code::MOX0632,
        span,
        format!("Windows cannot have the name `{name}`"),
    )
    .label(wrong);
    if windows.computer_name.is_none() {
        diagnostic = diagnostic
            .help("give it another one in Windows: `computer-name = \"…\"` in its table `windows`");
    }
    sink.push(diagnostic);
}

/// Windows does not tell `Maria` from `maria`, nor an account from the machine.
fn accounts(windows: &WindowsGuest, sink: &mut Sink) {
    let mut seen: Vec<(String, Span, &str)> = vec![(
        windows.user.0.to_ascii_lowercase(),
        windows.user.span,
        "the user that the setup makes",
    )];
    if let Some(computer) = &windows.computer_name {
        seen.push((
            computer.0.to_ascii_lowercase(),
            computer.span,
            "the machine's name",
        ));
    }
    for account in &windows.users {
        let name = account.name.value.to_ascii_lowercase();
        if let Some((_, span, what)) = seen.iter().find(|(other, ..)| *other == name) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0670,
                    account.name.span,
                    format!("`{}` is taken in Windows", account.name.value),
                )
                .also(*span, format!("by {what}"))
                .help("give the account another name"),
            );
        }
        seen.push((name, account.name.span, "this account"));
    }
}
