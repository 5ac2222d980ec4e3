//! The tools that run on a host and in its guests: bash programs, each one file.
//!
//! Their texts are in `nix/modules/scripts/`, where the NixOS modules and the flake read them, too: `gate.sh` and
//! `tool.sh` hold what they share and stand in front of each. A Debian host gets them in `/usr/local/sbin`.

/// For shellcheck: what `gate` and `take` make it does not see (SC2154), nor what a tool takes of the libraries.
const DIRECTIVES: &str = "# shellcheck disable=SC2016,SC2034,SC2119,SC2120,SC2154,SC2317,SC2329";

/// What tools share: a text that stands in front of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The name of its file.
    pub file: &'static str,
    /// What it says.
    pub text: &'static str,
}

macro_rules! parts {
    ($($(#[doc = $about:literal])* $name:ident = $file:literal)*) => {
        $($(#[doc = $about])*
        const $name: Part = Part {
            file: $file,
            text: include_str!(concat!("../nix/modules/scripts/", $file)),
        };)*

        /// All that tools share.
        pub const PARTS: &[Part] = &[$($name),*];
    };
}

parts! {
    /// What the tools share that ask Windows guests by their agent.
    AGENT = "agent.sh"
    /// The one place where words from outside become values.
    GATE = "gate.sh"
    /// What the tools share that deal with guests and their backups.
    GUESTS = "guests.sh"
    /// What every tool shares: options, messages, the JSON log, locks, the closing summary, statuses.
    LIBRARY = "tool.sh"
}

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// The name of its command.
    pub name: &'static str,
    /// What it does, in one sentence without a full stop.
    pub about: &'static str,
    /// What stands between the library and the tool.
    part: Option<Part>,
    /// Its own text.
    pub text: &'static str,
}

macro_rules! tools {
    ($($name:literal $(with $part:ident)? $about:literal)*) => {
        &[$(Tool {
            name: $name,
            about: $about,
            part: part!($($part)?),
            text: include_str!(concat!("../nix/modules/scripts/", $name, ".sh")),
        }),*]
    };
}

macro_rules! part {
    () => {
        None
    };
    ($part:ident) => {
        Some($part)
    };
}

/// The tools of a Proxmox VE host on Debian, in the order of their names.
pub const ALL: &[Tool] = tools! {
    "backup-rehearsal" with GUESTS "restores the newest backup of a guest to a spare number, sees whether it starts, and removes it"
    "moxc-notify" "tells by mail, or by a command, that a unit has failed"
    "proxmox-maintenance" "removes what a host no longer needs, and reports how its pools, disks and file systems are"
    "proxmox-update" "brings the packages of a Proxmox VE host up to date"
    "smart-test" "has disks test themselves, and tells what their last test said"
    "vzdump-backup" with GUESTS "backs guests up by hand, one after the other, and checks whether each backup is good"
    "windows-update" with AGENT "updates Windows guests from the host: snapshot, update, restart, health check, and the way back"
    "zfs-scrub" "has pools read every block and mend what is wrong"
    "zfs-snapshot" "takes snapshots of datasets, and prunes those that it took before"
    "zfs-trim" "tells flash which blocks are free"
};

impl Tool {
    /// The tool of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|tool| tool.name == name)
    }

    /// The whole program. `header` marks it as a generated file; it holds no line break.
    pub fn script(&self, header: &str) -> String {
        format!(
            "#!/bin/bash\n# {header}\n#\n# It is one group, so that a file that was cut does nothing but fail.\n#\n{DIRECTIVES}\n{{\n{}\n{}\n{}{}exit\n}}\n",
            GATE.text,
            LIBRARY.text,
            self.part.map_or("", |part| part.text),
            self.text
        )
    }

    /// Where a Debian host has it.
    pub fn path(&self) -> String {
        path(self.name)
    }
}

/// Where a Debian host has the tool of a name.
pub fn path(name: &str) -> String {
    format!("/usr/local/sbin/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_says_what_it_does_in_its_first_line() {
        for tool in ALL {
            let first = tool.text.lines().next().expect("a line");
            let said = first.strip_prefix("# ").expect("a comment");
            assert_eq!(said, format!("{}: {}.", tool.name, tool.about));
        }
    }

    #[test]
    fn tools_are_sorted_by_their_names() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn no_tool_has_an_interpreter_of_its_own() {
        // Nix puts the library in front as well: the line would stand in the middle.
        let parts = PARTS.iter().map(|part| part.text);
        for text in ALL.iter().map(|tool| tool.text).chain(parts) {
            assert!(!text.starts_with("#!"), "{text}");
        }
    }
}
