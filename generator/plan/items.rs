//! The host's own files: each taken apart into options of objects, and compared option by option.

use std::collections::BTreeMap;

use super::classes::Kind;
use super::guests::Found;
use super::value::Difference;
use super::{Cause, Change, Class, Foreign, Line, Object};
use crate::live::secrets::is_blanked;
use crate::shell::Command;
use crate::source::Span;

/// Options by their names.
pub(super) type Options = BTreeMap<String, String>;

/// What a file holds: objects with their options.
pub(super) type Items = BTreeMap<Object, Options>;

/// How the items of a file are compared and changed.
pub(super) trait Rules {
    /// What a change costs; `option` is none where the object comes as a whole.
    fn class(&self, object: &Object, option: Option<&str>, kind: Kind) -> Class;

    /// Whether two values are one; none is an option that is left out.
    fn is_same(
        &self,
        object: &Object,
        option: &str,
        live: Option<&str>,
        wanted: Option<&str>,
    ) -> bool {
        let _ = (object, option);
        live == wanted
    }

    /// Whether the host, or the spec, has an option as the last run left it.
    fn is_left(
        &self,
        object: &Object,
        option: &str,
        left: Option<&str>,
        now: Option<&str>,
    ) -> bool {
        // A default that the record says and the file does not is no edit.
        left == now || left.is_some() && self.is_same(object, option, now, left)
    }

    /// Whether an option is the spec's where it does not say it: then it goes, whoever wrote it.
    fn owns(&self, object: &Object, option: &str, of: &OfObject<'_>) -> bool {
        let _ = (object, option, of);
        false
    }

    /// The value of an option on the host, taken apart into what is the spec's and what is others', which stays.
    fn apart(&self, object: &Object, option: &str, of: &OfObject<'_>) -> Apart {
        let live = of.live.get(option).cloned();
        if of.is_said(option) || self.owns(object, option, of) {
            Apart::ours(live)
        } else {
            Apart::others(live)
        }
    }

    /// Whether the parts of an option's value are things of their own: `keep-last=3,keep-daily=7`.
    fn has_parts(&self, object: &Object, option: &str) -> bool {
        let _ = (object, option);
        false
    }

    /// Whether Proxmox VE fills in a part where nobody says it.
    fn fills_in(&self, option: &str, part: &str) -> bool {
        let _ = (option, part);
        false
    }

    /// What is ours and what is others' as one value.
    fn joined(&self, option: &str, live: &str, ours: Option<&str>, others: &str) -> String {
        let _ = (option, live);
        ours.unwrap_or(others).to_owned()
    }

    /// What sets an option, or takes it away, where the object has these options then.
    fn set(
        &self,
        object: &Object,
        option: &str,
        value: Option<&str>,
        options: &Options,
    ) -> Vec<Command> {
        let _ = (object, option, value, options);
        Vec::new()
    }

    /// What makes an object.
    fn create(&self, object: &Object, options: &Options) -> Vec<Command> {
        let _ = (object, options);
        Vec::new()
    }

    /// What takes an object away that [`create`](Self::create) made.
    fn remove(&self, object: &Object) -> Vec<Command> {
        let _ = object;
        Vec::new()
    }

    /// Where a file that is merged holds an option; none for the object as a whole.
    fn key(&self, object: &Object, option: Option<&str>) -> String {
        let _ = object;
        option.unwrap_or_default().to_owned()
    }

    /// An object on one line.
    fn shown(&self, object: &Object, options: &Options) -> String {
        let _ = object;
        let parts: Vec<String> = options
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        parts.join(" ")
    }

    /// Whether what the host has beyond the spec is worth a word.
    fn tells_foreign(&self, object: &Object, option: Option<&str>) -> bool {
        let _ = (object, option);
        true
    }
}

/// The three sides of an object that both the host and the spec have.
pub(super) struct OfObject<'a> {
    pub(super) live: &'a Options,
    pub(super) wanted: &'a Options,
    /// What the last run left; none where no run has made it.
    pub(super) left: Option<&'a Options>,
}

impl OfObject<'_> {
    /// What the last run left of an option.
    pub(super) fn left(&self, option: &str) -> Option<&str> {
        self.left?.get(option).map(String::as_str)
    }

    /// Whether the spec says an option, or the last run's did.
    pub(super) fn is_said(&self, option: &str) -> bool {
        self.wanted.contains_key(option) || self.left(option).is_some()
    }
}

/// A value of the host's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Apart {
    /// What is compared with the spec's.
    pub(super) ours: Option<String>,
    /// What stays whatever the spec says.
    pub(super) others: Option<String>,
}

impl Apart {
    /// All of it is compared.
    pub(super) fn ours(live: Option<String>) -> Self {
        Self {
            ours: live,
            others: None,
        }
    }

    /// All of it stays.
    pub(super) fn others(live: Option<String>) -> Self {
        Self {
            ours: None,
            others: live,
        }
    }

    /// Parts of it stay, and the rest is compared.
    pub(super) fn parts<'a>(
        parts: impl Iterator<Item = &'a str>,
        between: &str,
        stays: impl Fn(&str) -> bool,
    ) -> Self {
        let (others, ours): (Vec<&str>, Vec<&str>) = parts.partition(|part| stays(part));
        let joined = |parts: Vec<&str>| (!parts.is_empty()).then(|| parts.join(between));
        Self {
            ours: joined(ours),
            others: joined(others),
        }
    }
}

/// The three sides of a file.
pub(super) struct Sides<'a> {
    /// Where it lies, without the leading `/`.
    pub(super) path: &'a str,
    pub(super) wanted: &'a Items,
    pub(super) live: &'a Items,
    /// What the last run left; none where the host has no record of one.
    pub(super) applied: Option<&'a Items>,
}

/// Compares a file.
pub(super) fn compare(
    sides: &Sides<'_>,
    rules: &dyn Rules,
    place: &dyn Fn(&Object, Option<&str>) -> Option<Span>,
    found: &mut Found,
) {
    for (object, options) in sides.wanted {
        match sides.live.get(object) {
            Some(live) => changed(sides, rules, object, live, options, place, found),
            None => found.changes.push(Change {
                object: object.clone(),
                option: None,
                before: None,
                after: Some(rules.shown(object, options)),
                class: rules.class(object, None, Kind::Add),
                cause: object_cause(sides, object, options),
                commands: rules.create(object, options),
                undo: rules.remove(object),
                spec: place(object, None),
                line: Some(Line {
                    path: sides.path.to_owned(),
                    key: rules.key(object, None),
                    before: None,
                    after: Some(rules.shown(object, options)),
                }),
            }),
        }
    }
    for (object, options) in sides.live {
        if sides.wanted.contains_key(object) {
            continue;
        }
        let left = sides.applied.and_then(|applied| applied.get(object));
        if left.is_none() {
            if rules.tells_foreign(object, None) {
                found.foreign.push(Foreign::object(object.clone(), None));
            }
            continue;
        }
        found.changes.push(Change {
            object: object.clone(),
            option: None,
            before: Some(rules.shown(object, options)),
            after: None,
            class: rules.class(object, None, Kind::Remove),
            cause: if left.is_some_and(|left| is_as_left(rules, object, left, options)) {
                Cause::Spec
            } else {
                Cause::Both
            },
            commands: rules.remove(object),
            undo: rules.create(object, options),
            spec: None,
            line: Some(Line {
                path: sides.path.to_owned(),
                key: rules.key(object, None),
                before: Some(rules.shown(object, options)),
                after: None,
            }),
        });
    }
}

/// Whether an object is as the last run left it, and nobody has added to it.
fn is_as_left(rules: &dyn Rules, object: &Object, left: &Options, live: &Options) -> bool {
    live.keys().all(|option| left.contains_key(option))
        && left.iter().all(|(option, value)| {
            let now = live.get(option).map(String::as_str);
            rules.is_left(object, option, Some(value), now)
        })
}

/// Whose change it is that the host lacks an object: somebody took it away, and the spec may have changed it since.
fn object_cause(sides: &Sides<'_>, object: &Object, wanted: &Options) -> Cause {
    match sides.applied.map(|applied| applied.get(object)) {
        None => Cause::Unknown,
        Some(None) => Cause::Spec,
        Some(Some(left)) if left == wanted => Cause::Host,
        Some(Some(_)) => Cause::Both,
    }
}

fn changed(
    sides: &Sides<'_>,
    rules: &dyn Rules,
    object: &Object,
    live: &Options,
    wanted: &Options,
    place: &dyn Fn(&Object, Option<&str>) -> Option<Span>,
    found: &mut Found,
) {
    let left = sides.applied.and_then(|applied| applied.get(object));
    let both = Both {
        sides,
        rules,
        object,
        of: OfObject { live, wanted, left },
        place,
    };
    let names: std::collections::BTreeSet<&String> = live.keys().chain(wanted.keys()).collect();
    for option in names {
        both.option(option, found);
    }
}

/// An object that both the host and the spec have.
struct Both<'a> {
    sides: &'a Sides<'a>,
    rules: &'a dyn Rules,
    object: &'a Object,
    of: OfObject<'a>,
    place: &'a dyn Fn(&Object, Option<&str>) -> Option<Span>,
}

impl Both<'_> {
    /// Compares one option of it.
    fn option(&self, option: &str, found: &mut Found) {
        let Self {
            rules, object, of, ..
        } = self;
        let before = of.live.get(option).map(String::as_str);
        let after = of.wanted.get(option).map(String::as_str);
        if rules.is_same(object, option, before, after) {
            return;
        }
        let Apart { ours, others } = rules.apart(object, option, of);
        let is_same = rules.is_same(object, option, ours.as_deref(), after);
        if is_same && others.is_none() {
            return;
        }
        if before.is_some_and(is_blanked) {
            found.not_read(
                self.sides.path.to_owned(),
                format!("`{option}` of {object} is a secret, which is not read"),
            );
            return;
        }
        if let Some(others) = &others
            && rules.tells_foreign(object, Some(option))
        {
            let foreign = Foreign::option((*object).clone(), option, others);
            found.foreign.push(foreign);
        }
        if is_same {
            return;
        }
        let cause = self.cause(option, ours.as_deref(), after);
        let by_parts = self.by_parts(option, cause, others.is_some());
        let cause = by_parts.as_ref().map_or(cause, |merged| merged.cause);
        for (part, here, said) in by_parts.iter().flat_map(|merged| &merged.by_hand) {
            found.changes.push(Change {
                option: Some(format!("{option}.{part}")),
                before: here.clone(),
                after: said.clone(),
                class: rules.class(object, Some(option), Kind::of(here.as_ref(), said.as_ref())),
                ..self.change(option, Cause::Host, after)
            });
        }
        let joined = match by_parts {
            Some(merged) => Some(merged.text),
            None => others
                .map(|others| rules.joined(option, before.unwrap_or_default(), after, &others)),
        };
        let after = joined.as_deref().or(after);
        if before != after {
            found.changes.push(Change {
                commands: rules.set(object, option, after, of.wanted),
                undo: rules.set(object, option, before, of.live),
                ..self.change(option, cause, after)
            });
        }
    }

    /// Whose change of an option it is.
    fn cause(&self, option: &str, ours: Option<&str>, wanted: Option<&str>) -> Cause {
        let left = self.of.left(option);
        match self.of.left {
            // No run has made it: nobody knows whose its options are.
            None => Cause::Unknown,
            Some(_) if self.rules.is_left(self.object, option, left, ours) => Cause::Spec,
            Some(_) if self.rules.is_left(self.object, option, left, wanted) => Cause::Host,
            Some(_) => Cause::Both,
        }
    }

    /// The value of an option that somebody has changed, taken apart into the parts that they changed and the spec's; none where
    /// it has none.
    fn by_parts(&self, option: &str, cause: Cause, has_others: bool) -> Option<Merged> {
        let is_edited = matches!(cause, Cause::Host | Cause::Both) && !has_others;
        if !is_edited || !self.rules.has_parts(self.object, option) {
            return None;
        }
        let (before, after) = (self.of.live.get(option)?, self.of.wanted.get(option)?);
        let fills_in = |part: &str| self.rules.fills_in(option, part);
        merged(before, after, self.of.left(option)?, fills_in)
    }

    /// The change of an option to a value, without commands.
    fn change(&self, option: &str, cause: Cause, after: Option<&str>) -> Change {
        let before = self.of.live.get(option).map(String::as_str);
        let line = Line {
            path: self.sides.path.to_owned(),
            key: self.rules.key(self.object, Some(option)),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let kind = Kind::of(before.as_ref(), after.as_ref());
        Change {
            object: self.object.clone(),
            option: Some(option.to_owned()),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            class: self.rules.class(self.object, Some(option), kind),
            cause,
            commands: Vec::new(),
            undo: Vec::new(),
            spec: (self.place)(self.object, Some(option)),
            line: Some(line),
        }
    }
}

/// A value of which the spec changes some parts and somebody has changed others.
#[derive(Debug, PartialEq, Eq)]
struct Merged {
    text: String,
    /// The parts that stay as somebody made them.
    by_hand: Vec<Difference>,
    cause: Cause,
}

/// The parts of a value, where it has any: `keep-last=3,keep-daily=7`.
fn pairs(text: &str) -> Option<Vec<(&str, &str)>> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    };
    let pairs: Option<Vec<_>> = text
        .split(',')
        .map(|part| {
            part.trim()
                .split_once('=')
                .filter(|(name, _)| is_name(name))
        })
        .collect();
    pairs.filter(|_| !text.contains('\n'))
}

/// What the spec changed since the last run, in what is there: of parts that it did not change somebody else's value stays.
fn merged(live: &str, wanted: &str, left: &str, fills_in: impl Fn(&str) -> bool) -> Option<Merged> {
    let (live_pairs, want, was) = (pairs(live)?, pairs(wanted)?, pairs(left)?);
    let of = |pairs: &[(&str, &str)], part: &str| {
        let own = pairs.iter().find(|(name, _)| *name == part);
        own.map(|(_, value)| (*value).to_owned())
    };
    let more = want
        .iter()
        .filter(|(name, _)| of(&live_pairs, name).is_none());
    let mut by_hand = Vec::new();
    let mut cause = None;
    let mut kept: Vec<(&str, Option<String>)> = Vec::new();
    for (part, _) in live_pairs.iter().chain(more) {
        let (here, said, before) = (of(&live_pairs, part), of(&want, part), of(&was, part));
        if here == said || said.is_none() && fills_in(part) {
            kept.push((part, here));
        } else if before == said {
            kept.push((part, here.clone()));
            by_hand.push(((*part).to_owned(), here, said));
        } else {
            let own = if before == here {
                Cause::Spec
            } else {
                Cause::Both
            };
            cause = if cause == Some(Cause::Both) {
                cause
            } else {
                Some(own)
            };
            kept.push((part, said));
        }
    }
    let text = match cause {
        None => live.to_owned(),
        Some(_) if by_hand.is_empty() => wanted.to_owned(),
        // What follows from the rest is found out anew.
        Some(_) => {
            let stays = kept.into_iter().filter_map(|(part, value)| {
                let follows = fills_in(part) && of(&want, part).is_none();
                value
                    .filter(|_| !follows)
                    .map(|value| format!("{part}={value}"))
            });
            stays.collect::<Vec<_>>().join(",")
        }
    };
    Some(Merged {
        text,
        by_hand,
        cause: cause.unwrap_or(Cause::Host),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_somebody_changed_stays_beside_those_of_the_spec() {
        let merge = |live, wanted, left| {
            merged(live, wanted, left, |part| part == "iommugroup").expect("parts")
        };
        let one = merge(
            "id=1:2,iommugroup=7,node=a,path=0000:02:00",
            "id=1:3,node=a,path=0000:01:00",
            "id=1:2,node=a,path=0000:01:00",
        );
        assert_eq!(one.text, "id=1:3,node=a,path=0000:02:00");
        assert_eq!(one.cause, Cause::Spec);
        let path = |text: &str| Some(text.to_owned());
        assert_eq!(
            one.by_hand,
            [("path".to_owned(), path("0000:02:00"), path("0000:01:00"))]
        );
        // Of a part that both changed the spec counts, and what follows from the device is no edit.
        let both = merge("id=1:4,iommugroup=7", "id=1:3", "id=1:2");
        assert_eq!((both.text.as_str(), both.cause), ("id=1:3", Cause::Both));
        assert!(both.by_hand.is_empty());
        let none = merge("keep-last=5", "keep-last=3", "keep-last=3");
        assert_eq!(
            (none.text.as_str(), none.cause),
            ("keep-last=5", Cause::Host)
        );
        let gone = merge(
            "keep-last=3,keep-daily=1",
            "keep-last=3,keep-weekly=2",
            "keep-last=3,keep-daily=1,keep-monthly=1",
        );
        assert_eq!(gone.text, "keep-last=3,keep-weekly=2");
        assert!(merged("images,iso", "iso", "iso", |_| false).is_none());
    }
}
