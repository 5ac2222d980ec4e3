//! PowerShell: literals that Windows PowerShell 5.1 and PowerShell 7 read as written.
//!
//! A script without a byte order mark is ANSI to Windows PowerShell 5.1 and UTF-8 to PowerShell 7 (`about_Character_Encoding`),
//! so a generated script is ASCII: every other character is written by its number.

use std::fmt::Write as _;

/// A literal of exactly `text`, in ASCII: `'it''s'`, or `('Schr' + [char]0xF6 + 'dinger')`. It may stand wherever an
/// expression or an argument of a command may.
///
/// In a verbatim string nothing means anything but the quote, which is doubled (`about_Quoting_Rules`). PowerShell takes
/// U+2018 to U+201B for the same quote; like everything else that is no printable ASCII they are written by number, as
/// are control characters: a line break would else depend on how the script was copied.
pub fn quote(text: &str) -> String {
    let is_plain = |c: char| matches!(c, ' '..='~');
    if text.chars().all(is_plain) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    // A string stands first: `[char] + string` would be a sum of numbers.
    let mut out = String::from("('");
    let mut open = true;
    for c in text.chars() {
        if is_plain(c) {
            if !open {
                out.push_str(" + '");
                open = true;
            }
            out.push(c);
            if c == '\'' {
                out.push(c);
            }
            continue;
        }
        if open {
            out.push('\'');
            open = false;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            write!(out, " + [char]0x{unit:X}").expect("a string takes all text");
        }
    }
    out.push_str(if open { "')" } else { ")" });
    out
}

/// `text` for a comment: one line of printable ASCII, which cannot end the comment in either encoding.
pub fn comment(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            ' '..='~' => c,
            c if c.is_control() => ' ',
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What PowerShell makes of a literal, by its documented rules: verbatim strings, `[char]` and `+` in parentheses.
    fn read(literal: &str) -> String {
        let inner = literal.strip_prefix('(').map_or(literal, |rest| {
            rest.strip_suffix(')').expect("a parenthesis")
        });
        let mut units: Vec<u16> = Vec::new();
        let mut rest = inner;
        loop {
            if let Some(number) = rest.strip_prefix("[char]0x") {
                let end = number.find(' ').unwrap_or(number.len());
                units.push(u16::from_str_radix(&number[..end], 16).expect("a number"));
                rest = &number[end..];
            } else {
                let mut at = 1;
                assert!(rest.starts_with('\''), "{rest}");
                loop {
                    let c = rest[at..].chars().next().expect("the string ends");
                    at += c.len_utf8();
                    if c == '\'' {
                        if !rest[at..].starts_with('\'') {
                            break;
                        }
                        at += 1;
                    }
                    units.extend(c.encode_utf16(&mut [0; 2]).iter());
                }
                rest = &rest[at..];
            }
            match rest.strip_prefix(" + ") {
                Some(next) => rest = next,
                None => break,
            }
        }
        assert_eq!(rest, "", "{literal}");
        String::from_utf16(&units).expect("UTF-16")
    }

    #[test]
    fn literals_are_short_where_they_can_be() {
        for (text, literal) in [
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", "'it''s'"),
            (
                "$env:X `n \"q\" # & | ; @{}",
                "'$env:X `n \"q\" # & | ; @{}'",
            ),
            ("it\u{2019}s", "('it' + [char]0x2019 + 's')"),
            ("\u{2018}\u{201B}", "('' + [char]0x2018 + [char]0x201B)"),
            ("a\r\n'b", "('a' + [char]0xD + [char]0xA + '''b')"),
            ("\u{1F600}", "('' + [char]0xD83D + [char]0xDE00)"),
        ] {
            assert_eq!(quote(text), literal);
        }
    }

    #[test]
    fn a_comment_ends_where_its_line_does() {
        assert_eq!(comment("a\nb\u{85}c\u{2028}d #>"), "a b c?d #>");
    }

    proptest! {
        #[test]
        fn a_literal_is_ascii_and_reads_back(text in any::<String>()) {
            let literal = quote(&text);
            prop_assert!(literal.bytes().all(|b| matches!(b, b' '..=b'~')));
            prop_assert_eq!(read(&literal), text);
        }

        #[test]
        fn quotes_of_every_kind_read_back(text in "['\u{2018}-\u{201B}$`\"(a\n]{0,12}") {
            prop_assert_eq!(read(&quote(&text)), text);
        }
    }
}
