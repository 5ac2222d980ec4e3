//! Languages and keyboards in the words of Windows.

use crate::model::{Host, WindowsGuest};

/// The languages that Windows can be displayed in ("Available languages for Windows"): an installation medium has one.
const DISPLAY: &[&str] = &[
    "ar-SA",
    "bg-BG",
    "cs-CZ",
    "da-DK",
    "de-DE",
    "el-GR",
    "en-US",
    "en-GB",
    "es-ES",
    "es-MX",
    "et-EE",
    "fi-FI",
    "fr-FR",
    "fr-CA",
    "he-IL",
    "hr-HR",
    "hu-HU",
    "it-IT",
    "ja-JP",
    "ko-KR",
    "lt-LT",
    "lv-LV",
    "nb-NO",
    "nl-NL",
    "pl-PL",
    "pt-PT",
    "pt-BR",
    "ro-RO",
    "ru-RU",
    "sk-SK",
    "sl-SI",
    "sr-Latn-RS",
    "sv-SE",
    "th-TH",
    "tr-TR",
    "uk-UA",
    "zh-CN",
    "zh-TW",
];

/// Layouts of Proxmox VE's installer as language and layout of Windows ("Default input locales for Windows language
/// packs", "Keyboard identifiers").
const KEYBOARDS: &[(&str, &str)] = &[
    ("de", "0407:00000407"),
    ("de-ch", "0807:00000807"),
    ("dk", "0406:00000406"),
    ("en-gb", "0809:00000809"),
    ("en-us", "0409:00000409"),
    ("es", "0c0a:0000040a"),
    ("fi", "040b:0000040b"),
    ("fr", "040c:0000040c"),
    ("fr-be", "080c:0000080c"),
    ("fr-ca", "0c0c:00001009"),
    ("fr-ch", "100c:0000100c"),
    ("hu", "040e:0000040e"),
    ("is", "040f:0000040f"),
    ("it", "0410:00000410"),
    // Japanese is typed by an input method and not by a layout alone.
    (
        "jp",
        "0411:{03B5835F-F03C-411B-9CE2-AA23E1171E36}{A76C93D9-5523-4E90-AAFA-4DB112F9AC76}",
    ),
    ("lt", "0427:00010427"),
    ("mk", "042f:0001042f"),
    ("nl", "0413:00000413"),
    ("no", "0414:00000414"),
    ("pl", "0415:00000415"),
    ("pt", "0816:00000816"),
    ("pt-br", "0416:00000416"),
    ("se", "041d:0000041d"),
    ("si", "0424:00000424"),
    ("tr", "041f:0000041f"),
];

/// Language, region and keyboard of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Language {
    /// The language of menus: one that Windows is displayed in.
    pub(super) display: &'static str,
    /// Language and region of dates, numbers and sorting: `de-AT`.
    pub(super) region: String,
    /// The keyboard.
    pub(super) input: String,
}

impl Language {
    /// That of a guest. Its keyboard is its own, else the one that the host's table names, since both are used by the same
    /// hands, else the one that Windows has for the language.
    pub(super) fn of(host: &Host, windows: &WindowsGuest) -> Self {
        let region = windows.locale.0.clone();
        let written = windows.keyboard.as_ref().map(|k| k.value.as_str());
        let keyboard =
            written.or_else(|| host.keyboard.is_written().then(|| host.keyboard.as_str()));
        let input = keyboard.and_then(|keyboard| {
            let mut known = KEYBOARDS.iter();
            known.find(|(name, _)| *name == keyboard)
        });
        Self {
            display: display(&region),
            input: input.map_or_else(|| region.clone(), |(_, input)| (*input).to_owned()),
            region,
        }
    }
}

/// The language of menus for a language and region: itself, else its language's first, else that of the United States.
fn display(locale: &str) -> &'static str {
    let same = |other: &&&str| other.eq_ignore_ascii_case(locale);
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
    let kin = |other: &&&str| other.split('-').next() == Some(language);
    DISPLAY
        .iter()
        .find(same)
        .copied()
        .or(shared)
        .or_else(|| DISPLAY.iter().find(kin).copied())
        .unwrap_or("en-US")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{KeyboardLayout, SpecString as _};

    #[test]
    fn menus_have_a_language_that_windows_has() {
        for (locale, language) in [
            ("en-US", "en-US"),
            ("de-DE", "de-DE"),
            ("de-AT", "de-DE"),
            ("fr-CA", "fr-CA"),
            ("fr-BE", "fr-FR"),
            ("en-AU", "en-US"),
            ("es-AR", "es-MX"),
            ("pt-AO", "pt-PT"),
            ("zh-HK", "zh-TW"),
            ("sr-Latn-RS", "sr-Latn-RS"),
            ("nn-NO", "nb-NO"),
            ("cy-GB", "en-US"),
        ] {
            assert_eq!(display(locale), language, "{locale}");
        }
    }

    #[test]
    fn every_keyboard_of_a_spec_is_one_of_windows() {
        for (name, input) in KEYBOARDS {
            assert!(KeyboardLayout::parse(name).is_ok(), "{name}");
            let (language, layout) = input.split_once(':').expect("two parts");
            assert!(u16::from_str_radix(language, 16).is_ok(), "{input}");
            assert!(
                layout.len() == 8 && u32::from_str_radix(layout, 16).is_ok()
                    || layout.starts_with('{'),
                "{input}"
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
