//! What holds for any bytes at all: one function a target. `cargo fuzz run NAME` calls them with what it finds, and the tests
//! (`tests/fuzz.rs`) with seeds that they change by chance.

use std::io::Cursor;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use moxc::calendar::{Calendar, ProxmoxSchedule, TimeSpan};
use moxc::compile::Compiled;
use moxc::diagnostics::render::{Format, render};
use moxc::live;
use moxc::nix::options::{Index, Rules, check_module, looks_like_module};
use moxc::nu;
use moxc::pve::check::{
    check_datacenter, check_guest_config, check_interfaces, check_section_config, check_vzdump,
};
use moxc::pve::interfaces::Interfaces;
use moxc::pve::{
    GuestConfig, GuestKind, MappingKind, PropertyString, Release, SectionConfig, SectionFile,
};
use moxc::targets::Target;
use moxc::template::Templates;

/// A spec: the whole compiler goes over it, every place that it tells of lies in the text, and every format shows it.
pub fn spec(data: &[u8]) {
    // The command line tells of bytes that are no text, and goes no further.
    let text = String::from_utf8_lossy(data);
    let mut compiled = Compiled::of("host.toml", &text);
    if let Some(files) = compiled.files(Target::ALL, &Templates::built_in()) {
        let faults = moxc::check::check(&compiled.checked.host, &files);
        moxc::check::tell(faults, &mut compiled.sources, &mut compiled.sink);
    }
    let found = compiled.found();
    let sources = compiled.sources;
    for (_, diagnostic) in &found {
        assert!(
            !diagnostic.message.contains('\n'),
            "{:?}",
            diagnostic.message
        );
        let edits = diagnostic.fix.iter().flat_map(|fix| &fix.edits);
        let labels = diagnostic.labels.iter().map(|label| label.span);
        for span in labels.chain(edits.map(|edit| edit.span)) {
            let range = span.range();
            let text = sources.file_of(span).text();
            assert!(
                text.get(range.clone()).is_some(),
                "{range:?} is no part of the text: {diagnostic:?}"
            );
        }
    }
    for format in [Format::Human, Format::Short, Format::Json, Format::Sarif] {
        render(format, &sources, &found);
    }
}

/// A file of Nix, as `lint-nix` and the modules of a spec are looked at.
pub fn nix(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let index = Index::builtin();
    let rules = Rules {
        index,
        release: index.releases().max().expect("the index knows a release"),
        later: false,
        allowed: &[],
    };
    let mut faults = moxc::nix::check(&text);
    if looks_like_module(&text, index) {
        faults.extend(check_module(&text, &rules));
    }
    for fault in faults {
        assert!(text.get(fault.range.clone()).is_some(), "{fault:?}");
        assert!(!fault.message.contains('\n'), "{fault:?}");
    }
}

/// A text as a literal of Nushell, read back by the rules of its double quotes.
pub fn nu(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let quoted = nu::quote(&text);
    let inner = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .expect("quotes");
    let mut read = String::new();
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        assert!(c != '"' && !c.is_control(), "{c:?} stands in {quoted}");
        if c != '\\' {
            read.push(c);
            continue;
        }
        match rest.next() {
            Some('u') => {
                assert_eq!(rest.next(), Some('{'));
                let digits: String = rest.by_ref().take_while(|c| *c != '}').collect();
                let number = u32::from_str_radix(&digits, 16).expect("a number");
                read.push(char::from_u32(number).expect("a character"));
            }
            Some(c @ ('"' | '\\')) => read.push(c),
            other => panic!("an escape that Nushell has not: {other:?}"),
        }
    }
    assert_eq!(read, text);
    assert!(!nu::comment(&text).contains(['\n', '\r']));
}

/// A file of Proxmox VE; the first byte says which. What is read is written so that it reads the same.
pub fn proxmox(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    let release = Release::NEWEST;
    let faults = match first % 9 {
        kind @ (0 | 1) => {
            let kind = if kind == 0 {
                GuestKind::Qm
            } else {
                GuestKind::Pct
            };
            let (read, _) = GuestConfig::parse(kind, &text);
            let written = read.to_string();
            let (again, skipped) = GuestConfig::parse(kind, &written);
            assert_eq!(skipped, [], "{written}");
            // Proxmox VE takes the quotes around a text off each time that it reads it.
            let is_quoted = |value: &str| value.starts_with('"') && value.ends_with('"');
            let mut lines = written.lines().filter_map(|line| line.split_once(": "));
            if !lines.any(|(_, value)| is_quoted(value)) {
                assert_eq!(again.to_string(), written);
            }
            check_guest_config(kind, release, &text)
        }
        kind @ 2..=5 => {
            let file = match kind {
                2 => SectionFile::Storage,
                3 => SectionFile::Jobs,
                4 => SectionFile::Mapping(MappingKind::Pci),
                _ => SectionFile::Mapping(MappingKind::Usb),
            };
            let (read, _) = SectionConfig::parse(file, &text);
            let written = read.to_string();
            let (again, skipped) = SectionConfig::parse(file, &written);
            assert_eq!(skipped, [], "{written}");
            assert_eq!(again.to_string(), written);
            check_section_config(file, release, &text)
        }
        6 => {
            let read = Interfaces::parse(&text);
            let written = read.to_string();
            assert_eq!(Interfaces::parse(&written).to_string(), written);
            check_interfaces(release, &text)
        }
        7 => {
            if let Ok(read) = PropertyString::parse(&text) {
                let written = read.to_string();
                let again = PropertyString::parse(&written).expect("what was written reads");
                assert_eq!(again.to_string(), written);
            }
            check_vzdump(release, &text)
        }
        _ => check_datacenter(release, &text),
    };
    for fault in faults {
        assert!(text.get(fault.range.clone()).is_some(), "{fault:?}");
    }
}

/// A time of systemd's or Proxmox VE's, or a span: what is understood is written so that it is understood the same, and its
/// starts come one after the other.
pub fn calendar(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let start = Timestamp::from_second(1_796_083_200).expect("a time");
    let end = start
        .checked_add(SignedDuration::from_hours(24 * 400))
        .expect("a time");
    if let Ok(read) = text.parse::<Calendar>() {
        let again: Calendar = read.for_systemd().parse().expect("what was written reads");
        assert_eq!(again.for_systemd(), read.for_systemd());
        let times = read.expression().schedule(&TimeZone::UTC);
        let _ = times.next_after(start);
        let starts: Vec<Timestamp> = times.between(start, end).take(50).collect();
        assert!(
            starts.windows(2).all(|pair| pair[0] < pair[1]),
            "{starts:?}"
        );
        // What is written for systemd is what the rest of the compiler reckons with.
        let runs: Vec<Timestamp> = read
            .runs()
            .schedule(&TimeZone::UTC)
            .between(start, end)
            .take(50)
            .collect();
        let same = again.expression().schedule(&TimeZone::UTC);
        assert!(same.between(start, end).take(50).eq(runs));
    }
    if let Ok(read) = text.parse::<TimeSpan>() {
        let again: TimeSpan = read.canonical().parse().expect("what was written reads");
        assert_eq!(again.microseconds(), read.microseconds());
    }
    if let Ok(read) = text.parse::<ProxmoxSchedule>() {
        let again: ProxmoxSchedule = read.as_str().parse().expect("what was written reads");
        assert!(again.runs_as(&read));
        let next = read.next_after(start, &TimeZone::UTC);
        assert!(next.is_none_or(|next| next > start), "{next:?}");
    }
}

/// A copy of a host: a tar, plain or gzipped, or the text of `pvereport`.
pub fn live(data: &[u8]) {
    let Ok(host) = live::read_file(&mut Cursor::new(data)) else {
        return;
    };
    for (name, node) in &host.nodes {
        assert!(!name.contains('/'), "{name:?}");
        let _ = host.of_node(name);
        let _ = node;
    }
}
