//! Bash: words that mean what they say, and command lines made of them.
//!
//! Comes in: any text. Goes out: a word that bash reads as exactly that text, whatever stands in it. There is nothing
//! else to get right: scripts themselves come from templates, which write every value through [`quote`].

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// `text` as one word of bash: bare where no character means anything to the shell, else in quotes.
///
/// Two quoted texts beside each other are read as one word, so a value may be written in pieces. A control character is
/// spelt out in `$'…'`, so that a script stays readable and no terminal obeys it. A NUL, which no argument of a process
/// can hold, becomes U+FFFD.
pub fn quote(text: &str) -> Cow<'_, str> {
    if text.is_empty() {
        return Cow::Borrowed("''");
    }
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 8);
    if has_control(text) {
        quoted.push_str("$'");
        for c in text.chars() {
            match c {
                '\'' | '\\' => {
                    quoted.push('\\');
                    quoted.push(c);
                }
                '\n' => quoted.push_str("\\n"),
                '\t' => quoted.push_str("\\t"),
                '\r' => quoted.push_str("\\r"),
                '\0' => quoted.push('\u{fffd}'),
                // By bytes and in octal of three digits: a digit that follows cannot be taken in, and the locale of
                // the reading shell does not matter.
                c if c.is_control() => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        write!(quoted, "\\{byte:03o}").expect("a string takes all text");
                    }
                }
                c => quoted.push(c),
            }
        }
        quoted.push('\'');
    } else {
        quoted.push('\'');
        quoted.push_str(&text.replace('\'', r"'\''"));
        quoted.push('\'');
    }
    Cow::Owned(quoted)
}

/// Whether a control character is in it: of most texts, which are ASCII, one look at many bytes at a time tells.
fn has_control(text: &str) -> bool {
    if text.is_ascii() {
        text.bytes()
            .fold(false, |found, byte| found | byte.is_ascii_control())
    } else {
        text.contains(char::is_control)
    }
}

/// Whether a byte means nothing to bash anywhere in a word. `~` and `=` do where a word begins or is a command's.
fn is_plain(byte: u8) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte: u8 = 0;
        while byte < 128 {
            plain[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'_' | b'-' | b'.' | b'/' | b':' | b'@' | b'%' | b'+' | b','
                );
            byte += 1;
        }
        plain
    };
    PLAIN[usize::from(byte)]
}

/// A command line: a program and its arguments, printed so that bash starts exactly that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    words: Vec<String>,
}

impl Command {
    /// The program alone.
    pub fn new(program: impl fmt::Display) -> Self {
        Self {
            words: vec![program.to_string()],
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl fmt::Display) -> Self {
        self.words.push(argument.to_string());
        self
    }

    /// Further arguments.
    #[must_use]
    pub fn args<T: fmt::Display>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.words
            .extend(arguments.into_iter().map(|argument| argument.to_string()));
        self
    }

    /// Program and arguments, as the process gets them.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The same, without a copy.
    pub fn into_words(self) -> Vec<String> {
        self.words
    }
}

/// On one line.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.words.iter().enumerate() {
            if at > 0 {
                f.write_char(' ')?;
            }
            f.write_str(&quote(word))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_words_stay_bare_and_others_are_quoted() {
        for (text, quoted) in [
            ("", "''"),
            ("/dev/disk/by-id/ata-X_1", "/dev/disk/by-id/ata-X_1"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("~root", "'~root'"),
            ("$(reboot)", "'$(reboot)'"),
            ("a=b", "'a=b'"),
            ("a\nb", r"$'a\nb'"),
            ("\u{1b}[2J'\\", r"$'\033[2J\'\\'"),
            ("\u{85}1", r"$'\302\2051'"),
            ("ä", "'ä'"),
            ("a\0b", "$'a\u{fffd}b'"),
        ] {
            assert_eq!(quote(text), quoted, "{text:?}");
        }
    }

    #[test]
    fn a_command_is_one_line_of_words() {
        let command = Command::new("zfs")
            .args(["set", "quota=5 G"])
            .arg("rpool/a;b");
        assert_eq!(command.to_string(), "zfs set 'quota=5 G' 'rpool/a;b'");
    }

    /// Reads one word as bash does, for the two kinds of quotes and the bare words that `quote` writes.
    fn read(word: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut rest = word;
        while !rest.is_empty() {
            if let Some(inner) = rest.strip_prefix("$'") {
                let mut bytes = inner.bytes();
                loop {
                    match bytes.next()? {
                        b'\'' => break,
                        b'\\' => match bytes.next()? {
                            b'n' => out.push(b'\n'),
                            b't' => out.push(b'\t'),
                            b'r' => out.push(b'\r'),
                            c @ (b'\'' | b'\\') => out.push(c),
                            first @ b'0'..=b'7' => {
                                let digits = [first, bytes.next()?, bytes.next()?];
                                let text = std::str::from_utf8(&digits).ok()?;
                                out.push(u8::from_str_radix(text, 8).ok()?);
                            }
                            _ => return None,
                        },
                        c => out.push(c),
                    }
                }
                rest = &inner[inner.len() - bytes.len()..];
            } else if let Some(inner) = rest.strip_prefix('\'') {
                let end = inner.find('\'')?;
                out.extend(inner[..end].bytes());
                rest = &inner[end + 1..];
            } else if let Some(inner) = rest.strip_prefix(r"\'") {
                out.push(b'\'');
                rest = inner;
            } else {
                let end = rest
                    .find(|c: char| !c.is_ascii() || !is_plain(c as u8))
                    .unwrap_or(rest.len());
                if end == 0 {
                    return None;
                }
                out.extend(rest[..end].bytes());
                rest = &rest[end..];
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn a_quoted_word_reads_back(text in "[\\PC\\x00-\\x1f'\\\\ ~$`\"a0]{0,12}", more in "[ a'\\n]{0,3}") {
            prop_assert_eq!(read(&quote(&text)), Some(text.replace('\0', "\u{fffd}").into_bytes()));
            let both = format!("{}{}", quote(&text), quote(&more));
            prop_assert_eq!(read(&both), Some(format!("{text}{more}").replace('\0', "\u{fffd}").into_bytes()));
        }
    }
}
