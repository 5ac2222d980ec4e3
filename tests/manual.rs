//! The manual: every block of it runs or is read, every link holds, and it names what there is.
//!
//! `MOXC_WRITE_MANUAL=1 cargo test manual` writes the generated pages, and the output of commands into their blocks. Read
//! what has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use moxc::diagnostics::{Code, Lints, Sink};
use moxc::source::SourceMap;
use moxc::spec::{self, document};
use pretty_assertions::assert_eq;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use serde_json::Value;

use crate::program::tests;
use crate::system::tree;

/// The project's own folder.
fn root() -> PathBuf {
    tests().join("..")
}

/// Whether the pages are to be written.
fn writes() -> bool {
    std::env::var_os("MOXC_WRITE_MANUAL").is_some()
}

/// Every page, by its path below the project; those of codes are the matter of `tests/errors.rs` but for links.
fn pages() -> BTreeMap<String, String> {
    fn walk(folder: &Path, pages: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, pages);
            } else if path.extension().is_some_and(|ext| ext == "md") {
                pages.push(path);
            }
        }
    }
    let mut paths = vec![
        root().join("README.md"),
        root().join("CONTRIBUTING.md"),
        root().join("SECURITY.md"),
    ];
    walk(&root().join("docs"), &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).expect("below it");
            let text = fs::read_to_string(&path).expect("a page");
            (name.to_string_lossy().into_owned(), text)
        })
        .collect()
}

/// A fenced block.
#[derive(Debug)]
struct Block {
    /// What it is written in.
    language: String,
    /// Whether nothing runs or reads it.
    unchecked: bool,
    text: String,
    /// What stands above it.
    before: String,
    /// Where its text lies in the page.
    range: std::ops::Range<usize>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String, usize)> = None;
    let mut before = String::new();
    for (event, range) in Parser::new_ext(page, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                open = Some((info.to_string(), String::new(), range.start));
            }
            Event::Text(text) => match &mut open {
                Some((_, body, _)) => body.push_str(&text),
                None => before.push_str(&text),
            },
            Event::Start(Tag::Paragraph | Tag::Heading { .. }) => before.clear(),
            Event::End(TagEnd::CodeBlock) => {
                if let Some((info, text, start)) = open.take() {
                    let mut words = info.split([' ', ',']);
                    let first = page[start..]
                        .find('\n')
                        .map_or(start, |end| start + end + 1);
                    blocks.push(Block {
                        language: words.next().unwrap_or_default().to_owned(),
                        unchecked: words.any(|word| word == "unchecked"),
                        range: first..first + text.len(),
                        text,
                        before: std::mem::take(&mut before),
                    });
                }
            }
            _ => {}
        }
    }
    blocks
}

/// Blocks that another test runs as they stand.
const ELSEWHERE: &[(&str, &str)] = &[("README.md", "nix flake init")];

/// A folder in which a page's commands run one after the other: the examples, and a copy of a host that runs.
struct Sandbox {
    folder: tempfile::TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let examples = folder.path().join("examples");
        fs::create_dir(&examples).expect("a folder");
        for entry in fs::read_dir(root().join("examples")).expect("the examples") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.file_name().expect("a name");
                fs::copy(&path, examples.join(name)).expect("a copy");
            }
        }
        Self { folder }
    }

    /// A host with the spec that `moxc init` writes, as `moxc collect` would have copied it.
    fn with_copy(self) -> Self {
        let built = self.folder.path().join("built");
        tree(include_str!("../templates/init/homelab.toml"), &built);
        fs::write(built.join("proxmox/etc/hostname"), "pve1\n").expect("a file");
        self.run(
            "tar cf pve1.tar -C built/proxmox etc/hostname etc/network etc/pve && rm -r built",
        );
        self
    }

    /// What a command says, in the order in which it says it.
    fn run(&self, command: &str) -> (String, bool) {
        let moxc = Path::new(env!("CARGO_BIN_EXE_moxc"));
        let path = format!(
            "{}:/usr/bin:/bin",
            moxc.parent().expect("a folder").display()
        );
        let done = Command::new("bash")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("bash starts");
        let said = String::from_utf8(done.stdout).expect("UTF-8");
        (said, done.status.success())
    }

    /// The block as it is when its commands have run.
    fn console(&self, text: &str) -> String {
        let mut out = String::new();
        for line in text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                let (said, _) = self.run(command);
                writeln!(out, "{line}\n{}", said.trim_end()).expect("a string takes all text");
                if said.trim().is_empty() {
                    out.pop();
                }
            }
        }
        out
    }
}

/// What is wrong with a piece of a spec, read alone: what it refers to may stand elsewhere.
fn faults_of_spec(text: &str) -> Vec<String> {
    let mut sources = SourceMap::new();
    let file = sources.add("block.toml", text);
    let mut sink = Sink::new();
    let document = document::parse(&sources, file, &mut sink);
    if spec::is_fleet(&document) {
        spec::read_fleet(&sources, file, &document, &mut sink);
    } else {
        spec::read(&sources, file, &document, &mut sink);
    }
    sink.finish(&Lints::default(), false)
        .into_iter()
        .filter(|(_, d)| d.code != Code::MOX0004 || text.contains("[host]\n"))
        .map(|(_, d)| format!("{}: {}", d.code, d.message))
        .collect()
}

#[test]
fn every_block_of_the_manual_runs_or_is_read() {
    let mut faults = Vec::new();
    for (name, page) in pages() {
        let is_ours = name == "README.md" || name.starts_with("docs/");
        if !is_ours || name.starts_with("docs/errors/MOX") {
            continue;
        }
        let blocks = blocks(&page);
        let has_commands = blocks
            .iter()
            .any(|block| !block.unchecked && matches!(block.language.as_str(), "sh" | "console"));
        let sandbox = has_commands.then(|| {
            let sandbox = Sandbox::new();
            if page.contains("pve1.tar") {
                sandbox.with_copy()
            } else {
                sandbox
            }
        });
        let mut written = page.clone();
        // From the end, so that the places of earlier blocks stay.
        let mut replaced: Vec<(std::ops::Range<usize>, String)> = Vec::new();
        for block in &blocks {
            let at = page[..block.range.start].lines().count();
            let mut fault = |why: String| faults.push(format!("{name}:{at}: {why}"));
            if block.unchecked {
                if block.before.trim().len() < 20 {
                    fault("unchecked, and no reason above it".to_owned());
                }
                if block.language == "sh" {
                    let (said, fine) = Sandbox::new().run(&format!(
                        "bash -n <<'END_OF_BLOCK'\n{}END_OF_BLOCK",
                        block.text
                    ));
                    if !fine {
                        fault(format!("bash cannot read it: {said}"));
                    }
                }
                continue;
            }
            let elsewhere =
                |(page, part): &(&str, &str)| *page == name && block.text.contains(part);
            if ELSEWHERE.iter().any(elsewhere) {
                continue;
            }
            match block.language.as_str() {
                "toml" => {
                    for found in faults_of_spec(&block.text) {
                        fault(found);
                    }
                }
                "console" => {
                    let sandbox = sandbox.as_ref().expect("the page has commands");
                    let said = sandbox.console(&block.text);
                    if writes() {
                        replaced.push((block.range.clone(), said));
                    } else {
                        assert_eq!(block.text, said, "{name}:{at}");
                    }
                }
                "sh" => {
                    let sandbox = sandbox.as_ref().expect("the page has commands");
                    let (said, fine) = sandbox.run(&format!("set -e\n{}", block.text));
                    if !fine {
                        fault(said);
                    }
                }
                "nix" => {
                    // An expression, or what stands in a set.
                    let set = format!("{{ {} }}", block.text);
                    let whole = rnix::Root::parse(&block.text);
                    if !whole.errors().is_empty() {
                        for error in rnix::Root::parse(&set).errors() {
                            fault(error.to_string());
                        }
                    }
                }
                "json" => {
                    let read = serde_json::Deserializer::from_str(&block.text);
                    for value in read.into_iter::<Value>() {
                        if let Err(error) = value {
                            fault(error.to_string());
                        }
                    }
                }
                "mermaid" => {
                    if !block.text.starts_with("flowchart ") && !block.text.starts_with("graph ") {
                        fault("no chart".to_owned());
                    }
                }
                other => fault(format!("nothing reads a block of `{other}`")),
            }
        }
        for (range, text) in replaced.into_iter().rev() {
            written.replace_range(range, &text);
        }
        if written != page {
            fs::write(root().join(&name), written).expect("the page can be written");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A heading as a link names it: GitHub's way, which mdBook shares.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

/// The headings of a page, and the targets of its links.
fn headings_and_links(page: &str) -> (BTreeSet<String>, Vec<String>) {
    let (mut headings, mut links) = (BTreeSet::new(), Vec::new());
    let mut open: Option<String> = None;
    for event in Parser::new_ext(page, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => open = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&open.take().unwrap_or_default());
                let mut name = anchor.clone();
                let mut count = 0;
                while !headings.insert(name) {
                    count += 1;
                    name = format!("{anchor}-{count}");
                }
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut open {
                    heading.push_str(&text);
                }
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                links.push(dest_url.to_string());
            }
            _ => {}
        }
    }
    (headings, links)
}

#[test]
fn links_and_anchors_of_the_manual_hold() {
    let pages = pages();
    let mut faults = Vec::new();
    for (name, page) in &pages {
        for link in headings_and_links(page).1 {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, place) = link.split_once('#').unwrap_or((&link, ""));
            let folder = Path::new(name).parent().expect("a folder");
            let target = if path.is_empty() {
                PathBuf::from(name)
            } else {
                folder.join(path)
            };
            let Ok(real) = root().join(&target).canonicalize() else {
                faults.push(format!("{name}: no file {link}"));
                continue;
            };
            let book = root().join("docs").canonicalize().expect("the book");
            if name.starts_with("docs/") && !real.starts_with(&book) {
                faults.push(format!("{name}: {link} is not in the book"));
            }
            if place.is_empty() {
                continue;
            }
            let text = fs::read_to_string(&real).unwrap_or_default();
            if !headings_and_links(&text).0.contains(place) {
                faults.push(format!("{name}: no heading {link}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_summary_names_every_page_once() {
    let pages = pages();
    // By hand, but for the pages of the two long lists, each below its index.
    let mut summary = String::new();
    for line in pages["docs/SUMMARY.md"].lines() {
        if line.starts_with("  - ") {
            continue;
        }
        writeln!(summary, "{line}").expect("a string takes all text");
        let Some(folder) = ["errors", "decisions"]
            .into_iter()
            .find(|folder| line.ends_with(&format!("({folder}/README.md)")))
        else {
            continue;
        };
        for (name, page) in &pages {
            let Some(name) = name.strip_prefix("docs/") else {
                continue;
            };
            if name.starts_with(folder) && !name.ends_with("README.md") {
                let title = page.lines().next().and_then(|line| line.strip_prefix("# "));
                let title = title.unwrap_or_else(|| panic!("{name} has no title"));
                writeln!(summary, "  - [{title}]({name})").expect("a string takes all text");
            }
        }
    }
    generated("docs/SUMMARY.md", &summary);

    let named: Vec<String> = headings_and_links(&summary).1;
    let unique: BTreeSet<&String> = named.iter().collect();
    assert_eq!(named.len(), unique.len(), "a page twice");
    for name in pages.keys().filter_map(|name| name.strip_prefix("docs/")) {
        assert!(
            name == "SUMMARY.md" || unique.contains(&name.to_owned()),
            "docs/SUMMARY.md does not name {name}"
        );
    }
    let decisions = headings_and_links(&pages["docs/decisions/README.md"]).1;
    for name in pages
        .keys()
        .filter_map(|name| name.strip_prefix("docs/decisions/"))
    {
        assert!(
            name == "README.md" || decisions.iter().any(|link| link == name),
            "docs/decisions/README.md does not name {name}"
        );
    }
}

/// Holds a generated page to what it must be, or writes it.
fn generated(name: &str, text: &str) {
    let path = root().join(name);
    if writes() {
        fs::write(&path, text).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, text,
        "{name} is not what it should be: `MOXC_WRITE_MANUAL=1 cargo test manual` writes it"
    );
}

fn moxc(args: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_moxc"))
        .args(args)
        .env("COLUMNS", "100")
        .output()
        .expect("moxc starts");
    String::from_utf8(done.stdout).expect("UTF-8")
}

#[test]
fn the_pictures_of_the_manual_are_what_is_drawn() {
    for view in ["network", "storage", "flow"] {
        let drawn = moxc(&[
            "graph",
            root()
                .join("examples/homelab.toml")
                .to_str()
                .expect("UTF-8"),
            "--view",
            view,
            "--format",
            "svg",
            "-q",
        ]);
        fs::create_dir_all(root().join("docs/images")).expect("a folder");
        generated(&format!("docs/images/{view}.svg"), &drawn);
    }
}

/// The subcommands, as the help lists them.
fn subcommands() -> Vec<String> {
    let help = moxc(&["--help"]);
    let (_, list) = help.split_once("Commands:\n").expect("the list");
    let names = list.lines().take_while(|line| !line.trim().is_empty());
    names
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_page_of_commands_is_their_help() {
    let mut text = String::from(
        "# Every command and option\n\nWhat `moxc --help` and `moxc COMMAND --help` say. [The command line](command-line.md) says what they leave out.\n",
    );
    for name in subcommands() {
        let help = moxc(&[&name, "--help"]);
        write!(text, "\n## moxc {name}\n\n").expect("a string takes all text");
        for line in help.trim_end().lines() {
            if line.is_empty() {
                text.push('\n');
            } else {
                writeln!(text, "    {}", line.trim_end()).expect("a string takes all text");
            }
        }
    }
    generated("docs/commands.md", &text);
}

/// The long options of a command.
fn options_of(command: &str) -> BTreeSet<String> {
    let help = moxc(&[command, "--help"]);
    let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_call_of_moxc_in_the_manual_is_one_that_there_is() {
    let commands = subcommands();
    let options: BTreeMap<&String, BTreeSet<String>> = commands
        .iter()
        .map(|name| (name, options_of(name)))
        .collect();
    let mut faults = Vec::new();
    for (name, page) in pages() {
        let mut calls: Vec<String> = Vec::new();
        for event in Parser::new_ext(&page, Options::ENABLE_TABLES) {
            if let Event::Code(text) = &event
                && let Some(call) = text.strip_prefix("moxc ")
            {
                calls.push(call.to_owned());
            }
        }
        for block in blocks(&page) {
            if matches!(block.language.as_str(), "sh" | "console") {
                let lines = block.text.lines();
                let lines = lines.map(|line| line.trim_start_matches("$ "));
                calls.extend(
                    lines
                        .filter_map(|line| line.strip_prefix("moxc "))
                        .map(|line| line.split(" #").next().unwrap_or_default().to_owned()),
                );
            }
        }
        for call in calls {
            let call = call.split(['|', '>', ';']).next().unwrap_or_default();
            let mut words = call.split_whitespace();
            let command = words.next().unwrap_or_default().to_owned();
            if command.starts_with('-') || command == "COMMAND" {
                continue;
            }
            let Some(known) = options.get(&command) else {
                faults.push(format!("{name}: no command in `moxc {call}`"));
                continue;
            };
            for word in words.filter(|word| word.starts_with("--")) {
                let word = word.split('=').next().unwrap_or_default();
                let word = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
                if !known.contains(word) {
                    faults.push(format!("{name}: `moxc {command}` has no `{word}`"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_code_that_the_manual_names_is_one_that_there_is() {
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    for (name, page) in pages() {
        // Pages of codes show wrong ones.
        if name.starts_with("docs/errors/MOX") {
            continue;
        }
        for (at, _) in page.match_indices("MOX") {
            let code: String = page[at..].chars().take(7).collect();
            let digits = code.chars().skip(3).filter(char::is_ascii_digit).count();
            assert!(
                digits < 4 || known.contains(code.as_str()),
                "{name} names {code}"
            );
        }
    }
}

/// What a value of the schema is, in words.
fn kind(schema: &Value, definitions: &Value) -> String {
    if let Some(name) = reference(schema) {
        let target = &definitions[name];
        if target["properties"].is_object() {
            return format!("[`{name}`](#{})", name.to_lowercase());
        }
        let Some(text) = target["description"].as_str() else {
            return kind(target, definitions);
        };
        if let Some(words) = words(target) {
            return format!("{text}: {words}");
        }
        return text.to_owned();
    }
    if let Some(words) = words(schema) {
        return words;
    }
    for many in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[many].as_array() {
            let choices: Vec<String> = choices
                .iter()
                .filter(|choice| choice["type"] != "null")
                .map(|choice| kind(choice, definitions))
                .collect();
            return choices.join(", or ");
        }
    }
    if schema["items"].is_object() {
        return format!("a list of: {}", kind(&schema["items"], definitions));
    }
    if schema["additionalProperties"].is_object() {
        let of = kind(&schema["additionalProperties"], definitions);
        return format!("by name: {of}");
    }
    if !schema["const"].is_null() {
        return format!("`{}`", schema["const"]);
    }
    match &schema["type"] {
        Value::String(one) => match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
            (Some(least), Some(most)) => format!("{one} from {least} to {most}"),
            _ => one.clone(),
        },
        Value::Array(all) => {
            let all = all.iter().filter_map(Value::as_str);
            all.filter(|one| *one != "null")
                .collect::<Vec<_>>()
                .join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// The words of a choice.
fn words(schema: &Value) -> Option<String> {
    let own: Vec<String> = match (&schema["enum"], &schema["oneOf"]) {
        (Value::Array(words), _) => words
            .iter()
            .filter(|word| !word.is_null())
            .map(|word| format!("`{word}`"))
            .collect(),
        (_, Value::Array(choices)) => choices
            .iter()
            .map(|choice| choice["const"].as_str().map(|word| format!("`\"{word}\"`")))
            .collect::<Option<_>>()?,
        _ => return None,
    };
    (!own.is_empty()).then(|| own.join(", "))
}

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

fn table(text: &mut String, schema: &Value, definitions: &Value) {
    let Some(keys) = schema["properties"].as_object() else {
        return;
    };
    let required = schema["required"].as_array();
    text.push_str("| key | what it says | value |\n|---|---|---|\n");
    for (key, value) in keys {
        let must = required.is_some_and(|all| all.iter().any(|one| one == key));
        let about = value["description"].as_str().unwrap_or_default();
        writeln!(
            text,
            "| `{key}`{} | {} | {} |",
            if must { " (needed)" } else { "" },
            cell(about),
            cell(&kind(value, definitions))
        )
        .expect("a string takes all text");
    }
}

#[test]
fn the_page_of_the_language_is_its_schema() {
    let schema: Value = serde_json::from_str(&moxc(&["schema"])).expect("JSON");
    let definitions = &schema["$defs"];
    let mut text = String::from(
        "# The language\n\nA spec is one TOML file about one host. Everything is referred to by its table key: a disk's `dataset = \"vm-disks\"` names \
         `[storage.datasets.vm-disks]`. This page is made from the schema that `moxc schema` prints for editors.\n\n## The file\n\n",
    );
    table(&mut text, &schema, definitions);
    for (name, definition) in definitions.as_object().expect("definitions") {
        if !definition["properties"].is_object() {
            continue;
        }
        write!(text, "\n## {name}\n\n").expect("a string takes all text");
        if let Some(about) = definition["description"].as_str() {
            write!(text, "{about}\n\n").expect("a string takes all text");
        }
        table(&mut text, definition, definitions);
    }
    generated("docs/language.md", &text);
}
