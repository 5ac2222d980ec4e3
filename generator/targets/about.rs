//! What a target says of itself, for the guide of the tree.

use serde::Serialize;

/// What a target leaves to the user, and which files it has no reason to write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// What must be there before the tree is applied, a sentence each.
    pub before: Vec<String>,
    /// What the user has to do, a sentence without a full stop each.
    pub left: Vec<String>,
    /// Files that other hosts have.
    pub absent: Vec<Absent>,
}

/// A file that this host does not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Absent {
    /// The file, below the tree.
    pub path: String,
    /// Why.
    pub why: String,
}

impl About {
    /// Says that a file is not there, and why.
    pub fn lacks(&mut self, path: &str, why: impl Into<String>) {
        self.absent.push(Absent {
            path: path.to_owned(),
            why: why.into(),
        });
    }

    /// Takes in what a part of the target says.
    pub fn extend(&mut self, more: Self) {
        self.before.extend(more.before);
        self.left.extend(more.left);
        self.absent.extend(more.absent);
    }
}
