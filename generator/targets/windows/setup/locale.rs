//! Languages and keyboards in the words of Windows.

use super::editions::is_server;
use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Guest, Host, Vm, WindowsGuest};
use crate::value::VmOs;

/// The languages that Windows is displayed in, and whether a server is, too ("Available languages for Windows": "in Windows
/// Server 2012 and later the user interface is localized only for the 18 languages in bold"). An installation medium has one.
const DISPLAY: &[(&str, bool)] = &[
    ("ar-SA", false),
    ("bg-BG", false),
    ("cs-CZ", true),
    ("da-DK", false),
    ("de-DE", true),
    ("el-GR", false),
    ("en-US", true),
    ("en-GB", false),
    ("es-ES", true),
    ("es-MX", false),
    ("et-EE", false),
    ("fi-FI", false),
    ("fr-FR", true),
    ("fr-CA", false),
    ("he-IL", false),
    ("hr-HR", false),
    ("hu-HU", true),
    ("it-IT", true),
    ("ja-JP", true),
    ("ko-KR", true),
    ("lt-LT", false),
    ("lv-LV", false),
    ("nb-NO", false),
    ("nl-NL", true),
    ("pl-PL", true),
    ("pt-PT", true),
    ("pt-BR", true),
    ("ro-RO", false),
    ("ru-RU", true),
    ("sk-SK", false),
    ("sl-SI", false),
    ("sr-Latn-RS", false),
    ("sv-SE", true),
    ("th-TH", false),
    ("tr-TR", true),
    ("uk-UA", false),
    ("zh-CN", true),
    ("zh-TW", true),
];

/// Layouts of Proxmox VE's installer as those of Windows ("Keyboard identifiers and input method editors for Windows").
const KEYBOARDS: &[(&str, &str)] = &[
    ("de", "00000407"),
    ("de-ch", "00000807"),
    ("dk", "00000406"),
    ("en-gb", "00000809"),
    ("en-us", "00000409"),
    ("es", "0000040a"),
    ("fi", "0000040b"),
    ("fr", "0000040c"),
    ("fr-be", "0000080c"),
    ("fr-ca", "00001009"),
    ("fr-ch", "0000100c"),
    ("hu", "0000040e"),
    ("is", "0000040f"),
    ("it", "00000410"),
    ("jp", "00000411"),
    ("lt", "00010427"),
    ("mk", "0001042f"),
    ("nl", "00000413"),
    ("no", "00000414"),
    ("pl", "00000415"),
    ("pt", "00000816"),
    ("pt-br", "00000416"),
    ("se", "0000041d"),
    ("si", "00000424"),
    ("tr", "0000041f"),
];

/// Languages that are typed by an input method and not by a layout alone, with Windows' own one (the same page).
const INPUT_METHODS: &[(&str, &str)] = &[
    (
        "ja-JP",
        "0411:{03B5835F-F03C-411B-9CE2-AA23E1171E36}{A76C93D9-5523-4E90-AAFA-4DB112F9AC76}",
    ),
    (
        "ko-KR",
        "0412:{A028AE76-01B1-46C2-99C4-ACD9858AE02F}{B5FE1F02-D5F2-4445-9C03-C568F23C99A1}",
    ),
    (
        "zh-CN",
        "0804:{81D4E9C9-1D3B-41BC-9E6C-4B40BF79E35E}{FA550B04-5AD7-411F-A5AC-CA038EC515D7}",
    ),
    (
        "zh-TW",
        "0404:{B115690A-EA02-48D5-A231-E3578D2FDF80}{B2F9C502-1742-11D4-9790-0080C882687E}",
    ),
];

/// Languages and regions with their numbers, a line each.
const NUMBERS: &str = include_str!("locales.txt");

/// Language, region and keyboard of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Language {
    /// The language of menus: one that Windows is displayed in.
    pub(super) display: &'static str,
    /// Language and region of dates, numbers and sorting: `de-AT`.
    pub(super) region: String,
    /// What is typed with: language and keyboard, or input methods, with `;` between them.
    pub(super) input: String,
}

impl Language {
    /// That of a guest. Its keyboard is its own, else the one that the host's table names, since both are used by the same
    /// hands, else the one that Windows has for the language. Reports MOX0639.
    pub(super) fn of(
        host: &Host,
        guest: &Guest,
        vm: &Vm,
        windows: &WindowsGuest,
        sink: &mut Sink,
    ) -> Self {
        let region = windows.locale.0.as_str().to_owned();
        let display = display_of(guest, vm, windows, &region, sink);
        let written = windows.keyboard.as_ref().map(|k| k.value.as_str());
        let keyboard =
            written.or_else(|| host.keyboard.is_written().then(|| host.keyboard.as_str()));
        let layout = keyboard.and_then(|keyboard| {
            let mut known = KEYBOARDS.iter();
            known
                .find(|(name, _)| *name == keyboard)
                .map(|(_, layout)| *layout)
        });
        Self {
            display,
            input: layout.map_or_else(|| region.clone(), |layout| input(&region, display, layout)),
            region,
        }
    }
}

/// The language that is typed in is the region's own, else that of the menus: a keyboard brings none of its own.
fn input(region: &str, display: &str, layout: &str) -> String {
    let (language, number) = number(region)
        .map(|number| (region, number))
        .or_else(|| number(display).map(|number| (display, number)))
        .unwrap_or(("en-US", "0409"));
    let plain = format!("{number}:{layout}");
    let kin = nearest(language, |_| true);
    match INPUT_METHODS.iter().find(|(name, _)| *name == kin) {
        Some((_, method)) => format!("{method};{plain}"),
        None => plain,
    }
}

/// The number of a language and region.
fn number(locale: &str) -> Option<&'static str> {
    NUMBERS
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| name.eq_ignore_ascii_case(locale))
        .map(|(_, number)| number)
}

/// Whether a Windows is displayed in a language of the table.
fn has(os: VmOs) -> impl Fn(bool) -> bool {
    move |server| server || !is_server(os)
}

/// The language of menus: the one that is written, else the nearest that there is.
fn display_of(
    guest: &Guest,
    vm: &Vm,
    windows: &WindowsGuest,
    region: &str,
    sink: &mut Sink,
) -> &'static str {
    let Some(written) = &windows.display_language else {
        return nearest(region, has(*vm.os));
    };
    let near = nearest(written.value.0.as_str(), has(*vm.os));
    if !near.eq_ignore_ascii_case(written.value.0.as_str()) {
        sink.push(
            Diagnostic::new(
                Code::MOX0639,
                written.span,
                format!("no medium of `{}` is in `{}`", *vm.os, written.value.0.as_str()),
            )
            .also(
                vm.os.span,
                format!("the system of `{}`", guest.name.value),
            )
            .help(format!(
                "take `{near}`, which is the nearest, or leave the key out: dates and numbers come from `locale`"
            )),
        );
    }
    near
}

/// The language of menus for a language and region: itself, else its language's first, else that of the United States.
fn nearest(locale: &str, has: impl Fn(bool) -> bool) -> &'static str {
    let there = || {
        DISPLAY
            .iter()
            .filter(|(_, server)| has(*server))
            .map(|(name, _)| *name)
    };
    let language = locale.split('-').next().unwrap_or_default();
    // Traditional characters are Taiwan's medium, and Latin America has one of its own.
    let region = locale.rsplit('-').next().unwrap_or_default();
    let shared = match (language, region) {
        ("zh", "HK" | "MO") => Some("zh-TW"),
        ("es", "ES") => None,
        ("es", _) => Some("es-MX"),
        ("no" | "nn", _) => Some("nb-NO"),
        _ => None,
    };
    there()
        .find(|other| other.eq_ignore_ascii_case(locale))
        .or_else(|| shared.and_then(|name| there().find(|other| *other == name)))
        .or_else(|| there().find(|other| other.split('-').next() == Some(language)))
        .unwrap_or("en-US")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{KeyboardLayout, SpecString as _};

    #[test]
    fn menus_have_a_language_that_windows_has() {
        for (locale, client, server) in [
            ("en-US", "en-US", "en-US"),
            ("en-GB", "en-GB", "en-US"),
            ("de-DE", "de-DE", "de-DE"),
            ("de-AT", "de-DE", "de-DE"),
            ("da-DK", "da-DK", "en-US"),
            ("fr-CA", "fr-CA", "fr-FR"),
            ("fr-BE", "fr-FR", "fr-FR"),
            ("en-AU", "en-US", "en-US"),
            ("es-MX", "es-MX", "es-ES"),
            ("es-AR", "es-MX", "es-ES"),
            ("pt-AO", "pt-PT", "pt-PT"),
            ("zh-HK", "zh-TW", "zh-TW"),
            ("sr-Latn-RS", "sr-Latn-RS", "en-US"),
            ("nn-NO", "nb-NO", "en-US"),
            ("cy-GB", "en-US", "en-US"),
        ] {
            assert_eq!(nearest(locale, has(VmOs::Windows11)), client, "{locale}");
            let found = nearest(locale, has(VmOs::WindowsServer2022));
            assert_eq!(found, server, "{locale}");
        }
        let servers = DISPLAY.iter().filter(|(_, server)| *server).count();
        assert_eq!((DISPLAY.len(), servers), (38, 18));
    }

    #[test]
    fn a_keyboard_brings_no_language_of_its_own() {
        for (region, display, layout, found) in [
            ("en-US", "en-US", "00000407", "0409:00000407"),
            ("de-AT", "de-DE", "00000407", "0c07:00000407"),
            ("en-DE", "en-US", "00000407", "0409:00000407"),
        ] {
            assert_eq!(input(region, display, layout), found, "{region}");
        }
        let japanese = input("ja-JP", "ja-JP", "00000407");
        assert!(japanese.starts_with("0411:{03B5835F-"), "{japanese}");
        assert!(japanese.ends_with("};0411:00000407"), "{japanese}");
        let hong_kong = input("zh-HK", "zh-TW", "00000409");
        assert!(hong_kong.starts_with("0404:{"), "{hong_kong}");
    }

    #[test]
    fn every_language_of_menus_has_a_number() {
        for (name, _) in DISPLAY {
            assert!(number(name).is_some(), "{name}");
        }
        for line in NUMBERS.lines().skip(1) {
            let (name, number) = line.split_once(' ').expect("a name and a number");
            assert!(
                crate::value::Locale::parse(name).is_ok()
                    && number.len() == 4
                    && u16::from_str_radix(number, 16).is_ok(),
                "{line}"
            );
        }
    }

    #[test]
    fn every_keyboard_of_a_spec_is_one_of_windows() {
        for (name, layout) in KEYBOARDS {
            assert!(KeyboardLayout::parse(name).is_ok(), "{name}");
            assert!(
                layout.len() == 8 && u32::from_str_radix(layout, 16).is_ok(),
                "{layout}"
            );
        }
        let help = KeyboardLayout::parse("none")
            .unwrap_err()
            .help
            .expect("help");
        let all = help.trim_start_matches("one of ").split(", ");
        for name in all {
            assert!(KEYBOARDS.iter().any(|(known, _)| *known == name), "{name}");
        }
    }
}
