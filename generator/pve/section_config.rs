//! `storage.cfg`, `jobs.cfg` and `mapping/*.cfg`.
//!
//! A section is a header line and below it one line a property, indented by a tab; one blank line
//! ends it. Proxmox drops a section that lacks a required property, and a line that is not
//! indented ends up inside the section above it, so neither is left to chance here.

use std::collections::BTreeMap;
use std::fmt;

use crate::source::{Places, Span};

use super::refusal::check_line_value;
use super::schema::{ConfigFile, MappingKind, OptionSchema};
use super::{CannotCarry, PropertyString, Refusal, Release, decode_text, encode_text};

/// Which of the files that consist of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SectionFile {
    /// `/etc/pve/storage.cfg`
    Storage,
    /// `/etc/pve/jobs.cfg`
    Jobs,
    /// `/etc/pve/mapping/{pci,usb,directory}.cfg`
    Mapping(MappingKind),
}

impl SectionFile {
    /// The schema of a section's properties.
    pub fn config_file(self, kind: &str) -> ConfigFile<'_> {
        match self {
            Self::Storage => ConfigFile::Storage(kind),
            Self::Jobs => ConfigFile::Job(kind),
            Self::Mapping(mapping) => ConfigFile::Mapping(mapping),
        }
    }
}

/// One section: a storage, a job, a mapping.
///
/// ```
/// use moxc::pve::{CannotCarry, Section, SectionConfig, SectionFile};
/// # fn main() -> Result<(), CannotCarry> {
/// let mut storage = Section::new(SectionFile::Storage, "zfspool", "tank")?;
/// storage.set("sparse", 1)?;
/// storage.set("pool", "tank/guests")?;
/// storage.set("content", "images")?;
/// let mut config = SectionConfig::new(SectionFile::Storage);
/// config.push(storage)?;
/// let text = "zfspool: tank\n\tpool tank/guests\n\tcontent images\n\tsparse 1\n\n";
/// assert_eq!(config.to_string(), text);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    file: SectionFile,
    release: Release,
    kind: String,
    id: String,
    properties: BTreeMap<String, Vec<String>>,
    places: Places,
}

impl Section {
    /// A section without properties. Mappings have no type in their header; give the empty text.
    pub fn new(file: SectionFile, kind: &str, id: &str) -> Result<Self, CannotCarry> {
        let kind = match file {
            SectionFile::Storage | SectionFile::Jobs => kind,
            SectionFile::Mapping(mapping) => mapping.name(),
        };
        for word in [kind, id] {
            check_line_value(word)?;
            if word.contains(char::is_whitespace) {
                return Err(CannotCarry::new(word, Refusal::Blank));
            }
        }
        if kind.contains(':') || kind.starts_with('#') || id.starts_with('#') {
            return Err(CannotCarry::new(
                if id.starts_with('#') { id } else { kind },
                Refusal::BadName,
            ));
        }
        Ok(Self {
            file,
            release: Release::NEWEST,
            kind: kind.to_owned(),
            id: id.to_owned(),
            properties: BTreeMap::new(),
            places: Places::default(),
        })
    }

    /// The storage or job type; for mappings, what they map.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The section's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The schema of the section's properties.
    pub fn config_file(&self) -> ConfigFile<'_> {
        self.file.config_file(&self.kind)
    }

    /// Sets a property, replacing an earlier value. A job's `comment` may be any text.
    pub fn set(&mut self, key: &str, value: impl fmt::Display) -> Result<(), CannotCarry> {
        let value = value.to_string();
        self.check(key, &value)?;
        if key == "disable" && value == "0" {
            // Proxmox writes only the flag that is set.
            self.properties.remove(key);
        } else {
            self.properties.insert(key.to_owned(), vec![value]);
        }
        Ok(())
    }

    /// Sets a property to `1` or `0`.
    pub fn set_flag(&mut self, key: &str, on: bool) -> Result<(), CannotCarry> {
        self.set(key, u8::from(on))
    }

    /// Sets a property that has sub-options, in the order in which Proxmox keeps them.
    pub fn set_property(&mut self, key: &str, value: &PropertyString) -> Result<(), CannotCarry> {
        match self.schema(key).and_then(OptionSchema::sub_options) {
            Some(keys) => self.set(key, value.canonical(keys)),
            None => self.set(key, value),
        }
    }

    /// Adds one more value of a property that may repeat, such as a mapping's `map`; the order of
    /// the values and of their parts is kept.
    pub fn add(&mut self, key: &str, value: impl fmt::Display) -> Result<(), CannotCarry> {
        let value = value.to_string();
        if key == "disable" {
            return self.set(key, value);
        }
        self.check(key, &value)?;
        self.properties
            .entry(key.to_owned())
            .or_default()
            .push(value);
        Ok(())
    }

    /// Sets every value of a property that may repeat.
    pub fn set_all(&mut self, key: &str, values: &[String]) -> Result<(), CannotCarry> {
        self.properties.remove(key);
        values.iter().try_for_each(|value| self.add(key, value))
    }

    /// Says where the spec decides a property (the empty key for the section).
    pub fn mark(&mut self, key: &str, place: Span) {
        self.places.set(key, place);
    }

    /// Where the spec decides a property, where that is known.
    pub fn place(&self, key: &str) -> Option<Span> {
        self.places.get(key)
    }

    /// The first value of a property.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.get_all(key).next()
    }

    /// All values of a property.
    pub fn get_all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.properties
            .get(key)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    /// All properties in the order in which they are printed.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut keys: Vec<&str> = self.properties.keys().map(String::as_str).collect();
        keys.sort_by_key(|key| (self.rank(key), *key));
        keys.into_iter()
            .flat_map(|key| self.get_all(key).map(move |value| (key, value)))
    }

    fn check(&self, key: &str, value: &str) -> Result<(), CannotCarry> {
        let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if key.is_empty() || !key.bytes().all(word) {
            return Err(CannotCarry::new(key, Refusal::BadName));
        }
        if self.is_encoded(key) {
            let encoded = encode_text(self.release, value);
            if encoded == "0" {
                return Err(CannotCarry::new(value, Refusal::Zero));
            }
            // Line breaks are encoded; blanks are not, and those at the ends are cut off.
            return check_line_value(&encoded).map_err(|error| CannotCarry::new(value, error.why));
        }
        check_line_value(value)
    }

    fn is_encoded(&self, key: &str) -> bool {
        self.file == SectionFile::Jobs && key == "comment"
    }

    fn schema(&self, key: &str) -> Option<&'static OptionSchema> {
        self.config_file().option(key)
    }

    /// `comment`, `disable`, what is required, the rest.
    fn rank(&self, key: &str) -> u8 {
        match key {
            "comment" => 0,
            "disable" => 1,
            _ if self.schema(key).is_some_and(OptionSchema::is_required) => 2,
            _ => 3,
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file {
            SectionFile::Storage | SectionFile::Jobs => writeln!(f, "{}: {}", self.kind, self.id)?,
            SectionFile::Mapping(_) => writeln!(f, "{}", self.id)?,
        }
        for (key, value) in self.properties() {
            match (key, value) {
                ("disable", "1") => writeln!(f, "\tdisable")?,
                (key, value) if self.is_encoded(key) => {
                    writeln!(f, "\t{key} {}", encode_text(self.release, value))?;
                }
                (key, value) => writeln!(f, "\t{key} {value}")?,
            }
        }
        writeln!(f)
    }
}

/// A whole file of sections, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionConfig {
    file: SectionFile,
    release: Release,
    header: Vec<String>,
    sections: Vec<Section>,
    /// Which of them each name is.
    by_id: BTreeMap<String, usize>,
}

impl SectionConfig {
    /// A file without sections.
    pub fn new(file: SectionFile) -> Self {
        Self {
            file,
            release: Release::NEWEST,
            header: Vec::new(),
            sections: Vec::new(),
            by_id: BTreeMap::new(),
        }
    }

    /// Prints as this release does; they differ in how `%` in a job's comment is encoded.
    #[must_use]
    pub fn for_release(mut self, release: Release) -> Self {
        self.release = release;
        for section in &mut self.sections {
            section.release = release;
        }
        self
    }

    /// Sets the comment lines above the first section. Proxmox skips them, and drops them when it
    /// next changes the file.
    pub fn set_header(&mut self, text: &str) {
        self.header = text
            .lines()
            .map(|line| line.replace(char::is_control, " ").trim_end().to_owned())
            .collect();
    }

    /// Adds a section with what Proxmox would add: a job's `enabled 1`, and the contents that a
    /// storage of its type has unless told otherwise.
    pub fn push(&mut self, mut section: Section) -> Result<(), CannotCarry> {
        if self.get(&section.id).is_some() {
            return Err(CannotCarry::new(section.id, Refusal::Twice));
        }
        if self.file == SectionFile::Jobs && section.get("enabled").is_none() {
            section.set("enabled", 1)?;
        }
        if self.file == SectionFile::Storage && section.get("content").is_none() {
            let contents = section.config_file().default_storage_contents();
            if !contents.is_empty() {
                section.set("content", contents.join(","))?;
            }
        }
        section.file = self.file;
        section.release = self.release;
        self.by_id.insert(section.id.clone(), self.sections.len());
        self.sections.push(section);
        Ok(())
    }

    /// The section of this name.
    pub fn get(&self, id: &str) -> Option<&Section> {
        Some(&self.sections[*self.by_id.get(id)?])
    }

    /// Where the spec decides the sections (`nas`) and their properties (`nas/server`).
    pub fn places(&self) -> Places {
        let mut places = Places::default();
        for section in &self.sections {
            places.extend_below(&section.id, &section.places);
        }
        places
    }

    /// All sections in their order.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter()
    }

    /// All sections, to change what they say.
    pub fn sections_mut(&mut self) -> impl Iterator<Item = &mut Section> {
        self.sections.iter_mut()
    }

    /// Reads a file as Proxmox does; what it would skip is returned beside the sections, by line.
    pub fn parse(file: SectionFile, text: &str) -> (Self, Vec<SkippedSectionLine>) {
        let mut config = Self::new(file);
        let mut skipped = Vec::new();
        let mut skip =
            |line: usize, why: &'static str| skipped.push(SkippedSectionLine { line, why });
        let mut open: Option<Section> = None;
        for line in lines(file, text) {
            match line.content {
                SectionLine::Header { kind, id } => match Section::new(file, kind, id) {
                    Ok(section) => open = Some(section),
                    Err(_) => skip(line.number, "this header cannot be written back"),
                },
                SectionLine::Property { key, value } => match open.as_mut() {
                    Some(section) => {
                        let boolean = section.schema(key).is_some_and(OptionSchema::is_boolean);
                        let value = match (value, section.is_encoded(key)) {
                            (Some(value), true) => decode_text(value),
                            (Some(value), false) => value.to_owned(),
                            (None, _) if boolean => "1".to_owned(),
                            (None, _) => {
                                skip(line.number, "this property has no value");
                                continue;
                            }
                        };
                        let repeats = section.schema(key).is_some_and(OptionSchema::is_repeatable);
                        if section.get(key).is_some() && !repeats {
                            skip(line.number, "this property is given twice");
                        } else if section.add(key, value).is_err() {
                            skip(line.number, "this value cannot be written back");
                        }
                    }
                    None => skip(line.number, "this property belongs to no section"),
                },
                SectionLine::End => {
                    if let Some(section) = open.take()
                        && config.push(section).is_err()
                    {
                        skip(line.number, "this section is given twice");
                    }
                }
                SectionLine::Unreadable => {
                    skip(line.number, "this is neither a header nor a property");
                }
            }
        }
        (config, skipped)
    }
}

impl fmt::Display for SectionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.header {
            writeln!(f, "{}", format!("# {line}").trim_end())?;
        }
        if !self.header.is_empty() {
            writeln!(f)?;
        }
        self.sections.iter().try_for_each(|section| section.fmt(f))
    }
}

/// A line that Proxmox would skip, or could not write back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedSectionLine {
    /// The line's number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

pub(crate) struct NumberedLine<'a> {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) content: SectionLine<'a>,
}

pub(crate) enum SectionLine<'a> {
    /// `type: id`, or `id` in a mapping file.
    Header { kind: &'a str, id: &'a str },
    /// An indented `key value` or `key`.
    Property {
        key: &'a str,
        value: Option<&'a str>,
    },
    /// A blank line, or the file's end.
    End,
    /// Anything else.
    Unreadable,
}

/// The lines of a section file without comments, and one end line below each section.
pub(crate) fn lines(file: SectionFile, text: &str) -> impl Iterator<Item = NumberedLine<'_>> {
    let mut inside = false;
    let count = text.lines().count();
    text.split('\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with('#'))
        .map(|(index, line)| (index + 1, line))
        // A last line without a line break ends its section too.
        .chain(std::iter::once((count, "")))
        .filter_map(move |(number, line)| {
            let content = if line.is_empty() {
                if !std::mem::take(&mut inside) {
                    return None;
                }
                SectionLine::End
            } else if inside {
                property(line)
            } else {
                let header = header(file, line);
                inside = matches!(header, SectionLine::Header { .. });
                header
            };
            Some(NumberedLine { number, content })
        })
}

fn header(file: SectionFile, line: &str) -> SectionLine<'_> {
    let line = line.trim_end();
    let (kind, id) = match file {
        SectionFile::Mapping(mapping) => (mapping.name(), line),
        SectionFile::Storage | SectionFile::Jobs => match line.split_once(':') {
            Some((kind, id)) => (kind, id.trim_start()),
            None => return SectionLine::Unreadable,
        },
    };
    let word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
    if word(kind) && word(id) {
        SectionLine::Header { kind, id }
    } else {
        SectionLine::Unreadable
    }
}

fn property(line: &str) -> SectionLine<'_> {
    let content = line.trim();
    if content.is_empty() || !line.starts_with(char::is_whitespace) {
        return SectionLine::Unreadable;
    }
    match content.split_once(char::is_whitespace) {
        Some((key, value)) => SectionLine::Property {
            key,
            value: Some(value.trim_start()),
        },
        None => SectionLine::Property {
            key: content,
            value: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section(file: SectionFile, kind: &str, id: &str, properties: &[(&str, &str)]) -> Section {
        let mut section = Section::new(file, kind, id).expect(id);
        for (key, value) in properties {
            section.add(key, value).expect(key);
        }
        section
    }

    fn printed(file: SectionFile, section: Section) -> String {
        let mut config = SectionConfig::new(file);
        config.push(section).expect("the only section");
        let text = config.to_string();
        assert_eq!(SectionConfig::parse(file, &text), (config, Vec::new()));
        text
    }

    #[test]
    fn prints_required_properties_before_optional_ones() {
        let storage = section(
            SectionFile::Storage,
            "nfs",
            "nas",
            &[
                ("content", "backup"),
                ("disable", "1"),
                ("server", "10.0.0.9"),
                ("path", "/mnt/pve/nas"),
                ("export", "/x"),
            ],
        );
        assert_eq!(
            printed(SectionFile::Storage, storage),
            "nfs: nas\n\tdisable\n\texport /x\n\tpath /mnt/pve/nas\n\tserver 10.0.0.9\n\tcontent backup\n\n"
        );
    }

    #[test]
    fn encodes_a_jobs_comment_and_adds_enabled() {
        let job = section(
            SectionFile::Jobs,
            "vzdump",
            "nightly",
            &[
                ("vmid", "100"),
                ("schedule", "02:30"),
                ("comment", "all: 5 %\nä"),
            ],
        );
        assert_eq!(
            printed(SectionFile::Jobs, job),
            "vzdump: nightly\n\tcomment all%3A 5 %25%0A%C3%A4\n\tschedule 02:30\n\tenabled 1\n\tvmid 100\n\n"
        );
    }

    #[test]
    fn prints_mappings_without_a_type() {
        let file = SectionFile::Mapping(MappingKind::Pci);
        let gpu = section(
            file,
            "",
            "gpu",
            &[
                ("mdev", "1"),
                ("map", "id=10de:2684,iommugroup=14,node=pve,path=0000:01:00"),
                ("map", "id=10de:22ba,node=pve2,path=0000:01:00"),
            ],
        );
        assert_eq!(
            printed(file, gpu),
            "gpu\n\tmap id=10de:2684,iommugroup=14,node=pve,path=0000:01:00\n\
             \tmap id=10de:22ba,node=pve2,path=0000:01:00\n\tmdev 1\n\n"
        );
    }

    #[test]
    fn sorts_the_parts_of_property_strings() {
        let mut job = Section::new(SectionFile::Jobs, "vzdump", "x").expect("a job");
        let keep = PropertyString::new()
            .with("keep-weekly", 4)
            .and_then(|p| p.with("keep-daily", 7))
            .expect("parts");
        job.set_property("prune-backups", &keep).expect("a value");
        assert_eq!(job.get("prune-backups"), Some("keep-daily=7,keep-weekly=4"));
    }

    #[test]
    fn header_comments_are_no_part_of_the_sections() {
        let mut config = SectionConfig::new(SectionFile::Storage);
        config.set_header("Generated.\nDo not edit.");
        config
            .push(section(
                SectionFile::Storage,
                "dir",
                "local",
                &[("path", "/var/lib/vz")],
            ))
            .expect("a section");
        let text = config.to_string();
        assert!(
            text.starts_with("# Generated.\n# Do not edit.\n\ndir: local\n"),
            "{text}"
        );
        let (read, skipped) = SectionConfig::parse(SectionFile::Storage, &text);
        assert_eq!((read.sections().count(), skipped.len()), (1, 0));
    }

    #[test]
    fn refuses_what_would_end_up_elsewhere() {
        let why =
            |result: Result<Section, CannotCarry>| result.map(|_| ()).map_err(|error| error.why);
        assert_eq!(
            why(Section::new(SectionFile::Storage, "dir", "a b")),
            Err(Refusal::Blank)
        );
        assert_eq!(
            why(Section::new(SectionFile::Storage, "dir", "")),
            Err(Refusal::Empty)
        );
        assert_eq!(
            why(Section::new(SectionFile::Storage, "di:r", "x")),
            Err(Refusal::BadName)
        );
        assert_eq!(
            why(Section::new(
                SectionFile::Mapping(MappingKind::Dir),
                "",
                "#x"
            )),
            Err(Refusal::BadName)
        );
        let mut storage = Section::new(SectionFile::Storage, "dir", "x").expect("a storage");
        for (value, expected) in [
            ("", Refusal::Empty),
            ("a\nb", Refusal::Control('\n')),
            ("a ", Refusal::OuterBlank),
        ] {
            assert_eq!(
                storage.set("path", value).map_err(|error| error.why),
                Err(expected)
            );
        }
        let mut config = SectionConfig::new(SectionFile::Storage);
        config.push(storage.clone()).expect("the first");
        assert_eq!(
            config.push(storage).map_err(|error| error.why),
            Err(Refusal::Twice)
        );
    }

    #[test]
    fn reads_as_proxmox_reads() {
        // A missing blank line makes the next header a dropped line inside the section; a blank
        // line inside a section ends it.
        let (config, skipped) = SectionConfig::parse(
            SectionFile::Storage,
            "# x\ndir: local\n  path /var/lib/vz\n# y\n\tdisable\nzfspool: tank\n\tpool tank\n\n\n\tcontent iso\ndir: b\n\tpath /b",
        );
        let ids: Vec<&str> = config.sections().map(Section::id).collect();
        assert_eq!(ids, ["local", "b"]);
        assert_eq!(
            config.get("local").and_then(|local| local.get("disable")),
            Some("1")
        );
        assert_eq!(
            skipped.iter().map(|line| line.line).collect::<Vec<_>>(),
            [6, 10]
        );
    }

    proptest! {
        /// Whatever is accepted is read back as what it was.
        #[test]
        fn round_trips_or_refuses(
            which in 0..3usize,
            ids in proptest::collection::vec("\\PC{1,8}|[a-z#:]{1,3}", 1..4),
            values in proptest::collection::vec(
                ("path|comment|content|map|enabled2|disable2|zzz", "\\PC{0,16}|[ \n\t%:#\"=,ä]{0,6}"), 0..6),
        ) {
            let file = [SectionFile::Storage, SectionFile::Jobs, SectionFile::Mapping(MappingKind::Pci)][which];
            let mut config = SectionConfig::new(file);
            for id in &ids {
                if let Ok(mut section) = Section::new(file, "vzdump", id) {
                    for (key, value) in &values {
                        let _ = section.set(key, value);
                    }
                    let _ = config.push(section);
                }
            }
            let printed = config.to_string();
            let (read, skipped) = SectionConfig::parse(file, &printed);
            prop_assert_eq!(skipped, []);
            prop_assert_eq!(read, config);
        }
    }
}
