use std::collections::BTreeMap;
use std::io::{self, Cursor};

use super::*;
use crate::pve::GuestKind;

/// A folder in memory: files by their paths, links by what stands behind `-> `.
#[derive(Debug)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        Self(files.collect())
    }
}

impl Folder for Files {
    fn entries(&self, path: &str) -> io::Result<Vec<(String, FolderEntry)>> {
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let mut entries = BTreeMap::new();
        for (path, contents) in &self.0 {
            let Some(rest) = path.strip_prefix(&prefix) else {
                continue;
            };
            let kind = match (rest.contains('/'), contents.strip_prefix(b"-> ")) {
                (true, _) => FolderEntry::Folder,
                (false, Some(target)) => {
                    FolderEntry::Link(String::from_utf8_lossy(target).into_owned())
                }
                (false, None) => FolderEntry::File,
            };
            let name = rest.split('/').next().unwrap_or_default();
            if !name.is_empty() {
                entries.insert(name.to_owned(), kind);
            }
        }
        Ok(entries.into_iter().collect())
    }

    fn read(&self, path: &str, limit: usize) -> io::Result<Vec<u8>> {
        let contents = &self.0[path];
        Ok(contents[..contents.len().min(limit + 1)].to_vec())
    }
}

fn read(files: &[(&str, &str)]) -> Snapshot {
    read_folder(&Files::new(files)).expect("a host")
}

fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        if let Some(target) = text.strip_prefix("-> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, path, target)
                .expect("memory takes it");
        } else {
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, path, text.as_bytes())
                .expect("memory takes it");
        }
    }
    tar.into_inner().expect("memory takes it")
}

const HOST: &[(&str, &str)] = &[
    (
        ".moxc/pveversion",
        "pve-manager/8.4.1/2a5fa54a8503f96d (running kernel: 6.8.12-9-pve)\n",
    ),
    (".moxc/running", "100\n"),
    ("etc/hostname", "pve1\n"),
    (
        "etc/network/interfaces",
        "auto lo\niface lo inet loopback\n",
    ),
    ("etc/pve/local", "-> nodes/pve1"),
    ("etc/pve/lxc", "-> nodes/pve1/lxc"),
    (
        "etc/pve/nodes/pve1/lxc/201.conf",
        "hostname: db\nmemory: 512\n\n[pve:pending]\nmemory: 1024\ndelete: swap\n",
    ),
    (
        "etc/pve/nodes/pve1/qemu-server/100.conf",
        "#the front door\ncipassword: hunter2\nmemory: 2048\nname: web\n\n[before]\nmemory: 1024\n",
    ),
    ("etc/pve/nodes/pve1/qemu-server/100.conf.bak", "memory: 1\n"),
    ("etc/pve/nodes/pve2/qemu-server/300.conf", "memory: 128\n"),
    ("etc/pve/priv/shadow.cfg", "hunter2\n"),
    ("etc/pve/qemu-server", "-> nodes/pve1/qemu-server"),
    (
        "etc/pve/storage.cfg",
        "dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\n",
    ),
];

#[test]
fn reads_a_folder() {
    let host = read(HOST);
    assert_eq!(host.node, Item::Present("pve1".to_owned()));
    let version = host.version.present().expect("it says so");
    assert_eq!(version.release, Some(crate::pve::Release::new(8, 4)));
    assert_eq!(host.runs(100), Some(true));
    assert_eq!(host.runs(201), Some(false));
    assert_eq!(host.nodes.keys().collect::<Vec<_>>(), ["pve1", "pve2"]);
    let own = host.own().expect("it has a name");
    assert_eq!(own.guests.keys().collect::<Vec<_>>(), [&100, &201]);
    let web = &own.guests[&100];
    assert_eq!((web.kind, web.name()), (GuestKind::Qm, Some("web")));
    assert_eq!(web.config.description(), "the front door");
    assert_eq!(web.snapshots().collect::<Vec<_>>(), ["before"]);
    assert!(web.file.blanked);
    let db = &own.guests[&201];
    assert_eq!(db.wanted("memory"), Some("1024"));
    assert_eq!(db.pending_deletions(), ["swap"]);
    let (node, other) = host.guest(300).expect("it is there");
    assert_eq!((node, other.config.get("memory")), ("pve2", Some("128")));
    assert!(host.jobs.is_absent());
    assert!(matches!(host.machine.pci, Item::Unread(_)));
    assert_eq!(host.unread, []);
}

#[test]
fn a_secret_is_nowhere() {
    let host = read(HOST);
    assert!(!format!("{host:?}").contains("hunter2"));
}

#[test]
fn reads_the_same_from_a_tar() {
    let plain = tar_of(HOST);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut packed, &plain).expect("memory takes it");
    let packed = packed.finish().expect("memory takes it");
    let folder = read(HOST);
    for bytes in [&plain, &packed] {
        let host = read_file(&mut Cursor::new(bytes)).expect("a host");
        let texts = |host: &Snapshot| -> Vec<FileText> { host.tree.files().cloned().collect() };
        assert_eq!(texts(&host), texts(&folder));
        assert_eq!(host.unread, folder.unread);
    }
}

#[test]
fn half_a_tar_leaves_the_rest_unread() {
    let whole = tar_of(HOST);
    for end in (0..whole.len()).step_by(97) {
        match read_file(&mut Cursor::new(&whole[..end])) {
            Ok(host) => {
                if host.storage.present().is_none() {
                    assert!(!host.storage.is_absent(), "{end}");
                }
            }
            Err(error) => assert!(!error.0.is_empty()),
        }
    }
}

#[test]
fn reads_backups_of_a_part() {
    let pve = read(&[
        ("nodes/pve/qemu-server/100.conf", "memory: 128"),
        ("local", "nodes/pve"),
        ("qemu-server", "nodes/pve/qemu-server"),
        ("storage.cfg", "dir: local\n\tpath /var/lib/vz\n"),
    ]);
    assert_eq!(pve.node, Item::Present("pve".to_owned()));
    assert_eq!(pve.own().map(|node| node.guests.len()), Some(1));
    assert!(matches!(pve.interfaces, Item::Unread(_)));
    assert!(pve.jobs.is_absent());
    let etc = read(&[
        ("pve/lxc/100.conf", "memory: 128\n"),
        ("pve/storage.cfg", "\n"),
        ("hostname", "box.example\n"),
        ("interfaces", "auto lo\n"),
    ]);
    assert_eq!(etc.node, Item::Present("box".to_owned()));
    assert_eq!(etc.own().map(|node| node.guests.len()), Some(1));
    assert!(etc.interfaces.present().is_some());
    let error = read_folder(&Files::new(&[("README.md", "no host")])).expect_err("no host");
    assert!(error.0.contains("nothing of a Proxmox VE host"));
}

#[test]
fn guests_behind_a_link_that_leads_nowhere_are_unread() {
    let host = read(&[
        ("etc/hostname", "pve1\n"),
        ("etc/pve/qemu-server", "-> nodes/pve1/qemu-server"),
        ("etc/pve/local", "-> nodes/pve1"),
        ("etc/pve/storage.cfg", ""),
    ]);
    let own = host.own().expect("it has a name");
    assert!(own.machines_unread.is_some());
    assert!(own.unread(GuestKind::Pct).is_some());
}

#[test]
fn links_stay_inside() {
    let host = read(&[
        ("etc/hostname", "pve1\n"),
        ("etc/modules", "-> ../../../outside"),
        ("etc/vzdump.conf", "-> vzdump.conf"),
        ("etc/resolv.conf", "-> /run/resolv.conf"),
        ("etc/pve/storage.cfg", "-> /etc/subuid"),
        ("etc/subuid", "root:100000:65536\n"),
    ]);
    assert!(matches!(host.boot.modules, Item::Unread(_)));
    assert!(matches!(host.vzdump, Item::Unread(_)));
    assert!(matches!(host.tree.file("etc/resolv.conf"), Item::Unread(_)));
    assert!(host.storage.present().is_some());
}

#[test]
fn a_huge_file_is_unread() {
    let huge = "#".repeat(LARGEST_FILE + 1);
    let host = read(&[("etc/hostname", "pve1\n"), ("etc/pve/storage.cfg", &huge)]);
    assert!(matches!(host.storage, Item::Unread(_)));
    assert_eq!(host.unread[0].path, "etc/pve/storage.cfg");
}

#[test]
fn paths_out_of_a_tar_are_unread() {
    let mut bytes = tar_of(&[("etc/hostname", "pve1\n"), ("etc/xx/modules", "evil\n")]);
    let at = bytes
        .windows(6)
        .position(|bytes| bytes == b"etc/xx")
        .expect("it is there");
    bytes[at..at + 6].copy_from_slice(b"etc/..");
    // The checksum of a header is the sum of its bytes, its own counted as blanks.
    let header = at - at % 512;
    bytes[header + 148..header + 156].copy_from_slice(b"        ");
    let sum: u32 = bytes[header..header + 512]
        .iter()
        .map(|byte| u32::from(*byte))
        .sum();
    let sum = format!("{sum:06o}\0 ");
    bytes[header + 148..header + 156].copy_from_slice(sum.as_bytes());
    let host = read_file(&mut Cursor::new(&bytes)).expect("a host");
    let odd = host
        .unread
        .iter()
        .find(|unread| unread.path == "etc/../modules");
    assert!(odd.is_some_and(|odd| odd.reason.contains("leaves")));
    assert!(host.boot.modules.is_absent());
}
