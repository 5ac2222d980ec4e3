use std::fmt::Write as _;

use super::args::Explain;
use super::terminal::Terminal;
use super::{Failure, Status};
use crate::diagnostics::{Code, Severity};
use crate::near::{certain, nearest};

/// The longest word that is shown again, in characters.
const LONGEST_SHOWN: usize = 80;

pub(super) fn run(args: &Explain, terminal: &mut Terminal) -> Result<Status, Failure> {
    let Some(code) = &args.code else {
        let mut text = String::new();
        for code in Code::ALL {
            let level = match code.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            writeln!(text, "{code}  {level:<7}  {}", code.title())
                .expect("a string takes all text");
        }
        terminal.result(&text);
        return Ok(Status::Fine);
    };
    if let Ok(code) = code.parse::<Code>() {
        terminal.result(code.explain());
        return Ok(Status::Fine);
    }
    // A longer word is none of a code's, and need not be looked at as a whole.
    let shown: String = code.chars().take(LONGEST_SHOWN).collect();
    if shown.len() < code.len() {
        return Err(Failure::new(format!(
            "no code `{}…`: `moxc explain --list` lists them",
            shown.escape_debug()
        )));
    }
    let codes = || Code::ALL.iter().map(|code| code.as_str());
    // `106` and `mox106` are short for a code.
    let digits: String = code.chars().filter(char::is_ascii_digit).collect();
    let padded = format!("MOX{digits:0>4}");
    let near = codes()
        .find(|known| *known == padded)
        .or_else(|| certain(code, codes()))
        .or_else(|| nearest(code, codes()));
    let hint = near.map_or_else(
        || "`moxc explain --list` lists them".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(Failure::new(format!(
        "no code `{}`: {hint}",
        code.escape_debug()
    )))
}
