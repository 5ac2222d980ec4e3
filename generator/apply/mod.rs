//! What is done to a host: steps, and the script that does them.
//!
//! Comes in: what is wanted (the files of a tree) and, for a host that runs, what its plan has decided. Goes out: steps
//! ([`Step`]) whose parts say what they expect to find, what they do, and how that is taken back; and one bash script
//! ([`Script`]) that needs nothing on the host but what Proxmox VE has. The tree's own `apply.sh` is the same script, for
//! a fresh installation ([`tree`]).
//!
//! From a plan, nothing is decided on the host but one thing: an item that is as wanted is done, one that is as expected is
//! changed, and any other is told and refused. What is expected, a plan knows ([`planned`]); a tree has no plan, and takes
//! what the last run left (`docs/decisions/0021-apply-engine.md`).

mod edits;
mod guests;
pub mod interfaces;
pub mod planned;
mod script;
mod step;
pub mod tree;

pub use script::{BroughtFile, Line, Script};
pub use step::{Action, Base, Grammar, Group, Item, Policy, Step};
