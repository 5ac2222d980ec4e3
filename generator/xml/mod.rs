//! XML: a small tree and its printer.
//!
//! Escaping is the printer's, so that no value can become markup. A printer of its own and no crate: a writer of events
//! (quick-xml) leaves to its caller what goes wrong here, that elements nest, that a line break in a value survives the
//! reader's normalisation, that a comment holds no `--`, and UTF-16.

use std::fmt::Write as _;

/// An element: its name, its attributes, and either text or elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Text(String),
    Elements(Vec<Element>),
}

impl Element {
    /// An element that has no content yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            attributes: Vec::new(),
            content: Content::Elements(Vec::new()),
        }
    }

    /// An element of text.
    pub fn text(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            content: Content::Text(text.into()),
            ..Self::new(name)
        }
    }

    /// `true` or `false`, as XML Schema writes them.
    pub fn flag(name: &'static str, value: bool) -> Self {
        Self::text(name, if value { "true" } else { "false" })
    }

    /// The same element with one more attribute.
    #[must_use]
    pub fn attribute(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// The same element with one more element in it, behind the others. Text gives way: none of our formats mixes both.
    #[must_use]
    pub fn with(self, child: Self) -> Self {
        self.with_all([child])
    }

    /// The same element with more elements in it, behind the others.
    #[must_use]
    pub fn with_all(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        match &mut self.content {
            Content::Elements(elements) => elements.extend(children),
            Content::Text(_) => self.content = Content::Elements(children.into_iter().collect()),
        }
        self
    }
}

/// A whole document: a comment that opens it, and its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What stands in the comment.
    pub comment: String,
    /// The outermost element.
    pub root: Element,
}

impl Document {
    /// The document as UTF-8, lines ending in LF.
    pub fn to_utf8(&self) -> String {
        self.print("UTF-8")
    }

    /// The document as UTF-16LE with a byte order mark, lines ending in CR LF: what `schtasks /Create /XML` takes.
    pub fn to_utf16(&self) -> Vec<u8> {
        // A value has no line break of its own left: the printer wrote it as a reference.
        let text = self.print("UTF-16").replace('\n', "\r\n");
        let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    }

    fn print(&self, encoding: &str) -> String {
        let mut out = format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>\n");
        writeln!(out, "<!-- {} -->", comment(&self.comment)).expect("a string takes all text");
        print(&self.root, 0, &mut out);
        out
    }
}

fn print(element: &Element, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    let name = element.name;
    write!(out, "{indent}<{name}").expect("a string takes all text");
    for (key, value) in &element.attributes {
        write!(out, " {key}=\"{}\"", escape(value)).expect("a string takes all text");
    }
    match &element.content {
        Content::Text(text) => writeln!(out, ">{}</{name}>", escape(text)),
        Content::Elements(elements) if elements.is_empty() => writeln!(out, " />"),
        Content::Elements(elements) => {
            out.push_str(">\n");
            for child in elements {
                print(child, depth + 1, out);
            }
            writeln!(out, "{indent}</{name}>")
        }
    }
    .expect("a string takes all text");
}

/// Text as an element or an attribute holds it. A tab and a line break are references, which no reader normalises away
/// (XML 1.0, 2.11 and 3.3.3). What XML 1.0 has no way to write (2.2) becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            c if can_hold(c) => out.push(c),
            _ => out.push('\u{FFFD}'),
        }
    }
    out
}

/// Whether XML 1.0 can write a character at all (2.2, `Char`).
pub fn can_hold(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Text of one line that does not end its comment (XML 1.0, 2.5: no `--` within, no `-` at the end).
fn comment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '-' && out.ends_with('-') {
            out.push(' ');
        }
        out.push(if can_hold(c) && !c.is_control() {
            c
        } else {
            ' '
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn document(text: &str) -> Document {
        Document {
            comment: text.to_owned(),
            root: Element::new("a")
                .attribute("b", text)
                .with(Element::text("c", text))
                .with(Element::new("d")),
        }
    }

    /// What a reader of its own makes of a document: attribute and text.
    fn read(xml: &str) -> (String, String) {
        let parsed = roxmltree::Document::parse(xml).unwrap_or_else(|e| panic!("{e}\n{xml}"));
        let root = parsed.root_element();
        let text = root.first_element_child().expect("an element").text();
        (
            root.attribute("b").expect("an attribute").to_owned(),
            text.unwrap_or_default().to_owned(),
        )
    }

    fn from_utf16(bytes: &[u8]) -> String {
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect();
        let text = String::from_utf16(&units).expect("UTF-16");
        text.strip_prefix('\u{FEFF}')
            .expect("a byte order mark")
            .to_owned()
    }

    #[test]
    fn a_document_reads_like_one() {
        assert_eq!(
            document("x & y").to_utf8(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- x & y -->\n<a b=\"x &amp; y\">\n  <c>x &amp; y</c>\n  <d />\n</a>\n"
        );
    }

    #[test]
    fn utf16_begins_with_its_mark_and_ends_lines_as_windows_does() {
        let bytes = document("ß").to_utf16();
        assert_eq!(&bytes[..4], &[0xFF, 0xFE, b'<', 0]);
        let text = from_utf16(&bytes);
        assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-16\"?>\r\n"));
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    }

    #[test]
    fn what_xml_cannot_write_does_not_break_it() {
        let hostile = "--><a/>\u{0}\u{1B}\u{FFFF}-";
        let (attribute, text) = read(&document(hostile).to_utf8());
        assert_eq!(attribute, "--><a/>\u{FFFD}\u{FFFD}\u{FFFD}-");
        assert_eq!(attribute, text);
    }

    proptest! {
        #[test]
        fn every_text_that_xml_can_hold_comes_back(text in any::<String>()) {
            let text: String = text.chars().filter(|c| can_hold(*c)).collect();
            let xml = document(&text);
            prop_assert_eq!(read(&xml.to_utf8()), (text.clone(), text.clone()));
            let wide = from_utf16(&xml.to_utf16()).replace("UTF-16", "UTF-8");
            prop_assert_eq!(read(&wide), (text.clone(), text));
        }

        #[test]
        fn line_ends_and_markup_come_back(text in "[\r\n\t <>&\"'\\-\\]!a]{0,20}") {
            prop_assert_eq!(read(&document(&text).to_utf8()), (text.clone(), text));
        }
    }
}
