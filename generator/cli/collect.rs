use std::fs;

use super::args::Collect;
use super::progress::Progress;
use super::remote::Remote;
use super::terminal::Terminal;
use super::{Failure, Status};
use crate::live::collect;

pub(super) fn run(args: &Collect, terminal: &mut Terminal) -> Result<Status, Failure> {
    let remote = match &args.host {
        None => None,
        Some(host) => Some(Remote::parse(host)?.ok_or_else(|| {
            Failure::new(format!(
                "`{host}` is not an address of a host: write `ssh://root@HOST`"
            ))
        })?),
    };
    let progress = Progress::of("reading the host");
    let bytes = match (&remote, args.list) {
        (None, false) => collect::SCRIPT.as_bytes().to_vec(),
        (None, true) => collect::places().into_bytes(),
        (Some(remote), false) => remote.collect()?,
        (Some(remote), true) => remote.list()?,
    };
    drop(progress);
    match &args.output {
        None => terminal.bytes(&bytes),
        Some(path) => {
            fs::write(path, &bytes).map_err(|error| Failure::io("write", path, &error))?;
            let what = remote.map_or_else(
                || "the collector".to_owned(),
                |remote| format!("a copy of `{}`", remote.host()),
            );
            terminal.remark(&format!("`{}` is {what}\n", path.display()));
        }
    }
    Ok(Status::Fine)
}
