use std::fmt::Write as _;

use super::{Found, Place, level, tame};
use crate::source::SourceMap;

pub(super) fn render(sources: &SourceMap, found: &Found) -> String {
    let mut text = String::new();
    for (severity, diagnostic) in found {
        let place = Place::of(sources, diagnostic.span());
        writeln!(
            text,
            "{}:{}:{}: {}[{}]: {}",
            tame(place.file),
            place.start.line,
            place.start.column,
            level(*severity),
            diagnostic.code,
            tame(&diagnostic.message)
        )
        .expect("a string takes all text");
    }
    text
}
