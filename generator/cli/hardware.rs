use serde_json::json;

use super::args::{Hardware as Args, Specs};
use super::desired;
use super::load;
use super::terminal::Terminal;
use super::{Failure, Status, live};
use crate::adopt;
use crate::diagnostics::render::Format;
use crate::hardware;
use crate::live::Snapshot;

pub(super) fn run(args: &Args, terminal: &mut Terminal) -> Result<Status, Failure> {
    let Some(spec) = &args.spec else {
        let snapshot = live::read(&args.live)?;
        let (text, unread) = adopt::hardware(&snapshot);
        terminal.result(&text);
        for note in unread {
            terminal.remark(&format!(
                "not read: {}: {}\n",
                note.what,
                note.why.escape_debug()
            ));
        }
        return Ok(Status::Fine);
    };
    let mut loaded = load::load(&Specs {
        specs: vec![spec.clone()],
        deny_warnings: false,
    })?;
    if loaded.has_errors() {
        terminal.diagnostics(&loaded.sources, &loaded.found);
        return Ok(Status::Faulty);
    }
    let snapshot: Snapshot = live::read(&args.live)?;
    let unit = desired::host_of(&mut loaded.units, &snapshot, &args.live)?;
    let host = &unit.checked.host;
    let compared = hardware::compare(host, &snapshot);
    let same = compared.differences.is_empty();
    match terminal.format() {
        Format::Json | Format::Sarif => {
            let map = loaded.sources.map();
            let differences: Vec<serde_json::Value> = compared
                .differences
                .iter()
                .map(|difference| {
                    let mut value = json!(difference);
                    value["spec"] = json!(difference.spec.map(|span| {
                        let at = map.start(span);
                        json!({ "file": map.file_of(span).name(), "line": at.line, "column": at.column })
                    }));
                    value
                })
                .collect();
            let unread: Vec<serde_json::Value> = compared
                .unknown
                .iter()
                .map(|(path, reason)| json!({ "path": path, "reason": reason }))
                .collect();
            let object = json!({ "host": host.name.as_str(), "same": same, "differences": differences, "unread": unread });
            terminal.json(&format!("{object}\n"));
        }
        Format::Human | Format::Short => {
            for difference in &compared.differences {
                terminal.result(&format!("{}\n", difference.to_string().escape_debug()));
            }
            if same {
                terminal.result("the machine is what the spec says\n");
            }
            for (what, why) in &compared.unknown {
                terminal.remark(&format!("not compared: {what}: {}\n", why.escape_debug()));
            }
        }
    }
    Ok(if same { Status::Fine } else { Status::Differs })
}
