//! Characters that make a text read otherwise than it stands.

/// Whether a character changes the direction in which its neighbours are shown (Unicode's property `Bidi_Control`):
/// nobody sees it, and a reader sees another text than the machine that runs it.
pub fn is_bidi_control(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Whether a character may not be shown to a person as it is.
pub fn is_unseen(c: char) -> bool {
    c.is_control() || is_bidi_control(c)
}
