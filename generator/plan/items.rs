//! The host's own files: each taken apart into options of objects, and compared option by option.

use std::collections::BTreeMap;

use super::classes::Kind;
use super::guests::{Found, cause_of};
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

    /// Whether a value goes, or something in it that an earlier run left, though the rest of it is others'.
    fn goes(
        &self,
        object: &Object,
        option: &str,
        live: Option<&str>,
        wanted: Option<&str>,
        left: Option<&str>,
    ) -> bool {
        let _ = (object, option, live, wanted, left);
        false
    }

    /// What a wanted value becomes on the host, where others add to it.
    fn becomes(
        &self,
        object: &Object,
        option: &str,
        live: Option<&str>,
        wanted: Option<&str>,
        left: Option<&str>,
    ) -> Option<String> {
        let _ = (object, option, live, left);
        wanted.map(str::to_owned)
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

    /// Whether the file is all ours, so that what the spec does not say goes.
    fn owns_all(&self) -> bool {
        false
    }

    /// Whether what the host has beyond the spec is worth a word.
    fn tells_foreign(&self, object: &Object, option: Option<&str>) -> bool {
        let _ = (object, option);
        true
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
    let left = sides.applied.and_then(|applied| applied.get(object));
    let left_option = |option: &str| left?.get(option).map(String::as_str);
    let names: std::collections::BTreeSet<&String> = live.keys().chain(wanted.keys()).collect();
    for option in names {
        let before = live.get(option).map(String::as_str);
        let after = wanted.get(option).map(String::as_str);
        let goes = rules.goes(object, option, before, after, left_option(option));
        if rules.is_same(object, option, before, after) && !goes {
            continue;
        }
        if before.is_some_and(is_blanked) {
            found.not_read(
                sides.path.to_owned(),
                format!("`{option}` of {object} is a secret, which is not read"),
            );
            continue;
        }
        if let (Some(before), None, None, false) =
            (before, after, left_option(option), rules.owns_all() || goes)
        {
            if rules.tells_foreign(object, Some(option)) {
                found
                    .foreign
                    .push(Foreign::option(object.clone(), option, before));
            }
            continue;
        }
        let kind = Kind::of(before.as_ref(), after.as_ref());
        let cause = match left {
            // No run has made it: nobody knows whose its options are.
            None => Cause::Unknown,
            Some(_) => cause_of(left_option(option), before, after),
        };
        let becomes = rules.becomes(object, option, before, after, left_option(option));
        let after = becomes.as_deref();
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
