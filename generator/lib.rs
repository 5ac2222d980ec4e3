//! moxc: one TOML file about a Proxmox host in, its whole configuration out.
//!
//! The stages, each with types of its own, in the order in which a spec passes through them:
//!
//! | stage | from → to | where | may report |
//! |---|---|---|---|
//! | parse | text → [`spec::document::Document`] | [`spec::document`] | MOX0001, MOX0040 |
//! | read | document → [`spec::HostFile`], as written | [`spec`] | `MOX00xx` |
//! | resolve | as written → [`model::Host`], as understood | [`resolve`] | `MOX01xx`, and others of what a word means |
//! | derive | what follows from a host → [`facts::Facts`] | [`facts`] | nothing |
//! | analyse | facts: what spans several parts of a host | [`analysis`] | `MOX02xx` to `MOX07xx`, `MOX01xx` of what hosts share, and others of what goes together |
//! | plan | facts → what each target will say | [`targets`] | what a target cannot say: units, characters, times of its format, files of the user |
//! | emit | plan → [`output::FileSet`] | [`targets`] | what a user's template cannot do (`MOX082x`) |
//! | check | files, held against the schema of their reader | [`check`]; Nix in [`targets::nixos`] | `MOX08xx`: a fault of moxc |
//! | diff or write | files and a folder → changes, or the disk | [`output`] | what stands in the way |
//!
//! Beside that way lie the rooms for a host that runs: [`live`] reads it, [`plan`] compares it with its spec (which the stage of that
//! name does not), [`apply`] changes it, [`adopt`] writes the spec of it; and [`graph`], which draws a host.
//!
//! A stage runs to its end and pushes what it finds into a [`diagnostics::Sink`], so that one run shows everything.
//! [`compile`] strings them together for one host, [`fleet`] for all hosts of a call, which it holds against each other.
//! Nothing below the [command line](cli) reads the clock, the environment, or a host's name.

pub mod adopt;
pub mod analysis;
pub mod apply;
pub mod calendar;
pub mod check;
#[allow(clippy::disallowed_methods)] // the one room that knows the machine
pub mod cli;
pub mod compile;
pub mod diagnostics;
pub mod digest;
pub mod each;
pub mod facts;
pub mod fleet;
pub mod graph;
pub mod hardware;
pub mod live;
pub mod model;
pub mod near;
pub mod nix;
pub mod nu;
pub mod origin;
#[allow(clippy::disallowed_methods)] // the one way to the disk
pub mod output;
pub mod pattern;
pub mod plan;
pub mod powershell;
pub mod pve;
pub mod resolve;
pub mod shell;
pub mod source;
pub mod spec;
pub mod systemd;
pub mod targets;
pub mod template;
pub mod tools;
pub mod unseen;
pub mod value;
pub mod xml;
pub mod zfs;
