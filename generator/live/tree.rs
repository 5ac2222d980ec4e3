//! The files of a copy, by their paths on the host.

use std::collections::{BTreeMap, BTreeSet};

use sha1::{Digest as _, Sha1};

use super::places::{is_below, is_wanted, leads_somewhere, witness};
use super::secrets::{blank, blank_json, is_secret_file};
use super::{Item, LARGEST_ANSWER, LARGEST_COPY, LARGEST_FILE, Unread};

/// A file's text, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileText {
    /// The path on the host, without the leading `/`.
    pub path: String,
    /// The text, with `\n` alone at the ends of lines.
    pub text: String,
    /// The SHA-1 of the file on the host, which Proxmox VE calls its digest.
    pub digest: String,
    /// Whether a secret was taken out.
    pub blanked: bool,
}

/// What is at a path.
#[derive(Debug, Clone)]
enum Entry {
    File(FileText),
    /// A link and its target, as it stands there.
    Link(String),
    Unread(String),
}

/// How many links are followed for one path, as in Linux.
const MOST_LINKS: usize = 40;

/// The files of a copy that moxc looks at.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
    folders: BTreeSet<String>,
    size: usize,
    /// Whether the copy is only an extract by its nature.
    partial: bool,
    /// Why the copy may lack files that the host has.
    cut_off: Option<String>,
    /// Paths that are of no use, such as those with `..`.
    odd: BTreeSet<Unread>,
}

impl Tree {
    /// A copy without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// An extract without files: what it does not hold is unread, folders that it lists aside.
    pub(super) fn partial() -> Self {
        Self {
            partial: true,
            ..Self::default()
        }
    }

    /// What of a copy is another node's as well: `/etc/pve`, whose links lead to that node.
    pub(super) fn of_node(&self, node: &str) -> Self {
        let shared = |path: &str| is_below(path, "etc/pve");
        let mut entries: BTreeMap<String, Entry> = self
            .entries
            .iter()
            .filter(|(path, _)| shared(path) && !is_link_of_pve(path))
            .map(|(path, entry)| (path.clone(), entry.clone()))
            .collect();
        for (link, target) in [
            ("local", ""),
            ("qemu-server", "/qemu-server"),
            ("lxc", "/lxc"),
        ] {
            let target = format!("nodes/{node}{target}");
            entries.insert(format!("etc/pve/{link}"), Entry::Link(target));
        }
        let mut folders: BTreeSet<String> = self
            .folders
            .iter()
            .filter(|path| shared(path))
            .cloned()
            .collect();
        folders.extend(["etc".to_owned(), "etc/pve".to_owned()]);
        folders.insert(format!("etc/pve/nodes/{node}"));
        Self {
            entries,
            folders,
            ..Self::partial()
        }
    }

    /// Adds a folder.
    pub(super) fn add_folder(&mut self, path: &str) {
        if leads_somewhere(path) && !is_secret_file(path) {
            self.note_folders(path);
            self.folders.insert(path.to_owned());
        }
    }

    fn note_folders(&mut self, path: &str) {
        for (slash, _) in path.match_indices('/') {
            if !self.folders.contains(&path[..slash]) {
                self.folders.insert(path[..slash].to_owned());
            }
        }
    }

    /// Whether there is use in the contents of the file at `path`.
    pub(super) fn wants(path: &str) -> bool {
        is_wanted(path) && !is_secret_file(path)
    }

    /// The most bytes of the file at `path` that are of use.
    pub(super) fn limit(path: &str) -> usize {
        if is_below(path, ".moxc") {
            LARGEST_ANSWER
        } else {
            LARGEST_FILE
        }
    }

    /// Adds a file; a later one at the same path replaces it.
    pub(super) fn add_file(&mut self, path: &str, bytes: &[u8]) {
        if !Self::wants(path) {
            return;
        }
        if bytes.len() > Self::limit(path) {
            let limit = Self::limit(path) >> 20;
            self.add_unread(path, &format!("it is larger than {limit} MiB"));
            return;
        }
        if self.size + bytes.len() > LARGEST_COPY {
            let limit = LARGEST_COPY >> 20;
            self.add_unread(path, &format!("the files before it hold {limit} MiB"));
            return;
        }
        self.size += bytes.len();
        let (text, is_latin1) = decoded(bytes);
        if is_latin1 {
            self.note(path, "lines of it are not UTF-8, and are read as Latin-1");
        }
        let text = if text.contains("\r\n") {
            text.replace("\r\n", "\n")
        } else {
            text
        };
        // A checkout without links has files that hold their targets.
        let target = text.trim_end();
        if is_link_of_pve(path) && !target.contains(['\n', ' ']) && target.starts_with("nodes/") {
            let target = target.to_owned();
            self.add_link(path, &target);
            return;
        }
        let blanked = if path.ends_with(".json") {
            blank_json(&text)
        } else {
            blank(&text)
        };
        let file = FileText {
            path: path.to_owned(),
            digest: format!("{:x}", Sha1::digest(bytes)),
            blanked: blanked.is_some() || text.contains(super::secrets::BLANK),
            text: blanked.unwrap_or(text),
        };
        self.insert(path, Entry::File(file));
    }

    /// Adds a link.
    pub(super) fn add_link(&mut self, path: &str, target: &str) {
        if leads_somewhere(path) && !is_secret_file(path) {
            self.insert(path, Entry::Link(target.to_owned()));
        }
    }

    /// Adds a file that could not be read.
    pub(super) fn add_unread(&mut self, path: &str, why: &str) {
        if Self::wants(path) || leads_somewhere(path) && !is_secret_file(path) {
            self.insert(path, Entry::Unread(why.to_owned()));
        }
    }

    fn insert(&mut self, path: &str, entry: Entry) {
        self.note_folders(path);
        self.entries.insert(path.to_owned(), entry);
    }

    /// Notes something that is said once, and takes nothing from the rest.
    pub(super) fn note(&mut self, path: &str, reason: &str) {
        self.odd.insert(Unread {
            path: path.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Notes that files may be missing here that the host has.
    pub(super) fn cut_off(&mut self, why: &str) {
        self.cut_off.get_or_insert_with(|| why.to_owned());
    }

    /// Takes the digests that the collector worked out before it blanked anything.
    pub(super) fn take_digests(&mut self) {
        let Item::Present(list) = self.file(".moxc/digests") else {
            return;
        };
        let digests: Vec<(String, String)> = list
            .text
            .lines()
            .filter_map(|line| line.split_once(char::is_whitespace))
            .map(|(digest, path)| (digest.to_owned(), path.trim_start().to_owned()))
            .collect();
        for (digest, path) in digests {
            let path = path.trim_start_matches(['/', '*']);
            if digest.len() == 40
                && let Some(Entry::File(file)) = self.entries.get_mut(path)
            {
                file.digest = digest;
            }
        }
    }

    /// Whether the collector made this copy, so that what is missing was missing on the host.
    pub fn is_collected(&self) -> bool {
        !self.partial && self.folders.contains(".moxc")
    }

    /// Whether the folder is in the copy, links followed.
    pub fn has_folder(&self, path: &str) -> bool {
        self.resolve(path)
            .is_ok_and(|path| self.folders.contains(&path))
    }

    /// The file at `path`, links followed.
    pub fn file(&self, path: &str) -> Item<&FileText> {
        let resolved = match self.resolve(path) {
            Ok(resolved) => resolved,
            Err(why) => return Item::Unread(why),
        };
        match self.entries.get(&resolved) {
            Some(Entry::File(file)) => Item::Present(file),
            Some(Entry::Unread(why)) => Item::Unread(why.clone()),
            Some(Entry::Link(_)) => Item::Unread("a link without an end".to_owned()),
            None if resolved != path => Item::Unread(format!(
                "a link to `/{resolved}`, which the copy does not hold"
            )),
            None => self.missing(path),
        }
    }

    /// What it means that `path` is not in the copy.
    pub(super) fn missing<T>(&self, path: &str) -> Item<T> {
        if let Some(why) = &self.cut_off {
            return Item::Unread(why.clone());
        }
        if is_below(path, ".moxc") {
            return Item::Unread("the copy has no answer of this command".to_owned());
        }
        let witness = witness(path);
        let seen = if witness == "etc" {
            // `etc` alone says nothing where the copy is of `/etc/pve`.
            self.entries
                .keys()
                .any(|path| is_below(path, "etc") && !is_below(path, "etc/pve"))
        } else {
            self.has_folder(witness)
        };
        if seen || self.is_collected() {
            Item::Absent
        } else {
            Item::Unread(format!("the copy has nothing of `/{witness}`"))
        }
    }

    /// The names of what lies in the folder `path`, files, links and folders, sorted.
    pub fn names(&self, path: &str) -> Vec<&str> {
        let Ok(folder) = self.resolve(path) else {
            return Vec::new();
        };
        let prefix = format!("{folder}/");
        let mut names = BTreeSet::new();
        let mut from = prefix.clone();
        // Each step goes past all below one name, so that a folder costs what is in it, not what is below it.
        while let Some((key, _)) = self.entries.range(from.clone()..).next() {
            let Some(rest) = key.strip_prefix(&prefix) else {
                break;
            };
            let name = rest.split('/').next().unwrap_or_default();
            names.insert(name);
            // `0` comes right behind `/`.
            let end = if rest.contains('/') { '0' } else { '\0' };
            from = format!("{prefix}{name}{end}");
        }
        let folders = self.folders.range(prefix.clone()..);
        for folder in folders.take_while(|folder| folder.starts_with(&prefix)) {
            let rest = &folder[prefix.len()..];
            if !rest.contains('/') {
                names.insert(rest);
            }
        }
        names.into_iter().collect()
    }

    /// The files directly in the folder `path`, by name.
    pub fn files_in(&self, path: &str) -> Vec<(&str, Item<&FileText>)> {
        self.names(path)
            .into_iter()
            .filter(|name| !self.has_folder(&format!("{path}/{name}")))
            .map(|name| (name, self.file(&format!("{path}/{name}"))))
            .collect()
    }

    /// Every file, by its path; links are left out.
    pub fn files(&self) -> impl Iterator<Item = &FileText> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::File(file) => Some(file),
            Entry::Link(_) | Entry::Unread(_) => None,
        })
    }

    /// The target of the link at `path`, as it stands there.
    pub fn link(&self, path: &str) -> Option<&str> {
        match self.entries.get(path)? {
            Entry::Link(target) => Some(target),
            Entry::File(_) | Entry::Unread(_) => None,
        }
    }

    /// What could not be read, sorted by path.
    pub(super) fn unread(&self) -> Vec<Unread> {
        let mut unread: BTreeSet<Unread> = self.odd.clone();
        for (path, entry) in &self.entries {
            if let Entry::Unread(reason) = entry {
                unread.insert(Unread {
                    path: path.clone(),
                    reason: reason.clone(),
                });
            }
        }
        unread.into_iter().collect()
    }

    /// The path with every link in it followed, inside the copy.
    fn resolve(&self, path: &str) -> Result<String, String> {
        let mut links = 0;
        let mut done: Vec<String> = Vec::new();
        let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    if done.pop().is_none() {
                        return Err("a link out of the copy".to_owned());
                    }
                    continue;
                }
                _ => done.push(part),
            }
            let here = done.join("/");
            if let Some(Entry::Link(target)) = self.entries.get(&here) {
                links += 1;
                if links > MOST_LINKS {
                    return Err("a link without an end".to_owned());
                }
                done.pop();
                if target.starts_with('/') {
                    done.clear();
                }
                rest.extend(target.split('/').rev().map(str::to_owned));
            }
        }
        Ok(done.join("/"))
    }
}

/// The links that Proxmox VE's own file system shows in `/etc/pve`.
/// A file as text, and whether lines of it are not UTF-8. Proxmox VE's Perl writes a letter up to `ÿ` as one byte where nothing else
/// encodes it (`ciuser`), and reads it so.
fn decoded(bytes: &[u8]) -> (String, bool) {
    let bytes = match String::from_utf8(bytes.to_vec()) {
        Ok(text) => return (text, false),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(bytes.len() + 16);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match std::str::from_utf8(line) {
            Ok(line) => text.push_str(line),
            Err(_) => text.extend(line.iter().map(|byte| char::from(*byte))),
        }
    }
    (text, true)
}

fn is_link_of_pve(path: &str) -> bool {
    matches!(
        path,
        "etc/pve/local" | "etc/pve/qemu-server" | "etc/pve/lxc" | "etc/pve/openvz"
    )
}
