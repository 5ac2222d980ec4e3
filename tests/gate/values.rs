//! The gate itself: typed values, and how it asks.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::Said;

use super::scripts;

/// Runs a few lines behind the libraries.
fn run(body: &str, input: &[u8]) -> Said {
    let folder = tempfile::tempdir().expect("a folder");
    let read = |name: &str| fs::read_to_string(scripts().join(name)).expect("a library");
    let script = folder.path().join("script");
    let text = read("gate.sh") + &read("tool.sh") + body;
    fs::write(&script, text).expect("a script");
    let mut child = Command::new("bash")
        .arg(&script)
        .env("DIR", folder.path())
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bash starts");
    let _ = child.stdin.take().expect("its input").write_all(input);
    child.wait_with_output().expect("it ends").into()
}

/// Words that mean something to a shell, a terminal, a path, a number.
const WORDS: &[&str] = &[
    "",
    "0",
    "1",
    "7",
    "007",
    "08",
    "-1",
    "+1",
    "1e3",
    "0x10",
    "1.5",
    " 1",
    "1 ",
    "999999999",
    "1000000000",
    "12345678901",
    "123456789012",
    "9999999999999999",
    "99999999999999999",
    "255",
    "256",
    "100",
    "99",
    "32G",
    "0M",
    "1536M",
    "9999T",
    "10000T",
    "1P",
    "G",
    "UID[$(touch hit)]",
    "UID[$(touch hit)]G",
    "2+UID[$(touch hit)]",
    "a[$(touch hit)]",
    "$(touch hit)",
    "`touch hit`",
    "x;touch hit",
    "a b",
    "a\tb",
    "a\nb",
    "a\u{1b}[31mb",
    "\u{9b}31m",
    "\u{202e}abc",
    "a\u{2066}b",
    "a\u{2028}b",
    "é",
    "name",
    "-name",
    "--help",
    "na.me_1:2+3",
    "..",
    "../x",
    "/a/../b",
    "/a/b",
    "/",
    "a/b",
    "nas:backup/vzdump-qemu-100-2026_01_01-00_00_00.vma.zst",
    "nas:../x",
    "nas:-x",
    "nas:",
    "nas:a/../b",
    ":x",
    "rpool/data@auto-2026",
    "rpool/a b",
    "rpool/a ",
    "@x",
    "rpool@",
    "@",
    "*",
    "!",
    "~",
    "{}",
    "%s",
    "\\",
    "'",
    "\"",
];

#[test]
#[ignore = "needs perl; run by tests/run"]
fn a_value_of_each_kind_is_what_its_kind_says() {
    let kinds = [
        "number", "seconds", "bytes", "size", "vmid", "status", "flag", "name", "key", "store",
        "volume", "dataset", "path", "word", "line", "text",
    ];
    let mut input = Vec::new();
    for word in WORDS {
        input.extend_from_slice(word.as_bytes());
        input.push(0);
    }
    let body = format!(
        r#"
while IFS= read -r -d '' word; do
  for kind in {}; do
    if gate "$kind" value "$word"; then
      printf '%s\0%s\0%s\0' "$kind" "$word" "$value"
    else
      [[ -z $value ]] || echo "a refused value stays: $value" >&2
    fi
  done
done
"#,
        kinds.join(" ")
    );
    let said = run(&body, &input);
    assert_eq!(said.err, "");
    assert_eq!(said.status, Some(0));
    let fields: Vec<&str> = said.out.split('\0').collect();
    let mut counts = std::collections::BTreeMap::new();
    for chunk in fields.chunks_exact(3) {
        let (kind, word, value) = (chunk[0], chunk[1], chunk[2]);
        *counts.entry(kind).or_insert(0) += 1;
        let digits = |most: usize| {
            !value.is_empty()
                && value.len() <= most
                && value.bytes().all(|byte| byte.is_ascii_digit())
                && (value == "0" || !value.starts_with('0'))
        };
        let of = |more: &str| {
            !value.is_empty()
                && !value.starts_with('-')
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || more.as_bytes().contains(&byte))
        };
        let fine = match kind {
            "number" => digits(9),
            "seconds" => digits(11),
            "bytes" => digits(16),
            "size" => digits(17),
            "vmid" => digits(9) && value.len() >= 3,
            "status" => digits(3) && value.parse::<u32>().expect("a number") < 256,
            "flag" => matches!(value, "0" | "1"),
            "name" => of("_.+:-"),
            "key" | "store" => of("_.-") && value.as_bytes()[0].is_ascii_alphabetic(),
            "volume" => {
                of("_.:/+=@%~,#-") && !format!("/{}/", value.replace(':', "/")).contains("/../")
            }
            "dataset" => of("_.:/@ -") && !value.ends_with(' '),
            "path" => value.starts_with('/') && !format!("{value}/").contains("/../"),
            "word" => of("_/.@:+,=%^~-"),
            "line" | "text" => true,
            other => panic!("{other}"),
        };
        let seen = value.chars().any(|c| {
            c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        });
        assert!(fine && !seen, "{kind}: {word:?} became {value:?}");
        if !matches!(kind, "size" | "flag" | "text") {
            assert_eq!(word, value, "{kind}");
        }
    }
    assert_eq!(
        counts.len(),
        kinds.len(),
        "a kind takes nothing: {counts:?}"
    );
    assert_eq!(counts["number"], 8, "{counts:?}");
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn what_is_asked_has_a_limit_of_time_and_of_words() {
    let start = Instant::now();
    let said = run(
        r#"
tell() { printf '%s %s %s %s\n' "$1" "$2" "${#heard}" "$(last_line "$heard_err")"; }
ask_it() { local status=0; "${@:2}" || status=$?; tell "$1" "$status"; }
ask_it fine hear echo hello
ask_it fails hear sh -c 'echo out; echo why >&2; exit 7'
ask_it missing hear no-such-program
ask_it hangs hear_for 1 sh -c 'sleep 500 & sleep 500'
ask_it floods hear yes
ask_it noisy hear sh -c 'yes no >&2'
ask_it daemon hear sh -c 'sleep 500 & echo left'
ask_it escapes hear sh -c 'printf "\033[31m" >&2; exit 1'
"#,
        b"",
    );
    assert_eq!(said.status, Some(0), "{}", said.err);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], "fine 0 5 ");
    assert_eq!(lines[1], "fails 7 3 why");
    assert!(
        lines[2].starts_with("missing 127 0 no-such-program"),
        "{}",
        lines[2]
    );
    assert_eq!(lines[3], "hangs 124 0 no answer in 1 seconds");
    assert!(lines[4].starts_with("floods 125 655"), "{}", lines[4]);
    assert!(lines[5].starts_with("noisy 125 0 "), "{}", lines[5]);
    assert_eq!(lines[6], "daemon 0 4 ");
    assert_eq!(lines[7], "escapes 1 0 [31m".replace("[31m", " [31m"));
    assert!(start.elapsed() < Duration::from_secs(120));
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn long_text_takes_no_long_time() {
    // Quadratic work on this would take minutes.
    let start = Instant::now();
    let said = run(
        r#"
long=$(perl -e 'print "ä\x{1b}" x 300000')
json_string "$long" | wc -c
text_of "$long" 100 | wc -c
log info "$long" | wc -c
rows 'row($_) for @$d' <<<"[$(perl -e 'print join(",", map { "\"UID[$_]\"" } 1 .. 5000)')]" >listed
took=0
while take 'a number' one:text; do took=$((took + 1)); done <listed
echo "$took"
"#,
        b"",
    );
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert!(said.out.trim_end().ends_with("5000"), "{}", said.out);
    assert!(
        start.elapsed() < Duration::from_secs(100),
        "{:?}",
        start.elapsed()
    );
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn rows_are_taken_whole_or_told_by_name() {
    let said = run(
        r#"
text=$(rows 'row(@$_{qw(id name flag)}) for @$d' <<'END'
[{"id":100,"name":"web","flag":true},
 {"id":"1+UID[$(touch hit)]","name":"x","flag":false},
 {"id":101,"name":"a\nb\u001b[31m\u202e","flag":null}]
END
)
while take 'a guest' id:number name:text flag:flag; do echo "$id|$name|$flag"; done <<<"$text"
echo "$rows_refused"
for wrong in '' '{' '[1' 'nothing' "$(perl -e 'print "[" x 100000')"; do
  rows 'row($d->{a}{b})' <<<"$wrong" && echo 'taken'
done
rows 'row($d->{a})' <<<'{"a":{"b":1}}' && echo 'taken'
rows 'row(@$d)' <<<'{"a":1}' && echo 'taken'
ls hit 2>/dev/null || echo 'nothing ran'
take_every 'a guest' id:number <<<'x'
"#,
        b"",
    );
    assert_eq!(said.out, "100|web|1\n101|a b [31m |0\n1\nnothing ran\n");
    assert_eq!(said.status, Some(1));
    assert!(
        said.err
            .contains("a guest is passed over: its id '1+UID[$(touch hit)]' is no number"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("line "), "{}", said.err);
}

#[test]
#[ignore = "needs perl; run by tests/run"]
fn what_a_program_says_reaches_the_terminal_clean_and_cut() {
    let said = run(
        r#"
run sh -c 'printf "a\033[2Jb\n\342\200\256c\n"; printf "\033]0;title\007" >&2; exit 3' || echo "status $?"
attempt sh -c 'printf "x\033[31my\n" >&2; exit 4' || say "reason: $reason"
run sh -c 'yes "$(printf "%4000d" 1)" | head -c 20000000' | wc -c
json=1
run printf 'a\033b\n'
"#,
        b"",
    );
    let seen = |text: &str| {
        text.chars()
            .any(|c| c.is_control() && c != '\n' || c == '\u{202e}')
    };
    assert!(
        !seen(&said.out) && !seen(&said.err),
        "{:?}\n{:?}",
        said.out,
        said.err
    );
    assert!(said.out.contains("a [2Jb\n c\n"), "{}", said.out);
    assert!(
        said.out.contains("status 3\n") && said.out.contains("reason: x [31my\n"),
        "{}",
        said.out
    );
    let shown: u64 = said
        .out
        .lines()
        .find_map(|line| line.trim().parse().ok())
        .expect("a count");
    assert!(shown < 5_000_000, "{shown}");
    assert!(
        said.err.contains("more was said than is shown"),
        "{}",
        said.err
    );
}

/// However much is said, on one line or on many, to whichever output: no more is kept than the limits say. Each process may
/// take 400 MB here; what is heard is far more.
#[test]
#[ignore = "needs perl; run by tests/run"]
fn however_much_is_said_little_of_it_is_kept() {
    let lines = [
        ("hear", "print \"x\" x 65536 while 1"),
        ("hear_list", "print \"x\" x 65536 while 1"),
        ("hear_list", "print \"x\\n\" x 65536 while 1"),
        ("hear_list", "print STDERR \"\\e[2J\\n\" x 65536 while 1"),
        ("attempt", "print \"x\" x 65536 while 1"),
        ("show", "print \"x\" x 65536 for 1 .. 4000"),
        ("show", "print \"x\\n\" x 65536 for 1 .. 60"),
    ];
    for (how, says) in lines {
        let said = run(
            &format!(
                "ulimit -v 400000\nstatus=0\n{how} perl -e '{says}' || status=$?\nprintf 'status %s\\n' \"$status\"\n\
                 last_line \"$heard$heard_err\" >/dev/null; lines_of \"$heard\" >/dev/null\nprintf 'lives\\n'\n"
            ),
            b"",
        );
        assert!(said.out.ends_with("lives\n"), "{how} {says}: {}", said.err);
        assert_eq!(
            said.out.contains("status 0\n"),
            how == "show",
            "{how} {says}: {}",
            said.err
        );
        let length = said.out.len() + said.err.len();
        assert!(length < 6_000_000, "{how} {says}: {length}");
    }
    // A listing that is as long as one may be, and made to be large once it is parsed.
    for json in [
        "\"[\" . join(\",\", (\"[]\") x 5000000) . \"]\"",
        "\"[\" . join(\",\", (1) x 8000000) . \"]\"",
        "\"{\" . join(\",\", map { \"\\\"$_\\\":{}\" } 1 .. 1000000) . \"}\"",
        "\"[\\\"\" . (\"x\" x 16000000) . \"\\\"]\"",
    ] {
        let said = run(
            &format!(
                "ulimit -v 400000\nhear_list perl -e 'print {json}'\nstatus=0\n\
                 rows 'row($_) for @$d' <<<\"$heard\" >/dev/null || status=$?\nprintf 'status %s\\n' \"$status\"\n"
            ),
            b"",
        );
        let is_one_word = json.contains("x 16000000");
        let status = if is_one_word {
            "status 0\n"
        } else {
            "status 1\n"
        };
        assert!(
            said.out.ends_with(status),
            "{json}: {}\n{}",
            said.out,
            said.err
        );
        assert!(!said.err.contains("Out of memory"), "{}", said.err);
    }
}
