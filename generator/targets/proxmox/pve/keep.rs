//! What is kept of the files that moxc writes a part of: sections of Proxmox VE's own files, lines of `vzdump.conf`.

use std::collections::BTreeSet;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Host, Kept, KeptText};
use crate::pve::{SectionConfig, SectionFile};
use crate::source::Spanned;
use crate::value::{Line, Text};

use super::options::report_refusal;

/// What is kept of a file.
pub(in crate::targets::proxmox) fn of<'a>(host: &'a Host, path: &str) -> Option<&'a Kept> {
    host.kept.iter().find(|kept| kept.path.as_str() == path)
}

/// The files of sections that moxc writes, by their path on the host.
pub(in crate::targets::proxmox) const SECTION_FILES: &[&str] = &[
    "etc/pve/storage.cfg",
    "etc/pve/jobs.cfg",
    "etc/pve/mapping/pci.cfg",
    "etc/pve/mapping/usb.cfg",
    "etc/pve/mapping/directory.cfg",
];

/// The names of the sections that are kept of a file.
pub(super) fn ids(host: &Host, path: &str, file: SectionFile) -> BTreeSet<String> {
    let texts = match of(host, path).map(|kept| &kept.what) {
        Some(KeptText::Sections(texts)) => texts.as_slice(),
        Some(KeptText::Untouched | KeptText::Lines(_) | KeptText::Text(_)) | None => &[],
    };
    let read = texts
        .iter()
        .map(|text| SectionConfig::parse(file, text.as_str()).0);
    let ids = read.flat_map(|config| {
        let ids = config.sections().map(|section| section.id().to_owned());
        ids.collect::<Vec<_>>()
    });
    ids.collect()
}

/// Adds the sections that are kept of a file to those that are written.
pub(super) fn sections(
    host: &Host,
    path: &str,
    file: SectionFile,
    config: Option<SectionConfig>,
    sink: &mut Sink,
) -> Option<SectionConfig> {
    let Some(kept) = of(host, path) else {
        return config;
    };
    let sections = match &kept.what {
        KeptText::Sections(sections) => sections,
        KeptText::Untouched => return config,
        KeptText::Lines(_) | KeptText::Text(_) => {
            sink.push(wrong_form(kept, "sections"));
            return config;
        }
    };
    let mut config = config.unwrap_or_else(|| SectionConfig::new(file));
    for text in sections {
        section(file, text, &mut config, sink);
    }
    Some(config)
}

fn section(file: SectionFile, text: &Spanned<Text>, config: &mut SectionConfig, sink: &mut Sink) {
    let (read, skipped) = SectionConfig::parse(file, text.as_str());
    let mut read = read.sections();
    let (Some(section), None) = (read.next(), read.next()) else {
        sink.push(
            Diagnostic::new(Code::MOX0029, text.span, "this is not one section")
                .help("each item is the whole text of one: a line with type and name, below it the indented lines"),
        );
        return;
    };
    if let Some(line) = skipped.first() {
        sink.push(
            Diagnostic::new(
                Code::MOX0029,
                text.span,
                format!("line {} of this section: {}", line.line, line.why),
            )
            .help("write the section as it stands in the file"),
        );
        return;
    }
    if let Some(own) = config.get(section.id()) {
        let mut told = Diagnostic::new(
            Code::MOX0029,
            text.span,
            format!("`{}` is kept, and written from the spec", section.id()),
        )
        .help("remove it here: what the spec does not say of it are further keys of its table");
        let places = config.places();
        if let Some(place) = places.get(own.id()) {
            told = told.also(place, "written from this");
        }
        sink.push(told);
        return;
    }
    let mut section = section.clone();
    section.mark("", text.span);
    if let Err(error) = config.push(section) {
        report_refusal(&error, text.span, sink);
    }
}

/// The lines that are kept of a file whose lines are `key: value`; those that moxc writes itself are told.
pub(super) fn lines<'a>(
    host: &'a Host,
    path: &str,
    own: &[&str],
    sink: &mut Sink,
) -> Vec<&'a Spanned<Line>> {
    let Some(kept) = of(host, path) else {
        return Vec::new();
    };
    let lines = match &kept.what {
        KeptText::Lines(lines) => lines,
        KeptText::Untouched => return Vec::new(),
        KeptText::Text(_) | KeptText::Sections(_) => {
            sink.push(wrong_form(kept, "lines"));
            return Vec::new();
        }
    };
    for line in lines {
        let key = line.as_str().split(':').next().unwrap_or_default().trim();
        if own.contains(&key) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0029,
                    line.span,
                    format!("`{key}` is kept, and written from the spec"),
                )
                .help("remove the line here"),
            );
        }
    }
    lines.iter().collect()
}

/// A file is kept in the form that it is made of.
pub(in crate::targets::proxmox) fn wrong_form(kept: &Kept, form: &str) -> Diagnostic {
    Diagnostic::new(
        Code::MOX0029,
        kept.path.span,
        format!("`{}` is kept as `{form}`", kept.path.as_str()),
    )
    .help(format!("write what is kept as `{form}`"))
}
