//! A copy that is the text of `pvereport`: the files and answers between its headings (`PVE::Report` of pve-manager).

use super::Item;
use super::tree::Tree;

/// So many bytes tell a report from an archive.
pub(super) const HEAD: u64 = 64 << 10;

/// Whether a file that begins like this is the text of `pvereport`.
pub(super) fn is_report(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    lines.any(is_title) && head.contains("\n# ")
}

/// `==== general system info ====`, which opens each part.
fn is_title(line: &str) -> bool {
    line.len() > 10 && line.starts_with("==== ") && line.trim_end().ends_with(" ====")
}

/// The first words of the commands of a report. A line `# …` that opens with none of them is a guest's notes.
const COMMANDS: &[&str] = &[
    "apt-cache",
    "apt-mark",
    "arcstat",
    "cat",
    "ceph",
    "date",
    "df",
    "dmidecode",
    "ethtool",
    "findmnt",
    "ha-manager",
    "head",
    "hostname",
    "ip",
    "iptables-save",
    "iscsiadm",
    "ls",
    "lsblk",
    "lscpu",
    "lspci",
    "lvs",
    "multipath",
    "output",
    "pct",
    "proxmox-boot-tool",
    "pvecm",
    "pveceph",
    "pvesh",
    "pvesm",
    "pvesubscription",
    "pveversion",
    "pvs",
    "qm",
    "top",
    "vgs",
    "zarcstat",
    "zfs",
    "zpool",
];

/// The files that a report shows.
pub(super) fn read(bytes: &[u8]) -> Tree {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let mut tree = Tree::partial();
    let mut running = String::new();
    let mut open: Option<(&str, usize)> = None;
    let mut at = 0;
    let mut after_blank = true;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n');
        let command = content
            .strip_prefix("# ")
            .filter(|rest| after_blank && COMMANDS.contains(&rest.split(' ').next().unwrap_or("")));
        if command.is_some() || is_title(content) {
            if let Some((command, from)) = open.take() {
                answer(&mut tree, command, &text[from..at], &mut running);
            }
            open = command.map(|command| (command, at + line.len()));
        }
        after_blank = content.is_empty();
        at += line.len();
    }
    if let Some((command, from)) = open {
        answer(&mut tree, command, &text[from..], &mut running);
        // `zpool list -v` or `vgs` is what a whole report ends with; half a file is none.
        if let Some(path) = shown_file(command) {
            tree.add_unread(&path, "the report ends in it");
        }
    }
    if let Item::Present(name) = tree.file("etc/hostname") {
        let target = format!("nodes/{}", name.text.trim());
        tree.add_link("etc/pve/local", &target);
    }
    if !running.is_empty() {
        tree.add_file(".moxc/running", running.as_bytes());
    }
    tree
}

/// The path on the host of the file that a command shows.
fn shown_file(command: &str) -> Option<String> {
    let path = command.strip_prefix("cat /")?;
    let path = path.split(" 2>").next().unwrap_or(path);
    Some(path.to_owned())
}

fn answer(tree: &mut Tree, command: &str, output: &str, running: &mut String) {
    if let Some(folder) = command.strip_prefix("output '/") {
        let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
        tree.add_folder(folder);
        return;
    }
    let failed = output.lines().find(|line| line.starts_with("ERROR: "));
    if let Some(path) = shown_file(command) {
        let missing =
            output.starts_with("cat: ") && output.trim_end().ends_with("No such file or directory");
        match failed {
            _ if missing => {}
            Some(line) => tree.add_unread(&path, line),
            None if path == "proc/cmdline" => tree.add_file(".moxc/cmdline", output.as_bytes()),
            None => {
                let shown = output.trim_end_matches('\n');
                let ended = if shown.is_empty() {
                    String::new()
                } else {
                    format!("{shown}\n")
                };
                tree.add_file(&path, ended.as_bytes());
            }
        }
        return;
    }
    if failed.is_some() {
        return;
    }
    let path = match command {
        "hostname" => "etc/hostname",
        "pveversion --verbose" => ".moxc/pveversion",
        "lspci -nnk" => ".moxc/lspci",
        "zpool status" => ".moxc/zpool-status",
        "qm list" | "pct list" => {
            if running.is_empty() {
                running.push('\n');
            }
            let on = output.lines().filter(|line| line.contains(" running"));
            for vmid in on.filter_map(|line| line.split_whitespace().next()) {
                running.push_str(vmid);
                running.push('\n');
            }
            return;
        }
        _ => return,
    };
    tree.add_file(path, format!("{}\n", output.trim_end()).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Item;

    #[test]
    fn takes_files_and_answers_apart() {
        let text = "\n==== general system info ====\n\n# hostname\npve1\n\n# pveversion --verbose\nproxmox-ve: 8.4.0 \
                    (running kernel: 6.8.12-9-pve)\npve-manager: 8.4.1 (running version: 8.4.1/2a5fa54a8503f96d)\n\n\
                    ==== info about virtual guests ====\n\n# qm list\n      VMID NAME  STATUS     MEM(MB)\n       100 \
                    web   running    2048\n       101 db    stopped    2048\n# output '/etc/pve/qemu-server/\\d+\\.conf' \
                    file(s)\n\n# cat /etc/pve/qemu-server/100.conf\n# not a command\nmemory: 2048\nname: web\n\n\
                    [before]\n#notes\nmemory: 1024\n\n\n# cat /etc/pve/jobs.cfg\ncat: /etc/pve/jobs.cfg: No such file or \
                    directory\n\n# cat /etc/pve/storage.cfg\nERROR: command timed out\n";
        assert!(is_report(text.as_bytes()));
        let tree = read(text.as_bytes());
        let file = |path: &str| tree.file(path).map(|file| file.text.clone());
        assert_eq!(file("etc/hostname"), Item::Present("pve1\n".to_owned()));
        assert_eq!(
            file("etc/pve/qemu-server/100.conf"),
            Item::Present(
                "# not a command\nmemory: 2048\nname: web\n\n[before]\n#notes\nmemory: 1024\n"
                    .to_owned()
            )
        );
        assert_eq!(file("etc/pve/jobs.cfg"), Item::Absent);
        assert!(matches!(file("etc/pve/storage.cfg"), Item::Unread(_)));
        assert_eq!(
            file(".moxc/running")
                .present()
                .map(|text| text.trim().to_owned()),
            Some("100".to_owned())
        );
    }
}
