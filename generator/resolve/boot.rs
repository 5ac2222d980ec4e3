use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Boot, Kept, KeptText, ModuleOptions};
use crate::source::Spanned;
use crate::spec::HostFile;

use super::list;

/// What the kernel is told.
pub(super) fn boot(file: &HostFile, sink: &mut Sink) -> Boot {
    let Some(spec) = &file.boot else {
        return Boot::default();
    };
    let rows = spec.module_options.iter().flat_map(|table| &table.rows);
    let boot = Boot {
        kernel_params: list(spec.kernel_params.as_ref()),
        modules: list(spec.modules.as_ref()),
        blacklist: list(spec.blacklist.as_ref()),
        module_options: rows
            .filter_map(|row| {
                Some(ModuleOptions {
                    module: Spanned::new(row.name.clone()?, row.key.span),
                    options: row.body()?.0.clone(),
                })
            })
            .collect(),
    };
    for module in &boot.modules {
        let kept_out = boot.blacklist.iter().find(|out| out.value == module.value);
        if let Some(out) = kept_out {
            sink.push(
                Diagnostic::new(
                    Code::MOX0016,
                    module.span,
                    format!("`{}` is loaded and kept out", module.value),
                )
                .also(out.span, "kept out here")
                .help("remove it from one of the lists"),
            );
        }
    }
    // The command line's root and file system are the installation's.
    for parameter in &boot.kernel_params {
        let (key, _) = parameter
            .as_str()
            .split_once('=')
            .unwrap_or((parameter.as_str(), ""));
        if matches!(key, "root" | "boot" | "initrd" | "BOOT_IMAGE") {
            sink.push(
                Diagnostic::new(
                    Code::MOX0109,
                    parameter.span,
                    format!("`{key}` is a parameter that the installation sets"),
                )
                .help("remove it: another one leaves the host without its root"),
            );
        }
    }
    boot
}

/// What is kept of the host's own files.
pub(super) fn kept(file: &HostFile, sink: &mut Sink) -> Vec<Kept> {
    let mut kept = Vec::new();
    for row in file.keep.iter().flat_map(|table| &table.rows) {
        let (Some(path), Some(body)) = (&row.name, row.body()) else {
            continue;
        };
        let forms = [
            body.lines
                .as_ref()
                .map(|lines| (lines.span, KeptText::Lines(lines.value.clone()))),
            body.text
                .as_ref()
                .map(|text| (text.span, KeptText::Text(text.clone()))),
            body.sections
                .as_ref()
                .map(|sections| (sections.span, KeptText::Sections(sections.value.clone()))),
            body.untouched
                .filter(|untouched| untouched.value)
                .map(|untouched| (untouched.span, KeptText::Untouched)),
        ];
        let mut forms = forms.into_iter().flatten();
        let Some((first, what)) = forms.next() else {
            if body.misread.is_empty() {
                sink.push(
                    Diagnostic::new(Code::MOX0004, body.span, "the key `lines` is missing")
                        .label("in this table")
                        .help("say what is kept: `lines`, `text` or `sections`; or `untouched = true`"),
                );
            }
            continue;
        };
        if let Some((second, _)) = forms.next() {
            sink.push(
                Diagnostic::new(Code::MOX0016, second, "a file is kept in one form")
                    .also(first, "the first")
                    .help("keep one of `lines`, `text` and `sections`"),
            );
        }
        kept.push(Kept {
            path: Spanned::new(path.clone(), row.key.span),
            span: body.span,
            what,
        });
    }
    kept
}
