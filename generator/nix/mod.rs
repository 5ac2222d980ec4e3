//! Nix: a tree to build, a printer in nixfmt's layout, a check of any Nix text, and the options of NixOS.
//!
//! Nothing here knows the spec. What comes in are values and texts, what goes out are texts and [`Fault`]s with byte
//! ranges; an [`Origin`] is handed through so that the caller finds the way back.

mod bounds;
pub mod check;
pub mod expr;
mod fault;
mod layout;
mod library;
mod name;
pub mod options;
pub(crate) mod parse;
mod print;
mod slip;
#[cfg(test)]
mod trees;

pub use check::check;
pub use expr::{
    AttrPath, Attrs, BinaryOp, BuildError, Built, Expr, Formals, IntoAttrPath, IntoExpr, Origin,
    Part, apply, at, binary, block, block_of, call, function, has_attr, if_then_else, lambda,
    let_in, list, mk_before, mk_default, mk_merge, mk_override, not, null, path, reference, select,
    select_or, text, value, with,
};
pub use fault::{Fault, FaultKind, Level, line_and_column};
pub use name::is_identifier;
pub use print::{Printed, print, print_file};
