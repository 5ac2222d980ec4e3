//! What follows from a host: worked out once, read by the analysis and by every target.
//!
//! Comes in: a [`Host`](crate::model::Host). Goes out: facts that more than one reader needs, such as which guests run
//! together, which volumes a guest has, who shares a folder. Pure: nothing here reports, and nothing knows a target.

pub mod drives;
pub mod mounts;
pub mod running;
pub mod shares;
pub mod volumes;

pub use running::Running;
pub use volumes::{Volume, VolumeRole, Volumes};
