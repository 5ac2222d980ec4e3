//! Templates: text that reads like prose or a script.
//!
//! The built-in ones (`templates/`) are compiled in by askama, which checks every field. A user may replace any of them
//! by name (`--templates DIR`): then tera renders them all at run time, over the same data. One text gives the same
//! output in both engines; what only one of them knows does not belong into a template. Structured formats (Proxmox
//! VE's files, TOML, Nix, JSON) never come from templates: their printers cannot write a wrong one.
//!
//! Comes in: a struct whose serialized fields are the template's contract. Goes out: text in which every value is a
//! literal of the template's language ([`Language`]), so that no value can become code. A template may mark a value
//! `|safe`; the built-in ones do so for comments alone, where [`one_line`] has been over it.
//!
//! May report: MOX0821 to MOX0824, at the template's own line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use askama::filters::Escaper;
use serde::Serialize;
use tera::{ErrorKind, Tera};

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::near::did_you_mean;
use crate::powershell;
use crate::shell;
use crate::source::{FileId, SourceMap, Span};
use crate::tools;

macro_rules! templates {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../templates/", $name)))),*]
    };
}

/// The built-in templates, and the parts of them that lie beside them.
const OWN: &[(&str, &str)] = templates! {
    "README.md"
    "docs/architecture.md"
    "docs/index.html"
    "proxmox/apply.sh"
    "proxmox/apply/editor.sh"
    "proxmox/apply/guests.sh"
    "proxmox/apply/network.sh"
    "proxmox/apply/run.sh"
    "proxmox/apply/undo.sh"
    "proxmox/apply/verbs.sh"
    "proxmox/storage/create.sh"
    "proxmox/virtiofs.sh"
    "recovery/lib/restore.sh"
    "recovery/lib/rollback.sh"
    "recovery/restore.md"
    "recovery/restore.sh"
    "recovery/rollback.sh"
    "windows/bootstrap.ps1"
    "windows/disk.vbs"
    "windows/drivers.cmd"
    "windows/host/build-iso.sh"
    "windows/push.ps1"
    "windows/register.ps1"
};

/// Every built-in template and every part that they include: its name and its text. What the tools share is such a part, too.
pub fn built_in() -> impl Iterator<Item = (&'static str, &'static str)> + Clone {
    let shared = tools::PARTS.iter().map(|part| (part.file, part.text));
    OWN.iter().copied().chain(shared)
}

/// Texts without values, which go out as they are below the line that marks a generated file: what a spec says reaches them
/// as data (docs/decisions/0020). A user may replace them, too.
pub const WHOLE: &[(&str, &str)] = templates! {
    "windows/first-logon.nu"
    "windows/guest-agent.nu"
    "windows/maintenance.nu"
    "windows/moxc.nu"
    "windows/moxc.ps1"
    "windows/rust.nu"
    "windows/setup.nu"
    "windows/steam.nu"
    "windows/virtiofs.nu"
    "windows/windows-update.nu"
    "windows/windows-update.ps1"
    "windows/winget.nu"
    "windows/tests/fake-windows.nu"
    "windows/tests/integration-tests.nu"
    "windows/tests/machine-tests.nu"
    "windows/tests/performance-tests.nu"
    "windows/tests/test-utils.nu"
    "windows/tests/unit-tests.nu"
};

/// Every name that a user may bring a text for.
fn names() -> impl Iterator<Item = &'static str> + Clone {
    built_in()
        .chain(WHOLE.iter().copied())
        .map(|(name, _)| name)
}

/// The data of a built-in template. Its serialized fields are the contract with a user's template of the same name.
pub trait BuiltIn: askama::Template + Serialize {
    /// The template's name: its path below `templates/`.
    const NAME: &'static str;

    /// How many bytes it comes to, about, where that may be many: a text that grows by doubling is copied each time.
    fn size(&self) -> usize {
        Self::SIZE_HINT
    }
}

/// What a template is written in: decides how a value is written into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Bash: a value is one word.
    Bash,
    /// PowerShell: a value is a string.
    PowerShell,
    /// Markdown: a value is text, and never markup of HTML, which Markdown passes on.
    Markdown,
    /// HTML: a value is text, or the value of an attribute.
    Html,
    /// Anything else: a value stands as it is.
    Prose,
}

impl Language {
    /// The language of a template, by the end of its name, as `askama.toml` has it.
    pub fn of(name: &str) -> Self {
        match Path::new(name).extension().and_then(|ext| ext.to_str()) {
            Some("sh") => Self::Bash,
            Some("ps1") => Self::PowerShell,
            Some("md") => Self::Markdown,
            Some("html") => Self::Html,
            Some(_) | None => Self::Prose,
        }
    }

    /// What sets it up in tera: the endings that are escaped, and how.
    fn tera(self) -> (&'static [&'static str], tera::EscapeFn) {
        match self {
            Self::Bash => (&[".sh"], |text, out| {
                out.write_all(shell::quote(text).as_bytes())
            }),
            Self::PowerShell => (&[".ps1"], |text, out| {
                out.write_all(powershell::quote(text).as_bytes())
            }),
            Self::Markdown => (&[".md"], |text, out| {
                out.write_all(markdown(text).as_bytes())
            }),
            Self::Html => (&[".html"], |text, out| out.write_all(html(text).as_bytes())),
            Self::Prose => (&[], |text, out| out.write_all(text.as_bytes())),
        }
    }

    const ALL: [Self; 5] = [
        Self::Bash,
        Self::PowerShell,
        Self::Markdown,
        Self::Html,
        Self::Prose,
    ];
}

/// askama's escaper of [`Language::Bash`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Bash;

impl Escaper for Bash {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        dest.write_str(&shell::quote(text))
    }
}

/// askama's escaper of [`Language::PowerShell`].
#[derive(Debug, Clone, Copy, Default)]
pub struct PowerShell;

impl Escaper for PowerShell {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        dest.write_str(&powershell::quote(text))
    }
}

/// askama's escaper of [`Language::Markdown`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Markdown;

impl Escaper for Markdown {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        dest.write_str(&markdown(text))
    }
}

/// `text` in Markdown without a tag or an entity of HTML, and without a link, a picture or the target of one: what a spec
/// says leads nowhere. Code between backticks may stand in it; a backtick that closes nothing is one.
pub fn markdown(text: &str) -> String {
    if !text.contains(['`', ']', '<', '&']) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '`' {
            let ticks = rest.len() - rest.trim_start_matches('`').len();
            if let Some(span) = code_span(rest, ticks) {
                without_html(&rest[..span], &mut out);
                rest = &rest[span..];
            } else {
                out.extend(std::iter::repeat_n("\\`", ticks));
                rest = &rest[ticks..];
            }
            continue;
        }
        let end = rest.find('`').unwrap_or(rest.len());
        let plain = &rest[..end];
        let mut from = 0;
        for (at, _) in plain.match_indices(']') {
            if plain[at + 1..].starts_with(['(', '[', ':']) {
                without_html(&plain[from..=at], &mut out);
                out.push('\\');
                from = at + 1;
            }
        }
        without_html(&plain[from..], &mut out);
        rest = &rest[end..];
    }
    out
}

/// How long the span of code is that `text` opens with so many backticks.
fn code_span(text: &str, ticks: usize) -> Option<usize> {
    let mut at = ticks;
    while let Some(found) = text[at..].find('`') {
        let from = at + found;
        let run = text[from..].len() - text[from..].trim_start_matches('`').len();
        at = from + run;
        if run == ticks {
            return Some(at);
        }
    }
    None
}

fn without_html(text: &str, out: &mut String) {
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' if rest
                .peek()
                .is_some_and(|next| *next == '#' || next.is_ascii_alphabetic()) =>
            {
                out.push_str("&amp;");
            }
            c => out.push(c),
        }
    }
}

/// askama's escaper of [`Language::Html`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Html;

impl Escaper for Html {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        write_html(&mut dest, text)
    }
}

/// askama's escaper of [`Language::Prose`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Prose;

impl Escaper for Prose {
    fn write_escaped_str<W: fmt::Write>(&self, mut dest: W, text: &str) -> fmt::Result {
        dest.write_str(text)
    }
}

/// `text` in HTML and in XML, between tags and in an attribute. What nobody can see becomes a blank.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    write_html(&mut out, text).expect("a string takes everything");
    out
}

/// [`html`], piece by piece: what stands between two characters that are written otherwise goes in one.
fn write_html(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    // Most text is plain: one look at all of its bytes, many at a time, is less than one at its characters.
    let is_plain = |byte| {
        matches!(byte, b' '..=b'~' | b'\n') & !matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'')
    };
    if text
        .bytes()
        .fold(true, |plain, byte| plain & is_plain(byte))
    {
        return out.write_str(text);
    }
    let mut written = 0;
    for (at, c) in text.char_indices() {
        let instead = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            '\n' => continue,
            c if crate::unseen::is_unseen(c) => " ",
            _ => continue,
        };
        out.write_str(&text[written..at])?;
        out.write_str(instead)?;
        written = at + c.len_utf8();
    }
    out.write_str(&text[written..])
}

/// `text` without line breaks and other control characters: for comments, which a line break would end.
pub fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// What renders the templates of a build.
#[derive(Debug, Default)]
pub struct Templates {
    user: Option<User>,
}

/// The templates that a user brings, and the built-in ones that they leave.
#[derive(Debug)]
struct User {
    files: BTreeMap<&'static str, FileId>,
    /// Those of [`WHOLE`], with their texts.
    whole: BTreeMap<&'static str, (FileId, String)>,
    /// One engine a language: tera has one escape function.
    engines: BTreeMap<Language, Tera>,
}

impl Templates {
    /// The built-in ones.
    pub fn built_in() -> Self {
        Self::default()
    }

    /// The built-in ones, of which `files` (name and text) are replaced. Reports MOX0821 and MOX0822.
    pub fn replacing(
        files: impl IntoIterator<Item = (String, FileId)>,
        sources: &SourceMap,
        sink: &mut Sink,
    ) -> Self {
        let mut user = BTreeMap::new();
        let mut whole = BTreeMap::new();
        for (name, file) in files {
            if let Some((known, _)) = built_in().find(|(known, _)| *known == name) {
                user.insert(known, file);
            } else if let Some((known, _)) = WHOLE.iter().find(|(known, _)| *known == name) {
                whole.insert(*known, (file, sources.file(file).text().to_owned()));
            } else {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0821,
                        Span::new(file, 0..0),
                        format!("no template `{}` to replace", name.escape_debug()),
                    )
                    .help_if(did_you_mean(&name, names(), "template")),
                );
            }
        }
        let engines = Language::ALL
            .into_iter()
            .map(|language| (language, engine(language, &user, sources, sink)))
            .collect();
        Self {
            user: Some(User {
                files: user,
                whole,
                engines,
            }),
        }
    }

    /// A text of [`WHOLE`] as it goes out: `mark` is the line that marks a generated file. Reports MOX0824 of a user's own.
    pub fn whole(&self, name: &str, mark: &str, sink: &mut Sink) -> String {
        let built_in = WHOLE.iter().find(|(known, _)| *known == name);
        let own = self.user.as_ref().and_then(|user| user.whole.get(name));
        let text = match (own, built_in) {
            (Some((_, text)), _) => text.as_str(),
            (None, Some((_, text))) => text,
            (None, None) => "",
        };
        let text = format!("# {mark}\n#\n{}\n", without_last_line_break(text));
        if let Some((file, _)) = own {
            check(name, Language::of(name), &text, *file, sink);
        }
        text
    }

    /// Renders a template; the text has no line break at its end, since the engines differ there. Where a user's own fails, MOX0823 or MOX0824 is reported and the text is empty.
    pub fn render<T: BuiltIn>(&self, data: &T, sink: &mut Sink) -> String {
        let Some(user) = &self.user else {
            let mut text = String::with_capacity(data.size());
            data.render_into(&mut text)
                .expect("a built-in template only writes values into a string");
            text.truncate(text.trim_end_matches('\n').len());
            return text;
        };
        let language = Language::of(T::NAME);
        let rendered = tera::Context::from_serialize(data)
            .and_then(|context| user.engines[&language].render(T::NAME, &context));
        let mut text = match rendered {
            Ok(text) => text,
            Err(error) => {
                user.report(Code::MOX0823, T::NAME, &error, sink);
                return String::new();
            }
        };
        text.truncate(text.trim_end_matches('\n').len());
        if let Some(file) = user.files.get(T::NAME) {
            check(T::NAME, language, &text, *file, sink);
        }
        text
    }
}

impl User {
    fn report(&self, code: Code, name: &str, error: &tera::Error, sink: &mut Sink) {
        report(code, &self.files, name, error, sink);
    }
}

/// The engine of a language, with every template in it: one may include another.
fn engine(
    language: Language,
    user: &BTreeMap<&'static str, FileId>,
    sources: &SourceMap,
    sink: &mut Sink,
) -> Tera {
    let mut tera = Tera::new();
    tera.set_delimiters(tera::Delimiters {
        block_start: "<%".into(),
        block_end: "%>".into(),
        variable_start: "<@".into(),
        variable_end: "@>".into(),
        comment_start: "<*".into(),
        comment_end: "*>".into(),
    })
    .expect("the delimiters are two bytes each and differ, and no template is there yet");
    let (suffixes, escape) = language.tera();
    tera.autoescape_on(suffixes.iter().copied());
    tera.set_escape_fn(escape);
    let built_in = built_in().filter(|(name, _)| Language::of(name) == language);
    // Those that a template includes must be there with it, so the built-in ones go in at once …
    let own: Vec<_> = built_in
        .map(|(name, text)| (name, without_last_line_break(text)))
        .collect();
    tera.add_raw_templates(own).expect(
        "the built-in templates are read by both engines: a test holds them against each other",
    );
    // … and a user's then one by one, so that each tells its own error.
    for (name, file) in user
        .iter()
        .filter(|(name, _)| Language::of(name) == language)
    {
        let text = without_last_line_break(sources.file(*file).text());
        if let Err(error) = tera.add_raw_template(name, text) {
            report(Code::MOX0822, user, name, &error, sink);
        }
    }
    tera
}

/// askama drops it; tera keeps it, also where the template is included.
fn without_last_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

fn report(
    code: Code,
    files: &BTreeMap<&'static str, FileId>,
    name: &str,
    error: &tera::Error,
    sink: &mut Sink,
) {
    let (message, place) = match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            let at = files.get(report.filename()).or_else(|| files.get(name));
            let range = if files.contains_key(report.filename()) || report.filename().is_empty() {
                report.span().range.clone()
            } else {
                0..0
            };
            (report.message().to_owned(), at.map(|file| (*file, range)))
        }
        // tera's kinds are open: the others have no place of their own.
        other => (other.to_string(), files.get(name).map(|file| (*file, 0..0))),
    };
    // Where the user's file is fine by itself and a built-in part fails for want of it, any of the user's will do.
    let Some((file, range)) = place.or_else(|| files.values().next().map(|file| (*file, 0..0)))
    else {
        return;
    };
    let mut lines = message.lines();
    let first = lines.next().unwrap_or_default().trim_end_matches('.');
    let mut diagnostic = Diagnostic::new(
        code,
        Span::new(file, range),
        format!("template `{name}`: {first}"),
    );
    let rest = lines.collect::<Vec<_>>().join("\n");
    if !rest.trim().is_empty() {
        diagnostic = diagnostic.note(rest.trim());
    }
    sink.push(diagnostic);
}

/// The checks that a user's output must pass: what every generated text file holds to.
fn check(name: &str, language: Language, text: &str, file: FileId, sink: &mut Sink) {
    let mut wrong = |what: String, help: &str| {
        sink.push(
            Diagnostic::new(
                Code::MOX0824,
                Span::new(file, 0..0),
                format!("template `{name}` {what}"),
            )
            .help(help),
        );
    };
    if text.trim().is_empty() {
        wrong(
            "gives an empty text".into(),
            "remove the file to get the built-in one back",
        );
        return;
    }
    if let Some((at, c)) = (1..).zip(text.lines()).find_map(|(line, content)| {
        let c = content.chars().find(|c| c.is_control() && *c != '\t')?;
        Some((line, c))
    }) {
        wrong(
            format!(
                "puts the control character `{}` into line {at}",
                c.escape_default()
            ),
            "text files have tabs and line breaks, and no other control character",
        );
    }
    match language {
        // A part is no script of its own; what includes it is checked.
        Language::Bash
            if !name.contains("apply/") && tools::PARTS.iter().all(|part| part.file != name) =>
        {
            if !text.starts_with("#!") {
                wrong(
                    "gives a script without a first line that names its shell".into(),
                    "begin with `#!/bin/bash`",
                );
            }
        }
        // Windows PowerShell 5.1 takes a script without a byte order mark for ANSI text.
        Language::PowerShell if !text.is_ascii() => wrong(
            "has a character that is not ASCII".into(),
            "write it by its number: `[char]0xE4`",
        ),
        Language::Bash
        | Language::PowerShell
        | Language::Markdown
        | Language::Html
        | Language::Prose => {}
    }
    if !text
        .lines()
        .take(6)
        .any(|line| line.contains("do not edit"))
    {
        wrong(
            "leaves out the line that marks a generated file".into(),
            "write `<@ header|safe @>` in a comment among the first lines",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for the README: small data, every construct that a user needs.
    #[derive(askama::Template, Serialize)]
    #[template(
        source = "#!x do not edit\n<% for one in list -%>\n<@ one @>=<@ number @>\n<% endfor -%>\n<% if yes %>y<% else %>n<% endif %> <* note *>.<@ raw|safe @>\n",
        ext = "sh"
    )]
    struct Script {
        list: Vec<String>,
        number: u32,
        yes: bool,
        raw: String,
    }

    impl BuiltIn for Script {
        const NAME: &'static str = "proxmox/storage/create.sh";
    }

    const TEXT: &str = "#!x do not edit\n<% for one in list -%>\n<@ one @>=<@ number @>\n<% endfor -%>\n<% if yes %>y<% else %>n<% endif %> <* note *>.<@ raw|safe @>\n";

    #[test]
    fn what_a_spec_says_leads_nowhere_in_markdown() {
        for (text, shown) in [
            ("[a](javascript:b) ![c](d)", "[a]\\(javascript:b) ![c]\\(d)"),
            ("[a]: http://b", "[a]\\: http://b"),
            (
                "`[a](b)` <i> &lt; & ``x`y``",
                "`[a](b)` &lt;i> &amp;lt; & ``x`y``",
            ),
            ("`[a](b) ``c", "\\`[a]\\(b) \\`\\`c"),
        ] {
            assert_eq!(markdown(text), shown);
        }
    }

    fn script() -> Script {
        Script {
            list: ["", "a b", "it's", "$(x)\n", "-n", "ä\u{1b}"]
                .map(str::to_owned)
                .into(),
            number: 7,
            yes: false,
            raw: "a b".into(),
        }
    }

    /// Code, message, help and line.
    type Told = (Code, String, Option<String>, usize);

    fn with(name: &str, text: &str) -> (String, Vec<Told>) {
        let mut sources = SourceMap::new();
        sources.add("host.toml", "spec = 1\n");
        let file = sources.add(format!("mine/{name}"), text);
        let mut sink = Sink::new();
        let templates = Templates::replacing([(name.to_owned(), file)], &sources, &mut sink);
        let rendered = if sink.is_empty() {
            templates.render(&script(), &mut sink)
        } else {
            String::new()
        };
        let found = sink
            .finish(&crate::diagnostics::Lints::default(), false)
            .into_iter()
            .map(|(_, d)| {
                assert_eq!(sources.file_of(d.span()).name(), format!("mine/{name}"));
                (
                    d.code,
                    d.message.clone(),
                    d.help.clone(),
                    sources.start(d.span()).line,
                )
            })
            .collect();
        (rendered, found)
    }

    #[test]
    fn both_engines_write_values_as_literals_of_the_language() {
        let built_in = Templates::built_in().render(&script(), &mut Sink::new());
        let (own, found) = with(Script::NAME, TEXT);
        assert_eq!(found, []);
        assert_eq!(own, built_in);
        assert_eq!(
            built_in,
            "#!x do not edit\n''=7\n'a b'=7\n'it'\\''s'=7\n$'$(x)\\n'=7\n-n=7\n$'ä\\033'=7\nn .a b"
        );
    }

    #[test]
    fn a_name_that_replaces_nothing_is_told_with_the_nearest() {
        let (_, found) = with("proxmox/storage/creat.sh", "");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, Code::MOX0821);
        assert_eq!(
            found[0].2.as_deref(),
            Some("did you mean `proxmox/storage/create.sh`?")
        );
    }

    #[test]
    fn errors_stand_at_the_line_of_the_template() {
        let (_, found) = with(Script::NAME, "#!x do not edit\n\n<% if yes %>y\n");
        assert_eq!((found[0].0, found.len()), (Code::MOX0822, 1), "{found:?}");
        let (_, found) = with(Script::NAME, "#!x do not edit\n\n<@ nummer @>\n");
        assert_eq!(
            (found[0].0, found[0].3, found.len()),
            (Code::MOX0823, 3, 1),
            "{found:?}"
        );
        assert!(found[0].1.contains("nummer"), "{found:?}");
    }

    #[test]
    fn output_of_a_users_template_is_checked() {
        for (text, part) in [
            ("\n", "an empty text"),
            ("echo do not edit\n", "names its shell"),
            ("#!/bin/bash\necho\n", "marks a generated file"),
            ("#!/bin/bash\n# do not edit\n\u{1b}\n", "into line 3"),
        ] {
            let (_, found) = with(Script::NAME, text);
            assert_eq!((found.len(), found[0].0), (1, Code::MOX0824), "{found:?}");
            assert!(found[0].1.contains(part), "{found:?}");
        }
    }
}
