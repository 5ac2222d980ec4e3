//! `/etc/network/interfaces` of a host where others write, too: only what the plan says becomes another, in the places where it
//! stands; comments, spelling, order and what moxc does not know of stay.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::plan::{option_of_interface, unbroken, whole_lines};

/// A file that is merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The new text.
    pub text: String,
    /// Interfaces that an earlier run brought and the tree no longer has.
    pub going: Vec<String>,
}

/// The three sides of the file.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    /// What the host has.
    pub now: &'a str,
    /// The tree's.
    pub own: &'a str,
    /// What the last run wanted.
    pub left: &'a str,
    /// Whether files beside this one are the spec's, too. Others are read where the host's own file says so, and only there.
    pub has_more: bool,
}

/// What a plan says of an interface that the spec has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differs {
    /// It is missing, and comes.
    pub comes: bool,
    /// It leaves the spec, but is not as the last run left it.
    pub stays: bool,
    /// Options that become the spec's, as a plan names them. What somebody changed by hand is not among them.
    pub options: BTreeSet<String>,
    /// Lines that stay, though the spec does not say them: each with its option.
    pub others: BTreeSet<(String, String)>,
}

/// What a plan says of the interfaces, by their names.
pub type Differences<'a> = BTreeMap<&'a str, Differs>;

/// A piece of the file: comments above, the line that begins it, and what belongs to it.
#[derive(Debug)]
struct Piece<'a> {
    text: &'a str,
    word: &'a str,
    names: Vec<&'a str>,
}

impl Piece<'_> {
    fn is_iface_of(&self, name: &str) -> bool {
        self.word == "iface" && self.names.first() == Some(&name)
    }

    /// Whether it names interfaces that are brought up.
    fn brings_up(&self) -> bool {
        self.word == "auto" || self.word.starts_with("allow-")
    }

    /// `inet` or `inet6`; none where the stanza is of both.
    fn family(&self) -> Option<&str> {
        self.names.get(1).copied()
    }

    fn is_v6(&self) -> bool {
        self.family() == Some("inet6")
    }

    /// What a plan puts before the options of its family.
    fn prefix(&self) -> &'static str {
        if self.is_v6() { "inet6 " } else { "" }
    }

    fn is_of_family(&self, is_v6: bool) -> bool {
        let family = self.family();
        family.is_none_or(|family| (family == "inet6") == is_v6)
    }

    /// What stands before the line that begins it.
    fn above(&self) -> &str {
        let mut above = 0;
        for line in whole_lines(self.text) {
            if words(line).next() == Some(self.word) {
                break;
            }
            above += line.len();
        }
        &self.text[..above]
    }
}

/// The lines that begin a piece of their own, interfaces(5). `auto` and `allow-` lines name interfaces as `iface` does.
fn begins(word: &str) -> bool {
    matches!(
        word,
        "iface" | "auto" | "mapping" | "source" | "source-directory" | "template" | "vlan"
    ) || word.starts_with("allow-")
}

/// The words of a whole line.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split_ascii_whitespace();
    words
        .map(|word| word.trim_end_matches('\\'))
        .filter(|word| !word.is_empty())
}

/// The pieces of a text, which are all of it.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut start = 0;
    let mut at = 0;
    // Blank lines and comments before the next beginning belong to it, comments directly below a stanza to the stanza,
    // where Proxmox VE writes them. An option belongs to its stanza also behind an empty line.
    let mut blank = true;
    for line in whole_lines(text) {
        let bare = line.trim();
        let mut words = words(line);
        let word = words.next().unwrap_or_default();
        let end = at + line.len();
        if begins(word) {
            pieces.push(Piece {
                text: &text[start..end],
                word,
                names: words.collect(),
            });
            start = end;
            blank = false;
        } else if bare.is_empty() {
            blank = true;
        } else if !bare.starts_with('#') || !blank {
            match pieces.last_mut() {
                Some(last) => last.text = &text[start_of(text, last.text)..end],
                // An option above every stanza is of none.
                None => pieces.push(nobodys(&text[start..end])),
            }
            start = end;
            blank = false;
        }
        at = end;
    }
    if start < text.len() {
        pieces.push(nobodys(&text[start..]));
    }
    pieces
}

fn nobodys(text: &str) -> Piece<'_> {
    Piece {
        text,
        word: "",
        names: Vec::new(),
    }
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

/// The host's file with what `differs` changed into what the tree says.
pub fn merge(texts: Texts<'_>, differs: &Differences<'_>) -> Merged {
    let merge = Merge {
        here: pieces(texts.now),
        wanted: pieces(texts.own),
        before: pieces(texts.left),
        has_more: texts.has_more,
        differs,
    };
    let going = merge.going();
    // As the last run left it, or empty: it is all ours.
    let text = if texts.now == texts.left || texts.now.trim().is_empty() {
        texts.own.to_owned()
    } else {
        merge.text(&going)
    };
    Merged {
        text,
        going: going.into_iter().map(str::to_owned).collect(),
    }
}

struct Merge<'a> {
    here: Vec<Piece<'a>>,
    wanted: Vec<Piece<'a>>,
    before: Vec<Piece<'a>>,
    has_more: bool,
    differs: &'a Differences<'a>,
}

fn stanzas<'p, 'a>(pieces: &'p [Piece<'a>], name: &str) -> Vec<&'p Piece<'a>> {
    pieces
        .iter()
        .filter(|piece| piece.is_iface_of(name))
        .collect()
}

fn is_brought_up(pieces: &[Piece<'_>], name: &str) -> bool {
    pieces
        .iter()
        .any(|piece| piece.brings_up() && piece.names.contains(&name))
}

impl<'a> Merge<'a> {
    fn going(&self) -> BTreeSet<&'a str> {
        let (mine, standing) = (interfaces_of(&self.wanted), interfaces_of(&self.here));
        let stays = |name: &str| self.differs.get(name).is_some_and(|differs| differs.stays);
        interfaces_of(&self.before)
            .into_iter()
            .filter(|name| !mine.contains(name) && standing.contains(name) && *name != "lo")
            .filter(|name| !stays(name))
            .collect()
    }

    fn text(&self, going: &BTreeSet<&str>) -> String {
        let mine = interfaces_of(&self.wanted);
        let mut stanzas_of: BTreeMap<&str, std::vec::IntoIter<String>> = BTreeMap::new();
        let mut text = String::new();
        for piece in &self.here {
            match piece.names.first() {
                Some(name) if piece.word == "iface" && going.contains(name) => {}
                Some(name) if piece.word == "iface" && mine.contains(name) => {
                    let stanzas = stanzas_of
                        .entry(name)
                        .or_insert_with(|| self.stanzas(name).into_iter());
                    text.extend(stanzas.next());
                }
                _ if piece.brings_up() => self.bring_up(piece, going, &mut text),
                _ if self.is_gone(piece) => {}
                _ => text.push_str(piece.text),
            }
        }
        for piece in self.new_pieces() {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            let above = text.trim_end().rsplit('\n').next();
            // What is brought up stands right below the line that says so.
            let follows = above.is_some_and(|line| line.starts_with("auto "));
            if !follows && !text.is_empty() && !text.ends_with("\n\n") {
                text.push('\n');
            }
            text.push_str(piece.text.trim_start_matches('\n'));
        }
        text
    }

    /// A line of the last run that is neither a stanza nor names interfaces, and that the tree no longer has.
    fn is_gone(&self, piece: &Piece<'_>) -> bool {
        !piece.word.is_empty()
            && piece.word != "iface"
            && has_line(&self.before, piece)
            && !has_line(&self.wanted, piece)
    }

    /// The `auto` line without those that go or that the spec no longer brings up.
    fn bring_up(&self, piece: &Piece<'_>, going: &BTreeSet<&str>, text: &mut String) {
        let is_down = |name: &str| {
            let options = self.differs.get(name).map(|differs| &differs.options);
            options.is_some_and(|options| options.contains("auto"))
                && !is_brought_up(&self.wanted, name)
        };
        let stay: Vec<&str> = piece
            .names
            .iter()
            .copied()
            .filter(|name| !going.contains(name) && !is_down(name))
            .collect();
        if stay.len() == piece.names.len() {
            text.push_str(piece.text);
        } else if !stay.is_empty() {
            text.extend([piece.above(), piece.word, " ", &stay.join(" "), "\n"]);
        } else if piece.names.iter().any(|name| !going.contains(name)) {
            text.push_str(piece.above());
        }
    }

    /// What becomes of the stanzas of an interface that both have: one text for each that is there.
    fn stanzas(&self, name: &str) -> Vec<String> {
        let (here, own) = (stanzas(&self.here, name), stanzas(&self.wanted, name));
        let Some(differs) = self.differs.get(name) else {
            return here.iter().map(|piece| piece.text.to_owned()).collect();
        };
        let left = stanzas(&self.before, name);
        let bare = |pieces: &[&Piece<'_>]| -> Vec<String> {
            let texts = pieces.iter();
            texts.map(|piece| piece.text.trim().to_owned()).collect()
        };
        let is_as_left = bare(&here) == bare(&left) && !differs.options.is_empty();
        let mut texts = if is_as_left {
            let mut texts = vec![String::new(); here.len()];
            texts[0].push_str(here[0].above());
            for (at, piece) in own.iter().enumerate() {
                texts[0].push_str(if at == 0 {
                    &piece.text[piece.above().len()..]
                } else {
                    piece.text
                });
            }
            texts
        } else {
            edited(name, &here, &own, differs)
        };
        let comes_up = differs.options.contains("auto")
            && is_brought_up(&self.wanted, name)
            && !is_brought_up(&self.here, name);
        if comes_up {
            texts[0].insert_str(here[0].above().len(), &format!("auto {name}\n"));
        }
        texts
    }

    /// The tree's pieces that have no place in the host's file yet.
    fn new_pieces(&self) -> impl Iterator<Item = &Piece<'a>> {
        let standing = interfaces_of(&self.here);
        let comes = move |name: &&str| {
            let differs = self.differs.get(*name);
            !standing.contains(*name)
                && differs.is_some_and(|differs| differs.comes || !differs.options.is_empty())
        };
        self.wanted.iter().filter(move |piece| {
            if piece.word.is_empty() {
                false
            } else if piece.word == "iface" {
                piece.names.first().is_some_and(&comes)
            } else if piece.brings_up() {
                piece.names.iter().any(&comes)
                    && !piece
                        .names
                        .iter()
                        .all(|name| is_brought_up(&self.here, name))
            } else {
                let is_wanted = self.has_more || !piece.word.starts_with("source");
                is_wanted && !has_line(&self.here, piece) && !has_line(&self.before, piece)
            }
        })
    }
}

/// A line of a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said<'a> {
    is_v6: bool,
    option: String,
    value: String,
    line: Cow<'a, str>,
}

/// What a line of a stanza says; none where it is a comment, begins the stanza or follows from another line.
fn said_by<'a>(piece: &Piece<'_>, line: &'a str) -> Option<Said<'a>> {
    let family = piece.family().map(|_| piece.prefix());
    let whole = unbroken(line);
    let mut words = whole.split_ascii_whitespace();
    let word = words.next()?;
    if word.starts_with('#') || begins(word) {
        return None;
    }
    let value = words.collect::<Vec<_>>().join(" ");
    let (option, value) = option_of_interface(family, word, &value)?;
    Some(Said {
        // What is of the interface itself stands in either stanza.
        is_v6: piece.is_v6() && option.starts_with("inet6 "),
        option,
        value: value.to_owned(),
        line: Cow::Borrowed(line),
    })
}

/// Whether a line only completes the address of its stanza.
fn completes_address(line: &str) -> bool {
    let word = line.split_ascii_whitespace().next().unwrap_or_default();
    matches!(word, "netmask" | "network" | "broadcast")
}

/// A line of a stanza that may become another or go, with what comes right above and below it.
#[derive(Default)]
struct Cell {
    above: String,
    line: String,
    below: String,
}

impl Cell {
    fn text(self) -> String {
        self.above + &self.line + &self.below
    }
}

/// A line of the host's that is the spec's: its stanza, its place there, and what it says.
struct Row {
    stanza: usize,
    line: usize,
    value: String,
}

/// The stanzas `here` of an interface, with the options that differ as `own` says them.
fn edited(name: &str, here: &[&Piece<'_>], own: &[&Piece<'_>], differs: &Differs) -> Vec<String> {
    let (mut cells, mut rows) = standing(name, here, own, differs);
    let mut apart: Vec<(bool, String)> = new_stanzas(here, own, differs);
    for lines in wanted(own, differs) {
        let rows = rows.remove(&lines[0].1.option).unwrap_or_default();
        place(here, &lines, &rows, &mut cells, &mut apart);
    }
    for row in rows.into_values().flatten() {
        cells[row.stanza][row.line].line.clear();
    }
    let mut texts: Vec<String> = cells
        .into_iter()
        .map(|lines| lines.into_iter().map(Cell::text).collect())
        .collect();
    drop_empty(here, own, differs, &mut texts);
    if let Some(last) = texts.last_mut() {
        for (_, stanza) in apart {
            last.push('\n');
            last.push_str(&stanza);
        }
    }
    texts
}

/// The lines of the host's stanzas, and which of them say an option that differs and is nobody else's.
fn standing(
    name: &str,
    here: &[&Piece<'_>],
    own: &[&Piece<'_>],
    differs: &Differs,
) -> (Vec<Vec<Cell>>, BTreeMap<String, Vec<Row>>) {
    let mut cells = Vec::new();
    let mut rows: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for (stanza, piece) in here.iter().enumerate() {
        let family = piece.prefix();
        let is_other = |option: &str| differs.options.contains(&format!("{family}{option}"));
        let mut lines = Vec::new();
        for (at, line) in whole_lines(piece.text).enumerate() {
            let mut text = line.to_owned();
            if !text.ends_with('\n') {
                text.push('\n');
            }
            if words(line).next() == Some("iface") {
                if is_other("method") {
                    text = beginning(name, piece, own);
                }
            } else if completes_address(line) {
                if is_other("address") {
                    text.clear();
                }
            } else if let Some(said) = said_by(piece, line)
                && differs.options.contains(&said.option)
                && !differs
                    .others
                    .contains(&(said.option.clone(), said.value.clone()))
            {
                rows.entry(said.option).or_default().push(Row {
                    stanza,
                    line: at,
                    value: said.value,
                });
            }
            lines.push(Cell {
                line: text,
                ..Cell::default()
            });
        }
        cells.push(lines);
    }
    (cells, rows)
}

/// The spec's lines of the options that differ, those of one option together, in the order of their first lines.
fn wanted<'p, 'a>(own: &[&'p Piece<'a>], differs: &Differs) -> Vec<Vec<(&'p Piece<'a>, Said<'a>)>> {
    let mut all: Vec<Vec<(&Piece<'_>, Said<'_>)>> = Vec::new();
    for piece in own {
        let lines = whole_lines(piece.text).map(str::trim_end);
        for mut said in lines.filter_map(|line| said_by(piece, line)) {
            complete(piece, &mut said);
            if !differs.options.contains(&said.option) {
                continue;
            }
            match all
                .iter_mut()
                .find(|lines| lines[0].1.option == said.option)
            {
                // One size of packets, said in both families.
                Some(_) if said.option == "mtu" => {}
                Some(lines) => lines.push((piece, said)),
                None => all.push(vec![(piece, said)]),
            }
        }
    }
    all
}

/// An address whose network stands in a line of its own: the host's such lines go with its address.
fn complete(piece: &Piece<'_>, said: &mut Said<'_>) {
    if !said.option.ends_with("address") || said.option == "hwaddress" || said.value.contains('/') {
        return;
    }
    let mask = whole_lines(piece.text).find_map(|line| {
        let mut words = words(line);
        words.next().filter(|word| *word == "netmask")?;
        let mask = words.next()?;
        match mask.parse::<Ipv4Addr>() {
            Ok(mask) => Some(mask.to_bits().leading_ones()),
            Err(_) => mask.parse().ok(),
        }
    });
    if let Some(mask) = mask {
        said.value = format!("{}/{mask}", said.value);
        said.line = Cow::Owned(format!("\taddress {}", said.value));
    }
}

/// The line that begins the spec's stanza of the family of `piece`.
fn beginning(name: &str, piece: &Piece<'_>, own: &[&Piece<'_>]) -> String {
    let is_same = |one: &&&Piece<'_>| piece.family().is_none() || one.is_of_family(piece.is_v6());
    match own.iter().find(is_same) {
        Some(own) => first_line(own),
        None => format!("iface {name} {} manual\n", piece.names[1]),
    }
}

fn first_line(piece: &Piece<'_>) -> String {
    let line = whole_lines(&piece.text[piece.above().len()..]).next();
    format!("{}\n", line.unwrap_or_default().trim_end())
}

/// Stanzas of a family that the host does not have yet, without what stands in them.
fn new_stanzas(here: &[&Piece<'_>], own: &[&Piece<'_>], differs: &Differs) -> Vec<(bool, String)> {
    own.iter()
        .filter(|piece| {
            let method = format!("{}method", piece.prefix());
            differs.options.contains(&method)
                && !here.iter().any(|one| one.is_of_family(piece.is_v6()))
        })
        .map(|piece| (piece.is_v6(), first_line(piece)))
        .collect()
}

/// Whether an option is of the interface itself, in whatever stanza of it it stands.
fn is_of_link(option: &str) -> bool {
    option_of_interface(Some("inet6 "), option, "").is_some_and(|(key, _)| key == option)
}

/// Writes the spec's lines of one option where the host's lines of it stand, else at the end of the stanza.
fn place(
    here: &[&Piece<'_>],
    lines: &[(&Piece<'_>, Said<'_>)],
    rows: &[Row],
    cells: &mut [Vec<Cell>],
    apart: &mut Vec<(bool, String)>,
) {
    let mut next = 0;
    for (at, (piece, said)) in lines.iter().enumerate() {
        let is_later = |row: &Row| lines[at..].iter().any(|(_, one)| one.value == row.value);
        if let Some(found) = rows[next..].iter().position(|row| row.value == said.value) {
            for row in &rows[next..next + found] {
                cells[row.stanza][row.line].line.clear();
            }
            next += found + 1;
        } else if let Some(row) = rows.get(next).filter(|row| !is_later(row)) {
            let cell = &mut cells[row.stanza][row.line];
            cell.line = indented(&cell.line, &said.line);
            next += 1;
        } else if let Some(row) = next.checked_sub(1).map(|last| &rows[last]) {
            let cell = &mut cells[row.stanza][row.line];
            cell.below.push_str(&indented(&cell.line, &said.line));
        } else if let Some(row) = rows.first() {
            let cell = &mut cells[row.stanza][row.line];
            cell.above.push_str(&indented(&cell.line, &said.line));
        } else {
            add(here, piece, said, cells, apart);
        }
    }
    for row in &rows[next..] {
        cells[row.stanza][row.line].line.clear();
    }
}

/// A line set in as far as another.
fn indented(like: &str, line: &str) -> String {
    let bare = like.trim_start();
    let indent = &like[..like.len() - bare.len()];
    format!("{indent}{}\n", line.trim())
}

/// Writes a line at the end of the stanza that it belongs to, which comes where the host has none of its family.
fn add(
    here: &[&Piece<'_>],
    piece: &Piece<'_>,
    said: &Said<'_>,
    cells: &mut [Vec<Cell>],
    apart: &mut Vec<(bool, String)>,
) {
    let stanza = here
        .iter()
        .position(|piece| piece.is_of_family(said.is_v6))
        .or_else(|| is_of_link(&said.option).then_some(0));
    let Some(stanza) = stanza else {
        let line = format!("{}\n", said.line);
        match apart.iter_mut().find(|(is_v6, _)| *is_v6 == said.is_v6) {
            Some((_, text)) => text.push_str(&line),
            None => apart.push((said.is_v6, first_line(piece) + &line)),
        }
        return;
    };
    let lines = &mut cells[stanza];
    let says = |cell: &Cell| {
        let bare = cell.line.trim_start();
        !bare.is_empty() && !bare.starts_with('#')
    };
    let like = lines
        .iter()
        .find(|cell| says(cell) && cell.line.starts_with(char::is_whitespace));
    let like = like.map_or("\tx", |cell| &cell.line);
    let line = indented(like, &said.line);
    if let Some(last) = lines.iter().rposition(says) {
        lines[last].below.push_str(&line);
    }
}

/// Takes away stanzas of a family that the spec does not have and of which nothing is left.
fn drop_empty(here: &[&Piece<'_>], own: &[&Piece<'_>], differs: &Differs, texts: &mut [String]) {
    for (piece, text) in here.iter().zip(texts).skip(1) {
        let is_v6 = piece.is_v6();
        let is_touched = |option: &String| option.starts_with("inet6 ") == is_v6;
        let is_empty = text.trim().lines().count() <= 1;
        if is_empty
            && differs.options.iter().any(is_touched)
            && !own.iter().any(|piece| piece.is_of_family(is_v6))
        {
            text.clear();
        }
    }
}

fn has_line(pieces: &[Piece<'_>], piece: &Piece<'_>) -> bool {
    let says = |piece: &Piece<'_>| -> Vec<String> {
        let lines = piece.text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    let lines = says(piece);
    pieces
        .iter()
        .any(|one| one.word == piece.word && says(one) == lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: &str = "# network interface settings\nauto lo\niface lo inet loopback\n\niface eno1 inet manual\n\n\
        # the house\nauto vmbr0\niface vmbr0 inet static\n  # not .9: that is the old box\n  address 192.168.1.10\n\
        \x20 netmask 255.255.255.0\n\n  # the router\n  gateway 192.168.1.1\n  bridge_ports eno1\n#remark\n\n\
        auto vmbr7\niface vmbr7 inet static\n\taddress 10.7.0.1/24\n\tpost-up iptables -t nat -A POSTROUTING -j MASQUERADE\n#the lab\n\n\
        source /etc/network/interfaces.d/*\n# the end\n\n";
    const OWN: &str = "# Generated\n\nauto lo\niface lo inet loopback\n\niface eno1 inet manual\n\n\
        auto vmbr0\niface vmbr0 inet static\n\taddress 192.168.1.11/24\n\tgateway 192.168.1.1\n\tbridge-ports eno1\n";

    fn differs(options: &[&str]) -> Differs {
        Differs {
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            ..Differs::default()
        }
    }

    fn merged(now: &str, own: &str, left: &str, all: &[(&'static str, Differs)]) -> Merged {
        merge(
            Texts {
                now,
                own,
                left,
                has_more: false,
            },
            &all.iter().cloned().collect::<Differences<'_>>(),
        )
    }

    /// `NOW` with some of its text replaced.
    fn with(from: &str, to: &str) -> String {
        assert!(NOW.contains(from), "{from}");
        NOW.replacen(from, to, 1)
    }

    #[test]
    fn an_address_keeps_its_network_where_the_spec_says_it_in_a_line_of_its_own() {
        let now = "iface vmbr0 inet static\n\taddress 10.0.0.1\n\tnetmask 255.255.255.0\n\tgateway 10.0.0.9\n";
        let own = now.replace("10.0.0.1", "10.0.0.2");
        let all = [("vmbr0", differs(&["address"]))];
        assert_eq!(
            merged(now, &own, "", &all).text,
            "iface vmbr0 inet static\n\taddress 10.0.0.2/24\n\tgateway 10.0.0.9\n"
        );
        let now = "iface vmbr0 inet6 static\n\taddress fd00::1/48\n";
        let own = "iface vmbr0 inet6 static\n\taddress fd00::1\n\tnetmask 64\n";
        let all = [("vmbr0", differs(&["inet6 address"]))];
        assert_eq!(
            merged(now, own, "", &all).text,
            "iface vmbr0 inet6 static\n\taddress fd00::1/64\n"
        );
    }

    #[test]
    fn a_line_that_goes_on_is_one() {
        let now = "auto \\\n  vmbr0\niface vmbr0 inet static\n\taddress 10.0.0.1/24\n\tbridge_ports eno1 \\\n\t\teno2\n\
            \tpost-up ip route add \\\n\t  10.9.0.0/16 via 10.0.0.9\n# a remark \\\n  mtu 9000\n\nauto eno1\n";
        let own = "auto vmbr0\niface vmbr0 inet static\n\taddress 10.0.0.1/24\n\tbridge-ports eno1 eno3\n\
            \tpost-up ip route add 10.9.0.0/16 via 10.0.0.9\n";
        let all = [("vmbr0", differs(&["bridge-ports"]))];
        let new = now.replace("bridge_ports eno1 \\\n\t\teno2", "bridge-ports eno1 eno3");
        assert_eq!(merged(now, own, "", &all).text, new);
        // It goes as one, too.
        let all = [("vmbr0", differs(&["post-up"]))];
        let own = own.lines().take(4).collect::<Vec<_>>().join("\n");
        let new = now.replace(
            "\tpost-up ip route add \\\n\t  10.9.0.0/16 via 10.0.0.9\n",
            "",
        );
        assert_eq!(merged(now, &own, "", &all).text, new);
        // An interface that goes leaves its other names on the line.
        let left = "auto vmbr0 vmbr1\niface vmbr0 inet manual\niface vmbr1 inet manual\n";
        let now = "auto vmbr0 \\\n vmbr1\niface vmbr0 inet manual\niface vmbr1 inet manual\n";
        let own = "auto vmbr1\niface vmbr1 inet manual\n";
        let merged = merged(now, own, left, &[]);
        assert_eq!(merged.text, "auto vmbr1\niface vmbr1 inet manual\n");
    }

    #[test]
    fn the_pieces_are_all_of_the_text() {
        for text in [
            NOW,
            OWN,
            "\tmtu 1\n# x\n\niface a\n\n \n",
            "",
            "\n",
            "auto a",
        ] {
            let all: String = pieces(text).iter().map(|piece| piece.text).collect();
            assert_eq!(all, text);
        }
    }

    #[test]
    fn what_differs_changes_where_it_stands_and_all_else_stays() {
        assert_eq!(merged(NOW, OWN, "", &[]).text, NOW);
        let result = merged(NOW, OWN, "", &[("vmbr0", differs(&["address"]))]);
        let expected = with(
            "  address 192.168.1.10\n  netmask 255.255.255.0\n",
            "  address 192.168.1.11/24\n",
        );
        assert_eq!(result.text, expected);
        assert_eq!(result.going, [""; 0]);
    }

    #[test]
    fn an_option_that_is_not_named_is_an_edit_and_stays() {
        let own = OWN.replace("\tbridge-ports eno1\n", "\tbridge-ports eno1\n\tmtu 9000\n");
        let result = merged(NOW, &own, OWN, &[("vmbr0", differs(&["mtu"]))]);
        let expected = with("  bridge_ports eno1\n", "  bridge_ports eno1\n  mtu 9000\n");
        assert_eq!(result.text, expected);
    }

    #[test]
    fn a_file_or_a_stanza_that_is_as_the_last_run_left_it_is_the_trees() {
        let own = OWN.replace(
            "bridge-ports eno1\n",
            "bridge-ports eno1\n\tmtu 9000\n#the house\n",
        );
        assert_eq!(merged(OWN, &own, OWN, &[]).text, own);
        let now = format!("{OWN}\nauto vmbr7\niface vmbr7 inet manual\n");
        let result = merged(&now, &own, OWN, &[("vmbr0", differs(&["mtu"]))]);
        assert_eq!(
            result.text,
            format!("{own}\nauto vmbr7\niface vmbr7 inet manual\n")
        );
    }

    #[test]
    fn files_beside_it_are_read_where_the_host_says_so_or_the_spec_has_some() {
        let now = with("source /etc/network/interfaces.d/*\n", "");
        let own = format!("{OWN}\nsource /etc/network/interfaces.d/*\n");
        let all = [("vmbr0", differs(&["mtu"]))].into_iter().collect();
        for has_more in [false, true] {
            let texts = Texts {
                now: &now,
                own: &own,
                left: "",
                has_more,
            };
            let text = merge(texts, &all).text;
            assert_eq!(text.contains("\nsource "), has_more, "{text}");
        }
    }

    #[test]
    fn what_an_earlier_run_brought_and_the_tree_no_longer_has_goes_by_name() {
        let left = format!(
            "{OWN}\nauto vmbr7\niface vmbr7 inet manual\n\nsource /etc/network/interfaces.d/*\n"
        );
        let result = merged(NOW, OWN, &left, &[]);
        let (before, _) = NOW.split_once("\nauto vmbr7").expect("it is there");
        assert_eq!(result.text, format!("{before}\n"));
        assert_eq!(result.going, ["vmbr7"]);
        // Unless somebody changed it since.
        let stays = Differs {
            stays: true,
            ..Differs::default()
        };
        let left = left.replace("\nsource /etc/network/interfaces.d/*\n", "");
        let result = merged(NOW, OWN, &left, &[("vmbr7", stays)]);
        assert_eq!(result.text, NOW);
        assert_eq!(result.going, [""; 0]);
    }

    #[test]
    fn a_new_interface_comes_with_its_line_and_others_of_the_line_stay() {
        let own = format!("{OWN}\nauto vmbr5\niface vmbr5 inet manual\n");
        let comes = Differs {
            comes: true,
            ..Differs::default()
        };
        let result = merged(NOW, &own, "", &[("vmbr5", comes)]);
        assert_eq!(
            result.text,
            format!("{NOW}auto vmbr5\niface vmbr5 inet manual\n")
        );
        let now = "auto vmbr0 vmbr7\niface vmbr7 inet manual\niface vmbr0 inet manual\n";
        let own = "iface vmbr0 inet manual\n";
        let result = merged(now, own, "", &[("vmbr0", differs(&["auto"]))]);
        assert_eq!(
            result.text,
            "auto vmbr7\niface vmbr7 inet manual\niface vmbr0 inet manual\n"
        );
        let result = merged(&result.text, now, "", &[("vmbr0", differs(&["auto"]))]);
        assert_eq!(
            result.text,
            "auto vmbr7\niface vmbr7 inet manual\nauto vmbr0\niface vmbr0 inet manual\n"
        );
    }

    #[test]
    fn lines_of_commands_keep_their_comments_and_the_lines_of_others() {
        let now = "iface a inet manual\n\t# first\n\tpost-up one\n\t# second\n\tpost-up two\n\tpost-up  theirs  1\n\tpost-up three\n\n\
            iface a inet6 manual\n\tpost-up six\n";
        let own = "iface a inet manual\n\tpost-up zero\n\tpost-up one\n\tpost-up 2\n\tpost-up three\n\tpost-up four\n";
        let mut of_a = differs(&["post-up", "inet6 post-up"]);
        of_a.others = BTreeSet::from([("post-up".to_owned(), "theirs 1".to_owned())]);
        let result = merged(now, own, "", &[("a", of_a)]);
        assert_eq!(
            result.text,
            "iface a inet manual\n\t# first\n\tpost-up zero\n\tpost-up one\n\t# second\n\tpost-up 2\n\tpost-up  theirs  1\n\
             \tpost-up three\n\tpost-up four\n"
        );
    }

    #[test]
    fn what_comes_beside_a_line_that_changes_or_goes_is_not_lost_with_it() {
        let now = "iface a inet manual\n\tup A\n\tup B\n";
        let own = "iface a inet manual\n\tmtu 1400\n\tup X\n\tup B\n\tup A\n";
        let result = merged(now, own, "", &[("a", differs(&["mtu", "up"]))]);
        assert_eq!(
            result.text,
            "iface a inet manual\n\tup X\n\tup B\n\tmtu 1400\n\tup A\n"
        );
    }

    #[test]
    fn stanzas_of_a_family_come_and_change_their_method() {
        let now = "auto a\niface a inet dhcp\n# below\n";
        let own = "auto a\niface a inet static\n\taddress 10.0.0.2/24\n\niface a inet6 static\n\taddress fd00::2/64\n\tmtu 1400\n";
        let all = ["method", "address", "inet6 method", "inet6 address", "mtu"];
        let result = merged(now, own, "", &[("a", differs(&all))]);
        assert_eq!(
            result.text,
            "auto a\niface a inet static\n\taddress 10.0.0.2/24\n\tmtu 1400\n# below\n\niface a inet6 static\n\taddress fd00::2/64\n"
        );
        let back = "auto a\niface a inet dhcp\n";
        let result = merged(&result.text, back, "", &[("a", differs(&all))]);
        assert_eq!(result.text, now);
    }

    proptest! {
        #[test]
        fn what_does_not_differ_is_not_touched(now in "((auto|iface|source|#|\tup|\tmtu) ?(vmbr0|vmbr7|eno1)? ?(inet manual|1)?\n|\n){0,12}") {
            prop_assume!(!now.trim().is_empty());
            let left = format!("{OWN}\n");
            prop_assert_eq!(&merged(&now, OWN, &left, &[]).text, &now);
        }

        #[test]
        fn any_change_leaves_what_is_not_named(now in "((auto|iface|#|\tup|\tmtu|\taddress) ?(a|b|c)? ?(inet manual|inet6 auto|1)?\n|\n){0,16}", options in "(mtu|up|address|auto|method|inet6 method|inet6 up)( (mtu|up))?") {
            let own = "auto a\niface a inet static\n\taddress 10.0.0.2/24\n\tmtu 1400\n\tup x\n\tup y\n";
            prop_assume!(!now.trim().is_empty());
            let options: Vec<&str> = if options.contains("inet6") { vec![&options] } else { options.split(' ').collect() };
            let once = merged(&now, own, "", &[("a", differs(&options))]).text;
            prop_assert_eq!(&merged(&once, own, "", &[("a", differs(&options))]).text, &once);
            for line in now.lines().filter(|line| line.starts_with('#')) {
                prop_assert!(once.contains(line));
            }
            if options.contains(&"up") && interfaces_of(&pieces(&now)).contains("a") {
                let said = |text: &str| -> Vec<String> {
                    let of_a = pieces(text);
                    let lines = stanzas(&of_a, "a").into_iter().flat_map(|piece| {
                        piece.text.lines().filter_map(|line| said_by(piece, line)).collect::<Vec<_>>()
                    });
                    lines.filter(|said| said.option == "up").map(|said| said.value).collect()
                };
                prop_assert_eq!(said(&once), said(own));
            }
        }
    }
}
