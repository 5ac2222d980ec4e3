//! The types of option values: how the readable source writes them, what they are called, and what they take.

use serde_json::Value as Json;

use super::pattern::Pattern;

/// The number of a type in the index.
pub(super) type TypeId = usize;

/// A type, with the types it is made of by number.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    /// Anything, or something that is not known well enough to judge.
    Any,
    Bool,
    /// An integer within bounds, both inclusive.
    Int {
        least: Option<i64>,
        most: Option<i64>,
    },
    Float,
    /// An integer or a float; `true`: not below zero.
    Number(bool),
    Text(TextRule),
    /// A text that matches a POSIX extended regular expression.
    Matching(Pattern),
    /// A path, or a text that begins with a slash; `true`: in the store.
    Path(bool),
    Package,
    /// Any attribute set.
    Attrs,
    /// A set of the options that stand below this one in the index.
    Submodule,
    /// A submodule; what is not among its options must fit the type given, which is one of sets.
    Freeform(TypeId),
    /// A NixOS configuration of its own.
    System,
    /// One of these JSON values.
    Enum(Vec<Json>),
    List(TypeId),
    AttrsOf(TypeId),
    NullOr(TypeId),
    OneOf(Vec<TypeId>),
    Function,
}

/// What a text must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextRule {
    Anything,
    /// Not only blanks.
    NotBlank,
    /// One line, perhaps with a line feed at its end.
    OneLine,
    /// A field of `/etc/passwd`: no colon, no line feed.
    PasswdField,
}

impl TextRule {
    pub(super) const ALL: [Self; 4] = [
        Self::Anything,
        Self::NotBlank,
        Self::OneLine,
        Self::PasswdField,
    ];

    pub(super) fn takes(self, text: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::NotBlank => !text.chars().all(|c| matches!(c, ' ' | '\t' | '\n')),
            Self::OneLine => !text
                .strip_suffix('\n')
                .unwrap_or(text)
                .contains(['\n', '\r']),
            Self::PasswdField => !text.contains([':', '\n']),
        }
    }
}

/// All types of an index, each once.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Types(pub(super) Vec<Type>);

impl Types {
    pub(super) fn get(&self, id: TypeId) -> &Type {
        self.0.get(id).unwrap_or(&Type::Any)
    }

    pub(super) fn add(&mut self, new: Type) -> TypeId {
        self.0
            .iter()
            .position(|present| *present == new)
            .unwrap_or_else(|| {
                self.0.push(new);
                self.0.len() - 1
            })
    }

    /// Reads a type as the readable source writes it: a word, or an object with one member.
    pub(super) fn read(&mut self, json: &Json) -> Result<TypeId, String> {
        let wrong = || format!("{json} is not a type");
        let int = |least, most| Type::Int { least, most };
        let new = match json {
            Json::String(word) => match word.as_str() {
                "bool" | "boolByOr" => Type::Bool,
                "int" => int(None, None),
                "u8" => int(Some(0), Some(0xff)),
                "port" | "u16" => int(Some(0), Some(0xffff)),
                "u32" => int(Some(0), Some(0xffff_ffff)),
                "unsigned" | "unsignedInt" => int(Some(0), None),
                "positive" | "positiveInt" => int(Some(1), None),
                "float" => Type::Float,
                "number" | "numberBetween" => Type::Number(false),
                "numberNonnegative" => Type::Number(true),
                "str" | "string" | "lines" | "commas" | "envVar" => Type::Text(TextRule::Anything),
                "nonEmptyStr" => Type::Text(TextRule::NotBlank),
                "singleLineStr" => Type::Text(TextRule::OneLine),
                "passwdEntry str" => Type::Text(TextRule::PasswdField),
                "path" | "externalPath" | "passwdEntry path" => Type::Path(false),
                "pathInStore" => Type::Path(true),
                "package" | "shellPackage" => Type::Package,
                "attrs" | "nixpkgs-config" => Type::Attrs,
                "submodule" => Type::Submodule,
                "Toplevel NixOS config" => Type::System,
                "kernelParam" => Type::Matching(Pattern::new("([^\"[:space:]]|\"[^\"]*\")+")),
                "sysctl option value" => {
                    return self
                        .read(&serde_json::json!({"nullOr": {"oneOf": ["bool", "int", "str"]}}));
                }
                "systemd option" => {
                    // It takes what can be printed: null as nothing, lists in lists as one.
                    let scalar = serde_json::json!({"oneOf": ["bool", "int", "float", "str", "path", "package"]});
                    return self.read(
                        &serde_json::json!({"nullOr": {"oneOf": [scalar, {"listOf": "anything"}]}}),
                    );
                }
                "anything" | "raw" | "unspecified" | "pkgs" | "nixpkgs-overlay" => Type::Any,
                _ => return Err(wrong()),
            },
            Json::Object(members) if members.len() == 1 => {
                let (word, inner) = members.iter().next().ok_or_else(wrong)?;
                match (word.as_str(), inner) {
                    ("listOf", inner) => Type::List(self.read(inner)?),
                    ("attrsOf" | "lazyAttrsOf", inner) => Type::AttrsOf(self.read(inner)?),
                    ("nullOr", inner) => Type::NullOr(self.read(inner)?),
                    ("submodule", inner) => Type::Freeform(self.read(inner)?),
                    ("uniq", inner) => return self.read(inner),
                    ("functionTo", _) => Type::Function,
                    ("enum", Json::Array(values)) => Type::Enum(values.clone()),
                    ("strMatching", Json::String(pattern)) => Type::Matching(Pattern::new(pattern)),
                    ("separatedString", Json::String(_)) => Type::Text(TextRule::Anything),
                    ("intBetween", Json::Array(bounds)) => match bounds.as_slice() {
                        [least, most] => int(
                            Some(least.as_i64().ok_or_else(wrong)?),
                            Some(most.as_i64().ok_or_else(wrong)?),
                        ),
                        _ => return Err(wrong()),
                    },
                    ("oneOf", Json::Array(all)) => Type::OneOf(
                        all.iter()
                            .map(|one| self.read(one))
                            .collect::<Result<_, _>>()?,
                    ),
                    // What is coerced, and what it becomes: both may be set.
                    ("coercedTo", Json::Array(pair)) => match pair.as_slice() {
                        [from, to] => Type::OneOf(vec![self.read(to)?, self.read(from)?]),
                        _ => return Err(wrong()),
                    },
                    _ => return Err(wrong()),
                }
            }
            _ => return Err(wrong()),
        };
        Ok(self.add(new))
    }

    /// The type as a person would name it, with its article.
    pub(super) fn describe(&self, id: TypeId) -> String {
        match self.get(id) {
            Type::List(inner) => format!("a list of {}", self.plural(*inner)),
            Type::AttrsOf(inner) => format!("a set of {}", self.plural(*inner)),
            Type::NullOr(inner) => format!("null or {}", self.describe(*inner)),
            Type::OneOf(all) => {
                let mut names: Vec<String> = Vec::new();
                for one in all {
                    let name = self.describe(*one);
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                joined(&names)
            }
            Type::Enum(values) => match values.as_slice() {
                [only] => only.to_string(),
                _ => format!("one of {}", enumerated(values)),
            },
            Type::Any => "anything".to_owned(),
            Type::Bool => "true or false".to_owned(),
            Type::Int {
                least: None,
                most: None,
            } => "an integer".to_owned(),
            Type::Int {
                least: Some(least),
                most: Some(most),
            } => format!("an integer from {least} to {most}"),
            Type::Int {
                least: Some(least),
                most: None,
            } => format!("an integer of at least {least}"),
            Type::Int {
                least: None,
                most: Some(most),
            } => format!("an integer of at most {most}"),
            Type::Float => "a number with a point".to_owned(),
            Type::Number(false) => "a number".to_owned(),
            Type::Number(true) => "a number that is not negative".to_owned(),
            Type::Text(TextRule::Anything) => "a string".to_owned(),
            Type::Text(TextRule::NotBlank) => "a string that is not blank".to_owned(),
            Type::Text(TextRule::OneLine) => "a string of one line".to_owned(),
            Type::Text(TextRule::PasswdField) => "a string without colon and line feed".to_owned(),
            Type::Matching(pattern) => {
                format!("a string that matches `{}`", pattern.text().escape_debug())
            }
            Type::Path(false) => "an absolute path".to_owned(),
            Type::Path(true) => "a path in the Nix store".to_owned(),
            Type::Package => "a package".to_owned(),
            Type::Attrs => "a set".to_owned(),
            Type::Submodule | Type::Freeform(_) => "a set of options".to_owned(),
            Type::System => "a NixOS configuration".to_owned(),
            Type::Function => "a function".to_owned(),
        }
    }

    /// The same for several: "strings", "integers from 0 to 65535".
    fn plural(&self, id: TypeId) -> String {
        let one = self.describe(id);
        match self.get(id) {
            Type::Any => "anything".to_owned(),
            Type::Bool => "booleans".to_owned(),
            Type::Enum(_) | Type::NullOr(_) | Type::OneOf(_) => format!("values, each {one}"),
            Type::Int { .. }
            | Type::Float
            | Type::Number(_)
            | Type::Text(_)
            | Type::Matching(_)
            | Type::Path(_)
            | Type::Package
            | Type::Attrs
            | Type::Submodule
            | Type::Freeform(_)
            | Type::System
            | Type::List(_)
            | Type::AttrsOf(_)
            | Type::Function => {
                let bare = one
                    .strip_prefix("an ")
                    .or_else(|| one.strip_prefix("a "))
                    .unwrap_or(&one);
                let (noun, rest) = bare
                    .find(" that ")
                    .or_else(|| bare.find(' '))
                    .map_or((bare, ""), |at| bare.split_at(at));
                let (noun, rest) = match bare.strip_prefix("absolute path") {
                    Some(rest) => ("absolute path", rest),
                    None if noun == "NixOS" => (bare, ""),
                    None => (noun, rest),
                };
                let rest = rest
                    .replace(" that is ", " that are ")
                    .replace(" that matches ", " that match ");
                format!("{noun}s{rest}")
            }
        }
    }
}

fn enumerated(values: &[Json]) -> String {
    const SHOWN: usize = 12;
    let mut names: Vec<String> = values.iter().take(SHOWN).map(Json::to_string).collect();
    if values.len() > SHOWN {
        names.push(format!("{} more", values.len() - SHOWN));
    }
    names.join(", ")
}

fn joined(names: &[String]) -> String {
    match names.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Types;

    #[test]
    fn types_are_named_as_a_person_would() {
        let mut types = Types::default();
        for (json, name) in [
            (
                json!({"listOf": "port"}),
                "a list of integers from 0 to 65535",
            ),
            (
                json!({"nullOr": {"listOf": "str"}}),
                "null or a list of strings",
            ),
            (json!({"attrsOf": "submodule"}), "a set of sets of options"),
            (
                json!({"coercedTo": ["str", "path"]}),
                "an absolute path or a string",
            ),
            (
                json!({"listOf": {"oneOf": ["int", "str"]}}),
                "a list of values, each an integer or a string",
            ),
            (json!({"listOf": "path"}), "a list of absolute paths"),
            (
                json!({"listOf": {"strMatching": "[a-z]+"}}),
                "a list of strings that match `[a-z]+`",
            ),
            (json!({"enum": ["a", 1, null]}), "one of \"a\", 1, null"),
            (
                json!({"attrsOf": {"listOf": "bool"}}),
                "a set of lists of booleans",
            ),
            (json!("nonEmptyStr"), "a string that is not blank"),
            (
                json!({"listOf": "nonEmptyStr"}),
                "a list of strings that are not blank",
            ),
        ] {
            let id = types.read(&json).unwrap();
            assert_eq!(types.describe(id), name);
        }
        for bad in [
            json!("strng"),
            json!(1),
            json!({"listOf": "x"}),
            json!({"intBetween": [1]}),
            json!({"a": 1, "b": 2}),
        ] {
            assert!(types.read(&bad).is_err(), "{bad}");
        }
    }
}
