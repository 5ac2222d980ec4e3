//! Nushell: literals that mean what they say, and modules made of them.
//!
//! Comes in: text, numbers, lists and records. Goes out: a literal that every Nushell of [`OLDEST`] to [`NEWEST`] reads
//! as exactly that value, wherever an expression may stand. Scripts themselves are written by hand
//! (`templates/windows/*.nu`) and hold nothing of a spec: what a spec says reaches them as data, in one module of
//! constants ([`Module`]), so that nothing is ever quoted in a script.

use std::fmt::{self, Write as _};

/// The oldest Nushell that the generated scripts are tried with.
pub const OLDEST: &str = "0.108.0";

/// The newest Nushell that the generated scripts are tried with.
pub const NEWEST: &str = "0.115.1";

/// A literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// Text.
    String(String),
    /// A whole number.
    Int(i64),
    /// `true` or `false`.
    Bool(bool),
    /// A list.
    List(Vec<Literal>),
    /// A record; its fields keep their order, and each is there once.
    Record(Vec<(String, Literal)>),
}

impl Literal {
    /// A list of texts.
    pub fn strings<T: fmt::Display>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(
            texts
                .into_iter()
                .map(|text| Self::String(text.to_string()))
                .collect(),
        )
    }

    /// A record of these fields.
    pub fn record<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Record(
            fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }
}

impl From<&str> for Literal {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Literal {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Literal {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<u32> for Literal {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl<T: Into<Literal>> From<Vec<T>> for Literal {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

/// `text` as a literal in double quotes.
///
/// Of all forms of a string this one alone breaks on nothing (`'…'` ends at its quote, `r#'…'#` at its own mark, a bare
/// word changes its type). `\` and `"` are escaped; so are control characters and those that a reader cannot see or that
/// turn the line round (U+2028, U+FEFF, marks of direction), which an editor would show as something else than Nushell
/// reads. `$`, `(`, `'`, `#` and backticks mean nothing in it.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if is_unseen(c) => {
                write!(quoted, "\\u{{{:x}}}", u32::from(c)).expect("a string takes all text");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a character is written by its number.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

/// Text of a comment: a line break would end it, and the rest would be run.
pub fn comment(text: &str) -> String {
    text.replace(is_unseen, " ")
}

/// Whether a field may stand without quotes.
fn is_plain_field(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !matches!(name, "true" | "false" | "null" | "inf" | "nan")
}

/// On as few lines as can be read: what holds no record or list stands on one.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, 0)
    }
}

impl Literal {
    fn is_flat(&self) -> bool {
        match self {
            Self::String(_) | Self::Int(_) | Self::Bool(_) => true,
            Self::List(items) => items.is_empty(),
            Self::Record(fields) => fields.is_empty(),
        }
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(&quote(text)),
            Self::Int(number) => write!(f, "{number}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::List(items) if items.is_empty() => f.write_str("[]"),
            Self::List(items) => {
                f.write_str("[\n")?;
                for item in items {
                    indent(f, depth + 1)?;
                    item.print(f, depth + 1)?;
                    f.write_char('\n')?;
                }
                indent(f, depth)?;
                f.write_char(']')
            }
            Self::Record(fields) if fields.is_empty() => f.write_str("{}"),
            // One of a list of records reads best as a row; the outermost reads best as lines.
            Self::Record(fields) if depth > 0 && fields.iter().all(|(_, v)| v.is_flat()) => {
                f.write_char('{')?;
                for (at, (name, value)) in fields.iter().enumerate() {
                    if at > 0 {
                        f.write_str(", ")?;
                    }
                    field(f, name)?;
                    value.print(f, depth)?;
                }
                f.write_char('}')
            }
            Self::Record(fields) => {
                f.write_str("{\n")?;
                for (name, value) in fields {
                    indent(f, depth + 1)?;
                    field(f, name)?;
                    value.print(f, depth + 1)?;
                    f.write_char('\n')?;
                }
                indent(f, depth)?;
                f.write_char('}')
            }
        }
    }
}

fn indent(f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
    for _ in 0..depth {
        f.write_str("  ")?;
    }
    Ok(())
}

fn field(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if is_plain_field(name) {
        write!(f, "{name}: ")
    } else {
        write!(f, "{}: ", quote(name))
    }
}

/// A module of constants: data for scripts that are written by hand.
#[derive(Debug, Clone, Default)]
pub struct Module {
    header: Vec<String>,
    constants: Vec<(&'static str, String, Literal)>,
}

impl Module {
    /// A module that opens with these lines as comments.
    pub fn new<T: fmt::Display>(header: impl IntoIterator<Item = T>) -> Self {
        Self {
            header: header.into_iter().map(|line| line.to_string()).collect(),
            constants: Vec::new(),
        }
    }

    /// One more constant with what it says about itself. `name` is one of ours: a word of small letters, digits and `_`.
    #[must_use]
    pub fn constant(
        mut self,
        name: &'static str,
        says: impl Into<String>,
        value: impl Into<Literal>,
    ) -> Self {
        debug_assert!(is_plain_field(name), "{name}");
        self.constants.push((name, says.into(), value.into()));
        self
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.header {
            writeln!(f, "{}", format!("# {}", comment(line)).trim_end())?;
        }
        for (name, says, value) in &self.constants {
            write!(f, "\n# {}\nexport const {name} = {value}\n", comment(says))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What Nushell reads: the inverse of [`quote`], written from the language's own rules.
    fn read(literal: &str) -> String {
        let inner = literal
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .expect("two quotes");
        let mut text = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            assert!(c != '"', "ends within: {literal}");
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next().expect("something escaped") {
                c @ ('"' | '\\') => text.push(c),
                'u' => {
                    assert_eq!(chars.next(), Some('{'));
                    let digits: String = chars.by_ref().take_while(|c| *c != '}').collect();
                    let number = u32::from_str_radix(&digits, 16).expect("hexadecimal");
                    text.push(char::from_u32(number).expect("a character"));
                }
                other => panic!("`\\{other}` is not ours"),
            }
        }
        text
    }

    #[test]
    fn strings_are_quoted_and_what_nobody_sees_is_numbered() {
        for (text, quoted) in [
            ("", r#""""#),
            ("Mozilla.Firefox", r#""Mozilla.Firefox""#),
            (r"D:\Steam\", r#""D:\\Steam\\""#),
            (r#"a "b" 'c'"#, r#""a \"b\" 'c'""#),
            ("$env.X (1) `ls` #", r#""$env.X (1) `ls` #""#),
            ("a\nb\tc\0", r#""a\u{a}b\u{9}c\u{0}""#),
            (
                "ä\u{feff}\u{2028}\u{202e}",
                r#""ä\u{feff}\u{2028}\u{202e}""#,
            ),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn records_and_lists_are_laid_out() {
        let value = Literal::record([
            ("user", "gamer".into()),
            ("none", Literal::List(Vec::new())),
            ("two words", true.into()),
            (
                "games",
                vec![Literal::record([
                    ("app_id", 252_490.into()),
                    ("name", "Rust".into()),
                ])]
                .into(),
            ),
        ]);
        let module = Module::new(["of\nx"]).constant("moxc_x", "Says\u{2028}it.", value);
        assert_eq!(
            module.to_string(),
            "# of x\n\n# Says it.\nexport const moxc_x = {\n  user: \"gamer\"\n  none: []\n  \"two words\": true\n  games: [\n    {app_id: 252490, name: \"Rust\"}\n  ]\n}\n"
        );
    }

    proptest! {
        #[test]
        fn a_literal_is_read_back_as_it_was(text in any::<String>()) {
            let literal = quote(&text);
            prop_assert_eq!(read(&literal), text);
            prop_assert!(!literal.contains(|c: char| is_unseen(c)));
        }

        #[test]
        fn a_comment_is_one_line(text in any::<String>()) {
            let line = comment(&text);
            prop_assert!(!line.contains(['\n', '\r', '\u{2028}', '\u{85}']), "{line:?}");
        }
    }
}
