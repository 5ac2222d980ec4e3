//! The check over all shell sources: what stands in arithmetic, a subscript, a status or the name of a variable was made by
//! the gate (`nix/modules/scripts/gate.sh`), and no word from outside.
//!
//! It reads bash as far as our own scripts use it: quoting, expansions, here documents, arithmetic, tests. Names are
//! followed by their assignments: a name is *made* where each of its assignments is by the gate, by a literal, by
//! arithmetic, or from another made name. One that is `read`, looped over or filled from a program anywhere is not.

use std::collections::{BTreeMap, BTreeSet};

/// What a value may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Made {
    /// Everything: it is a whole number.
    Number,
    /// The subscript of an associative array: it is a name.
    Name,
    /// Nothing.
    No,
}

/// Kinds of the gate that are whole numbers.
const NUMBERS: &[&str] = &[
    "number", "seconds", "bytes", "size", "vmid", "status", "flag",
];
/// Functions of the libraries that take the name of a variable; their callers write it out.
const BY_NAME: &[&str] = &["value", "number", "one_of", "typed"];

/// One assignment: the function that it stands in, whether the name is that function's own, and where the value is from.
#[derive(Debug, Clone)]
struct Assignment {
    function: String,
    value: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Is(Made),
    /// The same as another name.
    Copy(String),
}

/// Something that wants made names.
#[derive(Debug, Clone)]
struct Use {
    function: String,
    line: usize,
    what: &'static str,
    /// The text that it was found in.
    text: String,
    /// Names that must be numbers, or may be names of an associative array, too.
    names: Vec<(String, Made)>,
    /// Wrong by itself.
    wrong: bool,
}

#[derive(Debug, Default)]
struct Script {
    assignments: BTreeMap<String, Vec<Assignment>>,
    /// Names that a function declares for itself.
    locals: BTreeSet<(String, String)>,
    associative: BTreeSet<String>,
    uses: Vec<Use>,
    functions: BTreeSet<String>,
    /// The commands that are called, each with its line and all of its words.
    calls: Vec<(usize, String, String)>,
}

/// What is wrong with a script, each with its line. `gate` is the gate itself, whose variables a script may read.
pub(super) fn check(gate: &str, text: &str) -> Vec<String> {
    let mut script = Script::default();
    Reader::of(gate, &mut script).commands(&[]);
    script.uses.clear();
    Reader::of(text, &mut script).commands(&[]);
    script.judge()
}

/// Programs that look at this machine's files, or at nothing, and end by themselves: they need no limit of time.
const OF_FILES: &[&str] = &[
    "awk",
    "base64",
    "basename",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "cmp",
    "cp",
    "cut",
    "date",
    "diff",
    "dirname",
    "env",
    "find",
    "flock",
    "grep",
    "head",
    "hostname",
    "id",
    "install",
    "ln",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "od",
    "paste",
    "perl",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "sha1sum",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "tail",
    "tee",
    "timeout",
    "touch",
    "tr",
    "uname",
    "uniq",
    "wc",
];
/// Of bash itself.
const BUILT_IN: &[&str] = &[
    ".", ":", "[", "break", "cd", "command", "continue", "declare", "echo", "exec", "exit",
    "export", "false", "kill", "local", "mapfile", "popd", "printf", "pushd", "pwd", "read",
    "readonly", "return", "set", "shift", "shopt", "source", "test", "trap", "true", "type",
    "ulimit", "umask", "unset", "wait",
];

/// Functions that are called by a name in a variable: `run` calls `show`, and what ends a run was named by the script.
const BY_VALUE: &[&str] = &[
    "$doing \"$@\"",
    "$doing \"$@\" 2>&1",
    "\"$cleanup\"",
    "option \"$word\"",
];

fn is_redirection(word: &str) -> bool {
    word.trim_start_matches(|c: char| c.is_ascii_digit())
        .starts_with(['<', '>'])
}

/// The programs that a script calls past the gate (`hear`, `show`, `run`, `attempt` and what is made of them) and without
/// `timeout`, each with its line: one that hangs is waited for for ever, and what it says has no bound.
pub(super) fn unbounded(gate: &str, text: &str) -> Vec<String> {
    let mut script = Script::default();
    Reader::of(gate, &mut script).commands(&[]);
    script.calls.clear();
    Reader::of(text, &mut script).commands(&[]);
    let mut wrong = Vec::new();
    for (line, command, words) in &script.calls {
        let bare = command.trim_matches(['"', '\'']);
        let is_known = OF_FILES.contains(&bare)
            || BUILT_IN.contains(&bare)
            || script.functions.contains(bare)
            || is_redirection(bare)
            || BY_VALUE.contains(&words.as_str())
            // A value of a template, and what follows on one.
            || bare.starts_with(['0', '-'])
            || bare.ends_with("=0");
        // A lock has to be waited for with a limit, or not at all; a limit has to be one that nothing outlives.
        let is_bad = match bare {
            "flock" => !words.contains("--timeout ") && !words.contains("--nonblock"),
            "timeout" => !words.starts_with("timeout -k 5 "),
            "exec" => words.split(' ').nth(1).is_some_and(|word| {
                !word.starts_with('{') && !word.contains(['<', '>']) && word != "perl"
            }),
            _ => false,
        };
        if is_bad || !is_known {
            wrong.push(format!("line {line}: {words}"));
        }
    }
    wrong
}

impl Script {
    fn scope<'a>(&self, function: &'a str, name: &str) -> &'a str {
        if self
            .locals
            .contains(&(function.to_owned(), name.to_owned()))
        {
            function
        } else {
            ""
        }
    }

    /// What a name is, as a function sees it.
    fn made(&self, function: &str, name: &str, seen: &mut Vec<(String, String)>) -> Made {
        match name {
            "SECONDS" | "EUID" | "LINENO" | "EPOCHSECONDS" => return Made::Number,
            _ => {}
        }
        let scope = self.scope(function, name).to_owned();
        let key = (scope.clone(), name.to_owned());
        if seen.contains(&key) {
            // Round a ring nothing comes in.
            return Made::Number;
        }
        seen.push(key);
        let Some(assignments) = self.assignments.get(name) else {
            return Made::No;
        };
        let mut worst = Made::Number;
        let mut any = false;
        for assignment in assignments {
            let from = self.scope(&assignment.function, name);
            // A function may be called from where the name is another's own: what is assigned to no name of its own
            // counts everywhere.
            if from != scope && !from.is_empty() {
                continue;
            }
            any = true;
            let made = match &assignment.value {
                Source::Is(made) => *made,
                Source::Copy(other) => self.made(&assignment.function, other, seen),
            };
            worst = worst.max(made);
        }
        if any { worst } else { Made::No }
    }

    fn judge(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for one in &self.uses {
            let text: String = one.text.split_whitespace().collect::<Vec<_>>().join(" ");
            if one.wrong {
                wrong.push(format!("line {}: {}: {text}", one.line, one.what));
                continue;
            }
            for (name, at_least) in &one.names {
                let made = self.made(&one.function, name, &mut Vec::new());
                if made > *at_least {
                    wrong.push(format!(
                        "line {}: {}: `{name}` was not made by the gate: {text}",
                        one.line, one.what
                    ));
                }
            }
        }
        wrong.sort();
        wrong.dedup();
        wrong
    }
}

/// Reads commands from a text.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    function: String,
    /// The functions that are open, each with the depth of braces at which it ends.
    ends: Vec<(String, usize)>,
    depth: usize,
    heredocs: Vec<(String, bool, bool)>,
    script: &'a mut Script,
    /// Where each line ends.
    ends_of_lines: Vec<usize>,
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_name_byte) && !text.as_bytes()[0].is_ascii_digit()
}

impl<'a> Reader<'a> {
    fn of(text: &'a str, script: &'a mut Script) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            function: String::new(),
            ends: Vec::new(),
            depth: 0,
            heredocs: Vec::new(),
            script,
            ends_of_lines: text.match_indices('\n').map(|(at, _)| at).collect(),
        }
    }

    fn line(&self) -> usize {
        1 + self.ends_of_lines.partition_point(|end| *end < self.at)
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn starts(&self, with: &str) -> bool {
        self.text[self.at.min(self.text.len())..].starts_with(with.as_bytes())
    }

    /// Reads commands up to the end of the text, or to `)` where it is among the stops.
    fn commands(&mut self, stops: &[u8]) {
        let mut words: Vec<String> = Vec::new();
        let mut patterns_from = self.script.calls.len();
        loop {
            while matches!(self.peek(0), b' ' | b'\t') || self.starts("\\\n") {
                self.at += if self.peek(0) == b'\\' { 2 } else { 1 };
            }
            let byte = self.peek(0);
            if self.at >= self.text.len() || stops.contains(&byte) {
                self.simple(&mut words);
                return;
            }
            match byte {
                b'#' => {
                    while self.at < self.text.len() && self.peek(0) != b'\n' {
                        self.at += 1;
                    }
                }
                b'\n' => {
                    self.simple(&mut words);
                    self.at += 1;
                    self.here_documents();
                    patterns_from = self.script.calls.len();
                }
                b';' | b'&' | b'|' => {
                    // `>&` and `<&` belong to a redirection, which `word` reads.
                    self.simple(&mut words);
                    self.at += 1;
                    if byte == b';' {
                        patterns_from = self.script.calls.len();
                    }
                }
                b'(' if words.is_empty() && self.peek(1) == b'(' => {
                    self.at += 2;
                    let text = self.until_arithmetic_end();
                    self.arithmetic("arithmetic", &text);
                }
                b'(' => {
                    let is_function =
                        words.len() == 1 && is_name(&words[0]) && self.peek(1) == b')';
                    if is_function {
                        self.at += 2;
                        let name = words.remove(0);
                        self.script.functions.insert(name.clone());
                        self.ends
                            .push((std::mem::replace(&mut self.function, name), self.depth));
                        // A body in parentheses is a group of its own.
                        while matches!(self.peek(0), b' ' | b'\n') {
                            self.at += 1;
                        }
                        if self.peek(0) == b'(' {
                            self.at += 1;
                            self.commands(b")");
                            self.at += 1;
                            self.function = self.ends.pop().expect("it was pushed").0;
                        }
                        continue;
                    }
                    self.simple(&mut words);
                    self.at += 1;
                    self.commands(b")");
                    self.at += 1;
                }
                b')' => {
                    // The end of a pattern of `case`: what stood before a `|` of it was no command.
                    words.clear();
                    self.script.calls.truncate(patterns_from);
                    self.at += 1;
                }
                _ => {
                    if self.starts("[[")
                        && words.iter().all(|word| word == "!" || is_keyword(word))
                        && matches!(self.peek(2), b' ' | b'\n')
                    {
                        self.at += 2;
                        self.test();
                        continue;
                    }
                    let start = self.line();
                    let word = self.word();
                    if word.is_empty() {
                        // Nothing that is known: go on behind it.
                        self.at += 1;
                        continue;
                    }
                    if words.is_empty() {
                        match word.as_str() {
                            "{" => {
                                self.depth += 1;
                                continue;
                            }
                            "}" => {
                                self.depth = self.depth.saturating_sub(1);
                                if self
                                    .ends
                                    .last()
                                    .is_some_and(|(_, depth)| *depth == self.depth)
                                {
                                    self.function = self.ends.pop().expect("there is one").0;
                                }
                                continue;
                            }
                            "for" => {
                                self.for_loop();
                                continue;
                            }
                            "case" => {
                                self.case_head();
                                continue;
                            }
                            word if is_keyword(word) => continue,
                            _ => {}
                        }
                    }
                    let _ = start;
                    words.push(word);
                }
            }
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(0), b' ' | b'\t' | b'\n') {
            self.at += 1;
        }
    }

    fn for_loop(&mut self) {
        self.skip_blanks();
        if self.starts("((") {
            self.at += 2;
            let text = self.until_arithmetic_end();
            self.arithmetic("arithmetic", &text);
            return;
        }
        let name = self.word();
        while matches!(self.peek(0), b' ') {
            self.at += 1;
        }
        if !self.starts("in ") {
            // Over the words that the function was given.
            self.assign(&name, Source::Is(Made::No));
            return;
        }
        self.at += 3;
        while !matches!(self.peek(0), b';' | b'\n' | 0) {
            if matches!(self.peek(0), b' ') {
                self.at += 1;
                continue;
            }
            if self.starts("\\\n") {
                self.at += 2;
                continue;
            }
            let word = self.word();
            if word.is_empty() {
                self.at += 1;
                continue;
            }
            self.assign(&name, value_of(&word));
        }
    }

    fn case_head(&mut self) {
        self.skip_blanks();
        self.word();
        self.skip_blanks();
        let _ = self.word();
    }

    /// Reads one word, and looks into it. What it gives back is the text as it stands.
    fn word(&mut self) -> String {
        let start = self.at;
        while self.at < self.text.len() {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b';' | b'|' | b')' => break,
                b'&' if self.at == start || !matches!(self.text[self.at - 1], b'>' | b'<') => {
                    if self.peek(1) == b'>' {
                        self.at += 2;
                        continue;
                    }
                    break;
                }
                b'(' => {
                    // An array's value, or a process substitution.
                    let before = if self.at > start {
                        self.text[self.at - 1]
                    } else {
                        0
                    };
                    match before {
                        b'=' => {
                            let array_line = self.line();
                            self.at += 1;
                            self.array(array_line);
                        }
                        b'<' | b'>' => {
                            self.at += 1;
                            self.commands(b")");
                            self.at += 1;
                        }
                        _ => break,
                    }
                }
                b'<' if self.starts("<<<") => self.at += 3,
                b'<' if self.starts("<<") => {
                    self.here_document();
                    break;
                }
                b'\\' => self.at += 2,
                b'\'' => self.single(),
                b'"' => {
                    self.at += 1;
                    self.double();
                }
                b'$' => self.dollar(),
                b'`' => {
                    self.wrong("a backquote", "`");
                    self.at += 1;
                }
                b'[' if self.at > start => {
                    let name = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
                    if is_name(&name) {
                        self.subscript(&name);
                    } else {
                        self.at += 1;
                    }
                }
                _ => self.at += 1,
            }
        }
        String::from_utf8_lossy(&self.text[start..self.at.min(self.text.len())]).into_owned()
    }

    fn array(&mut self, _line: usize) {
        while self.at < self.text.len() && self.peek(0) != b')' {
            if matches!(self.peek(0), b' ' | b'\t' | b'\n') {
                self.at += 1;
                continue;
            }
            if self.peek(0) == b'#' {
                while self.peek(0) != b'\n' && self.at < self.text.len() {
                    self.at += 1;
                }
                continue;
            }
            if self.word().is_empty() {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    fn single(&mut self) {
        self.at += 1;
        while self.at < self.text.len() && self.peek(0) != b'\'' {
            self.at += 1;
        }
        self.at += 1;
    }

    fn double(&mut self) {
        while self.at < self.text.len() {
            match self.peek(0) {
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' => self.at += 2,
                b'$' => self.dollar(),
                _ => self.at += 1,
            }
        }
    }

    /// At a `$`.
    fn dollar(&mut self) {
        if self.starts("$((") {
            self.at += 3;
            let text = self.until_arithmetic_end();
            self.arithmetic("arithmetic", &text);
        } else if self.starts("$(") {
            self.at += 2;
            // It is a shell of its own, but its names are the same.
            self.commands(b")");
            self.at += 1;
        } else if self.starts("${") {
            self.at += 2;
            self.parameter();
        } else if self.starts("$'") {
            self.at += 2;
            while self.at < self.text.len() && self.peek(0) != b'\'' {
                self.at += if self.peek(0) == b'\\' { 2 } else { 1 };
            }
            self.at += 1;
        } else {
            self.at += 1;
            if is_name_byte(self.peek(0)) {
                while is_name_byte(self.peek(0)) {
                    self.at += 1;
                }
            } else if !matches!(
                self.peek(0),
                b'"' | b' ' | b'\n' | b'/' | b'\\' | b'\'' | b')'
            ) {
                self.at += 1;
            }
        }
    }

    /// Behind a `${`.
    fn parameter(&mut self) {
        let indirect = self.peek(0) == b'!';
        if matches!(self.peek(0), b'!' | b'#') && self.peek(1) != b'}' {
            self.at += 1;
        }
        let start = self.at;
        while is_name_byte(self.peek(0)) {
            self.at += 1;
        }
        let name = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        if name.is_empty() && self.peek(0) != b'}' {
            self.at += 1;
        }
        let mut all = false;
        if self.peek(0) == b'[' {
            all = matches!(self.peek(1), b'@' | b'*');
            self.subscript(&name);
        }
        if indirect && !all && !matches!(self.peek(0), b'@' | b'*') {
            self.wrong("a name that is computed", &format!("${{!{name}}}"));
        }
        if self.peek(0) == b':' && !matches!(self.peek(1), b'-' | b'=' | b'+' | b'?') {
            self.at += 1;
            let text = self.until_brace();
            self.arithmetic("the part of a text", &text);
            return;
        }
        // The word behind an operator has expansions of its own.
        while self.at < self.text.len() {
            match self.peek(0) {
                b'}' => {
                    self.at += 1;
                    return;
                }
                b'\\' => self.at += 2,
                b'\'' => self.single(),
                b'"' => {
                    self.at += 1;
                    self.double();
                }
                b'$' => self.dollar(),
                _ => self.at += 1,
            }
        }
    }

    fn until_brace(&mut self) -> String {
        let start = self.at;
        let mut depth = 1;
        while self.at < self.text.len() {
            match self.peek(0) {
                b'{' => depth += 1,
                b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        self.at += 1;
        text
    }

    fn until_arithmetic_end(&mut self) -> String {
        let start = self.at;
        let mut depth = 0;
        while self.at < self.text.len() {
            match self.peek(0) {
                b'(' => depth += 1,
                b')' if depth == 0 => break,
                b')' => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        self.at += 2;
        text
    }

    /// At a `[` behind a name.
    fn subscript(&mut self, name: &str) {
        self.at += 1;
        let start = self.at;
        let mut depth = 0;
        while self.at < self.text.len() {
            match self.peek(0) {
                b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b']' if depth == 0 => break,
                b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                b'\'' => self.single(),
                b'"' => {
                    self.at += 1;
                    self.double();
                }
                b'$' => self.dollar(),
                _ => self.at += 1,
            }
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        self.at += 1;
        if text == "@" || text == "*" {
            return;
        }
        let line = self.line();
        self.script.uses.push(Use {
            function: self.function.clone(),
            line,
            what: "a subscript",
            text: format!("{name}[{text}]"),
            names: vec![(format!("\u{0}{name}"), Made::Number)],
            wrong: false,
        });
        self.subscripts(name, &text, line);
    }

    /// What stands in the subscript of an array. Whether it is an associative one is known at the end, so both ways are
    /// noted, and the fitting one is judged then.
    fn subscripts(&mut self, name: &str, text: &str, line: usize) {
        let last = self.script.uses.pop().expect("it was just noted");
        let trimmed = text.trim_matches('"');
        let simple = trimmed
            .strip_prefix('$')
            .map(|rest| rest.trim_start_matches('{').trim_end_matches('}'));
        let associative = self.script.associative.contains(name);
        let mut noted = Use {
            names: Vec::new(),
            line,
            ..last
        };
        if associative {
            match simple {
                Some(inner) if is_name(inner) => noted.names.push((inner.to_owned(), Made::Name)),
                _ if trimmed
                    .bytes()
                    .all(|byte| is_name_byte(byte) || b"-.:/+".contains(&byte)) => {}
                _ => noted.wrong = true,
            }
            self.script.uses.push(noted);
        } else {
            self.arithmetic("the subscript of an array", text);
        }
    }

    /// Notes the names in arithmetic.
    fn arithmetic(&mut self, what: &'static str, text: &str) {
        let line = self.line();
        let bytes = text.as_bytes();
        let mut at = 0;
        let mut names = Vec::new();
        let mut wrong = false;
        let mut assigned = Vec::new();
        while at < bytes.len() {
            let byte = bytes[at];
            if byte == b'$' {
                let rest = &text[at + 1..];
                if rest.starts_with('{') {
                    let end = rest.find('}').unwrap_or(rest.len());
                    let inner = &rest[1..end.max(1)];
                    let (head, default) = inner.split_once(":-").unwrap_or((inner, "0"));
                    let default_is_fine = default.bytes().all(|b| b.is_ascii_digit());
                    if head.starts_with('#') {
                        // A length.
                    } else if is_name(head) && default_is_fine {
                        names.push((head.to_owned(), Made::Number));
                    } else {
                        wrong = true;
                    }
                    at += 1 + end + 1;
                    continue;
                }
                if rest.starts_with(['#', '?', '$']) {
                    at += 2;
                    continue;
                }
                if rest.starts_with("((") {
                    at += 3;
                    continue;
                }
                let length = rest.bytes().take_while(|b| is_name_byte(*b)).count();
                let name = &rest[..length];
                if is_name(name) {
                    names.push((name.to_owned(), Made::Number));
                } else {
                    wrong = true;
                }
                at += 1 + length.max(1);
            } else if byte.is_ascii_digit() {
                // A number, of any base.
                while at < bytes.len() && (is_name_byte(bytes[at]) || bytes[at] == b'#') {
                    at += 1;
                }
            } else if is_name_byte(byte) {
                let length = text[at..].bytes().take_while(|b| is_name_byte(*b)).count();
                let name = &text[at..at + length];
                at += length;
                let rest = text[at..].trim_start();
                if rest.starts_with('[') {
                    // An array's element is read into a variable that the gate has made.
                    wrong = true;
                } else if rest.starts_with('=') && !rest.starts_with("==") {
                    assigned.push(name.to_owned());
                } else {
                    names.push((name.to_owned(), Made::Number));
                }
            } else if matches!(byte, b'"' | b'\'' | b'`' | b'[' | b'{') {
                wrong = true;
                at += 1;
            } else {
                at += 1;
            }
        }
        for name in assigned {
            self.assign(&name, Source::Is(Made::Number));
        }
        self.script.uses.push(Use {
            function: self.function.clone(),
            line,
            what,
            text: text.to_owned(),
            names,
            wrong,
        });
    }

    /// Behind `[[`.
    fn test(&mut self) {
        let mut words: Vec<String> = Vec::new();
        while self.at < self.text.len() {
            while matches!(self.peek(0), b' ' | b'\t' | b'\n') {
                self.at += 1;
            }
            if self.starts("]]") {
                self.at += 2;
                break;
            }
            let start = self.at;
            if matches!(self.peek(0), b'(' | b')' | b'|' | b'&' | b'<' | b'>' | b';') {
                self.at += 1;
                continue;
            }
            // A pattern of `=~` holds what would end a word elsewhere.
            let pattern = words.last().is_some_and(|word| word == "=~");
            while self.at < self.text.len() {
                match self.peek(0) {
                    b' ' | b'\t' | b'\n' => break,
                    b'\\' => self.at += 2,
                    b'\'' => self.single(),
                    b'"' => {
                        self.at += 1;
                        self.double();
                    }
                    b'$' if pattern && matches!(self.peek(1), b' ' | b')' | b'|') => self.at += 1,
                    b'$' => self.dollar(),
                    b'&' | b')' | b';' if !pattern => break,
                    _ => self.at += 1,
                }
            }
            words.push(
                String::from_utf8_lossy(&self.text[start..self.at.min(self.text.len())])
                    .into_owned(),
            );
        }
        for at in 0..words.len() {
            match words[at].as_str() {
                "-v" => self.wrong("a test of a name", "[[ -v"),
                "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" => {
                    for side in [at.wrapping_sub(1), at + 1] {
                        if let Some(word) = words.get(side).cloned() {
                            self.arithmetic("a comparison of numbers", word.trim_matches('"'));
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn here_document(&mut self) {
        self.at += 2;
        let tabs = self.peek(0) == b'-';
        if tabs {
            self.at += 1;
        }
        while self.peek(0) == b' ' {
            self.at += 1;
        }
        let quoted = matches!(self.peek(0), b'\'' | b'"');
        if quoted {
            self.at += 1;
        }
        let start = self.at;
        while is_name_byte(self.peek(0)) {
            self.at += 1;
        }
        let end = String::from_utf8_lossy(&self.text[start..self.at]).into_owned();
        if quoted {
            self.at += 1;
        }
        self.heredocs.push((end, quoted, tabs));
    }

    /// At the start of a line behind one with here documents.
    fn here_documents(&mut self) {
        for (end, quoted, tabs) in std::mem::take(&mut self.heredocs) {
            while self.at < self.text.len() {
                let rest = &self.text[self.at..];
                let length = rest
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(rest.len());
                let line = String::from_utf8_lossy(&rest[..length]).into_owned();
                let stop = self.at + length;
                if (if tabs {
                    line.trim_start_matches('\t')
                } else {
                    &line
                }) == end
                {
                    self.at = (stop + 1).min(self.text.len());
                    break;
                }
                if !quoted {
                    while self.at < stop {
                        match self.peek(0) {
                            b'\\' => self.at += 2,
                            b'$' => self.dollar(),
                            _ => self.at += 1,
                        }
                    }
                }
                self.at = (stop.max(self.at) + 1).min(self.text.len());
            }
        }
    }

    fn wrong(&mut self, what: &'static str, text: &str) {
        let line = self.line();
        self.script.uses.push(Use {
            function: self.function.clone(),
            line,
            what,
            text: text.to_owned(),
            names: Vec::new(),
            wrong: true,
        });
    }

    fn assign(&mut self, name: &str, value: Source) {
        if is_name(name) {
            let function = self.function.clone();
            self.script
                .assignments
                .entry(name.to_owned())
                .or_default()
                .push(Assignment { function, value });
        }
    }

    /// One simple command, all of whose words have been looked into.
    fn simple(&mut self, words: &mut Vec<String>) {
        let words = std::mem::take(words);
        let mut rest = &words[..];
        while let Some(first) = rest.first() {
            if first == "!" || is_keyword(first) {
                rest = &rest[1..];
                continue;
            }
            if self.assignment(first) {
                rest = &rest[1..];
                continue;
            }
            break;
        }
        let Some(command) = rest.first().map(String::as_str) else {
            return;
        };
        let arguments = &rest[1..];
        let shown = rest.join(" ");
        let line = self.line();
        self.script
            .calls
            .push((line, command.to_owned(), shown.clone()));
        match command {
            // Only asks.
            "declare" if arguments.first().is_some_and(|word| word == "-F") => {}
            "local" | "declare" | "typeset" | "readonly" | "export" => {
                let associative = arguments
                    .iter()
                    .any(|word| word.starts_with('-') && word.contains('A'));
                for word in arguments
                    .iter()
                    .filter(|word| !word.starts_with('-') && !word.starts_with('+'))
                {
                    let name = word.split(['=', '+']).next().unwrap_or_default();
                    if !is_name(name) {
                        self.wrong("a name that is computed", &shown);
                        continue;
                    }
                    if associative {
                        self.script.associative.insert(name.to_owned());
                    }
                    let own = command != "readonly"
                        && command != "export"
                        && !self.function.is_empty()
                        && !arguments
                            .iter()
                            .any(|word| word.starts_with('-') && word.contains('g'));
                    if own {
                        self.script
                            .locals
                            .insert((self.function.clone(), name.to_owned()));
                    }
                    if !self.assignment(word) {
                        self.assign(name, Source::Is(Made::Number));
                    }
                }
                if arguments
                    .iter()
                    .any(|word| word.starts_with('-') && word.contains('n'))
                {
                    self.wrong("a name that is computed", &shown);
                }
            }
            "eval" | "let" => self.wrong("text that becomes code", &shown),
            "unset" => {
                for word in arguments.iter().filter(|word| !word.starts_with('-')) {
                    if !is_name(word) {
                        self.wrong("a name that is computed", &shown);
                    }
                }
            }
            "return" | "exit" => {
                if let Some(word) = arguments.iter().find(|word| !word.contains(['<', '>'])) {
                    let text = word.trim_matches('"').to_owned();
                    self.arithmetic("a status", &text);
                }
            }
            "printf" if arguments.first().is_some_and(|word| word == "-v") => {
                let name = arguments.get(1).cloned().unwrap_or_default();
                let by_name = BY_NAME.contains(&self.function.as_str());
                if is_name(&name) {
                    let format = arguments.get(2).map_or("", |word| word.trim_matches('\''));
                    let made = if format == "%(%s)T" || format == "%d" {
                        Made::Number
                    } else {
                        Made::No
                    };
                    self.assign(&name, Source::Is(made));
                } else if !(by_name && matches!(name.trim_matches('"'), "$1" | "$variable")) {
                    self.wrong("a name that is computed", &shown);
                }
            }
            "read" | "mapfile" | "readarray" => {
                let mut skip = false;
                for word in arguments {
                    if std::mem::take(&mut skip) {
                        continue;
                    }
                    if word.starts_with('-') {
                        skip = matches!(
                            word.chars().last(),
                            Some('d' | 'n' | 'p' | 't' | 'u' | 'O' | 'N')
                        );
                        if word == "-a" || word == "-ra" {
                            skip = false;
                        }
                        continue;
                    }
                    if word.contains(['<', '>']) {
                        break;
                    }
                    if is_name(word) {
                        self.assign(word, Source::Is(Made::No));
                    } else if !word.starts_with('\'') {
                        self.wrong("a name that is computed", &shown);
                    }
                }
            }
            "gate" | "must" => {
                let kind = arguments.first().map_or("", String::as_str);
                let name = arguments.get(1).map_or("", String::as_str);
                if is_name(name) && !kind.contains('$') {
                    self.assign(name, Source::Is(of_kind(kind)));
                } else {
                    self.wrong("a name or a kind that is computed", &shown);
                }
            }
            "take" | "take_every" => {
                for word in arguments
                    .iter()
                    .skip(1)
                    .take_while(|word| !word.contains(['<', '>']))
                {
                    match word.split_once(':') {
                        Some((name, kind)) if is_name(name) => {
                            self.assign(name, Source::Is(of_kind(kind.trim_end_matches('?'))));
                        }
                        _ => self.wrong("a name that is computed", &shown),
                    }
                }
            }
            _ if BY_NAME.contains(&command) => {
                let name = arguments.first().map_or("", String::as_str);
                if is_name(name) {
                    let made = match command {
                        "number" => Made::Number,
                        "one_of" => Made::Name,
                        "typed" => of_kind(arguments.get(1).map_or("", String::as_str)),
                        _ => Made::No,
                    };
                    self.assign(name, Source::Is(made));
                } else {
                    self.wrong("a name that is computed", &shown);
                }
            }
            _ => {}
        }
    }

    /// Notes `NAME=VALUE`; whether the word is one.
    fn assignment(&mut self, word: &str) -> bool {
        let length = word.bytes().take_while(|byte| is_name_byte(*byte)).count();
        let (name, rest) = word.split_at(length);
        if !is_name(name) {
            return false;
        }
        let (value, element) = if let Some(value) = rest.strip_prefix('=') {
            (value, false)
        } else if let Some(value) = rest.strip_prefix("+=") {
            if value.starts_with('(') {
                self.assign_words(name, value);
            } else {
                self.assign(name, Source::Is(Made::No));
            }
            return true;
        } else if rest.starts_with('[') {
            match rest.find("]=").or_else(|| rest.find("]+=")) {
                Some(at) => (&rest[at + 2..], true),
                None => return false,
            }
        } else {
            return false;
        };
        if value.starts_with('(') {
            self.assign_words(name, value);
        } else if !element || !self.script.associative.contains(name) {
            self.assign(name, value_of(value));
        }
        true
    }

    /// Notes what an array is given: its elements are as good as the worst of them.
    fn assign_words(&mut self, name: &str, value: &str) {
        let inner = value.trim_start_matches('(').trim_end_matches(')');
        let mut scratch = Script::default();
        let mut reader = Reader::of(inner, &mut scratch);
        self.assign(name, Source::Is(Made::Number));
        while reader.at < inner.len() {
            let word = reader.word();
            if word.is_empty() {
                reader.at += 1;
                continue;
            }
            self.assign(name, value_of(&word));
        }
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "if" | "then"
            | "else"
            | "elif"
            | "fi"
            | "while"
            | "until"
            | "do"
            | "done"
            | "esac"
            | "time"
            | "!"
    )
}

fn of_kind(kind: &str) -> Made {
    if NUMBERS.contains(&kind) {
        Made::Number
    } else if kind == "text" {
        Made::No
    } else {
        Made::Name
    }
}

/// Where an assigned value is from.
fn value_of(value: &str) -> Source {
    let bare = value
        .strip_prefix('"')
        .and_then(|v| v.strip_suffix('"'))
        .unwrap_or(value);
    let inner = bare
        .strip_prefix("${")
        .and_then(|v| v.strip_suffix('}'))
        .or_else(|| bare.strip_prefix('$'));
    if bare.is_empty() || bare == "''" || bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return Source::Is(Made::Number);
    }
    if bare.starts_with("$((") && bare.ends_with("))") {
        return Source::Is(Made::Number);
    }
    if let Some(inner) = inner {
        if inner == "?" || inner == "#" || (inner.starts_with('#') && !inner.contains(['%', '/'])) {
            return Source::Is(Made::Number);
        }
        if let Some(array) = inner.strip_suffix("[@]") {
            // The keys of an associative array have all passed as subscripts.
            if array.starts_with('!') {
                return Source::Is(Made::Name);
            }
            if is_name(array) {
                return Source::Copy(array.to_owned());
            }
        }
        let (name, default) = inner.split_once(":-").unwrap_or((inner, "0"));
        if is_name(name) && default.bytes().all(|byte| byte.is_ascii_digit()) {
            return Source::Copy(name.to_owned());
        }
        return Source::Is(Made::No);
    }
    let literal = bare
        .strip_prefix('\'')
        .and_then(|v| v.strip_suffix('\''))
        .unwrap_or(bare);
    if literal
        .bytes()
        .all(|byte| is_name_byte(byte) || b"-.:/+@".contains(&byte))
    {
        Source::Is(Made::Name)
    } else {
        Source::Is(Made::No)
    }
}
