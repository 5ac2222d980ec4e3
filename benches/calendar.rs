//! Reading calendars and counting their elapses.

#![allow(missing_docs)] // criterion_group! makes an undocumented function

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use moxc::calendar::{Expression, ProxmoxSchedule, windows::Trigger, zone_named};

/// The stretch that the analysis looks at.
const DAYS: i64 = 400;

fn calendar(c: &mut Criterion) {
    let berlin = zone_named("Europe/Berlin").expect("a zone of the built-in data");
    let start = Timestamp::from_second(1_767_225_600).expect("an instant of this century");
    let end =
        Timestamp::from_second(1_767_225_600 + DAYS * 86_400).expect("an instant of this century");

    c.bench_function("read an expression", |bencher| {
        bencher.iter(|| "Mon..Fri *-*-1..7 03:30:00 Europe/Berlin".parse::<Expression>());
    });
    c.bench_function("refuse an expression with advice", |bencher| {
        bencher.iter(|| "03:00 Europe/Berln".parse::<Expression>());
    });
    for text in [
        "minutely",
        "hourly",
        "Sun 04:00",
        "*:0..56/7 UTC",
        "Sun *-*~07/1 02:30",
        "*-02-31",
    ] {
        let expression: Expression = text.parse().expect("the benchmark's own text");
        let schedule = expression.schedule(berlin.time_zone());
        c.bench_function(&format!("{DAYS} days of `{text}`"), |bencher| {
            bencher.iter(|| schedule.between(start, end).count());
        });
        c.bench_function(&format!("clock changes of `{text}`"), |bencher| {
            bencher.iter(|| schedule.clock_changes(start, end));
        });
    }
    let expression: Expression = "*-*-1..7 9..17:0/20"
        .parse()
        .expect("the benchmark's own text");
    c.bench_function("say it to Proxmox", |bencher| {
        bencher.iter(|| ProxmoxSchedule::express(&expression, None));
    });
    c.bench_function("say it to Windows", |bencher| {
        bencher.iter(|| Trigger::express(&expression, None, jiff::civil::date(2024, 1, 1)));
    });
}

criterion_group!(benches, calendar);
criterion_main!(benches);
