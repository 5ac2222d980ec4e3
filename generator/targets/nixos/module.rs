//! A module under construction.

use crate::nix::{Attrs, BuildError, Built, IntoExpr, mk_override};
use crate::source::Span;

/// How strong a raw setting of the spec is: weaker than a user's own line (100), stronger than all that moxc says.
pub(super) const SETTING: u32 = 850;

/// How strong moxc's word is where NixOS or an image builder has a default of its own (1000): as in `nix/modules/priority.nix`.
const FACT: u32 = 900;

/// A value that wins over such defaults, and over which a setting and a user's line win.
pub(super) fn mk_fact(value: impl IntoExpr) -> Built {
    mk_override(FACT, value)
}

/// What a module sets, and what of the spec it cannot set.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Options that the compiler sets.
    pub(super) facts: Attrs,
    /// Options that the spec sets raw: a definition of its own, so that an option of both is merged by NixOS.
    pub(super) settings: Attrs,
    /// Values of the spec that no Nix text holds, with their places.
    pub(super) faults: Vec<(Span, BuildError)>,
}

#[cfg(test)]
mod tests {
    use super::{FACT, SETTING};

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "it reads the modules of the project"
    )]
    fn the_hand_written_modules_are_as_strong() {
        let text = include_str!("../../../nix/modules/priority.nix");
        assert!(text.contains(&format!("lib.mkOverride {FACT};")));
        assert!(text.contains(&format!("of a spec ({SETTING})")));
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/nix/modules");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.ends_with("priority.nix") {
                let text = std::fs::read_to_string(&path).unwrap();
                // The platform is weaker than what nixos-generate-config writes, and says so.
                let said = text.matches("mkOverride").count();
                let wanted = usize::from(path.ends_with("platform.nix"));
                assert_eq!(said, wanted, "{}: mkOverride", path.display());
            }
        }
    }
}
