//! The program as a user calls it, for the tests of this folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The `PATH` of a program for which those of a folder stand before all others.
pub(crate) fn behind(folder: &Path) -> String {
    format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    )
}

/// The folder of the integration tests.
pub(crate) fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// `moxc` in `folder`, with nothing of the tester's own environment.
pub(crate) fn moxc(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moxc"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// What a call said.
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            err: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
        }
    }
}

/// Runs `moxc` in `folder`.
pub(crate) fn call(folder: &Path, args: &[&str]) -> Said {
    moxc(folder)
        .args(args)
        .output()
        .expect("the program starts")
        .into()
}
