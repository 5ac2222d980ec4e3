//! Command lines of Windows: one string, which each program splits by itself.

/// One argument as the C runtime of Microsoft reads it back (`CommandLineToArgvW`, "Parsing C++ command-line arguments"):
/// blanks only count between quotes, `\"` is a quote, and backslashes stand for themselves but before a quote.
///
/// This is what a program is handed, not what a shell reads: `cmd.exe` has further rules, and so has the Task Scheduler,
/// which fills in `%NAME%` and `$(Arg0)`. No value of a spec that may hold either goes into a task.
fn quote(argument: &str) -> String {
    let is_bare = !argument.is_empty() && !argument.contains([' ', '\t', '\n', '\u{B}', '"']);
    if is_bare {
        return argument.to_owned();
    }
    let mut out = String::from("\"");
    let mut backslashes = 0;
    for c in argument.chars() {
        match c {
            '\\' => {
                backslashes += 1;
                continue;
            }
            // Those before a quote are doubled, and one more makes the quote itself a character.
            '"' => out.extend(std::iter::repeat_n('\\', 2 * backslashes + 1)),
            _ => out.extend(std::iter::repeat_n('\\', backslashes)),
        }
        backslashes = 0;
        out.push(c);
    }
    // The closing quote must stay one.
    out.extend(std::iter::repeat_n('\\', 2 * backslashes));
    out.push('"');
    out
}

/// Arguments as one string.
pub(super) fn join<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = arguments.into_iter().map(quote).collect();
    quoted.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `CommandLineToArgvW` behind the program's name, by its documentation.
    fn split(line: &str) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut current: Option<String> = None;
        let (mut quoted, mut backslashes) = (false, 0);
        for c in line.chars() {
            if c == '\\' {
                backslashes += 1;
                current.get_or_insert_default();
                continue;
            }
            let pending = std::mem::take(&mut backslashes);
            let text = "\\".repeat(if c == '"' { pending / 2 } else { pending });
            if !text.is_empty() {
                current.get_or_insert_default().push_str(&text);
            }
            match c {
                '"' if pending % 2 == 1 => current.get_or_insert_default().push('"'),
                '"' => {
                    quoted = !quoted;
                    current.get_or_insert_default();
                }
                ' ' | '\t' if !quoted => arguments.extend(current.take()),
                _ => current.get_or_insert_default().push(c),
            }
        }
        if let Some(last) = current.as_mut() {
            last.push_str(&"\\".repeat(backslashes));
        }
        arguments.extend(current);
        arguments
    }

    #[test]
    fn arguments_are_quoted_where_they_must_be() {
        for (argument, quoted) in [
            ("plain", "plain"),
            (r"C:\x\y.nu", r"C:\x\y.nu"),
            ("", "\"\""),
            (r"C:\Program Files\x.nu", "\"C:\\Program Files\\x.nu\""),
            (r"a b\", r#""a b\\""#),
            (r#"a"b"#, r#""a\"b""#),
            (r#"a\"b"#, r#""a\\\"b""#),
        ] {
            assert_eq!(quote(argument), quoted);
        }
    }

    proptest! {
        #[test]
        fn arguments_come_back(arguments in prop::collection::vec("[ \t\"\\\\ab$%ß]{0,8}", 0..5)) {
            let line = join(arguments.iter().map(String::as_str));
            prop_assert_eq!(split(&line), arguments);
        }
    }
}
