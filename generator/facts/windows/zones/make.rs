//! Makes `zones.txt`, the Windows name of each IANA time zone, from the Unicode Consortium's data:
//!
//! ```sh
//! npm pack cldr-core cldr-bcp47      # or https://github.com/unicode-org/cldr-json
//! for archive in cldr-*.tgz; do tar -xzf "$archive" --one-top-level="${archive%%-4*}"; done
//! cargo run --example windows-zones -- cldr-core/package/supplemental/windowsZones.json \
//!   cldr-bcp47/package/bcp47/timezone.json > generator/facts/windows/zones/zones.txt
//! ```
#![allow(clippy::disallowed_methods)] // it reads and writes files, as nothing of the compiler does

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write as _;

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(zones), Some(aliases)) = (arguments.next(), arguments.next()) else {
        return Err("give windowsZones.json and timezone.json".into());
    };
    let zones: Value = serde_json::from_str(&std::fs::read_to_string(zones)?)?;
    let aliases: Value = serde_json::from_str(&std::fs::read_to_string(aliases)?)?;

    let names = names(&aliases);
    let zones = &zones["supplemental"];
    let version = zones["version"]["_cldrVersion"].as_str().unwrap_or("?");
    let mut table: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in zones["windowsZones"]["mapTimezones"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let zone = &row["mapZone"];
        let windows = zone["_other"].as_str().ok_or("a row without `_other`")?;
        let iana = zone["_type"].as_str().ok_or("a row without `_type`")?;
        for name in iana.split_whitespace() {
            let entry = table.entry(windows).or_default();
            entry.insert(name);
            entry.extend(names.get(name).into_iter().flatten());
        }
    }

    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "# The Windows name of each IANA time zone, and the IANA names that it stands for."
    )?;
    writeln!(
        out,
        "# Data of the Unicode CLDR {version} (windowsZones, timezone; Unicode License v3), made by make.rs beside this."
    )?;
    for (windows, iana) in table {
        let iana: Vec<&str> = iana.into_iter().collect();
        writeln!(out, "{windows}\t{}", iana.join(" "))?;
    }
    Ok(())
}

/// All names of a zone, by each of them.
fn names(aliases: &Value) -> BTreeMap<&str, Vec<&str>> {
    let zones = aliases["keyword"]["u"]["tz"]
        .as_object()
        .into_iter()
        .flatten();
    let mut names = BTreeMap::new();
    for (_, zone) in zones {
        let all: Vec<&str> = zone["_alias"]
            .as_str()
            .unwrap_or("")
            .split_whitespace()
            .chain(zone["_iana"].as_str())
            .collect();
        for name in &all {
            names.insert(*name, all.clone());
        }
    }
    names
}
