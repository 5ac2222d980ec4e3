//! What other programs want to know of this one: editors, shells, `man`.

use std::fs;

use clap::CommandFactory as _;

use super::args::{Args, Completions, Man, Schema};
use super::terminal::Terminal;
use super::{Failure, Status};
use crate::spec::schema::{fleet_json_schema, json_schema};

pub(super) fn schema(args: &Schema, terminal: &mut Terminal) -> Status {
    let schema = if args.fleet {
        fleet_json_schema()
    } else {
        json_schema()
    };
    let text = serde_json::to_string_pretty(&schema).expect("a JSON value has a JSON form");
    terminal.result(&text);
    terminal.result("\n");
    Status::Fine
}

pub(super) fn completions(args: &Completions, terminal: &mut Terminal) -> Status {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "moxc", &mut text);
    terminal.result(&String::from_utf8_lossy(&text));
    Status::Fine
}

pub(super) fn man(args: &Man, terminal: &mut Terminal) -> Result<Status, Failure> {
    if let Some(folder) = &args.output {
        fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
        clap_mangen::generate_to(Args::command(), folder)
            .map_err(|error| Failure::io("write the manual to", folder, &error))?;
        terminal.summary(&format!("wrote the manual to `{}`\n", folder.display()));
        return Ok(Status::Fine);
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(Args::command())
        .render(&mut text)
        .map_err(|error| Failure::new(format!("cannot print the manual: {error}")))?;
    terminal.result(&String::from_utf8_lossy(&text));
    Ok(Status::Fine)
}
