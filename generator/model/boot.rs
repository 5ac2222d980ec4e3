//! What the kernel is told, and what is kept of the host's own files.

use crate::source::{Span, Spanned};
use crate::value::{KeptPath, KernelParameter, Line, ModuleName, Text};

/// What the kernel is told beside what follows from the rest of the spec.
#[derive(Debug, Clone, Default)]
pub struct Boot {
    /// Parameters of its command line.
    pub kernel_params: Vec<Spanned<KernelParameter>>,
    /// Modules that are loaded at boot.
    pub modules: Vec<Spanned<ModuleName>>,
    /// Modules that are not loaded by themselves.
    pub blacklist: Vec<Spanned<ModuleName>>,
    /// Options of modules.
    pub module_options: Vec<ModuleOptions>,
}

/// The options of one module.
#[derive(Debug, Clone)]
pub struct ModuleOptions {
    /// The module.
    pub module: Spanned<ModuleName>,
    /// Names and values.
    pub options: Vec<(Spanned<String>, Spanned<String>)>,
}

/// What stands in a file of the host beside what moxc writes.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The file, below the host's root.
    pub path: Spanned<KeptPath>,
    /// Where its table stands.
    pub span: Span,
    /// What of it.
    pub what: KeptText,
}

impl Kept {
    /// Where it stands: its table, the file's name, and each piece of what is kept.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = vec![self.span, self.path.span];
        match &self.what {
            KeptText::Lines(lines) => spans.extend(lines.iter().map(|line| line.span)),
            KeptText::Text(text) => spans.push(text.span),
            KeptText::Sections(texts) => spans.extend(texts.iter().map(|text| text.span)),
            KeptText::Untouched => {}
        }
        spans
    }
}

/// In which form a file's own text is kept.
#[derive(Debug, Clone)]
pub enum KeptText {
    /// Lines at the end.
    Lines(Vec<Spanned<Line>>),
    /// Text at the end.
    Text(Spanned<Text>),
    /// Whole sections.
    Sections(Vec<Spanned<Text>>),
    /// Nothing: the host's own file stays, and moxc writes none.
    Untouched,
}
