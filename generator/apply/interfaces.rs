//! `/etc/network/interfaces` of a host where others write, too: what moxc does not know of stays as it stands.

use std::collections::BTreeSet;

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
    // where Proxmox VE writes them.
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
        } else if !blank && let Some(last) = pieces.last_mut() {
            let from = start_of(text, last.text);
            last.text = &text[from..at + line.len()];
            start = at + line.len();
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

    proptest! {
        #[test]
        fn a_second_merge_changes_nothing(now in "((auto|iface|source|#|\tup|) ?(vmbr0|vmbr7|eno1)? ?(inet manual)?\n){0,12}") {
            let once = merge(&now, OWN, "").text;
            prop_assert_eq!(&merge(&once, OWN, OWN).text, &once);
        }
    }
}
