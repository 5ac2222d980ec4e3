//! Short names that outside programs define: of NixOS, of Windows, of systemd.

use super::{SpecString, ValueError, spec_string};
use crate::diagnostics::Code;

/// A string with a rule: its code, what it is, and a function that says what is wrong with a text, or nothing.
macro_rules! word {
    ($(#[$doc:meta])* $type:ident, $code:ident, $what:literal, $rule:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $type(pub String);

        impl SpecString for $type {
            const CODE: Code = Code::$code;
            const WHAT: &'static str = $what;

            fn parse(text: &str) -> Result<Self, ValueError> {
                match $rule(text) {
                    Ok(()) => Ok(Self(text.to_owned())),
                    Err(Wrong { what, help }) => {
                        let message = format!("`{}` is not {what}", text.escape_debug());
                        Err(ValueError::whole(text, message).help(help))
                    }
                }
            }
        }
        spec_string!($type, stringify!($type));
    };
}

word!(
    /// Permissions in octal.
    OctalMode,
    MOX0021,
    "permissions in octal, as `\"0660\"`",
    octal_mode
);
word!(
    /// A user's own NixOS module, relative to the spec's folder.
    ModulePath,
    MOX0020,
    "a path relative to the spec, as `\"./web.nix\"`",
    module_path
);
word!(
    /// The name of a command, and of the unit that runs it.
    CommandName,
    MOX0012,
    "a command's name, as `\"copy-photos\"`",
    command_name
);
word!(
    /// A name in nixpkgs or among the services of NixOS, with dots between.
    NixAttribute,
    MOX0012,
    "a name of nixpkgs, as `\"htop\"` or `\"python3Packages.requests\"`",
    nix_attribute
);
word!(
    /// Language and region by BCP 47.
    Locale,
    MOX0021,
    "a language and region, as `\"en-US\"`",
    locale
);
word!(
    /// A local account of Windows.
    WindowsUser,
    MOX0012,
    "a Windows account, as `\"gamer\"`",
    windows_user
);
word!(
    /// The name of a machine in Windows, by the rules of `NetBIOS`.
    ComputerName,
    MOX0012,
    "the name of a machine in Windows, as `\"GAMING-PC\"`",
    computer_name
);
word!(
    /// A package of winget by id.
    WingetId,
    MOX0021,
    "the id of a winget package, as `\"Mozilla.Firefox\"`",
    winget_id
);
word!(
    /// An environment variable.
    EnvironmentName,
    MOX0012,
    "the name of an environment variable",
    environment_name
);
word!(
    /// A flake as `nix` takes it.
    FlakeReference,
    MOX0021,
    "a flake, as `\"github:example/homelab\"`",
    flake_reference
);
word!(
    /// A unit of systemd.
    UnitName,
    MOX0021,
    "a unit, as `\"nginx.service\"`",
    unit_name
);

/// What is wrong with a text: it is not `what`.
struct Wrong {
    what: &'static str,
    help: &'static str,
}

fn unless(fits: bool, what: &'static str, help: &'static str) -> Result<(), Wrong> {
    if fits {
        Ok(())
    } else {
        Err(Wrong { what, help })
    }
}

fn octal_mode(text: &str) -> Result<(), Wrong> {
    let octal = text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    unless(
        text.len() == 4 && text.starts_with('0') && octal,
        "a mode",
        "four octal digits, as `\"0660\"`",
    )
}

fn module_path(text: &str) -> Result<(), Wrong> {
    let parts = text
        .split('/')
        .enumerate()
        .all(|(at, part)| !part.is_empty() && (at == 0 || part != "."));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '/');
    unless(
        parts && text.chars().all(plain),
        "a module's path",
        "a relative path without blanks, as `\"./web.nix\"`",
    )
}

fn command_name(text: &str) -> Result<(), Wrong> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    unless(
        text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(plain),
        "a command's name",
        "lower-case letters, digits and `-`, beginning with a letter",
    )
}

fn nix_attribute(text: &str) -> Result<(), Wrong> {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'\'');
    unless(
        text.split('.')
            .all(|part| part.starts_with(first) && part.bytes().all(plain)),
        "a name of nixpkgs",
        "letters, digits, `_`, `-`, with `.` between",
    )
}

fn locale(text: &str) -> Result<(), Wrong> {
    let parts: Vec<&str> = text.split('-').collect();
    let (language, region) = (parts[0], parts[parts.len() - 1]);
    let part = |part: &&str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    unless(
        (2..=3).contains(&parts.len())
            && parts.iter().all(part)
            && (2..=3).contains(&language.len())
            && language.bytes().all(|b| b.is_ascii_lowercase())
            && region.bytes().all(|b| b.is_ascii_uppercase()),
        "a locale",
        "language and region, as `\"en-US\"` or `\"de-DE\"`",
    )
}

/// The accounts that Windows makes for itself.
const WINDOWS_ACCOUNTS: &[&str] = &[
    "administrator",
    "guest",
    "system",
    "defaultaccount",
    "defaultuser0",
    "helpassistant",
    "local service",
    "localservice",
    "network",
    "network service",
    "networkservice",
    "none",
    "wdagutilityaccount",
];

fn windows_user(text: &str) -> Result<(), Wrong> {
    let barred = |c: char| c.is_control() || "\"/\\[]:;|=,+*?<>@%".contains(c);
    unless(
        !text.is_empty()
            && text.trim() == text
            && text.chars().count() <= 20
            && !text.ends_with('.')
            && !text.chars().any(barred),
        "a Windows account",
        "at most 20 characters, none of `\" / \\ [ ] : ; | = , + * ? < > @ %`",
    )?;
    unless(
        !WINDOWS_ACCOUNTS.contains(&text.to_ascii_lowercase().as_str()),
        "a free name for an account",
        "Windows keeps this name: choose another",
    )
}

fn computer_name(text: &str) -> Result<(), Wrong> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    unless(
        (1..=15).contains(&text.len())
            && text.bytes().all(plain)
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.bytes().all(|b| b.is_ascii_digit()),
        "the name of a machine in Windows",
        "at most 15 letters, digits and `-`, not digits alone",
    )
}

fn winget_id(text: &str) -> Result<(), Wrong> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
    unless(
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.len() <= 128
            && text.bytes().all(plain),
        "the id of a winget package",
        "publisher and name, as `\"Mozilla.Firefox\"`: `winget search NAME` prints it",
    )
}

fn environment_name(text: &str) -> Result<(), Wrong> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    unless(
        !text.is_empty()
            && text.bytes().all(plain)
            && !text.starts_with(|c: char| c.is_ascii_digit()),
        "the name of an environment variable",
        "letters, digits and `_`",
    )
}

/// A word that a command takes as one argument, and not as an option.
fn is_argument(text: &str, beside: &[u8]) -> bool {
    (1..=255).contains(&text.len())
        && !text.starts_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || beside.contains(&b))
}

fn flake_reference(text: &str) -> Result<(), Wrong> {
    unless(
        is_argument(text, b":/._-+?=&%@~#"),
        "a flake",
        "a flake reference without blanks: `\"github:owner/name\"`, `\"/etc/nixos\"`, \
         `\"git+https://…\"`",
    )
}

fn unit_name(text: &str) -> Result<(), Wrong> {
    unless(
        is_argument(text, b":_.@-\\"),
        "a unit",
        "the name that `systemctl list-units` shows",
    )
}
