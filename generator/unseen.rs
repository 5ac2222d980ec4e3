//! Characters that make a text read otherwise than it stands.

/// Whether a character changes the direction in which its neighbours are shown (Unicode's property `Bidi_Control`):
/// nobody sees it, and a reader sees another text than the machine that runs it.
pub fn is_bidi_control(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Whether a character is shown by nothing, or as a blank that is none: soft hyphens, spaces of no width, fillers, marks of
/// annotations, tags. Two texts that differ by one read the same. What joins letters and picks the look of an emoji is none.
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{2060}'..='\u{2064}'
            | '\u{206a}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Whether a spec may not hold a character, since nobody would see it.
pub fn is_hidden(c: char) -> bool {
    is_bidi_control(c) || is_invisible(c)
}

/// Whether a character may not be shown to a person as it is.
pub fn is_unseen(c: char) -> bool {
    c.is_control() || is_hidden(c)
}

/// Whether a path or a name may not hold a character: [`is_unseen`], and what changes only how its neighbours look.
pub fn is_unnamed(c: char) -> bool {
    is_unseen(c)
        || matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}
