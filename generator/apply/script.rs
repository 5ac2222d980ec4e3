use serde::Serialize;

use crate::output::FileSet;
use crate::pve::guest_config::REPEATED;
use crate::template::BuiltIn;

use super::Step;

/// `apply.sh`. These fields are the contract with a user's template of the same name.
#[derive(Debug, askama::Template, Serialize)]
#[template(path = "proxmox/apply.sh")]
pub struct Script {
    /// The line that marks a generated file; safe in a comment.
    pub header: String,
    /// The host's name.
    pub host: String,
    /// The Proxmox VE release: `9.1`.
    pub release: String,
    /// `1` for a fresh installation: the script stands in its tree and takes the files from there. Else nothing.
    pub fresh: String,
    /// Guests that are restarted, with commas between them.
    pub restarts: String,
    /// How the raw keys of a container begin of which there may be several lines, as a pattern of Perl.
    pub repeats: String,
    /// The files that the script brings along.
    pub files: Vec<BroughtFile>,
    /// The steps.
    pub lines: Vec<Line>,
}

/// A file that the script brings along.
#[derive(Debug, Clone, Serialize)]
pub struct BroughtFile {
    /// Where it belongs, from `/`.
    pub path: String,
    /// Its mode, in octal.
    pub mode: String,
    /// Its text.
    pub text: String,
}

/// One line: a verb of the script's runtime, and its words. Each is written as one word of bash.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// The verb, then what it is about.
    pub words: Vec<String>,
}

impl BuiltIn for Script {
    const NAME: &'static str = "proxmox/apply.sh";

    /// By what its lines and its files hold: most words stand in no quotes.
    fn size(&self) -> usize {
        let line = |line: &Line| line.words.iter().map(|word| word.len() + 2).sum::<usize>();
        let lines: usize = self.lines.iter().map(line).sum();
        let files: usize = self.files.iter().map(|file| file.text.len()).sum();
        <Self as askama::Template>::SIZE_HINT + lines + files
    }
}

impl Script {
    /// The script that stands in a tree.
    pub fn in_tree(header: String, host: &str, release: &str, steps: Vec<Step>) -> Self {
        let mut brought = Vec::new();
        let lines = lines(steps, &mut brought);
        debug_assert!(brought.is_empty(), "a tree has its files beside it");
        Self {
            header,
            host: host.to_owned(),
            release: release.to_owned(),
            fresh: "1".to_owned(),
            restarts: String::new(),
            repeats: repeats(),
            files: Vec::new(),
            lines,
        }
    }

    /// The engine alone: it takes runs back, and lists them.
    pub fn without_steps(host: &str) -> Self {
        Self {
            header: "Takes runs of moxc back.".to_owned(),
            host: host.to_owned(),
            release: String::new(),
            fresh: String::new(),
            restarts: String::new(),
            repeats: repeats(),
            files: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// A script that brings along what it needs of `tree`.
    pub fn alone(
        header: String,
        host: &str,
        release: &str,
        steps: Vec<Step>,
        tree: &FileSet,
    ) -> Self {
        let mut brought = Vec::new();
        let lines = lines(steps, &mut brought);
        let wanted: std::collections::BTreeSet<&str> = lines
            .iter()
            .flat_map(|line| line.words.iter().flat_map(|word| word.split(' ')))
            .collect();
        let mut files: Vec<BroughtFile> = tree
            .iter()
            .filter_map(|file| {
                let path = file.path.as_str().strip_prefix("proxmox/")?;
                let pools = path.starts_with("storage/") && wanted.contains("pools");
                // What is ours alone of a file that is merged is what later runs have to know.
                let own = path
                    .strip_prefix(".own/")
                    .is_some_and(|path| wanted.contains(path));
                (pools || own || wanted.contains(path)).then(|| BroughtFile {
                    path: path.to_owned(),
                    mode: format!("{:o}", file.mode.bits()),
                    text: String::from_utf8_lossy(&file.contents).into_owned(),
                })
            })
            .collect();
        files.extend(brought.into_iter().map(|(path, text)| BroughtFile {
            path,
            mode: "600".to_owned(),
            text,
        }));
        Self {
            header,
            host: host.to_owned(),
            release: release.to_owned(),
            fresh: String::new(),
            restarts: String::new(),
            repeats: repeats(),
            files,
            lines,
        }
    }
}

fn repeats() -> String {
    REPEATED.map(|key| key.replace('.', r"\.")).join("|")
}

fn lines(steps: Vec<Step>, brought: &mut Vec<(String, String)>) -> Vec<Line> {
    steps
        .into_iter()
        .flat_map(|step| step.lines(brought))
        .map(|words| Line { words })
        .collect()
}
