use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use super::args::Init;
use super::terminal::Terminal;
use super::{Failure, Status};

/// A small host with every choice explained; a test keeps it free of errors and warnings.
const STARTER: &str = include_str!("../../templates/init/homelab.toml");

pub(super) fn run(args: &Init, terminal: &mut Terminal) -> Result<Status, Failure> {
    fs::create_dir_all(&args.folder)
        .map_err(|error| Failure::io("create", &args.folder, &error))?;
    // `./` in front of it would only be noise in what is told.
    let path = if args.folder.as_os_str() == "." {
        PathBuf::from("homelab.toml")
    } else {
        args.folder.join("homelab.toml")
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => Failure::new(format!(
                "`{}` is there already and stays as it is",
                path.display()
            )),
            _ => Failure::io("create", &path, &error),
        })?;
    if let Err(error) = file.write_all(STARTER.as_bytes()) {
        // Half a spec is worse than none. Where it cannot be removed, the message says at least what is wrong.
        let _ = fs::remove_file(&path);
        return Err(Failure::io("write", &path, &error));
    }
    let path = path.display();
    terminal.summary(&format!(
        "wrote `{path}`: a small host with every choice explained\n\
         next: make it yours, then `moxc check {path}` and `moxc build {path}`\n"
    ));
    Ok(Status::Fine)
}
