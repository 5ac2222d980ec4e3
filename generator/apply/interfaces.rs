//! `/etc/network/interfaces` of a host where others write, too: what moxc does not know of stays as it stands.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::option_of_interface;

/// A file that is merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The new text.
    pub text: String,
    /// Interfaces that stay, though the tree does not know them.
    pub foreign: Vec<String>,
    /// Interfaces that an earlier run brought and the tree no longer has.
    pub going: Vec<String>,
}

/// A piece of the file: comments above, the line that begins it, and what belongs to it.
#[derive(Debug)]
struct Piece<'a> {
    text: &'a str,
    word: &'a str,
    names: Vec<&'a str>,
}

/// The lines that begin a piece of their own, interfaces(5). `auto` and `allow-` lines name interfaces as `iface` does.
fn begins(word: &str) -> bool {
    matches!(
        word,
        "iface" | "auto" | "mapping" | "source" | "source-directory" | "template" | "vlan"
    ) || word.starts_with("allow-")
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut start = 0;
    let mut at = 0;
    // Blank lines and comments before the next beginning belong to it, comments directly below a stanza to the stanza,
    // where Proxmox VE writes them. An option belongs to its stanza also behind an empty line.
    let mut blank = true;
    for line in text.split_inclusive('\n') {
        let bare = line.trim();
        let mut words = bare.split_ascii_whitespace();
        let word = words.next().unwrap_or_default();
        if begins(word) {
            pieces.push(Piece {
                text: &text[start..at + line.len()],
                word,
                names: words.collect(),
            });
            start = at + line.len();
            blank = false;
        } else if bare.is_empty() {
            blank = true;
        } else if !bare.starts_with('#') || !blank {
            let from = pieces.last().map(|last| start_of(text, last.text));
            start = at + line.len();
            // An option above every stanza is of none.
            if let (Some(last), Some(from)) = (pieces.last_mut(), from) {
                last.text = &text[from..start];
                blank = false;
            }
        }
        at += line.len();
    }
    if start < text.len() && !text[start..].trim().is_empty() {
        pieces.push(Piece {
            text: &text[start..],
            word: "",
            names: Vec::new(),
        });
    }
    pieces
}

/// Where `part`, which is a part of `text`, begins in it.
fn start_of(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

fn interfaces_of<'a>(pieces: &[Piece<'a>]) -> BTreeSet<&'a str> {
    pieces
        .iter()
        .filter(|piece| piece.word == "iface")
        .filter_map(|piece| piece.names.first().copied())
        .collect()
}

/// The tree's file `own`, and from `now` what neither it nor `left`, the last run's file, knows.
pub fn merge(now: &str, own: &str, left: &str) -> Merged {
    let (here, wanted, before) = (pieces(now), pieces(own), pieces(left));
    let (mine, earlier) = (interfaces_of(&wanted), interfaces_of(&before));
    let known = |name: &&str| mine.contains(name) || earlier.contains(name);
    let lines: BTreeSet<&str> = wanted
        .iter()
        .chain(&before)
        .map(|piece| last_line(piece.text))
        .collect();
    let mut text = own.trim_end().to_owned();
    if !text.is_empty() {
        text.push('\n');
    }
    let mut foreign = Vec::new();
    for piece in &here {
        let names_known = piece.names.iter().all(&known);
        let keep = match piece.word {
            "iface" => !piece.names.first().is_some_and(known),
            // One line may name interfaces of both.
            "auto" => !names_known,
            word if word.starts_with("allow-") => !names_known,
            // A comment at the end is nobody's.
            "" => false,
            _ => !lines.contains(last_line(piece.text)),
        };
        if !keep {
            continue;
        }
        if piece.word == "iface"
            && let Some(name) = piece.names.first()
            && !foreign.iter().any(|one| one == name)
        {
            foreign.push((*name).to_owned());
        }
        let rest: Vec<&str> = piece
            .names
            .iter()
            .copied()
            .filter(|name| !known(name))
            .collect();
        let names_some = piece.word == "auto" || piece.word.starts_with("allow-");
        let shared = names_some && rest.len() < piece.names.len();
        // What stood right below its `auto` line does so again.
        let follows = text
            .rsplit('\n')
            .nth(1)
            .is_some_and(|line| line.starts_with("auto ") || line.starts_with("allow-"));
        let spaced = text.is_empty() || text.ends_with("\n\n");
        if !spaced && (shared || !follows && !piece.text.starts_with('\n')) {
            text.push('\n');
        }
        if shared {
            text.extend([piece.word, " ", &rest.join(" "), "\n"]);
        } else {
            text.push_str(piece.text);
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
    }
    let standing = interfaces_of(&here);
    let going = earlier
        .iter()
        .filter(|name| !mine.contains(*name) && standing.contains(*name) && **name != "lo")
        .map(|name| (*name).to_owned())
        .collect();
    Merged {
        text,
        foreign,
        going,
    }
}

/// `own` with the interfaces of these names as `now` has them: somebody changed them by hand.
pub fn with_edits(own: &str, now: &str, names: &BTreeSet<&str>) -> String {
    let here = pieces(now);
    let of = |piece: &Piece<'_>| -> Option<String> {
        let name = piece.names.first().filter(|_| piece.word == "iface")?;
        names.contains(name).then(|| (*name).to_owned())
    };
    let mut seen = BTreeSet::new();
    let mut text = String::new();
    for piece in pieces(own) {
        let Some(name) = of(&piece) else {
            text.push_str(piece.text);
            continue;
        };
        if !seen.insert(name.clone()) {
            continue;
        }
        for kept in here
            .iter()
            .filter(|piece| of(piece).as_ref() == Some(&name))
        {
            text.push_str(kept.text);
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
    }
    text
}

/// Lines of the interfaces of the spec that stay, though it does not say them: by the interface, each with its option as a plan
/// names it.
pub type Lines<'a> = BTreeMap<&'a str, BTreeSet<(String, String)>>;

/// A line of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said<'a> {
    is_v6: bool,
    option: String,
    value: String,
    line: &'a str,
}

/// What a stanza says, one line after another.
fn said<'a>(piece: &Piece<'a>) -> Vec<Said<'a>> {
    let family = piece.names.get(1).copied();
    let is_v6 = family == Some("inet6");
    let family = family.map(|_| if is_v6 { "inet6 " } else { "" });
    let lines = piece.text.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.trim_start().starts_with('#'));
    let mut all = Vec::new();
    for line in lines {
        let mut words = line.split_ascii_whitespace();
        let word = words.next().unwrap_or_default();
        let value = words.collect::<Vec<_>>().join(" ");
        if word.is_empty() || begins(word) {
            continue;
        }
        let Some((option, value)) = option_of_interface(family, word, &value) else {
            continue;
        };
        // What is of the interface itself stands in either stanza.
        let is_v6 = is_v6 && option.starts_with("inet6 ");
        all.push(Said {
            is_v6,
            option,
            value: value.to_owned(),
            line,
        });
    }
    all
}

/// `own` with those lines of `now` that stay in its stanzas.
pub fn with_lines(own: &str, now: &str, lines: &Lines<'_>) -> String {
    let (wanted, here) = (pieces(own), pieces(now));
    let is_of = |piece: &Piece<'_>, name: &str| {
        piece.word == "iface" && piece.names.first().is_some_and(|own| *own == name)
    };
    // Behind which piece of `own` they go, and whether they need a stanza of their own there.
    let mut more: BTreeMap<usize, String> = BTreeMap::new();
    let mut apart: BTreeMap<usize, String> = BTreeMap::new();
    for (name, staying) in lines {
        let of_name: Vec<(usize, bool)> = wanted
            .iter()
            .enumerate()
            .filter(|(_, piece)| is_of(piece, name))
            .map(|(at, piece)| (at, piece.names.get(1) == Some(&"inet6")))
            .collect();
        let Some((last, _)) = of_name.last() else {
            continue;
        };
        let own: Vec<Said<'_>> = wanted
            .iter()
            .filter(|piece| is_of(piece, name))
            .flat_map(said)
            .collect();
        let is_known = |line: &Said<'_>| {
            let mut own = own.iter();
            own.any(|own| own.option == line.option && own.value == line.value)
        };
        let mut seen = BTreeSet::new();
        for line in here
            .iter()
            .filter(|piece| is_of(piece, name))
            .flat_map(said)
        {
            let key = (line.option.clone(), line.value.clone());
            if !staying.contains(&key) || is_known(&line) || !seen.insert(key) {
                continue;
            }
            let text = match of_name.iter().find(|(_, is_v6)| *is_v6 == line.is_v6) {
                Some((at, _)) => more.entry(*at).or_default(),
                None => apart.entry(*last).or_insert_with(|| {
                    let family = if line.is_v6 { "inet6" } else { "inet" };
                    format!("\niface {name} {family} manual\n")
                }),
            };
            text.extend([line.line, "\n"]);
        }
    }
    let mut text = String::new();
    for (at, piece) in wanted.iter().enumerate() {
        match more.get(&at) {
            None => text.push_str(piece.text),
            Some(lines) => {
                // What Proxmox VE writes below a stanza is a remark on it.
                let is_remark = |line: &&str| line.trim_start().starts_with('#');
                let remarks: usize = piece
                    .text
                    .split_inclusive('\n')
                    .rev()
                    .take_while(is_remark)
                    .map(str::len)
                    .sum();
                let (stanza, remarks) = piece.text.split_at(piece.text.len() - remarks);
                text.push_str(stanza);
                if !text.ends_with('\n') {
                    text.push('\n');
                }
                text.extend([lines, remarks]);
            }
        }
        if let Some(stanza) = apart.get(&at) {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(stanza);
        }
    }
    text
}

fn last_line(text: &str) -> &str {
    text.trim_end().rsplit('\n').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: &str = "# network interface settings\nauto lo\niface lo inet loopback\n\niface eno1 inet manual\n\n\
        auto vmbr0\niface vmbr0 inet static\n\taddress 192.168.1.10/24\n\tgateway 192.168.1.1\n\tbridge-ports eno1\n\n\
        auto vmbr7\niface vmbr7 inet static\n\taddress 10.7.0.1/24\n\tpost-up iptables -t nat -A POSTROUTING -j MASQUERADE\n#the lab\n\n\
        source /etc/network/interfaces.d/*\n";
    const OWN: &str = "# Generated\n\nauto lo\niface lo inet loopback\n\niface eno1 inet manual\n\n\
        auto vmbr0\niface vmbr0 inet static\n\taddress 192.168.1.11/24\n\tbridge-ports eno1\n";

    #[test]
    fn what_others_wrote_stays_and_ours_is_as_the_tree_says() {
        let merged = merge(NOW, OWN, "");
        assert!(merged.text.starts_with(OWN), "{}", merged.text);
        assert_eq!(
            &merged.text[OWN.len()..],
            "\nauto vmbr7\niface vmbr7 inet static\n\taddress 10.7.0.1/24\n\
             \tpost-up iptables -t nat -A POSTROUTING -j MASQUERADE\n#the lab\n\n\
             source /etc/network/interfaces.d/*\n"
        );
        assert_eq!(merged.foreign, ["vmbr7"]);
        assert_eq!(merged.going, [""; 0]);
    }

    #[test]
    fn what_an_earlier_run_brought_and_the_tree_no_longer_has_goes_by_name() {
        let merged = merge(NOW, OWN, NOW);
        assert_eq!(merged.text, OWN);
        assert_eq!(merged.going, ["vmbr7"]);
    }

    #[test]
    fn an_interface_that_somebody_changed_stays_so() {
        let kept = with_edits(OWN, NOW, &BTreeSet::from(["vmbr0"]));
        assert!(kept.contains("\taddress 192.168.1.10/24\n"), "{kept}");
        assert!(!kept.contains("192.168.1.11"), "{kept}");
        assert!(
            kept.contains("auto vmbr0\niface vmbr0 inet static\n"),
            "{kept}"
        );
        assert!(kept.contains("iface eno1 inet manual\n"), "{kept}");
    }

    #[test]
    fn a_line_that_names_interfaces_of_both_keeps_the_others() {
        let merged = merge("auto vmbr0 vmbr7\niface vmbr7 inet manual\n", OWN, "");
        assert_eq!(
            &merged.text[OWN.len()..],
            "\nauto vmbr7\niface vmbr7 inet manual\n"
        );
    }

    #[test]
    fn lines_of_others_stay_in_the_stanzas_of_the_spec() {
        let now = "auto lo\niface lo inet loopback\n\tup ip addr add 10.9.9.9/32 dev lo\n\niface eno1 inet manual\n\n\
            \tpost-up  ethtool -K eno1 gro off\n\nauto vmbr0\niface vmbr0 inet static\n\taddress 192.168.1.10/24\n\
            \tpost-up a\n\tmtu 9000\n#mine\n\niface vmbr0 inet6 manual\n\taccept_ra 0\n\tmtu 9000\n\tpost-up b\n";
        let own = format!("{OWN}\tpost-up a\n#the spec's\n");
        let line = |option: &str, value: &str| (option.to_owned(), value.to_owned());
        let lines = Lines::from([
            (
                "lo",
                BTreeSet::from([line("up", "ip addr add 10.9.9.9/32 dev lo")]),
            ),
            (
                "eno1",
                BTreeSet::from([line("post-up", "ethtool -K eno1 gro off")]),
            ),
            (
                "vmbr0",
                BTreeSet::from([
                    line("mtu", "9000"),
                    line("inet6 accept-ra", "0"),
                    line("inet6 post-up", "b"),
                ]),
            ),
        ]);
        let merged = with_lines(&own, now, &lines);
        assert_eq!(
            merged,
            "# Generated\n\nauto lo\niface lo inet loopback\n\tup ip addr add 10.9.9.9/32 dev lo\n\niface eno1 inet manual\n\
             \tpost-up  ethtool -K eno1 gro off\n\nauto vmbr0\niface vmbr0 inet static\n\taddress 192.168.1.11/24\n\
             \tbridge-ports eno1\n\tpost-up a\n\tmtu 9000\n#the spec's\n\niface vmbr0 inet6 manual\n\taccept_ra 0\n\
             \tpost-up b\n"
        );
        assert_eq!(with_lines(&merged, now, &lines), merged);
        assert_eq!(
            merge(&merged, &with_lines(&own, &merged, &lines), &own).text,
            merged
        );
    }

    proptest! {
        #[test]
        fn a_second_merge_changes_nothing(now in "((auto|iface|source|#|\tup|) ?(vmbr0|vmbr7|eno1)? ?(inet manual)?\n){0,12}") {
            let once = merge(&now, OWN, "").text;
            prop_assert_eq!(&merge(&once, OWN, OWN).text, &once);
        }
    }
}
