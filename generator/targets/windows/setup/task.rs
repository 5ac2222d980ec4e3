//! A task of the Windows Task Scheduler, and its XML.
//!
//! The format is that of MS-TSCH 2.5. There the parts of a trigger have a fixed order, which Windows itself does not keep;
//! what is written here does. Version 1.2 is the oldest that says everything needed, and every Windows from Vista on reads it.

use jiff::civil::DateTime;

use super::super::{GUEST_FOLDER, NU};
use super::command_line;
use crate::calendar::windows::{Days, MonthDay, Trigger, Week};
use crate::calendar::{WEEKDAY_LONG_NAMES, Weekdays};
use crate::xml::{Document, Element};

/// The namespace of the format.
const NAMESPACE: &str = "http://schemas.microsoft.com/windows/2004/02/mit/task";
/// The format's version.
const VERSION: &str = "1.2";
/// The one principal's name within the file.
const PRINCIPAL: &str = "Author";
/// The folder of our tasks in the Task Scheduler.
pub(super) const FOLDER: &str = r"\moxc\";

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name in the Task Scheduler, and its file's.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who it runs as.
    pub principal: Principal,
    /// When it runs; never by itself where there is none.
    pub start: Start,
    /// How long it may take, in seconds; as long as it wants where none.
    pub limit: Option<u64>,
    /// Whether a run that was missed is made up for.
    pub catches_up: bool,
    /// Whether it waits for a network.
    pub needs_network: bool,
    /// Whether it runs at all.
    pub enabled: bool,
    /// Nushell's script, below `C:\ProgramData\moxc`.
    pub script: &'static str,
    /// The script's arguments.
    pub arguments: Vec<String>,
}

/// Who a task runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Windows itself, in a session that nobody sees.
    System,
    /// A user with all rights that the account has, in its session, where windows are seen and winget works.
    User(String),
}

/// What starts a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Nothing but somebody's word.
    OnDemand,
    /// The clock, and so many seconds later at random, at most.
    Times(Vec<Trigger>, Option<u64>),
    /// The start of Windows.
    Boot,
    /// The logon of the task's user.
    Logon,
}

impl Task {
    /// The task's file.
    pub fn document(&self, header: &str) -> Document {
        let root = Element::new("Task")
            .attribute("version", VERSION)
            .attribute("xmlns", NAMESPACE)
            .with(self.registration())
            .with(self.triggers())
            .with(Element::new("Principals").with(self.principal()))
            .with(self.settings())
            .with(self.actions());
        Document {
            comment: header.to_owned(),
            root,
        }
    }

    fn registration(&self) -> Element {
        Element::new("RegistrationInfo")
            .with(Element::text("Author", "moxc"))
            .with(Element::text("Description", &self.description))
            .with(Element::text("URI", format!("{FOLDER}{}", self.name)))
    }

    fn triggers(&self) -> Element {
        let triggers = Element::new("Triggers");
        match &self.start {
            Start::OnDemand => triggers,
            Start::Times(times, delay) => {
                triggers.with_all(times.iter().map(|trigger| timed(trigger, *delay)))
            }
            Start::Boot => {
                // Later than the services that it needs.
                triggers.with(
                    Element::new("BootTrigger")
                        .with(Element::flag("Enabled", true))
                        .with(Element::text("Delay", "PT30S")),
                )
            }
            Start::Logon => {
                let mut logon = Element::new("LogonTrigger").with(Element::flag("Enabled", true));
                if let Principal::User(user) = &self.principal {
                    logon = logon.with(Element::text("UserId", user));
                }
                triggers.with(logon)
            }
        }
    }

    fn principal(&self) -> Element {
        let principal = Element::new("Principal").attribute("id", PRINCIPAL);
        match &self.principal {
            // By its SID: its name is another one in every language of Windows.
            Principal::System => principal
                .with(Element::text("UserId", "S-1-5-18"))
                .with(Element::text("RunLevel", "HighestAvailable")),
            Principal::User(user) => principal
                .with(Element::text("UserId", user))
                .with(Element::text("LogonType", "InteractiveToken"))
                .with(Element::text("RunLevel", "HighestAvailable")),
        }
    }

    fn settings(&self) -> Element {
        let flag = Element::flag;
        let limit = self.limit.map_or("PT0S".to_owned(), duration);
        Element::new("Settings")
            // A second start of one that still runs is left out.
            .with(Element::text("MultipleInstancesPolicy", "IgnoreNew"))
            // A virtual machine has no battery, but a passed-through UPS is one to Windows.
            .with(flag("DisallowStartIfOnBatteries", false))
            .with(flag("StopIfGoingOnBatteries", false))
            .with(flag("AllowHardTerminate", true))
            .with(flag("StartWhenAvailable", self.catches_up))
            .with(flag("RunOnlyIfNetworkAvailable", self.needs_network))
            .with(flag("AllowStartOnDemand", true))
            .with(flag("Enabled", self.enabled))
            .with(flag("Hidden", false))
            .with(flag("RunOnlyIfIdle", false))
            .with(flag("WakeToRun", false))
            .with(Element::text("ExecutionTimeLimit", limit))
            // 7 is below normal, as the Task Scheduler has it for work in the background.
            .with(Element::text("Priority", "7"))
    }

    fn actions(&self) -> Element {
        let script = format!(r"{GUEST_FOLDER}\{}", self.script);
        let arguments = ["--no-config-file", "--no-std-lib", &script]
            .into_iter()
            .chain(self.arguments.iter().map(String::as_str));
        Element::new("Actions")
            .attribute("Context", PRINCIPAL)
            .with(
                Element::new("Exec")
                    .with(Element::text("Command", NU))
                    .with(Element::text("Arguments", command_line::join(arguments)))
                    .with(Element::text("WorkingDirectory", GUEST_FOLDER)),
            )
    }
}

/// A trigger of the clock: `TimeTrigger` for one date, else `CalendarTrigger`.
fn timed(trigger: &Trigger, delay: Option<u64>) -> Element {
    let boundary = |at: DateTime| {
        let zone = if trigger.utc { "Z" } else { "" };
        format!("{}{zone}", at.strftime("%Y-%m-%dT%H:%M:%S"))
    };
    let schedule = schedule(&trigger.days);
    let name = match schedule {
        None => "TimeTrigger",
        Some(_) => "CalendarTrigger",
    };
    let mut element = Element::new(name)
        .with(Element::flag("Enabled", true))
        .with(Element::text("StartBoundary", boundary(trigger.start)));
    if let Some(end) = trigger.end {
        element = element.with(Element::text("EndBoundary", boundary(end)));
    }
    if let Some(repetition) = trigger.repetition {
        element = element.with(
            Element::new("Repetition")
                .with(Element::text(
                    "Interval",
                    duration(u64::from(repetition.interval)),
                ))
                .with(Element::text(
                    "Duration",
                    duration(u64::from(repetition.duration)),
                ))
                .with(Element::flag("StopAtDurationEnd", false)),
        );
    }
    if let Some(delay) = delay {
        element = element.with(Element::text("RandomDelay", duration(delay)));
    }
    element.with_all(schedule)
}

/// The days of a `CalendarTrigger`; none for the one date of a `TimeTrigger`.
fn schedule(days: &Days) -> Option<Element> {
    Some(match days {
        Days::Once => return None,
        Days::Daily { interval } => {
            Element::new("ScheduleByDay").with(Element::text("DaysInterval", interval.to_string()))
        }
        Days::Weekly { weekdays } => Element::new("ScheduleByWeek")
            .with(Element::text("WeeksInterval", "1"))
            .with(days_of_week(*weekdays)),
        Days::Monthly { days, months } => {
            let days = days.iter().map(|day| {
                let text = match day {
                    MonthDay::Day(number) => number.to_string(),
                    MonthDay::Last => "Last".to_owned(),
                };
                Element::text("Day", text)
            });
            Element::new("ScheduleByMonth")
                .with(Element::new("DaysOfMonth").with_all(days))
                .with(months_of_year(months))
        }
        Days::MonthlyDayOfWeek {
            weeks,
            weekdays,
            months,
        } => {
            let weeks = weeks.iter().map(|week| {
                let text = match week {
                    Week::Number(number) => number.to_string(),
                    Week::Last => "Last".to_owned(),
                };
                Element::text("Week", text)
            });
            Element::new("ScheduleByMonthDayOfWeek")
                .with(Element::new("Weeks").with_all(weeks))
                .with(days_of_week(*weekdays))
                .with(months_of_year(months))
        }
    })
}

fn days_of_week(weekdays: Weekdays) -> Element {
    let days = weekdays.indices().map(|day| WEEKDAY_LONG_NAMES[day]);
    Element::new("DaysOfWeek").with_all(days.map(Element::new))
}

fn months_of_year(months: &[u32]) -> Element {
    const NAMES: [&str; 12] = [
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
    let named = (1..)
        .zip(NAMES)
        .filter(|(number, _)| months.contains(number));
    Element::new("Months").with_all(named.map(|(_, name)| Element::new(name)))
}

/// Seconds as a duration of XML Schema, without years and months, whose lengths differ: `P1DT2H30M`.
fn duration(seconds: u64) -> String {
    use std::fmt::Write as _;
    let parts = [
        (seconds / 86_400, 'D'),
        (seconds / 3600 % 24, 'H'),
        (seconds / 60 % 60, 'M'),
        (seconds % 60, 'S'),
    ];
    let mut out = String::from("P");
    for (number, unit) in parts.into_iter().filter(|(number, _)| *number > 0) {
        if unit != 'D' && !out.contains('T') {
            out.push('T');
        }
        write!(out, "{number}{unit}").expect("a string takes all text");
    }
    if out == "P" { "PT0S".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_xml_schema() {
        for (seconds, text) in [
            (0, "PT0S"),
            (90, "PT1M30S"),
            (3600, "PT1H"),
            (86_400, "P1D"),
            (93_780, "P1DT2H3M"),
            (31_536_000, "P365D"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
