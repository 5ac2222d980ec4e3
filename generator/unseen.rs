//! Characters that make a text read otherwise than it stands.

use std::borrow::Cow;
use std::fmt::Write as _;

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
    !c.is_ascii() && (is_bidi_control(c) || is_invisible(c))
}

/// Whether a character may not be shown to a person as it is.
pub fn is_unseen(c: char) -> bool {
    c.is_control() || is_hidden(c)
}

/// Whether a terminal, an editor or a page might take a character for more than it is: [`is_unseen`], and what ends a line
/// without being a line break.
pub fn is_never_shown(c: char) -> bool {
    is_unseen(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

/// What is to be kept from a person in a text that holds our own line breaks, tabs and colours.
fn is_left(c: char) -> bool {
    is_never_shown(c) && !c.is_ascii_control() || c == '\u{7f}'
}

/// A text of many lines that may hold words of a host, as people may see it.
pub fn for_people(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_never_shown(c) && c != '\n' && c != '\t')
}

/// A text that has colours of ours besides.
pub fn in_colours(text: &str) -> Cow<'_, str> {
    replaced(text, is_left)
}

fn replaced(text: &str, is_hidden: impl Fn(char) -> bool + Copy) -> Cow<'_, str> {
    if text.contains(is_hidden) {
        Cow::Owned(text.replace(is_hidden, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A text of JSON, which means the same: what nobody would see stands there as an escape.
pub fn in_json(text: &str) -> Cow<'_, str> {
    if !text.contains(is_left) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if is_left(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a string takes all text");
            }
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Whether a path or a name may not hold a character: [`is_unseen`], and what changes only how its neighbours look.
pub fn is_unnamed(c: char) -> bool {
    is_unseen(c)
        || matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}
