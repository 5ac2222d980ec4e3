//! Files of the host that are kept as they are: those of which moxc itself writes nothing.

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Host, KeptText};
use crate::output::Mode;
use crate::source::Span;
use crate::targets::proxmox::pve::keep;
use crate::value::Platform;

use super::Tree;

/// A file that is kept.
#[derive(Debug)]
pub(super) struct File {
    path: String,
    text: String,
    span: Span,
}

/// Plans the files that no other part of the tree takes in.
pub(super) fn plan(host: &Host, sink: &mut Sink) -> Vec<File> {
    let mut files = Vec::new();
    for kept in &host.kept {
        let path = kept.path.as_str();
        if *host.platform == Platform::Nixos && !path.starts_with("etc/pve/") {
            sink.push(
                Diagnostic::new(
                    Code::MOX0029,
                    kept.path.span,
                    format!("a NixOS host makes `{path}` itself"),
                )
                .help("remove it, and say it by `environment.etc` in a module of your own"),
            );
            continue;
        }
        if keep::SECTION_FILES.contains(&path) || path == "etc/vzdump.conf" {
            continue;
        }
        let text = match (path, &kept.what) {
            (_, KeptText::Untouched) | ("etc/network/interfaces", KeptText::Text(_)) => continue,
            ("etc/network/interfaces", KeptText::Lines(_) | KeptText::Sections(_)) => {
                sink.push(keep::wrong_form(kept, "text"));
                continue;
            }
            ("etc/kernel/cmdline", _) => {
                sink.push(
                    Diagnostic::new(
                        Code::MOX0029,
                        kept.path.span,
                        "the kernel's command line is one line",
                    )
                    .help("write its parameters into `[boot] kernel-params`"),
                );
                continue;
            }
            (_, KeptText::Text(text)) => text.as_str().to_owned(),
            (_, KeptText::Lines(lines)) => {
                let lines: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
                format!("{}\n", lines.join("\n"))
            }
            (_, KeptText::Sections(_)) => {
                sink.push(keep::wrong_form(kept, "text"));
                continue;
            }
        };
        files.push(File {
            path: path.to_owned(),
            text,
            span: kept.path.span,
        });
    }
    files
}

impl File {
    /// Writes it down; one that moxc writes, too, is told.
    pub(super) fn emit(&self, tree: &mut Tree<'_>) {
        if tree.files.get(&format!("proxmox/{}", self.path)).is_some() {
            tree.sink.push(
                Diagnostic::new(
                    Code::MOX0029,
                    self.span,
                    format!("`{}` is kept, and moxc writes all of it", self.path),
                )
                .help("put what is kept into a file of another name beside it"),
            );
            return;
        }
        tree.add(&self.path, &self.text, Mode::Regular, self.span);
    }
}
