//! A week of the host as a line of time.

use std::fmt::Write as _;

use super::{Lines, Section, Table};
use crate::calendar::WEEKDAY_NAMES;
use crate::facts::Facts;
use crate::facts::times::{self, MOST_STARTS, Runs, Week};
use crate::graph;
use crate::model::Schedule;
use crate::targets::docs::told;
use crate::template::html as escape;

/// A day, and an hour of it, in pixels.
const DAY: i64 = 120;
const HOUR: i64 = DAY / 24;
/// A row of the picture.
const ROW: i64 = 24;
/// Above the rows, for the days and the hours.
const TOP: i64 = 44;
/// Past so many starts a week each is a mere stroke.
const STROKES: usize = 50;
/// Minutes of a week.
const MINUTES: i64 = 7 * 24 * 60;

/// The section.
pub(super) fn section(facts: &Facts<'_>, lines: &Lines) -> Section {
    let host = facts.host;
    let week = times::week(host);
    Section {
        id: "week".to_owned(),
        title: "A week".to_owned(),
        about: format!(
            "What starts when, by the host's clock ({}), in an ordinary week: the one that begins on {}. A box is as long as a run may take.",
            *host.timezone,
            week.start.strftime("%-d %B %Y")
        ),
        has_picture: !week.runs.is_empty(),
        picture: picture(facts, &week),
        tables: vec![table(facts, &week, lines)],
    }
}

fn table(facts: &Facts<'_>, week: &Week, lines: &Lines) -> Table {
    let host = facts.host;
    let columns = [
        "Name",
        "$Task",
        "$When",
        "In this week",
        "May take",
        "About",
    ];
    let mut table = Table::new("What runs when", &columns).or("Nothing runs by itself.");
    for (id, schedule) in host.schedules.iter() {
        let work = facts.tasks.of_schedule(id);
        let runs = week.runs.iter().find(|runs| runs.schedule == id);
        let length = match work.reach.map_or(0, |reach| reach.as_mins()) {
            0 => "not bounded".to_owned(),
            minutes if minutes % 60 == 0 => format!("{} h", minutes / 60),
            minutes => format!("{minutes} min"),
        };
        let cells = [
            told::named(schedule),
            schedule.task.kind().to_string(),
            schedule.on.value.to_string(),
            runs.map_or_else(|| "never".to_owned(), in_week),
            length,
            told::about(facts, id),
        ];
        let file = work.file.as_deref().unwrap_or_default();
        table.row(cells, file, lines.link(Some(schedule.on.span)));
    }
    table
}

/// `Sun 04:00`, `daily 01:00`, `168 times`.
fn in_week(runs: &Runs) -> String {
    let time = |at: i64| format!("{:02}:{:02}", at / 60 % 24, at % 60);
    let day = |at: i64| usize::try_from(at / 1440).unwrap_or(0).min(6);
    match &runs.starts[..] {
        [] => runs.next.as_ref().map_or_else(
            || "never".to_owned(),
            |next| format!("not in it; next {}", next.strftime("%a %-d %b %Y, %H:%M")),
        ),
        starts if starts.len() >= MOST_STARTS => format!("{MOST_STARTS} times and more"),
        starts if starts.len() > 7 => format!("{} times", starts.len()),
        starts
            if starts.len() == 7 && starts.windows(2).all(|pair| pair[1] - pair[0] == 24 * 60) =>
        {
            format!("daily {}", time(starts[0]))
        }
        starts => {
            let words: Vec<String> = starts
                .iter()
                .map(|at| format!("{} {}", WEEKDAY_NAMES[day(*at)], time(*at)))
                .collect();
            words.join(", ")
        }
    }
}

/// Rows of schedules over seven days.
fn picture(facts: &Facts<'_>, week: &Week) -> String {
    let host = facts.host;
    let rows: Vec<(&Schedule, &Runs)> = week
        .runs
        .iter()
        .filter(|runs| !runs.starts.is_empty())
        .map(|runs| (&host.schedules[runs.schedule], runs))
        .collect();
    let widest = rows
        .iter()
        .map(|(schedule, _)| i64::from(graph::text_width(&schedule.name.value, 13)))
        .max()
        .unwrap_or(0);
    let left = widest + 24;
    let (width, height) = (
        left + 7 * DAY + 16,
        TOP + ROW * i64::try_from(rows.len()).unwrap_or(0) + 12,
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"moxc-graph week\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-labelledby=\"t-week d-week\">\n<title id=\"t-week\">A week of {}</title>\n\
         <desc id=\"d-week\">The table below says the same in words.</desc>\n\
         <rect class=\"ground\" x=\"0\" y=\"0\" width=\"{width}\" height=\"{height}\"/>\n",
        escape(host.name.as_str())
    );
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    for (at, day) in (0..).zip(WEEKDAY_NAMES) {
        let x = left + at * DAY;
        if at % 2 == 0 {
            line(format!(
                "<rect class=\"day\" x=\"{x}\" y=\"0\" width=\"{DAY}\" height=\"{height}\"/>"
            ));
        }
        line(format!("<text x=\"{}\" y=\"18\">{day}</text>", x + 6));
        for hour in [6, 12, 18] {
            let x = x + hour * HOUR;
            line(format!(
                "<text class=\"small\" x=\"{x}\" y=\"36\" text-anchor=\"middle\">{hour}</text>"
            ));
            line(format!(
                "<path class=\"hour\" d=\"M{x} {TOP}V{}\"/>",
                height - 8
            ));
        }
    }
    for (at, (schedule, runs)) in (0..).zip(&rows) {
        let y = TOP + at * ROW;
        line(format!(
            "<text x=\"10\" y=\"{}\">{}</text>",
            y + 16,
            escape(&schedule.name.value)
        ));
        let reach = facts.tasks.of_schedule(runs.schedule).reach;
        line(strokes(
            runs,
            reach.map_or(MINUTES, |reach| reach.as_mins()),
            left,
            y,
        ));
    }
    out.push_str("</svg>\n");
    out
}

/// The starts of one schedule: boxes of so many minutes, or strokes where they are many.
fn strokes(runs: &Runs, length: i64, left: i64, y: i64) -> String {
    let x = |minute: i64| left + minute * HOUR / 60;
    let mut out = String::new();
    if runs.starts.len() > STROKES {
        out.push_str("<path class=\"stroke\" d=\"");
        for start in &runs.starts {
            write!(out, "M{} {}v14", x(*start), y + 5).expect("a string takes all text");
        }
        out.push_str("\"/>");
        return out;
    }
    for start in &runs.starts {
        let length = length.min(MINUTES - start);
        let width = (length * HOUR / 60).max(4);
        write!(
            out,
            "<rect class=\"run\" x=\"{}\" y=\"{}\" width=\"{width}\" height=\"14\" rx=\"2\"/>",
            x(*start),
            y + 5
        )
        .expect("a string takes all text");
    }
    out
}
