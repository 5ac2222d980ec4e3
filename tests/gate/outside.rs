//! Each script with a hostile word at each place from which it reads, with each call failing in turn, and with calls that
//! hang, flood and write to a terminal.
//!
//! Three sizes, by `MOXC_WORDS`: a sample that is another one each day and goes with every run of the tests; `each`, each
//! place of a script once with one of the words, and each kind of call, which `tests/run gate::outside` takes: some minutes;
//! `all`, each word at each place and each single call of each scene: hours. `MOXC_SCENE` picks scenes by a part of their
//! names, and then `each` is the least.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use crate::program::Said;

use super::scenes::{Scene, scenes};

fn lines(path: PathBuf) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// What nothing that a script says may hold.
fn looks_wrong(said: &Said) -> Option<&'static str> {
    let all = format!("{}{}", said.out, said.err);
    if all
        .chars()
        .any(|c| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}'))
    {
        return Some("a control");
    }
    let complaints = [
        "syntax error",
        "unbound variable",
        "bad array subscript",
        "value too great",
        "not a valid identifier",
        "command not found",
        " at -e line",
        "integer expression",
        "division by 0",
        "ignored null byte",
    ];
    complaints
        .into_iter()
        .find(|complaint| all.contains(complaint))
}

/// Words of many spellings. `HIT` becomes a path that exists where a command of theirs has run.
const WORDS: &[&str] = &[
    "UID[$(touch HIT)]",
    "2+UID[$(touch HIT)]",
    "x[`touch HIT`]",
    "$(touch HIT)",
    "'\"`touch HIT`$(touch HIT);touch HIT\n\r",
    "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}",
    "--help",
    "-1",
    "99999999999999999999999999",
    "",
    "../../etc/passwd",
    "@",
];

fn wish(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Whether each scene, each place and each word is tried.
fn all() -> bool {
    wish("MOXC_WORDS") == "all"
}

/// So many of the trials where not all are wished for, spread over them; `MOXC_DAY=1` takes other ones, and so on.
fn sample<T>(trials: Vec<T>, most: usize) -> Vec<T> {
    let length = trials.len();
    if length <= most || !wish("MOXC_WORDS").is_empty() || !wish("MOXC_SCENE").is_empty() {
        return trials;
    }
    let day: usize = wish("MOXC_DAY").parse().unwrap_or(0);
    let taken: BTreeSet<usize> = (0..most)
        .map(|at| (at * length / most + day) % length)
        .collect();
    let numbered = trials.into_iter().enumerate();
    numbered
        .filter(|(at, _)| taken.contains(at))
        .map(|(_, trial)| trial)
        .collect()
}

/// The scenes whose name holds `MOXC_SCENE`, else all, each with how it goes where nothing is wrong.
fn chosen() -> &'static [Fine<'static>] {
    static SCENES: LazyLock<Vec<Scene>> = LazyLock::new(|| {
        let part = wish("MOXC_SCENE");
        let mut scenes = scenes();
        scenes.retain(|scene| scene.name.contains(&part));
        assert!(!scenes.is_empty(), "no scene holds {part}");
        scenes
    });
    static FINE: LazyLock<Vec<Fine<'static>>> = LazyLock::new(|| fine(&SCENES));
    &FINE
}

/// Does the work on all processors; what was found wrong, in the order of the work. A run that takes long tells at once what
/// it finds, and how far it is.
#[expect(clippy::print_stderr, reason = "a long run says how far it is")]
fn find_wrong<T: Sync>(work: &[T], look: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let is_long = !wish("MOXC_WORDS").is_empty();
    let wrong = Mutex::new(BTreeMap::new());
    let most = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..most {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = work.get(at) else { return };
                    let why = look(one);
                    if is_long && (why.is_some() || (at + 1).is_multiple_of(20)) {
                        eprintln!(
                            "{} of {}: {}",
                            at + 1,
                            work.len(),
                            why.as_deref().unwrap_or("as it should be")
                        );
                    }
                    if let Some(why) = why {
                        wrong.lock().expect("no panic").insert(at, why);
                    }
                }
            });
        }
    });
    wrong
        .into_inner()
        .expect("no panic")
        .into_values()
        .collect()
}

/// A scene as it goes where nothing is wrong.
struct Fine<'a> {
    scene: &'a Scene,
    said: Said,
    calls: Vec<String>,
    places: BTreeSet<String>,
    done: Vec<String>,
}

fn fine(scenes: &[Scene]) -> Vec<Fine<'_>> {
    let found = Mutex::new(BTreeMap::new());
    let numbered: Vec<(usize, &Scene)> = scenes.iter().enumerate().collect();
    let wrong = find_wrong(&numbered, |&(at, scene)| {
        // A machine that has much else to do is no reason not to find what it takes.
        let (said, folder) = scene.run(&[("MOXC_PATIENCE", "100")]);
        let fine = Fine {
            scene,
            calls: lines(folder.path().join("calls")),
            places: lines(folder.path().join("places")).into_iter().collect(),
            done: changes(&lines(folder.path().join("log"))),
            said,
        };
        let bad = (fine.said.status != Some(scene.ends)).then_some("it ends otherwise");
        let bad = bad.or_else(|| looks_wrong(&fine.said));
        let told = bad.map(|bad| {
            format!(
                "{}: {bad}: {:?}\n{}{}",
                scene.name, fine.said.status, fine.said.out, fine.said.err
            )
        });
        found.lock().expect("no panic").insert(at, fine);
        told
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    found
        .into_inner()
        .expect("no panic")
        .into_values()
        .collect()
}

/// What a place is called: the call, and where in its answer.
fn parts(place: &str) -> (&str, &str) {
    place.split_once('\t').expect("a call and a place")
}

/// The places of a scene that are tried together: each by itself, but those whose keys its script does not name.
fn groups(fine: &Fine<'_>, seen: &mut BTreeSet<(&'static str, String)>) -> Vec<Vec<String>> {
    let text = fine.scene.text();
    let words: BTreeSet<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
        .collect();
    let mut alone = Vec::new();
    let mut together: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for place in &fine.places {
        if !all() && !seen.insert((fine.scene.of, place.clone())) {
            continue;
        }
        let (call, at) = parts(place);
        let key = at.rsplit('.').next().unwrap_or_default();
        let named = at.starts_with("word ")
            || call.contains("/config ")
            || words.contains(key.trim_end_matches("[]"));
        if named || all() {
            alone.push(vec![place.clone()]);
        } else {
            together.entry(call).or_default().push(place.clone());
        }
    }
    alone.extend(together.into_values());
    alone
}

/// A word at some places of a scene.
struct Trial<'a> {
    scene: &'a Scene,
    places: Vec<String>,
    word: &'static str,
}

fn trials(fine: &[Fine<'static>]) -> Vec<Trial<'static>> {
    let mut seen = BTreeSet::new();
    let mut trials = Vec::new();
    for fine in fine {
        for places in groups(fine, &mut seen) {
            let each = if all() { WORDS.len() } else { 1 };
            for step in 0..each {
                trials.push(Trial {
                    scene: fine.scene,
                    word: WORDS[(trials.len() + step) % WORDS.len()],
                    places: places.clone(),
                });
            }
        }
    }
    trials
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
#[expect(clippy::print_stdout, reason = "how many were tried is worth knowing")]
fn a_hostile_word_at_any_place_runs_nothing_and_reaches_no_terminal() {
    let trials = sample(trials(chosen()), 12);
    let wrong = find_wrong(&trials, |trial| {
        let folder = tempfile::tempdir().expect("a folder");
        let hit = folder.path().join("hit");
        let word = trial.word.replace("HIT", &hit.display().to_string());
        let start = Instant::now();
        let place = trial.places.join("\n");
        let (said, _folder) = trial
            .scene
            .run(&[("OUTSIDE_PLACE", &place), ("OUTSIDE_WORD", &word)]);
        let why = if hit.exists() {
            Some("a command ran")
        } else if said.status == Some(124) || start.elapsed() > Duration::from_secs(200) {
            Some("it does not end")
        } else {
            looks_wrong(&said)
        };
        why.map(|why| {
            format!(
                "{} {place} {word:?}: {why}: {:?}\n{}{}",
                trial.scene.name, said.status, said.out, said.err
            )
        })
    });
    println!(
        "hostile words: {} trials, {} bad",
        trials.len(),
        wrong.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        trials.len(),
        wrong.join("\n")
    );
}

/// What destroys something that was there before.
const DESTROYS: &[&str] = &[
    "pvesm prune-backups",
    "qmrestore",
    "pct restore",
    "zfs destroy",
    "zfs rollback",
    "qm rollback",
    "pct rollback",
];

/// The calls that change something.
fn changes(calls: &[String]) -> Vec<String> {
    let reads = [
        "pvesh get",
        "pvesm extractconfig",
        "pvesm path",
        "zfs list",
        "zfs get",
        "zstd ",
        "qm guest cmd",
        "pct exec",
        "qm guest exec",
        "zpool list",
        "zpool status",
        "date",
        "uname",
        "findmnt",
        "ping",
        "smartctl",
        "sleep",
        "dpkg-query",
        "apt-get -s",
        "dpkg --audit",
        "apt-get -q -o",
        "qm config",
        "qm status",
        "systemctl is-active",
        "systemctl show",
        "systemctl is-enabled",
        "systemctl --quiet is-active",
        "lsblk",
        "wipefs --no-act",
        "udevadm settle",
        "mountpoint",
        "journalctl --no",
    ];
    calls
        .iter()
        .filter(|call| !reads.iter().any(|read| call.starts_with(read)))
        .cloned()
        .collect()
}

/// A call without what differs from one guest, storage and time to another.
fn kind_of(call: &str) -> String {
    let mut kind: String = call
        .chars()
        .map(|c| if c.is_ascii_digit() { 'N' } else { c })
        .take(120)
        .collect();
    if let Some(at) = kind.find("/storage/") {
        let rest = &kind[at + 9..];
        let end = rest.find(['/', ' ']).unwrap_or(rest.len());
        kind.replace_range(at + 9..at + 9 + end, "S");
    }
    kind
}

/// A call of a scene that fails, by its number.
struct Failing<'a> {
    fine: &'a Fine<'a>,
    number: usize,
}

/// What is untrue or wrong about a run in which a call failed.
fn after_failure(trial: &Failing<'_>) -> Option<String> {
    let fine = trial.fine;
    let number = trial.number;
    let (said, folder) = fine.scene.run(&[("OUTSIDE_FAIL", &number.to_string())]);
    let now = lines(folder.path().join("calls"));
    let made = changes(&lines(folder.path().join("log")));
    let failing = &fine.calls[number - 1];
    let mut why = Vec::new();
    // A notice that nobody takes is told, and no failure of its own.
    let says_so = !said.err.is_empty() && said.out != fine.said.out;
    if said.status == fine.said.status && made.len() < fine.done.len() && !says_so {
        why.push("it says that all is done, and it is not".to_owned());
    }
    if said.status != Some(0) && said.err.is_empty() {
        why.push("it fails without a word".to_owned());
    }
    // A developer's hook hands on what git said.
    let is_ours = fine.scene.of != "moxc-regenerate";
    if is_ours && said.status.is_none_or(|status| !(0..=5).contains(&status)) {
        why.push("its status is none of those that it has".to_owned());
    }
    if let Some(complaint) = looks_wrong(&said) {
        why.push(complaint.to_owned());
    }
    let listing = failing.contains("/content ")
        || failing.starts_with("zfs list")
        || failing.contains("/snapshot ");
    let gone = now
        .iter()
        .skip(number)
        .find(|call| DESTROYS.iter().any(|one| call.starts_with(one)));
    if listing && let Some(call) = gone {
        why.push(format!("after a failed listing: {call}"));
    }
    (!why.is_empty()).then(|| {
        format!(
            "{} #{number} {failing}: {}\nstatus {:?}\n{}{}",
            fine.scene.name,
            why.join("; "),
            said.status,
            said.out,
            said.err
        )
    })
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
#[expect(clippy::print_stdout, reason = "how many were tried is worth knowing")]
fn whichever_call_fails_nothing_untrue_is_said_and_nothing_goes_after_a_failed_listing() {
    let mut seen = BTreeSet::new();
    let mut trials = Vec::new();
    for fine in chosen() {
        for (at, call) in fine.calls.iter().enumerate() {
            if seen.insert((fine.scene.of, kind_of(call))) || all() {
                trials.push(Failing {
                    fine,
                    number: at + 1,
                });
            }
        }
    }
    let trials = sample(trials, 12);
    let wrong = find_wrong(&trials, after_failure);
    println!(
        "failing calls: {} trials, {} bad",
        trials.len(),
        wrong.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        trials.len(),
        wrong.join("\n")
    );
}

#[test]
#[ignore = "needs perl and flock; run by tests/run"]
#[expect(clippy::print_stdout, reason = "how many were tried is worth knowing")]
fn a_call_that_floods_or_writes_to_the_terminal_is_cut_short() {
    // One of each kind of call is enough: all go through one place.
    let mut trials = Vec::new();
    let mut seen = BTreeSet::new();
    // A developer's own git says as much as it likes to its developer.
    let of_hosts = |fine: &&Fine<'_>| fine.scene.of != "moxc-regenerate";
    for fine in chosen().iter().filter(of_hosts) {
        for (at, call) in fine.calls.iter().enumerate() {
            let kind: Vec<&str> = call.split(' ').take(2).collect();
            if seen.insert((fine.scene.of, kind.join(" "))) || all() {
                trials.extend(["flood", "noise"].map(|how| (fine, at + 1, how)));
            }
        }
    }
    let trials = sample(trials, 6);
    let wrong = find_wrong(&trials, |&(fine, at, how)| {
        let at_text = at.to_string();
        let (said, _folder) = fine
            .scene
            .run(&[("OUTSIDE_AT", &at_text), ("OUTSIDE_HOW", how)]);
        let length = said.out.len() + said.err.len();
        let why = if length > 12_000_000 {
            Some("too much is said")
        } else if said.status == Some(124) {
            Some("it does not end")
        } else {
            looks_wrong(&said)
        };
        why.map(|why| format!("{} {how} {}: {why}", fine.scene.name, fine.calls[at - 1]))
    });
    println!("floods: {} trials, {} bad", trials.len(), wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        trials.len(),
        wrong.join("\n")
    );
}

/// What hangs is waited for as long as was said.
#[test]
#[ignore = "needs perl and flock; run by tests/run"]
fn a_copy_that_does_not_answer_is_waited_for_as_long_as_was_said_and_removed() {
    let scenes = scenes();
    let scene = scenes
        .iter()
        .find(|scene| scene.name == "rehearse a container")
        .expect("it is one of them");
    let (_, folder) = scene.run(&[]);
    let calls = lines(folder.path().join("calls"));
    let at = 1 + calls
        .iter()
        .position(|call| call.starts_with("pct exec"))
        .expect("the container is asked");
    let start = Instant::now();
    let (said, folder) = scene.run(&[("OUTSIDE_AT", &at.to_string()), ("OUTSIDE_HOW", "hang")]);
    assert!(
        start.elapsed() < Duration::from_secs(100),
        "{:?}",
        start.elapsed()
    );
    assert_ne!(said.status, Some(124));
    let removed = lines(folder.path().join("log"));
    assert!(
        removed.iter().any(|call| call.starts_with("pct destroy")),
        "{}\n{}",
        said.out,
        said.err
    );
}
