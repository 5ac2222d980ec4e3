//! When a name that is not known is another one misspelled, and not a name of its own that a newer release has.

use crate::near::nearest_within;

/// The known name that is certainly meant: it differs in capital letters alone, or has two letters swapped. Nobody gives
/// anything such a name beside the old one.
pub(super) fn certain<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let is_swapped = |known: &str| {
        let (a, b) = (name.as_bytes(), known.as_bytes());
        let first = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(0);
        first + 1 < a.len()
            && a[first] == b[first + 1]
            && a[first + 1] == b[first]
            && a[first + 2..] == b[first + 2..]
    };
    known.into_iter().find(|known| {
        name.len() >= 4
            && name.len() == known.len()
            && name != *known
            && (name.eq_ignore_ascii_case(known) || is_swapped(known))
    })
}

/// The known name that is most likely meant: also one with one letter more, less or other than this one of six or more.
pub(super) fn likely<'a, I>(name: &str, known: impl Fn() -> I) -> Option<&'a str>
where
    I: Iterator<Item = &'a str>,
{
    certain(name, known()).or_else(|| {
        nearest_within(name, 1, known()).filter(|near| name.len() >= 6 && !is_another(name, near))
    })
}

/// Whether a name of four letters or more is the known one but for a letter that stands twice in one of them: `zffs`, `gitt`.
pub(super) fn is_doubled(name: &str, known: &str) -> bool {
    let (long, short) = if name.len() > known.len() {
        (name, known)
    } else {
        (known, name)
    };
    let (long, short) = (long.as_bytes(), short.as_bytes());
    long.len() == short.len() + 1
        && long.len() >= 4
        && (1..long.len()).any(|at| {
            long[at] == long[at - 1] && long[..at] == short[..at] && long[at + 1..] == short[at..]
        })
}

/// Whether a name of five letters or more is the known one without a letter from its middle: `ollma`, `dockr`.
pub(super) fn lacks_inner_letter(name: &str, known: &str) -> bool {
    let (short, long) = (name.as_bytes(), known.as_bytes());
    short.len() >= 5
        && long.len() == short.len() + 1
        && (1..short.len()).any(|at| long[..at] == short[..at] && long[at + 1..] == short[at..])
}

/// Whether two names, one letter apart, are as a thing and several of it or a variant of it, or differ in a digit: then
/// both may be there.
pub(super) fn is_another(name: &str, known: &str) -> bool {
    let variant = |one: &str, other: &str| matches!(other.strip_prefix(one), Some(rest) if rest == "s" || rest == "'");
    let has_digits = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
    variant(name, known) || variant(known, name) || has_digits(name) && has_digits(known)
}

/// Whether a name is the one thing of which the known name has several: `rule` of `rules`, `address` of `addresses`.
pub(super) fn is_one_of(name: &str, known: &str) -> bool {
    let ending = |suffix: &str| known.strip_suffix(suffix);
    ending("s") == Some(name)
        || ending("es") == Some(name)
        || ending("ies").is_some_and(|stem| name.strip_suffix('y') == Some(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_that_stands_twice_is_a_slip() {
        for (name, known) in [
            ("zffs", "zfs"),
            ("gitt", "git"),
            ("kresd", "kressd"),
            ("zoom", "zom"),
        ] {
            assert!(is_doubled(name, known), "{name}");
        }
        for (name, known) in [
            ("atop", "htop"),
            ("zfs", "zfsx"),
            ("gt", "git"),
            ("a", "aa"),
            ("zfs", "zfs"),
        ] {
            assert!(!is_doubled(name, known), "{name}");
        }
    }

    #[test]
    fn a_letter_is_lacking_inside_a_name_of_some_length() {
        assert!(lacks_inner_letter("ollma", "ollama"));
        assert!(lacks_inner_letter("dockr", "docker"));
        for (name, known) in [
            ("swayr", "sway"),
            ("git", "gitt"),
            ("nginx", "nginxs"),
            ("inger", "ginger"),
        ] {
            assert!(!lacks_inner_letter(name, known), "{name}");
        }
    }

    #[test]
    fn one_of_several_has_no_ending() {
        for (one, several) in [
            ("rule", "rules"),
            ("address", "addresses"),
            ("key", "keys"),
            ("proxy", "proxies"),
        ] {
            assert!(is_one_of(one, several), "{one}");
            assert!(!is_one_of(several, one), "{several}");
        }
        assert!(!is_one_of("rule", "roles"));
    }

    #[test]
    fn swapped_and_other_letters_are_slips_and_plurals_are_not() {
        let likely = |name: &str| {
            likely(name, || {
                ["nginx", "hostName", "extraArg", "port4", "mkDefault"].into_iter()
            })
        };
        assert_eq!(likely("ngnix"), Some("nginx"));
        assert_eq!(likely("hostname"), Some("hostName"));
        assert_eq!(likely("hostNam"), Some("hostName"));
        assert_eq!(likely("mkDefaul"), Some("mkDefault"));
        for other in ["extraArgs", "port6", "mkDefault'", "ngin", "nothing"] {
            assert_eq!(likely(other), None, "{other}");
        }
    }
}
