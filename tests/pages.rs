//! `docs/index.html` of a tree: what it says, where it leads, and what a browser makes of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use moxc::digest::Sha256;
use moxc::output::FileSet;
use moxc::targets::Target;
use moxc::template::html;
use pretty_assertions::assert_eq;

use crate::in_memory::build;
use crate::program::tests;
use crate::system::{emit, specs, text, tree};

const REFERENCE: &str = include_str!("../examples/homelab.toml");
const PAGE: &str = "docs/index.html";

/// Every value of an attribute, in order.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    page.split(start.as_str())
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

/// A path of a URL as it is on a disk.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte == b'%' {
            let digits = std::str::from_utf8(&rest[..2]).expect("ASCII");
            bytes.push(u8::from_str_radix(digits, 16).expect("hex digits"));
            rest = &rest[2..];
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn page(files: &FileSet) -> String {
    text(files, PAGE)
}

/// What lies between two texts.
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(start).expect("the start");
    rest.split_once(end).expect("the end").0
}

#[test]
fn every_link_of_a_page_has_its_place_and_every_file_its_link() {
    // What is about no guest has no file.
    let idle = format!(
        "{}\n[schedules.windows]\ntask = \"windows-update\"\non = \"weekly\"\n\
         [schedules.driven]\ntask = \"windows-update\"\non = \"weekly\"\nsnapshot = true\n\
         [schedules.nixos]\ntask = \"nixos-flake-update\"\non = \"weekly\"\n",
        include_str!("../examples/mini.toml")
    );
    let specs = specs().into_iter().chain([("idle".to_owned(), idle)]);
    for (name, spec) in specs {
        let files = emit(&format!("{name}.toml"), &spec, &[]);
        let page = page(&files);
        let ids = attributes(&page, "id");
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: a name twice");
        let mut linked = BTreeSet::new();
        for href in attributes(&page, "href") {
            if let Some(anchor) = href.strip_prefix('#') {
                assert!(unique.contains(anchor), "{name}: no place {href}");
            } else {
                let path = decoded(href.strip_prefix("../").expect("a file of the tree"));
                assert!(
                    files.get(&path).is_some() || path == "manifest.json",
                    "{name}: no file {path}"
                );
                linked.insert(path);
            }
        }
        for file in files.iter() {
            assert!(
                linked.contains(file.path.as_str()),
                "{name}: {} cannot be found",
                file.path
            );
        }
        assert!(linked.contains("manifest.json"), "{name}");
    }
}

#[test]
fn the_page_of_the_reference_host_is_small_and_allows_nothing_but_itself() {
    let files = emit("homelab.toml", REFERENCE, &[]);
    let page = page(&files);
    assert!(page.len() < 400_000, "{} bytes", page.len());
    let style = between(&page, "<style>", "</style>");
    let script = between(&page, "<script>", "</script>");
    assert_eq!(page.matches("<style").count(), 1);
    assert_eq!(page.matches("<script").count(), 1);
    let policy = between(
        &page,
        "http-equiv=\"Content-Security-Policy\" content=\"",
        "\"",
    );
    assert!(
        policy.starts_with("default-src &#39;none&#39;;"),
        "{policy}"
    );
    for (kind, text) in [("style", style), ("script", script)] {
        let mut openssl = String::new();
        for byte in Sha256::of(text.as_bytes()).bytes() {
            write!(openssl, "{byte:02x}").expect("a string takes all text");
        }
        let hash = policy
            .split(&format!("{kind}-src &#39;sha256-"))
            .nth(1)
            .and_then(|rest| rest.split("&#39;").next())
            .expect("a hash");
        assert_eq!(hex(hash), openssl, "{kind}");
    }
    let body = page.replace(style, "").replace(script, "");
    for forbidden in [
        " style=",
        " src=",
        " onclick=",
        " onload=",
        "url(h",
        "@import",
        "<iframe",
    ] {
        assert!(!body.contains(forbidden), "{forbidden}");
    }
    assert!(!style.contains("url(") && !style.contains("@import"));
}

/// What base64 stands for, in hex digits.
fn hex(base64: &str) -> String {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = String::new();
    for letter in base64.trim_end_matches('=').chars() {
        let value = LETTERS.find(letter).expect("a letter of base64");
        write!(bits, "{value:06b}").expect("a string takes all text");
    }
    let mut out = String::new();
    for byte in bits.as_bytes().chunks_exact(8) {
        let text = std::str::from_utf8(byte).expect("ASCII");
        let value = u8::from_str_radix(text, 2).expect("bits");
        write!(out, "{value:02x}").expect("a string takes all text");
    }
    out
}

/// The rows of a table by its caption, each as the texts of its cells.
fn rows(page: &str, caption: &str) -> Vec<Vec<String>> {
    let table = between(page, &format!("<caption>{caption}</caption>"), "</table>");
    let body = between(table, "<tbody>", "</tbody>");
    body.split("<tr")
        .skip(1)
        .map(|row| row.split("<td").skip(1).map(cell_text).collect())
        .collect()
}

/// A cell without its tags.
fn cell_text(cell: &str) -> String {
    let mut out = String::new();
    let mut tag = true;
    for c in cell.split("</td>").next().expect("a cell").chars() {
        match c {
            '<' => tag = true,
            '>' => tag = false,
            c if !tag => out.push(c),
            _ => {}
        }
    }
    out
}

#[test]
fn the_page_says_what_the_reference_host_is() {
    let files = emit("homelab.toml", REFERENCE, &[]);
    let page = page(&files);
    let line = |text: &str| {
        let at = REFERENCE.lines().position(|line| line.starts_with(text));
        (at.expect("the line") + 1).to_string()
    };
    // The figures are those of the pools' own tests; the lines are counted here.
    let pools = rows(&page, "What the pools offer");
    assert_eq!(
        pools[1],
        [
            "tank",
            "raidz1",
            "4",
            "29.1 TiB",
            "29.09 TiB",
            "21.13 TiB",
            "128 GiB",
            "21.01 TiB",
            "0 B",
            "0 B",
            "create.sh",
            &line("[storage.pools.tank]"),
        ]
    );
    let addresses = rows(&page, "Every address");
    for (address, whose) in [
        ("192.168.1.10/24", "pve1 (the host)"),
        ("10.20.0.1/24", "pve1 (the host)"),
        ("192.168.1.1", "router"),
        ("10.20.0.2", "admin-pc"),
        ("192.168.1.20/24", "services"),
        ("192.168.1.21/24", "workstation"),
        ("by DHCP", "windows"),
    ] {
        assert!(
            addresses
                .iter()
                .any(|row| row[0] == address && row[1] == whose),
            "{address} of {whose}: {addresses:?}"
        );
    }
    let devices = rows(&page, "Devices and passthrough");
    let groups: Vec<(&str, &str)> = devices.iter().map(|row| (&*row[2], &*row[4])).collect();
    assert_eq!(
        groups,
        [
            ("0000:01:00.0", "15"),
            ("0000:01:00.1", "15"),
            ("0000:03:00.0", "21")
        ]
    );
    let memory = rows(&page, "The most that is taken");
    let sum = memory.iter().find(|row| row[0] == "together");
    // 8 GiB of the container, 16 and 32 with 3 % and 128 MiB for QEMU, 16 GiB of cache, 4 GiB kept for the host.
    assert_eq!(sum.expect("a sum")[1], "77.68 GiB");
    let copies = rows(&page, "Which copy holds what");
    let of = |guest: &str, disk: &str| {
        let row = copies.iter().find(|row| row[0] == guest && row[1] == disk);
        row.map(|row| row[4].clone()).expect("a row")
    };
    assert_eq!(
        of("services", "rootfs"),
        "nightly-backup, local-backup, offsite-backup"
    );
    assert_eq!(of("windows", "scsi1"), "no backup");
    let kept = rows(&page, "Backups and how long they are kept");
    assert_eq!(kept[0][5..7], ["keeps 7 daily, 4 weekly, 6 monthly", "17"]);
    let week = rows(&page, "What runs when");
    let when = |name: &str| {
        let row = week.iter().find(|row| row[0] == name);
        row.map(|row| row[3].clone()).expect("a row")
    };
    assert_eq!(when("host-update"), "Sun 04:00");
    assert_eq!(when("nightly-backup"), "daily 01:00");
    assert_eq!(when("snapshots"), "168 times");
    assert_eq!(when("scrub"), "not in it; next Fri 1 Jan 2027, 00:00");
    let costs = rows(&page, "What a change costs while workstation runs");
    let cost = |option: &str| {
        let row = costs.iter().find(|row| row[0] == option);
        row.map(|row| row[2].clone()).expect("a row")
    };
    assert_eq!(cost("cores"), "at the guest&#39;s next start");
    assert_eq!(cost("onboot"), "at once, interrupts nothing");
    // Each row leads to the spec, but for sums.
    for table in page.split("<tbody>").skip(1) {
        for row in table
            .split("</tbody>")
            .next()
            .expect("rows")
            .split("<tr")
            .skip(1)
        {
            assert!(
                row.contains("href=\"#L") || row.starts_with(" class=\"sum\""),
                "{row}"
            );
        }
    }
    // The steps are those of the runbook.
    let runbook = text(&files, "restore/windows.md");
    for step in runbook
        .lines()
        .filter(|line| line.starts_with("1. ") || line.starts_with("4. "))
    {
        let code = step.split('`').nth(1).expect("a command");
        assert!(page.contains(&format!("<code>{code}</code>")), "{code}");
    }
    // Comments of a spec are for who writes it.
    assert!(REFERENCE.contains("the only GPU goes to") && !page.contains("the only GPU goes to"));
}

#[test]
fn words_of_a_spec_are_text_on_the_page() {
    let words = "</title><script>alert(1)</script><img src=x onerror=alert(2)> \" ' & ]]>";
    let spec = REFERENCE
        .replace(
            "description = \"NixOS VM: atomic updates\"",
            &format!("description = {words:?}"),
        )
        .replace(
            "description = \"Windows\"",
            &format!("description = {words:?}"),
        );
    let files = emit("host.toml", &spec, &[]);
    let page = page(&files);
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("<img"));
    assert!(page.contains(&html(words)));
    // A file's name cannot end the comment that it stands in.
    let files = emit("a--><script>.toml", REFERENCE, &[]);
    assert_eq!(text(&files, PAGE).matches("<script").count(), 1);
}

#[test]
fn the_page_is_the_same_whether_it_is_built_alone() {
    let built = |targets: &[Target]| {
        let files = build("homelab.toml", REFERENCE, targets);
        let paths: Vec<String> = files.iter().map(|file| file.path.to_string()).collect();
        (text(&files, PAGE), paths)
    };
    let (whole, _) = built(Target::ALL);
    let (alone, paths) = built(&[Target::Docs]);
    assert_eq!(whole, alone);
    assert_eq!(paths, ["docs/ARCHITECTURE.md", PAGE]);
}

/// A host of so many guests.
fn large(guests: u32) -> String {
    let mut spec = String::from(
        "spec = 1\n[host]\nname = \"large\"\nrelease = \"9.2\"\ntimezone = \"UTC\"\n\
         [hardware.disks]\na = { kind = \"ssd\", size = \"16 TB\", device = \"/dev/disk/by-id/ata-a\" }\n\
         [hardware.nics]\nlan = { interface = \"eno1\", mac = \"02:00:00:00:00:01\" }\n\
         [network.bridges.vmbr0]\nports = [\"lan\"]\naddress = \"10.0.0.1/16\"\n\
         [storage.pools.rpool]\nlayout = \"stripe\"\ndisks = [\"a\"]\nboot = true\n\
         [storage.datasets]\nvms = { pool = \"rpool\", use = \"vm-disks\" }\n",
    );
    for at in 0..guests {
        write!(
            spec,
            "[vms.guest-{at}]\nos = \"linux\"\nvmid = {}\nmemory = \"1 GiB\"\nbackup = false\n\
             disks = {{ root = {{ dataset = \"vms\", size = \"8 GiB\" }} }}\n\
             network = [{{ bridge = \"vmbr0\", address = \"10.0.{}.{}/16\" }}]\n",
            1000 + at,
            1 + at / 200,
            1 + at % 200
        )
        .expect("a string takes all text");
    }
    spec
}

/// Has the browser look at a page; `find` is what is searched there by keyboard.
fn look(page: &Path, find: &str, more: &[&str]) -> String {
    let done = Command::new("node")
        .arg(tests().join("page/look.mjs"))
        .arg(page)
        .args(["--find", find])
        .args(more)
        .output()
        .expect("node starts");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
#[ignore = "needs Chromium, Node and axe-core, which tests/run installs"]
fn a_browser_has_nothing_to_say_about_a_page() {
    let tools = std::env::var("MOXC_TEST_TOOLS").expect("tests/run sets MOXC_TEST_TOOLS");
    let axe = format!("{tools}/axe/node_modules/axe-core/axe.min.js");
    for (name, find) in [("homelab", "192.168.1.21"), ("bighost", "vmbr0")] {
        let spec = &specs()[name];
        let folder = tempfile::tempdir().expect("a folder");
        tree(spec, folder.path());
        let shots = folder.path().join("shots");
        let more = ["--axe", &axe, "--shots", shots.to_str().expect("UTF-8")];
        assert_eq!(look(&folder.path().join(PAGE), find, &more), "", "{name}");
        if name == "homelab" {
            keep_for_the_manual(&shots);
        }
    }
}

/// The screenshots that the manual shows; `MOXC_WRITE_MANUAL=1` makes them anew. Two browsers never draw the same bytes.
fn keep_for_the_manual(shots: &Path) {
    for shot in ["network-light.png", "week-dark.png"] {
        let there = tests().join("../docs/images").join(format!("page-{shot}"));
        if std::env::var_os("MOXC_WRITE_MANUAL").is_some() {
            fs::create_dir_all(there.parent().expect("a folder")).expect("a folder");
            fs::copy(shots.join(shot), &there).expect("a copy");
        }
        let size = |path: &Path| {
            let bytes = fs::read(path).expect("a screenshot");
            // A PNG begins with its header, in which width and height stand (RFC 2083, 11.2.1).
            assert_eq!(bytes.get(1..4), Some(&b"PNG"[..]), "{}", path.display());
            bytes[16..20].to_vec()
        };
        assert_eq!(size(&there), size(&shots.join(shot)), "{shot}: its width");
    }
}

#[test]
fn the_page_of_more_guests_leads_to_the_runbooks() {
    let small = page(&emit("large.toml", &large(1_000), &[]));
    let large = page(&emit("large.toml", &large(1_001), &[]));
    assert!(small.contains("class=\"runbook\""));
    assert!(!large.contains("class=\"runbook\""));
    assert!(large.contains("<a href=\"../restore/guest-1000.md\">"));
    assert!(large.contains("Of so many guests the page does not tell what a change costs"));
    assert!(!large.contains("What a change of"));
    assert!(small.contains("<svg "));
    assert!(!large.contains("<svg "));
    assert!(large.contains("`moxc graph --view network --format svg` draws it"));
    assert!(
        large.len() < small.len() / 2,
        "{} {}",
        large.len(),
        small.len()
    );
}

/// 50,000 characters is `maxTextSize` of Mermaid's configuration, which says "Maximum text size in diagram exceeded" of more.
#[test]
fn no_chart_is_longer_than_mermaid_draws() {
    let architecture = |guests: u32| {
        let spec = large(guests).replace("guest-", "a-guest-of-a-longer-name-");
        text(&emit("large.toml", &spec, &[]), "docs/ARCHITECTURE.md")
    };
    let charts = |text: &str| -> Vec<usize> {
        let charts = text.split("```mermaid\n").skip(1);
        charts
            .map(|chart| chart.find("\n```\n").expect("its end"))
            .collect()
    };
    let (few, more, many) = (architecture(10), architecture(1_000), architecture(1_001));
    assert_eq!(charts(&few).len(), 5);
    assert!((1..5).contains(&charts(&more).len()));
    assert!(charts(&more).iter().all(|length| *length <= 50_000));
    assert!(charts(&many).is_empty());
    let named = |text: &str| text.matches("--format svg` draws it.").count();
    assert_eq!(
        [few, more.clone(), many].map(|text| named(&text)),
        [0, 5 - charts(&more).len(), 5]
    );
}

#[test]
#[ignore = "needs Chromium, Node and axe-core, which tests/run installs"]
fn the_page_of_a_thousand_guests_is_usable() {
    let files = emit("large.toml", &large(1000), &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.html");
    fs::write(&path, page(&files)).expect("a file");
    assert_eq!(look(&path, "guest-777", &["--quick"]), "");
}
