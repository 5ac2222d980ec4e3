//! The `moxc` program.
fn main() {}
