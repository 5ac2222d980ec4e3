//! The options of NixOS: which there are, in which release, and what values they take.
//!
//! The index is partial. It has *snapshots* of NixOS, and of each snapshot every option, or every one below a list of
//! prefixes, or some. So a name that is not there is
//!
//! * [`FaultKind::UnknownOption`], an error, where the snapshot is complete, and also below the prefixes if it is a slip
//!   away from an option that there is: `allowedTCPPort`;
//! * [`FaultKind::SuspectOption`], a warning, elsewhere if it differs in one letter from a name of some length that is
//!   known;
//! * no fault otherwise: options are added all the time.
//!
//! A release between two snapshots gets the benefit of the doubt: a definition is at fault only if both say so. So does
//! a state version, for which a machine's release may be any later one: all snapshots from there on must say so.
//!
//! Values are judged as far as they are literal. What a module computes is taken to be right.

mod alike;
mod evaluated;
mod index;
mod module;
mod pattern;
mod source;
mod types;
mod value;

use std::fmt;
use std::str::FromStr;

use serde_json::Value as Json;

pub use alike::Alike;
pub use evaluated::add_evaluation;
pub use index::{Index, IndexError};
pub use source::{SourceError, add_snapshot};

use self::value::Value;
use super::check;
use super::expr::AttrPath;
use super::fault::{Fault, FaultKind};
use super::parse::parse;

/// A release of NixOS: "25.11" is that of November 2025.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    year: u8,
    month: u8,
}

impl FromStr for Release {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a NixOS release such as 25.11");
        let (year, month) = text.split_once('.').ok_or_else(wrong)?;
        let number = |digits: &str| -> Result<u8, String> {
            if digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()) {
                digits.parse().map_err(|_| wrong())
            } else {
                Err(wrong())
            }
        };
        let release = Self {
            year: number(year)?,
            month: number(month)?,
        };
        if (1..=12).contains(&release.month) {
            Ok(release)
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}.{:02}", self.year, self.month)
    }
}

/// What a module is held against.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The options that there are.
    pub index: &'a Index,
    /// The release that the module is for.
    pub release: Release,
    /// Whether it is for any later release, too: a machine's `system.stateVersion` is the oldest that it can run.
    pub later: bool,
    /// Options that some other module declares, with all below them: `services.moxc`.
    pub allowed: &'a [AttrPath],
}

/// A fault in a single setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFault {
    /// What it is.
    pub kind: FaultKind,
    /// Where inside the value: names of attributes and numbers of list elements, from 0; empty for the setting itself.
    pub place: Vec<Step>,
    /// One line, in lower case, without a full stop.
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
}

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The attribute of this name.
    Name(String),
    /// The list element of this number.
    Element(usize),
}

/// All faults of a NixOS module: those of [`check::check`], and what its definitions say against the options. In the order
/// of their places.
pub fn check_module(text: &str, rules: &Rules) -> Vec<Fault> {
    read_module(text, rules).1
}

/// What a module says, where it is a text of Nix, and its faults.
fn read_module(text: &str, rules: &Rules) -> (Option<Value>, Vec<Fault>) {
    let root = match parse(text) {
        Ok(root) => root,
        Err(fault) => return (None, vec![fault]),
    };
    let mut faults = check::check_tree(&root);
    let value = root.expr().map(|expr| Value::of(&expr));
    faults.extend(value.iter().flat_map(|value| module::faults(value, rules)));
    faults.sort_by_key(|fault| (fault.range.start, fault.range.end, fault.kind));
    (value, faults)
}

/// The options that a module declares itself, as far as that can be read: other modules may define them. What it declares
/// right in a folder of NixOS's own, under a name that has to be computed, is left out: it would stand for all of them.
pub fn declared_options(text: &str, index: &Index) -> Vec<AttrPath> {
    let Ok(root) = parse(text) else {
        return Vec::new();
    };
    let found = module::declared_options(&root).into_iter();
    let found = found.filter(|names| !index.is_folder(names));
    found
        .filter_map(|names| AttrPath::new(names).ok())
        .collect()
}

/// Whether a Nix text is most likely a NixOS module, and not a package, a flake or a library: for a check of files that
/// nobody said anything about.
pub fn looks_like_module(text: &str, index: &Index) -> bool {
    parse(text).is_ok_and(|root| module::looks_like_one(&root, index))
}

/// The faults of the definition `path = value`, where nothing has to be computed.
pub fn check_setting(path: &AttrPath, value: &Json, rules: &Rules) -> Vec<SettingFault> {
    module::setting_faults(path, value, rules)
}
