//! A copy that is a tar, plain or gzipped.

use std::io::{self, BufRead as _, BufReader, Read, Seek};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::layout::{Layout, Tops, clean};
use super::tree::Tree;
use super::{CannotRead, MOST_ENTRIES};

/// How much a tar may hold when it is unpacked: more is a bomb, or a whole disk.
const LARGEST_ARCHIVE: u64 = 64 << 30;

/// The files of a tar. It is gone through twice: for where its root is, and for the files.
pub(super) fn read(file: &mut (impl Read + Seek)) -> Result<Tree, CannotRead> {
    let mut tops = Tops::default();
    let looked = each(file, |entry| tops.note(&entry.path));
    let Some(layout) = tops.layout() else {
        return Err(CannotRead(match looked {
            Ok(0) => "it is neither a tar nor the text of `pvereport`".to_owned(),
            Ok(_) => "there is nothing of a Proxmox VE host in it".to_owned(),
            Err(error) => format!("it cannot be unpacked: {error}"),
        }));
    };
    let mut tree = Tree::new();
    let read = each(file, |entry| add(&mut tree, &layout, entry));
    if let Err(error) = read {
        tree.cut_off(&format!("the archive ends early: {error}"));
        tree.note(".", &format!("the archive ends early: {error}"));
    }
    tree.take_digests();
    Ok(tree)
}

/// One entry of a tar.
struct TarEntry<'a> {
    /// As it stands there, cleaned; with its `..` where it leaves the archive.
    path: String,
    leaves: bool,
    kind: EntryType,
    target: Option<String>,
    size: u64,
    contents: &'a mut dyn Read,
}

fn add(tree: &mut Tree, layout: &Layout, entry: &mut TarEntry<'_>) {
    let Some(path) = layout.on_host(&entry.path) else {
        return;
    };
    if entry.leaves {
        tree.note(&entry.path, "its path leaves the archive");
        return;
    }
    match entry.kind {
        EntryType::Directory => tree.add_folder(&path),
        EntryType::Symlink => tree.add_link(&path, entry.target.as_deref().unwrap_or_default()),
        EntryType::Link => {
            // The other name is a path in the archive.
            let target = entry.target.as_deref().and_then(clean);
            match target.and_then(|target| layout.on_host(&target)) {
                Some(target) => tree.add_link(&path, &format!("/{target}")),
                None => tree.add_unread(&path, "a link out of the copy"),
            }
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            if !Tree::wants(&path) {
                return;
            }
            let limit = Tree::limit(&path) as u64;
            let mut bytes = Vec::new();
            let result = entry.contents.take(limit + 1).read_to_end(&mut bytes);
            match result {
                Ok(read) if (read as u64) < entry.size.min(limit + 1) => {
                    tree.add_unread(&path, "the archive ends in it");
                }
                Ok(_) => tree.add_file(&path, &bytes),
                Err(error) => tree.add_unread(&path, &error.to_string()),
            }
        }
        _ => tree.add_unread(&path, "it is not a plain file"),
    }
}

/// Goes through a tar, and tells how many entries it has.
fn each(
    file: &mut (impl Read + Seek),
    mut visit: impl FnMut(&mut TarEntry<'_>),
) -> io::Result<usize> {
    file.rewind()?;
    let mut file = BufReader::new(file);
    let plain: Box<dyn Read + '_> = if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Box::new(MultiGzDecoder::new(file).take(LARGEST_ARCHIVE))
    } else {
        Box::new(file)
    };
    let mut archive = Archive::new(plain);
    let mut count = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        count += 1;
        if count > MOST_ENTRIES {
            return Err(io::Error::other(format!(
                "more than {MOST_ENTRIES} entries"
            )));
        }
        let header = entry.header();
        let kind = header.entry_type();
        let size = header.size().unwrap_or(0);
        let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let target = entry
            .link_name_bytes()
            .map(|target| String::from_utf8_lossy(&target).into_owned());
        let cleaned = clean(&raw);
        visit(&mut TarEntry {
            leaves: cleaned.is_none(),
            path: cleaned.unwrap_or(raw),
            kind,
            target,
            size,
            contents: &mut entry,
        });
    }
    Ok(count)
}
