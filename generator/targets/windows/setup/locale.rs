//! Languages and keyboards in the words of Windows.

use crate::facts::windows::languages;
use crate::model::{Host, Vm, WindowsGuest};

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
    /// hands, else the one that Windows has for the language.
    pub(super) fn of(host: &Host, vm: &Vm, windows: &WindowsGuest) -> Self {
        let region = windows.locale.0.as_str().to_owned();
        let display = languages::display(vm, windows);
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
    let kin = languages::nearest(language);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{KeyboardLayout, SpecString as _};

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
        for (name, _) in languages::DISPLAY {
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
