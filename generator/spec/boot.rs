//! `[boot]` and `[keep]`.

use super::reader::{FromNode, List, Named, Reader};
use super::table::table;
use crate::diagnostics::{Code, Diagnostic};
use crate::source::Spanned;
use crate::value::{KernelParameter, Line, ModuleName, Node, Text, Value};

table! {
    /// `[boot]`: what the kernel is told beside what follows from the rest of the spec.
    BootSpec {
        /// Parameters of the kernel's command line, behind those that moxc adds itself.
        "kernel-params" kernel_params: opt List<KernelParameter>;
        /// Modules that are loaded at boot.
        "modules" modules: opt List<ModuleName>;
        /// Modules that are not loaded by themselves.
        "blacklist" blacklist: opt List<ModuleName>;
        /// Options of modules, by the module's name.
        "module-options" module_options: opt Named<ModuleName, ModuleOptions>;
    }

    /// One of `[keep]`: what stands in a file of the host beside what moxc writes, word for word.
    KeptSpec {
        /// Lines that are written at the end.
        "lines" lines: opt List<Line>;
        /// Text that is written at the end.
        "text" text: opt Text;
        /// Sections, each as the whole text of one.
        "sections" sections: opt List<Text>;
        /// Whether the host's own file stays as it is, and moxc writes nothing of it.
        "untouched" untouched: opt bool;
    }
}

/// Options of a module: names with numbers, words and booleans.
#[derive(Debug, Clone)]
pub struct ModuleOptions(pub Vec<(Spanned<String>, Spanned<String>)>);

impl FromNode for ModuleOptions {
    fn from_node(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Table(table) = &node.value else {
            reader.wrong_type(node, "a table of the module's options");
            return None;
        };
        let mut options = Vec::new();
        for (key, value) in &table.entries {
            let text = match &value.value {
                Value::Integer(number) => number.to_string(),
                Value::Boolean(on) => u8::from(*on).to_string(),
                Value::String(text) => text.clone(),
                Value::Float(_)
                | Value::TooLarge(_)
                | Value::Datetime(_)
                | Value::Array(_)
                | Value::Table(_) => {
                    reader.wrong_type(value, "a number, a word or a boolean");
                    continue;
                }
            };
            // A line of modprobe.d(5) is words with blanks between; its quotes are the kernel's own.
            let plain = |text: &str| {
                !text.is_empty()
                    && text
                        .chars()
                        .all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '#'))
            };
            let name = key.value.bytes();
            let is_name = !key.value.is_empty()
                && name
                    .into_iter()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
            if is_name && plain(&text) {
                options.push((key.clone(), Spanned::new(text, value.span)));
                continue;
            }
            let (place, what) = if is_name {
                (value.span, "the value of a module's option")
            } else {
                (key.span, "the name of a module's option")
            };
            reader.report(
                Diagnostic::new(Code::MOX0021, place, format!("not {what}")).help(
                    "write one word without blanks and quotes; `modinfo MODULE` lists the options",
                ),
            );
        }
        Some(Self(options))
    }
}

impl schemars::JsonSchema for ModuleOptions {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ModuleOptions".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object", "additionalProperties": { "anyOf": [
            { "type": "string" }, { "type": "integer" }, { "type": "boolean" },
        ] } })
    }
}

/// `[keep]`: what is kept, by the file's path.
pub type KeepTable = Named<crate::value::KeptPath, KeptSpec>;
