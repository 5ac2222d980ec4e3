//! Which users of the host a container's users are.
//!
//! An unprivileged container's user 0 is user 100000 of the host, and so on for 65,536 users, unless raw lines
//! (`lxc.idmap`) or a mount's `idmap` say otherwise. Rules of others: `PVE::LXC::parse_id_maps` and `validate_id_maps`;
//! `mappings_overlap` of Linux' user namespaces; LXC's `lxc_map_ids`, which has `newuidmap` hold root, too, to
//! `/etc/subuid`; `mount_setattr(2)` for file systems that can be mounted with other users.

use std::fmt;

use crate::diagnostics::{Code, Diagnostic, Sink};
use crate::model::{Container, ContainerMount, ExternalPlace, Guest, Host, MountSource};
use crate::pve::PveOption;
use crate::source::Span;

/// The users that root of a Debian host may map: `root:100000:65536` in `/etc/subuid` and `/etc/subgid`.
const HANDED_OUT: std::ops::Range<u64> = 100_000..165_536;

pub(super) fn check(host: &Host, sink: &mut Sink) {
    for (_, guest, container) in host.containers() {
        let mut lines = Vec::new();
        let mut sound = true;
        for option in container.lxc.iter().filter(|o| o.key.value == "lxc.idmap") {
            if let Some(line) = Line::of_container(option) {
                lines.push(line);
            } else {
                sound = false;
                sink.push(unreadable(option));
            }
        }
        if sound {
            half(guest, &lines, sink);
            twice(guest, &lines, "host", sink);
            not_handed_out(guest, &lines, sink);
        }
        for item in &container.mounts {
            if let Some(map) = PveOption::find(&item.more, "idmap") {
                mount(host, guest, container, item, (map, !lines.is_empty()), sink);
            }
        }
    }
}

/// Users or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    User,
    Group,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Group => "group",
        })
    }
}

/// So many users of the container, in order, and whose numbers they have outside.
#[derive(Debug, Clone, Copy)]
struct Line {
    kind: Kind,
    inside: u64,
    outside: u64,
    count: u64,
    /// What stands between its parts where it is written.
    separator: char,
    place: Span,
}

impl Line {
    /// `u 0 100000 65536`.
    fn of_container(option: &PveOption) -> Option<Self> {
        let parts = option.value.split_ascii_whitespace();
        Self::of_parts(parts, ' ', option.value.span)
    }

    /// `u:1000:1000:1`, a part of a mount's `idmap`.
    fn of_mount(text: &str, place: Span) -> Option<Self> {
        Self::of_parts(text.split(':'), ':', place)
    }

    fn of_parts<'a>(
        mut parts: impl Iterator<Item = &'a str>,
        separator: char,
        place: Span,
    ) -> Option<Self> {
        let kind = match parts.next()? {
            "u" => Kind::User,
            "g" => Kind::Group,
            _ => return None,
        };
        let mut number = || parts.next()?.parse::<u32>().ok().map(u64::from);
        let line = Self {
            kind,
            inside: number()?,
            outside: number()?,
            count: number()?,
            separator,
            place,
        };
        (parts.next().is_none() && line.count > 0).then_some(line)
    }

    fn start(&self, side: Side) -> u64 {
        match side {
            Side::Inside => self.inside,
            Side::Outside => self.outside,
        }
    }

    /// The numbers of one side, in words.
    fn numbers(&self, side: Side) -> String {
        let (first, last) = (self.start(side), self.start(side) + self.count - 1);
        if first == last {
            format!("{} {first}", self.kind)
        } else {
            format!("{}s {first} to {last}", self.kind)
        }
    }

    /// What is left of the line on both sides of `hole`, a range of the container's users; nothing where that is not
    /// within it.
    fn around(&self, hole: &Self) -> Vec<Self> {
        if !self.holds(hole) {
            return Vec::new();
        }
        let before = hole.inside - self.inside;
        let after = before + hole.count;
        [(0, before), (after, self.count - after)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(skip, count)| Self {
                inside: self.inside + skip,
                outside: self.outside + skip,
                count,
                ..*self
            })
            .collect()
    }

    fn holds(&self, other: &Self) -> bool {
        self.inside <= other.inside && other.inside + other.count <= self.inside + self.count
    }
}

/// As it is written in the spec.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::User => 'u',
            Kind::Group => 'g',
        };
        let s = self.separator;
        write!(
            f,
            "{kind}{s}{}{s}{}{s}{}",
            self.inside, self.outside, self.count
        )
    }
}

/// Whose numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Inside,
    Outside,
}

fn unreadable(option: &PveOption) -> Diagnostic {
    Diagnostic::new(
        Code::MOX0108,
        option.value.span,
        format!("`{}` maps no users", option.value.escape_debug()),
    )
    .note("Proxmox VE refuses to start the container: \"failed to parse idmap\"")
    .help("write `u` or `g`, the first number in the container, the first one on the host, and how many: `\"u 0 100000 65536\"`")
}

/// Lines for users alone, or for groups: they take the place of all that Proxmox VE would map.
fn half(guest: &Guest, lines: &[Line], sink: &mut Sink) {
    let Some(first) = lines.first() else { return };
    for missing in [Kind::User, Kind::Group] {
        if lines.iter().any(|line| line.kind == missing) {
            continue;
        }
        let all = match missing {
            Kind::User => "u 0 100000 65536",
            Kind::Group => "g 0 100000 65536",
        };
        sink.push(
            Diagnostic::new(
                Code::MOX0647,
                first.place,
                format!("no {missing} of `{}` is mapped", guest.name.value),
            )
            .label(format!("only {}s are", first.kind))
            .note("with lines of its own a container has no others: without users or without groups it does not start")
            .help(format!("add `\"{all}\"`")),
        );
    }
}

/// A number that two lines map: the kernel refuses the whole map.
fn twice(guest: &Guest, lines: &[Line], outside: &str, sink: &mut Sink) {
    for kind in [Kind::User, Kind::Group] {
        for side in [Side::Inside, Side::Outside] {
            let mut own: Vec<&Line> = lines.iter().filter(|line| line.kind == kind).collect();
            own.sort_by_key(|line| (line.start(side), line.place));
            let Some(pair) = own
                .windows(2)
                .find(|pair| pair[0].start(side) + pair[0].count > pair[1].start(side))
            else {
                continue;
            };
            let (first, second) = (pair[0], pair[1]);
            let number = second.start(side);
            let place = match side {
                Side::Inside => format!("{kind} {number} of `{}`", guest.name.value),
                Side::Outside => format!("{kind} {number} of the {outside}"),
            };
            let (large, small) = if first.holds(second) {
                (first, second)
            } else {
                (second, first)
            };
            let help = match side {
                Side::Inside if large.holds(small) && large.around(small).is_empty() => {
                    "remove one of them".to_owned()
                }
                Side::Inside if large.holds(small) => {
                    let parts = large.around(small);
                    let parts: Vec<String> = parts.iter().map(|part| format!("`{part}`")).collect();
                    format!(
                        "write `{large}` as what lies around the other: {}",
                        parts.join(", ")
                    )
                }
                Side::Inside | Side::Outside => {
                    "let each range begin where the one before it ends".to_owned()
                }
            };
            let mut diagnostic = Diagnostic::new(
                Code::MOX0640,
                second.place,
                format!("{place} is mapped twice"),
            )
            .label(second.numbers(side))
            .also(first.place, first.numbers(side))
            .note(
                "the kernel takes no map in which two ranges overlap: the container does not start",
            )
            .help(help);
            // Lines of their own in a list, of which one is cut out of the other: no other change keeps what both say.
            let parts = large.around(small);
            if side == Side::Inside && large.separator == ' ' && !parts.is_empty() {
                let parts: Vec<String> = parts.iter().map(|part| format!("\"{part}\"")).collect();
                diagnostic = diagnostic.replace(
                    "write what lies around the other",
                    large.place,
                    parts.join(", "),
                );
            }
            sink.push(diagnostic);
            // The other side of the same two lines is the same mistake.
            break;
        }
    }
}

/// Users of the host that `newuidmap` does not let root give away.
fn not_handed_out(guest: &Guest, lines: &[Line], sink: &mut Sink) {
    let beyond: Vec<&Line> = lines
        .iter()
        .filter(|line| {
            line.outside < HANDED_OUT.start || line.outside + line.count > HANDED_OUT.end
        })
        .collect();
    let Some(first) = beyond.first() else { return };
    let mut diagnostic = Diagnostic::new(
        Code::MOX0641,
        first.place,
        format!(
            "`{}` takes {} of the host, which root may not map by itself",
            guest.name.value,
            first.numbers(Side::Outside)
        ),
    );
    for line in &beyond[1..] {
        diagnostic = diagnostic.also(line.place, line.numbers(Side::Outside));
    }
    let lines = |kind: Kind| -> Vec<String> {
        let own = beyond.iter().filter(|line| line.kind == kind);
        own.map(|line| format!("`root:{}:{}`", line.outside, line.count))
            .collect()
    };
    let files: Vec<String> = [(Kind::User, "/etc/subuid"), (Kind::Group, "/etc/subgid")]
        .into_iter()
        .filter(|(kind, _)| !lines(*kind).is_empty())
        .map(|(kind, file)| format!("{} to `{file}`", lines(kind).join(", ")))
        .collect();
    sink.push(
        diagnostic
            .note("a Debian host hands out users 100000 to 165535 (`root:100000:65536`); for others `newuidmap` fails, and the container does not start")
            .help(format!(
                "add {} on the host, which moxc leaves alone; then allow this warning",
                files.join(", and ")
            )),
    );
}

/// A mount whose users are mapped.
fn mount(
    host: &Host,
    guest: &Guest,
    container: &Container,
    item: &ContainerMount,
    (map, mapped): (&PveOption, bool),
    sink: &mut Sink,
) {
    let place = map.value.span;
    if map.value.value != "passthrough" {
        let lines: Option<Vec<Line>> = map
            .value
            .split(';')
            .map(|text| Line::of_mount(text, place))
            .collect();
        // What is no map at all is the schema's to tell.
        if let Some(lines) = lines {
            twice(guest, &lines, "disk", sink);
        }
    }
    // Proxmox VE leaves it out for a privileged container, with a word in the log.
    if !*container.unprivileged && !mapped {
        return;
    }
    let MountSource::HostPath(path) = &item.source else {
        return;
    };
    for external in host.storage.external.values() {
        let what = match &external.place {
            ExternalPlace::Nfs { .. } => "NFS",
            ExternalPlace::Cifs { .. } => "SMB",
            ExternalPlace::Cephfs { .. } => "CephFS",
            ExternalPlace::Pbs { .. }
            | ExternalPlace::Dir { .. }
            | ExternalPlace::Btrfs { .. }
            | ExternalPlace::Rbd { .. }
            | ExternalPlace::Iscsi
            | ExternalPlace::Esxi { .. } => continue,
        };
        if let Some(mounted) = external.folder().filter(|m| path.is_below(m.as_str())) {
            sink.push(
                Diagnostic::new(
                    Code::MOX0642,
                    place,
                    format!("`idmap` for `{}`, which is on {what}", path.value),
                )
                .also(external.name.span, format!("mounted at `{mounted}`"))
                .note(format!("Linux mounts {what} with the server's users alone (mount_setattr(2)): the container does not start"))
                .help("leave `idmap` out, and give the files on the server to the users as the host sees them: user 1000 of the container is 101000; or map them with `lxc.idmap`"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{host, told};
    use super::*;
    use crate::source::SourceMap;

    fn line(text: &str) -> Option<Line> {
        let mut sources = SourceMap::new();
        let file = sources.add("x", "x");
        Line::of_mount(text, Span::new(file, 0..1))
    }

    /// The example of the Proxmox wiki ("Unprivileged LXC containers"): user 1005 of the container is that of the host.
    #[test]
    fn a_map_is_split_around_one_user() {
        let all = line("u:0:100000:65536").expect("a line");
        let one = line("u:1005:1005:1").expect("a line");
        assert!(all.holds(&one) && !one.holds(&all));
        let parts: Vec<String> = all.around(&one).iter().map(ToString::to_string).collect();
        assert_eq!(parts, ["u:0:100000:1005", "u:1006:101006:64530"]);
        let all_of_it: Vec<String> = all.around(&all).iter().map(ToString::to_string).collect();
        assert_eq!(all_of_it, [""; 0]);
        let other = line("u:70000:200000:10").expect("a line");
        assert!(all.around(&other).is_empty() && other.around(&one).is_empty());
    }

    #[test]
    fn what_is_no_line_is_none() {
        for text in [
            "",
            "u",
            "u:0:0",
            "b:0:0:1",
            "u:0:0:0",
            "u:0:0:1:2",
            "u:-1:0:1",
            "u:0:0:4294967296",
        ] {
            assert!(line(text).is_none(), "{text}");
        }
        // The largest numbers do not overflow.
        let largest = line("g:4294967295:4294967295:4294967295").expect("a line");
        assert_eq!(
            largest.numbers(Side::Outside),
            "groups 4294967295 to 8589934589"
        );
    }

    proptest! {
        /// The kernel's own rule (`mappings_overlap`): no number of either side twice.
        #[test]
        fn a_map_is_refused_where_the_kernel_refuses_it(
            lines in proptest::collection::vec((any::<bool>(), 0u64..12, 0u64..12, 1u64..5), 1..5),
        ) {
            let mut seen = std::collections::BTreeSet::new();
            let mut overlaps = false;
            for (group, inside, outside, count) in &lines {
                for at in 0..*count {
                    overlaps |= !seen.insert((*group, false, inside + at));
                    overlaps |= !seen.insert((*group, true, outside + at));
                }
            }
            let text: Vec<String> = lines
                .iter()
                .map(|(group, inside, outside, count)| {
                    format!("\"{} {inside} {outside} {count}\"", if *group { 'g' } else { 'u' })
                })
                .collect();
            let host = host(&format!(
                "[storage.datasets.roots]\npool = \"rpool\"\nuse = \"containers\"\n\
                 [containers.ct]\nos = \"debian\"\nvmid = 200\nmemory = \"1 GiB\"\ntemplate = \"local:vztmpl/debian.tar.zst\"\n\
                 rootfs = {{ dataset = \"roots\", size = \"8 GiB\" }}\n\
                 [containers.ct.extra]\n\"lxc.idmap\" = [{}]\n",
                text.join(", ")
            ));
            prop_assert_eq!(!told(&host, Code::MOX0640).is_empty(), overlaps);
        }
    }
}
