//! Unit files of systemd: sections of `Key=value`, with every value written so that systemd reads back what was meant.
//!
//! Comes in: keys of our own and values of any text. Goes out: the file's text. What cannot be written at all, a line that
//! ends in a backslash, is for the caller to refuse ([`ends_badly`]).

use std::fmt::Write as _;

/// A unit file that grows.
///
/// ```
/// use moxc::systemd::Unit;
///
/// let mut unit = Unit::new("Generated.");
/// unit.section("Service").command("ExecStart", &["/bin/echo", "100%", "a b"]);
/// assert_eq!(unit.text(), "# Generated.\n[Service]\nExecStart=/bin/echo 100%% \"a b\"\n");
/// ```
#[derive(Debug, Clone)]
pub struct Unit {
    text: String,
}

/// The length at which a command line goes on in the next line.
const WIDTH: usize = 100;

impl Unit {
    /// A file that `header` marks as generated; it holds no line break.
    pub fn new(header: &str) -> Self {
        Self {
            text: format!("# {header}\n"),
        }
    }

    /// Begins a section: `Unit`, `Service`.
    pub fn section(&mut self, name: &str) -> &mut Self {
        if self.text.contains("\n[") {
            self.text.push('\n');
        }
        self.push(format_args!("[{name}]\n"))
    }

    /// A value of our own, as it stands: words, numbers, specifiers.
    pub fn set(&mut self, key: &str, value: impl std::fmt::Display) -> &mut Self {
        self.push(format_args!("{key}={value}\n"))
    }

    /// A value that is any text, such as a description or a path. `%` opens a specifier (systemd.unit(5)) and is doubled;
    /// a control character becomes a blank.
    pub fn value(&mut self, key: &str, text: &str) -> &mut Self {
        let text = text.replace('%', "%%").replace(char::is_control, " ");
        self.push(format_args!("{key}={text}\n"))
    }

    /// A command line of a program and its arguments, any text each.
    pub fn command<T: AsRef<str>>(&mut self, key: &str, words: &[T]) -> &mut Self {
        self.command_line(key, words);
        self.text.push('\n');
        self
    }

    /// The same with one more argument, a specifier (`%i`).
    pub fn command_with<T: AsRef<str>>(
        &mut self,
        key: &str,
        words: &[T],
        specifier: &str,
    ) -> &mut Self {
        self.command_line(key, words);
        self.push(format_args!(" {specifier}\n"))
    }

    fn command_line<T: AsRef<str>>(&mut self, key: &str, words: &[T]) {
        let mut width = self.line(format_args!("{key}="));
        for (at, word) in words.iter().enumerate() {
            let word = quoted(word.as_ref());
            // An option keeps its value in its line.
            let splits = at > 0 && {
                let before = words[at - 1].as_ref();
                !before.starts_with("--") || before == "--" || word.starts_with('-')
            };
            if splits && width + 1 + word.len() > WIDTH {
                self.text.push_str(" \\\n ");
                width = 1;
            } else if at > 0 {
                self.text.push(' ');
                width += 1;
            }
            self.text.push_str(&word);
            width += word.len();
        }
    }

    /// The file.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn push(&mut self, more: std::fmt::Arguments<'_>) -> &mut Self {
        self.line(more);
        self
    }

    /// Adds to the text, and says how much.
    fn line(&mut self, more: std::fmt::Arguments<'_>) -> usize {
        let before = self.text.len();
        self.text.write_fmt(more).expect("a string takes all text");
        self.text.len() - before
    }
}

/// Whether a value of any text would join the next line to it: by a backslash at its end that no other one takes
/// (systemd.syntax(7)).
pub fn ends_badly(text: &str) -> bool {
    let backslashes = text.bytes().rev().take_while(|byte| *byte == b'\\').count();
    backslashes % 2 == 1
}

/// The name of the unit of a path, without its suffix: systemd-escape(1) with `--path`.
pub fn name_of_path(path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return "-".to_owned();
    }
    let mut name = String::new();
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => name.push(byte.into()),
            other => write!(name, "\\x{other:02x}").expect("a string takes all text"),
        }
    }
    name
}

/// `text` as one word of a command line (systemd.service(5), "Command lines").
///
/// systemd takes quotes and backslashes away first, then expands specifiers (`%`), then variables (`$`): the two signs are
/// doubled inside of quotes as well. A word that begins with `#` or `;` would be a comment where a line goes on with it, and
/// a lone `;` ends the command: they are quoted. A NUL, which no argument can hold, becomes U+FFFD.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    let mut plain = !text.is_empty();
    for c in text.chars() {
        match c {
            'a'..='z'
            | 'A'..='Z'
            | '0'..='9'
            | '_'
            | '-'
            | '.'
            | '/'
            | ':'
            | '@'
            | '+'
            | ','
            | '=' => out.push(c),
            '%' => out.push_str("%%"),
            '$' => out.push_str("$$"),
            '"' | '\\' => {
                plain = false;
                out.push('\\');
                out.push(c);
            }
            '\0' => {
                plain = false;
                out.push('\u{fffd}');
            }
            c if c.is_control() => {
                plain = false;
                write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes all text");
            }
            c => {
                plain = false;
                out.push(c);
            }
        }
    }
    if plain { out } else { format!("\"{out}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unit_names_are_those_of_systemd_escape() {
        for (path, name) in [
            ("/mnt/usb-backup", "mnt-usb\\x2dbackup"),
            ("/", "-"),
            ("/.a/.b", "\\x2ea-.b"),
            ("/mnt/a b%", "mnt-a\\x20b\\x25"),
            ("/ä", "\\xc3\\xa4"),
            ("/dev/disk/by-label/x:y_z", "dev-disk-by\\x2dlabel-x:y_z"),
        ] {
            assert_eq!(name_of_path(path), name);
        }
    }

    #[test]
    fn sections_and_values() {
        let mut unit = Unit::new("Generated.");
        unit.section("Unit")
            .value("Description", "50% of\nit")
            .set("OnFailure", "x@%n.service");
        unit.section("Service").command(
            "ExecStart",
            &["/bin/x", "", ";", "a\"b\\", "$HOME", "\u{1}"],
        );
        assert_eq!(
            unit.text(),
            "# Generated.\n[Unit]\nDescription=50%% of it\nOnFailure=x@%n.service\n\n[Service]\n\
             ExecStart=/bin/x \"\" \";\" \"a\\\"b\\\\\" $$HOME \"\\u0001\"\n"
        );
    }

    #[test]
    fn a_long_command_goes_on_in_the_next_line() {
        let words: Vec<String> = (0..40).map(|n| format!("argument-{n}")).collect();
        let mut unit = Unit::new("");
        unit.command("ExecStart", &words);
        assert!(unit.text().lines().all(|line| line.len() <= WIDTH + 2));
        let options = ["--keep-so-many", "1"].repeat(20);
        let mut keeps = Unit::new("");
        keeps.command("ExecStart", &options);
        assert!(keeps.text().contains(" \\\n --keep"), "{}", keeps.text());
        assert!(!keeps.text().contains(" \\\n 1"), "{}", keeps.text());
        assert_eq!(read(unit.text().split_once("ExecStart=").unwrap().1), words);
    }

    #[test]
    fn a_backslash_at_the_end_joins_lines_unless_another_takes_it() {
        assert!(ends_badly("/a\\") && ends_badly("\\\\\\"));
        assert!(!ends_badly("/a\\\\") && !ends_badly("/a\\b") && !ends_badly(""));
    }

    /// Reads a command line as systemd does: continuation lines, words and quotes, specifiers, variables.
    fn read(line: &str) -> Vec<String> {
        let line = line.trim_end_matches('\n').replace("\\\n", " ");
        let mut words = Vec::new();
        let mut chars = line.chars().peekable();
        loop {
            while chars.next_if(|c| *c == ' ').is_some() {}
            if chars.peek().is_none() {
                return words;
            }
            let mut word = String::new();
            let quote = chars.next_if_eq(&'"').is_some();
            while let Some(c) = chars.next() {
                match c {
                    '"' if quote => break,
                    ' ' if !quote => break,
                    '\\' => match chars.next().unwrap() {
                        'u' => {
                            let digits: String = chars.by_ref().take(4).collect();
                            let number = u32::from_str_radix(&digits, 16).unwrap();
                            word.push(char::from_u32(number).unwrap());
                        }
                        c @ ('"' | '\\') => word.push(c),
                        other => panic!("\\{other}"),
                    },
                    c => word.push(c),
                }
            }
            assert!(!word.replace("%%", "").contains('%'), "{word}");
            assert!(!word.replace("$$", "").contains('$'), "{word}");
            words.push(word.replace("%%", "%").replace("$$", "$"));
        }
    }

    proptest! {
        #[test]
        fn a_command_line_reads_back(words in prop::collection::vec("[\\PC\\x01-\\x1f\\x7f-\\x9f \"'\\\\$%;#a]{0,9}", 1..30)) {
            let mut unit = Unit::new("");
            unit.command("ExecStart", &words);
            let text = unit.text().split_once("ExecStart=").unwrap().1;
            prop_assert_eq!(read(text), words);
            for line in text.lines() {
                prop_assert!(!line.trim_start().starts_with(['#', ';']), "{}", line);
            }
        }

        #[test]
        fn a_value_is_one_line(text in "[\\PC\\x00-\\x1f%a]{0,20}") {
            let mut unit = Unit::new("");
            unit.value("Description", &text);
            prop_assert_eq!(unit.text().matches('\n').count(), 2);
            let value = unit.text().lines().nth(1).unwrap();
            prop_assert!(!value.replace("%%", "").contains('%'));
        }
    }
}
