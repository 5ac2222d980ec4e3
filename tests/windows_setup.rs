//! What sets a Windows guest up: tasks held against the rules of their format, and against the calendar that they come
//! from; PowerShell in the hands of a grammar; the scripts of the host against stand-ins for its programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span as JiffSpan, ToSpan as _};
use moxc::calendar::Expression;
use moxc::output::FileSet;
use moxc::targets::Target;
use roxmltree::{Document, Node};

use crate::in_memory::build;

/// The Windows files of a spec.
fn emit(spec: &str) -> FileSet {
    build("host.toml", spec, Target::ALL)
}

/// A host with one Windows guest, and what `more` says.
fn host(more: &str) -> String {
    format!(
        r#"
[host]
name = "pve1"
release = "9.1"
timezone = "UTC"

[hardware.disks]
nvme0 = {{ kind = "nvme", size = "1 TB", device = "/dev/disk/by-id/nvme-EXAMPLE_0001" }}
nvme1 = {{ kind = "nvme", size = "1 TB", device = "/dev/disk/by-id/nvme-EXAMPLE_0002" }}

[storage.pools.rpool]
layout = "mirror"
disks = ["nvme0", "nvme1"]
boot = true

[storage.datasets]
vm-disks = {{ pool = "rpool", use = "vm-disks" }}

[vms.desk]
os = "windows11"
vmid = 120
memory = "8 GiB"
cpu = {{ cores = 4 }}
iso = ["local:iso/win11.iso", "local:iso/virtio-win.iso"]

[vms.desk.disks]
system = {{ dataset = "vm-disks", size = "100 GiB" }}

{more}
"#
    )
}

fn bytes<'a>(files: &'a FileSet, path: &str) -> &'a [u8] {
    &files
        .get(path)
        .unwrap_or_else(|| panic!("no {path}"))
        .contents
}

/// The text of a file that must be UTF-16LE with a byte order mark and lines that end in CR LF.
fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    assert_eq!(units.first(), Some(&0xFEFF), "no byte order mark");
    assert_eq!(bytes.len() % 2, 0);
    let text = String::from_utf16(&units[1..]).expect("UTF-16");
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-16\"?>\r\n"));
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    text
}

/// The tasks of every guest of a spec, by their paths.
fn tasks(files: &FileSet) -> BTreeMap<String, String> {
    files
        .iter()
        .filter(|file| {
            file.path.as_str().starts_with("windows/")
                && file.path.as_str().ends_with(".xml")
                && file.path.as_str().contains("/tasks/")
        })
        .map(|file| (file.path.as_str().to_owned(), utf16(&file.contents)))
        .collect()
}

fn child<'a, 'i>(node: Node<'a, 'i>, path: &str) -> Option<Node<'a, 'i>> {
    path.split('/').try_fold(node, |node, name| {
        node.children()
            .filter(Node::is_element)
            .find(|child| child.tag_name().name() == name)
    })
}

fn value<'a>(node: Node<'a, '_>, path: &str) -> Option<&'a str> {
    child(node, path).map(|node| node.text().unwrap_or(""))
}

// ---------------------------------------------------------------- the format (MS-TSCH 2.5)

/// How the parts of an element may stand.
#[derive(Clone, Copy)]
enum Parts {
    /// Each at most once, in any order (`xs:all`).
    Any,
    /// In this order (`xs:sequence`); the last one may come again.
    Sequence,
    /// Any number of each (`xs:choice`).
    Choice,
    /// None: text of this form.
    Text(fn(&str) -> bool),
}

fn anything(_: &str) -> bool {
    true
}
fn boolean(text: &str) -> bool {
    matches!(text, "true" | "false")
}
fn empty(text: &str) -> bool {
    text.is_empty()
}
fn instant(text: &str) -> bool {
    let local = text.strip_suffix('Z').unwrap_or(text);
    local.len() == 19 && local.parse::<DateTime>().is_ok()
}
fn length(text: &str) -> bool {
    text.starts_with('P') && text.parse::<JiffSpan>().is_ok()
}
fn path(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 260
}
fn month_day(text: &str) -> bool {
    text == "Last" || text.parse::<u8>().is_ok_and(|day| (1..=31).contains(&day))
}
fn week(text: &str) -> bool {
    matches!(text, "1" | "2" | "3" | "4" | "Last")
}
fn number(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}
fn instances(text: &str) -> bool {
    matches!(text, "Parallel" | "Queue" | "IgnoreNew" | "StopExisting")
}
fn logon(text: &str) -> bool {
    matches!(
        text,
        "S4U" | "Password" | "InteractiveToken" | "InteractiveTokenOrPassword"
    )
}
fn level(text: &str) -> bool {
    matches!(text, "LeastPrivilege" | "HighestAvailable")
}

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// What an element holds, as far as a task of ours uses it. An element that is not here is a fault.
fn rule(name: &str, parent: &str) -> Option<(Parts, Vec<&'static str>)> {
    let base = [
        "Enabled",
        "StartBoundary",
        "EndBoundary",
        "Repetition",
        "ExecutionTimeLimit",
    ];
    let after = |more: &[&'static str]| base.iter().chain(more).copied().collect::<Vec<_>>();
    let text = |form: fn(&str) -> bool| Some((Parts::Text(form), Vec::new()));
    match (parent, name) {
        ("", "Task") => Some((
            Parts::Any,
            vec![
                "RegistrationInfo",
                "Triggers",
                "Settings",
                "Data",
                "Principals",
                "Actions",
            ],
        )),
        (_, "RegistrationInfo") => Some((
            Parts::Any,
            vec![
                "URI",
                "SecurityDescriptor",
                "Source",
                "Date",
                "Author",
                "Version",
                "Description",
                "Documentation",
            ],
        )),
        (_, "Triggers") => Some((
            Parts::Choice,
            vec![
                "BootTrigger",
                "LogonTrigger",
                "TimeTrigger",
                "CalendarTrigger",
            ],
        )),
        (_, "BootTrigger") => Some((Parts::Sequence, after(&["Delay"]))),
        (_, "LogonTrigger") => Some((Parts::Sequence, after(&["UserId", "Delay"]))),
        (_, "TimeTrigger") => Some((Parts::Sequence, after(&["RandomDelay"]))),
        (_, "CalendarTrigger") => Some((
            Parts::Sequence,
            after(&[
                "RandomDelay",
                "ScheduleByDay",
                "ScheduleByWeek",
                "ScheduleByMonth",
                "ScheduleByMonthDayOfWeek",
            ]),
        )),
        (_, "Repetition") => Some((
            Parts::Any,
            vec!["Interval", "Duration", "StopAtDurationEnd"],
        )),
        (_, "ScheduleByDay") => Some((Parts::Any, vec!["DaysInterval"])),
        (_, "ScheduleByWeek") => Some((Parts::Any, vec!["WeeksInterval", "DaysOfWeek"])),
        (_, "ScheduleByMonth") => Some((Parts::Any, vec!["DaysOfMonth", "Months"])),
        (_, "ScheduleByMonthDayOfWeek") => {
            Some((Parts::Any, vec!["Weeks", "DaysOfWeek", "Months"]))
        }
        (_, "DaysOfWeek") => Some((Parts::Any, DAYS.to_vec())),
        (_, "Months") => Some((Parts::Any, MONTHS.to_vec())),
        (_, "DaysOfMonth") => Some((Parts::Choice, vec!["Day"])),
        (_, "Weeks") => Some((Parts::Choice, vec!["Week"])),
        (_, "Principals") => Some((Parts::Any, vec!["Principal"])),
        (_, "Principal") => Some((
            Parts::Any,
            vec!["UserId", "LogonType", "GroupId", "DisplayName", "RunLevel"],
        )),
        ("Task", "Settings") => Some((
            Parts::Any,
            vec![
                "AllowStartOnDemand",
                "RestartOnFailure",
                "MultipleInstancesPolicy",
                "DisallowStartIfOnBatteries",
                "StopIfGoingOnBatteries",
                "AllowHardTerminate",
                "StartWhenAvailable",
                "NetworkProfileName",
                "RunOnlyIfNetworkAvailable",
                "WakeToRun",
                "Enabled",
                "Hidden",
                "DeleteExpiredTaskAfter",
                "IdleSettings",
                "NetworkSettings",
                "ExecutionTimeLimit",
                "Priority",
                "RunOnlyIfIdle",
            ],
        )),
        (_, "Actions") => Some((Parts::Choice, vec!["Exec"])),
        (_, "Exec") => Some((Parts::Any, vec!["Command", "Arguments", "WorkingDirectory"])),
        ("DaysOfWeek" | "Months", _) => text(empty),
        (_, "Day") => text(month_day),
        (_, "Week") => text(week),
        (_, "LogonType") => text(logon),
        (_, "RunLevel") => text(level),
        (_, "MultipleInstancesPolicy") => text(instances),
        (_, "Command" | "WorkingDirectory") => text(path),
        (_, "StartBoundary" | "EndBoundary") => text(instant),
        (_, "Interval" | "Duration" | "ExecutionTimeLimit" | "RandomDelay" | "Delay") => {
            text(length)
        }
        (_, "DaysInterval" | "WeeksInterval" | "Priority") => text(number),
        (
            _,
            "StopAtDurationEnd"
            | "Enabled"
            | "AllowStartOnDemand"
            | "DisallowStartIfOnBatteries"
            | "StopIfGoingOnBatteries"
            | "AllowHardTerminate"
            | "StartWhenAvailable"
            | "RunOnlyIfNetworkAvailable"
            | "WakeToRun"
            | "Hidden"
            | "RunOnlyIfIdle",
        ) => text(boolean),
        (_, "UserId" | "URI" | "Author" | "Description" | "Arguments") => text(anything),
        _ => None,
    }
}

/// Holds an element and what is in it against the rules.
fn check(node: Node<'_, '_>, parent: &str, place: &str) -> Vec<String> {
    const NAMESPACE: &str = "http://schemas.microsoft.com/windows/2004/02/mit/task";
    let name = node.tag_name().name();
    let place = format!("{place}/{name}");
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(format!("{place}: {what}"));
    if node.tag_name().namespace() != Some(NAMESPACE) {
        fault("another namespace".into());
    }
    let Some((parts, known)) = rule(name, parent) else {
        fault("not allowed".into());
        return faults;
    };
    let children: Vec<&str> = node
        .children()
        .filter(Node::is_element)
        .map(|child| child.tag_name().name())
        .collect();
    if let Parts::Text(form) = parts {
        let text = node.text().unwrap_or("");
        if !children.is_empty() || !form(text) {
            fault(format!("`{text}`"));
        }
        return faults;
    }
    let mut last = 0;
    for (at, child) in children.iter().enumerate() {
        let Some(order) = known.iter().position(|known| known == child) else {
            fault(format!("`{child}` is not one of {known:?}"));
            continue;
        };
        if !matches!(parts, Parts::Choice) && children[..at].contains(child) {
            fault(format!("`{child}` comes twice"));
        }
        if matches!(parts, Parts::Sequence) && order < last {
            fault(format!("`{child}` comes too late"));
        }
        last = order;
    }
    for child in node.children().filter(Node::is_element) {
        faults.extend(check(child, name, &place));
    }
    faults
}

/// What the format asks for beyond the order of elements.
fn check_whole(task: Node<'_, '_>) -> Vec<String> {
    let mut faults = check(task, "", "");
    let mut need = |holds: bool, what: &str| {
        if !holds {
            faults.push(what.to_owned());
        }
    };
    let find = |path: &str| child(task, path);
    need(
        task.attribute("version")
            .is_some_and(|v| matches!(v, "1.2" | "1.3" | "1.4")),
        "a version that Windows 10 reads",
    );
    let id = find("Principals/Principal").and_then(|p| p.attribute("id"));
    need(id.is_some(), "a principal with an id");
    need(
        find("Actions").and_then(|a| a.attribute("Context")) == id,
        "actions of that principal",
    );
    let triggers = find("Triggers");
    let triggers: Vec<_> = triggers
        .iter()
        .flat_map(|t| t.children().filter(Node::is_element))
        .collect();
    need(triggers.len() <= 48, "at most 48 triggers");
    for trigger in triggers {
        let names: Vec<_> = trigger
            .children()
            .filter(Node::is_element)
            .map(|c| c.tag_name().name())
            .collect();
        let timed = matches!(trigger.tag_name().name(), "CalendarTrigger" | "TimeTrigger");
        need(
            !timed || names.contains(&"StartBoundary"),
            "a start of a timed trigger",
        );
        let days = names.iter().filter(|n| n.starts_with("ScheduleBy")).count();
        need(
            days == usize::from(trigger.tag_name().name() == "CalendarTrigger"),
            "one kind of days in a calendar trigger",
        );
    }
    faults
}

/// Expressions of every shape that a trigger has.
const EXPRESSIONS: &[&str] = &[
    "03:30",
    "hourly",
    "*:0/15",
    "*:05,12,26,40",
    "03:30 UTC",
    "Sun 04:00",
    "Mon..Fri 22:15:30",
    "Sat,Sun 01,13:00",
    "monthly",
    "quarterly",
    "*-*-01,15,31 05:00",
    "*-*~01 05:00",
    "*-02-29 12:00",
    "Sun *-*-01..07 03:00",
    "Tue *-*-08..14,22..28 03:00",
    "Fri *-03,09~07/1 03:00",
    "2027-03-04 05:06:07",
    "2027..2028-*-* 06:00",
    "2027,2029-06-01 06:00",
    "*-*-* 0/2:00",
    "00,01,02,04,08,16:00",
];

fn scheduled() -> String {
    let mut more = String::new();
    for (at, expression) in EXPRESSIONS.iter().enumerate() {
        let task = ["windows-update", "windows-maintenance"][at % 2];
        writeln!(
            more,
            "[schedules.s{at}]\ntask = \"{task}\"\non = \"{expression}\"\nguests = [\"desk\"]\nrandom-delay = \"{at}m\"\ntimeout = \"90m\"\n"
        )
        .expect("a string takes all text");
    }
    host(&more)
}

#[test]
fn every_task_keeps_to_the_format() {
    let mut specs = vec![scheduled()];
    specs.push(include_str!("../examples/homelab.toml").to_owned());
    specs.push(host("[[vms.desk.shares]]\ndataset = \"share-a\"\nmount = \"Y:\"\n[[vms.desk.shares]]\ndataset = \"share-b\"\nmount = \"Z:\"\n[storage.datasets.share-a]\npool = \"rpool\"\nuse = \"share\"\n[storage.datasets.share-b]\npool = \"rpool\"\nuse = \"share\"\n"));
    let mut seen = 0;
    for spec in &specs {
        for (path, text) in tasks(&emit(spec)) {
            let document = Document::parse(&text).unwrap_or_else(|e| panic!("{path}: {e}\n{text}"));
            let faults = check_whole(document.root_element());
            assert!(faults.is_empty(), "{path}: {faults:#?}\n{text}");
            seen += 1;
        }
    }
    assert!(seen > EXPRESSIONS.len() + 4, "{seen}");
}

/// The rules are worth something only if they find faults.
#[test]
fn the_rules_find_what_is_wrong() {
    let files = emit(&scheduled());
    let good = tasks(&files)["windows/desk/tasks/s0.xml"].clone();
    let faults = |text: &str| {
        let document = Document::parse(text).expect("still XML");
        check_whole(document.root_element())
    };
    assert_eq!(faults(&good), [""; 0]);
    for (what, by) in [
        ("Description", "Descripcion"),
        ("<Enabled>true</Enabled>", "<Enabled>yes</Enabled>"),
        ("<StartBoundary>2024", "<StartBoundary>24"),
        ("id=\"Author\"", "id=\"Other\""),
        ("version=\"1.2\"", "version=\"9\""),
        ("2004/02/mit/task", "2004/02/mit/tasks"),
        ("PT1H30M", "1H30M"),
        ("IgnoreNew", "Ignore"),
        ("ScheduleByDay", "ScheduleByWeek"),
    ] {
        let bad = good.replace(what, by);
        assert_ne!(bad, good, "there is no {what}");
        assert!(!faults(&bad).is_empty(), "{what} to {by} is not seen");
    }
    let swapped = {
        let start = good.find("<StartBoundary>").expect("a start");
        let end = good.find("</StartBoundary>").expect("its end") + "</StartBoundary>".len();
        let boundary = good[start..end].to_owned();
        let without = good.replacen(&boundary, "", 1);
        without.replacen(
            "</ScheduleByDay>",
            &format!("</ScheduleByDay>{boundary}"),
            1,
        )
    };
    assert!(faults(&swapped).iter().any(|f| f.contains("too late")));
}

// ---------------------------------------------------------------- the calendar

/// The starts of a task between two dates, by what its XML says and by what Microsoft documents of it.
fn starts(task: Node<'_, '_>, from: Date, to: Date) -> Vec<DateTime> {
    let kids = |node: Node<'_, '_>| -> Vec<String> {
        node.children()
            .filter(Node::is_element)
            .map(|c| c.tag_name().name().to_owned())
            .collect()
    };
    let mut found = Vec::new();
    let triggers = task
        .descendants()
        .filter(|node| matches!(node.tag_name().name(), "CalendarTrigger" | "TimeTrigger"));
    for trigger in triggers {
        let part = |name: &str| {
            trigger
                .descendants()
                .find(|node| node.tag_name().name() == name)
        };
        let text = |name: &str| part(name).and_then(|node| node.text().map(str::to_owned));
        let at = |text: String| -> DateTime {
            text.trim_end_matches('Z').parse().expect("a date and time")
        };
        let start = at(text("StartBoundary").expect("a start"));
        let end = text("EndBoundary").map(at);
        let on_day = |day: Date| -> bool {
            let listed = |name: &str, all: &[&str], index: i8| {
                part(name).is_none_or(|node| {
                    kids(node)
                        .contains(&all[usize::try_from(index).expect("counts from 0")].to_owned())
                })
            };
            let weekday = day.weekday().to_monday_zero_offset();
            if trigger.tag_name().name() == "TimeTrigger" {
                return day == start.date();
            }
            if part("ScheduleByDay").is_some() {
                return true;
            }
            let in_week = || listed("DaysOfWeek", &DAYS, weekday);
            let in_month = || listed("Months", &MONTHS, day.month() - 1);
            let texts = |name: &str| -> Vec<String> {
                let list = part(name).expect("a list");
                list.children()
                    .filter(Node::is_element)
                    .map(|node| node.text().unwrap_or("").to_owned())
                    .collect()
            };
            if part("ScheduleByWeek").is_some() {
                return in_week();
            }
            let last = day.days_in_month();
            if part("ScheduleByMonth").is_some() {
                let days = texts("DaysOfMonth");
                return in_month()
                    && (days.contains(&day.day().to_string())
                        || day.day() == last && days.contains(&"Last".to_owned()));
            }
            let weeks = texts("Weeks");
            let nth = (day.day() - 1) / 7 + 1;
            in_month()
                && in_week()
                && (weeks.contains(&nth.to_string())
                    || day.day() + 7 > last && weeks.contains(&"Last".to_owned()))
        };
        let seconds = |text: Option<String>| {
            text.map(|t| t.parse::<SignedDuration>().expect("a duration").as_secs())
        };
        let interval = seconds(text("Interval"));
        let length = seconds(text("Duration")).unwrap_or(0);
        let mut day = from;
        while day < to {
            if on_day(day) && day >= start.date() {
                let first = day.to_datetime(start.time());
                let mut after = 0;
                loop {
                    let start = first + after.seconds();
                    if end.is_none_or(|end| start < end) {
                        found.push(start);
                    }
                    let Some(interval) = interval else { break };
                    after += interval;
                    if after > length {
                        break;
                    }
                }
            }
            day = day.tomorrow().expect("a day follows");
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn a_task_starts_when_systemd_would() {
    let files = tasks(&emit(&scheduled()));
    let (from, to) = (date(2026, 12, 1), date(2029, 12, 1));
    for (at, expression) in EXPRESSIONS.iter().enumerate() {
        let text = &files[&format!("windows/desk/tasks/s{at}.xml")];
        let document = Document::parse(text).expect("XML");
        let task = document.root_element();
        let to = if expression.starts_with("*:") || matches!(*expression, "hourly" | "*-*-* 0/2:00")
        {
            date(2027, 3, 1)
        } else {
            to
        };
        let parsed: Expression = expression.parse().expect("an expression");
        let zone = TimeZone::UTC;
        let instant = |day: Date| day.to_zoned(zone.clone()).expect("a day").timestamp();
        let schedule = parsed.schedule(&zone);
        let expected: Vec<DateTime> = schedule
            .between(instant(from), instant(to))
            .map(|t| t.to_zoned(zone.clone()).datetime())
            .collect();
        assert!(!expected.is_empty(), "{expression} never elapses");
        pretty_assertions::assert_eq!(starts(task, from, to), expected, "{}", expression);
    }
}

#[test]
fn a_task_says_what_the_schedule_says() {
    let files = tasks(&emit(&host(
        r#"
[vms.desk.windows]
user = "O'B & sö $(x)"
winget = ["Mozilla.Firefox"]

[schedules.update]
task = "windows-update"
on = "Sun 04:00"
random-delay = "15m"
timeout = "2h 500ms"
persistent = false
reboot = "if-needed"

[schedules.tidy]
task = "windows-maintenance"
on = "monthly"
enabled = false
timeout = "infinity"
"#,
    )));
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "windows/desk/tasks/first-logon.xml",
            "windows/desk/tasks/tidy.xml",
            "windows/desk/tasks/update-check.xml",
            "windows/desk/tasks/update-winget.xml",
            "windows/desk/tasks/update.xml"
        ]
    );
    let says = |path: &str, wanted: &[(&str, Option<&str>)]| {
        let document = Document::parse(&files[path]).expect("XML");
        for (at, expected) in wanted {
            let found = value(document.root_element(), at);
            assert_eq!(found, *expected, "{path}: {at}");
        }
    };
    says(
        "windows/desk/tasks/update.xml",
        &[
            ("RegistrationInfo/URI", Some(r"\moxc\update")),
            ("Principals/Principal/UserId", Some("S-1-5-18")),
            ("Principals/Principal/LogonType", None),
            ("Settings/StartWhenAvailable", Some("false")),
            ("Settings/Enabled", Some("true")),
            ("Settings/ExecutionTimeLimit", Some("PT2H1S")),
            ("Settings/RunOnlyIfNetworkAvailable", Some("true")),
            ("Triggers/CalendarTrigger/RandomDelay", Some("PT15M")),
            (
                "Triggers/CalendarTrigger/StartBoundary",
                Some("2024-01-01T04:00:00"),
            ),
            (
                "Actions/Exec/Command",
                Some(r"C:\Program Files\nu\bin\nu.exe"),
            ),
            (
                "Actions/Exec/Arguments",
                Some(
                    r"--no-config-file --no-std-lib C:\ProgramData\moxc\windows-update.nu --install --reboot if-needed",
                ),
            ),
        ],
    );
    // The one that only looks, once a day, whatever the schedule says.
    says(
        "windows/desk/tasks/update-check.xml",
        &[
            ("Principals/Principal/UserId", Some("S-1-5-18")),
            ("Settings/StartWhenAvailable", Some("true")),
            (
                "Triggers/CalendarTrigger/ScheduleByDay/DaysInterval",
                Some("1"),
            ),
            (
                "Actions/Exec/Arguments",
                Some(
                    r"--no-config-file --no-std-lib C:\ProgramData\moxc\windows-update.nu --event",
                ),
            ),
        ],
    );
    says(
        "windows/desk/tasks/tidy.xml",
        &[
            ("Settings/StartWhenAvailable", Some("true")),
            ("Settings/Enabled", Some("false")),
            ("Settings/ExecutionTimeLimit", Some("PT0S")),
            ("Triggers/CalendarTrigger/RandomDelay", None),
        ],
    );
    let user = Some("O'B & sö $(x)");
    says(
        "windows/desk/tasks/update-winget.xml",
        &[
            ("Principals/Principal/UserId", user),
            ("Principals/Principal/LogonType", Some("InteractiveToken")),
            ("Triggers/CalendarTrigger/RandomDelay", Some("PT15M")),
            (
                "Actions/Exec/Arguments",
                Some(r"--no-config-file --no-std-lib C:\ProgramData\moxc\winget.nu --upgrade"),
            ),
        ],
    );
    says(
        "windows/desk/tasks/first-logon.xml",
        &[
            ("Principals/Principal/UserId", user),
            ("Principals/Principal/LogonType", Some("InteractiveToken")),
            ("Principals/Principal/RunLevel", Some("HighestAvailable")),
            ("Triggers/LogonTrigger/UserId", user),
        ],
    );
}

#[test]
fn a_guest_that_no_schedule_names_has_its_first_logon_alone() {
    let spec = host(
        r#"
[vms.other]
os = "windows10"
vmid = 121
memory = "8 GiB"
[vms.other.disks]
system = { dataset = "vm-disks", size = "100 GiB" }

[schedules.update]
task = "windows-update"
on = "Sun 04:00"
guests = ["desk"]
"#,
    );
    let files = emit(&spec);
    let names: Vec<String> = tasks(&files).into_keys().collect();
    assert_eq!(
        names,
        [
            "windows/desk/tasks/first-logon.xml",
            "windows/desk/tasks/update-check.xml",
            "windows/desk/tasks/update.xml",
            "windows/other/tasks/first-logon.xml"
        ]
    );
    assert_eq!(bytes(&files, "windows/desk/.gitattributes"), b"* -text\n");
}

// ---------------------------------------------------------------- the answers of Setup

/// The passes in which a component that we use is valid (Unattended Windows Setup Reference).
const COMPONENTS: &[(&str, &[&str])] = &[
    ("Microsoft-Windows-International-Core-WinPE", &["windowsPE"]),
    ("Microsoft-Windows-PnpCustomizationsWinPE", &["windowsPE"]),
    ("Microsoft-Windows-Setup", &["windowsPE"]),
    (
        "Microsoft-Windows-PnpCustomizationsNonWinPE",
        &["offlineServicing", "auditSystem"],
    ),
    (
        "Microsoft-Windows-International-Core",
        &["specialize", "oobeSystem"],
    ),
    (
        "Microsoft-Windows-Deployment",
        &["generalize", "specialize", "auditUser", "oobeSystem"],
    ),
    (
        "Microsoft-Windows-Shell-Setup",
        &[
            "windowsPE",
            "offlineServicing",
            "generalize",
            "specialize",
            "auditSystem",
            "auditUser",
            "oobeSystem",
        ],
    ),
];

const WCM: &str = "http://schemas.microsoft.com/WMIConfig/2002/State";

/// Holds answers against the rules that Setup stops at.
fn check_answers(text: &str) -> Vec<String> {
    let document = Document::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let root = document.root_element();
    let mut faults = Vec::new();
    let mut need = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    for node in root.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        let named = |name: &str| {
            node.children()
                .filter(|child| child.tag_name().name() == name)
                .count()
        };
        need(
            node.tag_name().namespace() == Some("urn:schemas-microsoft-com:unattend"),
            format!("{name}: another namespace"),
        );
        match name {
            "component" => {
                let pass = node.parent_element().and_then(|p| p.attribute("pass"));
                let component = node.attribute("name").unwrap_or("");
                need(
                    COMPONENTS.iter().any(|(known, passes)| {
                        *known == component && pass.is_some_and(|pass| passes.contains(&pass))
                    }),
                    format!("{component} in {pass:?}"),
                );
                let rest = [
                    "processorArchitecture",
                    "publicKeyToken",
                    "language",
                    "versionScope",
                ]
                .map(|key| node.attribute(key).unwrap_or(""));
                need(
                    rest == ["amd64", "31bf3856ad364e35", "neutral", "nonSxS"],
                    format!("{component}: {rest:?}"),
                );
            }
            "CreatePartition"
            | "ModifyPartition"
            | "Disk"
            | "MetaData"
            | "LocalAccount"
            | "RunSynchronousCommand"
            | "SynchronousCommand"
            | "PathAndCredentials" => {
                need(
                    node.attribute((WCM, "action")) == Some("add"),
                    format!("{name} without wcm:action"),
                );
            }
            "Path" | "CommandLine" => {
                let longest = if name == "Path" { 259 } else { 1024 };
                let length = node.text().unwrap_or("").chars().count();
                need((1..=longest).contains(&length), format!("{name}: {length}"));
            }
            "CreatePartitions" => {
                let extended: Vec<bool> = node
                    .children()
                    .filter(Node::is_element)
                    .map(|p| child(p, "Extend").is_some())
                    .collect();
                let last = extended.len() - 1;
                need(
                    extended
                        .iter()
                        .enumerate()
                        .all(|(at, e)| *e == (at == last)),
                    format!("the last partition alone takes the rest: {extended:?}"),
                );
            }
            "OSImage" => need(
                named("InstallTo") + named("InstallToAvailablePartition") < 2,
                "both ways to say where".into(),
            ),
            "Value" => {
                let parent = node
                    .parent_element()
                    .map(|p| p.tag_name().name().to_owned());
                let text = node.text().unwrap_or("");
                let secret = parent.is_some_and(|p| p.ends_with("Password"));
                need(
                    !secret || text == "@MOXC_PASSWORD@",
                    "a password in the tree".into(),
                );
            }
            _ => {}
        }
    }
    for (what, path) in [
        ("the licence is accepted", "AcceptEula"),
        ("a zone", "TimeZone"),
        ("a first command", "FirstLogonCommands"),
    ] {
        need(
            root.descendants().any(|n| n.tag_name().name() == path),
            what.into(),
        );
    }
    faults
}

fn answers(spec: &str) -> String {
    let files = emit(spec);
    String::from_utf8(bytes(&files, "windows/desk/autounattend.xml").to_vec()).expect("UTF-8")
}

/// The text of the first element of a name.
fn said(text: &str, name: &str) -> Option<String> {
    let document = Document::parse(text).expect("XML");
    let mut found = document
        .descendants()
        .filter(|n| n.tag_name().name() == name);
    found
        .next()
        .map(|node| node.text().unwrap_or("").to_owned())
}

#[test]
fn the_answers_are_for_the_guests_own_machine() {
    let plain = answers(&host(""));
    insta::assert_snapshot!("windows-answers", plain);
    assert_eq!(check_answers(&plain), [""; 0]);

    let old = answers(
        &host(
            r#"
[vms.desk.windows]
user = "O'Brien & sö"
locale = "de-AT"
keyboard = "de-ch"
timezone = "Asia/Calcutta"
edition = "Windows 10 Enterprise \"N\" <x>"
computer-name = "OFFICE-1"
product-key-secret = "office-key"
"#,
        )
        .replace(
            "os = \"windows11\"",
            "os = \"windows10\"\nfirmware = \"seabios\"",
        )
        .replace("size = \"100 GiB\"", "size = \"100 GiB\", bus = \"virtio\""),
    );
    assert_eq!(check_answers(&old), [""; 0]);
    for (name, text) in [
        ("ComputerName", "OFFICE-1"),
        ("TimeZone", "India Standard Time"),
        ("UILanguage", "de-DE"),
        ("UserLocale", "de-AT"),
        ("InputLocale", "0c07:00000807"),
        ("Key", "/IMAGE/NAME"),
        ("PartitionID", "2"),
        ("Username", "O'Brien & sö"),
    ] {
        let found = if name == "PartitionID" {
            let document = Document::parse(&old).expect("XML");
            let to = document
                .descendants()
                .find(|n| n.tag_name().name() == "InstallTo");
            value(to.expect("a place"), "PartitionID").map(str::to_owned)
        } else {
            said(&old, name)
        };
        assert_eq!(found.as_deref(), Some(text), "{name}");
    }
    let document = Document::parse(&old).expect("XML");
    let named = |name: &str| -> Vec<String> {
        document
            .descendants()
            .filter(|n| n.tag_name().name() == name)
            .map(|n| n.text().unwrap_or("").to_owned())
            .collect()
    };
    assert!(named("Value").contains(&"Windows 10 Enterprise \"N\" <x>".to_owned()));
    assert!(named("Key").contains(&"@MOXC_PRODUCT_KEY@".to_owned()));
    assert_eq!(named("Type"), ["Primary", "Primary"]);
    assert_eq!(named("Active"), ["true"]);
    // A driver of its bus, which Setup takes; vioscsi, which it does not, is loaded by the script alone.
    assert!(named("Path").contains(&r"X:\moxc\drivers\viostor".to_owned()));
    assert!(!plain.contains(r"drivers\vioscsi"));
}

#[test]
fn a_server_has_its_administrator_and_no_published_key() {
    let server = answers(&host("").replace("windows11", "windows-server-2025"));
    assert_eq!(check_answers(&server), [""; 0]);
    assert!(server.contains("<AdministratorPassword>"));
    assert!(server.contains("Windows Server 2025 SERVERSTANDARD"));
    let document = Document::parse(&server).expect("XML");
    let key = document
        .descendants()
        .find(|n| n.tag_name().name() == "ProductKey")
        .expect("a key");
    assert_eq!(child(key, "Key"), None);
    assert_eq!(value(key, "WillShowUI"), Some("Never"));
}

#[test]
fn an_edition_is_chosen_by_its_key_a_number_or_its_name() {
    let with = |os: &str, more: &str| {
        let spec = host(&format!("[vms.desk.windows]\n{more}\n"));
        let text = answers(&spec.replace("windows11", os));
        assert_eq!(check_answers(&text), [""; 0], "{more}");
        let document = Document::parse(&text).expect("XML");
        let find = |name: &str| {
            let mut all = document.descendants();
            all.find(|n| n.tag_name().name() == name)
        };
        let image = find("InstallFrom").map(|image| {
            let value = |name| {
                value(image, &format!("MetaData/{name}"))
                    .unwrap_or("")
                    .to_owned()
            };
            format!("{}={}", value("Key"), value("Value"))
        });
        let key = value(find("ProductKey").expect("it"), "Key").map(str::to_owned);
        (image, key)
    };
    let key = |text: &str| Some(text.to_owned());
    let pro = "VK7JG-NPHTM-C97JM-9MPGT-3V66T";
    // Images have other names in other languages; keys are the same.
    assert_eq!(with("windows11", "locale = \"fr-FR\""), (None, key(pro)));
    assert_eq!(
        with("windows10", "edition = \"Pro N\""),
        (None, key("2B87N-8KFHP-DKV6R-Y2C8J-PKCKT"))
    );
    assert_eq!(
        with("windows11", "product-key-secret = \"mine\""),
        (None, key("@MOXC_PRODUCT_KEY@"))
    );
    assert_eq!(
        with("windows11", "image-index = 6"),
        (key("/IMAGE/INDEX=6"), key(pro))
    );
    assert_eq!(
        with("windows11", "edition = \"Windows 11 Pro\""),
        (key("/IMAGE/NAME=Windows 11 Pro"), key(pro))
    );
    assert_eq!(
        with("windows11", "edition = \"IoT Enterprise\""),
        (key("/IMAGE/NAME=Windows 11 IoT Enterprise"), None)
    );
    assert_eq!(
        with("windows-server-2022", "edition = \"SERVERDATACENTER\""),
        (
            key("/IMAGE/NAME=Windows Server 2022 SERVERDATACENTER"),
            None
        )
    );
}

#[test]
fn the_first_start_asks_for_no_network_and_encrypts_nothing() {
    let text = answers(&host(""));
    for name in ["BypassNRO", "PreventDeviceEncryption"] {
        assert!(
            text.contains(&format!("/v {name} /t REG_DWORD /d 1 /f")),
            "{name}"
        );
    }
    let text = answers(&host("[vms.desk.windows]\ndevice-encryption = true\n"));
    assert!(text.contains("BypassNRO") && !text.contains("PreventDeviceEncryption"));
}

#[test]
fn the_drivers_are_those_of_the_bus_and_of_the_windows() {
    let script = |spec: &str| {
        let files = emit(spec);
        let text = bytes(&files, "windows/desk/drivers.cmd").to_vec();
        let text = String::from_utf8(text).expect("ASCII");
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        text
    };
    let with = |os: &str, bus: &str| {
        host("").replace("windows11", os).replace(
            "size = \"100 GiB\"",
            &format!("size = \"100 GiB\", bus = \"{bus}\""),
        )
    };
    for (os, bus, folder, storage) in [
        ("windows11", "scsi", "w11", Some("vioscsi")),
        ("windows10", "virtio", "w10", Some("viostor")),
        ("windows-server-2022", "sata", "2k22", None),
        ("windows-server-2025", "scsi", "2k25", Some("vioscsi")),
    ] {
        let text = script(&with(os, bus));
        let loaded: Vec<&str> = text.lines().filter(|l| l.starts_with("drvload ")).collect();
        let mut expected: Vec<String> = storage
            .iter()
            .map(|s| format!("drvload \"X:\\moxc\\drivers\\{s}\\{s}.inf\""))
            .collect();
        expected.push("drvload \"X:\\moxc\\drivers\\NetKVM\\netkvm.inf\"".into());
        assert_eq!(loaded, expected, "{os} {bus}");
        assert!(text.contains(&format!("\\NetKVM\\{folder}\\amd64\\netkvm.inf")));
    }
}

#[test]
fn the_disk_of_windows_is_wiped_by_its_number_or_not_at_all() {
    let with = |bus: &str| {
        let text = host("").replace(
            "system = { dataset = \"vm-disks\", size = \"100 GiB\" }",
            &format!(
                "system = {{ dataset = \"vm-disks\", size = \"100 GiB\", bus = \"{bus}\" }}\n\
                 data = {{ dataset = \"vm-disks\", size = \"1 GiB\", bus = \"sata\" }}"
            ),
        );
        let text = answers(&text);
        assert_eq!(check_answers(&text), [""; 0], "{bus}");
        text
    };
    // Windows has found the SATA disk before a driver of the virtio-win disc is loaded.
    for bus in ["scsi", "virtio"] {
        assert_eq!(said(&with(bus), "DiskID").as_deref(), Some("1"), "{bus}");
    }
    assert_eq!(said(&with("sata"), "DiskID").as_deref(), Some("0"));
    let text = with("ide");
    assert_eq!(said(&text, "DiskConfiguration"), None);
    assert_eq!(said(&text, "InstallTo"), None);
}

// ---------------------------------------------------------------- PowerShell

/// Runs the reader of PowerShell, which needs a grammar that `tests/run` installs.
fn read_powershell(arguments: &[&std::ffi::OsStr]) -> std::process::Output {
    let tools = std::env::var_os("MOXC_TEST_TOOLS").expect("tests/run sets MOXC_TEST_TOOLS");
    std::process::Command::new(std::path::Path::new(&tools).join("python/bin/python"))
        .arg(crate::program::tests().join("windows/powershell.py"))
        .args(arguments)
        .output()
        .expect("python starts")
}

#[test]
#[ignore = "needs tree-sitter-powershell; run by tests/run"]
fn every_powershell_script_is_one() {
    let spec = host("[vms.desk.windows]\nuser = \"O'Brien \u{2019}sö $(x)\"\n");
    let dir = tempfile::tempdir().expect("a folder for the test");
    for file in emit(&spec).iter() {
        let path = file.path.as_str();
        if !path.ends_with(".ps1") {
            continue;
        }
        assert!(file.contents.is_ascii(), "{path}");
        let copy = dir.path().join(path.replace('/', "-"));
        std::fs::write(&copy, &file.contents).expect("the folder is ours");
        let output = read_powershell(&[copy.as_os_str()]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{path}: {said}");
    }
    // The grammar finds what is none.
    let broken = dir.path().join("broken.ps1");
    std::fs::write(&broken, "if ($x {\n'open\n").expect("the folder is ours");
    assert!(!read_powershell(&[broken.as_os_str()]).status.success());
}

/// A step that is written and not run would leave the password behind without a word.
#[test]
fn the_first_logon_runs_every_step_that_is_written() {
    let files = emit(&host(""));
    let text = String::from_utf8(bytes(&files, "windows/desk/bootstrap.ps1").to_vec());
    let text = text.expect("ASCII");
    let named = |start: &str| -> std::collections::BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(start));
        let names = lines.map(|rest| rest.chars().take_while(char::is_ascii_alphabetic).collect());
        names.collect()
    };
    let listed: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("$steps = ") || line.starts_with("$steps += "))
        .flat_map(|line| line.split('\'').skip(1).step_by(2))
        .collect();
    let all: std::collections::BTreeSet<String> = listed.iter().map(|s| (*s).to_owned()).collect();
    assert_eq!(all.len(), listed.len(), "{listed:?}");
    assert_eq!(all, named("function Invoke-Step"));
    assert_eq!(all, named("function Test-Step"));
    assert_eq!(listed[..2], ["Files", "Secrets"]);
}

#[test]
#[ignore = "needs tree-sitter-powershell; run by tests/run"]
fn a_grammar_reads_literals_as_they_were_meant() {
    let texts = [
        "",
        "plain",
        "it's",
        "'",
        "''",
        "$env:PATH `n \"q\" # ; & | @{} <# #>",
        "C:\\Program Files\\x\\",
        "a\u{2018}b\u{2019}c\u{201A}d\u{201B}e",
        "line\r\nbreak\ttab",
        "Grüße \u{1F600} \u{FEFF}",
        "%PATH% $(x) \\",
    ];
    let mut script = String::new();
    for text in texts {
        writeln!(script, "$x = {}", moxc::powershell::quote(text))
            .expect("a string takes all text");
    }
    let dir = tempfile::tempdir().expect("a folder for the test");
    let path = dir.path().join("values.ps1");
    std::fs::write(&path, script).expect("the folder is ours");
    let output = read_powershell(&[std::ffi::OsStr::new("--values"), path.as_os_str()]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read: Vec<String> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(read, texts);
}

// ---------------------------------------------------------------- the disc

/// A folder with a tree's Windows guest, secrets, and stand-ins for the host's programs.
pub(crate) struct Disc {
    pub(crate) dir: tempfile::TempDir,
}

impl Disc {
    /// One of a guest without wishes, with the secret that it needs.
    pub(crate) fn with_secret() -> Self {
        let disc = Self::new(&host(""));
        disc.secret("desk-password", "Hunter-22\n", 0o600);
        disc.list();
        disc
    }

    /// Lists the files of the tree as they are now, as a build does.
    fn list(&self) {
        let mut files = Vec::new();
        let mut folders = vec![self.path("windows")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let place = path.strip_prefix(self.dir.path()).expect("below");
                let held = std::fs::read(&path).expect("a file");
                files.push(serde_json::json!({
                    "path": place.to_str().expect("text"),
                    "sha256": sha256(&held),
                    "size": held.len(),
                }));
            }
        }
        let manifest = serde_json::json!({ "format": 1, "spec": {}, "files": files });
        self.put("manifest.json", &manifest.to_string());
    }

    fn new(spec: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder for the test");
        let at = |name: &str| dir.path().join(name);
        for file in emit(spec).iter() {
            let path = at(file.path.as_str());
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(&path, &file.contents).expect("a file");
            let mode = std::fs::Permissions::from_mode(file.mode.bits());
            std::fs::set_permissions(&path, mode).expect("a mode");
        }
        for folder in ["bin", "iso", "secrets", "packages", "web", "guest"] {
            std::fs::create_dir(at(folder)).expect("a folder");
        }
        let fake = crate::program::tests().join("fakes/windows-install");
        for name in ["qm", "pvesh", "pvesm", "curl"] {
            std::fs::copy(&fake, at("bin").join(name)).expect("a file");
        }
        let config = "name: desk\nagent: 1\nboot: order=scsi0;ide2;ide0\nscsi0: vm-disks:vm-120-disk-1,serial=system,size=100G\nide2: local:iso/win11.iso,media=cdrom\nide0: local:iso/virtio-win.iso,media=cdrom\n";
        std::fs::write(at("config"), config).expect("a file");
        std::fs::write(at("disk"), vec![0; 1 << 20]).expect("a file");
        std::fs::write(at("story"), DONE).expect("a file");
        let disc = Self { dir };
        disc.pin();
        disc
    }

    /// Pins other installers: the real ones are not here. Each line of the script holds a file, its address and its hash.
    fn pin(&self) {
        let script = self.path("windows/desk/build-iso.sh");
        let text = std::fs::read_to_string(&script).expect("the script");
        let mut pinned = 0;
        let lines: Vec<String> = text
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let [file, url, hash] = words[..] else {
                    return line.to_owned();
                };
                if !file.ends_with(".msi") || !url.starts_with("https://") {
                    return line.to_owned();
                }
                pinned += 1;
                std::fs::write(self.path("web").join(file), file).expect("a file");
                line.replace(hash, &sha256(file.as_bytes()))
            })
            .collect();
        assert!(pinned > 0, "no installer is pinned on one line");
        std::fs::write(&script, lines.join("\n") + "\n").expect("the script");
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn secret(&self, name: &str, text: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path("secrets").join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }

    /// Runs the script: status, what it said.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        self.list();
        self.run_listed(arguments)
    }

    /// Runs the script of a tree whose files may not be as they were listed.
    fn run_listed(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut paths = vec![self.path("bin")];
        paths.extend(std::env::split_paths(&path));
        let output = std::process::Command::new("bash")
            .arg(self.path("windows/desk/build-iso.sh"))
            .arg("--secrets")
            .arg(self.path("secrets"))
            .args(arguments)
            .env("PATH", std::env::join_paths(paths).expect("a path"))
            .env("FAKE", self.dir.path())
            .env("MOXC_POLL", "0.01")
            .env("MOXC_LOCK_DIR", self.path("lock"))
            .env("MOXC_CACHE_DIR", self.path("cache"))
            .stdin(std::process::Stdio::null())
            .output()
            .expect("bash starts");
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    /// What happened on the host and in the guest, in its order.
    fn course(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("course")).unwrap_or_default();
        let _ = std::fs::remove_file(self.path("course"));
        text.lines().map(str::to_owned).collect()
    }

    /// A file of the disc, by its Joliet name.
    fn read(&self, file: &str) -> Vec<u8> {
        self.read_from("iso/moxc-desk.iso", file)
    }

    fn read_from(&self, disc: &str, file: &str) -> Vec<u8> {
        let out = self.path("extracted");
        let _ = std::fs::remove_file(&out);
        let output = std::process::Command::new("xorriso")
            .args(["-read_fs", "norock", "-osirrox", "on", "-indev"])
            .arg(self.path(disc))
            .args(["-extract", file])
            .arg(&out)
            .output()
            .expect("xorriso starts");
        assert!(
            output.status.success(),
            "{file}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::read(&out).expect("the file")
    }
}

/// What a bootstrap tells at its end.
const DONE: &str = "{\"status\":\"done\",\"step\":\"\",\"message\":\"\"}\n";

/// By the program of that name, as the script does.
fn sha256(bytes: &[u8]) -> String {
    use std::io::Write as _;
    let mut child = std::process::Command::new("sha256sum")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("sha256sum starts");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(bytes)
        .expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout)[..64].to_owned()
}

const SECRET: &str = "p&<ä>\"'%s\\$(x)@ ]]>";

#[test]
#[ignore = "needs genisoimage and xorriso; run by tests/run"]
fn the_disc_holds_the_secrets_and_everything_else_as_it_is() {
    use std::os::unix::fs::PermissionsExt as _;
    let disc = Disc::new(&host("[vms.desk.windows]\nproduct-key-secret = \"key\"\n"));
    disc.secret("desk-password", &format!("{SECRET}\nnot this\n"), 0o600);
    disc.secret("key", "AAAAA-BBBBB-CCCCC-DDDDD-12345\n", 0o400);
    let (status, said) = disc.run(&[]);
    assert_eq!(status, Some(0), "{said}");
    let msi = "nu-0.115.1-x86_64-pc-windows-msvc.msi";
    assert_eq!(disc.course(), [format!("download {msi}")]);
    assert!(said.contains("qm set 120 --sata0"), "{said}");
    assert!(!said.contains("p&") && !said.contains("AAAAA"), "{said}");

    let image = disc.path("iso/moxc-desk.iso");
    let mode = std::fs::metadata(&image)
        .expect("the disc")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let answers = String::from_utf8(disc.read("/autounattend.xml")).expect("UTF-8");
    let document = Document::parse(&answers).expect("XML");
    let values: Vec<&str> = document
        .descendants()
        .filter(|n| matches!(n.tag_name().name(), "Value" | "Key"))
        .filter_map(|n| n.text())
        .collect();
    assert_eq!(
        values.iter().filter(|v| **v == SECRET).count(),
        2,
        "{values:?}"
    );
    assert!(values.contains(&"AAAAA-BBBBB-CCCCC-DDDDD-12345"));
    assert!(!answers.contains("@MOXC_"));
    let tree = disc.path("windows/desk");
    for file in [
        "bootstrap.ps1",
        "tasks/first-logon.xml",
        "tasks/register.ps1",
    ] {
        let name = format!("/moxc/files/{file}");
        assert_eq!(
            disc.read(&name),
            std::fs::read(tree.join(file)).expect("it"),
            "{file}"
        );
    }
    assert_eq!(disc.read(&format!("/moxc/packages/{msi}")), msi.as_bytes());
    assert_eq!(
        disc.read("/moxc/drivers.cmd"),
        std::fs::read(tree.join("drivers.cmd")).expect("it")
    );
    // The tree keeps its placeholders, and nothing else is left behind.
    let kept = std::fs::read_to_string(tree.join("autounattend.xml")).expect("it");
    assert!(kept.contains("@MOXC_PASSWORD@"));
    let left: Vec<_> = std::fs::read_dir(disc.path("iso"))
        .expect("the store")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["moxc-desk.iso"]);

    // A second time it asks; there is nobody, so that --yes is wanted.
    let (status, said) = disc.run(&[]);
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("say --yes"), "{said}");
    assert_eq!(disc.run(&["--yes"]).0, Some(0));
    // And it goes away again, with the drive that holds it.
    std::fs::write(
        disc.path("config"),
        "ide0: local:iso/moxc-desk.iso,media=cdrom\n",
    )
    .expect("it");
    let (status, said) = disc.run(&["--remove", "--yes"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(!image.exists());
    // A drive of a running guest cannot be taken away at once, and the disc in it can.
    assert_eq!(disc.course(), ["set ide0 none", "detach ide0"]);
    assert_eq!(
        disc.run(&["--remove"]),
        (Some(0), "done: nothing to do\n".into())
    );
}

/// The host with a card in its guest.
fn networked(more: &str) -> String {
    host(&format!(
        "[hardware.nics.lan]\ninterface = \"enp1s0\"\nmac = \"00:00:5E:00:53:01\"\n\
         [network.bridges.vmbr0]\nports = [\"lan\"]\naddress = \"192.0.2.1/24\"\n\
         [[vms.desk.network]]\nbridge = \"vmbr0\"\naddress = \"dhcp\"\n{more}"
    ))
}

/// Accounts, a domain and checks that are left out.
const PEOPLE: &str = "[vms.desk.windows]\nbypass = [\"tpm\", \"cpu\"]\n\
    domain = { name = \"ad.example.org\", login-secret = \"JOIN\", ou = \"OU=Desks\" }\n\
    [vms.desk.windows.users.maria]\npassword-secret = \"MARIA\"\n\
    [vms.desk.windows.users.otto]\npassword-secret = \"MARIA\"\nadministrator = true\n";

#[test]
#[ignore = "needs genisoimage and xorriso; run by tests/run"]
fn secrets_of_accounts_and_domain_go_the_way_of_the_disc() {
    let disc = Disc::new(&networked(PEOPLE));
    disc.secret("desk-password", "secret\n", 0o600);
    disc.secret("MARIA", "First-1\n", 0o600);
    let (status, said) = disc.run(&[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("the secret JOIN is missing"), "{said}");
    disc.secret("JOIN", "joiner\n", 0o600);
    let (status, said) = disc.run(&[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("has too few lines"), "{said}");
    disc.secret("JOIN", "joiner\nJoin-1\n", 0o600);
    let (status, said) = disc.run(&[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        !said.contains("First-1") && !said.contains("Join-1"),
        "{said}"
    );
    assert_eq!(disc.read("/moxc/secrets/account-MARIA"), b"First-1\r\n");
    assert_eq!(disc.read("/moxc/secrets/domain"), b"joiner\r\nJoin-1\r\n");
    let answers = String::from_utf8(disc.read("/autounattend.xml")).expect("UTF-8");
    assert!(answers.contains("BypassTPMCheck") && answers.contains("BypassCPUCheck"));
    assert!(!answers.contains("BypassRAMCheck") && !answers.contains("First-1"));
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_push_brings_secrets_where_it_is_told_to_and_nowhere_else() {
    let disc = Disc::new(&networked(PEOPLE));
    disc.put("phase", "setup");
    disc.put("silent", "0");
    disc.secret("MARIA", "First-1\n", 0o600);
    disc.secret("JOIN", "joiner\nJoin-1\n", 0o600);
    let (status, said) = disc.run(&["--push"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(!disc.path("guest/secrets").exists());
    disc.course();
    let (status, said) = disc.run(&["--push", "--with-secrets", "--dry-run"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("the secrets") && !disc.path("guest/secrets").exists(),
        "{said}"
    );
    disc.course();
    let (status, said) = disc.run(&["--push", "--with-secrets"]);
    assert_eq!(status, Some(0), "{said}");
    let told = format!("told {}", DONE.trim());
    assert_eq!(
        disc.course(),
        ["hashes", "settle", "secrets", "settled", &told]
    );
    assert!(
        !said.contains("First-1") && !said.contains("Join-1"),
        "{said}"
    );
    let came =
        |name: &str| std::fs::read_to_string(disc.path("guest/secrets").join(name)).expect("it");
    assert_eq!(came("account-MARIA"), "First-1\r\n");
    assert_eq!(came("domain"), "joiner\r\nJoin-1\r\n");
    let (status, said) = disc.run(&["--with-secrets"]);
    assert_eq!(status, Some(2), "{said}");
}

#[test]
#[ignore = "needs genisoimage; run by tests/run"]
fn no_disc_is_made_of_bad_secrets_and_none_on_a_dry_run() {
    let disc = Disc::new(&host("[vms.desk.windows]\nproduct-key-secret = \"key\"\n"));
    let fails = |why: &str| {
        let (status, said) = disc.run(&[]);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(why), "{said}");
        assert!(!disc.path("iso/moxc-desk.iso").exists());
    };
    fails("is missing");
    disc.secret("desk-password", "secret", 0o640);
    fails("can be read by others");
    disc.secret("desk-password", "", 0o600);
    fails("is empty");
    disc.secret("desk-password", "a\u{7}b", 0o600);
    fails("control character");
    disc.secret("desk-password", "@MOXC_PRODUCT_KEY@", 0o600);
    fails("placeholder");
    disc.secret("desk-password", "secret", 0o600);
    disc.secret("key", "no key", 0o600);
    fails("no product key");
    disc.secret("key", "AAAAA-BBBBB-CCCCC-DDDDD-12345", 0o600);
    let (status, said) = disc.run(&["--dry-run"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(!disc.path("iso/moxc-desk.iso").exists());
    assert_eq!(disc.run(&["--storage", "no storage"]).0, Some(1));
    assert_eq!(disc.run(&["--what"]).0, Some(2));
    assert_eq!(disc.run(&["--output"]).0, Some(2));
    assert_eq!(disc.run(&["--help"]).0, Some(0));
}

#[test]
#[ignore = "needs genisoimage or xorriso; run by tests/run"]
fn a_disc_is_made_of_what_was_built_and_of_nothing_else() {
    let disc = Disc::with_secret();
    let path = disc.path("windows/desk/setup.nu");
    let whole = std::fs::read_to_string(&path).expect("a file");
    for (text, told) in [
        (format!("{whole}# by hand\n"), "is not as the manifest says"),
        (String::new(), "setup.nu is cut"),
    ] {
        std::fs::write(&path, text).expect("a file");
        for args in [
            &["--yes"][..],
            &["--yes", "--push"],
            &["--yes", "--install"],
        ] {
            let (status, said) = disc.run_listed(args);
            assert_eq!(status, Some(3), "{said}");
            assert!(said.contains(told), "{said}");
        }
    }
    assert!(disc.course().is_empty());
    std::fs::write(&path, &whole).expect("a file");
    disc.put("windows/desk/own.nu", "# my own\n");
    let (status, said) = disc.run_listed(&["--yes"]);
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("own.nu is not of this build"), "{said}");
    let (status, said) = disc.run_listed(&["--yes", "--as-it-is", "windows/desk/own.nu"]);
    assert_eq!(status, Some(0), "{said}");
    // The disc goes whatever became of the tree: it holds the password.
    std::fs::remove_file(disc.path("manifest.json")).expect("it goes");
    let (status, said) = disc.run_listed(&["--yes", "--remove"]);
    assert_eq!(status, Some(0), "{said}");
}

#[test]
#[ignore = "needs shellcheck; run by tests/run"]
fn shellcheck_has_nothing_to_say_of_the_disc() {
    let disc = Disc::new(&host(""));
    let output = std::process::Command::new("shellcheck")
        .arg(disc.path("windows/desk/build-iso.sh"))
        .output()
        .expect("shellcheck starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

// ---------------------------------------------------------------- an installation, from the first key to the removed disc

/// What Setup and the first logon do with the answers, in the order of the passes: each thing that they name is on the disc.
fn play_setup(disc: &Disc, os: &str) {
    let read = |file: &str| disc.read_from("seen.iso", file);
    let text = String::from_utf8(read("/autounattend.xml")).expect("UTF-8");
    assert_eq!(
        check_answers(&text.replace(SECRET_OF_SERVERS, "@MOXC_PASSWORD@")),
        [""; 0],
        "{os}"
    );
    let document = Document::parse(&text).expect("XML");
    let passes: Vec<&str> = document
        .descendants()
        .filter(|n| n.tag_name().name() == "settings")
        .filter_map(|n| n.attribute("pass"))
        .collect();
    assert_eq!(
        passes,
        ["windowsPE", "offlineServicing", "specialize", "oobeSystem"]
    );
    // Windows PE runs drivers.cmd before it looks at disks; the first logon runs bootstrap.ps1.
    for (element, file) in [("Path", "drivers.cmd"), ("CommandLine", "bootstrap.ps1")] {
        let command = document
            .descendants()
            .filter(|n| n.tag_name().name() == element)
            .filter_map(|n| n.text())
            .find(|text| text.contains(&format!(r"\moxc\{file}")))
            .unwrap_or_else(|| panic!("{os}: no command runs {file}"));
        assert!(
            command.contains(file) && command.ends_with("& exit"),
            "{command}"
        );
        assert!(!read(&format!("/moxc/{file}")).is_empty());
    }
    // The disk is looked at before it is wiped, and with the serial number that Proxmox VE gives it.
    let drivers = String::from_utf8(read("/moxc/drivers.cmd")).expect("ASCII");
    let config = std::fs::read_to_string(disc.path("proxmox/etc/pve/qemu-server/120.conf"));
    let config = config.expect("the guest");
    assert!(config.contains("serial=system"), "{config}");
    assert!(
        drivers.contains("disk.vbs\" \"0\" \"system\" \"107374182400\""),
        "{drivers}"
    );
    let wiped = document
        .descendants()
        .any(|n| n.tag_name().name() == "WillWipeDisk");
    assert!(wiped && !read("/moxc/disk.vbs").is_empty());
    // Every installer that the first logon wants is there, under the name that it looks for.
    let bootstrap = String::from_utf8(read("/moxc/bootstrap.ps1")).expect("ASCII");
    let files: Vec<&str> = bootstrap
        .split("File = '")
        .skip(1)
        .filter_map(|rest| rest.split('\'').next())
        .collect();
    assert!(!files.is_empty());
    for file in files {
        assert_eq!(read(&format!("/moxc/packages/{file}")), file.as_bytes());
    }
}

/// A password that a server takes.
const SECRET_OF_SERVERS: &str = "Correct-Horse-7";

#[test]
#[ignore = "needs genisoimage and xorriso; run by tests/run"]
fn every_windows_is_installed_from_the_first_key_to_the_removed_disc() {
    for (os, firmware) in [
        ("windows10", "seabios"),
        ("windows11", "ovmf"),
        ("windows-server-2022", "ovmf"),
        ("windows-server-2025", "ovmf"),
    ] {
        let spec = host("").replace(
            "os = \"windows11\"",
            &format!("os = \"{os}\"\nfirmware = \"{firmware}\""),
        );
        let disc = Disc::new(&spec);
        disc.put("firmware", firmware);
        disc.secret("desk-password", SECRET_OF_SERVERS, 0o600);
        disc.put("story", &format!("{{\"status\":\"running\",\"step\":\"drivers\",\"message\":\"\"}}\n{{\"status\":\"running\",\"step\":\"setup\",\"message\":\"\"}}\n{DONE}"));
        let (status, said) = disc.run(&["--install"]);
        assert_eq!(status, Some(0), "{os}: {said}");
        assert!(!said.contains(SECRET_OF_SERVERS));
        let drive = said
            .lines()
            .find_map(|line| line.split("--").nth(1)?.split(' ').next())
            .expect("a drive");
        let mut course = vec![
            "download nu-0.115.1-x86_64-pc-windows-msvc.msi".to_owned(),
            format!("set {drive} local:iso/moxc-desk.iso"),
            "start".to_owned(),
        ];
        if firmware == "ovmf" {
            // A BIOS with an empty disk goes on to the disc by itself.
            course.push("key spc".to_owned());
        }
        course.extend(
            [
                "told {\"status\":\"running\",\"step\":\"drivers\",\"message\":\"\"}",
                "told {\"status\":\"running\",\"step\":\"setup\",\"message\":\"\"}",
                "told {\"status\":\"done\",\"step\":\"\",\"message\":\"\"}",
                "set ide2 none",
                "set ide0 none",
            ]
            .map(str::to_owned),
        );
        course.extend([format!("set {drive} none"), format!("detach {drive}")]);
        assert_eq!(disc.course(), course, "{os}: {said}");
        assert!(!disc.path("iso/moxc-desk.iso").exists());
        play_setup(&disc, os);
    }
}

#[test]
#[ignore = "needs genisoimage; run by tests/run"]
fn an_installation_that_does_not_go_on_is_told_and_keeps_its_disc() {
    let begun = |change: &dyn Fn(&Disc), arguments: &[&str]| {
        let disc = Disc::new(&host(""));
        disc.secret("desk-password", "secret", 0o600);
        change(&disc);
        let mut all = vec!["--install"];
        all.extend(arguments);
        let (status, said) = disc.run(&all);
        (disc, status, said)
    };
    // What the guest says is believed of nothing but how far it is: words of no meaning, a flood, silence, and no JSON.
    let odd = format!(
        "flood\nsilence\nraw:[]\nraw:{{\"exited\":1,\"out-data\":{{}}}}\n{{\"status\":\"a[$(touch $FAKE/pwned)]\",\"step\":\"$(touch $FAKE/pwned)\"}}\n{DONE}"
    );
    let (disc, status, said) = begun(&|disc| disc.put("story", &odd), &[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(!disc.path("pwned").exists() && !disc.path("windows/desk/pwned").exists());

    let failed =
        "{\"status\":\"failed\",\"step\":\"nushell\",\"message\":\"no \\u001b[31mnetwork\"}\n";
    let (disc, status, said) = begun(&|disc| disc.put("story", failed), &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("the step nushell failed: no  [31mnetwork"),
        "{said}"
    );
    assert!(
        disc.path("iso/moxc-desk.iso").exists(),
        "it is needed to go on"
    );

    let (_, status, said) = begun(&|disc| disc.put("story", "silence\n"), &["--wait", "1"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("not set up within 1 seconds"), "{said}");

    // Nobody presses the key: the guest is reset, and told in the end.
    let (disc, status, said) = begun(&|disc| disc.put("deaf", ""), &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("does not start from its disc"), "{said}");
    let resets = disc.course().iter().filter(|line| *line == "reset").count();
    assert_eq!(resets, 2);
}

#[test]
#[ignore = "needs genisoimage; run by tests/run"]
fn nothing_is_installed_where_something_could_be_lost() {
    let refused = |change: &dyn Fn(&Disc), expected: i32, why: &str| {
        let disc = Disc::new(&host(""));
        disc.secret("desk-password", "secret", 0o600);
        change(&disc);
        let (status, said) = disc.run(&["--install", "--yes"]);
        assert_eq!(status, Some(expected), "{why}: {said}");
        assert!(said.contains(why), "{said}");
        assert!(
            disc.course()
                .iter()
                .all(|line| line.starts_with("download")),
            "{why}"
        );
        disc
    };
    refused(&|disc| disc.put("status", "running"), 3, "is not off");
    refused(
        &|disc| disc.put("config", "name: desk\nagent: 1\nlock: backup\n"),
        4,
        "locked (backup)",
    );
    refused(
        &|disc| {
            disc.put(
                "config",
                "name: desk\nagent: 1\nscsi0: vm-disks:x,size=1G\nide2: local:iso/w.iso,media=cdrom\n",
            );
        },
        1,
        "has not both discs",
    );
    refused(
        &|disc| disc.put("config", "name: desk\nagent: 1\n"),
        1,
        "has no disk",
    );
    // Data on the disk, of which --yes says nothing: its number has to be typed, and then Setup is told so by the disc.
    let disc = refused(
        &|disc| disc.put("disk", "data"),
        3,
        "what the disk scsi0 of guest 120 holds is lost",
    );
    let (status, said) = disc.run(&["--install", "--yes", "--confirm", "120"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(!disc.read_from("seen.iso", "/moxc/confirmed").is_empty());
    // Another file of that name in the web is not what is pinned.
    refused(
        &|disc| disc.put("web/nu-0.115.1-x86_64-pc-windows-msvc.msi", "evil"),
        1,
        "has another SHA-256",
    );
    // A server's password that Setup would refuse in the middle of the night.
    let disc = Disc::new(&host("").replace("windows11", "windows-server-2025"));
    for (secret, why) in [
        ("secret", "three of upper case"),
        ("1User-7", "name of its user"),
    ] {
        disc.secret("desk-password", secret, 0o600);
        let (status, said) = disc.run(&["--install", "--yes"]);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[test]
#[ignore = "needs genisoimage; run by tests/run"]
fn a_guest_without_a_network_gets_the_installers_or_is_told() {
    let disc = Disc::new(&host(""));
    disc.secret("desk-password", "secret", 0o600);
    let (status, said) = disc.run(&["--no-download"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("has no network to download it by"), "{said}");
    let packages = disc.path("web");
    let packages = packages.to_str().expect("text");
    let (status, said) = disc.run(&["--no-download", "--packages", packages]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(disc.course(), [""; 0]);
    let spec = networked("");
    let disc = Disc::new(&spec);
    disc.secret("desk-password", "secret", 0o600);
    let (status, said) = disc.run(&["--no-download"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("downloads nu-0.115.1"), "{said}");
}

// ---------------------------------------------------------------- a change reaches a running guest

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_push_brings_what_differs_and_removes_what_the_spec_has_no_more() {
    let disc = Disc::new(&host(""));
    disc.put("phase", "setup");
    disc.put("silent", "0");
    disc.put("guest/gone.nu", "old");
    disc.put("guest/moxc.nu", "another");
    std::fs::create_dir(disc.path("guest/tasks")).expect("a folder");
    disc.put("guest/tasks/old.xml", "old");
    let (status, said) = disc.run(&["--push"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("removed gone.nu") && said.contains("removed tasks/old.xml"),
        "{said}"
    );
    let told = format!("told {}", DONE.trim());
    assert_eq!(disc.course(), ["hashes", "put", "settle", "settled", &told]);
    for file in [
        "moxc.nu",
        "config.nu",
        "bootstrap.ps1",
        "tasks/register.ps1",
        "tasks/first-logon.xml",
    ] {
        let sent = std::fs::read(disc.path("windows/desk").join(file)).expect("it");
        assert_eq!(
            std::fs::read(disc.path("guest").join(file)).expect("it"),
            sent,
            "{file}"
        );
    }
    assert!(!disc.path("guest/gone.nu").exists() && !disc.path("guest/build-iso.sh").exists());
    // A second time there is nothing to send.
    let (status, said) = disc.run(&["--push"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(!said.contains("send "), "{said}");
    // The guest tells what did not work, and it is no word of the host's.
    disc.put(
        "story",
        "{\"status\":\"failed\",\"step\":\"setup\",\"message\":\"no card\"}\n",
    );
    disc.put("settled", "1");
    let (status, said) = disc.run(&["--push"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("the step setup failed: no card"), "{said}");
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_guest_that_lies_about_what_it_has_moves_nothing_on_the_host() {
    for (lie, why) in [
        ("no json", "its answer is none"),
        (
            "{\"files\":[{\"path\":\"moxc.nu\",\"sha256\":\"$(touch $FAKE/pwned)\"},{\"path\":\"../../../etc/passwd\",\"sha256\":\"00\"}],\"removed\":[\"a[$(touch $FAKE/pwned)]\"],\"error\":\"\"}",
            "has not",
        ),
        (
            "{\"files\":[],\"removed\":[],\"error\":\"no room\"}",
            "no room",
        ),
        (
            "{\"files\":{},\"removed\":7,\"error\":[]}",
            "its answer is none",
        ),
    ] {
        let disc = Disc::new(&host(""));
        disc.put("phase", "setup");
        disc.put("silent", "0");
        disc.put("lies", lie);
        let (status, said) = disc.run(&["--push"]);
        assert_eq!(status, Some(1), "{lie}: {said}");
        assert!(said.contains(why), "{lie}: {said}");
        assert!(!disc.path("pwned").exists());
        assert!(!disc.course().contains(&"settled".to_owned()), "{lie}");
    }
    let disc = Disc::new(&host(""));
    let (status, said) = disc.run(&["--push"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("the agent does not answer"), "{said}");
}

// ---------------------------------------------------------------- updates that the host drives

/// A host with one Windows guest, in which three updates wait.
pub(crate) struct Updates {
    pub(crate) dir: tempfile::TempDir,
}

impl Updates {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let fakes = crate::program::tests().join("fakes/windows-host");
        std::fs::create_dir(dir.path().join("bin")).expect("a folder");
        for name in ["qm", "pvesh"] {
            std::fs::copy(&fakes, dir.path().join("bin").join(name)).expect("a file");
        }
        let tool = moxc::tools::Tool::named("windows-update").expect("the tool");
        std::fs::write(dir.path().join("windows-update"), tool.script("header")).expect("a file");
        let host = Self { dir };
        host.put("updates", "3");
        host.put(
            "snapshots",
            "mine\nmoxc-upd-20200101T000000Z\nmoxc-upd-20210101T000000Z\n",
        );
        host
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).expect("a file");
    }

    fn get(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    /// Runs the tool: status, what it said, and what changed something, without the time in a snapshot's name.
    fn run_with(&self, fail: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        let _ = std::fs::remove_file(self.dir.path().join("log"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut paths = vec![self.dir.path().join("bin")];
        paths.extend(std::env::split_paths(&path));
        let output = std::process::Command::new("setsid")
            .arg("bash")
            .arg(self.dir.path().join("windows-update"))
            .args(["--wait", "1"])
            .args(arguments)
            .arg("120")
            .env("PATH", std::env::join_paths(paths).expect("a path"))
            .env("FAKE", self.dir.path())
            .env("FAKE_FAIL", fail)
            .env("MOXC_POLL", "0.01")
            .env("MOXC_LOCK_DIR", self.dir.path().join("lock-dir"))
            .stdin(std::process::Stdio::null())
            .output()
            .expect("bash starts");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let log = self
            .get("log")
            .lines()
            .fold(String::new(), |mut log, line| {
                let words: Vec<&str> = line
                    .split(' ')
                    .map(|word| {
                        let new = word.starts_with("moxc-upd-") && word > "moxc-upd-2022";
                        if new { "NEW" } else { word }
                    })
                    .collect();
                writeln!(log, "{}", words.join(" ")).expect("a string takes all text");
                log
            });
        (output.status.code(), said, log)
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        self.run_with("", arguments)
    }
}

const ALL: &[&str] = &[
    "--snapshot",
    "--restart",
    "--rollback-on-failure",
    "--task",
    "nightly",
];
const TAKEN: &str = "qm snapshot 120 NEW --vmstate 0 --description before an update of Windows\n";
const STARTED: &str = "qm guest exec 120 --timeout 60 -- schtasks.exe /Run /TN \\moxc\\nightly\n";
const BACK: &str = "qm rollback 120 NEW --start 1\n";

#[test]
#[ignore = "needs bash, perl and flock; run by tests/run"]
fn an_update_takes_a_snapshot_first_and_a_second_run_does_nothing() {
    let host = Updates::new();
    host.put("result", "3");
    let (status, said, log) = host.run(ALL);
    assert_eq!(status, Some(0), "{said}");
    let pruned = "qm delsnapshot 120 moxc-upd-20200101T000000Z\n";
    assert_eq!(
        log,
        format!("{TAKEN}{STARTED}qm reboot 120 --timeout 1\n{pruned}"),
        "{said}"
    );
    assert!(
        said.contains("3 updates") && said.contains("guest 120: updated"),
        "{said}"
    );
    // What is not ours stays, and so does one before ours.
    let left = host.get("snapshots");
    assert!(
        left.starts_with("mine\nmoxc-upd-20210101T000000Z\nmoxc-upd-20"),
        "{left}"
    );
    assert_eq!(left.lines().count(), 3);

    let (status, said, log) = host.run(ALL);
    assert_eq!((status, log.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("up to date"), "{said}");
}

#[test]
#[ignore = "needs bash, perl and flock; run by tests/run"]
fn a_guest_that_does_not_come_well_out_of_it_goes_back() {
    for (what, value, why) in [
        ("after", "dead", "agent does not answer"),
        ("after", "no-address", "no address"),
    ] {
        let host = Updates::new();
        host.put("result", "3");
        host.put(what, value);
        let (status, said, log) = host.run(ALL);
        assert_eq!(status, Some(1), "{what} {value}: {said}");
        assert!(said.contains(why), "{what} {value}: {said}");
        assert!(said.contains("as it was before"), "{said}");
        assert!(log.starts_with(TAKEN) && log.ends_with(BACK), "{log}");
        assert!(!log.contains("delsnapshot"), "{log}");
    }
    // Without the policy a person decides, and without a snapshot there is no way back.
    let sick = || {
        let host = Updates::new();
        host.put("result", "3");
        host.put("after", "dead");
        host
    };
    let arguments = ["--snapshot", "--restart", "--task", "nightly"];
    let (status, said, log) = sick().run(&arguments);
    assert_eq!(status, Some(3), "{said}");
    assert!(!log.contains("rollback"), "{log}");
    assert!(said.contains("--confirm 120"), "{said}");
    let (status, said, log) = sick().run(&[&arguments[..], &["--confirm", "120"]].concat());
    assert_eq!(status, Some(1), "{said}");
    assert!(log.ends_with(BACK), "{log}");
    let (status, said, log) = sick().run(&["--restart", "--task", "nightly"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(!log.contains("rollback"), "{log}");
}

/// An update that Windows cannot install, week after week, must not cost what was written since.
#[test]
#[ignore = "needs bash, perl and flock; run by tests/run"]
fn a_failed_update_or_a_busy_updater_takes_nothing_back() {
    let host = Updates::new();
    host.put("result", "1");
    let (status, said, log) = host.run(ALL);
    assert_eq!(status, Some(5), "{said}");
    assert!(
        said.contains("not every update could be installed (status 1)"),
        "{said}"
    );
    assert!(!log.contains("rollback"), "{log}");

    // Windows' own updater is at it: the snapshot that was taken for nothing goes again.
    let host = Updates::new();
    host.put("result", "4");
    let (status, said, log) = host.run(ALL);
    assert_eq!(status, Some(4), "{said}");
    assert_eq!(
        log,
        format!("{TAKEN}{STARTED}qm delsnapshot 120 NEW\n"),
        "{said}"
    );

    // Already at the look: then there is no snapshot at all.
    let host = Updates::new();
    host.put("looks", "busy");
    let (status, said, log) = host.run(ALL);
    assert_eq!((status, log.as_str()), (Some(4), ""), "{said}");
    assert!(said.contains("another installation is running"), "{said}");

    // One that takes too long leaves a guest that is well, and is a failure of the run alone.
    let host = Updates::new();
    host.put("polls", "1000000");
    let (status, said, log) = host.run(&[ALL, &["--timeout", "1"]].concat());
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("did not end within"), "{said}");
    assert!(!log.contains("rollback"), "{log}");
}

#[test]
#[ignore = "needs bash, perl and flock; run by tests/run"]
fn a_look_tells_what_waits_and_changes_nothing() {
    for (what, value, status, says) in [
        ("updates", "3", 0, "3 updates wait for their time"),
        ("restart", "pending", 5, "must restart to finish"),
        ("looks", "busy", 4, "another installation is running"),
        ("agent", "dead", 1, "the agent does not answer"),
        ("status", "stopped", 0, "is off, and stays so"),
    ] {
        let host = Updates::new();
        host.put(what, value);
        let (found, said, log) = host.run(&["--check"]);
        assert_eq!((found, log.as_str()), (Some(status), ""), "{what}: {said}");
        assert!(said.contains(says), "{what}: {said}");
    }
}

/// The agent is a program of the guest: it may answer anything.
#[test]
#[ignore = "needs bash, perl and flock; run by tests/run"]
fn an_agent_that_lies_or_floods_decides_about_its_guest_alone() {
    for lie in [
        "{\"results\":[{\"outcome\":\"planned\"}],\"status\":\"a[$(touch $FAKE/pwned)]\"}",
        "{\"results\":{\"outcome\":7}}",
        "no json $(touch $FAKE/pwned)",
        "flood",
    ] {
        let host = Updates::new();
        host.put("lie", lie);
        let (status, said, _) = host.run(&["--check"]);
        assert!(matches!(status, Some(0 | 1)), "{lie}: {said}");
        assert!(said.len() < 5000, "{lie}: {} bytes", said.len());
        assert!(!host.dir.path().join("pwned").exists(), "{lie}");
    }
    let host = Updates::new();
    host.put("state-lie", "4\r\na[$(touch $FAKE/pwned)]\r\n");
    let (status, said, log) = host.run(&[ALL, &["--timeout", "1"]].concat());
    assert_eq!(status, Some(1), "{said}");
    assert!(
        !host.dir.path().join("pwned").exists() && !log.contains("rollback"),
        "{log}"
    );
}

#[test]
#[ignore = "needs bash, perl and flock; run by tests/run"]
fn nothing_is_done_with_a_guest_that_is_not_ready() {
    let cases: &[(&str, &str, &str, i32, &str)] = &[
        ("lock", "backup", "", 4, "locked (backup)"),
        ("status", "stopped", "", 0, "is off"),
        ("agent", "dead", "", 1, "agent does not answer"),
        ("updates", "3", "qm config", 1, "no guest"),
        (
            "updates",
            "3",
            "qm guest exec 120 --timeout 1800",
            1,
            "does not tell whether",
        ),
    ];
    for (what, value, fail, expected, why) in cases {
        let host = Updates::new();
        host.put(what, value);
        let (status, said, log) = host.run_with(fail, ALL);
        assert_eq!(
            (status, log.as_str()),
            (Some(*expected), ""),
            "{what}: {said}"
        );
        assert!(said.contains(why), "{what}: {said}");
    }
    let host = Updates::new();
    let (status, said, log) = host.run_with("qm snapshot", ALL);
    assert_eq!((status, log.as_str()), (Some(1), TAKEN), "{said}");
    assert!(said.contains("no snapshot, so no update"), "{said}");
}

#[test]
#[ignore = "needs bash, perl and flock; run by tests/run"]
fn a_trial_changes_nothing_and_wrong_words_are_told() {
    let host = Updates::new();
    let (status, said, log) = host.run(&["--dry-run", "--snapshot", "--task", "nightly"]);
    assert_eq!((status, log.as_str()), (Some(0), ""), "{said}");
    assert!(
        said.contains("qm snapshot 120") && said.contains("schtasks"),
        "{said}"
    );
    for wrong in [
        &["--what"][..],
        &["--keep", "0"],
        &["--task", "a b"],
        &["--rollback-on-failure"],
        &["x"],
    ] {
        let (status, said, log) = host.run(wrong);
        assert_eq!((status, log.as_str()), (Some(2), ""), "{said}");
    }
    assert_eq!(host.run(&["--help"]).0, Some(0));
    // Every line of the log is JSON.
    let (status, said, _) = host.run(&["--json", "--snapshot", "--restart"]);
    assert_eq!(status, Some(0), "{said}");
    for line in said.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["tool"], "windows-update");
    }
    // A guest that is off is started only where that is said, and shut down afterwards.
    let host = Updates::new();
    host.put("status", "stopped");
    let (status, said, log) = host.run(&["--start", "--task", "nightly"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(
        log,
        format!("qm start 120\n{STARTED}qm shutdown 120 --timeout 1\n")
    );
}

#[test]
#[ignore = "needs shellcheck; run by tests/run"]
fn shellcheck_has_nothing_to_say_of_the_update() {
    let host = Updates::new();
    let output = std::process::Command::new("shellcheck")
        .arg(host.dir.path().join("windows-update"))
        .output()
        .expect("shellcheck starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
}

#[test]
fn the_host_drives_an_update_with_a_snapshot() {
    let files = emit(&host(
        r#"
[vms.desk.windows]
winget = ["Mozilla.Firefox"]

[schedules.nightly]
task = "windows-update"
on = "Sun 04:00"
timeout = "2h"
reboot = "if-needed"
snapshot = true
rollback = true
"#,
    ));
    let text = |path: &str| String::from_utf8(bytes(&files, path).to_vec()).expect("text");
    let unit = text("proxmox/etc/systemd/system/moxc-nightly.service").replace(" \\\n ", " ");
    let command = "ExecStart=/usr/local/sbin/windows-update --yes --task nightly --snapshot --rollback-on-failure --restart --timeout 7200 -- 120";
    assert!(unit.lines().any(|line| line == command), "{unit}");
    // Beyond the limit of the script itself, which ends an update in good order.
    assert!(
        unit.lines().any(|line| line == "TimeoutStartSec=4h"),
        "{unit}"
    );
    assert!(
        files
            .get("proxmox/etc/systemd/system/moxc-nightly.timer")
            .is_some()
    );
    let tasks = tasks(&files);
    let task = &tasks["windows/desk/tasks/nightly.xml"];
    let document = Document::parse(task).expect("XML");
    let triggers = child(document.root_element(), "Triggers").expect("triggers");
    assert_eq!(triggers.children().filter(Node::is_element).count(), 0);
    assert!(task.contains("--reboot never"), "{task}");
    // A look goes with it each day.
    let look = text("proxmox/etc/systemd/system/moxc-nightly-check.service");
    assert!(
        look.contains("windows-update --yes --check -- 120"),
        "{look}"
    );
    assert!(tasks["windows/desk/tasks/nightly-check.xml"].contains("windows-update.nu --event"));
    // The user's packages have their own time: winget does not work for the host.
    assert!(tasks["windows/desk/tasks/nightly-winget.xml"].contains("<CalendarTrigger>"));
}
