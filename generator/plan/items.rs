//! The host's own files: each taken apart into options of objects, and compared option by option.

use std::collections::BTreeMap;

use super::classes::Kind;
use super::guests::Found;
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
        let _ = (object, option);
        left == now
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
            cause: if left == Some(options) {
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
    let of = OfObject {
        live,
        wanted,
        left: sides.applied.and_then(|applied| applied.get(object)),
    };
    let names: std::collections::BTreeSet<&String> = live.keys().chain(wanted.keys()).collect();
    for option in names {
        let before = live.get(option).map(String::as_str);
        let after = wanted.get(option).map(String::as_str);
        let left = of.left(option);
        if rules.is_same(object, option, before, after) {
            continue;
        }
        let Apart { ours, others } = rules.apart(object, option, &of);
        let is_same = rules.is_same(object, option, ours.as_deref(), after);
        if is_same && others.is_none() {
            continue;
        }
        if before.is_some_and(is_blanked) {
            found.not_read(
                sides.path.to_owned(),
                format!("`{option}` of {object} is a secret, which is not read"),
            );
            continue;
        }
        if let Some(others) = &others
            && rules.tells_foreign(object, Some(option))
        {
            let foreign = Foreign::option(object.clone(), option, others);
            found.foreign.push(foreign);
        }
        if is_same {
            continue;
        }
        let cause = match of.left {
            // No run has made it: nobody knows whose its options are.
            None => Cause::Unknown,
            Some(_) if rules.is_left(object, option, left, ours.as_deref()) => Cause::Spec,
            Some(_) if rules.is_left(object, option, left, after) => Cause::Host,
            Some(_) => Cause::Both,
        };
        let joined =
            others.map(|others| rules.joined(option, before.unwrap_or_default(), after, &others));
        let after = joined.as_deref().or(after);
        let kind = Kind::of(before.as_ref(), after.as_ref());
        found.changes.push(Change {
            object: object.clone(),
            option: Some(option.clone()),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            class: rules.class(object, Some(option), kind),
            cause,
            commands: rules.set(object, option, after, wanted),
            undo: rules.set(object, option, before, live),
            spec: place(object, Some(option)),
            line: Some(Line {
                path: sides.path.to_owned(),
                key: rules.key(object, Some(option)),
                before: before.map(str::to_owned),
                after: after.map(str::to_owned),
            }),
        });
    }
}
