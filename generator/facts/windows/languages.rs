//! The languages that Windows is displayed in, and which of them a guest gets.

use crate::model::{Vm, WindowsGuest};
use crate::value::VmOs;

/// The languages that Windows is displayed in, and whether a server is, too ("Available languages for Windows": "in Windows
/// Server 2012 and later the user interface is localized only for the 18 languages in bold"). An installation medium has one.
pub const DISPLAY: &[(&str, bool)] = &[
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

/// The language of a guest's menus: the one that is written, else that of its region; the nearest that there is, where a
/// medium of its system has none in that.
pub fn display(vm: &Vm, windows: &WindowsGuest) -> &'static str {
    let written = windows.display_language.as_ref();
    let wanted = written.map_or(&windows.locale.value, |written| &written.value);
    nearest_in(*vm.os, wanted.0.as_str())
}

/// The language of menus that is the nearest of all to a language and region.
pub fn nearest(locale: &str) -> &'static str {
    nearest_with(locale, |_| true)
}

/// The nearest in which there is a medium of a system.
fn nearest_in(os: VmOs, locale: &str) -> &'static str {
    nearest_with(locale, |server| server || !os.is_windows_server())
}

/// The language of menus for a language and region: itself, else its language's first, else that of the United States.
fn nearest_with(locale: &str, has: impl Fn(bool) -> bool) -> &'static str {
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
            assert_eq!(nearest_in(VmOs::Windows11, locale), client, "{locale}");
            let found = nearest_in(VmOs::WindowsServer2022, locale);
            assert_eq!(found, server, "{locale}");
        }
        let servers = DISPLAY.iter().filter(|(_, server)| *server).count();
        assert_eq!((DISPLAY.len(), servers), (38, 18));
    }
}
